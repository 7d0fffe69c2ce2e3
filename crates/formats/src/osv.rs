//! OSV: advisories in the Open Source Vulnerability format, 1.7; they are written here. Records of
//! others in this format are advisories, and are read where advisories are.
//!
//! The format has a closed list of ecosystems, and its schema refuses a package of any other. An
//! ecosystem of ours is therefore named openly and where the schema allows it: see [`Naming`]. The
//! database is not in the closed list either; its ids begin with `x_`, which the format reserves for
//! such ones ([`private_id`]).
//!
//! Source: <https://ossf.github.io/osv-schema/>, and the schema beside its tests.

use std::collections::BTreeMap;
use std::io::Write;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::error::WriteError;
use crate::json::{self, Layout};
use crate::{Format, Timestamp, iri};

/// Further facts of any kind, by name.
pub type Specific = BTreeMap<String, Value>;

/// One advisory.
///
/// ```
/// use snowguard_formats::osv::{Affected, Document, Event, Naming, Package, Range, private_id};
///
/// let now: jiff::Timestamp = "2026-01-31T12:00:00Z".parse()?;
/// let advisory = Document {
///     upstream: vec!["CVE-2026-0001".into()],
///     affected: vec![Affected {
///         package: Some(Package::new("Nixpkgs:nixos-25.11", "zlib")),
///         ranges: vec![Range::ecosystem([Event::Introduced("0".into()), Event::Fixed("1.3.2".into())])],
///         ..Affected::default()
///     }],
///     ..Document::new(private_id("NIX-2026-0001"), now.into())
/// };
/// let json = advisory.to_json(Naming::Valid, Default::default())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Its id; one of a database that the format does not list begins with `x_`.
    pub id: String,
    /// When it last changed.
    pub modified: Timestamp,
    /// When it was first published.
    pub published: Option<Timestamp>,
    /// When it was taken back.
    pub withdrawn: Option<Timestamp>,
    /// Other names of the very same vulnerability in the very same package.
    pub aliases: Vec<String>,
    /// Vulnerabilities of upstream that reach this package: what a distribution has in place of
    /// aliases.
    pub upstream: Vec<String>,
    /// Names of what is close to it.
    pub related: Vec<String>,
    /// One line.
    pub summary: Option<String>,
    /// The rest, in Markdown.
    pub details: Option<String>,
    /// How bad.
    pub severity: Vec<Severity>,
    /// What is affected.
    pub affected: Vec<Affected>,
    /// Where to read more.
    pub references: Vec<Reference>,
    /// Further facts.
    pub database_specific: Specific,
}

/// Where a package of an ecosystem goes that the format does not list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Naming {
    /// Into `ecosystem_specific`, as `ecosystem`, `package` and `purl`: the document is valid by the
    /// schema, and who matches packages by ecosystem must look there.
    #[default]
    Valid,
    /// Into `package`, like any other: tools that match by ecosystem and name find it, and the schema
    /// refuses the name of the ecosystem until it is listed.
    Open,
}

impl Document {
    /// An advisory that says nothing yet.
    pub fn new(id: impl Into<String>, modified: Timestamp) -> Self {
        Self {
            id: id.into(),
            modified,
            published: None,
            withdrawn: None,
            aliases: Vec::new(),
            upstream: Vec::new(),
            related: Vec::new(),
            summary: None,
            details: None,
            severity: Vec::new(),
            affected: Vec::new(),
            references: Vec::new(),
            database_specific: Specific::new(),
        }
    }

    /// Writes the document as JSON: the same bytes for the same value.
    pub fn write(
        &self,
        naming: Naming,
        out: &mut dyn Write,
        layout: Layout,
    ) -> Result<(), WriteError> {
        json::write(Format::Osv, &Written(self, naming), layout, out)
    }

    /// As [`write`](Self::write), into memory.
    pub fn to_json(&self, naming: Naming, layout: Layout) -> Result<Vec<u8>, WriteError> {
        let mut out = Vec::new();
        self.write(naming, &mut out, layout)?;
        Ok(out)
    }
}

