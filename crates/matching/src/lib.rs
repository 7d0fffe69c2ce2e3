#![doc = include_str!("../README.md")]

mod claim;
mod finding;
mod join;
mod matcher;
mod parts;
mod resolve;
pub mod suppress;
pub mod triage;
mod update;
mod vendor;

pub use claim::{Certainty, Claim, Outcome};
pub use finding::{Decision, Finding, FixedIn, PatchProof, ProofKind, Status, Weakness};
pub use matcher::{MatchError, Matcher, Matches, OfComponent, Options};
pub use update::InVersion;
pub use vendor::Why;
