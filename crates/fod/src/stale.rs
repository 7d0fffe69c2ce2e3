//! Two package sets: what came, what went, and what has another source with the same hash.
//!
//! A fixed output is had from the store by its hash, so that who changes the version and forgets the hash
//! builds the old source, and nothing fails. That one set alone has one hash under two URLs says little:
//! mirrors, moved projects and tags beside their commits do. Between two states of one set it is precise:
//! a derivation that names another source than before, and promises the same bytes.

use std::collections::{BTreeMap, BTreeSet};

use snowguard_store::ContentAddress;

use crate::class::Class;
use crate::fod::Fod;

/// From what one is fetched: as far as it is written down.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source {
    /// The URLs, sorted.
    pub urls: Vec<Box<str>>,
    /// The revision.
    pub rev: Option<Box<str>>,
    /// Where there is no URL: the store paths of what it is fetched for.
    pub sources: Vec<Box<str>>,
}

impl Source {
    /// That of a derivation.
    pub fn of(fod: &Fod) -> Self {
        let sorted = |texts: &[Box<str>]| {
            let mut texts = texts.to_vec();
            texts.sort_unstable();
            texts.dedup();
            texts
        };
        Self {
            urls: sorted(&fod.urls),
            rev: fod.rev.clone(),
            sources: sorted(&fod.sources),
        }
    }

    /// Whether anything is written down.
    fn is_told(&self) -> bool {
        !self.urls.is_empty() || !self.sources.is_empty()
    }
}

/// What an unchanged hash under a changed source may mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Only the place: host, scheme or directory; the file and the revision have the same names.
    Moved,
    /// What a package manager fetches for another source: right if that locks the same versions.
    Vendored,
    /// Another version or revision, and the same bytes: most likely the hash was forgotten.
    Stale,
}

impl Kind {
    /// The word of interfaces.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Moved => "moved",
            Self::Vendored => "vendored",
            Self::Stale => "stale",
        }
    }

    /// What it means.
    pub const fn what(self) -> &'static str {
        match self {
            Self::Moved => "another place, the same file name and the same hash",
            Self::Vendored => {
                "another source, the same hash of what is vendored for it: right only if the lock file is the same"
            }
            Self::Stale => {
                "another version or revision, and the same hash: the old source is built"
            }
        }
    }
}

/// Another source, the same hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unchanged {
    /// What it may mean.
    pub kind: Kind,
    /// Before: its place in the first set.
    pub base: usize,
    /// After: its place in the second set.
    pub head: usize,
}

/// The same source, another hash: somebody put other bytes there, or a mistake was mended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rehashed {
    /// Before: its place in the first set.
    pub base: usize,
    /// After: its place in the second set.
    pub head: usize,
}

/// What differs between two sets, as places in them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// In the second only: neither its source nor its hash was there.
    pub added: Vec<usize>,
    /// In the first only.
    pub removed: Vec<usize>,
    /// Another source, the same hash; the stale ones first.
    pub unchanged: Vec<Unchanged>,
    /// The same source, another hash.
    pub rehashed: Vec<Rehashed>,
    /// How many are the same.
    pub same: usize,
}

type Key = (ContentAddress, Source);

