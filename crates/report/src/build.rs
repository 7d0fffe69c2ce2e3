//! Findings into a report.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::civil::Date;
use rayon::prelude::*;
use snowguard_advisory::index::{Corrupt, Index};
use snowguard_advisory::range::Outside;
use snowguard_advisory::severity::Severity as Statement;
use snowguard_inventory::component::{Component, Identity};
use snowguard_inventory::{ComponentId, Inventory, Nature, Object, Role, Subject};
use snowguard_matching::suppress::{Applied, Judged, Suppression};
use snowguard_matching::{
    Certainty, Claim, Decision, Finding as Found, FixedIn, Matcher, Matches, Outcome, PatchProof,
    ProofKind, Status,
};

use crate::action::{Held, Point, action, is_kernel};
use crate::gaps;
use crate::model::{
    ComponentRef, Epss, Evidence, Exploited, Finding, IndexInfo, IndexSource, OtherVersion,
    Package, Patch, Place, Report, SCHEMA, Severity, Ssvc, SubjectInfo, Summary, Suppressed,
    SuppressionRef, Suppressions, Tool,
};
use crate::rank::{count, rank, urgency};
use crate::triage::Triage;

/// All that a report is made of.
#[derive(Clone, Copy)]
pub struct Facts<'f, 'a> {
    /// What was read.
    pub subject: &'f Subject,
    /// What it holds.
    pub inventory: &'f Inventory,
    /// Against what it was matched.
    pub index: Index<'a>,
    /// The index's file; none for the one in the program.
    pub index_path: Option<&'f str>,
    /// How many days old the newest record may be before the index counts as stale.
    pub stale_after_days: i32,
    /// What matched it.
    pub matcher: Matcher<'a>,
    /// The outcome.
    pub matches: &'f Matches<'a>,
    /// Decisions of people.
    pub suppressions: &'f [Suppression],
    /// What became of them.
    pub applied: &'f Applied,
    /// What a tracker decided.
    pub triage: Option<Triage<'f>>,
    /// Now.
    pub now: jiff::Timestamp,
    /// Today.
    pub today: Date,
    /// The program's version.
    pub version: &'f str,
    /// Whether each finding carries its evidence: a table does not show it, and it is most of the
    /// work where there are thousands.
    pub evidence: bool,
}

