//! The record store: every record of every source, behind the index.
//!
//! An index is made of whole groups of records and is never written in place. So that an update
//! touches only what changed, the records themselves are kept in one SQLite file: with what it says
//! of names, the records of a changed group are found without reading the rest. What a feed left off
//! at stands in the same file and is changed in the same transaction, so that a cursor never runs
//! ahead of the records.
//!
//! There is one writer at a time. A rollback journal is used and not a write-ahead log: a store is
//! written by one program in a few transactions a day, and read by nothing else meanwhile.

mod change;
mod lock;
mod read;
mod schema;
mod walk;

use camino::{Utf8Path, Utf8PathBuf};
use jiff::civil::Date;
use rusqlite::{Connection, ErrorCode, OptionalExtension as _};
use snowguard_advisory::id::AdvisoryId;
use snowguard_advisory::index::{Source, SourceKind};
use snowguard_advisory::read::With;

pub use self::change::Change;
pub(crate) use self::lock::Lock;
pub use self::walk::{Stored, UnderName};

/// An open record store.
#[derive(Debug)]
pub struct RecordStore {
    connection: Connection,
    path: Utf8PathBuf,
    with: With,
}

/// What a change did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// Ids of which there was no record in the source.
    pub added: u64,
    /// Ids of which the source says something else now.
    pub changed: u64,
    /// Ids of which there is no record in the source any more.
    pub removed: u64,
    /// All of these ids, sorted, each once even if several sources changed it.
    pub ids: Vec<AdvisoryId>,
}

/// What is known of one source as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceTotals {
    /// Its name.
    pub name: String,
    /// Its format.
    pub kind: SourceKind,
    /// How many records it has.
    pub records: u64,
    /// How many could not be read.
    pub skipped: u64,
    /// The newest day in its records.
    pub newest: Option<Date>,
    /// The newest day in those that say which versions are affected.
    pub newest_range: Option<Date>,
}

impl SourceTotals {
    /// As an index has it.
    pub fn as_source(&self) -> Source<'_> {
        Source {
            name: &self.name,
            kind: self.kind,
            records: self.records,
            skipped: self.skipped,
            newest: self.newest,
            newest_range: self.newest_range,
        }
    }
}

impl RecordStore {
    /// Opens a store, or makes an empty one where there is none.
    pub fn open(path: &Utf8Path) -> Result<Self, RecordsError> {
        if let Some(parent) = path.parent().filter(|parent| !parent.as_str().is_empty()) {
            std::fs::create_dir_all(parent).map_err(|source| RecordsError::Directory {
                path: path.to_owned(),
                source,
            })?;
        }
        let connection =
            Connection::open(path).map_err(|source| RecordsError::sqlite(path, source))?;
        schema::prepare(&connection, path)?;
        Ok(Self {
            connection,
            path: path.to_owned(),
            with: With::Facts,
        })
    }

    /// Has feeds and imports read the words of authors as well, and keeps them. They make a store
    /// several times as large, and an index none.
    #[must_use]
    pub fn with(self, with: With) -> Self {
        Self { with, ..self }
    }

    /// Begins a change: all of it happens, or nothing. Dropping it undoes it.
    ///
    /// Fails with [`RecordsError::Busy`] if another process is in the middle of one.
    pub fn change(&mut self) -> Result<Change<'_>, RecordsError> {
        Change::begin(&mut self.connection, &self.path, self.with)
    }

    /// What a feed left off at, as [`Change::set_cursor`] wrote it.
    pub fn cursor(&self, feed: &str) -> Result<Option<String>, RecordsError> {
        cursor(&self.connection, feed).map_err(|source| self.failed(source))
    }

    /// Where it lies.
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }

    fn failed(&self, source: rusqlite::Error) -> RecordsError {
        RecordsError::sqlite(&self.path, source)
    }
}

fn cursor(connection: &Connection, feed: &str) -> rusqlite::Result<Option<String>> {
    connection
        .prepare_cached("SELECT value FROM cursor WHERE feed = ?1")?
        .query_row([feed], |row| row.get(0))
        .optional()
}

/// Why a record store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecordsError {
    /// The directory for it cannot be made.
    #[error("cannot make a directory for the record store {path}")]
    Directory {
        /// The store.
        path: Utf8PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A newer program made it.
    #[error("the record store {path} has schema {found}; this program knows {known}", known = schema::VERSION)]
    Newer {
        /// The store.
        path: Utf8PathBuf,
        /// Its schema.
        found: i64,
    },
    /// It is something else.
    #[error("{0} is not a record store")]
    NotAStore(Utf8PathBuf),
    /// Another process changes it.
    #[error("another program is changing the record store {0}")]
    Busy(Utf8PathBuf),
    /// SQLite says no.
    #[error("cannot use the record store {path}")]
    Sqlite {
        /// The store.
        path: Utf8PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// A row does not hold what it should.
    #[error("the record store {path} is damaged in row {row}")]
    Row {
        /// The store.
        path: Utf8PathBuf,
        /// The row.
        row: i64,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A record cannot be written as JSON.
    #[error("cannot write the record {id}")]
    Record {
        /// Its id.
        id: AdvisoryId,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl RecordsError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Directory { .. } => "check that the directory above it can be written",
            Self::Newer { .. } => "a newer snowguard made it: update this one",
            Self::NotAStore(_) => "move the file away, or name another place",
            Self::Busy(_) => "wait until it has ended, then try again",
            Self::Sqlite { .. } | Self::Row { .. } => {
                "if this happens again, remove the file: the next update fetches everything anew"
            }
            Self::Record { .. } => "this is a defect of snowguard; please report it",
        }
    }

    fn sqlite(path: &Utf8Path, source: rusqlite::Error) -> Self {
        let path = path.to_owned();
        match source.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy(path),
            Some(ErrorCode::NotADatabase) => Self::NotAStore(path),
            _ => Self::Sqlite { path, source },
        }
    }
}

#[cfg(test)]
mod tests;
