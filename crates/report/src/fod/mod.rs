//! Fixed-output derivations as people and tools read them: `snowguard fod list`, `fod diff` and `fod verify`.
//!
//! What one is told by its derivation (`snowguard_fod`); here it stands among others: who depends on
//! it, under which attribute, and how many there are of each kind.

mod column;
mod difference;
mod differing;
mod egress;
pub mod gate;
mod html;
mod listing;
mod text;
mod verified;

pub use self::column::{Column, Condition, ConditionError, Count, counts};
pub use self::difference::{Difference, NewScript, Rehashed, Unchanged, difference};
pub use self::egress::Egress;
pub use self::html::page;
pub use self::listing::{Finding, Listing, Row, has_derivations, listing, listing_with_facts};
pub use snowguard_fod::rule::{Level, Rule};

pub use self::differing::differing;
pub use self::text::{counted, listed};
pub use self::verified::{Verification, Verified, verified, verified_page};
