//! Search: by ids, names and words.

use std::collections::HashMap;

use snowguard_db::search::{Cursor, Found, Search as _};
use snowguard_db::{DbError, Session};

use super::common;
use super::queue::cut;
use super::{ViewError, common::PAGE};
use crate::view::{Hit, HitKind, Rating, Search};

/// What goes by a name or has the words: the search itself, and two statements.
pub fn search(
    session: &mut dyn Session,
    query: &str,
    kind: Option<HitKind>,
    cursor: Option<&str>,
) -> Result<Search, ViewError> {
    let after: Option<Cursor> = cursor
        .map(str::parse)
        .transpose()
        .map_err(|_| ViewError::Cursor)?;
    let text = query.trim();
    let kinds: Vec<Found> = match kind {
        None => vec![Found::Package, Found::Maintainer, Found::Advisory],
        Some(HitKind::Package) => vec![Found::Package],
        Some(HitKind::Maintainer) => vec![Found::Maintainer],
        Some(HitKind::Advisory) => vec![Found::Advisory],
    };
    let limit = usize::try_from(PAGE + 1).unwrap_or(usize::MAX);
    let mut found = session.search(text, &kinds, after, limit)?;
    let next = cut(&mut found, PAGE, |last| last.cursor().to_string());
    let ids = |of: Found| -> Vec<i64> {
        let those = found.iter().filter(|hit| hit.kind == of);
        those.map(|hit| hit.id).collect()
    };
    let advisories = standing(
        session,
        "SELECT id, rating, open, CASE WHEN exploited IS NULL THEN 0 ELSE 1 END FROM advisory WHERE id {in:1}",
        &ids(Found::Advisory),
    )?;
    let packages = standing(
        session,
        "SELECT id, worst, open, CASE WHEN exploited > 0 THEN 1 ELSE 0 END FROM package WHERE id {in:1}",
        &ids(Found::Package),
    )?;
    let hits = found.into_iter().map(|hit| {
        let (kind, known) = match hit.kind {
            Found::Advisory => (HitKind::Advisory, advisories.get(&hit.id)),
            Found::Package => (HitKind::Package, packages.get(&hit.id)),
            Found::Maintainer => (HitKind::Maintainer, None),
        };
        let open = known.map_or(0, |(_, open, _)| *open);
        let is_rated = kind == HitKind::Advisory || open > 0;
        Hit {
            kind,
            name: hit.name,
            found_as: hit.matched,
            line: hit.title,
            rating: known.filter(|_| is_rated).map(|(rating, ..)| *rating),
            open,
            exploited: known.is_some_and(|(_, open, exploited)| *exploited && *open > 0),
        }
    });
    Ok(Search {
        query: text.to_owned(),
        kind,
        hits: hits.collect(),
        next,
    })
}

/// How bad, how many open, and whether one of them is exploited, by number. One statement.
fn standing(
    session: &mut dyn Session,
    sql: &str,
    ids: &[i64],
) -> Result<HashMap<i64, (Rating, u64, bool)>, DbError> {
    let rows = session.query(sql, &[ids.into()])?;
    let pairs = rows.map(|row| {
        Ok((
            row.get(0)?,
            (common::rating(row.get(1)?), row.get(2)?, row.get(3)?),
        ))
    })?;
    Ok(pairs.into_iter().collect())
}
