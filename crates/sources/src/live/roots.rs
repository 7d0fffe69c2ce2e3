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
    /// What looks like an object of a store, or something in it, but of none that can be asked: it
    /// has no database, or it is not the store that was named. Perhaps nothing.
    OtherStore {
        /// The file or directory that was named.
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
    // A link in another store may lead into this one.
    let mut other = None;
    for _ in 0..MAX_LINKS {
        if let Some(named) = in_store(&current, store) {
            return Ok(named);
        }
        if other.is_none() && looks_like_an_object(&current) {
            other = Some(current.clone());
        }
        match std::fs::read_link(&current) {
            Ok(target) => current = target_of(&current, &target, store),
            // No link, or nothing there: what the directories above lead to decides.
            Err(_) => return Ok(through_directories(&current, store, other)),
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

fn through_directories(path: &Path, store: Option<&Store>, other: Option<PathBuf>) -> Named {
    let whole = path.canonicalize().ok();
    let whole = whole.as_deref();
    if let Some(named) = whole.and_then(|whole| in_store(whole, store)) {
        return named;
    }
    let other = other.or_else(|| {
        let whole = whole.filter(|whole| looks_like_an_object(whole))?;
        Some(whole.to_owned())
    });
    match other {
        Some(file) => Named::OtherStore { file },
        None => Named::Elsewhere,
    }
}

/// Whether a path is `STORE/DIGEST-NAME`, or inside of that, whatever store it is: nothing but the
/// directory's name tells a store without a database.
fn looks_like_an_object(path: &Path) -> bool {
    path.ancestors().any(|above| {
        let dir = above.parent().and_then(Path::file_name);
        let base = above.file_name().map(std::ffi::OsStr::as_encoded_bytes);
        dir.is_some_and(|dir| dir == "store")
            && base.is_some_and(|base| StorePath::from_base_name(base).is_ok())
    })
}
