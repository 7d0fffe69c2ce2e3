//! Looking into plain directories and files, which no store knows.

use std::path::Path;

use rayon::prelude::*;
use rustc_hash::FxHashMap;
use snowguard_inventory::{Nature, Subject, SubjectBuilder};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use super::cache::{self, Cache, Key};
use super::look::{File, Look, Told, Words};
use super::stamp::Stamp;
use super::walk::walk;
use super::{Deep, codec};
use crate::title::title_of;

/// Reads directories and files into a subject: each is an object, of which only what its files
/// declare is known.
pub(crate) fn read_files(paths: &[(std::path::PathBuf, String)], deep: &Deep) -> Subject {
    deep.effort.expect(paths.len());
    let cache = super::open_cache(deep);
    let mut builder = SubjectBuilder::new();
    let (mut told, mut words) = (Told::default(), Words::default());
    let mut inside = Vec::new();
    for (path, title) in paths {
        let id = path.to_string_lossy();
        let node = builder.object(&id, title, |_| {});
        builder.root(node);
        let look = look(path, cache.as_ref(), deep);
        told.take(node, title, look, &mut inside, &mut words);
    }
    for gap in told.gaps() {
        builder.gap(gap);
    }
    let title = title_of(paths.iter().map(|(_, title)| title.as_str()));
    let mut subject = builder.build(title, Nature::Files);
    subject.looked_into = paths.len();
    subject.inside = inside;
    subject
}

fn look(path: &Path, cache: Option<&Cache>, deep: &Deep) -> Look {
    // Links lead to what is meant; below it, none is followed.
    let real = match path.canonicalize() {
        Ok(real) => real,
        Err(error) => return super::unreadable(&error),
    };
    let key = Key::of_place(real.as_os_str().as_bytes());
    let known = cache
        .and_then(|cache| cache.get(key))
        .and_then(|row| codec::decode(&row));
    if let Some(known) = known.as_ref().filter(|known| is_as_it_was(&real, known)) {
        deep.effort.known_from_before();
        return told_of(known.clone());
    }
    let by_path: Option<FxHashMap<&[u8], &File>> = known
        .as_ref()
        .map(|known| known.files.iter().map(|file| (&*file.path, file)).collect());
    let name = real.file_name().unwrap_or_default().as_bytes();
    let walked = walk(
        &real,
        name,
        &deep.limits,
        &deep.effort,
        by_path.as_ref(),
        true,
    );
    deep.effort.done();
    let look = match walked {
        Ok(look) => look,
        Err(error) => return super::unreadable(&error),
    };
    if let Some(cache) = cache
        && let Err(warning) = cache.put(&[cache::row(key, &look)])
    {
        deep.effort.warn(warning);
    }
    told_of(look)
}

/// Without the files of which there is nothing to say.
fn told_of(mut look: Look) -> Look {
    look.files.retain(File::says_something);
    look.directories = Vec::new();
    look
}

/// Whether the directories have the entries that they had, and the files that were considered the
/// bytes.
fn is_as_it_was(root: &Path, known: &Look) -> bool {
    let state = |path: &[u8]| {
        let path = match path {
            [] => root.to_owned(),
            path => root.join(OsStr::from_bytes(path)),
        };
        path.symlink_metadata().ok().map(|found| Stamp::of(&found))
    };
    let directories = known
        .directories
        .par_iter()
        .with_min_len(FEW)
        .all(|(path, stamp)| state(path) == Some(*stamp));
    // A problem without a state is one of a directory, or of what vanished.
    directories
        && known.cut_short.is_none()
        && known.files.par_iter().with_min_len(FEW).all(|file| {
            file.stamp
                .is_some_and(|stamp| state(&file.path) == Some(stamp))
        })
}

/// How many questions to the system are worth another core.
const FEW: usize = 64;
