//! Who maintains what, as the heads of all channels say.

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashMap;

use super::limit_of;
use crate::{Bulk, DbError, Row, Session};

/// A person or a team. People are called as at GitHub: whoever is renamed there is another one here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Maintainer {
    /// Its number.
    pub id: i64,
    /// What it is.
    pub kind: MaintainerKind,
    /// The name of a person at GitHub, or a team's short name.
    pub name: String,
    /// A team's name at GitHub, if it is told.
    pub github: Option<String>,
}

/// What a maintainer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MaintainerKind {
    /// One person.
    Person,
    /// Several people under one name.
    Team,
}

impl MaintainerKind {
    /// Its number in the database.
    pub const fn to_code(self) -> i64 {
        match self {
            Self::Person => 0,
            Self::Team => 1,
        }
    }

    fn from_code(code: i64) -> Result<Self, DbError> {
        match code {
            0 => Ok(Self::Person),
            1 => Ok(Self::Team),
            other => Err(DbError::Content {
                what: "the kind of a maintainer".to_owned(),
                reason: format!("{other} is none"),
            }),
        }
    }
}

pub(super) fn of_package<S: Session + ?Sized>(
    session: &mut S,
    package: i64,
) -> Result<Vec<Maintainer>, DbError> {
    let sql = "SELECT m.id, m.kind, m.name, m.github FROM maintains s \
               JOIN maintainer m ON m.id = s.maintainer WHERE s.package = $1 \
               ORDER BY m.kind DESC, lower(m.name)";
    session.query(sql, &[package.into()])?.map(read)
}

pub(super) fn by_name<S: Session + ?Sized>(
    session: &mut S,
    kind: MaintainerKind,
    name: &str,
) -> Result<Option<Maintainer>, DbError> {
    let sql = "SELECT id, kind, name, github FROM maintainer WHERE lower(name) = $1 AND kind = $2";
    let values = [name.to_ascii_lowercase().into(), kind.to_code().into()];
    session.query(sql, &values)?.first().map(read).transpose()
}

pub(super) fn packages<S: Session + ?Sized>(
    session: &mut S,
    maintainer: i64,
    after: i64,
    limit: usize,
) -> Result<Vec<(i64, String)>, DbError> {
    let sql = "SELECT p.id, p.key FROM maintains s JOIN package p ON p.id = s.package \
               WHERE s.maintainer = $1 AND s.package > $2 ORDER BY s.package LIMIT $3";
    let values = [maintainer.into(), after.into(), limit_of(limit).into()];
    session
        .query(sql, &values)?
        .map(|row| Ok((row.get(0)?, row.get(1)?)))
}

/// Sets who maintains these packages, and how many attributes they have, after their heads changed.
pub(super) fn update<S: Session + ?Sized>(
    session: &mut S,
    packages: &[i64],
) -> Result<(), DbError> {
    for packages in packages.chunks(AT_ONCE) {
        let said = said(session, packages)?;
        let numbers = numbers(session, &said)?;
        let mut wanted: BTreeSet<(i64, i64)> = BTreeSet::new();
        for (who, of) in &said {
            if let Some(maintainer) = numbers.get(&(who.kind, who.name.to_ascii_lowercase())) {
                wanted.extend(of.iter().map(|package| (*maintainer, *package)));
            }
        }
        let sql = "SELECT maintainer, package FROM maintains WHERE package {in:1}";
        let held: BTreeSet<(i64, i64)> = session
            .query(sql, &[packages.into()])?
            .map(|row| Ok((row.get(0)?, row.get(1)?)))?
            .into_iter()
            .collect();
        let rows = |pairs: &mut dyn Iterator<Item = &(i64, i64)>| -> Vec<_> {
            pairs
                .map(|(who, of)| vec![(*who).into(), (*of).into()])
                .collect()
        };
        let bulk = Bulk::new("maintains")
            .int("maintainer")
            .int("package")
            .key();
        session.delete_many(&bulk, &rows(&mut held.difference(&wanted)))?;
        session.insert_many(&bulk, &rows(&mut wanted.difference(&held)))?;
        let sql = "UPDATE package SET attributes = (SELECT count(DISTINCT head.attribute) FROM head \
                   WHERE head.package = package.id) WHERE id {in:1}";
        session.execute(sql, &[packages.into()])?;
    }
    Ok(())
}

