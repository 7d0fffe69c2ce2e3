//! The queue.

use std::collections::HashMap;

use snowguard_db::evaluations::Channel;
use snowguard_db::{DbError, Session, Value};
use snowguard_triage::Code as _;

use super::common::{self, PAGE};
use super::{Cursor, ViewError, tally};
use crate::view::{
    Bucket, BucketCount, FindingRow, Grouping, Queue, QueueFilter, Suggestion, Update,
};

/// A page of the queue. Eight statements at most.
pub fn queue(
    session: &mut dyn Session,
    filter: &QueueFilter,
    cursor: Option<&str>,
) -> Result<Queue, ViewError> {
    let channels = common::channels(session)?;
    let counts = tally::load(session)?;
    let (suggestions, next) = suggestions(session, &channels, filter, cursor, PAGE)?;
    Ok(Queue {
        filter: filter.clone(),
        buckets: Bucket::ALL
            .into_iter()
            .map(|bucket| BucketCount {
                bucket,
                count: counts.suggestions(filter.grouping, bucket),
            })
            .collect(),
        channels: channels
            .into_iter()
            .filter(|channel| channel.is_followed)
            .map(|channel| channel.name)
            .collect(),
        suggestions,
        next,
    })
}

/// Suggestions as a filter says, and where the next page begins. Six statements at most.
pub(super) fn suggestions(
    session: &mut dyn Session,
    channels: &[Channel],
    filter: &QueueFilter,
    cursor: Option<&str>,
    limit: i64,
) -> Result<(Vec<Suggestion>, Option<String>), ViewError> {
    let cursor = Cursor::read(cursor)?;
    let mut parameters: Vec<Value<'_>> = vec![
        bucket_code(filter.bucket).into(),
        kind_code(filter.grouping).into(),
        cursor.rank.into(),
        cursor.id.into(),
        (limit + 1).into(),
    ];
    let mut conditions = String::new();
    let mut with = |condition: &dyn Fn(usize) -> String, value: Value<'static>| {
        parameters.push(value);
        conditions.push_str(" AND ");
        conditions.push_str(&condition(parameters.len()));
    };
    if let Some(rating) = filter.rating {
        let codes = common::rating_codes(rating);
        with(
            &|at| format!("coalesce(s.rating, 0) {{in:{at}}}"),
            codes.into(),
        );
    }
    if filter.exploited {
        with(&|at| format!("s.exploited = ${at}"), 1_i64.into());
    }
    if let Some(name) = &filter.channel {
        let channel = channels.iter().find(|channel| channel.name == *name);
        let channel = channel.ok_or_else(|| ViewError::NotFound {
            what: "channel",
            name: name.clone(),
        })?;
        let bit = snowguard_triage::group::channel_bit(channel.position);
        with(&|at| format!("(s.channels & ${at}) <> 0"), bit.into());
    }
    if let Some(assignee) = &filter.assignee {
        with(
            &|at| format!("s.assignee = (SELECT id FROM account WHERE lower(name) = lower(${at}))"),
            assignee.clone().into(),
        );
    }
    let sql = format!(
        "SELECT s.subject, s.rank, s.findings, s.exploited, s.channels, u.name
         FROM suggestion s LEFT JOIN account u ON u.id = s.assignee
         WHERE s.bucket = $1 AND s.kind = $2 AND s.rank <= $3
               AND (s.rank < $3 OR s.subject > $4)
               {conditions}
         ORDER BY s.rank DESC, s.subject LIMIT $5"
    );
    let mut found = session.query(&sql, &parameters)?.map(|row| {
        Ok(Found {
            subject: row.get(0)?,
            rank: row.get(1)?,
            findings: row.get(2)?,
            exploited: row.get(3)?,
            channels: row.get(4)?,
            assignee: row.get(5)?,
        })
    })?;
    let next = cut(&mut found, limit, |last| {
        Cursor::write(last.rank, last.subject)
    });
    let suggestions = filled(session, channels, filter.grouping, filter.bucket, &found)?;
    Ok((suggestions, next))
}

/// Leaves out what was asked for beyond the page, and says where the next begins if there was such.
pub(super) fn cut<T>(
    rows: &mut Vec<T>,
    limit: i64,
    cursor: impl Fn(&T) -> String,
) -> Option<String> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    if rows.len() <= limit {
        return None;
    }
    rows.truncate(limit);
    rows.last().map(cursor)
}

/// A row of the queue, before it is shown.
pub(super) struct Found {
    pub(super) subject: i64,
    pub(super) rank: i64,
    pub(super) findings: u32,
    pub(super) exploited: u32,
    pub(super) channels: i64,
    pub(super) assignee: Option<String>,
}

