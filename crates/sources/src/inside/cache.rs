//! What was found before, in one `SQLite` file.
//!
//! The file is a convenience: whatever is wrong with it, the objects are there to be read again. A
//! row is one object or directory. Readers and one writer at a time work beside each other, in
//! write-ahead mode; an interrupted write leaves the rows that were there. A row that is not as it
//! was written is passed over, a file that is no such cache is made anew.

use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, UNIX_EPOCH};

use rusqlite::{Connection, ErrorCode, OptionalExtension as _, params};
use snowguard_store::Hasher;

use super::codec;
use super::look::Look;
use crate::content::shown;

/// The version of what readers find: raised whenever one of them finds more or other things, so
/// that what an earlier one found is not taken for all there is.
const READERS: u32 = 6;
/// The version of the tables.
const TABLES: u32 = 2;
/// `snow`, as SQLite's header can bear it.
const APPLICATION: u32 = 0x736E_6F77;
const FILE: &str = "inside.sqlite";
/// After how many days a use is noted again.
const NOTED: u32 = 1;

/// By what a row is found: a digest of what was looked into and of who looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key([u8; 32]);

impl Key {
    /// An object of a store by the digest of its archive and by its name, without the digest of its
    /// path. The name decides what is seen in an object that is a file: the same bytes say nothing as
    /// `source` and may be an archive as `log4j-core-2.14.1.jar`.
    pub(crate) fn of_object(store: &StoreMark, hash: &str, name: &str) -> Self {
        Self::of([&store.0[..], hash.as_bytes(), name.as_bytes()])
    }

    /// A plain directory or file by where it is.
    pub(crate) fn of_place(path: &[u8]) -> Self {
        Self::of([&b"place"[..], path])
    }

    /// Each of the parts begins with its length, so that no two lists of them are alike.
    fn of<const N: usize>(parts: [&[u8]; N]) -> Self {
        let mut hasher = Hasher::sha256();
        hasher.update(format!("{READERS} {} {N}", env!("CARGO_PKG_VERSION")).as_bytes());
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        let mut key = [0; 32];
        for (to, from) in key.iter_mut().zip(hasher.finish().digest()) {
            *to = *from;
        }
        Self(key)
    }
}

/// Which store an object is of. The digest of an archive is what the store's database says, and nobody
/// computes it: what one store says is not believed of another's objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoreMark(Vec<u8>);

impl StoreMark {
    /// That of the store with a database, whose objects lie in a directory. The file counts and not
    /// only its path: one disk after the other is mounted at the same place.
    pub(crate) fn of(database: &Path, objects: &Path) -> std::io::Result<Self> {
        let database = database.canonicalize()?;
        let metadata = database.metadata()?;
        // Not every file system knows when a file was made.
        let made = metadata
            .created()
            .ok()
            .and_then(|made| made.duration_since(UNIX_EPOCH).ok())
            .unwrap_or_default();
        let mut mark = Vec::new();
        let fsid = rustix::fs::statvfs(&database).map(|of| of.f_fsid).ok();
        let lies_in = file_system(fsid, metadata.dev());
        for number in [lies_in, metadata.ino(), made.as_secs()] {
            mark.extend(number.to_le_bytes());
        }
        mark.extend(made.subsec_nanos().to_le_bytes());
        for path in [&*database, objects] {
            mark.extend((path.as_os_str().len() as u64).to_le_bytes());
            mark.extend(path.as_os_str().as_bytes());
        }
        Ok(Self(mark))
    }
}

/// A number of a file system that is still its own after the next start of the machine. The number of the
/// device is not, where it stands for no disk, as of btrfs and ZFS. Some have no id, which is told as 0.
fn file_system(id: Option<u64>, device: u64) -> u64 {
    id.filter(|id| *id != 0).unwrap_or(device)
}

/// An open cache.
pub(crate) struct Cache {
    connection: Mutex<Connection>,
    path: PathBuf,
    today: u32,
    limit: u64,
}

impl Cache {
    /// Opens the cache in a directory, which is made if it is not there. What was wrong with the
    /// one that was found is told.
    pub(crate) fn open(
        directory: &Path,
        today: u32,
        limit: u64,
    ) -> Result<(Self, Option<String>), String> {
        let path = directory.join(FILE);
        let failed = |error: &dyn std::fmt::Display| {
            format!(
                "what is found inside files is not kept: cannot use {} ({error})",
                shown(&path)
            )
        };
        std::fs::create_dir_all(directory).map_err(|error| failed(&error))?;
        let (connection, warning) = match connect(&path) {
            Ok(connection) => (connection, None),
            Err(error) if is_damaged(&error) => {
                remove(&path).map_err(|error| failed(&error))?;
                let connection = connect(&path).map_err(|error| failed(&error))?;
                let told = format!("{} was damaged, and is made anew", shown(&path));
                (connection, Some(told))
            }
            Err(error) => return Err(failed(&error)),
        };
        let cache = Self {
            connection: Mutex::new(connection),
            path,
            today,
            limit,
        };
        Ok((cache, warning))
    }

