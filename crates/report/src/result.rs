//! The result of a scan for whoever looks after many machines: an in-toto Statement about what was
//! scanned, small enough to send, without the texts of a report.
//!
//! The predicate is [`PREDICATE_TYPE`]; the book has its specification
//! (`docs/src/reference/scan-result.md`). What is in it was chosen field by field: nothing of a report
//! reaches it because it was added there. No name of a machine, no path of a file that was read and no
//! text of an advisory is in it; the label of a host is what the caller passes.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use serde::Serialize;
use snowguard_formats::dsse::{self, Envelope, INTOTO};
use snowguard_formats::intoto::{Resource, Statement};
use snowguard_formats::{Layout, Limits, ReadError, WriteError};
use snowguard_inventory::Nature;
use snowguard_store::{Hasher, Notation, SecretKey};

use crate::Facts;
use crate::model::{Action, Epss, Exploited, Finding, Package, Report, Severity, Summary, Tool};

/// What the predicate means, and in which version.
pub const PREDICATE_TYPE: &str = "https://github.com/snowguard/snowguard/scan-result/v1";

/// The digest of a store path: SHA-256 of its NAR.
pub const NAR_SHA256: &str = "narSha256";

/// The digest of anything else that was scanned: SHA-256 of the sorted ids of its objects, each with a
/// line feed.
pub const OBJECTS_SHA256: &str = "objectsSha256";

/// The digest of files that were scanned: SHA-256 of the sorted purls of what they declare, with versions,
/// each once and with a line feed. Their paths say nothing about them, and are nobody else's business.
pub const PARTS_SHA256: &str = "partsSha256";

/// What a reader of a result takes. A result is much smaller than the report that it came from.
pub const LIMITS: Limits = Limits {
    bytes: 64 << 20,
    depth: 32,
    objects: 1_000_000,
    values: 4_000_000,
};

/// Reads the statement of a scan, within [`LIMITS`].
pub fn read(json: &[u8]) -> Result<Statement, ResultError> {
    let statement = Statement::read(json, &LIMITS)?;
    if statement.predicate_type == PREDICATE_TYPE {
        Ok(statement)
    } else {
        Err(ResultError::OtherType(statement.predicate_type))
    }
}

/// Why bytes are not the result of a scan.
#[derive(Debug, thiserror::Error)]
pub enum ResultError {
    /// They are no statement.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// They are a statement about something else.
    #[error("it is a statement of type {0}, not the result of a scan")]
    OtherType(String),
}

/// A statement in an envelope.
pub struct Signed {
    /// By what a receiver knows it again: the SHA-256 of what is signed, in hexadecimal.
    pub id: String,
    /// The statement and its signature.
    pub envelope: Envelope,
}

/// Signs a statement.
pub fn sign(key: &SecretKey, statement: &Statement) -> Result<Signed, WriteError> {
    let mut payload = statement.to_json(Layout::Compact)?;
    if payload.last() == Some(&b'\n') {
        payload.pop();
    }
    let pae = dsse::pae(INTOTO, &payload);
    let mut hasher = Hasher::sha256();
    hasher.update(&pae);
    Ok(Signed {
        id: hasher.finish().to_notation(Notation::Hex),
        envelope: Envelope {
            payload_type: INTOTO.to_owned(),
            payload,
            signatures: vec![dsse::Signature {
                key_id: Some(key.name().to_owned()),
                bytes: key.sign(&pae).bytes().to_vec(),
            }],
        },
    })
}

/// The statement of a scan; `host` is a label for the machine.
pub fn statement(
    facts: &Facts<'_, '_>,
    report: &Report,
    host: Option<&str>,
) -> Result<Statement, serde_json::Error> {
    let mut predicate = predicate(report, host);
    if facts.subject.nature == Nature::Files {
        // Files have paths of this machine, and none in a store.
        for package in &mut predicate.packages {
            package.store_paths = &[];
        }
    }
    let predicate = serde_json::to_value(predicate)?;
    Ok(Statement::new(subjects(facts), PREDICATE_TYPE, predicate))
}

/// The roots that are store paths, if the content of each is known; else all objects as one, or of files
/// what they declare.
fn subjects(facts: &Facts<'_, '_>) -> Vec<Resource> {
    let subject = facts.subject;
    if subject.nature == Nature::Files {
        let parts: BTreeSet<String> = subject
            .inside
            .iter()
            .map(|part| part.package.to_purl(Some(&part.version)))
            .collect();
        let digest = digest(parts.iter().map(String::as_str));
        return vec![resource(&subject.title, PARTS_SHA256, digest)];
    }
    let roots = subject.graph.roots().iter();
    let paths: Option<Vec<Resource>> = roots
        .map(|root| {
            let object = subject.object(*root)?;
            let hash = object.nar_hash?.to_hash().to_notation(Notation::Hex);
            Some(resource(&object.id, NAR_SHA256, hash))
        })
        .collect();
    match paths {
        Some(paths) if !paths.is_empty() => paths,
        _ => {
            let mut ids: Vec<&str> = subject.objects.iter().map(|object| &*object.id).collect();
            ids.sort_unstable();
            vec![resource(&subject.title, OBJECTS_SHA256, digest(ids))]
        }
    }
}

