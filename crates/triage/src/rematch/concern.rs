//! Which packages some advisories could be about: those that have one of the identities that the
//! advisories name. What identities a package has is kept from its last match, in digests, so that a few
//! advisories cost a few packages. It may be a package too many, and is never one too few.

use std::collections::HashMap;

use rustc_hash::FxHashSet;
use snowguard_advisory::index::{Corrupt, Index, ProductView, VulnerabilityId};
use snowguard_inventory::{Identity, IdentityTable};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Raised whenever packages may get other identities from the same facts and the same table.
const RULES: u64 = 2;

/// By which rules and which table identities were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp(u32);

impl Stamp {
    /// Of the present rules and a table. What was decided about a package is apart: whoever changes that
    /// has the package matched.
    pub fn of(table: &IdentityTable) -> Self {
        let sum = table.all().fold(RULES, |sum, (package, statements)| {
            let seed = xxh3_64_with_seed(package.as_bytes(), RULES);
            let text = format!("{statements:?}");
            sum.wrapping_add(xxh3_64_with_seed(text.as_bytes(), seed))
        });
        Self(short(sum))
    }

    /// The digests of a package's identities, as they are kept: four bytes each, after four of the stamp, and
    /// four of what its findings have to do with each other.
    pub(super) fn pack(self, context: u64, mut digests: Vec<u32>) -> Vec<u8> {
        digests.sort_unstable();
        digests.dedup();
        let context = short(context ^ context << 32);
        let all = [self.0, context].into_iter().chain(digests);
        all.flat_map(u32::to_le_bytes).collect()
    }
}

/// Advisories that changed, and nothing else did since packages were matched last.
#[derive(Clone, Copy, Debug)]
pub struct Changed<'r> {
    /// The advisories, as far as the index still has them.
    pub vulnerabilities: &'r FxHashSet<VulnerabilityId>,
    /// What is kept of a package's last match, by number; nothing where something changed of the package itself.
    pub kept: &'r HashMap<i64, Vec<u8>>,
}

/// Identities that advisories name, in digests.
#[derive(Clone, Debug, Default)]
pub struct Keys(FxHashSet<u32>);

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

    /// Whether they could be about a package, by what is kept of it: also if nothing is, or if it was found
    /// by other rules.
    pub fn concern(&self, stamp: Stamp, kept: Option<&[u8]>) -> bool {
        let (numbers, rest) = kept.unwrap_or_default().as_chunks::<4>();
        let mut numbers = numbers.iter().map(|bytes| u32::from_le_bytes(*bytes));
        numbers.next() != Some(stamp.0)
            || !rest.is_empty()
            || numbers.next().is_none()
            || numbers.any(|number| self.0.contains(&number))
    }
}

/// An identity in a digest.
pub(super) fn digest_of(identity: &Identity) -> u32 {
    match identity {
        Identity::Name(name) | Identity::Product(_, name) => digest(0, name.as_str()),
        Identity::Package(key) => digest(1, key.as_str()),
        Identity::Repository(key) => digest(2, key.as_str()),
    }
}

fn digest(kind: u64, text: &str) -> u32 {
    short(xxh3_64_with_seed(text.as_bytes(), kind))
}

fn short(digest: u64) -> u32 {
    u32::try_from(digest >> 32).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_of_a_package_may_concern_it() {
        let stamp = Stamp::of(&IdentityTable::builtin());
        let keys = Keys([digest(0, "zlib")].into_iter().collect());
        let kept =
            |names: &[&str]| stamp.pack(0, names.iter().map(|name| digest(0, name)).collect());
        assert!(keys.concern(stamp, Some(&kept(&["gzip", "zlib"]))));
        assert!(!keys.concern(stamp, Some(&kept(&["gzip", "bzip2"]))));
        assert!(!keys.concern(stamp, Some(&kept(&[]))));
        assert!(keys.concern(stamp, None));
        assert!(keys.concern(stamp, Some(&kept(&["gzip"])[..6])));
        let other = Stamp::of(&IdentityTable::default());
        assert!(keys.concern(other, Some(&kept(&["gzip"]))));
    }
}
