//! The state of a file: while it stays the same, so do the bytes.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;

/// Device, inode, length, and the times at which content and inode changed. A program can set the
/// one time back, not the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp(pub(crate) [u64; 7]);

impl Stamp {
    /// That of nothing: no file is as it was with this one.
    pub(crate) const NONE: Self = Self([0; 7]);

    /// The state of what lies there; of a link its own.
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self([
            metadata.dev(),
            metadata.ino(),
            metadata.len(),
            metadata.mtime().cast_unsigned(),
            metadata.mtime_nsec().cast_unsigned(),
            metadata.ctime().cast_unsigned(),
            metadata.ctime_nsec().cast_unsigned(),
        ])
    }
}
