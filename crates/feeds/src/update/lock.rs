//! One update at a time: a lock of the system on a file, which ends with the process.
#![expect(clippy::disallowed_methods, reason = "this room owns the lock file")]

use std::fs::{File, TryLockError};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use camino::Utf8Path;

use super::UpdateError;

/// How often it is looked whether the other update has ended.
const GLANCE: Duration = Duration::from_millis(100);

/// Held while an update is at work.
pub(super) struct Lock(
    #[expect(dead_code, reason = "the lock lasts as long as the file is open")] File,
);

impl Lock {
    /// Takes the lock; waits for who has it, after saying so once.
    pub(super) fn take(
        path: &Utf8Path,
        interrupted: &AtomicBool,
        waiting: &mut dyn FnMut(),
    ) -> Result<Self, UpdateError> {
        let failed = |source| UpdateError::Place {
            path: path.to_owned(),
            source,
        };
        let file = File::create(path).map_err(failed)?;
        let mut told = false;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self(file)),
                Err(TryLockError::Error(source)) => return Err(failed(source)),
                Err(TryLockError::WouldBlock) => {}
            }
            if !told {
                waiting();
                told = true;
            }
            if interrupted.load(Ordering::Relaxed) {
                return Err(UpdateError::Interrupted);
            }
            std::thread::sleep(GLANCE);
        }
    }
}
