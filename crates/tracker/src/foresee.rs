//! What a rule would change, before it is made, and what a package is taken not to be: for pages, which have
//! no index of their own.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use camino::Utf8PathBuf;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use snowguard_advisory::index::{Index, OpenError};
use snowguard_db::Database;
use snowguard_feeds::{IndexFile, IndexFileError};
use snowguard_inventory::IdentityTable;
use snowguard_triage::MemoryRule;
use snowguard_triage::rematch::{Preview, Stranger};

use crate::rematch::{RematchError, Rematcher};

/// Matches single packages by an index, and writes nothing.
#[derive(Clone, Debug)]
pub struct Foresight {
    source: Source,
}

#[derive(Clone, Debug)]
enum Source {
    /// The file that a worker keeps.
    File(Utf8PathBuf),
    Bytes(Arc<[u8]>),
}

/// Why nothing can be foreseen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ForesightError {
    /// The index cannot be opened.
    #[error(transparent)]
    File(#[from] IndexFileError),
    /// The index in memory is damaged.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It cannot be matched.
    #[error(transparent)]
    Match(#[from] RematchError),
}

impl Foresight {
    /// By the index in a file, which is opened each time: it is replaced by newer ones.
    pub fn by_file(file: Utf8PathBuf) -> Self {
        Self {
            source: Source::File(file),
        }
    }

    /// By an index in memory.
    pub fn by_bytes(bytes: impl Into<Arc<[u8]>>) -> Self {
        Self {
            source: Source::Bytes(bytes.into()),
        }
    }

    /// Whether there is an index: a worker may not have made one yet.
    pub fn is_there(&self) -> bool {
        match &self.source {
            Source::File(file) => IndexFile::open(file).is_ok(),
            Source::Bytes(_) => true,
        }
    }

    /// What a rule would change for its package.
    pub fn preview(
        &self,
        db: &Database,
        package: i64,
        rule: &MemoryRule,
        now: Timestamp,
    ) -> Result<Preview, ForesightError> {
        self.with(db, now, |rematcher| rematcher.preview(package, rule))
    }

    /// What a package is taken not to be, those with the most records first.
    pub fn strangers(
        &self,
        db: &Database,
        package: i64,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<Stranger>, ForesightError> {
        self.with(db, now, |rematcher| rematcher.strangers(package, limit))
    }

    fn with<T>(
        &self,
        db: &Database,
        now: Timestamp,
        work: impl FnOnce(&Rematcher<'_, '_>) -> Result<T, RematchError>,
    ) -> Result<T, ForesightError> {
        let table = IdentityTable::builtin();
        let interrupted = AtomicBool::new(false);
        let run = |index| {
            let rematcher = Rematcher {
                db,
                index,
                table: &table,
                now,
                today: now.to_zoned(TimeZone::UTC).date(),
                interrupted: &interrupted,
            };
            work(&rematcher).map_err(ForesightError::from)
        };
        match &self.source {
            Source::File(file) => run(IndexFile::open(file)?.index()?),
            Source::Bytes(bytes) => run(Index::open(bytes)?),
        }
    }
}
