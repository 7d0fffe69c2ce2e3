//! Where a store is: the directory that store paths name, where its files really are, and Nix's
//! database.
//!
//! Nothing here asks the environment: what `NIX_STATE_DIR` and the like say is passed in.

use std::path::{Component, Path, PathBuf};

use snowguard_store::{Quoted, StoreDir, StorePath};

use super::StoreError;
use super::database::Database;
use crate::content::shown;

/// A live store: one that Nix keeps a database of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    dir: StoreDir,
    /// Where the directory lies, which is elsewhere for a store under another root.
    real: PathBuf,
    database: PathBuf,
    root: Option<PathBuf>,
}

impl Store {
    /// The store of this machine: `/nix/store`, with its database below `/nix/var/nix`.
    pub fn system() -> Self {
        Self::with_dirs(StoreDir::default(), Path::new("/nix/var/nix"))
    }

    /// A store by its directory and its state directory, as `NIX_STORE_DIR` and `NIX_STATE_DIR`
    /// name them.
    pub fn with_dirs(dir: StoreDir, state: &Path) -> Self {
        Self {
            real: PathBuf::from(dir.as_str()),
            dir,
            database: state.join("db/db.sqlite"),
            root: None,
        }
    }

    /// A store under another root, such as a mounted disk: `ROOT/nix/store`, whose paths are
    /// written without `ROOT`.
    pub fn at_root(root: &Path) -> Self {
        let dir = StoreDir::default();
        Self {
            real: below(root, Path::new(dir.as_str())),
            dir,
            database: root.join("nix/var/nix/db/db.sqlite"),
            root: Some(root.to_owned()),
        }
    }

    /// A store by what a person calls it: a root, a store directory, a state directory, or one of
    /// Nix's own words for a local store (`auto`, `daemon`, `local?root=ROOT`,
    /// `local?store=DIR&state=DIR&real=DIR`).
    pub fn locate(what: &str) -> Result<Self, StoreError> {
        match what {
            "" | "auto" | "daemon" | "local" => return Ok(Self::system()),
            _ => {}
        }
        if let Some(settings) = what.strip_prefix("local?") {
            return Self::from_settings(what, settings);
        }
        if what.starts_with("unix://") {
            return Ok(Self::system());
        }
        if let Some((scheme, _)) = what.split_once("://")
            && scheme != "file"
        {
            return Err(StoreError::Remote {
                store: Quoted::new(what),
            });
        }
        let path = Path::new(what.strip_prefix("file://").unwrap_or(what));
        Self::of_directory(path).ok_or_else(|| StoreError::NoStore {
            store: shown(path),
            looked_for: LAYOUTS.map(|layout| shown(&path.join(layout))).to_vec(),
        })?
    }

    /// The store that a path lies in, if Nix's database is where Nix keeps it beside a store
    /// directory (`DIR/store` has it in `DIR/var/nix/db`).
    ///
    /// Gives the store, the object, and what of the path is inside of the object.
    pub(crate) fn of_path(path: &Path) -> Option<(Self, StorePath, PathBuf)> {
        let system = Self::system();
        if let Some((object, inside)) = system.object(path) {
            return Some((system, object, inside));
        }
        for above in path.ancestors() {
            let (Some(dir), Some(base)) = (above.parent(), above.file_name()) else {
                break;
            };
            let Ok(object) = StorePath::from_base_name(base.as_encoded_bytes()) else {
                continue;
            };
            let Some(Ok(store)) = dir.parent().and_then(Self::of_prefix) else {
                continue;
            };
            let inside = path.strip_prefix(above).unwrap_or(Path::new(""));
            return (store.real == dir).then(|| (store, object, inside.to_owned()));
        }
        None
    }

    /// The object that a path names or is inside of, and the path inside of it; written with the
    /// store's own directory or with where it really lies.
    pub(crate) fn object(&self, path: &Path) -> Option<(StorePath, PathBuf)> {
        let rest = path
            .strip_prefix(self.dir.as_str())
            .or_else(|_| path.strip_prefix(&self.real))
            .ok()?;
        let mut components = rest.components();
        let Component::Normal(base) = components.next()? else {
            return None;
        };
        let object = StorePath::from_base_name(base.as_encoded_bytes()).ok()?;
        let inside = components.as_path();
        let plain = |part: Component<'_>| matches!(part, Component::Normal(_));
        inside
            .components()
            .all(plain)
            .then(|| (object, inside.to_owned()))
    }

