//! A time as a document spells it.
//!
//! Documents of others carry times in every half-legal form, and none of them is worth failing a
//! read: the text is kept, and its meaning is asked for where it matters. There is no clock here;
//! whoever writes a document passes the time in.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A point in time, as RFC 3339 text.
///
/// Made from a [`jiff::Timestamp`] or by [`FromStr`], it is well formed. Read from a document, it
/// holds that document's text, and [`instant`](Self::instant) says whether it means anything.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(String);

/// The text is no RFC 3339 time with an offset, such as `2026-01-31T12:00:00Z`.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is not an RFC 3339 time such as `2026-01-31T12:00:00Z`")]
pub struct TimestampError {
    text: String,
    #[source]
    source: Option<jiff::Error>,
}

impl Timestamp {
    /// The text, as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The point in time, for comparison; `None` when the text means none.
    ///
    /// A date alone is its first second, and a time without an offset is UTC: so they are meant
    /// by the tools that write them.
    pub fn instant(&self) -> Option<jiff::Timestamp> {
        if let Ok(instant) = self.0.parse() {
            return Some(instant);
        }
        let local: jiff::civil::DateTime = self.0.parse().ok()?;
        local
            .to_zoned(jiff::tz::TimeZone::UTC)
            .ok()
            .map(|zoned| zoned.timestamp())
    }

    /// Whether schemas that ask for `date-time` accept the text.
    pub fn is_well_formed(&self) -> bool {
        self.0.parse::<Self>().is_ok()
    }
}

impl Timestamp {
    /// The text of a document, whatever it is.
    pub(crate) fn verbatim(text: String) -> Self {
        Self(text)
    }
}

impl From<jiff::Timestamp> for Timestamp {
    /// To the second, in UTC: `2026-01-31T12:00:00Z`, which every format accepts.
    fn from(instant: jiff::Timestamp) -> Self {
        Self(instant.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = |source| TimestampError {
            text: crate::text::excerpt(text),
            source,
        };
        // The shape is checked here, because jiff also takes forms of ISO 8601 that schemas refuse.
        if !has_rfc3339_shape(text.as_bytes()) {
            return Err(error(None));
        }
        match text.parse::<jiff::Timestamp>() {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(source) => Err(error(Some(source))),
        }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `YYYY-MM-DDThh:mm:ss`, a fraction or none, then `Z` or `+hh:mm`.
fn has_rfc3339_shape(text: &[u8]) -> bool {
    let Some((head, rest)) = text.split_at_checked(19) else {
        return false;
    };
    let matches = |text: &[u8], pattern: &[u8]| {
        text.len() == pattern.len()
            && text
                .iter()
                .zip(pattern)
                .all(|(byte, expected)| match expected {
                    b'd' => byte.is_ascii_digit(),
                    b'T' => matches!(byte, b'T' | b't'),
                    _ => byte == expected,
                })
    };
    if !matches(head, b"dddd-dd-ddTdd:dd:dd") {
        return false;
    }
    let rest = match rest.strip_prefix(b".") {
        Some(fraction) => {
            let digits = fraction.iter().take_while(|b| b.is_ascii_digit()).count();
            if digits == 0 {
                return false;
            }
            &fraction[digits..]
        }
        None => rest,
    };
    matches!(rest, b"Z" | b"z") || matches(rest, b"+dd:dd") || matches(rest, b"-dd:dd")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_formed_times_are_taken_and_others_named() {
        for text in [
            "2026-01-31T12:00:00Z",
            "2026-01-31T12:00:00.647787998-06:00",
            "2026-01-31t12:00:00z",
        ] {
            assert_eq!(text.parse::<Timestamp>().unwrap().as_str(), text);
        }
        for text in [
            "",
            "yesterday",
            "2026-01-31",
            "2026-01-31T12:00:00",
            "2026-13-31T12:00:00Z",
            "20260131T120000Z",
            "2026-01-31T12:00:00.Z",
            "2026-01-31T12:00:00+0600",
            "2026-01-31T12:00Z",
        ] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
        let error = "now".parse::<Timestamp>().unwrap_err();
        insta::assert_snapshot!(error, @"`now` is not an RFC 3339 time such as `2026-01-31T12:00:00Z`");
    }

    #[test]
    fn half_legal_times_still_have_an_instant() {
        let instant = |text: &str| {
            serde_json::from_value::<Timestamp>(text.into())
                .unwrap()
                .instant()
                .map(|instant| instant.to_string())
        };
        assert_eq!(
            instant("2026-01-31").as_deref(),
            Some("2026-01-31T00:00:00Z")
        );
        assert_eq!(
            instant("2026-01-31T12:00:00.5").as_deref(),
            Some("2026-01-31T12:00:00.5Z")
        );
        assert_eq!(
            instant("2026-01-31T12:00:00-06:00").as_deref(),
            Some("2026-01-31T18:00:00Z")
        );
        assert_eq!(instant("soon"), None);
    }

    #[test]
    fn what_we_write_has_seconds_and_a_z() {
        let instant: jiff::Timestamp = "2026-01-31T12:00:00.999+01:00".parse().unwrap();
        let timestamp = Timestamp::from(instant);
        assert_eq!(timestamp.as_str(), "2026-01-31T11:00:00Z");
        assert!(timestamp.is_well_formed());
    }
}
