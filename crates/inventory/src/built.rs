//! How a package is built, once its sources and patches have been looked up among the objects of a
//! subject: what is left of a derivation when its subject is gone.

use snowguard_advisory::id::CveId;

use crate::component::{OutputPaths, Source, patch, sources_of};
use crate::patch::Patch;
use crate::recipe::{Recipe, Toolchain};
use crate::subject::{Object, Subject};

/// What a package's derivation says of it, with where its sources and patches come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Built {
    /// Its sources.
    pub sources: Vec<Source>,
    /// Its patches.
    pub patches: Vec<Patch>,
    /// CVEs that its build phases speak of.
    pub phase_cves: Vec<CveId>,
    /// What it is built with.
    pub toolchain: Option<Toolchain>,
}

/// Looks up how the objects of a subject are built.
pub struct Builds<'s>(OutputPaths<'s>);

impl<'s> Builds<'s> {
    /// Prepares the look-up.
    pub fn of(subject: &'s Subject) -> Self {
        Self(OutputPaths::of(subject))
    }

    /// How an object is built; nothing if no derivation of it was read.
    pub fn get(&self, object: &'s Object) -> Option<Built> {
        if let Some(built) = &object.built {
            return Some((**built).clone());
        }
        self.0
            .recipe_of(object)
            .map(|recipe| Built::of(recipe, &self.0))
    }
}

impl Built {
    pub(crate) fn of(recipe: &Recipe, paths: &OutputPaths<'_>) -> Self {
        let sources = sources_of(recipe, paths).into_iter().map(|path| {
            let urls = paths
                .maker(&path)
                .and_then(|maker| maker.recipe.as_deref())
                .map(|recipe| recipe.urls.clone())
                .unwrap_or_default();
            Source { path, urls }
        });
        Self {
            sources: sources.collect(),
            patches: recipe
                .patches
                .iter()
                .map(|path| patch(path, paths))
                .collect(),
            phase_cves: recipe.phase_cves.clone(),
            toolchain: recipe.toolchain,
        }
    }
}
