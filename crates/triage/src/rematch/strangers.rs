//! What a package is taken not to be: products that go by one of its names, and why they are others.

use std::collections::BTreeMap;

use snowguard_advisory::index::Corrupt;
use snowguard_matching::{Matcher, Options};

use super::{Package, Rematch, layers};
use crate::memory::target_of;

/// A product of the package's name that is taken for another thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stranger {
    /// The product, as a rule about it names it.
    pub product: String,
    /// Why it is another.
    pub why: String,
    /// How many records speak of it.
    pub records: usize,
    /// One of these.
    pub example: String,
}

impl Rematch<'_, '_> {
    /// What one package is taken not to be, those with the most records first, up to `limit`.
    pub fn strangers(&self, package: &Package, limit: usize) -> Result<Vec<Stranger>, Corrupt> {
        let mut found: BTreeMap<(String, String), (usize, String)> = BTreeMap::new();
        for layer in layers::of(self, std::slice::from_ref(package)) {
            let layer = layer.build(self);
            let matcher = Matcher::new(self.index, &layer.table, Options::default());
            for component in &layer.inventory.components {
                for (entry, product, why) in matcher.strangers(component)? {
                    let view = self.index.entry(entry)?;
                    let place = found.entry((target_of(product), why.to_string()));
                    let (records, _) = place.or_insert_with(|| (0, view.record.to_owned()));
                    *records += 1;
                }
            }
        }
        let mut strangers: Vec<Stranger> = found
            .into_iter()
            .map(|((product, why), (records, example))| Stranger {
                product,
                why,
                records,
                example,
            })
            .collect();
        strangers.sort_by_key(|stranger| std::cmp::Reverse(stranger.records));
        strangers.truncate(limit);
        Ok(strangers)
    }
}
