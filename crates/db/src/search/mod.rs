//! Search: names of advisories, packages, attributes and people, and words of titles and descriptions.
//!
//! First comes what has exactly this name, then names that begin so, then what has all the words. Within each:
//! packages, people, advisories, each by rank. No step reads more than a fixed number of rows, whatever is asked: of
//! names that begin with one letter, only the first are looked at; of what is found, the best are given.

mod words;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use self::words::Asked;
use crate::engine::{Dialect, Session, Value};
use crate::error::DbError;

/// Names of each kind that are looked at.
const NAMES: i64 = 2_000;
/// Hits of one kind for one reason that are given, the best first.
const BEST: i64 = 300;
/// Documents with the words that are looked at, the newest first.
const DOCUMENTS: i64 = 1_000;
/// Characters of a query that are looked at.
const QUERY: usize = 200;
/// Documents whose words are written in one statement.
const TOGETHER: usize = 500;

/// What can be found, in the order in which hits are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Found {
    /// A package, by its name, its key, or the path of an attribute of it.
    Package,
    /// A maintainer or a team.
    Maintainer,
    /// An advisory, by its name or another name of it, or by its words.
    Advisory,
}

impl Found {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Package, Self::Maintainer, Self::Advisory];

    const fn code(self) -> u8 {
        match self {
            Self::Package => 0,
            Self::Maintainer => 1,
            Self::Advisory => 2,
        }
    }
}

/// Why something was found, the best reason first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Why {
    /// It has exactly this name.
    Exact,
    /// A name of it begins so.
    Beginning,
    /// It has all the words.
    Words,
}

impl Why {
    const fn code(self) -> u8 {
        match self {
            Self::Exact => 0,
            Self::Beginning => 1,
            Self::Words => 2,
        }
    }
}

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// What it is.
    pub kind: Found,
    /// The number of its row.
    pub id: i64,
    /// What it is called: an advisory's name, a package's key, a maintainer's name.
    pub name: String,
    /// An advisory's title.
    pub title: Option<String>,
    /// Why it was found.
    pub why: Why,
    /// The name that was found, where it is not the one it is called by.
    pub matched: Option<String>,
    place: Place,
}

impl Hit {
    /// Where it stands: a search with this cursor goes on after it.
    pub const fn cursor(&self) -> Cursor {
        Cursor(self.place)
    }
}

/// Where a page of hits ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor(Place);

/// The order of hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    why: u8,
    kind: u8,
    rank: Reverse<i64>,
    id: i64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place {
            why,
            kind,
            rank,
            id,
        } = self.0;
        write!(f, "{why}.{kind}.{}.{id}", rank.0)
    }
}

/// A text is no cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("read a cursor of a search")]
pub struct NoCursor;

impl FromStr for Cursor {
    type Err = NoCursor;

    fn from_str(text: &str) -> Result<Self, NoCursor> {
        let mut parts = text.splitn(4, '.');
        let mut next = || parts.next().ok_or(NoCursor);
        let place = Place {
            why: next()?.parse().map_err(|_| NoCursor)?,
            kind: next()?.parse().map_err(|_| NoCursor)?,
            rank: Reverse(next()?.parse().map_err(|_| NoCursor)?),
            id: next()?.parse().map_err(|_| NoCursor)?,
        };
        let cursor = Self(place);
        // One text for one place.
        if cursor.to_string() == text {
            Ok(cursor)
        } else {
            Err(NoCursor)
        }
    }
}

/// What has words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Document {
    /// An advisory, by its row.
    Advisory(i64),
    /// A package, by its row.
    Package(i64),
}

impl Document {
    const fn number(self) -> i64 {
        match self {
            Self::Advisory(id) => id * 2,
            Self::Package(id) => id * 2 + 1,
        }
    }

    const fn of(number: i64) -> Self {
        let id = number.div_euclid(2);
        if number % 2 == 0 {
            Self::Advisory(id)
        } else {
            Self::Package(id)
        }
    }
}

