//! A tree of files, as it would lie on a disk.

use std::collections::BTreeMap;

use crate::error::TreeError;
use crate::spool::Spool;

/// A tree of files, directories and symbolic links; the contents of files are in a spool.
///
/// The root is a directory. Names are bytes, and neither empty, `.` nor `..`, without `/` and zero.
#[derive(Debug)]
pub struct Tree<S> {
    pub(crate) nodes: Vec<Node>,
    pub(crate) root: usize,
    pub(crate) spool: S,
    pub(crate) replaced: Replaced,
}

/// Members that took the place of others of the same name.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Replaced {
    /// How many.
    pub count: u64,
    /// The first of them, at most [`Self::SHOWN`].
    pub first: Vec<Vec<u8>>,
}

impl Replaced {
    /// How many names are kept.
    pub const SHOWN: usize = 16;

    pub(crate) fn note(&mut self, path: &[u8]) {
        self.count += 1;
        if self.first.len() < Self::SHOWN {
            self.first.push(path.to_owned());
        }
    }
}

/// One object.
#[derive(Debug, Clone)]
pub(crate) enum Node {
    /// By name, in the order of bytes, which is that of a NAR.
    Directory(BTreeMap<Box<[u8]>, usize>),
    File(File),
    Symlink(Box<[u8]>),
}

/// A file: whether it may be executed, and where in the spool its contents are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct File {
    pub(crate) executable: bool,
    pub(crate) offset: u64,
    pub(crate) size: u64,
}

impl<S> Tree<S> {
    /// Members that took the place of others.
    pub fn replaced(&self) -> &Replaced {
        &self.replaced
    }

    /// How many names the root has.
    pub fn len(&self) -> usize {
        self.top().len()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.top().is_empty()
    }

    /// What the root has.
    pub(crate) fn top(&self) -> &BTreeMap<Box<[u8]>, usize> {
        static NOTHING: BTreeMap<Box<[u8]>, usize> = BTreeMap::new();
        match &self.nodes[self.root] {
            Node::Directory(children) => children,
            _ => &NOTHING,
        }
    }
}

/// How many bytes of contents are held at once.
pub(crate) const PIECE: u64 = 64 << 10;

/// Gives the contents of a file, piece by piece.
pub(crate) fn contents<S: Spool>(
    spool: &mut S,
    file: File,
    buffer: &mut Vec<u8>,
    mut take: impl FnMut(&[u8]) -> Result<(), TreeError>,
) -> Result<(), TreeError> {
    let (mut offset, mut left) = (file.offset, file.size);
    while left > 0 {
        let piece = left.min(PIECE);
        buffer.resize(usize::try_from(piece).unwrap_or(usize::MAX), 0);
        let count = spool
            .read_at(offset, buffer)
            .map_err(|source| TreeError::Spool { source })?;
        if count == 0 {
            return Err(TreeError::Spool {
                source: std::io::ErrorKind::UnexpectedEof.into(),
            });
        }
        take(&buffer[..count])?;
        offset += count as u64;
        left -= count as u64;
    }
    Ok(())
}
