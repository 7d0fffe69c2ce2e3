//! What is found against what is stored: one finding at a time.

use std::collections::HashMap;

use jiff::Timestamp;
use snowguard_db::DbError;
use snowguard_db::advisories::clean;
use snowguard_db::evaluations::Channel;
use snowguard_db::findings::{ChannelRow, Computed, FindingRow, flag, pack_evidence};
use snowguard_matching::Status;
use snowguard_report::action::is_kernel;
use snowguard_triage::group::channel_bit;
use snowguard_triage::rematch::{InChannel, Outcome};
use snowguard_triage::{Basis, Code as _, Decided, EventKind, Evidence, Follow, State, follow};

/// What is computed of an outcome.
pub(super) fn computed(
    outcome: &Outcome,
    package_name: &str,
    channels: &HashMap<i64, Channel>,
) -> Result<Computed, DbError> {
    let is_open = |status| matches!(status, Status::Affected | Status::NeedsReview);
    let mask = outcome
        .channels
        .iter()
        .filter(|channel| is_open(channel.status))
        .filter_map(|channel| channels.get(&channel.channel))
        .fold(0, |mask, channel| mask | channel_bit(channel.position));
    let flags = [
        (outcome.weights.marked, flag::MARKED),
        (is_kernel(package_name), flag::KERNEL),
    ];
    Ok(Computed {
        status: outcome.status,
        is_sure: outcome.is_sure,
        basis: Basis::of(&outcome.evidence, outcome.weights.exploited.is_some()),
        evidence: pack_evidence(&outcome.evidence)?,
        fixed_in: outcome.evidence.fixed_in().map(clean),
        why: clean(&outcome.evidence.why()),
        against: outcome.evidence.against().as_deref().map(clean),
        rank: outcome.weights.rank().value,
        channels: mask,
        flags: flags
            .into_iter()
            .filter(|(holds, _)| *holds)
            .fold(0, |all, (_, flag)| all | flag),
    })
}

/// The same with the version that fixed it, where that was known while it was affected: of a version that is
/// past it, nobody says any more which one did it, and what is published must not forget.
pub(super) fn known_fix(row: &FindingRow, computed: &Computed) -> Option<Computed> {
    let is_past = matches!(computed.status, Status::Patched | Status::Fixed);
    let is_forgotten = computed.fixed_in.is_none() && row.computed.fixed_in.is_some();
    (is_past && is_forgotten).then(|| Computed {
        fixed_in: row.computed.fixed_in.clone(),
        ..computed.clone()
    })
}

/// What is computed where nothing is found any more.
pub(super) fn nothing() -> Result<Computed, DbError> {
    Ok(Computed {
        status: Status::NotAffected,
        is_sure: false,
        basis: Basis::default(),
        evidence: pack_evidence(&Evidence::default())?,
        fixed_in: None,
        why: Evidence::default().why(),
        against: None,
        rank: 0,
        channels: 0,
        flags: 0,
    })
}

/// What the worker does to a decided finding, for its log.
pub(super) struct Done {
    pub(super) kind: EventKind,
    pub(super) after: Decided,
    pub(super) reason: String,
}

