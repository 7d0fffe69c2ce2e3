//! What helps to understand objects without being part of the subject: the derivations of their
//! sources and patches, which say where these come from, and the texts of the patches.
//!
//! A derivation names its sources and patches by their store paths, not by the derivations that
//! make them. Those are among its inputs, under the same name.

use rayon::prelude::*;
use rustc_hash::{FxHashMap, FxHashSet};
use snowguard_closure::NodeId;
use snowguard_inventory::{Gap, Role, SubjectBuilder};
use snowguard_store::{DrvPath, StoreName};

use crate::derivations::Reduced;
use crate::drv_files::{DrvFiles, Skipped};

/// Collects what is needed, and then reads it all.
pub(crate) struct Auxiliary<'f> {
    files: &'f DrvFiles,
    derivations: Vec<(NodeId, DrvPath)>,
    patches: FxHashMap<Box<str>, Vec<NodeId>>,
}

impl<'f> Auxiliary<'f> {
    pub(crate) fn new(files: &'f DrvFiles) -> Self {
        Self {
            files,
            derivations: Vec::new(),
            patches: FxHashMap::default(),
        }
    }

    /// What an object's derivation speaks of.
    pub(crate) fn of(&mut self, node: NodeId, drv: &Reduced) {
        self.sources_of(node, drv);
        self.patches_of(node, drv);
    }

    /// The patches only, where the derivations are there anyway.
    pub(crate) fn patches_of(&mut self, node: NodeId, drv: &Reduced) {
        for patch in &drv.recipe().patches {
            self.patches.entry(patch.clone()).or_default().push(node);
        }
    }

    /// Reads derivations of which an object is made, where they are, and collects what they speak
    /// of.
    pub(crate) fn derivations(
        &mut self,
        wanted: &[(NodeId, DrvPath)],
        builder: &mut SubjectBuilder,
        skipped: &mut Skipped,
    ) {
        let read: Vec<_> = wanted
            .par_iter()
            .map(|(_, path)| self.files.read(path))
            .collect();
        for ((owner, path), read) in wanted.iter().zip(read) {
            let Some(drv) = read.and_then(|read| skipped.keep(read)) else {
                continue;
            };
            let id = self.files.dir().show(path).to_string();
            let node = object(builder, &id, path.drv_name());
            builder.edge(*owner, node);
            self.of(node, &drv);
            if let Some(object) = builder.get_mut(node) {
                object.recipe = Some(Box::new(drv.into_recipe()));
            }
        }
    }

    fn sources_of(&mut self, node: NodeId, drv: &Reduced) {
        let recipe = drv.recipe();
        let names: FxHashSet<StoreName> = recipe
            .sources
            .iter()
            .chain(&recipe.patches)
            .filter_map(|path| self.files.dir().parse_within(&**path).ok())
            .map(|path| path.name().clone())
            .collect();
        if names.is_empty() {
            return;
        }
        for input in drv.input_drvs() {
            let makes = |name: &StoreName| {
                name.as_str()
                    .strip_prefix(input.drv_name())
                    .is_some_and(|output| output.is_empty() || output.starts_with('-'))
            };
            if names.iter().any(makes) {
                self.derivations.push((node, input.clone()));
            }
        }
    }

    /// Reads what was collected, and what that leads to, and adds it.
    pub(crate) fn add_to(mut self, builder: &mut SubjectBuilder, skipped: &mut Skipped) {
        let mut known: FxHashMap<DrvPath, Option<NodeId>> = FxHashMap::default();
        for _ in 0..=DEPTH {
            let needed = std::mem::take(&mut self.derivations);
            let mut new: Vec<&DrvPath> = needed.iter().map(|(_, path)| path).collect();
            new.sort_unstable();
            new.dedup();
            new.retain(|path| !known.contains_key(*path));
            let read: Vec<_> = new
                .par_iter()
                .map(|&path| (path, self.files.read(path)))
                .collect();
            for (path, drv) in read {
                let drv = drv.and_then(|read| skipped.keep(read));
                let node = drv.map(|drv| {
                    let id = self.files.dir().show(path).to_string();
                    let node = object(builder, &id, path.drv_name());
                    // What is unpacked, or put together of several sources, has sources itself.
                    if !drv.recipe().fixed {
                        self.sources_of(node, &drv);
                    }
                    if let Some(object) = builder.get_mut(node) {
                        object.recipe = Some(Box::new(drv.into_recipe()));
                    }
                    node
                });
                known.insert(path.clone(), node);
            }
            for (owner, path) in &needed {
                if let Some(Some(node)) = known.get(path) {
                    builder.edge(*owner, *node);
                }
            }
        }
        self.read_patches(builder);
    }

    /// Reads the texts of the patches that were collected.
    pub(crate) fn read_patches(self, builder: &mut SubjectBuilder) {
        let mut patches: Vec<_> = self.patches.into_iter().collect();
        patches.sort_unstable();
        let read: Vec<_> = patches
            .into_par_iter()
            .filter_map(|(path, owners)| Some((self.files.patch_text(&path)?, path, owners)))
            .collect();
        for (text, path, owners) in read {
            let name = self.files.dir().parse_within(&*path);
            let name = name.map_or_else(|_| path.to_string(), |path| path.name().to_string());
            let node = object(builder, &path, &name);
            if let Some(object) = builder.get_mut(node) {
                object.patch = Some(Box::new(text));
            }
            for owner in owners {
                builder.edge(owner, node);
            }
        }
    }
}

/// Tells how many patches of packages are known by their paths only.
///
/// A patch that was read is an object of its own. Patches of sources prove nothing, so that nobody
/// misses what they say.
pub(crate) fn tell_unread_patches(builder: &mut SubjectBuilder) {
    let find = |id: &str| builder.find(id).and_then(|node| builder.get(node));
    let mut patches: FxHashMap<&str, bool> = FxHashMap::default();
    for object in builder.nodes().filter_map(|node| builder.get(node)) {
        let stated = object
            .meta
            .as_ref()
            .and_then(|meta| meta.drv_path.as_deref());
        let maker = stated.and_then(find);
        let own = (object.role == Role::Part).then_some(object);
        let recipes = own
            .into_iter()
            .chain(maker)
            .filter_map(|of| of.recipe.as_ref());
        for path in recipes.flat_map(|recipe| &recipe.patches) {
            patches
                .entry(path)
                .or_insert_with(|| find(path).is_some_and(|patch| patch.patch.is_some()));
        }
    }
    let unread = patches.values().filter(|is_read| !**is_read).count();
    let of = patches.len();
    if unread > 0 {
        builder.gap(Gap::UnreadPatches { unread, of });
    }
}

/// How often a source's own sources are followed: as often as an inventory does it.
const DEPTH: usize = 3;

/// The object of an id; auxiliary, unless it is there as a part.
fn object(builder: &mut SubjectBuilder, id: &str, name: &str) -> NodeId {
    match builder.find(id) {
        Some(node) => node,
        None => builder.object(id, name, |object| object.role = Role::Auxiliary),
    }
}