/// An id as the format has it for a database that it does not list: `x_NIX-2026-0001`.
pub fn private_id(id: &str) -> String {
    format!("x_{id}")
}

/// How bad it is, by one scale.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Severity {
    /// The scale.
    #[serde(rename = "type")]
    pub kind: SeverityKind,
    /// The vector.
    pub score: String,
}

/// The scale of a severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum SeverityKind {
    /// CVSS 2.0.
    #[serde(rename = "CVSS_V2")]
    CvssV2,
    /// CVSS 3.0 and 3.1.
    #[serde(rename = "CVSS_V3")]
    CvssV3,
    /// CVSS 4.0.
    #[serde(rename = "CVSS_V4")]
    CvssV4,
}

/// A package, and its versions that are affected.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Affected {
    /// The package.
    pub package: Option<Package>,
    /// Ranges of versions.
    pub ranges: Vec<Range>,
    /// Versions, each by itself.
    pub versions: Vec<String>,
    /// Further facts, by the ecosystem.
    pub ecosystem_specific: Specific,
    /// Further facts, by the database.
    pub database_specific: Specific,
}

/// A package of an ecosystem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Package {
    /// The ecosystem, and a part of it after a colon: `Debian:13`.
    pub ecosystem: String,
    /// The name there.
    pub name: String,
    /// The package URL, without a version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purl: Option<String>,
}

impl Package {
    /// A package without a package URL.
    pub fn new(ecosystem: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            ecosystem: ecosystem.into(),
            name: name.into(),
            purl: None,
        }
    }

    /// Whether the format lists the ecosystem.
    pub fn is_listed(&self) -> bool {
        let name = self.ecosystem.split(':').next().unwrap_or_default();
        ECOSYSTEMS.contains(&name)
    }
}

/// A range of versions by one order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Range {
    /// By which order.
    #[serde(rename = "type")]
    pub kind: RangeKind,
    /// The repository, of a range of commits.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "iri::uri_option"
    )]
    pub repo: Option<String>,
    /// Where it begins and ends. It has at least one beginning, and not both [`Event::Fixed`] and
    /// [`Event::LastAffected`].
    pub events: Vec<Event>,
}

impl Range {
    /// A range by the order of the ecosystem.
    pub fn ecosystem(events: impl IntoIterator<Item = Event>) -> Self {
        Self {
            kind: RangeKind::Ecosystem,
            repo: None,
            events: events.into_iter().collect(),
        }
    }
}

/// The order of versions of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum RangeKind {
    /// That of the ecosystem.
    #[serde(rename = "ECOSYSTEM")]
    Ecosystem,
    /// Semantic versions.
    #[serde(rename = "SEMVER")]
    SemVer,
    /// Commits of a repository.
    #[serde(rename = "GIT")]
    Git,
}

/// A point in a range.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The first version with it; `0` is before any.
    Introduced(String),
    /// The first version without it.
    Fixed(String),
    /// The last version that is known to have it.
    LastAffected(String),
}

/// A page about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reference {
    /// What is there.
    #[serde(rename = "type")]
    pub kind: ReferenceKind,
    /// Where.
    #[serde(serialize_with = "iri::uri")]
    pub url: String,
}

/// What a reference leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum ReferenceKind {
    /// A published advisory.
    #[serde(rename = "ADVISORY")]
    Advisory,
    /// An article.
    #[serde(rename = "ARTICLE")]
    Article,
    /// A report in a tracker of bugs.
    #[serde(rename = "REPORT")]
    Report,
    /// A change that fixes it.
    #[serde(rename = "FIX")]
    Fix,
    /// A page of the package.
    #[serde(rename = "PACKAGE")]
    Package,
    /// Anything else.
    #[serde(rename = "WEB")]
    Web,
}

