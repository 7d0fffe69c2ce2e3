//! Takes package sets in: from a file or a pipe, from a checkout that is evaluated, from where a channel
//! publishes them.
//!
//! Each way ends in [`take`], which is one transaction. What is broken is told with its place and takes
//! nothing away: the channel keeps its head. Deliberately absent: when to look, which is the worker's to
//! decide, and what follows from a new package set (`rematch`).

mod attributes;
mod child;
mod error;
mod evaluator;
mod published;
mod revision;
mod source;

use std::io::Read;

use camino::Utf8Path;
use jiff::Timestamp;
use snowguard_db::evaluations::{Channel, Evaluations as _, NewEvaluation};
pub use snowguard_db::evaluations::{Ingested, Outcome, Shrinking};
use snowguard_db::{Database, DbError};
use snowguard_sources::packages::{self, Derivations, Evaluation};
use snowguard_sources::{Input, Options};

pub use self::attributes::{Failed, attributes, dependents};
pub use self::error::IngestError;
pub use self::evaluator::{Evaluator, EvaluatorError, EvaluatorLimits, Program};
pub(crate) use self::published::refusal;
pub use self::published::{Head, Polled, Poller, heads_of_prometheus};
pub use self::revision::{Revision, of_checkout};
pub use self::source::Source;

/// What happens on the way, for who shows it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Step<'s> {
    /// A document is fetched: so many bytes of it are here, of so many where that is told.
    Fetching {
        /// How much is here.
        here: u64,
        /// How much there is.
        of: Option<u64>,
    },
    /// Something failed that is tried again.
    Again {
        /// Why.
        error: &'s snowguard_http::HttpError,
    },
    /// A checkout is evaluated; the evaluator has printed so many bytes.
    Evaluating {
        /// How many.
        printed: u64,
    },
    /// What came is read.
    Reading,
    /// It is compared with the head, and what differs is written.
    Storing {
        /// How many attributes it has.
        attributes: usize,
        /// How many could not be evaluated.
        failed: usize,
    },
}

/// Who is told what happens.
pub type Progress<'p> = &'p mut dyn FnMut(Step<'_>);

/// Whether a text may be the name of a channel.
pub fn check_name(name: &str) -> Result<(), IngestError> {
    let is_known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let begins_well = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if begins_well && name.len() <= 100 && name.chars().all(is_known) {
        return Ok(());
    }
    Err(IngestError::Name {
        name: name.to_owned(),
    })
}

/// A channel that is followed.
pub fn followed(db: &Database, name: &str) -> Result<Channel, IngestError> {
    let channel = db.read(|session| session.channel(name))?;
    let channel = channel.ok_or_else(|| IngestError::NoChannel {
        name: name.to_owned(),
    })?;
    if !channel.is_followed {
        return Err(IngestError::Ended { name: channel.name });
    }
    Ok(channel)
}

/// Reads a package set of any form that is read anywhere in Snowguard.
///
/// Where `derivations` are given, facts have sources and patches.
pub fn read_file(
    path: &Utf8Path,
    derivations: Derivations,
    options: &Options,
    progress: Progress<'_>,
) -> Result<Evaluation, IngestError> {
    progress(Step::Reading);
    let input = Input::detect(path, options)?;
    Ok(packages::evaluation(input, derivations, options)?)
}

/// As [`read_file`], from a pipe. `name` is for messages: `standard input`.
pub fn read_pipe(
    name: &str,
    pipe: impl Read + Send + 'static,
    derivations: Derivations,
    options: &Options,
    progress: Progress<'_>,
) -> Result<Evaluation, IngestError> {
    progress(Step::Reading);
    let input = Input::from_reader(name, pipe, options)?;
    Ok(packages::evaluation(input, derivations, options)?)
}

/// Takes what was read of an evaluation as a channel's newest, in one transaction. A revision that the
/// channel has is not taken twice.
pub fn take(
    db: &Database,
    channel: &Channel,
    revision: &Revision,
    now: Timestamp,
    shrinking: Shrinking,
    evaluation: Evaluation,
    progress: Progress<'_>,
) -> Result<Outcome, IngestError> {
    let dependents = dependents(&evaluation);
    let (attributes, failures) = attributes(evaluation);
    progress(Step::Storing {
        attributes: attributes.len(),
        failed: failures.len(),
    });
    let new = NewEvaluation {
        channel: channel.id,
        revision: revision.as_str(),
        evaluated_at: revision.made_at(),
        ingested_at: now,
        attributes: &attributes,
        failures: &failures,
        shrinking,
    };
    Ok(db.write(|session| {
        let outcome = session.ingest(&new)?;
        if matches!(outcome, Outcome::Taken(_)) {
            session.note_dependents(&dependents, now)?;
        }
        Ok(outcome)
    })?)
}

/// Whether a channel has a revision already: then nothing need be read.
pub fn is_known(db: &Database, channel: &Channel, revision: &Revision) -> Result<bool, DbError> {
    db.read(|session| {
        let sql = "SELECT 1 FROM evaluation WHERE channel = $1 AND revision = $2";
        let rows = session.query(sql, &[channel.id.into(), revision.as_str().into()])?;
        Ok(!rows.is_empty())
    })
}
