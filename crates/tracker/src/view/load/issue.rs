//! What is published.

use std::collections::HashMap;

use snowguard_db::advisories::advisory_by_name;
use snowguard_db::issues::{DecidedRow, IssueRow, Issues as _, VerdictsRow};
use snowguard_db::{DbError, Session};
use snowguard_triage::PublicId;

use super::common::{self, ADVISORY, EVENTS, PAGE};
use super::queue::cut;
use super::{Cursor, ViewError};
use crate::publish::act::Words;
use crate::publish::gather;
use crate::view::{
    AdvisoryRef, ChannelStatus, Draft, Issue, IssueEntry, IssuePackage, Issues, PackageRef, State,
    Status,
};

/// What is published, what changed last first. Seven statements.
pub fn issues(session: &mut dyn Session, cursor: Option<&str>) -> Result<Issues, ViewError> {
    let before = match cursor {
        None => None,
        Some(_) => {
            let cursor = Cursor::read(cursor)?;
            let time = jiff::Timestamp::from_millisecond(cursor.rank);
            Some((time.map_err(|_| ViewError::Cursor)?, cursor.id))
        }
    };
    let limit = u32::try_from(PAGE + 1).unwrap_or(u32::MAX);
    let mut rows = session.newest_issues(before, limit)?;
    let next = cut(&mut rows, PAGE, |row| {
        Cursor::write(row.modified.as_millisecond(), row.id)
    });
    let ids: Vec<i64> = rows.iter().map(|row| row.advisory).collect();
    let advisories = references(session, &ids)?;
    let verdicts = session.verdicts(&ids)?;
    let entries = rows.into_iter().filter_map(|row| {
        let advisory = advisories.get(&row.advisory)?.clone();
        let found = verdicts.iter().find(|found| found.id == row.advisory);
        let (open, of) = found.map_or((0, 0), counted);
        Some(IssueEntry {
            id: row.public.to_string(),
            title: row.title,
            advisory,
            published: row.published,
            modified: row.modified,
            withdrawn: row.withdrawn.is_some(),
            open,
            of,
        })
    });
    Ok(Issues {
        issues: entries.collect(),
        next,
    })
}

/// An issue by its public id. Nine statements.
pub fn issue(session: &mut dyn Session, id: &str) -> Result<Issue, ViewError> {
    let missing = || ViewError::NotFound {
        what: "issue",
        name: id.to_owned(),
    };
    let public: PublicId = id.parse().map_err(|_| missing())?;
    let row: IssueRow = session.issue(&public)?.ok_or_else(missing)?;
    let mut advisories = references(session, &[row.advisory])?;
    let advisory = advisories.remove(&row.advisory).ok_or_else(missing)?;
    let verdicts = session
        .verdicts(&[row.advisory])?
        .pop()
        .ok_or_else(missing)?;
    let forge = session.forge_issue(row.id)?;
    let events = common::events(session, "e.issue = $1", &[row.id.into()], EVENTS)?;
    Ok(Issue {
        id: row.public.to_string(),
        title: row.title,
        text: row.text,
        advisory,
        aliases: verdicts.aliases.clone(),
        published: row.published,
        modified: row.modified,
        withdrawn: row.withdrawn,
        withdrawn_reason: row.withdrawn_reason,
        revision: row.revision,
        packages: verdicts.packages.into_iter().map(package).collect(),
        forge: forge.url,
        events,
    })
}

/// What is proposed to who publishes an advisory. Thirteen statements.
pub fn draft(session: &mut dyn Session, name: &str) -> Result<Draft, ViewError> {
    let missing = || ViewError::NotFound {
        what: "advisory",
        name: name.to_owned(),
    };
    let id = advisory_by_name(session, name)?.ok_or_else(missing)?;
    let advisory = references(session, &[id])?
        .remove(&id)
        .ok_or_else(missing)?;
    if advisory.name != name {
        return Err(ViewError::Elsewhere(advisory.name));
    }
    let decided = gather::verdicts(session, &[id], jiff::Timestamp::UNIX_EPOCH)?;
    let words = Words::proposed(decided.first().ok_or_else(missing)?);
    let verdicts = session.verdicts(&[id])?.pop().ok_or_else(missing)?;
    let issue = session.issue_of_advisory(id)?;
    Ok(Draft {
        advisory,
        title: words.title().to_owned(),
        text: words.text().map(str::to_owned),
        packages: verdicts.packages.into_iter().map(package).collect(),
        issue: issue.map(|row| row.public.to_string()),
    })
}

/// The issue that stands for an advisory. One statement.
pub(super) fn of_advisory(
    session: &mut dyn Session,
    advisory: i64,
) -> Result<Option<String>, DbError> {
    let row = session.issue_of_advisory(advisory)?;
    Ok(row.map(|row| row.public.to_string()))
}

/// Advisories by number. One statement.
fn references(
    session: &mut dyn Session,
    ids: &[i64],
) -> Result<HashMap<i64, AdvisoryRef>, DbError> {
    let sql = format!("SELECT a.id, {ADVISORY} FROM advisory a WHERE a.id {{in:1}}");
    let rows = session.query(&sql, &[ids.into()])?;
    let pairs = rows.map(|row| Ok((row.get(0)?, common::advisory_of(row, 1)?)))?;
    Ok(pairs.into_iter().collect())
}

fn package(row: DecidedRow) -> IssuePackage {
    IssuePackage {
        package: PackageRef {
            key: row.key,
            name: row.name,
            language: row.language,
        },
        attributes: row.attributes,
        state: common::state(row.state),
        reason: row.reason.filter(|reason| !reason.is_empty()),
        justification: row
            .justification
            .map(|justification| justification.as_str().to_owned()),
        fixed_in: row.fixed_in,
        channels: row
            .channels
            .into_iter()
            .map(|channel| ChannelStatus {
                channel: channel.channel,
                status: Some(common::status(channel.status)),
                versions: channel
                    .versions
                    .split(',')
                    .map(str::trim)
                    .filter(|version| !version.is_empty())
                    .map(str::to_owned)
                    .collect(),
                fixed_since: channel.fixed.map(|(_, at)| at),
            })
            .collect(),
    }
}

/// In how many channels something confirmed is open, and of how many.
fn counted(row: &VerdictsRow) -> (u32, u32) {
    let confirmed = row.packages.iter().filter(|package| {
        matches!(
            common::state(package.state),
            State::Confirmed | State::Closed
        )
    });
    let mut counts = (0, 0);
    for channel in confirmed.flat_map(|package| &package.channels) {
        let open = matches!(
            common::status(channel.status),
            Status::Affected | Status::NeedsReview
        );
        counts.0 += u32::from(open);
        counts.1 += 1;
    }
    counts
}
