//! The first page.

use snowguard_db::Session;

use super::{ViewError, channel, common, queue, tally};
use crate::view::{Bucket, Home, QueueFilter};

/// How many suggestions the first page has of each list.
const FIRST: i64 = 8;

/// The first page. Fourteen statements at most.
pub fn home(session: &mut dyn Session) -> Result<Home, ViewError> {
    let channels = common::channels(session)?;
    let tallies = tally::load(session)?;
    let filter = QueueFilter::default();
    let (mut now, _) = queue::suggestions(session, &channels, &filter, None, FIRST)?;
    if now.is_empty() {
        // Nothing waits for a first look: then what was confirmed is next.
        let filter = QueueFilter {
            bucket: Bucket::Confirmed,
            ..filter
        };
        now = queue::suggestions(session, &channels, &filter, None, FIRST)?.0;
    }
    let recent = common::events(
        session,
        "e.actor IS NOT NULL AND e.id < $1",
        &[i64::MAX.into()],
        6,
    )?;
    Ok(Home {
        counts: tallies.counts(),
        now,
        severity: tallies.severity(),
        trend: tallies.weeks(),
        channels: channel::summaries(session, &channels, &tallies)?,
        recent,
        newest_advisory: tallies.newest,
        matched_at: tallies.counted_at,
    })
}
