//! Which records speak of the same vulnerability.

use rustc_hash::FxHashMap;

use super::packed::{Records, number};
use crate::id::CveId;

/// The vulnerabilities in order of their names, each with the records that speak of it.
pub(super) struct Groups {
    /// The rank of each one's name.
    names: Vec<u32>,
    /// Where the records of each end.
    ends: Vec<u32>,
    records: Vec<u32>,
}

impl Groups {
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &[u32])> {
        let starts = std::iter::once(&0).chain(&self.ends);
        let ranges = starts.zip(&self.ends);
        self.names.iter().zip(ranges).map(|(name, (start, end))| {
            let range = *start as usize..*end as usize;
            (*name, self.records.get(range).unwrap_or_default())
        })
    }
}

/// Brings together what speaks of one vulnerability: a CVE, or ids that are linked by aliases and
/// have no CVE. A record with several CVEs speaks of each.
///
/// Scores alone make no vulnerability: without this, EPSS would triple the index. `is_kept` says of the others, by
/// name and records, whether they are wanted.
pub(super) fn group(records: &Records, is_kept: impl Fn(u32, &[u32]) -> bool) -> Groups {
    let strings = &records.strings;
    // Of a vulnerability, by the rank of its name, and a record.
    let mut pairs: Vec<(u32, u32)> = Vec::with_capacity(records.len());
    let mut linked: FxHashMap<u32, u32> = FxHashMap::default();
    let mut parents: Vec<u32> = (0..number(records.len())).collect();
    let mut loose = Vec::new();
    for at in 0..number(records.len()) {
        let before = pairs.len();
        let cves = records.names(at).filter(|name| is_cve(strings.text(*name)));
        pairs.extend(cves.map(|name| (strings.rank(name), at)));
        if pairs.len() == before {
            loose.push(at);
            for name in records.names(at) {
                let other = *linked.entry(name).or_insert(at);
                let (a, b) = (root(&mut parents, at), root(&mut parents, other));
                parents[a.max(b) as usize] = a.min(b);
            }
        }
    }
    drop(linked);
    let families = loose.into_iter().map(|at| (root(&mut parents, at), at));
    let mut families: Vec<(u32, u32)> = families.collect();
    families.sort_unstable();
    for family in families.chunk_by(|a, b| a.0 == b.0) {
        let ids = family.iter().map(|(_, at)| strings.rank(records.id(*at)));
        if let Some(first) = ids.min() {
            pairs.extend(family.iter().map(|(_, at)| (first, *at)));
        }
    }
    drop(families);
    pairs.sort_unstable();
    pairs.dedup();
    let mut groups = Groups {
        names: Vec::new(),
        ends: Vec::new(),
        records: Vec::with_capacity(pairs.len()),
    };
    for group in pairs.chunk_by(|a, b| a.0 == b.0) {
        let Some(&(name, _)) = group.first() else {
            continue;
        };
        let start = groups.records.len();
        groups.records.extend(group.iter().map(|(_, at)| *at));
        let own = groups.records.get(start..).unwrap_or_default();
        if own.iter().any(|at| records.speaks(*at)) && is_kept(name, own) {
            groups.names.push(name);
            groups.ends.push(number(groups.records.len()));
        } else {
            groups.records.truncate(start);
        }
    }
    groups
}

/// Whether a name is that of a CVE.
pub(super) fn is_cve(name: &str) -> bool {
    name.parse::<CveId>().is_ok()
}

fn root(parents: &mut [u32], mut at: u32) -> u32 {
    while parents[at as usize] != at {
        parents[at as usize] = parents[parents[at as usize] as usize];
        at = parents[at as usize];
    }
    at
}
