//! What is to be in the queue and is not.

use jiff::{SignedDuration, Timestamp};
use snowguard_db::evaluations::Evaluations as _;
use snowguard_db::jobs::{JobRow, JobState, Jobs as _, NewJob};
use snowguard_db::{DbError, Session};

use super::plan::Plan;
use super::{Kind, rematch};

/// After what could not be done at all, it is waited at least so long.
const REST: SignedDuration = SignedDuration::from_mins(5);

/// A job that is to be in the queue.
pub(super) struct Missing {
    kind: Kind,
    key: String,
    due: Timestamp,
    last: Last,
}

/// The newest of a kind and key.
enum Last {
    /// It is finished, or there was none.
    Finished(Option<i64>),
    /// It waits for longer than is wanted now.
    Waits(i64),
}

impl Missing {
    /// Asks for it, unless somebody else did meanwhile.
    pub(super) fn ask(&self, session: &mut dyn Session, now: Timestamp) -> Result<bool, DbError> {
        match self.last {
            Last::Waits(id) => session.hasten_job(id, self.due),
            Last::Finished(last) => {
                let job = NewJob {
                    due: self.due,
                    tries: self.kind.tries(),
                    ..NewJob::new(self.kind.as_str(), &self.key, now)
                };
                session.schedule_job(&job, last, now)
            }
        }
    }
}

/// What is due at some time and waits in no queue.
pub(super) fn missing(
    session: &mut dyn Session,
    plan: &Plan,
    kinds: &[Kind],
    now: Timestamp,
) -> Result<Vec<Missing>, DbError> {
    let mut missing = Vec::new();
    for &kind in kinds {
        let every = match kind {
            Kind::Rematch if rematch::is_needed(session)? => SignedDuration::ZERO,
            Kind::Rematch => continue,
            kind => match plan.every(kind) {
                Some(every) => every,
                None => continue,
            },
        };
        for key in keys(session, plan, kind)? {
            let last = session.last_job(kind.as_str(), &key)?;
            if let Some((due, last)) = due(last.as_ref(), every, now) {
                missing.push(Missing {
                    kind,
                    key,
                    due,
                    last,
                });
            }
        }
    }
    Ok(missing)
}

/// Of what there is one job each.
fn keys(session: &mut dyn Session, plan: &Plan, kind: Kind) -> Result<Vec<String>, DbError> {
    if kind != Kind::Look {
        return Ok(vec![String::new()]);
    }
    let channels = session.channels()?;
    Ok(channels
        .into_iter()
        .filter(|channel| {
            let source = channel.source.as_deref();
            // A checkout needs something that evaluates it.
            let can = |source: &str| !source.starts_with('/') || plan.evaluator.is_some();
            channel.is_followed && source.is_some_and(can)
        })
        .map(|channel| channel.name)
        .collect())
}

/// When a job is to be done that waits in no queue, or waits there for longer than is wanted now.
fn due(last: Option<&JobRow>, every: SignedDuration, now: Timestamp) -> Option<(Timestamp, Last)> {
    let after = |at: Timestamp, long| at.checked_add(long).unwrap_or(Timestamp::MAX);
    let Some(last) = last else {
        return Some((now, Last::Finished(None)));
    };
    match (last.finished, last.state) {
        (Some(finished), state) => {
            let long = match state {
                JobState::Failed => every.max(REST),
                _ => every,
            };
            Some((after(finished, long), Last::Finished(Some(last.id))))
        }
        // One that failed, or waits for others, has its own time.
        (None, JobState::Queued)
            if last.attempts == 0 && last.error.is_none() && last.due > after(now, every) =>
        {
            Some((after(now, every), Last::Waits(last.id)))
        }
        (None, _) => None,
    }
}
