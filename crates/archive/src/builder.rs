//! Members in, one after the other, as a tool would unpack them; a tree out.
//!
//! What leads out of the tree is refused: `..` in a name, and a way through a symbolic link. A link itself
//! may point anywhere: in a store path it is data, and nothing here follows it.

use std::collections::BTreeMap;
use std::io::{self, Read};

use snowguard_store::Quoted;

use crate::error::ArchiveError;
use crate::limits::{Exceeded, Limits};
use crate::spool::Spool;
use crate::tree::{File, Node, Replaced, Tree};

/// What happens to a member whose name is taken. Directories are joined in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duplicates {
    /// The last one stays, as with tar; only a directory that is not empty gives way to nothing.
    LastWins,
    /// They are an error, as they are where unzip has nobody to ask.
    Refused,
}

/// Makes a tree of members.
///
/// ```
/// use snowguard_archive::{Builder, Duplicates, Limits, Memory};
/// use snowguard_store::HashAlgo;
///
/// let mut builder = Builder::new(Memory::default(), Limits::default(), Duplicates::LastWins);
/// builder.file(b"bin/hello", true, 3, &mut &b"hi\n"[..])?;
/// builder.symlink(b"hello", b"bin/hello")?;
/// let mut tree = builder.finish();
/// assert_eq!(
///     tree.swhid()?.to_string(),
///     "swh:1:dir:60607a847003787bd47e9381fbac937b02e0a3bc"
/// );
/// let hash = tree.nar_hash(HashAlgo::Sha256)?;
/// # assert_eq!(hash.algo(), HashAlgo::Sha256);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Builder<S> {
    nodes: Vec<Node>,
    spool: S,
    limits: Limits,
    duplicates: Duplicates,
    replaced: Replaced,
    entries: u64,
    bytes: u64,
    copies: u64,
    names: u64,
    buffer: Vec<u8>,
}

const ROOT: usize = 0;

impl<S: Spool> Builder<S> {
    /// Starts with an empty directory and an empty spool.
    pub fn new(spool: S, limits: Limits, duplicates: Duplicates) -> Self {
        Self {
            nodes: vec![Node::Directory(BTreeMap::new())],
            spool,
            limits,
            duplicates,
            replaced: Replaced::default(),
            entries: 0,
            bytes: 0,
            copies: 0,
            names: 0,
            buffer: vec![0; 64 << 10],
        }
    }

    /// A directory; those around it need not have come before.
    pub fn directory(&mut self, path: &[u8]) -> Result<(), ArchiveError> {
        self.put(path, Node::Directory(BTreeMap::new()))
    }

    /// A symbolic link.
    pub fn symlink(&mut self, path: &[u8], target: &[u8]) -> Result<(), ArchiveError> {
        if target.is_empty() || target.contains(&0) {
            return Err(ArchiveError::Name {
                path: Quoted::new(path),
                what: "a symbolic link cannot point there",
            });
        }
        if target.len() > self.limits.target_len {
            return Err(Exceeded::Target(self.limits.target_len).into());
        }
        self.name_bytes(target)?;
        self.put(path, Node::Symlink(target.into()))
    }

    /// A copy of a file or a link that came before.
    pub fn hard_link(&mut self, path: &[u8], target: &[u8]) -> Result<(), ArchiveError> {
        let node = match self.find(path, target)? {
            Some(at) => match &self.nodes[at] {
                Node::Directory(_) => None,
                node => Some((at, node.clone())),
            },
            None => None,
        };
        let Some((at, node)) = node else {
            return Err(ArchiveError::HardLink {
                path: Quoted::new(path),
                target: Quoted::new(target),
            });
        };
        if self.find(path, path)? == Some(at) {
            return self.entry();
        }
        match &node {
            Node::Symlink(target) => self.name_bytes(target)?,
            Node::File(file) => self.copy(file.size)?,
            Node::Directory(_) => {}
        }
        self.put(path, node)
    }

    /// A file of a size that is known, whose contents are read from `contents`.
    pub fn file(
        &mut self,
        path: &[u8],
        executable: bool,
        size: u64,
        contents: &mut dyn Read,
    ) -> Result<(), ArchiveError> {
        let offset = self.bytes;
        if size > self.limits.bytes.saturating_sub(offset) {
            return Err(Exceeded::Bytes(self.limits.bytes).into());
        }
        let mut left = size;
        while left > 0 {
            let piece =
                usize::try_from(left).map_or(self.buffer.len(), |left| left.min(self.buffer.len()));
            let count = match contents.read(&mut self.buffer[..piece]) {
                Ok(0) => {
                    return Err(ArchiveError::Short {
                        path: Quoted::new(path),
                        left,
                    });
                }
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => return Err(ArchiveError::Input { source }),
            };
            self.spool
                .append(&self.buffer[..count])
                .map_err(|source| ArchiveError::Spool { source })?;
            self.bytes += count as u64;
            left -= count as u64;
        }
        let file = File {
            executable,
            offset,
            size,
        };
        self.put(path, Node::File(file))
    }