/// Suggestions with their first findings. Four statements.
pub(super) fn filled(
    session: &mut dyn Session,
    channels: &[Channel],
    grouping: Grouping,
    bucket: Bucket,
    found: &[Found],
) -> Result<Vec<Suggestion>, ViewError> {
    let subjects: Vec<i64> = found.iter().map(|found| found.subject).collect();
    let first = first_of(session, grouping, &subjects)?;
    let ids: Vec<i64> = first.iter().map(|(_, id)| *id).collect();
    let mut rows: HashMap<i64, FindingRow> = common::rows(session, channels, &ids)?
        .into_iter()
        .map(|row| (row.id, row))
        .collect();
    let packages: HashMap<i64, (Option<String>, u32)> = {
        let sql = match grouping {
            Grouping::Package => "SELECT id, update_to, dependents FROM package WHERE id {in:1}",
            Grouping::Advisory => {
                "SELECT f.id, p.update_to, p.dependents FROM finding f
                 JOIN package p ON p.id = f.package WHERE f.id {in:1}"
            }
        };
        let wanted = match grouping {
            Grouping::Package => &subjects,
            Grouping::Advisory => &ids,
        };
        let rows = session.query(sql, &[wanted.into()])?;
        let pairs = rows.map(|row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))?;
        pairs.into_iter().collect()
    };
    let suggestions = found.iter().filter_map(|found| {
        let own: Vec<i64> = first
            .iter()
            .filter(|(subject, _)| *subject == found.subject)
            .map(|(_, id)| *id)
            .collect();
        let about = match grouping {
            Grouping::Package => packages.get(&found.subject),
            Grouping::Advisory => own.first().and_then(|id| packages.get(id)),
        };
        let own: Vec<FindingRow> = own.iter().filter_map(|id| rows.remove(id)).collect();
        let head = own.first()?;
        Some(Suggestion {
            grouping,
            advisory: head.advisory.clone(),
            package: head.package.clone(),
            bucket,
            findings: found.findings,
            exploited: found.exploited,
            dependents: about.map_or(0, |(_, dependents)| *dependents),
            channels: common::of_bits(channels, found.channels),
            assignee: found.assignee.clone(),
            update: about
                .filter(|_| grouping == Grouping::Package)
                .and_then(|(to, _)| to.clone())
                .map(|to| Update { to }),
            rows: own,
        })
    });
    Ok(suggestions.collect())
}

/// The first three findings of each subject that are not settled: subject and finding. One statement.
fn first_of(
    session: &mut dyn Session,
    grouping: Grouping,
    subjects: &[i64],
) -> Result<Vec<(i64, i64)>, DbError> {
    let (table, column) = match grouping {
        Grouping::Advisory => ("advisory", "advisory"),
        Grouping::Package => ("package", "package"),
    };
    // Each by a look into the index: a kernel has thousands. Those of a package that are open have an
    // index of their own, which is meant by the very number.
    let done = snowguard_triage::Bucket::Done.to_code();
    let one = |place: usize| {
        format!(
            "(SELECT f.id FROM finding f WHERE f.{column} = s.id AND f.bucket <> {done}
              ORDER BY f.rank DESC, f.id LIMIT 1 OFFSET {place})"
        )
    };
    let sql = format!(
        "SELECT s.id, {}, {}, {} FROM {table} s WHERE s.id {{in:1}} ORDER BY s.id",
        one(0),
        one(1),
        one(2)
    );
    let mut pairs = Vec::new();
    session.for_each(&sql, &[subjects.into()], &mut |row| {
        for column in 1..=3 {
            if let Some(id) = row.get::<Option<i64>>(column)? {
                pairs.push((row.get(0)?, id));
            }
        }
        Ok(())
    })?;
    Ok(pairs)
}

pub(super) fn bucket_code(bucket: Bucket) -> i64 {
    use snowguard_triage::Bucket as Stored;
    match bucket {
        Bucket::Untriaged => Stored::Queue,
        Bucket::Review => Stored::Review,
        Bucket::Confirmed => Stored::Confirmed,
        Bucket::Marked => Stored::Marked,
        Bucket::Kernel => Stored::Kernel,
    }
    .to_code()
}

pub(super) fn kind_code(grouping: Grouping) -> i64 {
    use snowguard_triage::SuggestionKind as Stored;
    match grouping {
        Grouping::Advisory => Stored::Advisory,
        Grouping::Package => Stored::Package,
    }
    .to_code()
}
