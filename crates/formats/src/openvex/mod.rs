//! OpenVEX: statements that a vulnerability does or does not affect a product; 0.0 to 0.2 is read,
//! 0.2.0 is written.
//!
//! The forms of 0.0 (a vulnerability or a product as a bare string, subcomponents beside the
//! products) are read into the types of 0.2. Whether a statement concerns a component is not
//! decided here: products and their identifiers are plain text.

mod check;
mod read;

use std::collections::BTreeMap;
use std::io::Write;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use crate::error::{Problem, ReadError, WriteError};
use crate::json::{self, Layout};
use crate::open_enum::open_enum;
use crate::{Format, Limits, Readable, Timestamp, iri};

/// A whole OpenVEX document.
///
/// ```
/// use snowguard_formats::openvex::{Document, Justification, Product, Statement, Status};
///
/// let now: jiff::Timestamp = "2026-01-31T12:00:00Z".parse()?;
/// let document = Document {
///     statements: vec![Statement {
///         justification: Some(Justification::VulnerableCodeNotPresent),
///         ..Statement::new(
///             "CVE-2026-0001",
///             Product::purl("pkg:generic/zlib@1.3.1"),
///             Status::NotAffected,
///         )
///     }],
///     ..Document::new("https://example.org/vex/1", "Example maintainers", now.into())
/// };
/// assert!(document.problems().is_empty());
/// let json = document.to_json(Default::default())?;
/// assert_eq!(Document::read(&json, &Default::default())?, document);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The URL of the version that the document was read as. Always written as that of 0.2.0.
    pub context: String,
    /// An IRI that no other document has.
    pub id: String,
    /// Who says so: a person or an organisation.
    pub author: String,
    /// In what capacity.
    pub role: Option<String>,
    /// When the document was issued; statements without a time of their own have this one.
    pub timestamp: Option<Timestamp>,
    /// When it last changed.
    pub last_updated: Option<Timestamp>,
    /// Counts the revisions, from 1.
    pub version: u64,
    /// What made it.
    pub tooling: Option<String>,
    /// The statements.
    pub statements: Vec<Statement>,
}

impl Document {
    /// A document without statements.
    pub fn new(id: impl Into<String>, author: impl Into<String>, timestamp: Timestamp) -> Self {
        Self {
            context: CONTEXT.to_owned(),
            id: id.into(),
            author: author.into(),
            role: None,
            timestamp: Some(timestamp),
            last_updated: None,
            version: 1,
            tooling: None,
            statements: Vec::new(),
        }
    }

    /// Reads a document, version 0.0 to 0.2.
    pub fn read(bytes: &[u8], limits: &Limits) -> Result<Self, ReadError> {
        crate::read_known(Format::OpenVex, bytes, limits, &READABLE)?;
        read::document(bytes, limits)
    }

    /// Writes the document as JSON, version 0.2.0: the same bytes for the same value.
    pub fn write(&self, out: &mut dyn Write, layout: Layout) -> Result<(), WriteError> {
        json::write(Format::OpenVex, self, layout, out)
    }

    /// As [`write`](Self::write), into memory.
    pub fn to_json(&self, layout: Layout) -> Result<Vec<u8>, WriteError> {
        let mut out = Vec::new();
        self.write(&mut out, layout)?;
        Ok(out)
    }

    /// When a statement of this document was made: its own time, else the document's.
    pub fn time_of<'a>(&'a self, statement: &'a Statement) -> Option<&'a Timestamp> {
        statement.timestamp.as_ref().or(self.timestamp.as_ref())
    }

    /// The statements in the order in which they count, the latest last.
    ///
    /// A later statement on the same vulnerability and product overrides an earlier one. Statements
    /// of one time keep the order of the document; those without any time come first.
    pub fn chronological(&self) -> Vec<&Statement> {
        let mut statements: Vec<_> = self.statements.iter().collect();
        statements
            .sort_by_cached_key(|statement| self.time_of(statement).and_then(Timestamp::instant));
        statements
    }

