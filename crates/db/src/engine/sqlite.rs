//! SQLite in this process: one writer, and readers that see what was last committed.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rusqlite::ffi;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, ToSql};

use super::bulk::{Bulk, Verb};
use super::pool::{Manager, Pool};
use super::session::{self, Session};
use super::value::{Row, Value};
use super::{DbError, Dialect, Settings, Trouble};

/// `SNGT`: a tracker's database of ours, for `file` and for ourselves.
const APPLICATION: i32 = 0x534e_4754;

/// How long is waited for a lock that is held for moments only.
const PATIENCE: Duration = Duration::from_secs(10);

/// Statements kept prepared by each connection.
const PREPARED: usize = 256;

/// A database file, with its one writer and its readers.
pub(super) struct Sqlite {
    path: PathBuf,
    writer: Mutex<Connection>,
    readers: Pool<Readers>,
}

impl Sqlite {
    /// Opens or makes the file.
    pub(super) fn open(path: &Path, settings: Settings) -> Result<Self, DbError> {
        let operation = || format!("open {}", path.display());
        let failed = |error| refused(operation(), error);
        let connection = create(path).map_err(failed)?;
        let number =
            |pragma: &str| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
        let ours = number("application_id").map_err(failed)?;
        if ours == 0 {
            let tables: i64 = connection
                .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
                .map_err(failed)?;
            if tables > 0 {
                return Err(DbError::Foreign {
                    database: path.display().to_string(),
                });
            }
            connection
                .pragma_update(None, "application_id", APPLICATION)
                .map_err(failed)?;
        } else if ours != i64::from(APPLICATION) {
            return Err(DbError::Foreign {
                database: path.display().to_string(),
            });
        }
        // Readers see the last committed state while a writer works; an acknowledged write is on the disk.
        let mode: String = connection
            .pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))
            .map_err(failed)?;
        if !mode.eq_ignore_ascii_case("wal") {
            return Err(DbError::Engine {
                operation: operation(),
                trouble: Trouble::Device,
                source: format!("this volume allows no write-ahead log (journal mode {mode})")
                    .into(),
            });
        }
        connection
            .execute_batch("PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 67108864;")
            .map_err(failed)?;
        Ok(Self {
            path: path.to_owned(),
            writer: Mutex::new(connection),
            readers: Pool::new(
                Readers {
                    path: path.to_owned(),
                },
                settings.connections,
            ),
        })
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `work` on what is committed now. The flag is whether the whole can be tried again.
    pub(super) fn read<T, E: From<DbError>>(
        &self,
        work: &mut dyn FnMut(&mut dyn Session) -> Result<T, E>,
    ) -> (Result<T, E>, bool) {
        self.readers
            .with(|reader| transact(reader, &self.path, "BEGIN", work))
            .unwrap_or_else(|error| (Err(error.into()), false))
    }

    /// Statistics of a sample, and all that is in the log into the file.
    pub(super) fn tend(&self) -> Result<(), DbError> {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        // 0x10002: of all tables, also those that no statement of this connection has read.
        writer
            .execute_batch(
                "PRAGMA analysis_limit = 1000; PRAGMA optimize = 0x10002; \
                 PRAGMA wal_checkpoint(TRUNCATE);",
            )
            .map_err(|error| refused(format!("tend {}", self.path.display()), error))
    }

    /// Runs `work` as the only writer, and commits if it succeeds.
    pub(super) fn write<T, E: From<DbError>>(
        &self,
        work: &mut dyn FnMut(&mut dyn Session) -> Result<T, E>,
    ) -> (Result<T, E>, bool) {
        // A panic in `work` has rolled back: see `Transaction`.
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        transact(&writer, &self.path, "BEGIN IMMEDIATE", work)
    }
}

/// Makes connections that only read.
struct Readers {
    path: PathBuf,
}

impl Manager for Readers {
    type Connection = Connection;

