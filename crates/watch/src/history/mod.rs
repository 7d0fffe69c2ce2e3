//! What was found when: a SQLite file with one writer, and copies of it for those who read.
//!
//! A scan is recorded in one transaction, with the changes that follow from it: after `kill -9` at any
//! point it is recorded as a whole or not at all. Readers get a copy that is replaced as a whole, so
//! that no reader can hold up the writer and none needs to write a lock.

mod event;
mod read;
mod record;

use std::fmt::Write as _;
use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, Transaction};

use self::record::Recorder;
use crate::key::Key;
use crate::observation::Observation;

pub use event::{Event, Told};
pub use read::{Failing, Finding, Moment, Open, Reading, Scan, Target};

/// The layout of the file. A file with a higher number is refused.
const LAYOUT: i64 = 2;
const SCHEMA: &str = include_str!("schema.sql");
/// From layout 1.
const TO_LAYOUT_2: &str = include_str!("layout2.sql");
/// After how many failed scans in a row it is told.
pub const FAILING_AFTER: u64 = 3;
/// Of what a scan printed on stderr, so much is kept, in bytes.
pub const LOG_KEPT: usize = 16 << 10;

/// The history, for its one writer.
#[derive(Debug)]
pub struct History {
    connection: Connection,
    path: Utf8PathBuf,
    instance: String,
}

/// What is known of a scan beside its result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// The name of the target.
    pub target: String,
    /// Why it was made.
    pub reason: String,
    /// What the input of the target led to.
    pub root: String,
    /// Which files of advisories there were when it began.
    pub fingerprint: String,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub finished: Timestamp,
}

/// Why the history cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// SQLite says so.
    #[error("cannot use the history {path}")]
    Sqlite {
        /// The file.
        path: Utf8PathBuf,
        /// What SQLite says.
        #[source]
        source: rusqlite::Error,
    },
    /// A newer program wrote it, or something else did.
    #[error("the history {path} has layout {found}, and this program knows {LAYOUT}")]
    Layout {
        /// The file.
        path: Utf8PathBuf,
        /// Its number.
        found: i64,
    },
    /// What is stored in it is not what is stored there.
    #[error("the history {path} is damaged: {what}")]
    Damaged {
        /// The file.
        path: Utf8PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The copy for readers cannot be written.
    #[error("cannot write the copy of the history {path}")]
    Publish {
        /// The copy.
        path: Utf8PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

impl HistoryError {
    /// What to do.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Layout { .. } => "a newer snowguardd wrote it: update this one",
            Self::Damaged { .. } => {
                "move the file away and restart snowguardd: the next scan begins a new history"
            }
            Self::Sqlite { .. } => "`snowguardd watch` writes it; check that it runs, and the path",
            Self::Publish { .. } => "check that the directory is there and not full",
        }
    }
}

impl History {
    /// Opens or makes the file. `instance` is used for a new file: a text that no other machine has.
    pub fn open(path: &Utf8Path, instance: &str) -> Result<Self, HistoryError> {
        let failed = |source| HistoryError::Sqlite {
            path: path.to_owned(),
            source,
        };
        let mut connection = Connection::open(path).map_err(failed)?;
        let prepare = |connection: &mut Connection| -> rusqlite::Result<i64> {
            connection.busy_timeout(std::time::Duration::from_secs(10))?;
            // On disk before it counts, also where power goes.
            connection.pragma_update(None, "journal_mode", "delete")?;
            connection.pragma_update(None, "synchronous", "extra")?;
            connection.pragma_update(None, "foreign_keys", true)?;
            connection.pragma_update(None, "trusted_schema", false)?;
            let write =
                connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            let layout: i64 = write.pragma_query_value(None, "user_version", |row| row.get(0))?;
            let found = match layout {
                0 => {
                    write.execute_batch(SCHEMA)?;
                    write.execute(
                        "INSERT INTO meta VALUES ('instance', ?1)",
                        [Key::of(["instance", instance]).as_str()],
                    )?;
                    LAYOUT
                }
                1 => {
                    write.execute_batch(TO_LAYOUT_2)?;
                    LAYOUT
                }
                other => other,
            };
            if found != layout {
                write.pragma_update(None, "user_version", found)?;
            }
            write.commit()?;
            Ok(found)
        };
        let found = prepare(&mut connection).map_err(failed)?;
        if found != LAYOUT {
            return Err(HistoryError::Layout {
                path: path.to_owned(),
                found,
            });
        }
        let instance = connection
            .query_row(
                "SELECT value FROM meta WHERE name = 'instance'",
                [],
                |row| row.get(0),
            )
            .map_err(failed)?;
        Ok(Self {
            connection,
            path: path.to_owned(),
            instance,
        })
    }

    /// Replaces the copy at `path`, as a whole.
    pub fn publish(&self, path: &Utf8Path) -> Result<(), HistoryError> {
        let beside = path.with_file_name(format!(".{}", path.file_name().unwrap_or("history")));
        let failed = |source| HistoryError::Publish {
            path: path.to_owned(),
            source,
        };
        match std::fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        self.connection
            .execute("VACUUM INTO ?1", [beside.as_str()])
            .map_err(|source| self.failed(source))?;
        std::fs::rename(&beside, path).map_err(failed)
    }

    /// The same questions that readers of a copy ask.
    pub fn reading(&self) -> Result<Reading, HistoryError> {
        Reading::open(&self.path, false)
    }

    /// Records a scan, and what changed by it. Gives the number of changes that are told.
    pub fn record(&mut self, about: &About, seen: &Observation) -> Result<usize, HistoryError> {
        let path = self.path.clone();
        let instance = self.instance.clone();
        self.write(|write| {
            let mut recorder = Recorder::new(write, &path, &instance, about)?;
            recorder.scan(seen)
        })
    }

    /// Records that a scan failed: nothing is said of any finding.
    pub fn record_failure(
        &mut self,
        about: &About,
        error: &str,
        log: &str,
    ) -> Result<usize, HistoryError> {
        let path = self.path.clone();
        let instance = self.instance.clone();
        self.write(|write| {
            let mut recorder = Recorder::new(write, &path, &instance, about)?;
            recorder.failure(error, log)
        })
    }

    fn write<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, HistoryError>,
    ) -> Result<T, HistoryError> {
        let path = self.path.clone();
        let failed = |source| HistoryError::Sqlite {
            path: path.clone(),
            source,
        };
        let write = self
            .connection
            .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
            .map_err(failed)?;
        let done = work(&write)?;
        write.commit().map_err(failed)?;
        Ok(done)
    }

    fn failed(&self, source: rusqlite::Error) -> HistoryError {
        HistoryError::Sqlite {
            path: self.path.clone(),
            source,
        }
    }
}

/// The end of a text, from a whole character on.
pub(crate) fn tail(text: &str, bytes: usize) -> &str {
    let mut from = text.len().saturating_sub(bytes);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    &text[from..]
}

/// Opens a file that nobody writes: a copy is replaced by rename and never changed.
fn read_only(path: &Utf8Path, immutable: bool) -> rusqlite::Result<Connection> {
    let mut uri = String::from("file:");
    for byte in path.as_str().bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri.push_str(if immutable {
        "?mode=ro&immutable=1"
    } else {
        "?mode=ro"
    });
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(uri, flags)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}