/// Makes the report.
pub fn build(facts: Facts<'_, '_>) -> Result<Report, Corrupt> {
    let sources = facts.index.sources()?;
    let source_names: Vec<&str> = sources.iter().map(|source| source.name).collect();
    let mut summary = Summary::default();
    let mut by_component: BTreeMap<ComponentId, Vec<(&Found<'_>, Option<&Suppression>)>> =
        BTreeMap::new();
    for (at, finding) in facts.matches.findings.iter().enumerate() {
        let suppression = facts
            .applied
            .by_finding
            .get(at)
            .copied()
            .flatten()
            .and_then(|s| facts.suppressions.get(s));
        match finding.status {
            Status::Fixed => summary.fixed += 1,
            Status::NotAffected => summary.not_affected += 1,
            Status::Affected | Status::NeedsReview | Status::Patched => {
                by_component
                    .entry(finding.component)
                    .or_default()
                    .push((finding, suppression));
            }
        }
    }
    let paths = facts.subject.graph.shortest_paths();
    let groups: Vec<_> = by_component.into_iter().collect();
    let mut packages: Vec<Package> = groups
        .par_iter()
        .filter_map(|(id, findings)| Some((facts.inventory.get(*id)?, findings)))
        .map(|(component, findings)| package(&facts, component, findings, &source_names, &paths))
        .collect::<Result<_, Corrupt>>()?;
    for package in &packages {
        count(&mut summary, package);
    }
    packages.sort_by(|a, b| {
        rank(b)
            .cmp(&rank(a))
            .then_with(|| (&a.name, &a.version).cmp(&(&b.name, &b.version)))
    });
    let newest = facts.index.newest_date()?;
    let age_days = newest
        .and_then(|day| facts.today.since((jiff::Unit::Day, day)).ok())
        .map(|span| span.get_days());
    Ok(Report {
        schema: SCHEMA,
        tool: Tool {
            name: "snowguard",
            version: facts.version.to_owned(),
        },
        generated_at: facts.now.to_string(),
        subject: subject_info(facts.subject, facts.inventory),
        index: IndexInfo {
            path: facts.index_path.map(str::to_owned),
            newest,
            age_days,
            stale: age_days.is_none_or(|days| days > facts.stale_after_days),
            vulnerabilities: facts.index.vulnerability_count(),
            sources: sources
                .iter()
                .map(|source| IndexSource {
                    name: source.name.to_owned(),
                    format: source.kind.as_str(),
                    records: source.records,
                    newest: source.newest,
                })
                .collect(),
        },
        summary,
        packages,
        not_looked_at: not_looked_at(facts.inventory, facts.matches),
        gaps: facts.subject.gaps.iter().map(gaps::told).collect(),
        suppressions: Suppressions {
            expired: facts
                .applied
                .expired
                .iter()
                .filter_map(|&at| facts.suppressions.get(at))
                .map(suppression_ref)
                .collect(),
            unused: facts
                .applied
                .unused
                .iter()
                .filter_map(|&at| facts.suppressions.get(at))
                .map(suppression_ref)
                .collect(),
        },
        triage: facts.triage.map(|triage| triage.info(facts.now)),
    })
}

fn subject_info(subject: &Subject, inventory: &Inventory) -> SubjectInfo {
    let parts = inventory
        .components
        .iter()
        .filter(|component| component.is_part())
        .count();
    SubjectInfo {
        title: subject.title.clone(),
        nature: subject.nature.as_str(),
        objects: subject
            .objects
            .iter()
            .filter(|object| object.role == Role::Part)
            .count(),
        components: inventory.components.len() - parts,
        parts,
        looked_into: subject.looked_into,
        unread: subject.gaps.iter().map(gaps::unread).sum(),
        sources: inventory.sources,
        unversioned: inventory.unversioned,
    }
}

fn not_looked_at(inventory: &Inventory, matches: &Matches<'_>) -> Vec<ComponentRef> {
    let mut list: Vec<ComponentRef> = matches
        .unheard_of
        .iter()
        .filter_map(|id| inventory.get(*id))
        // What a program's own tree adds to it is the program; what stands there in place of a
        // published package is not.
        .filter(|component| {
            let is_its_own =
                component.is_part() && component.is_local && component.language.is_none();
            !component.is_identified() && !is_its_own
        })
        .map(|component| ComponentRef {
            name: display_name(component),
            version: component.version.to_string(),
            why: "no identity",
        })
        .collect();
    list.sort();
    list.dedup();
    list
}

/// The name that tells modules of a language apart from programs.
pub(crate) fn display_name(component: &Component) -> String {
    match component.language {
        Some(language) => format!("{} ({})", component.pname, language.as_str()),
        None => component.pname.to_string(),
    }
}

fn package<'a>(
    facts: &Facts<'_, 'a>,
    component: &Component,
    findings: &[(&Found<'a>, Option<&Suppression>)],
    source_names: &[&str],
    paths: &snowguard_closure::ShortestPaths,
) -> Result<Package, Corrupt> {
    let graph = &facts.subject.graph;
    let mut list: Vec<Finding> = findings
        .iter()
        .map(|(found, suppression)| {
            let told = finding(
                facts.index,
                found,
                *suppression,
                source_names,
                facts.evidence,
            )?;
            let triage = facts.triage.as_ref();
            let triage = triage.and_then(|triage| triage.told(component, &told));
            Ok(Finding { triage, ..told })
        })
        .collect::<Result<_, _>>()?;
    list.sort_by(|a, b| {
        urgency(b)
            .cmp(&urgency(a))
            .then_with(|| b.published.cmp(&a.published))
            .then_with(|| a.id.cmp(&b.id))
    });
    let open = || {
        findings.iter().filter(|(found, suppression)| {
            found.status == Status::Affected && suppression.is_none()
        })
    };
    let exploited: HashSet<&str> = list
        .iter()
        .filter(|finding| finding.exploited.is_some())
        .map(|finding| &*finding.id)
        .collect();
    let points: Vec<Point<'_>> = open()
        .map(|(found, _)| Point {
            id: found.id,
            fix: found.fixed_in.into(),
            exploited: exploited.contains(found.id),
        })
        .collect();
    let mut store_paths: Vec<String> = component
        .outputs
        .iter()
        .map(|(_, path)| path.to_string())
        .collect();
    if store_paths.is_empty() {
        let whereabouts = component.whereabouts();
        let objects = whereabouts
            .iter()
            .filter_map(|node| facts.subject.object(*node));
        store_paths = objects
            .filter(|object| object.id.starts_with('/'))
            .map(|object| {
                // The files of a derivation are those of its output.
                if component.is_part() {
                    output_of(object).to_owned()
                } else {
                    object.id.to_string()
                }
            })
            .collect();
    }
    let whereabouts = component.whereabouts();
    let path = whereabouts
        .iter()
        .filter_map(|node| paths.to(*node))
        .min_by_key(Vec::len)
        .unwrap_or_default();
    let dependents = match facts.subject.nature {
        // Packages of a set do not depend on each other as objects; their derivations do.
        Nature::PackageSet => 0,
        _ => graph
            .dependents(&whereabouts)
            .len()
            .saturating_sub(whereabouts.len()),
    };
    Ok(Package {
        name: component.pname.to_string(),
        version: component.version.to_string(),
        language: component
            .language
            .map(snowguard_inventory::naming::Language::as_str),
        purl: purl(component),
        attributes: component.attrs.iter().map(ToString::to_string).collect(),
        store_paths,
        path: path
            .iter()
            .filter_map(|node| facts.subject.object(*node))
            .map(|object| object.name.to_string())
            .collect(),
        dependents,
        scope: component.scope.as_str(),
        places: component
            .places
            .iter()
            .map(|at| place(facts.subject, component, at))
            .collect(),
        inside: component.is_part(),
        other_versions: component
            .other_versions
            .iter()
            .map(|other| OtherVersion {
                version: other.version.to_string(),
                place: place(facts.subject, component, &other.place),
            })
            .collect(),
        grouped: is_kernel(&component.pname) && !component.is_part(),
        known_vulnerabilities: component
            .known_vulnerabilities
            .iter()
            .map(ToString::to_string)
            .collect(),
        action: action(&component.version, &points, |version| {
            held(facts, findings, version)
        })?,
        findings: list,
    })
}

/// What reaches another version of the component that these findings are of.
fn held<'a>(
    facts: &Facts<'_, 'a>,
    findings: &[(&Found<'a>, Option<&Suppression>)],
    version: &str,
) -> Result<Vec<Held<'a>>, Corrupt> {
    let Some((first, _)) = findings.first() else {
        return Ok(Vec::new());
    };
    let all = &facts.matches.findings;
    let start = all.partition_point(|found| found.component < first.component);
    let end = all.partition_point(|found| found.component <= first.component);
    let present: HashMap<&str, _> = findings
        .iter()
        .map(|(found, suppression)| (found.id, (&found.decision, suppression)))
        .collect();
    let held = facts.matcher.in_version(&all[start..end], version)?;
    Ok(held
        .into_iter()
        .filter_map(|held| {
            let present = present.get(held.id);
            // What somebody decided not to count does not count in the next version either.
            if present.is_some_and(|(_, suppression)| suppression.is_some()) {
                return None;
            }
            let is_weighed_down = present.is_some_and(|(decision, _)| {
                use Decision::{OtherCopies, PatchedAround, Weak};
                matches!(decision, Weak(_) | PatchedAround { .. } | OtherCopies(_))
            });
            Some(Held {
                id: held.id,
                is_sure: held.is_sure && !is_weighed_down,
                is_new: present.is_none(),
                fix: held.fixed_in.into(),
            })
        })
        .collect())
}

/// Where bytes declare a component.
pub(crate) fn place(
    subject: &Subject,
    component: &Component,
    at: &snowguard_inventory::Place,
) -> Place {
    let host = component.hosts.iter().find(|host| host.node == at.node);
    Place {
        inside: host.map(|host| host.label.to_string()),
        object: subject
            .object(at.node)
            .map_or(String::new(), |object| output_of(object).to_owned()),
        file: at.file.to_string(),
        member: at.member.as_deref().map(str::to_owned),
        offset: at.offset,
        length: at.length,
        line: at.line,
        by: at.by.to_string(),
        need: at.need.as_str(),
        proof: at.proof.as_str(),
    }
}

/// The path of an object: of a derivation that of its output, which is where its files are.
fn output_of(object: &Object) -> &str {
    let outputs = object.recipe.iter().flat_map(|recipe| &recipe.outputs);
    let mut paths = outputs.filter_map(|(_, path)| path.as_deref());
    let output = paths.next().filter(|_| object.id.ends_with(".drv"));
    output.unwrap_or(&object.id)
}

/// The purl of a component: of its registry where there is one, else generic.
pub(crate) fn purl(component: &Component) -> String {
    if component.is_part()
        && let Some(purl) = purl_of_part(component)
    {
        return purl;
    }
    let registered = component
        .identities
        .iter()
        .find_map(|(identity, _)| match identity {
            Identity::Package(key) if key.kind() != "bitnami" && key.kind() != "golang" => {
                Some(key)
            }
            _ => None,
        });
    let generic =
        || snowguard_advisory::identity::PackageKey::new("generic", &component.pname).ok();
    match registered.cloned().or_else(generic) {
        Some(key) => key.to_purl(Some(&component.version)),
        None => format!("pkg:generic/{}", component.pname),
    }
}

/// The purl of what is found inside of others, spelled as its registry spells it.
fn purl_of_part(component: &Component) -> Option<String> {
    let (Identity::Package(key), _) = component.identities.first()? else {
        return None;
    };
    let (name, version) = (&*component.pname, &*component.version);
    match key.kind() {
        // Modules are known by tags, which begin so; the standard library by its releases.
        "golang" if key.name() != "stdlib" && version.starts_with(|c: char| c.is_ascii_digit()) => {
            Some(key.to_purl(Some(&format!("v{version}"))))
        }
        // Advisories take `_` and `-` for one; a crate has one of them.
        "cargo"
            if name.contains('_')
                && name
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b)) =>
        {
            let plain = key.to_purl(Some(version));
            let (_, version) = plain.split_once('@')?;
            Some(format!("pkg:cargo/{name}@{version}"))
        }
        _ => Some(key.to_purl(Some(version))),
    }
}

