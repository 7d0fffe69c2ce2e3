//! How long to wait after a change until nothing changes any more. Pure: the present is passed in.
//!
//! What counts is what a scan would read, and not what else happens in the same directories: an update
//! works in that of the index all the while.

use std::time::{Duration, Instant};

/// However often something changes, a scan is put off no longer than this.
pub(crate) const AT_MOST: Duration = Duration::from_mins(1);

/// A change that is not scanned yet.
#[derive(Debug, Default)]
pub(crate) struct Settling(Option<Changing>);

#[derive(Debug)]
struct Changing {
    seen: String,
    first: Instant,
    last: Instant,
}

impl Settling {
    /// How long until it was quiet for `settle`. `seen` is what a scan would read now, and differs from
    /// what the last one read.
    pub(crate) fn quiet_in(&mut self, seen: String, now: Instant, settle: Duration) -> Duration {
        let changing = self.0.get_or_insert_with(|| Changing {
            seen: seen.clone(),
            first: now,
            last: now,
        });
        if changing.seen != seen {
            changing.seen = seen;
            changing.last = now;
        }
        let since = |then: Instant| now.saturating_duration_since(then);
        settle
            .saturating_sub(since(changing.last))
            .min(AT_MOST.saturating_sub(since(changing.first)))
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "a test has to begin at some time"
)]
mod tests {
    use super::*;

    const SETTLE: Duration = Duration::from_secs(5);

    #[test]
    fn every_change_settles() {
        let begin = Instant::now();
        let after = |seconds: u64| begin + Duration::from_secs(seconds);
        let mut settling = Settling::default();
        let mut quiet = |seen: &str, seconds| {
            let wait = settling.quiet_in(seen.into(), after(seconds), SETTLE);
            wait.as_secs()
        };
        assert_eq!(quiet("index", 0), 5);
        // What is no change of it puts nothing off.
        assert_eq!(quiet("index", 3), 2);
        // Its delta follows.
        assert_eq!(quiet("index, delta", 4), 5);
        assert_eq!(quiet("index, delta", 9), 0);
    }

    #[test]
    fn what_does_not_settle_is_scanned() {
        let begin = Instant::now();
        let mut settling = Settling::default();
        let waits: Vec<u64> = (0..=60)
            .map(|second| {
                let now = begin + Duration::from_secs(second);
                settling.quiet_in(second.to_string(), now, SETTLE).as_secs()
            })
            .collect();
        assert_eq!(waits[..56], [5; 56]);
        assert_eq!(waits[56..], [4, 3, 2, 1, 0]);
    }
}
