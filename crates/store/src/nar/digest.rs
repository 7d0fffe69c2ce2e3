//! What identifies a NAR: its SHA-256 and its length.

use std::fmt;
use std::io;
use std::str::FromStr;

use crate::hash::{Hash, HashAlgo, HashError, Hasher, Notation};
use crate::quote::Quoted;
use crate::serde_text::through_text;

/// The SHA-256 of a NAR; databases and caches know every store object by it.
///
/// `Display` and serde say `sha256:DIGEST` in nix32, as narinfo does; any notation is read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NarHash([u8; 32]);

impl NarHash {
    /// Takes the digest.
    pub const fn new(sha256: [u8; 32]) -> Self {
        Self(sha256)
    }

    /// The digest.
    pub const fn digest(&self) -> [u8; 32] {
        self.0
    }

    /// As a hash among others.
    pub fn to_hash(self) -> Hash {
        Hash::sha256(self.0)
    }
}

impl TryFrom<Hash> for NarHash {
    type Error = HashError;

    fn try_from(hash: Hash) -> Result<Self, HashError> {
        match (hash.algo(), hash.digest().try_into()) {
            (HashAlgo::Sha256, Ok(digest)) => Ok(Self(digest)),
            _ => Err(HashError::OtherAlgo {
                hash: Quoted::new(hash.to_string()),
                wanted: HashAlgo::Sha256,
            }),
        }
    }
}

impl From<NarHash> for Hash {
    fn from(hash: NarHash) -> Self {
        hash.to_hash()
    }
}

impl fmt::Display for NarHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hash().to_prefixed(Notation::Nix32))
    }
}

impl fmt::Debug for NarHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for NarHash {
    type Err = HashError;

    fn from_str(text: &str) -> Result<Self, HashError> {
        text.parse::<Hash>()?.try_into()
    }
}

through_text!(NarHash);

/// Hash and length of a NAR.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NarDigest {
    /// The SHA-256.
    pub hash: NarHash,
    /// The length in bytes.
    pub size: u64,
}

/// Takes the bytes of a NAR, to tell its [`NarDigest`].
#[derive(Debug, Clone)]
pub struct NarHasher {
    hasher: Hasher,
    size: u64,
}

impl NarHasher {
    /// Starts.
    pub fn new() -> Self {
        Self {
            hasher: Hasher::sha256(),
            size: 0,
        }
    }

    /// Ends.
    pub fn finish(self) -> NarDigest {
        let mut digest = [0; 32];
        digest.copy_from_slice(self.hasher.finish().digest());
        NarDigest {
            hash: NarHash(digest),
            size: self.size,
        }
    }
}

impl Default for NarHasher {
    fn default() -> Self {
        Self::new()
    }
}

impl io::Write for NarHasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hasher.update(bytes);
        self.size = self.size.saturating_add(bytes.len() as u64);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
