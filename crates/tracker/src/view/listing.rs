//! Lists: the queue, what was done, what was found.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::parts::{AdvisoryRef, Bucket, Grouping, PackageRef, Rating, State, Suggestion};

/// The queue: suggestions in the order in which they press.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Queue {
    /// What is asked for.
    pub filter: QueueFilter,
    /// How many suggestions are in each list, by grouping as asked.
    pub buckets: Vec<BucketCount>,
    /// The channels there are.
    pub channels: Vec<String>,
    /// One page of them.
    pub suggestions: Vec<Suggestion>,
    /// Where the next page begins.
    pub next: Option<String>,
}

/// A list and how many suggestions are in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BucketCount {
    /// The list.
    pub bucket: Bucket,
    /// How many.
    pub count: u64,
}

/// Which suggestions are asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QueueFilter {
    /// By what they are grouped.
    pub grouping: Grouping,
    /// Of which list.
    pub bucket: Bucket,
    /// Only those as grave as this.
    pub rating: Option<Rating>,
    /// Only what is known to be exploited.
    pub exploited: bool,
    /// Only what is open in this channel.
    pub channel: Option<String>,
    /// Only what this person looks after.
    pub assignee: Option<String>,
}

impl QueueFilter {
    /// Whether it leaves out some of its list.
    pub fn is_narrow(&self) -> bool {
        self.rating.is_some() || self.exploited || self.channel.is_some() || self.assignee.is_some()
    }
}

impl Default for QueueFilter {
    fn default() -> Self {
        Self {
            grouping: Grouping::Advisory,
            bucket: Bucket::Untriaged,
            rating: None,
            exploited: false,
            channel: None,
            assignee: None,
        }
    }
}

/// What people and the tracker did, the newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Activity {
    /// Only by this person.
    pub actor: Option<String>,
    /// One page of it.
    pub events: Vec<Event>,
    /// Where the next page begins.
    pub next: Option<String>,
}

/// What kind of thing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A state was decided.
    Decided,
    /// A state changed because what was known did.
    Reopened,
    /// Every channel has the fix.
    Closed,
    /// Two advisories turned out to be one.
    Joined,
    /// What the machine found changed on its own.
    StatusChanged,
    /// Somebody looks after it now, or nobody.
    Assigned,
    /// Somebody said something.
    Commented,
    /// What was done before was taken back.
    Undone,
    /// A pair of package and product was accepted or denied.
    Remembered,
    /// Such a memory was revoked.
    Revoked,
    /// An issue was published.
    Published,
    /// An issue got other words.
    Edited,
    /// An issue was taken back.
    Withdrawn,
    /// A channel was added, followed or dropped.
    Channel,
}

/// One thing that was done. Several findings that were decided at once are one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// Its number.
    pub id: i64,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Who: a login, or none for the tracker itself.
    pub actor: Option<String>,
    /// What.
    pub kind: EventKind,
    /// With how many others it was done at once.
    pub batch: Option<i64>,
    /// The package it is about.
    pub package: Option<PackageRef>,
    /// The advisory it is about.
    pub advisory: Option<AdvisoryRef>,
    /// The state before.
    pub before: Option<State>,
    /// The state after.
    pub after: Option<State>,
    /// Why, in the words of who did it.
    pub reason: Option<String>,
    /// Whether it can be taken back: what it did is still as it left it.
    pub can_undo: bool,
}

/// What was found for a few words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Search {
    /// What was asked.
    pub query: String,
    /// Only of this kind.
    pub kind: Option<HitKind>,
    /// What was found, exact names first.
    pub hits: Vec<Hit>,
    /// Where the next page begins.
    pub next: Option<String>,
}

/// What kind of thing was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HitKind {
    /// An advisory.
    Advisory,
    /// A package.
    Package,
    /// A maintainer or a team.
    Maintainer,
}

impl HitKind {
    /// All, in the order in which they are offered.
    pub const ALL: [Self; 3] = [Self::Advisory, Self::Package, Self::Maintainer];

    /// As it is in JSON and in addresses.
    pub fn key(self) -> &'static str {
        match self {
            Self::Advisory => "advisory",
            Self::Package => "package",
            Self::Maintainer => "maintainer",
        }
    }

    /// From its key.
    pub fn from_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.key() == key)
    }
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Hit {
    /// What kind of thing.
    pub kind: HitKind,
    /// What its address is made of: an advisory's name, a package's key, a maintainer's name.
    pub name: String,
    /// The name by which it was found, if that is another: an alias, an attribute.
    pub found_as: Option<String>,
    /// A line about it: a title, versions.
    pub line: Option<String>,
    /// How bad the worst about it is, and whether that is known to be exploited.
    pub rating: Option<Rating>,
    /// How many open findings it has.
    pub open: u64,
    /// Whether one of them is known to be exploited.
    pub exploited: bool,
}
