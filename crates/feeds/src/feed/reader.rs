//! From documents to records in a change: on all cores, told and counted where one cannot be read.

use std::io::Read as _;
use std::sync::atomic::{AtomicBool, Ordering};

use camino::Utf8Path;
use rayon::prelude::*;
use snowguard_advisory::id::AdvisoryId;
use snowguard_advisory::index::SourceKind;
use snowguard_advisory::read::{Format, ReadError, With};
use snowguard_advisory::record::Record;

use super::FeedError;
use crate::import::Problem;
use crate::open::{self, ContainerError, Limits};
use crate::records::Change;
use crate::update::Notice;

/// How many problems are told in full; the rest are counted.
pub(super) const MAX_PROBLEMS: usize = 100;
/// How many bytes of documents are read before the cores get to work on them.
const BATCH: usize = 8 << 20;
/// The largest document that is one record. The largest of the feeds have a few megabytes.
const MAX_RECORD: u64 = 64 << 20;

/// Reads documents of one source into a change.
pub(crate) struct Reader<'r, 's> {
    change: &'r mut Change<'s>,
    source: &'r str,
    format: Format,
    whole: bool,
    interrupted: &'r AtomicBool,
    notices: &'r mut dyn FnMut(Notice<'_>),
    part: &'r str,
    tally: Tally,
}

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) records: u64,
    pub(super) skipped: u64,
    /// Documents that can be read and are not wanted.
    pub(super) passed: u64,
    pub(super) problems: Vec<String>,
    /// Where something was skipped.
    pub(super) places: Vec<String>,
}

type Outcome = Result<Record, ReadError>;
/// A document, with its name.
pub(super) type Named = (String, Vec<u8>);
/// Whether a document is taken, by its name and what is in it.
pub(super) type Wanted<'w> = dyn Fn(&str, &[u8]) -> bool + Sync + 'w;

