//! Nix archives: file system trees as streams of bytes.
//!
//! [`NarReader`] turns bytes into [`NarEvent`]s without recursion and within [`NarLimits`]; [`NarWriter`]
//! turns events into the only bytes that stand for them. What Nix refuses (wrong order, repeated or bad
//! names, padding that is not zero, anything after the end) is refused here.
//! Source: `protocols/nix-archive` in the Nix manual.
//! Deliberately absent: the file system on either side, compression, and the case hack of macOS, which
//! is a matter of unpacking.

mod digest;
mod read;
mod write;

pub use self::digest::{NarDigest, NarHash, NarHasher};
pub use self::read::{NarContents, NarError, NarLimits, NarReader};
pub use self::write::{NarWriteError, NarWriter};

/// One step through a tree. Names are the last component only, and empty for the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NarEvent<'a> {
    /// A directory begins; its entries follow, in order of their names.
    Directory {
        /// Its name.
        name: &'a [u8],
    },
    /// The directory that began last, and is not at its end yet, ends.
    DirectoryEnd,
    /// A file; its contents follow.
    File {
        /// Its name.
        name: &'a [u8],
        /// Whether it may be executed.
        executable: bool,
        /// The length of its contents in bytes.
        size: u64,
    },
    /// A symbolic link.
    Symlink {
        /// Its name.
        name: &'a [u8],
        /// Where it points to: any bytes but zero, at least one.
        target: &'a [u8],
    },
}

const MAGIC: &[u8] = b"nix-archive-1";

/// How many zeros follow a string of this length.
fn padding(length: u64) -> usize {
    (length.wrapping_neg() % 8) as usize
}

/// Whether this can be the name of an entry of a directory.
fn is_entry_name(name: &[u8]) -> bool {
    !matches!(name, b"" | b"." | b"..") && memchr::memchr2(b'/', 0, name).is_none()
}