    fn connect(&self) -> Result<Connection, DbError> {
        let failed = |error| refused(format!("open {} to read", self.path.display()), error);
        let connection = connect(&self.path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(failed)?;
        connection
            .pragma_update(None, "query_only", true)
            .map_err(failed)?;
        Ok(connection)
    }

    fn is_usable(&self, connection: &mut Connection) -> bool {
        connection.is_autocommit()
    }

    fn name(&self) -> String {
        self.path.display().to_string()
    }
}

/// A connection to a file, and what every one is told.
pub(super) fn connect(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    // Each is used by one thread at a time.
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(PATIENCE)?;
    connection.set_prepared_statement_cache_capacity(PREPARED);
    connection.execute_batch(
        "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY; \
         PRAGMA cache_size = -16384;",
    )?;
    Ok(connection)
}

/// A connection to a file that is made if it is not there, and then for nobody else to read: addresses of people and
/// digests of their tokens are in it. What SQLite makes beside it has the same rights.
pub(super) fn create(path: &Path) -> rusqlite::Result<Connection> {
    // Why it cannot be made, if it cannot, SQLite says.
    let _ = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    connect(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
    )
}

/// Whether a file was made by us.
pub(super) fn is_ours(connection: &Connection) -> rusqlite::Result<bool> {
    connection.pragma_query_value(None, "application_id", |row| {
        Ok(row.get::<_, i32>(0)? == APPLICATION)
    })
}

/// Ends with ROLLBACK unless it was committed, also if the work panics.
struct Transaction<'a> {
    connection: &'a Connection,
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if !self.connection.is_autocommit() {
            // Only fails if SQLite has rolled back already.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
    }
}

fn transact<T, E: From<DbError>>(
    connection: &Connection,
    path: &Path,
    begin: &str,
    work: &mut dyn FnMut(&mut dyn Session) -> Result<T, E>,
) -> (Result<T, E>, bool) {
    let control = |sql: &str| {
        connection.execute_batch(sql).map_err(|error| {
            let word = sql.split(' ').next().unwrap_or(sql).to_lowercase();
            refused(format!("{word} on {}", path.display()), error)
        })
    };
    if let Err(error) = control(begin) {
        let retry = error.is_retried();
        return (Err(error.into()), retry);
    }
    let transaction = Transaction { connection };
    let mut session = SqliteSession::new(connection);
    let outcome = work(&mut session);
    let (failed, retry) = (session.failed, session.retry);
    let outcome = match outcome {
        // SQLite would commit the rest; PostgreSQL would not. Neither shall.
        Ok(_) if failed => {
            let database = path.display().to_string();
            (Err(DbError::Aborted { database }.into()), retry)
        }
        Ok(value) => match control("COMMIT") {
            Ok(()) => (Ok(value), false),
            Err(error) => {
                let retry = error.is_retried();
                (Err(error.into()), retry)
            }
        },
        Err(error) => (Err(error), retry),
    };
    drop(transaction);
    outcome
}

/// A connection inside a transaction.
pub(super) struct SqliteSession<'a> {
    connection: &'a Connection,
    failed: bool,
    retry: bool,
}

impl<'a> SqliteSession<'a> {
    pub(super) const fn new(connection: &'a Connection) -> Self {
        Self {
            connection,
            failed: false,
            retry: false,
        }
    }

    fn failed(&mut self, sql: &str, error: rusqlite::Error) -> DbError {
        let error = refused(super::statement(sql), error);
        self.failed = true;
        self.retry |= error.is_retried();
        error
    }

