//! What is in a tree, so that two can be compared.

use std::cmp::Ordering;
use std::fmt;

use snowguard_store::{Hash, Hasher, Notation, Quoted};

use crate::error::TreeError;
use crate::spool::Spool;
use crate::tree::{Node, Tree, contents};

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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Difference<'a> {
    /// The way to it.
    pub path: &'a [u8],
    /// What the one has there.
    pub left: Option<&'a What>,
    /// What the other has there.
    pub right: Option<&'a What>,
}

impl<S: Spool> Tree<S> {
    /// Everything below the root, in the order of a NAR.
    pub fn members(&mut self) -> Result<Vec<Member>, TreeError> {
        let mut members = Vec::new();
        let mut buffer = Vec::new();
        let mut todo: Vec<(Vec<u8>, usize)> = vec![(Vec::new(), self.root)];
        while let Some((path, at)) = todo.pop() {
            let what = match &self.nodes[at] {
                Node::Directory(children) => {
                    // The first is to be taken first.
                    for (name, child) in children.iter().rev() {
                        let mut path = path.clone();
                        if !path.is_empty() {
                            path.push(b'/');
                        }
                        path.extend_from_slice(name);
                        todo.push((path, *child));
                    }
                    What::Directory
                }
                Node::File(file) => {
                    let mut hasher = Hasher::sha256();
                    contents(&mut self.spool, *file, &mut buffer, |piece| {
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
            };
            if !path.is_empty() {
                members.push(Member { path, what });
            }
        }
        Ok(members)
    }
}

/// The first object in which two lists of [`Tree::members`] differ.
pub fn first_difference<'a>(left: &'a [Member], right: &'a [Member]) -> Option<Difference<'a>> {
    let (mut lefts, mut rights) = (left.iter().peekable(), right.iter().peekable());
    loop {
        let (path, left, right) = match (lefts.peek(), rights.peek()) {
            (None, None) => return None,
            (Some(left), None) => (&left.path, Some(&left.what), None),
            (None, Some(right)) => (&right.path, None, Some(&right.what)),
            (Some(left), Some(right)) => match order(&left.path, &right.path) {
                Ordering::Less => (&left.path, Some(&left.what), None),
                Ordering::Greater => (&right.path, None, Some(&right.what)),
                Ordering::Equal if left.what != right.what => {
                    (&left.path, Some(&left.what), Some(&right.what))
                }
                Ordering::Equal => {
                    lefts.next();
                    rights.next();
                    continue;
                }
            },
        };
        return Some(Difference { path, left, right });
    }
}

/// The order of a NAR: name by name.
fn order(a: &[u8], b: &[u8]) -> Ordering {
    a.split(|byte| *byte == b'/')
        .cmp(b.split(|byte| *byte == b'/'))
}
