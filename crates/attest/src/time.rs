//! Points in time, to the second, in one spelling.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A point in time, written as `2026-01-31T12:00:00Z` and in no other way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(Timestamp);

impl Time {
    /// The second in which an instant lies.
    pub fn new(instant: Timestamp) -> Self {
        Self(Timestamp::from_second(instant.as_second()).unwrap_or(instant))
    }

    /// The first instant of the second.
    pub fn instant(self) -> Timestamp {
        self.0
    }
}

impl From<Timestamp> for Time {
    fn from(instant: Timestamp) -> Self {
        Self::new(instant)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.strftime("%Y-%m-%dT%H:%M:%SZ"), f)
    }
}

/// The text is no time as it is written here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a time such as 2026-01-31T12:00:00Z")]
pub struct TimeError;

impl FromStr for Time {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        let time = Self::new(text.parse().map_err(|_| TimeError)?);
        // Another spelling of the same would be other bytes of the same statement.
        if time.to_string() == text {
            Ok(time)
        } else {
            Err(TimeError)
        }
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_spelling() {
        let text = "2026-01-31T12:00:00Z";
        assert_eq!(text.parse::<Time>().unwrap().to_string(), text);
        for other in [
            "2026-01-31T12:00:00.5Z",
            "2026-01-31T13:00:00+01:00",
            "2026-01-31t12:00:00z",
            "2026-01-31",
            "20260131T120000Z",
            "",
        ] {
            assert!(other.parse::<Time>().is_err(), "{other}");
        }
    }
}
