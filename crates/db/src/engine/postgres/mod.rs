//! PostgreSQL by URL: shared by as many processes as there are.

mod binding;
mod refusal;
mod tls;
mod types;

use std::collections::HashMap;
use std::time::Duration;

use postgres::config::SslMode;
use postgres::fallible_iterator::FallibleIterator as _;
use postgres::types::ToSql;
use postgres::{Client, Config, NoTls, Statement};

use self::refusal::refused;
use self::tls::Connector;
use self::types::{Array, Field, Parameter};
use super::bulk::{Bulk, Verb};
use super::location;
use super::pool::{Manager, Pool};
use super::session::{self, Session};
use super::value::{Row, Value};
use super::{DbError, Dialect};

/// Statements kept prepared by each connection.
const PREPARED: usize = 256;

/// Rows in one statement of many.
const TOGETHER: usize = 10_000;

/// Whatever the server's defaults are.
///
/// Each statement is planned for its parameters: a plan for any of them reads a table backwards until it has met
/// a page of what is nowhere in it, which a search for an id mostly asks for. Planning takes a tenth of a
/// millisecond. What is compiled pays where a statement runs for seconds, and none does.
const SETTINGS: &str = "SET client_min_messages = warning; SET standard_conforming_strings = on; \
                        SET DateStyle = ISO; SET TimeZone = 'UTC'; SET synchronous_commit = on; \
                        SET plan_cache_mode = force_custom_plan; SET jit = off;";

/// A server's database, and the connections to it.
pub(super) struct Postgres {
    pool: Pool<Server>,
}

impl Postgres {
    /// Connects once, so that what is wrong is known at once.
    pub(super) fn open(server: &location::Server, connections: usize) -> Result<Self, DbError> {
        let mut config = server.config.clone();
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(Duration::from_secs(10));
        }
        if config.get_application_name().is_none() {
            config.application_name("snowguard");
        }
        // A server that is gone is noticed in the middle of a query, too.
        config
            .keepalives_idle(Duration::from_secs(30))
            .tcp_user_timeout(Duration::from_mins(1));
        let tls = match config.get_ssl_mode() {
            SslMode::Disable => None,
            _ => Some(Connector::new(&server.protection)?),
        };
        let pool = Pool::new(Server { config, tls }, connections);
        let opened = Self { pool };
        let (encoding, _) = opened.read(&mut |session| {
            let rows = session.query(
                "SELECT pg_encoding_to_char(encoding) FROM pg_catalog.pg_database WHERE datname = current_database()",
                &[],
            )?;
            rows.first().map_or(Ok(String::new()), |row| row.get(0))
        });
        let encoding: String = encoding?;
        if encoding != "UTF8" {
            return Err(DbError::Encoding {
                database: opened.name(),
                encoding,
            });
        }
        Ok(opened)
    }

    /// Where it is; without a password.
    pub(super) fn name(&self) -> String {
        self.pool.manager().name()
    }

    /// Runs `work` on what is committed now. The flag is whether the whole can be tried again.
    pub(super) fn read<T, E: From<DbError>>(
        &self,
        work: &mut dyn FnMut(&mut dyn Session) -> Result<T, E>,
    ) -> (Result<T, E>, bool) {
        self.transact("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", work)
    }

    /// Runs `work`, and commits if it succeeds. Other writers work at the same time.
    pub(super) fn write<T, E: From<DbError>>(
        &self,
        work: &mut dyn FnMut(&mut dyn Session) -> Result<T, E>,
    ) -> (Result<T, E>, bool) {
        self.transact("BEGIN", work)
    }

    fn transact<T, E: From<DbError>>(
        &self,
        begin: &str,
        work: &mut dyn FnMut(&mut dyn Session) -> Result<T, E>,
    ) -> (Result<T, E>, bool) {
        let (outcome, retry) = self
            .pool
            .with(|connection| connection.transact(&self.name(), begin, work))
            .unwrap_or_else(|error| (Err(error.into()), false));
        if retry {
            // The server may have been restarted; no other idle connection is then worth trying.
            self.pool.forget();
        }
        (outcome, retry)
    }
}

struct Server {
    config: Config,
    tls: Option<Connector>,
}

impl Manager for Server {
    type Connection = Connected;

    fn connect(&self) -> Result<Connected, DbError> {
        let failed = |error| refused(format!("connect to {}", self.name()), error);
        let mut client = match &self.tls {
            None => self.config.connect(NoTls),
            Some(connector) => self.config.connect(connector.clone()),
        }
        .map_err(failed)?;
        client.batch_execute(SETTINGS).map_err(failed)?;
        Ok(Connected {
            client: Some(client),
            prepared: HashMap::new(),
            clean: true,
        })
    }

    fn is_usable(&self, connection: &mut Connected) -> bool {
        connection.clean
            && connection
                .client
                .as_ref()
                .is_some_and(|client| !client.is_closed())
    }

    fn name(&self) -> String {
        location::name(&self.config)
    }
}

struct Connected {
    /// Always there, until it is closed.
    client: Option<Client>,
    prepared: HashMap<String, Statement>,
    /// Whether it is outside of any transaction.
    clean: bool,
}

