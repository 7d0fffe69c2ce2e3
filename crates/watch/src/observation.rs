//! What one scan saw, read from the JSON that `snowguard scan` prints.
//!
//! The text comes from a child process that has read strangers' bytes, so it is read with limits. It
//! is read leniently: fields that are not known here are passed over. Findings of one package in
//! several versions are one finding here, with the versions beside it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::change::{Severity, State};

/// The schema that is read.
pub const SCHEMA: &str = "snowguard-scan/1";
/// The longest text, in bytes. The JSON of a system with 3,000 findings has 4 MB.
pub const MAX_BYTES: usize = 256 << 20;
/// The most findings.
pub const MAX_FINDINGS: usize = 1_000_000;
/// The longest name, version or id, in bytes.
const MAX_NAME: usize = 512;
/// Longer texts are cut, in bytes.
const MAX_TEXT: usize = 600;

/// A package by name. Modules of languages are other packages than those of the system.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// The language whose module it is; empty for others.
    pub language: String,
}

/// What a finding is about, whichever versions it has now.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subject {
    /// The id of the advisory.
    pub advisory: String,
    /// The package.
    pub package: Package,
}

impl Subject {
    /// The same package under other names of the advisory.
    pub(crate) fn others<'s>(&'s self, aliases: &'s [String]) -> impl Iterator<Item = Self> + 's {
        aliases.iter().map(|alias| Self {
            advisory: alias.clone(),
            package: self.package.clone(),
        })
    }
}

/// What a scan says about one advisory and one package.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The worst status of its versions.
    pub state: State,
    /// Other names of the advisory.
    pub aliases: Vec<String>,
    /// The versions that have this status.
    pub versions: BTreeSet<String>,
    /// How bad.
    pub severity: Severity,
    /// The CVSS score.
    pub score: Option<f64>,
    /// Known to be exploited.
    pub exploited: bool,
    /// The first version without it.
    pub fixed_in: Option<String>,
    /// The version to which to update the package, which may mend more than this.
    pub update_to: Option<String>,
    /// Its title, in an author's words.
    pub title: Option<String>,
    /// Where to read about it.
    pub url: String,
    /// Why, in a few words.
    pub reason: String,
}

/// Against what was scanned, and with what: when this is equal, the same system has the same findings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Knowledge {
    /// The file of the index; none for the one in the program.
    pub path: Option<String>,
    /// The newest day in its records.
    pub newest: Option<String>,
    /// How many vulnerabilities it knows.
    pub vulnerabilities: u64,
    /// Its sources, each with its number of records and its newest day.
    pub sources: Vec<Source>,
    /// The version of the program.
    pub tool: String,
    /// How many objects and files could not be looked into, or not to their end.
    #[serde(default)]
    pub unread: u64,
}

impl Knowledge {
    /// Whether the advisories and the program are the same, whatever could be read of the system.
    pub fn has_same_advisories(&self, other: &Self) -> bool {
        let unread = self.unread;
        *self
            == Self {
                unread,
                ..other.clone()
            }
    }
}

/// One source of an index.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// How many records.
    pub records: u64,
    /// The newest day in them.
    pub newest: Option<String>,
}

/// One scan.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// The name of what was scanned.
    pub title: String,
    /// How many packages it has.
    pub components: u64,
    /// Against what.
    pub knowledge: Knowledge,
    /// What could not be known.
    pub gaps: Vec<String>,
    /// The findings.
    pub findings: BTreeMap<Subject, Found>,
    /// The versions of each package that is listed, with or without open findings.
    pub versions: BTreeMap<Package, BTreeSet<String>>,
}

/// Why a text cannot be used as the result of a scan.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// It is longer than any result.
    #[error("the result of the scan has more than {MAX_BYTES} bytes")]
    Long,
    /// It is not the JSON of a scan, or was cut off.
    #[error("the result of the scan cannot be read")]
    Json(#[source] serde_json::Error),
    /// It has another schema.
    #[error("the result of the scan has the schema `{0}`, and `{SCHEMA}` is read")]
    Schema(String),
    /// It looked at nothing.
    #[error("the scan looked at no object")]
    Empty,
    /// More findings than can be.
    #[error("the result of the scan has more than {MAX_FINDINGS} findings")]
    Many,
}

