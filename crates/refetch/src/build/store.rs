//! The store in which is built: how it comes by derivations, and what they are built with.

use std::collections::HashSet;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use snowguard_store::{Derivation, StoreDir};

use super::run::{Nix, Stop, Watch};
use super::said::last_line;
use crate::verify::Halt;

/// So many paths fit the arguments of every system.
const AT_ONCE: usize = 500;
/// The largest derivation that is read, in bytes.
const MOST: u64 = 64 << 20;

/// A store in which is built.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Store {
    /// As `--store` takes it; none for the one that Nix would use.
    pub name: Option<String>,
    /// In place of the root directory, where its files lie elsewhere than they say.
    pub root: Option<PathBuf>,
    /// Whence it takes what it lacks: another store.
    pub origin: Option<Origin>,
}

/// The store that Nix would use, for one that takes what it lacks from there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// As `--store` takes it.
    pub name: String,
    /// Whether it is asked alone, since substituters are not to be.
    pub alone: bool,
}

impl Origin {
    /// The settings under which a store takes outputs from here, and from substituters where these may be asked.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        let mark = if self.name.contains('?') { '&' } else { '?' };
        let name = if self.name.is_empty() {
            "auto"
        } else {
            &self.name
        };
        // What lies there was taken by the very same Nix.
        let from = format!("{name}{mark}trusted=true");
        if self.alone {
            return vec![("substitute", "true".to_owned()), ("substituters", from)];
        }
        vec![("extra-substituters", from)]
    }
}

impl Store {
    /// Makes sure that it has a derivation, with all that this needs to be instantiated; why not, where that cannot be.
    pub(super) fn take(
        &self,
        nix: &Nix,
        drv: &str,
        watch: &Watch<'_>,
    ) -> Result<Option<String>, Stop> {
        let store = self.name.as_deref();
        let is_there = watch.run(nix.command(store).args(["--check-validity", drv]))?;
        if is_there.is_success() {
            return Ok(None);
        }
        let missing = |log: &str| {
            let why = format!(
                "Nix does not have its derivation ({}): instantiate it on this machine, or bring it here with \
                 `nix copy --derivation`",
                last_line(log)
            );
            Ok(Some(why))
        };
        if self.origin.is_none() {
            return missing(&is_there.log);
        }
        let all = watch.run(nix.command(None).args(["--query", "--requisites", drv]))?;
        if !all.is_success() {
            return missing(&all.log);
        }
        // In this order each comes after what it refers to.
        let all: Vec<&str> = all.out.lines().collect();
        for some in all.chunks(AT_ONCE) {
            let mut asked = nix.command(store);
            let asked = watch.run(
                asked
                    .args(["--check-validity", "--print-invalid"])
                    .args(some),
            )?;
            let lacking: Vec<&str> = asked.out.lines().collect();
            let lacking: Vec<&&str> = some.iter().filter(|path| lacking.contains(path)).collect();
            if lacking.is_empty() {
                continue;
            }
            let exported = watch.file()?;
            let given =
                watch.run_into(nix.command(None).arg("--export").args(&lacking), &exported)?;
            if !given.is_success() {
                return missing(&given.log);
            }
            let mut import = nix.command(store);
            import
                .arg("--import")
                .stdin(Stdio::from(from_its_beginning(exported)?));
            let taken = watch.run(&mut import)?;
            if !taken.is_success() {
                let why = last_line(&taken.log);
                let text = format!("the store in which is built does not take derivations: {why}");
                return Err(Stop::Halt(Halt::Network(text)));
            }
        }
        Ok(None)
    }

    /// What a derivation is built with: derivations, each with the outputs that it needs where its file can be read.
    pub(super) fn inputs(
        &self,
        nix: &Nix,
        drv: &str,
        watch: &Watch<'_>,
    ) -> Result<Vec<String>, Stop> {
        if let Some(inputs) = self.read(drv) {
            return Ok(inputs);
        }
        let mut query = nix.command(self.name.as_deref());
        let listed = watch.run(query.args(["--query", "--references", drv]))?;
        let paths = listed.out.lines().map(str::trim);
        Ok(paths
            .filter(|path| path.ends_with(".drv"))
            .map(str::to_owned)
            .collect())
    }

    /// Where the file of a store path lies.
    pub fn file(&self, path: &str) -> PathBuf {
        match &self.root {
            // Whatever its store directory is called, it lies there.
            Some(root) => root
                .join("nix/store")
                .join(path.rsplit('/').next().unwrap_or_default()),
            None => path.into(),
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "this room reads derivations that are built"
    )]
    fn read(&self, drv: &str) -> Option<Vec<String>> {
        let file = self.file(drv);
        let is_small = std::fs::metadata(&file).ok()?.len() <= MOST;
        let bytes = is_small.then(|| std::fs::read(&file).ok()).flatten()?;
        let (dir, path) = StoreDir::split(drv).ok()?;
        let drv = Derivation::from_aterm(&bytes, path.name().strip_drv()?, &dir).ok()?;
        // Of what is made while building nobody can tell.
        let inputs = drv.input_drvs().iter();
        let all = inputs.map(|input| {
            let outputs: Vec<&str> = input.outputs().iter().map(AsRef::as_ref).collect();
            let is_plain = input.dynamic().is_empty() && !outputs.is_empty();
            is_plain.then(|| format!("{}!{}", dir.show(input.path()), outputs.join(",")))
        });
        all.collect()
    }
}

fn from_its_beginning(mut file: std::fs::File) -> Result<std::fs::File, Stop> {
    use std::io::Seek as _;
    file.rewind().map_err(Halt::scratch)?;
    Ok(file)
}

/// Whose turn it is, among those who build the same.
#[derive(Debug, Default)]
pub struct Turns {
    taken: Mutex<HashSet<String>>,
    changed: Condvar,
}

/// A turn, until it is dropped.
pub(super) struct Turn<'t> {
    turns: &'t Turns,
    what: String,
}

impl Turns {
    /// Waits until nobody else is at it. Who waited finds it done.
    pub(super) fn take(&self, what: &str) -> Turn<'_> {
        let mut taken = self.taken();
        while taken.contains(what) {
            taken = self
                .changed
                .wait(taken)
                .unwrap_or_else(PoisonError::into_inner);
        }
        taken.insert(what.to_owned());
        drop(taken);
        Turn {
            turns: self,
            what: what.to_owned(),
        }
    }

    fn taken(&self) -> MutexGuard<'_, HashSet<String>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.turns.taken().remove(&self.what);
        self.turns.changed.notify_all();
    }
}
