//! What several of the test modules need.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt::{Debug, Write as _};
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

/// What a version has of the experimental features that concern derivations.
pub(crate) struct Features {
    has: BTreeSet<&'static str>,
}

impl Features {
    pub(crate) fn of(version: NixVersion) -> Self {
        let since = [
            ("ca", 4),
            ("impure", 8),
            // `builtins.outputOf` takes outputs of outputs since then.
            ("dynamic", 19),
            ("git", 22),
            ("blake3", 31),
            ("git-sha256", 32),
        ];
        let has = |since| version >= NixVersion::new(2, since);
        Self {
            has: since
                .into_iter()
                .filter_map(|(name, since)| has(since).then_some(name))
                .collect(),
        }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.has.contains(name)
    }

    /// The names that have to be switched on.
    pub(crate) fn switches(&self) -> Vec<&'static str> {
        [
            ("ca", "ca-derivations"),
            ("impure", "impure-derivations"),
            ("dynamic", "dynamic-derivations"),
            ("git", "git-hashing"),
            ("blake3", "blake3-hashes"),
        ]
        .into_iter()
        .filter_map(|(name, switch)| self.has(name).then_some(switch))
        .collect()
    }

    /// As the arguments of `shapes.nix`.
    pub(crate) fn arguments(&self) -> String {
        ["ca", "impure", "dynamic", "git", "git-sha256", "blake3"]
            .map(|name| format!("{name} = {};", self.has(name)))
            .join(" ")
    }
}

/// Numbers that look random and are the same every time (the generator is called splitmix).
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below 256.
    pub(crate) fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
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

/// A table of inputs and messages.
#[derive(Default)]
pub(crate) struct Table(pub(crate) String);

impl Table {
    pub(crate) fn row<T: Debug, E: Error>(
        &mut self,
        input: impl AsRef<[u8]>,
        result: Result<T, E>,
    ) {
        let input = String::from_utf8_lossy(input.as_ref())
            .escape_debug()
            .to_string()
            .replace("\\\"", "\"");
        let message = match result {
            Ok(value) => panic!("{input} was read: {value:?}"),
            Err(error) => chain(&error),
        };
        let input = if input.is_empty() {
            "(nothing)"
        } else {
            &input
        };
        let _ = writeln!(self.0, "{input}\n    {message}");
    }
}