/// How many packages are looked at with one statement.
const AT_ONCE: usize = 4_000;

/// A maintainer as facts name it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Who {
    kind: MaintainerKind,
    name: Box<str>,
    github: Option<Box<str>>,
}

/// Who is said to maintain which of these packages.
fn said<S: Session + ?Sized>(
    session: &mut S,
    packages: &[i64],
) -> Result<BTreeMap<Who, BTreeSet<i64>>, DbError> {
    let mut by_fact: FxHashMap<i64, BTreeSet<i64>> = FxHashMap::default();
    let sql = "SELECT DISTINCT fact, package FROM head WHERE package {in:1}";
    session.for_each(sql, &[packages.into()], &mut |row| {
        by_fact.entry(row.get(0)?).or_default().insert(row.get(1)?);
        Ok(())
    })?;
    let ids: Vec<i64> = by_fact.keys().copied().collect();
    let mut said: BTreeMap<Who, BTreeSet<i64>> = BTreeMap::new();
    for (id, fact) in super::read::facts(session, &ids)? {
        let people = fact.maintainers.into_iter().map(|name| Who {
            kind: MaintainerKind::Person,
            name,
            github: None,
        });
        let teams = fact.teams.into_iter().map(|team| Who {
            kind: MaintainerKind::Team,
            name: team.name,
            github: team.github,
        });
        for who in people.chain(teams) {
            // Neither is a name, and one of the engines does not take it.
            if who.name.is_empty() || who.name.contains('\0') {
                continue;
            }
            if let Some(of) = by_fact.get(&id) {
                said.entry(who).or_default().extend(of);
            }
        }
    }
    Ok(said)
}

type Numbers = FxHashMap<(MaintainerKind, String), i64>;

/// The numbers of maintainers, made where there are none yet.
fn numbers<S: Session + ?Sized>(
    session: &mut S,
    said: &BTreeMap<Who, BTreeSet<i64>>,
) -> Result<Numbers, DbError> {
    let names: BTreeSet<String> = said
        .keys()
        .map(|who| who.name.to_ascii_lowercase())
        .collect();
    let names: Vec<String> = names.into_iter().collect();
    let find = |session: &mut S| -> Result<Numbers, DbError> {
        let sql = "SELECT kind, lower(name), id FROM maintainer WHERE lower(name) {in:1}";
        let mut found = Numbers::default();
        session.for_each(sql, &[(&names).into()], &mut |row| {
            let kind = MaintainerKind::from_code(row.get(0)?)?;
            found.insert((kind, row.get(1)?), row.get(2)?);
            Ok(())
        })?;
        Ok(found)
    };
    let found = find(session)?;
    let mut new = BTreeMap::new();
    for who in said.keys() {
        let key = (who.kind, who.name.to_ascii_lowercase());
        if !found.contains_key(&key) {
            new.entry(key).or_insert(who);
        }
    }
    if new.is_empty() {
        return Ok(found);
    }
    let rows: Vec<_> = new
        .values()
        .map(|who| {
            vec![
                who.kind.to_code().into(),
                (&*who.name).into(),
                who.github.as_deref().into(),
            ]
        })
        .collect();
    let bulk = Bulk::new("maintainer")
        .int("kind")
        .text("name")
        .text("github")
        // Another instance may take another channel at the same time.
        .then("ON CONFLICT DO NOTHING");
    session.insert_many(&bulk, &rows)?;
    find(session)
}

fn read(row: Row<'_>) -> Result<Maintainer, DbError> {
    Ok(Maintainer {
        id: row.get(0)?,
        kind: MaintainerKind::from_code(row.get(1)?)?,
        name: row.get(2)?,
        github: row.get(3)?,
    })
}
