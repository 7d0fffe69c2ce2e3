//! Names: each leads to one advisory, whatever became of that one since.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::{Bulk, DbError, Session, Value};

pub(super) fn advisories_of<S: Session + ?Sized>(
    session: &mut S,
    names: &[String],
) -> Result<HashMap<String, i64>, DbError> {
    let rows = session.query(
        "SELECT name, advisory FROM alias WHERE name {in:1}",
        &[names.into()],
    )?;
    Ok(rows
        .map(|row| Ok((row.get(0)?, row.get(1)?)))?
        .into_iter()
        .collect())
}

pub(super) fn add<S: Session + ?Sized>(
    session: &mut S,
    names: &[String],
    now: Timestamp,
) -> Result<HashMap<String, i64>, DbError> {
    let bulk = Bulk::new("advisory")
        .text("name")
        .int("first_seen")
        .int("changed_at")
        .then("ON CONFLICT (name) DO NOTHING");
    let rows: Vec<Vec<Value<'_>>> = names
        .iter()
        .map(|name| vec![name.into(), now.into(), now.into()])
        .collect();
    session.insert_many(&bulk, &rows)?;
    named(session, names)
}

pub(super) fn named<S: Session + ?Sized>(
    session: &mut S,
    names: &[String],
) -> Result<HashMap<String, i64>, DbError> {
    let rows = session.query(
        "SELECT name, id FROM advisory WHERE name {in:1}",
        &[names.into()],
    )?;
    Ok(rows
        .map(|row| Ok((row.get(0)?, row.get(1)?)))?
        .into_iter()
        .collect())
}

pub(super) fn rename<S: Session + ?Sized>(
    session: &mut S,
    id: i64,
    name: &str,
) -> Result<(), DbError> {
    session.execute(
        "UPDATE advisory SET name = $2 WHERE id = $1",
        &[id.into(), name.into()],
    )?;
    Ok(())
}

/// What is merged is in no list: lists go by what is taken away here.
pub(super) fn merge<S: Session + ?Sized>(
    session: &mut S,
    from: i64,
    into: i64,
) -> Result<(), DbError> {
    session.execute(
        "UPDATE advisory SET merged_into = $2, changed_at = 0, published = NULL, exploited = NULL, \
         candidates = 0, open = 0, rank = 0 WHERE id = $1",
        &[from.into(), into.into()],
    )?;
    session.execute("DELETE FROM speaks WHERE advisory = $1", &[from.into()])?;
    session.execute(
        "UPDATE alias SET advisory = $2 WHERE advisory = $1",
        &[from.into(), into.into()],
    )?;
    session.execute(
        "UPDATE advisory SET merged_into = $2 WHERE merged_into = $1",
        &[from.into(), into.into()],
    )?;
    Ok(())
}

pub(super) fn lead<S: Session + ?Sized>(
    session: &mut S,
    names: &[(String, i64)],
) -> Result<(), DbError> {
    let bulk = Bulk::new("alias").text("name").int("advisory").then(
        "ON CONFLICT (name) DO UPDATE SET advisory = excluded.advisory \
         WHERE alias.advisory <> excluded.advisory",
    );
    let rows: Vec<Vec<Value<'_>>> = names
        .iter()
        .map(|(name, advisory)| vec![name.into(), (*advisory).into()])
        .collect();
    session.insert_many(&bulk, &rows)?;
    Ok(())
}
