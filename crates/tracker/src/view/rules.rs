//! Rules about one package: which products it is, and which it is not.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::package::Memory;
use super::parts::{PackageRef, Status};

/// The page of the rules about a package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Rules {
    /// Which.
    pub package: PackageRef,
    /// The rules that hold, the newest first.
    pub rules: Vec<Memory>,
    /// The channels in which alone a rule can hold.
    pub channels: Vec<String>,
    /// What it is taken not to be, those with the most records first; none where there is no index to
    /// look it up in.
    pub strangers: Option<Vec<Stranger>>,
    /// What the rule that was asked about would change.
    pub preview: Option<RulePreview>,
}

/// A product of a package's name that is taken for another thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Stranger {
    /// The product, as a rule about it names it.
    pub product: String,
    /// Why it is another.
    pub why: String,
    /// How many records speak of it.
    pub records: u64,
    /// One of these.
    pub example: String,
}

/// What a rule would change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RulePreview {
    /// The findings that would go, come or change.
    pub changes: Vec<RuleChange>,
    /// How many would stay as they are.
    pub same: u64,
}

/// What would become of one finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RuleChange {
    /// The advisory.
    pub advisory: String,
    /// What is found without the rule; none if nothing is.
    pub was: Option<Status>,
    /// What is found with it; none if nothing is.
    pub is: Option<Status>,
}
