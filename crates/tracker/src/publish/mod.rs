//! What the tracker tells the world: confirmed issues, in the forms that other tools read.
//!
//! Documents are made from [`Issue`]s and [`Verdicts`], which [`gather`] takes out of the database, so that
//! they agree with each other. These hold what people decided and what follows from evaluations; no word of
//! an advisory's author is passed on but its names.

pub mod act;
mod feed;
pub mod forge;
pub mod gather;
mod issue;
mod osv;
mod secdb;
pub mod sync;
mod text;
pub mod triage;
mod vex;
pub mod whole;

pub use self::feed::atom;
pub use self::issue::{DecidedPackage, Decision, FixedSince, Issue, Site, Standing, Verdicts};
pub use self::osv::{document as osv, specific_ecosystem};
pub use self::secdb::database as secdb;
pub use self::text::{body, marker, renewed, summary, title};
pub use self::vex::document as openvex;
