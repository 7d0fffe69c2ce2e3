//! OSV records, of any ecosystem; unknown ecosystems are kept under their own name.
//!
//! Source: OSV schema 1.7. Ranges of type GIT place no release; their `fixed` events are the
//! fixing commits. `RustSec`'s own files, which have requirements in `database_specific` instead of
//! ranges, are read as well.

use serde::Deserialize;

use super::cve5::dedup;
use super::ranges::{self, rule};
use super::{
    LIMIT_AFFECTED, LIMIT_REFERENCES, LIMIT_RULES, ReadError, With, day, lenient, prose, summary,
    within,
};
use crate::authority;
use crate::cpe::Cpe;
use crate::id::AdvisoryId;
use crate::identity::{PackageKey, Product, RepoKey};
use crate::order::{Scheme, Version};
use crate::range::{Judgement, Lower, Rule, Span, Status, Upper, judge};
use crate::record::{Affected, Commit, Platform, Record};
use crate::severity::{CvssVector, Rating, Severity};

/// Reads one record.
pub fn read(document: &[u8]) -> Result<Record, ReadError> {
    read_with(With::Facts, document)
}

/// As [`read`], with or without the words of its author.
pub fn read_with(with: With, document: &[u8]) -> Result<Record, ReadError> {
    let raw: Raw = serde_json::from_slice(document).map_err(ReadError::json)?;
    let id: AdvisoryId = raw
        .id
        .ok_or(ReadError::NoId)?
        .parse()
        .map_err(ReadError::Id)?;
    within("affected entries", raw.affected.len(), LIMIT_AFFECTED)?;
    within("references", raw.references.len(), LIMIT_REFERENCES)?;
    let mut record = Record::new(id);
    record.aliases = raw
        .aliases
        .iter()
        .filter_map(|alias| alias.parse().ok())
        .collect();
    record.withdrawn = raw.withdrawn.is_some();
    record.published = day(raw.published.as_deref());
    record.modified = day(raw.modified.as_deref());
    record.summary = summary(raw.summary.as_deref());
    let of_packages = raw.affected.iter().flat_map(|affected| &affected.severity);
    for score in raw.severity.iter().chain(of_packages) {
        let vector = score
            .score
            .as_deref()
            .and_then(|text| text.parse::<CvssVector>().ok());
        if let Some(severity) = vector.map(Severity::Vector)
            && !record.severities.contains(&severity)
        {
            record.severities.push(severity);
        }
    }
    if record.severities.is_empty() {
        record.severities.extend(
            raw.database_specific
                .severity
                .as_deref()
                .and_then(Rating::from_word)
                .map(Severity::Word),
        );
    }
    let fixes = raw
        .references
        .iter()
        .filter(|r| r.kind.as_deref() == Some("FIX"));
    record.fixes = fixes
        .filter_map(|r| Commit::from_url(r.url.as_deref()?))
        .collect();
    record.texts = with.texts(|texts| {
        texts.describe(raw.details.as_deref());
        for reference in &raw.references {
            texts.refer(
                reference.url.as_deref(),
                reference.kind.as_deref().into_iter(),
            );
        }
    });
    let database = record.id.database().to_owned();
    // CPEs beside the packages are about the package only where there is but one.
    let cpes = if raw.affected.len() == 1 {
        &raw.database_specific.cpes[..]
    } else {
        &[]
    };
    for affected in raw.affected {
        let versions = affected.versions.len()
            + affected
                .ranges
                .iter()
                .map(|r| r.events.len())
                .sum::<usize>();
        within("versions", versions, LIMIT_RULES)?;
        record.fixes.extend(affected.fixes());
        record.affects.extend(affected.affected(&database, cpes));
    }
    record.restrict_by_prose(&prose::systems(&[
        raw.summary.as_deref(),
        raw.details.as_deref(),
    ]));
    record.fixes.sort_unstable();
    record.fixes.dedup();
    Ok(record)
}

