//! Channels and maintainers: findings by where they are, and by whose they are.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::home::Tally;
use super::parts::{FindingRow, PackageRef, Suggestion};

/// All channels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Channels {
    /// As they follow on one another.
    pub channels: Vec<ChannelSummary>,
}

/// A channel in brief.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChannelSummary {
    /// Its name.
    pub name: String,
    /// Whether new evaluations are taken in.
    pub followed: bool,
    /// The commit of its newest evaluation.
    pub revision: Option<String>,
    /// When that was made.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub evaluated_at: Option<Timestamp>,
    /// How many attributes it has.
    pub attributes: u64,
    /// How many open findings are affected there.
    pub affected: u64,
    /// Of these: known to be exploited.
    pub exploited: u64,
    /// How many need review.
    pub review: u64,
}

/// The page of a channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Channel {
    /// In brief.
    pub summary: ChannelSummary,
    /// What is affected there, by severity.
    pub severity: Vec<Tally>,
    /// The most pressing findings.
    pub findings: Vec<FindingRow>,
    /// Where that list goes on.
    pub next: Option<String>,
    /// What was fixed there last.
    pub fixed: Vec<FindingRow>,
    /// Its newest evaluations, the newest first.
    pub evaluations: Vec<Evaluation>,
}

/// One evaluation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Evaluation {
    /// The commit.
    pub revision: String,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub evaluated_at: Timestamp,
    /// When it was taken in.
    #[schema(value_type = String, format = DateTime)]
    pub ingested_at: Timestamp,
    /// How many attributes it has.
    pub attributes: u64,
    /// How many could not be evaluated.
    pub failed: u64,
    /// How many were added since the one before.
    pub added: u64,
    /// How many are gone.
    pub removed: u64,
    /// How many have another version.
    pub changed: u64,
    /// How many are built anew from the same version.
    pub rebuilt: u64,
}

/// The page of a maintainer or a team.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Maintainer {
    /// Their name on GitHub, or the team's.
    pub name: String,
    /// Whether it is a team.
    pub team: bool,
    /// How many packages they look after.
    pub packages: u64,
    /// Those with something open.
    pub concerned: Vec<PackageRef>,
    /// In how many of them something is open in all.
    pub concerned_count: u64,
    /// What is to do, the most pressing first.
    pub suggestions: Vec<Suggestion>,
    /// Where that list goes on.
    pub next: Option<String>,
}