impl Observation {
    /// Reads what `snowguard scan --format json` printed.
    pub fn read(bytes: &[u8]) -> Result<Self, Unreadable> {
        if bytes.len() > MAX_BYTES {
            return Err(Unreadable::Long);
        }
        let told: Report = serde_json::from_slice(bytes).map_err(Unreadable::Json)?;
        if told.schema != SCHEMA {
            return Err(Unreadable::Schema(cut(told.schema)));
        }
        if told.subject.objects == 0 {
            return Err(Unreadable::Empty);
        }
        let count: usize = told.packages.iter().map(|p| p.findings.len()).sum();
        if count > MAX_FINDINGS {
            return Err(Unreadable::Many);
        }
        let mut observation = Self {
            title: cut(told.subject.title),
            components: told.subject.components,
            knowledge: Knowledge {
                path: told.index.path,
                newest: told.index.newest,
                vulnerabilities: told.index.vulnerabilities,
                sources: told.index.sources,
                tool: cut(told.tool.version),
                unread: told.subject.unread,
            },
            gaps: told.gaps.into_iter().take(20).map(cut).collect(),
            findings: BTreeMap::new(),
            versions: BTreeMap::new(),
        };
        // One name that nobody's package has must not hide all others.
        let mut left_out = 0;
        for package in told.packages {
            left_out += observation.add(package);
        }
        if left_out > 0 {
            observation.knowledge.unread += left_out;
            observation.gaps.push(format!(
                "left out {left_out} packages or findings with names of more than {MAX_NAME} bytes"
            ));
        }
        Ok(observation)
    }

    /// Counts of open findings by severity, the worst first, then those to review and exploited.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for found in self.findings.values() {
            counts.add(found.state, found.severity, found.exploited);
        }
        counts
    }

    /// Adds a package with its findings; gives how many of them have names that are no names.
    fn add(&mut self, told: ToldPackage) -> u64 {
        let named = (
            name(told.name),
            name(told.language.unwrap_or_default()),
            name(told.version),
        );
        let (Some(package), Some(language), Some(version)) = named else {
            return 1;
        };
        let package = Package {
            name: package,
            language,
        };
        let mut left_out = 0;
        self.versions
            .entry(package.clone())
            .or_default()
            .insert(version.clone());
        let update_to = told.action.and_then(|action| action.update_to);
        let update_to = update_to.and_then(name);
        for finding in told.findings {
            let Some(state) = state_of(&finding) else {
                continue;
            };
            let Some(advisory) = name(finding.id) else {
                left_out += 1;
                continue;
            };
            let subject = Subject {
                advisory,
                package: package.clone(),
            };
            let severity = finding.severity.unwrap_or_default();
            let found = Found {
                state,
                aliases: finding
                    .aliases
                    .into_iter()
                    .filter(|alias| alias.len() <= MAX_NAME)
                    .take(50)
                    .collect(),
                versions: BTreeSet::from([version.clone()]),
                severity: Severity::from_word(&severity.rating),
                score: severity.score.filter(|score| (0.0..=10.0).contains(score)),
                exploited: finding.exploited.is_some(),
                fixed_in: finding.fixed_in.and_then(name),
                update_to: update_to.clone(),
                title: finding.title.map(cut),
                url: cut(finding.url.unwrap_or_default()),
                reason: cut(finding.reason.unwrap_or_default()),
            };
            match self.findings.get_mut(&subject) {
                None => {
                    self.findings.insert(subject, found);
                }
                Some(known) if known.state == found.state => {
                    known.versions.extend(found.versions);
                    known.severity = known.severity.max(found.severity);
                    known.exploited |= found.exploited;
                }
                // Of several versions, the one that is worst off is told.
                Some(known) if found.state.is_worse_than(known.state) => *known = found,
                Some(_) => {}
            }
        }
        left_out
    }
}

/// Counts of what is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Affected and not suppressed.
    pub affected: u64,
    /// Of these: known to be exploited.
    pub exploited: u64,
    /// Of these: critical.
    pub critical: u64,
    /// Of these: high.
    pub high: u64,
    /// Of these: medium.
    pub medium: u64,
    /// Of these: low.
    pub low: u64,
    /// Of these: without a severity.
    pub unrated: u64,
    /// Nobody can decide, and not suppressed.
    pub needs_review: u64,
    /// Affected but for a patch.
    pub patched: u64,
    /// With a decision of a person.
    pub suppressed: u64,
}

impl Counts {
    /// Counts one more.
    pub fn add(&mut self, state: State, severity: Severity, exploited: bool) {
        match state {
            State::Affected => {
                self.affected += 1;
                self.exploited += u64::from(exploited);
                *match severity {
                    Severity::Critical => &mut self.critical,
                    Severity::High => &mut self.high,
                    Severity::Medium => &mut self.medium,
                    Severity::Low => &mut self.low,
                    Severity::Unrated => &mut self.unrated,
                } += 1;
            }
            State::Review => self.needs_review += 1,
            State::Patched => self.patched += 1,
            State::Suppressed => self.suppressed += 1,
            State::Gone => {}
        }
    }
}

fn state_of(finding: &ToldFinding) -> Option<State> {
    match finding.status.as_str() {
        "affected" | "needs_review" if finding.suppressed.is_some() => Some(State::Suppressed),
        "affected" => Some(State::Affected),
        "needs_review" => Some(State::Review),
        "patched" => Some(State::Patched),
        // A status that a later version of the schema adds says nothing that is known here.
        _ => None,
    }
}

