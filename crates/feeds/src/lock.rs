//! Locks of the system on files, which end with the process.
//!
//! Whoever may open a file may lock it, also to read. So a lock is for those only who may write in its
//! directory: its owner and rights are those of the directory, whoever makes it. One that is in the way
//! of that, by another user or by an older version, is replaced as any file there may be.
#![expect(clippy::disallowed_methods, reason = "this room owns the lock files")]

use std::fs::{File, Metadata, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, fchown};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use camino::Utf8Path;

use crate::file::UNFINISHED;

/// How often it is looked whether the other has ended.
const GLANCE: Duration = Duration::from_millis(100);

/// How one waits for another program.
pub struct Waiting<'w> {
    /// Setting it ends the waiting.
    pub interrupted: &'w AtomicBool,
    /// Called once, if another has the lock.
    pub told: &'w mut dyn FnMut(),
}

/// A lock that is held.
#[derive(Debug)]
pub(crate) struct FileLock(
    #[expect(dead_code, reason = "the lock lasts as long as the file is open")] File,
);

/// Why a lock is not held.
#[derive(Debug)]
pub(crate) enum LockError {
    /// The system says no.
    Io(io::Error),
    /// Another has it, and the limit is over.
    Held,
    /// The person does not want to wait.
    Interrupted,
}

impl FileLock {
    /// Takes the lock on a file, which is made if there is none, in a directory that is there. Waits for
    /// who has it, but not longer than the limit.
    pub(crate) fn take(
        path: &Utf8Path,
        limit: Option<Duration>,
        waiting: &mut Waiting<'_>,
    ) -> Result<Self, LockError> {
        let directory = match path.parent() {
            Some(parent) if !parent.as_str().is_empty() => parent,
            _ => Utf8Path::new("."),
        };
        let within = std::fs::metadata(directory).map_err(LockError::Io)?;
        let mut waited = Duration::ZERO;
        let mut is_told = false;
        // Once is enough, or else it does not help.
        let mut may_replace = true;
        loop {
            let file = match open(path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    make(directory, &within, path, false).map_err(LockError::Io)?;
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied && may_replace => {
                    may_replace = false;
                    make(directory, &within, path, true).map_err(LockError::Io)?;
                    continue;
                }
                Err(error) => return Err(LockError::Io(error)),
            };
            let found = file.metadata().map_err(LockError::Io)?;
            let is_free = match file.try_lock() {
                Ok(()) => true,
                Err(TryLockError::WouldBlock) => false,
                Err(TryLockError::Error(error)) => return Err(LockError::Io(error)),
            };
            if is_free && !is_at(path, &found) {
                // Another has replaced it.
                continue;
            }
            let is_over = limit.is_some_and(|limit| waited >= limit);
            // Who holds one that anybody may hold may be anybody.
            if (is_free || is_over) && may_replace && is_for_others(&found, &within) {
                may_replace = false;
                // If that is not allowed, it serves as it is.
                let _ = make(directory, &within, path, true);
                continue;
            }
            if is_free {
                return Ok(Self(file));
            }
            if !is_told {
                (waiting.told)();
                is_told = true;
            }
            if waiting.interrupted.load(Ordering::Relaxed) {
                return Err(LockError::Interrupted);
            }
            if is_over {
                return Err(LockError::Held);
            }
            std::thread::sleep(GLANCE);
            waited += GLANCE;
        }
    }
}

/// To write if possible: over NFS, only then can it be locked.
fn open(path: &Utf8Path) -> io::Result<File> {
    match OpenOptions::new().read(true).write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => File::open(path),
        opened => opened,
    }
}

/// Makes the file as it should be; in the place of another only if wanted.
fn make(directory: &Utf8Path, within: &Metadata, path: &Utf8Path, over: bool) -> io::Result<()> {
    let file = tempfile::Builder::new()
        .prefix(UNFINISHED)
        .tempfile_in(directory)?;
    let is = file.as_file().metadata()?;
    let (user, group) = (within.uid(), within.gid());
    let mut rights = rights(within);
    // Root may give it away, and others may give it to their group.
    if (is.uid(), is.gid()) != (user, group)
        && fchown(file.as_file(), Some(user), Some(group)).is_err()
        && is.gid() != group
        && fchown(file.as_file(), None, Some(group)).is_err()
    {
        rights &= !0o060;
    }
    if is.mode() & 0o777 != rights {
        file.as_file()
            .set_permissions(Permissions::from_mode(rights))?;
    }
    if over {
        file.persist(path)?;
        return Ok(());
    }
    match file.persist_noclobber(path) {
        Err(error) if error.error.kind() != io::ErrorKind::AlreadyExists => Err(error.error),
        _ => Ok(()),
    }
}

