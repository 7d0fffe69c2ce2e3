//! What was decided, for scans: the document `snowguard-triage/1`.
//!
//! A scan knows packages and advisories as the tracker does, so that nothing is translated: no purl, no
//! ranges. What is undecided is not in it.

use std::collections::BTreeMap;

use jiff::{RoundMode, Timestamp, TimestampRound, Unit};
use snowguard_db::evaluations::Evaluations as _;
use snowguard_db::issues::{DecidedRow, HadVersion, Issues as _, StandingRow, VerdictsRow};
use snowguard_db::{DbError, Session};
use snowguard_matching::suppress::Justification;
use snowguard_matching::triage::{
    Channel, Decided, Document, FixedSince, Standing, Tracker, Verdict,
};
use snowguard_triage::{PublicId, StateKind};

use super::issue::Site;
use super::whole::DocumentError;

/// How many advisories are gathered at once.
const AT_ONCE: u32 = 200;
/// Made once for many who fetch it.
const LEVEL: i32 = 9;

/// All that was decided, as canonical JSON.
pub fn json(
    session: &mut dyn Session,
    site: &Site,
    now: Timestamp,
) -> Result<Vec<u8>, DocumentError> {
    let document = document(session, site, now)?;
    document.to_json().map_err(DocumentError::Json)
}

/// The same, packed with zstd.
pub fn packed(
    session: &mut dyn Session,
    site: &Site,
    now: Timestamp,
) -> Result<Vec<u8>, DocumentError> {
    let json = json(session, site, now)?;
    zstd::bulk::compress(&json, LEVEL).map_err(DocumentError::Pack)
}

/// All that was decided, as a value. Its time is that of the hour, or of the last decision if that is later:
/// whoever asks again within the hour is given the same bytes, if nothing was decided since.
pub fn document(
    session: &mut dyn Session,
    site: &Site,
    now: Timestamp,
) -> Result<Document, DbError> {
    let mut decisions = Vec::new();
    let mut after = 0;
    loop {
        let advisories = session.decided_advisories(after, AT_ONCE)?;
        let Some(last) = advisories.last() else {
            break;
        };
        after = *last;
        let issues = session.issues_of_advisories(&advisories)?;
        let verdicts = session.verdicts(&advisories)?;
        let cleared: Vec<i64> = verdicts
            .iter()
            .flat_map(|verdicts| &verdicts.packages)
            .filter(|row| row.state == StateKind::NotAffected)
            .map(|row| row.package)
            .collect();
        let versions = session.versions_had(&cleared)?;
        for verdicts in &verdicts {
            let issue = issues.iter().find(|row| row.advisory == verdicts.id);
            let issue = issue.map(|row| &row.public);
            let of = |row| decided(verdicts, row, issue, &versions, site);
            decisions.extend(verdicts.packages.iter().filter_map(of));
        }
    }
    let whole = TimestampRound::new()
        .smallest(Unit::Hour)
        .mode(RoundMode::Trunc);
    let hour = now.round(whole).unwrap_or(now);
    let latest = decisions.iter().map(|decided| decided.decided).max();
    let tracker = Tracker {
        name: site.author.as_str().into(),
        url: site.url.as_str().into(),
    };
    let generated = latest.map_or(hour, |latest| latest.max(hour));
    let channels = channels(session)?;
    Ok(Document::new(tracker, generated, channels, decisions))
}

/// The channels that are followed and have a package set.
fn channels(session: &mut dyn Session) -> Result<Vec<Channel>, DbError> {
    let mut list = Vec::new();
    for channel in session.channels()? {
        let head = match channel.head.filter(|_| channel.is_followed) {
            Some(head) => session.evaluation(head)?,
            None => None,
        };
        list.extend(head.map(|head| Channel {
            name: channel.name.into(),
            revision: head.revision.into(),
            evaluated: head.evaluated_at,
        }));
    }
    Ok(list)
}

/// A decision; none of an advisory whose name nobody else could have, or that says nothing.
fn decided(
    verdicts: &VerdictsRow,
    row: &DecidedRow,
    issue: Option<&PublicId>,
    versions: &BTreeMap<i64, Vec<HadVersion>>,
    site: &Site,
) -> Option<Decided> {
    let verdict = match row.state {
        StateKind::Confirmed => Verdict::Confirmed,
        StateKind::Fixed => Verdict::Fixed,
        StateKind::WontFix => Verdict::WontFix,
        StateKind::NotAffected => Verdict::NotAffected {
            // A row without one is not written; were there one, this says the least.
            justification: row
                .justification
                .unwrap_or(Justification::VulnerableCodeNotInExecutePath),
            versions: since(versions.get(&row.package), row.since),
        },
        StateKind::Untriaged | StateKind::NeedsReview | StateKind::Duplicate => return None,
    };
    Some(Decided {
        advisory: verdicts.name.parse().ok()?,
        aliases: verdicts
            .aliases
            .iter()
            .filter_map(|alias| alias.parse().ok())
            .collect(),
        package: row.key.as_str().into(),
        verdict,
        decided: row.since,
        by: row.by.as_deref().map(Into::into),
        reason: row.reason.as_deref().map(Into::into),
        issue: issue.map(|issue| issue.to_string().into()),
        url: site.finding(&row.key, &verdicts.name).into(),
        fixed_in: row.fixed_in.as_deref().map(Into::into),
        channels: row.channels.iter().map(standing).collect(),
    })
}

/// The versions that were in a channel at some time since a decision.
fn since(had: Option<&Vec<HadVersion>>, decided: Timestamp) -> Vec<Box<str>> {
    had.into_iter()
        .flatten()
        .filter(|(_, last)| last.is_none_or(|last| last >= decided))
        .map(|(version, _)| version.as_str().into())
        .collect()
}

fn standing(row: &StandingRow) -> Standing {
    Standing {
        name: row.channel.as_str().into(),
        status: row.status,
        versions: row
            .versions
            .split(',')
            .map(str::trim)
            .filter(|version| !version.is_empty())
            .map(Into::into)
            .collect(),
        fixed: row.fixed.as_ref().map(|(revision, at)| FixedSince {
            revision: revision.as_str().into(),
            at: *at,
        }),
    }
}
