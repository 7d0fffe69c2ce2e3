//! Tells which document some bytes are, and what they look like when they are none of ours.
//!
//! One pass over the top-level keys; nothing else is built, so that it costs little on any input.
//! It does not check the document: bytes that say what they are and break later are that document,
//! and its reader then says where they break. Forms that are known but not read (XML, SPDX 3,
//! attestation envelopes, compressed files, other tools' own reports) are named, with a way out.

use std::fmt;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use crate::error::JsonError;
use crate::json::without_byte_order_mark;
use crate::text::excerpt;

/// A format that this crate knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// CycloneDX JSON: [`cyclonedx::Bom`](crate::cyclonedx::Bom).
    CycloneDx,
    /// SPDX 2 JSON: [`spdx::Document`](crate::spdx::Document).
    Spdx,
    /// SPDX 2 tag-value text: [`spdx::Document`](crate::spdx::Document).
    SpdxTagValue,
    /// OpenVEX JSON: [`openvex::Document`](crate::openvex::Document).
    OpenVex,
    /// CSAF JSON: [`csaf::Document`](crate::csaf::Document).
    Csaf,
    /// SARIF JSON, which is only written: [`sarif::Log`](crate::sarif::Log).
    Sarif,
    /// A signed envelope: [`dsse::Envelope`](crate::dsse::Envelope). It is told by its reader only.
    Dsse,
    /// An in-toto Statement: [`intoto::Statement`](crate::intoto::Statement). It is told by its reader
    /// only.
    InToto,
    /// OSV, which is only written: [`osv::Document`](crate::osv::Document).
    Osv,
    /// The form of Alpine's security database, which is only written:
    /// [`secdb::Database`](crate::secdb::Database).
    Secdb,
}

impl Format {
    /// The name as people write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::CycloneDx => "CycloneDX",
            Self::Spdx => "SPDX",
            Self::SpdxTagValue => "SPDX tag-value",
            Self::OpenVex => "OpenVEX",
            Self::Csaf => "CSAF",
            Self::Sarif => "SARIF",
            Self::Dsse => "DSSE",
            Self::InToto => "in-toto",
            Self::Osv => "OSV",
            Self::Secdb => "secdb",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A document of a format known here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detected {
    /// Its format.
    pub format: Format,
    /// The version that it states, such as `1.6`; whether that version is read is the reader's word.
    pub version: Option<String>,
}

/// The bytes are no document known here.
#[derive(Debug, thiserror::Error)]
pub enum DetectError {
    /// There is nothing, or only white space.
    #[error("the document is empty")]
    Empty,
    /// A form that is recognised but not read.
    #[error("{what} is not read")]
    NotRead {
        /// What it is.
        what: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// JSON of another kind.
    #[error(
        "JSON, but neither CycloneDX (no `bomFormat`), SPDX (no `spdxVersion`), OpenVEX (no `@context` of openvex.dev), CSAF (no `document.csaf_version`) nor SARIF (no `runs`): {shape}"
    )]
    OtherJson {
        /// What it is, with the first keys of an object.
        shape: String,
    },
    /// It begins like JSON and breaks before it says what it is.
    #[error("the document begins like JSON but is broken")]
    BrokenJson {
        /// What is wrong, with line and column.
        #[source]
        source: JsonError,
    },
    /// Text of another kind.
    #[error("text, but neither JSON nor an SPDX tag-value document: it begins with `{beginning}`")]
    OtherText {
        /// Its first characters, escaped.
        beginning: String,
    },
    /// No text at all.
    #[error("binary data, not a document")]
    Binary,
}

impl DetectError {
    /// What to do about it, when there is something to do.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NotRead { hint, .. } => Some(hint),
            _ => None,
        }
    }
}

/// Says which document the bytes are.
pub fn detect(bytes: &[u8]) -> Result<Detected, DetectError> {
    if let Some(error) = packed_or_binary(bytes) {
        return Err(error);
    }
    let bytes = without_byte_order_mark(bytes);
    let Some(first) = bytes.iter().find(|byte| !byte.is_ascii_whitespace()) else {
        return Err(DetectError::Empty);
    };
    match first {
        b'{' => detect_object(bytes),
        b'[' => Err(other_json("it is an array")),
        b'<' => Err(detect_xml(bytes)),
        _ => detect_text(bytes),
    }
}

fn detect_object(json: &[u8]) -> Result<Detected, DetectError> {
    let mut facts = Facts::default();
    let read = FactsOf(&mut facts).deserialize(&mut serde_json::Deserializer::from_slice(json));
    facts.verdict().unwrap_or_else(|| match read {
        Err(source) => Err(DetectError::BrokenJson {
            source: source.into(),
        }),
        Ok(()) => Err(other_json(&facts.shape())),
    })
}

