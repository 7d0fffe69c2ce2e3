//! Issues of one channel in the form of Alpine's security database: which version fixed what.

use snowguard_formats::secdb::Database;

use super::issue::{Decision, Issue, Site};
use crate::view::Status;

/// What was fixed in a channel, and what never reached it.
///
/// The form knows versions only. A package that is patched without a new version is listed with the
/// version that it has, since that is the one in which it is mended.
pub fn database<'i>(
    channel: &str,
    issues: impl IntoIterator<Item = &'i Issue>,
    site: &Site,
) -> Database {
    let mut database = Database::new(channel, &site.ecosystem, format!("{}/packages", site.url));
    for issue in issues {
        if issue.withdrawn.is_some() {
            continue;
        }
        for package in &issue.verdicts.packages {
            let here = package.channels.iter().find(|here| here.channel == channel);
            let Some(here) = here else { continue };
            if matches!(package.decision, Decision::NotAffected { .. }) {
                database.add_never(&package.key, &issue.verdicts.advisory);
                continue;
            }
            match (here.status, &package.fixed_in) {
                (Status::Fixed, Some(version)) => {
                    database.add(&package.key, version, &issue.verdicts.advisory);
                }
                (Status::Fixed, None) | (Status::Patched, _) => {
                    for version in &here.versions {
                        database.add(&package.key, version, &issue.verdicts.advisory);
                    }
                }
                (Status::NotAffected, _) => {
                    database.add_never(&package.key, &issue.verdicts.advisory);
                }
                (Status::Affected | Status::NeedsReview, _) => {}
            }
        }
    }
    database
}