    /// Ends.
    pub fn finish(self) -> Tree<S> {
        Tree {
            nodes: self.nodes,
            root: ROOT,
            spool: self.spool,
            replaced: self.replaced,
        }
    }

    /// Puts an object at its place.
    fn put(&mut self, path: &[u8], node: Node) -> Result<(), ArchiveError> {
        self.entry()?;
        let parts = self.components(path)?;
        let Some((name, way)) = parts.split_last() else {
            return match node {
                Node::Directory(_) => Ok(()),
                _ => Err(ArchiveError::Name {
                    path: Quoted::new(path),
                    what: "this is the root, which is a directory",
                }),
            };
        };
        let parent = self.parent(path, way)?;
        let Some(at) = self.child(parent, name) else {
            return self.add(parent, name, node);
        };
        match (&self.nodes[at], &node) {
            (Node::Directory(_), Node::Directory(_)) => return Ok(()),
            _ if self.duplicates == Duplicates::Refused => {
                return Err(ArchiveError::Duplicate {
                    path: Quoted::new(path),
                });
            }
            (Node::Directory(children), _) if !children.is_empty() => {
                return Err(ArchiveError::Occupied {
                    path: Quoted::new(path),
                });
            }
            _ => {}
        }
        self.replaced.note(path);
        self.nodes[at] = node;
        Ok(())
    }

    /// The directory that a way leads to; what of it is missing is made.
    fn parent(&mut self, path: &[u8], way: &[&[u8]]) -> Result<usize, ArchiveError> {
        let mut at = ROOT;
        for name in way {
            at = match self.child(at, name) {
                None => {
                    self.entry()?;
                    self.add(at, name, Node::Directory(BTreeMap::new()))?;
                    self.nodes.len() - 1
                }
                Some(child) => child,
            };
            self.check_way(path, name, at)?;
        }
        Ok(at)
    }

    /// What is at the target of the hard link `path`, if there is something.
    fn find(&self, path: &[u8], target: &[u8]) -> Result<Option<usize>, ArchiveError> {
        let parts = self.components(target)?;
        let mut at = ROOT;
        for (index, name) in parts.iter().enumerate() {
            match self.child(at, name) {
                None => return Ok(None),
                Some(child) => at = child,
            }
            if index + 1 < parts.len() {
                self.check_way(path, name, at)?;
            }
        }
        Ok(Some(at))
    }

    fn check_way(&self, path: &[u8], name: &[u8], at: usize) -> Result<(), ArchiveError> {
        let (path, name) = (Quoted::new(path), Quoted::new(name));
        match &self.nodes[at] {
            Node::Directory(_) => Ok(()),
            Node::Symlink(_) => Err(ArchiveError::ThroughSymlink { path, link: name }),
            Node::File(_) => Err(ArchiveError::ThroughFile { path, file: name }),
        }
    }

    fn child(&self, at: usize, name: &[u8]) -> Option<usize> {
        match &self.nodes[at] {
            Node::Directory(children) => children.get(name).copied(),
            _ => None,
        }
    }

    fn add(&mut self, parent: usize, name: &[u8], node: Node) -> Result<(), ArchiveError> {
        self.name_bytes(name)?;
        let at = self.nodes.len();
        self.nodes.push(node);
        if let Node::Directory(children) = &mut self.nodes[parent] {
            children.insert(name.into(), at);
        }
        Ok(())
    }

    fn entry(&mut self) -> Result<(), ArchiveError> {
        self.entries += 1;
        if self.entries > self.limits.entries {
            return Err(Exceeded::Entries(self.limits.entries).into());
        }
        Ok(())
    }

    fn copy(&mut self, bytes: u64) -> Result<(), ArchiveError> {
        self.copies = self.copies.saturating_add(bytes);
        if self.copies > self.limits.copies {
            return Err(Exceeded::Copies(self.limits.copies).into());
        }
        Ok(())
    }

    fn name_bytes(&mut self, name: &[u8]) -> Result<(), ArchiveError> {
        self.names += name.len() as u64;
        if self.names > self.limits.names {
            return Err(Exceeded::Names(self.limits.names).into());
        }
        Ok(())
    }

    /// The names on a way. Slashes at the beginning are dropped, as tar drops them.
    fn components<'a>(&self, path: &'a [u8]) -> Result<Vec<&'a [u8]>, ArchiveError> {
        let wrong = |what| ArchiveError::Name {
            path: Quoted::new(path),
            what,
        };
        let mut parts = Vec::new();
        for part in path.split(|byte| *byte == b'/') {
            match part {
                b"" | b"." => continue,
                b".." => return Err(wrong("its name leads out of the directory")),
                _ => {}
            }
            if part.contains(&0) {
                return Err(wrong("its name has a zero byte"));
            }
            if part.len() > self.limits.name_len {
                return Err(Exceeded::Name(self.limits.name_len).into());
            }
            if parts.len() + 1 >= self.limits.depth {
                return Err(Exceeded::Depth(self.limits.depth).into());
            }
            parts.push(part);
        }
        Ok(parts)
    }
}
