//! What the tracker tells the world: confirmed issues, in the forms that other tools read.
//!
//! Everything here is made from [`Issue`]s, which are gathered elsewhere, so that a document is the same
//! whoever asks for it and whichever database it came from. An issue has what people decided and what
//! follows from evaluations; no word of an advisory's author is passed on but its names.

mod feed;
pub mod forge;
mod issue;
mod osv;
mod secdb;
mod text;
mod vex;

pub use self::feed::atom;
pub use self::issue::{Decision, FixedSince, Issue, IssueChannel, IssuePackage, Site};
pub use self::osv::{document as osv, specific_ecosystem};
pub use self::secdb::database as secdb;
pub use self::text::{body, marker, renewed, summary, title};
pub use self::vex::document as openvex;
