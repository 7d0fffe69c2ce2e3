//! A store of its own, which begins empty and is gone after the run.

#![expect(
    clippy::disallowed_methods,
    reason = "this room makes a directory for a store, and removes it"
)]

use std::fs::{self, File, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// What the directories begin with.
const PREFIX: &str = "fresh-";
/// Whoever makes or sweeps holds this file.
const LOCK: &str = "fresh.lock";

/// A directory for a store; gone with this, or else when the next one is made.
#[derive(Debug)]
pub struct Fresh {
    path: PathBuf,
    /// Whose lock says that somebody is at it.
    _lock: File,
}

impl Fresh {
    /// Makes one in a directory that is made too, and removes what runs left there that were killed.
    pub fn make(parent: &Path) -> io::Result<Self> {
        fs::create_dir_all(parent)?;
        // Between a directory and its lock there is a moment, in which nobody is to sweep.
        let turn = File::create(parent.join(LOCK))?;
        turn.lock()?;
        sweep(parent)?;
        let made = tempfile::Builder::new()
            .prefix(PREFIX)
            .permissions(Permissions::from_mode(0o755))
            .tempdir_in(parent)?;
        let lock = File::open(made.path())?;
        lock.lock()?;
        Ok(Self {
            path: made.keep(),
            _lock: lock,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes it, which takes what is in there with it.
    pub fn remove(self) -> io::Result<()> {
        remove(&self.path)
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        // The next one that is made tries again.
        let _ = remove(&self.path);
    }
}

/// Removes those at which nobody is any more.
fn sweep(parent: &Path) -> io::Result<()> {
    for entry in fs::read_dir(parent)? {
        let entry = entry?;
        let is_one = entry
            .file_name()
            .as_encoded_bytes()
            .starts_with(PREFIX.as_bytes());
        if !is_one || !entry.file_type()?.is_dir() {
            continue;
        }
        let Ok(lock) = File::open(entry.path()) else {
            continue;
        };
        match lock.try_lock() {
            // What cannot be removed now is no reason not to go on.
            Ok(()) => drop(remove(&entry.path())),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Ok(())
}

/// Removes a store with all that is in it: Nix takes the right to write from the directories of what it builds.
fn remove(store: &Path) -> io::Result<()> {
    let mut left = vec![store.to_owned()];
    while let Some(directory) = left.pop() {
        // What cannot be looked into is told by who removes it.
        let _ = fs::set_permissions(&directory, Permissions::from_mode(0o700));
        let Ok(entries) = fs::read_dir(&directory) else {
            continue;
        };
        let entries = entries.flatten();
        // Links are not followed.
        let inner = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        left.extend(inner.map(|entry| entry.path()));
    }
    match fs::remove_dir_all(store) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_run_left_is_gone_after_the_next() {
        let place = tempfile::tempdir().unwrap();
        let parent = place.path().join("cache");
        let first = Fresh::make(&parent).unwrap();
        let read_only = first.path().join("nix/store/x/a");
        fs::create_dir_all(&read_only).unwrap();
        fs::write(read_only.join("b"), "c").unwrap();
        std::os::unix::fs::symlink(place.path(), read_only.join("out")).unwrap();
        for directory in [&*read_only, read_only.parent().unwrap()] {
            fs::set_permissions(directory, Permissions::from_mode(0o555)).unwrap();
        }
        // One at which somebody is stays.
        let second = Fresh::make(&parent).unwrap();
        assert!(first.path().exists());
        // As if it had been killed: its lock is gone, and its files are not.
        let left = first.path().to_owned();
        let Fresh { .. } = &first;
        let lock = File::open(&left).unwrap();
        assert!(lock.try_lock().is_err());
        drop(lock);
        let killed = parent.join("fresh-killed");
        fs::create_dir_all(killed.join("nix")).unwrap();
        fs::set_permissions(killed.join("nix"), Permissions::from_mode(0o555)).unwrap();
        let third = Fresh::make(&parent).unwrap();
        assert!(!killed.exists() && left.exists() && second.path().exists());
        first.remove().unwrap();
        drop((second, third));
        let names = fs::read_dir(&parent).unwrap().flatten();
        let names: Vec<_> = names.map(|entry| entry.file_name()).collect();
        assert_eq!(names, [LOCK]);
        assert!(place.path().exists());
    }
}
