//! Fetches advisories, brings their index up to date, and takes in what changed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use snowguard_advisory::read::With;
use snowguard_db::meta::Meta as _;
use snowguard_db::{DbError, Session};
use snowguard_feeds::segments::{Compact, records_path, write_after};
use snowguard_feeds::{FeedSettings, IndexFile, Notice, RecordStore, Report, Update, Waiting};

use super::beat::Beat;
use super::plan::Advisories;
use super::{Done, Kind, Lane, WorkError, ask, rematch};
use crate::advisories::take;
use crate::chain::chain;

/// Under which name it is noted which feeds failed the last time, and why: by part, as JSON.
pub(crate) const FAILED: &str = "advisories.failed";
/// Under which name it is noted what is in the database.
const EDITION: &str = "advisories.edition";

/// What is in the database, since when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Edition {
    /// The digests of the index of the same.
    pub(super) index: String,
    /// When it was taken in, in milliseconds.
    pub(super) at: i64,
}

/// What is in the database; none if nothing was taken in as a whole yet.
pub(super) fn edition(session: &mut dyn Session) -> Result<Option<Edition>, DbError> {
    let noted = session.meta(EDITION)?;
    // What cannot be read is of another version of this program: everything is taken in again.
    Ok(noted.and_then(|noted| serde_json::from_str(&noted).ok()))
}

pub(super) fn advisories(lane: &Lane<'_>, beat: &Beat<'_>) -> Result<Done, WorkError> {
    let worker = lane.worker;
    let Some(plan) = &worker.plan.advisories else {
        return Ok(Done::nothing("left to others"));
    };
    if let Some(directory) = plan.file.parent() {
        super::keep::make_directory(directory)?;
    }
    let report = match &plan.feeds {
        Some(feeds) => Some(update(lane, plan, feeds, beat)?),
        None => None,
    };
    let mut store = RecordStore::open(&records_path(&plan.file))?.with(With::Texts);
    // A store that was lost, too, says nothing about what is in the database.
    if store.sources()?.is_empty() {
        return failed(report).map_or_else(|| Ok(Done::nothing("there are no records yet")), Err);
    }
    beat.say("writing the index".to_owned());
    let mut waiting = Waiting {
        interrupted: &lane.interrupted,
        told: &mut || beat.say("waiting for another who writes the index".to_owned()),
    };
    write_after(&mut store, &plan.file, Compact::WhenLarge, &mut waiting)?;
    let now = worker.now();
    let here = Edition {
        index: IndexFile::open(&plan.file)?.digest(),
        at: now.as_millisecond(),
    };
    let known = worker.db.read(|session| edition(session))?;
    let taken = take(worker.db, &store, now, &lane.interrupted, &mut |taken| {
        beat.say(format!(
            "taking in: {} records, {} advisories",
            taken.records, taken.advisories
        ));
    })?;
    let is_known = known
        .as_ref()
        .is_some_and(|known| known.index == here.index);
    let noted = (!is_known || taken.has_changed()).then(|| serde_json::to_string(&here));
    worker.db.write(|session| {
        if let Some(Ok(noted)) = &noted {
            session.set_meta(EDITION, noted)?;
        }
        // One that has failed for want of this waits no longer.
        if rematch::is_needed(session)? {
            ask(session, Kind::Rematch, "", now)?;
        }
        Ok(())
    })?;
    if known.is_none() {
        worker.db.tend()?;
    }
    match failed(report) {
        Some(error) => Err(error),
        None => Ok(Done {
            told: format!(
                "{} records and {} advisories changed",
                taken.records + taken.removed,
                taken.advisories
            ),
            is_news: taken.has_changed(),
        }),
    }
}

fn update(
    lane: &Lane<'_>,
    plan: &Advisories,
    feeds: &FeedSettings,
    beat: &Beat<'_>,
) -> Result<Report, WorkError> {
    let update = Update {
        index: &plan.file,
        settings: feeds,
        only: &[],
        client: &lane.client,
        interrupted: &lane.interrupted,
        with: With::Texts,
        clock: lane.worker.clock,
    };
    let report = update.run(&mut |notice| {
        if let Some(told) = told(&notice) {
            beat.say(told);
        }
    })?;
    if report.interrupted {
        return Err(WorkError::Interrupted);
    }
    let mut failed = BTreeMap::new();
    for outcome in &report.outcomes {
        if let Err(error) = &outcome.result {
            let error = chain(error);
            tracing::warn!(feed = outcome.part, error, "a feed failed");
            failed.insert(outcome.part.as_str(), error);
        }
    }
    let failed = serde_json::to_string(&failed).unwrap_or_default();
    lane.worker
        .db
        .write(|session| session.set_meta(FAILED, &failed))?;
    Ok(report)
}

fn told(notice: &Notice<'_>) -> Option<String> {
    Some(match notice {
        Notice::Waiting | Notice::WaitingForIndex => "waiting for another update".to_owned(),
        Notice::Begin { part } => format!("{part}: asking"),
        Notice::Here {
            part, length, of, ..
        } => match of {
            Some(of) => format!("{part}: {length} of {of} bytes"),
            None => format!("{part}: {length} bytes"),
        },
        Notice::Again { part, error, .. } => format!("{part}: again: {error}"),
        Notice::Reading { part, records } => format!("{part}: {records} records"),
        Notice::End { .. } => return None,
        Notice::Assembling => "writing the index".to_owned(),
    })
}

/// The error of an update of which only a part came.
fn failed(report: Option<Report>) -> Option<WorkError> {
    let report = report?;
    let all = report.outcomes.len();
    let mut failed = report
        .outcomes
        .iter()
        .filter_map(|outcome| Some((&outcome.part, outcome.result.as_ref().err()?)));
    let (part, error) = failed.next()?;
    Some(WorkError::Feeds {
        failed: 1 + failed.count(),
        all,
        first: format!("{part}: {}", chain(error)),
    })
}
