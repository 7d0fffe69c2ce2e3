//! Which revision a package set is of.
#![expect(
    clippy::disallowed_methods,
    reason = "this room reads which revision a checkout is at"
)]

use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;

use super::IngestError;

/// A revision of a package set: its hash, mostly, and when it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    text: String,
    made_at: Timestamp,
}

impl Revision {
    /// From a hash in hexadecimal, 7 to 64 digits. `what` is for messages.
    pub fn new(text: &str, made_at: Timestamp, what: &str) -> Result<Self, IngestError> {
        let text = text.trim();
        let is_hash = (7..=64).contains(&text.len())
            && text
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if !is_hash {
            return Err(IngestError::Revision {
                what: what.to_owned(),
            });
        }
        Ok(Self {
            text: text.to_owned(),
            made_at,
        })
    }

    /// From a name that somebody gives to a package set that has no hash: letters, digits, `.`, `_`, `-`,
    /// 100 at most.
    pub fn named(text: &str, made_at: Timestamp) -> Result<Self, IngestError> {
        if super::check_name(text).is_err() {
            return Err(IngestError::Revision {
                what: format!("{text:?}"),
            });
        }
        Ok(Self {
            text: text.to_owned(),
            made_at,
        })
    }

    /// The hash, or the name.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// When it was made, as far as is known: when it was published, else when it was looked at.
    pub fn made_at(&self) -> Timestamp {
        self.made_at
    }
}

/// The revision of a checkout: as the file `.git-revision` has it, which releases have, else the commit
/// that Git has checked out. Git is not started, and nothing of the checkout is run.
pub fn of_checkout(checkout: &Utf8Path, now: Timestamp) -> Result<Revision, IngestError> {
    let released = checkout.join(".git-revision");
    if let Some(text) = read(&released)? {
        return Revision::new(&text, now, released.as_str());
    }
    let none = || IngestError::Revision {
        what: checkout.to_string(),
    };
    let dot_git = checkout.join(".git");
    let git = if dot_git.is_dir() {
        dot_git
    } else {
        // A worktree has a file that says where its part of the repository is.
        let text = read(&dot_git)?.ok_or_else(none)?;
        checkout.join(text.trim().strip_prefix("gitdir: ").ok_or_else(none)?)
    };
    let head = read(&git.join("HEAD"))?.ok_or_else(none)?;
    let Some(name) = head.trim().strip_prefix("ref: ") else {
        return Revision::new(&head, now, checkout.as_str());
    };
    if !is_reference(name) {
        return Err(none());
    }
    let common = match read(&git.join("commondir"))? {
        Some(text) => git.join(text.trim()),
        None => git.clone(),
    };
    for place in [&git, &common] {
        if let Some(text) = read(&place.join(name))? {
            return Revision::new(&text, now, checkout.as_str());
        }
    }
    let packed = read(&common.join("packed-refs"))?.unwrap_or_default();
    let hash = packed
        .lines()
        .find_map(|line| line.split_once(' ').filter(|(_, of)| *of == name));
    let (hash, _) = hash.ok_or_else(none)?;
    Revision::new(hash, now, checkout.as_str())
}

/// Whether a name stays below the directory in which references are.
fn is_reference(name: &str) -> bool {
    name.starts_with("refs/") && !name.split('/').any(|part| matches!(part, "" | "." | ".."))
}

/// A small file; nothing if it is not there.
fn read(path: &Utf8PathBuf) -> Result<Option<String>, IngestError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(source) => Err(IngestError::File {
            what: "read",
            path: path.to_string(),
            source,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "0123456789abcdef0123456789abcdef01234567";

    fn checkout(files: &[(&str, &str)]) -> (tempfile::TempDir, Result<String, String>) {
        let scratch = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = scratch.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let path = Utf8Path::from_path(scratch.path()).unwrap().join("tree");
        let found = of_checkout(&path, Timestamp::UNIX_EPOCH)
            .map(|revision| revision.as_str().to_owned())
            .map_err(|error| error.to_string());
        (scratch, found)
    }

    #[test]
    fn a_checkout_says_where_it_is() {
        let line = format!("{HASH}\n");
        let packed = format!("# pack-refs with: peeled\n{HASH} refs/heads/main\n");
        for files in [
            &[("tree/.git-revision", HASH)][..],
            &[("tree/.git/HEAD", &*line)],
            &[
                ("tree/.git/HEAD", "ref: refs/heads/main\n"),
                ("tree/.git/refs/heads/main", &*line),
            ],
            &[
                ("tree/.git/HEAD", "ref: refs/heads/main\n"),
                ("tree/.git/packed-refs", &*packed),
            ],
            &[
                ("tree/.git", "gitdir: ../main/.git/worktrees/tree\n"),
                ("main/.git/worktrees/tree/HEAD", "ref: refs/heads/main\n"),
                ("main/.git/worktrees/tree/commondir", "../..\n"),
                ("main/.git/refs/heads/main", &*line),
            ],
        ] {
            assert_eq!(checkout(files).1.as_deref(), Ok(HASH), "{files:?}");
        }
    }

    #[test]
    fn what_is_no_checkout_is_told() {
        for files in [
            &[("tree/default.nix", "{ }")][..],
            &[("tree/.git/HEAD", "ref: ../../../etc/passwd\n")],
            &[("tree/.git/HEAD", "ref: refs/heads/../../../x\n")],
            &[("tree/.git/HEAD", "ref: refs/heads/gone\n")],
            &[("tree/.git-revision", "<html>")],
        ] {
            let told = checkout(files).1.unwrap_err();
            assert!(told.ends_with("names no revision"), "{told}");
        }
    }

    #[test]
    fn hashes_only() {
        let now = Timestamp::UNIX_EPOCH;
        assert!(Revision::new(" 0123abc\n", now, "x").is_ok());
        for wrong in ["", "012345", "0123ABC", "../../x", &"0".repeat(65)] {
            assert!(Revision::new(wrong, now, "x").is_err(), "{wrong}");
        }
        assert!(Revision::named("20.09-pre_1", now).is_ok());
        for wrong in ["", "a b", "../x", &"a".repeat(101)] {
            assert!(Revision::named(wrong, now).is_err(), "{wrong}");
        }
    }
}