/// What follows for what was decided.
pub(super) fn decided(
    row: &FindingRow,
    computed: &Computed,
    evidence: &Evidence,
    is_found: bool,
    is_present: bool,
) -> Option<Done> {
    let before = &row.decided;
    let basis = before.basis.as_ref().unwrap_or(&row.computed.basis);
    let done = |kind, state, basis, reason: String| Done {
        kind,
        after: Decided {
            state,
            assignee: before.assignee,
            basis,
        },
        reason,
    };
    // What two advisories were one for is over: they came apart.
    if row.gone.is_some() && is_found && matches!(before.state, State::Duplicate { .. }) {
        return Some(done(
            EventKind::Reopened,
            State::NeedsReview,
            None,
            "it is an advisory of its own again".into(),
        ));
    }
    match follow(before.state, basis, &computed.basis, evidence, is_present) {
        Some(Follow::Reopen(against)) => Some(done(
            EventKind::Reopened,
            State::NeedsReview,
            None,
            format!("{}; it was {}", against, before.state.kind().label()),
        )),
        Some(Follow::Close) => {
            let reason = if is_present {
                "every channel that has the package is fixed or patched"
            } else {
                "no channel has the package any more"
            };
            Some(done(
                EventKind::Closed,
                State::Fixed,
                before.basis.clone(),
                reason.into(),
            ))
        }
        Some(Follow::ComeBack) => Some(done(
            EventKind::CameBack,
            State::Confirmed,
            before.basis.clone(),
            "a channel is affected again".into(),
        )),
        // What nothing was found of has no status of its own.
        None if !before.state.is_undecided()
            && row.gone.is_none()
            && row.computed.status != computed.status =>
        {
            Some(done(
                EventKind::StatusChanged,
                before.state,
                before.basis.clone(),
                format!(
                    "it was {}, and is {}",
                    row.computed.status.as_str().replace('_', " "),
                    computed.status.as_str().replace('_', " ")
                ),
            ))
        }
        None => None,
    }
}

/// What channels have of a finding now: what is to be written, and which channels have it no more.
pub(super) fn channels(
    finding: i64,
    found: &[InChannel],
    stored: &[ChannelRow],
    channels: &HashMap<i64, Channel>,
    since: impl Fn(i64, &str) -> Option<i64>,
) -> (Vec<ChannelRow>, Vec<(i64, i64)>) {
    let mut written = Vec::new();
    for now in found {
        let Some(channel) = channels.get(&now.channel) else {
            continue;
        };
        let versions = now.versions.join(", ");
        let before = stored.iter().find(|row| row.channel == now.channel);
        if before.is_some_and(|row| row.status == now.status && row.versions == versions) {
            continue;
        }
        let is_open = |status| matches!(status, Status::Affected | Status::NeedsReview);
        let came = now
            .versions
            .iter()
            .filter_map(|version| since(now.channel, version))
            .max();
        let head = channel.head.unwrap_or_default();
        let from = match before {
            // The same status with another version: it is as old as it was.
            Some(row) if row.status == now.status => row.since,
            // The same version with another status: the records, or a patch, came now.
            Some(row) if row.versions == versions => head,
            _ => came.unwrap_or(head),
        };
        let fixed_since = match before {
            _ if is_open(now.status) => None,
            Some(row) if row.fixed_since.is_some() => row.fixed_since,
            // Another version of what was affected is past it, or before it; of the same it was said wrongly.
            Some(row) if is_open(row.status) && row.versions != versions => Some(from),
            // A version that never was affected is not fixed.
            _ if now.status == Status::NotAffected => None,
            _ => Some(from),
        };
        written.push(ChannelRow {
            finding,
            channel: now.channel,
            status: now.status,
            versions,
            since: from,
            fixed_since,
        });
    }
    let gone = stored
        .iter()
        .filter(|row| !found.iter().any(|now| now.channel == row.channel))
        .map(|row| (finding, row.channel))
        .collect();
    (written, gone)
}

/// Since when nothing is found of it.
pub(super) fn gone(row: &FindingRow, is_found: bool, now: Timestamp) -> Option<Timestamp> {
    (!is_found).then(|| row.gone.unwrap_or(now))
}

/// Whether what is computed must be written.
pub(super) fn differs(row: &FindingRow, computed: &Computed, gone: Option<Timestamp>) -> bool {
    row.computed != *computed || row.gone != gone
}

/// Whether people should see it again before they decide: not where only its place changed.
pub(super) fn is_another(row: &FindingRow, computed: &Computed) -> bool {
    row.computed.basis != computed.basis
        || row.computed.status.to_code() != computed.status.to_code()
}