fn other_json(shape: &str) -> DetectError {
    DetectError::OtherJson {
        shape: shape.to_owned(),
    }
}

/// The keys that tell formats apart, as far as the object was readable.
#[derive(Default)]
struct Facts {
    keys: Vec<String>,
    more_keys: usize,
    bom_format: Option<String>,
    spec_version: Option<String>,
    spdx_version: Option<String>,
    context: Option<String>,
    schema: Option<String>,
    version: Option<String>,
    csaf_version: Option<String>,
    payload_type: Option<String>,
    predicate_type: Option<String>,
    wrapped_spdx: bool,
    old_openvex: bool,
}

impl Facts {
    fn verdict(&self) -> Option<Result<Detected, DetectError>> {
        let found = |format, version: Option<&str>| {
            Some(Ok(Detected {
                format,
                version: version.map(str::to_owned),
            }))
        };
        let not_read = |what: String, hint| Some(Err(DetectError::NotRead { what, hint }));
        if self.bom_format.as_deref() == Some("CycloneDX") {
            return found(Format::CycloneDx, self.spec_version.as_deref());
        }
        if let Some(version) = &self.spdx_version {
            let version = version.strip_prefix("SPDX-").unwrap_or(version);
            if version.starts_with('3') {
                return not_read(format!("SPDX {}", excerpt(version)), SPDX_3_HINT);
            }
            return found(Format::Spdx, Some(version));
        }
        if let Some(context) = &self.context {
            if let Some((_, rest)) = context.split_once("spdx.org/rdf/") {
                let version = rest.split('/').next().unwrap_or_default();
                return not_read(format!("SPDX {} (JSON-LD)", excerpt(version)), SPDX_3_HINT);
            }
            if let Some((_, rest)) = context.split_once("openvex.dev/ns") {
                return found(Format::OpenVex, rest.strip_prefix("/v"));
            }
        }
        if self.old_openvex {
            return found(Format::OpenVex, None);
        }
        if let Some(version) = &self.csaf_version {
            return found(Format::Csaf, Some(version));
        }
        let has = |key: &str| self.keys.iter().any(|seen| seen == key);
        let sarif_schema = self
            .schema
            .as_deref()
            .is_some_and(|schema| schema.contains("sarif"));
        if has("runs") && (sarif_schema || self.version.is_some()) {
            return found(Format::Sarif, self.version.as_deref());
        }
        if self.wrapped_spdx {
            return not_read(
                "an SPDX document inside an `sbom` object, as GitHub exports it,".to_owned(),
                "pass the value of `sbom` alone",
            );
        }
        if let Some(payload) = &self.payload_type {
            return not_read(
                format!("a signed envelope (DSSE) of `{}`", excerpt(payload)),
                "check its signature, then pass the predicate of its decoded payload",
            );
        }
        if let Some(predicate) = &self.predicate_type {
            return not_read(
                format!("an in-toto statement of `{}`", excerpt(predicate)),
                "pass the value of `predicate` alone",
            );
        }
        if has("artifacts") && has("artifactRelationships") {
            return not_read(
                "Syft's own JSON".to_owned(),
                "let it write CycloneDX JSON instead",
            );
        }
        if has("SchemaVersion") && has("Results") {
            return not_read(
                "Trivy's own JSON".to_owned(),
                "let it write CycloneDX JSON instead",
            );
        }
        None
    }

    fn shape(&self) -> String {
        if self.keys.is_empty() {
            return "it is an object without keys".to_owned();
        }
        let keys: Vec<_> = self
            .keys
            .iter()
            .take(SHOWN_KEYS)
            .map(|key| format!("`{}`", excerpt(key)))
            .collect();
        let rest = self.keys.len() + self.more_keys - keys.len();
        let more = if rest > 0 {
            format!(" and {rest} more")
        } else {
            String::new()
        };
        format!("its keys are {}{more}", keys.join(", "))
    }

    fn key(&mut self, key: &str) {
        if self.keys.len() < KEPT_KEYS {
            self.keys.push(key.to_owned());
        } else {
            self.more_keys += 1;
        }
    }
}

const SPDX_3_HINT: &str = "export SPDX 2.3 JSON instead: SPDX 3 is not read yet";
const SHOWN_KEYS: usize = 6;
const KEPT_KEYS: usize = 64;

/// Fills [`Facts`] from an object and keeps what it has when the JSON breaks off.
struct FactsOf<'a>(&'a mut Facts);

