//! What a binary cache says of a store object: `DIGEST.narinfo`.
//!
//! Read as Nix reads it: unknown fields are skipped, of most repeated fields the last counts.
//! Source: `protocols/binary-cache` in the Nix manual, and what Nix writes.
//! Deliberately absent: fetching, decompression, and the decision whom to trust.

use std::fmt::Write as _;

use crate::content_address::{ContentAddress, ContentAddressError};
use crate::hash::{Hash, HashError, Notation};
use crate::nar::NarHash;
use crate::object::ObjectInfo;
use crate::path::{PathError, StoreDir, StorePath};
use crate::quote::Quoted;
use crate::signature::{Signature, SignatureError};

/// What a binary cache says of a store object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NarInfo {
    /// The object itself.
    pub object: ObjectInfo,
    /// Where its NAR is, mostly relative to the cache.
    pub url: String,
    /// How the NAR is compressed: `xz`, `zstd`, `none`; `bzip2` if the cache does not say.
    pub compression: String,
    /// The hash of the compressed NAR.
    pub file_hash: Option<Hash>,
    /// The length of the compressed NAR in bytes.
    pub file_size: Option<u64>,
}

/// How much of a narinfo is read before giving up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NarInfoLimits {
    /// Bytes of the whole text.
    pub bytes: usize,
    /// References.
    pub references: usize,
    /// Signatures: each costs whoever verifies it.
    pub signatures: usize,
}

impl Default for NarInfoLimits {
    /// 16 MiB, 200,000 references, 1,000 signatures.
    fn default() -> Self {
        Self {
            bytes: 16 << 20,
            references: 200_000,
            signatures: 1000,
        }
    }
}

impl NarInfo {
    /// Reads a narinfo of a cache for a store directory.
    pub fn parse(text: &[u8], dir: &StoreDir) -> Result<Self, NarInfoError> {
        Self::parse_with(text, dir, &NarInfoLimits::default())
    }

    /// Reads with limits of the caller's.
    pub fn parse_with(
        text: &[u8],
        dir: &StoreDir,
        limits: &NarInfoLimits,
    ) -> Result<Self, NarInfoError> {
        if text.len() > limits.bytes {
            return Err(NarInfoError::TooLong {
                length: text.len(),
                limit: limits.bytes,
            });
        }
        let text = std::str::from_utf8(text).map_err(|error| NarInfoError::NotUtf8 {
            offset: error.valid_up_to(),
        })?;
        let mut fields = Fields::default();
        let mut rest = text;
        let mut line = 1;
        while !rest.is_empty() {
            let (head, tail) = rest.split_once('\n').ok_or(NarInfoError::Line { line })?;
            let (name, value) = head.split_once(':').ok_or(NarInfoError::Line { line })?;
            let value = match value.strip_prefix(' ') {
                Some(value) => value,
                None if value.is_empty() => "",
                None => return Err(NarInfoError::Line { line }),
            };
            fields.set(name, value, dir, limits, line)?;
            rest = tail;
            line += 1;
        }
        fields.finish()
    }

    /// Writes the text, as Nix would.
    pub fn to_text(&self, dir: &StoreDir) -> String {
        let mut out = String::new();
        let mut field = |name: &str, value: &dyn std::fmt::Display| {
            // Writing to a string cannot fail.
            let _ = writeln!(out, "{name}: {value}");
        };
        let object = &self.object;
        field("StorePath", &dir.show(&object.path));
        field("URL", &self.url);
        field("Compression", &self.compression);
        if let Some(hash) = &self.file_hash {
            field("FileHash", &hash.to_prefixed(Notation::Nix32));
        }
        if let Some(size) = self.file_size {
            field("FileSize", &size);
        }
        field("NarHash", &object.nar_hash);
        field("NarSize", &object.nar_size);
        let references: Vec<String> = object.references.iter().map(ToString::to_string).collect();
        field("References", &references.join(" "));
        if let Some(deriver) = &object.deriver {
            field("Deriver", deriver);
        }
        for signature in &object.signatures {
            field("Sig", signature);
        }
        if let Some(address) = &object.content_address {
            field("CA", address);
        }
        out
    }
}

