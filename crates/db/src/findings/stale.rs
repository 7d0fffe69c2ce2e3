//! Packages that are to be matched anew: noted in the transaction that changes what counts, and taken away in
//! the one that writes what was found. So nothing that changed is forgotten, whoever is ended when.

use jiff::Timestamp;

use crate::advisories::count;
use crate::{Bulk, DbError, Session};

/// A package that is to be matched anew, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stale {
    /// The package.
    pub package: i64,
    /// Since when, raised by each further change.
    pub at: i64,
}

/// Adds, or raises what is there: a change while a package is matched is told from the one before.
const MARK: &str = "ON CONFLICT (package) DO UPDATE SET \
     at = CASE WHEN excluded.at > stale.at THEN excluded.at ELSE stale.at + 1 END";

/// Notes that packages are to be matched anew.
pub fn mark_stale<S: Session + ?Sized>(
    session: &mut S,
    packages: &[i64],
    now: Timestamp,
) -> Result<(), DbError> {
    let sql = format!(
        "INSERT INTO stale (package, at) SELECT id, CAST($2 AS BIGINT) FROM package WHERE id {{in:1}} {MARK}"
    );
    session
        .execute(&sql, &[packages.into(), now.into()])
        .map(drop)
}

/// Notes that what a channel has is to be matched anew.
pub fn mark_channel_stale<S: Session + ?Sized>(
    session: &mut S,
    channel: i64,
    now: Timestamp,
) -> Result<(), DbError> {
    let sql = format!(
        "INSERT INTO stale (package, at) SELECT DISTINCT package, CAST($2 AS BIGINT) FROM head \
         WHERE channel = $1 {MARK}"
    );
    session
        .execute(&sql, &[channel.into(), now.into()])
        .map(drop)
}

/// Notes that everything is to be matched anew.
pub fn mark_all_stale<S: Session + ?Sized>(session: &mut S, now: Timestamp) -> Result<(), DbError> {
    let sql = format!(
        "INSERT INTO stale (package, at) SELECT id, CAST($1 AS BIGINT) FROM package WHERE id > 0 {MARK}"
    );
    session.execute(&sql, &[now.into()]).map(drop)
}

/// Notes that packages with rules which ran out before a day, and not before another, are to be matched anew.
pub fn mark_expired_stale<S: Session + ?Sized>(
    session: &mut S,
    from: jiff::civil::Date,
    before: jiff::civil::Date,
    now: Timestamp,
) -> Result<(), DbError> {
    let sql = format!(
        "INSERT INTO stale (package, at) SELECT DISTINCT package.id, CAST($3 AS BIGINT) FROM memory \
         JOIN package ON package.key = memory.package_key \
         WHERE memory.revoked IS NULL AND memory.expires >= $1 AND memory.expires < $2 {MARK}"
    );
    let parameters = [
        from.to_string().into(),
        before.to_string().into(),
        now.into(),
    ];
    session.execute(&sql, &parameters).map(drop)
}

/// Up to `limit` of the packages that are to be matched anew, in order of number.
pub fn stale<S: Session + ?Sized>(session: &mut S, limit: usize) -> Result<Vec<Stale>, DbError> {
    session
        .query(
            "SELECT package, at FROM stale ORDER BY package LIMIT $1",
            &[count(limit)],
        )?
        .map(row)
}

/// Those of some packages that are to be matched anew.
pub fn stale_of<S: Session + ?Sized>(
    session: &mut S,
    packages: &[i64],
) -> Result<Vec<Stale>, DbError> {
    session
        .query(
            "SELECT package, at FROM stale WHERE package {in:1} ORDER BY package",
            &[packages.into()],
        )?
        .map(row)
}

/// Takes away what was matched, but for what has changed since it was read.
pub fn unmark_stale<S: Session + ?Sized>(session: &mut S, read: &[Stale]) -> Result<(), DbError> {
    let rows: Vec<_> = read
        .iter()
        .map(|one| vec![one.package.into(), one.at.into()])
        .collect();
    let bulk = Bulk::new("stale").int("package").int("at").key();
    session.delete_many(&bulk, &rows).map(drop)
}

fn row(row: crate::Row<'_>) -> Result<Stale, DbError> {
    Ok(Stale {
        package: row.get(0)?,
        at: row.get(1)?,
    })
}
