//! Why a package is affected by an advisory, or why not: the whole chain as data.

use jiff::civil::Date;
use serde::Serialize;
use snowguard_advisory::index::{Corrupt, Index, VulnerabilityId};
use snowguard_inventory::component::Component;
use snowguard_inventory::{ComponentId, Inventory, Subject};
use snowguard_matching::suppress::{self, Suppression};
use snowguard_matching::{Finding as Found, Matcher, Status};

use crate::build::{display_name, evidence, place, reason, suppressed, url_of};
use crate::model::{Evidence, Finding, OtherVersion, Place, Suppressed};
use crate::triage::Triage;

/// The name and version of the schema.
pub const SCHEMA: &str = "snowguard-explain/1";

/// An advisory, and what it means for packages.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// Its id.
    pub id: String,
    /// Its other names.
    pub aliases: Vec<String>,
    /// Where to read about it.
    pub url: String,
    /// A title, in an author's words.
    pub title: Option<String>,
    /// First published.
    pub published: Option<Date>,
    /// Taken back by its author.
    pub withdrawn: bool,
    /// The records that speak of it, with their source.
    pub records: Vec<RecordRef>,
    /// Packages to which it was held.
    pub packages: Vec<Explained>,
    /// What it is about, in its own words: shown where no package is concerned.
    pub about: Vec<String>,
}

/// A record and where it was read.
#[derive(Clone, Debug, Serialize)]
pub struct RecordRef {
    /// Its id.
    pub id: String,
    /// Its source.
    pub source: String,
    /// Taken back.
    pub withdrawn: bool,
}

/// One package, held to the advisory.
#[derive(Clone, Debug, Serialize)]
pub struct Explained {
    /// Its name, with its language.
    pub package: String,
    /// Its version.
    pub version: String,
    /// What holds: a status, `another product` where only the name is shared, or `not concerned`
    /// for a package that was asked about by name and has nothing to do with it.
    pub status: &'static str,
    /// Why, in a few words.
    pub reason: String,
    /// The finding as the scan has it, if there is one.
    pub finding: Option<Finding>,
    /// A decision that met it and whose day has passed.
    pub expired: Option<Suppressed>,
    /// Every record's word.
    pub evidence: Vec<Evidence>,
    /// Products of the same name that it is taken not to be.
    pub strangers: Vec<Stranger>,
    /// What the package is called elsewhere, and why.
    pub identities: Vec<IdentityRef>,
    /// Where bytes declare it.
    pub places: Vec<Place>,
    /// Found inside of others only.
    pub inside: bool,
    /// Versions that its own bytes declare of it, other than the one it goes by.
    pub other_versions: Vec<OtherVersion>,
    /// Names of its patches.
    pub patches: Vec<String>,
    /// Whether its recipe could be read: without it, patches are unknown.
    pub patches_known: bool,
    /// A shortest way from the root to it.
    pub path: Vec<String>,
}

/// A product of the same name.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub struct Stranger {
    /// The product.
    pub product: String,
    /// The record that names it.
    pub record: String,
    /// Why it is another one.
    pub why: String,
}

/// An identity of a package.
#[derive(Clone, Debug, Serialize)]
pub struct IdentityRef {
    /// The identity.
    pub identity: String,
    /// Why.
    pub reason: String,
}

/// What is asked, and all that the answer is made of.
#[derive(Clone, Copy)]
pub struct Question<'q> {
    /// The advisories.
    pub index: Index<'q>,
    /// The one that is asked about.
    pub vulnerability: VulnerabilityId,
    /// What joins them with packages.
    pub matcher: &'q Matcher<'q>,
    /// What was read.
    pub subject: &'q Subject,
    /// What it holds.
    pub inventory: &'q Inventory,
    /// Which packages are asked about by name; none for all that the advisory concerns.
    pub wanted: Option<&'q dyn Fn(&Component) -> bool>,
    /// Decisions of people.
    pub suppressions: &'q [Suppression],
    /// What a tracker decided.
    pub triage: Option<Triage<'q>>,
    /// Today.
    pub today: Date,
}

/// Holds packages to an advisory. Packages that have nothing to do with it are left out, unless they
/// are asked about by name.
pub fn explain(question: &Question<'_>) -> Result<Explanation, Corrupt> {
    let (index, vulnerability) = (question.index, question.vulnerability);
    let record = index.vulnerability(vulnerability)?;
    let sources = index.sources()?;
    let names: Vec<&str> = sources.iter().map(|source| source.name).collect();
    let mut packages = Vec::new();
    for (id, component) in question.inventory.iter() {
        if question.wanted.is_none_or(|wanted| wanted(component)) {
            packages.extend(package(question, id, component, &names)?);
        }
    }
    packages.sort_by_key(|package: &Explained| rank(package.status));
    let mut about = Vec::new();
    for entry in &record.entries {
        let entry = index.entry(*entry)?;
        let products: Vec<String> = entry
            .products
            .clone()
            .map(|product| product.to_string())
            .collect();
        let rules: Vec<String> = entry
            .rules
            .clone()
            .take(4)
            .map(|rule| rule.span.to_string())
            .collect();
        let more = if entry.rules.clone().count() > 4 {
            " …"
        } else {
            ""
        };
        let text = format!("{}: {}{more}", products.join(", "), rules.join("; "));
        if !about.contains(&text) {
            about.push(text);
        }
    }
    Ok(Explanation {
        schema: SCHEMA,
        id: record.id.to_owned(),
        aliases: record
            .aliases
            .iter()
            .map(|alias| (*alias).to_owned())
            .collect(),
        url: url_of(record.id),
        title: record.summary.map(str::to_owned),
        published: record.published,
        withdrawn: record.withdrawn,
        records: record
            .records
            .iter()
            .map(|(id, source, withdrawn)| RecordRef {
                id: (*id).to_owned(),
                source: names.get(*source).copied().unwrap_or_default().to_owned(),
                withdrawn: *withdrawn,
            })
            .collect(),
        packages,
        about,
    })
}

