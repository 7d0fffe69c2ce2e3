//! A backup is one state, whole, and restores into either engine.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use snowguard_db::backup::{checked, restore};
use snowguard_db::meta::Meta;
use snowguard_db::{Database, DbError};
use snowguard_testkit::database::Scratch;
use snowguard_testkit::on_both_engines;

use crate::filled;

fn place() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("backup.db");
    (directory, path)
}

on_both_engines! {
    fn a_backup_restores_into_either_engine(db) {
        filled::fill(db);
        db.write(|session| session.set_meta("mark", "here")).unwrap();
        let shape = db.read(|session| filled::shape(session)).unwrap();
        let rows = filled::rows(db, &shape);
        let (directory, path) = place();
        let done = db.backup(&path).unwrap();
        assert!(done.bytes > 0);
        // One file, and nothing beside it; what it holds of people is for the operator.
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
        let bytes = std::fs::read(&path).unwrap();

        for scratch in [Scratch::sqlite().unwrap(), Scratch::postgres().unwrap()] {
            assert_eq!(restore(&path, &scratch.name().parse().unwrap()).unwrap(), done);
            let restored = Database::open(scratch.name()).unwrap();
            assert_eq!(filled::rows(&restored, &shape), rows);
            assert_eq!(restored.read(|session| session.meta("mark")).unwrap().as_deref(), Some("here"));
            // New rows get new numbers, and references are kept as before.
            let next: i64 = restored
                .write(|session| {
                    let sql = "INSERT INTO package (key, name) VALUES ('new', 'new') RETURNING id";
                    session.query(sql, &[])?.first().unwrap().get(0)
                })
                .unwrap();
            assert_eq!(next, 2);
            let dangling = restored.write(|session| {
                session.execute("INSERT INTO alias (name, advisory) VALUES ('x', 77)", &[])
            });
            assert!(dangling.is_err());
            // What is there is not written over.
            let twice = restore(&path, &scratch.name().parse().unwrap());
            assert!(matches!(twice, Err(DbError::Exists { .. } | DbError::Occupied { .. })), "{twice:?}");
        }
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "a restored backup is as it was");
    }

    fn a_backup_is_one_state_while_others_write(db) {
        db.write(|session| {
            session.set_meta("left", "0")?;
            session.set_meta("right", "0")
        })
        .unwrap();
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut n = 0;
                while !stop.load(Ordering::Relaxed) && n < 5000 {
                    n += 1;
                    db.write(|session| {
                        session.set_meta("left", &n.to_string())?;
                        session.set_meta("right", &n.to_string())
                    })
                    .unwrap();
                }
            });
            for _ in 0..3 {
                let (_directory, path) = place();
                assert_eq!(db.backup(&path).unwrap().problems, []);
                let copy = Database::open(path.to_str().unwrap()).unwrap();
                let (left, right) = copy
                    .read(|session| Ok((session.meta("left")?, session.meta("right")?)))
                    .unwrap();
                assert_eq!(left, right);
            }
            stop.store(true, Ordering::Relaxed);
        });
    }

    fn nothing_is_written_over_and_no_half_is_left(db) {
        let (directory, path) = place();
        std::fs::write(&path, "something else").unwrap();
        let refused = db.backup(&path);
        assert!(matches!(refused, Err(DbError::Exists { .. })), "{refused:?}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "something else");
        let nowhere = db.backup(&directory.path().join("missing/backup.db"));
        assert!(nowhere.unwrap_err().hint().is_some());
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}

#[test]
fn what_is_no_backup_is_not_restored() {
    let (directory, path) = place();
    let target = directory.path().join("target.db");
    let into = target.to_str().unwrap().parse().unwrap();
    std::fs::write(
        &path,
        "not a database, but long enough to be looked at".repeat(50),
    )
    .unwrap();
    assert!(restore(&path, &into).is_err());
    std::fs::remove_file(&path).unwrap();
    assert!(restore(&path, &into).is_err());
    rusqlite::Connection::open(&path)
        .unwrap()
        .execute_batch("CREATE TABLE theirs (n INT)")
        .unwrap();
    let error = restore(&path, &into).unwrap_err();
    assert!(matches!(error, DbError::Foreign { .. }), "{error:?}");
    assert!(!target.exists());
}

#[test]
fn a_damaged_backup_is_told() {
    let scratch = Scratch::sqlite().unwrap();
    let db = Database::open(scratch.name()).unwrap();
    filled::fill(&db);
    let (_directory, path) = place();
    let done = db.backup(&path).unwrap();
    assert_eq!(done.problems, []);
    assert!(checked(&path).is_ok());
    let whole = std::fs::read(&path).unwrap();
    let mut found = 0;
    // A page in the middle, and a file that was cut off.
    for damage in [0, 1] {
        let mut bytes = whole.clone();
        if damage == 0 {
            let middle = bytes.len() / 2 / 4096 * 4096;
            bytes[middle..middle + 4096].fill(0x5a);
        } else {
            bytes.truncate(bytes.len() * 2 / 3);
        }
        std::fs::write(&path, bytes).unwrap();
        found += usize::from(checked(&path).is_err());
    }
    assert_eq!(found, 2);
}

#[test]
fn rows_that_contradict_each_other_are_told_and_kept() {
    let scratch = Scratch::sqlite().unwrap();
    let db = Database::open(scratch.name()).unwrap();
    filled::fill(&db);
    db.write(|session| session.execute("DELETE FROM alias WHERE advisory = 0", &[]))
        .unwrap();
    let (_directory, path) = place();
    let done = db.backup(&path).unwrap();
    assert_eq!(done.problems.len(), 1);
    insta::assert_snapshot!(done.problems[0], @r#"advisories-have-their-name: an advisory is found by its own name, which does not hold of 1: name 0 – ü'""#);
    let other = Scratch::postgres().unwrap();
    let restored = restore(&path, &other.name().parse().unwrap()).unwrap();
    assert_eq!(restored, done);
}
