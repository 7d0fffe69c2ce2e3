//! What an index hands out: sources, vulnerabilities, entries and products, borrowed from its bytes.

use jiff::civil::Date;

use super::lists::{ProductList, RuleList, VulnerabilityList};
use super::view::EntryId;
use crate::cpe::Part;
use crate::order::Scheme;
use crate::range::Status;
use crate::record::{Commit, PlatformSet};
use crate::severity::{Epss, Exploited, Severity, Ssvc};

/// What the records of an index came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source<'a> {
    /// Its name: the file or feed.
    pub name: &'a str,
    /// Its format.
    pub kind: SourceKind,
    /// How many records were read.
    pub records: u64,
    /// How many could not be read.
    pub skipped: u64,
    /// The newest day in its records.
    pub newest: Option<Date>,
    /// The newest day in those of its records that say which versions are affected.
    pub newest_range: Option<Date>,
}

/// The format of a source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SourceKind {
    /// CVE records, version 5.
    #[default]
    Cve5,
    /// OSV.
    Osv,
    /// NVD 2.0.
    Nvd,
    /// KEV.
    Kev,
    /// EPSS.
    Epss,
    /// Facts.
    Facts,
}

impl SourceKind {
    pub(super) const ALL: [Self; 6] = [
        Self::Cve5,
        Self::Osv,
        Self::Nvd,
        Self::Kev,
        Self::Epss,
        Self::Facts,
    ];

    /// As a reader sees it.
    pub fn as_str(self) -> &'static str {
        crate::read::Format::from(self).as_str()
    }

    /// Its number in an index, which never changes.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The format of a number.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }
}

impl From<SourceKind> for crate::read::Format {
    fn from(kind: SourceKind) -> Self {
        match kind {
            SourceKind::Cve5 => Self::Cve5,
            SourceKind::Osv => Self::Osv,
            SourceKind::Nvd => Self::Nvd,
            SourceKind::Kev => Self::Kev,
            SourceKind::Epss => Self::Epss,
            SourceKind::Facts => Self::Facts,
        }
    }
}

impl From<crate::read::Format> for SourceKind {
    fn from(format: crate::read::Format) -> Self {
        match format {
            crate::read::Format::Cve5 => Self::Cve5,
            crate::read::Format::Osv => Self::Osv,
            crate::read::Format::Nvd => Self::Nvd,
            crate::read::Format::Kev => Self::Kev,
            crate::read::Format::Epss => Self::Epss,
            crate::read::Format::Facts => Self::Facts,
        }
    }
}

/// A vulnerability: all that records say of it together, but for what is affected.
#[derive(Clone, Debug)]
pub struct VulnerabilityView<'a> {
    /// Its id: the CVE where there is one.
    pub id: &'a str,
    /// Its other names.
    pub aliases: Vec<&'a str>,
    /// Taken back.
    pub withdrawn: bool,
    /// First published.
    pub published: Option<Date>,
    /// Last changed.
    pub modified: Option<Date>,
    /// A title, in an author's words: escape it before you show it.
    pub summary: Option<&'a str>,
    /// All statements of severity, the best-placed author's first.
    pub severities: Vec<Severity>,
    /// Known exploitation.
    pub exploited: Option<Exploited>,
    /// Likelihood of exploitation.
    pub epss: Option<Epss>,
    /// CISA's decision points.
    pub ssvc: Option<Ssvc>,
    /// Commits that fix it.
    pub fixes: Vec<Commit>,
    /// The records: id, source, withdrawn.
    pub records: Vec<(&'a str, usize, bool)>,
    /// What is affected.
    pub entries: Vec<EntryId>,
}

impl VulnerabilityView<'_> {
    /// The statement of severity to show: the newest CVSS version, the first of its kind.
    pub fn severity(&self) -> Option<&Severity> {
        // `max_by_key` takes the last of equals; the first is wanted.
        self.severities
            .iter()
            .rev()
            .max_by_key(|severity| severity.precedence())
    }
}

/// One affected entry.
#[derive(Clone, Debug)]
pub struct EntryView<'a> {
    /// The record that says so.
    pub record: &'a str,
    /// Its source, as a number in [`super::Index::sources`].
    pub source: usize,
    /// The vulnerabilities of which the record speaks.
    pub vulnerabilities: VulnerabilityList<'a>,
    /// Who says so.
    pub by: Option<&'a str>,
    /// Whether they make the thing.
    pub upstream: bool,
    /// The order of the versions.
    pub scheme: Scheme,
    /// What holds where no rule does.
    pub default: Status,
    /// Only on these systems.
    pub platforms: PlatformSet,
    /// The systems to which the record's prose restricts itself: a hint, not a statement.
    pub prose_platforms: PlatformSet,
    /// The thing.
    pub products: ProductList<'a>,
    /// Only together with one of these.
    pub only_with: ProductList<'a>,
    /// Which versions.
    pub rules: RuleList<'a>,
}

/// A product as the index has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProductView<'a> {
    /// A package: `pypi/werkzeug`.
    Package(&'a str),
    /// A repository: `github.com/nixos/nix`.
    Repository(&'a str),
    /// A product by name.
    Named {
        /// The product.
        name: &'a str,
        /// Who makes it.
        vendor: Option<&'a str>,
        /// The part of a CPE.
        part: Option<Part>,
        /// For which software it is made.
        target_software: Option<&'a str>,
    },
}

impl std::fmt::Display for ProductView<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Package(key) => write!(f, "pkg:{key}"),
            Self::Repository(key) => f.write_str(key),
            Self::Named {
                name,
                vendor,
                target_software,
                ..
            } => {
                match vendor {
                    Some(vendor) => write!(f, "{vendor}:{name}")?,
                    None => f.write_str(name)?,
                }
                target_software.map_or(Ok(()), |target| write!(f, " for {target}"))
            }
        }
    }
}
