//! The public id of a published finding: `NIXPKGS-2026-0042`.
//!
//! A number is taken when the finding is published and never before, so that gaps in the row of ids
//! tell nothing about what is still being looked at.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A public id: a prefix of capital letters and digits, a year, a number from 1.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicId {
    prefix: Box<str>,
    year: i16,
    number: u32,
}

/// A text that is no public id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a public id has the form PREFIX-YEAR-NUMBER, such as NIXPKGS-2026-0042")]
pub struct InvalidPublicId;

impl PublicId {
    /// From its parts.
    pub fn new(prefix: &str, year: i16, number: u32) -> Result<Self, InvalidPublicId> {
        let is_prefix = (2..=16).contains(&prefix.len())
            && prefix.starts_with(|c: char| c.is_ascii_uppercase())
            && prefix
                .chars()
                .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
        if !is_prefix || !(1999..=9999).contains(&year) || number == 0 {
            return Err(InvalidPublicId);
        }
        Ok(Self {
            prefix: prefix.into(),
            year,
            number,
        })
    }

    /// The prefix.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The year of publication.
    pub fn year(&self) -> i16 {
        self.year
    }

    /// The number within the year.
    pub fn number(&self) -> u32 {
        self.number
    }
}

impl fmt::Display for PublicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{:04}", self.prefix, self.year, self.number)
    }
}

impl FromStr for PublicId {
    type Err = InvalidPublicId;

    fn from_str(text: &str) -> Result<Self, InvalidPublicId> {
        let mut parts = text.split('-');
        let (Some(prefix), Some(year), Some(number), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(InvalidPublicId);
        };
        let id = Self::new(
            prefix,
            year.parse().map_err(|_| InvalidPublicId)?,
            number.parse().map_err(|_| InvalidPublicId)?,
        )?;
        // One spelling only: `+42`, `042` and `00042` are other texts.
        if id.to_string() == text {
            Ok(id)
        } else {
            Err(InvalidPublicId)
        }
    }
}

impl TryFrom<String> for PublicId {
    type Error = InvalidPublicId;

    fn try_from(text: String) -> Result<Self, InvalidPublicId> {
        text.parse()
    }
}

impl From<PublicId> for String {
    fn from(id: PublicId) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ids_round_trip(prefix in "[A-Z][A-Z0-9]{1,15}", year in 1999_i16..=9999, number in 1_u32..) {
            let id = PublicId::new(&prefix, year, number).unwrap();
            prop_assert_eq!(id.to_string().parse::<PublicId>().unwrap(), id);
        }

        #[test]
        fn no_text_is_read_as_another(text in "\\PC{0,24}") {
            if let Ok(id) = text.parse::<PublicId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }

    #[test]
    fn other_texts_are_none() {
        for text in [
            "",
            "NIXPKGS-2026",
            "nixpkgs-2026-0001",
            "NIXPKGS-2026-0000",
            "NIXPKGS-2026-00001",
            "NIXPKGS-2026-+001",
            "CVE-2026-0001-1",
        ] {
            assert!(text.parse::<PublicId>().is_err(), "{text}");
        }
    }
}
