//! What is known of the feeds during an update: of those in the index, and of those in the records,
//! which may be ahead of it.

use camino::Utf8Path;
use jiff::Timestamp;
use snowguard_advisory::index::SegmentDigest;

use super::{FeedsPlace, Outcome, Status, UpdateError};

pub(super) struct Known {
    /// Of the index. Only a failure is noted here before it is written.
    index: Status,
    /// Of the records.
    records: Status,
}

impl Known {
    /// What is known before an update. Where there are no records, none are ahead.
    pub(super) fn load(place: &FeedsPlace, has_records: bool) -> Self {
        let index = Status::load(&place.status());
        let ahead = Status::load(&place.ahead());
        let records = if has_records && !ahead.feeds.is_empty() {
            ahead
        } else {
            index.clone()
        };
        Self { index, records }
    }

    /// Notes how a part came out.
    pub(super) fn note(&mut self, outcome: &Outcome, now: Timestamp) {
        self.records.note(outcome, now);
        // What came signed as a whole has no feeds that could fail.
        if outcome.result.is_err() && !self.index.is_signed() {
            self.index.note(outcome, now);
        }
    }

    /// Forgets parts that are not in the records any more.
    pub(super) fn drop(&mut self, parts: &[(String, u64)]) {
        for (part, _) in parts {
            self.records.feeds.remove(part);
        }
    }

    /// The index is as it was.
    pub(super) fn keep(&self, place: &FeedsPlace) -> Result<(), UpdateError> {
        save(&self.index, &place.status())?;
        save(&self.records, &place.ahead())
    }

    /// The index says what the records say.
    pub(super) fn settle(
        mut self,
        place: &FeedsPlace,
        base: Option<SegmentDigest>,
    ) -> Result<(), UpdateError> {
        self.records.set_base(base);
        save(&self.records, &place.status())?;
        match std::fs::remove_file(place.ahead()) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(UpdateError::Place {
                    path: place.ahead(),
                    source,
                })
            }
            _ => Ok(()),
        }
    }
}

fn save(status: &Status, path: &Utf8Path) -> Result<(), UpdateError> {
    status.save(path).map_err(|source| UpdateError::Place {
        path: path.to_owned(),
        source,
    })
}