/// Compares two sets. Equal ones count once, whatever they are needed for.
pub fn compare(base: &[&Fod], head: &[&Fod]) -> Difference {
    let (before, after) = (by_key(base), by_key(head));
    let mut by_address: BTreeMap<ContentAddress, Vec<usize>> = BTreeMap::new();
    let mut by_source: BTreeMap<&Source, Vec<usize>> = BTreeMap::new();
    for ((address, source), at) in &before {
        by_address.entry(*address).or_default().push(*at);
        by_source.entry(source).or_default().push(*at);
    }
    let mut difference = Difference::default();
    let mut explained: BTreeSet<usize> = BTreeSet::new();
    for (key, &at) in &after {
        if before.contains_key(key) {
            difference.same += 1;
            continue;
        }
        let ((address, source), fod) = (key, head[at]);
        let was = |places: Option<&Vec<usize>>| -> Vec<usize> {
            let told = places.filter(|_| source.is_told());
            told.cloned().unwrap_or_default()
        };
        // Of several with this hash the one that is most like it: what it was moved from is no alarm.
        let like = was(by_address.get(address))
            .into_iter()
            .map(|at| (kind(base[at], fod), base[at].name != fod.name, at))
            .min();
        if let Some((kind, _, was)) = like {
            explained.insert(was);
            difference.unchanged.push(Unchanged {
                kind,
                base: was,
                head: at,
            });
            continue;
        }
        let was = was(by_source.get(source))
            .into_iter()
            .find(|was| base[*was].name == fod.name && base[*was].address.method == address.method);
        if let Some(was) = was {
            explained.insert(was);
            difference.rehashed.push(Rehashed {
                base: was,
                head: at,
            });
        } else {
            difference.added.push(at);
        }
    }
    let gone = before.iter().filter(|(key, _)| !after.contains_key(*key));
    difference.removed = gone
        .map(|(_, at)| *at)
        .filter(|at| !explained.contains(at))
        .collect();
    let name = |at: usize| &head[at].name;
    difference.added.sort_by_key(|at| name(*at));
    difference.removed.sort_by_key(|at| &base[*at].name);
    difference
        .unchanged
        .sort_by_key(|found| (std::cmp::Reverse(found.kind), name(found.head)));
    difference.rehashed.sort_by_key(|found| name(found.head));
    difference
}

/// The first of equal ones, by what makes them equal.
fn by_key(fods: &[&Fod]) -> BTreeMap<Key, usize> {
    let mut map = BTreeMap::new();
    for (at, fod) in fods.iter().enumerate() {
        map.entry((fod.address, Source::of(fod))).or_insert(at);
    }
    map
}

/// What the same hash under another source means.
fn kind(base: &Fod, head: &Fod) -> Kind {
    if head.urls.is_empty() || head.tool.class == Class::Vendor {
        return Kind::Vendored;
    }
    let names = |fod: &Fod| -> BTreeSet<String> {
        let places = fod.places();
        places
            .map(|place| format!("{}?{}", file_name(place.path), place.query))
            .collect()
    };
    if base.rev == head.rev && !names(base).is_disjoint(&names(head)) {
        Kind::Moved
    } else {
        Kind::Stale
    }
}

/// The part of a path that names what is had. `archive/v1.0.tar.gz` and `download/v1.0/x.tar.gz` both
/// have their version in it; of a registry's `NAME/VERSION/download` the last part alone would not.
fn file_name(path: &str) -> &str {
    let end = path.trim_end_matches('/');
    let last = end.rsplit('/').next().unwrap_or(end);
    if last.bytes().any(|byte| byte.is_ascii_digit()) {
        return last;
    }
    // From the last part that has a digit.
    let mut start = 0;
    for (at, part) in end.match_indices('/').map(|(at, _)| (at, &end[at + 1..])) {
        let part = part.split('/').next().unwrap_or(part);
        if part.bytes().any(|byte| byte.is_ascii_digit()) {
            start = at + 1;
        }
    }
    end.get(start..).unwrap_or(end)
}

#[cfg(test)]
mod tests {
    use snowguard_store::{Hash, StoreDir};

    use super::*;
    use crate::fod::tests::of_hash;

    fn fod(name: &str, inputs: &[&str], env: &[(&str, &str)], hash: u8) -> Fod {
        let drv = of_hash(name, "/bin/sh", inputs, env, Hash::sha256([hash; 32]));
        Fod::of(&drv, &StoreDir::default()).unwrap()
    }

    fn url(name: &str, url: &str, hash: u8) -> Fod {
        fod(name, &["curl-8.1"], &[("urls", url)], hash)
    }

