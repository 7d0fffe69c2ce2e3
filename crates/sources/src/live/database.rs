//! Nix's SQLite database, read and never written.
//!
//! Nix keeps it in write-ahead mode: changes are in `db.sqlite-wal` until they are folded into
//! `db.sqlite`, and readers and writers meet in `db.sqlite-shm`. Three ways lead in, tried in the
//! order in which they fit:
//!
//! 1. **Nothing is pending** (no log, or an empty one): the file alone is the truth and is read as
//!    `immutable`, which asks for no lock and no shared memory, and leaves no file behind. That works
//!    for users who may only read, and on read-only media. SQLite would not notice a writer then, so
//!    the files are looked at before and after: whoever writes first writes the log, and changes the
//!    file only by folding. If anything changed meanwhile, what was read is thrown away.
//! 2. **Something is pending**: an ordinary read-only connection, which sees one consistent state
//!    however much Nix writes meanwhile.
//! 3. **Something is pending, but the shared memory can be neither opened nor made**, as on a
//!    snapshot of a running system's disk: `immutable` would silently lose what is pending, so the
//!    files are copied to a scratch directory and the copy is opened, which replays the log.
#![expect(clippy::disallowed_methods, reason = "this room opens Nix's database")]

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{CachedStatement, Connection, ErrorCode, OpenFlags, OptionalExtension as _, Row};
use rustc_hash::FxHashMap;
use snowguard_store::{DrvPath, Hash, HashAlgo, NarHash, Quoted, StoreDir, StorePath};

use super::StoreError;
use crate::content::shown;

/// The database of a store.
#[derive(Debug)]
pub(crate) struct Database {
    path: PathBuf,
}

/// What the database says of a valid path.
#[derive(Debug, Clone)]
pub(crate) struct Valid {
    id: i64,
    /// The path.
    pub(crate) path: StorePath,
    /// What built it, as far as that is known.
    pub(crate) deriver: Option<DrvPath>,
    /// Its path follows from its content: a source, a text, a download.
    pub(crate) content_addressed: bool,
    /// The hash of its content, if it is written there as one.
    pub(crate) nar_hash: Option<NarHash>,
}

/// All that some paths refer to, directly or not.
#[derive(Debug, Default)]
pub(crate) struct References {
    /// The paths, breadth-first, those that were asked for first.
    pub(crate) paths: Vec<Valid>,
    /// Which of these refers to which, without those to themselves.
    pub(crate) edges: Vec<(usize, usize)>,
}

/// What the database says of the archive of a path: its content as one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Archive {
    /// Its digest, as Nix writes it: `sha256:…`.
    pub(crate) hash: String,
    /// Its length in bytes; 0 where it is not known.
    pub(crate) size: u64,
}

