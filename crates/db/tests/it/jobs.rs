//! The queue: each job once, whoever works, and whoever stops working.

use std::collections::BTreeMap;
use std::sync::Mutex;

use jiff::{SignedDuration, Timestamp};
use snowguard_db::jobs::{Failed, JobState, Jobs, Leased, NewJob};
use snowguard_db::meta::Meta;
use snowguard_db::{Database, DbError};
use snowguard_testkit::on_both_engines;

const LEASE: SignedDuration = SignedDuration::from_secs(60);

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn enqueue(db: &Database, job: NewJob<'_>) -> i64 {
    db.write(|session| session.enqueue(&job, at(0))).unwrap()
}

fn lease(db: &Database, worker: &str, now: Timestamp) -> Option<Leased> {
    db.write(|session| session.lease_job(worker, &["match", "publish"], now, LEASE))
        .unwrap()
}

fn state(db: &Database, id: i64) -> JobState {
    db.read(|session| session.job(id)).unwrap().unwrap().state
}

on_both_engines! {
    fn a_job_is_queued_once_and_the_highest_comes_first(db) {
        let low = enqueue(db, NewJob::new("match", "all", at(0)));
        let high = enqueue(db, NewJob { priority: 5, payload: b"x", ..NewJob::new("match", "openssl", at(0)) });
        let later = enqueue(db, NewJob { priority: 9, ..NewJob::new("match", "later", at(50)) });
        assert_ne!(low, high);
        let again = enqueue(db, NewJob { priority: 7, payload: b"y", ..NewJob::new("match", "openssl", at(0)) });
        assert_eq!(again, high);
        enqueue(db, NewJob::new("other", "all", at(0)));
        let first = lease(db, "a", at(1)).unwrap();
        assert_eq!((first.lease.id(), first.payload.as_slice(), first.attempt), (high, &b"y"[..], 1));
        assert_eq!(lease(db, "b", at(1)).unwrap().lease.id(), low);
        assert_eq!(lease(db, "c", at(1)), None);
        assert_eq!(lease(db, "c", at(50)).map(|job| job.lease.id()), Some(later));
        db.write(|session| session.finish_job(&first.lease, at(2))).unwrap();
        assert_eq!(state(db, high), JobState::Done);
        let fresh = enqueue(db, NewJob::new("match", "openssl", at(3)));
        assert_ne!(fresh, high);
    }

    fn of_several_that_schedule_a_job_one_does(db) {
        let new = NewJob::new("match", "all", at(100));
        let schedule = |last| db.write(|session| session.schedule_job(&new, last, at(0))).unwrap();
        assert!(schedule(None));
        assert!(!schedule(None));
        let found = db.read(|session| session.last_job("match", "all")).unwrap().unwrap();
        assert!(db.write(|session| session.hasten_job(found.id, at(50))).unwrap());
        assert!(!db.write(|session| session.hasten_job(found.id, at(60))).unwrap());
        let is_due = |second| db.read(|session| session.is_job_due(&["match"], at(second))).unwrap();
        assert_eq!([49, 50].map(is_due), [false, true]);
        let leased = lease(db, "a", at(50)).unwrap();
        assert_eq!([51, 110].map(is_due), [false, true]);
        assert!(!db.write(|session| session.hasten_job(found.id, at(1))).unwrap());
        db.write(|session| session.finish_job(&leased.lease, at(51))).unwrap();
        // Whoever looked before it was done does not have it done again.
        assert!(!schedule(None));
        assert!(schedule(Some(found.id)));
        assert_eq!(db.read(|session| session.jobs_done()).unwrap(), [("match".to_owned(), at(51))]);
    }

    fn what_is_asked_for_while_it_is_done_is_done_again(db) {
        let id = enqueue(db, NewJob::new("match", "all", at(0)));
        let first = lease(db, "a", at(1)).unwrap();
        assert_eq!(enqueue(db, NewJob { payload: b"more", ..NewJob::new("match", "all", at(2)) }), id);
        assert_eq!(lease(db, "b", at(2)), None);
        assert!(db.write(|session| session.finish_job(&first.lease, at(3))).unwrap());
        let second = lease(db, "b", at(3)).unwrap();
        assert_eq!((second.lease.id(), second.payload.as_slice()), (id, &b"more"[..]));
        assert!(db.write(|session| session.finish_job(&second.lease, at(4))).unwrap());
        assert_eq!(lease(db, "b", at(5)), None);
    }

    fn who_lost_a_lease_changes_nothing(db) {
        let id = enqueue(db, NewJob::new("match", "all", at(0)));
        let slow = lease(db, "slow", at(0)).unwrap().lease;
        assert!(db.write(|session| session.extend_lease(&slow, Some("half"), at(90))).unwrap());
        assert_eq!(lease(db, "fast", at(89)), None);
        let taken = lease(db, "fast", at(91)).unwrap();
        assert_eq!((taken.attempt, taken.progress.as_deref()), (2, Some("half")));
        assert!(!db.write(|session| session.extend_lease(&slow, None, at(200))).unwrap());
        let both: Result<(), DbError> = db.write(|session| {
            session.set_meta("work", "of the slow one")?;
            if session.finish_job(&slow, at(92))? {
                return Ok(());
            }
            Err(DbError::Content { what: "a lease".to_owned(), reason: "lost".to_owned() })
        });
        assert!(both.is_err());
        assert_eq!(db.read(|session| session.meta("work")).unwrap(), None);
        assert_eq!(db.write(|session| session.fail_job(&slow, "x", at(0), at(92))).unwrap(), Failed::Lost);
        assert!(!db.write(|session| session.release_job(&slow, at(92))).unwrap());
        assert!(!db.write(|session| session.postpone_job(&slow, "x", at(92), at(92))).unwrap());
        assert_eq!(state(db, id), JobState::Running);
        assert!(db.write(|session| session.finish_job(&taken.lease, at(93))).unwrap());
        assert_eq!(state(db, id), JobState::Done);
    }

    fn what_fails_is_tried_again_and_then_given_up(db) {
        let id = enqueue(db, NewJob { tries: 2, ..NewJob::new("publish", "osv", at(0)) });
        let first = lease(db, "a", at(0)).unwrap().lease;
        assert_eq!(db.write(|session| session.fail_job(&first, "no network", at(30), at(1))).unwrap(), Failed::Again);
        assert_eq!(lease(db, "a", at(29)), None);
        let second = lease(db, "a", at(30)).unwrap().lease;
        assert_eq!(db.write(|session| session.fail_job(&second, "still none", at(90), at(31))).unwrap(), Failed::GivenUp);
        let row = db.read(|session| session.job(id)).unwrap().unwrap();
        assert_eq!((row.state, row.attempts, row.error.as_deref(), row.finished), (JobState::Failed, 2, Some("still none"), Some(at(31))));
        assert_eq!(lease(db, "a", at(1000)), None);
        // Once more, and the worker crashes every time.
        let id = enqueue(db, NewJob { tries: 2, ..NewJob::new("publish", "osv", at(0)) });
        assert!(lease(db, "a", at(0)).is_some());
        assert!(lease(db, "a", at(60)).is_some());
        assert_eq!(lease(db, "a", at(120)), None);
        let row = db.read(|session| session.job(id)).unwrap().unwrap();
        assert_eq!((row.state, row.error.as_deref()), (JobState::Failed, Some("the worker ended without a word")));
        let counts = db.read(|session| session.job_counts()).unwrap();
        assert_eq!(counts.len(), 1);
        assert_eq!((counts[0].kind.as_str(), counts[0].state, counts[0].count), ("publish", JobState::Failed, 2));
        assert_eq!(db.write(|session| session.forget_jobs(at(100))).unwrap(), 1);
        let left = db.read(|session| session.jobs_of("publish", None, 10)).unwrap();
        assert_eq!(left.iter().map(|job| job.id).collect::<Vec<_>>(), [id]);
    }

    fn what_failed_or_waits_is_done_at_once_if_it_was_asked_for_meanwhile(db) {
        let id = enqueue(db, NewJob::new("match", "all", at(0)));
        let row = || db.read(|session| session.job(id)).unwrap().unwrap();
        let first = lease(db, "a", at(0)).unwrap().lease;
        assert!(db.write(|session| session.postpone_job(&first, "too early", at(30), at(1))).unwrap());
        assert_eq!((row().state, row().attempts, row().due, row().error.as_deref()), (JobState::Queued, 0, at(30), Some("too early")));
        let second = lease(db, "a", at(30)).unwrap().lease;
        enqueue(db, NewJob::new("match", "all", at(31)));
        assert!(db.write(|session| session.postpone_job(&second, "too early", at(60), at(32))).unwrap());
        let third = lease(db, "a", at(32)).unwrap().lease;
        enqueue(db, NewJob::new("match", "all", at(33)));
        assert_eq!(db.write(|session| session.fail_job(&third, "x", at(90), at(34))).unwrap(), Failed::Again);
        assert_eq!((row().attempts, row().due), (0, at(34)));
    }

    fn a_worker_that_stops_gives_its_job_back(db) {
        enqueue(db, NewJob { tries: 1, ..NewJob::new("match", "all", at(0)) });
        let first = lease(db, "a", at(0)).unwrap();
        assert!(db.write(|session| session.release_job(&first.lease, at(1))).unwrap());
        let second = lease(db, "b", at(1)).unwrap();
        assert_eq!(second.attempt, 1);
        assert!(!db.write(|session| session.finish_job(&first.lease, at(2))).unwrap());
        assert!(db.write(|session| session.finish_job(&second.lease, at(2))).unwrap());
    }

    fn many_workers_do_each_job_once(db) {
        for n in 0..60 {
            enqueue(db, NewJob::new("match", &n.to_string(), at(0)));
        }
        let done: Mutex<BTreeMap<String, u32>> = Mutex::default();
        std::thread::scope(|scope| {
            for worker in 0..4 {
                let done = &done;
                scope.spawn(move || {
                    let name = format!("worker {worker}");
                    while let Some(job) = lease(db, &name, at(1)) {
                        *done.lock().unwrap().entry(job.key).or_default() += 1;
                        assert!(db.write(|session| session.finish_job(&job.lease, at(2))).unwrap());
                    }
                });
            }
        });
        let done = done.into_inner().unwrap();
        assert_eq!(done.len(), 60);
        assert!(done.values().all(|times| *times == 1), "{done:?}");
    }

    fn no_statement_of_the_queue_reads_all_jobs(db) {
        enqueue(db, NewJob::new("match", "all", at(0)));
        let (watched, observed) = db.observed();
        let job = lease(&watched, "a", at(0)).unwrap();
        watched
            .write(|session| {
                session.enqueue(&NewJob::new("match", "all", at(0)), at(0))?;
                session.extend_lease(&job.lease, Some("x"), at(60))?;
                session.fail_job(&job.lease, "x", at(0), at(0))?;
                session.finish_job(&job.lease, at(0))?;
                session.release_job(&job.lease, at(0))?;
                session.job(1)?;
                session.jobs_of("match", None, 10)?;
                session.job_counts()?;
                session.forget_jobs(at(0))?;
                session.meta("x")
            })
            .unwrap();
        for seen in observed.take() {
            assert_eq!(db.scans(&seen).unwrap(), [], "{}", seen.sql);
        }
    }
}
