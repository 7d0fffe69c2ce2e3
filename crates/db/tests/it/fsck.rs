//! The checks find what they are for, on both engines.

use snowguard_db::Database;
use snowguard_db::fsck;
use snowguard_testkit::on_both_engines;

use crate::filled;

fn problems(db: &Database) -> Vec<&'static str> {
    db.read(|session| fsck::run(session))
        .unwrap()
        .into_iter()
        .map(|problem| problem.check)
        .collect()
}

on_both_engines! {
    fn a_sound_database_has_no_problem(db) {
        assert_eq!(problems(db), Vec::<&str>::new());
        filled::fill(db);
        assert_eq!(problems(db), Vec::<&str>::new());
    }

    fn each_check_finds_what_it_is_for(db) {
        filled::fill(db);
        let damages: &[(&str, &[&str])] = &[
            ("heads-refer", &["UPDATE head SET fact = 99 WHERE channel = 1"]),
            ("heads-have-their-version", &["UPDATE head SET version = 'other' WHERE channel = 1"]),
            ("evaluations-follow-each-other", &["UPDATE evaluation SET parent = id WHERE id = 1"]),
            ("versions-refer", &["INSERT INTO version (channel, attribute, package, version, first, last) VALUES (1, 1, 1, '1', 0, 1)"]),
            ("channels-have-their-head", &["UPDATE channel SET head = 99 WHERE id = 1"]),
            ("packages-are-maintained-by-somebody", &["UPDATE maintains SET package = 99 WHERE package = 1"]),
            ("advisories-have-their-name", &["DELETE FROM alias WHERE name LIKE 'name 0%'"]),
            ("merged-advisories-lead-on", &["UPDATE alias SET advisory = 1 WHERE name LIKE 'name 1%'"]),
            ("merged-advisories-lead-on", &["UPDATE advisory SET merged_into = id WHERE id = 1"]),
            ("issues-are-of-advisories-that-stand", &["UPDATE issue SET advisory = 1 WHERE advisory = 0 AND withdrawn IS NOT NULL"]),
            ("findings-are-in-channels", &["UPDATE finding_channel SET channel = 99 WHERE channel = 1"]),
            ("open-findings-are-in-the-queue", &["DELETE FROM suggestion WHERE subject = 1"]),
            ("the-queue-has-findings", &["UPDATE finding SET bucket = 9 WHERE id = 1"]),
            ("duplicates-have-an-original", &["UPDATE finding SET state = 4, duplicate_of = NULL WHERE id = 1"]),
            ("decisions-are-in-the-log", &["UPDATE finding SET state = 2 WHERE id = 0"]),
            ("events-refer", &["UPDATE event SET package = 99 WHERE id = 1"]),
            ("jobs-that-run-are-leased", &["UPDATE job SET worker = NULL WHERE state = 1"]),
        ];
        for (check, statements) in damages {
            let undone: Result<(), snowguard_db::DbError> = db.write(|session| {
                for sql in *statements {
                    assert_eq!(session.execute(sql, &[])?, 1, "{sql}");
                }
                let found = fsck::run(session)?;
                assert_eq!(found.len(), 1, "{check}: {found:?}");
                assert_eq!((found[0].check, found[0].count), (*check, 1));
                assert_ne!(found[0].remedy, "");
                Err(snowguard_db::DbError::Location { reason: "undo".to_owned() })
            });
            assert!(undone.is_err());
        }
        for check in fsck::CHECKS {
            assert!(damages.iter().any(|(name, _)| *name == check.name), "{} is not tried", check.name);
        }
    }

    fn the_queue_is_computed_anew(db) {
        filled::fill(db);
        db.write(|session| session.execute("UPDATE finding SET bucket = 9 WHERE id = 0", &[])).unwrap();
        db.write(|session| session.execute("DELETE FROM suggestion WHERE subject = 1", &[])).unwrap();
        assert_eq!(problems(db), ["open-findings-are-in-the-queue", "the-queue-has-findings"]);
        db.write(|session| fsck::recompute(session)).unwrap();
        assert_eq!(problems(db), Vec::<&str>::new());
    }
}
