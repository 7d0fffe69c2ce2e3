//! Packages, and who maintains them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use snowguard_db::evaluations::{Channel, Evaluations as _, MaintainerKind};
use snowguard_db::findings::{MemoryRow, rules_of_package};
use snowguard_db::{DbError, Session};
use snowguard_triage::{Code as _, Verdict as Remembered};

use super::common::{self, EVENTS, PAGE};
use super::queue::{Found, cut, filled, kind_code};
use super::{Cursor, ViewError};
use crate::view::{
    Bucket, Grouping, Maintainer, Memory, MemoryVerdict, Package, PackageRef, PackageVersion,
    Update, Verdict, Version,
};

/// How many settled findings a page shows.
const SETTLED: i64 = 25;

/// A package by its key. Sixteen statements.
pub fn package(
    session: &mut dyn Session,
    key: &str,
    cursor: Option<&str>,
) -> Result<Package, ViewError> {
    let cursor = Cursor::read(cursor)?;
    let rows = session.query(
        "SELECT id, key, name, language, update_to, dependents, open FROM package WHERE key = $1",
        &[key.into()],
    )?;
    let row = rows.first().ok_or_else(|| ViewError::NotFound {
        what: "package",
        name: key.to_owned(),
    })?;
    let id: i64 = row.get(0)?;
    let done = snowguard_triage::Bucket::Done.to_code();
    let channels = common::channels(session)?;
    let heads = session.heads_of(id)?;
    let mut open: Vec<(i64, i64)> = session
        .query(
            // What is done with, and what is not, has an index of its own: meant by the very number.
            &format!(
                "SELECT f.id, f.rank FROM finding f
                 WHERE f.package = $1 AND f.bucket <> {done} AND f.rank <= $2
                       AND (f.rank < $2 OR f.id > $3)
                 ORDER BY f.rank DESC, f.id LIMIT $4"
            ),
            &[
                id.into(),
                cursor.rank.into(),
                cursor.id.into(),
                (PAGE + 1).into(),
            ],
        )?
        .map(|row| Ok((row.get(0)?, row.get(1)?)))?;
    let next = cut(&mut open, PAGE, |(id, rank)| Cursor::write(*rank, *id));
    let open: Vec<i64> = open.iter().map(|(id, _)| *id).collect();
    let settled: Vec<i64> = session
        .query(
            &format!(
                "SELECT f.id FROM finding f WHERE f.package = $1 AND f.bucket = {done}
                 ORDER BY f.rank DESC, f.id LIMIT $2"
            ),
            &[id.into(), SETTLED.into()],
        )?
        .map(|row| row.get(0))?;
    let counted = session.query(
        &format!("SELECT count(*) FROM finding f WHERE f.package = $1 AND f.bucket = {done}"),
        &[id.into()],
    )?;
    let settled_count: u32 = counted.first().map_or(Ok(0), |row| row.get(0))?;
    let verdicts = verdicts(session, &channels, id, &heads)?;
    let both: Vec<i64> = open.iter().chain(&settled).copied().collect();
    let (open, settled) = {
        let rows = common::rows(session, &channels, &both)?;
        rows.into_iter().partition(|row| open.contains(&row.id))
    };
    let wanted: Vec<i64> = {
        let mut facts: Vec<i64> = heads.iter().map(|head| head.fact).collect();
        facts.sort_unstable();
        facts.dedup();
        facts.truncate(20);
        facts
    };
    let facts = session.facts(&wanted)?;
    let evaluations: Vec<i64> = heads.iter().map(|head| head.since).collect();
    let times: BTreeMap<i64, Timestamp> = session
        .query(
            "SELECT id, evaluated_at FROM evaluation WHERE id {in:1}",
            &[evaluations.into()],
        )?
        .map(|row| Ok((row.get(0)?, row.get(1)?)))?
        .into_iter()
        .collect();
    let history = session.versions_of(id, 60)?;
    let maintainers = session.maintainers_of(id)?;
    let memory = rules_of_package(session, key)?;
    let memory = memories(session, &channels, memory)?;
    let events = common::events(session, "e.package = $1", &[id.into()], EVENTS)?;
    let name_of = |id: i64| {
        let found = channels.iter().find(|channel| channel.id == id);
        found
            .map(|channel| channel.name.clone())
            .unwrap_or_default()
    };
    let mut texts: Vec<&snowguard_inventory::Fact> =
        wanted.iter().filter_map(|id| facts.get(id)).collect();
    texts.reverse();
    let unique = |all: Vec<String>| -> Vec<String> {
        let mut all = all;
        all.sort_unstable();
        all.dedup();
        all
    };
    Ok(Package {
        package: PackageRef {
            key: row.get(1)?,
            name: row.get(2)?,
            language: row.get(3)?,
        },
        description: texts
            .iter()
            .find_map(|fact| fact.description.as_deref().map(str::to_owned)),
        homepages: unique(
            texts
                .iter()
                .flat_map(|fact| &fact.homepages)
                .map(ToString::to_string)
                .collect(),
        ),
        maintainers: maintainers
            .into_iter()
            .map(|maintainer| maintainer.name)
            .collect(),
        known_vulnerabilities: unique(
            texts
                .iter()
                .flat_map(|fact| &fact.known_vulnerabilities)
                .map(ToString::to_string)
                .collect(),
        ),
        dependents: row.get(5)?,
        verdicts,
        update: row.get::<Option<String>>(4)?.map(|to| Update { to }),
        versions: heads
            .iter()
            .map(|head| PackageVersion {
                channel: name_of(head.channel),
                attribute: head.path.to_string(),
                version: head.version.to_string(),
                since: times
                    .get(&head.since)
                    .copied()
                    .unwrap_or(Timestamp::UNIX_EPOCH),
                position: facts
                    .get(&head.fact)
                    .and_then(|fact| fact.position.as_deref().map(str::to_owned)),
            })
            .collect(),
        patches: unique(
            texts
                .iter()
                .filter_map(|fact| fact.build.as_ref())
                .flat_map(|build| &build.patches)
                .map(|patch| patch.name.to_string())
                .collect(),
        ),
        open,
        open_count: row.get(6)?,
        next,
        settled,
        settled_count,
        history: history
            .into_iter()
            .map(|version| Version {
                channel: name_of(version.channel),
                attribute: version.path,
                version: version.version,
                first: version.first.1,
                last: version.last.map(|(_, at)| at),
            })
            .collect(),
        memory,
        events,
    })
}