/// A name, a version or an id; none if it is longer than any real one.
fn name(text: String) -> Option<String> {
    (text.len() <= MAX_NAME).then_some(text)
}

fn cut(mut text: String) -> String {
    if text.len() > MAX_TEXT {
        let mut end = MAX_TEXT;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push('…');
    }
    text
}

#[derive(Deserialize)]
struct Report {
    schema: String,
    tool: Tool,
    subject: ToldSubject,
    index: ToldIndex,
    packages: Vec<ToldPackage>,
    #[serde(default)]
    gaps: Vec<String>,
}

#[derive(Deserialize)]
struct Tool {
    version: String,
}

#[derive(Deserialize)]
struct ToldSubject {
    title: String,
    objects: u64,
    components: u64,
    #[serde(default)]
    unread: u64,
}

#[derive(Deserialize)]
struct ToldIndex {
    path: Option<String>,
    newest: Option<String>,
    vulnerabilities: u64,
    #[serde(default)]
    sources: Vec<Source>,
}

#[derive(Deserialize)]
struct ToldPackage {
    name: String,
    version: String,
    language: Option<String>,
    action: Option<ToldAction>,
    findings: Vec<ToldFinding>,
}

#[derive(Deserialize)]
struct ToldAction {
    update_to: Option<String>,
}

#[derive(Deserialize)]
struct ToldFinding {
    id: String,
    #[serde(default)]
    aliases: Vec<String>,
    url: Option<String>,
    title: Option<String>,
    status: String,
    reason: Option<String>,
    severity: Option<ToldSeverity>,
    exploited: Option<serde::de::IgnoredAny>,
    fixed_in: Option<String>,
    suppressed: Option<serde::de::IgnoredAny>,
}

#[derive(Default, Deserialize)]
struct ToldSeverity {
    rating: String,
    score: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(packages: &serde_json::Value) -> Vec<u8> {
        serde_json::to_vec(&serde_json::json!({
            "schema": SCHEMA,
            "tool": {"name": "snowguard", "version": "0.1.0"},
            "subject": {"title": "nixos-system", "objects": 3, "components": 2},
            "index": {"path": null, "newest": "2026-01-02", "vulnerabilities": 7, "more": 1},
            "packages": packages,
        }))
        .unwrap()
    }

    #[test]
    fn versions_of_one_package_are_one_finding() {
        let finding = |status: &str| serde_json::json!({"id": "CVE-2026-1", "status": status});
        let observation = Observation::read(&report(&serde_json::json!([
            {"name": "zlib", "version": "1.2", "findings": [finding("affected")]},
            {"name": "zlib", "version": "1.1", "findings": [finding("affected")]},
            {"name": "zlib", "version": "1.3", "findings": [finding("patched")]},
            {"name": "zlib", "version": "9", "language": "Rust", "findings": [finding("needs_review")]},
        ])))
        .unwrap();
        assert_eq!(observation.findings.len(), 2);
        let found = observation.findings.values().next().unwrap();
        assert_eq!(found.state, State::Affected);
        assert_eq!(found.versions, ["1.1", "1.2"].map(String::from).into());
        let counts = observation.counts();
        assert_eq!(
            (counts.affected, counts.needs_review, counts.unrated),
            (1, 1, 1)
        );
    }

    #[test]
    fn what_is_no_result_is_refused() {
        let whole = report(&serde_json::json!([]));
        assert!(Observation::read(&whole).is_ok());
        assert!(matches!(
            Observation::read(&whole[..whole.len() - 1]),
            Err(Unreadable::Json(_))
        ));
        let text = String::from_utf8(whole).unwrap();
        let other = text.replace("snowguard-scan/1", "snowguard-scan/2");
        assert!(matches!(
            Observation::read(other.as_bytes()),
            Err(Unreadable::Schema(_))
        ));
        let empty = text.replace("\"objects\":3", "\"objects\":0");
        assert!(matches!(
            Observation::read(empty.as_bytes()),
            Err(Unreadable::Empty)
        ));
    }

    #[test]
    fn a_name_that_is_none_hides_no_other() {
        let long = "x".repeat(MAX_NAME + 1);
        let finding = |id: &str| serde_json::json!({"id": id, "status": "affected"});
        let observation = Observation::read(&report(&serde_json::json!([
            {"name": long, "version": "1", "findings": [finding("CVE-2026-1")]},
            {"name": "zlib", "version": "1", "findings": [finding(&long), finding("CVE-2026-2")]},
        ])))
        .unwrap();
        let ids = observation.findings.keys().map(|found| &*found.advisory);
        assert_eq!(ids.collect::<Vec<_>>(), ["CVE-2026-2"]);
        assert_eq!(
            (observation.knowledge.unread, observation.gaps.len()),
            (2, 1)
        );
    }
}
