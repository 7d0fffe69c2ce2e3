//! What is published.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::listing::Event;
use super::parts::{AdvisoryRef, ChannelStatus, PackageRef, State};

/// What is published, what changed last first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Issues {
    /// One page of it.
    pub issues: Vec<IssueEntry>,
    /// Where the next page begins.
    pub next: Option<String>,
}

/// An issue on one line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct IssueEntry {
    /// Its public id. Its page is `/issues/ID`.
    pub id: String,
    /// One line.
    pub title: String,
    /// The advisory.
    pub advisory: AdvisoryRef,
    /// When it was published.
    #[schema(value_type = String, format = DateTime)]
    pub published: Timestamp,
    /// When anything of it last changed.
    #[schema(value_type = String, format = DateTime)]
    pub modified: Timestamp,
    /// Whether it was taken back.
    pub withdrawn: bool,
    /// In how many channels a confirmed package is still open, each package counted by itself.
    pub open: u32,
    /// Of how many.
    pub of: u32,
}

/// The page of an issue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Issue {
    /// Its public id.
    pub id: String,
    /// One line, in the words of who published it.
    pub title: String,
    /// More of these words, in Markdown.
    pub text: Option<String>,
    /// The advisory.
    pub advisory: AdvisoryRef,
    /// Its other names.
    pub aliases: Vec<String>,
    /// When it was published.
    #[schema(value_type = String, format = DateTime)]
    pub published: Timestamp,
    /// When anything of it last changed.
    #[schema(value_type = String, format = DateTime)]
    pub modified: Timestamp,
    /// When it was taken back.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub withdrawn: Option<Timestamp>,
    /// Why it was taken back.
    pub withdrawn_reason: Option<String>,
    /// Counts its edits; whoever edits names the one that was looked at.
    pub revision: i64,
    /// The packages about which something was decided.
    pub packages: Vec<IssuePackage>,
    /// Its page in a forge.
    pub forge: Option<String>,
    /// What was done with it, the newest first.
    pub events: Vec<Event>,
}

/// A package of an issue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct IssuePackage {
    /// Which.
    pub package: PackageRef,
    /// Its attributes.
    pub attributes: Vec<String>,
    /// What was decided.
    pub state: State,
    /// Why, in the words of who decided.
    pub reason: Option<String>,
    /// The justification, in the words of OpenVEX.
    pub justification: Option<String>,
    /// The first version without it.
    pub fixed_in: Option<String>,
    /// Channel by channel, as they follow on one another.
    pub channels: Vec<ChannelStatus>,
}

/// What is proposed to who publishes an advisory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Draft {
    /// The advisory.
    pub advisory: AdvisoryRef,
    /// The title that is proposed.
    pub title: String,
    /// The text that is proposed, in Markdown.
    pub text: Option<String>,
    /// The packages about which something was decided.
    pub packages: Vec<IssuePackage>,
    /// The issue under which it is published already.
    pub issue: Option<String>,
}
