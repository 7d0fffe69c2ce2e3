//! What several of the test modules need.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use snowguard_store::{Derivation, DrvPath, StoreDir};
use snowguard_testkit::nix::{Nix, NixStore, NixVersion};

/// The real Nix; the test fails where there is none.
pub(crate) fn nix() -> Nix {
    Nix::find().unwrap_or_else(|error| panic!("{error}"))
}

/// A file of this crate.
pub(crate) fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(path)
}

/// The contents of a file of this crate.
pub(crate) fn text(path: &str) -> String {
    std::fs::read_to_string(file(path)).unwrap()
}

/// The store directory of a store.
pub(crate) fn dir(store: &NixStore) -> StoreDir {
    StoreDir::new(store.dir().to_str().unwrap()).unwrap()
}

/// Every derivation in a store directory: its file and what was read from it.
pub(crate) fn derivations(store: &NixStore) -> BTreeMap<DrvPath, (Vec<u8>, Derivation)> {
    let dir = dir(store);
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(store.dir()).unwrap() {
        let name = entry.unwrap().file_name();
        let Ok(path) = name.to_str().unwrap().parse::<DrvPath>() else {
            continue;
        };
        let bytes = std::fs::read(store.dir().join(&name)).unwrap();
        let drv = Derivation::from_aterm(&bytes, path.drv_name(), &dir)
            .unwrap_or_else(|error| panic!("{path}: {}", chain(&error)));
        all.insert(path, (bytes, drv));
    }
    all
}

/// An error with its causes.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        let _ = write!(text, ": {error}");
        next = error.source();
    }
    text
}

/// The experimental features that this version has, of those that concern derivations.
pub(crate) struct Features {
    pub(crate) ca: bool,
    pub(crate) impure: bool,
    pub(crate) dynamic: bool,
    pub(crate) git: bool,
    pub(crate) git_sha256: bool,
    pub(crate) blake3: bool,
}

impl Features {
    pub(crate) fn of(version: NixVersion) -> Self {
        let since = |minor| version >= NixVersion::new(2, minor);
        Self {
            ca: since(4),
            impure: since(8),
            // `builtins.outputOf` takes outputs of outputs since then.
            dynamic: since(19),
            git: since(22),
            git_sha256: since(32),
            blake3: since(31),
        }
    }

    /// Their names.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        [
            (self.ca, "ca-derivations"),
            (self.impure, "impure-derivations"),
            (self.dynamic, "dynamic-derivations"),
            (self.git, "git-hashing"),
            (self.blake3, "blake3-hashes"),
        ]
        .into_iter()
        .filter_map(|(has, name)| has.then_some(name))
        .collect()
    }
}

/// Numbers that look random and are the same every time (SplitMix64).
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    /// One of several.
    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}
