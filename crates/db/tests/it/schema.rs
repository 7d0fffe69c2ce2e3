//! The schema is the same on both engines, and no database of others is touched.

use std::os::unix::fs::PermissionsExt as _;

use snowguard_db::{Database, DbError, Dialect};
use snowguard_testkit::database::Scratch;
use snowguard_testkit::on_both_engines;
use snowguard_testkit::postgres::Cluster;

fn texts(db: &Database, sql: &str) -> Vec<String> {
    db.read(|session| session.query(sql, &[])?.map(|row| row.get(0)))
        .unwrap()
}

on_both_engines! {
    fn the_same_tables_are_there(db) {
        let sql = match db.dialect() {
            Dialect::Sqlite => {
                "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'virtual') \
                 AND name NOT LIKE 'sqlite%' AND name NOT LIKE 'search_words_%' ORDER BY name"
            }
            Dialect::Postgres => {
                "SELECT tablename FROM pg_tables WHERE schemaname = current_schema() ORDER BY tablename"
            }
        };
        insta::allow_duplicates! {
            insta::assert_snapshot!(texts(db, sql).join(" "), @"account advisory alias attribute audit channel delivery evaluation event fact finding finding_channel forge_issue head identity issue issue_number job maintainer maintains memory meta package package_channel record record_history record_source search_words session speaks stale subscription suggestion token version");
        }
    }

    fn a_newer_schema_is_refused(db) {
        db.write(|session| session.execute("UPDATE meta SET value = '999' WHERE name = 'schema'", &[])).unwrap();
        let error = match db.path() {
            Some(path) => Database::open(&path.display().to_string()),
            None => {
                let name = texts(db, "SELECT CAST(current_database() AS TEXT)").remove(0);
                Database::open(&Cluster::shared().unwrap().url(&name))
            }
        }
        .unwrap_err();
        assert!(matches!(error, DbError::Newer { found: 999, .. }), "{error:?}");
        assert!(error.hint().unwrap().contains("restore"));
    }
}

#[test]
fn text_of_postgres_is_ordered_by_code_point_everywhere() {
    let scratch = Scratch::postgres().unwrap();
    let db = Database::open(scratch.name()).unwrap();
    let others = texts(
        &db,
        "SELECT table_name || '.' || column_name FROM information_schema.columns \
         WHERE table_schema = current_schema() AND data_type = 'text' AND collation_name IS DISTINCT FROM 'C'",
    );
    assert_eq!(others, Vec::<String>::new());
}

#[test]
fn tables_of_others_are_left_alone() {
    let scratch = Scratch::postgres().unwrap();
    let name = scratch.name().split(['?', '/']).nth(3).unwrap();
    let cluster = Cluster::shared().unwrap();
    cluster.sql(name, "CREATE TABLE theirs (n INT)").unwrap();
    let error = Database::open(scratch.name()).unwrap_err();
    assert!(matches!(error, DbError::Foreign { .. }), "{error:?}");
    assert_eq!(
        cluster
            .sql(
                name,
                "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
            )
            .unwrap(),
        "theirs"
    );

    let scratch = Scratch::sqlite().unwrap();
    let other = rusqlite::Connection::open(scratch.name()).unwrap();
    other.execute_batch("CREATE TABLE theirs (n INT)").unwrap();
    let error = Database::open(scratch.name()).unwrap_err();
    assert!(matches!(error, DbError::Foreign { .. }), "{error:?}");
    let tables: i64 = other
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .unwrap();
    assert_eq!(tables, 1);
}

#[test]
fn nobody_else_reads_a_new_file() {
    let scratch = Scratch::sqlite().unwrap();
    let db = Database::open(scratch.name()).unwrap();
    db.write(|session| session.execute("DELETE FROM job", &[]))
        .unwrap();
    for entry in std::fs::read_dir(scratch.directory().unwrap()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.file_name());
    }
}

#[test]
fn two_processes_make_one_schema() {
    let scratch = Scratch::postgres().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| Database::open(scratch.name()).unwrap());
        }
    });
    let scratch = Scratch::sqlite().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| Database::open(scratch.name()).unwrap());
        }
    });
}
