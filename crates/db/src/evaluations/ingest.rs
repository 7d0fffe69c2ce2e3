//! Takes an evaluation into the database: what differs from the head is written, and what leads back.

mod numbers;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use rustc_hash::{FxHashMap, FxHashSet};

use self::numbers::Numbers;
use super::channel;
use super::delta::{Delta, Held, Set};
use super::read::MOST_FAILURES;
use crate::findings::mark_stale;
use crate::{Bulk, DbError, Session, Value};

/// An evaluation that is new.
#[derive(Debug, Clone)]
pub struct NewEvaluation<'e> {
    /// Its channel.
    pub channel: i64,
    /// The revision of the package set, by which it is known again.
    pub revision: &'e str,
    /// When the revision was made.
    pub evaluated_at: Timestamp,
    /// Now.
    pub ingested_at: Timestamp,
    /// What it says of each attribute. Of two with the same path the first counts.
    pub attributes: &'e [NewAttribute],
    /// What could not be evaluated: attribute path and why.
    pub failures: &'e [(Box<str>, Box<str>)],
    /// Whether it may have far fewer attributes than the head.
    pub shrinking: Shrinking,
}

/// What happens with an evaluation that lacks many attributes of the head: mostly it was cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Shrinking {
    /// It is refused.
    #[default]
    Refused,
    /// It is taken.
    Taken,
}

impl Shrinking {
    /// Of so many attributes of the head one may be missing without further ado.
    const SHARE: usize = 5;
}

/// What an evaluation says of an attribute. Texts hold no NUL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAttribute {
    /// The attribute path.
    pub path: Box<str>,
    /// The package that it is.
    pub package: NewPackage,
    /// The derivation's name.
    pub name: Box<str>,
    /// The version; empty if it has none.
    pub version: Box<str>,
    /// What else is said.
    pub fact: NewFact,
    /// The path of its derivation, packed.
    pub drv: Option<Box<[u8]>>,
    /// Its outputs, packed.
    pub outputs: Option<Box<[u8]>>,
}

/// A package, by its identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPackage {
    /// Language and name, by which it is known.
    pub key: Box<str>,
    /// Its name.
    pub name: Box<str>,
    /// Its language, if it is a module of one.
    pub language: Option<Box<str>>,
}

/// A fact as bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFact {
    /// The digest of the bytes.
    pub digest: [u8; 20],
    /// What `Fact::encode` wrote.
    pub json: Box<[u8]>,
}

/// What became of an evaluation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It is the head now.
    Taken(Ingested),
    /// The channel has that revision; the number of its evaluation.
    Known(i64),
    /// It is older than the head.
    Older {
        /// The head.
        head: i64,
        /// When that was made.
        evaluated_at: Timestamp,
    },
    /// It lacks many attributes of the head.
    Shrunk {
        /// How many the head has.
        head: usize,
        /// How many of them it lacks.
        missing: usize,
    },
    /// It has no attributes.
    Empty,
}

/// An evaluation that was taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ingested {
    /// Its number.
    pub evaluation: i64,
    /// How many attributes it has.
    pub attributes: usize,
    /// How many of them the head before did not have.
    pub added: usize,
    /// How many only the head before had.
    pub removed: usize,
    /// How many have another version.
    pub changed: usize,
    /// How many are built otherwise.
    pub rebuilt: usize,
    /// Packages of which something that matters to matching is otherwise, in order.
    pub touched: Vec<i64>,
}

