//! What several views have in common.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How bad, in the steps of CVSS.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Rating {
    /// 9.0 to 10.0.
    Critical,
    /// 7.0 to 8.9.
    High,
    /// 4.0 to 6.9.
    Medium,
    /// 0.0 to 3.9.
    Low,
    /// No source says.
    Unrated,
}

impl Rating {
    /// The steps, the gravest first.
    pub const ALL: [Self; 5] = [
        Self::Critical,
        Self::High,
        Self::Medium,
        Self::Low,
        Self::Unrated,
    ];

    /// The word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
            Self::Unrated => "unrated",
        }
    }

    /// From its word; `none` counts as low.
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "none" => Some(Self::Low),
            word => Self::ALL.into_iter().find(|rating| rating.word() == word),
        }
    }
}

/// What the records and the versions say: computed, never decided by a person.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The version is inside a range.
    Affected,
    /// The records do not decide it.
    NeedsReview,
    /// Inside a range, and every build applies a patch against it.
    Patched,
    /// The version is past the fix.
    Fixed,
    /// Spoken of, and not inside any range.
    NotAffected,
}

impl Status {
    /// In words.
    pub fn word(self) -> &'static str {
        match self {
            Self::Affected => "affected",
            Self::NeedsReview => "needs review",
            Self::Patched => "patched",
            Self::Fixed => "fixed",
            Self::NotAffected => "not affected",
        }
    }
}

/// What people decided.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nobody has looked yet.
    Untriaged,
    /// Somebody must look, or look again.
    NeedsReview,
    /// It is so.
    Confirmed,
    /// It is not so, with a justification.
    NotAffected,
    /// Another advisory says the same.
    Duplicate,
    /// It is so, and will stay.
    WontFix,
    /// It was so; every channel has the fix.
    Closed,
}

impl State {
    /// All, in the order in which they are offered.
    pub const ALL: [Self; 7] = [
        Self::Untriaged,
        Self::NeedsReview,
        Self::Confirmed,
        Self::NotAffected,
        Self::Duplicate,
        Self::WontFix,
        Self::Closed,
    ];

    /// As it is in JSON and in forms.
    pub fn key(self) -> &'static str {
        match self {
            Self::Untriaged => "untriaged",
            Self::NeedsReview => "needs_review",
            Self::Confirmed => "confirmed",
            Self::NotAffected => "not_affected",
            Self::Duplicate => "duplicate",
            Self::WontFix => "wont_fix",
            Self::Closed => "closed",
        }
    }

    /// From its key.
    pub fn from_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.key() == key)
    }

    /// In words.
    pub fn word(self) -> &'static str {
        match self {
            Self::Untriaged => "untriaged",
            Self::NeedsReview => "needs review",
            Self::Confirmed => "confirmed",
            Self::NotAffected => "not affected",
            Self::Duplicate => "duplicate",
            Self::WontFix => "won’t fix",
            Self::Closed => "fixed everywhere",
        }
    }

    /// Whether something is left to do: to decide, or to fix.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Untriaged | Self::NeedsReview | Self::Confirmed)
    }
}

/// A package by its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PackageRef {
    /// What it is known by: `openssl`, `python:falcon`. Its page is `/packages/KEY`.
    pub key: String,
    /// Its name.
    pub name: String,
    /// The language whose module it is.
    pub language: Option<String>,
}

/// An advisory by its name, with what ranks it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AdvisoryRef {
    /// Its name: `CVE-2021-3156`. Its page is `/advisories/NAME`.
    pub name: String,
    /// Its title, in its author's words.
    pub title: Option<String>,
    /// How bad.
    pub rating: Rating,
    /// From 0.0 to 10.0.
    pub score: Option<f64>,
    /// Since when it is known to be exploited.
    #[schema(value_type = Option<String>, format = Date)]
    pub exploited: Option<Date>,
}

