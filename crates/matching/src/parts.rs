//! What is found inside of others: how far its declarations carry a verdict, and what the patches
//! around it say.
//!
//! A patch of a program mends the program. It mends a library inside only if it says so, and even
//! then a person must look: nothing shows that the patched file is the library's.

use snowguard_advisory::id::CveId;
use snowguard_advisory::record::Commit;
use snowguard_inventory::component::Component;
use snowguard_inventory::{Need, Patch, Place, Proof};

use crate::finding::{Decision, Status, Weakness};

/// What remains of a verdict on something that is found inside of others.
pub(crate) fn weigh(
    component: &Component,
    id: &str,
    fixes: &[Commit],
    (status, decision): (Status, Decision),
) -> (Status, Decision) {
    if component.places.is_empty() {
        return (status, decision);
    }
    let elsewhere = || {
        component
            .places
            .iter()
            .filter(|place| !component.nodes.contains(&place.node))
    };
    match status {
        // A patch of its own builds reaches no copy in others.
        Status::Patched => match elsewhere().find(|place| place.is_strong()) {
            Some(place) => {
                let host = host_of(component, place);
                (Status::NeedsReview, Decision::OtherCopies(host))
            }
            None => (status, decision),
        },
        Status::Affected if component.is_part() => {
            if let Some(weakness) = weakness(component) {
                return (Status::NeedsReview, Decision::Weak(weakness));
            }
            match patched_around(component, id, fixes) {
                Some(decision) => (Status::NeedsReview, decision),
                None => (status, decision),
            }
        }
        _ => (status, decision),
    }
}

/// Why nothing proves that it is in use; none if something does.
fn weakness(component: &Component) -> Option<Weakness> {
    if component.places.iter().any(Place::is_strong) {
        return None;
    }
    // The one that comes nearest to a proof.
    let place = component
        .places
        .iter()
        .min_by_key(|place| (place.need, place.proof))?;
    Some(match (place.need, place.proof) {
        (Need::Build, _) => Weakness::Build,
        (Need::Development, _) => Weakness::Development,
        (_, Proof::Listed) => Weakness::Listed,
        (_, Proof::Locked) => Weakness::Locked,
        (_, Proof::Named | Proof::Contained) => Weakness::Named,
    })
}

/// A patch that speaks of the vulnerability, if each of the things around it has one: what is
/// unpatched in one of them is affected.
fn patched_around(component: &Component, id: &str, fixes: &[Commit]) -> Option<Decision> {
    let cve: Option<CveId> = id.parse().ok();
    let mut first = None;
    for host in &component.hosts {
        let patch = host.patches.iter().find(|patch| speaks(patch, cve, fixes));
        let phase = cve.is_some_and(|cve| host.phase_cves.contains(&cve));
        if patch.is_none() && !phase {
            return None;
        }
        first.get_or_insert_with(|| Decision::PatchedAround {
            host: host.label.clone(),
            patch: patch.map(|patch| patch.name.clone()),
        });
    }
    first
}

fn speaks(patch: &Patch, cve: Option<CveId>, fixes: &[Commit]) -> bool {
    let text = patch.text.as_ref();
    let names = |cve: &CveId| {
        patch.named_cves.contains(cve) || text.is_some_and(|text| text.cves.contains(cve))
    };
    cve.as_ref().is_some_and(names)
        || patch
            .commits
            .iter()
            .chain(text.into_iter().flat_map(|text| &text.commits))
            .any(|commit| fixes.binary_search(commit).is_ok())
}

fn host_of(component: &Component, place: &Place) -> Box<str> {
    component
        .hosts
        .iter()
        .find(|host| host.node == place.node)
        .map_or_else(|| "another object".into(), |host| host.label.clone())
}