/// Whether each channel is safe. One statement.
fn verdicts(
    session: &mut dyn Session,
    channels: &[Channel],
    package: i64,
    heads: &[snowguard_db::evaluations::HeadRow],
) -> Result<Vec<Verdict>, DbError> {
    let counted: BTreeMap<i64, [u32; 3]> = session
        .query(
            "SELECT channel, affected, exploited, review FROM package_channel WHERE package = $1",
            &[package.into()],
        )?
        .map(|row| Ok((row.get(0)?, [row.get(1)?, row.get(2)?, row.get(3)?])))?
        .into_iter()
        .collect();
    let verdicts = channels.iter().filter_map(|channel| {
        let mut versions: Vec<String> = heads
            .iter()
            .filter(|head| head.channel == channel.id)
            .map(|head| head.version.to_string())
            .collect();
        versions.sort_unstable();
        versions.dedup();
        if versions.is_empty() && !channel.is_followed {
            return None;
        }
        let [affected, exploited, review] = counted.get(&channel.id).copied().unwrap_or_default();
        Some(Verdict {
            channel: channel.name.clone(),
            versions,
            affected,
            exploited,
            review,
        })
    });
    Ok(verdicts.collect())
}

/// What is remembered, with who said it. One statement.
pub(super) fn memories(
    session: &mut dyn Session,
    channels: &[Channel],
    rows: Vec<MemoryRow>,
) -> Result<Vec<Memory>, DbError> {
    let actors: Vec<i64> = rows.iter().filter_map(|row| row.actor).collect();
    let names: BTreeMap<i64, String> = session
        .query(
            "SELECT id, name FROM account WHERE id {in:1}",
            &[actors.into()],
        )?
        .map(|row| Ok((row.get(0)?, row.get(1)?)))?
        .into_iter()
        .collect();
    let those = rows.into_iter().filter(|row| row.revoked.is_none());
    Ok(those
        .map(|row| Memory {
            id: row.id,
            product: row.rule.product.to_string(),
            verdict: match row.rule.verdict {
                Remembered::Accept => MemoryVerdict::Accepted,
                Remembered::Deny => MemoryVerdict::Denied,
            },
            channel: row.rule.channel.and_then(|id| {
                let found = channels.iter().find(|channel| channel.id == id);
                found.map(|channel| channel.name.clone())
            }),
            expires: row.rule.expires,
            reason: row.rule.reason.clone(),
            by: row.actor.and_then(|actor| names.get(&actor).cloned()),
            at: row.created,
        })
        .collect())
}

