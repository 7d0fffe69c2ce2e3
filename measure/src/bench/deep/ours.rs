//! The program itself, looking inside.

use std::process::Command;

use anyhow::{Context as _, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};

use super::super::meter::{self, Ran};
use super::super::{product, say, write};
use super::tree::output;

/// A scan ends with 1 if there are findings; both is fine here.
const SCANNED: &[i32] = &[0, 1];

pub(super) struct Ours {
    program: Utf8PathBuf,
    pub(super) version: String,
    /// Settings, cache and home: nothing of the person who runs this.
    home: Utf8PathBuf,
}

impl Ours {
    /// The program that is given, else the one of this source.
    pub(super) fn get(given: Option<Utf8PathBuf>, cache: &Utf8Path) -> Result<Self> {
        let program = match given {
            Some(program) => program,
            None => product::program()?,
        };
        let home = cache.join("our-home");
        std::fs::create_dir_all(&home).with_context(|| format!("cannot make {home}"))?;
        write(&home.join("snowguard.toml"), b"")?;
        let version = output(Command::new(&program).arg("--version"))?;
        Ok(Self {
            version: version.trim_start_matches("snowguard ").to_owned(),
            program,
            home,
        })
    }

    /// Forgets what was found before.
    pub(super) fn forget(&self) -> Result<()> {
        let cache = self.home.join("cache");
        if cache.exists() {
            std::fs::remove_dir_all(&cache).with_context(|| format!("cannot empty {cache}"))?;
        }
        Ok(())
    }

    /// Measures the making of an SBOM.
    pub(super) fn sbom(&self, tree: &Utf8Path) -> Result<Ran> {
        meter::run_any(self.command().args(["sbom", "--deep"]).arg(tree), &[0])
    }

    /// Writes the SBOM.
    pub(super) fn write_sbom(&self, tree: &Utf8Path, bom: &Utf8Path) -> Result<()> {
        let output = self
            .command()
            .args(["sbom", "--deep"])
            .arg(tree)
            .output()
            .with_context(|| format!("cannot start {}", self.program))?;
        if !output.status.success() {
            let words = String::from_utf8_lossy(&output.stderr);
            bail!("{} ended with {}: {words}", self.program, output.status);
        }
        write(bom, &output.stdout)
    }

    /// Measures a scan of the tree.
    pub(super) fn scan(&self, tree: &Utf8Path) -> Result<Ran> {
        meter::run_any(self.command().args(["scan", "--deep"]).arg(tree), SCANNED)
    }

    /// Measures a scan of store objects.
    pub(super) fn scan_store(&self, store: &Store) -> Result<Ran> {
        let mut command = self.command();
        command
            .args(["scan", "--deep", "--store", store.root.as_str()])
            .args(&store.paths);
        meter::run_any(&command, SCANNED)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        let settings = self.home.join("snowguard.toml");
        command
            .args(["--quiet", "--config", settings.as_str()])
            .env("HOME", &self.home)
            .env("XDG_CACHE_HOME", self.home.join("cache"))
            .env("XDG_DATA_HOME", self.home.join("data"))
            .env_remove("CACHE_DIRECTORY");
        command
    }
}

/// A store of the benchmark's own, filled by Nix.
pub(super) struct Store {
    root: Utf8PathBuf,
    pub(super) paths: Vec<String>,
}

impl Store {
    /// Adds these as objects; none without Nix.
    pub(super) fn fill(root: Utf8PathBuf, objects: &[Utf8PathBuf]) -> Result<Option<Self>> {
        let nix = |arguments: &[&str]| {
            let mut command = Command::new("nix-store");
            command
                .args(["--store", root.as_str()])
                .args(arguments)
                .env_remove("NIX_REMOTE");
            command
        };
        if Command::new("nix-store").arg("--version").output().is_err() {
            eprintln!("there is no nix-store: store objects are not measured");
            return Ok(None);
        }
        say(&format!(
            "adding {} objects to a store at {root}",
            objects.len()
        ));
        let mut paths = Vec::new();
        for object in objects {
            paths.push(output(&mut nix(&["--add", object.as_str()]))?);
        }
        Ok(Some(Self { root, paths }))
    }
}