    fn told(base: &[Fod], head: &[Fod]) -> String {
        let (base, head): (Vec<&Fod>, Vec<&Fod>) = (base.iter().collect(), head.iter().collect());
        let difference = compare(&base, &head);
        let mut lines = vec![format!("same {}", difference.same)];
        let added = difference.added.iter().map(|at| head[*at]);
        lines.extend(added.map(|fod| format!("added {}", fod.name)));
        let removed = difference.removed.iter().map(|at| base[*at]);
        lines.extend(removed.map(|fod| format!("removed {}", fod.name)));
        lines.extend(difference.unchanged.iter().map(|found| {
            let (before, after) = (&base[found.base].name, &head[found.head].name);
            format!("{} {after} <- {before}", found.kind.as_str())
        }));
        let rehashed = difference.rehashed.iter().map(|found| head[found.head]);
        lines.extend(rehashed.map(|fod| format!("rehashed {}", fod.name)));
        lines.join("\n")
    }

    #[test]
    fn a_forgotten_hash_is_told() {
        let base = [
            url("nix-2.24.14.tar.gz", "https://x.org/nix-2.24.14.tar.gz", 1),
            url("same.tar.gz", "https://x.org/same-1.tar.gz", 2),
            url("gone.tar.gz", "https://x.org/gone-1.tar.gz", 3),
        ];
        let head = [
            url("nix-2.24.15.tar.gz", "https://x.org/nix-2.24.15.tar.gz", 1),
            url("same.tar.gz", "https://x.org/same-1.tar.gz", 2),
            url("new.tar.gz", "https://x.org/new-1.tar.gz", 4),
        ];
        insta::assert_snapshot!(told(&base, &head), @"
        same 1
        added new.tar.gz
        removed gone.tar.gz
        stale nix-2.24.15.tar.gz <- nix-2.24.14.tar.gz
        ");
    }

    #[test]
    fn a_version_in_the_directory_counts() {
        let base = [url("source", "https://github.com/o/r/archive/v1.tar.gz", 1)];
        let head = [url("source", "https://github.com/o/r/archive/v2.tar.gz", 1)];
        assert_eq!(told(&base, &head), "same 0\nstale source <- source");
        let base = [url(
            "x",
            "https://registry.example/api/v1/crates/x/1.0.1/download",
            1,
        )];
        let head = [url(
            "x",
            "https://registry.example/api/v1/crates/x/1.0.2/download",
            1,
        )];
        assert_eq!(told(&base, &head), "same 0\nstale x <- x");
    }

    #[test]
    fn a_move_is_no_alarm() {
        let base = [url("x-1.tar.gz", "http://old.org/x-1.tar.gz", 1)];
        let head = [url("x-1.tar.gz", "https://new.org/pub/x-1.tar.gz", 1)];
        assert_eq!(told(&base, &head), "same 0\nmoved x-1.tar.gz <- x-1.tar.gz");
        // Beside one that was there before, the same thing under another name is no alarm either.
        let base = [
            url("x-1.tar.gz", "http://old.org/x-1.tar.gz", 1),
            url("x-0.tar.gz", "http://old.org/x-0.tar.gz", 1),
        ];
        assert_eq!(
            told(&base, &head),
            "same 0\nremoved x-0.tar.gz\nmoved x-1.tar.gz <- x-1.tar.gz"
        );
    }

    #[test]
    fn a_moved_tag_and_a_vendored_lock() {
        let git = |rev: &str, hash| {
            fod(
                "r",
                &["git-2.5"],
                &[("url", "https://x.org/r.git"), ("rev", rev)],
                hash,
            )
        };
        assert_eq!(told(&[git("v1", 1)], &[git("v1", 2)]), "same 0\nrehashed r");
        assert_eq!(
            told(&[git("v1", 1)], &[git("v2", 1)]),
            "same 0\nstale r <- r"
        );
        let vendor = |source: &str, hash| {
            let path = format!("/nix/store/00000000000000000000000000000000-{source}");
            fod("x-vendor", &["cargo-1.8"], &[("src", &path)], hash)
        };
        assert_eq!(
            told(&[vendor("a", 1)], &[vendor("b", 1)]),
            "same 0\nvendored x-vendor <- x-vendor"
        );
        assert_eq!(told(&[vendor("a", 1)], &[vendor("a", 1)]), "same 1");
    }
}
