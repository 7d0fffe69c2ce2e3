//! What a person reads when a database cannot be used.

use std::error::Error as _;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use snowguard_db::{Database, DbError, Settings};
use snowguard_testkit::database::Scratch;
use snowguard_testkit::postgres::Cluster;

/// The error, its source and its hint, with what differs between runs put out of sight.
fn told(error: &DbError, hide: &[&str]) -> String {
    let mut text = format!(
        "{error}\n{}\nhint: {}",
        error.source().map(ToString::to_string).unwrap_or_default(),
        error.hint().unwrap_or_default()
    );
    for hidden in hide {
        text = text.replace(hidden, "…");
    }
    text
}

#[test]
fn a_file_that_is_no_database() {
    let scratch = Scratch::sqlite().unwrap();
    std::fs::write(
        scratch.name(),
        "this is a text file, and a long one, too. ".repeat(100),
    )
    .unwrap();
    let error = Database::open(scratch.name()).unwrap_err();
    insta::assert_snapshot!(told(&error, &[scratch.name()]), @r"
    open …: it is no database, or damaged
    file is not a database
    hint: keep the file, run `snowguardd fsck`, and restore a backup into a new one
    ");
}

#[test]
fn a_directory_that_is_not_there() {
    let scratch = Scratch::sqlite().unwrap();
    let name = format!("{}/missing/t.db", scratch.directory().unwrap().display());
    let error = Database::open(&name).unwrap_err();
    insta::assert_snapshot!(told(&error, &[&name]), @r"
    open …: the file cannot be opened
    unable to open database file: …
    hint: the directory must exist, and the user of this process must be able to write there
    ");
}

#[test]
fn a_server_that_does_not_answer() {
    let scratch = tempfile::tempdir().unwrap();
    let host = scratch.path().display().to_string();
    let error =
        Database::open(&format!("postgres:///guard?host={host}&password=secret")).unwrap_err();
    insta::assert_snapshot!(told(&error, &[&host]), @r"
    connect to database `guard` on …: the server does not answer
    No such file or directory (os error 2)
    hint: look whether the server runs, listens at this address, and is reachable from here (`pg_isready`)
    ");
}

#[test]
fn a_database_that_is_missing() {
    let cluster = Cluster::shared().unwrap();
    let error = Database::open(&cluster.url("missing")).unwrap_err();
    let root = cluster.root().display().to_string();
    let port = cluster.port().to_string();
    insta::assert_snapshot!(told(&error, &[&root, &port]), @r#"
    connect to database `missing` on …:…: the server has no such database
    FATAL: database "missing" does not exist
    hint: make it: createdb --encoding=UTF8 NAME
    "#);
}

#[test]
fn a_database_in_another_encoding() {
    let cluster = Cluster::shared().unwrap();
    cluster
        .sql("postgres", "CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE_PROVIDER libc LOCALE 'C'")
        .unwrap();
    let error = Database::open(&cluster.url("latin")).unwrap_err();
    let root = cluster.root().display().to_string();
    let port = cluster.port().to_string();
    insta::assert_snapshot!(told(&error, &[&root, &port]), @r"
    open database `latin` on …:…: its encoding is LATIN1, and not UTF8

    hint: make another: createdb --encoding=UTF8 --template=template0 NAME
    ");
}

#[test]
fn a_file_that_another_process_writes() {
    let scratch = Scratch::sqlite().unwrap();
    let settings = Settings::default().patience(Duration::from_millis(50));
    let db = Database::open_with(&scratch.name().parse().unwrap(), settings).unwrap();
    let other = rusqlite::Connection::open(scratch.name()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    // Reading goes on.
    db.read(|session| session.query("SELECT 1 FROM meta", &[]))
        .unwrap();
    let error = db
        .write(|session| session.execute("DELETE FROM job", &[]))
        .unwrap_err();
    insta::assert_snapshot!(told(&error, &[scratch.name()]), @r"
    begin on …: the database is locked
    database is locked
    hint: another process uses it for long: run one `snowguardd serve` on one SQLite file, or use PostgreSQL
    ");
    other.execute_batch("ROLLBACK").unwrap();
    db.write(|session| session.execute("DELETE FROM job", &[]))
        .unwrap();
}

#[test]
fn a_volume_that_is_full() {
    let scratch = Scratch::sqlite().unwrap();
    let db = Database::open(scratch.name()).unwrap();
    // What SQLite says where a file may not grow is what it says where a volume is full.
    db.write(|session| session.batch("PRAGMA max_page_count = 1"))
        .unwrap();
    let error = db
        .write(|session| {
            let large = vec![7_u8; 1 << 20];
            let sql = "INSERT INTO fact (digest, body) VALUES ($1, $1)";
            session.execute(sql, &[(&large).into()])
        })
        .unwrap_err();
    insta::assert_snapshot!(told(&error, &[scratch.name()]), @r"
    run `INSERT INTO fact (digest, body) VALUES ($1, $1)`: no space is left
    database or disk is full
    hint: free space on the volume of the database; nothing that was acknowledged is lost
    ");
    let rows = db
        .read(|session| session.query("SELECT 1 FROM fact", &[]))
        .unwrap();
    assert!(rows.is_empty());
}

#[test]
fn a_file_that_may_not_be_written_is_told_from_one_that_is_locked() {
    let scratch = Scratch::sqlite().unwrap();
    drop(Database::open(scratch.name()).unwrap());
    std::fs::set_permissions(scratch.name(), std::fs::Permissions::from_mode(0o444)).unwrap();
    // Root writes whatever the mode is.
    match Database::open(scratch.name()) {
        Ok(db) => drop(db),
        Err(error) => assert!(error.hint().unwrap().contains("write"), "{error:?}"),
    }
}
