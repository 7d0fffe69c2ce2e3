//! Packages of all channels held against the index: what is found for each package and advisory.
//!
//! Nothing is compared here with what was found before, and nothing is read or written: whoever
//! calls it hands over some packages at a time and writes the differences.

mod concern;
mod join;
mod layers;
mod preview;
mod strangers;

use jiff::civil::Date;
use rayon::prelude::*;
use snowguard_advisory::index::{Corrupt, Index};
use snowguard_inventory::fact::Fact;
use snowguard_inventory::{Component, ComponentId, IdentityTable, Inventory};
use snowguard_matching::{Finding, Matcher, Options, Status};
use snowguard_report::model::Action;

use crate::evidence::Evidence;
use crate::memory::MemoryRule;
use crate::rank::Weights;
use crate::state::State;

pub use self::concern::{Changed, Keys, Stamp};
pub use self::preview::{Change, Preview, difference};
pub use self::strangers::Stranger;

/// A package with all that channels have of it.
#[derive(Clone, Debug, Default)]
pub struct Package {
    /// Its number in the database.
    pub id: i64,
    /// Its key: `openssl`, `python:falcon`.
    pub key: String,
    /// How many packages depend on it.
    pub dependents: u32,
    /// Its attributes in the followed channels.
    pub heads: Vec<Head>,
}

/// An attribute in a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The channel, by number.
    pub channel: i64,
    /// The attribute path.
    pub attr: Box<str>,
    /// The derivation's name: `openssl-1.1.1g`.
    pub name: Box<str>,
    /// The version; empty if the evaluation told none.
    pub version: Box<str>,
    /// What else the evaluation says, by number.
    pub fact: i64,
}

/// What a re-match needs beside packages.
pub struct Rematch<'r, 'a> {
    /// All advisories.
    pub index: Index<'a>,
    /// The names of its sources, in its order.
    pub sources: Vec<&'a str>,
    /// The reviewed table.
    pub table: &'r IdentityTable,
    /// What was decided once and for all; those that hold no more are passed over.
    pub rules: &'r [MemoryRule],
    /// The day on which rules hold or not.
    pub today: Date,
    /// Facts by number; a head whose fact is missing is passed over.
    pub facts: &'r (dyn Fn(i64) -> Option<&'r Fact> + Sync),
    /// What was decided about a package (by number) and an advisory (by name); none if nothing is
    /// stored about the two. What is stored is found again even where it is fixed.
    pub stored: &'r (dyn Fn(i64, &str) -> Option<State> + Sync),
    /// Where only some advisories changed: of a package that was matched before, only these are told.
    pub changed: Option<Changed<'r>>,
}

/// What is found for one package.
#[derive(Debug, Default)]
pub struct Found {
    /// By advisory name.
    pub outcomes: Vec<Outcome>,
    /// The update that mends the most of what is affected; none if nothing is.
    pub action: Option<Action>,
    /// By which identities it was looked for, as [`Keys::concern`] reads them, and what its findings have to
    /// do with each other.
    pub identities: Vec<u8>,
    /// Whether the outcomes are those of all advisories; else of those that changed.
    pub is_whole: bool,
}

/// What is found for one package and one advisory.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The advisory's name.
    pub advisory: String,
    /// The worst of all channels.
    pub status: Status,
    /// Whether some identity behind it is sure.
    pub is_sure: bool,
    /// Channel by channel.
    pub channels: Vec<InChannel>,
    /// Why.
    pub evidence: Evidence,
    /// What its place in lists depends on.
    pub weights: Weights,
}

/// What is found in one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InChannel {
    /// The channel, by number.
    pub channel: i64,
    /// The worst of all versions there.
    pub status: Status,
    /// The versions of which that holds.
    pub versions: Vec<String>,
}

impl Rematch<'_, '_> {
    /// Matches packages: one [`Found`] for each, in their order.
    pub fn run(&self, packages: &[Package]) -> Result<Vec<Found>, Corrupt> {
        self.run_each(packages, |_, found| Ok(found))
    }

    /// The same with what is made of each at once, so that the evidence of thousands of findings need not be
    /// there together.
    pub fn run_each<T: Send, E: From<Corrupt> + Send>(
        &self,
        packages: &[Package],
        made: impl Fn(&Package, Found) -> Result<T, E> + Sync,
    ) -> Result<Vec<T>, E> {
        let layers = layers::of(self, packages);
        let built: Vec<Layer> = layers.into_iter().map(|layer| layer.build(self)).collect();
        let mut parts: Vec<Vec<Part<'_>>> = packages.iter().map(|_| Vec::new()).collect();
        for layer in &built {
            for (at, component) in layer.inventory.components.iter().enumerate() {
                for class in layer.classes_of(component) {
                    parts[class.package].push(Part {
                        id: ComponentId(u32::try_from(at).unwrap_or(u32::MAX)),
                        component,
                        table: &layer.table,
                        channels: &class.channels,
                    });
                }
            }
        }
        // Package by package: the claims of one are given back before those of the next are made.
        let stamp = Stamp::of(self.table);
        packages
            .par_iter()
            .zip(parts)
            .map(|(package, parts)| made(package, self.one(stamp, package, &parts)?))
            .collect()
    }

    fn one(&self, stamp: Stamp, package: &Package, parts: &[Part<'_>]) -> Result<Found, Corrupt> {
        let (mut context, mut identities) = (0_u64, Vec::new());
        let mut hits = Vec::new();
        for part in parts {
            let of_component = part.component.identities.iter();
            identities.extend(of_component.map(|(identity, _)| concern::digest_of(identity)));
            let matcher = Matcher::new(self.index, part.table, Options::default());
            let found = matcher.in_context(part.id, part.component)?;
            context = context.wrapping_add(found.context);
            if let Some(findings) = found.findings.filter(|findings| !findings.is_empty()) {
                hits.push(Hit {
                    component: part.component,
                    table: part.table,
                    channels: part.channels,
                    findings,
                });
            }
        }
        let identities = stamp.pack(context, identities);
        let is_same = |changed: &&Changed<'_>| changed.kept.get(&package.id) == Some(&identities);
        let only = self.changed.as_ref().filter(is_same);
        let found = join::join(self, package, &hits, only)?;
        Ok(Found {
            identities,
            is_whole: only.is_none(),
            ..found
        })
    }
}

/// Packages that are matched in one go, with one table.
struct Layer {
    table: IdentityTable,
    inventory: Inventory,
    classes: Vec<layers::Class>,
    /// To which class the object of each node belongs.
    owners: Vec<usize>,
}

impl Layer {
    /// The classes that have a component: mostly one.
    fn classes_of(&self, component: &Component) -> impl Iterator<Item = &layers::Class> {
        let mut owners: Vec<usize> = component
            .nodes
            .iter()
            .filter_map(|node| self.owners.get(node.index()).copied())
            .collect();
        owners.sort_unstable();
        owners.dedup();
        owners
            .into_iter()
            .filter_map(|owner| self.classes.get(owner))
    }
}

/// One version of a package.
struct Part<'l> {
    id: ComponentId,
    component: &'l Component,
    table: &'l IdentityTable,
    channels: &'l [i64],
}

/// One version of a package with what was found for it.
struct Hit<'l> {
    component: &'l Component,
    table: &'l IdentityTable,
    channels: &'l [i64],
    findings: Vec<Finding<'l>>,
}

#[cfg(test)]
mod tests;