impl Database {
    /// Makes sure that there is one which may be read.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        match File::open(path) {
            Ok(_) => Ok(Self {
                path: path.to_owned(),
            }),
            Err(source) if source.kind() == io::ErrorKind::NotFound => {
                Err(StoreError::NoDatabase {
                    database: shown(path),
                })
            }
            Err(source) => Err(StoreError::Unreadable {
                database: shown(path),
                source,
            }),
        }
    }

    /// The directory that the store's paths name; none if there are no paths.
    pub(crate) fn store_dir(&self) -> Result<Option<StoreDir>, StoreError> {
        self.read(&|view| view.store_dir())
    }

    /// The closure of some paths. A path that is not valid is an error.
    pub(crate) fn closure(
        &self,
        dir: &StoreDir,
        roots: &[StorePath],
        limit: usize,
    ) -> Result<References, StoreError> {
        self.read(&|view| view.closure(dir, roots, limit))
    }

    /// Those of some paths that are valid.
    pub(crate) fn valid(
        &self,
        dir: &StoreDir,
        paths: &[StorePath],
    ) -> Result<Vec<StorePath>, StoreError> {
        self.read(&|view| {
            let mut valid = Vec::new();
            for path in paths {
                if view.find(dir, path)?.is_some() {
                    valid.push(path.clone());
                }
            }
            Ok(valid)
        })
    }

    /// Digest and length of the archives of some paths; none for one that is not valid.
    pub(crate) fn archives(
        &self,
        dir: &StoreDir,
        paths: &[StorePath],
    ) -> Result<Vec<Option<Archive>>, StoreError> {
        self.read(&|view| paths.iter().map(|path| view.archive(dir, path)).collect())
    }

    /// Gives one consistent state of the database to `read`.
    fn read<T>(&self, read: &dyn Fn(&View<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        for _ in 0..ATTEMPTS {
            let before = Stamp::of(&self.path).map_err(|source| self.unreadable(source))?;
            let result = if before.nothing_pending() {
                let result = self.read_with(&immutable(&self.path), read);
                if Stamp::of(&self.path).is_ok_and(|after| after == before) {
                    result
                } else {
                    // Even an error may come from half of a change.
                    continue;
                }
            } else {
                match self.read_with(&Way::Shared(self.path.clone()), read) {
                    Err(StoreError::Sqlite { source, .. }) if needs_shared_memory(&source) => {
                        let scratch = self.copy().map_err(|source| self.unreadable(source))?;
                        if Stamp::of(&self.path).is_ok_and(|after| after == before) {
                            self.read_with(&Way::Own(scratch.path().join(COPY)), read)
                        } else {
                            continue;
                        }
                    }
                    result => result,
                }
            };
            return result;
        }
        Err(StoreError::Changing {
            database: shown(&self.path),
        })
    }

    fn read_with<T>(
        &self,
        way: &Way,
        read: &dyn Fn(&View<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let sqlite = |source| self.sqlite(source);
        let connection = way.connect().map_err(sqlite)?;
        connection
            .busy_timeout(Duration::from_secs(5))
            .map_err(sqlite)?;
        // One transaction, one state.
        connection.execute_batch("BEGIN").map_err(sqlite)?;
        let is_nix = connection
            .query_row(
                "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN ('ValidPaths', 'Refs')",
                [],
                |row| row.get::<_, i64>(0),
            )
            .map_err(sqlite)?;
        if is_nix != 2 {
            return Err(StoreError::NotNix {
                database: shown(&self.path),
            });
        }
        read(&View {
            database: self,
            connection: &connection,
        })
    }

    /// Copies the database with what is pending.
    fn copy(&self) -> io::Result<tempfile::TempDir> {
        let scratch = tempfile::Builder::new().prefix("snowguard-").tempdir()?;
        let to = scratch.path().join(COPY);
        for tail in ["", "-wal", "-journal"] {
            match std::fs::copy(with_tail(&self.path, tail), with_tail(&to, tail)) {
                Ok(_) => {}
                Err(error) if !tail.is_empty() && error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(scratch)
    }

    fn unreadable(&self, source: io::Error) -> StoreError {
        StoreError::Unreadable {
            database: shown(&self.path),
            source,
        }
    }

    fn sqlite(&self, source: rusqlite::Error) -> StoreError {
        let database = shown(&self.path);
        match source.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                StoreError::Busy { database, source }
            }
            Some(ErrorCode::NotADatabase) => StoreError::NotNix { database },
            _ => StoreError::Sqlite { database, source },
        }
    }
}

/// How often a state that changes while it is read is tried again.
const ATTEMPTS: usize = 8;
const COPY: &str = "db.sqlite";

/// One state of the database.
struct View<'c> {
    database: &'c Database,
    connection: &'c Connection,
}

