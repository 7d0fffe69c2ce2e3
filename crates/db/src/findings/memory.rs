//! Rules about packages and products.

use jiff::Timestamp;
use jiff::civil::Date;
use snowguard_triage::{Code as _, MemoryRule};

use super::{code, content};
use crate::advisories::{clean, one};
use crate::{DbError, Row, Session, Value};

/// A rule as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryRow {
    /// Its number.
    pub id: i64,
    /// The rule.
    pub rule: MemoryRule,
    /// Who made it; none for the tracker itself.
    pub actor: Option<i64>,
    /// When.
    pub created: Timestamp,
    /// When it was taken back.
    pub revoked: Option<Timestamp>,
}

const COLUMNS: &str =
    "id, package_key, product, verdict, channel, expires, reason, actor, created, revoked";

/// Adds a rule; gives its number.
pub fn add_rule<S: Session + ?Sized>(
    session: &mut S,
    rule: &MemoryRule,
    actor: Option<i64>,
    now: Timestamp,
) -> Result<i64, DbError> {
    let rows = session.query(
        "INSERT INTO memory (package_key, product, verdict, channel, expires, reason, actor, created) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id",
        &[
            (&rule.package).into(),
            rule.product.to_string().into(),
            rule.verdict.to_code().into(),
            rule.channel.into(),
            rule.expires.map(|day| day.to_string()).into(),
            clean(&rule.reason).into(),
            actor.into(),
            now.into(),
        ],
    )?;
    one(&rows, "a rule")
}

/// Takes a rule back; whether it was in force.
pub fn revoke_rule<S: Session + ?Sized>(
    session: &mut S,
    id: i64,
    now: Timestamp,
) -> Result<bool, DbError> {
    let changed = session.execute(
        "UPDATE memory SET revoked = $2 WHERE id = $1 AND revoked IS NULL",
        &[id.into(), now.into()],
    )?;
    Ok(changed == 1)
}

/// A rule by its number.
pub fn rule<S: Session + ?Sized>(session: &mut S, id: i64) -> Result<Option<MemoryRow>, DbError> {
    let sql = format!("SELECT {COLUMNS} FROM memory WHERE id = $1");
    let rows = session.query(&sql, &[id.into()])?;
    rows.first().map(row_of).transpose()
}

/// The rules that hold on a day, in the order in which they were made.
pub fn rules_in_force<S: Session + ?Sized>(
    session: &mut S,
    today: Date,
) -> Result<Vec<MemoryRow>, DbError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM memory WHERE revoked IS NULL AND (expires IS NULL OR expires >= $1) \
         ORDER BY id"
    );
    session
        .query(&sql, &[Value::from(today.to_string())])?
        .map(row_of)
}

/// All rules about a package, the newest first.
pub fn rules_of_package<S: Session + ?Sized>(
    session: &mut S,
    key: &str,
) -> Result<Vec<MemoryRow>, DbError> {
    let sql = format!("SELECT {COLUMNS} FROM memory WHERE package_key = $1 ORDER BY id DESC");
    session.query(&sql, &[key.into()])?.map(row_of)
}

fn row_of(row: Row<'_>) -> Result<MemoryRow, DbError> {
    let product: &str = row.get(2)?;
    Ok(MemoryRow {
        id: row.get(0)?,
        rule: MemoryRule {
            package: row.get(1)?,
            product: product.parse().map_err(|error| content(&error))?,
            verdict: code(row, 3)?,
            channel: row.get(4)?,
            expires: crate::advisories::day_of(row, 5)?,
            reason: row.get(6)?,
        },
        actor: row.get(7)?,
        created: row.get(8)?,
        revoked: row.get(9)?,
    })
}
