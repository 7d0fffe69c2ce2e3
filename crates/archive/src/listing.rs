//! What is in a tree, so that two can be compared.

use std::cmp::Ordering;
use std::collections::btree_map::Iter;
use std::iter::Peekable;
use std::{fmt, io};

use snowguard_store::{Hash, Hasher, Notation, Quoted};

use crate::error::TreeError;
use crate::spool::Spool;
use crate::tree::{File, Node, PIECE, Tree, contents};

/// One object of a tree below the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The names on the way to it, with `/` between them.
    pub path: Vec<u8>,
    /// What it is.
    pub what: What,
}

/// What an object is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A directory.
    Directory,
    /// A file.
    File {
        /// Whether it may be executed.
        executable: bool,
        /// Its length in bytes.
        size: u64,
        /// The SHA-256 of its contents.
        sha256: Hash,
    },
    /// A symbolic link.
    Symlink {
        /// Where it points to.
        target: Vec<u8>,
    },
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory => f.write_str("directory"),
            Self::File {
                executable,
                size,
                sha256,
            } => {
                let kind = if *executable {
                    "executable file"
                } else {
                    "file"
                };
                let hash = sha256.to_notation(Notation::Hex);
                write!(f, "{kind} of {size} bytes, SHA-256 {hash}")
            }
            Self::Symlink { target } => write!(f, "symbolic link to {}", Quoted::new(target)),
        }
    }
}

/// Where two trees differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The way to it.
    pub path: Vec<u8>,
    /// What the one has there.
    pub left: Option<What>,
    /// What the other has there.
    pub right: Option<What>,
}

impl<S: Spool> Tree<S> {
    /// Everything below the root, in the order of a NAR. Each has its whole path: of a large tree that is deep, the list
    /// takes much more memory than the tree.
    pub fn members(&mut self) -> Result<Vec<Member>, TreeError> {
        let mut members = Vec::new();
        let mut buffer = Vec::new();
        let mut todo: Vec<(Vec<u8>, usize)> = vec![(Vec::new(), self.root)];
        while let Some((path, at)) = todo.pop() {
            if let Node::Directory(children) = &self.nodes[at] {
                // The first is to be taken first.
                for (name, child) in children.iter().rev() {
                    let mut path = path.clone();
                    if !path.is_empty() {
                        path.push(b'/');
                    }
                    path.extend_from_slice(name);
                    todo.push((path, *child));
                }
            }
            let what = what(&self.nodes[at], &mut self.spool, &mut buffer)?;
            if !path.is_empty() {
                members.push(Member { path, what });
            }
        }
        Ok(members)
    }
}

/// What a node is.
fn what<S: Spool>(node: &Node, spool: &mut S, buffer: &mut Vec<u8>) -> Result<What, TreeError> {
    Ok(match node {
        Node::Directory(_) => What::Directory,
        Node::File(file) => {
            let mut hasher = Hasher::sha256();
            contents(spool, *file, buffer, |piece| {
                hasher.update(piece);
                Ok(())
            })?;
            What::File {
                executable: file.executable,
                size: file.size,
                sha256: hasher.finish(),
            }
        }
        Node::Symlink(target) => What::Symlink {
            target: target.to_vec(),
        },
    })
}

/// The rest of a directory.
type Rest<'t> = Peekable<Iter<'t, Box<[u8]>, usize>>;

/// The first object in which two trees differ, in the order of a NAR. What stands behind it is not looked at, and in
/// memory is no more than the way to it.
pub fn first_difference<L: Spool, R: Spool>(
    left: &mut Tree<L>,
    right: &mut Tree<R>,
) -> Result<Option<Difference>, TreeError> {
    let (lefts, rights) = (&left.nodes, &right.nodes);
    let mut buffers = (Vec::new(), Vec::new());
    // The names of the open directories but that of the root, and what is left of each.
    let mut way: Vec<&[u8]> = Vec::new();
    let mut open: Vec<(Rest<'_>, Rest<'_>)> = Vec::new();
    if let (Node::Directory(one), Node::Directory(other)) = (&lefts[left.root], &rights[right.root])
    {
        open.push((one.iter().peekable(), other.iter().peekable()));
    }
    while let Some((one, other)) = open.last_mut() {
        let Some((name, one, other)) = next(one, other) else {
            open.pop();
            way.pop();
            continue;
        };
        let pair = one
            .zip(other)
            .map(|(one, other)| (&lefts[one], &rights[other]));
        let is_same = match pair {
            Some((Node::Directory(one), Node::Directory(other))) => {
                way.push(name);
                open.push((one.iter().peekable(), other.iter().peekable()));
                continue;
            }
            Some((Node::File(one), Node::File(other))) => {
                one.executable == other.executable
                    && one.size == other.size
                    && are_same(
                        (&mut left.spool, *one),
                        (&mut right.spool, *other),
                        &mut buffers,
                    )?
            }
            Some((Node::Symlink(one), Node::Symlink(other))) => one == other,
            _ => false,
        };
        if is_same {
            continue;
        }
        way.push(name);
        let buffer = &mut buffers.0;
        let one = one.map(|at| what(&lefts[at], &mut left.spool, buffer));
        let left = one.transpose()?;
        let other = other.map(|at| what(&rights[at], &mut right.spool, buffer));
        let right = other.transpose()?;
        let path = way.join(&b'/');
        return Ok(Some(Difference { path, left, right }));
    }
    Ok(None)
}

/// The next name of two directories, and what each has of it.
fn next<'t>(
    left: &mut Rest<'t>,
    right: &mut Rest<'t>,
) -> Option<(&'t [u8], Option<usize>, Option<usize>)> {
    let order = match (left.peek(), right.peek()) {
        (None, None) => return None,
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (Some((left, _)), Some((right, _))) => left.cmp(right),
    };
    let one = if order.is_le() { left.next() } else { None };
    let other = if order.is_ge() { right.next() } else { None };
    let (name, _) = one.or(other)?;
    Some((name, one.map(|(_, at)| *at), other.map(|(_, at)| *at)))
}

/// Whether two files of the same length have the same contents.
fn are_same<L: Spool, R: Spool>(
    (left, one): (&mut L, File),
    (right, other): (&mut R, File),
    buffers: &mut (Vec<u8>, Vec<u8>),
) -> Result<bool, TreeError> {
    let mut done = 0;
    while done < one.size {
        let piece = (one.size - done).min(PIECE);
        piece_at(left, one.offset + done, piece, &mut buffers.0)?;
        piece_at(right, other.offset + done, piece, &mut buffers.1)?;
        if buffers.0 != buffers.1 {
            return Ok(false);
        }
        done += piece;
    }
    Ok(true)
}

fn piece_at<S: Spool>(
    spool: &mut S,
    offset: u64,
    length: u64,
    buffer: &mut Vec<u8>,
) -> Result<(), TreeError> {
    buffer.resize(usize::try_from(length).unwrap_or(usize::MAX), 0);
    match spool.read_at(offset, buffer) {
        Ok(count) if count == buffer.len() => Ok(()),
        Ok(_) => Err(TreeError::Spool {
            source: io::ErrorKind::UnexpectedEof.into(),
        }),
        Err(source) => Err(TreeError::Spool { source }),
    }
}
