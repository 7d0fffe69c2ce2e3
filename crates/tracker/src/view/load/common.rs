//! What several views load.

use std::collections::HashMap;

use snowguard_advisory::severity::Rating as Graded;
use snowguard_db::evaluations::{Channel, Evaluations as _};
use snowguard_db::{DbError, Row, Session, Value};
use snowguard_matching::Status as Matched;
use snowguard_triage::{Code, Decided, EventKind as Logged, StateKind};

use crate::view::{
    AdvisoryRef, ChannelStatus, Event, EventKind, FindingRow, PackageRef, Rating, State, Status,
};

/// How many rows a page of a list has.
pub(super) const PAGE: i64 = 50;
/// How many events a page shows of one thing.
pub(super) const EVENTS: i64 = 20;

/// A stored number as what it stands for.
pub(super) fn code<T: Code>(row: Row<'_>, column: usize) -> Result<T, DbError> {
    T::from_code(row.get(column)?).map_err(|error| DbError::Content {
        what: "a row of a page".into(),
        reason: error.to_string(),
    })
}

pub(super) fn rating(code: Option<i64>) -> Rating {
    let graded = code.and_then(snowguard_db::advisories::rating_of);
    match graded {
        None => Rating::Unrated,
        Some(Graded::Critical) => Rating::Critical,
        Some(Graded::High) => Rating::High,
        Some(Graded::Medium) => Rating::Medium,
        Some(Graded::Low | Graded::None) => Rating::Low,
    }
}

/// The numbers by which a rating is stored.
pub(super) fn rating_codes(rating: Rating) -> Vec<i64> {
    let code = |rating| snowguard_db::advisories::rating_code(rating);
    match rating {
        Rating::Critical => vec![code(Some(Graded::Critical))],
        Rating::High => vec![code(Some(Graded::High))],
        Rating::Medium => vec![code(Some(Graded::Medium))],
        Rating::Low => vec![code(Some(Graded::Low)), code(Some(Graded::None))],
        Rating::Unrated => vec![code(None)],
    }
}

pub(super) fn status(matched: Matched) -> Status {
    match matched {
        Matched::Affected => Status::Affected,
        Matched::NeedsReview => Status::NeedsReview,
        Matched::Patched => Status::Patched,
        Matched::Fixed => Status::Fixed,
        Matched::NotAffected => Status::NotAffected,
    }
}

pub(super) fn state(kind: StateKind) -> State {
    match kind {
        StateKind::Untriaged => State::Untriaged,
        StateKind::NeedsReview => State::NeedsReview,
        StateKind::Confirmed => State::Confirmed,
        StateKind::NotAffected => State::NotAffected,
        StateKind::Duplicate => State::Duplicate,
        StateKind::WontFix => State::WontFix,
        StateKind::Fixed => State::Closed,
    }
}

/// A day that is stored as text.
pub(super) fn day(text: Option<String>) -> Option<jiff::civil::Date> {
    text.and_then(|text| text.parse().ok())
}

/// The columns of [`package_of`].
pub(super) const PACKAGE: &str = "p.key, p.name, p.language";

pub(super) fn package_of(row: Row<'_>, from: usize) -> Result<PackageRef, DbError> {
    Ok(PackageRef {
        key: row.get(from)?,
        name: row.get(from + 1)?,
        language: row.get(from + 2)?,
    })
}

/// The columns of [`advisory_of`].
pub(super) const ADVISORY: &str = "a.name, a.title, a.rating, a.score, a.exploited";

pub(super) fn advisory_of(row: Row<'_>, from: usize) -> Result<AdvisoryRef, DbError> {
    Ok(AdvisoryRef {
        name: row.get(from)?,
        title: row.get(from + 1)?,
        rating: rating(row.get(from + 2)?),
        score: score(row.get(from + 3)?),
        exploited: day(row.get(from + 4)?),
    })
}

/// A score is stored as ten times what it is.
pub(super) fn score(tenfold: Option<i64>) -> Option<f64> {
    let tenfold = i32::try_from(tenfold?).ok()?;
    Some(f64::from(tenfold) / 10.0)
}

/// The channels in their order. One statement.
pub(super) fn channels(session: &mut dyn Session) -> Result<Vec<Channel>, DbError> {
    session.channels()
}

/// The names of the channels whose bits are set.
pub(super) fn of_bits(channels: &[Channel], bits: i64) -> Vec<String> {
    let set =
        |channel: &&Channel| bits & snowguard_triage::group::channel_bit(channel.position) != 0;
    channels
        .iter()
        .filter(set)
        .map(|channel| channel.name.clone())
        .collect()
}

