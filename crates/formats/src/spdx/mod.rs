//! SPDX 2: packages and their relationships; JSON and tag-value 2.2 and 2.3 are read, JSON 2.3 is
//! written.
//!
//! Deliberately absent are files, snippets, annotations and reviews: they are passed over on
//! reading, though relationships may still name them. SPDX 3 is a different model; it is
//! recognised, and the error says to export 2.3.

mod check;
mod package;
mod relationship;
mod tag_value;

use std::io::Write;

use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

pub use self::package::{
    Checksum, ChecksumAlgorithm, ExternalRef, Package, Purpose, ReferenceCategory,
};
pub use self::relationship::{Edge, EdgeKind, Relationship, RelationshipType};

use crate::detect::detect;
use crate::error::{Problem, ReadError, WriteError};
use crate::json::{self, Layout, null_as_default};
use crate::{Format, Limits, Readable, Timestamp};

/// What SPDX writes where nothing can be said.
pub const NOASSERTION: &str = "NOASSERTION";

/// What SPDX writes where there is nothing.
pub const NONE: &str = "NONE";

/// The identifier of every document within itself.
pub const DOCUMENT_ID: &str = "SPDXRef-DOCUMENT";

/// A whole SPDX document.
///
/// ```
/// use snowguard_formats::spdx::{self, Document, Package, Relationship, RelationshipType};
///
/// let created: jiff::Timestamp = "2026-01-31T12:00:00Z".parse()?;
/// let document = Document {
///     packages: vec![Package {
///         version: Some("1.3.1".into()),
///         ..Package::new(spdx::element_id("zlib-1.3.1"), "zlib")
///     }],
///     relationships: vec![Relationship::describes(spdx::element_id("zlib-1.3.1"))],
///     ..Document::new("zlib", "https://example.org/zlib-1.3.1", created.into(), "snowguard-0.1.0")
/// };
/// assert!(document.problems().is_empty());
/// let json = document.to_json(Default::default())?;
/// assert_eq!(Document::read(&json, &Default::default())?, document);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Document {
    /// The version of the specification that the document was read as, such as `SPDX-2.3`.
    /// Always written as that.
    pub spdx_version: String,
    /// The licence of the document itself; the specification demands `CC0-1.0`.
    #[serde(default = "data_license")]
    pub data_license: String,
    /// The document's identifier within itself.
    #[serde(rename = "SPDXID", default = "document_id")]
    pub id: String,
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// A URI that no other document has.
    #[serde(default)]
    pub document_namespace: String,
    /// Who made it, and when.
    #[serde(default, deserialize_with = "null_as_default")]
    pub creation_info: CreationInfo,
    /// A remark.
    #[serde(default)]
    pub comment: Option<String>,
    /// What the document is about, in the older form; the newer one is a relationship `DESCRIBES`.
    /// [`described`](Self::described) gives both.
    #[serde(default, deserialize_with = "null_as_default")]
    pub document_describes: Vec<String>,
    /// Other documents that this one refers to.
    #[serde(default, deserialize_with = "null_as_default")]
    pub external_document_refs: Vec<ExternalDocumentRef>,
    /// Licences that are not in the SPDX list.
    #[serde(default, deserialize_with = "null_as_default")]
    pub has_extracted_licensing_infos: Vec<ExtractedLicense>,
    /// The packages.
    #[serde(default, deserialize_with = "null_as_default")]
    pub packages: Vec<Package>,
    /// How packages, files and the document relate.
    #[serde(default, deserialize_with = "null_as_default")]
    pub relationships: Vec<Relationship>,
}

impl Document {
    /// An empty document; `tool` is who made it, as `name-version`.
    pub fn new(
        name: impl Into<String>,
        namespace: impl Into<String>,
        created: Timestamp,
        tool: &str,
    ) -> Self {
        Self {
            spdx_version: WRITTEN.to_owned(),
            data_license: data_license(),
            id: document_id(),
            name: name.into(),
            document_namespace: namespace.into(),
            creation_info: CreationInfo {
                created: Some(created),
                creators: vec![format!("Tool: {tool}")],
                ..CreationInfo::default()
            },
            comment: None,
            document_describes: Vec::new(),
            external_document_refs: Vec::new(),
            has_extracted_licensing_infos: Vec::new(),
            packages: Vec::new(),
            relationships: Vec::new(),
        }
    }

    /// Reads a document, JSON or tag-value, version 2.2 or 2.3.
    pub fn read(bytes: &[u8], limits: &Limits) -> Result<Self, ReadError> {
        limits.check_size(Format::Spdx, bytes)?;
        let format = match detect(bytes) {
            Ok(detected) if detected.format == Format::SpdxTagValue => Format::SpdxTagValue,
            _ => Format::Spdx,
        };
        crate::read_known(format, bytes, limits, &READABLE)?;
        match format {
            Format::SpdxTagValue => tag_value::read(bytes, limits),
            _ => json::read(format, bytes, limits),
        }
    }

