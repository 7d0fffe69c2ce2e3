//! The build-time closure of `.drv` files: each with its inputs, which lie in the same directory.
//!
//! Where that is a live store which has the outputs, its database also says which of the
//! derivations' outputs are there at run time.

use std::path::PathBuf;

use rayon::prelude::*;
use rustc_hash::FxHashSet;
use snowguard_closure::NodeId;
use snowguard_inventory::{Role, SubjectBuilder};
use snowguard_store::{DrvPath, Quoted, StoreDir, StorePath};

use crate::auxiliary::Auxiliary;
use crate::content::regular_file;
use crate::derivations::{Assembly, Reduced};
use crate::drv_files::{DrvError, DrvFiles, Skipped, file_name, parse_file, store_dir_of};
use crate::error::SourceError;
use crate::live::{Database, Store};
use crate::options::Limits;

/// A `.drv` file that someone named.
#[derive(Debug)]
pub(crate) struct DrvFile {
    /// As it was named.
    pub(crate) name: Quoted,
    /// Where it is.
    pub(crate) place: Place,
}

#[derive(Debug)]
pub(crate) enum Place {
    /// In a live store.
    Store(Box<Store>, DrvPath),
    /// In a directory.
    File(PathBuf),
    /// Nowhere: it came through a pipe.
    Pipe(Vec<u8>),
}

/// A derivation that was added with all that it needs.
pub(crate) struct Added {
    pub(crate) node: NodeId,
    pub(crate) name: String,
    /// What its outputs need at run time, if a live store has them.
    pub(crate) run_time: Option<Vec<String>>,
}

/// Adds a derivation and all that it needs.
pub(crate) fn add(
    builder: &mut SubjectBuilder,
    drv: DrvFile,
    role: Role,
    limits: &Limits,
    skipped: &mut Skipped,
) -> Result<Added, SourceError> {
    let DrvFile { name, place } = drv;
    let (files, root, store) = open(&name, place, limits)?;
    let drv_name = root.path().drv_name().to_owned();
    let store = store.as_deref();
    let run_time = store.and_then(|store| run_time_closure(store, &root, limits));
    let node = walk(builder, &files, root, role, &name, limits, skipped)?;
    Ok(Added {
        node,
        name: drv_name,
        run_time,
    })
}

/// Marks what is there at run time: the paths themselves, and the derivations of which one is an
/// output.
pub(crate) fn mark_run_time(builder: &mut SubjectBuilder, paths: &FxHashSet<String>) {
    for node in builder.nodes() {
        if let Some(object) = builder.get_mut(node) {
            let outputs = object.recipe.iter().flat_map(|recipe| &recipe.outputs);
            object.run_time = paths.contains(&*object.id)
                || outputs
                    .filter_map(|(_, path)| path.as_deref())
                    .any(|path| paths.contains(path));
        }
    }
}

type Opened = (DrvFiles, Reduced, Option<Box<Store>>);

fn open(name: &Quoted, place: Place, limits: &Limits) -> Result<Opened, SourceError> {
    let shown = || name.clone();
    match place {
        Place::Store(store, path) => {
            let files = DrvFiles::new(store.dir().clone(), store.real().to_owned(), limits);
            let Some(read) = files.read(&path) else {
                return Err(SourceError::NotFound { name: shown() });
            };
            Ok((files, read.map_err(fatal)?, Some(store)))
        }
        Place::File(file) => {
            let bytes =
                regular_file(&file, limits.derivation).map_err(|source| SourceError::Io {
                    name: shown(),
                    source,
                })?;
            let dir = store_dir_of(&bytes);
            let read = parse_file(&bytes, file_name(&file), &dir, shown).map_err(fatal)?;
            let real = file.parent().map(PathBuf::from).unwrap_or_default();
            Ok((DrvFiles::new(dir, real, limits), read, None))
        }
        Place::Pipe(bytes) => {
            let dir = store_dir_of(&bytes);
            let read = parse_file(&bytes, b"", &dir, shown).map_err(fatal)?;
            // Its inputs may be in the store of this machine, but nothing says that they are its.
            let nowhere = PathBuf::from("/dev/null");
            Ok((DrvFiles::new(dir, nowhere, limits), read, None))
        }
    }
}

fn fatal(error: DrvError) -> SourceError {
    match error {
        DrvError::Io { name, source } => SourceError::Io { name, source },
        DrvError::Aterm { name, source } => SourceError::Derivation {
            name,
            source: Box::new(source),
        },
        DrvError::Path { name, source } => SourceError::DerivationPath {
            name,
            source: Box::new(source),
        },
    }
}

/// Adds a derivation and its inputs, level by level.
fn walk(
    builder: &mut SubjectBuilder,
    files: &DrvFiles,
    root: Reduced,
    role: Role,
    name: &Quoted,
    limits: &Limits,
    skipped: &mut Skipped,
) -> Result<NodeId, SourceError> {
    let mut seen: FxHashSet<DrvPath> = FxHashSet::default();
    seen.insert(root.path().clone());
    let mut auxiliary = Auxiliary::new(files);
    let mut assembly = Assembly::new(builder, files.dir().clone(), role);
    let root_node = assembly.place(&root);
    let mut level = vec![root];
    while !level.is_empty() {
        let mut next: Vec<DrvPath> = Vec::new();
        for drv in level {
            for input in drv.input_drvs() {
                if !seen.contains(input) {
                    seen.insert(input.clone());
                    next.push(input.clone());
                }
            }
            if seen.len() > limits.objects {
                return Err(SourceError::TooMany {
                    name: name.clone(),
                    what: "derivations",
                    limit: limits.objects,
                });
            }
            auxiliary.patches_of(assembly.place(&drv), &drv);
            assembly.add(drv);
        }
        let read: Vec<_> = next.par_iter().map(|path| files.read(path)).collect();
        level = read
            .into_iter()
            .flatten()
            .filter_map(|read| skipped.keep(read))
            .collect();
    }
    auxiliary.read_patches(assembly.finish());
    Ok(root_node)
}

/// What the outputs of a derivation need at run time, if the store has any of them.
///
/// That the database cannot be asked leaves run time unknown, as it is for other derivations.
fn run_time_closure(store: &Store, root: &Reduced, limits: &Limits) -> Option<Vec<String>> {
    let dir: &StoreDir = store.dir();
    let outputs: Vec<StorePath> = root
        .recipe()
        .outputs
        .iter()
        .filter_map(|(_, path)| dir.parse(path.as_deref()?).ok())
        .collect();
    let database = Database::open(store.database()).ok()?;
    let valid = database.valid(dir, &outputs).ok()?;
    if valid.is_empty() {
        return None;
    }
    let closure = database.closure(dir, &valid, limits.objects).ok()?;
    let paths = closure.paths.iter();
    Some(
        paths
            .map(|valid| dir.show(&valid.path).to_string())
            .collect(),
    )
}
