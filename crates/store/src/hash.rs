//! Hashes in every notation that Nix reads or prints.
//!
//! Source: `Hash` in the Nix manual ("hash", JSON schema `hash-v1`) and the reader behind
//! `builtins.convertHash`.
//! Deliberately absent: computing BLAKE3. Nix has it as an experiment, no derivation of Nixpkgs uses it,
//! and hashing it would bring in a large dependency; such hashes are read, compared and printed.

use std::fmt;
use std::io;
use std::str::FromStr;

use sha2::Digest as _;

use crate::base64;
use crate::nix32;
use crate::quote::Quoted;

/// The hash algorithms that Nix knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HashAlgo {
    /// MD5, 16 bytes; broken, still allowed for fixed outputs.
    Md5,
    /// SHA-1, 20 bytes; broken, still allowed for fixed outputs and used by Git.
    Sha1,
    /// SHA-256, 32 bytes.
    Sha256,
    /// SHA-512, 64 bytes.
    Sha512,
    /// BLAKE3, 32 bytes; behind the experimental feature `blake3-hashes`.
    Blake3,
}

impl HashAlgo {
    /// Every algorithm.
    pub const ALL: [Self; 5] = [
        Self::Md5,
        Self::Sha1,
        Self::Sha256,
        Self::Sha512,
        Self::Blake3,
    ];

    /// The name that Nix uses: `md5`, `sha1`, `sha256`, `sha512` or `blake3`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
            Self::Blake3 => "blake3",
        }
    }

    /// The length of a digest in bytes.
    pub const fn digest_len(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 | Self::Blake3 => 32,
            Self::Sha512 => 64,
        }
    }
}

impl fmt::Display for HashAlgo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for HashAlgo {
    type Err = HashError;

    fn from_str(text: &str) -> Result<Self, HashError> {
        Self::ALL
            .into_iter()
            .find(|algo| algo.as_str() == text)
            .ok_or_else(|| HashError::UnknownAlgo {
                algo: Quoted::new(text),
            })
    }
}

crate::serde_text::through_text!(HashAlgo);

/// How a digest is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Notation {
    /// Lower-case hexadecimal; Nix calls it `base16`.
    Hex,
    /// [`nix32`], formerly called `base32`.
    Nix32,
    /// Base64 with padding.
    Base64,
    /// `ALGORITHM-BASE64`, as in Subresource Integrity.
    Sri,
}

/// A digest and the algorithm that made it.
///
/// `Display` and serde use SRI; `FromStr` reads SRI and `ALGORITHM:DIGEST` in any notation.
/// The order is that of Nix: by length, then digest, then algorithm.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash {
    algo: HashAlgo,
    // Digests shorter than this are filled up with zeros.
    bytes: [u8; 64],
}

impl Hash {
    /// Takes a digest of the length that belongs to the algorithm.
    pub fn new(algo: HashAlgo, digest: &[u8]) -> Result<Self, HashError> {
        if digest.len() != algo.digest_len() {
            return Err(HashError::DigestLength {
                algo,
                length: digest.len(),
            });
        }
        let mut bytes = [0; 64];
        bytes[..digest.len()].copy_from_slice(digest);
        Ok(Self { algo, bytes })
    }