impl View<'_> {
    fn store_dir(&self) -> Result<Option<StoreDir>, StoreError> {
        let path: Option<String> = self
            .connection
            .query_row("SELECT path FROM ValidPaths LIMIT 1", [], |row| row.get(0))
            .optional()
            .map_err(|source| self.database.sqlite(source))?;
        path.map(|path| match StoreDir::split(&path) {
            Ok((dir, _)) => Ok(dir),
            Err(source) => Err(self.malformed(&path, source)),
        })
        .transpose()
    }

    fn closure(
        &self,
        dir: &StoreDir,
        roots: &[StorePath],
        limit: usize,
    ) -> Result<References, StoreError> {
        let mut found = References::default();
        let mut index: FxHashMap<i64, usize> = FxHashMap::default();
        for root in roots {
            let Some(valid) = self.find(dir, root)? else {
                return Err(StoreError::NotValid {
                    path: Quoted::new(dir.show(root).to_string()),
                });
            };
            if let std::collections::hash_map::Entry::Vacant(entry) = index.entry(valid.id) {
                entry.insert(found.paths.len());
                found.paths.push(valid);
            }
        }
        let mut references = self.prepare(
            "SELECT v.id, v.path, v.deriver, v.ca, v.hash FROM Refs r JOIN ValidPaths v ON v.id = r.reference \
             WHERE r.referrer = ?1",
        )?;
        let mut at = 0;
        while let Some(referrer) = found.paths.get(at).map(|valid| valid.id) {
            let mut rows = references
                .query([referrer])
                .map_err(|source| self.database.sqlite(source))?;
            let mut new = Vec::new();
            while let Some(row) = rows.next().map_err(|source| self.database.sqlite(source))? {
                let id: i64 = row.get(0).map_err(|source| self.database.sqlite(source))?;
                match index.get(&id) {
                    Some(&known) if known != at => found.edges.push((at, known)),
                    Some(_) => {}
                    None => new.push(self.row(dir, id, row)?),
                }
            }
            // The order of rows means nothing; that of paths is the same everywhere.
            new.sort_unstable_by(|a, b| a.path.cmp(&b.path));
            for valid in new {
                if found.paths.len() >= limit {
                    return Err(StoreError::TooMany { limit });
                }
                index.insert(valid.id, found.paths.len());
                found.edges.push((at, found.paths.len()));
                found.paths.push(valid);
            }
            at += 1;
        }
        Ok(found)
    }

    fn find(&self, dir: &StoreDir, path: &StorePath) -> Result<Option<Valid>, StoreError> {
        let mut statement =
            self.prepare("SELECT id, path, deriver, ca, hash FROM ValidPaths WHERE path = ?1")?;
        let mut rows = statement
            .query([dir.show(path).to_string()])
            .map_err(|source| self.database.sqlite(source))?;
        let Some(row) = rows.next().map_err(|source| self.database.sqlite(source))? else {
            return Ok(None);
        };
        let id = row.get(0).map_err(|source| self.database.sqlite(source))?;
        self.row(dir, id, row).map(Some)
    }

    fn archive(&self, dir: &StoreDir, path: &StorePath) -> Result<Option<Archive>, StoreError> {
        let mut statement = self.prepare("SELECT hash, narSize FROM ValidPaths WHERE path = ?1")?;
        let row = statement.query_row([dir.show(path).to_string()], |row| {
            let size: Option<i64> = row.get(1)?;
            Ok(Archive {
                hash: row.get(0)?,
                size: size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0),
            })
        });
        row.optional()
            .map_err(|source| self.database.sqlite(source))
    }

    fn row(&self, dir: &StoreDir, id: i64, row: &Row<'_>) -> Result<Valid, StoreError> {
        let read = |source| self.database.sqlite(source);
        let path = row.get_ref(1).map_err(read)?;
        let path = path.as_bytes_or_null().ok().flatten().unwrap_or_default();
        let path = dir
            .parse(path)
            .map_err(|source| self.malformed(path, source))?;
        let deriver = row.get_ref(2).map_err(read)?;
        let deriver = deriver.as_bytes_or_null().ok().flatten();
        let address = row.get_ref(3).map_err(read)?;
        let address = address.as_bytes_or_null().ok().flatten();
        let hash = row.get_ref(4).map_err(read)?;
        let hash = hash.as_bytes_or_null().ok().flatten();
        let hash = hash.and_then(|hash| Hash::parse(std::str::from_utf8(hash).ok()?, None).ok());
        Ok(Valid {
            id,
            path,
            nar_hash: hash
                .filter(|hash| hash.algo() == HashAlgo::Sha256)
                .and_then(|hash| Some(NarHash::new(hash.digest().try_into().ok()?))),
            // Nix once wrote `unknown-deriver` there.
            deriver: deriver.and_then(|deriver| dir.parse_drv(deriver).ok()),
            content_addressed: address.is_some_and(|address| !address.is_empty()),
        })
    }

    fn prepare(&self, query: &str) -> Result<CachedStatement<'_>, StoreError> {
        self.connection
            .prepare_cached(query)
            .map_err(|source| self.database.sqlite(source))
    }

    fn malformed(
        &self,
        path: impl AsRef<[u8]>,
        source: snowguard_store::path::PathError,
    ) -> StoreError {
        StoreError::Malformed {
            database: shown(&self.database.path),
            path: Quoted::new(path),
            source,
        }
    }
}

