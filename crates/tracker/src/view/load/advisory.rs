//! An advisory, with whom it could concern.

use std::collections::HashMap;

use snowguard_db::Session;
use snowguard_db::advisories::unpack;

use super::common::{self, EVENTS, PAGE};
use super::queue::cut;
use super::{Cursor, ViewError, issue};
use crate::view::{Advisory, History, Record, Reference};

/// An advisory by any of its names. Eleven statements.
pub fn advisory(
    session: &mut dyn Session,
    name: &str,
    cursor: Option<&str>,
) -> Result<Advisory, ViewError> {
    let cursor = Cursor::read(cursor)?;
    let rows = session.query(
        "SELECT a.id, a.name, a.title, a.description, a.rating, a.score, a.vector, a.exploited,
                a.ransomware, a.epss, a.percentile, a.ssvc, a.published, a.modified, a.withdrawn,
                a.candidates
         FROM alias n JOIN advisory a ON a.id = n.advisory WHERE n.name = $1",
        &[name.into()],
    )?;
    let row = rows.first().ok_or_else(|| ViewError::NotFound {
        what: "advisory",
        name: name.to_owned(),
    })?;
    let own: String = row.get(1)?;
    if own != name {
        return Err(ViewError::Elsewhere(own));
    }
    let id: i64 = row.get(0)?;
    let mut found: Vec<(i64, i64)> = session
        .query(
            "SELECT f.id, f.rank FROM finding f
             WHERE f.advisory = $1 AND f.rank <= $2 AND (f.rank < $2 OR f.id > $3)
             ORDER BY f.rank DESC, f.id LIMIT $4",
            &[
                id.into(),
                cursor.rank.into(),
                cursor.id.into(),
                (PAGE + 1).into(),
            ],
        )?
        .map(|row| Ok((row.get(0)?, row.get(1)?)))?;
    let next = cut(&mut found, PAGE, |(id, rank)| Cursor::write(*rank, *id));
    let ids: Vec<i64> = found.iter().map(|(id, _)| *id).collect();
    let channels = common::channels(session)?;
    let findings = common::rows(session, &channels, &ids)?;
    let aliases = session.query(
        "SELECT name FROM alias WHERE advisory = $1 AND name <> $2 ORDER BY name LIMIT 50",
        &[id.into(), own.as_str().into()],
    )?;
    let (records, references) = records(session, id)?;
    let counted = session.query(
        "SELECT count(*) FROM finding WHERE advisory = $1",
        &[id.into()],
    )?;
    let findings_count = counted
        .first()
        .map(|row| row.get(0))
        .transpose()?
        .unwrap_or(0);
    let issue = issue::of_advisory(session, id)?;
    let events = common::events(session, "e.advisory = $1", &[id.into()], EVENTS)?;
    Ok(Advisory {
        aliases: aliases.map(|row| row.get(0))?,
        title: row.get(2)?,
        description: row.get(3)?,
        rating: common::rating(row.get(4)?),
        score: common::score(row.get(5)?),
        vector: row.get(6)?,
        exploited: common::day(row.get(7)?),
        ransomware: row.get(8)?,
        epss: row.get(9)?,
        percentile: row.get(10)?,
        ssvc: row.get::<Option<i64>>(11)?.and_then(ssvc),
        published: common::day(row.get(12)?),
        modified: common::day(row.get(13)?),
        withdrawn: row.get(14)?,
        references,
        records,
        candidates: row.get(15)?,
        findings_count,
        issue,
        findings,
        next,
        events,
        name: own,
    })
}

/// How many references are shown.
const REFERENCES: usize = 100;

/// The records that speak of an advisory, and where they say more is to be read. Two statements.
fn records(
    session: &mut dyn Session,
    advisory: i64,
) -> Result<(Vec<Record>, Vec<Reference>), ViewError> {
    let rows = session.query(
        "SELECT r.id, s.name, r.name, r.seen, r.body FROM speaks k JOIN record r ON r.id = k.record
              JOIN record_source s ON s.id = r.source
         WHERE k.advisory = $1 AND r.gone IS NULL ORDER BY s.name, r.name LIMIT 50",
        &[advisory.into()],
    )?;
    let mut references: Vec<Reference> = Vec::new();
    let found = rows.map(|row| {
        let name: String = row.get(2)?;
        for texts in unpack(row.get(4)?)?
            .into_iter()
            .filter_map(|record| record.texts)
        {
            for reference in texts.references {
                let is_known = references.iter().any(|known| known.url == reference.url);
                if !is_known && references.len() < REFERENCES {
                    references.push(Reference {
                        url: reference.url,
                        tags: reference.tags,
                    });
                }
            }
        }
        Ok((
            row.get::<i64>(0)?,
            Record {
                source: row.get(1)?,
                url: address(&name),
                name,
                seen: row.get(3)?,
                history: Vec::new(),
            },
        ))
    })?;
    let ids: Vec<i64> = found.iter().map(|(id, _)| *id).collect();
    let mut histories: HashMap<i64, Vec<History>> = HashMap::new();
    session.for_each(
        "SELECT record, until, digest FROM record_history WHERE record {in:1}
         ORDER BY record, until DESC LIMIT 200",
        &[ids.into()],
        &mut |row| {
            let digest: &[u8] = row.get(2)?;
            histories.entry(row.get(0)?).or_default().push(History {
                until: row.get(1)?,
                digest: data_encoding::HEXLOWER.encode(digest),
            });
            Ok(())
        },
    )?;
    let with = |(id, mut record): (i64, Record)| {
        record.history = histories.remove(&id).unwrap_or_default();
        record
    };
    Ok((found.into_iter().map(with).collect(), references))
}

/// Where a record can be read.
fn address(name: &str) -> Option<String> {
    let is_plain = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.');
    if !is_plain {
        return None;
    }
    Some(if name.starts_with("CVE-") {
        format!("https://www.cve.org/CVERecord?id={name}")
    } else if name.starts_with("GHSA-") {
        format!("https://github.com/advisories/{name}")
    } else {
        format!("https://osv.dev/vulnerability/{name}")
    })
}

/// CISA's decision points, in words: a digit each for exploitation, automation and impact.
fn ssvc(code: i64) -> Option<String> {
    let exploitation = match code % 10 {
        1 => "no exploitation known",
        2 => "a proof of concept is known",
        3 => "active exploitation",
        _ => return None,
    };
    let point = |digit: i64, no: &'static str, yes: &'static str| match digit % 10 {
        1 => Some(no),
        2 => Some(yes),
        _ => None,
    };
    let points = [
        Some(exploitation),
        point(code / 10, "cannot be automated", "can be automated"),
        point(code / 100, "partial impact", "total impact"),
    ];
    let points: Vec<&str> = points.into_iter().flatten().collect();
    Some(points.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decision_points_are_words() {
        assert_eq!(
            ssvc(222).as_deref(),
            Some("a proof of concept is known; can be automated; total impact")
        );
        assert_eq!(ssvc(1).as_deref(), Some("no exploitation known"));
        assert_eq!(ssvc(0), None);
    }
}
