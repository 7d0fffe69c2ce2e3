//! Two engines behind one transaction: SQLite by default, PostgreSQL by URL.
//!
//! What is deliberately not here: any table of ours. The rooms of this crate hold those.

mod bulk;
mod dialect;
pub(crate) mod file;
mod location;
mod observe;
mod plan;
mod pool;
mod postgres;
mod session;
mod sqlite;
mod value;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub use self::bulk::{Bulk, Kind, Verb};
pub use self::dialect::Dialect;
pub use self::location::Location;
pub use self::observe::{Observed, Seen};
pub use self::plan::Scan;
pub use self::session::Session;
pub use self::value::{FromValue, Row, Rows, Value};
use crate::error::{DbError, Trouble};

/// How often a transaction is tried that meets others.
const TRIES: u32 = 8;

/// How a database is used by this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// Connections at once: of SQLite for reading beside the one writer, of PostgreSQL altogether.
    pub connections: usize,
    /// How long a writer waits for another process that writes to the same SQLite file.
    pub patience: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connections: 8,
            patience: Duration::from_secs(10),
        }
    }
}

impl Settings {
    /// With another number of connections.
    #[must_use]
    pub const fn connections(mut self, connections: usize) -> Self {
        self.connections = connections;
        self
    }

    /// With another patience.
    #[must_use]
    pub const fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }
}

/// A handle to a database; clones share its connections. Calls block: in a server, call from a thread that may.
#[derive(Clone)]
pub struct Database {
    engine: Arc<Engine>,
    log: Option<Arc<observe::Log>>,
}

enum Engine {
    Sqlite(sqlite::Sqlite),
    Postgres(postgres::Postgres),
}

impl Database {
    /// Opens a database by its name (a path, or `postgres://…`), and brings its schema to this version.
    pub fn open(name: &str) -> Result<Self, DbError> {
        Self::open_with(&name.parse()?, Settings::default())
    }

    /// As [`Self::open`], with settings.
    pub fn open_with(location: &Location, settings: Settings) -> Result<Self, DbError> {
        let database = Self::connect(location, settings)?;
        crate::schema::forward(&database)?;
        Ok(database)
    }

    /// Opens a database with the schema of an older version, for tests of what comes after it.
    #[doc(hidden)]
    pub fn open_at(location: &Location, version: u32) -> Result<Self, DbError> {
        let database = Self::connect(location, Settings::default())?;
        crate::schema::to(&database, version)?;
        Ok(database)
    }

    /// Connects, whatever is in it.
    pub(crate) fn connect(location: &Location, settings: Settings) -> Result<Self, DbError> {
        let engine = match location.place() {
            location::Place::Sqlite(path) => Engine::Sqlite(sqlite::Sqlite::open(path, settings)?),
            location::Place::Postgres(server) => {
                Engine::Postgres(postgres::Postgres::open(server, settings.connections)?)
            }
        };
        Ok(Self {
            engine: Arc::new(engine),
            log: None,
        })
    }

    /// Which engine it is.
    pub fn dialect(&self) -> Dialect {
        match &*self.engine {
            Engine::Sqlite(_) => Dialect::Sqlite,
            Engine::Postgres(_) => Dialect::Postgres,
        }
    }

    /// The file, where it is SQLite.
    pub fn path(&self) -> Option<&Path> {
        match &*self.engine {
            Engine::Sqlite(engine) => Some(engine.path()),
            Engine::Postgres(_) => None,
        }
    }

    /// Lets the engine look at what is stored now, so that it plans well, and gives up space that it no longer needs.
    /// After much was written, and about once a day. Others read and write meanwhile.
    pub fn tend(&self) -> Result<(), DbError> {
        match &*self.engine {
            Engine::Sqlite(engine) => engine.tend(),
            // The server gives up space by itself; after a bulk of writes it would look only when it has time.
            Engine::Postgres(_) => self.write(|session| session.batch("ANALYZE")),
        }
    }

    /// Looks at one state of the database: what is committed meanwhile is not seen. Nothing can be written. `work`
    /// runs again if the connection was lost.
    pub fn read<T>(
        &self,
        work: impl FnMut(&mut dyn Session) -> Result<T, DbError>,
    ) -> Result<T, DbError> {
        self.try_read(work)
    }

    /// As [`Self::read`], with errors of the caller's.
    pub fn try_read<T, E: From<DbError>>(
        &self,
        work: impl FnMut(&mut dyn Session) -> Result<T, E>,
    ) -> Result<T, E> {
        self.tried(work, |engine, work| match engine {
            Engine::Sqlite(engine) => engine.read(work),
            Engine::Postgres(engine) => engine.read(work),
        })
    }

    /// Changes the database: all of `work` or, if it fails, nothing. What returns `Ok` survives a crash. `work` runs
    /// again if it met another change: it must not do anything outside of the session.
    ///
    /// A statement that fails ends the transaction on both engines: `work` cannot go on after it. On SQLite there is
    /// one writer at a time. On PostgreSQL others write meanwhile: lock what a decision rests on (`FOR UPDATE`), or
    /// compare in the statement that writes.
    pub fn write<T>(
        &self,
        work: impl FnMut(&mut dyn Session) -> Result<T, DbError>,
    ) -> Result<T, DbError> {
        self.try_write(work)
    }

    /// As [`Self::write`], with errors of the caller's.
    pub fn try_write<T, E: From<DbError>>(
        &self,
        work: impl FnMut(&mut dyn Session) -> Result<T, E>,
    ) -> Result<T, E> {
        self.tried(work, |engine, work| match engine {
            Engine::Sqlite(engine) => engine.write(work),
            Engine::Postgres(engine) => engine.write(work),
        })
    }

    fn tried<T, E>(
        &self,
        mut work: impl FnMut(&mut dyn Session) -> Result<T, E>,
        run: impl Fn(&Engine, &mut dyn FnMut(&mut dyn Session) -> Result<T, E>) -> (Result<T, E>, bool),
    ) -> Result<T, E> {
        let mut tries = 1;
        loop {
            let (outcome, retry) = run(&self.engine, &mut |session| match &self.log {
                Some(log) => work(&mut log.session(session)),
                None => work(session),
            });
            if outcome.is_ok() || !retry || tries == TRIES {
                return outcome;
            }
            // Short: whoever was met is done by then, and nobody waits for a lock meanwhile.
            std::thread::sleep(Duration::from_millis(u64::from(2_u32.pow(tries))));
            tries += 1;
        }
    }
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.engine {
            Engine::Sqlite(engine) => write!(f, "{}", engine.path().display()),
            Engine::Postgres(engine) => f.write_str(&engine.name()),
        }
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Database({self})")
    }
}

/// A statement as it is named in errors: its beginning, on one line.
fn statement(sql: &str) -> String {
    const LONG: usize = 200;
    let mut text = String::from("run `");
    for word in sql.split_whitespace() {
        if text.len() > 5 {
            text.push(' ');
        }
        text.push_str(word);
        if text.len() > LONG {
            text.push_str(" …");
            break;
        }
    }
    text.push('`');
    text
}
