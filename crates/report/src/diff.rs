//! What an upgrade fixes, brings and leaves, as data.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use snowguard_inventory::Inventory;

use crate::build::display_name;
use crate::model::{Exploited, Finding, Package, Report, Severity};
use crate::rank::{is_affected, urgency};

/// The name and version of the schema.
pub const SCHEMA: &str = "snowguard-diff/1";

/// Two scans, held against each other.
#[derive(Clone, Debug, Serialize)]
pub struct Difference {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// The old subject.
    pub old: String,
    /// The new subject.
    pub new: String,
    /// What was affected and no longer is.
    pub fixed: Vec<Change>,
    /// What is affected and was not.
    pub brought: Vec<Change>,
    /// What needs review and did not: also what was affected before, and is no longer sure to be.
    pub to_review: Vec<Change>,
    /// What is affected as before.
    pub left: Vec<Change>,
    /// Packages in other versions than before, added or gone.
    pub versions: Vec<VersionChange>,
}

/// One package and one vulnerability.
#[derive(Clone, Debug, Serialize)]
pub struct Change {
    /// The package, with its language.
    pub package: String,
    /// Its versions before.
    pub old_versions: Vec<String>,
    /// Its versions now; empty if it is gone.
    pub new_versions: Vec<String>,
    /// The vulnerability.
    pub id: String,
    /// How bad.
    pub severity: Option<Severity>,
    /// Known exploitation.
    pub exploited: Option<Exploited>,
    /// How it was fixed: `update`, `patch`, `decision` or `removal`; or why it came: `update`,
    /// `addition`, `doubt` (affected before), `lost patch or decision` or `advisory`.
    pub how: &'static str,
}

/// A package whose versions changed.
#[derive(Clone, Debug, Serialize)]
pub struct VersionChange {
    /// The package, with its language.
    pub package: String,
    /// Versions before.
    pub old: Vec<String>,
    /// Versions now.
    pub new: Vec<String>,
}

type Versions = BTreeMap<String, BTreeSet<String>>;

/// Holds two scans against each other.
pub fn diff(old: (&Report, &Inventory), new: (&Report, &Inventory)) -> Difference {
    let (old_versions, new_versions) = (versions(old.1), versions(new.1));
    let (before, now) = (open(old.0, is_affected), open(new.0, is_affected));
    let (review_before, review_now) = (open(old.0, is_to_review), open(new.0, is_to_review));
    let (closed_now, closed_before) = (closed(new.0), closed(old.0));
    let change = |key: &Key, finding: &Finding, how| Change {
        package: key.0.clone(),
        old_versions: list(&old_versions, &key.0),
        new_versions: list(&new_versions, &key.0),
        id: key.1.clone(),
        severity: finding.severity.clone(),
        exploited: finding.exploited.clone(),
        how,
    };
    let mut difference = Difference {
        schema: SCHEMA,
        old: old.0.subject.title.clone(),
        new: new.0.subject.title.clone(),
        fixed: Vec::new(),
        brought: Vec::new(),
        to_review: Vec::new(),
        left: Vec::new(),
        versions: changed(&old_versions, &new_versions),
    };
    let mut ranked: Vec<_> = before.iter().collect();
    ranked.sort_by(|(a, f), (b, g)| urgency(g).cmp(&urgency(f)).then_with(|| a.cmp(b)));
    for (key, finding) in ranked {
        if now.contains_key(key) {
            difference.left.push(change(key, finding, "unchanged"));
            continue;
        }
        // Doubt is no fix: it is told below.
        if review_now.contains_key(key) {
            continue;
        }
        let how = match closed_now.get(key) {
            Some(how) => *how,
            None if !new_versions.contains_key(&key.0) => "removal",
            None => "update",
        };
        difference.fixed.push(change(key, finding, how));
    }
    let came = |key: &Key| match (old_versions.get(&key.0), new_versions.get(&key.0)) {
        (None, _) => "addition",
        (Some(a), Some(b)) if a == b && closed_before.contains_key(key) => "lost patch or decision",
        (Some(a), Some(b)) if a == b => "advisory",
        _ => "update",
    };
    let ranked = |all: &BTreeMap<Key, &Finding>, known: &dyn Fn(&Key) -> bool| {
        let mut ranked: Vec<(Key, Finding)> = all
            .iter()
            .filter(|(key, _)| !known(key))
            .map(|(key, finding)| (key.clone(), (*finding).clone()))
            .collect();
        ranked.sort_by(|(a, f), (b, g)| urgency(g).cmp(&urgency(f)).then_with(|| a.cmp(b)));
        ranked
    };
    for (key, finding) in ranked(&now, &|key| before.contains_key(key)) {
        let brought = change(&key, &finding, came(&key));
        difference.brought.push(brought);
    }
    // Another version of the same package may be affected as well: that says it all.
    let known = |key: &Key| review_before.contains_key(key) || now.contains_key(key);
    for (key, finding) in ranked(&review_now, &known) {
        let how = if before.contains_key(&key) {
            "doubt"
        } else {
            came(&key)
        };
        difference.to_review.push(change(&key, &finding, how));
    }
    difference
}

/// A package without its version, and a vulnerability.
type Key = (String, String);

fn name_of(package: &Package) -> String {
    match package.language {
        Some(language) => format!("{} ({language})", package.name),
        None => package.name.clone(),
    }
}

fn is_to_review(finding: &Finding) -> bool {
    finding.suppressed.is_none() && finding.status == "needs_review"
}

/// What is open in one way, by package without version.
fn open(report: &Report, is: fn(&Finding) -> bool) -> BTreeMap<Key, &Finding> {
    let mut all = BTreeMap::new();
    for package in &report.packages {
        for finding in package.findings.iter().filter(|finding| is(finding)) {
            all.insert((name_of(package), finding.id.clone()), finding);
        }
    }
    all
}

/// What would be affected but for a patch or a decision.
fn closed(report: &Report) -> BTreeMap<Key, &'static str> {
    let mut all = BTreeMap::new();
    for package in &report.packages {
        for finding in &package.findings {
            let how = match (finding.suppressed.is_some(), finding.status) {
                (true, _) => "decision",
                (false, "patched") => "patch",
                _ => continue,
            };
            all.insert((name_of(package), finding.id.clone()), how);
        }
    }
    all
}

fn versions(inventory: &Inventory) -> Versions {
    let mut versions = Versions::new();
    for component in &inventory.components {
        versions
            .entry(display_name(component))
            .or_default()
            .insert(component.version.to_string());
    }
    versions
}

fn list(versions: &Versions, package: &str) -> Vec<String> {
    versions
        .get(package)
        .into_iter()
        .flatten()
        .cloned()
        .collect()
}

fn changed(old: &Versions, new: &Versions) -> Vec<VersionChange> {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    names
        .into_iter()
        .filter(|name| old.get(*name) != new.get(*name))
        .map(|name| VersionChange {
            package: name.clone(),
            old: list(old, name),
            new: list(new, name),
        })
        .collect()
}
