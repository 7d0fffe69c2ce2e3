//! What is published, out of the database.

use jiff::Timestamp;
use snowguard_advisory::identity::PackageKey;
use snowguard_db::issues::{DecidedRow, IssueRow, Issues, StandingRow, VerdictsRow};
use snowguard_db::{DbError, Session};
use snowguard_inventory::naming::Language;
use snowguard_matching::suppress::Justification;
use snowguard_triage::StateKind;

use super::issue::{DecidedPackage, Decision, FixedSince, Issue, Standing, Verdicts};
use crate::view::{Rating, Status};

/// Issues with all that is published of them, in the order in which they are given.
pub fn issues(session: &mut dyn Session, rows: Vec<IssueRow>) -> Result<Vec<Issue>, DbError> {
    let advisories: Vec<i64> = rows.iter().map(|row| row.advisory).collect();
    let verdicts = session.verdicts(&advisories)?;
    Ok(rows
        .into_iter()
        .filter_map(|row| {
            let found = verdicts.iter().find(|found| found.id == row.advisory)?;
            Some(Issue {
                verdicts: decided(found, row.published),
                id: row.public,
                title: row.title,
                text: row.text,
                published: row.published,
                modified: row.modified,
                withdrawn: row.withdrawn,
            })
        })
        .collect())
}

/// What was decided about advisories; `otherwise` is the time of one about which nothing is.
pub fn verdicts(
    session: &mut dyn Session,
    advisories: &[i64],
    otherwise: Timestamp,
) -> Result<Vec<Verdicts>, DbError> {
    let rows = session.verdicts(advisories)?;
    Ok(rows.iter().map(|row| decided(row, otherwise)).collect())
}

fn decided(row: &VerdictsRow, otherwise: Timestamp) -> Verdicts {
    Verdicts {
        advisory: row.name.clone(),
        aliases: row.aliases.clone(),
        rating: rating(row.rating),
        vector: row.vector.clone(),
        exploited: row.exploited,
        decided: row
            .packages
            .iter()
            .map(|package| package.since)
            .max()
            .unwrap_or(otherwise),
        packages: row.packages.iter().filter_map(package).collect(),
    }
}

fn package(row: &DecidedRow) -> Option<DecidedPackage> {
    let reason = || row.reason.clone().unwrap_or_default();
    let decision = match row.state {
        StateKind::Confirmed | StateKind::Fixed => Decision::Confirmed,
        StateKind::WontFix => Decision::WontFix { reason: reason() },
        StateKind::NotAffected => Decision::NotAffected {
            // A row without one is not written; were there one, this says the least.
            justification: row
                .justification
                .unwrap_or(Justification::VulnerableCodeNotInExecutePath),
            reason: reason(),
        },
        StateKind::Untriaged | StateKind::NeedsReview | StateKind::Duplicate => return None,
    };
    Some(DecidedPackage {
        key: row.key.clone(),
        name: row.name.clone(),
        attributes: row.attributes.clone(),
        purl: purl(&row.name, row.language.as_deref())?,
        fixed_in: row.fixed_in.clone(),
        decision,
        channels: row.channels.iter().map(standing).collect(),
    })
}

fn standing(row: &StandingRow) -> Standing {
    use snowguard_matching::Status as Computed;
    Standing {
        channel: row.channel.clone(),
        status: match row.status {
            Computed::Affected => Status::Affected,
            Computed::NeedsReview => Status::NeedsReview,
            Computed::Patched => Status::Patched,
            Computed::Fixed => Status::Fixed,
            Computed::NotAffected => Status::NotAffected,
        },
        versions: row
            .versions
            .split(',')
            .map(str::trim)
            .filter(|version| !version.is_empty())
            .map(str::to_owned)
            .collect(),
        fixed: row.fixed.as_ref().map(|(revision, at)| FixedSince {
            revision: revision.clone(),
            at: *at,
        }),
    }
}

/// A package as a purl: of its language's registry, else `pkg:generic`.
fn purl(name: &str, language: Option<&str>) -> Option<PackageKey> {
    let registry = language
        .and_then(Language::from_word)
        .and_then(Language::registry);
    registry
        .and_then(|kind| PackageKey::new(kind, name).ok())
        .or_else(|| PackageKey::new("generic", name).ok())
}

fn rating(code: Option<i64>) -> Rating {
    match code {
        Some(5) => Rating::Critical,
        Some(4) => Rating::High,
        Some(3) => Rating::Medium,
        Some(1 | 2) => Rating::Low,
        _ => Rating::Unrated,
    }
}