    /// Writes the document as JSON, version 2.3: the same bytes for the same value.
    pub fn write(&self, out: &mut dyn Write, layout: Layout) -> Result<(), WriteError> {
        json::write(Format::Spdx, self, layout, out)
    }

    /// As [`write`](Self::write), into memory.
    pub fn to_json(&self, layout: Layout) -> Result<Vec<u8>, WriteError> {
        let mut out = Vec::new();
        self.write(&mut out, layout)?;
        Ok(out)
    }

    /// The identifiers of what the document is about, each once, by either form.
    pub fn described(&self) -> Vec<&str> {
        let mut described: Vec<&str> =
            self.document_describes
                .iter()
                .map(String::as_str)
                .chain(self.relationships.iter().filter_map(
                    |relationship| match relationship.kind {
                        RelationshipType::Describes if relationship.element == self.id => {
                            Some(relationship.related.as_str())
                        }
                        RelationshipType::DescribedBy if relationship.related == self.id => {
                            Some(relationship.element.as_str())
                        }
                        _ => None,
                    },
                ))
                .collect();
        let mut seen = std::collections::HashSet::new();
        described.retain(|id| seen.insert(*id));
        described
    }

    /// Puts everything whose order means nothing into one order, and drops repeated relationships.
    pub fn sort(&mut self) {
        self.packages.sort_by(|a, b| a.id.cmp(&b.id));
        self.relationships.sort();
        self.relationships.dedup();
        self.has_extracted_licensing_infos
            .sort_by(|a, b| a.id.cmp(&b.id));
    }

    /// What the specification would object to in the document as written.
    ///
    /// Malformed identifiers, duplicates, relationships that lead nowhere, values outside the
    /// vocabulary. A document without errors here is valid by its schema.
    pub fn problems(&self) -> Vec<Problem> {
        check::problems(self)
    }
}

impl Serialize for Document {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut document = serializer.serialize_struct("Document", 12)?;
        document.serialize_field("spdxVersion", WRITTEN)?;
        document.serialize_field("dataLicense", &self.data_license)?;
        document.serialize_field("SPDXID", &self.id)?;
        document.serialize_field("name", &self.name)?;
        document.serialize_field("documentNamespace", &self.document_namespace)?;
        document.serialize_field("creationInfo", &self.creation_info)?;
        if let Some(comment) = &self.comment {
            document.serialize_field("comment", comment)?;
        }
        if !self.document_describes.is_empty() {
            document.serialize_field("documentDescribes", &self.document_describes)?;
        }
        if !self.external_document_refs.is_empty() {
            document.serialize_field("externalDocumentRefs", &self.external_document_refs)?;
        }
        if !self.has_extracted_licensing_infos.is_empty() {
            document.serialize_field(
                "hasExtractedLicensingInfos",
                &self.has_extracted_licensing_infos,
            )?;
        }
        document.serialize_field("packages", &self.packages)?;
        if !self.relationships.is_empty() {
            document.serialize_field("relationships", &self.relationships)?;
        }
        document.end()
    }
}

/// An element identifier made from any name: what is not allowed in one becomes `-`.
///
/// Different names may become the same identifier; whoever names by more than letters, digits,
/// dots and dashes has to tell them apart, for instance by the hash of a store path.
pub fn element_id(name: &str) -> String {
    let mut id = String::with_capacity("SPDXRef-".len() + name.len());
    id.push_str("SPDXRef-");
    id.extend(name.chars().map(|c| {
        if c.is_ascii_alphanumeric() || c == '.' {
            c
        } else {
            '-'
        }
    }));
    id
}

/// Who made a document, and when.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreationInfo {
    /// When. The specification wants whole seconds in UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
    /// Who, each as `Tool: `, `Organization: ` or `Person: ` and a name.
    #[serde(default, deserialize_with = "null_as_default")]
    pub creators: Vec<String>,
    /// The version of the licence list that was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license_list_version: Option<String>,
    /// A remark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// Another document that this one refers to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExternalDocumentRef {
    /// `DocumentRef-` and a name: the prefix of its elements here.
    pub external_document_id: String,
    /// The namespace of the other document.
    pub spdx_document: String,
    /// A digest of the other document.
    pub checksum: Checksum,
}

/// A licence that is not in the SPDX list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtractedLicense {
    /// `LicenseRef-` and a name.
    #[serde(rename = "licenseId")]
    pub id: String,
    /// Its text.
    #[serde(
        default,
        rename = "extractedText",
        deserialize_with = "null_as_default"
    )]
    pub text: String,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where else it is found.
    #[serde(
        default,
        rename = "seeAlsos",
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub see_also: Vec<String>,
    /// A remark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

const WRITTEN: &str = "SPDX-2.3";

const READABLE: Readable = Readable {
    words: "2.2 and 2.3 (and their revisions)",
    accepts: |version| {
        version.is_some_and(|version| {
            ["2.2", "2.3"].iter().any(|known| {
                version
                    .strip_prefix(known)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            })
        })
    },
};

fn data_license() -> String {
    "CC0-1.0".to_owned()
}

fn document_id() -> String {
    DOCUMENT_ID.to_owned()
}
