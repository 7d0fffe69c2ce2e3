//! One update: every feed that is wanted, then the index.
//!
//! Beside the index and its records lies a directory of the same name with the ending `.feeds`: the
//! downloads that are under way, what is known of each feed, and the lock that keeps two updates apart.
//!
//! What is known of the feeds is what is in the index: that a feed is up to date is noted after the
//! index was written. Until then it is kept apart.

mod known;
mod leftovers;
mod renamed;
mod status;

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use snowguard_advisory::read::With;
use snowguard_http::{Client, HttpError};

use self::known::Known;
pub use self::status::{Attempt, FeedStatus, Status, error_text};
use crate::feed::{DOWNLOAD, Done, Feed, FeedError, FeedSettings, Work};
use crate::file::{self, IndexFileError};
use crate::lock::{FileLock, LockError, Waiting};
use crate::records::{RecordStore, RecordsError};
use crate::segments::{self, Compact, SegmentsError, Written, records_path};

/// What happens during an update, for who shows it.
#[derive(Clone, Copy, Debug)]
pub enum Notice<'n> {
    /// Another update is at work; this one waits for it.
    Waiting,
    /// Another program replaces the index; this one waits for it.
    WaitingForIndex,
    /// A part of a feed is begun.
    Begin {
        /// Which.
        part: &'n str,
    },
    /// So much of a file is here.
    Here {
        /// Of which part.
        part: &'n str,
        /// Which file.
        file: &'n str,
        /// In bytes.
        length: u64,
        /// Of how many, where it is known.
        of: Option<u64>,
    },
    /// A download failed and is tried again.
    Again {
        /// Of which part.
        part: &'n str,
        /// Why.
        error: &'n HttpError,
        /// After how long.
        after: Duration,
    },
    /// So many records have been read.
    Reading {
        /// Of which part.
        part: &'n str,
        /// How many.
        records: u64,
    },
    /// A part of a feed is at its end.
    End {
        /// Which.
        outcome: &'n Outcome,
    },
    /// The index is being made.
    Assembling,
}

/// An update to be made.
pub struct Update<'u> {
    /// The index file.
    pub index: &'u Utf8Path,
    /// Which feeds, and from where.
    pub settings: &'u FeedSettings,
    /// Only these, if there are any.
    pub only: &'u [Feed],
    /// Fetches.
    pub client: &'u Client,
    /// Setting it ends the update as soon as may be; what is whole by then stays.
    pub interrupted: &'u AtomicBool,
    /// What is read of records: their texts are for who shows them, and in no index.
    pub with: With,
    /// What time it is.
    pub clock: &'u dyn Fn() -> Timestamp,
}

/// How a part of a feed came out.
#[derive(Debug)]
pub struct Outcome {
    /// Its name: `kev`, `osv/npm`.
    pub part: String,
    /// What was done, or why not.
    pub result: Result<Done, FeedError>,
}

/// What an update did.
#[derive(Debug)]
pub struct Report {
    /// Of each part, in the order in which they came.
    pub outcomes: Vec<Outcome>,
    /// What was written of the index; none if there is nothing to write, or it was stopped, or the
    /// index that is there stays.
    pub index: Option<Written>,
    /// The parts of which there is no edition yet, where the index was made elsewhere and stays for
    /// that: without them the new one would know less.
    pub lacking: Vec<String>,
    /// Parts that are not wanted any more, and how many records went with each.
    pub dropped: Vec<(String, u64)>,
    /// How many bytes arrived.
    pub received: u64,
    /// Whether the person stopped it.
    pub interrupted: bool,
}

impl Report {
    /// Whether every part is up to date, and in the index.
    pub fn is_complete(&self) -> bool {
        !self.interrupted
            && self.lacking.is_empty()
            && self.outcomes.iter().all(|outcome| outcome.result.is_ok())
    }
}