fn digest<'l>(lines: impl IntoIterator<Item = &'l str>) -> String {
    let mut hasher = Hasher::sha256();
    for line in lines {
        hasher.update(line.as_bytes());
        hasher.update(b"\n");
    }
    hasher.finish().to_notation(Notation::Hex)
}

fn resource(name: &str, algorithm: &str, digest: String) -> Resource {
    Resource {
        name: Some(name.to_owned()),
        digest: BTreeMap::from([(algorithm.to_owned(), digest)]),
    }
}

#[derive(Serialize)]
struct Predicate<'r> {
    host: Option<&'r str>,
    scanned_at: &'r str,
    tool: &'r Tool,
    subject: SubjectOf<'r>,
    index: IndexOf<'r>,
    summary: &'r Summary,
    gaps: usize,
    not_looked_at: usize,
    packages: Vec<PackageOf<'r>>,
}

#[derive(Serialize)]
struct SubjectOf<'r> {
    title: &'r str,
    nature: &'r str,
    objects: usize,
    components: usize,
}

#[derive(Serialize)]
struct IndexOf<'r> {
    newest: Option<Date>,
    age_days: Option<i32>,
    stale: bool,
    vulnerabilities: usize,
    sources: Vec<SourceOf<'r>>,
}

#[derive(Serialize)]
struct SourceOf<'r> {
    name: &'r str,
    records: u64,
    newest: Option<Date>,
}

#[derive(Serialize)]
struct PackageOf<'r> {
    name: &'r str,
    version: &'r str,
    language: Option<&'r str>,
    purl: &'r str,
    store_paths: &'r [String],
    scope: &'r str,
    dependents: usize,
    action: Option<&'r Action>,
    findings: Vec<FindingOf<'r>>,
}

#[derive(Serialize)]
struct FindingOf<'r> {
    id: &'r str,
    aliases: &'r [String],
    status: &'r str,
    severity: Option<&'r Severity>,
    exploited: Option<&'r Exploited>,
    epss: Option<&'r Epss>,
    published: Option<Date>,
    fixed_in: Option<&'r str>,
    last_affected: Option<&'r str>,
    suppressed: Option<SuppressedOf<'r>>,
}

#[derive(Serialize)]
struct SuppressedOf<'r> {
    verdict: &'r str,
    justification: Option<&'r str>,
    expires: Option<Date>,
}

fn predicate<'r>(report: &'r Report, host: Option<&'r str>) -> Predicate<'r> {
    Predicate {
        host,
        scanned_at: &report.generated_at,
        tool: &report.tool,
        subject: SubjectOf {
            title: &report.subject.title,
            nature: report.subject.nature,
            objects: report.subject.objects,
            components: report.subject.components,
        },
        index: IndexOf {
            newest: report.index.newest,
            age_days: report.index.age_days,
            stale: report.index.stale,
            vulnerabilities: report.index.vulnerabilities,
            sources: report
                .index
                .sources
                .iter()
                .map(|source| SourceOf {
                    // An imported source is named after its file.
                    name: source.name.rsplit('/').next().unwrap_or_default(),
                    records: source.records,
                    newest: source.newest,
                })
                .collect(),
        },
        summary: &report.summary,
        gaps: report.gaps.len(),
        not_looked_at: report.not_looked_at.len(),
        packages: report.packages.iter().map(package).collect(),
    }
}

fn package(package: &Package) -> PackageOf<'_> {
    PackageOf {
        name: &package.name,
        version: &package.version,
        language: package.language,
        purl: &package.purl,
        store_paths: &package.store_paths,
        scope: package.scope,
        dependents: package.dependents,
        action: package.action.as_ref(),
        findings: package.findings.iter().map(finding).collect(),
    }
}

fn finding(finding: &Finding) -> FindingOf<'_> {
    FindingOf {
        id: &finding.id,
        aliases: &finding.aliases,
        status: finding.status,
        severity: finding.severity.as_ref(),
        exploited: finding.exploited.as_ref(),
        epss: finding.epss.as_ref(),
        published: finding.published,
        fixed_in: finding.fixed_in.as_deref(),
        last_affected: finding.last_affected.as_deref(),
        suppressed: finding.suppressed.as_ref().map(|decision| SuppressedOf {
            verdict: decision.verdict,
            justification: decision.justification,
            expires: decision.expires,
        }),
    }
}
