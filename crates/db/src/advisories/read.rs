//! What pages show of advisories.

use jiff::Timestamp;
use jiff::civil::Date;

use super::facts::{Facts, rating_of, ssvc_of};
use crate::{DbError, Row, Session};

/// An advisory as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct AdvisoryRow {
    /// Its number.
    pub id: i64,
    /// What is known.
    pub facts: Facts,
    /// All of its names but its own, in order.
    pub aliases: Vec<String>,
    /// When it was first seen here.
    pub first_seen: Timestamp,
    /// When it last changed.
    pub changed_at: Timestamp,
    /// Packages that it may concern.
    pub candidates: u32,
    /// Of these, how many are open.
    pub open: u32,
    /// Its place in lists.
    pub rank: i64,
}

/// A record of an advisory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordRow {
    /// Its number.
    pub id: i64,
    /// The source's name.
    pub source: String,
    /// Its name there.
    pub name: String,
    /// When it was last seen to be another.
    pub seen: Timestamp,
    /// What it says, to be read with [`super::unpack`].
    pub body: Vec<u8>,
}

/// What a record said before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryRow {
    /// The record.
    pub record: i64,
    /// Until when it said so.
    pub until: Timestamp,
    /// The digest of it.
    pub digest: [u8; 16],
    /// What it said, to be read with [`super::unpack`].
    pub body: Vec<u8>,
}

/// The columns of [`facts`].
pub(super) const FACTS: &str = "name, title, description, score, rating, vector, exploited, \
    ransomware, epss, percentile, ssvc, published, modified, withdrawn";

pub(super) fn facts(row: Row<'_>, at: usize) -> Result<Facts, DbError> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "they were stored from numbers of this size"
    )]
    let share =
        |column| Ok::<_, DbError>(row.get::<Option<f64>>(column)?.map(|share| share as f32));
    Ok(Facts {
        name: row.get(at)?,
        title: row.get(at + 1)?,
        description: row.get(at + 2)?,
        score: row.get(at + 3)?,
        rating: row.get::<Option<i64>>(at + 4)?.and_then(rating_of),
        vector: row.get(at + 5)?,
        exploited: day(row, at + 6)?,
        ransomware: row.get(at + 7)?,
        epss: share(at + 8)?,
        percentile: share(at + 9)?,
        ssvc: row.get::<Option<i64>>(at + 10)?.and_then(ssvc_of),
        published: day(row, at + 11)?,
        modified: day(row, at + 12)?,
        withdrawn: row.get(at + 13)?,
    })
}

/// A day that is stored as text.
pub(crate) fn day(row: Row<'_>, column: usize) -> Result<Option<Date>, DbError> {
    let text: Option<&str> = row.get(column)?;
    text.map(|text| {
        text.parse().map_err(|_| DbError::Content {
            what: "a day".to_owned(),
            reason: "it is not YYYY-MM-DD".to_owned(),
        })
    })
    .transpose()
}

/// The number of the advisory to which a name leads.
pub fn advisory_by_name<S: Session + ?Sized>(
    session: &mut S,
    name: &str,
) -> Result<Option<i64>, DbError> {
    let rows = session.query("SELECT advisory FROM alias WHERE name = $1", &[name.into()])?;
    rows.first().map(|row| row.get(0)).transpose()
}

/// An advisory by its number.
pub fn advisory<S: Session + ?Sized>(
    session: &mut S,
    id: i64,
) -> Result<Option<AdvisoryRow>, DbError> {
    let rows = session.query(
        &format!(
            "SELECT {FACTS}, first_seen, changed_at, candidates, open, rank FROM advisory WHERE id = $1"
        ),
        &[id.into()],
    )?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let facts = facts(row, 0)?;
    let aliases = session
        .query(
            "SELECT name FROM alias WHERE advisory = $1 AND name <> $2 ORDER BY name",
            &[id.into(), (&facts.name).into()],
        )?
        .map(|row| row.get(0))?;
    Ok(Some(AdvisoryRow {
        id,
        facts,
        aliases,
        first_seen: row.get(14)?,
        changed_at: row.get(15)?,
        candidates: row.get(16)?,
        open: row.get(17)?,
        rank: row.get(18)?,
    }))
}

/// The records that speak of an advisory, by source and name.
pub fn records<S: Session + ?Sized>(
    session: &mut S,
    advisory: i64,
) -> Result<Vec<RecordRow>, DbError> {
    session
        .query(
            "SELECT record.id, record_source.name, record.name, record.seen, record.body FROM speaks \
             JOIN record ON record.id = speaks.record \
             JOIN record_source ON record_source.id = record.source \
             WHERE speaks.advisory = $1 ORDER BY record_source.name, record.name",
            &[advisory.into()],
        )?
        .map(|row| {
            Ok(RecordRow {
                id: row.get(0)?,
                source: row.get(1)?,
                name: row.get(2)?,
                seen: row.get(3)?,
                body: row.get(4)?,
            })
        })
}

/// What these records said before, the newest first.
pub fn history<S: Session + ?Sized>(
    session: &mut S,
    records: &[i64],
) -> Result<Vec<HistoryRow>, DbError> {
    session
        .query(
            "SELECT record, until, digest, body FROM record_history WHERE record {in:1} \
             ORDER BY until DESC, record",
            &[records.into()],
        )?
        .map(|row| {
            Ok(HistoryRow {
                record: row.get(0)?,
                until: row.get(1)?,
                digest: row.get(2)?,
                body: row.get(3)?,
            })
        })
}
