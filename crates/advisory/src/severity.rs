//! How bad: CVSS scores, ratings in words, exploitation (KEV, SSVC) and likelihood (EPSS).
//!
//! A score is only ever computed from a vector; where a database gives a word, only the word is
//! kept.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// The five steps of the CVSS qualitative scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rating {
    /// 0.0
    None,
    /// 0.1 to 3.9
    Low,
    /// 4.0 to 6.9; databases also say "moderate"
    Medium,
    /// 7.0 to 8.9; databases also say "important" or "major"
    High,
    /// 9.0 to 10.0
    Critical,
}

impl Rating {
    /// All, from worst to best.
    pub const ALL: [Self; 5] = [
        Self::Critical,
        Self::High,
        Self::Medium,
        Self::Low,
        Self::None,
    ];

    /// The step of a score.
    pub fn of(score: Score) -> Self {
        match score.0 {
            0 => Self::None,
            1..=39 => Self::Low,
            40..=69 => Self::Medium,
            70..=89 => Self::High,
            _ => Self::Critical,
        }
    }

    /// The step that a database's own word stands for.
    pub fn from_word(word: &str) -> Option<Self> {
        Some(match word.trim().to_ascii_lowercase().as_str() {
            "none" => Self::None,
            "low" | "minor" | "negligible" => Self::Low,
            "medium" | "moderate" => Self::Medium,
            "high" | "important" | "major" => Self::High,
            "critical" | "urgent" => Self::Critical,
            _ => return None,
        })
    }

    /// `critical`, `high`, `medium`, `low` or `none`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl FromStr for Rating {
    type Err = UnknownRating;

    fn from_str(text: &str) -> Result<Self, UnknownRating> {
        Self::from_word(text).ok_or_else(|| UnknownRating(crate::id::shorten(text)))
    }
}

impl fmt::Display for Rating {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that is no severity rating.
#[derive(Debug, Clone, thiserror::Error)]
#[error("`{0}` is not a severity: expected critical, high, medium, low or none")]
pub struct UnknownRating(String);

/// A CVSS score from 0.0 to 10.0, in tenths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Score(u8);

impl Score {
    /// From tenths; more than 100 is 100.
    pub fn from_tenths(tenths: u8) -> Self {
        Self(tenths.min(100))
    }

    /// In tenths.
    pub fn tenths(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}.{}", self.0 / 10, self.0 % 10))
    }
}

/// One statement of severity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// A CVSS vector, v2 to v4, as published.
    Vector(CvssVector),
    /// A database's own word.
    Word(Rating),
}

impl Severity {
    /// The step.
    pub fn rating(&self) -> Rating {
        match self {
            Self::Vector(vector) => Rating::of(vector.score()),
            Self::Word(rating) => *rating,
        }
    }

    /// The score, if there is a vector.
    pub fn score(&self) -> Option<Score> {
        match self {
            Self::Vector(vector) => Some(vector.score()),
            Self::Word(_) => None,
        }
    }

    /// Which statement to show where there are several: v4 before v3 before v2 before words.
    pub fn precedence(&self) -> u8 {
        match self {
            Self::Vector(vector) => vector.version().precedence(),
            Self::Word(_) => 0,
        }
    }
}

/// A valid CVSS vector with its score.
///
/// Sources: the CVSS v2.0, v3.0, v3.1 and v4.0 specifications of FIRST.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CvssVector {
    text: Box<str>,
    score: Score,
    version: CvssVersion,
}

/// A version of CVSS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CvssVersion {
    /// 2.0
    V2,
    /// 3.0
    V30,
    /// 3.1
    V31,
    /// 4.0
    V4,
}

impl CvssVersion {
    fn precedence(self) -> u8 {
        match self {
            Self::V2 => 1,
            Self::V30 => 2,
            Self::V31 => 3,
            Self::V4 => 4,
        }
    }

    /// `2.0`, `3.0`, `3.1` or `4.0`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V2 => "2.0",
            Self::V30 => "3.0",
            Self::V31 => "3.1",
            Self::V4 => "4.0",
        }
    }
}

