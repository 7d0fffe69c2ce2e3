//! What is asked of evaluations.

use jiff::Timestamp;
use rustc_hash::FxHashMap;
use snowguard_inventory::Fact;

use super::delta::{Delta, Held, Set};
use super::{facts as bodies, limit_of};
use crate::{DbError, Row, Session, Value};

/// An evaluation, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluation {
    /// Its number. In a channel a later one has a greater number.
    pub id: i64,
    /// Its channel.
    pub channel: i64,
    /// The revision of the package set.
    pub revision: String,
    /// When the revision was made.
    pub evaluated_at: Timestamp,
    /// When it was taken.
    pub ingested_at: Timestamp,
    /// The one before it.
    pub parent: Option<i64>,
    /// How many attributes it has.
    pub packages: u32,
    /// How many could not be evaluated.
    pub failed: u32,
    /// How many attributes its parent did not have.
    pub added: u32,
    /// How many only its parent had.
    pub removed: u32,
    /// How many have another version than in its parent.
    pub changed: u32,
    /// How many are built otherwise than in its parent.
    pub rebuilt: u32,
}

/// What could not be evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The attribute path; empty where not even that is known.
    pub attribute: String,
    /// Why, in one line of another program.
    pub error: String,
}

/// An attribute in the head of a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeadRow {
    /// The channel.
    pub channel: i64,
    /// The attribute's number.
    pub attribute: i64,
    /// The attribute path.
    pub path: Box<str>,
    /// The package's number.
    pub package: i64,
    /// The package's key.
    pub key: Box<str>,
    /// The derivation's name.
    pub name: Box<str>,
    /// The version; empty if it has none.
    pub version: Box<str>,
    /// The fact's number.
    pub fact: i64,
    /// The path of its derivation, packed.
    pub drv: Option<Box<[u8]>>,
    /// Its outputs, packed.
    pub outputs: Option<Box<[u8]>>,
    /// The evaluation since which it has this version.
    pub since: i64,
}

impl HeadRow {
    /// The path of its derivation.
    pub fn drv_path(&self) -> Option<String> {
        super::paths::unpack_drv(&self.name, self.drv.as_deref()?)
    }

    /// Its outputs with their paths.
    pub fn output_paths(&self) -> Vec<super::paths::Output> {
        self.outputs
            .as_deref()
            .and_then(|packed| super::paths::unpack_outputs(&self.name, packed))
            .unwrap_or_default()
    }
}

/// A version that an attribute had for some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionRow {
    /// The channel.
    pub channel: i64,
    /// The attribute path.
    pub path: String,
    /// The version.
    pub version: String,
    /// The first evaluation with it, and when that was.
    pub first: (i64, Timestamp),
    /// The last evaluation with it; nothing if the head has it.
    pub last: Option<(i64, Timestamp)>,
}

const EVALUATION: &str = "id, channel, revision, evaluated_at, ingested_at, parent, packages, failed, \
                          added, removed, changed, rebuilt";

pub(super) fn evaluation<S: Session + ?Sized>(
    session: &mut S,
    id: i64,
) -> Result<Option<Evaluation>, DbError> {
    let sql = format!("SELECT {EVALUATION} FROM evaluation WHERE id = $1");
    session
        .query(&sql, &[id.into()])?
        .first()
        .map(read_evaluation)
        .transpose()
}

pub(super) fn evaluations<S: Session + ?Sized>(
    session: &mut S,
    channel: i64,
    before: Option<i64>,
    limit: usize,
) -> Result<Vec<Evaluation>, DbError> {
    // In a channel, numbers and times go up together.
    let sql = format!(
        "SELECT {EVALUATION} FROM evaluation WHERE channel = $1 AND evaluated_at <= coalesce( \
         (SELECT evaluated_at FROM evaluation WHERE id = $2), $3) AND id < $4 \
         ORDER BY evaluated_at DESC, id DESC LIMIT $5"
    );
    let values: [Value<'_>; 5] = [
        channel.into(),
        before.into(),
        i64::MAX.into(),
        before.unwrap_or(i64::MAX).into(),
        limit_of(limit).into(),
    ];
    session.query(&sql, &values)?.map(read_evaluation)
}

