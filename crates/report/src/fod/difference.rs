//! What differs between the fixed-output derivations of two subjects.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use snowguard_fod::shown::shown;
use snowguard_fod::stale::{Kind, compare};
use snowguard_fod::{Fod, Plan};
use snowguard_inventory::{Gap, Subject};

use super::listing::{Row, listing_with_facts, with_revision};
use crate::gaps;

/// What differs.
#[derive(Clone, Debug, Serialize)]
pub struct Difference {
    /// `snowguard-fod-diff/1`.
    pub schema: &'static str,
    /// What was looked at before.
    pub base: String,
    /// What was looked at after.
    pub head: String,
    /// How many are the same.
    pub same: usize,
    /// Another source, the same hash; those of which most speaks for a forgotten hash first.
    pub unchanged_hash: Vec<Unchanged>,
    /// The same source, another hash.
    pub changed_hash: Vec<Rehashed>,
    /// New ones.
    pub added: Vec<Row>,
    /// Those that are gone.
    pub removed: Vec<Row>,
    /// Scripts that fetch what was added or altered, and nothing before.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub new_scripts: Vec<NewScript>,
    /// What could not be known.
    pub gaps: Vec<String>,
    /// Of these what may have hidden derivations of the first.
    pub incomplete_base: Vec<String>,
    /// The same of the second.
    pub incomplete_head: Vec<String>,
}

/// Another source, the same hash.
#[derive(Clone, Debug, Serialize)]
pub struct Unchanged {
    /// `stale`, `vendored`, `relocated`, `altered`, `script`, `moved`.
    pub kind: &'static str,
    /// What that means.
    pub meaning: &'static str,
    /// Before.
    pub base: Row,
    /// After.
    pub head: Row,
    /// From where it was fetched, as it is written down: a mirror by its name, and without credentials.
    #[serde(skip)]
    pub was: Vec<String>,
    /// From where it is.
    #[serde(skip)]
    pub is: Vec<String>,
}

impl Unchanged {
    /// Whether it is most likely a mistake.
    pub fn is_stale(&self) -> bool {
        self.kind == Kind::Stale.as_str()
    }

    /// Whether nothing but the place is another.
    pub fn is_moved(&self) -> bool {
        self.kind == Kind::Moved.as_str()
    }
}

/// The same source, another hash.
#[derive(Clone, Debug, Serialize)]
pub struct Rehashed {
    /// Before.
    pub base: Row,
    /// After.
    pub head: Row,
}

/// A script by which nothing was fetched before.
#[derive(Clone, Debug, Serialize)]
pub struct NewScript {
    /// Its file in the store. The path follows from the content.
    pub path: String,
    /// The derivations of what it fetches now.
    pub drvs: Vec<String>,
    /// The names of these.
    pub names: Vec<String>,
}

impl Difference {
    /// What was added or altered, as it is now.
    pub fn changed(&self) -> impl Iterator<Item = &Row> {
        let unchanged = self.unchanged_hash.iter().map(|found| &found.head);
        let rehashed = self.changed_hash.iter().map(|found| &found.head);
        unchanged.chain(rehashed).chain(&self.added)
    }
}

/// Compares two subjects.
pub fn difference(base: &Subject, head: &Subject) -> Difference {
    let ((before, base_fods), (after, head_fods)) =
        (listing_with_facts(base), listing_with_facts(head));
    let found = compare(&base_fods, &head_fods);
    let mut gaps = before.gaps.clone();
    for gap in &after.gaps {
        if !gaps.contains(gap) {
            gaps.push(gap.clone());
        }
    }
    let changed = found.unchanged.iter().map(|found| found.head);
    let changed = changed.chain(found.rehashed.iter().map(|found| found.head));
    let changed = changed.chain(found.added.iter().copied());
    let new_scripts = new_scripts(&base_fods, &head_fods, &after.fods, changed);
    let old = |at: usize| before.fods[at].clone();
    let new = |at: usize| after.fods[at].clone();
    Difference {
        schema: "snowguard-fod-diff/1",
        base: before.subject.clone(),
        head: after.subject.clone(),
        same: found.same,
        unchanged_hash: found
            .unchanged
            .iter()
            .map(|unchanged| Unchanged {
                kind: unchanged.kind.as_str(),
                meaning: {
                    let (base, head) = (base_fods[unchanged.base], head_fods[unchanged.head]);
                    // The store path follows from the name and the hash, which is the same.
                    unchanged.kind.what(base.name == head.name)
                },
                base: old(unchanged.base),
                head: new(unchanged.head),
                was: written(base_fods[unchanged.base]),
                is: written(head_fods[unchanged.head]),
            })
            .collect(),
        changed_hash: found
            .rehashed
            .iter()
            .map(|rehashed| Rehashed {
                base: old(rehashed.base),
                head: new(rehashed.head),
            })
            .collect(),
        added: found.added.iter().map(|at| new(*at)).collect(),
        removed: found.removed.iter().map(|at| old(*at)).collect(),
        new_scripts,
        gaps,
        incomplete_base: incomplete(base),
        incomplete_head: incomplete(head),
    }
}

/// From where one is fetched: its URLs, or what it is fetched for.
fn written(fod: &Fod) -> Vec<String> {
    if fod.urls.is_empty() {
        return fod.sources.iter().map(ToString::to_string).collect();
    }
    let urls: Vec<String> = fod.urls.iter().map(|url| shown(url)).collect();
    with_revision(&urls, fod.rev.as_deref())
}

/// Scripts of those that are believed to be run by a fetcher's own, by which nothing of the base is run.
fn new_scripts(
    base: &[&Fod],
    head: &[&Fod],
    rows: &[Row],
    changed: impl Iterator<Item = usize>,
) -> Vec<NewScript> {
    let known: BTreeSet<&str> = base
        .iter()
        .flat_map(|fod| &fod.scripts)
        .map(|path| &**path)
        .collect();
    let mut by_path: BTreeMap<&str, NewScript> = BTreeMap::new();
    for at in changed.filter(|at| matches!(head[*at].plan, Plan::Fetch(_))) {
        for path in head[at]
            .scripts
            .iter()
            .filter(|path| !known.contains(&***path))
        {
            let script = by_path.entry(path).or_insert_with(|| NewScript {
                path: path.to_string(),
                drvs: Vec::new(),
                names: Vec::new(),
            });
            script.drvs.push(rows[at].drv.clone());
            script.names.push(rows[at].name.clone());
        }
    }
    by_path.into_values().collect()
}

/// What of a subject was not read, and may be fixed-output derivations.
fn incomplete(subject: &Subject) -> Vec<String> {
    let hides = |gap: &&Gap| {
        matches!(
            gap,
            Gap::Unreadable { .. }
                | Gap::MissingInputs { .. }
                | Gap::NoDerivations { .. }
                | Gap::SeveralDerivations { .. }
        )
    };
    subject.gaps.iter().filter(hides).map(gaps::told).collect()
}
