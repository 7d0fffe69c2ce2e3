//! One package and one advisory: the evidence, and what can be decided.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::listing::Event;
use super::package::Memory;
use super::parts::{FindingRow, State};

/// The page of a finding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Finding {
    /// What it is, on one line.
    pub row: FindingRow,
    /// When it was first found.
    #[schema(value_type = String, format = DateTime)]
    pub first_seen: Timestamp,
    /// What was decided.
    pub decision: Option<Decision>,
    /// Who says what, the weightiest first.
    pub evidence: Vec<Evidence>,
    /// Marked insecure by Nixpkgs itself because of it, in its words.
    pub marked: Vec<String>,
    /// Patches that speak against it.
    pub patches: Vec<PatchNote>,
    /// How many packages depend on this one.
    pub dependents: u32,
    /// What can be decided from here, and who may.
    pub transitions: Vec<Transition>,
    /// What is remembered of this package and the products that joined.
    pub memory: Vec<Memory>,
    /// The public id under which its advisory is published.
    pub issue: Option<String>,
    /// What was done, the newest first.
    pub events: Vec<Event>,
}

/// What was decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Decision {
    /// What.
    pub state: State,
    /// By whom; none if by the tracker.
    pub by: Option<String>,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Why, in their words.
    pub reason: Option<String>,
    /// The justification, in the words of OpenVEX.
    pub justification: Option<String>,
    /// Which advisory says the same.
    pub duplicate_of: Option<String>,
    /// What has changed since, if it was decided on something else than is known now.
    pub changed: Option<String>,
}

/// What one record says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Evidence {
    /// The record.
    pub record: String,
    /// The source from which it was read.
    pub source: String,
    /// Who says so.
    #[serde(default)]
    pub by: Option<String>,
    /// Whether they make the thing.
    #[serde(default)]
    pub upstream: bool,
    /// The product that joined.
    pub product: String,
    /// Why the package is that product.
    pub identity: String,
    /// Whether that is sure.
    #[serde(default)]
    pub identity_sure: bool,
    /// The product as a rule about it names it: `vendor:product`.
    pub target: String,
    /// Of which version it speaks.
    pub version: String,
    /// The range that decided, or what else did.
    pub range: String,
    /// The order of versions that decided.
    #[serde(default)]
    pub order: String,
    /// `affected`, `not_affected` or `unknown`.
    pub says: String,
}

/// A patch, and what connects it with the advisory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PatchNote {
    /// Its name; none for a build phase.
    #[serde(default)]
    pub name: Option<String>,
    /// `upstream commit`, `name`, `header` or `build phase`.
    pub proof: String,
    /// The commit or the id.
    pub detail: String,
}

/// A state that can follow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Transition {
    /// Which.
    pub to: State,
    /// Whether a reason must be given.
    pub needs_reason: bool,
    /// Whether a justification must be given.
    pub needs_justification: bool,
}
