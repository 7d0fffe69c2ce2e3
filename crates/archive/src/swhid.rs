//! Software Heritage identifiers of contents and directories.
//!
//! Source: SWHID 1.1 (ISO/IEC 18670), "Core identifiers": those of contents and directories are Git's
//! identifiers of blobs and trees. Empty directories count, which Git itself cannot hold.

use std::fmt;
use std::str::FromStr;

use snowguard_store::{Hash, HashAlgo, Hasher, Quoted};

use crate::error::TreeError;
use crate::spool::Spool;
use crate::tree::{Node, Tree, contents};

/// What an identifier stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SwhidKind {
    /// The bytes of a file: `cnt`.
    Content,
    /// A directory: `dir`.
    Directory,
}

impl SwhidKind {
    /// The word of the identifier.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Content => "cnt",
            Self::Directory => "dir",
        }
    }
}

/// `swh:1:cnt:…` or `swh:1:dir:…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Swhid {
    kind: SwhidKind,
    id: [u8; 20],
}

impl Swhid {
    /// What it stands for.
    pub const fn kind(&self) -> SwhidKind {
        self.kind
    }

    /// Git's identifier.
    pub const fn id(&self) -> [u8; 20] {
        self.id
    }
}

impl fmt::Display for Swhid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "swh:1:{}:", self.kind.as_str())?;
        self.id.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A text that is no identifier of a content or a directory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("read SWHID {0}: expected swh:1:cnt: or swh:1:dir: and 40 hexadecimal digits")]
pub struct SwhidError(Quoted);

impl FromStr for Swhid {
    type Err = SwhidError;

    fn from_str(text: &str) -> Result<Self, SwhidError> {
        let wrong = || SwhidError(Quoted::new(text));
        let rest = text.strip_prefix("swh:1:").ok_or_else(wrong)?;
        let (kind, id) = rest.split_once(':').ok_or_else(wrong)?;
        let kind = match kind {
            "cnt" => SwhidKind::Content,
            "dir" => SwhidKind::Directory,
            _ => return Err(wrong()),
        };
        let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if id.len() != 40 || !id.bytes().all(digit) {
            return Err(wrong());
        }
        let hash = Hash::parse_digest(id, HashAlgo::Sha1).map_err(|_| wrong())?;
        Ok(Self {
            kind,
            id: git_id(&hash),
        })
    }
}

/// Hashes a content whose size is known beforehand.
#[derive(Debug)]
pub struct ContentHasher(Hasher);

impl ContentHasher {
    /// Starts; `None` never, but where SHA-1 cannot be computed.
    pub fn new(size: u64) -> Option<Self> {
        object("blob", size).map(Self)
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Ends. As many bytes as were announced must have come.
    pub fn finish(self) -> Swhid {
        Swhid {
            kind: SwhidKind::Content,
            id: git_id(&self.0.finish()),
        }
    }
}

impl<S: Spool> Tree<S> {
    /// The identifier of the directory.
    pub fn swhid(&mut self) -> Result<Swhid, TreeError> {
        // Parents before children; the other way round every child is known.
        let mut order = vec![self.root];
        let mut seen = 0;
        while let Some(at) = order.get(seen).copied() {
            if let Node::Directory(children) = &self.nodes[at] {
                order.extend(children.values().copied());
            }
            seen += 1;
        }
        let mut ids: Vec<[u8; 20]> = vec![[0; 20]; self.nodes.len()];
        let mut buffer = Vec::new();
        for at in order.into_iter().rev() {
            ids[at] = match &self.nodes[at] {
                Node::File(file) => {
                    let mut hasher = sha1("blob", file.size)?;
                    contents(&mut self.spool, *file, &mut buffer, |piece| {
                        hasher.update(piece);
                        Ok(())
                    })?;
                    git_id(&hasher.finish())
                }
                Node::Symlink(target) => {
                    let mut hasher = sha1("blob", target.len() as u64)?;
                    hasher.update(target);
                    git_id(&hasher.finish())
                }
                Node::Directory(children) => {
                    let mut rows: Vec<(&[u8], usize)> = children
                        .iter()
                        .map(|(name, child)| (&**name, *child))
                        .collect();
                    // Git sorts a directory as if its name ended in a slash.
                    rows.sort_by(|(a, left), (b, right)| {
                        let a = a.iter().chain(self.slash(*left));
                        a.cmp(b.iter().chain(self.slash(*right)))
                    });
                    let mut tree = Vec::new();
                    for (name, child) in rows {
                        tree.extend_from_slice(self.mode(child));
                        tree.push(b' ');
                        tree.extend_from_slice(name);
                        tree.push(0);
                        tree.extend_from_slice(&ids[child]);
                    }
                    let mut hasher = sha1("tree", tree.len() as u64)?;
                    hasher.update(&tree);
                    git_id(&hasher.finish())
                }
            };
        }
        Ok(Swhid {
            kind: SwhidKind::Directory,
            id: ids[self.root],
        })
    }

    fn slash(&self, at: usize) -> &'static [u8] {
        match self.nodes[at] {
            Node::Directory(_) => b"/",
            _ => b"",
        }
    }

    fn mode(&self, at: usize) -> &'static [u8] {
        match &self.nodes[at] {
            Node::Directory(_) => b"40000",
            Node::Symlink(_) => b"120000",
            Node::File(file) if file.executable => b"100755",
            Node::File(_) => b"100644",
        }
    }
}

fn sha1(kind: &str, size: u64) -> Result<Hasher, TreeError> {
    object(kind, size).ok_or(TreeError::Algo(HashAlgo::Sha1))
}

fn object(kind: &str, size: u64) -> Option<Hasher> {
    let mut hasher = Hasher::new(HashAlgo::Sha1)?;
    hasher.update(format!("{kind} {size}\0").as_bytes());
    Some(hasher)
}

fn git_id(hash: &Hash) -> [u8; 20] {
    let mut id = [0; 20];
    id.copy_from_slice(hash.digest());
    id
}
