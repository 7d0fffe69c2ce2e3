//! Rules about packages and products. They hold from the next re-match of the package on, for which it is
//! noted here.

use jiff::Timestamp;
use snowguard_db::findings::{
    Findings as _, NewEvent, add_events, add_rule, mark_stale, revoke_rule, rule,
};
use snowguard_db::{Database, Session};
use snowguard_triage::{EventKind, MemoryRule, Refused, Right, Standing, Verdict};

use super::{ActError, Actor};

/// A rule that was made or taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// Its number.
    pub rule: i64,
    /// The package that is to be matched anew; none if there is no such package at present.
    pub package: Option<i64>,
}

/// Makes a rule.
pub fn remember(
    db: &Database,
    actor: Actor,
    rule: &MemoryRule,
    now: Timestamp,
) -> Result<Remembered, ActError> {
    db.try_write(|session| {
        let package = allowed(session, actor, &rule.package)?;
        let id = add_rule(session, rule, actor.account, now)?;
        let does = match rule.verdict {
            Verdict::Accept => "is",
            Verdict::Deny => "is not",
        };
        let told = format!("{} {does} {}: {}", rule.package, rule.product, rule.reason);
        log(session, actor, EventKind::MemoryAdded, package, told, now)?;
        Ok(Remembered { rule: id, package })
    })
}

/// Takes a rule back.
pub fn forget(
    db: &Database,
    actor: Actor,
    number: i64,
    reason: &str,
    now: Timestamp,
) -> Result<Remembered, ActError> {
    let reason = snowguard_triage::act::reason(reason)?;
    db.try_write(|session| {
        let row = rule(session, number)?.ok_or_else(|| ActError::Missing {
            what: "rule",
            id: number.to_string(),
        })?;
        let package = allowed(session, actor, &row.rule.package)?;
        if !revoke_rule(session, number, now)? {
            return Err(Refused::Already.into());
        }
        let told = format!("{} and {}: {reason}", row.rule.package, row.rule.product);
        log(session, actor, EventKind::MemoryRevoked, package, told, now)?;
        Ok(Remembered {
            rule: number,
            package,
        })
    })
}

fn allowed(session: &mut dyn Session, actor: Actor, key: &str) -> Result<Option<i64>, ActError> {
    let package = session.package_numbered_by(key)?;
    let maintains = match (package, actor.maintainer) {
        (Some(package), Some(maintainer)) => {
            !session.maintained_of(maintainer, &[package])?.is_empty()
        }
        _ => false,
    };
    if Standing::new(actor.role, maintains).may(Right::Remember) {
        Ok(package)
    } else {
        Err(Refused::Forbidden(Right::Remember).into())
    }
}

fn log(
    session: &mut dyn Session,
    actor: Actor,
    kind: EventKind,
    package: Option<i64>,
    reason: String,
    now: Timestamp,
) -> Result<(), ActError> {
    let event = NewEvent {
        actor: actor.account,
        kind,
        finding: None,
        advisory: None,
        package,
        change: None,
        reason,
        undoes: None,
    };
    add_events(session, &[event], now)?;
    mark_stale(session, package.as_slice(), now)?;
    Ok(())
}
