//! How slow an answer may be.

use std::time::Duration;

/// The least that counts as an answer that moves, in bytes a second.
const SLOWEST: f64 = 1_000.0;

/// How fast a body comes, judged over stretches of time.
pub(crate) struct Pace {
    stretch: Duration,
    since: tokio::time::Instant,
    received: usize,
}

impl Pace {
    pub(crate) fn new(stretch: Duration) -> Self {
        Self {
            stretch,
            since: tokio::time::Instant::now(),
            received: 0,
        }
    }

    /// Whether so much more is too little since the stretch began.
    pub(crate) fn is_too_slow(&mut self, received: usize) -> bool {
        self.received += received;
        if self.since.elapsed() < self.stretch {
            return false;
        }
        #[expect(clippy::cast_precision_loss, reason = "a rate, not a count")]
        let slow = (self.received as f64) < self.stretch.as_secs_f64() * SLOWEST;
        *self = Self::new(self.stretch);
        slow
    }
}
