//! One vulnerability, and whom it concerns.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::listing::Event;
use super::parts::{FindingRow, Rating};

/// The page of an advisory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Advisory {
    /// Its name.
    pub name: String,
    /// Its other names.
    pub aliases: Vec<String>,
    /// A title, in an author's words.
    pub title: Option<String>,
    /// A text, in an author's words.
    pub description: Option<String>,
    /// How bad.
    pub rating: Rating,
    /// From 0.0 to 10.0.
    pub score: Option<f64>,
    /// The vector of CVSS.
    pub vector: Option<String>,
    /// Since when it is known to be exploited.
    #[schema(value_type = Option<String>, format = Date)]
    pub exploited: Option<Date>,
    /// Known use in ransomware campaigns.
    pub ransomware: bool,
    /// How likely exploitation in the next 30 days is, from 0 to 1.
    pub epss: Option<f64>,
    /// The share of CVEs that score lower, from 0 to 1.
    pub percentile: Option<f64>,
    /// CISA's decision points, in words.
    pub ssvc: Option<String>,
    /// First published.
    #[schema(value_type = Option<String>, format = Date)]
    pub published: Option<Date>,
    /// Last changed by who published it.
    #[schema(value_type = Option<String>, format = Date)]
    pub modified: Option<Date>,
    /// Withdrawn by who published it.
    pub withdrawn: bool,
    /// The records it is joined from.
    pub records: Vec<Record>,
    /// Where more is said.
    pub references: Vec<Reference>,
    /// How many packages its records could be about.
    pub candidates: u32,
    /// The packages it could concern, the most pressing first.
    pub findings: Vec<FindingRow>,
    /// How many packages it could concern in all.
    pub findings_count: u64,
    /// The public id under which it is published.
    pub issue: Option<String>,
    /// Where the list of packages goes on.
    pub next: Option<String>,
    /// What was done about it, the newest first.
    pub events: Vec<Event>,
}

/// A record of one source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Record {
    /// The source: `cve5`, `osv`.
    pub source: String,
    /// Its name there.
    pub name: String,
    /// Where to read it.
    pub url: Option<String>,
    /// When it was last seen to have changed.
    #[schema(value_type = String, format = DateTime)]
    pub seen: Timestamp,
    /// Its earlier editions.
    pub history: Vec<History>,
}

/// An earlier edition of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct History {
    /// Until when it was in force.
    #[schema(value_type = String, format = DateTime)]
    pub until: Timestamp,
    /// The digest of what it said.
    pub digest: String,
}

/// A place where more is said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reference {
    /// Where.
    pub url: String,
    /// What it is: `patch`, `vendor-advisory`.
    pub tags: Vec<String>,
}
