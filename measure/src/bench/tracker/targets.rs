//! What is asked for: every page and every list of the tracker, the longest of each among them, and as data
//! too.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use snowguard_db::{Database, DbError, Session, Value};

use super::load::Target;

/// How many addresses of each kind that are taken anywhere.
const SOME: i64 = 200;
/// How many of those with the most on them.
const MOST: i64 = 15;

/// Kinds whose name begins so are searches, whose latencies are told apart.
pub(super) const SEARCH: &str = "search";

/// Addresses of all kinds, in an order in which the kinds take turns.
pub(super) fn all(db: &Database) -> Result<Vec<Target>> {
    let kinds = db.read(|session| kinds(session))?;
    for (kind, paths) in &kinds {
        ensure!(!paths.is_empty(), "there is no {kind} to ask for");
    }
    let longest = kinds
        .iter()
        .map(|(_, paths)| paths.len())
        .max()
        .unwrap_or(0);
    let turns = (0..longest).flat_map(|turn| {
        kinds.iter().map(move |(kind, paths)| Target {
            kind,
            path: paths[turn % paths.len()].clone(),
        })
    });
    Ok(turns.collect())
}

type Kind = (&'static str, Vec<String>);

fn kinds(session: &mut dyn Session) -> Result<Vec<Kind>, DbError> {
    let fixed = |paths: &[&str]| paths.iter().map(ToString::to_string).collect::<Vec<_>>();
    let channels = texts(
        session,
        "SELECT name FROM channel WHERE id > $1 ORDER BY id LIMIT $2",
        0,
        SOME,
    )?;
    let first = channels.first().cloned().unwrap_or_default();

    let advisories = some(session, "advisory", "name", "rank")?;
    let packages = some(session, "package", "key", "rank")?;
    let most_packages = texts(
        session,
        "SELECT key FROM package WHERE open >= $1 ORDER BY open DESC LIMIT $2",
        0,
        MOST,
    )?;
    let most_advisories = texts(
        session,
        "SELECT name FROM advisory WHERE candidates >= $1 ORDER BY candidates DESC LIMIT $2",
        0,
        MOST,
    )?;
    let findings = findings(session)?;
    let maintainers = {
        let mut names = texts(
            session,
            "SELECT m.name FROM maintainer m JOIN maintains s ON s.maintainer = m.id WHERE m.id > $1
             GROUP BY m.name ORDER BY count(*) DESC LIMIT $2",
            0,
            MOST,
        )?;
        names.extend(anywhere(session, "maintainer", "name", SOME / 2)?);
        names
    };

    let narrow: Vec<String> = ["advisory", "package"]
        .iter()
        .flat_map(|by| {
            let channels = channels
                .iter()
                .map(move |c| format!("/queue?by={by}&channel={c}"));
            let ratings = ["critical", "high", "medium", "low", "unrated"].iter();
            let ratings = ratings.map(move |rating| format!("/queue?by={by}&rating={rating}"));
            let both = format!("/queue?by={by}&rating=low&exploited=1&channel={first}");
            [format!("/queue?by={by}&exploited=1"), both]
                .into_iter()
                .chain(channels)
                .chain(ratings)
        })
        .collect();
    let lists: Vec<String> = ["review", "confirmed", "marked", "kernel"]
        .iter()
        .flat_map(|bucket| {
            ["advisory", "package"].map(|by| format!("/queue?by={by}&bucket={bucket}"))
        })
        .collect();

    let under = |root: &str, names: &[String]| -> Vec<String> {
        names
            .iter()
            .map(|name| format!("{root}/{}", encoded(name)))
            .collect()
    };
    let deep = |paths: Vec<String>, cursor: &str| -> Vec<String> {
        paths
            .into_iter()
            .map(|path| format!("{path}?cursor={}", encoded(cursor)))
            .collect()
    };
    let middle = middle(session)?;
    let deep_queue = middle
        .iter()
        .map(|cursor| format!("/queue?cursor={}", encoded(cursor)))
        .collect();
    let beyond = middle.get(middle.len() / 2).cloned().unwrap_or_default();
    let kernel = deep(under("/packages", &most_packages), &beyond);
    let mut pages: Vec<Kind> = vec![
        ("home", fixed(&["/"])),
        ("queue", fixed(&["/queue", "/queue?by=package"])),
        ("queue, other lists", lists),
        ("queue, narrow", narrow),
        ("queue, further down", deep_queue),
        ("advisory", under("/advisories", &advisories)),
        (
            "advisory, the most packages",
            under("/advisories", &most_advisories),
        ),
        ("package", under("/packages", &packages)),
        (
            "package, the most findings",
            under("/packages", &most_packages),
        ),
        ("package, further down", kernel),
        ("finding", findings),
        ("maintainer", under("/maintainers", &maintainers)),
        ("channels", fixed(&["/channels"])),
        ("channel", under("/channels", &channels)),
        (
            "channel, further down",
            deep(under("/channels", &channels), &beyond),
        ),
        ("activity", fixed(&["/activity", "/activity?actor=nobody"])),
        ("data", fixed(&["/data"])),
    ];
    let data: Vec<String> = pages
        .iter()
        .flat_map(|(_, paths)| paths.iter().take(12))
        .map(|path| match path.as_str() {
            "/" => "/api/v1/home".to_owned(),
            path => format!("/api/v1{path}"),
        })
        .collect();
    pages.push(("api", data));
    pages.extend(searches(&advisories, &packages, &maintainers));
    Ok(pages)
}

fn searches(advisories: &[String], packages: &[String], maintainers: &[String]) -> Vec<Kind> {
    let ask = |words: &[String]| -> Vec<String> {
        words
            .iter()
            .map(|words| format!("/search?q={}", encoded(words)))
            .collect()
    };
    let beginnings = |names: &[String], letters: usize| -> Vec<String> {
        let cut = |name: &String| name.chars().take(letters).collect::<String>();
        let cut: BTreeSet<String> = names.iter().map(cut).collect();
        cut.into_iter()
            .filter(|name| !name.trim().is_empty())
            .collect()
    };
    let names: Vec<String> = packages.iter().chain(maintainers).cloned().collect();
    let words = [
        "overflow",
        "buffer overflow",
        "remote attackers",
        "a",
        "the",
        "denial of service via a crafted",
        "use after free in the kernel",
        "linux",
        "sql injection wordpress plugin",
        "openssl",
        "heap out of bounds read image",
        "cross site scripting",
        "python library",
        "privilege escalation windows",
        "unlikelyword",
    ]
    .map(str::to_owned);
    let begun: Vec<String> = beginnings(&names, 1)
        .into_iter()
        .chain(beginnings(&names, 3))
        .chain(["CVE-".to_owned(), "CVE-2023-".to_owned(), "GHSA".to_owned()])
        .collect();
    vec![
        ("search, ids", ask(advisories)),
        ("search, names", ask(&names)),
        ("search, beginnings", ask(&begun)),
        ("search, words", ask(&words)),
    ]
}

/// Names from anywhere, and of the first in rank.
fn some(
    session: &mut dyn Session,
    table: &str,
    name: &str,
    rank: &str,
) -> Result<Vec<String>, DbError> {
    let sql =
        format!("SELECT {name} FROM {table} WHERE {rank} > $1 ORDER BY {rank} DESC, id LIMIT $2");
    let mut names = texts(session, &sql, 0, SOME / 2)?;
    names.extend(anywhere(session, table, name, SOME)?);
    Ok(names)
}

/// Names from all over a table.
fn anywhere(
    session: &mut dyn Session,
    table: &str,
    name: &str,
    count: i64,
) -> Result<Vec<String>, DbError> {
    let rows = session.query(&format!("SELECT max(id) FROM {table}"), &[])?;
    let last: i64 = rows
        .first()
        .map_or(Ok(None), |row| row.get(0))?
        .unwrap_or(0);
    let merged = if table == "advisory" {
        "AND merged_into IS NULL"
    } else {
        ""
    };
    let sql = format!("SELECT {name} FROM {table} WHERE id > $1 {merged} ORDER BY id LIMIT $2");
    let mut names = Vec::new();
    for place in 0..count {
        names.extend(texts(session, &sql, last * place / count, 1)?);
    }
    Ok(names)
}

fn texts(
    session: &mut dyn Session,
    sql: &str,
    from: i64,
    limit: i64,
) -> Result<Vec<String>, DbError> {
    let parameters: [Value<'_>; 2] = [from.into(), limit.into()];
    session.query(sql, &parameters)?.map(|row| row.get(0))
}

fn findings(session: &mut dyn Session) -> Result<Vec<String>, DbError> {
    let rows = session.query("SELECT max(id) FROM finding", &[])?;
    let last: i64 = rows
        .first()
        .map_or(Ok(None), |row| row.get(0))?
        .unwrap_or(0);
    let mut paths = Vec::new();
    for place in 0..SOME {
        let rows = session.query(
            "SELECT p.key, a.name FROM finding f JOIN package p ON p.id = f.package
             JOIN advisory a ON a.id = f.advisory WHERE f.id > $1 ORDER BY f.id LIMIT 1",
            &[(last * place / SOME).into()],
        )?;
        for row in rows.iter() {
            let (key, name): (String, String) = (row.get(0)?, row.get(1)?);
            paths.push(format!("/packages/{}/{}", encoded(&key), encoded(&name)));
        }
    }
    Ok(paths)
}

/// Cursors all over the first list.
fn middle(session: &mut dyn Session) -> Result<Vec<String>, DbError> {
    let rows = session.query(
        "SELECT rank, subject FROM suggestion WHERE bucket = 0 AND kind = 0 ORDER BY rank DESC, subject",
        &[],
    )?;
    let cursors = rows.map(|row| Ok(format!("{}~{}", row.get::<i64>(0)?, row.get::<i64>(1)?)))?;
    let step = (cursors.len() / 50).max(1);
    Ok(cursors.into_iter().step_by(step).collect())
}

/// A text as a segment of a path, or a value of a query.
fn encoded(text: &str) -> String {
    use std::fmt::Write as _;
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_segments() {
        assert_eq!(encoded("python:a/b c~1"), "python%3Aa%2Fb%20c~1");
    }
}
