//! SQLite files that are not in use: copies, and their reading.

use std::path::Path;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::session::Session;
use super::sqlite::{self, refused};
use super::{DbError, Trouble};

/// Copies a database that may be in use to a new file, as it is at one moment.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<(), DbError> {
    let failed = |error| {
        let operation = format!("copy {} to {}", from.display(), to.display());
        refused(operation, error)
    };
    let source = sqlite::connect(from, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(failed)?;
    let mut target = sqlite::create(to).map_err(failed)?;
    let backup = Backup::new(&source, &mut target).map_err(failed)?;
    // In one step: it reads one state, and with a write-ahead log nobody waits for it.
    match backup.step(-1).map_err(failed)? {
        StepResult::Done => Ok(()),
        _ => Err(DbError::Engine {
            operation: format!("copy {}", from.display()),
            trouble: Trouble::Busy,
            source: "the copy was not finished".into(),
        }),
    }
}

/// Makes a file whole without others beside it: it can be copied, and read where nothing can be written.
pub(crate) fn alone(path: &Path) -> Result<(), DbError> {
    let failed = |error| refused(format!("close {}", path.display()), error);
    let connection = sqlite::connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(failed)?;
    connection
        .pragma_update_and_check(None, "journal_mode", "delete", |_| Ok(()))
        .map_err(failed)?;
    connection.close().map_err(|(_, error)| failed(error))
}

/// Fails unless a file is a database of ours.
pub(crate) fn is_ours(path: &Path) -> Result<(), DbError> {
    let failed = |error| refused(format!("open {}", path.display()), error);
    let connection = sqlite::connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(failed)?;
    if sqlite::is_ours(&connection).map_err(failed)? {
        return Ok(());
    }
    Err(DbError::Foreign {
        database: path.display().to_string(),
    })
}

/// Reads a file without changing anything in it or beside it.
pub(crate) fn read<T>(
    path: &Path,
    work: impl FnOnce(&mut dyn Session) -> Result<T, DbError>,
) -> Result<T, DbError> {
    let failed = |error| refused(format!("read {}", path.display()), error);
    let connection: Connection =
        sqlite::connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(failed)?;
    connection.execute_batch("BEGIN").map_err(failed)?;
    work(&mut sqlite::SqliteSession::new(&connection))
}