pub(super) fn evaluations_since<S: Session + ?Sized>(
    session: &mut S,
    channel: i64,
    time: Timestamp,
    limit: usize,
) -> Result<Vec<Evaluation>, DbError> {
    let sql = format!(
        "SELECT {EVALUATION} FROM evaluation WHERE channel = $1 AND evaluated_at >= $2 \
         ORDER BY evaluated_at, id LIMIT $3"
    );
    let values = [channel.into(), time.into(), limit_of(limit).into()];
    session.query(&sql, &values)?.map(read_evaluation)
}

pub(super) fn failures<S: Session + ?Sized>(
    session: &mut S,
    evaluation: i64,
) -> Result<Vec<Failure>, DbError> {
    let sql = "SELECT failures FROM evaluation WHERE id = $1";
    let rows = session.query(sql, &[evaluation.into()])?;
    let Some(row) = rows.first() else {
        return Ok(Vec::new());
    };
    let Some(packed) = row.get::<Option<&[u8]>>(0)? else {
        return Ok(Vec::new());
    };
    let wrong = |reason: String| DbError::Content {
        what: format!("what failed in evaluation {evaluation}"),
        reason,
    };
    let json = zstd::bulk::decompress(packed, MOST_FAILURES).map_err(|e| wrong(e.to_string()))?;
    let read: Vec<(String, String)> =
        serde_json::from_slice(&json).map_err(|error| wrong(error.to_string()))?;
    let failures = read
        .into_iter()
        .map(|(attribute, error)| Failure { attribute, error });
    Ok(failures.collect())
}

/// How many bytes the list of failures may have.
pub(super) const MOST_FAILURES: usize = 4 << 20;

pub(super) fn set_of<S: Session + ?Sized>(
    session: &mut S,
    evaluation: i64,
) -> Result<Option<Set>, DbError> {
    let sql =
        "SELECT c.id, c.head FROM evaluation e JOIN channel c ON c.id = e.channel WHERE e.id = $1";
    let rows = session.query(sql, &[evaluation.into()])?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let (channel, head) = (row.get(0)?, row.get(1)?);
    let mut set = head_set(session, channel)?;
    let at = back(session, head, Some(evaluation), &mut set)?;
    Ok(at.map(|_| set))
}

pub(super) fn walk_back<S: Session + ?Sized>(session: &mut S, channel: i64) -> Result<(), DbError> {
    let rows = session.query("SELECT head FROM channel WHERE id = $1", &[channel.into()])?;
    let head: Option<Option<i64>> = rows.first().map(|row| row.get(0)).transpose()?;
    let mut set = head_set(session, channel)?;
    back(session, head.flatten(), None, &mut set).map(drop)
}

/// Goes back from an evaluation, of which `set` is what it says, to another one or as far as it goes; that
/// it came to the other one, if it did.
fn back<S: Session + ?Sized>(
    session: &mut S,
    from: Option<i64>,
    to: Option<i64>,
    set: &mut Set,
) -> Result<Option<i64>, DbError> {
    let mut at = from;
    while let Some(id) = at.filter(|id| Some(*id) != to) {
        let sql = "SELECT parent, delta FROM evaluation WHERE id = $1";
        let rows = session.query(sql, &[id.into()])?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let Some(delta) = row.get::<Option<&[u8]>>(1)? else {
            return Ok(None);
        };
        let applied = Delta::decode(delta).and_then(|delta| delta.apply(set));
        applied.map_err(|error| DbError::Content {
            what: format!("the delta of evaluation {id}"),
            reason: error.to_string(),
        })?;
        at = row.get(0)?;
    }
    Ok(at)
}

pub(super) fn forget_before<S: Session + ?Sized>(
    session: &mut S,
    evaluation: i64,
) -> Result<u64, DbError> {
    // The delta of an evaluation leads to its parent, so that it goes with this one's own.
    let sql = "UPDATE evaluation SET delta = NULL WHERE delta IS NOT NULL AND id <= $1 \
               AND channel = (SELECT channel FROM evaluation WHERE id = $1)";
    session.execute(sql, &[evaluation.into()])
}

/// The head of a channel as deltas take it.
fn head_set<S: Session + ?Sized>(session: &mut S, channel: i64) -> Result<Set, DbError> {
    let mut set = Set::new();
    let sql =
        "SELECT attribute, package, name, version, fact, drv, outputs FROM head WHERE channel = $1";
    session.for_each(sql, &[channel.into()], &mut |row| {
        let held = Held {
            package: row.get(1)?,
            name: row.get::<&str>(2)?.into(),
            version: row.get::<&str>(3)?.into(),
            fact: row.get(4)?,
            drv: row.get::<Option<&[u8]>>(5)?.map(Into::into),
            outputs: row.get::<Option<&[u8]>>(6)?.map(Into::into),
        };
        set.insert(row.get(0)?, held);
        Ok(())
    })?;
    Ok(set)
}

