//! What was acknowledged is there after `kill -9`, and nothing is there by half.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use snowguard_db::{Bulk, Database, Value, fsck};
use snowguard_testkit::database::Scratch;

/// Names the database to the child.
const DATABASE: &str = "SNOWGUARD_TEST_DATABASE";

/// Attributes that each package has: rows of two tables that belong together.
const ATTRIBUTES: i64 = 40;

/// Writes one package after the other, and says of each that it is written. Does not end by itself.
#[test]
#[ignore = "started by the other tests of this file, which kill it"]
fn child() {
    let db = Database::open(&std::env::var(DATABASE).unwrap()).unwrap();
    let attributes = Bulk::new("attribute").text("path").int("package");
    let mut out = std::io::stdout().lock();
    loop {
        let id: i64 = db
            .write(|session| {
                let sql = "INSERT INTO package (key, name) \
                           SELECT CAST(count(*) AS TEXT), 'x' FROM package RETURNING id";
                let id: i64 = session.query(sql, &[])?.first().unwrap().get(0)?;
                let rows: Vec<Vec<Value<'_>>> = (0..ATTRIBUTES)
                    .map(|n| vec![format!("{id}.{n}").into(), id.into()])
                    .collect();
                session.insert_many(&attributes, &rows)?;
                Ok(id)
            })
            .unwrap();
        writeln!(out, "written {id}").unwrap();
        out.flush().unwrap();
    }
}

fn survives(scratch: &Scratch) {
    let mut acknowledged = Vec::new();
    drop(Database::open(scratch.name()).unwrap());
    for round in 0..12 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "durability::child", "--ignored", "--nocapture"])
            .env(DATABASE, scratch.name())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut written = lines
            .map_while(Result::ok)
            .filter_map(|line| line.split("written ").nth(1)?.parse::<i64>().ok());
        // Somewhere in the next one, or the one after.
        acknowledged.extend(written.by_ref().take(1 + round));
        child.kill().unwrap();
        child.wait().unwrap();
        // What it still said before it was killed counts, too.
        acknowledged.extend(written);

        let db = Database::open(scratch.name()).unwrap();
        db.read(|session| {
            assert_eq!(fsck::run(session)?, []);
            let there = session
                .query("SELECT id FROM package ORDER BY id", &[])?
                .map(|row| row.get::<i64>(0))?;
            for id in &acknowledged {
                assert!(there.contains(id), "{id} was acknowledged and is gone");
            }
            let halves = session.query(
                "SELECT package.id FROM package LEFT JOIN attribute ON attribute.package = package.id \
                 GROUP BY package.id HAVING count(attribute.id) <> $1",
                &[ATTRIBUTES.into()],
            )?;
            assert!(halves.is_empty(), "{halves:?}");
            Ok(())
        })
        .unwrap();
    }
    assert!(acknowledged.len() >= 12);
}

#[test]
fn sqlite_keeps_what_it_acknowledged() {
    survives(&Scratch::sqlite().unwrap());
}

#[test]
fn postgres_keeps_what_it_acknowledged() {
    survives(&Scratch::postgres().unwrap());
}
