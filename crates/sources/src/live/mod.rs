//! A live store: the run-time closure of paths in it, as Nix's database has it, and what the
//! derivations beside it say about how the objects were built.
//!
//! Deliberately absent: talking to a daemon, and anything that would start one.

mod database;
mod roots;
mod store;

use std::io;

use rayon::prelude::*;
use rustc_hash::{FxHashMap, FxHashSet};
use snowguard_inventory::{Gap, Nature, Subject, SubjectBuilder};
use snowguard_store::path::PathError;
use snowguard_store::{DrvPath, Quoted, StorePath};

pub use self::store::Store;

pub(crate) use self::database::{Archive, Database};
pub(crate) use self::roots::{Named, follow};

use crate::auxiliary::{Auxiliary, tell_unread_patches};
use crate::drv_files::{DrvFiles, Skipped};
use crate::options::Limits;
use crate::title::title_of;

/// Why a live store cannot be read.
///
/// `Display` does not repeat the source.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// What was named is no store.
    #[error("{store} is no Nix store: there is no database in it")]
    NoStore {
        /// As it was named.
        store: Quoted,
        /// Where a database was looked for.
        looked_for: Vec<Quoted>,
    },
    /// A store on another machine.
    #[error("{store} is not on this machine")]
    Remote {
        /// As it was named.
        store: Quoted,
    },
    /// There is no database.
    #[error("there is no Nix database at {database}")]
    NoDatabase {
        /// Where it should be.
        database: Quoted,
    },
    /// The system says no.
    #[error("cannot read the Nix database {database}")]
    Unreadable {
        /// Where it is.
        database: Quoted,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A database, but not that of Nix.
    #[error("{database} is not a database of Nix")]
    NotNix {
        /// Where it is.
        database: Quoted,
    },
    /// Someone keeps it locked.
    #[error("the Nix database {database} is locked by another program")]
    Busy {
        /// Where it is.
        database: Quoted,
        /// What SQLite says.
        #[source]
        source: rusqlite::Error,
    },
    /// SQLite says no.
    #[error("cannot query the Nix database {database}")]
    Sqlite {
        /// Where it is.
        database: Quoted,
        /// What SQLite says.
        #[source]
        source: rusqlite::Error,
    },
    /// It changed every time that it was read.
    #[error("the Nix database {database} keeps changing while it is read")]
    Changing {
        /// Where it is.
        database: Quoted,
    },
    /// It holds something that is no path of this store.
    #[error("the Nix database {database} lists {path}, which is no path of this store")]
    Malformed {
        /// Where it is.
        database: Quoted,
        /// What it lists.
        path: Quoted,
        /// What is wrong with it.
        #[source]
        source: PathError,
    },
    /// The store does not have it.
    #[error("{path} is not a valid path of this store")]
    NotValid {
        /// The path.
        path: Quoted,
    },
    /// The closure is larger than any that is real.
    #[error("its closure has more than {limit} store paths")]
    TooMany {
        /// The limit.
        limit: usize,
    },
}

impl StoreError {
    /// What to do about it, when there is something to do: one sentence without a full stop.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoStore { looked_for, .. } if looked_for.is_empty() => {
                "pass the directory that holds `nix/store`"
            }
            Self::NoStore { looked_for, .. } => {
                let places: Vec<&str> = looked_for.iter().map(Quoted::as_str).collect();
                return Some(format!(
                    "pass the directory that holds `nix/store`; looked for {}",
                    places.join(", ")
                ));
            }
            Self::Remote { .. } => {
                "run `nix path-info --json -r --store URL PATH` and pass its output"
            }
            Self::NoDatabase { .. } => {
                "name the store with `--store`, or pass the output of `nix path-info --json -r`"
            }
            Self::Unreadable { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "run as a user who may read it, or pass the output of `nix path-info --json -r`"
            }
            Self::NotNix { .. } => "name the store with `--store`",
            Self::Busy { .. } | Self::Changing { .. } => "try again once Nix is idle",
            Self::Sqlite { .. } | Self::Malformed { .. } => {
                "check the store with `nix-store --verify`, or pass the output of `nix path-info --json -r`"
            }
            Self::NotValid { .. } => {
                "build or fetch it first, or name another store with `--store`"
            }
            Self::Unreadable { .. } | Self::TooMany { .. } => return None,
        };
        Some(hint.to_owned())
    }
}

/// Reads the run-time closure of some paths of a store.
pub(crate) fn read(
    store: &Store,
    roots: &[StorePath],
    limits: &Limits,
) -> Result<Subject, StoreError> {
    let dir = store.dir();
    let closure = Database::open(store.database())?.closure(dir, roots, limits.objects)?;
    let files = DrvFiles::new(dir.clone(), store.real().to_owned(), limits);
    let mut skipped = Skipped::default();

    let derivers: FxHashSet<&DrvPath> = closure
        .paths
        .iter()
        .filter_map(|valid| valid.deriver.as_ref())
        .collect();
    let derivers: Vec<&DrvPath> = derivers.into_iter().collect();
    let recipes: FxHashMap<&DrvPath, _> = derivers
        .par_iter()
        .map(|&path| (path, files.read(path)))
        .collect::<Vec<_>>()
        .into_iter()
        .filter_map(|(path, read)| Some((path, skipped.keep(read?)?)))
        .collect();

    let mut builder = SubjectBuilder::new();
    let mut auxiliary = Auxiliary::new(&files);
    let (mut missing, mut built) = (0, 0);
    let mut nodes = Vec::with_capacity(closure.paths.len());
    for valid in &closure.paths {
        let id = dir.show(&valid.path).to_string();
        let read = valid.deriver.as_ref().and_then(|path| recipes.get(path));
        // What has no deriver because it was never built lacks none.
        if valid.deriver.is_some() || !valid.content_addressed {
            built += 1;
            missing += usize::from(read.is_none());
        }
        // Of several outputs each is the derivation's package; the path's name has the output's
        // name at its end.
        let name = match (read, &valid.deriver) {
            (Some(_), Some(deriver)) => deriver.drv_name(),
            _ => valid.path.name().as_str(),
        };
        let node = builder.object(&id, name, |object| {
            object.run_time = true;
            object.nar_hash = valid.nar_hash;
            object.recipe = read.map(|drv| Box::new(drv.recipe().clone()));
        });
        if let Some(drv) = read {
            auxiliary.of(node, drv);
        }
        nodes.push(node);
    }
    for &(from, to) in &closure.edges {
        builder.edge(nodes[from], nodes[to]);
    }
    for &root in nodes.iter().take(roots.len()) {
        builder.root(root);
    }
    auxiliary.add_to(&mut builder, &mut skipped);
    if missing > 0 {
        builder.gap(Gap::NoDerivations { missing, of: built });
    }
    tell_unread_patches(&mut builder);
    skipped.tell(&mut builder);
    let title = title_of(
        closure
            .paths
            .iter()
            .take(roots.len())
            .map(|valid| valid.path.name().as_str()),
    );
    Ok(builder.build(title, Nature::RunTime))
}
