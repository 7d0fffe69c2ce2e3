//! What `nix path-info --json` prints of store objects.
//!
//! Every form is read, told apart by what is there: the array of Nix before 2.19, the object by path since
//! then, and versions 1 to 3 of that, which differ in whether paths have their directory, and in how content
//! addresses and signatures are written.
//! Source: the JSON schema `store-object-info` of the Nix manual, and what versions of Nix print.
//! Deliberately absent: what only some stores know (where a NAR is to be had; see `narinfo`).

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::content_address::{ContentAddress, ContentAddressError, ContentAddressMethod};
use crate::hash::{Hash, HashError};
use crate::nar::NarHash;
use crate::object::ObjectInfo;
use crate::path::{PathError, StoreDir, StorePath};
use crate::quote::Quoted;
use crate::serde_text::Str;
use crate::signature::{Signature, SignatureError};

/// What a store says of one of its objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathInfo {
    /// The object itself.
    pub object: ObjectInfo,
    /// When it was added to the store, in seconds since 1970.
    pub registration_time: Option<u64>,
    /// Whether the store has built it itself.
    pub ultimate: bool,
}

/// The store objects of one JSON document, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathInfoSet {
    /// The store directory: as the caller gave it, else as the document says, else `/nix/store`.
    pub dir: StoreDir,
    /// Those that the store has.
    pub objects: Vec<PathInfo>,
    /// Those that it was asked for and does not have.
    pub missing: Vec<StorePath>,
}

impl PathInfoSet {
    /// Reads what `nix path-info --json` prints, in any form. Fields that are not known are skipped.
    ///
    /// A `dir` that is given must be that of every whole path.
    pub fn from_json(json: &[u8], dir: Option<&StoreDir>) -> Result<Self, PathInfoError> {
        let mut document = Document {
            dir: dir.cloned(),
            objects: Vec::new(),
            missing: Vec::new(),
            problem: None,
        };
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        let read = deserializer
            .deserialize_any(DocumentVisitor {
                document: &mut document,
            })
            .and_then(|()| deserializer.end());
        match (read, document.problem.take()) {
            (Ok(()), _) => Ok(Self {
                dir: document.dir.unwrap_or_default(),
                objects: document.objects,
                missing: document.missing,
            }),
            (Err(_), Some(problem)) => Err(problem),
            (Err(source), None) => Err(PathInfoError::Syntax { source }),
        }
    }
}

/// Why a text is not what `nix path-info --json` prints.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PathInfoError {
    /// Not JSON, or another type than expected somewhere.
    #[error("read path info: not the JSON of `nix path-info`")]
    Syntax {
        /// Where and what.
        #[source]
        source: serde_json::Error,
    },
    /// A version of the format that is not known.
    #[error("read path info: format version {version} is not known, only those up to 3")]
    Version {
        /// The version.
        version: u64,
    },
    /// An element of an array says of no path what it is.
    #[error("read path info: `path` is missing")]
    NoPath,
    /// A path is wrong, or not in the store directory.
    #[error("read path info of {of}: invalid path")]
    Path {
        /// The object.
        of: Quoted,
        /// What is wrong with it.
        #[source]
        source: PathError,
    },
    /// A field is missing.
    #[error("read path info of {of}: `{field}` is missing")]
    Missing {
        /// The object.
        of: Quoted,
        /// The field.
        field: &'static str,
    },
    /// The hash of the NAR, or of a content address, is wrong.
    #[error("read path info of {of}: invalid hash")]
    Hash {
        /// The object.
        of: Quoted,
        /// What is wrong with it.
        #[source]
        source: HashError,
    },
    /// The content address is wrong.
    #[error("read path info of {of}: invalid content address")]
    ContentAddress {
        /// The object.
        of: Quoted,
        /// What is wrong with it.
        #[source]
        source: ContentAddressError,
    },
    /// A signature is wrong.
    #[error("read path info of {of}: invalid signature")]
    Signature {
        /// The object.
        of: Quoted,
        /// What is wrong with it.
        #[source]
        source: SignatureError,
    },
}

struct Document {
    dir: Option<StoreDir>,
    objects: Vec<PathInfo>,
    missing: Vec<StorePath>,
    /// An error of ours on its way through serde, which knows only text.
    problem: Option<PathInfoError>,
}

impl Document {
    fn fail<E: de::Error>(&mut self, problem: PathInfoError) -> E {
        self.problem = Some(problem);
        E::custom("see the cause")
    }

    fn add<E: de::Error>(&mut self, key: &str, entry: Option<Entry<'_>>) -> Result<(), E> {
        self.entry(key, entry).map_err(|problem| self.fail(problem))
    }