fn rank(status: &str) -> usize {
    let order = [
        "affected",
        "needs_review",
        "patched",
        "fixed",
        "not_affected",
        "another product",
        "not concerned",
    ];
    order
        .iter()
        .position(|known| *known == status)
        .unwrap_or(order.len())
}

fn package(
    question: &Question<'_>,
    id: ComponentId,
    component: &Component,
    names: &[&str],
) -> Result<Option<Explained>, Corrupt> {
    let Question {
        index,
        vulnerability,
        matcher,
        subject,
        ..
    } = *question;
    let findings = matcher.component(id, component)?.unwrap_or_default();
    let found: Option<&Found<'_>> = findings
        .iter()
        .find(|finding| finding.vulnerability == vulnerability);
    let mut strangers = Vec::new();
    for (entry, product, why) in matcher.strangers(component)? {
        let view = index.entry(entry)?;
        if view
            .vulnerabilities
            .clone()
            .any(|spoken_of| spoken_of == vulnerability)
        {
            let stranger = Stranger {
                product: product.to_string(),
                record: view.record.to_owned(),
                why: why.to_string(),
            };
            if !strangers.contains(&stranger) {
                strangers.push(stranger);
            }
        }
    }
    let decided = found.map(|found| decisions(question, found)).transpose()?;
    let (active, expired) = decided.unwrap_or_default();
    let cleared = match (found, active, question.triage) {
        (Some(found), None, Some(triage)) if triage.suppresses => {
            cleared(question, triage, component, found)?
        }
        _ => None,
    };
    let active = active.or(cleared.as_ref());
    let (status, why, evidence, finding) = match found {
        Some(found) => (
            found.status.as_str(),
            reason(found),
            found
                .claims
                .iter()
                .map(|claim| evidence(claim, names))
                .collect(),
            {
                let told = crate::build::finding(index, found, active, names, false)?;
                let triage = question.triage;
                let triage = triage.and_then(|triage| triage.told(component, &told));
                Some(Finding { triage, ..told })
            },
        ),
        None if strangers.is_empty() && question.wanted.is_none() => return Ok(None),
        None if strangers.is_empty() => (
            "not concerned",
            "the advisory is about other products".to_owned(),
            Vec::new(),
            None,
        ),
        None => (
            "another product",
            "only the name is shared".to_owned(),
            Vec::new(),
            None,
        ),
    };
    let path = component
        .whereabouts()
        .iter()
        .filter_map(|node| subject.graph.shortest_paths().to(*node))
        .min_by_key(Vec::len);
    Ok(Some(Explained {
        package: display_name(component),
        version: component.version.to_string(),
        status,
        reason: why,
        finding,
        expired: expired.map(suppressed),
        evidence,
        strangers,
        identities: component
            .identities
            .iter()
            .filter(|(identity, _)| !matcher.is_denied(component, identity))
            .map(|(identity, reason)| IdentityRef {
                identity: identity.to_string(),
                reason: reason.to_string(),
            })
            .collect(),
        places: component
            .places
            .iter()
            .map(|at| place(subject, component, at))
            .collect(),
        inside: component.is_part(),
        other_versions: component
            .other_versions
            .iter()
            .map(|other| OtherVersion {
                version: other.version.to_string(),
                place: place(subject, component, &other.place),
            })
            .collect(),
        patches: component
            .patches
            .iter()
            .map(|applied| applied.what.name.to_string())
            .collect(),
        patches_known: component.known_builds > 0,
        path: path
            .unwrap_or_default()
            .iter()
            .filter_map(|node| subject.object(*node))
            .map(|object| object.name.to_string())
            .collect(),
    }))
}

/// The tracker's decision that suppresses a finding.
fn cleared(
    question: &Question<'_>,
    triage: Triage<'_>,
    component: &Component,
    found: &Found<'_>,
) -> Result<Option<Suppression>, Corrupt> {
    if !matches!(found.status, Status::Affected | Status::NeedsReview) {
        return Ok(None);
    }
    let record = question.index.vulnerability(question.vulnerability)?;
    let mut names = record.aliases;
    names.push(record.id);
    let decided = triage.document.of(component, &names);
    Ok(decided.and_then(|decided| decided.suppression(triage.document.tracker(), component)))
}

/// The decision that suppresses a finding, and else one that did so until its day had passed.
fn decisions<'q>(
    question: &Question<'q>,
    found: &Found<'_>,
) -> Result<(Option<&'q Suppression>, Option<&'q Suppression>), Corrupt> {
    let record = question.index.vulnerability(question.vulnerability)?;
    let met = |today: Date| {
        let applied = suppress::apply(
            question.suppressions,
            question.subject,
            question.inventory,
            std::slice::from_ref(found),
            today,
            |_| record.aliases.clone(),
        );
        let at = applied.by_finding.first().copied().flatten()?;
        question.suppressions.get(at)
    };
    let active = met(question.today);
    Ok((
        active,
        if active.is_some() {
            None
        } else {
            met(Date::MIN)
        },
    ))
}
