//! What becomes of what was published of two advisories that turn out to be one.

use jiff::Timestamp;
use snowguard_triage::EventKind;

use super::Issues as _;
use crate::findings::{NewEvent, add_events};
use crate::{DbError, Dialect, Session};

/// Moves the issues of an advisory to the one that it turned out to be, before it leads there: public ids stay, and
/// follow what is decided of the latter. If something stands of both, that of the one that goes is withdrawn, and
/// says where the rest is told.
pub fn merge_issues<S: Session + ?Sized>(
    session: &mut S,
    from: i64,
    into: i64,
    now: Timestamp,
) -> Result<(), DbError> {
    if session.dialect() == Dialect::Postgres {
        // Whoever publishes one of them comes before, or sees what was done here.
        session.query(
            "SELECT id FROM advisory WHERE id IN ($1, $2) ORDER BY id FOR UPDATE",
            &[from.into(), into.into()],
        )?;
    }
    if let Some(old) = session.issue_of_advisory(from)?
        && let Some(new) = session.issue_of_advisory(into)?
    {
        let reason = format!("it is told in {}", new.public);
        session.withdraw_issue((old.id, old.revision), &reason, now)?;
        let event = NewEvent {
            actor: None,
            kind: EventKind::IssueWithdrawn,
            finding: None,
            advisory: Some(into),
            package: None,
            change: None,
            reason: format!("{}: {reason}", old.public),
            undoes: None,
        };
        if let Some(event) = add_events(session, &[event], now)? {
            session.note_event_of_issue(event, old.id)?;
        }
    }
    session.execute(
        "UPDATE issue SET advisory = $2 WHERE advisory = $1",
        &[from.into(), into.into()],
    )?;
    Ok(())
}
