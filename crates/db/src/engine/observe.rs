//! Records what is asked of a database, so that tests can count statements and look at their plans.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::bulk::{Bulk, Verb};
use super::session::Session;
use super::value::{Row, Value};
use super::{Database, DbError, Dialect};

/// A statement that was run.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// As it was written, before the engine's own words were put in.
    pub sql: String,
    /// What it was run with; nothing for statements with many rows.
    pub parameters: Vec<Value<'static>>,
    /// How many rows it gave, changed or was given.
    pub rows: u64,
    /// Whether it is one statement with parameters, whose plan can be asked for.
    pub(super) explainable: bool,
}

/// What was asked of a database through one handle and its clones.
#[derive(Debug, Clone)]
pub struct Observed {
    log: Arc<Log>,
}

#[derive(Debug, Default)]
pub(super) struct Log {
    seen: Mutex<Vec<Seen>>,
}

impl Database {
    /// A handle whose statements are recorded. For tests: the record only grows.
    pub fn observed(&self) -> (Self, Observed) {
        let log = Arc::new(Log::default());
        let database = Self {
            engine: Arc::clone(&self.engine),
            log: Some(Arc::clone(&log)),
        };
        (database, Observed { log })
    }
}

impl Observed {
    /// All statements since the last call, in order.
    pub fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut self.log.seen())
    }

    /// How many statements there were since the last `take`.
    pub fn count(&self) -> usize {
        self.log.seen().len()
    }
}

impl Log {
    fn seen(&self) -> MutexGuard<'_, Vec<Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) const fn session<'a>(&'a self, inner: &'a mut dyn Session) -> Observing<'a> {
        Observing { log: self, inner }
    }

    fn add(&self, sql: &str, parameters: Option<&[Value<'_>]>, rows: u64) {
        let owned = |values: &[Value<'_>]| -> Vec<Value<'static>> {
            values
                .iter()
                .map(|value| value.clone().into_owned())
                .collect()
        };
        self.seen().push(Seen {
            sql: sql.to_owned(),
            explainable: parameters.is_some(),
            parameters: parameters.map(owned).unwrap_or_default(),
            rows,
        });
    }
}

pub(super) struct Observing<'a> {
    log: &'a Log,
    inner: &'a mut dyn Session,
}

impl Session for Observing<'_> {
    fn dialect(&self) -> Dialect {
        self.inner.dialect()
    }

    fn for_each(
        &mut self,
        sql: &str,
        parameters: &[Value<'_>],
        each: &mut dyn FnMut(Row<'_>) -> Result<(), DbError>,
    ) -> Result<(), DbError> {
        let mut rows = 0;
        let outcome = self.inner.for_each(sql, parameters, &mut |row| {
            rows += 1;
            each(row)
        });
        self.log.add(sql, Some(parameters), rows);
        outcome
    }

    fn execute(&mut self, sql: &str, parameters: &[Value<'_>]) -> Result<u64, DbError> {
        let outcome = self.inner.execute(sql, parameters);
        self.log
            .add(sql, Some(parameters), *outcome.as_ref().unwrap_or(&0));
        outcome
    }

    fn batch(&mut self, sql: &str) -> Result<(), DbError> {
        self.log.add(sql, None, 0);
        self.inner.batch(sql)
    }

    fn many(&mut self, verb: Verb, bulk: &Bulk, rows: &[Vec<Value<'_>>]) -> Result<u64, DbError> {
        self.log.add(&bulk.one(verb), None, rows.len() as u64);
        self.inner.many(verb, bulk, rows)
    }
}
