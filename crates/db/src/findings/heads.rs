//! What a re-match reads of package sets: the packages, and what the followed channels have of them now.

use crate::advisories::count;
use crate::{DbError, Session};

/// A package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageRow {
    /// Its number.
    pub id: i64,
    /// Its key.
    pub key: String,
    /// Its name, without the language.
    pub name: String,
    /// How many packages depend on it.
    pub dependents: u32,
    /// The version to which it should be updated.
    pub update_to: Option<String>,
}

/// An attribute in a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeadRow {
    /// The package.
    pub package: i64,
    /// The channel.
    pub channel: i64,
    /// The attribute path.
    pub attr: String,
    /// The derivation's name.
    pub name: String,
    /// The version.
    pub version: String,
    /// What else is said of it.
    pub fact: i64,
    /// The evaluation with which the version came.
    pub since: i64,
}

/// Packages in order of number, up to `limit` after one.
pub fn packages_after<S: Session + ?Sized>(
    session: &mut S,
    after: i64,
    limit: usize,
) -> Result<Vec<PackageRow>, DbError> {
    session
        .query(
            "SELECT id, key, name, dependents, update_to FROM package WHERE id > $1 ORDER BY id LIMIT $2",
            &[after.into(), count(limit)],
        )?
        .map(package)
}

/// Packages by number.
pub fn packages_numbered<S: Session + ?Sized>(
    session: &mut S,
    packages: &[i64],
) -> Result<Vec<PackageRow>, DbError> {
    session
        .query(
            "SELECT id, key, name, dependents, update_to FROM package WHERE id {in:1} ORDER BY id",
            &[packages.into()],
        )?
        .map(package)
}

fn package(row: crate::Row<'_>) -> Result<PackageRow, DbError> {
    Ok(PackageRow {
        id: row.get(0)?,
        key: row.get(1)?,
        name: row.get(2)?,
        dependents: row.get(3)?,
        update_to: row.get(4)?,
    })
}

/// What followed channels have of packages, by package.
pub fn heads<S: Session + ?Sized>(
    session: &mut S,
    packages: &[i64],
) -> Result<Vec<HeadRow>, DbError> {
    session
        .query(
            "SELECT head.package, head.channel, attribute.path, head.name, head.version, head.fact, \
             head.since \
             FROM head JOIN attribute ON attribute.id = head.attribute \
             JOIN channel ON channel.id = head.channel \
             WHERE head.package {in:1} AND channel.followed = 1 \
             ORDER BY head.package, head.channel, attribute.path",
            &[packages.into()],
        )?
        .map(|row| {
            Ok(HeadRow {
                package: row.get(0)?,
                channel: row.get(1)?,
                attr: row.get(2)?,
                name: row.get(3)?,
                version: row.get(4)?,
                fact: row.get(5)?,
                since: row.get(6)?,
            })
        })
}
