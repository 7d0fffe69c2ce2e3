//! Looking into the objects of a live store.

use std::path::PathBuf;
use std::sync::Mutex;

use rayon::prelude::*;
use rustc_hash::FxHashSet;
use snowguard_closure::NodeId;
use snowguard_inventory::{Gap, Role, Subject};
use snowguard_store::StorePath;

use super::cache::{self, Cache, Key, StoreMark};
use super::look::{Look, Told, Words};
use super::walk::walk;
use super::{Deep, Mode, codec};
use crate::live::{Archive, Database, Store, StoreError};

/// Looks into the objects of a subject that a store has: store paths, and outputs of derivations.
pub(crate) fn look_into(
    subject: &mut Subject,
    store: &Store,
    deep: &Deep,
) -> Result<(), StoreError> {
    if deep.mode == Mode::Never {
        return Ok(());
    }
    let objects = objects(subject, store)?;
    deep.effort.expect(objects.len());
    let cache = open_cache(store, deep);
    let (known, mut new) = from_cache(objects, cache.as_ref(), deep);
    let mut left = 0;
    if deep.mode == Mode::Auto {
        let mut budget = deep.limits.budget;
        // Those that are near to the root first. One that is too large leaves room for others.
        new.retain(|object| match budget.checked_sub(object.archive.size) {
            Some(rest) => {
                budget = rest;
                true
            }
            None => {
                left += 1;
                deep.effort.done();
                false
            }
        });
    }
    let looks = read(new, cache.as_ref(), deep);
    let looked = known.len() + looks.len();
    let (mut told, mut words) = (Told::default(), Words::default());
    let mut all: Vec<(NodeId, Look)> = known.into_iter().chain(looks).collect();
    all.sort_by_key(|(node, _)| *node);
    for (node, look) in all {
        let name = subject
            .object(node)
            .map_or(String::new(), |object| object.name.to_string());
        told.take(node, &name, look, &mut subject.inside, &mut words);
    }
    subject.looked_into += looked;
    if left > 0 {
        subject.gaps.push(Gap::NotLookedInto {
            count: left,
            of: looked + left,
        });
    }
    subject.gaps.extend(told.gaps());
    Ok(())
}

/// An object of the store.
struct Object {
    node: NodeId,
    path: StorePath,
    real: PathBuf,
    archive: Archive,
}

/// The cache, with what its keys for this store begin with.
struct Kept {
    cache: Cache,
    store: StoreMark,
}

impl Kept {
    fn key(&self, object: &Object) -> Key {
        Key::of_object(
            &self.store,
            &object.archive.hash,
            object.path.name().as_str(),
        )
    }
}

fn open_cache(store: &Store, deep: &Deep) -> Option<Kept> {
    let cache = super::open_cache(deep)?;
    // It was just read; one that vanished since has nothing to be kept of.
    let store = StoreMark::of(store.database(), store.real()).ok()?;
    Some(Kept { cache, store })
}

fn objects(subject: &Subject, store: &Store) -> Result<Vec<Object>, StoreError> {
    let dir = store.dir();
    let mut named: Vec<(NodeId, StorePath)> = Vec::new();
    let mut seen = FxHashSet::default();
    for (node, object) in subject.graph.nodes().zip(&subject.objects) {
        if object.role != Role::Part {
            continue;
        }
        let outputs = object.recipe.iter().flat_map(|recipe| &recipe.outputs);
        let outputs = outputs.filter_map(|(_, path)| path.as_deref());
        // A derivation is its outputs; a store path is itself, and has a recipe for more.
        let is_derivation = object.id.ends_with(".drv");
        let own = (!is_derivation).then_some(&*object.id);
        for path in own.into_iter().chain(outputs.filter(|_| is_derivation)) {
            if let Ok(path) = dir.parse(path)
                && seen.insert(path.clone())
            {
                named.push((node, path));
            }
        }
    }
    let paths: Vec<StorePath> = named.iter().map(|(_, path)| path.clone()).collect();
    let archives = Database::open(store.database())?.archives(dir, &paths)?;
    let found = named.into_iter().zip(archives);
    Ok(found
        .filter_map(|((node, path), archive)| {
            Some(Object {
                node,
                real: store.real_path(&path),
                path,
                archive: archive?,
            })
        })
        .collect())
}

/// What is known from before, and what is not.
fn from_cache(
    objects: Vec<Object>,
    kept: Option<&Kept>,
    deep: &Deep,
) -> (Vec<(NodeId, Look)>, Vec<Object>) {
    let rows: Vec<(Object, Option<Vec<u8>>)> = objects
        .into_iter()
        .map(|object| {
            let row = kept.and_then(|kept| kept.cache.get(kept.key(&object)));
            (object, row)
        })
        .collect();
    let decoded: Vec<Result<(NodeId, Look), Object>> = rows
        .into_par_iter()
        .map(
            |(object, row)| match row.and_then(|row| codec::decode(&row)) {
                Some(look) => {
                    deep.effort.known_from_before();
                    Ok((object.node, look))
                }
                None => Err(object),
            },
        )
        .collect();
    let (mut known, mut new) = (Vec::new(), Vec::new());
    for object in decoded {
        match object {
            Ok(look) => known.push(look),
            Err(object) => new.push(object),
        }
    }
    (known, new)
}

/// How many objects are read before what was found in them is kept. An interrupted scan loses no
/// more than that.
const BATCH: usize = 64;

fn read(objects: Vec<Object>, kept: Option<&Kept>, deep: &Deep) -> Vec<(NodeId, Look)> {
    let pending = Mutex::new(Vec::new());
    let looks = objects
        .into_par_iter()
        .map(|object| {
            let name = object.path.name().as_str().as_bytes();
            let walked = walk(&object.real, name, &deep.limits, &deep.effort, None, false);
            deep.effort.done();
            let look = match walked {
                Ok(look) => look,
                Err(error) => super::unreadable(&error),
            };
            // Where something could not be read, it may be tried again.
            if let Some(kept) = kept.filter(|_| look.is_complete()) {
                let row = cache::row(kept.key(&object), &look);
                let batch = pending.lock().ok().and_then(|mut pending| {
                    pending.push(row);
                    (pending.len() >= BATCH).then(|| std::mem::take(&mut *pending))
                });
                keep(Some(kept), batch, deep);
            }
            (object.node, look)
        })
        .collect();
    keep(kept, pending.into_inner().ok(), deep);
    looks
}

fn keep(kept: Option<&Kept>, rows: Option<Vec<(Key, Vec<u8>)>>, deep: &Deep) {
    if let (Some(kept), Some(rows)) = (kept, rows.filter(|rows| !rows.is_empty()))
        && let Err(warning) = kept.cache.put(&rows)
    {
        deep.effort.warn(warning);
    }
}
