//! Channels.

use std::collections::HashMap;

use snowguard_db::evaluations::{
    Channel as Stored, Evaluation as StoredEvaluation, Evaluations as _,
};
use snowguard_db::{DbError, Session};
use snowguard_matching::Status as Matched;
use snowguard_triage::{Bucket, Code as _};

use super::common::{self, PAGE};
use super::queue::cut;
use super::tally::{self, Tallies};
use super::{Cursor, ViewError};
use crate::view::{Channel, ChannelSummary, Channels, Evaluation};

/// All channels. Three statements.
pub fn channels(session: &mut dyn Session) -> Result<Channels, ViewError> {
    let channels = common::channels(session)?;
    let tallies = tally::load(session)?;
    Ok(Channels {
        channels: summaries(session, &channels, &tallies)?,
    })
}

/// Channels in brief. One statement.
pub(super) fn summaries(
    session: &mut dyn Session,
    channels: &[Stored],
    tallies: &Tallies,
) -> Result<Vec<ChannelSummary>, DbError> {
    let heads: Vec<i64> = channels.iter().filter_map(|channel| channel.head).collect();
    let rows = session.query(
        "SELECT id, revision, evaluated_at, packages FROM evaluation WHERE id {in:1}",
        &[heads.into()],
    )?;
    let rows = rows.map(|row| {
        Ok((
            row.get::<i64>(0)?,
            (row.get::<String>(1)?, row.get(2)?, row.get::<u64>(3)?),
        ))
    })?;
    let mut heads: HashMap<i64, _> = rows.into_iter().collect();
    Ok(channels
        .iter()
        .map(|channel| {
            let head = channel.head.and_then(|head| heads.remove(&head));
            let counted = tallies.channel(channel.id);
            let (revision, evaluated_at, attributes) = match head {
                Some((revision, at, attributes)) => (Some(revision), Some(at), attributes),
                None => (None, None, 0),
            };
            ChannelSummary {
                name: channel.name.clone(),
                followed: channel.is_followed,
                revision,
                evaluated_at,
                attributes,
                affected: counted.affected,
                exploited: counted.exploited,
                review: counted.review,
            }
        })
        .collect())
}

/// A channel. Ten statements.
pub fn channel(
    session: &mut dyn Session,
    name: &str,
    cursor: Option<&str>,
) -> Result<Channel, ViewError> {
    let cursor = Cursor::read(cursor)?;
    let channels = common::channels(session)?;
    let found = channels.iter().find(|channel| channel.name == name);
    let found = found.ok_or_else(|| ViewError::NotFound {
        what: "channel",
        name: name.to_owned(),
    })?;
    let tallies = tally::load(session)?;
    let summary = summaries(session, std::slice::from_ref(found), &tallies)?.pop();
    let summary = summary.ok_or_else(|| ViewError::NotFound {
        what: "channel",
        name: name.to_owned(),
    })?;
    // List by list in the order of rank, and the first of all of them together. What is affected in a channel
    // is so in the worst of them.
    let bit = snowguard_triage::group::channel_bit(found.position);
    let list = |bucket: Bucket| {
        let bucket = bucket.to_code();
        format!(
            "SELECT * FROM (
                 SELECT f.id AS id, f.rank AS rank FROM finding f
                      JOIN finding_channel c ON c.finding = f.id AND c.channel = $1
                 WHERE f.bucket = {bucket} AND f.status = $6 AND f.rank <= $2 AND (f.rank < $2 OR f.id > $3)
                       AND (f.channels & $4) <> 0 AND c.status = $6
                 ORDER BY f.rank DESC, f.id LIMIT $5
             ) AS of_list_{bucket}"
        )
    };
    let sql = format!(
        "{} UNION ALL {} UNION ALL {} UNION ALL {} ORDER BY rank DESC, id LIMIT $5",
        list(Bucket::Queue),
        list(Bucket::Review),
        list(Bucket::Confirmed),
        list(Bucket::Marked)
    );
    let mut affected: Vec<(i64, i64)> = session
        .query(
            &sql,
            &[
                found.id.into(),
                cursor.rank.into(),
                cursor.id.into(),
                bit.into(),
                (PAGE + 1).into(),
                Matched::Affected.to_code().into(),
            ],
        )?
        .map(|row| Ok((row.get(0)?, row.get(1)?)))?;
    let next = cut(&mut affected, PAGE, |(id, rank)| Cursor::write(*rank, *id));
    let ids: Vec<i64> = affected.iter().map(|(id, _)| *id).collect();
    let findings = common::rows(session, &channels, &ids)?;
    let fixed: Vec<i64> = session
        .query(
            "SELECT finding FROM finding_channel WHERE channel = $1 AND fixed_since IS NOT NULL
             ORDER BY fixed_since DESC, finding LIMIT 8",
            &[found.id.into()],
        )?
        .map(|row| row.get(0))?;
    let fixed = common::rows(session, &channels, &fixed)?;
    let evaluations = session.evaluations(found.id, None, 12)?;
    Ok(Channel {
        severity: tallies.channel(found.id).open,
        summary,
        findings,
        next,
        fixed,
        evaluations: evaluations.into_iter().map(evaluation).collect(),
    })
}

fn evaluation(stored: StoredEvaluation) -> Evaluation {
    Evaluation {
        revision: stored.revision,
        evaluated_at: stored.evaluated_at,
        ingested_at: stored.ingested_at,
        attributes: stored.packages.into(),
        failed: stored.failed.into(),
        added: stored.added.into(),
        removed: stored.removed.into(),
        changed: stored.changed.into(),
        rebuilt: stored.rebuilt.into(),
    }
}
