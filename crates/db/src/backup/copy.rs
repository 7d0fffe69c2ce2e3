//! All rows of all tables, from one database to another of the same schema, whatever engines they are.

use crate::engine::{Bulk, Dialect, Kind, Session, Value};
use crate::error::DbError;
use crate::schema;
use crate::search;

/// Rows that are written at once, at most.
const ROWS: usize = 2_000;
/// Bytes that are held at once, about.
const BYTES: usize = 8 << 20;

/// The one table that is not the same on both engines.
const WORDS: &str = "search_words";
/// The one table that a new database has rows in.
const META: &str = "meta";

/// How much was copied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Copied {
    /// Tables.
    pub tables: u64,
    /// Rows of all tables.
    pub rows: u64,
}

/// Copies everything into a database that is empty.
pub(super) fn all(from: &mut dyn Session, to: &mut dyn Session) -> Result<Copied, DbError> {
    let mut copied = Copied::default();
    let references = Suspended::references(to)?;
    to.execute("DELETE FROM meta", &[])?;
    for table in schema::tables(from)? {
        copied.rows += if table == WORDS {
            search::copy_words(from, to)?
        } else {
            rows(from, to, &table)?
        };
        copied.tables += 1;
    }
    references.resume(to)?;
    count_on(to)?;
    Ok(copied)
}

/// Whether there is no row in it but those of a new database.
pub(super) fn is_empty(session: &mut dyn Session) -> Result<bool, DbError> {
    for table in schema::tables(session)? {
        if table != META
            && table != WORDS
            && !session
                .query(&format!("SELECT 1 FROM \"{table}\" LIMIT 1"), &[])?
                .is_empty()
        {
            return Ok(false);
        }
    }
    Ok(true)
}

fn rows(from: &mut dyn Session, to: &mut dyn Session, table: &str) -> Result<u64, DbError> {
    let columns = columns(from, table)?;
    let names: Vec<String> = columns
        .iter()
        .map(|(name, _)| format!("\"{name}\""))
        .collect();
    let bulk = Bulk::of(table.to_owned(), columns);
    let (mut count, mut held) = (0, 0);
    let mut waiting: Vec<Vec<Value<'static>>> = Vec::new();
    let sql = format!("SELECT {} FROM \"{table}\"", names.join(", "));
    from.for_each(&sql, &[], &mut |row| {
        held += row.values().iter().map(size).sum::<usize>();
        let values = row.values().iter().cloned().map(Value::into_owned);
        waiting.push(values.collect());
        if waiting.len() == ROWS || held > BYTES {
            count += to.insert_many(&bulk, &waiting)?;
            waiting.clear();
            held = 0;
        }
        Ok(())
    })?;
    count += to.insert_many(&bulk, &waiting)?;
    Ok(count)
}

fn size(value: &Value<'_>) -> usize {
    match value {
        Value::Text(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        _ => 8,
    }
}

/// The columns of a table, and what they hold.
fn columns(session: &mut dyn Session, table: &str) -> Result<Vec<(String, Kind)>, DbError> {
    let sql = match session.dialect() {
        Dialect::Sqlite => "SELECT name, type FROM pragma_table_info($1) ORDER BY cid",
        Dialect::Postgres => {
            "SELECT CAST(column_name AS TEXT), CAST(data_type AS TEXT) FROM information_schema.columns \
             WHERE table_schema = current_schema() AND table_name = $1 ORDER BY ordinal_position"
        }
    };
    session.query(sql, &[table.into()])?.map(|row| {
        let kind = match row.get::<&str>(1)?.to_ascii_lowercase().as_str() {
            "integer" | "bigint" => Kind::Int,
            "real" | "double precision" => Kind::Real,
            "text" => Kind::Text,
            "blob" | "bytea" => Kind::Bytes,
            other => {
                return Err(DbError::Content {
                    what: format!("the columns of `{table}`"),
                    reason: format!("one is of the type {other}"),
                });
            }
        };
        Ok((row.get(0)?, kind))
    })
}

/// References between rows, while rows come in the order of their tables' names.
struct Suspended {
    /// PostgreSQL: table, name and definition of each.
    references: Vec<(String, String, String)>,
}

impl Suspended {
    fn references(session: &mut dyn Session) -> Result<Self, DbError> {
        if session.dialect() == Dialect::Sqlite {
            // They are checked with COMMIT.
            session.batch("PRAGMA defer_foreign_keys = ON")?;
            return Ok(Self {
                references: Vec::new(),
            });
        }
        let references = session
            .query(
                "SELECT CAST(CAST(conrelid AS REGCLASS) AS TEXT), CAST(conname AS TEXT), pg_get_constraintdef(oid) \
                 FROM pg_catalog.pg_constraint \
                 WHERE contype = 'f' AND connamespace = CAST(current_schema() AS REGNAMESPACE) \
                 ORDER BY conrelid, conname",
                &[],
            )?
            .map(|row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        for (table, name, _) in &references {
            session.batch(&format!("ALTER TABLE {table} DROP CONSTRAINT \"{name}\""))?;
        }
        Ok(Self { references })
    }

    /// Puts them back, which checks all rows.
    fn resume(self, session: &mut dyn Session) -> Result<(), DbError> {
        for (table, name, definition) in &self.references {
            session.batch(&format!(
                "ALTER TABLE {table} ADD CONSTRAINT \"{name}\" {definition}"
            ))?;
        }
        Ok(())
    }
}

/// PostgreSQL: new numbers go on after those that were copied.
fn count_on(session: &mut dyn Session) -> Result<(), DbError> {
    if session.dialect() == Dialect::Sqlite {
        return Ok(());
    }
    let tables = session
        .query(
            "SELECT CAST(table_name AS TEXT) FROM information_schema.columns \
             WHERE table_schema = current_schema() AND column_name = 'id' AND is_identity = 'YES' ORDER BY 1",
            &[],
        )?
        .map(|row| row.get::<String>(0))?;
    for table in tables {
        session.query(
            &format!(
                "SELECT setval(pg_get_serial_sequence('\"{table}\"', 'id'), \
                 coalesce((SELECT max(id) FROM \"{table}\"), 0) + 1, false)"
            ),
            &[],
        )?;
    }
    Ok(())
}