#[derive(Deserialize)]
struct Raw {
    id: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    aliases: Vec<String>,
    published: Option<String>,
    modified: Option<String>,
    withdrawn: Option<String>,
    summary: Option<String>,
    details: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    severity: Vec<Score>,
    #[serde(default, deserialize_with = "or_default")]
    affected: Vec<Entry>,
    #[serde(default, deserialize_with = "or_default")]
    references: Vec<Reference>,
    #[serde(default, deserialize_with = "or_default")]
    database_specific: DatabaseSpecific,
}

/// `null` where a list or an object is meant is nothing.
fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[derive(Deserialize)]
struct Score {
    score: Option<String>,
}

#[derive(Deserialize)]
struct Reference {
    #[serde(rename = "type")]
    kind: Option<String>,
    url: Option<String>,
}

/// What databases put where the schema leaves them free.
#[derive(Default, Deserialize)]
#[serde(default)]
struct DatabaseSpecific {
    #[serde(deserialize_with = "lenient")]
    severity: Option<String>,
    #[serde(deserialize_with = "lenient")]
    cpes: Vec<String>,
    #[serde(deserialize_with = "lenient")]
    patched: Option<Vec<String>>,
    #[serde(deserialize_with = "lenient")]
    unaffected: Vec<String>,
    #[serde(deserialize_with = "lenient")]
    informational: Option<String>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default, deserialize_with = "or_default")]
    package: Package,
    #[serde(default, deserialize_with = "or_default")]
    severity: Vec<Score>,
    #[serde(default, deserialize_with = "or_default")]
    ranges: Vec<Range>,
    #[serde(default, deserialize_with = "or_default")]
    versions: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    database_specific: DatabaseSpecific,
    #[serde(default, deserialize_with = "or_default")]
    ecosystem_specific: EcosystemSpecific,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Package {
    ecosystem: Option<String>,
    name: Option<String>,
    purl: Option<String>,
}

#[derive(Deserialize)]
struct Range {
    #[serde(rename = "type")]
    kind: Option<String>,
    repo: Option<String>,
    #[serde(default)]
    events: Vec<Event>,
}

#[derive(Deserialize)]
struct Event {
    introduced: Option<String>,
    fixed: Option<String>,
    last_affected: Option<String>,
    limit: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct EcosystemSpecific {
    #[serde(deserialize_with = "lenient")]
    imports: Vec<Import>,
}

/// A Go package, perhaps only on some systems.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Import {
    goos: Vec<String>,
}

impl Entry {
    fn fixes(&self) -> impl Iterator<Item = Commit> {
        let git = self.ranges.iter().filter(|range| range.is_git());
        git.flat_map(|range| &range.events)
            .filter_map(|event| event.fixed.as_deref()?.parse().ok())
    }

    fn affected(self, database: &str, cpes: &[String]) -> Option<Affected> {
        if matches!(
            self.database_specific.informational.as_deref(),
            Some("unmaintained" | "notice")
        ) {
            return None;
        }
        let ecosystem = self.package.ecosystem.as_deref().unwrap_or_default();
        let products = self.products(cpes);
        if products.is_empty() {
            return None;
        }
        let only_commits = self.versions.is_empty()
            && self.ranges.iter().any(|r| !r.events.is_empty())
            && self.ranges.iter().all(Range::is_git);
        let scheme = if only_commits {
            Scheme::Git
        } else {
            scheme_of(ecosystem)
        };
        let (default, mut rules) = match &self.database_specific.patched {
            Some(patched) => (
                Status::Affected,
                requirements(patched, &self.database_specific.unaffected),
            ),
            None => (
                Status::Unaffected,
                self.ranges
                    .iter()
                    .flat_map(|range| range.rules(scheme))
                    .collect(),
            ),
        };
        self.add_versions(scheme, &mut rules);
        let default = if rules.is_empty() && default == Status::Unaffected {
            Status::Unknown
        } else {
            default
        };
        let imports = &self.ecosystem_specific.imports;
        let mut platforms: Vec<Platform> = if imports.iter().any(|import| import.goos.is_empty()) {
            Vec::new()
        } else {
            let systems = imports.iter().flat_map(|import| &import.goos);
            systems
                .map(|system| Platform::from_word(system).unwrap_or(Platform::Other))
                .collect()
        };
        platforms.sort_unstable();
        platforms.dedup();
        Some(Affected {
            upstream: authority::is_upstream(database, &products),
            products,
            by: Some(database.into()),
            scheme,
            default,
            rules,
            platforms,
            ..Affected::default()
        })
    }

