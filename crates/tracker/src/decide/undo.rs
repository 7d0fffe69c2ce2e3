//! Undo: a new event that restores what was before, as a whole where several were done at once.

use std::collections::BTreeSet;

use jiff::Timestamp;
use snowguard_db::findings::{
    EventRow, Findings as _, NewEvent, add_events, event, events_of_batch, refresh,
};
use snowguard_db::{Database, Session};
use snowguard_triage::{Refused, Standing};

use super::{ActError, Acted, Actor, locked, maintained};

/// Undoes an event, and all that were done at once with it.
pub fn undo(
    db: &Database,
    actor: Actor,
    event: i64,
    reason: &str,
    now: Timestamp,
) -> Result<Acted, ActError> {
    db.try_write(|session| undo_in(session, actor, event, reason, now))
}

fn undo_in(
    session: &mut dyn Session,
    actor: Actor,
    number: i64,
    reason: &str,
    now: Timestamp,
) -> Result<Acted, ActError> {
    let first = event(session, number)?.ok_or_else(|| ActError::Missing {
        what: "event",
        id: number.to_string(),
    })?;
    let undone: Vec<EventRow> = match first.batch {
        Some(batch) => events_of_batch(session, batch)?,
        None => vec![first],
    };
    let ids: Vec<i64> = undone.iter().filter_map(|row| row.event.finding).collect();
    let rows = locked(session, &ids)?;
    let maintained = maintained(session, actor, rows.values())?;
    let mut events = Vec::new();
    let mut acted = Acted::default();
    let (mut advisories, mut packages) = (BTreeSet::new(), BTreeSet::new());
    // The last first, as they were put on each other.
    for EventRow { id, event, .. } in undone.iter().rev() {
        let row = event.finding.and_then(|finding| rows.get(&finding));
        let (Some(row), Some((before, after))) = (row, &event.change) else {
            return Err(Refused::Final.into());
        };
        let standing = Standing::new(actor.role, maintained.contains(&row.package));
        let own = event.actor == actor.account;
        let step = snowguard_triage::undo(
            &row.decided,
            event.kind,
            before,
            after,
            own,
            standing,
            reason,
        )?;
        if !session.put_decided(row, &step.after, now)? {
            return Err(ActError::Changed { finding: row.id });
        }
        events.push(NewEvent {
            actor: actor.account,
            kind: step.kind,
            finding: Some(row.id),
            advisory: Some(row.advisory),
            package: Some(row.package),
            change: Some((step.before, step.after)),
            reason: step.reason,
            undoes: Some(*id),
        });
        acted.findings.push(row.id);
        advisories.insert(row.advisory);
        packages.insert(row.package);
    }
    acted.event = add_events(session, &events, now)?;
    refresh(session, &advisories, &packages)?;
    Ok(acted)
}
