//! What the tracker knows, from where, and of when.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::place::ChannelSummary;

/// The page about the data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Data {
    /// Where advisories come from.
    pub feeds: Vec<Feed>,
    /// The package sets.
    pub channels: Vec<ChannelSummary>,
    /// What the worker does.
    pub jobs: Vec<Job>,
    /// How much is kept.
    pub storage: Storage,
    /// The version of the program.
    pub version: String,
}

/// Where advisories come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Feed {
    /// Its name.
    pub name: String,
    /// How many records.
    pub records: u64,
    /// The newest day in them.
    #[schema(value_type = Option<String>, format = Date)]
    pub newest: Option<Date>,
    /// When something of it last changed here.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub seen: Option<Timestamp>,
    /// What went wrong the last time.
    pub error: Option<String>,
}

/// Something that the worker does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Job {
    /// What.
    pub what: String,
    /// How it stands: `waiting`, `running`, `failed`.
    pub state: String,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// What went wrong the last time.
    pub error: Option<String>,
}

/// How much is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Storage {
    /// `SQLite` or `PostgreSQL`.
    pub engine: String,
    /// The version of the schema.
    pub schema: u32,
    /// How many bytes it takes, if that can be told.
    pub bytes: Option<u64>,
}