impl<'de> DeserializeSeed<'de> for FactsOf<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for FactsOf<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let facts = self.0;
        while let Some(key) = map.next_key::<String>()? {
            facts.key(&key);
            match key.as_str() {
                "bomFormat" | "specFormat" => facts.bom_format = map.next_value::<Peek>()?.text,
                "specVersion" => facts.spec_version = map.next_value::<Peek>()?.text,
                "spdxVersion" => facts.spdx_version = map.next_value::<Peek>()?.text,
                "@context" => facts.context = map.next_value::<Peek>()?.text,
                "$schema" => facts.schema = map.next_value::<Peek>()?.text,
                "version" => facts.version = map.next_value::<Peek>()?.text,
                "payloadType" => facts.payload_type = map.next_value::<Peek>()?.text,
                "predicateType" => facts.predicate_type = map.next_value::<Peek>()?.text,
                "format" => {
                    let format = map.next_value::<Peek>()?.text;
                    facts.old_openvex = format.as_deref() == Some("text/vex+json");
                }
                "document" => facts.csaf_version = map.next_value::<Peek>()?.csaf_version,
                "sbom" => facts.wrapped_spdx = map.next_value::<Peek>()?.has_spdx_version,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// What is worth knowing of one value, whatever its type: its text, or two keys of it.
///
/// It looks into an object only under those keys, and the parser bounds how often.
#[derive(Default)]
struct Peek {
    text: Option<String>,
    csaf_version: Option<String>,
    has_spdx_version: bool,
}

impl<'de> Deserialize<'de> for Peek {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PeekVisitor)
    }
}

struct PeekVisitor;

impl<'de> Visitor<'de> for PeekVisitor {
    type Value = Peek;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Peek, E> {
        Ok(Peek {
            text: Some(text.chars().take(256).collect()),
            ..Peek::default()
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Peek, A::Error> {
        let mut peek = Peek::default();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "csaf_version" => peek.csaf_version = map.next_value::<Peek>()?.text,
                key => {
                    peek.has_spdx_version |= key == "spdxVersion";
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(peek)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Peek, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Peek::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Peek, E> {
        Ok(Peek::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Peek, E> {
        Ok(Peek::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Peek, E> {
        Ok(Peek::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Peek, E> {
        Ok(Peek::default())
    }

    fn visit_unit<E>(self) -> Result<Peek, E> {
        Ok(Peek::default())
    }
}

fn packed_or_binary(bytes: &[u8]) -> Option<DetectError> {
    const PACKED: [(&[u8], &str); 5] = [
        (b"\x1F\x8B", "gzip"),
        (b"\x28\xB5\x2F\xFD", "zstd"),
        (b"\xFD7zXZ\0", "xz"),
        (b"BZh", "bzip2"),
        (b"PK\x03\x04", "zip"),
    ];
    if let Some((_, name)) = PACKED.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return Some(DetectError::NotRead {
            what: format!("a document compressed with {name}"),
            hint: "decompress it first",
        });
    }
    if bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF") {
        return Some(DetectError::NotRead {
            what: "text in UTF-16".to_owned(),
            hint: "convert it to UTF-8",
        });
    }
    let head = &bytes[..bytes.len().min(HEAD)];
    head.contains(&0).then_some(DetectError::Binary)
}

fn detect_xml(bytes: &[u8]) -> DetectError {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(HEAD)]);
    let (what, hint) = if head.contains("cyclonedx.org/schema/bom") {
        ("CycloneDX XML", "export CycloneDX JSON instead")
    } else if head.contains("spdx.org/rdf") {
        ("SPDX RDF/XML", "export SPDX 2.3 JSON instead")
    } else {
        (
            "XML",
            "pass a CycloneDX, SPDX, OpenVEX or CSAF document in JSON",
        )
    };
    DetectError::NotRead {
        what: what.to_owned(),
        hint,
    }
}

fn detect_text(bytes: &[u8]) -> Result<Detected, DetectError> {
    let head = &bytes[..bytes.len().min(HEAD)];
    for line in head.split(|byte| *byte == b'\n') {
        let line = line.trim_ascii();
        if let Some(version) = line.strip_prefix(b"SPDXVersion:") {
            let version = String::from_utf8_lossy(version.trim_ascii());
            let version = version.strip_prefix("SPDX-").unwrap_or(&version);
            return Ok(Detected {
                format: Format::SpdxTagValue,
                version: Some(version.to_owned()),
            });
        }
        if line.starts_with(b"spdxVersion:") {
            return Err(DetectError::NotRead {
                what: "SPDX YAML".to_owned(),
                hint: "export SPDX 2.3 JSON instead",
            });
        }
    }
    // JSON that is neither object nor array: say so, instead of calling it text.
    if serde_json::from_slice::<IgnoredAny>(bytes).is_ok() {
        return Err(other_json("it is a single value"));
    }
    match std::str::from_utf8(head) {
        Err(error) if error.error_len().is_some() => Err(DetectError::Binary),
        _ => Err(DetectError::OtherText {
            beginning: excerpt(String::from_utf8_lossy(head).trim_start()),
        }),
    }
}

/// How far into a file its kind is looked for, where no parser reads it.
const HEAD: usize = 4096;