    fn products(&self, cpes: &[String]) -> Vec<Product> {
        let mut products = Vec::new();
        let ecosystem = self.package.ecosystem.as_deref().unwrap_or_default();
        if let Some(name) = self.package.name.as_deref() {
            // Upstreams' own lists have no ecosystem, and OSS-Fuzz's names are upstreams' names.
            if ecosystem.is_empty() || ecosystem == "OSS-Fuzz" {
                products.extend(Product::from_vendor_product(None, name));
            } else if let Ok(key) = PackageKey::from_osv(ecosystem, name) {
                products.extend(key.go_repository().map(Product::Repository));
                products.push(Product::Package(key));
            }
        }
        if let Some(key) = self
            .package
            .purl
            .as_deref()
            .and_then(|purl| PackageKey::from_purl(purl).ok())
        {
            if key.kind() == "generic" {
                products.extend(Product::from_vendor_product(None, key.name()));
            } else {
                products.push(Product::Package(key));
            }
        }
        let repos = self.ranges.iter().filter_map(|range| range.repo.as_deref());
        products.extend(repos.filter_map(RepoKey::from_url).map(Product::Repository));
        let cpes = cpes
            .iter()
            .chain(&self.database_specific.cpes)
            .filter_map(|cpe| cpe.parse::<Cpe>().ok());
        products.extend(cpes.filter_map(|cpe| Product::from_cpe(&cpe)));
        dedup(products)
    }

    /// Adds the enumerated versions that no range covers: the schema says "in either".
    fn add_versions(&self, scheme: Scheme, rules: &mut Vec<Rule<Box<str>>>) {
        let tags = self.ranges.iter().all(Range::is_git);
        let mut extra = Vec::new();
        for version in &self.versions {
            let version = if tags {
                release_of_tag(version)
            } else {
                version.clone()
            };
            if !ranges::looks_like_version(&version) {
                continue;
            }
            let borrowed = rules.iter().map(Rule::borrowed);
            let known = judge(Version::new(&version), scheme, Status::Unaffected, borrowed);
            if !matches!(known, Judgement::Inside { .. }) {
                extra.push(rule(Status::Affected, Span::Exact(version.into())));
            }
        }
        rules.extend(extra);
    }
}

/// The release that a tag stands for: `v1.2.3`, `R_2_2_8`, `openssl-1.1.1g`.
fn release_of_tag(tag: &str) -> String {
    let start = tag.find(|c: char| c.is_ascii_digit()).unwrap_or(0);
    tag[start..].replace('_', ".")
}

impl Range {
    fn is_git(&self) -> bool {
        self.kind.as_deref() == Some("GIT")
    }

    fn rules(&self, scheme: Scheme) -> Vec<Rule<Box<str>>> {
        if self.is_git() {
            return Vec::new();
        }
        let mut events: Vec<(Edge, &str)> = self.events.iter().filter_map(Event::edge).collect();
        events.sort_by(|(_, a), (_, b)| match (*a == "0", *b == "0") {
            (true, true) => std::cmp::Ordering::Equal,
            (true, false) => std::cmp::Ordering::Less,
            (false, true) => std::cmp::Ordering::Greater,
            (false, false) => Version::new(a)
                .compare(b, scheme)
                .unwrap_or(std::cmp::Ordering::Equal),
        });
        let mut rules = Vec::new();
        let mut start: Option<&str> = None;
        let lower = |from: &str| {
            if from == "0" {
                Lower::Start
            } else {
                Lower::From(from.into())
            }
        };
        for (edge, version) in events {
            match (edge, start) {
                (Edge::Introduced, None) => start = Some(version),
                (Edge::Fixed, Some(from)) => {
                    rules.push(rule(
                        Status::Affected,
                        Span::Between(lower(from), Upper::Before(version.into())),
                    ));
                    start = None;
                }
                (Edge::LastAffected, Some(from)) => {
                    rules.push(rule(
                        Status::Affected,
                        Span::Between(lower(from), Upper::UpTo(version.into())),
                    ));
                    start = None;
                }
                (Edge::Introduced, Some(_)) | (Edge::Fixed | Edge::LastAffected, None) => {}
            }
        }
        if let Some(from) = start {
            rules.push(rule(
                Status::Affected,
                Span::Between(lower(from), Upper::Open),
            ));
        }
        rules
    }
}

