//! Names of advisories: `CVE-2021-3711`, `GHSA-…`, `PYSEC-2021-62`, `CURL-CVE-2020-8231`.
//!
//! Nothing here says what an advisory means; see [`crate::record`].

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The name that a database gave to one advisory.
///
/// Between 1 and 128 characters out of letters, digits and `-._:/+@`, so that it can stand in a
/// table, a URL or a file name without surprises. CVE ids are upper-cased; others are kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AdvisoryId(Box<str>);

impl AdvisoryId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same id as a CVE id, if it is one.
    pub fn cve(&self) -> Option<CveId> {
        self.0.parse().ok()
    }

    /// The part that names the database: `CVE`, `GHSA`, `PYSEC`, `CURL`.
    pub fn database(&self) -> &str {
        self.0.split_once('-').map_or(&*self.0, |(head, _)| head)
    }
}

impl FromStr for AdvisoryId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let text = text.trim();
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-._:/+@".contains(c);
        if text.is_empty() || text.len() > 128 || !text.chars().all(allowed) {
            return Err(InvalidId::Advisory(shorten(text)));
        }
        match text.parse::<CveId>() {
            Ok(cve) => Ok(Self(cve.to_string().into())),
            Err(_) => Ok(Self(text.into())),
        }
    }
}

impl TryFrom<String> for AdvisoryId {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<AdvisoryId> for String {
    fn from(id: AdvisoryId) -> Self {
        id.0.into()
    }
}

impl From<CveId> for AdvisoryId {
    fn from(id: CveId) -> Self {
        Self(id.to_string().into())
    }
}

/// Ids are ordered and told apart as their texts are.
impl std::borrow::Borrow<str> for AdvisoryId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AdvisoryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A CVE id: a year from 1999 on and a number of at least four digits.
///
/// Source: CVE JSON record format, `cveMetadata.cveId`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CveId {
    year: u16,
    number: u64,
}

impl CveId {
    /// The year in the id (of reservation, not of publication).
    pub fn year(self) -> u16 {
        self.year
    }

    /// All CVE ids that stand in a text, in order of appearance, without repetition.
    ///
    /// This is how patch names such as `CVE-2017-6829.patch` or
    /// `CVE-2017-6827+CVE-2017-6828.patch` are read. Underscores count as dashes, because patch
    /// names have them (`10_fix_CVE_2014_8123.patch`).
    pub fn find_all(text: &str) -> Vec<Self> {
        let bytes = text.as_bytes();
        let mut found = Vec::new();
        let mut at = 0;
        while at + 13 <= bytes.len() {
            if !bytes[at..at + 3].eq_ignore_ascii_case(b"cve") || !is_dash(bytes[at + 3]) {
                at += 1;
                continue;
            }
            let tail = &bytes[at + 4..];
            let year = digits(tail);
            let rest = tail.get(year.len()..).unwrap_or_default();
            if year.len() == 4 && rest.first().copied().is_some_and(is_dash) {
                let number = digits(&rest[1..]);
                if let Some(id) = Self::from_digits(year, number) {
                    if !found.contains(&id) {
                        found.push(id);
                    }
                    at += 4 + year.len() + 1 + number.len();
                    continue;
                }
            }
            at += 1;
        }
        found
    }

    fn from_digits(year: &[u8], number: &[u8]) -> Option<Self> {
        if year.len() != 4 || !(4..=19).contains(&number.len()) {
            return None;
        }
        let year: u16 = std::str::from_utf8(year).ok()?.parse().ok()?;
        let number = std::str::from_utf8(number).ok()?.parse().ok()?;
        (year >= 1999).then_some(Self { year, number })
    }
}

fn is_dash(byte: u8) -> bool {
    byte == b'-' || byte == b'_'
}

fn digits(bytes: &[u8]) -> &[u8] {
    let end = bytes
        .iter()
        .position(|b| !b.is_ascii_digit())
        .unwrap_or(bytes.len());
    &bytes[..end]
}

impl FromStr for CveId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let text = text.trim();
        let invalid = || InvalidId::Cve(shorten(text));
        let (head, tail) = text.split_at_checked(4).ok_or_else(invalid)?;
        let (year, number) = tail.split_once('-').ok_or_else(invalid)?;
        if !head.eq_ignore_ascii_case("CVE-") || !number.bytes().all(|b| b.is_ascii_digit()) {
            return Err(invalid());
        }
        Self::from_digits(year.as_bytes(), number.as_bytes()).ok_or_else(invalid)
    }
}

impl TryFrom<String> for CveId {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<CveId> for String {
    fn from(id: CveId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for CveId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("CVE-{}-{:04}", self.year, self.number))
    }
}

/// Why a text is not the name of an advisory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// Empty, too long, or with characters that no database uses.
    #[error("`{0}` is not an advisory id: expected 1 to 128 letters, digits or -._:/+@")]
    Advisory(String),
    /// Not of the form `CVE-YYYY-NNNN`.
    #[error("`{0}` is not a CVE id: expected CVE-YYYY-NNNN")]
    Cve(String),
}

/// Keeps error messages short, whatever the input.
pub(crate) fn shorten(text: &str) -> String {
    let mut out: String = text.chars().take(60).flat_map(char::escape_debug).collect();
    if text.chars().nth(60).is_some() {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cve_ids_round_trip() {
        for (given, shown) in [
            ("CVE-2021-3711", "CVE-2021-3711"),
            ("cve-1999-0001", "CVE-1999-0001"),
            ("CVE-2024-1000001", "CVE-2024-1000001"),
        ] {
            assert_eq!(given.parse::<CveId>().unwrap().to_string(), shown);
            assert_eq!(given.parse::<AdvisoryId>().unwrap().as_str(), shown);
        }
    }

    #[test]
    fn what_is_no_cve_id_says_so() {
        for wrong in [
            "",
            "CVE-",
            "CVE-21-3711",
            "CVE-2021-371",
            "CVE-2021-37x1",
            "CVE-1998-0001",
        ] {
            let error = wrong.parse::<CveId>().unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("`{wrong}` is not a CVE id: expected CVE-YYYY-NNNN")
            );
        }
    }

    #[test]
    fn ids_are_found_in_patch_names() {
        let found = |text| {
            CveId::find_all(text)
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(found("CVE-2017-6829.patch"), "CVE-2017-6829");
        assert_eq!(
            found("CVE-2017-6827+CVE-2017-6828.patch"),
            "CVE-2017-6827 CVE-2017-6828"
        );
        assert_eq!(
            found("10_fix_buffer_overflow_wordole_c_CVE-2014-8123.patch"),
            "CVE-2014-8123"
        );
        assert_eq!(
            found("fix-cve_2019_6706-again-CVE-2019-6706"),
            "CVE-2019-6706"
        );
        assert_eq!(found("CVE-2021-12 CVE-20211-1234 XCVE-2021"), "");
        assert_eq!(found("CVE-CVE-2021-33560"), "CVE-2021-33560");
    }

    #[test]
    fn the_database_is_the_head() {
        assert_eq!(
            "CURL-CVE-2020-8231"
                .parse::<AdvisoryId>()
                .unwrap()
                .database(),
            "CURL"
        );
        assert!("a b".parse::<AdvisoryId>().is_err());
    }
}