pub(super) fn ingest<S: Session + ?Sized>(
    session: &mut S,
    new: &NewEvaluation<'_>,
) -> Result<Outcome, DbError> {
    let parent = channel::lock(session, new.channel)?;
    let sql = "SELECT id FROM evaluation WHERE channel = $1 AND revision = $2";
    let known = session.query(sql, &[new.channel.into(), new.revision.into()])?;
    if let Some(row) = known.first() {
        return Ok(Outcome::Known(row.get(0)?));
    }
    if let Some(head) = parent {
        let sql = "SELECT evaluated_at FROM evaluation WHERE id = $1";
        let rows = session.query(sql, &[head.into()])?;
        let at: Option<Timestamp> = rows.first().map(|row| row.get(0)).transpose()?;
        if let Some(evaluated_at) = at.filter(|at| new.evaluated_at < *at) {
            return Ok(Outcome::Older { head, evaluated_at });
        }
    }
    if new.attributes.is_empty() {
        return Ok(Outcome::Empty);
    }
    let mut attributes: BTreeMap<&str, &NewAttribute> = BTreeMap::new();
    for attribute in new.attributes {
        attributes.entry(&attribute.path).or_insert(attribute);
    }
    let head = Head::load(session, new.channel)?;
    let paths = head.paths.keys();
    let missing = paths
        .filter(|path| !attributes.contains_key(&***path))
        .count();
    if new.shrinking == Shrinking::Refused && missing * Shrinking::SHARE > head.paths.len() {
        return Ok(Outcome::Shrunk {
            head: head.paths.len(),
            missing,
        });
    }
    let numbers = Numbers::find(session, &head, &attributes)?;
    let set = numbers.set(&attributes);
    let changes = Changes::between(&head, &set);
    let evaluation = add_evaluation(session, new, parent, &head, &set, &changes)?;
    write_head(session, new.channel, evaluation, &set, &changes)?;
    write_versions(
        session,
        new.channel,
        evaluation,
        parent,
        &head,
        &set,
        &changes,
    )?;
    session.execute(
        "UPDATE channel SET head = $2 WHERE id = $1",
        &[new.channel.into(), evaluation.into()],
    )?;
    let said: Vec<i64> = changes.said.iter().copied().collect();
    super::maintainer::update(session, &said)?;
    let touched: Vec<i64> = changes.touched.iter().copied().collect();
    mark_stale(session, &touched, new.ingested_at)?;
    Ok(Outcome::Taken(Ingested {
        evaluation,
        attributes: set.len(),
        added: changes.added.len(),
        removed: changes.removed.len(),
        changed: changes.versions,
        rebuilt: changes.rebuilt,
        touched,
    }))
}

/// The head as it was.
#[derive(Default)]
struct Head {
    set: Set,
    /// Since which evaluation each attribute has its version.
    since: FxHashMap<i64, i64>,
    paths: FxHashMap<Box<str>, i64>,
    packages: FxHashMap<Box<str>, i64>,
    facts: FxHashMap<[u8; 20], i64>,
}

impl Head {
    fn load<S: Session + ?Sized>(session: &mut S, channel: i64) -> Result<Self, DbError> {
        let mut head = Self::default();
        let sql = "SELECT h.attribute, h.package, h.name, h.version, h.fact, h.drv, h.outputs, h.since, \
                   a.path, p.key, f.digest FROM head h JOIN attribute a ON a.id = h.attribute \
                   JOIN package p ON p.id = h.package JOIN fact f ON f.id = h.fact WHERE h.channel = $1";
        session.for_each(sql, &[channel.into()], &mut |row| {
            let attribute: i64 = row.get(0)?;
            let held = Held {
                package: row.get(1)?,
                name: row.get::<&str>(2)?.into(),
                version: row.get::<&str>(3)?.into(),
                fact: row.get(4)?,
                drv: row.get::<Option<&[u8]>>(5)?.map(Into::into),
                outputs: row.get::<Option<&[u8]>>(6)?.map(Into::into),
            };
            head.since.insert(attribute, row.get(7)?);
            head.paths.insert(row.get::<&str>(8)?.into(), attribute);
            head.packages
                .insert(row.get::<&str>(9)?.into(), held.package);
            head.facts.insert(row.get(10)?, held.fact);
            head.set.insert(attribute, held);
            Ok(())
        })?;
        Ok(head)
    }
}

