//! What becomes of findings when two advisories turn out to be one.

use std::collections::BTreeMap;

use jiff::Timestamp;
use snowguard_triage::{Decided, EventKind, State};

use super::{FindingRow, Findings as _, NewEvent, add_events};
use crate::{DbError, Session};

/// Moves the findings of an advisory to the one that it turned out to be. Where a package has both, the
/// decision goes to the one that stays, unless that is decided as well; then the latter holds, and the
/// log says what the other was.
///
/// Gives the packages that are concerned.
pub fn merge_findings<S: Session + ?Sized>(
    session: &mut S,
    from: i64,
    into: i64,
    old_name: &str,
    now: Timestamp,
) -> Result<Vec<i64>, DbError> {
    let mut both: BTreeMap<i64, [Option<FindingRow>; 2]> = BTreeMap::new();
    for (at, advisory) in [from, into].into_iter().enumerate() {
        for finding in of_advisory(session, advisory)? {
            let package = finding.package;
            both.entry(package).or_default()[at] = Some(finding);
        }
    }
    let mut packages = Vec::new();
    let mut events = Vec::new();
    for (package, pair) in both {
        let [Some(old), new] = pair else { continue };
        packages.push(package);
        let Some(new) = new else {
            session.execute(
                "UPDATE finding SET advisory = $2, revision = revision + 1 WHERE id = $1",
                &[old.id.into(), into.into()],
            )?;
            continue;
        };
        if old.decided.state == State::Untriaged && old.decided.assignee.is_none() {
            put_away(session, &old, into, now)?;
            continue;
        }
        let after = if new.decided.state == State::Untriaged {
            Decided {
                assignee: old.decided.assignee.or(new.decided.assignee),
                ..old.decided.clone()
            }
        } else {
            new.decided.clone()
        };
        session.put_decided(&new, &after, now)?;
        let reason = format!(
            "{old_name} turned out to be the same; there it was {}",
            old.decided.state.kind().label()
        );
        events.push(NewEvent {
            actor: None,
            kind: EventKind::Joined,
            finding: Some(new.id),
            advisory: Some(into),
            package: Some(package),
            change: Some((new.decided.clone(), after)),
            reason,
            undoes: None,
        });
        put_away(session, &old, into, now)?;
    }
    add_events(session, &events, now)?;
    // A duplicate of what was merged is one of what it is now.
    session.execute(
        "UPDATE finding SET duplicate_of = $2 WHERE duplicate_of = $1",
        &[from.into(), into.into()],
    )?;
    Ok(packages)
}

/// The old finding stays for its log, and is in no list.
fn put_away<S: Session + ?Sized>(
    session: &mut S,
    old: &FindingRow,
    into: i64,
    now: Timestamp,
) -> Result<(), DbError> {
    let decided = Decided {
        state: State::Duplicate { of: into },
        assignee: None,
        basis: None,
    };
    session.put_decided(old, &decided, now)?;
    session.execute(
        "UPDATE finding SET gone = $2 WHERE id = $1 AND gone IS NULL",
        &[old.id.into(), now.into()],
    )?;
    session.execute(
        "DELETE FROM finding_channel WHERE finding = $1",
        &[old.id.into()],
    )?;
    Ok(())
}

fn of_advisory<S: Session + ?Sized>(
    session: &mut S,
    advisory: i64,
) -> Result<Vec<FindingRow>, DbError> {
    let ids: Vec<i64> = session
        .query(
            "SELECT id FROM finding WHERE advisory = $1 ORDER BY id",
            &[advisory.into()],
        )?
        .map(|row| row.get(0))?;
    session.lock_findings(&ids)?;
    session.findings(&ids)
}
