//! Where a run keeps its files, and a queue that one process has for itself.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A directory that is gone after the run.
#[derive(Debug)]
pub struct Scratch(TempDir);

impl Scratch {
    /// Makes one where the system puts such things.
    pub fn new() -> io::Result<Self> {
        tempfile::Builder::new()
            .prefix("snowguard-")
            .tempdir()
            .map(Self)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

/// The right to be the only one at a queue in a file; gone with the process, however that ends.
#[derive(Debug)]
pub struct Alone {
    _lock: File,
}

impl Alone {
    /// Takes it; none if another process has it.
    pub fn at(queue: &Path) -> io::Result<Option<Self>> {
        let mut name = queue.as_os_str().to_owned();
        name.push(".lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(PathBuf::from(name))?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(Self { _lock: lock })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_alone_has_a_queue() {
        let scratch = Scratch::new().unwrap();
        let queue = scratch.path().join("queue.db");
        let first = Alone::at(&queue).unwrap();
        assert!(first.is_some());
        assert!(Alone::at(&queue).unwrap().is_none());
        drop(first);
        assert!(Alone::at(&queue).unwrap().is_some());
    }
}
