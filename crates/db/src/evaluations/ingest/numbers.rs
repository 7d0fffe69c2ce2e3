//! The numbers of the rows that the attributes of an evaluation refer to: found, or made.

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use rustc_hash::FxHashMap;

use super::{Head, NewAttribute, NewFact, NewPackage};
use crate::evaluations::delta::{Held, Set};
use crate::evaluations::facts::Packer;
use crate::{Bulk, DbError, Dialect, Session, Value};

/// The numbers of the rows that attributes refer to.
pub(super) struct Numbers {
    attributes: FxHashMap<Box<str>, i64>,
    packages: FxHashMap<Box<str>, i64>,
    facts: FxHashMap<[u8; 20], i64>,
}

impl Numbers {
    /// Finds the rows, and makes those that are not there.
    pub(super) fn find<S: Session + ?Sized>(
        session: &mut S,
        head: &Head,
        new: &BTreeMap<&str, &NewAttribute>,
    ) -> Result<Self, DbError> {
        let mut packages = head.packages.clone();
        let mut missing: BTreeMap<&str, &NewPackage> = BTreeMap::new();
        for attribute in new.values() {
            if !packages.contains_key(&attribute.package.key) {
                missing.insert(&attribute.package.key, &attribute.package);
            }
        }
        let rows = missing.values().map(|package| {
            let language = package.language.as_deref();
            vec![
                (&*package.key).into(),
                (&*package.name).into(),
                language.into(),
            ]
        });
        let bulk = Bulk::new("package")
            .text("key")
            .text("name")
            .text("language");
        let bulk = bulk.then("ON CONFLICT DO NOTHING");
        let sql = "SELECT key, id FROM package WHERE key {in:1}";
        add_by_name(session, &bulk, rows.collect(), sql, &missing, &mut packages)?;

        let mut facts = head.facts.clone();
        add_facts(
            session,
            new.values().map(|attribute| &attribute.fact),
            &mut facts,
        )?;

        let mut attributes = head.paths.clone();
        let missing: BTreeMap<&str, i64> = new
            .iter()
            .filter(|(path, _)| !attributes.contains_key(**path))
            .filter_map(|(path, new)| Some((*path, *packages.get(&new.package.key)?)))
            .collect();
        let rows = missing
            .iter()
            .map(|(path, package)| vec![(*path).into(), (*package).into()]);
        let bulk = Bulk::new("attribute").text("path").int("package");
        let bulk = bulk.then("ON CONFLICT DO NOTHING");
        let sql = "SELECT path, id FROM attribute WHERE path {in:1}";
        add_by_name(
            session,
            &bulk,
            rows.collect(),
            sql,
            &missing,
            &mut attributes,
        )?;
        Ok(Self {
            attributes,
            packages,
            facts,
        })
    }

    /// What the evaluation says, by number.
    pub(super) fn set(&self, new: &BTreeMap<&str, &NewAttribute>) -> Set {
        new.values()
            .filter_map(|new| {
                let held = Held {
                    package: *self.packages.get(&new.package.key)?,
                    name: new.name.clone(),
                    version: new.version.clone(),
                    fact: *self.facts.get(&new.fact.digest)?,
                    drv: new.drv.clone(),
                    outputs: new.outputs.clone(),
                };
                Some((*self.attributes.get(&new.path)?, held))
            })
            .collect()
    }
}

/// How many names are looked up with one statement.
const AT_ONCE: usize = 5_000;

/// Finds the numbers of names; those that are not there are made of the rows, which are in the order of
/// the names.
fn add_by_name<S: Session + ?Sized, T>(
    session: &mut S,
    bulk: &Bulk,
    rows: Vec<Vec<Value<'_>>>,
    sql: &str,
    missing: &BTreeMap<&str, T>,
    numbers: &mut FxHashMap<Box<str>, i64>,
) -> Result<(), DbError> {
    let names: Vec<String> = missing.keys().map(|name| (*name).to_owned()).collect();
    find_names(session, sql, &names, numbers)?;
    let is_new = |name: &str| !numbers.contains_key(name);
    let rows: Vec<_> = names
        .iter()
        .zip(rows)
        .filter(|(name, _)| is_new(name))
        .map(|(_, row)| row)
        .collect();
    session.insert_many(bulk, &rows)?;
    let new: Vec<String> = names.iter().filter(|name| is_new(name)).cloned().collect();
    find_names(session, sql, &new, numbers)
}

fn find_names<S: Session + ?Sized>(
    session: &mut S,
    sql: &str,
    names: &[String],
    numbers: &mut FxHashMap<Box<str>, i64>,
) -> Result<(), DbError> {
    for names in names.chunks(AT_ONCE) {
        session.for_each(sql, &[names.into()], &mut |row| {
            numbers.insert(row.get::<&str>(0)?.into(), row.get(1)?);
            Ok(())
        })?;
    }
    Ok(())
}

/// Finds the numbers of facts; those that are not there are made.
fn add_facts<'f, S: Session + ?Sized>(
    session: &mut S,
    facts: impl Iterator<Item = &'f NewFact>,
    numbers: &mut FxHashMap<[u8; 20], i64>,
) -> Result<(), DbError> {
    let missing: BTreeMap<[u8; 20], &NewFact> = facts
        .filter(|fact| !numbers.contains_key(&fact.digest))
        .map(|fact| (fact.digest, fact))
        .collect();
    let digests: Vec<[u8; 20]> = missing.keys().copied().collect();
    find_facts(session, &digests, numbers)?;
    let new: Vec<[u8; 20]> = digests
        .into_iter()
        .filter(|digest| !numbers.contains_key(digest))
        .collect();
    let mut packer = Packer::new()?;
    let bulk = Bulk::new("fact")
        .bytes("digest")
        .bytes("body")
        .then("ON CONFLICT DO NOTHING");
    for digests in new.chunks(AT_ONCE) {
        let rows: Vec<Vec<Value<'_>>> = digests
            .iter()
            .filter_map(|digest| Some((digest, missing.get(digest)?)))
            .map(|(digest, fact)| Ok(vec![digest.into(), packer.pack(&fact.json)?.into()]))
            .collect::<Result<_, DbError>>()?;
        session.insert_many(&bulk, &rows)?;
    }
    find_facts(session, &new, numbers)
}

fn find_facts<S: Session + ?Sized>(
    session: &mut S,
    digests: &[[u8; 20]],
    numbers: &mut FxHashMap<[u8; 20], i64>,
) -> Result<(), DbError> {
    // Lists of bytes are no parameters: they go as texts.
    let sql = match session.dialect() {
        Dialect::Sqlite => {
            "SELECT digest, id FROM fact WHERE digest IN (SELECT unhex(value) FROM json_each($1))"
        }
        Dialect::Postgres => {
            "SELECT digest, id FROM fact \
             WHERE digest = ANY (ARRAY(SELECT decode(hex, 'hex') FROM unnest($1::text[]) AS hex))"
        }
    };
    for digests in digests.chunks(AT_ONCE) {
        let hex: Vec<String> = digests
            .iter()
            .map(|digest| HEXLOWER.encode(digest))
            .collect();
        session.for_each(sql, &[hex.into()], &mut |row| {
            numbers.insert(row.get(0)?, row.get(1)?);
            Ok(())
        })?;
    }
    Ok(())
}
