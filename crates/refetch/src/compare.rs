//! Where what comes differs from what lies in the local store.

#![expect(
    clippy::disallowed_methods,
    reason = "this room reads what is in the local store"
)]

use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::Path;
use std::sync::Arc;

use snowguard_archive::{Limits, first_difference};
use snowguard_fod::outcome::Difference;

use crate::space::Share;
use crate::tree::{self, Spooled};

/// Compares bytes, as they come, with a file.
pub(crate) struct Beside {
    old: BufReader<File>,
    length: u64,
    /// How many bytes were the same, and whether one was not.
    same: u64,
    differs: bool,
    buffer: Vec<u8>,
}

impl Beside {
    /// Beside a file of the local store, where it is one.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let metadata = std::fs::symlink_metadata(path).ok()?;
        let old = metadata.is_file().then(|| File::open(path).ok())??;
        Some(Self {
            old: BufReader::new(old),
            length: metadata.len(),
            same: 0,
            differs: false,
            buffer: Vec::new(),
        })
    }

    /// Takes the next bytes.
    pub(crate) fn take(&mut self, bytes: &[u8]) {
        if self.differs {
            return;
        }
        self.buffer.resize(bytes.len(), 0);
        let mut filled = 0;
        while filled < bytes.len() {
            match self.old.read(&mut self.buffer[filled..]) {
                Ok(0) | Err(_) => break,
                Ok(count) => filled += count,
            }
        }
        let pairs = bytes.iter().zip(&self.buffer[..filled]);
        let same = pairs.take_while(|(new, old)| new == old).count();
        self.same += same as u64;
        self.differs = same < bytes.len();
    }

    /// Where they differ, once all `length` bytes came.
    pub(crate) fn end(self, length: u64) -> Option<Difference> {
        if self.same == length && self.length == length {
            return None;
        }
        let at = |length: u64| {
            if self.same >= length {
                format!("{length} bytes, the same as far as they go")
            } else {
                format!("{length} bytes, different from byte {}", self.same)
            }
        };
        Some(Difference {
            member: String::new(),
            was: at(self.length),
            is: at(length),
        })
    }
}

/// The first member in which a tree differs from a directory of the local store.
pub(crate) fn tree(
    new: &mut Spooled,
    old: &Path,
    (scratch, share): (&Path, &Arc<Share>),
    limits: Limits,
) -> Option<Difference> {
    if !std::fs::symlink_metadata(old).ok()?.is_dir() {
        return None;
    }
    // What cannot be read is not compared: the verdict stands without it.
    let old = tree::read(old, None, (scratch, share), limits);
    share.forgive();
    let found = first_difference(&mut old.ok()?, new).ok()??;
    let shown = |what: Option<snowguard_archive::What>| {
        what.map_or_else(|| "not there".to_owned(), |what| what.to_string())
    };
    Some(Difference {
        member: String::from_utf8_lossy(&found.path).into_owned(),
        was: shown(found.left),
        is: shown(found.right),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_byte_that_differs_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let old = directory.path().join("old");
        std::fs::write(&old, b"one two three").unwrap();
        let told = |pieces: &[&[u8]]| {
            let mut beside = Beside::of(&old).unwrap();
            for piece in pieces {
                beside.take(piece);
            }
            let length = pieces.iter().map(|piece| piece.len() as u64).sum();
            beside.end(length).map_or_else(
                || "same".into(),
                |found| format!("{} | {}", found.was, found.is),
            )
        };
        assert_eq!(told(&[b"one ", b"two three"]), "same");
        insta::assert_snapshot!(told(&[b"one ", b"tWo three"]), @"13 bytes, different from byte 5 | 13 bytes, different from byte 5");
        insta::assert_snapshot!(told(&[b"one"]), @"13 bytes, different from byte 3 | 3 bytes, the same as far as they go");
        insta::assert_snapshot!(told(&[b"one two three", b" four"]), @"13 bytes, the same as far as they go | 18 bytes, different from byte 13");
        assert!(Beside::of(directory.path()).is_none());
    }
}