    fn run(&mut self, sql: &str, parameters: &[Value<'_>]) -> rusqlite::Result<u64> {
        let text = Dialect::Sqlite.statement(sql);
        let mut statement = self.connection.prepare_cached(&text)?;
        bind(&mut statement, parameters)?;
        statement.raw_execute().map(|count| count as u64)
    }
}

impl Session for SqliteSession<'_> {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    fn for_each(
        &mut self,
        sql: &str,
        parameters: &[Value<'_>],
        each: &mut dyn FnMut(Row<'_>) -> Result<(), DbError>,
    ) -> Result<(), DbError> {
        let connection = self.connection;
        let text = Dialect::Sqlite.statement(sql);
        let mut statement = connection
            .prepare_cached(&text)
            .map_err(|error| self.failed(sql, error))?;
        bind(&mut statement, parameters).map_err(|error| self.failed(sql, error))?;
        let width = statement.column_count();
        let mut rows = statement.raw_query();
        loop {
            match rows.next() {
                Ok(None) => return Ok(()),
                Err(error) => return Err(self.failed(sql, error)),
                Ok(Some(row)) => {
                    let values = (0..width)
                        .map(|column| row.get_ref(column).and_then(|found| read(column, found)))
                        .collect::<rusqlite::Result<Vec<_>>>()
                        .map_err(|error| self.failed(sql, error))?;
                    each(Row::new(&values))?;
                }
            }
        }
    }

    fn execute(&mut self, sql: &str, parameters: &[Value<'_>]) -> Result<u64, DbError> {
        self.run(sql, parameters)
            .map_err(|error| self.failed(sql, error))
    }

    fn batch(&mut self, sql: &str) -> Result<(), DbError> {
        self.connection
            .execute_batch(sql)
            .map_err(|error| self.failed(sql, error))
    }

    fn many(&mut self, verb: Verb, bulk: &Bulk, rows: &[Vec<Value<'_>>]) -> Result<u64, DbError> {
        session::check(verb, bulk, rows)?;
        let sql = bulk.one(verb);
        let mut count = 0;
        let mut all = || {
            let text = Dialect::Sqlite.statement(&sql);
            let mut statement = self.connection.prepare_cached(&text)?;
            for row in rows {
                bind(&mut statement, row)?;
                count += statement.raw_execute()? as u64;
            }
            Ok(())
        };
        all().map_err(|error| self.failed(&sql, error))?;
        Ok(count)
    }
}

fn bind(statement: &mut rusqlite::Statement<'_>, parameters: &[Value<'_>]) -> rusqlite::Result<()> {
    let wanted = statement.parameter_count();
    if wanted != parameters.len() {
        return Err(rusqlite::Error::InvalidParameterCount(
            parameters.len(),
            wanted,
        ));
    }
    for (index, value) in parameters.iter().enumerate() {
        statement.raw_bind_parameter(index + 1, Parameter(value))?;
    }
    Ok(())
}

struct Parameter<'a>(&'a Value<'a>);

impl ToSql for Parameter<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let list = |json: serde_json::Result<String>| {
            json.map(|text| ToSqlOutput::Owned(rusqlite::types::Value::Text(text)))
                .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
        };
        Ok(match self.0 {
            Value::Null => ToSqlOutput::Borrowed(ValueRef::Null),
            Value::Int(value) => ToSqlOutput::Borrowed(ValueRef::Integer(*value)),
            Value::Real(value) => ToSqlOutput::Borrowed(ValueRef::Real(*value)),
            Value::Text(value) if value.contains('\0') => {
                let reason = "a text holds the character NUL";
                return Err(rusqlite::Error::ToSqlConversionFailure(reason.into()));
            }
            Value::Text(value) => ToSqlOutput::Borrowed(ValueRef::Text(value.as_bytes())),
            Value::Bytes(value) => ToSqlOutput::Borrowed(ValueRef::Blob(value)),
            Value::Ints(values) => list(serde_json::to_string(values))?,
            Value::Texts(values) => list(serde_json::to_string(values))?,
        })
    }
}

fn read(column: usize, value: ValueRef<'_>) -> rusqlite::Result<Value<'_>> {
    Ok(match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(value) => Value::Int(value),
        ValueRef::Real(value) => Value::Real(value),
        ValueRef::Text(text) => Value::from(
            std::str::from_utf8(text).map_err(|error| rusqlite::Error::Utf8Error(column, error))?,
        ),
        ValueRef::Blob(bytes) => Value::from(bytes),
    })
}

/// What SQLite says, by what can be done about it.
pub(super) fn refused(operation: String, error: rusqlite::Error) -> DbError {
    let trouble = match error.sqlite_error() {
        None => Trouble::Other,
        Some(found) => match (found.code, found.extended_code) {
            (ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked, _) => Trouble::Busy,
            (ErrorCode::DiskFull, _) => Trouble::Full,
            (ErrorCode::ReadOnly, _) => Trouble::ReadOnly,
            (ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase, _) => Trouble::Corrupt,
            (ErrorCode::CannotOpen, _) => Trouble::CannotOpen,
            (ErrorCode::SystemIoFailure, _) => Trouble::Device,
            (ErrorCode::PermissionDenied, _) => Trouble::Denied,
            (
                ErrorCode::ConstraintViolation,
                ffi::SQLITE_CONSTRAINT_UNIQUE
                | ffi::SQLITE_CONSTRAINT_PRIMARYKEY
                | ffi::SQLITE_CONSTRAINT_ROWID,
            ) => Trouble::Duplicate,
            (
                ErrorCode::ConstraintViolation,
                ffi::SQLITE_CONSTRAINT_FOREIGNKEY | ffi::SQLITE_CONSTRAINT_TRIGGER,
            ) => Trouble::Reference,
            (ErrorCode::ConstraintViolation, _) => Trouble::Rule,
            _ => Trouble::Other,
        },
    };
    DbError::Engine {
        operation,
        trouble,
        source: Box::new(error),
    }
}
