//! One connection inside one transaction.

use super::bulk::{Bulk, Verb};
use super::value::{Row, Rows, Value};
use super::{DbError, Dialect};

/// One connection inside one transaction: what the rooms of this crate are written against.
///
/// Statements are written once, in what both engines understand, with parameters `$1`, `$2` and so on, and
/// `{in:1}` for "is one of this list". Nothing of a stranger is ever part of a statement.
pub trait Session {
    /// Which engine it is, where one has something better.
    fn dialect(&self) -> Dialect;

    /// Runs a query and gives each row to `each` as it comes. `each` cannot use the session meanwhile.
    fn for_each(
        &mut self,
        sql: &str,
        parameters: &[Value<'_>],
        each: &mut dyn FnMut(Row<'_>) -> Result<(), DbError>,
    ) -> Result<(), DbError>;

    /// Runs a statement that gives no rows; how many it changed.
    fn execute(&mut self, sql: &str, parameters: &[Value<'_>]) -> Result<u64, DbError>;

    /// Runs statements without parameters, separated by semicolons.
    fn batch(&mut self, sql: &str) -> Result<(), DbError>;

    /// Does one thing with many rows; how many were changed.
    fn many(&mut self, verb: Verb, bulk: &Bulk, rows: &[Vec<Value<'_>>]) -> Result<u64, DbError>;

    /// Runs a query, or a statement with `RETURNING`, and gives all rows.
    fn query(&mut self, sql: &str, parameters: &[Value<'_>]) -> Result<Rows, DbError> {
        let mut rows = Rows::default();
        self.for_each(sql, parameters, &mut |row| {
            rows.push(row);
            Ok(())
        })?;
        Ok(rows)
    }

    /// Writes many new rows; how many were written.
    fn insert_many(&mut self, bulk: &Bulk, rows: &[Vec<Value<'_>>]) -> Result<u64, DbError> {
        self.many(Verb::Insert, bulk, rows)
    }

    /// Sets the columns after the key in the rows that the key finds; how many were found.
    fn update_many(&mut self, bulk: &Bulk, rows: &[Vec<Value<'_>>]) -> Result<u64, DbError> {
        self.many(Verb::Update, bulk, rows)
    }

    /// Removes the rows that the key finds; how many there were. The shape has key columns only.
    fn delete_many(&mut self, bulk: &Bulk, rows: &[Vec<Value<'_>>]) -> Result<u64, DbError> {
        self.many(Verb::Delete, bulk, rows)
    }
}

/// Whether the rows have the shape that their statement has.
pub(super) fn check(verb: Verb, bulk: &Bulk, rows: &[Vec<Value<'_>>]) -> Result<(), DbError> {
    if !bulk.suits(verb) {
        let reason = "the key does not suit what is done";
        let table = bulk.table().to_owned();
        return Err(DbError::Shape { table, reason });
    }
    if rows.iter().any(|row| row.len() != bulk.width()) {
        let reason = "a row has another number of columns";
        let table = bulk.table().to_owned();
        return Err(DbError::Shape { table, reason });
    }
    Ok(())
}
