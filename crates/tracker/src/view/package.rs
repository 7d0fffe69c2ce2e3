//! One package in all channels.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::listing::Event;
use super::parts::{FindingRow, PackageRef, Update, Verdict};

/// The page of a package.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Package {
    /// Which.
    pub package: PackageRef,
    /// A line about it, in Nixpkgs' words.
    pub description: Option<String>,
    /// Where it is at home.
    pub homepages: Vec<String>,
    /// Who looks after it in Nixpkgs.
    pub maintainers: Vec<String>,
    /// Marked insecure by Nixpkgs itself, in its words.
    pub known_vulnerabilities: Vec<String>,
    /// How many packages depend on it.
    pub dependents: u32,
    /// Whether each channel is safe, as they follow on one another.
    pub verdicts: Vec<Verdict>,
    /// The update that mends most.
    pub update: Option<Update>,
    /// Attribute by attribute, in each channel.
    pub versions: Vec<PackageVersion>,
    /// The files of patches that builds apply, by name.
    pub patches: Vec<String>,
    /// What is open, the most pressing first.
    pub open: Vec<FindingRow>,
    /// How many are open in all.
    pub open_count: u64,
    /// Where the list of what is open goes on.
    pub next: Option<String>,
    /// What is settled, the newest first.
    pub settled: Vec<FindingRow>,
    /// How many are settled in all.
    pub settled_count: u32,
    /// Which versions there were.
    pub history: Vec<Version>,
    /// What is remembered of it.
    pub memory: Vec<Memory>,
    /// What was done about it, the newest first.
    pub events: Vec<Event>,
}

/// An attribute in a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PackageVersion {
    /// The channel.
    pub channel: String,
    /// The attribute.
    pub attribute: String,
    /// Its version.
    pub version: String,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// Where it is defined.
    pub position: Option<String>,
}

/// A version that an attribute had in a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Version {
    /// The channel.
    pub channel: String,
    /// The attribute.
    pub attribute: String,
    /// Which.
    pub version: String,
    /// From when.
    #[schema(value_type = String, format = DateTime)]
    pub first: Timestamp,
    /// Until when; none if it is still there.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last: Option<Timestamp>,
}

/// What is remembered of a package and a product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Memory {
    /// Its number.
    pub id: i64,
    /// The product: `cpe:2.3:a:openbsd:openssh`.
    pub product: String,
    /// What was decided.
    pub verdict: MemoryVerdict,
    /// Where it holds; none for everywhere.
    pub channel: Option<String>,
    /// Until when.
    #[schema(value_type = Option<String>, format = Date)]
    pub expires: Option<Date>,
    /// Why.
    pub reason: String,
    /// Who.
    pub by: Option<String>,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

/// Whether a package is a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MemoryVerdict {
    /// It is.
    Accepted,
    /// It is not.
    Denied,
}
