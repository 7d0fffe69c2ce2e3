//! Which stored advisory each group of a batch is.
//!
//! An advisory keeps its decisions whatever it is called. A group is the stored advisory of its name;
//! else the first to which one of its names leads and which is no other group now: that one is renamed.
//! Whatever else its names led to turned out to be the same, and is merged into it. An alias that went
//! to another group leads there from now on; the decisions stay where they were made.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;
use snowguard_db::advisories::Advisories as _;
use snowguard_db::findings::{merge_findings, refresh};
use snowguard_db::issues::merge_issues;
use snowguard_db::search::{Document, Search as _};
use snowguard_db::{DbError, Session};

use super::batch::Batch;

/// Where the groups of a batch are.
pub(super) struct Placed {
    /// The number of each group, in their order.
    pub(super) ids: Vec<i64>,
    /// Advisories that were touched and have no record any more.
    pub(super) left: Vec<i64>,
    pub(super) merged: u64,
}

pub(super) fn place(
    session: &mut dyn Session,
    batch: &Batch,
    now: Timestamp,
) -> Result<Placed, DbError> {
    let leads = session.advisories_of_names(&batch.touched)?;
    let known: Vec<i64> = leads
        .values()
        .copied()
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    let own = session.names_of_advisories(&known)?;
    let wanted: Vec<String> = batch
        .groups
        .iter()
        .map(|group| group.facts.name.clone())
        .collect();
    let by_name = session.advisories_named(&wanted)?;
    let claims = claim(batch, &leads, &own, &by_name);
    let new: Vec<String> = batch
        .groups
        .iter()
        .zip(&claims)
        .filter(|(_, claim)| claim.is_none())
        .map(|(group, _)| group.facts.name.clone())
        .collect();
    let added = session.add_advisories(&new, now)?;
    let mut ids = Vec::with_capacity(batch.groups.len());
    for (group, claimed) in batch.groups.iter().zip(&claims) {
        let name = &group.facts.name;
        let id = match claimed {
            Some(id) => {
                if by_name.get(name) != Some(id) {
                    session.rename_advisory(*id, name)?;
                }
                *id
            }
            None => added.get(name).copied().ok_or_else(|| DbError::Content {
                what: format!("the advisory {name}"),
                reason: "it is not there after it was written".to_owned(),
            })?,
        };
        ids.push(id);
    }
    session.revive_advisories(&ids, now)?;
    let merged = merge(session, batch, &leads, &own, &ids, now)?;
    let names: BTreeMap<&String, i64> = batch
        .groups
        .iter()
        .zip(&ids)
        // Where two groups have a name, as a record with two CVEs gives them, the first has it, as in
        // an index.
        .rev()
        .flat_map(|(group, id)| group.names.iter().map(move |name| (name, *id)))
        .collect();
    let names: Vec<(String, i64)> = names
        .into_iter()
        .map(|(name, id)| (name.clone(), id))
        .collect();
    session.lead_names(&names)?;
    let placed: BTreeSet<i64> = ids.iter().copied().collect();
    let left: Vec<i64> = known
        .into_iter()
        .filter(|id| !placed.contains(id) && !merged.contains(id))
        .filter(|id| {
            own.get(id)
                .is_some_and(|name| batch.touched.binary_search(name).is_ok())
        })
        .collect();
    session.leave_advisories(&left)?;
    Ok(Placed {
        ids,
        left,
        merged: merged.len() as u64,
    })
}

/// The stored advisory that each group is; none for a new one.
fn claim(
    batch: &Batch,
    leads: &HashMap<String, i64>,
    own: &HashMap<i64, String>,
    by_name: &HashMap<String, i64>,
) -> Vec<Option<i64>> {
    let groups: BTreeSet<&str> = batch
        .groups
        .iter()
        .map(|group| group.facts.name.as_str())
        .collect();
    let mut taken: BTreeSet<i64> = BTreeSet::new();
    batch
        .groups
        .iter()
        .map(|group| {
            let of_name = by_name.get(&group.facts.name).copied();
            let renamed = || {
                group
                    .names
                    .iter()
                    .filter_map(|name| leads.get(name))
                    .copied()
                    .find(|id| {
                        // Nor may it be one of which there is still a group, here or elsewhere: a name that
                        // is its own and no name of this group's.
                        own.get(id).is_some_and(|name| {
                            !groups.contains(name.as_str()) && group.names.contains(name)
                        })
                    })
            };
            let id = of_name.or_else(renamed).filter(|id| taken.insert(*id))?;
            Some(id)
        })
        .collect()
}

/// Merges what turned out to be one of the groups: advisories whose own name is another's alias now.
fn merge(
    session: &mut dyn Session,
    batch: &Batch,
    leads: &HashMap<String, i64>,
    own: &HashMap<i64, String>,
    ids: &[i64],
    now: Timestamp,
) -> Result<BTreeSet<i64>, DbError> {
    let placed: BTreeSet<i64> = ids.iter().copied().collect();
    let mut merged = BTreeSet::new();
    let (mut advisories, mut packages) = (BTreeSet::new(), BTreeSet::new());
    for (group, into) in batch.groups.iter().zip(ids) {
        for name in &group.names {
            let Some(from) = leads.get(name).filter(|from| !placed.contains(from)) else {
                continue;
            };
            if own.get(from) == Some(name) && merged.insert(*from) {
                packages.extend(merge_findings(session, *from, *into, name, now)?);
                merge_issues(session, *from, *into, now)?;
                session.merge_advisory(*from, *into)?;
                advisories.extend([*from, *into]);
            }
        }
    }
    let gone: Vec<Document> = merged.iter().map(|id| Document::Advisory(*id)).collect();
    session.forget_words(&gone)?;
    refresh(session, &advisories, &packages)?;
    Ok(merged)
}