    /// What the specification says against the document as written.
    ///
    /// A document without errors here is valid by its schema.
    pub fn problems(&self) -> Vec<Problem> {
        check::problems(self)
    }
}

impl Serialize for Document {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut document = serializer.serialize_struct("Document", 9)?;
        document.serialize_field("@context", CONTEXT)?;
        document.serialize_field("@id", &iri::encode(&self.id, iri::Alphabet::Iri))?;
        document.serialize_field("author", &self.author)?;
        if let Some(role) = &self.role {
            document.serialize_field("role", role)?;
        }
        if let Some(timestamp) = &self.timestamp {
            document.serialize_field("timestamp", timestamp)?;
        }
        if let Some(last_updated) = &self.last_updated {
            document.serialize_field("last_updated", last_updated)?;
        }
        document.serialize_field("version", &self.version)?;
        if let Some(tooling) = &self.tooling {
            document.serialize_field("tooling", tooling)?;
        }
        document.serialize_field("statements", &self.statements)?;
        document.end()
    }
}

/// One assertion: these products have this status with regard to this vulnerability.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Statement {
    /// An IRI of the statement.
    #[serde(
        rename = "@id",
        skip_serializing_if = "Option::is_none",
        serialize_with = "iri::iri_option"
    )]
    pub id: Option<String>,
    /// Counts the revisions of the statement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// The vulnerability.
    pub vulnerability: Vulnerability,
    /// When this was known to be true; the document's time unless stated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Timestamp>,
    /// When it last changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_updated: Option<Timestamp>,
    /// The products.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub products: Vec<Product>,
    /// The verdict.
    pub status: Status,
    /// Who supplies the product.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub supplier: Option<String>,
    /// How the verdict was reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_notes: Option<String>,
    /// Why the products are not affected, as one of five reasons.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub justification: Option<Justification>,
    /// Why the products are not affected, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub impact_statement: Option<String>,
    /// What to do, where the products are affected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action_statement: Option<String>,
    /// When that was said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action_statement_timestamp: Option<Timestamp>,
}

impl Statement {
    /// A statement on one product. `not_affected` still needs a justification or an impact
    /// statement, and `affected` an action statement.
    pub fn new(vulnerability: impl Into<String>, product: Product, status: Status) -> Self {
        Self {
            id: None,
            version: None,
            vulnerability: Vulnerability::new(vulnerability),
            timestamp: None,
            last_updated: None,
            products: vec![product],
            status,
            supplier: None,
            status_notes: None,
            justification: None,
            impact_statement: None,
            action_statement: None,
            action_statement_timestamp: None,
        }
    }
}

open_enum! {
    /// The verdict of a statement.
    pub enum Status {
        /// The vulnerability does not matter for the products.
        NotAffected = "not_affected",
        /// Something should be done.
        Affected = "affected",
        /// The products have a fix.
        Fixed = "fixed",
        /// Not known yet.
        UnderInvestigation = "under_investigation",
    }
}

open_enum! {
    /// Why products are not affected.
    pub enum Justification {
        /// The component is not in the product.
        ComponentNotPresent = "component_not_present",
        /// The component is there, the vulnerable code is not.
        VulnerableCodeNotPresent = "vulnerable_code_not_present",
        /// The vulnerable code is there and never run.
        VulnerableCodeNotInExecutePath = "vulnerable_code_not_in_execute_path",
        /// The vulnerable code is run, and no attacker has a say in it.
        VulnerableCodeCannotBeControlledByAdversary =
            "vulnerable_code_cannot_be_controlled_by_adversary",
        /// Something else prevents the attack.
        InlineMitigationsAlreadyExist = "inline_mitigations_already_exist",
    }
}

