//! Which packages some advisories could be about: those that have one of the identities that the
//! advisories name. Much cheaper than matching, and never too few.

use rustc_hash::FxHashSet;
use snowguard_advisory::index::{Corrupt, Index, ProductView};
use snowguard_inventory::Identity;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{Package, Rematch, layers};

/// Identities, in digests.
#[derive(Clone, Debug, Default)]
pub struct Keys(FxHashSet<u64>);

impl Keys {
    /// The identities that advisories name; names that the index does not know have none.
    pub fn of<'n>(
        index: Index<'_>,
        advisories: impl IntoIterator<Item = &'n str>,
    ) -> Result<Self, Corrupt> {
        let mut keys = FxHashSet::default();
        for name in advisories {
            let Some(id) = index.find(name)? else {
                continue;
            };
            for entry in index.vulnerability(id)?.entries {
                let products = index.entry(entry)?.products;
                keys.extend(products.map(|product| match product {
                    ProductView::Named { name, .. } => digest(0, name),
                    ProductView::Package(key) => digest(1, key),
                    ProductView::Repository(key) => digest(2, key),
                }));
            }
        }
        Ok(Self(keys))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn has(&self, identity: &Identity) -> bool {
        self.0.contains(&match identity {
            Identity::Name(name) | Identity::Product(_, name) => digest(0, name.as_str()),
            Identity::Package(key) => digest(1, key.as_str()),
            Identity::Repository(key) => digest(2, key.as_str()),
        })
    }
}

fn digest(kind: u64, text: &str) -> u64 {
    xxh3_64_with_seed(text.as_bytes(), kind)
}

/// For each package, whether one of its versions has one of the identities.
pub fn concerned(rematch: &Rematch<'_, '_>, packages: &[Package], keys: &Keys) -> Vec<bool> {
    let mut concerned = vec![false; packages.len()];
    for layer in layers::of(rematch, packages) {
        let layer = layer.build(rematch);
        for component in &layer.inventory.components {
            if component
                .identities
                .iter()
                .any(|(identity, _)| keys.has(identity))
            {
                for class in layer.classes_of(component) {
                    concerned[class.package] = true;
                }
            }
        }
    }
    concerned
}