/// Search, and what keeps it true.
pub trait Search {
    /// What there is for a query, of these kinds, after a cursor, at most `limit`. Names are found whatever their
    /// letters' case; a query that is nothing but marks finds nothing.
    fn search(
        &mut self,
        query: &str,
        kinds: &[Found],
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Vec<Hit>, DbError>;

    /// Sets the words of documents to those of their texts. Names need no such call.
    fn set_words(&mut self, documents: &[(Document, Vec<&str>)]) -> Result<(), DbError>;

    /// Forgets documents.
    fn forget_words(&mut self, documents: &[Document]) -> Result<(), DbError>;
}

impl<S: Session + ?Sized> Search for S {
    fn search(
        &mut self,
        query: &str,
        kinds: &[Found],
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Vec<Hit>, DbError> {
        let query: String = query
            .trim_start()
            .chars()
            .filter(|letter| *letter != '\0')
            .take(QUERY)
            .collect();
        // As `lower` does it on both engines: letters of ASCII only.
        let name = query.trim_end().to_ascii_lowercase();
        let mut candidates = Candidates::default();
        if !name.is_empty() {
            for kind in kinds {
                names(self, *kind, &name, &mut candidates)?;
            }
        }
        if let Some(asked) = Asked::of(&query) {
            documents(self, &asked, kinds, &mut candidates)?;
        }
        let mut page = candidates.after(after.map(|cursor| cursor.0));
        page.truncate(limit);
        shown(self, page)
    }

    fn set_words(&mut self, documents: &[(Document, Vec<&str>)]) -> Result<(), DbError> {
        // The last one counts, and none is met twice in one statement.
        let documents: BTreeMap<i64, String> = documents
            .iter()
            .map(|(document, texts)| (document.number(), words::kept(texts)))
            .collect();
        let (numbers, texts): (Vec<i64>, Vec<String>) = documents.into_iter().unzip();
        for (numbers, texts) in numbers.chunks(TOGETHER).zip(texts.chunks(TOGETHER)) {
            write_words(self, numbers, texts)?;
        }
        Ok(())
    }

    fn forget_words(&mut self, documents: &[Document]) -> Result<(), DbError> {
        let sql = match self.dialect() {
            Dialect::Sqlite => "DELETE FROM search_words WHERE rowid = $1",
            Dialect::Postgres => "DELETE FROM search_words WHERE document = $1",
        };
        for document in documents {
            self.execute(sql, &[document.number().into()])?;
        }
        Ok(())
    }
}

/// Copies the words of all documents to a database without any, whatever engines they are; of how many documents.
pub(crate) fn copy_words(from: &mut dyn Session, to: &mut dyn Session) -> Result<u64, DbError> {
    let sql = match from.dialect() {
        Dialect::Sqlite => {
            // Only this reads a table of words from word to document: each word of each document is a row.
            from.batch(
                "DROP TABLE IF EXISTS temp.words_seen; \
                 CREATE VIRTUAL TABLE temp.words_seen USING fts5vocab('main', 'search_words', 'instance')",
            )?;
            "SELECT doc, group_concat(term, ' ') FROM temp.words_seen GROUP BY doc ORDER BY doc"
        }
        Dialect::Postgres => {
            "SELECT document, array_to_string(tsvector_to_array(words), ' ') FROM search_words ORDER BY document"
        }
    };
    let mut count = 0;
    let mut waiting: (Vec<i64>, Vec<String>) = Default::default();
    from.for_each(sql, &[], &mut |row| {
        waiting.0.push(row.get(0)?);
        waiting.1.push(row.get(1)?);
        count += 1;
        if waiting.0.len() == TOGETHER {
            write_words(to, &waiting.0, &waiting.1)?;
            waiting = Default::default();
        }
        Ok(())
    })?;
    write_words(to, &waiting.0, &waiting.1)?;
    Ok(count)
}

/// Writes words that are split already.
fn write_words<S: Session + ?Sized>(
    session: &mut S,
    numbers: &[i64],
    texts: &[String],
) -> Result<(), DbError> {
    match session.dialect() {
        Dialect::Sqlite => {
            for (number, text) in numbers.iter().zip(texts) {
                session.execute(
                    "INSERT OR REPLACE INTO search_words (rowid, words) VALUES ($1, $2)",
                    &[(*number).into(), text.into()],
                )?;
            }
        }
        Dialect::Postgres => {
            session.execute(
                "INSERT INTO search_words (document, words) \
                 SELECT number, array_to_tsvector(string_to_array(words, ' ')) \
                 FROM unnest(CAST($1 AS BIGINT[]), CAST($2 AS TEXT[])) AS given (number, words) \
                 ON CONFLICT (document) DO UPDATE SET words = excluded.words",
                &[numbers.into(), texts.into()],
            )?;
        }
    }
    Ok(())
}

/// What was found so far: each thing once, for the best reason.
#[derive(Default)]
struct Candidates {
    found: BTreeMap<(Found, i64), Candidate>,
}

#[derive(Debug, Clone)]
struct Candidate {
    kind: Found,
    id: i64,
    why: Why,
    rank: i64,
    matched: Option<String>,
}

impl Candidate {
    const fn place(&self) -> Place {
        Place {
            why: self.why.code(),
            kind: self.kind.code(),
            rank: Reverse(self.rank),
            id: self.id,
        }
    }
}

impl Candidates {
    fn add(&mut self, candidate: Candidate) {
        let known = self.found.get(&(candidate.kind, candidate.id));
        // Of two names for the same reason, the shorter one.
        let better = known.is_none_or(|known| {
            let length = |one: &Candidate| one.matched.as_ref().map_or(0, String::len);
            (candidate.why, length(&candidate), &candidate.matched)
                < (known.why, length(known), &known.matched)
        });
        if better {
            self.found.insert((candidate.kind, candidate.id), candidate);
        }
    }

