//! The latest result of each target, for whoever sends it: an in-toto statement that nobody signed yet.
//!
//! The scanner writes it, as a second output of the same scan. What is kept survives a restart; what is
//! shared lies beside the copy of the history, and is replaced as a whole. Nothing here reads what is in
//! it: who signs it does.
#![expect(
    clippy::disallowed_methods,
    reason = "this room replaces the files that it owns"
)]

use std::fs::{self, File};
use std::io;

use camino::{Utf8Path, Utf8PathBuf};

use crate::key::Key;

/// The directories of the results.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Results {
    kept: Utf8PathBuf,
    shared: Utf8PathBuf,
}

/// A result cannot be kept or shared.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {path}")]
pub struct ResultsError {
    path: Utf8PathBuf,
    #[source]
    source: io::Error,
}

impl Results {
    /// In the directory of the state, which is made absolute for the scanner's sake, and beside the copy
    /// of the history.
    pub fn new(state: &Utf8Path, copy: &Utf8Path) -> Result<Self, ResultsError> {
        let state = camino::absolute_utf8(state).map_err(failed(state))?;
        let results = Self {
            kept: state.join("statements"),
            shared: copy.with_file_name("results"),
        };
        for directory in [&results.kept, &results.shared] {
            fs::create_dir_all(directory).map_err(failed(directory))?;
        }
        Ok(results)
    }

    /// Shares what was kept of these targets; what was kept of others goes. What else lies beside the copy
    /// is not ours.
    pub fn restore<'n>(&self, targets: impl Iterator<Item = &'n str>) -> Result<(), ResultsError> {
        let names: Vec<String> = targets.map(file_name).collect();
        for entry in self.kept.read_dir_utf8().map_err(failed(&self.kept))? {
            let entry = entry.map_err(failed(&self.kept))?;
            let name = entry.file_name();
            if !names.iter().any(|target| target == name) {
                remove(&self.shared.join(name))?;
                remove(entry.path())?;
            }
        }
        for name in &names {
            if self.kept.join(name).exists() {
                self.share(name)?;
            }
        }
        Ok(())
    }

    /// Where the next scan of a target writes; nothing is there.
    pub(crate) fn next(&self, target: &str) -> Utf8PathBuf {
        let path = self.kept.join(beside(&file_name(target)));
        // One of a scan that was killed. What cannot be removed, the scan cannot replace: it will say so.
        let _ = remove(&path);
        path
    }

    /// Keeps and shares what the scan of a target wrote. Tells whether it wrote something: what an older
    /// scan wrote is not the latest result, and goes.
    pub(crate) fn keep(&self, target: &str) -> Result<bool, ResultsError> {
        let name = file_name(target);
        let (new, kept) = (self.kept.join(beside(&name)), self.kept.join(&name));
        match File::open(&new) {
            Ok(file) => {
                file.sync_all().map_err(failed(&new))?;
                fs::rename(&new, &kept).map_err(failed(&kept))?;
                self.share(&name)?;
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                remove(&self.shared.join(&name))?;
                remove(&kept)?;
                Ok(false)
            }
            Err(error) => Err(failed(&new)(error)),
        }
    }

    fn share(&self, name: &str) -> Result<(), ResultsError> {
        let (new, shared) = (self.shared.join(beside(name)), self.shared.join(name));
        fs::copy(self.kept.join(name), &new)
            .and_then(|_| fs::rename(&new, &shared))
            .map_err(failed(&shared))
    }
}

/// Removes a file, if it is there.
fn remove(path: &Utf8Path) -> Result<(), ResultsError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(path)(error)),
        _ => Ok(()),
    }
}

fn failed(path: &Utf8Path) -> impl FnOnce(io::Error) -> ResultsError {
    move |source| ResultsError {
        path: path.to_owned(),
        source,
    }
}

/// A plain name is that of the file. Any other is a digest, behind a sign that is in no plain name.
fn file_name(target: &str) -> String {
    let is_plain = !target.starts_with('.')
        && target
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if is_plain {
        format!("{target}.json")
    } else {
        format!("={}.json", Key::of(["result", target]).as_str())
    }
}

/// Not a name that readers take: it begins with a dot.
fn beside(name: &str) -> String {
    format!(".{name}.new")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(directory: &Utf8Path) -> Vec<String> {
        let entries = directory.read_dir_utf8().unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().to_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn names_of_files() {
        assert_eq!(file_name("system"), "system.json");
        for odd in ["../system", ".hidden", "a b", "/", "ä"] {
            let name = file_name(odd);
            assert!(name.starts_with('=') && name.len() == 38, "{name}");
            assert!(!name.contains('/'));
        }
        assert_ne!(file_name("a b"), file_name("a c"));
    }

    #[test]
    fn the_latest_is_kept_and_shared_and_survives() {
        let directory = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(directory.path()).unwrap();
        let copy = root.join("run/history.sqlite");
        let results = Results::new(&root.join("state"), &copy).unwrap();
        for text in ["first", "second"] {
            fs::write(results.next("system"), text).unwrap();
            assert!(results.keep("system").unwrap());
            let shared = fs::read_to_string(root.join("run/results/system.json")).unwrap();
            assert_eq!(shared, text);
        }
        fs::write(results.next("gone"), "x").unwrap();
        assert!(results.keep("gone").unwrap());
        // As after a restart: what is shared is gone, and something was being written.
        fs::remove_dir_all(root.join("run")).unwrap();
        fs::write(results.next("system"), "half").unwrap();
        let results = Results::new(&root.join("state"), &copy).unwrap();
        let shared = root.join("run/results");
        for name in ["gone.json", "somebody's.json"] {
            fs::write(shared.join(name), "x").unwrap();
        }
        results.restore(["system", "new"].into_iter()).unwrap();
        assert_eq!(files(&shared), ["somebody's.json", "system.json"]);
        assert_eq!(files(&root.join("state/statements")), ["system.json"]);
        assert_eq!(
            fs::read_to_string(shared.join("system.json")).unwrap(),
            "second"
        );
        // A scan that wrote none leaves none: not that of another scan.
        results.next("system");
        assert!(!results.keep("system").unwrap());
        assert_eq!(files(&shared), ["somebody's.json"]);
    }
}