pub(crate) fn finding(
    index: Index<'_>,
    found: &Found<'_>,
    suppression: Option<&Suppression>,
    source_names: &[&str],
    with_evidence: bool,
) -> Result<Finding, Corrupt> {
    let record = index.vulnerability(found.vulnerability)?;
    let (fixed_in, last_affected) = match found.fixed_in {
        FixedIn::Version(version) => (Some(version.to_owned()), None),
        FixedIn::After(version) => (None, Some(version.to_owned())),
        FixedIn::Unknown => (None, None),
    };
    Ok(Finding {
        id: found.id.to_owned(),
        aliases: record
            .aliases
            .iter()
            .map(|alias| (*alias).to_owned())
            .collect(),
        url: url_of(found.id),
        title: record.summary.map(str::to_owned),
        status: found.status.as_str(),
        reason: reason(found),
        severity: record.severity().map(severity),
        exploited: record.exploited.map(|e| Exploited {
            since: e.since,
            due: e.due,
            ransomware: e.ransomware,
        }),
        epss: record.epss.map(|e| Epss {
            probability: e.probability,
            percentile: e.percentile,
        }),
        ssvc: record.ssvc.map(|s| Ssvc {
            exploitation: s.exploitation.as_str(),
            automatable: s.automatable,
            total_impact: s.total_impact,
        }),
        published: record.published,
        fixed_in,
        last_affected,
        evidence: found
            .claims
            .iter()
            .filter(|_| with_evidence)
            .map(|claim| evidence(claim, source_names))
            .collect(),
        patches: found.proofs.iter().map(patch).collect(),
        suppressed: suppression.map(suppressed),
        triage: None,
    })
}