/// What is otherwise in the new evaluation.
#[derive(Default)]
struct Changes {
    added: Vec<i64>,
    removed: Vec<i64>,
    /// Of these only the paths are otherwise.
    paths: Vec<i64>,
    /// Of these also something else.
    rows: Vec<i64>,
    /// Of these the version or the package.
    spans: FxHashSet<i64>,
    versions: usize,
    rebuilt: usize,
    /// Packages that must be matched again.
    touched: BTreeSet<i64>,
    /// Packages of which other people may be maintainers now.
    said: BTreeSet<i64>,
}

impl Changes {
    fn between(head: &Head, set: &Set) -> Self {
        let mut changes = Self::default();
        for (attribute, is) in set {
            let Some(was) = head.set.get(attribute) else {
                changes.added.push(*attribute);
                changes.touched.insert(is.package);
                changes.said.insert(is.package);
                continue;
            };
            if is == was {
                continue;
            }
            changes.versions += usize::from(is.version != was.version);
            changes.rebuilt += usize::from((&is.drv, &is.outputs) != (&was.drv, &was.outputs));
            let is_said = is.fact != was.fact || is.package != was.package;
            let is_row = is_said || is.version != was.version || is.name != was.name;
            if !is_row {
                changes.paths.push(*attribute);
                continue;
            }
            changes.rows.push(*attribute);
            changes.touched.extend([is.package, was.package]);
            if is_said {
                changes.said.extend([is.package, was.package]);
            }
            if is.version != was.version || is.package != was.package {
                changes.spans.insert(*attribute);
            }
        }
        for (attribute, was) in &head.set {
            if !set.contains_key(attribute) {
                changes.removed.push(*attribute);
                changes.touched.insert(was.package);
                changes.said.insert(was.package);
            }
        }
        changes
    }
}

fn add_evaluation<S: Session + ?Sized>(
    session: &mut S,
    new: &NewEvaluation<'_>,
    parent: Option<i64>,
    head: &Head,
    set: &Set,
    changes: &Changes,
) -> Result<i64, DbError> {
    let delta = parent.map(|_| Delta::between(set, &head.set).encode());
    let count = |count: usize| Value::Int(i64::try_from(count).unwrap_or(i64::MAX));
    if let Some(parent) = parent {
        // What fails today is what matters; of old evaluations only how much it was.
        let sql = "UPDATE evaluation SET failures = NULL WHERE id = $1";
        session.execute(sql, &[parent.into()])?;
    }
    let rows = session.query(
        "INSERT INTO evaluation (channel, revision, evaluated_at, ingested_at, parent, packages, failed, \
         added, removed, changed, rebuilt, delta, failures) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) RETURNING id",
        &[
            new.channel.into(),
            new.revision.into(),
            new.evaluated_at.into(),
            new.ingested_at.into(),
            parent.into(),
            count(set.len()),
            count(new.failures.len()),
            count(changes.added.len()),
            count(changes.removed.len()),
            count(changes.versions),
            count(changes.rebuilt),
            delta.into(),
            failures(new.failures).into(),
        ],
    )?;
    let row = rows.first().ok_or_else(|| DbError::Content {
        what: "the number of a new evaluation".to_owned(),
        reason: "none was given".to_owned(),
    })?;
    row.get(0)
}

/// As many failures as are kept, packed; nothing if there are none.
fn failures(failures: &[(Box<str>, Box<str>)]) -> Option<Vec<u8>> {
    const MOST: usize = 5_000;
    let kept = &failures[..failures.len().min(MOST)];
    let json = serde_json::to_vec(kept).ok()?;
    let is_kept = !kept.is_empty() && json.len() <= MOST_FAILURES;
    is_kept.then(|| zstd::bulk::compress(&json, 9).ok())?
}

