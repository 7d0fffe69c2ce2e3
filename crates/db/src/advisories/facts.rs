//! What is known of a vulnerability, and the numbers by which it is stored.

use jiff::civil::Date;
use snowguard_advisory::severity::{Exploitation, Rating, Ssvc};

use super::clean;
use crate::Value;

/// What is known of a vulnerability, all records taken together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// Its name: the CVE where there is one.
    pub name: String,
    /// A title, in an author's words.
    pub title: Option<String>,
    /// A description, in an author's words.
    pub description: Option<String>,
    /// The score in tenths.
    pub score: Option<u16>,
    /// The rating.
    pub rating: Option<Rating>,
    /// The vector of CVSS.
    pub vector: Option<String>,
    /// Known to be exploited, since when.
    pub exploited: Option<Date>,
    /// By ransomware too.
    pub ransomware: bool,
    /// EPSS: the likelihood of exploitation.
    pub epss: Option<f32>,
    /// EPSS: the share of CVEs that are less likely.
    pub percentile: Option<f32>,
    /// CISA's decision points.
    pub ssvc: Option<Ssvc>,
    /// First published.
    pub published: Option<Date>,
    /// Last changed.
    pub modified: Option<Date>,
    /// Taken back.
    pub withdrawn: bool,
}

/// How likely an advisory is to be exploited, as it is stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoreRow<'r> {
    /// The advisory's name.
    pub name: &'r str,
    /// Its number.
    pub id: i64,
    /// The likelihood.
    pub epss: Option<f64>,
    /// The share of CVEs that are less likely.
    pub percentile: Option<f64>,
}

/// Numbers of ratings, which never change: 0 is none given.
pub fn rating_code(rating: Option<Rating>) -> i64 {
    match rating {
        None => 0,
        Some(Rating::None) => 1,
        Some(Rating::Low) => 2,
        Some(Rating::Medium) => 3,
        Some(Rating::High) => 4,
        Some(Rating::Critical) => 5,
    }
}

/// The rating of a number.
pub fn rating_of(code: i64) -> Option<Rating> {
    Rating::ALL
        .into_iter()
        .find(|rating| rating_code(Some(*rating)) == code)
}

pub(super) fn ssvc_code(ssvc: Ssvc) -> i64 {
    let tri = |value: Option<bool>| value.map_or(0, |value| 1 + i64::from(value));
    let exploitation = match ssvc.exploitation {
        Exploitation::None => 1,
        Exploitation::Poc => 2,
        Exploitation::Active => 3,
    };
    exploitation + 10 * tri(ssvc.automatable) + 100 * tri(ssvc.total_impact)
}

pub(super) fn ssvc_of(code: i64) -> Option<Ssvc> {
    let tri = |digit: i64| match digit % 10 {
        0 => None,
        digit => Some(digit == 2),
    };
    let exploitation = match code % 10 {
        1 => Exploitation::None,
        2 => Exploitation::Poc,
        3 => Exploitation::Active,
        _ => return None,
    };
    Some(Ssvc {
        exploitation,
        automatable: tri(code / 10),
        total_impact: tri(code / 100),
    })
}

/// The columns that `put_facts` writes.
pub(super) fn row_of(id: i64, facts: &Facts) -> Vec<Value<'_>> {
    let day = |day: Option<Date>| Value::from(day.map(|day| day.to_string()));
    vec![
        id.into(),
        facts.title.as_deref().map(clean).into(),
        facts.description.as_deref().map(clean).into(),
        facts.score.into(),
        rating_code(facts.rating).into(),
        facts.vector.as_deref().into(),
        day(facts.exploited),
        facts.ransomware.into(),
        facts.epss.map(f64::from).into(),
        facts.percentile.map(f64::from).into(),
        facts.ssvc.map(ssvc_code).into(),
        day(facts.published),
        day(facts.modified),
        facts.withdrawn.into(),
    ]
}