/// The rights of a lock in a directory: of those who may write there.
fn rights(within: &Metadata) -> u32 {
    let writes = within.mode() & 0o022;
    0o600 | writes | (writes << 1)
}

fn is_for_others(lock: &Metadata, within: &Metadata) -> bool {
    lock.mode() & 0o777 & !rights(within) != 0
}

/// Whether a path leads to a file. As long as that is open, no other has its number.
fn is_at(path: &Utf8Path, file: &Metadata) -> bool {
    let now = std::fs::metadata(path);
    now.is_ok_and(|now| (now.dev(), now.ino()) == (file.dev(), file.ino()))
}

#[cfg(test)]
mod tests {
    use camino::Utf8PathBuf;

    use super::*;

    fn scratch(rights: u32) -> (tempfile::TempDir, Utf8PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        std::fs::set_permissions(directory.path(), Permissions::from_mode(rights)).unwrap();
        let path = Utf8Path::from_path(directory.path()).unwrap().join("lock");
        (directory, path)
    }

    /// Takes it without waiting. Says also how often it was told that another has it.
    fn take(path: &Utf8Path) -> (Result<FileLock, LockError>, usize) {
        let mut told = 0;
        let mut waiting = Waiting {
            interrupted: &AtomicBool::new(false),
            told: &mut || told += 1,
        };
        let lock = FileLock::take(path, Some(Duration::ZERO), &mut waiting);
        (lock, told)
    }

    fn mode(path: &Utf8Path) -> u32 {
        path.metadata().unwrap().mode() & 0o777
    }

    #[test]
    fn one_has_it_and_the_others_wait() {
        let (_keep, path) = scratch(0o755);
        let mut held = take(&path).0.ok();
        assert!(matches!(take(&path), (Err(LockError::Held), 1)));
        let stopped = AtomicBool::new(true);
        let mut waiting = Waiting {
            interrupted: &stopped,
            told: &mut || (),
        };
        let lock = FileLock::take(&path, None, &mut waiting);
        assert!(matches!(lock, Err(LockError::Interrupted)));
        // It ends as soon as it is told that there is one who waits.
        let mut waiting = Waiting {
            interrupted: &AtomicBool::new(false),
            told: &mut || held = None,
        };
        FileLock::take(&path, None, &mut waiting).unwrap();
        assert!(matches!(take(&path), (Ok(_), 0)));
        assert_eq!(path.parent().unwrap().read_dir_utf8().unwrap().count(), 1);
    }

    #[test]
    fn it_is_for_those_who_may_write_there() {
        for (directory, lock) in [
            (0o700, 0o600),
            (0o755, 0o600),
            (0o775, 0o660),
            (0o777, 0o666),
        ] {
            let (_keep, path) = scratch(directory);
            take(&path).0.unwrap();
            assert_eq!(mode(&path), lock, "in {directory:o}");
        }
    }

    #[test]
    fn one_that_anybody_may_hold_is_replaced() {
        let (_keep, path) = scratch(0o755);
        let theirs = File::create(&path).unwrap();
        theirs
            .set_permissions(Permissions::from_mode(0o644))
            .unwrap();
        theirs.lock().unwrap();
        let ours = take(&path).0.unwrap();
        assert_eq!(mode(&path), 0o600);
        assert!(matches!(take(&path), (Err(LockError::Held), 1)));
        drop(ours);
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        take(&path).0.unwrap();
        assert_eq!(mode(&path), 0o600);
    }

    /// As another user's is. Root may open it all the same.
    #[test]
    fn one_that_cannot_be_opened_is_not_in_the_way() {
        let (_keep, path) = scratch(0o755);
        std::fs::write(&path, "").unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o0)).unwrap();
        let held = take(&path).0.unwrap();
        assert!(matches!(take(&path), (Err(LockError::Held), 1)));
        drop(held);
    }

    #[test]
    fn without_a_directory_there_is_none() {
        let (_keep, path) = scratch(0o755);
        let lock = take(&path.join("none/lock")).0;
        assert!(matches!(lock, Err(LockError::Io(_))));
    }
}