fn write_head<S: Session + ?Sized>(
    session: &mut S,
    channel: i64,
    evaluation: i64,
    set: &Set,
    changes: &Changes,
) -> Result<(), DbError> {
    let keyed = || Bulk::new("head").int("channel").int("attribute").key();
    let removed = changes.removed.iter();
    let rows: Vec<_> = removed
        .map(|id| vec![channel.into(), (*id).into()])
        .collect();
    session.delete_many(&keyed(), &rows)?;
    let held = |ids: &[i64]| -> Vec<(i64, &Held)> {
        ids.iter()
            .filter_map(|id| Some((*id, set.get(id)?)))
            .collect()
    };
    fn paths(held: &Held) -> [Value<'_>; 2] {
        [held.drv.as_deref().into(), held.outputs.as_deref().into()]
    }
    fn said(held: &Held) -> [Value<'_>; 4] {
        let (name, version) = (&*held.name, &*held.version);
        [
            held.package.into(),
            name.into(),
            version.into(),
            held.fact.into(),
        ]
    }
    let rows: Vec<Vec<Value<'_>>> = held(&changes.paths)
        .into_iter()
        .map(|(id, held)| {
            let key: [Value<'_>; 2] = [channel.into(), id.into()];
            key.into_iter().chain(paths(held)).collect()
        })
        .collect();
    session.update_many(&keyed().bytes("drv").bytes("outputs"), &rows)?;
    let rows: Vec<Vec<Value<'_>>> = held(&changes.rows)
        .into_iter()
        .map(|(id, held)| {
            let key: [Value<'_>; 2] = [channel.into(), id.into()];
            key.into_iter()
                .chain(said(held))
                .chain(paths(held))
                .collect()
        })
        .collect();
    let bulk = keyed()
        .int("package")
        .text("name")
        .text("version")
        .int("fact");
    session.update_many(&bulk.bytes("drv").bytes("outputs"), &rows)?;
    let spans = changes.spans.iter();
    let rows: Vec<Vec<Value<'_>>> = spans
        .map(|id| vec![channel.into(), (*id).into(), evaluation.into()])
        .collect();
    session.update_many(&keyed().int("since"), &rows)?;
    let rows: Vec<Vec<Value<'_>>> = held(&changes.added)
        .into_iter()
        .map(|(id, held)| {
            let key: [Value<'_>; 3] = [channel.into(), id.into(), evaluation.into()];
            key.into_iter()
                .chain(said(held))
                .chain(paths(held))
                .collect()
        })
        .collect();
    let bulk = Bulk::new("head")
        .int("channel")
        .int("attribute")
        .int("since");
    let bulk = bulk.int("package").text("name").text("version").int("fact");
    session.insert_many(&bulk.bytes("drv").bytes("outputs"), &rows)?;
    // Where channels disagree on which package an attribute is, the latest word counts.
    let named: Vec<i64> = changes
        .added
        .iter()
        .chain(&changes.spans)
        .copied()
        .collect();
    let sql = "UPDATE attribute SET package = head.package FROM head \
               WHERE head.channel = $1 AND head.attribute = attribute.id AND attribute.id {in:2} \
               AND attribute.package <> head.package";
    session
        .execute(sql, &[channel.into(), named.into()])
        .map(drop)
}

fn write_versions<S: Session + ?Sized>(
    session: &mut S,
    channel: i64,
    evaluation: i64,
    parent: Option<i64>,
    head: &Head,
    set: &Set,
    changes: &Changes,
) -> Result<(), DbError> {
    let ended = changes.removed.iter().chain(&changes.spans);
    let rows: Vec<Vec<Value<'_>>> = ended
        .filter_map(|id| Some((id, head.since.get(id)?)))
        .map(|(id, since)| vec![channel.into(), (*id).into(), (*since).into(), parent.into()])
        .collect();
    let key = || {
        Bulk::new("version")
            .int("channel")
            .int("attribute")
            .int("first")
    };
    session.update_many(&key().key().int("last"), &rows)?;
    let begun = changes.added.iter().chain(&changes.spans);
    let rows: Vec<Vec<Value<'_>>> = begun
        .filter_map(|id| Some((id, set.get(id)?)))
        .map(|(id, held)| {
            vec![
                channel.into(),
                (*id).into(),
                evaluation.into(),
                held.package.into(),
                (&*held.version).into(),
            ]
        })
        .collect();
    session
        .insert_many(&key().int("package").text("version"), &rows)
        .map(drop)
}
