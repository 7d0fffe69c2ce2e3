//! What was done.

use snowguard_db::Session;

use super::ViewError;
use super::common::{self, PAGE};
use super::queue::cut;
use crate::view::Activity;

/// What people did, and what the tracker did about what they had decided. One statement.
pub fn activity(
    session: &mut dyn Session,
    actor: Option<&str>,
    cursor: Option<&str>,
) -> Result<Activity, ViewError> {
    let before: i64 = match cursor {
        Some(text) => text.parse().map_err(|_| ViewError::Cursor)?,
        None => i64::MAX,
    };
    let mut events = match actor {
        None => common::events(session, "e.id < $1", &[before.into()], PAGE + 1)?,
        Some(actor) => common::events(
            session,
            "e.id < $1 AND e.actor = (SELECT id FROM account WHERE lower(name) = lower($2))",
            &[before.into(), actor.into()],
            PAGE + 1,
        )?,
    };
    let next = cut(&mut events, PAGE, |last| last.id.to_string());
    Ok(Activity {
        actor: actor.map(str::to_owned),
        events,
        next,
    })
}
