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

use camino::Utf8PathBuf;
use jiff::Timestamp;
use snowguard_advisory::index::SourceKind;
use snowguard_advisory::read::With;
use snowguard_db::advisories::{Advisories as _, SourceTotals};
use snowguard_db::{Database, DbError};
use snowguard_feeds::{Event, Import, ImportError, Problem, RecordStore, RecordsError};

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

impl Taken {
    /// Whether something changed that matters to matching. Where a likelihood of exploitation changes the
    /// place of a finding, its package is noted to be matched anew.
    pub fn has_changed(&self) -> bool {
        (self.records, self.removed, self.advisories, self.merged) != (0, 0, 0, 0)
    }
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
    let mut numbers = Vec::with_capacity(sources.len());
    for source in &sources {
        let kind = source.kind.code();
        let number = db.write(|session| session.record_source(&source.name, kind))?;
        let before = taken;
        if source.kind == SourceKind::Epss {
            // Scores come last: only those of advisories that there are by then are kept.
            numbers.push((number, source, None));
            continue;
        }
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
        let has_changed = (taken.records, taken.removed) != (before.records, before.removed);
        numbers.push((number, source, Some(has_changed)));
    }
    // Of a source that is gone altogether every record is.
    for known in db.read(|session| session.record_sources())? {
        if sources.iter().all(|source| source.name != known.name) {
            differences(
                db,
                store,
                &known.name,
                known.id,
                now,
                interrupted,
                &mut taken,
                told,
            )?;
            let none = SourceTotals::default();
            let has_changed = known.totals != none;
            db.write(|session| session.put_source_totals(known.id, &none, has_changed, now))?;
        }
    }
    for (number, source, has_changed) in numbers {
        let has_changed = match has_changed {
            Some(has_changed) => has_changed,
            None => {
                let scores = scores::take(db, store, &source.name, now)?;
                taken.scores += scores;
                scores > 0
            }
        };
        let totals = SourceTotals {
            records: source.records,
            skipped: source.skipped,
            newest: source.newest,
            newest_range: source.newest_range,
        };
        db.write(|session| session.put_source_totals(number, &totals, has_changed, now))?;
    }
    told(&taken);
    Ok(taken)
}

/// Reads files, directories and archives of advisories into a record store, with the words of their
/// authors: each is a source by its name, and a whole new edition of it. Gives how many records were read,
/// and the first of the problems; what cannot be read is noted in the store and blocks nothing.
pub fn import(
    store: &mut RecordStore,
    paths: &[Utf8PathBuf],
    interrupted: &AtomicBool,
    told: &mut dyn FnMut(Event<'_>),
) -> Result<(u64, Vec<Problem>), ImportError> {
    let change = store.change()?;
    let mut import = Import::begin(change, With::Texts, interrupted, told);
    for path in paths {
        import.add(path)?;
    }
    let (change, records, problems) = import.end();
    change.commit()?;
    Ok((records, problems))
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
