//! What is computed from findings and kept beside them: rows of the queue, and what lists of advisories
//! and packages show. Whoever changes findings calls it in the same change.

use std::collections::{BTreeMap, BTreeSet};

use snowguard_matching::Status;
use snowguard_triage::group::{self, Member, Row as Suggestion};
use snowguard_triage::{Bucket, Code as _, SuggestionKind};

use super::code;
use crate::advisories::{rating_code, rating_of};
use crate::{Bulk, DbError, Dialect, Session, Value};

/// How many subjects are brought in step at once.
const AT_ONCE: usize = 1_000;

/// Brings in step what is computed from the findings of these advisories and packages.
pub fn refresh<S: Session + ?Sized>(
    session: &mut S,
    advisories: &BTreeSet<i64>,
    packages: &BTreeSet<i64>,
) -> Result<(), DbError> {
    for (kind, subjects) in [
        (SuggestionKind::Advisory, advisories),
        (SuggestionKind::Package, packages),
    ] {
        let subjects: Vec<i64> = subjects.iter().copied().collect();
        for subjects in subjects.chunks(AT_ONCE) {
            bring(session, kind, subjects)?;
            if kind == SuggestionKind::Package {
                stand(session, subjects)?;
            }
        }
    }
    Ok(())
}

/// How packages stand in channels.
fn stand<S: Session + ?Sized>(session: &mut S, packages: &[i64]) -> Result<(), DbError> {
    session.execute(
        "DELETE FROM package_channel WHERE package {in:1}",
        &[packages.into()],
    )?;
    session.execute(
        "INSERT INTO package_channel (package, channel, affected, exploited, review) \
         SELECT f.package, c.channel, sum(CASE WHEN c.status = $2 THEN 1 ELSE 0 END), \
         sum(CASE WHEN c.status = $2 AND a.exploited IS NOT NULL THEN 1 ELSE 0 END), \
         sum(CASE WHEN c.status = $3 THEN 1 ELSE 0 END) \
         FROM finding f JOIN finding_channel c ON c.finding = f.id \
         JOIN advisory a ON a.id = f.advisory \
         WHERE f.package {in:1} AND f.bucket <> 9 AND c.status IN ($2, $3) \
         GROUP BY f.package, c.channel",
        &[
            packages.into(),
            Status::Affected.to_code().into(),
            Status::NeedsReview.to_code().into(),
        ],
    )?;
    Ok(())
}

fn bring<S: Session + ?Sized>(
    session: &mut S,
    kind: SuggestionKind,
    subjects: &[i64],
) -> Result<(), DbError> {
    lock(session, kind, subjects)?;
    let mut members = members(session, kind, subjects)?;
    let (mut rows, mut lists, mut gone) = (Vec::new(), Vec::new(), Vec::new());
    for &subject in subjects {
        let members = members.remove(&subject).unwrap_or_default();
        let row = match kind {
            SuggestionKind::Advisory => group::of_advisory(&members),
            SuggestionKind::Package => group::of_package(&members),
        };
        match &row {
            Some(row) => rows.push(suggestion(kind, subject, row)),
            None => gone.push(vec![kind.to_code().into(), subject.into()]),
        }
        lists.push(list(kind, subject, &members));
    }
    let bulk = Bulk::new("suggestion")
        .int("kind")
        .int("subject")
        .int("bucket")
        .int("rank")
        .int("rating")
        .int("exploited")
        .int("channels")
        .int("findings")
        .int("assignee")
        .then(
            "ON CONFLICT (kind, subject) DO UPDATE SET bucket = excluded.bucket, \
             rank = excluded.rank, rating = excluded.rating, exploited = excluded.exploited, \
             channels = excluded.channels, findings = excluded.findings, \
             assignee = excluded.assignee",
        );
    session.insert_many(&bulk, &rows)?;
    session.delete_many(
        &Bulk::new("suggestion").int("kind").int("subject").key(),
        &gone,
    )?;
    let bulk = match kind {
        SuggestionKind::Advisory => Bulk::new("advisory")
            .int("id")
            .key()
            .int("candidates")
            .int("open")
            .int("rank"),
        SuggestionKind::Package => Bulk::new("package")
            .int("id")
            .key()
            .int("exploited")
            .int("open")
            .int("rank")
            .int("worst"),
    };
    session.update_many(&bulk, &lists)?;
    Ok(())
}