    /// The bytes of a row, checked; [`codec::decode`] reads them, away from this connection.
    pub(crate) fn get(&self, key: Key) -> Option<Vec<u8>> {
        let connection = self.connection.lock().ok()?;
        let mut statement = connection
            .prepare_cached("SELECT body, sum, used FROM looks WHERE key = ?1")
            .ok()?;
        let row: Option<(Vec<u8>, Vec<u8>, u32)> = statement
            .query_row([key.0], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()
            .ok()?;
        let (body, sum, used) = row?;
        if checksum(&body) != *sum {
            return None;
        }
        if self.today.saturating_sub(used) > NOTED {
            // That it was used is worth a note, and no failure.
            let _ = connection.execute(
                "UPDATE looks SET used = ?2 WHERE key = ?1",
                params![key.0, self.today],
            );
        }
        Some(body)
    }

    /// Keeps rows, all of them or none. A failure is told: the next scan reads again what this one
    /// read.
    pub(crate) fn put(&self, rows: &[(Key, Vec<u8>)]) -> Result<(), String> {
        let Ok(mut connection) = self.connection.lock() else {
            return Ok(());
        };
        write(&mut connection, rows, self.today, self.limit).map_err(|error| {
            format!(
                "what is found inside files is not kept: cannot write {} ({error})",
                shown(&self.path)
            )
        })
    }
}

/// Writes a look as a row.
pub(crate) fn row(key: Key, look: &Look) -> (Key, Vec<u8>) {
    (key, codec::encode(look))
}

fn write(
    connection: &mut Connection,
    rows: &[(Key, Vec<u8>)],
    today: u32,
    limit: u64,
) -> rusqlite::Result<()> {
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    {
        let mut insert = transaction.prepare_cached(
            "INSERT OR REPLACE INTO looks (key, used, size, sum, body) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?;
        for (key, body) in rows {
            // A single one that would push out all others is not kept.
            if body.len() as u64 <= limit / 2 {
                let size = i64::try_from(body.len()).unwrap_or(i64::MAX);
                insert.execute(params![key.0, today, size, checksum(body), body])?;
            }
        }
        let total: i64 =
            transaction.query_row("SELECT coalesce(sum(size), 0) FROM looks", [], |row| {
                row.get(0)
            })?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        if total > limit {
            // Down to three quarters, so that it is not done at every write.
            transaction.execute(
                "DELETE FROM looks WHERE key IN (SELECT key FROM (SELECT key, \
                 sum(size) OVER (ORDER BY used DESC, key) AS upto FROM looks) WHERE upto > ?1)",
                [limit / 4 * 3],
            )?;
        }
    }
    transaction.commit()
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "normal")?;
    if !is_current(&connection)? {
        // Two scans may come here at once: the second finds what the first has made.
        connection.execute_batch("BEGIN IMMEDIATE")?;
        if !is_current(&connection)? {
            connection.execute_batch(&format!(
                "DROP TABLE IF EXISTS looks;
                 CREATE TABLE looks (key BLOB PRIMARY KEY, used INTEGER NOT NULL,
                     size INTEGER NOT NULL, sum BLOB NOT NULL, body BLOB NOT NULL);
                 PRAGMA application_id = {APPLICATION};
                 PRAGMA user_version = {TABLES};"
            ))?;
        }
        connection.execute_batch("COMMIT")?;
    }
    // Damage in the tables shows at the first query.
    connection.query_row("SELECT count(*) FROM looks WHERE key = x''", [], |_| Ok(()))?;
    Ok(connection)
}

fn is_current(connection: &Connection) -> rusqlite::Result<bool> {
    let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, u32>(0));
    Ok((number("application_id")?, number("user_version")?) == (APPLICATION, TABLES))
}

fn is_damaged(error: &rusqlite::Error) -> bool {
    match error.sqlite_error_code() {
        Some(code) => matches!(
            code,
            ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt | ErrorCode::Unknown
        ),
        None => true,
    }
}

fn remove(path: &Path) -> std::io::Result<()> {
    for tail in ["", "-wal", "-shm"] {
        let mut whole = path.as_os_str().to_owned();
        whole.push(tail);
        match std::fs::remove_file(PathBuf::from(whole)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Tells damage from what was written; nobody is to be kept from forging it, who may write the file
/// could do worse.
fn checksum(body: &[u8]) -> [u8; 8] {
    xxhash_rust::xxh3::xxh3_64(body).to_le_bytes()
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "tests write the database of a store"
)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_a_device_counts_where_there_is_no_other() {
        let at_one_start = file_system(Some(0x9123_683e), 41);
        assert_eq!(at_one_start, file_system(Some(0x9123_683e), 47));
        assert_ne!(at_one_start, file_system(Some(0x0102_1994), 41));
        assert_eq!([file_system(Some(0), 41), file_system(None, 41)], [41; 2]);
    }

    #[test]
    fn a_store_is_its_file_where_it_lies() {
        let directory = tempfile::tempdir().unwrap();
        let objects = directory.path().join("store");
        let (one, other) = (directory.path().join("one"), directory.path().join("other"));
        std::fs::write(&one, "").unwrap();
        std::fs::write(&other, "").unwrap();
        let before = StoreMark::of(&one, &objects).unwrap();
        assert_eq!(before, StoreMark::of(&one, &objects).unwrap());
        // Another file at the same place.
        std::fs::rename(&other, &one).unwrap();
        assert_ne!(before, StoreMark::of(&one, &objects).unwrap());
        assert!(StoreMark::of(&other, &objects).is_err());
    }
}
