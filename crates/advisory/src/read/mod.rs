//! Readers: bytes of one JSON document or CSV file in, [`Record`]s out.
//!
//! A reader never fails on a field that it does not know. A record that does not fit is told with
//! its place, skipped and counted; the rest of the document is still read. No network, no files:
//! `snowguard-feeds` brings the bytes.

pub mod cve5;
pub mod epss;
pub mod facts;
pub mod kev;
pub mod nvd;
pub mod osv;
mod prose;
mod ranges;

use serde::Deserialize;

use crate::id::{AdvisoryId, CveId};
use crate::record::Record;
use crate::texts::Texts;

/// The format of a document, told from its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// One CVE record, version 5.
    Cve5,
    /// One OSV record.
    Osv,
    /// NVD 2.0: one item, or a feed of them.
    Nvd,
    /// The KEV catalogue.
    Kev,
    /// EPSS scores, as CSV.
    Epss,
    /// Our own facts: one record.
    Facts,
}

impl Format {
    /// As a reader sees it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cve5 => "CVE 5",
            Self::Osv => "OSV",
            Self::Nvd => "NVD 2.0",
            Self::Kev => "KEV",
            Self::Epss => "EPSS",
            Self::Facts => "facts",
        }
    }

    /// Tells the format of a document. Only the names of its outermost fields are looked at.
    pub fn detect(document: &[u8]) -> Result<Self, ReadError> {
        let start = document
            .iter()
            .position(|b| !b.is_ascii_whitespace())
            .unwrap_or(0);
        let document = document[start..]
            .strip_prefix(b"\xef\xbb\xbf")
            .unwrap_or(&document[start..]);
        if document.starts_with(b"#model_version") || document.starts_with(b"cve,epss") {
            return Ok(Self::Epss);
        }
        if !document.starts_with(b"{") {
            return Err(ReadError::UnknownFormat);
        }
        let fields: Fields = serde_json::from_slice(document).map_err(ReadError::json)?;
        Ok(
            if fields.containers.is_some() || fields.cve_metadata.is_some() {
                Self::Cve5
            } else if fields.affects.is_some() || fields.exploited.is_some() {
                Self::Facts
            } else if fields.catalog_version.is_some() {
                Self::Kev
            } else if fields.vulnerabilities.is_some()
                || fields.cve.is_some()
                || fields.configurations.is_some()
            {
                Self::Nvd
            } else if fields.id.is_some() {
                Self::Osv
            } else {
                return Err(ReadError::UnknownFormat);
            },
        )
    }

    /// Reads one document. Each record, or each error about one, goes to `sink`.
    pub fn read(self, document: &[u8], sink: &mut dyn FnMut(Result<Record, ReadError>)) {
        self.read_with(With::Facts, document, sink);
    }

    /// As [`Self::read`], with or without the words of authors.
    pub fn read_with(
        self,
        with: With,
        document: &[u8],
        sink: &mut dyn FnMut(Result<Record, ReadError>),
    ) {
        match self {
            Self::Cve5 => sink(cve5::read_with(with, document)),
            Self::Osv => sink(osv::read_with(with, document)),
            Self::Nvd => nvd::read_with(with, document, sink),
            Self::Kev => kev::read_with(with, document, sink),
            Self::Epss => epss::read(document, sink),
            Self::Facts => sink(facts::read(document)),
        }
    }
}

/// What is read of a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum With {
    /// What matching and ranking need.
    #[default]
    Facts,
    /// The words of its author as well: [`Record::texts`].
    Texts,
}

impl With {
    /// The texts, if they are wanted and there are any.
    fn texts(self, fill: impl FnOnce(&mut Texts)) -> Option<Box<Texts>> {
        let mut texts = Texts::default();
        if self == Self::Texts {
            fill(&mut texts);
        }
        (!texts.is_empty()).then(|| Box::new(texts))
    }
}

#[derive(Deserialize)]
struct Fields {
    id: Option<serde::de::IgnoredAny>,
    affects: Option<serde::de::IgnoredAny>,
    exploited: Option<serde::de::IgnoredAny>,
    containers: Option<serde::de::IgnoredAny>,
    #[serde(rename = "cveMetadata")]
    cve_metadata: Option<serde::de::IgnoredAny>,
    #[serde(rename = "catalogVersion")]
    catalog_version: Option<serde::de::IgnoredAny>,
    vulnerabilities: Option<serde::de::IgnoredAny>,
    configurations: Option<serde::de::IgnoredAny>,
    cve: Option<serde::de::IgnoredAny>,
}

/// For fields that are nobody's schema, or that nothing depends on: a value of another shape is no value.
fn lenient<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + serde::de::DeserializeOwned,
{
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).unwrap_or_default())
}

/// Why a document or one of its records could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Not JSON, or not of the shape that the format has.
    #[error("line {line}, column {column}: the record does not fit its format")]
    Json {
        /// Line in the document, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What does not fit.
        source: serde_json::Error,
    },
    /// JSON, but of no format that is known here.
    #[error("the document is neither CVE 5, OSV, NVD 2.0, KEV, EPSS nor facts")]
    UnknownFormat,
    /// A CSV line that does not fit.
    #[error("line {line}: expected `cve,epss,percentile`")]
    Csv {
        /// Line in the document, from 1.
        line: usize,
    },
    /// A record without a usable id.
    #[error("the record has no id")]
    NoId,
    /// An id that is none.
    #[error("the record's id is not usable")]
    Id(#[source] crate::id::InvalidId),
    /// More than a record may hold.
    #[error("the record has {count} {what}; at most {limit} are read")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
}

impl ReadError {
    pub(crate) fn json(source: serde_json::Error) -> Self {
        Self::Json {
            line: source.line(),
            column: source.column(),
            source,
        }
    }
}

/// How many affected entries, rules per entry, products per entry and references are read.
const LIMIT_AFFECTED: usize = 20_000;
const LIMIT_RULES: usize = 20_000;
const LIMIT_REFERENCES: usize = 10_000;

fn within(what: &'static str, count: usize, limit: usize) -> Result<(), ReadError> {
    if count > limit {
        Err(ReadError::TooMany { what, count, limit })
    } else {
        Ok(())
    }
}

/// The id of a record that must be about a CVE.
fn cve_id(text: Option<String>) -> Result<AdvisoryId, ReadError> {
    let id: CveId = text
        .ok_or(ReadError::NoId)?
        .parse()
        .map_err(ReadError::Id)?;
    Ok(id.into())
}

/// The day of an RFC 3339 timestamp, or of a plain date. `0001-01-01`, which some feeds write for
/// "unknown", is none.
fn day(text: Option<&str>) -> Option<jiff::civil::Date> {
    let date: jiff::civil::Date = text?.get(..10)?.parse().ok()?;
    (date.year() >= 1980).then_some(date)
}

/// Titles are kept short: they are for the eye, and the index is for matching.
fn summary(text: Option<&str>) -> Option<String> {
    let text = text?.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(160) {
        _ if text.is_empty() => None,
        Some((end, _)) => Some(format!("{}…", &text[..end])),
        None => Some(text),
    }
}

/// The elements of a JSON list, as the bytes that they are; none if it is no JSON list.
pub fn split_list(document: &[u8]) -> Option<Vec<&[u8]>> {
    let elements: Vec<&serde_json::value::RawValue> = serde_json::from_slice(document).ok()?;
    Some(
        elements
            .into_iter()
            .map(|element| element.get().as_bytes())
            .collect(),
    )
}
