//! The schema, version by version, and how a database is brought forward.

use crate::engine::{Database, Dialect, Session, Value};
use crate::error::DbError;

/// One version: what is done to a database of the version before.
struct Step {
    number: u32,
    /// Files for both engines, then those for one, in this order.
    both: &'static [&'static str],
    sqlite: &'static [&'static str],
    postgres: &'static [&'static str],
}

/// All versions of what one kind of database holds.
struct Series {
    /// Under what name its version is kept.
    name: &'static str,
    /// The first one first. A version that was released is never changed.
    steps: &'static [Step],
}

impl Series {
    fn version(&self) -> u32 {
        self.steps.last().map_or(0, |step| step.number)
    }
}

/// The tracker's.
const TRACKER: Series = Series {
    name: "schema",
    steps: STEPS,
};

/// The queue of what is fetched again.
const REFETCH: Series = Series {
    name: "refetch",
    steps: &[
        Step {
            number: 1,
            both: &[include_str!("../schema/refetch/1.sql")],
            sqlite: &[],
            postgres: &[],
        },
        Step {
            number: 2,
            both: &[include_str!("../schema/refetch/2.sql")],
            sqlite: &[],
            postgres: &[],
        },
        Step {
            number: 3,
            both: &[include_str!("../schema/refetch/3.sql")],
            sqlite: &[],
            postgres: &[],
        },
    ],
};

const STEPS: &[Step] = &[Step {
    number: 1,
    both: &[
        include_str!("../schema/1/meta.sql"),
        include_str!("../schema/1/evaluations.sql"),
        include_str!("../schema/1/advisories.sql"),
        include_str!("../schema/1/people.sql"),
        include_str!("../schema/1/findings.sql"),
        include_str!("../schema/1/issues.sql"),
        include_str!("../schema/1/jobs.sql"),
        include_str!("../schema/1/subscriptions.sql"),
    ],
    sqlite: &[include_str!("../schema/1/search.sqlite.sql")],
    postgres: &[
        include_str!("../schema/1/evaluations.postgres.sql"),
        include_str!("../schema/1/search.postgres.sql"),
    ],
}];

/// The version that this program works with.
pub const VERSION: u32 = STEPS[STEPS.len() - 1].number;

/// Names the one lock under which PostgreSQL's schema is changed.
const LOCK: i64 = 0x736e_6f77_6775_6172;

/// Brings a tracker's database to this version, in one transaction.
pub(crate) fn forward(database: &Database) -> Result<(), DbError> {
    to(database, VERSION)
}

/// Brings a tracker's database to a version. Newer ones are refused.
pub(crate) fn to(database: &Database, version: u32) -> Result<(), DbError> {
    bring(database, &TRACKER, version)
}

/// Brings a queue of what is fetched again to this version.
pub(crate) fn refetch(database: &Database) -> Result<(), DbError> {
    bring(database, &REFETCH, REFETCH.version())
}

fn bring(database: &Database, series: &Series, version: u32) -> Result<(), DbError> {
    let found = database.read(|session| version_of(session, series))?;
    check(database, series, found)?;
    if found == Some(version) {
        return Ok(());
    }
    database.write(|session| {
        if session.dialect() == Dialect::Postgres {
            session.execute("SELECT pg_advisory_xact_lock($1)", &[Value::Int(LOCK)])?;
        }
        // Somebody else may have done it meanwhile.
        let found = version_of(session, series)?;
        check(database, series, found)?;
        if found.is_none() && !is_empty(session)? {
            return Err(DbError::Foreign {
                database: database.to_string(),
            });
        }
        let from = found.unwrap_or(0);
        for step in series
            .steps
            .iter()
            .filter(|step| from < step.number && step.number <= version)
        {
            step.run(session, series)?;
        }
        Ok(())
    })
}

impl Step {
    fn run(&self, session: &mut dyn Session, series: &Series) -> Result<(), DbError> {
        let dialect = session.dialect();
        let own = match dialect {
            Dialect::Sqlite => self.sqlite,
            Dialect::Postgres => self.postgres,
        };
        for file in self.both.iter().chain(own) {
            session.batch(&dialect.schema(file))?;
        }
        session.execute(
            "INSERT INTO meta (name, value) VALUES ($1, $2) \
             ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            &[series.name.into(), Value::from(self.number.to_string())],
        )?;
        Ok(())
    }
}

/// The version of a tracker's database; nothing where there is no schema of ours.
pub(crate) fn found(session: &mut dyn Session) -> Result<Option<u32>, DbError> {
    version_of(session, &TRACKER)
}

fn version_of(session: &mut dyn Session, series: &Series) -> Result<Option<u32>, DbError> {
    let here = tables(session)?;
    if !here.iter().any(|table| table == "meta") {
        return Ok(None);
    }
    let rows = session.query(
        "SELECT value FROM meta WHERE name = $1",
        &[series.name.into()],
    )?;
    let text = rows.first().map(|row| row.get::<String>(0)).transpose()?;
    let version = text.as_deref().and_then(|text| text.parse().ok());
    version.map(Some).ok_or_else(|| DbError::Content {
        what: "the version of the schema".to_owned(),
        reason: format!("it is {}", text.as_deref().unwrap_or("missing")),
    })
}

/// The names of all tables, sorted; those that the engines make for themselves apart.
pub(crate) fn tables(session: &mut dyn Session) -> Result<Vec<String>, DbError> {
    let sql = match session.dialect() {
        Dialect::Sqlite => {
            "SELECT name FROM pragma_table_list \
             WHERE schema = 'main' AND type IN ('table', 'virtual') AND name NOT LIKE 'sqlite~_%' ESCAPE '~' \
             ORDER BY name"
        }
        Dialect::Postgres => {
            "SELECT tablename FROM pg_catalog.pg_tables \
             WHERE schemaname = current_schema() ORDER BY tablename COLLATE \"C\""
        }
    };
    session.query(sql, &[])?.map(|row| row.get::<String>(0))
}

fn is_empty(session: &mut dyn Session) -> Result<bool, DbError> {
    Ok(tables(session)?.is_empty())
}

fn check(database: &Database, series: &Series, found: Option<u32>) -> Result<(), DbError> {
    match found {
        Some(found) if found > series.version() => Err(DbError::Newer {
            database: database.to_string(),
            found,
            known: series.version(),
        }),
        _ => Ok(()),
    }
}