    /// Takes a SHA-256 digest.
    pub fn sha256(digest: [u8; 32]) -> Self {
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&digest);
        Self {
            algo: HashAlgo::Sha256,
            bytes,
        }
    }

    /// Hashes bytes; `None` for BLAKE3, which this crate cannot compute.
    pub fn of(algo: HashAlgo, bytes: &[u8]) -> Option<Self> {
        let mut hasher = Hasher::new(algo)?;
        hasher.update(bytes);
        Some(hasher.finish())
    }

    /// The algorithm.
    pub const fn algo(&self) -> HashAlgo {
        self.algo
    }

    /// The digest, as long as the algorithm says.
    pub fn digest(&self) -> &[u8] {
        &self.bytes[..self.algo.digest_len()]
    }

    /// The digest in a notation; only SRI names the algorithm.
    pub fn to_notation(&self, notation: Notation) -> String {
        match notation {
            Notation::Hex => hex(self.digest()),
            Notation::Nix32 => nix32::encode(self.digest()),
            Notation::Base64 => base64::encode(self.digest()),
            Notation::Sri => format!("{}-{}", self.algo, base64::encode(self.digest())),
        }
    }

    /// The digest in a notation after the name of the algorithm: `sha256:DIGEST`, or SRI.
    pub fn to_prefixed(&self, notation: Notation) -> String {
        match notation {
            Notation::Sri => self.to_notation(Notation::Sri),
            _ => format!("{}:{}", self.algo, self.to_notation(notation)),
        }
    }

    /// Reads any notation: SRI, `ALGORITHM:DIGEST`, or a bare digest whose algorithm the context knows.
    ///
    /// Which of hex, nix32 and base64 a digest is in is told by its length, as Nix does. An algorithm that
    /// is named twice must be named alike.
    pub fn parse(text: &str, algo: Option<HashAlgo>) -> Result<Self, HashError> {
        let (named, digest, sri) = if let Some((named, digest)) = text.split_once(':') {
            (Some(named), digest, false)
        } else if let Some((named, digest)) = text.split_once('-') {
            (Some(named), digest, true)
        } else {
            (None, text, false)
        };
        let named: Option<HashAlgo> = named.map(str::parse).transpose()?;
        let algo = match (named, algo) {
            (Some(named), Some(wanted)) if named != wanted => {
                return Err(HashError::OtherAlgo {
                    hash: Quoted::new(text),
                    wanted,
                });
            }
            (Some(algo), _) | (None, Some(algo)) => algo,
            (None, None) => {
                return Err(HashError::NoAlgo {
                    hash: Quoted::new(text),
                });
            }
        };
        if sri {
            Self::parse_base64(algo, digest)
        } else {
            Self::parse_digest(digest, algo)
        }
    }

    /// Reads a bare digest: hex, nix32 or base64, told apart by length.
    pub fn parse_digest(text: &str, algo: HashAlgo) -> Result<Self, HashError> {
        let length = algo.digest_len();
        if text.len() == length * 2 {
            let mut bytes = [0; 64];
            unhex(text.as_bytes(), &mut bytes[..length]).ok_or_else(|| HashError::Digest {
                hash: Quoted::new(text),
                notation: "hexadecimal",
            })?;
            Ok(Self { algo, bytes })
        } else if text.len() == nix32::encoded_len(length) {
            let mut bytes = [0; 64];
            nix32::decode_into(text.as_bytes(), &mut bytes[..length]).map_err(|source| {
                HashError::Nix32 {
                    hash: Quoted::new(text),
                    source,
                }
            })?;
            Ok(Self { algo, bytes })
        } else if text.len() == base64::encoded_len(length) {
            Self::parse_base64(algo, text)
        } else {
            Err(HashError::TextLength {
                hash: Quoted::new(text),
                algo,
            })
        }
    }

    /// Reads SRI only: `ALGORITHM-BASE64`.
    pub fn parse_sri(text: &str) -> Result<Self, HashError> {
        let (algo, digest) = text.split_once('-').ok_or_else(|| HashError::NotSri {
            hash: Quoted::new(text),
        })?;
        Self::parse_base64(algo.parse()?, digest)
    }

    /// Reads the attributes `outputHash` and `outputHashAlgo` of a fixed-output derivation.
    ///
    /// The algorithm may be empty or unknown when the hash names its own. An empty hash stands for an
    /// all-zero one, which nobody can build: people use it to be told the right one.
    pub fn parse_output_hash(hash: &str, algo: &str) -> Result<Self, HashError> {
        let algo: Option<HashAlgo> = algo.parse().ok();
        if hash.is_empty() {
            let algo = algo.ok_or_else(|| HashError::NoAlgo {
                hash: Quoted::new(hash),
            })?;
            return Ok(Self {
                algo,
                bytes: [0; 64],
            });
        }
        Self::parse(hash, algo)
    }

    fn parse_base64(algo: HashAlgo, text: &str) -> Result<Self, HashError> {
        let wrong = || HashError::Digest {
            hash: Quoted::new(text),
            notation: "base64",
        };
        let digest = base64::decode(text.as_bytes()).map_err(|_| wrong())?;
        Self::new(algo, &digest).map_err(|_| wrong())
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_notation(Notation::Sri))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Hash {
    type Err = HashError;

    fn from_str(text: &str) -> Result<Self, HashError> {
        Self::parse(text, None)
    }
}

impl Ord for Hash {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.algo
            .digest_len()
            .cmp(&other.algo.digest_len())
            .then_with(|| self.digest().cmp(other.digest()))
            .then_with(|| self.algo.cmp(&other.algo))
    }
}