const HEAD: &str = "SELECT h.channel, h.attribute, a.path, h.package, p.key, h.name, h.version, h.fact, \
                    h.drv, h.outputs, h.since FROM head h JOIN attribute a ON a.id = h.attribute \
                    JOIN package p ON p.id = h.package";

pub(super) fn head<S: Session + ?Sized>(
    session: &mut S,
    channel: i64,
    packages: Option<&[i64]>,
) -> Result<Vec<HeadRow>, DbError> {
    let mut rows = Vec::new();
    let mut each = |row: Row<'_>| {
        rows.push(read_head(row)?);
        Ok(())
    };
    match packages {
        None => {
            let sql = format!("{HEAD} WHERE h.channel = $1 ORDER BY h.attribute");
            session.for_each(&sql, &[channel.into()], &mut each)?;
        }
        Some(packages) => {
            let sql =
                format!("{HEAD} WHERE h.package {{in:2}} AND h.channel = $1 ORDER BY h.attribute");
            session.for_each(&sql, &[channel.into(), packages.into()], &mut each)?;
        }
    }
    Ok(rows)
}

pub(super) fn heads_of<S: Session + ?Sized>(
    session: &mut S,
    package: i64,
) -> Result<Vec<HeadRow>, DbError> {
    let sql = format!("{HEAD} WHERE h.package = $1 ORDER BY h.channel, a.path");
    session.query(&sql, &[package.into()])?.map(read_head)
}

pub(super) fn facts<S: Session + ?Sized>(
    session: &mut S,
    ids: &[i64],
) -> Result<FxHashMap<i64, Fact>, DbError> {
    let mut facts = FxHashMap::default();
    for ids in ids.chunks(5_000) {
        let sql = "SELECT id, body FROM fact WHERE id {in:1}";
        session.for_each(sql, &[ids.into()], &mut |row| {
            facts.insert(row.get(0)?, bodies::unpack(row.get(1)?)?);
            Ok(())
        })?;
    }
    Ok(facts)
}

pub(super) fn versions_of<S: Session + ?Sized>(
    session: &mut S,
    package: i64,
    limit: usize,
) -> Result<Vec<VersionRow>, DbError> {
    let sql = "SELECT v.channel, a.path, v.version, v.first, f.evaluated_at, v.last, l.evaluated_at \
               FROM version v JOIN attribute a ON a.id = v.attribute \
               JOIN evaluation f ON f.id = v.first LEFT JOIN evaluation l ON l.id = v.last \
               JOIN channel c ON c.id = v.channel \
               WHERE v.package = $1 ORDER BY c.position, a.path, v.first DESC LIMIT $2";
    let rows = session.query(sql, &[package.into(), limit_of(limit).into()])?;
    rows.map(|row| {
        let last: Option<i64> = row.get(5)?;
        Ok(VersionRow {
            channel: row.get(0)?,
            path: row.get(1)?,
            version: row.get(2)?,
            first: (row.get(3)?, row.get(4)?),
            last: last.zip(row.get(6)?),
        })
    })
}

fn read_evaluation(row: Row<'_>) -> Result<Evaluation, DbError> {
    Ok(Evaluation {
        id: row.get(0)?,
        channel: row.get(1)?,
        revision: row.get(2)?,
        evaluated_at: row.get(3)?,
        ingested_at: row.get(4)?,
        parent: row.get(5)?,
        packages: row.get(6)?,
        failed: row.get(7)?,
        added: row.get(8)?,
        removed: row.get(9)?,
        changed: row.get(10)?,
        rebuilt: row.get(11)?,
    })
}

fn read_head(row: Row<'_>) -> Result<HeadRow, DbError> {
    Ok(HeadRow {
        channel: row.get(0)?,
        attribute: row.get(1)?,
        path: row.get::<&str>(2)?.into(),
        package: row.get(3)?,
        key: row.get::<&str>(4)?.into(),
        name: row.get::<&str>(5)?.into(),
        version: row.get::<&str>(6)?.into(),
        fact: row.get(7)?,
        drv: row.get::<Option<&[u8]>>(8)?.map(Into::into),
        outputs: row.get::<Option<&[u8]>>(9)?.map(Into::into),
        since: row.get(10)?,
    })
}
