//! Store paths computed from what is stored.
//!
//! Every store path is a digest over a type, an inner hash, the store directory and the name. The type
//! holds the references, which is why they are part of the address.
//! Source: `protocols/store-path.md` in the Nix manual.
//! Deliberately absent: hashing the content itself (`hash`, `nar`) and derivations (`derivation::modulo`).

use std::fmt::Write as _;

use crate::content_address::{ContentAddress, ContentAddressMethod};
use crate::hash::{Hash, HashAlgo, Notation, hex, sha256};
use crate::path::{NameError, OutputName, StoreDir, StoreName, StorePath};

/// The store objects that a content-addressed one refers to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct References<'a> {
    /// Other objects; in any order, without repetition.
    pub others: &'a [StorePath],
    /// Whether it refers to itself.
    pub itself: bool,
}

impl References<'_> {
    /// None.
    pub const NONE: References<'static> = References {
        others: &[],
        itself: false,
    };

    fn is_empty(&self) -> bool {
        self.others.is_empty() && !self.itself
    }
}

impl StoreDir {
    /// The path of an object with a content address.
    pub fn content_path(
        &self,
        name: &StoreName,
        address: &ContentAddress,
        references: References<'_>,
    ) -> Result<StorePath, ComputeError> {
        use ContentAddressMethod::{Flat, Git, Nar, Text};
        let ContentAddress { method, hash } = address;
        let inner = hash.to_prefixed(Notation::Hex);
        match (method, hash.algo()) {
            (Text, HashAlgo::Sha256) if references.itself => {
                Err(ComputeError::TextSelfReference { name: name.clone() })
            }
            (Text, HashAlgo::Sha256) => {
                Ok(self.make_path(&self.path_type("text", references), &inner, name))
            }
            (Nar, HashAlgo::Sha256) => {
                Ok(self.make_path(&self.path_type("source", references), &inner, name))
            }
            (Text, algo) | (Git, algo @ (HashAlgo::Md5 | HashAlgo::Sha512 | HashAlgo::Blake3)) => {
                Err(ComputeError::Algo {
                    name: name.clone(),
                    method: *method,
                    algo,
                })
            }
            (Flat | Nar | Git, _) if !references.is_empty() => {
                Err(ComputeError::References { name: name.clone() })
            }
            (Flat | Nar | Git, _) => {
                let digest = sha256(format!("fixed:out:{}{inner}:", method.prefix()).as_bytes());
                Ok(self.make_path("output:out", &format!("sha256:{}", hex(&digest)), name))
            }
        }
    }

    /// The path of a text file, as `builtins.toFile` and derivations are stored.
    pub fn text_path(&self, name: &StoreName, text: &[u8], references: &[StorePath]) -> StorePath {
        let kind = self.path_type(
            "text",
            References {
                others: references,
                itself: false,
            },
        );
        self.make_path(&kind, &format!("sha256:{}", hex(&sha256(text))), name)
    }

    /// The path of a source: any file system object by the SHA-256 of its NAR, as `builtins.path` adds it.
    pub fn source_path(&self, name: &StoreName, nar_sha256: [u8; 32]) -> StorePath {
        let inner = Hash::sha256(nar_sha256).to_prefixed(Notation::Hex);
        self.make_path("source", &inner, name)
    }

    /// The path of an input-addressed output, from the hash modulo of its derivation.
    pub fn output_path(
        &self,
        drv_name: &str,
        output: &OutputName,
        hash_modulo: [u8; 32],
    ) -> Result<StorePath, NameError> {
        let name = output.path_name(drv_name)?;
        Ok(self.make_path(
            &format!("output:{output}"),
            &format!("sha256:{}", hex(&hash_modulo)),
            &name,
        ))
    }

    /// `TYPE:REFERENCE:...[:self]`.
    fn path_type(&self, kind: &str, references: References<'_>) -> String {
        let mut sorted: Vec<&StorePath> = references.others.iter().collect();
        sorted.sort_unstable();
        sorted.dedup();
        let mut out = kind.to_owned();
        for path in sorted {
            // Writing to a string cannot fail.
            let _ = write!(out, ":{}", self.show(path));
        }
        if references.itself {
            out.push_str(":self");
        }
        out
    }

    fn make_path(&self, kind: &str, inner: &str, name: &StoreName) -> StorePath {
        let whole = sha256(format!("{kind}:{inner}:{self}:{name}").as_bytes());
        let mut digest = [0; StorePath::DIGEST_LEN];
        for (index, byte) in whole.into_iter().enumerate() {
            digest[index % StorePath::DIGEST_LEN] ^= byte;
        }
        StorePath::new(digest, name.clone())
    }
}

/// Why nothing can have such an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ComputeError {
    /// `text` goes with SHA-256 only, `git` with SHA-1 and SHA-256.
    #[error("compute store path of `{name}`: method `{method}` does not go with `{algo}`")]
    Algo {
        /// The name of the object.
        name: StoreName,
        /// The method.
        method: ContentAddressMethod,
        /// The algorithm.
        algo: HashAlgo,
    },
    /// Only `text` and `nar` with SHA-256 have room for references.
    #[error("compute store path of `{name}`: this content address allows no references")]
    References {
        /// The name of the object.
        name: StoreName,
    },
    /// A text cannot hold its own hash.
    #[error("compute store path of `{name}`: a text cannot refer to itself")]
    TextSelfReference {
        /// The name of the object.
        name: StoreName,
    },
    /// The name of the derivation and the output make no valid name.
    #[error("compute store path of output `{output}`: invalid name")]
    Name {
        /// The output.
        output: OutputName,
        /// What is wrong with it.
        #[source]
        source: NameError,
    },
}
