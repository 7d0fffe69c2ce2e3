//! Advisories: from the record store of the feeds into the database.
//!
//! What changed is found by comparing names and digests, source by source, so that it can be
//! interrupted anywhere and done again: what was brought in is equal by then, and is passed over. Each
//! batch is one transaction. Records are joined into advisories exactly as an index joins them: by an
//! index of the touched groups.

mod batch;
mod diff;
mod names;
mod scores;

use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use snowguard_advisory::index::SourceKind;
use snowguard_db::advisories::Advisories as _;
use snowguard_db::{Database, DbError};
use snowguard_feeds::{RecordStore, RecordsError};

use self::batch::Batch;
use self::diff::Differences;

/// How many names go into one transaction.
const BATCH: usize = 2_000;

/// What was brought in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Names of sources under which something else is said now.
    pub records: u64,
    /// Names that sources have no more.
    pub removed: u64,
    /// Advisories of which something changed.
    pub advisories: u64,
    /// Advisories that turned out to be another.
    pub merged: u64,
    /// Likelihoods of exploitation that changed.
    pub scores: u64,
}

/// Why advisories could not be brought in. What was brought in stays.
#[derive(Debug, thiserror::Error)]
pub enum TakeError {
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The record store.
    #[error(transparent)]
    Records(#[from] RecordsError),
    /// The index of a batch cannot be read: this is a defect.
    #[error("join the records of {name}")]
    Join {
        /// One of the names of the batch.
        name: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Somebody stopped it.
    #[error("interrupted; what was brought in stays")]
    Interrupted,
}

/// Brings in what changed in the store since the last time. `told` hears how far it is.
pub fn take(
    db: &Database,
    store: &RecordStore,
    now: Timestamp,
    interrupted: &AtomicBool,
    told: &mut dyn FnMut(&Taken),
) -> Result<Taken, TakeError> {
    let mut taken = Taken::default();
    let sources = store.sources()?;
    for source in sources.iter().filter(|source| is_of_records(source.kind)) {
        let number = db.write(|session| session.record_source(&source.name, source.kind.code()))?;
        differences(
            db,
            store,
            &source.name,
            number,
            now,
            interrupted,
            &mut taken,
            told,
        )?;
    }
    // Of a source that is gone altogether every record is.
    let known = db.read(|session| session.record_sources())?;
    for source in known {
        if !sources.iter().any(|other| other.name == source.name) {
            differences(
                db,
                store,
                &source.name,
                source.id,
                now,
                interrupted,
                &mut taken,
                told,
            )?;
        }
    }
    for source in sources
        .iter()
        .filter(|source| source.kind == SourceKind::Epss)
    {
        taken.scores += scores::take(db, store, &source.name)?;
    }
    told(&taken);
    Ok(taken)
}

/// Scores alone make no advisory, and change every day: they are columns of those that there are.
fn is_of_records(kind: SourceKind) -> bool {
    kind != SourceKind::Epss
}

#[expect(clippy::too_many_arguments, reason = "one step of the only caller")]
fn differences(
    db: &Database,
    store: &RecordStore,
    source: &str,
    number: i64,
    now: Timestamp,
    interrupted: &AtomicBool,
    taken: &mut Taken,
    told: &mut dyn FnMut(&Taken),
) -> Result<(), TakeError> {
    let mut differences = Differences::new(store, source, number);
    loop {
        if interrupted.load(Ordering::Relaxed) {
            return Err(TakeError::Interrupted);
        }
        let names = differences.next(db, BATCH)?;
        if names.is_empty() {
            return Ok(());
        }
        let batch = Batch::read(db, store, source, number, &names)?;
        let done = batch.write(db, now)?;
        taken.records += done.records;
        taken.removed += done.removed;
        taken.advisories += done.advisories;
        taken.merged += done.merged;
        told(taken);
    }
}
