//! Many rows at once: which table, which columns, and which of these are the key.

use std::borrow::Cow;
use std::fmt::Write as _;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `{int}`, also `{id}`.
    Int,
    /// `{real}`.
    Real,
    /// `{text}`.
    Text,
    /// `{bytes}`.
    Bytes,
}

/// The shape of rows that are written many at once. Names are those of our own schema, never others' text.
///
/// ```
/// # use snowguard_db::Bulk;
/// let bulk = Bulk::new("maintains").int("maintainer").int("package").then("ON CONFLICT DO NOTHING");
/// # let _ = bulk;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bulk {
    table: Cow<'static, str>,
    columns: Vec<(Cow<'static, str>, Kind)>,
    keys: usize,
    tail: &'static str,
}

impl Bulk {
    /// Rows of a table.
    pub const fn new(table: &'static str) -> Self {
        Self {
            table: Cow::Borrowed(table),
            columns: Vec::new(),
            keys: 0,
            tail: "",
        }
    }

    /// A table as a database itself describes it.
    pub(crate) fn of(table: String, columns: Vec<(String, Kind)>) -> Self {
        Self {
            table: Cow::Owned(table),
            columns: columns
                .into_iter()
                .map(|(name, kind)| (Cow::Owned(name), kind))
                .collect(),
            keys: 0,
            tail: "",
        }
    }

    fn column(mut self, name: &'static str, kind: Kind) -> Self {
        self.columns.push((Cow::Borrowed(name), kind));
        self
    }

    /// The next column holds whole numbers.
    #[must_use]
    pub fn int(self, name: &'static str) -> Self {
        self.column(name, Kind::Int)
    }

    /// The next column holds numbers with fractions.
    #[must_use]
    pub fn real(self, name: &'static str) -> Self {
        self.column(name, Kind::Real)
    }

    /// The next column holds texts.
    #[must_use]
    pub fn text(self, name: &'static str) -> Self {
        self.column(name, Kind::Text)
    }

    /// The next column holds bytes.
    #[must_use]
    pub fn bytes(self, name: &'static str) -> Self {
        self.column(name, Kind::Bytes)
    }

    /// The columns so far are the key by which `update_many` and `delete_many` find rows.
    #[must_use]
    pub fn key(mut self) -> Self {
        self.keys = self.columns.len();
        self
    }

    /// What follows the values of `insert_many`: an `ON CONFLICT` clause. On PostgreSQL a row may then not
    /// be met twice in one call.
    #[must_use]
    pub const fn then(mut self, tail: &'static str) -> Self {
        self.tail = tail;
        self
    }

    /// How many columns a row has.
    pub fn width(&self) -> usize {
        self.columns.len()
    }

