//! Which records speak of the same vulnerability.

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashMap;

use crate::id::{AdvisoryId, CveId};
use crate::record::Record;

/// Brings together what speaks of one vulnerability: a CVE, or ids that are linked by aliases and
/// have no CVE. A record with several CVEs speaks of each.
///
/// Scores alone make no vulnerability: without this, EPSS would triple the index.
pub(super) fn group(records: &[(u32, &Record)]) -> BTreeMap<AdvisoryId, Vec<usize>> {
    let mut groups: BTreeMap<AdvisoryId, Vec<usize>> = BTreeMap::new();
    let mut linked: FxHashMap<&AdvisoryId, usize> = FxHashMap::default();
    let mut parents: Vec<usize> = (0..records.len()).collect();
    let mut loose = Vec::new();
    for (at, (_, record)) in records.iter().enumerate() {
        let cves: BTreeSet<CveId> = std::iter::once(&record.id)
            .chain(&record.aliases)
            .filter_map(AdvisoryId::cve)
            .collect();
        for cve in &cves {
            groups.entry((*cve).into()).or_default().push(at);
        }
        if cves.is_empty() {
            loose.push(at);
            for id in std::iter::once(&record.id).chain(&record.aliases) {
                let other = *linked.entry(id).or_insert(at);
                let (a, b) = (root(&mut parents, at), root(&mut parents, other));
                parents[a.max(b)] = a.min(b);
            }
        }
    }
    let mut families: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for at in loose {
        families.entry(root(&mut parents, at)).or_default().push(at);
    }
    for members in families.into_values() {
        if let Some(id) = members.iter().map(|&at| &records[at].1.id).min() {
            groups.entry(id.clone()).or_default().extend(members);
        }
    }
    groups.retain(|_, members| {
        members.iter().any(|&at| {
            let record = records[at].1;
            !record.affects.is_empty() || record.exploited.is_some() || record.withdrawn
        })
    });
    groups
}

fn root(parents: &mut [usize], mut at: usize) -> usize {
    while parents[at] != at {
        parents[at] = parents[parents[at]];
        at = parents[at];
    }
    at
}
