//! The data of pages: one value for each, from which `web` writes HTML and the API its JSON.
//!
//! A view says everything that its page shows, with words for what is an enumeration, so that whoever
//! reads the JSON needs nothing else. What depends on who is looking is not in here.

mod about;
mod account;
mod advisory;
mod finding;
mod home;
mod issue;
mod listing;
pub mod load;
mod package;
mod parts;
mod place;
mod rules;
mod subscription;

pub use about::{Data, Feed, Job, Storage};
pub use account::{AccountEntry, AuditEntry, People, SessionEntry, Settings, TokenEntry};
pub use advisory::{Advisory, History, Record, Reference};
pub use finding::{Decision, Evidence, Finding, PatchNote, Transition};
pub use home::{Counts, Home, Tally, Week};
pub use issue::{Draft, Issue, IssueEntry, IssuePackage, Issues};
pub use listing::{
    Activity, BucketCount, Event, EventKind, Hit, HitKind, Queue, QueueFilter, Search,
};
pub use package::{Memory, MemoryVerdict, Package, PackageVersion, Version};
pub use parts::{
    AdvisoryRef, Bucket, ChannelStatus, FindingRow, Grouping, PackageRef, Rating, State, Status,
    Suggestion, Update, Verdict,
};
pub use place::{Channel, ChannelSummary, Channels, Evaluation, Maintainer};
pub use rules::{RuleChange, RulePreview, Rules, Stranger};
pub use subscription::{Subscription, Subscriptions};
