//! Rows for every table of whichever schema it is, made out of the schema itself, and what is in a database as text.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use snowguard_db::search::{Document, Search};
use snowguard_db::{Database, DbError, Dialect, Session, Value};

/// Tables with their columns: name, type, whether it may be empty.
pub(crate) type Shape = BTreeMap<String, Vec<(String, String, bool)>>;

/// The tables that hold rows of ours, `meta` and the words apart.
pub(crate) fn shape(session: &mut dyn Session) -> Result<Shape, DbError> {
    let sql = match session.dialect() {
        Dialect::Sqlite => {
            "SELECT t.name, c.name, c.type, c.\"notnull\" = 0 AND c.pk = 0 \
             FROM pragma_table_list AS t, pragma_table_info(t.name) AS c \
             WHERE t.schema = 'main' AND t.type = 'table' AND t.name NOT LIKE 'sqlite%' ORDER BY t.name, c.cid"
        }
        Dialect::Postgres => {
            "SELECT CAST(c.table_name AS TEXT), CAST(c.column_name AS TEXT), CAST(c.data_type AS TEXT), c.is_nullable = 'YES' \
             FROM information_schema.columns AS c WHERE c.table_schema = current_schema() \
             ORDER BY c.table_name, c.ordinal_position"
        }
    };
    let mut shape = Shape::new();
    session.for_each(sql, &[], &mut |row| {
        let table: String = row.get(0)?;
        let kind = match row.get::<&str>(2)? {
            "INTEGER" | "bigint" => "int",
            "TEXT" | "text" => "text",
            "REAL" | "double precision" => "real",
            "BLOB" | "bytea" => "bytes",
            other => other,
        };
        let column = (row.get(1)?, kind.to_owned(), row.get(3)?);
        shape.entry(table).or_default().push(column);
        Ok(())
    })?;
    shape.remove("meta");
    shape.remove("search_words");
    Ok(shape)
}

/// Two rows in every table, numbered 0 and 1, which refer to rows of their own number; but the second advisory turned
/// out to be the first, which has its names and its issues. The first row is empty where it may be.
pub(crate) fn fill(db: &Database) {
    db.write(|session| {
        match session.dialect() {
            Dialect::Sqlite => session.batch("PRAGMA defer_foreign_keys = ON")?,
            // The tests' user is the superuser.
            Dialect::Postgres => session.batch("SET LOCAL session_replication_role = replica")?,
        }
        for (table, columns) in shape(session)? {
            for number in [0_i64, 1] {
                let values: Vec<Value<'_>> = columns
                    .iter()
                    .map(|(name, kind, optional)| {
                        // What is finished is not at work, and what has not ended is in the head. Made-up bytes are
                        // no delta.
                        let is_open = matches!(
                            (table.as_str(), name.as_str()),
                            ("job", "finished")
                                | ("version", "last")
                                | ("evaluation", "parent" | "delta")
                        );
                        if *optional && (number == 0 || is_open) {
                            return Value::Null;
                        }
                        match kind.as_str() {
                            // Rows of advisories, which have one finding each.
                            "int" if table == "suggestion" && name == "kind" => 0.into(),
                            "int"
                                if matches!(
                                    (table.as_str(), name.as_str()),
                                    ("advisory", "merged_into") | ("alias" | "issue", "advisory")
                                ) =>
                            {
                                0.into()
                            }
                            "int" => number.into(),
                            "real" => (0.25 + f64::from(number != 0)).into(),
                            "text" => format!("{name} {number} – ü'\"").into(),
                            _ => vec![u8::from(number != 0), 0, 255].into(),
                        }
                    })
                    .collect();
                let names: Vec<String> = columns
                    .iter()
                    .map(|(name, ..)| format!("\"{name}\""))
                    .collect();
                let places: Vec<String> = (1..=columns.len())
                    .map(|place| format!("${place}"))
                    .collect();
                session.execute(
                    &format!(
                        "INSERT INTO \"{table}\" ({}) VALUES ({})",
                        names.join(", "),
                        places.join(", ")
                    ),
                    &values,
                )?;
            }
        }
        session.set_words(&[
            (Document::Advisory(1), vec!["heap overflow, écrit"]),
            (Document::Package(0), vec!["compression"]),
        ])
    })
    .unwrap();
}

/// All rows of these columns, in an order that does not depend on the engine.
pub(crate) fn rows(db: &Database, shape: &Shape) -> String {
    let mut text = String::new();
    db.read(|session| {
        for (table, columns) in shape {
            let names: Vec<String> = columns
                .iter()
                .map(|(name, ..)| format!("\"{name}\""))
                .collect();
            let found = session.query(
                &format!("SELECT {} FROM \"{table}\"", names.join(", ")),
                &[],
            )?;
            let mut lines: Vec<String> = found
                .iter()
                .map(|row| format!("{table} {:?}\n", row.values()))
                .collect();
            lines.sort_unstable();
            text.extend(lines);
        }
        for query in ["overflow", "écrit", "compression"] {
            let hits = session.search(query, &snowguard_db::search::Found::ALL, None, 9)?;
            let _ = writeln!(
                text,
                "{query} {:?}",
                hits.iter().map(|hit| hit.id).collect::<Vec<_>>()
            );
        }
        Ok(())
    })
    .unwrap();
    text
}