    fn after(self, place: Option<Place>) -> Vec<Candidate> {
        let mut all: Vec<Candidate> = self
            .found
            .into_values()
            .filter(|candidate| place.is_none_or(|place| candidate.place() > place))
            .collect();
        all.sort_unstable_by_key(Candidate::place);
        all
    }
}

/// Names of a kind that are or begin as the query.
fn names<S: Session + ?Sized>(
    session: &mut S,
    kind: Found,
    name: &str,
    candidates: &mut Candidates,
) -> Result<(), DbError> {
    // Each looks at a range of an index, and at no more of it than `NAMES`; joins by number; and gives the best of it.
    let statements: &[&str] = match kind {
        Found::Package => &[
            "SELECT id, rank, name FROM (SELECT id, rank, name FROM package \
             WHERE lower(name) >= $1 AND lower(name) < $2 ORDER BY lower(name), id LIMIT $3) AS found \
             ORDER BY CASE WHEN lower(name) = $1 THEN 0 ELSE 1 END, rank DESC, id LIMIT $4",
            "SELECT id, rank, key FROM (SELECT id, rank, key FROM package \
             WHERE lower(key) >= $1 AND lower(key) < $2 ORDER BY lower(key), id LIMIT $3) AS found \
             ORDER BY CASE WHEN lower(key) = $1 THEN 0 ELSE 1 END, rank DESC, id LIMIT $4",
            "SELECT package.id, package.rank, found.path FROM \
             (SELECT path, package FROM attribute \
             WHERE lower(path) >= $1 AND lower(path) < $2 ORDER BY lower(path), id LIMIT $3) AS found \
             JOIN package ON package.id = found.package \
             ORDER BY CASE WHEN lower(found.path) = $1 THEN 0 ELSE 1 END, package.rank DESC, package.id, found.path LIMIT $4",
        ],
        Found::Maintainer => &[
            "SELECT id, 0, name FROM (SELECT id, name, kind FROM maintainer \
             WHERE lower(name) >= $1 AND lower(name) < $2 ORDER BY lower(name), kind LIMIT $3) AS found \
             ORDER BY CASE WHEN lower(name) = $1 THEN 0 ELSE 1 END, id LIMIT $4",
        ],
        Found::Advisory => &["SELECT advisory.id, advisory.rank, found.name FROM \
             (SELECT name, advisory FROM alias \
             WHERE lower(name) >= $1 AND lower(name) < $2 ORDER BY lower(name), name LIMIT $3) AS found \
             JOIN advisory ON advisory.id = found.advisory \
             ORDER BY CASE WHEN lower(found.name) = $1 THEN 0 ELSE 1 END, advisory.rank DESC, advisory.id, found.name LIMIT $4"],
    };
    let end = format!("{name}\u{10ffff}");
    for sql in statements {
        session.for_each(
            sql,
            &[name.into(), (&end).into(), NAMES.into(), BEST.into()],
            &mut |row| {
                let matched: String = row.get(2)?;
                let why = if matched.eq_ignore_ascii_case(name) {
                    Why::Exact
                } else {
                    Why::Beginning
                };
                candidates.add(Candidate {
                    kind,
                    id: row.get(0)?,
                    why,
                    rank: row.get(1)?,
                    matched: Some(matched),
                });
                Ok(())
            },
        )?;
    }
    Ok(())
}

/// Documents with all the words.
fn documents<S: Session + ?Sized>(
    session: &mut S,
    asked: &Asked,
    kinds: &[Found],
    candidates: &mut Candidates,
) -> Result<(), DbError> {
    let (sql, text) = match session.dialect() {
        Dialect::Sqlite => (
            "SELECT rowid FROM search_words WHERE search_words MATCH $1 ORDER BY rowid DESC LIMIT $2",
            asked.sqlite(),
        ),
        Dialect::Postgres => (
            "SELECT document FROM search_words WHERE words @@ CAST(CAST($1 AS TEXT) AS TSQUERY) \
             ORDER BY document DESC LIMIT $2",
            asked.postgres(),
        ),
    };
    let (mut advisories, mut packages) = (Vec::new(), Vec::new());
    session.for_each(sql, &[text.into(), DOCUMENTS.into()], &mut |row| {
        match Document::of(row.get(0)?) {
            Document::Advisory(id) => advisories.push(id),
            Document::Package(id) => packages.push(id),
        }
        Ok(())
    })?;
    for (kind, ids, sql) in [
        (
            Found::Advisory,
            advisories,
            "SELECT id, rank FROM advisory WHERE id {in:1} ORDER BY rank DESC, id LIMIT $2",
        ),
        (
            Found::Package,
            packages,
            "SELECT id, rank FROM package WHERE id {in:1} ORDER BY rank DESC, id LIMIT $2",
        ),
    ] {
        if !kinds.contains(&kind) || ids.is_empty() {
            continue;
        }
        session.for_each(sql, &[ids.into(), BEST.into()], &mut |row| {
            candidates.add(Candidate {
                kind,
                id: row.get(0)?,
                why: Why::Words,
                rank: row.get(1)?,
                matched: None,
            });
            Ok(())
        })?;
    }
    Ok(())
}

/// The names and titles of what is shown.
fn shown<S: Session + ?Sized>(session: &mut S, page: Vec<Candidate>) -> Result<Vec<Hit>, DbError> {
    let mut names: BTreeMap<(Found, i64), (String, Option<String>)> = BTreeMap::new();
    for (kind, sql) in [
        (
            Found::Package,
            "SELECT id, key, NULL FROM package WHERE id {in:1}",
        ),
        (
            Found::Maintainer,
            "SELECT id, name, NULL FROM maintainer WHERE id {in:1}",
        ),
        (
            Found::Advisory,
            "SELECT id, name, title FROM advisory WHERE id {in:1}",
        ),
    ] {
        let ids: Vec<i64> = page
            .iter()
            .filter(|candidate| candidate.kind == kind)
            .map(|candidate| candidate.id)
            .collect();
        if ids.is_empty() {
            continue;
        }
        session.for_each(sql, &[Value::from(ids)], &mut |row| {
            names.insert((kind, row.get(0)?), (row.get(1)?, row.get(2)?));
            Ok(())
        })?;
    }
    let hits = page.into_iter().filter_map(|candidate| {
        let (name, title) = names.remove(&(candidate.kind, candidate.id))?;
        Some(Hit {
            kind: candidate.kind,
            id: candidate.id,
            title,
            why: candidate.why,
            place: candidate.place(),
            matched: candidate.matched.filter(|matched| *matched != name),
            name,
        })
    });
    Ok(hits.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_as_it_went_out() {
        let cursor = Cursor(Place {
            why: 2,
            kind: 1,
            rank: Reverse(-7),
            id: i64::MAX,
        });
        insta::assert_snapshot!(cursor.to_string(), @"2.1.-7.9223372036854775807");
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for other in [
            "",
            "1.1.1",
            "1.1.1.1.1",
            "1.1.01.1",
            "+1.1.1.1",
            "300.1.1.1",
            "a.b.c.d",
        ] {
            assert_eq!(other.parse::<Cursor>(), Err(NoCursor), "{other}");
        }
    }

    #[test]
    fn documents_are_told_apart_by_their_number() {
        for document in [
            Document::Advisory(1),
            Document::Package(1),
            Document::Package(0),
        ] {
            assert_eq!(Document::of(document.number()), document);
        }
    }
}