    /// What each column holds.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = Kind> {
        self.columns.iter().map(|(_, kind)| *kind)
    }

    /// The table.
    pub fn table(&self) -> &str {
        &self.table
    }

    /// A statement for one row, with a parameter for each column.
    pub(crate) fn one(&self, verb: Verb) -> String {
        let table = &self.table;
        let parameter = |index: usize| format!("${}", index + 1);
        match verb {
            Verb::Insert => {
                let values: Vec<String> = (0..self.width()).map(parameter).collect();
                format!(
                    "INSERT INTO {table} ({}) VALUES ({}) {}",
                    self.names(),
                    values.join(", "),
                    self.tail
                )
            }
            Verb::Update => format!(
                "UPDATE {table} SET {} WHERE {}",
                self.assignments(self.keys, parameter, ", "),
                self.conditions(parameter)
            ),
            Verb::Delete => format!("DELETE FROM {table} WHERE {}", self.conditions(parameter)),
        }
    }

    /// A statement for many rows, with an array for each column (PostgreSQL).
    pub(crate) fn many(&self, verb: Verb) -> String {
        let table = &self.table;
        let mut arrays = String::new();
        for (index, kind) in self.kinds().enumerate() {
            let array = match kind {
                Kind::Int => "bigint[]",
                Kind::Real => "double precision[]",
                Kind::Text => "text[]",
                Kind::Bytes => "bytea[]",
            };
            let comma = if index == 0 { "" } else { ", " };
            let _ = write!(arrays, "{comma}${}::{array}", index + 1);
        }
        let names = self.names();
        let given = |index: usize| format!("given.{}", self.columns[index].0);
        match verb {
            Verb::Insert => format!(
                "INSERT INTO {table} ({names}) SELECT * FROM unnest({arrays}) {}",
                self.tail
            ),
            Verb::Update => format!(
                "UPDATE {table} SET {} FROM unnest({arrays}) AS given ({names}) WHERE {}",
                self.assignments(self.keys, given, ", "),
                self.conditions(given)
            ),
            Verb::Delete => format!(
                "DELETE FROM {table} USING unnest({arrays}) AS given ({names}) WHERE {}",
                self.conditions(given)
            ),
        }
    }

    fn names(&self) -> String {
        let names: Vec<&str> = self.columns.iter().map(|(name, _)| &**name).collect();
        names.join(", ")
    }

    fn assignments(&self, from: usize, value: impl Fn(usize) -> String, between: &str) -> String {
        let parts: Vec<String> = (from..self.width())
            .map(|index| format!("{} = {}", self.columns[index].0, value(index)))
            .collect();
        parts.join(between)
    }

    fn conditions(&self, value: impl Fn(usize) -> String) -> String {
        let parts: Vec<String> = (0..self.keys)
            .map(|index| {
                format!(
                    "{}.{} = {}",
                    self.table,
                    self.columns[index].0,
                    value(index)
                )
            })
            .collect();
        parts.join(" AND ")
    }

    /// Whether the shape suits what is to be done with it.
    pub(crate) fn suits(&self, verb: Verb) -> bool {
        match verb {
            Verb::Insert => self.width() > 0,
            Verb::Update => 0 < self.keys && self.keys < self.width(),
            Verb::Delete => 0 < self.keys && self.keys == self.width(),
        }
    }
}

/// What is done with many rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// They are new.
    Insert,
    /// They are found by the key, and the other columns are set.
    Update,
    /// They are found by the key, which is all columns, and go.
    Delete,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_for_one_row_and_for_many() {
        let upsert = Bulk::new("t")
            .int("a")
            .text("b")
            .then("ON CONFLICT DO NOTHING");
        insta::assert_snapshot!(upsert.one(Verb::Insert), @"INSERT INTO t (a, b) VALUES ($1, $2) ON CONFLICT DO NOTHING");
        insta::assert_snapshot!(upsert.many(Verb::Insert), @"INSERT INTO t (a, b) SELECT * FROM unnest($1::bigint[], $2::text[]) ON CONFLICT DO NOTHING");
        let update = Bulk::new("t").int("a").key().bytes("b").real("c");
        insta::assert_snapshot!(update.one(Verb::Update), @"UPDATE t SET b = $2, c = $3 WHERE t.a = $1");
        insta::assert_snapshot!(update.many(Verb::Update), @"UPDATE t SET b = given.b, c = given.c FROM unnest($1::bigint[], $2::bytea[], $3::double precision[]) AS given (a, b, c) WHERE t.a = given.a");
        let delete = Bulk::new("t").int("a").text("b").key();
        insta::assert_snapshot!(delete.one(Verb::Delete), @"DELETE FROM t WHERE t.a = $1 AND t.b = $2");
        insta::assert_snapshot!(delete.many(Verb::Delete), @"DELETE FROM t USING unnest($1::bigint[], $2::text[]) AS given (a, b) WHERE t.a = given.a AND t.b = given.b");
    }

    #[test]
    fn a_shape_without_a_key_finds_no_rows() {
        assert!(!Bulk::new("t").int("a").suits(Verb::Update));
        assert!(!Bulk::new("t").int("a").suits(Verb::Delete));
        assert!(!Bulk::new("t").int("a").key().suits(Verb::Update));
        assert!(!Bulk::new("t").int("a").key().int("b").suits(Verb::Delete));
    }
}
