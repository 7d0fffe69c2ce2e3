//! Which derivation makes which path, and what is said of a recipe by it.

use rustc_hash::FxHashMap;

use super::assemble::push;
use crate::patch::Patch;
use crate::recipe::Recipe;
use crate::subject::{Object, Subject};

/// Which derivation makes which path, and which object a path is.
pub(crate) struct OutputPaths<'s> {
    makers: FxHashMap<&'s str, &'s Object>,
    objects: FxHashMap<&'s str, &'s Object>,
}

impl<'s> OutputPaths<'s> {
    pub(crate) fn of(subject: &'s Subject) -> Self {
        let mut makers = FxHashMap::default();
        let mut objects = FxHashMap::default();
        for object in &subject.objects {
            objects.insert(&*object.id, object);
            if let Some(recipe) = &object.recipe {
                for path in recipe
                    .outputs
                    .iter()
                    .filter_map(|(_, path)| path.as_deref())
                {
                    makers.insert(path, object);
                }
            }
        }
        Self { makers, objects }
    }

    /// The recipe of an object, or that of the derivation that its evaluation names.
    pub(crate) fn recipe_of(&self, object: &'s Object) -> Option<&'s Recipe> {
        object.recipe.as_deref().or_else(|| {
            let drv = object.meta.as_ref()?.drv_path.as_deref()?;
            self.objects.get(drv)?.recipe.as_deref()
        })
    }

    /// The object that is, or makes, a store path; a path inside a store object counts as it.
    pub(crate) fn maker(&self, path: &str) -> Option<&'s Object> {
        let whole = |path: &str| {
            self.makers
                .get(path)
                .or_else(|| self.objects.get(path))
                .copied()
        };
        whole(path).or_else(|| {
            let base = path.rfind("/store/").map_or(0, |at| at + 7);
            let end = path[base..].find('/')? + base;
            whole(&path[..end])
        })
    }
}

/// The sources of a recipe; one that is unpacked or put together by another recipe is followed.
pub(crate) fn sources_of(recipe: &Recipe, paths: &OutputPaths<'_>) -> Vec<Box<str>> {
    let mut found = Vec::new();
    let mut todo: Vec<(Box<str>, usize)> = recipe
        .sources
        .iter()
        .map(|path| (path.clone(), 0))
        .collect();
    while let Some((path, depth)) = todo.pop() {
        if let Some(maker) = paths
            .maker(&path)
            .and_then(|object| object.recipe.as_deref())
            .filter(|r| !r.fixed && depth < 3)
        {
            todo.extend(maker.sources.iter().map(|path| (path.clone(), depth + 1)));
        }
        push(&mut found, path);
        if found.len() > 200 {
            break;
        }
    }
    found
}

pub(crate) fn patch(path: &str, paths: &OutputPaths<'_>) -> Patch {
    let base = path.rsplit('/').next().unwrap_or(path);
    let name = match base.split_once('-') {
        // A store path's digest has 32 characters.
        Some((digest, name)) if digest.len() == 32 => name,
        _ => base,
    };
    let maker = paths.maker(path);
    let urls = maker
        .and_then(|m| m.recipe.as_deref())
        .map(|r| r.urls.clone())
        .unwrap_or_default();
    let mut patch = Patch::new(name, path, urls);
    let text = paths
        .objects
        .get(path)
        .and_then(|object| object.patch.as_deref())
        .or_else(|| maker?.patch.as_deref());
    patch.text = text.cloned();
    patch
}