/// How a connection is made.
enum Way {
    /// With others, through the shared memory.
    Shared(PathBuf),
    /// As a file that does not change.
    Immutable(OsString),
    /// A copy, which may be written.
    Own(PathBuf),
}

impl Way {
    fn connect(&self) -> rusqlite::Result<Connection> {
        let common = OpenFlags::SQLITE_OPEN_NO_MUTEX;
        match self {
            Self::Shared(path) => {
                Connection::open_with_flags(path, common | OpenFlags::SQLITE_OPEN_READ_ONLY)
            }
            Self::Immutable(uri) => Connection::open_with_flags(
                uri,
                common | OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI,
            ),
            Self::Own(path) => {
                Connection::open_with_flags(path, common | OpenFlags::SQLITE_OPEN_READ_WRITE)
            }
        }
    }
}

fn immutable(path: &Path) -> Way {
    let mut uri = OsString::from("file:");
    for byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'-' | b'_') {
            uri.push(char::from(*byte).to_string());
        } else {
            uri.push(format!("%{byte:02X}"));
        }
    }
    uri.push("?mode=ro&immutable=1");
    Way::Immutable(uri)
}

/// Whether a connection failed for want of the shared memory, or of the right to replay a log.
fn needs_shared_memory(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::SystemIoFailure)
    )
}

/// What changes when someone writes: of the database, its log and its journal, whether they are
/// there, and their length and times.
#[derive(Debug, PartialEq, Eq)]
struct Stamp([Option<FileState>; 3]);

/// Inode, length, time of change of the content to the nanosecond, and of the inode.
type FileState = (u64, u64, i64, i64, i64);

impl Stamp {
    fn of(path: &Path) -> io::Result<Self> {
        let mut stamps = [None; 3];
        for (stamp, tail) in stamps.iter_mut().zip(["", "-wal", "-journal"]) {
            match with_tail(path, tail).metadata() {
                Ok(found) => {
                    *stamp = Some((
                        found.ino(),
                        found.len(),
                        found.mtime(),
                        found.mtime_nsec(),
                        found.ctime_nsec(),
                    ));
                }
                Err(error) if !tail.is_empty() && error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Self(stamps))
    }

    fn nothing_pending(&self) -> bool {
        let [_, log, journal] = &self.0;
        [log, journal]
            .into_iter()
            .all(|file| file.is_none_or(|(_, length, ..)| length == 0))
    }
}

fn with_tail(path: &Path, tail: &str) -> PathBuf {
    let mut whole = path.as_os_str().to_owned();
    whole.push(tail);
    PathBuf::from(whole)
}