impl<'r, 's> Reader<'r, 's> {
    pub(super) fn new(
        change: &'r mut Change<'s>,
        source: &'r str,
        format: Format,
        whole: bool,
        interrupted: &'r AtomicBool,
        notices: &'r mut dyn FnMut(Notice<'_>),
        part: &'r str,
    ) -> Self {
        Self {
            change,
            source,
            format,
            whole,
            interrupted,
            notices,
            part,
            tally: Tally::default(),
        }
    }

    pub(super) fn finish(self) -> Tally {
        self.tally
    }

    /// The change, for what is not a record.
    pub(super) fn change(&mut self) -> &mut Change<'s> {
        self.change
    }

    pub(super) fn kind(&self) -> SourceKind {
        self.format.into()
    }

    /// Reads the members of an archive that are one record each.
    ///
    /// `named` picks them by file name, `wanted` by file name and content.
    pub(super) fn archive(
        &mut self,
        path: &Utf8Path,
        limits: Limits<'_>,
        named: &dyn Fn(&str) -> bool,
        wanted: &Wanted<'_>,
    ) -> Result<(), FeedError> {
        let mut batch: Vec<Named> = Vec::new();
        let mut bytes = 0;
        open::members::<FeedError>(path, limits, &mut |name, stream| {
            let file = name.rsplit('/').next().unwrap_or(name);
            if !named(file) {
                return Ok(());
            }
            let mut document = Vec::new();
            stream
                .take(MAX_RECORD + 1)
                .read_to_end(&mut document)
                .map_err(|error| ContainerError::io(name, error))?;
            if document.len() as u64 > MAX_RECORD {
                let what = "is a record of over 64 MiB";
                return Err(ContainerError::Limit(name.to_owned(), what).into());
            }
            bytes += document.len();
            batch.push((file.to_owned(), document));
            if bytes >= BATCH {
                self.documents(&batch, wanted)?;
                batch.clear();
                bytes = 0;
            }
            Ok(())
        })?;
        self.documents(&batch, wanted)
    }

    /// Reads documents that are one record each, with the name of each: `ID.json`. What cannot be read
    /// stays what it was when it last could be.
    pub(super) fn documents(
        &mut self,
        documents: &[Named],
        wanted: &Wanted<'_>,
    ) -> Result<(), FeedError> {
        let (format, with) = (self.format, self.change.wants());
        let read: Vec<Option<Vec<Outcome>>> = documents
            .par_iter()
            .map(|(name, document)| {
                wanted(name, document).then(|| outcomes_with(with, format, document))
            })
            .collect();
        for ((name, _), outcomes) in documents.iter().zip(read) {
            let Some(outcomes) = outcomes else {
                self.tally.passed += 1;
                continue;
            };
            for outcome in outcomes {
                let fine = outcome.is_ok();
                self.take(name, outcome)?;
                if !fine {
                    self.keep(name.strip_suffix(".json").unwrap_or(name))?;
                } else if !self.whole {
                    self.change.unskip(self.source, name)?;
                }
            }
        }
        self.tick()
    }

    /// Leaves what is stored under an id as it is.
    pub(super) fn keep(&mut self, id: &str) -> Result<(), FeedError> {
        match id.parse::<AdvisoryId>() {
            Ok(id) => Ok(self.change.keep(self.source, &id)?),
            Err(_) => Ok(()),
        }
    }

    /// Reads one document with many records.
    pub(super) fn document(&mut self, name: &str, document: &[u8]) -> Result<(), FeedError> {
        let mut batch = Vec::new();
        let mut number = 0;
        let mut failed = Ok(());
        let with = self.change.wants();
        self.format.read_with(with, document, &mut |outcome| {
            batch.push(outcome);
            if batch.len() == 4_096 && failed.is_ok() {
                failed = self.numbered(name, &mut number, &mut batch);
            }
        });
        failed?;
        self.numbered(name, &mut number, &mut batch)
    }

    /// Takes a record that is there already.
    pub(super) fn put(&mut self, record: &Record) -> Result<(), FeedError> {
        self.tally.records += 1;
        let kind = self.kind();
        Ok(self.change.put(self.source, kind, record)?)
    }

    /// What was skipped so far, by place.
    pub(super) fn places(&self) -> Vec<String> {
        self.tally.places.clone()
    }

    fn numbered(
        &mut self,
        name: &str,
        number: &mut usize,
        batch: &mut Vec<Outcome>,
    ) -> Result<(), FeedError> {
        for outcome in batch.drain(..) {
            *number += 1;
            self.take(&format!("{name}, record {number}"), outcome)?;
        }
        self.tick()
    }

    /// Takes what a document gave at a place.
    pub(super) fn take(&mut self, place: &str, outcome: Outcome) -> Result<(), FeedError> {
        match outcome {
            Ok(record) => self.put(&record),
            Err(error) => {
                self.tally.skipped += 1;
                if self.tally.problems.len() < MAX_PROBLEMS {
                    let place = place.to_owned();
                    let problem = Problem { place, error };
                    self.tally.problems.push(problem.to_string());
                }
                let kind = self.kind();
                self.change.skip(self.source, kind, place)?;
                self.tally.places.push(place.to_owned());
                Ok(())
            }
        }
    }

    fn tick(&mut self) -> Result<(), FeedError> {
        (self.notices)(Notice::Reading {
            part: self.part,
            records: self.tally.records,
        });
        if self.interrupted.load(Ordering::Relaxed) {
            return Err(FeedError::Interrupted);
        }
        Ok(())
    }
}

/// All records of a document.
pub(super) fn outcomes(format: Format, document: &[u8]) -> Vec<Outcome> {
    outcomes_with(With::Facts, format, document)
}

fn outcomes_with(with: With, format: Format, document: &[u8]) -> Vec<Outcome> {
    let mut outcomes = Vec::with_capacity(1);
    format.read_with(with, document, &mut |outcome| outcomes.push(outcome));
    outcomes
}
