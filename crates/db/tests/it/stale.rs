//! Packages that are to be matched anew.

use jiff::Timestamp;
use snowguard_db::Database;
use snowguard_db::evaluations::Evaluations as _;
use snowguard_db::findings::{
    Stale, mark_all_stale, mark_channel_stale, mark_expired_stale, mark_stale, stale, stale_of,
    unmark_stale,
};
use snowguard_testkit::on_both_engines;

const FILL: &str = "
    INSERT INTO channel (id, name, position, followed) VALUES (1, 'unstable', 0, 1);
    INSERT INTO evaluation (id, channel, revision, evaluated_at, ingested_at, packages, failed, added, removed, changed, rebuilt)
        VALUES (7, 1, 'abc', 0, 0, 1, 0, 0, 0, 0, 0);
    INSERT INTO package (id, key, name) VALUES (1, 'a', 'a'), (2, 'b', 'b'), (3, 'c', 'c');
    INSERT INTO attribute (id, path, package) VALUES (1, 'b', 2);
    INSERT INTO fact (id, digest, body) VALUES (1, BYTES, BYTES);
    INSERT INTO head (channel, attribute, package, name, version, fact, since) VALUES (1, 1, 2, 'b-1', '1', 1, 7);
    INSERT INTO memory (package_key, product, verdict, expires, reason, created)
        VALUES ('c', 'x:y', 1, '2026-11-20', '', 0), ('a', 'x:y', 1, '2026-11-21', '', 0);
";

fn fill(db: &Database) {
    let bytes = match db.dialect() {
        snowguard_db::Dialect::Sqlite => "x'00'",
        snowguard_db::Dialect::Postgres => "'\\x00'",
    };
    db.write(|session| session.batch(&FILL.replace("BYTES", bytes)))
        .unwrap();
}

fn at(milli: i64) -> Timestamp {
    Timestamp::from_millisecond(milli).unwrap()
}

fn marked(db: &Database) -> Vec<(i64, i64)> {
    let rows = db.read(|session| stale(session, 99)).unwrap();
    rows.iter().map(|row| (row.package, row.at)).collect()
}

on_both_engines! {
    fn what_changes_while_it_is_matched_stays(db) {
        fill(db);
        db.write(|session| mark_stale(session, &[1, 2, 99], at(5))).unwrap();
        assert_eq!(marked(db), [(1, 5), (2, 5)]);
        let read = db.read(|session| stale_of(session, &[1, 2, 3])).unwrap();
        // At the same moment, and by a clock that is behind.
        db.write(|session| mark_stale(session, &[1], at(5))).unwrap();
        db.write(|session| mark_stale(session, &[1], at(2))).unwrap();
        db.write(|session| unmark_stale(session, &read)).unwrap();
        assert_eq!(marked(db), [(1, 7)]);
        db.write(|session| unmark_stale(session, &[Stale { package: 1, at: 7 }])).unwrap();
        assert!(marked(db).is_empty());
    }

    fn how_many_are_built_with_it_counts_by_its_order_of_magnitude(db) {
        fill(db);
        let note = |counts: &[(&str, u32)]| {
            let counts: Vec<(Box<str>, u32)> = counts.iter().map(|(key, count)| ((*key).into(), *count)).collect();
            db.write(|session| session.note_dependents(&counts, at(9))).unwrap();
        };
        let known = || -> Vec<i64> {
            db.read(|session| {
                session.query("SELECT dependents FROM package ORDER BY id", &[])?.map(|row| row.get(0))
            })
            .unwrap()
        };
        note(&[("a", 5), ("c", 100), ("unknown", 3)]);
        assert_eq!((known(), marked(db)), (vec![5, 0, 100], vec![(1, 9), (3, 9)]));
        let read = db.read(|session| stale(session, 9)).unwrap();
        db.write(|session| unmark_stale(session, &read)).unwrap();
        note(&[("a", 7), ("c", 200)]);
        assert_eq!((known(), marked(db)), (vec![7, 0, 200], vec![(3, 9)]));
    }

    fn by_channel_by_rules_and_all(db) {
        fill(db);
        db.write(|session| mark_channel_stale(session, 1, at(1))).unwrap();
        assert_eq!(marked(db), [(2, 1)]);
        let (from, before) = (jiff::civil::date(2026, 11, 19), jiff::civil::date(2026, 11, 21));
        db.write(|session| mark_expired_stale(session, from, before, at(2))).unwrap();
        assert_eq!(marked(db), [(2, 1), (3, 2)]);
        db.write(|session| mark_all_stale(session, at(3))).unwrap();
        assert_eq!(marked(db), [(1, 3), (2, 3), (3, 3)]);
    }
}
