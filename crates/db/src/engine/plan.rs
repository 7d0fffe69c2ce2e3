//! Whether a statement reads a whole table: asked of the engine's own planner.

use serde_json::Value as Json;

use super::{Database, DbError, Dialect, Seen, Value};

/// A table that a statement reads from one end to the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// Which table, as the planner names it.
    pub table: String,
    /// What the planner says.
    pub detail: String,
}

impl Database {
    /// The tables that a statement would read whole. On PostgreSQL, sequential scans and the joins that go with them
    /// are made dear first: a small table in a test would always be read whole. What is told there has no index to
    /// go by.
    pub fn scans(&self, seen: &Seen) -> Result<Vec<Scan>, DbError> {
        if !seen.explainable {
            return Ok(Vec::new());
        }
        self.read(|session| match session.dialect() {
            Dialect::Sqlite => {
                let sql = format!("EXPLAIN QUERY PLAN {}", seen.sql);
                let rows = session.query(&sql, &seen.parameters)?;
                let details = rows.map(|row| row.get::<String>(3))?;
                Ok(details
                    .iter()
                    .filter_map(|detail| of_sqlite(detail))
                    .collect())
            }
            Dialect::Postgres => {
                session.batch(
                    "SET LOCAL enable_seqscan = off; SET LOCAL enable_mergejoin = off; \
                     SET LOCAL enable_hashjoin = off",
                )?;
                let sql = format!("EXPLAIN (FORMAT JSON) {}", seen.sql);
                // Of an empty list the planner knows that nothing is in it, and plans no more.
                let filled = |value: &Value<'static>| match value {
                    Value::Ints(list) if list.is_empty() => vec![0_i64].into(),
                    Value::Texts(list) if list.is_empty() => vec![String::new()].into(),
                    value => value.clone(),
                };
                let parameters: Vec<_> = seen.parameters.iter().map(filled).collect();
                let rows = session.query(&sql, &parameters)?;
                let text = rows.first().map_or(Ok("[]"), |row| match row.values() {
                    [Value::Text(text)] => Ok(&**text),
                    _ => row.get::<&str>(0),
                })?;
                let plan: Json = serde_json::from_str(text).map_err(|error| DbError::Content {
                    what: "the plan of a statement".to_owned(),
                    reason: error.to_string(),
                })?;
                Ok(of_postgres(&plan))
            }
        })
    }
}

/// `SCAN t`, also by an index; not what is made for the statement or is virtual.
fn of_sqlite(detail: &str) -> Option<Scan> {
    let rest = detail.strip_prefix("SCAN ")?;
    if rest.contains("VIRTUAL TABLE") || rest.starts_with("CONSTANT ROW") || rest.starts_with('(') {
        return None;
    }
    Some(Scan {
        table: rest.split(' ').next().unwrap_or(rest).to_owned(),
        detail: detail.to_owned(),
    })
}

fn of_postgres(plan: &Json) -> Vec<Scan> {
    let mut found = Vec::new();
    let mut open = vec![plan];
    while let Some(node) = open.pop() {
        match node {
            Json::Array(nodes) => open.extend(nodes),
            Json::Object(fields) => {
                for inner in ["Plan", "Plans"] {
                    open.extend(fields.get(inner));
                }
                let text = |name: &str| fields.get(name).and_then(Json::as_str);
                let whole = match text("Node Type") {
                    Some("Seq Scan") => true,
                    Some("Index Scan" | "Index Only Scan" | "Bitmap Index Scan") => {
                        !fields.contains_key("Index Cond") && !fields.contains_key("Order By")
                    }
                    _ => false,
                };
                if whole {
                    let index = text("Index Name").unwrap_or("no index");
                    let table = text("Relation Name").unwrap_or(index);
                    found.push(Scan {
                        table: table.to_owned(),
                        detail: format!(
                            "{} of {table} by {index}",
                            text("Node Type").unwrap_or("Scan")
                        ),
                    });
                }
            }
            _ => {}
        }
    }
    found
}