impl CvssVector {
    /// The vector as published.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The score that it gives.
    pub fn score(&self) -> Score {
        self.score
    }

    /// Its version.
    pub fn version(&self) -> CvssVersion {
        self.version
    }
}

impl FromStr for CvssVector {
    type Err = InvalidVector;

    fn from_str(text: &str) -> Result<Self, InvalidVector> {
        let text = text.trim();
        let invalid = |source| InvalidVector {
            text: crate::id::shorten(text),
            source,
        };
        let cvss = cvss::Cvss::from_str(text).map_err(|e| invalid(Some(e)))?;
        let version = match &cvss {
            cvss::Cvss::CvssV20(_) => CvssVersion::V2,
            cvss::Cvss::CvssV30(_) => CvssVersion::V30,
            cvss::Cvss::CvssV31(_) => CvssVersion::V31,
            cvss::Cvss::CvssV40(_) => CvssVersion::V4,
            _ => return Err(invalid(None)),
        };
        let tenths = (cvss.score() * 10.0).round().clamp(0.0, 100.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped to 0 to 100"
        )]
        let score = Score(tenths as u8);
        Ok(Self {
            text: text.into(),
            score,
            version,
        })
    }
}

impl TryFrom<String> for CvssVector {
    type Error = InvalidVector;

    fn try_from(text: String) -> Result<Self, InvalidVector> {
        text.parse()
    }
}

impl From<CvssVector> for String {
    fn from(vector: CvssVector) -> Self {
        vector.text.into()
    }
}

/// A text that is no CVSS vector.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is not a CVSS vector")]
pub struct InvalidVector {
    text: String,
    source: Option<cvss::Error>,
}

/// CISA says that it is exploited.
///
/// Source: the Known Exploited Vulnerabilities catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exploited {
    /// The day it entered the catalogue.
    pub since: Date,
    /// The day by which US agencies must act.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Date>,
    /// Known use in ransomware campaigns.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ransomware: bool,
}

/// How likely exploitation in the next 30 days is.
///
/// Source: the Exploit Prediction Scoring System of FIRST.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Epss {
    /// From 0 to 1.
    pub probability: f32,
    /// The share of CVEs that score lower, from 0 to 1.
    pub percentile: f32,
    /// The day of the scores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<Date>,
}

/// CISA's decision points for one CVE.
///
/// Source: Stakeholder-Specific Vulnerability Categorization 2.0; values in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ssvc {
    /// Exploitation: none, a public proof of concept, or active.
    pub exploitation: Exploitation,
    /// Whether an attacker can automate reconnaissance to exploitation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub automatable: Option<bool>,
    /// Whether the technical impact is total.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_impact: Option<bool>,
}

/// The exploitation decision point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exploitation {
    /// No evidence.
    None,
    /// A public proof of concept.
    Poc,
    /// Exploited.
    Active,
}

impl Exploitation {
    /// `none`, `poc` or `active`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Poc => "poc",
            Self::Active => "active",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_of_every_version_are_scored() {
        for (vector, score, rating) in [
            ("AV:L/AC:L/Au:S/C:C/I:C/A:C", "6.8", Rating::Medium),
            (
                "CVSS:3.0/AV:L/AC:L/PR:H/UI:N/S:U/C:H/I:H/A:H",
                "6.7",
                Rating::Medium,
            ),
            (
                "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
                "9.8",
                Rating::Critical,
            ),
            (
                "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N",
                "9.3",
                Rating::Critical,
            ),
        ] {
            let parsed: CvssVector = vector.parse().unwrap();
            assert_eq!(parsed.score().to_string(), score, "{vector}");
            assert_eq!(Severity::Vector(parsed).rating(), rating);
        }
        assert!("CVSS:9.9/AV:N".parse::<CvssVector>().is_err());
    }

    #[test]
    fn words_of_databases_have_steps() {
        assert_eq!(Rating::from_word("Moderate"), Some(Rating::Medium));
        assert_eq!(Rating::from_word("important"), Some(Rating::High));
        assert_eq!(Rating::from_word("unknown"), None);
    }
}