/// A vulnerability by all its names.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Vulnerability {
    /// An IRI of its record.
    #[serde(
        rename = "@id",
        skip_serializing_if = "Option::is_none",
        serialize_with = "iri::iri_option"
    )]
    pub id: Option<String>,
    /// The name that is used for it, such as a CVE.
    pub name: String,
    /// What it is, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Its other names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
}

impl Vulnerability {
    /// A vulnerability by its name.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }

    /// Its name and its other names, each once.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let other = self.aliases.iter().filter(|alias| **alias != self.name);
        std::iter::once(self.name.as_str()).chain(other.map(String::as_str))
    }
}

/// A product, by any of its identifiers, and the parts of it that a statement is about.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Product {
    /// An IRI, often a package URL.
    #[serde(
        rename = "@id",
        skip_serializing_if = "Option::is_none",
        serialize_with = "iri::iri_option"
    )]
    pub id: Option<String>,
    /// `purl`, `cpe22` and `cpe23` with their values.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub identifiers: BTreeMap<String, String>,
    /// Digests by the name of the function, such as `sha-256`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub hashes: BTreeMap<String, String>,
    /// The parts that the statement is about; the product as a whole unless stated.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subcomponents: Vec<Subcomponent>,
}

impl Product {
    /// A product by its package URL.
    pub fn purl(purl: impl Into<String>) -> Self {
        let purl = purl.into();
        Self {
            id: Some(purl.clone()),
            identifiers: BTreeMap::from([("purl".to_owned(), purl)]),
            ..Self::default()
        }
    }

    /// A product by its IRI.
    pub fn id(id: impl Into<String>) -> Self {
        Self {
            id: Some(id.into()),
            ..Self::default()
        }
    }

    /// The product with a CPE of version 2.3.
    #[must_use]
    pub fn with_cpe23(mut self, cpe: impl Into<String>) -> Self {
        self.identifiers.insert("cpe23".to_owned(), cpe.into());
        self
    }

    /// The package URLs that it goes by: the identifier, and the IRI where it is one.
    pub fn purls(&self) -> impl Iterator<Item = &str> {
        purls(self.id.as_deref(), &self.identifiers)
    }
}

/// A part of a product, by any of its identifiers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Subcomponent {
    /// An IRI, often a package URL.
    #[serde(
        rename = "@id",
        skip_serializing_if = "Option::is_none",
        serialize_with = "iri::iri_option"
    )]
    pub id: Option<String>,
    /// `purl`, `cpe22` and `cpe23` with their values.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub identifiers: BTreeMap<String, String>,
    /// Digests by the name of the function, such as `sha-256`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub hashes: BTreeMap<String, String>,
}

impl Subcomponent {
    /// A part by its package URL.
    pub fn purl(purl: impl Into<String>) -> Self {
        let purl = purl.into();
        Self {
            id: Some(purl.clone()),
            identifiers: BTreeMap::from([("purl".to_owned(), purl)]),
            hashes: BTreeMap::new(),
        }
    }

    /// The package URLs that it goes by: the identifier, and the IRI where it is one.
    pub fn purls(&self) -> impl Iterator<Item = &str> {
        purls(self.id.as_deref(), &self.identifiers)
    }
}

fn purls<'a>(
    id: Option<&'a str>,
    identifiers: &'a BTreeMap<String, String>,
) -> impl Iterator<Item = &'a str> {
    let named = identifiers.get("purl").map(String::as_str);
    let id = id.filter(|id| id.starts_with("pkg:") && Some(*id) != named);
    named.into_iter().chain(id)
}

const CONTEXT: &str = "https://openvex.dev/ns/v0.2.0";

const READABLE: Readable = Readable {
    words: "0.0 to 0.2",
    // Without a version it is the name space alone, which every version before 1.0 allows.
    accepts: |version| {
        version.is_none_or(|version| {
            ["0.0", "0.1", "0.2"].iter().any(|known| {
                version
                    .strip_prefix(known)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            })
        })
    },
};
