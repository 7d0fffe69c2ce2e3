//! CycloneDX: bills of materials with vulnerabilities; JSON 1.2 to 1.7 is read, 1.6 is written.
//!
//! The types hold what a scanner of software needs: components with their identities, the
//! dependency graph, patches, vulnerabilities and their analysis. Deliberately absent are services,
//! machine-learning and cryptographic properties, formulation, declarations, annotations and
//! signatures: they are passed over on reading, so that a document that is read and written again
//! loses them. Package URLs and CPEs are plain text here; their meaning is not this crate's matter.

mod check;
mod component;
mod license;
mod vulnerability;

use std::io::Write;

use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

pub use self::component::{
    Attachment, Component, ComponentType, Diff, Encoding, Evidence, ExternalReference,
    ExternalReferenceType, Hash, HashAlgorithm, IdentityEvidence, IdentityField, IdentityMethod,
    Issue, IssueType, Occurrence, Organization, Patch, PatchType, Pedigree, Property, Scope,
    Source, Technique,
};
pub use self::license::{Acknowledgement, License, LicenseName};
pub use self::vulnerability::{
    Advisory, AffectedStatus, AffectedVersions, Affects, Analysis, AnalysisJustification,
    AnalysisState, Rating, Response, ScoreMethod, Severity, Vulnerability, VulnerabilityReference,
};

use crate::error::{Problem, ReadError, WriteError};
use crate::json::{self, Layout, null_as_default};
use crate::{Format, Limits, Readable, Timestamp};

/// A bill of materials: a whole CycloneDX document.
///
/// ```
/// use snowguard_formats::cyclonedx::{Bom, Component, ComponentType, Dependency};
///
/// let bom = Bom {
///     components: vec![Component {
///         version: Some("1.3.1".into()),
///         purl: Some("pkg:generic/zlib@1.3.1".into()),
///         ..Component::new(ComponentType::Library, "zlib").with_ref("zlib")
///     }],
///     dependencies: vec![Dependency::new("zlib", [])],
///     ..Bom::default()
/// };
/// assert!(bom.problems().is_empty());
/// let json = bom.to_json(Default::default())?;
/// assert_eq!(Bom::read(&json, &Default::default())?.components, bom.components);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Bom {
    /// The version of the specification that the document was read as. Always written as `1.6`.
    #[serde(default = "written_version")]
    pub spec_version: String,
    /// `urn:uuid:` and a UUID, one for each document; [`serial_number`] makes one.
    #[serde(default)]
    pub serial_number: Option<String>,
    /// Counts the revisions of one serial number, from 1.
    #[serde(default = "first_version")]
    pub version: u64,
    /// What the document is about, and who made it.
    #[serde(default, deserialize_with = "null_as_default")]
    pub metadata: Metadata,
    /// The components, which may hold further ones.
    #[serde(default, deserialize_with = "null_as_default")]
    pub components: Vec<Component>,
    /// Links that concern the whole document.
    #[serde(default, deserialize_with = "null_as_default")]
    pub external_references: Vec<ExternalReference>,
    /// Who depends on whom, by `bom-ref`.
    #[serde(default, deserialize_with = "null_as_default")]
    pub dependencies: Vec<Dependency>,
    /// What is known to be complete, or incomplete.
    #[serde(default, deserialize_with = "null_as_default")]
    pub compositions: Vec<Composition>,
    /// The vulnerabilities, each with what it affects.
    #[serde(default, deserialize_with = "null_as_default")]
    pub vulnerabilities: Vec<Vulnerability>,
    /// Further facts about the whole document.
    #[serde(default, deserialize_with = "null_as_default")]
    pub properties: Vec<Property>,
}

impl Bom {
    /// Reads a JSON document, version 1.2 to 1.7.
    pub fn read(bytes: &[u8], limits: &Limits) -> Result<Self, ReadError> {
        crate::read_known(Format::CycloneDx, bytes, limits, &READABLE)?;
        json::read(Format::CycloneDx, bytes, limits)
    }

    /// Writes the document as JSON, version 1.6: the same bytes for the same value.
    pub fn write(&self, out: &mut dyn Write, layout: Layout) -> Result<(), WriteError> {
        json::write(Format::CycloneDx, self, layout, out)
    }

    /// As [`write`](Self::write), into memory.
    pub fn to_json(&self, layout: Layout) -> Result<Vec<u8>, WriteError> {
        let mut out = Vec::new();
        self.write(&mut out, layout)?;
        Ok(out)
    }

    /// The component that the document describes.
    pub fn subject(&self) -> Option<&Component> {
        self.metadata.component.as_ref()
    }

