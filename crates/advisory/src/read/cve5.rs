//! CVE records, version 5: the CNA's container and every ADP's.
//!
//! Source: CVE JSON record format 5.1 (`CVE_Record_Format.json`). Each entry of each container's
//! `affected` and `cpeApplicability` becomes one [`Affected`], so that it stays told who said what.

use serde::Deserialize;

use super::nvd::{self, Configuration};
use super::ranges::{self, rule};
use super::{
    LIMIT_AFFECTED, LIMIT_REFERENCES, LIMIT_RULES, ReadError, With, cve_id, day, lenient, prose,
    summary, within,
};
use crate::authority;
use crate::cpe::Cpe;
use crate::identity::{Name, Named, PackageKey, Product, RepoKey};
use crate::order::{Scheme, Version};
use crate::range::{Lower, Rule, Span, Status, Upper};
use crate::record::{Affected, Commit, Platform, Record};
use crate::severity::{CvssVector, Exploitation, Exploited, Rating, Severity, Ssvc};

/// Reads one record.
pub fn read(document: &[u8]) -> Result<Record, ReadError> {
    read_with(With::Facts, document)
}

/// As [`read`], with or without the words of its author.
pub fn read_with(with: With, document: &[u8]) -> Result<Record, ReadError> {
    let raw: Raw = serde_json::from_slice(document).map_err(ReadError::json)?;
    let mut record = Record::new(cve_id(raw.metadata.cve_id)?);
    record.withdrawn = raw.metadata.state.as_deref() == Some("REJECTED");
    record.published = day(raw.metadata.date_published.as_deref());
    record.modified = day(raw.metadata.date_updated.as_deref());
    let own = raw.containers.cna.map(|own| (Whose::Publisher, own));
    let others = raw.containers.adp.into_iter();
    let containers: Vec<(Whose, Container)> = own
        .into_iter()
        .chain(others.map(|other| (Whose::Enricher, other)))
        .collect();
    let total = containers.iter().map(|(_, c)| c.affected.len()).sum();
    within("affected entries", total, LIMIT_AFFECTED)?;
    let own = containers.first().map(|(_, container)| container);
    let hosted_only = own.is_some_and(|own| own.tags.iter().any(|tag| tag == HOSTED_ONLY));
    let title = own.and_then(|c| c.title.as_deref());
    let systems = prose::systems(&[title, own.and_then(|c| english(&c.descriptions))]);
    record.texts = with.texts(|texts| {
        texts.describe(own.and_then(|own| english(&own.descriptions)));
        for reference in containers.iter().flat_map(|(_, c)| &c.references) {
            let tags = reference.tags.iter().map(String::as_str);
            texts.refer(reference.url.as_deref(), tags);
        }
    });
    for (whose, container) in containers {
        container.add_to(whose, &mut record)?;
    }
    record.restrict_by_prose(&systems);
    if hosted_only {
        for affected in &mut record.affects {
            affected.platforms = vec![Platform::Other];
        }
    }
    record.fixes.sort_unstable();
    record.fixes.dedup();
    Ok(record)
}

#[derive(Deserialize)]
struct Raw {
    #[serde(rename = "cveMetadata")]
    metadata: Metadata,
    containers: Containers,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    cve_id: Option<String>,
    state: Option<String>,
    date_published: Option<String>,
    date_updated: Option<String>,
}

