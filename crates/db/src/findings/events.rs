//! The log: rows are only added.

use jiff::Timestamp;
use snowguard_triage::{Code as _, Decided, EventKind};

use super::{code, content};
use crate::subscriptions::numbered;
use crate::{Bulk, DbError, Row, Session, Value};

/// An event to be written.
#[derive(Clone, Debug, PartialEq)]
pub struct NewEvent {
    /// Who did it; none for the worker.
    pub actor: Option<i64>,
    /// What was done.
    pub kind: EventKind,
    /// The finding.
    pub finding: Option<i64>,
    /// The advisory.
    pub advisory: Option<i64>,
    /// The package.
    pub package: Option<i64>,
    /// What was decided before and after, if that is what was done.
    pub change: Option<(Decided, Decided)>,
    /// Why; or what was said, or what changed.
    pub reason: String,
    /// The event that it undoes.
    pub undoes: Option<i64>,
}

/// An event as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct EventRow {
    /// Its number.
    pub id: i64,
    /// When.
    pub at: Timestamp,
    /// The same for all that was done at once; the number of the first.
    pub batch: Option<i64>,
    /// What was written.
    pub event: NewEvent,
}

const COLUMNS: &str =
    "id, at, actor, kind, batch, finding, advisory, package, before, after, reason, undoes";

/// Writes events. Several are one batch, undone together; gives its number, which is that of the first
/// event, or of the only one.
pub fn add_events<S: Session + ?Sized>(
    session: &mut S,
    events: &[NewEvent],
    now: Timestamp,
) -> Result<Option<i64>, DbError> {
    let Some((first, rest)) = events.split_first() else {
        return Ok(None);
    };
    numbered(session)?;
    let values = values_of(first, now, None)?;
    let rows = session.query(
        "INSERT INTO event (at, actor, kind, batch, finding, advisory, package, before, after, reason, undoes) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) RETURNING id",
        &values,
    )?;
    let id = crate::advisories::one(&rows, "an event")?;
    if !rest.is_empty() {
        session.execute("UPDATE event SET batch = $1 WHERE id = $1", &[id.into()])?;
        let bulk = Bulk::new("event")
            .int("at")
            .int("actor")
            .int("kind")
            .int("batch")
            .int("finding")
            .int("advisory")
            .int("package")
            .bytes("before")
            .bytes("after")
            .text("reason")
            .int("undoes");
        let rows = rest
            .iter()
            .map(|event| values_of(event, now, Some(id)))
            .collect::<Result<Vec<_>, DbError>>()?;
        session.insert_many(&bulk, &rows)?;
    }
    Ok(Some(id))
}

fn values_of(
    event: &NewEvent,
    now: Timestamp,
    batch: Option<i64>,
) -> Result<Vec<Value<'_>>, DbError> {
    let json = |decided: &Decided| serde_json::to_vec(decided).map_err(|error| content(&error));
    let (before, after) = match &event.change {
        Some((before, after)) => (Some(json(before)?), Some(json(after)?)),
        None => (None, None),
    };
    Ok(vec![
        now.into(),
        event.actor.into(),
        event.kind.to_code().into(),
        batch.into(),
        event.finding.into(),
        event.advisory.into(),
        event.package.into(),
        before.into(),
        after.into(),
        crate::advisories::clean(&event.reason).into(),
        event.undoes.into(),
    ])
}

fn event_of(row: Row<'_>) -> Result<EventRow, DbError> {
    let decided = |column| {
        let bytes: Option<&[u8]> = row.get(column)?;
        bytes
            .map(|bytes| serde_json::from_slice::<Decided>(bytes).map_err(|error| content(&error)))
            .transpose()
    };
    Ok(EventRow {
        id: row.get(0)?,
        at: row.get(1)?,
        batch: row.get(4)?,
        event: NewEvent {
            actor: row.get(2)?,
            kind: code(row, 3)?,
            finding: row.get(5)?,
            advisory: row.get(6)?,
            package: row.get(7)?,
            change: decided(8)?.zip(decided(9)?),
            reason: row.get::<Option<String>>(10)?.unwrap_or_default(),
            undoes: row.get(11)?,
        },
    })
}

/// An event by its number.
pub fn event<S: Session + ?Sized>(session: &mut S, id: i64) -> Result<Option<EventRow>, DbError> {
    let sql = format!("SELECT {COLUMNS} FROM event WHERE id = $1");
    let rows = session.query(&sql, &[id.into()])?;
    rows.first().map(event_of).transpose()
}

/// All events of a batch, in order.
pub fn events_of_batch<S: Session + ?Sized>(
    session: &mut S,
    batch: i64,
) -> Result<Vec<EventRow>, DbError> {
    let sql = format!("SELECT {COLUMNS} FROM event WHERE batch = $1 ORDER BY id");
    session.query(&sql, &[batch.into()])?.map(event_of)
}

/// What was done about a finding, the newest first, up to `limit` before an event.
pub fn events_of_finding<S: Session + ?Sized>(
    session: &mut S,
    finding: i64,
    before: i64,
    limit: usize,
) -> Result<Vec<EventRow>, DbError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM event WHERE finding = $1 AND id < $2 ORDER BY id DESC LIMIT $3"
    );
    let values = [
        finding.into(),
        before.into(),
        crate::advisories::count(limit),
    ];
    session.query(&sql, &values)?.map(event_of)
}