    /// Every component in document order: the subject and what it holds, then the others, each
    /// before those that it holds.
    pub fn walk(&self) -> Walk<'_> {
        let mut stack: Vec<_> = self.components.iter().rev().map(|c| (c, None)).collect();
        stack.extend(self.subject().map(|subject| (subject, None)));
        Walk { stack }
    }

    /// Puts everything whose order means nothing into one order, and drops repeated edges.
    ///
    /// Components go by `bom-ref`, then name and version; dependencies by `ref`; vulnerabilities by
    /// id and `bom-ref`. Two documents of the same content become equal.
    pub fn sort(&mut self) {
        fn key(component: &Component) -> (Option<&str>, Option<&str>, &str, Option<&str>) {
            (
                component.bom_ref.as_deref(),
                component.group.as_deref(),
                &component.name,
                component.version.as_deref(),
            )
        }
        // Components in components are as many levels deep as the limits of the format allow.
        let mut lists = vec![&mut self.components];
        while let Some(list) = lists.pop() {
            list.sort_by(|a, b| key(a).cmp(&key(b)));
            lists.extend(
                list.iter_mut()
                    .map(|component| &mut component.components)
                    .filter(|list| !list.is_empty()),
            );
        }
        for dependency in &mut self.dependencies {
            dependency.depends_on.sort();
            dependency.depends_on.dedup();
        }
        self.dependencies
            .sort_by(|a, b| a.reference.cmp(&b.reference));
        self.vulnerabilities
            .sort_by(|a, b| (&a.id, &a.bom_ref).cmp(&(&b.id, &b.bom_ref)));
    }

    /// What the specification or its schema would object to in the document as written.
    ///
    /// References that lead nowhere, duplicates, values outside the vocabulary, malformed hashes,
    /// times and serial numbers. A document without errors here is valid by its schema.
    pub fn problems(&self) -> Vec<Problem> {
        check::problems(self)
    }
}

impl Default for Bom {
    fn default() -> Self {
        Self {
            spec_version: written_version(),
            serial_number: None,
            version: first_version(),
            metadata: Metadata::default(),
            components: Vec::new(),
            external_references: Vec::new(),
            dependencies: Vec::new(),
            compositions: Vec::new(),
            vulnerabilities: Vec::new(),
            properties: Vec::new(),
        }
    }
}

impl Serialize for Bom {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bom = serializer.serialize_struct("Bom", 12)?;
        bom.serialize_field("$schema", SCHEMA)?;
        bom.serialize_field("bomFormat", "CycloneDX")?;
        bom.serialize_field("specVersion", WRITTEN)?;
        if let Some(serial_number) = &self.serial_number {
            bom.serialize_field("serialNumber", serial_number)?;
        }
        bom.serialize_field("version", &self.version)?;
        if self.metadata != Metadata::default() {
            bom.serialize_field("metadata", &self.metadata)?;
        }
        bom.serialize_field("components", &self.components)?;
        if !self.external_references.is_empty() {
            bom.serialize_field("externalReferences", &self.external_references)?;
        }
        if !self.dependencies.is_empty() {
            bom.serialize_field("dependencies", &self.dependencies)?;
        }
        if !self.compositions.is_empty() {
            bom.serialize_field("compositions", &self.compositions)?;
        }
        if !self.vulnerabilities.is_empty() {
            bom.serialize_field("vulnerabilities", &self.vulnerabilities)?;
        }
        if !self.properties.is_empty() {
            bom.serialize_field("properties", &self.properties)?;
        }
        bom.end()
    }
}

/// A serial number from 16 bytes that identify the content, such as a digest cut short.
///
/// The bytes become a UUID of version 8 (RFC 9562, made by the application), so that the same
/// content has the same serial number.
pub fn serial_number(mut digest: [u8; 16]) -> String {
    use std::fmt::Write as _;
    digest[6] = digest[6] & 0x0F | 0x80;
    digest[8] = digest[8] & 0x3F | 0x80;
    let mut text = String::from("urn:uuid:");
    for (at, byte) in digest.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// A component within a document: see [`Bom::walk`].
#[derive(Debug, Clone, Copy)]
pub struct Nested<'a> {
    /// The component.
    pub component: &'a Component,
    /// The component that holds it; `None` for the subject and for the outermost ones.
    pub parent: Option<&'a Component>,
}

/// Iterates over every component of a document, however deep.
#[derive(Debug)]
pub struct Walk<'a> {
    stack: Vec<(&'a Component, Option<&'a Component>)>,
}

impl<'a> Iterator for Walk<'a> {
    type Item = Nested<'a>;

    fn next(&mut self) -> Option<Nested<'a>> {
        let (component, parent) = self.stack.pop()?;
        self.stack.extend(
            component
                .components
                .iter()
                .rev()
                .map(|child| (child, Some(component))),
        );
        Some(Nested { component, parent })
    }
}

/// What a document is about, and who made it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Metadata {
    /// When the document was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Timestamp>,
    /// The phases of a product's life that the document shows.
    #[serde(
        default,
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub lifecycles: Vec<Lifecycle>,
    /// The tools that made the document, as components. The older form, a list of vendor, name and
    /// version, is read into the same: the vendor becomes the publisher.
    #[serde(
        default,
        deserialize_with = "read_tools",
        serialize_with = "write_tools",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub tools: Vec<Component>,
    /// What the document describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<Component>,
    /// Who supplied what the document describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supplier: Option<Organization>,
    /// Further facts about the document.
    #[serde(
        default,
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub properties: Vec<Property>,
}

