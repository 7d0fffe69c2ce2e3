//! When to try again, and after how long. Pure: the clock and the dice are passed in.

use std::time::Duration;

use jiff::Timestamp;

/// Whether a status may pass by itself.
pub(crate) fn passes(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504)
}

/// What `Retry-After` asks for: seconds, or a date as RFC 9110 writes it.
pub(crate) fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let until = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
    Some(Duration::try_from(until.duration_since(now)).unwrap_or_default())
}

/// The pause before try number `attempt + 1`, from 1: doubled each time, of which `dice` (0 to 1)
/// takes away up to half, so that many clients do not come back at once.
pub(crate) fn pause(attempt: u32, first: Duration, longest: Duration, dice: f64) -> Duration {
    let doubled = first.saturating_mul(
        1_u32
            .checked_shl(attempt.saturating_sub(1))
            .unwrap_or(u32::MAX),
    );
    doubled
        .min(longest)
        .mul_f64(1.0 - dice.clamp(0.0, 1.0) / 2.0)
}

/// A number from 0 to 1 that differs from process to process and call to call.
pub(crate) fn dice() -> f64 {
    use std::hash::{BuildHasher as _, Hasher as _};
    // The keys are random: no generator of random numbers is needed for a pause.
    let random = std::hash::RandomState::new().build_hasher().finish();
    f64::from(u32::try_from(random >> 32).unwrap_or_default()) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_retry_after() {
        let now: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
        let after = |text| retry_after(text, now).map(|d| d.as_secs());
        assert_eq!(after("17"), Some(17));
        assert_eq!(after("Fri, 20 Nov 2026 12:01:30 GMT"), Some(90));
        assert_eq!(after("Fri, 20 Nov 2026 11:00:00 GMT"), Some(0));
        assert_eq!(after("soon"), None);
        assert_eq!(after("-1"), None);
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let at = |attempt, dice| {
            pause(
                attempt,
                Duration::from_secs(1),
                Duration::from_secs(10),
                dice,
            )
            .as_millis()
        };
        assert_eq!(
            [1, 2, 3, 4, 5, 99].map(|n| at(n, 0.0)),
            [1000, 2000, 4000, 8000, 10_000, 10_000]
        );
        assert_eq!(at(1, 1.0), 500);
        assert!((0.0..=1.0).contains(&dice()));
    }

    #[test]
    fn what_passes() {
        assert!([408, 425, 429, 500, 502, 503, 504].into_iter().all(passes));
        assert!(
            ![200, 301, 400, 401, 403, 404, 410, 416, 501, 505]
                .into_iter()
                .any(passes)
        );
    }
}
