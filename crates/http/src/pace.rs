//! How slow an answer may be.

use std::time::Duration;

/// The least that counts as an answer that moves, in bytes a second.
const SLOWEST: f64 = 1_000.0;

/// How fast a body comes, judged over stretches of time.
pub(crate) struct Pace {
    stretch: Duration,
    since: tokio::time::Instant,
    received: usize,
    /// Whether the stretch that ended with the last piece was too slow.
    was_slow: bool,
}

impl Pace {
    pub(crate) fn new(stretch: Duration) -> Self {
        Self {
            stretch,
            since: tokio::time::Instant::now(),
            received: 0,
            was_slow: false,
        }
    }

    /// Whether what came before this piece was too little for its time.
    ///
    /// That is told with the next piece: what turns out to have been the end of the body is not
    /// thrown away for having come late.
    pub(crate) fn is_too_slow(&mut self, received: usize) -> bool {
        if self.was_slow {
            return true;
        }
        self.received += received;
        if self.since.elapsed() >= self.stretch {
            #[expect(clippy::cast_precision_loss, reason = "a rate, not a count")]
            let was_slow = (self.received as f64) < self.stretch.as_secs_f64() * SLOWEST;
            *self = Self {
                was_slow,
                ..Self::new(self.stretch)
            };
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_body_is_not_judged() {
        let stretch = Duration::from_millis(10);
        let after = |received: &[usize]| {
            let mut pace = Pace::new(stretch);
            let judged = received.iter().map(|received| {
                std::thread::sleep(stretch);
                pace.is_too_slow(*received)
            });
            judged.collect::<Vec<_>>()
        };
        assert_eq!(after(&[9]), [false], "it may be all there is");
        assert_eq!(after(&[9, 1_000]), [false, true], "it was not");
        assert_eq!(after(&[10, 10, 9]), [false, false, false]);
    }
}
