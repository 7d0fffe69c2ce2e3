//! What needs action now.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::listing::Event;
use super::parts::{Rating, Suggestion};
use super::place::ChannelSummary;

/// The first page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Home {
    /// How much there is of what.
    pub counts: Counts,
    /// The most pressing suggestions.
    pub now: Vec<Suggestion>,
    /// Open findings by severity.
    pub severity: Vec<Tally>,
    /// Open findings week by week, the oldest first.
    pub trend: Vec<Week>,
    /// The channels, as they follow on one another.
    pub channels: Vec<ChannelSummary>,
    /// What was done last.
    pub recent: Vec<Event>,
    /// The newest day in what the advisories say.
    #[schema(value_type = Option<String>, format = Date)]
    pub newest_advisory: Option<Date>,
    /// When something was last matched again.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub matched_at: Option<Timestamp>,
}

/// How much there is of what, in findings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Counts {
    /// Open and known to be exploited.
    pub exploited: u64,
    /// Nobody has looked yet.
    pub untriaged: u64,
    /// Somebody must look.
    pub review: u64,
    /// Confirmed, and not fixed in every channel.
    pub confirmed: u64,
    /// Nothing is left to do.
    pub settled: u64,
    /// Packages that are followed.
    pub packages: u64,
    /// Advisories that are known.
    pub advisories: u64,
}

/// Open findings of one severity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Tally {
    /// Which.
    pub rating: Rating,
    /// Open in all.
    pub open: u64,
    /// Of these: known to be exploited.
    pub exploited: u64,
}

/// One week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Week {
    /// Its Monday.
    #[schema(value_type = String, format = Date)]
    pub start: Date,
    /// How many findings were open at its end.
    pub open: u64,
    /// Of these: critical, high or exploited.
    pub grave: u64,
}