/// A maintainer or a team, with what is to do. Ten statements.
pub fn maintainer(
    session: &mut dyn Session,
    name: &str,
    cursor: Option<&str>,
) -> Result<Maintainer, ViewError> {
    let cursor = Cursor::read(cursor)?;
    let mut found = session.maintainer(MaintainerKind::Person, name)?;
    if found.is_none() {
        found = session.maintainer(MaintainerKind::Team, name)?;
    }
    let found = found.ok_or_else(|| ViewError::NotFound {
        what: "maintainer",
        name: name.to_owned(),
    })?;
    let channels = common::channels(session)?;
    let counted = session.query(
        "SELECT count(*), count(CASE WHEN p.open > 0 THEN 1 END)
         FROM maintains m JOIN package p ON p.id = m.package WHERE m.maintainer = $1",
        &[found.id.into()],
    )?;
    let counted: Option<(u64, u64)> = counted
        .first()
        .map(|row| Ok::<_, DbError>((row.get(0)?, row.get(1)?)))
        .transpose()?;
    let (packages, concerned_count) = counted.unwrap_or_default();
    let rows = session.query(
        "SELECT p.id, p.rank, p.key, p.name, p.language, p.open, p.exploited, s.channels
         FROM maintains m JOIN package p ON p.id = m.package
              LEFT JOIN suggestion s ON s.kind = $5 AND s.subject = p.id
         WHERE m.maintainer = $1 AND p.open > 0 AND p.rank <= $2 AND (p.rank < $2 OR p.id > $3)
         ORDER BY p.rank DESC, p.id LIMIT $4",
        &[
            found.id.into(),
            cursor.rank.into(),
            cursor.id.into(),
            (PAGE + 1).into(),
            kind_code(Grouping::Package).into(),
        ],
    )?;
    let mut concerned = rows.map(|row| {
        Ok((
            PackageRef {
                key: row.get(2)?,
                name: row.get(3)?,
                language: row.get(4)?,
            },
            Found {
                subject: row.get(0)?,
                rank: row.get(1)?,
                findings: row.get(5)?,
                exploited: row.get(6)?,
                channels: row.get::<Option<i64>>(7)?.unwrap_or(0),
                assignee: None,
            },
        ))
    })?;
    let next = cut(&mut concerned, PAGE, |(_, found)| {
        Cursor::write(found.rank, found.subject)
    });
    let (concerned, rows): (Vec<PackageRef>, Vec<Found>) = concerned.into_iter().unzip();
    let suggestions = filled(
        session,
        &channels,
        Grouping::Package,
        Bucket::Untriaged,
        &rows,
    )?;
    Ok(Maintainer {
        team: found.kind == MaintainerKind::Team,
        name: found.name,
        packages,
        concerned,
        concerned_count,
        suggestions,
        next,
    })
}