/// A document with the decision where packages go.
struct Written<'a>(&'a Document, Naming);

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(document, naming) = self;
        let mut out = serializer.serialize_struct("Document", 14)?;
        out.serialize_field("schema_version", SCHEMA_VERSION)?;
        out.serialize_field("id", &document.id)?;
        out.serialize_field("modified", &document.modified)?;
        if let Some(published) = &document.published {
            out.serialize_field("published", published)?;
        }
        if let Some(withdrawn) = &document.withdrawn {
            out.serialize_field("withdrawn", withdrawn)?;
        }
        for (name, list) in [
            ("aliases", &document.aliases),
            ("upstream", &document.upstream),
            ("related", &document.related),
        ] {
            if !list.is_empty() {
                out.serialize_field(name, list)?;
            }
        }
        if let Some(summary) = &document.summary {
            out.serialize_field("summary", summary)?;
        }
        if let Some(details) = &document.details {
            out.serialize_field("details", details)?;
        }
        if !document.severity.is_empty() {
            out.serialize_field("severity", &document.severity)?;
        }
        let affected: Vec<_> = document
            .affected
            .iter()
            .map(|affected| WrittenAffected::of(affected, *naming))
            .collect();
        out.serialize_field("affected", &affected)?;
        if !document.references.is_empty() {
            out.serialize_field("references", &document.references)?;
        }
        if !document.database_specific.is_empty() {
            out.serialize_field("database_specific", &document.database_specific)?;
        }
        out.end()
    }
}

#[derive(Serialize)]
struct WrittenAffected<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    package: Option<&'a Package>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    ranges: &'a [Range],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    versions: &'a [String],
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    ecosystem_specific: BTreeMap<&'a str, SpecificValue<'a>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    database_specific: &'a Specific,
}

#[derive(Serialize)]
#[serde(untagged)]
enum SpecificValue<'a> {
    Text(&'a str),
    Any(&'a Value),
}

impl<'a> WrittenAffected<'a> {
    fn of(affected: &'a Affected, naming: Naming) -> Self {
        let mut specific: BTreeMap<&str, SpecificValue<'_>> = affected
            .ecosystem_specific
            .iter()
            .map(|(name, value)| (name.as_str(), SpecificValue::Any(value)))
            .collect();
        let stays = |package: &&Package| naming == Naming::Open || package.is_listed();
        let package = affected.package.as_ref().filter(stays);
        if let (Some(moved), None) = (&affected.package, package) {
            specific.insert("ecosystem", SpecificValue::Text(&moved.ecosystem));
            specific.insert("package", SpecificValue::Text(&moved.name));
            if let Some(purl) = &moved.purl {
                specific.insert("purl", SpecificValue::Text(purl));
            }
        }
        Self {
            package,
            ranges: &affected.ranges,
            versions: &affected.versions,
            ecosystem_specific: specific,
            database_specific: &affected.database_specific,
        }
    }
}

const SCHEMA_VERSION: &str = "1.7.5";

/// The ecosystems that the format lists, in July 2026.
const ECOSYSTEMS: &[&str] = &[
    "AlmaLinux",
    "Alpaquita",
    "Alpine",
    "Android",
    "Azure Linux",
    "BellSoft Hardened Containers",
    "Bioconductor",
    "Bitnami",
    "Chainguard",
    "CleanStart",
    "ConanCenter",
    "CRAN",
    "crates.io",
    "Debian",
    "Docker Hardened Images",
    "Echo",
    "FreeBSD",
    "GHC",
    "GIT",
    "GitHub Actions",
    "Go",
    "Hackage",
    "Hex",
    "Julia",
    "Kubernetes",
    "Linux",
    "Mageia",
    "Maven",
    "MinimOS",
    "npm",
    "NuGet",
    "opam",
    "openEuler",
    "openSUSE",
    "OSS-Fuzz",
    "Packagist",
    "Photon OS",
    "Pub",
    "PyPI",
    "Red Hat",
    "Rocky Linux",
    "Root",
    "RubyGems",
    "SUSE",
    "SwiftURL",
    "TuxCare",
    "Ubuntu",
    "VSCode",
    "Wolfi",
];