/// Two who change findings of one subject at the same time must see each other's: the second waits, and
/// reads what the first has written. All lock advisories before packages, and in order.
fn lock<S: Session + ?Sized>(
    session: &mut S,
    kind: SuggestionKind,
    subjects: &[i64],
) -> Result<(), DbError> {
    if session.dialect() == Dialect::Postgres {
        let sql = match kind {
            SuggestionKind::Advisory => {
                "SELECT id FROM advisory WHERE id {in:1} ORDER BY id FOR UPDATE"
            }
            SuggestionKind::Package => {
                "SELECT id FROM package WHERE id {in:1} ORDER BY id FOR UPDATE"
            }
        };
        session.query(sql, &[subjects.into()])?;
    }
    Ok(())
}

/// The findings of each subject.
fn members<S: Session + ?Sized>(
    session: &mut S,
    kind: SuggestionKind,
    subjects: &[i64],
) -> Result<BTreeMap<i64, Vec<Member>>, DbError> {
    let sql = match kind {
        SuggestionKind::Advisory => {
            "SELECT finding.advisory, finding.bucket, finding.rank, finding.channels, \
             finding.assignee, advisory.rating, advisory.exploited IS NOT NULL FROM finding \
             JOIN advisory ON advisory.id = finding.advisory WHERE finding.advisory {in:1}"
        }
        SuggestionKind::Package => {
            "SELECT finding.package, finding.bucket, finding.rank, finding.channels, \
             finding.assignee, advisory.rating, advisory.exploited IS NOT NULL FROM finding \
             JOIN advisory ON advisory.id = finding.advisory WHERE finding.package {in:1}"
        }
    };
    let mut members: BTreeMap<i64, Vec<Member>> = BTreeMap::new();
    session.for_each(sql, &[subjects.into()], &mut |row| {
        members.entry(row.get(0)?).or_default().push(Member {
            bucket: code(row, 1)?,
            rank: row.get(2)?,
            channels: row.get(3)?,
            assignee: row.get(4)?,
            rating: row.get::<Option<i64>>(5)?.and_then(rating_of),
            exploited: row.get(6)?,
        });
        Ok(())
    })?;
    Ok(members)
}

fn suggestion(kind: SuggestionKind, subject: i64, row: &Suggestion) -> Vec<Value<'static>> {
    vec![
        kind.to_code().into(),
        subject.into(),
        row.bucket.to_code().into(),
        row.rank.into(),
        rating_code(row.rating).into(),
        row.exploited.into(),
        row.channels.into(),
        crate::advisories::count(row.findings),
        row.assignee.into(),
    ]
}

/// What lists show of the subject itself.
fn list(kind: SuggestionKind, subject: i64, members: &[Member]) -> Vec<Value<'static>> {
    let open = || {
        members
            .iter()
            .filter(|member| member.bucket != Bucket::Done)
    };
    let exploited = open().filter(|member| member.exploited).count();
    let first = match kind {
        SuggestionKind::Advisory => members.len(),
        SuggestionKind::Package => exploited,
    };
    let mut row = vec![
        subject.into(),
        crate::advisories::count(first),
        crate::advisories::count(open().count()),
        open().map(|member| member.rank).max().unwrap_or(0).into(),
    ];
    if kind == SuggestionKind::Package {
        let worst = open().filter_map(|member| member.rating).max();
        row.push(rating_code(worst).into());
    }
    row
}
