//! One record's word on one component.

use snowguard_advisory::index::{EntryId, ProductView};
use snowguard_advisory::order::{Doubt, Scheme};
use snowguard_advisory::range::{Fix, Outside, Rule};
use snowguard_advisory::record::PlatformSet;

use crate::vendor::Why;

/// What a record says, and why it is about this component.
#[derive(Clone, Debug)]
pub struct Claim<'a> {
    /// The entry in the index.
    pub entry: EntryId,
    /// The record.
    pub record: &'a str,
    /// The record's source, as a number in the index's sources.
    pub source: usize,
    /// Who says so.
    pub by: Option<&'a str>,
    /// Whether they make the thing.
    pub upstream: bool,
    /// The product that joined.
    pub product: ProductView<'a>,
    /// Whether the component is that product for sure.
    pub certainty: Certainty,
    /// Why it is taken to be.
    pub why: std::sync::Arc<Why>,
    /// The order that decided.
    pub scheme: Scheme,
    /// What follows for the component's version.
    pub outcome: Outcome<'a>,
}

/// How sure an identity is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Certainty {
    /// The name is shared with others, and nothing speaks for or against.
    Unsure,
    /// It is that product.
    Sure,
}

/// What a claim says about the component's version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// It is affected.
    Inside {
        /// The rule that covers it; none if everything is affected that is not excepted.
        rule: Option<Rule<&'a str>>,
        /// Where that ends.
        fix: Fix<'a>,
    },
    /// It is not.
    Outside(Outside<'a>),
    /// Only other systems are affected.
    OtherSystem(PlatformSet),
    /// It is affected only together with one of these.
    Together(Vec<ProductView<'a>>),
    /// Nobody can say.
    Unknown(Doubt),
}

impl Outcome<'_> {
    /// Whether it says that the version is affected.
    pub fn is_inside(&self) -> bool {
        matches!(self, Self::Inside { .. })
    }

    /// Whether it says that the version is not affected.
    pub fn is_outside(&self) -> bool {
        matches!(self, Self::Outside(_) | Self::OtherSystem(_))
    }
}
