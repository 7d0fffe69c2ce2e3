//! What follows from the heads of all channels together: who maintains what, and by which words packages
//! are found.

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashMap;
use snowguard_inventory::Fact;

use super::limit_of;
use crate::search::{Document, Search as _};
use crate::{Bulk, DbError, Row, Session};

/// A person or a team. People are called as at GitHub: whoever is renamed there is another one here, but acts as
/// before where the package set tells their number.
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

/// Sets who maintains these packages, by which words they are found, and how many attributes they have,
/// after their heads changed.
pub(super) fn update<S: Session + ?Sized>(
    session: &mut S,
    packages: &[i64],
) -> Result<(), DbError> {
    for packages in packages.chunks(AT_ONCE) {
        let heads = Heads::load(session, packages)?;
        heads.write_words(session, packages)?;
        let said = heads.said();
        let numbers = numbers(session, &said)?;
        heads.bind(session, &numbers)?;
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

/// What the heads of all channels say of some packages.
struct Heads {
    facts: FxHashMap<i64, Fact>,
    /// Of which packages each fact is said.
    of: FxHashMap<i64, BTreeSet<i64>>,
}

impl Heads {
    fn load<S: Session + ?Sized>(session: &mut S, packages: &[i64]) -> Result<Self, DbError> {
        let mut of: FxHashMap<i64, BTreeSet<i64>> = FxHashMap::default();
        let sql = "SELECT DISTINCT fact, package FROM head WHERE package {in:1}";
        session.for_each(sql, &[packages.into()], &mut |row| {
            of.entry(row.get(0)?).or_default().insert(row.get(1)?);
            Ok(())
        })?;
        let ids: Vec<i64> = of.keys().copied().collect();
        let facts = super::read::facts(session, &ids)?;
        Ok(Self { facts, of })
    }

    /// Each fact with the packages of which it is said.
    fn each(&self) -> impl Iterator<Item = (&Fact, &BTreeSet<i64>)> {
        let facts = self.facts.iter();
        facts.filter_map(|(id, fact)| Some((fact, self.of.get(id)?)))
    }

    /// Who is said to maintain which packages.
    fn said(&self) -> BTreeMap<Who, BTreeSet<i64>> {
        let mut said: BTreeMap<Who, BTreeSet<i64>> = BTreeMap::new();
        for (fact, packages) in self.each() {
            let people = fact.maintainers.iter().map(|name| Who {
                kind: MaintainerKind::Person,
                name: name.clone(),
                github: None,
            });
            let teams = fact.teams.iter().map(|team| Who {
                kind: MaintainerKind::Team,
                name: team.name.clone(),
                github: team.github.clone(),
            });
            for who in people.chain(teams) {
                // Neither is a name, and one of the engines does not take it.
                if !who.name.is_empty() && !who.name.contains('\0') {
                    said.entry(who).or_default().extend(packages);
                }
            }
        }
        said
    }

    /// Keeps the numbers of people at GitHub as they are said last; what is said in two ways at once is none. Whoever
    /// acts as one of them and has another number came by a name that was somebody else's, and does so no longer.
    fn bind<S: Session + ?Sized>(&self, session: &mut S, numbers: &Numbers) -> Result<(), DbError> {
        let mut said: BTreeMap<i64, BTreeSet<i64>> = BTreeMap::new();
        for (fact, _) in self.each() {
            for (name, number) in &fact.github_ids {
                let key = (MaintainerKind::Person, name.to_ascii_lowercase());
                if let Some(maintainer) = numbers.get(&key) {
                    said.entry(*maintainer).or_default().insert(*number);
                }
            }
        }
        let mut rows: Vec<(i64, i64)> = said
            .into_iter()
            .filter(|(_, numbers)| numbers.len() == 1)
            .filter_map(|(maintainer, numbers)| Some((maintainer, *numbers.first()?)))
            .collect();
        let ids: Vec<i64> = rows.iter().map(|(maintainer, _)| *maintainer).collect();
        let sql = "SELECT id, github_id FROM maintainer WHERE id {in:1} AND github_id IS NOT NULL";
        let known: BTreeSet<(i64, i64)> = session
            .query(sql, &[ids.into()])?
            .map(|row| Ok((row.get(0)?, row.get(1)?)))?
            .into_iter()
            .collect();
        rows.retain(|row| !known.contains(row));
        if rows.is_empty() {
            return Ok(());
        }
        let bulk = Bulk::new("maintainer").int("id").key().int("github_id");
        let values: Vec<Vec<_>> = rows
            .iter()
            .map(|(maintainer, number)| vec![(*maintainer).into(), (*number).into()])
            .collect();
        session.update_many(&bulk, &values)?;
        let ids: Vec<i64> = rows.iter().map(|(maintainer, _)| *maintainer).collect();
        session.execute(
            "UPDATE account SET maintainer = NULL WHERE maintainer {in:1} AND EXISTS \
             (SELECT 1 FROM maintainer m WHERE m.id = account.maintainer \
             AND (account.github_id IS NULL OR m.github_id <> account.github_id))",
            &[ids.into()],
        )?;
        Ok(())
    }

    /// Packages are found by the words of their descriptions.
    fn write_words<S: Session + ?Sized>(
        &self,
        session: &mut S,
        packages: &[i64],
    ) -> Result<(), DbError> {
        let mut words: BTreeMap<i64, BTreeSet<&str>> = BTreeMap::new();
        for (fact, packages) in self.each() {
            if let Some(description) = &fact.description {
                for package in packages {
                    words.entry(*package).or_default().insert(description);
                }
            }
        }
        let silent = packages
            .iter()
            .filter(|package| !words.contains_key(package));
        let silent: Vec<Document> = silent.map(|package| Document::Package(*package)).collect();
        session.forget_words(&silent)?;
        let words: Vec<(Document, Vec<&str>)> = words
            .into_iter()
            .map(|(package, texts)| (Document::Package(package), texts.into_iter().collect()))
            .collect();
        session.set_words(&words)
    }
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