pub(crate) fn suppressed(suppression: &Suppression) -> Suppressed {
    Suppressed {
        verdict: match suppression.verdict {
            Judged::NotAffected(_) => "not_affected",
            Judged::Fixed => "fixed",
        },
        justification: match suppression.verdict {
            Judged::NotAffected(justification) => {
                justification.map(snowguard_matching::suppress::Justification::as_str)
            }
            Judged::Fixed => None,
        },
        reason: suppression.reason.to_string(),
        expires: suppression.expires,
        origin: suppression.origin.to_string(),
        url: suppression.url.as_deref().map(str::to_owned),
    }
}

/// Where to read about an advisory.
pub(crate) fn url_of(id: &str) -> String {
    match id.split('-').next() {
        Some("CVE") => format!("https://www.cve.org/CVERecord?id={id}"),
        Some("GHSA") => format!("https://github.com/advisories/{id}"),
        _ => format!("https://osv.dev/vulnerability/{id}"),
    }
}

fn severity(statement: &Statement) -> Severity {
    let (score, cvss, vector) = match statement {
        Statement::Word(_) => (None, None, None),
        Statement::Vector(vector) => (
            Some(f64::from(vector.score().tenths()) / 10.0),
            Some(vector.version().as_str()),
            Some(vector.as_str().to_owned()),
        ),
    };
    Severity {
        rating: statement.rating().as_str(),
        score,
        cvss,
        vector,
    }
}

