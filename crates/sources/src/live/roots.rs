//! From what a person names to an object of a store: links are followed as Nix does it, to the
//! first path that is in the store.

use std::io;
use std::path::{Component, Path, PathBuf};

use snowguard_store::StorePath;

use super::store::{Store, below};
use crate::content::shown;
use crate::error::SourceError;

/// What a name leads to.
#[derive(Debug)]
pub(crate) enum Named {
    /// An object of a store, or something in it.
    InStore {
        /// The store.
        store: Store,
        /// The object.
        object: StorePath,
        /// The file or directory that was named, where it really lies.
        file: PathBuf,
    },
    /// Something else, perhaps nothing.
    Elsewhere,
}

/// Follows a name. Nothing is asked of the database: the object may not be valid.
pub(crate) fn follow(path: &Path, store: Option<&Store>) -> Result<Named, SourceError> {
    let io = |source: io::Error| SourceError::Io {
        name: shown(path),
        source,
    };
    let mut current = std::path::absolute(path).map_err(io)?;
    for _ in 0..MAX_LINKS {
        if let Some(named) = in_store(&current, store) {
            return Ok(named);
        }
        match std::fs::read_link(&current) {
            Ok(target) => current = target_of(&current, &target, store),
            // No link, or nothing there: what the directories above lead to decides.
            Err(_) => return Ok(through_directories(&current, store)),
        }
    }
    Err(SourceError::LinkLoop {
        name: shown(path),
        limit: MAX_LINKS,
    })
}

/// As many as Linux follows.
const MAX_LINKS: usize = 40;

fn in_store(path: &Path, store: Option<&Store>) -> Option<Named> {
    // `..` after a link leads elsewhere than it seems.
    if path.components().any(|part| part == Component::ParentDir) {
        return None;
    }
    let (store, object, inside) = match store {
        Some(store) => {
            let (object, inside) = store.object(path)?;
            (store.clone(), object, inside)
        }
        None => Store::of_path(path)?,
    };
    let file = store.real_path(&object);
    let file = if inside.as_os_str().is_empty() {
        file
    } else {
        file.join(inside)
    };
    Some(Named::InStore {
        store,
        object,
        file,
    })
}

/// Where a link leads; below another root, absolute targets are meant from there.
fn target_of(link: &Path, target: &Path, store: Option<&Store>) -> PathBuf {
    if let Some(root) = store.and_then(Store::root)
        && target.is_absolute()
        && link.starts_with(root)
        && !target.starts_with(root)
        && store.is_some_and(|store| store.object(target).is_none())
    {
        return below(root, target);
    }
    match link.parent() {
        Some(parent) => parent.join(target),
        None => target.to_owned(),
    }
}

fn through_directories(path: &Path, store: Option<&Store>) -> Named {
    let whole = path
        .canonicalize()
        .ok()
        .and_then(|whole| in_store(&whole, store));
    whole.unwrap_or(Named::Elsewhere)
}
