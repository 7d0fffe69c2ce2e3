//! What a delta says of its base: which it is, and what of it no longer counts.

use std::collections::BTreeSet;

use super::layout::{Corrupt, OpenError, Section, SegmentDigest, little_endian};
use super::segment::Segment;
use super::touched::Touched;

/// Why no delta can be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeltaError {
    /// The base cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The base contradicts itself.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
}

/// The sections that a delta has and a base has not.
pub(super) fn overlay(
    base: &[u8],
    touched: &Touched,
    shared: usize,
    sources: &[&str],
) -> Result<Vec<(Section, Vec<u8>)>, DeltaError> {
    let segment = Segment::base(base)?;
    let digest = SegmentDigest::of(base).ok_or(OpenError::NotAnIndex)?;
    let superseded = superseded(&segment, touched)?;
    let dead = dead(&segment, &superseded)?;
    let numbers: Vec<u32> = segment
        .sources()?
        .iter()
        .map(|source| {
            let place = sources.iter().position(|name| *name == source.name);
            place
                .and_then(|at| u32::try_from(at).ok())
                .unwrap_or(u32::MAX)
        })
        .collect();
    let mut head = digest.as_bytes().to_vec();
    head.extend_from_slice(&(shared as u64).to_le_bytes());
    let array = |numbers: BTreeSet<u32>| little_endian(&numbers.into_iter().collect::<Vec<_>>());
    Ok(vec![
        (Section::Base, head),
        (Section::Superseded, array(superseded)),
        (Section::Dead, array(dead)),
        (Section::SourceMap, little_endian(&numbers)),
    ])
}

/// The vulnerabilities of the base whose groups were touched.
fn superseded(base: &Segment<'_>, touched: &Touched) -> Result<BTreeSet<u32>, Corrupt> {
    let mut superseded = BTreeSet::new();
    for touched in touched.names() {
        for found in base.names_from(touched.as_str())? {
            let (name, id) = found?;
            if name != touched.as_str() {
                break;
            }
            // A name that is no CVE is also listed with each CVE whose records bear it; of these
            // groups the CVEs would have been touched.
            let is_cve = |text: &str| text.parse::<crate::id::CveId>().is_ok();
            if is_cve(name) == is_cve(base.id_of(id.0)?) {
                superseded.insert(id.0);
            }
        }
    }
    Ok(superseded)
}

/// The entries of the base that speak of nothing but superseded vulnerabilities.
fn dead(base: &Segment<'_>, superseded: &BTreeSet<u32>) -> Result<BTreeSet<u32>, Corrupt> {
    let mut dead = BTreeSet::new();
    for vulnerability in superseded {
        for entry in base.vulnerability(*vulnerability)?.entries {
            let mut spoken_of = base.entry(entry.0)?.vulnerabilities;
            if spoken_of.all(|id| superseded.contains(&id.0)) {
                dead.insert(entry.0);
            }
        }
    }
    Ok(dead)
}
