//! Search: by ids and names, from their beginning.

use snowguard_db::{DbError, Session};

use super::ViewError;
use super::common;
use crate::view::{Hit, HitKind, Search};

/// How many hits of a kind are shown.
const HITS: i64 = 20;

/// What goes by a name. Three statements at most.
pub fn search(
    session: &mut dyn Session,
    query: &str,
    kind: Option<HitKind>,
) -> Result<Search, ViewError> {
    let text = query.trim();
    let mut hits = Vec::new();
    if !text.is_empty() {
        let wanted = |of: HitKind| kind.is_none_or(|kind| kind == of);
        let from = text.to_lowercase();
        // All that begins with it lies between it and it with the greatest of characters.
        let to = format!("{from}\u{10ffff}");
        if wanted(HitKind::Advisory) {
            hits.extend(advisories(session, &from, &to)?);
        }
        if wanted(HitKind::Package) {
            hits.extend(packages(session, &from, &to)?);
        }
        if wanted(HitKind::Maintainer) {
            hits.extend(maintainers(session, &from, &to)?);
        }
        let is_exact = |hit: &Hit| {
            let known = std::iter::once(&hit.name).chain(&hit.found_as);
            known.into_iter().any(|name| name.to_lowercase() == from)
        };
        hits.sort_by_key(|hit| !is_exact(hit));
    }
    Ok(Search {
        query: text.to_owned(),
        kind,
        hits,
        next: None,
    })
}

fn advisories(session: &mut dyn Session, from: &str, to: &str) -> Result<Vec<Hit>, DbError> {
    let rows = session.query(
        "SELECT a.name, n.name, a.title, a.rating, a.open, a.exploited
         FROM alias n JOIN advisory a ON a.id = n.advisory
         WHERE lower(n.name) >= $1 AND lower(n.name) < $2 ORDER BY lower(n.name) LIMIT $3",
        &[from.into(), to.into(), HITS.into()],
    )?;
    let mut hits: Vec<Hit> = rows.map(|row| {
        let (name, alias): (String, String) = (row.get(0)?, row.get(1)?);
        Ok(Hit {
            kind: HitKind::Advisory,
            found_as: (alias != name).then_some(alias),
            name,
            line: row.get(2)?,
            rating: Some(common::rating(row.get(3)?)),
            open: row.get(4)?,
            exploited: row.get::<Option<String>>(5)?.is_some(),
        })
    })?;
    let mut seen = std::collections::BTreeSet::new();
    hits.retain(|hit| seen.insert(hit.name.clone()));
    Ok(hits)
}

fn packages(session: &mut dyn Session, from: &str, to: &str) -> Result<Vec<Hit>, DbError> {
    let rows = session.query(
        "SELECT p.key, p.worst, p.open, p.exploited, p.update_to
         FROM package p WHERE lower(p.name) >= $1 AND lower(p.name) < $2
         ORDER BY lower(p.name), p.id LIMIT $3",
        &[from.into(), to.into(), HITS.into()],
    )?;
    rows.map(|row| {
        let open: u64 = row.get(2)?;
        let update: Option<String> = row.get(4)?;
        Ok(Hit {
            kind: HitKind::Package,
            name: row.get(0)?,
            found_as: None,
            line: update
                .filter(|_| open > 0)
                .map(|to| format!("update to {to} or later")),
            rating: (open > 0).then(|| common::rating(row.get(1).ok())),
            open,
            exploited: row.get::<i64>(3)? > 0,
        })
    })
}

fn maintainers(session: &mut dyn Session, from: &str, to: &str) -> Result<Vec<Hit>, DbError> {
    let rows = session.query(
        "SELECT name, kind FROM maintainer WHERE lower(name) >= $1 AND lower(name) < $2
         ORDER BY lower(name), kind LIMIT $3",
        &[from.into(), to.into(), HITS.into()],
    )?;
    rows.map(|row| {
        Ok(Hit {
            kind: HitKind::Maintainer,
            name: row.get(0)?,
            found_as: None,
            line: (row.get::<i64>(1)? == 1).then(|| "a team".to_owned()),
            rating: None,
            open: 0,
            exploited: false,
        })
    })
}