/// A phase of a product's life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lifecycle {
    /// One of the phases that the specification names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// Another phase, by its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl From<Phase> for Lifecycle {
    fn from(phase: Phase) -> Self {
        Self {
            phase: Some(phase),
            name: None,
        }
    }
}

crate::open_enum::open_enum! {
    /// The phases of a product's life that the specification names.
    pub enum Phase {
        /// Planned.
        Design = "design",
        /// About to be built: sources and build instructions.
        PreBuild = "pre-build",
        /// Being built: everything that takes part.
        Build = "build",
        /// Built: what came out.
        PostBuild = "post-build",
        /// Running.
        Operations = "operations",
        /// Found by looking around.
        Discovery = "discovery",
        /// Taken out of service.
        Decommission = "decommission",
    }
}

/// What one component depends on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependency {
    /// The `bom-ref` of the component.
    #[serde(rename = "ref")]
    pub reference: String,
    /// The `bom-ref`s of what it needs directly.
    #[serde(
        default,
        rename = "dependsOn",
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub depends_on: Vec<String>,
}

impl Dependency {
    /// The component `reference` needs each of `depends_on`.
    pub fn new(reference: impl Into<String>, depends_on: impl IntoIterator<Item = String>) -> Self {
        Self {
            reference: reference.into(),
            depends_on: depends_on.into_iter().collect(),
        }
    }
}

/// A statement on completeness.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Composition {
    /// Whether what is listed is everything.
    pub aggregate: Aggregate,
    /// The `bom-ref`s of components whose nested components this is about.
    #[serde(
        default,
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub assemblies: Vec<String>,
    /// The `bom-ref`s of components whose dependencies this is about.
    #[serde(
        default,
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub dependencies: Vec<String>,
}

crate::open_enum::open_enum! {
    /// Whether a listing is everything.
    pub enum Aggregate {
        /// It is everything.
        Complete = "complete",
        /// Something is missing.
        Incomplete = "incomplete",
        /// Only first-party components are listed.
        IncompleteFirstPartyOnly = "incomplete_first_party_only",
        /// Only proprietary first-party components are listed.
        IncompleteFirstPartyProprietaryOnly = "incomplete_first_party_proprietary_only",
        /// Only open-source first-party components are listed.
        IncompleteFirstPartyOpensourceOnly = "incomplete_first_party_opensource_only",
        /// Only third-party components are listed.
        IncompleteThirdPartyOnly = "incomplete_third_party_only",
        /// Only proprietary third-party components are listed.
        IncompleteThirdPartyProprietaryOnly = "incomplete_third_party_proprietary_only",
        /// Only open-source third-party components are listed.
        IncompleteThirdPartyOpensourceOnly = "incomplete_third_party_opensource_only",
        /// It cannot be known.
        Unknown = "unknown",
        /// Nothing is said.
        NotSpecified = "not_specified",
    }
}

const WRITTEN: &str = "1.6";
const SCHEMA: &str = "http://cyclonedx.org/schema/bom-1.6.schema.json";

/// The versions that are read; 1.7 adds only what is passed over.
const READABLE: Readable = Readable {
    words: "1.2 to 1.7",
    accepts: |version| matches!(version, Some("1.2" | "1.3" | "1.4" | "1.5" | "1.6" | "1.7")),
};

fn written_version() -> String {
    WRITTEN.to_owned()
}

fn first_version() -> u64 {
    1
}

fn write_tools<S: Serializer>(tools: &[Component], serializer: S) -> Result<S::Ok, S::Error> {
    let mut object = serializer.serialize_struct("Tools", 1)?;
    object.serialize_field("components", tools)?;
    object.end()
}

/// Reads both forms of `tools`: an object of components, and the older list.
fn read_tools<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Component>, D::Error> {
    struct Tools;

    impl<'de> Visitor<'de> for Tools {
        type Value = Vec<Component>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object with components, or a list of tools")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut tools = Vec::new();
            while let Some(key) = map.next_key::<String>()? {
                if key == "components" {
                    let components: Option<Vec<Component>> = map.next_value()?;
                    tools.extend(components.into_iter().flatten());
                } else {
                    map.next_value::<IgnoredAny>()?;
                }
            }
            Ok(tools)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let mut tools = Vec::new();
            while let Some(tool) = seq.next_element::<LegacyTool>()? {
                tools.push(tool.into());
            }
            Ok(tools)
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(Vec::new())
        }
    }

    deserializer.deserialize_any(Tools)
}

/// A tool as versions up to 1.4 list it.
#[derive(Deserialize)]
struct LegacyTool {
    #[serde(default)]
    vendor: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    version: Option<String>,
    #[serde(default, deserialize_with = "null_as_default")]
    hashes: Vec<Hash>,
}

impl From<LegacyTool> for Component {
    fn from(tool: LegacyTool) -> Self {
        Self {
            publisher: tool.vendor,
            version: tool.version,
            hashes: tool.hashes,
            ..Self::new(ComponentType::Application, tool.name.unwrap_or_default())
        }
    }
}