/// What holds in one channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChannelStatus {
    /// Its name.
    pub channel: String,
    /// The worst of the versions in it; none if the package is not in it.
    pub status: Option<Status>,
    /// The versions of the package in it.
    pub versions: Vec<String>,
    /// Since when it is fixed there, if it once was affected there.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub fixed_since: Option<Timestamp>,
}

/// A package and an advisory, on one line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FindingRow {
    /// Its number in this tracker.
    pub id: i64,
    /// Counts its changes; a decision names the one that it is about.
    pub revision: i64,
    /// The package.
    pub package: PackageRef,
    /// The advisory.
    pub advisory: AdvisoryRef,
    /// What the records say, the worst of all channels.
    pub status: Status,
    /// What people decided.
    pub state: State,
    /// Who looks after it.
    pub assignee: Option<String>,
    /// The first version without it.
    pub fixed_in: Option<String>,
    /// Channel by channel, as they follow on one another.
    pub channels: Vec<ChannelStatus>,
    /// Why it matched, in a few words.
    pub why: String,
    /// What speaks against it, in a few words.
    pub against: Option<String>,
}

/// By what findings are grouped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Grouping {
    /// One advisory with its packages.
    Advisory,
    /// One package with the advisories that an update of it mends.
    Package,
}

impl Grouping {
    /// As it is in JSON and in addresses.
    pub fn key(self) -> &'static str {
        match self {
            Self::Advisory => "advisory",
            Self::Package => "package",
        }
    }
}

/// The lists in which suggestions lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Bucket {
    /// Nobody has looked yet.
    Untriaged,
    /// Somebody must look again.
    Review,
    /// Confirmed, and not fixed in every channel.
    Confirmed,
    /// Nixpkgs itself marks the package insecure because of it.
    Marked,
    /// Of a kernel, of which there are thousands that one update mends.
    Kernel,
}

impl Bucket {
    /// All, in the order in which they are shown.
    pub const ALL: [Self; 5] = [
        Self::Untriaged,
        Self::Review,
        Self::Confirmed,
        Self::Marked,
        Self::Kernel,
    ];

    /// As it is in JSON and in addresses.
    pub fn key(self) -> &'static str {
        match self {
            Self::Untriaged => "untriaged",
            Self::Review => "review",
            Self::Confirmed => "confirmed",
            Self::Marked => "marked",
            Self::Kernel => "kernel",
        }
    }

    /// From its key.
    pub fn from_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|bucket| bucket.key() == key)
    }

    /// In words.
    pub fn word(self) -> &'static str {
        match self {
            Self::Untriaged => "untriaged",
            Self::Review => "needs review",
            Self::Confirmed => "confirmed, not fixed everywhere",
            Self::Marked => "marked insecure in Nixpkgs",
            Self::Kernel => "kernel",
        }
    }
}

/// What one decision settles: an advisory with its packages, or a package with its advisories.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Suggestion {
    /// By what it is grouped.
    pub grouping: Grouping,
    /// The advisory; of a package, the gravest of its advisories.
    pub advisory: AdvisoryRef,
    /// The package; of an advisory, the one that most depends on.
    pub package: PackageRef,
    /// The list in which it lies.
    pub bucket: Bucket,
    /// How many open findings it settles.
    pub findings: u32,
    /// How many of these are known to be exploited.
    pub exploited: u32,
    /// How many packages depend on what is affected.
    pub dependents: u32,
    /// The channels in which something is open.
    pub channels: Vec<String>,
    /// Who looks after it.
    pub assignee: Option<String>,
    /// What an update would mend, of a package.
    pub update: Option<Update>,
    /// Its first findings, the most pressing first.
    pub rows: Vec<FindingRow>,
}

/// The update that mends most.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Update {
    /// To which version, or a later one.
    pub to: String,
}

/// Whether a channel is safe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Verdict {
    /// The channel.
    pub channel: String,
    /// The versions in it.
    pub versions: Vec<String>,
    /// How many open findings are affected there.
    pub affected: u32,
    /// How many of these are known to be exploited.
    pub exploited: u32,
    /// How many need review.
    pub review: u32,
}
