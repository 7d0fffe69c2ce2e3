//! What people do: decisions one by one or many at once, assignments, comments, undo, rules, channels.
//!
//! Each call is one transaction: the right is checked, the finding is of the revision that was looked at,
//! the state, the event and what lists show are written together, or nothing is.

mod memory;
mod undo;

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;
use snowguard_db::advisories::Advisories as _;
use snowguard_db::evaluations::Evaluations as _;
use snowguard_db::findings::{
    FindingRow, Findings as _, NewEvent, add_events, mark_channel_stale, refresh,
};
use snowguard_db::{Database, DbError, Session};
use snowguard_triage::memory::InvalidRule;
use snowguard_triage::{Act, Bucket, EventKind, PublicId, Refused, Right, Role, Standing, State};

pub use self::memory::{Remembered, forget, remember};
pub use self::undo::undo;
use crate::publish::act::InvalidWords;

/// Who acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The account; none for the one person of a tracker without accounts.
    pub account: Option<i64>,
    /// What they are here.
    pub role: Role,
    /// Who they are among maintainers.
    pub maintainer: Option<i64>,
}

/// What is done to one finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The finding.
    pub finding: i64,
    /// The revision that was looked at; none to take whatever is there, as a comment may.
    pub revision: Option<i64>,
    /// What is done.
    pub act: Act,
}

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acted {
    /// By which it can be undone as a whole: the number of its first event. None if nothing was to be
    /// done.
    pub event: Option<i64>,
    /// The findings that changed.
    pub findings: Vec<i64>,
}

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum ActError {
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
    /// It may not be done.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// Somebody, or a re-match, changed the finding since it was looked at.
    #[error("the finding {finding} changed since you looked at it")]
    Changed {
        /// Which.
        finding: i64,
    },
    /// There is no such thing.
    #[error("there is no {what} {id}")]
    Missing {
        /// Of what kind.
        what: &'static str,
        /// Which.
        id: String,
    },
    /// The rule cannot be made.
    #[error(transparent)]
    Rule(#[from] InvalidRule),
    /// Nothing of the advisory is confirmed, so that there is nothing to publish.
    #[error("no package of this advisory is confirmed")]
    NothingConfirmed,
    /// The words of an issue cannot be published.
    #[error(transparent)]
    Words(#[from] InvalidWords),
    /// Somebody changed the issue since it was looked at.
    #[error("the issue {issue} changed since you looked at it")]
    IssueChanged {
        /// Which.
        issue: PublicId,
    },
    /// The issue was taken back.
    #[error("the issue {issue} is withdrawn")]
    Withdrawn {
        /// Which.
        issue: PublicId,
    },
    /// What is taken back from the world needs a reason.
    #[error("to withdraw an issue needs a reason")]
    NoReason,
}

impl ActError {
    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Changed { .. }
            | Self::IssueChanged { .. }
            | Self::Refused(Refused::Superseded) => Some("look at it again, then decide"),
            Self::NothingConfirmed => Some("confirm a finding of it first"),
            Self::Withdrawn { .. } => Some("publish the advisory again, under a new id"),
            Self::Db(_)
            | Self::Refused(_)
            | Self::Missing { .. }
            | Self::Rule(_)
            | Self::Words(_)
            | Self::NoReason => None,
        }
    }
}

/// Does something to findings: all of it, or nothing. What is so already is passed over where there are
/// several.
pub fn act(
    db: &Database,
    actor: Actor,
    requests: &[Request],
    reason: &str,
    now: Timestamp,
) -> Result<Acted, ActError> {
    db.try_write(|session| act_in(session, actor, requests, reason, now))
}

/// "Dismiss all, then pick one": confirms the picked findings of an advisory and gives all others that
/// nobody has decided about another state.
pub fn settle(
    db: &Database,
    actor: Actor,
    advisory: i64,
    picked: &[i64],
    state: State,
    reason: &str,
    now: Timestamp,
) -> Result<Acted, ActError> {
    db.try_write(|session| {
        let undecided = [
            Bucket::Queue,
            Bucket::Review,
            Bucket::Marked,
            Bucket::Kernel,
        ];
        let all = session.findings_of_advisory(advisory, &undecided)?;
        let of = |finding: i64, state| Request {
            finding,
            revision: None,
            act: Act::Decide(state),
        };
        let others = all.iter().filter(|id| !picked.contains(id));
        let requests: Vec<Request> = picked
            .iter()
            .map(|id| of(*id, State::Confirmed))
            .chain(others.map(|id| of(*id, state)))
            .collect();
        act_in(session, actor, &requests, reason, now)
    })
}