/// Findings by their numbers, in the order of these. Two statements.
pub(super) fn rows(
    session: &mut dyn Session,
    channels: &[Channel],
    ids: &[i64],
) -> Result<Vec<FindingRow>, DbError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT f.id, f.revision, f.status, f.state, f.fixed_in, f.why, u.name,
                f.against, {PACKAGE}, {ADVISORY}
         FROM finding f JOIN package p ON p.id = f.package JOIN advisory a ON a.id = f.advisory
              LEFT JOIN account u ON u.id = f.assignee
         WHERE f.id {{in:1}}"
    );
    let mut found: HashMap<i64, FindingRow> = HashMap::with_capacity(ids.len());
    session.for_each(&sql, &[ids.into()], &mut |row| {
        let id = row.get(0)?;
        let loaded = FindingRow {
            id,
            revision: row.get(1)?,
            status: status(code(row, 2)?),
            state: state(code(row, 3)?),
            fixed_in: row.get(4)?,
            assignee: row.get(6)?,
            package: package_of(row, 8)?,
            advisory: advisory_of(row, 11)?,
            channels: Vec::new(),
            why: row.get(5)?,
            against: row.get(7)?,
        };
        found.insert(id, loaded);
        Ok(())
    })?;
    let mut standing: HashMap<(i64, i64), ChannelStatus> = HashMap::new();
    session.for_each(
        "SELECT c.finding, c.channel, c.status, c.versions, e.evaluated_at
         FROM finding_channel c LEFT JOIN evaluation e ON e.id = c.fixed_since
         WHERE c.finding {in:1}",
        &[ids.into()],
        &mut |row| {
            let versions: &str = row.get(3)?;
            let split = versions.split(", ").filter(|version| !version.is_empty());
            let status = ChannelStatus {
                channel: String::new(),
                status: Some(status(code(row, 2)?)),
                versions: split.map(str::to_owned).collect(),
                fixed_since: row.get(4)?,
            };
            standing.insert((row.get(0)?, row.get(1)?), status);
            Ok(())
        },
    )?;
    Ok(ids
        .iter()
        .filter_map(|id| {
            let mut loaded = found.remove(id)?;
            loaded.channels = channels
                .iter()
                .filter_map(|channel| {
                    let known = standing.remove(&(*id, channel.id));
                    if known.is_none() && !channel.is_followed {
                        return None;
                    }
                    let known = known.unwrap_or(ChannelStatus {
                        channel: String::new(),
                        status: None,
                        versions: Vec::new(),
                        fixed_since: None,
                    });
                    Some(ChannelStatus {
                        channel: channel.name.clone(),
                        ..known
                    })
                })
                .collect();
            Some(loaded)
        })
        .collect())
}

/// What was done, the newest first: of which events, in words of SQL about `e`. One statement.
pub(super) fn events(
    session: &mut dyn Session,
    condition: &str,
    parameters: &[Value<'_>],
    limit: i64,
) -> Result<Vec<Event>, DbError> {
    let sql = format!(
        "SELECT e.id, e.at, u.name, e.kind, e.batch, e.before, e.after, e.reason,
                d.id, {PACKAGE}, {ADVISORY}
         FROM event e
              LEFT JOIN account u ON u.id = e.actor
              LEFT JOIN package p ON p.id = e.package
              LEFT JOIN advisory a ON a.id = e.advisory
              LEFT JOIN event d ON d.undoes = e.id
         WHERE {condition} ORDER BY e.id DESC LIMIT {limit}"
    );
    session.query(&sql, parameters)?.map(|row| {
        let kind: Logged = code(row, 3)?;
        let state_in = |column| -> Result<Option<State>, DbError> {
            let bytes: Option<&[u8]> = row.get(column)?;
            let decided = bytes.and_then(|bytes| serde_json::from_slice::<Decided>(bytes).ok());
            Ok(decided.map(|decided| state(decided.state.kind())))
        };
        let is_undone = row.get::<Option<i64>>(8)?.is_some();
        let package = row.get::<Option<&str>>(9)?;
        let advisory = row.get::<Option<&str>>(12)?;
        Ok(Event {
            id: row.get(0)?,
            at: row.get(1)?,
            actor: row.get(2)?,
            kind: event_kind(kind),
            batch: row.get(4)?,
            package: package.map(|_| package_of(row, 9)).transpose()?,
            advisory: advisory.map(|_| advisory_of(row, 12)).transpose()?,
            before: state_in(5)?,
            after: state_in(6)?,
            reason: row
                .get::<Option<String>>(7)?
                .filter(|reason| !reason.is_empty()),
            can_undo: kind.can_be_undone() && !is_undone,
        })
    })
}

fn event_kind(kind: Logged) -> EventKind {
    match kind {
        Logged::Decided => EventKind::Decided,
        Logged::Assigned => EventKind::Assigned,
        Logged::Commented => EventKind::Commented,
        Logged::Undone => EventKind::Undone,
        Logged::Reopened | Logged::CameBack => EventKind::Reopened,
        Logged::Closed => EventKind::Closed,
        Logged::Joined => EventKind::Joined,
        Logged::ChannelDropped => EventKind::Channel,
        Logged::MemoryAdded => EventKind::Remembered,
        Logged::MemoryRevoked => EventKind::Revoked,
        Logged::Published => EventKind::Published,
        Logged::IssueEdited => EventKind::Edited,
        Logged::IssueWithdrawn => EventKind::Withdrawn,
        Logged::StatusChanged => EventKind::StatusChanged,
    }
}