impl PartialOrd for Hash {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

crate::serde_text::through_text!(Hash);

/// Hashes bytes as they come; also a [`io::Write`] that cannot fail.
#[derive(Clone)]
pub struct Hasher(State);

#[derive(Clone)]
enum State {
    Md5(md5::Md5),
    Sha1(sha1::Sha1),
    Sha256(sha2::Sha256),
    Sha512(sha2::Sha512),
}

impl Hasher {
    /// Starts; `None` for BLAKE3, which this crate cannot compute.
    pub fn new(algo: HashAlgo) -> Option<Self> {
        Some(Self(match algo {
            HashAlgo::Md5 => State::Md5(md5::Md5::new()),
            HashAlgo::Sha1 => State::Sha1(sha1::Sha1::new()),
            HashAlgo::Sha256 => State::Sha256(sha2::Sha256::new()),
            HashAlgo::Sha512 => State::Sha512(sha2::Sha512::new()),
            HashAlgo::Blake3 => return None,
        }))
    }

    /// Starts a SHA-256.
    pub fn sha256() -> Self {
        Self(State::Sha256(sha2::Sha256::new()))
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Md5(state) => state.update(bytes),
            State::Sha1(state) => state.update(bytes),
            State::Sha256(state) => state.update(bytes),
            State::Sha512(state) => state.update(bytes),
        }
    }

    /// Ends.
    pub fn finish(self) -> Hash {
        let mut bytes = [0; 64];
        let (algo, digest): (_, &[u8]) = match self.0 {
            State::Md5(state) => (HashAlgo::Md5, &state.finalize()),
            State::Sha1(state) => (HashAlgo::Sha1, &state.finalize()),
            State::Sha256(state) => (HashAlgo::Sha256, &state.finalize()),
            State::Sha512(state) => (HashAlgo::Sha512, &state.finalize()),
        };
        bytes[..digest.len()].copy_from_slice(digest);
        Hash { algo, bytes }
    }
}

impl io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hasher")
    }
}

/// Why something is not a hash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HashError {
    /// The algorithm is none of [`HashAlgo`].
    #[error(
        "read hash: unknown algorithm {algo}, expected `md5`, `sha1`, `sha256`, `sha512` or `blake3`"
    )]
    UnknownAlgo {
        /// What stood in its place.
        algo: Quoted,
    },
    /// Neither the text nor the context names the algorithm.
    #[error("read hash {hash}: it does not name its algorithm")]
    NoAlgo {
        /// The text.
        hash: Quoted,
    },
    /// The text names another algorithm than the context.
    #[error("read hash {hash}: expected one of algorithm `{wanted}`")]
    OtherAlgo {
        /// The text.
        hash: Quoted,
        /// What the context asks for.
        wanted: HashAlgo,
    },
    /// The text is as long as no notation of this algorithm.
    #[error("read hash {hash}: wrong length for algorithm `{algo}`")]
    TextLength {
        /// The text.
        hash: Quoted,
        /// The algorithm.
        algo: HashAlgo,
    },
    /// The bytes are not as many as the algorithm's digest has.
    #[error("make a `{algo}` hash: a digest of {length} bytes, expected {}", algo.digest_len())]
    DigestLength {
        /// The algorithm.
        algo: HashAlgo,
        /// How many bytes there are.
        length: usize,
    },
    /// The text has a character of no digit, or ends too early or too late.
    #[error("read hash {hash}: invalid {notation}")]
    Digest {
        /// The text.
        hash: Quoted,
        /// What its length said it would be.
        notation: &'static str,
    },
    /// The text is as long as nix32 but is not.
    #[error("read hash {hash}: invalid nix32")]
    Nix32 {
        /// The text.
        hash: Quoted,
        /// What is wrong with it.
        #[source]
        source: nix32::Nix32Error,
    },
    /// SRI was asked for and this is something else.
    #[error("read hash {hash}: it is not of the form `ALGORITHM-BASE64`")]
    NotSri {
        /// The text.
        hash: Quoted,
    },
}

/// The SHA-256 of bytes.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    sha2::Sha256::digest(bytes).into()
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        push_hex(&mut out, *byte);
    }
    out
}

/// Appends one byte in hexadecimal.
pub(crate) fn push_hex(out: &mut String, byte: u8) {
    for digit in [byte >> 4, byte & 15] {
        out.push(char::from(b"0123456789abcdef"[usize::from(digit)]));
    }
}

/// Reads hexadecimal of either case into as many bytes as `out` has; the text must be twice as long.
fn unhex(text: &[u8], out: &mut [u8]) -> Option<()> {
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    };
    for (pair, byte) in text.chunks_exact(2).zip(out) {
        *byte = (value(pair[0])? << 4) | value(pair[1])?;
    }
    Some(())
}