impl Drop for Connected {
    fn drop(&mut self) {
        // The client has a runtime of its own, which must not be dropped where another one runs: whoever holds
        // the last handle of a database may be there.
        if let Some(client) = self.client.take()
            && let Ok(closing) = std::thread::Builder::new().spawn(move || drop(client))
        {
            let _ = closing.join();
        }
    }
}

impl Connected {
    fn transact<T, E: From<DbError>>(
        &mut self,
        server: &str,
        begin: &str,
        work: &mut dyn FnMut(&mut dyn Session) -> Result<T, E>,
    ) -> (Result<T, E>, bool) {
        let Some(client) = &mut self.client else {
            let error = DbError::Unknown {
                database: server.to_owned(),
            };
            return (Err(error.into()), false);
        };
        self.clean = false;
        if let Err(error) = client.batch_execute(begin) {
            let error = refused(format!("begin on {server}"), error);
            let retry = error.is_retried();
            return (Err(error.into()), retry);
        }
        let mut session = PostgresSession {
            client,
            prepared: &mut self.prepared,
            failed: false,
            retry: false,
        };
        match work(&mut session) {
            // The server would answer COMMIT with a rollback, and no error.
            Ok(_) if session.failed => {
                let retry = session.retry;
                self.clean = session.client.batch_execute("ROLLBACK").is_ok();
                let database = server.to_owned();
                (Err(DbError::Aborted { database }.into()), retry)
            }
            Ok(value) => {
                let committed = session.client.batch_execute("COMMIT");
                match committed {
                    Ok(()) => {
                        self.clean = true;
                        (Ok(value), false)
                    }
                    Err(error) if error.as_db_error().is_none() => {
                        let error = DbError::Unknown {
                            database: server.to_owned(),
                        };
                        (Err(error.into()), false)
                    }
                    Err(error) => {
                        let error = refused(format!("commit on {server}"), error);
                        let retry = error.is_retried();
                        (Err(error.into()), retry)
                    }
                }
            }
            Err(error) => {
                let retry = session.retry;
                self.clean = session.client.batch_execute("ROLLBACK").is_ok();
                (Err(error), retry)
            }
        }
    }
}

struct PostgresSession<'a> {
    client: &'a mut Client,
    prepared: &'a mut HashMap<String, Statement>,
    failed: bool,
    retry: bool,
}

impl PostgresSession<'_> {
    fn failed(&mut self, sql: &str, error: postgres::Error) -> DbError {
        let error = refused(super::statement(sql), error);
        self.failed = true;
        self.retry |= error.is_retried();
        error
    }

    fn prepared(&mut self, sql: &str) -> Result<Statement, DbError> {
        if let Some(statement) = self.prepared.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self
            .client
            .prepare(&Dialect::Postgres.statement(sql))
            .map_err(|error| self.failed(sql, error))?;
        if self.prepared.len() >= PREPARED {
            self.prepared.clear();
        }
        self.prepared.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }
}

impl Session for PostgresSession<'_> {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    fn for_each(
        &mut self,
        sql: &str,
        parameters: &[Value<'_>],
        each: &mut dyn FnMut(Row<'_>) -> Result<(), DbError>,
    ) -> Result<(), DbError> {
        let statement = self.prepared(sql)?;
        let mut given = Ok(());
        let done = self
            .client
            .query_raw(&statement, parameters.iter().map(Parameter))
            .and_then(|mut rows| {
                // All rows are taken, also after an error of `each`: the connection is then at its next statement.
                while let Some(row) = rows.next()? {
                    if given.is_err() {
                        continue;
                    }
                    let values = (0..row.len())
                        .map(|column| row.try_get::<_, Field<'_>>(column).map(|field| field.0))
                        .collect::<Result<Vec<_>, _>>()?;
                    given = each(Row::new(&values));
                }
                Ok(())
            });
        done.map_err(|error| self.failed(sql, error))?;
        given
    }

    fn execute(&mut self, sql: &str, parameters: &[Value<'_>]) -> Result<u64, DbError> {
        let statement = self.prepared(sql)?;
        let parameters: Vec<Parameter<'_>> = parameters.iter().map(Parameter).collect();
        let parameters: Vec<&(dyn ToSql + Sync)> = parameters
            .iter()
            .map(|value| -> &(dyn ToSql + Sync) { value })
            .collect();
        self.client
            .execute(&statement, &parameters)
            .map_err(|error| self.failed(sql, error))
    }

    fn batch(&mut self, sql: &str) -> Result<(), DbError> {
        self.client
            .batch_execute(sql)
            .map_err(|error| self.failed(sql, error))
    }

    fn many(&mut self, verb: Verb, bulk: &Bulk, rows: &[Vec<Value<'_>>]) -> Result<u64, DbError> {
        session::check(verb, bulk, rows)?;
        let sql = bulk.many(verb);
        let statement = self.prepared(&sql)?;
        let mut count = 0;
        for rows in rows.chunks(TOGETHER) {
            let arrays: Vec<Array<'_>> = (0..bulk.width())
                .map(|column| Array { rows, column })
                .collect();
            let parameters: Vec<&(dyn ToSql + Sync)> = arrays
                .iter()
                .map(|array| -> &(dyn ToSql + Sync) { array })
                .collect();
            count += self
                .client
                .execute(&statement, &parameters)
                .map_err(|error| self.failed(&sql, error))?;
        }
        Ok(count)
    }
}