#[derive(Deserialize)]
struct Containers {
    cna: Option<Container>,
    #[serde(default)]
    adp: Vec<Container>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Container {
    #[serde(default)]
    provider_metadata: Provider,
    title: Option<String>,
    #[serde(default)]
    descriptions: Vec<Description>,
    #[serde(default)]
    affected: Vec<Entry>,
    #[serde(default)]
    cpe_applicability: Vec<Configuration>,
    #[serde(default)]
    metrics: Vec<Metric>,
    #[serde(default)]
    references: Vec<Reference>,
    #[serde(default, deserialize_with = "lenient")]
    tags: Vec<String>,
}

/// The tag of a record about what only its provider runs: nobody can install it (CVE record format
/// 5, `cnaTags`).
const HOSTED_ONLY: &str = "exclusively-hosted-service";

#[derive(Deserialize)]
pub(super) struct Description {
    lang: Option<String>,
    value: Option<String>,
}

/// The English text among descriptions.
pub(super) fn english(descriptions: &[Description]) -> Option<&str> {
    let mut english = descriptions
        .iter()
        .filter(|d| d.lang.as_deref().is_none_or(|lang| lang.starts_with("en")));
    english
        .next()
        .and_then(|description| description.value.as_deref())
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Provider {
    short_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    vendor: Option<String>,
    product: Option<String>,
    package_name: Option<String>,
    #[serde(rename = "collectionURL")]
    collection_url: Option<String>,
    #[serde(rename = "packageURL")]
    package_url: Option<String>,
    repo: Option<String>,
    #[serde(default)]
    cpes: Vec<String>,
    #[serde(default)]
    platforms: Vec<String>,
    default_status: Option<String>,
    #[serde(default)]
    versions: Vec<VersionEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct VersionEntry {
    #[serde(default)]
    version: String,
    status: Option<String>,
    version_type: Option<String>,
    less_than: Option<String>,
    less_than_or_equal: Option<String>,
    #[serde(default)]
    changes: Vec<Change>,
}

#[derive(Deserialize)]
struct Change {
    at: String,
    status: String,
}

#[derive(Deserialize)]
struct Metric {
    #[serde(rename = "cvssV2_0")]
    v2: Option<Cvss>,
    #[serde(rename = "cvssV3_0")]
    v30: Option<Cvss>,
    #[serde(rename = "cvssV3_1")]
    v31: Option<Cvss>,
    #[serde(rename = "cvssV4_0")]
    v40: Option<Cvss>,
    other: Option<Other>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cvss {
    vector_string: Option<String>,
}

#[derive(Deserialize)]
struct Other {
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    content: serde_json::Map<String, serde_json::Value>,
}

#[derive(Deserialize)]
struct Reference {
    url: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    tags: Vec<String>,
}

impl Container {
    fn add_to(self, whose: Whose, record: &mut Record) -> Result<(), ReadError> {
        let by = self.provider_metadata.short_name;
        // Who enriches a record titles the container, not the vulnerability.
        if whose == Whose::Publisher {
            record.summary = summary(self.title.as_deref());
        }
        for entry in self.affected.into_iter().flat_map(Entry::by_purl) {
            within("versions", entry.versions.len(), LIMIT_RULES)?;
            record.fixes.extend(entry.fixes());
            if let Some(mut affected) = entry.affected(whose) {
                affected.upstream = by
                    .as_deref()
                    .is_some_and(|by| authority::is_upstream(by, &affected.products));
                affected.by = by.as_deref().map(Into::into);
                record.affects.push(affected);
            }
        }
        for mut affected in nvd::affected(&self.cpe_applicability)? {
            affected.upstream = by
                .as_deref()
                .is_some_and(|by| authority::is_upstream(by, &affected.products));
            affected.by = by.as_deref().map(Into::into);
            record.affects.push(affected);
        }
        within("references", self.references.len(), LIMIT_REFERENCES)?;
        let urls = self.references.iter().filter_map(|r| r.url.as_deref());
        record.fixes.extend(urls.filter_map(Commit::from_url));
        for metric in self.metrics {
            metric.add_to(record);
        }
        Ok(())
    }
}

impl Metric {
    fn add_to(self, record: &mut Record) {
        for cvss in [self.v40, self.v31, self.v30, self.v2]
            .into_iter()
            .flatten()
        {
            if let Some(vector) = cvss
                .vector_string
                .and_then(|text| text.parse::<CvssVector>().ok())
            {
                let severity = Severity::Vector(vector);
                if !record.severities.contains(&severity) {
                    record.severities.push(severity);
                }
            }
        }
        let Some(other) = self.other else { return };
        match other.kind.as_deref() {
            Some("ssvc") => record.ssvc = record.ssvc.or_else(|| ssvc(&other.content)),
            Some("kev") => {
                let since = other.content.get("dateAdded").and_then(|v| day(v.as_str()));
                record.exploited = record.exploited.or(since.map(|since| Exploited {
                    since,
                    due: None,
                    ransomware: false,
                }));
            }
            _ => {
                let word = other
                    .content
                    .get("text")
                    .and_then(|v| v.as_str())
                    .and_then(Rating::from_word);
                record.severities.extend(word.map(Severity::Word));
            }
        }
    }
}

/// The options are a list of maps with one key each, whose spelling varies in case.
fn ssvc(content: &serde_json::Map<String, serde_json::Value>) -> Option<Ssvc> {
    let (mut exploitation, mut automatable, mut total_impact) = (None, None, None);
    for option in content
        .get("options")?
        .as_array()?
        .iter()
        .filter_map(|o| o.as_object())
    {
        for (key, value) in option {
            let value = value.as_str().unwrap_or_default().to_ascii_lowercase();
            match key.to_ascii_lowercase().as_str() {
                "exploitation" => {
                    exploitation = match value.as_str() {
                        "none" => Some(Exploitation::None),
                        "poc" | "public poc" => Some(Exploitation::Poc),
                        "active" => Some(Exploitation::Active),
                        _ => None,
                    }
                }
                "automatable" => automatable = Some(value == "yes"),
                "technical impact" => total_impact = Some(value == "total"),
                _ => {}
            }
        }
    }
    Some(Ssvc {
        exploitation: exploitation?,
        automatable,
        total_impact,
    })
}

impl Entry {
    /// Apart by what its version fields speak of. Some hold whole purls, `pkg:rpm/redhat/NAME@VERSION`:
    /// those of another package than the entry's speak for themselves.
    fn by_purl(mut self) -> Vec<Self> {
        if !self.versions.iter().any(|v| v.version.starts_with("pkg:")) {
            return vec![self];
        }
        let names: Vec<Name> = [&self.product, &self.package_name]
            .into_iter()
            .filter_map(|name| Name::new(name.as_deref()?))
            .collect();
        let mut others: Vec<Self> = Vec::new();
        let mut own = Vec::new();
        for version in std::mem::take(&mut self.versions) {
            let Some(key) = PackageKey::from_purl(&version.version).ok() else {
                own.push(version);
                continue;
            };
            let last = key.name().rsplit('/').next().unwrap_or_default();
            let purl = key.to_purl(None);
            let version = version.without_purls();
            if Name::new(last).is_some_and(|last| names.contains(&last)) {
                self.package_url.get_or_insert(purl);
                own.push(version);
            } else if let Some(other) = others
                .iter_mut()
                .find(|other| other.package_url.as_deref() == Some(&*purl))
            {
                other.versions.push(version);
            } else if !matches!(key.kind(), "rpm" | "deb" | "apk" | "alpm") {
                // A distribution's package has its versions, and no identity here.
                others.push(Self {
                    vendor: None,
                    product: None,
                    package_name: None,
                    collection_url: None,
                    repo: (key.kind() == "github")
                        .then(|| format!("https://github.com/{}", key.name())),
                    package_url: Some(purl),
                    cpes: Vec::new(),
                    platforms: self.platforms.clone(),
                    default_status: self.default_status.clone(),
                    versions: vec![version],
                });
            }
        }
        self.versions = own;
        // Without a version of its own, the entry was about the others.
        if !self.versions.is_empty() {
            others.insert(0, self);
        }
        others
    }

    /// Commits that end ranges in git are the fixes.
    fn fixes(&self) -> impl Iterator<Item = Commit> {
        self.versions
            .iter()
            .filter(|v| v.version_type.as_deref() == Some("git"))
            .filter_map(|v| v.less_than.as_deref()?.parse().ok())
    }

    fn affected(self, whose: Whose) -> Option<Affected> {
        let collection = self.collection_url.as_deref().map(Collection::of);
        let distribution = collection == Some(Collection::Distribution)
            || self.versions.iter().any(|v| {
                matches!(
                    v.version_type.as_deref(),
                    Some("rpm" | "deb" | "apk" | "dpkg")
                )
            });
        let products = self.products(collection, distribution);
        if products.is_empty() {
            return None;
        }
        let git = |v: &&VersionEntry| v.version_type.as_deref() == Some("git");
        let only_git = !self.versions.is_empty() && self.versions.iter().all(|v| git(&v));
        if only_git && self.default_status.as_deref() != Some("affected") {
            // Commits place no release; the fixes have been taken from them already.
            return None;
        }
        let scheme = match collection {
            _ if distribution => Scheme::Distribution,
            _ if only_git => Scheme::Git,
            Some(Collection::Ecosystem("pypi")) => Scheme::Pep440,
            Some(Collection::Ecosystem("golang" | "cargo" | "npm" | "hex" | "pub")) => {
                Scheme::Semver
            }
            _ => Scheme::Release,
        };
        let names = self.names();
        let is_affected = |v: &&VersionEntry| v.status.as_deref() == Some("affected");
        let among_others = self.versions.iter().filter(is_affected).count() > 1;
        let mut rules: Vec<Rule<Box<str>>> = self
            .versions
            .iter()
            .filter(|v| !git(v))
            .flat_map(|v| v.rules(scheme, &names, among_others))
            .collect();
        if whose == Whose::Publisher && self.default_status.as_deref() == Some("unknown") {
            let after: Vec<_> = rules.iter().filter_map(unknown_after).collect();
            rules.extend(after);
        }
        let mut platforms: Vec<Platform> = self
            .platforms
            .iter()
            .filter_map(|p| Platform::from_word(p))
            .collect();
        // A list that names systems that are not told apart here restricts nothing.
        if platforms.len() < self.platforms.len() {
            platforms.retain(|_| {
                self.platforms
                    .iter()
                    .all(|p| Platform::from_word(p).is_some() || is_processor(p))
            });
        }
        platforms.sort_unstable();
        platforms.dedup();
        Some(Affected {
            products,
            scheme,
            default: status(self.default_status.as_deref()),
            rules,
            platforms,
            ..Affected::default()
        })
    }

    /// What the product is called in its own version fields, the longest name first.
    fn names(&self) -> Vec<String> {
        let [vendor, product, package] =
            [&self.vendor, &self.product, &self.package_name].map(|name| {
                let name = name.as_deref().map(str::trim).unwrap_or_default();
                name.to_ascii_lowercase()
            });
        let mut names = vec![format!("{vendor} {product}"), product, package];
        names.retain(|name| !is_nothing(name) && name.len() > 1);
        names.sort_by_key(|name| std::cmp::Reverse(name.len()));
        names
    }

    fn products(&self, collection: Option<Collection>, distribution: bool) -> Vec<Product> {
        let mut products: Vec<Product> = Vec::new();
        // A package of a distribution: the product and its CPE name the distribution, which is not
        // what is affected.
        let packaged = self
            .package_name
            .as_deref()
            .is_some_and(|name| !is_nothing(name));
        if distribution && packaged {
            return products;
        }
        let vendor = self.vendor.as_deref();
        if let Some(product) = self.product.as_deref().filter(|p| !is_nothing(p)) {
            products.extend(Product::from_vendor_product(vendor, product));
        }
        if !distribution {
            let name = self
                .package_name
                .as_deref()
                .filter(|name| !is_nothing(name));
            match (collection, name) {
                (Some(Collection::Ecosystem(kind)), Some(name)) => {
                    let name = if kind == "maven" {
                        name.replacen(':', "/", 1)
                    } else {
                        name.to_owned()
                    };
                    products.extend(PackageKey::new(kind, &name).ok().map(Product::Package));
                }
                (Some(Collection::Plugins(host)), name) => {
                    let target = Name::new(host);
                    for product in &mut products {
                        if let Product::Named(named) = product {
                            named.target_software.clone_from(&target);
                        }
                    }
                    let named = name.and_then(Name::new).map(|name| Named {
                        name,
                        vendor: vendor.and_then(Name::new),
                        part: None,
                        target_software: target,
                    });
                    products.extend(named.map(Product::Named));
                }
                (_, Some(name)) => products.extend(Product::from_vendor_product(vendor, name)),
                (_, None) => {}
            }
            let purl = self
                .package_url
                .as_deref()
                .and_then(|purl| PackageKey::from_purl(purl).ok());
            products.extend(purl.map(Product::Package));
            products.extend(
                self.repo
                    .as_deref()
                    .and_then(RepoKey::from_url)
                    .map(Product::Repository),
            );
        }
        let cpes = self.cpes.iter().filter_map(|cpe| cpe.parse::<Cpe>().ok());
        products.extend(cpes.filter_map(|cpe| Product::from_cpe(&cpe)));
        dedup(products)
    }
}

/// Whose container it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// That of who published the record: its words are meant as they stand.
    Publisher,
    /// That of someone who enriched it: CPE ranges in another form, whose default is always
    /// "unknown" and means nothing.
    Enricher,
}

/// What follows an affected range that is said to end with the last version that was looked at.
fn unknown_after(rule: &Rule<Box<str>>) -> Option<Rule<Box<str>>> {
    match &rule.span {
        Span::Between(_, Upper::UpTo(last)) if rule.status == Status::Affected => Some(Rule {
            status: Status::Unknown,
            span: Span::Between(Lower::After(last.clone()), Upper::Open),
        }),
        _ => None,
    }
}

/// Without repetition, in the order of first appearance.
pub(super) fn dedup(products: Vec<Product>) -> Vec<Product> {
    let mut unique: Vec<Product> = Vec::with_capacity(products.len());
    for product in products {
        if !unique.contains(&product) {
            unique.push(product);
        }
    }
    unique
}

/// Where a package name comes from.
#[derive(Clone, Copy, PartialEq)]
enum Collection {
    /// A language's registry: the purl type.
    Ecosystem(&'static str),
    /// Plugins of one program.
    Plugins(&'static str),
    /// A Linux distribution, whose versions are its own.
    Distribution,
    /// Anything else.
    Other,
}

impl Collection {
    fn of(url: &str) -> Self {
        let url = url.to_lowercase();
        let has = |needle: &str| url.contains(needle);
        if has("pypi.") {
            Self::Ecosystem("pypi")
        } else if has("pkg.go.dev") {
            Self::Ecosystem("golang")
        } else if has("npmjs.") {
            Self::Ecosystem("npm")
        } else if has("crates.io") {
            Self::Ecosystem("cargo")
        } else if has("rubygems.") {
            Self::Ecosystem("gem")
        } else if has("maven") {
            Self::Ecosystem("maven")
        } else if has("packagist.") {
            Self::Ecosystem("composer")
        } else if has("nuget.") {
            Self::Ecosystem("nuget")
        } else if has("hex.pm") {
            Self::Ecosystem("hex")
        } else if has("cpan.org") {
            Self::Ecosystem("cpan")
        } else if has("wordpress.org") {
            Self::Plugins("wordpress")
        } else if has("extensions.joomla.org") {
            Self::Plugins("joomla")
        } else if has("drupal.org/project") {
            Self::Plugins("drupal")
        } else if [
            "access.redhat.com",
            "catalog.redhat.com",
            "fedoraproject.org",
            "fedorapeople.org",
            "openeuler",
            "suse.com",
            "packages.debian.org",
            "launchpad.net/ubuntu",
            "packages.ubuntu.com",
        ]
        .iter()
        .any(|d| has(d))
        {
            Self::Distribution
        } else {
            Self::Other
        }
    }
}

impl VersionEntry {
    /// With the versions of its purls in their places.
    fn without_purls(self) -> Self {
        let version = |text: String| match text.strip_prefix("pkg:") {
            Some(purl) => purl
                .rsplit_once('@')
                .map_or("", |(_, version)| {
                    version.split(['?', '#']).next().unwrap_or(version)
                })
                .to_owned(),
            None => text,
        };
        Self {
            version: version(self.version),
            less_than: self.less_than.map(version),
            less_than_or_equal: self.less_than_or_equal.map(version),
            ..self
        }
    }

    fn rules(&self, scheme: Scheme, names: &[String], among_others: bool) -> Vec<Rule<Box<str>>> {
        let first = status(self.status.as_deref());
        let upper = match (&self.less_than, &self.less_than_or_equal) {
            (None, None) => return self.unbounded(first, names, among_others),
            (Some(bound), _) => upper(bound, Upper::Before),
            (None, Some(bound)) => upper(bound, Upper::UpTo),
        };
        let version = self.version.trim().trim_start_matches([' ', '>', '=']);
        // Chrome's records say [v, v) and mean "before v".
        let itself = matches!(&upper, Some(Upper::Before(bound)) if **bound == *version);
        let lower = if ranges::is_start(version) || itself {
            Lower::Start
        } else if let Some(line) = ranges::line(version) {
            Lower::From(line.into())
        } else if ranges::looks_like_version(version) {
            Lower::From(version.into())
        } else {
            return vec![rule(first, ranges::prose(&self.text()))];
        };
        match upper {
            None => vec![rule(first, ranges::prose(&self.text()))],
            Some(upper) => self.changed(first, lower, upper, scheme),
        }
    }

    /// A version without a bound: one version, a line, a little grammar, or nothing at all.
    fn unbounded(
        &self,
        status: Status,
        names: &[String],
        among_others: bool,
    ) -> Vec<Rule<Box<str>>> {
        let version = self.version.trim();
        if matches!(version, "*" | "all" | "All" | "ALL") && self.changes.is_empty() {
            return vec![rule(status, Span::Between(Lower::Start, Upper::Open))];
        }
        if ranges::is_start(version) {
            return Vec::new();
        }
        match ranges::version_field(version) {
            Span::Text(_) if status == Status::Affected => {
                let worded = ranges::worded(version, names, among_others);
                let spans = worded.certain.into_iter().chain(worded.prose);
                spans.map(|span| rule(status, span)).collect()
            }
            span => vec![rule(status, span)],
        }
    }

    /// Cuts a range where its status changes, in the order of the versions.
    fn changed(
        &self,
        first: Status,
        lower: Lower<Box<str>>,
        upper: Upper<Box<str>>,
        scheme: Scheme,
    ) -> Vec<Rule<Box<str>>> {
        let mut changes: Vec<&Change> = self.changes.iter().collect();
        changes.sort_by(|a, b| {
            Version::new(&a.at)
                .compare(&b.at, scheme)
                .unwrap_or(std::cmp::Ordering::Equal)
        });
        let mut rules = Vec::with_capacity(1 + changes.len());
        let (mut current, mut from) = (first, lower);
        for change in changes {
            let at: Box<str> = change.at.trim().into();
            rules.push(rule(
                current,
                Span::Between(from, Upper::Before(at.clone())),
            ));
            (current, from) = (status(Some(&change.status)), Lower::From(at));
        }
        rules.push(rule(current, Span::Between(from, upper)));
        rules
    }

    /// The entry as one would say it.
    fn text(&self) -> String {
        let mut text = self.version.clone();
        for (word, bound) in [
            ("before", &self.less_than),
            ("up to", &self.less_than_or_equal),
        ] {
            if let Some(bound) = bound {
                text = format!("{text} {word} {bound}");
            }
        }
        text
    }
}

fn upper(bound: &str, closed: fn(Box<str>) -> Upper<Box<str>>) -> Option<Upper<Box<str>>> {
    let bound = bound.trim().trim_start_matches(['<', '=', ' ']);
    if matches!(bound, "*" | "" | "unspecified" | "n/a" | "N/A") {
        return Some(Upper::Open);
    }
    if let Some(line) = ranges::line(bound) {
        return Some(Upper::Within(line.into()));
    }
    ranges::looks_like_version(bound).then(|| closed(bound.into()))
}

fn status(text: Option<&str>) -> Status {
    match text {
        Some("affected") => Status::Affected,
        Some("unaffected") => Status::Unaffected,
        _ => Status::Unknown,
    }
}

fn is_nothing(text: &str) -> bool {
    matches!(
        text.trim().to_ascii_lowercase().as_str(),
        "" | "n/a" | "-" | "unspecified" | "unknown" | "[unknown]" | "none" | "(as-yet-unknown)"
    )
}

fn is_processor(word: &str) -> bool {
    let word = word.to_lowercase();
    [
        "bit", "x86", "x64", "arm", "itanium", "ia64", "amd64", "mips", "ppc", "riscv",
    ]
    .iter()
    .any(|p| word.contains(p))
}
