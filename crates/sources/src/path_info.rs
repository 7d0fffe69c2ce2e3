//! The JSON of `nix path-info`: store paths with what they refer to at run time.
//!
//! Derivers are only named there; what they say is known where their `.drv` files are, which is
//! nobody's promise for a document that may come from another machine.

use std::collections::VecDeque;

use rustc_hash::{FxHashMap, FxHashSet};
use snowguard_inventory::{Gap, SubjectBuilder};
use snowguard_store::path_info::PathInfoError;
use snowguard_store::{PathInfo, PathInfoSet, StorePath};

/// Adds the objects of a document, those that nothing refers to first; gives the names of these.
pub(crate) fn add(builder: &mut SubjectBuilder, json: &[u8]) -> Result<Vec<String>, PathInfoError> {
    let set = PathInfoSet::from_json(json, None)?;
    let index: FxHashMap<&StorePath, &PathInfo> = set
        .objects
        .iter()
        .map(|info| (&info.object.path, info))
        .collect();
    let mut referred: FxHashMap<&StorePath, bool> = FxHashMap::default();
    for info in &set.objects {
        for reference in &info.object.references {
            if *reference != info.object.path {
                referred.insert(reference, true);
            }
        }
    }
    let mut queue: VecDeque<&StorePath> = set
        .objects
        .iter()
        .map(|info| &info.object.path)
        .filter(|path| !referred.contains_key(path))
        .collect();
    if let (true, Some(first)) = (queue.is_empty(), set.objects.first()) {
        queue.push_back(&first.object.path);
    }
    let roots = queue.iter().map(|path| path.name().to_string()).collect();
    let (mut missing, mut example) = (0, None);
    let mut done: FxHashSet<&StorePath> = queue.iter().copied().collect();
    let mut recipes = (0, 0);
    while let Some(path) = queue.pop_front() {
        let id = set.dir.show(path).to_string();
        let node = builder.object(&id, path.name().as_str(), |object| object.run_time = true);
        let Some(info) = index.get(path) else {
            missing += 1;
            example.get_or_insert(id);
            continue;
        };
        let object = &info.object;
        if let Some(known) = builder.get_mut(node) {
            known.nar_hash = Some(object.nar_hash);
        }
        if object.deriver.is_some() || object.content_address.is_none() {
            recipes.0 += 1;
        }
        recipes.1 += 1;
        for reference in &object.references {
            let id = set.dir.show(reference).to_string();
            let name = reference.name().as_str();
            let other = builder.object(&id, name, |object| object.run_time = true);
            builder.edge(node, other);
            if done.insert(reference) {
                queue.push_back(reference);
            }
        }
    }
    if recipes.0 > 0 {
        builder.gap(Gap::NoDerivations {
            missing: recipes.0,
            of: recipes.1,
        });
    }
    if let Some(example) = example {
        builder.gap(Gap::MissingInputs {
            count: missing,
            example,
        });
    }
    Ok(roots)
}
