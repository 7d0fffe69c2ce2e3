//! A finding with its evidence.

use jiff::Timestamp;
use snowguard_db::findings::{rules_of_package, unpack_evidence};
use snowguard_db::{DbError, Session};
use snowguard_triage::{Code as _, Says, StateKind};

use super::common::{self, EVENTS};
use super::{ViewError, issue, package};
use crate::view::{Decision, Evidence, Finding, PatchNote, State, Transition};

/// The finding of a package and an advisory. Ten statements.
pub fn finding(
    session: &mut dyn Session,
    package: &str,
    advisory: &str,
) -> Result<Finding, ViewError> {
    let missing = || ViewError::NotFound {
        what: "finding",
        name: format!("{advisory} in {package}"),
    };
    let rows = session.query(
        "SELECT f.id, f.state, f.state_since, f.justification, o.name, p.dependents, f.decided_basis,
                f.basis, a.name, a.id, f.evidence, f.first_seen
         FROM alias n JOIN advisory a ON a.id = n.advisory
              JOIN package p ON p.key = $1
              JOIN finding f ON f.package = p.id AND f.advisory = a.id
              LEFT JOIN advisory o ON o.id = f.duplicate_of
         WHERE n.name = $2",
        &[package.into(), advisory.into()],
    )?;
    let row = rows.first().ok_or_else(missing)?;
    let name: String = row.get(8)?;
    if name != advisory {
        return Err(ViewError::Elsewhere(name));
    }
    let id: i64 = row.get(0)?;
    let kind: StateKind = common::code(row, 1)?;
    let channels = common::channels(session)?;
    let loaded = common::rows(session, &channels, &[id])?.pop();
    let loaded = loaded.ok_or_else(missing)?;
    let known = unpack_evidence(row.get(10)?)?;
    let first_seen: Timestamp = row.get(11)?;
    let events = common::events(session, "e.finding = $1", &[id.into()], EVENTS)?;
    let memory = rules_of_package(session, &loaded.package.key)?;
    let memory = package::memories(session, &channels, memory)?;
    let issue = issue::of_advisory(session, row.get(9)?)?;
    let decided = !matches!(kind, StateKind::Untriaged);
    let last = events
        .iter()
        .find(|event| event.after.is_some() && event.before != event.after);
    let (basis, decided_basis): (&[u8], Option<&[u8]>) = (row.get(7)?, row.get(6)?);
    let justification = row.get::<Option<i64>>(3)?;
    let justification = justification
        .map(snowguard_matching::suppress::Justification::from_code)
        .transpose()
        .map_err(|error| DbError::Content {
            what: "a finding".into(),
            reason: error.to_string(),
        })?;
    let decision = decided.then(|| Decision {
        state: common::state(kind),
        by: last.and_then(|event| event.actor.clone()),
        at: last.map_or(first_seen, |event| event.at),
        reason: last.and_then(|event| event.reason.clone()),
        justification: justification.map(|justification| justification.as_str().to_owned()),
        duplicate_of: row.get(4).ok().flatten(),
        changed: decided_basis
            .filter(|decided| *decided != basis)
            .map(|_| "what records say has changed since".to_owned()),
    });
    let mut evidence = Vec::new();
    let mut patches: Vec<PatchNote> = Vec::new();
    for build in &known.builds {
        for said in &build.said {
            let one = Evidence {
                record: said.record.clone(),
                source: said.source.clone(),
                by: said.by.clone(),
                upstream: said.upstream,
                product: said.product.clone(),
                target: said.target.clone(),
                identity: said.identity.clone(),
                identity_sure: said.identity_sure,
                version: build.version.clone(),
                range: said.range.clone(),
                order: said.order.clone(),
                says: match said.says {
                    Says::Affected => "affected",
                    Says::NotAffected => "not_affected",
                    Says::Unknown => "unknown",
                }
                .into(),
            };
            evidence.push(one);
        }
        for patch in &build.patches {
            let note = PatchNote {
                name: patch.name.clone(),
                proof: patch.proof.clone(),
                detail: patch.detail.clone(),
            };
            if !patches.contains(&note) {
                patches.push(note);
            }
        }
    }
    Ok(Finding {
        first_seen,
        decision,
        evidence,
        marked: known.marked,
        patches,
        dependents: row.get(5)?,
        transitions: transitions(common::state(kind)),
        memory,
        issue,
        events,
        row: loaded,
    })
}

/// What can be decided from a state.
pub(super) fn transitions(present: State) -> Vec<Transition> {
    [
        State::Confirmed,
        State::NotAffected,
        State::NeedsReview,
        State::Duplicate,
        State::WontFix,
        State::Untriaged,
    ]
    .into_iter()
    .filter(|to| *to != present || matches!(to, State::NotAffected | State::Duplicate))
    .map(|to| Transition {
        to,
        needs_reason: matches!(to, State::NotAffected | State::WontFix),
        needs_justification: to == State::NotAffected,
    })
    .collect()
}