impl Update<'_> {
    /// Makes the update. A feed that fails is told in the report, and the others go on.
    pub fn run(&self, notices: &mut dyn FnMut(Notice<'_>)) -> Result<Report, UpdateError> {
        let place = FeedsPlace::of(self.index);
        let downloads = place.downloads();
        renamed::directory(self.index, &place.0);
        std::fs::create_dir_all(&downloads).map_err(|source| UpdateError::Place {
            path: downloads.clone(),
            source,
        })?;
        let _lock = self.lock(&place, &mut || notices(Notice::Waiting))?;
        self.clear(&place);
        let records = records_path(self.index);
        renamed::records(self.index, &records).map_err(|source| UpdateError::Place {
            path: records.clone(),
            source,
        })?;
        let mut store = RecordStore::open(&records)?.with(self.with);
        let before = self.client.received();
        let mut known = Known::load(&place, !store.sources()?.is_empty());
        let (outcomes, interrupted) = self.feeds(&mut store, notices, &mut |outcome, now| {
            known.note(outcome, now);
        });
        let mut report = Report {
            outcomes,
            index: None,
            lacking: Vec::new(),
            dropped: Vec::new(),
            received: self.client.received() - before,
            interrupted,
        };
        // Who stops it does not want to wait; the next update makes up for it.
        if interrupted {
            known.keep(&place)?;
            return Ok(report);
        }
        let assembled = self.assemble(&mut store, &mut report, notices);
        known.drop(&report.dropped);
        match assembled {
            Ok(()) => {}
            Err(UpdateError::Index(SegmentsError::File(IndexFileError::Interrupted))) => {
                known.keep(&place)?;
                report.interrupted = true;
                return Ok(report);
            }
            Err(error) => {
                // What is told is why there is no index.
                let _ = known.keep(&place);
                return Err(error);
            }
        }
        if report.index.is_some() {
            known.settle(&place, store.base()?)?;
        } else {
            known.keep(&place)?;
        }
        Ok(report)
    }

    /// Brings each part of each feed up to date. Says whether the person stopped it.
    fn feeds(
        &self,
        store: &mut RecordStore,
        notices: &mut dyn FnMut(Notice<'_>),
        note: &mut dyn FnMut(&Outcome, Timestamp),
    ) -> (Vec<Outcome>, bool) {
        let downloads = FeedsPlace::of(self.index).downloads();
        let mut outcomes = Vec::new();
        for feed in self.settings.wanted(self.only) {
            for part in feed.parts(self.settings) {
                notices(Notice::Begin { part: &part });
                let result = feed.update(
                    &part,
                    self.settings,
                    &mut Work {
                        client: self.client,
                        store,
                        downloads: &downloads,
                        interrupted: self.interrupted,
                        notices,
                        part: part.clone(),
                        now: (self.clock)(),
                    },
                );
                if result.as_ref().is_err_and(FeedError::is_interruption) {
                    return (outcomes, true);
                }
                let outcome = Outcome { part, result };
                note(&outcome, (self.clock)());
                notices(Notice::End { outcome: &outcome });
                outcomes.push(outcome);
            }
        }
        (outcomes, false)
    }

    /// Writes the index, unless there is nothing to write or one that knows more.
    fn assemble(
        &self,
        store: &mut RecordStore,
        report: &mut Report,
        notices: &mut dyn FnMut(Notice<'_>),
    ) -> Result<(), UpdateError> {
        // What was dropped may have been about others as well, which have brought it in by now.
        if self.only.is_empty() && report.outcomes.iter().all(|part| part.result.is_ok()) {
            for feed in self.settings.wanted(&[]) {
                report.dropped.extend(feed.forget(store, self.settings)?);
            }
        }
        report.lacking = self.lacking(store)?;
        if report.lacking.is_empty() && !store.sources()?.is_empty() {
            notices(Notice::Assembling);
            let mut waiting = Waiting {
                interrupted: self.interrupted,
                told: &mut || notices(Notice::WaitingForIndex),
            };
            let compact = Compact::WhenLarge;
            let written = segments::write_after(store, self.index, compact, &mut waiting)?;
            report.index = Some(written);
        }
        Ok(())
    }

    /// Keeps other updates away. Waits for one that is at work, however long it takes.
    fn lock(&self, place: &FeedsPlace, told: &mut dyn FnMut()) -> Result<FileLock, UpdateError> {
        let path = place.lock();
        let mut waiting = Waiting {
            interrupted: self.interrupted,
            told,
        };
        FileLock::take(&path, None, &mut waiting).map_err(|error| match error {
            LockError::Io(source) => UpdateError::Place { path, source },
            LockError::Held | LockError::Interrupted => UpdateError::Interrupted,
        })
    }

    /// Removes what was left behind by programs that were killed.
    fn clear(&self, place: &FeedsPlace) {
        let now = (self.clock)();
        let beside = match self.index.parent() {
            Some(parent) if !parent.as_str().is_empty() => parent,
            _ => Utf8Path::new("."),
        };
        leftovers::remove(&place.downloads(), DOWNLOAD, now);
        leftovers::remove(&place.0, status::UNFINISHED, now);
        leftovers::remove(&place.0, file::UNFINISHED, now);
        leftovers::remove(beside, file::UNFINISHED, now);
    }

    /// What the store lacks to take the place of an index that was not made from it.
    fn lacking(&self, store: &mut RecordStore) -> Result<Vec<String>, UpdateError> {
        let mut lacking = Vec::new();
        if !segments::is_of_others(store, self.index)? {
            return Ok(lacking);
        }
        // Not only those that this update was about: the index may know of all.
        for feed in self.settings.wanted(&[]) {
            for part in feed.parts(self.settings) {
                if !feed.is_held(&part, store)? {
                    lacking.push(part);
                }
            }
        }
        Ok(lacking)
    }
}

/// What lies beside an index that is updated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedsPlace(Utf8PathBuf);

impl FeedsPlace {
    /// Of an index file.
    pub fn of(index: &Utf8Path) -> Self {
        Self(Utf8PathBuf::from(format!("{index}.feeds")))
    }

    /// What is known of each feed.
    pub fn status(&self) -> Utf8PathBuf {
        self.0.join("status.json")
    }

    /// What is known of each feed in the records, where the index does not say what they say.
    fn ahead(&self) -> Utf8PathBuf {
        self.0.join("ahead.json")
    }

    fn downloads(&self) -> Utf8PathBuf {
        self.0.join("downloads")
    }

    fn lock(&self) -> Utf8PathBuf {
        self.0.join("lock")
    }
}

/// Why there was no update.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError {
    /// The directory beside the index cannot be used.
    #[error("cannot write {path}")]
    Place {
        /// What in it.
        path: Utf8PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The records cannot be used.
    #[error(transparent)]
    Records(#[from] RecordsError),
    /// The index cannot be written.
    #[error(transparent)]
    Index(#[from] SegmentsError),
    /// The person stopped it while it waited for another.
    #[error("interrupted")]
    Interrupted,
}

impl UpdateError {
    /// What to do next.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Place { .. } => Some("--index names an index in a directory that can be written"),
            Self::Records(error) | Self::Index(SegmentsError::Records(error)) => Some(error.hint()),
            Self::Index(SegmentsError::File(IndexFileError::Write { .. })) => {
                Some("--index names an index in a directory that can be written")
            }
            Self::Index(SegmentsError::File(
                error @ (IndexFileError::Lock { .. }
                | IndexFileError::Held { .. }
                | IndexFileError::Interrupted),
            )) => error.lock_hint(),
            Self::Index(SegmentsError::File(_)) => {
                Some("move the index away: the next update makes it anew from the records")
            }
            Self::Interrupted => None,
        }
    }
}
