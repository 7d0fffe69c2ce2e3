//! Content addresses: how the content of a store object was hashed, and to what.
//!
//! Two text forms exist. Databases, narinfo and `nix path-info` say `text:ALGO:DIGEST`, `fixed:ALGO:DIGEST`,
//! `fixed:r:...` and `fixed:git:...`; derivations say the same in two fields, `r:sha256` and a hex digest.
//! Source: "Content-Addressing Store Objects" in the Nix manual.

use std::fmt;
use std::str::FromStr;

use crate::hash::{Hash, HashAlgo, HashError, Notation};
use crate::quote::Quoted;
use crate::serde_text::through_text;

/// What is hashed of a file system object.
///
/// `Display`, `FromStr` and serde use the words of current Nix: `text`, `flat`, `nar`, `git`.
/// `recursive`, the older word for `nar`, is read as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ContentAddressMethod {
    /// The bytes of one file that is not executable.
    Flat,
    /// Its NAR, for any file system object; alone in allowing references.
    Nar,
    /// Git's blob or tree object; behind the experimental feature `git-hashing`.
    Git,
    /// The bytes of one text file, with references to what it names; derivations are stored so.
    Text,
}

impl ContentAddressMethod {
    /// The word of current Nix, as in `outputHashMode` and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Flat => "flat",
            Self::Nar => "nar",
            Self::Git => "git",
            Self::Text => "text",
        }
    }

    /// What stands before the algorithm in a derivation: nothing, `r:`, `git:` or `text:`.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Flat => "",
            Self::Nar => "r:",
            Self::Git => "git:",
            Self::Text => "text:",
        }
    }

    /// Splits `r:sha256` and the like, as the outputs of derivations have it.
    pub fn parse_with_algo(text: &str) -> Result<(Self, HashAlgo), ContentAddressError> {
        let (method, algo) = [Self::Nar, Self::Git, Self::Text]
            .into_iter()
            .find_map(|method| Some((method, text.strip_prefix(method.prefix())?)))
            .unwrap_or((Self::Flat, text));
        let algo = algo.parse().map_err(|source| ContentAddressError::Hash {
            text: Quoted::new(text),
            source,
        })?;
        Ok((method, algo))
    }

    /// The inverse of [`Self::parse_with_algo`].
    pub fn with_algo(self, algo: HashAlgo) -> String {
        format!("{}{algo}", self.prefix())
    }
}

impl fmt::Display for ContentAddressMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ContentAddressMethod {
    type Err = ContentAddressError;

    fn from_str(text: &str) -> Result<Self, ContentAddressError> {
        match text {
            "flat" => Ok(Self::Flat),
            "nar" | "recursive" => Ok(Self::Nar),
            "git" => Ok(Self::Git),
            "text" => Ok(Self::Text),
            _ => Err(ContentAddressError::Method {
                method: Quoted::new(text),
            }),
        }
    }
}

through_text!(ContentAddressMethod);

/// A method and the hash that it gave.
///
/// `Display`, `FromStr` and serde use the form of databases and narinfo, with the digest in nix32; digests
/// are read in any notation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentAddress {
    /// What was hashed.
    pub method: ContentAddressMethod,
    /// What came out.
    pub hash: Hash,
}

impl ContentAddress {
    /// Puts both together.
    pub const fn new(method: ContentAddressMethod, hash: Hash) -> Self {
        Self { method, hash }
    }
}

impl fmt::Display for ContentAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fixed = if self.method == ContentAddressMethod::Text {
            ""
        } else {
            "fixed:"
        };
        write!(
            f,
            "{fixed}{}{}",
            self.method.prefix(),
            self.hash.to_prefixed(Notation::Nix32)
        )
    }
}

impl fmt::Debug for ContentAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ContentAddress {
    type Err = ContentAddressError;

    fn from_str(text: &str) -> Result<Self, ContentAddressError> {
        let hash_error = |source| ContentAddressError::Hash {
            text: Quoted::new(text),
            source,
        };
        let (method, rest) = if let Some(rest) = text.strip_prefix("text:") {
            (ContentAddressMethod::Text, rest)
        } else if let Some(rest) = text.strip_prefix("fixed:") {
            [ContentAddressMethod::Nar, ContentAddressMethod::Git]
                .into_iter()
                .find_map(|method| Some((method, rest.strip_prefix(method.prefix())?)))
                .unwrap_or((ContentAddressMethod::Flat, rest))
        } else {
            return Err(ContentAddressError::Form {
                text: Quoted::new(text),
            });
        };
        let (algo, digest) = rest
            .split_once(':')
            .ok_or_else(|| ContentAddressError::Form {
                text: Quoted::new(text),
            })?;
        let algo = algo.parse().map_err(hash_error)?;
        Ok(Self {
            method,
            hash: Hash::parse_digest(digest, algo).map_err(hash_error)?,
        })
    }
}

through_text!(ContentAddress);

/// Why a text is not a content address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ContentAddressError {
    /// Not `text:ALGO:DIGEST` or `fixed:[r:|git:]ALGO:DIGEST`.
    #[error(
        "read content address {text}: expected `text:ALGO:DIGEST` or `fixed:[r:|git:]ALGO:DIGEST`"
    )]
    Form {
        /// The text.
        text: Quoted,
    },
    /// The algorithm or the digest is wrong.
    #[error("read content address {text}: invalid hash")]
    Hash {
        /// The text.
        text: Quoted,
        /// What is wrong with it.
        #[source]
        source: HashError,
    },
    /// None of the known methods.
    #[error("read content address method {method}: expected `flat`, `nar`, `git` or `text`")]
    Method {
        /// The text.
        method: Quoted,
    },
}