    /// The directory that store paths name.
    pub fn dir(&self) -> &StoreDir {
        &self.dir
    }

    /// Nix's database.
    pub fn database(&self) -> &Path {
        &self.database
    }

    /// The root that it is under, if another than that of this machine.
    pub fn root(&self) -> Option<&Path> {
        self.root.as_deref()
    }

    /// Where the files of an object really are.
    pub(crate) fn real_path(&self, object: &StorePath) -> PathBuf {
        self.real.join(object.to_string())
    }

    /// Where the store directory really is.
    pub(crate) fn real(&self) -> &Path {
        &self.real
    }

    fn from_settings(what: &str, settings: &str) -> Result<Self, StoreError> {
        let setting = |name: &str| {
            settings
                .split('&')
                .filter_map(|setting| setting.split_once('='))
                .find(|(key, _)| *key == name)
                .map(|(_, value)| value)
        };
        let mut store = match setting("root").filter(|root| !root.is_empty()) {
            Some(root) => Self::at_root(Path::new(root)),
            None => Self::system(),
        };
        let wrong = |_| StoreError::NoStore {
            store: Quoted::new(what),
            looked_for: Vec::new(),
        };
        if let Some(dir) = setting("store") {
            store.dir = dir.parse().map_err(wrong)?;
            store.real = match &store.root {
                Some(root) => below(root, Path::new(dir)),
                None => PathBuf::from(dir),
            };
        }
        if let Some(state) = setting("state") {
            store.database = Path::new(state).join("db/db.sqlite");
        }
        if let Some(real) = setting("real") {
            store.real = PathBuf::from(real);
        }
        Ok(store)
    }

    /// The store that a directory belongs to, if it is one of a store's directories.
    fn of_directory(path: &Path) -> Option<Result<Self, StoreError>> {
        if path.join(LAYOUTS[0]).exists() {
            return Some(Ok(Self::at_root(path)));
        }
        if let Some(found) = Self::of_prefix(path) {
            return Some(found);
        }
        if path.join(LAYOUTS[2]).exists() {
            return Some(Self::of_database(&path.join(LAYOUTS[2]), None));
        }
        if path.file_name()? == "store" {
            return Self::of_prefix(path.parent()?);
        }
        (path.file_name()? == "db.sqlite" && path.exists()).then(|| Self::of_database(path, None))
    }

    /// The store of a directory such as `/nix`.
    fn of_prefix(prefix: &Path) -> Option<Result<Self, StoreError>> {
        let database = prefix.join(LAYOUTS[1]);
        database
            .exists()
            .then(|| Self::of_database(&database, Some(prefix.join("store"))))
    }

    /// A store whose database is known; what directory its paths name is asked of the database.
    fn of_database(database: &Path, real: Option<PathBuf>) -> Result<Self, StoreError> {
        let dir = Database::open(database)?.store_dir()?;
        let dir = match (dir, &real) {
            (Some(dir), _) => dir,
            (None, Some(real)) => real
                .to_str()
                .and_then(|real| real.parse().ok())
                .unwrap_or_default(),
            (None, None) => StoreDir::default(),
        };
        let real = real.unwrap_or_else(|| PathBuf::from(dir.as_str()));
        let root = real
            .to_str()
            .and_then(|real| real.strip_suffix(dir.as_str()))
            .filter(|root| !root.is_empty());
        Ok(Self {
            root: root.map(PathBuf::from),
            dir,
            real,
            database: database.to_owned(),
        })
    }
}

/// Where the database is, seen from a root, from a prefix such as `/nix`, and from a state
/// directory.
const LAYOUTS: [&str; 3] = [
    "nix/var/nix/db/db.sqlite",
    "var/nix/db/db.sqlite",
    "db/db.sqlite",
];

/// An absolute path, seen from another root.
pub(super) fn below(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}
