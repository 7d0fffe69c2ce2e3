//! What differs between the fixed-output derivations of two subjects.

use serde::Serialize;
use snowguard_fod::Fod;
use snowguard_fod::shown::shown;
use snowguard_fod::stale::{Kind, compare};
use snowguard_inventory::{Gap, Subject};

use super::listing::{Row, listing_with_facts, with_revision};
use crate::build;

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
    /// `stale`, `vendored`, `altered`, `moved`.
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

/// What of a subject was not read, and may be fixed-output derivations.
fn incomplete(subject: &Subject) -> Vec<String> {
    let hides = |gap: &&Gap| {
        matches!(
            gap,
            Gap::Unreadable { .. } | Gap::MissingInputs { .. } | Gap::NoDerivations { .. }
        )
    };
    subject.gaps.iter().filter(hides).map(build::gap).collect()
}
