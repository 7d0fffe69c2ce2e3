//! What one is told about.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One's own subscriptions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Subscriptions {
    /// Those that are not ended, the oldest first.
    pub subscriptions: Vec<Subscription>,
}

/// A subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Subscription {
    /// Its number.
    pub id: i64,
    /// What it is about: `everything`, `package`, `maintainer`, `advisory`, `channel` or `search`.
    pub kind: String,
    /// The name of that, or what is searched for.
    pub name: String,
    /// `mail` or `webhook`.
    pub way: String,
    /// To whom, or where.
    pub target: String,
    /// `at_once` or `daily`.
    pub pace: String,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub created: Timestamp,
    /// Whether it is known that the target wants it.
    pub confirmed: bool,
    /// Why the last thing was not taken, if it still is not.
    pub error: Option<String>,
}
