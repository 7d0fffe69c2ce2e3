//! Lengths of time as people write them in settings: `90s`, `5m`, `24h`, `7d`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A length of time that was written with its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Length(Duration);

impl Length {
    /// So many seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// As the standard library counts.
    pub const fn get(self) -> Duration {
        self.0
    }
}

/// A text that is no length of time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a length of time; write a number and a unit: 90s, 5m, 24h, 7d")]
pub struct NoLength(String);

impl FromStr for Length {
    type Err = NoLength;

    fn from_str(text: &str) -> Result<Self, NoLength> {
        let no = || NoLength(text.to_owned());
        let split = text
            .find(|c: char| !c.is_ascii_digit())
            .filter(|at| *at > 0)
            .ok_or_else(no)?;
        let number: u64 = text[..split].parse().map_err(|_| no())?;
        let unit = match text[split..].trim() {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            "w" => 604_800,
            _ => return Err(no()),
        };
        // A century is longer than anything here lasts, and far from every overflow.
        number
            .checked_mul(unit)
            .filter(|seconds| *seconds <= 100 * 366 * 86_400)
            .map(Self::seconds)
            .ok_or_else(no)
    }
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let units = [(604_800, "w"), (86_400, "d"), (3_600, "h"), (60, "m")];
        let (unit, name) = units
            .into_iter()
            .find(|(unit, _)| seconds > 0 && seconds.is_multiple_of(*unit))
            .unwrap_or((1, "s"));
        write!(f, "{}{name}", seconds / unit)
    }
}

impl<'de> Deserialize<'de> for Length {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Length {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_written_and_what_is_not() {
        assert_eq!("90s".parse(), Ok(Length::seconds(90)));
        assert_eq!("24h".parse(), Ok(Length::seconds(86_400)));
        assert_eq!(Length::seconds(86_400).to_string(), "1d");
        assert_eq!(Length::seconds(0).to_string(), "0s");
        for wrong in [
            "",
            "h",
            "12",
            "-1h",
            "1y",
            "99999999999999999999h",
            "9999999999w",
        ] {
            assert!(wrong.parse::<Length>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(seconds in 0_u64..3_000_000_000) {
            let length = Length::seconds(seconds);
            prop_assert_eq!(length.to_string().parse::<Length>().unwrap(), length);
        }
    }
}
