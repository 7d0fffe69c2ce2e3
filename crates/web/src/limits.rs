//! What one client may ask for: so many requests at once, and so many a second after that.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A rate: so many at once, then one each so often.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// How many at once.
    pub burst: u32,
    /// How many a second, in the long run.
    pub per_second: f64,
}

/// Who has asked how often. Forgets those who have not asked for a while, and the oldest where there are
/// too many.
#[derive(Debug)]
pub(crate) struct Limiter<K> {
    rate: Rate,
    buckets: Mutex<HashMap<K, Bucket>>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: f64,
    at: Instant,
}

/// How many clients are remembered at most.
const MOST: usize = 50_000;

impl<K: Eq + Hash + Clone> Limiter<K> {
    pub(crate) fn new(rate: Rate) -> Self {
        Self {
            rate,
            buckets: Mutex::default(),
        }
    }

    /// Takes one. An error says after how long to ask again.
    pub(crate) fn take(&self, who: &K, now: Instant) -> Result<(), Duration> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MOST && !buckets.contains_key(who) {
            let full = self.full_after();
            buckets.retain(|_, bucket| now.saturating_duration_since(bucket.at) < full);
            if buckets.len() >= MOST {
                // So many at once are one attack; whoever comes new waits until it ebbs.
                return Err(Duration::from_secs(1));
            }
        }
        let burst = f64::from(self.rate.burst);
        let bucket = buckets.entry(who.clone()).or_insert(Bucket {
            left: burst,
            at: now,
        });
        let passed = now.saturating_duration_since(bucket.at).as_secs_f64();
        bucket.left = (bucket.left + passed * self.rate.per_second).min(burst);
        bucket.at = now;
        if bucket.left >= 1.0 {
            bucket.left -= 1.0;
            Ok(())
        } else {
            let wait = (1.0 - bucket.left) / self.rate.per_second.max(1e-6);
            Err(Duration::from_secs_f64(wait.min(3_600.0)))
        }
    }

    /// After how long nothing of a bucket is remembered that matters.
    fn full_after(&self) -> Duration {
        Duration::from_secs_f64(
            (f64::from(self.rate.burst) / self.rate.per_second.max(1e-6)).min(86_400.0),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a beginning to count from")]
    fn so_many_at_once_and_then_so_often() {
        let limiter = Limiter::new(Rate {
            burst: 3,
            per_second: 2.0,
        });
        let start = Instant::now();
        for _ in 0..3 {
            assert_eq!(limiter.take(&1, start), Ok(()));
        }
        let wait = limiter.take(&1, start).unwrap_err();
        assert_eq!(wait, Duration::from_millis(500));
        assert_eq!(limiter.take(&2, start), Ok(()), "others are not meant");
        let later = start + Duration::from_millis(500);
        assert_eq!(limiter.take(&1, later), Ok(()));
        assert!(limiter.take(&1, later).is_err());
        let much_later = start + Duration::from_mins(1);
        for _ in 0..3 {
            assert_eq!(limiter.take(&1, much_later), Ok(()));
        }
        assert!(
            limiter.take(&1, much_later).is_err(),
            "no more than the burst"
        );
    }
}
