//! The worker: what follows from what, that nothing is done twice, and that nothing is lost.
#![expect(
    clippy::disallowed_methods,
    reason = "tests read and write files, and fail where they cannot go on"
)]

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use camino::{Utf8Path, Utf8PathBuf};
use jiff::{SignedDuration, Timestamp};
use snowguard_advisory::index::SourceKind;
use snowguard_advisory::record::Record;
use snowguard_db::Database;
use snowguard_db::evaluations::Evaluations as _;
use snowguard_db::findings::{mark_all_stale, stale};
use snowguard_db::jobs::{JobState, Jobs as _};
use snowguard_feeds::RecordStore;
use snowguard_http::Settings;
use snowguard_testkit::on_both_engines;
use snowguard_tracker::decide::{follow_channel, remember};
use snowguard_tracker::work::{Advisories, Backup, Keep, Kind, Plan, Worker, ask, metrics};
use snowguard_triage::{MemoryRule, Verdict};

use crate::world::TEAM;

const RECORD: &str = r#"{"id":"CVE-2026-0001","summary":"a title","severities":[{"word":"high"}],"affects":[{"products":["openssl:openssl"],"by":"nvd","default":"unaffected","rules":["<3.1"]}]}"#;
const HOUR: SignedDuration = SignedDuration::from_hours(1);

struct World<'d> {
    db: &'d Database,
    directory: tempfile::TempDir,
    now: Mutex<Timestamp>,
    plan: Plan,
}

impl<'d> World<'d> {
    fn new(db: &'d Database) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(directory.path()).unwrap();
        let plan = Plan {
            spool: root.join("spool"),
            look: Some(HOUR),
            evaluator: None,
            advisories: Some(Advisories {
                file: root.join("feeds/advisories.idx"),
                feeds: None,
                every: HOUR,
            }),
            publish: None,
            tell: None,
            keep: None,
        };
        let now = Mutex::new("2026-11-21T12:00:00Z".parse().unwrap());
        let world = Self {
            db,
            directory,
            now,
            plan,
        };
        let folder = world.path("release");
        std::fs::create_dir(&folder).unwrap();
        world.publish("aaaa", "3.0");
        let source = format!("file://{folder}");
        db.write(|session| session.add_channel("unstable", Some(&source)))
            .unwrap();
        world.records("cve", &[RECORD]);
        world
    }

    fn path(&self, name: &str) -> Utf8PathBuf {
        Utf8Path::from_path(self.directory.path())
            .unwrap()
            .join(name)
    }

    /// What the channel publishes.
    fn publish(&self, revision: &str, version: &str) {
        let set = format!(
            r#"{{"version":2,"packages":{{"openssl":{{"name":"openssl-{version}","pname":"openssl","version":"{version}","system":"x86_64-linux","outputName":"out","outputs":{{"out":null}},"meta":{{"homepage":"https://www.openssl.org/"}}}}}}}}"#
        );
        let revision = revision.repeat(10);
        std::fs::write(self.path("release/packages.json"), set).unwrap();
        std::fs::write(self.path("release/git-revision"), revision).unwrap();
    }

    fn records(&self, source: &str, lines: &[&str]) {
        std::fs::create_dir_all(self.path("feeds")).unwrap();
        let mut store = RecordStore::open(&self.path("feeds/advisories.idx.records")).unwrap();
        let mut change = store.change().unwrap();
        change.replace(source, SourceKind::Facts).unwrap();
        for line in lines {
            let record: Record = serde_json::from_str(line).unwrap();
            change.put(source, SourceKind::Facts, &record).unwrap();
        }
        change.commit().unwrap();
    }

    fn now(&self) -> Timestamp {
        *self.now.lock().unwrap()
    }

    fn later(&self, long: SignedDuration) {
        *self.now.lock().unwrap() += long;
    }

    fn work(&self) -> usize {
        self.work_as("worker")
    }

    fn work_as(&self, name: &str) -> usize {
        let worker = Worker {
            db: self.db,
            name,
            plan: &self.plan,
            network: &Settings::default(),
            clock: &|| self.now(),
        };
        worker.until_idle(&AtomicBool::new(false)).unwrap()
    }