/// Why a text is not a narinfo.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NarInfoError {
    /// More bytes than [`NarInfoLimits::bytes`].
    #[error("read narinfo: {length} bytes, more than {limit}")]
    TooLong {
        /// The length.
        length: usize,
        /// The limit.
        limit: usize,
    },
    /// More references or signatures than the limits allow.
    #[error("read narinfo: more than {limit} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// Bytes that are not UTF-8.
    #[error("read narinfo: byte {offset} is not UTF-8")]
    NotUtf8 {
        /// Where.
        offset: usize,
    },
    /// Not `NAME: VALUE` and a line end.
    #[error("read narinfo: line {line} is not of the form `NAME: VALUE`")]
    Line {
        /// Which, from 1.
        line: usize,
    },
    /// A number that is none.
    #[error("read narinfo: `{field}` on line {line} is {value}, not a number")]
    Number {
        /// The field.
        field: &'static str,
        /// Its line, from 1.
        line: usize,
        /// Its value.
        value: Quoted,
    },
    /// A store path that is none.
    #[error("read narinfo: invalid `{field}` on line {line}")]
    Path {
        /// The field.
        field: &'static str,
        /// Its line, from 1.
        line: usize,
        /// What is wrong with it.
        #[source]
        source: PathError,
    },
    /// A hash that is none.
    #[error("read narinfo: invalid `{field}` on line {line}")]
    Hash {
        /// The field.
        field: &'static str,
        /// Its line, from 1.
        line: usize,
        /// What is wrong with it.
        #[source]
        source: HashError,
    },
    /// A signature that is none.
    #[error("read narinfo: invalid `Sig` on line {line}")]
    Signature {
        /// Its line, from 1.
        line: usize,
        /// What is wrong with it.
        #[source]
        source: SignatureError,
    },
    /// A content address that is none.
    #[error("read narinfo: invalid `CA` on line {line}")]
    ContentAddress {
        /// Its line, from 1.
        line: usize,
        /// What is wrong with it.
        #[source]
        source: ContentAddressError,
    },
    /// `References` or `CA` are there twice.
    #[error("read narinfo: `{field}` again on line {line}")]
    Repeated {
        /// The field.
        field: &'static str,
        /// Its line, from 1.
        line: usize,
    },
    /// A field that must be there is not, or is empty or zero.
    #[error("read narinfo: `{field}` is missing")]
    Missing {
        /// The field.
        field: &'static str,
    },
}

/// The fields that have been read.
#[derive(Default)]
struct Fields {
    path: Option<StorePath>,
    url: String,
    compression: String,
    file_hash: Option<Hash>,
    file_size: u64,
    nar_hash: Option<NarHash>,
    nar_size: u64,
    references: Vec<StorePath>,
    deriver: Option<StorePath>,
    signatures: Vec<Signature>,
    content_address: Option<ContentAddress>,
}

impl Fields {
    fn set(
        &mut self,
        name: &str,
        value: &str,
        dir: &StoreDir,
        limits: &NarInfoLimits,
        line: usize,
    ) -> Result<(), NarInfoError> {
        let number = |field| {
            parse_number(value).ok_or_else(|| NarInfoError::Number {
                field,
                line,
                value: Quoted::new(value),
            })
        };
        let bad_path = |field| {
            move |source| NarInfoError::Path {
                field,
                line,
                source,
            }
        };
        let bad_hash = |field| {
            move |source| NarInfoError::Hash {
                field,
                line,
                source,
            }
        };
        match name {
            "StorePath" => self.path = Some(dir.parse(value).map_err(bad_path("StorePath"))?),
            "URL" => value.clone_into(&mut self.url),
            "Compression" => value.clone_into(&mut self.compression),
            "FileHash" => self.file_hash = Some(value.parse().map_err(bad_hash("FileHash"))?),
            "FileSize" => self.file_size = number("FileSize")?,
            "NarHash" => self.nar_hash = Some(value.parse().map_err(bad_hash("NarHash"))?),
            "NarSize" => self.nar_size = number("NarSize")?,
            "References" => {
                if !self.references.is_empty() {
                    return Err(NarInfoError::Repeated {
                        field: "References",
                        line,
                    });
                }
                for reference in value.split(' ').filter(|reference| !reference.is_empty()) {
                    if self.references.len() == limits.references {
                        return Err(NarInfoError::TooMany {
                            what: "references",
                            limit: limits.references,
                        });
                    }
                    self.references
                        .push(reference.parse().map_err(bad_path("References"))?);
                }
                self.references.sort_unstable();
                self.references.dedup();
            }
            "Deriver" if value == "unknown-deriver" => {}
            "Deriver" => self.deriver = Some(value.parse().map_err(bad_path("Deriver"))?),
            "Sig" => {
                if self.signatures.len() == limits.signatures {
                    return Err(NarInfoError::TooMany {
                        what: "signatures",
                        limit: limits.signatures,
                    });
                }
                let signature = value
                    .parse()
                    .map_err(|source| NarInfoError::Signature { line, source })?;
                self.signatures.push(signature);
            }
            "CA" if self.content_address.is_some() => {
                return Err(NarInfoError::Repeated { field: "CA", line });
            }
            "CA" if value.is_empty() => {}
            "CA" => {
                let address = value
                    .parse()
                    .map_err(|source| NarInfoError::ContentAddress { line, source })?;
                self.content_address = Some(address);
            }
            _ => {}
        }
        Ok(())
    }

    fn finish(self) -> Result<NarInfo, NarInfoError> {
        let missing = |field| NarInfoError::Missing { field };
        let path = self.path.ok_or(missing("StorePath"))?;
        let nar_hash = self.nar_hash.ok_or(missing("NarHash"))?;
        if self.url.is_empty() {
            return Err(missing("URL"));
        }
        if self.nar_size == 0 {
            return Err(missing("NarSize"));
        }
        Ok(NarInfo {
            object: ObjectInfo {
                path,
                nar_hash,
                nar_size: self.nar_size,
                references: self.references,
                deriver: self.deriver,
                signatures: self.signatures,
                content_address: self.content_address,
            },
            url: self.url,
            compression: if self.compression.is_empty() {
                "bzip2".to_owned()
            } else {
                self.compression
            },
            file_hash: self.file_hash,
            file_size: (self.file_size != 0).then_some(self.file_size),
        })
    }
}

/// Digits only; `parse` alone would take a sign.
fn parse_number(text: &str) -> Option<u64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().ok()
    } else {
        None
    }
}
