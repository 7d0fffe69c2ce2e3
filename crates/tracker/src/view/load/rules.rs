//! Rules about one package.

use snowguard_db::Session;
use snowguard_db::findings::rules_of_package;
use snowguard_triage::rematch::{Preview, Stranger as Found};

use super::{ViewError, common, package};
use crate::view::{PackageRef, RuleChange, RulePreview, Rules, Stranger};

/// The rules about a package, and its number. What depends on an index is added by who has one. Four
/// statements.
pub fn rules(session: &mut dyn Session, key: &str) -> Result<(Rules, i64), ViewError> {
    let rows = session.query(
        "SELECT id, key, name, language FROM package WHERE key = $1",
        &[key.into()],
    )?;
    let row = rows.first().ok_or_else(|| ViewError::NotFound {
        what: "package",
        name: key.to_owned(),
    })?;
    let package_ref: PackageRef = common::package_of(row, 1)?;
    let channels = common::channels(session)?;
    let rules = rules_of_package(session, key)?;
    let rules = package::memories(session, &channels, rules)?;
    let view = Rules {
        package: package_ref,
        rules,
        channels: channels
            .into_iter()
            .filter(|channel| channel.is_followed)
            .map(|channel| channel.name)
            .collect(),
        strangers: None,
        preview: None,
    };
    Ok((view, row.get(0)?))
}

impl From<Found> for Stranger {
    fn from(found: Found) -> Self {
        Self {
            product: found.product,
            why: found.why,
            records: found.records as u64,
            example: found.example,
        }
    }
}

impl From<Preview> for RulePreview {
    fn from(preview: Preview) -> Self {
        let changes = preview.changes.into_iter().map(|change| RuleChange {
            advisory: change.advisory,
            was: change.was.map(common::status),
            is: change.is.map(common::status),
        });
        Self {
            changes: changes.collect(),
            same: preview.same as u64,
        }
    }
}