/// Why a finding has its status, in a few words.
pub fn reason(found: &Found<'_>) -> String {
    if found.status == Status::Patched {
        return match found
            .proofs
            .first()
            .map(|proof| (&proof.patch, &proof.kind))
        {
            Some((Some(patch), ProofKind::Commit(_))) => format!("{patch} is the upstream fix"),
            Some((Some(patch), _)) => format!("{patch} is applied"),
            Some((None, _)) => "the build phases mend it".into(),
            None => "patched".into(),
        };
    }
    match &found.decision {
        Decision::Upstream => "the project itself says so".into(),
        Decision::Others if found.claims.len() == 1 => "one record says so".into(),
        Decision::Others => "records agree".into(),
        Decision::OthersDisagree => "records disagree; one says affected".into(),
        Decision::Doubt(doubt) => doubt.to_string(),
        Decision::Identity => {
            let claim = found
                .claims
                .iter()
                .find(|claim| claim.outcome.is_inside())
                .or(found.claims.first());
            claim.map_or_else(
                || "the identity is not sure".into(),
                |claim| claim.why.to_string(),
            )
        }
        Decision::Together => {
            let with = found.claims.iter().find_map(|claim| match &claim.outcome {
                Outcome::Together(products) => products.first().map(ToString::to_string),
                _ => None,
            });
            format!(
                "only together with {}",
                with.unwrap_or_else(|| "something else".into())
            )
        }
        Decision::Withdrawn => "the advisory was withdrawn".into(),
        Decision::Weak(weakness) => weakness.to_string(),
        Decision::OtherCopies(host) => {
            format!("its own builds are patched; the copy in {host} is not known to be")
        }
        Decision::PatchedAround {
            host,
            patch: Some(patch),
        } => format!("{host} applies {patch}; whether to this library is not known"),
        Decision::PatchedAround { host, patch: None } => {
            format!("the build phases of {host} speak of it; whether they mend it is not known")
        }
    }
}

/// A patch that speaks against a finding, for people and tools.
pub fn patch(proof: &PatchProof) -> Patch {
    let (kind, detail) = match proof.kind {
        ProofKind::Commit(commit) => ("upstream commit", commit.to_string()),
        ProofKind::Name(cve) => ("name", cve.to_string()),
        ProofKind::Header(cve) => ("header", cve.to_string()),
        ProofKind::Phase(cve) => ("build phase", cve.to_string()),
    };
    Patch {
        name: proof.patch.as_deref().map(str::to_owned),
        proof: kind,
        detail,
        builds: proof.builds,
        of: proof.of,
    }
}

/// One record's word, for people and tools. `source_names` are those of the index, in its order.
pub fn evidence(claim: &Claim<'_>, source_names: &[&str]) -> Evidence {
    Evidence {
        record: claim.record.to_owned(),
        source: source_names
            .get(claim.source)
            .copied()
            .unwrap_or_default()
            .to_owned(),
        by: claim.by.map(str::to_owned),
        upstream: claim.upstream,
        product: claim.product.to_string(),
        identity: claim.why.to_string(),
        identity_sure: claim.certainty == Certainty::Sure,
        range: range(&claim.outcome),
        order: claim.scheme.as_str(),
        says: match &claim.outcome {
            Outcome::Inside { .. } => "affected",
            Outcome::Outside(_) | Outcome::OtherSystem(_) => "not_affected",
            Outcome::Together(_) | Outcome::Unknown(_) => "unknown",
        },
    }
}

/// What decided, in words.
fn range(outcome: &Outcome<'_>) -> String {
    match outcome {
        Outcome::Inside {
            rule: Some(rule), ..
        } => format!("affected {}", rule.span),
        Outcome::Inside { rule: None, .. } => "affected but for what is listed as fixed".into(),
        Outcome::Outside(Outside::Fixed(version)) => format!("fixed in {version}"),
        Outcome::Outside(Outside::After(version)) => format!("last affected is {version}"),
        Outcome::Outside(Outside::Before(version)) => format!("affected only from {version} on"),
        Outcome::Outside(Outside::Excluded(rule)) => format!("unaffected {}", rule.span),
        Outcome::Outside(Outside::Prose(text)) => format!("not reached by “{text}”"),
        Outcome::Outside(Outside::Unlisted) => "not among the affected versions".into(),
        Outcome::OtherSystem(systems) => {
            format!("only on {systems}")
        }
        Outcome::Together(products) => {
            let products: Vec<String> = products.iter().map(ToString::to_string).collect();
            format!("only together with {}", products.join(" or "))
        }
        Outcome::Unknown(doubt) => doubt.to_string(),
    }
}

fn suppression_ref(suppression: &Suppression) -> SuppressionRef {
    use snowguard_matching::suppress::Subject as By;
    SuppressionRef {
        advisory: suppression.advisory.to_string(),
        component: match &suppression.component {
            By::Name(name) => name.to_string(),
            By::Package(key) => key.to_string(),
            By::Repository(key) => key.to_string(),
            By::Product(vendor, product) => format!("{vendor}:{product}"),
            By::StorePath(path) => path.to_string(),
        },
        expires: suppression.expires,
        origin: suppression.origin.to_string(),
    }
}