#[derive(Clone, Copy)]
enum Edge {
    Introduced,
    Fixed,
    LastAffected,
}

impl Event {
    fn edge(&self) -> Option<(Edge, &str)> {
        let edges = [
            (Edge::Introduced, &self.introduced),
            (Edge::Fixed, &self.fixed),
            (Edge::LastAffected, &self.last_affected),
            // What a limit excludes is out of the range's sight, which here means not affected.
            (Edge::Fixed, &self.limit),
        ];
        edges
            .into_iter()
            .find_map(|(edge, version)| Some((edge, version.as_deref()?.trim())))
    }
}

/// `RustSec`: everything is affected but what is patched or was never affected.
fn requirements(patched: &[String], unaffected: &[String]) -> Vec<Rule<Box<str>>> {
    let mut rules = Vec::new();
    for requirement in patched.iter().chain(unaffected) {
        let span = match semver::VersionReq::parse(requirement) {
            Ok(parsed) => bounds(&parsed).unwrap_or_else(|| ranges::prose(requirement)),
            Err(_) => ranges::prose(requirement),
        };
        rules.push(rule(Status::Unaffected, span));
    }
    rules
}

/// A requirement as one range; none where it is not one.
fn bounds(requirement: &semver::VersionReq) -> Option<Span<Box<str>>> {
    let (mut lower, mut upper) = (Lower::Start, Upper::Open);
    for comparator in &requirement.comparators {
        let minor = comparator.minor.unwrap_or(0);
        let patch = comparator.patch.unwrap_or(0);
        let mut version = format!("{}.{minor}.{patch}", comparator.major);
        if !comparator.pre.is_empty() {
            version = format!("{version}-{}", comparator.pre);
        }
        let version: Box<str> = version.into();
        let caret = || -> Box<str> {
            match (comparator.major, comparator.minor, comparator.patch) {
                (0, Some(0), Some(patch)) => format!("0.0.{}", patch + 1),
                (0, Some(minor), _) => format!("0.{}.0", minor + 1),
                (major, _, _) => format!("{}.0.0", major + 1),
            }
            .into()
        };
        match comparator.op {
            semver::Op::Exact if comparator.patch.is_some() => return Some(Span::Exact(version)),
            semver::Op::Greater => lower = Lower::After(version),
            semver::Op::GreaterEq => lower = Lower::From(version),
            semver::Op::Less => upper = Upper::Before(version),
            semver::Op::LessEq => upper = Upper::UpTo(version),
            semver::Op::Caret => {
                upper = Upper::Before(caret());
                lower = Lower::From(version);
            }
            semver::Op::Tilde => {
                let end = match comparator.minor {
                    Some(minor) => format!("{}.{}.0", comparator.major, minor + 1),
                    None => format!("{}.0.0", comparator.major + 1),
                };
                upper = Upper::Before(end.into());
                lower = Lower::From(version);
            }
            _ => return None,
        }
    }
    (lower != Lower::Start || upper != Upper::Open).then_some(Span::Between(lower, upper))
}

fn scheme_of(ecosystem: &str) -> Scheme {
    match ecosystem.split(':').next().unwrap_or_default() {
        "PyPI" => Scheme::Pep440,
        "Go" | "crates.io" | "npm" | "Hex" | "Pub" => Scheme::Semver,
        "AlmaLinux"
        | "Alpaquita"
        | "Alpine"
        | "Android"
        | "Azure Linux"
        | "BellSoft Hardened Containers"
        | "Chainguard"
        | "CleanStart"
        | "Debian"
        | "Echo"
        | "FreeBSD"
        | "Mageia"
        | "MinimOS"
        | "Photon OS"
        | "Red Hat"
        | "Rocky Linux"
        | "Root"
        | "SUSE"
        | "Ubuntu"
        | "Wolfi"
        | "openEuler"
        | "openSUSE" => Scheme::Distribution,
        _ => Scheme::Release,
    }
}