/// Leaves a channel out of account, or takes it in again. Its findings follow with the next re-match.
pub fn follow_channel(
    db: &Database,
    actor: Actor,
    channel: &str,
    is_followed: bool,
    reason: &str,
    now: Timestamp,
) -> Result<(), ActError> {
    if !Standing::new(actor.role, false).may(Right::DropChannel) {
        return Err(Refused::Forbidden(Right::DropChannel).into());
    }
    let reason = snowguard_triage::act::reason(reason)?;
    db.try_write(|session| {
        let found = session.channel(channel)?.ok_or_else(|| ActError::Missing {
            what: "channel",
            id: channel.to_owned(),
        })?;
        if found.is_followed == is_followed {
            return Err(Refused::Already.into());
        }
        session.follow_channel(found.id, is_followed)?;
        mark_channel_stale(session, found.id, now)?;
        let told = if is_followed {
            format!("{channel} is taken in again. {reason}")
        } else {
            format!("{channel} is left out. {reason}")
        };
        let event = NewEvent {
            actor: actor.account,
            kind: EventKind::ChannelDropped,
            finding: None,
            advisory: None,
            package: None,
            change: None,
            reason: told.trim().to_owned(),
            undoes: None,
        };
        add_events(session, &[event], now)?;
        Ok(())
    })
}

fn act_in(
    session: &mut dyn Session,
    actor: Actor,
    requests: &[Request],
    reason: &str,
    now: Timestamp,
) -> Result<Acted, ActError> {
    let ids: Vec<i64> = requests.iter().map(|request| request.finding).collect();
    let rows = locked(session, &ids)?;
    let maintained = maintained(session, actor, rows.values())?;
    let mut events = Vec::new();
    let mut acted = Acted::default();
    let (mut advisories, mut packages) = (BTreeSet::new(), BTreeSet::new());
    for request in requests {
        let row = rows
            .get(&request.finding)
            .ok_or_else(|| missing(request.finding))?;
        if request
            .revision
            .is_some_and(|revision| revision != row.revision)
        {
            return Err(ActError::Changed { finding: row.id });
        }
        target_exists(session, &request.act)?;
        let standing = Standing::new(actor.role, maintained.contains(&row.package));
        let step = snowguard_triage::decide(
            &row.decided,
            row.advisory,
            &request.act,
            standing,
            reason,
            &row.computed.basis,
        );
        let step = match step {
            Err(Refused::Already) if requests.len() > 1 => continue,
            step => step?,
        };
        let is_change = step.before != step.after;
        if is_change && !session.put_decided(row, &step.after, now)? {
            return Err(ActError::Changed { finding: row.id });
        }
        events.push(NewEvent {
            actor: actor.account,
            kind: step.kind,
            finding: Some(row.id),
            advisory: Some(row.advisory),
            package: Some(row.package),
            change: is_change.then_some((step.before, step.after)),
            reason: step.reason,
            undoes: None,
        });
        acted.findings.push(row.id);
        advisories.insert(row.advisory);
        packages.insert(row.package);
    }
    acted.event = add_events(session, &events, now)?;
    refresh(session, &advisories, &packages)?;
    Ok(acted)
}

/// The findings, which stay as they are until the transaction ends.
fn locked(session: &mut dyn Session, ids: &[i64]) -> Result<HashMap<i64, FindingRow>, DbError> {
    session.lock_findings(ids)?;
    let rows = session.findings(ids)?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

/// Which of the findings' packages the actor maintains.
fn maintained<'f>(
    session: &mut dyn Session,
    actor: Actor,
    rows: impl Iterator<Item = &'f FindingRow>,
) -> Result<BTreeSet<i64>, DbError> {
    let Some(maintainer) = actor.maintainer else {
        return Ok(BTreeSet::new());
    };
    let packages: BTreeSet<i64> = rows.map(|row| row.package).collect();
    let packages: Vec<i64> = packages.into_iter().collect();
    let maintained = session.maintained_of(maintainer, &packages)?;
    Ok(maintained.into_iter().collect())
}

/// A duplicate is one of something.
fn target_exists(session: &mut dyn Session, act: &Act) -> Result<(), ActError> {
    let Act::Decide(State::Duplicate { of }) = act else {
        return Ok(());
    };
    if session.names_of_advisories(&[*of])?.is_empty() {
        return Err(ActError::Missing {
            what: "advisory",
            id: of.to_string(),
        });
    }
    Ok(())
}

fn missing(finding: i64) -> ActError {
    ActError::Missing {
        what: "finding",
        id: finding.to_string(),
    }
}