    fn entry(&mut self, key: &str, entry: Option<Entry<'_>>) -> Result<(), PathInfoError> {
        if let (None, Some(dir)) = (
            &self.dir,
            entry.as_ref().and_then(|entry| entry.store_dir.as_deref()),
        ) {
            let dir = dir.parse();
            self.dir = Some(dir.map_err(|source| PathInfoError::Path {
                of: Quoted::new(key),
                source,
            })?);
        }
        let of = || Quoted::new(key);
        let path = self.path(key, key)?;
        let Some(entry) = entry.filter(|entry| entry.valid) else {
            self.missing.push(path);
            return Ok(());
        };
        let nar_hash = entry.nar_hash.ok_or(PathInfoError::Missing {
            of: of(),
            field: "narHash",
        })?;
        let nar_hash: NarHash = nar_hash
            .parse()
            .map_err(|source| PathInfoError::Hash { of: of(), source })?;
        let nar_size = entry.nar_size.ok_or(PathInfoError::Missing {
            of: of(),
            field: "narSize",
        })?;
        let mut references = entry
            .references
            .iter()
            .map(|reference| self.path(key, reference))
            .collect::<Result<Vec<_>, _>>()?;
        references.sort_unstable();
        references.dedup();
        let deriver = entry.deriver.filter(|deriver| !deriver.is_empty());
        let deriver = deriver
            .map(|deriver| self.path(key, &deriver))
            .transpose()?;
        let signatures = entry
            .signatures
            .iter()
            .map(|signature| signature.read(key))
            .collect::<Result<Vec<_>, _>>()?;
        let content_address = entry.ca.map(|ca| ca.read(key)).transpose()?.flatten();
        self.objects.push(PathInfo {
            object: ObjectInfo {
                path,
                nar_hash,
                nar_size,
                references,
                deriver,
                signatures,
                content_address,
            },
            registration_time: entry.registration_time,
            ultimate: entry.ultimate,
        });
        Ok(())
    }

    /// Reads a path, whole or without the directory.
    fn path(&mut self, of: &str, text: &str) -> Result<StorePath, PathInfoError> {
        let path = match (&self.dir, text.starts_with('/')) {
            (_, false) => text.parse(),
            (Some(dir), true) => dir.parse(text),
            (None, true) => StoreDir::split(text).map(|(dir, path)| {
                self.dir = Some(dir);
                path
            }),
        };
        path.map_err(|source| PathInfoError::Path {
            of: Quoted::new(of),
            source,
        })
    }
}

/// An array of objects with their paths, objects by path, or these under `info`.
struct DocumentVisitor<'d> {
    document: &'d mut Document,
}

impl<'de> Visitor<'de> for DocumentVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or an array of store objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while let Some(mut entry) = items.next_element::<Entry<'de>>()? {
            let Some(path) = entry.path.take() else {
                return Err(self.document.fail(PathInfoError::NoPath));
            };
            self.document.add(&path, Some(entry))?;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let document = self.document;
        while let Some(key) = map.next_key::<Str<'de>>()? {
            match &*key {
                "version" => {
                    let version = map.next_value()?;
                    if version > 3 {
                        return Err(document.fail(PathInfoError::Version { version }));
                    }
                }
                "storeDir" => {
                    let dir: Str<'de> = map.next_value()?;
                    if document.dir.is_none() {
                        let dir = dir.parse().map_err(|source| {
                            document.fail(PathInfoError::Path {
                                of: Quoted::new(&*dir),
                                source,
                            })
                        })?;
                        document.dir = Some(dir);
                    }
                }
                "info" => map.next_value_seed(Info { document })?,
                _ => {
                    let entry = map.next_value()?;
                    document.add(&key, entry)?;
                }
            }
        }
        Ok(())
    }
}

/// What is under `info` since version 2.
struct Info<'d> {
    document: &'d mut Document,
}

impl<'de> DeserializeSeed<'de> for Info<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(DocumentVisitor {
            document: self.document,
        })
    }
}

/// The fields of every form.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    #[serde(borrow)]
    path: Option<Cow<'a, str>>,
    #[serde(default = "yes")]
    valid: bool,
    #[serde(borrow)]
    store_dir: Option<Cow<'a, str>>,
    #[serde(borrow)]
    nar_hash: Option<Cow<'a, str>>,
    nar_size: Option<u64>,
    #[serde(borrow, default)]
    references: Vec<Cow<'a, str>>,
    #[serde(borrow)]
    deriver: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    signatures: Vec<EntrySignature<'a>>,
    #[serde(borrow)]
    ca: Option<EntryAddress<'a>>,
    registration_time: Option<u64>,
    #[serde(default)]
    ultimate: bool,
}

fn yes() -> bool {
    true
}

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "expected a signature, or its `keyName` and `sig`"
)]
enum EntrySignature<'a> {
    Text(#[serde(borrow)] Cow<'a, str>),
    Parts {
        #[serde(borrow, rename = "keyName")]
        key_name: Cow<'a, str>,
        #[serde(borrow)]
        sig: Cow<'a, str>,
    },
}

impl EntrySignature<'_> {
    fn read(&self, of: &str) -> Result<Signature, PathInfoError> {
        match self {
            Self::Text(text) => text.parse(),
            Self::Parts { key_name, sig } => format!("{key_name}:{sig}").parse(),
        }
        .map_err(|source| PathInfoError::Signature {
            of: Quoted::new(of),
            source,
        })
    }
}

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "expected a content address, or its `method` and `hash`"
)]
enum EntryAddress<'a> {
    Text(#[serde(borrow)] Cow<'a, str>),
    Parts {
        method: ContentAddressMethod,
        #[serde(borrow)]
        hash: Cow<'a, str>,
    },
}

impl EntryAddress<'_> {
    fn read(&self, of: &str) -> Result<Option<ContentAddress>, PathInfoError> {
        match self {
            Self::Text(text) if text.is_empty() => Ok(None),
            Self::Text(text) => {
                text.parse()
                    .map(Some)
                    .map_err(|source| PathInfoError::ContentAddress {
                        of: Quoted::new(of),
                        source,
                    })
            }
            Self::Parts { method, hash } => Hash::parse(hash, None)
                .map(|hash| Some(ContentAddress::new(*method, hash)))
                .map_err(|source| PathInfoError::Hash {
                    of: Quoted::new(of),
                    source,
                }),
        }
    }
}