    /// Findings: package, status, whether it is gone.
    fn findings(&self) -> Vec<(String, i64, bool)> {
        let sql = "SELECT package.key, finding.status, finding.gone IS NOT NULL FROM finding \
                   JOIN package ON package.id = finding.package ORDER BY 1";
        self.db
            .read(|session| {
                session
                    .query(sql, &[])?
                    .map(|row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            })
            .unwrap()
    }

    fn is_open(&self) -> bool {
        self.findings()
            .iter()
            .any(|(_, status, is_gone)| *status == 0 && !is_gone)
    }

    fn stale(&self) -> usize {
        self.db.read(|session| stale(session, 99)).unwrap().len()
    }
}

on_both_engines! {
    fn a_channel_and_records_become_findings_and_then_there_is_nothing_to_do(db) {
        let world = World::new(db);
        // The channel, the advisories, and the re-match.
        assert_eq!(world.work(), 3);
        assert_eq!(world.findings(), [("openssl".to_owned(), 0, false)]);
        assert_eq!((world.work(), world.stale()), (0, 0));
        let text = metrics::text(db).unwrap();
        for line in [
            "snowguard_tracker_job_done_timestamp_seconds{kind=\"rematch\"} 1795262400",
            "snowguard_tracker_channel_looked_timestamp_seconds{channel=\"unstable\"} 1795262400",
            "snowguard_tracker_channel_trouble{channel=\"unstable\"} 0",
            "snowguard_tracker_feed_records{feed=\"cve\"} 1",
            "snowguard_tracker_stale_packages 0",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }

    fn a_fix_in_the_channel_arrives_when_it_is_looked_at_again(db) {
        let world = World::new(db);
        world.work();
        world.publish("bbbb", "3.1");
        assert_eq!(world.work(), 0);
        world.later(HOUR);
        // Look, advisories, and a re-match of what changed.
        assert_eq!(world.work(), 3);
        assert!(!world.is_open());
    }

    fn a_record_that_changes_is_matched_again(db) {
        let world = World::new(db);
        world.work();
        world.records("cve", &[&RECORD.replace("<3.1", "<3.0")]);
        world.later(HOUR);
        world.work();
        assert!(!world.is_open());
        world.records("cve", &[RECORD]);
        world.later(HOUR);
        world.work();
        assert!(world.is_open());
    }

    fn a_rule_holds_at_once(db) {
        let world = World::new(db);
        world.work();
        let rule = MemoryRule {
            package: "openssl".to_owned(),
            product: "openssl:openssl".parse().unwrap(),
            verdict: Verdict::Deny,
            channel: None,
            expires: Some("2026-11-21".parse().unwrap()),
            reason: "a test".to_owned(),
        };
        remember(db, TEAM, &rule, world.now()).unwrap();
        assert_eq!(world.work(), 1);
        assert!(!world.is_open());
    }

    fn a_rule_that_ran_out_holds_no_longer(db) {
        let mut world = World::new(db);
        world.plan.keep = Some(Keep { evaluations: None, backup: None });
        let rule = MemoryRule {
            package: "openssl".to_owned(),
            product: "openssl:openssl".parse().unwrap(),
            verdict: Verdict::Deny,
            channel: None,
            expires: Some("2026-11-21".parse().unwrap()),
            reason: "a test".to_owned(),
        };
        world.work();
        remember(db, TEAM, &rule, world.now()).unwrap();
        world.work();
        assert!(!world.is_open());
        world.later(HOUR * 24);
        world.work();
        assert!(world.is_open());
    }

    fn a_channel_that_is_left_out_takes_its_findings_along(db) {
        let world = World::new(db);
        world.work();
        follow_channel(db, TEAM_ADMIN, "unstable", false, "", world.now()).unwrap();
        assert_eq!(world.work(), 1);
        assert!(!world.is_open());
        follow_channel(db, TEAM_ADMIN, "unstable", true, "", world.now()).unwrap();
        world.work();
        assert!(world.is_open());
    }

    fn what_fails_is_told_and_tried_again_and_takes_nothing_away(db) {
        let world = World::new(db);
        world.work();
        std::fs::write(world.path("release/packages.json"), "{").unwrap();
        std::fs::write(world.path("release/git-revision"), "b".repeat(40)).unwrap();
        world.later(HOUR);
        world.work();
        let job = db.read(|session| session.last_job("look", "unstable")).unwrap().unwrap();
        assert_eq!((job.state, job.attempts), (JobState::Queued, 1));
        assert!(job.error.is_some_and(|error| error.contains("packages")));
        assert!(world.is_open());
        world.publish("bbbb", "3.1");
        world.later(SignedDuration::from_mins(1));
        world.work();
        assert!(!world.is_open());
    }

    fn a_worker_that_ended_without_a_word_is_followed_by_another(db) {
        let world = World::new(db);
        let now = world.now();
        db.write(|session| {
            ask(session, Kind::Look, "unstable", now)?;
            let lease = session.lease_job("gone", &["look"], now, SignedDuration::from_secs(60))?;
            assert!(lease.is_some());
            Ok(())
        })
        .unwrap();
        // The advisories only: nothing is in the channel yet.
        world.work();
        assert!(world.findings().is_empty());
        world.later(SignedDuration::from_secs(61));
        world.work();
        assert!(world.is_open());
    }

    fn several_workers_share_the_jobs(db) {
        let world = World::new(db);
        let done: usize = std::thread::scope(|scope| {
            let workers = ["a", "b", "c"].map(|name| {
                let world = &world;
                scope.spawn(move || world.work_as(name))
            });
            workers.map(|worker| worker.join().unwrap()).iter().sum()
        });
        // What nobody else was at in the end may be left for the next look.
        assert!(done + world.work() >= 3);
        for kind in ["look", "advisories"] {
            let mut jobs = db.read(|session| session.jobs_of(kind, None, 9)).unwrap();
            // The next ones wait for their time.
            jobs.retain(|job| job.attempts > 0);
            assert_eq!((jobs.len(), jobs[0].attempts), (1, 1), "{kind}");
        }
        assert!(world.is_open());
    }

    fn backups_are_written_and_old_ones_removed(db) {
        let mut world = World::new(db);
        let directory = world.path("backups");
        world.plan.keep = Some(Keep {
            evaluations: Some(HOUR),
            backup: Some(Backup { directory: directory.clone(), every: HOUR, count: 2 }),
        });
        for _ in 0..4 {
            world.work();
            world.later(HOUR);
        }
        let mut names: Vec<_> = directory.read_dir_utf8().unwrap()
            .map(|entry| entry.unwrap().file_name().to_owned())
            .collect();
        names.sort();
        assert_eq!(names, ["tracker-20261121-140000.db", "tracker-20261121-150000.db"]);
    }

    fn a_worker_without_advisories_leaves_matching_to_others(db) {
        let mut world = World::new(db);
        let advisories = world.plan.advisories.take();
        world.work();
        assert_eq!((world.findings().len(), world.stale()), (0, 1));
        world.plan.advisories = advisories;
        world.work();
        assert!(world.is_open());
    }

    fn what_waits_for_advisories_does_not_wait_longer_each_time(db) {
        let world = World::new(db);
        world.work();
        world.records("cve", &[&RECORD.replace("<3.1", "<2.0")]);
        // One who was killed after the index was written, and others who were killed while they matched.
        let index = world.path("feeds/advisories.idx");
        let write = || {
            let mut store = RecordStore::open(&world.path("feeds/advisories.idx.records")).unwrap();
            snowguard_feeds::segments::write(&mut store, &index, snowguard_feeds::segments::Compact::Now).unwrap();
        };
        let now = world.now();
        db.write(|session| {
            mark_all_stale(session, now)?;
            ask(session, Kind::Rematch, "", now)
        })
        .unwrap();
        for kill in 0..8 {
            let now = world.now();
            let lease = db.write(|session| {
                session.lease_job(&format!("killed {kill}"), &["rematch"], now, SignedDuration::from_secs(60))
            });
            assert_eq!(lease.unwrap().unwrap().attempt, kill + 1);
            world.later(SignedDuration::from_secs(61));
        }
        write();
        for _ in 0..20 {
            world.work();
            let job = db.read(|session| session.last_job("rematch", "")).unwrap().unwrap();
            assert!(job.error.unwrap().contains("is not of the advisories"));
            assert_eq!((job.state, job.attempts), (JobState::Queued, 8));
            assert!(job.due <= world.now() + SignedDuration::from_secs(30), "{}", job.due);
            world.later(SignedDuration::from_secs(30));
        }
        // Whoever takes them in lets it be matched at once.
        world.later(HOUR);
        world.work();
        assert_eq!(world.stale(), 0);
        assert!(!world.is_open());
    }

    fn an_index_that_is_not_of_what_is_stored_is_not_matched_with(db) {
        let world = World::new(db);
        world.work();
        // Somebody else replaced the file: the next look at the advisories settles it.
        world.records("cve", &[&RECORD.replace("0001", "0002").replace("<3.1", "<2.0")]);
        let mut store = RecordStore::open(&world.path("feeds/advisories.idx.records")).unwrap();
        let index = world.path("feeds/advisories.idx");
        snowguard_feeds::segments::write(&mut store, &index, snowguard_feeds::segments::Compact::Now).unwrap();
        db.write(|session| mark_all_stale(session, world.now())).unwrap();
        world.work();
        let job = db.read(|session| session.last_job("rematch", "")).unwrap().unwrap();
        assert!(job.error.is_some_and(|error| error.contains("is not of the advisories")));
        assert!(world.is_open());
        world.later(HOUR);
        world.work();
        let job = db.read(|session| session.last_job("rematch", "")).unwrap();
        assert_eq!(world.stale(), 0, "{job:?}");
        assert!(!world.is_open());
    }
}

const TEAM_ADMIN: snowguard_tracker::decide::Actor = snowguard_tracker::decide::Actor {
    role: snowguard_triage::Role::Admin,
    ..TEAM
};

#[test]
fn a_worker_that_is_told_to_stop_stops() {
    let directory = tempfile::tempdir().unwrap();
    let db = Database::open(directory.path().join("tracker.db").to_str().unwrap()).unwrap();
    let world = World::new(&db);
    let stopping = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let running = scope.spawn(|| {
            let worker = Worker {
                db: &db,
                name: "worker",
                plan: &world.plan,
                network: &Settings::default(),
                clock: &|| world.now(),
            };
            worker.run(&stopping).unwrap();
        });
        while !world.is_open() {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        stopping.store(true, Ordering::Relaxed);
        running.join().unwrap();
    });
    assert_eq!(world.work(), 0);
}
