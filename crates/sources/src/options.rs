//! What the face decides about reading: which store, and how much is taken on.

use crate::inside::Deep;
use crate::live::Store;

/// How inputs are found and read.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The store that store paths are looked up in. Unset, the path itself says: the database is
    /// looked for where Nix would keep it beside the path's store directory.
    pub store: Option<Store>,
    /// Derivations of a package set are taken from what is given beside it, and not from a live store as well: of
    /// these only what a package is made of is read, and nothing tells what it needs besides.
    pub only_beside: bool,
    /// When reading stops being reasonable.
    pub limits: Limits,
    /// Whether the files of objects are looked into.
    pub deep: Deep,
}

/// How much is read before an input is refused.
///
/// The defaults fit whole package sets and keep a hostile input from filling the disk or, short of
/// a few gigabytes, the memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one document, after decompression.
    pub document: u64,
    /// Bytes of one `.drv` file.
    pub derivation: u64,
    /// Bytes of a whole archive, after decompression.
    pub archive: u64,
    /// Derivations, store paths, components or packages; also files of a directory and members of
    /// an archive.
    pub objects: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            document: 2 << 30,
            derivation: 64 << 20,
            archive: 64 << 30,
            objects: 4_000_000,
        }
    }
}
