//! Tables of the record store.

use std::time::Duration;

use camino::Utf8Path;
use rusqlite::Connection;

use super::RecordsError;

/// The version of the tables, kept as `user_version`.
pub(super) const VERSION: i64 = 1;
/// `SNOW`, kept as `application_id`: what tells a store from other SQLite files.
const APPLICATION: i64 = 0x534e_4f57;
/// How long to wait for another program that changes the store.
const PATIENCE: Duration = Duration::from_secs(5);

/// - `record`: a record as JSON, compressed. `aliases` is one name a line, so that what a record
///   touches is known without unpacking it. `digest` tells whether a record that comes again is the
///   same. The index over it is all that the totals of a source need.
/// - `name`: under which names a record is found.
/// - `skipped`: what could not be read.
/// - `touched`: the groups that changed since the base was written, and hence what a delta is about.
/// - `cursor`: what feeds left off at.
/// - `state`: one row: the count of changes, and which files were written from which of them.
const TABLES: &str = "
CREATE TABLE source (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  kind INTEGER NOT NULL
) STRICT;
CREATE TABLE record (
  id INTEGER PRIMARY KEY,
  source INTEGER NOT NULL REFERENCES source (id),
  name TEXT NOT NULL,
  newest INTEGER,
  newest_range INTEGER,
  digest BLOB NOT NULL,
  aliases TEXT NOT NULL,
  body BLOB NOT NULL
) STRICT;
CREATE INDEX record_of_source ON record (source, name, newest, newest_range);
CREATE TABLE name (
  name TEXT NOT NULL,
  record INTEGER NOT NULL REFERENCES record (id),
  PRIMARY KEY (name, record)
) STRICT, WITHOUT ROWID;
CREATE TABLE skipped (
  source INTEGER NOT NULL REFERENCES source (id),
  place TEXT NOT NULL,
  PRIMARY KEY (source, place)
) STRICT, WITHOUT ROWID;
CREATE TABLE touched (
  name TEXT NOT NULL PRIMARY KEY
) STRICT, WITHOUT ROWID;
CREATE TABLE cursor (
  feed TEXT NOT NULL PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE state (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  changes INTEGER NOT NULL,
  base BLOB,
  delta BLOB,
  written INTEGER
) STRICT;
INSERT INTO state VALUES (1, 0, NULL, NULL, NULL);
";

/// Makes the tables where there are none, and checks that they are ours.
pub(super) fn prepare(connection: &Connection, path: &Utf8Path) -> Result<(), RecordsError> {
    let failed = |source| RecordsError::sqlite(path, source);
    connection.busy_timeout(PATIENCE).map_err(failed)?;
    let number = |name: &str| {
        connection
            .pragma_query_value(None, name, |row| row.get::<_, i64>(0))
            .map_err(failed)
    };
    connection
        .execute_batch(
            "PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL; PRAGMA foreign_keys = OFF; \
             PRAGMA temp_store = MEMORY; PRAGMA cache_size = -65536;",
        )
        .map_err(failed)?;
    match (number("application_id")?, number("user_version")?) {
        (APPLICATION, VERSION) => Ok(()),
        (APPLICATION, found) => Err(RecordsError::Newer {
            path: path.to_owned(),
            found,
        }),
        (0, 0) if is_empty(connection).map_err(failed)? => connection
            .execute_batch(&format!(
                "BEGIN IMMEDIATE; {TABLES} PRAGMA application_id = {APPLICATION}; \
                 PRAGMA user_version = {VERSION}; COMMIT;"
            ))
            .or_else(|error| {
                // Another program may have been quicker to make them.
                let made = number("application_id").is_ok_and(|id| id == APPLICATION);
                let _ = connection.execute_batch("ROLLBACK");
                if made { Ok(()) } else { Err(failed(error)) }
            }),
        _ => Err(RecordsError::NotAStore(path.to_owned())),
    }
}

fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| {
        row.get(0)
    })
}
