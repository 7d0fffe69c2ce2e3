//! The tracker's worker as a process: alone, beside a server, and two on one PostgreSQL.

use std::collections::BTreeSet;
use std::process::Stdio;

use snowguard_db::Database;
use snowguard_db::evaluations::Evaluations as _;
use snowguard_db::jobs::Jobs as _;
use snowguard_testkit::database::Scratch;

use crate::support::{Place, Running, until};

const RECORD: &str = r#"{"id":"CVE-2026-0001","summary":"a title","severities":[{"word":"high"}],"affects":[{"products":["openssl:openssl"],"by":"nvd","default":"unaffected","rules":["<3.1"]}]}"#;

/// A release folder with one package; its address.
fn release(place: &Place, name: &str, package: &str, version: &str) -> String {
    let folder = place.path(name);
    std::fs::create_dir_all(&folder).unwrap();
    let set = format!(
        r#"{{"version":2,"packages":{{"{package}":{{"name":"{package}-{version}","pname":"{package}","version":"{version}","system":"x86_64-linux","outputName":"out","outputs":{{"out":null}},"meta":{{"homepage":"https://www.openssl.org/"}}}}}}}}"#
    );
    std::fs::write(folder.join("packages.json"), set).unwrap();
    std::fs::write(folder.join("git-revision"), "ab".repeat(20)).unwrap();
    format!("file://{}", folder.display())
}

/// Records beside an index that is not there yet.
fn records(place: &Place) {
    place.write("cve.jsonl", RECORD);
    let records = place.path("tracker.advisories.idx.records");
    let taken = place
        .command(&["tracker", "--database", "scratch.db", "advisories"])
        .args(["--records", records.to_str().unwrap(), "cve.jsonl"])
        .output()
        .unwrap();
    assert!(taken.status.success(), "{taken:?}");
}

fn findings(database: &Database) -> usize {
    let sql = "SELECT id FROM finding WHERE status = 0";
    let rows = database.read(|session| session.query(sql, &[])).unwrap();
    rows.len()
}

#[test]
fn what_is_due_is_done_once() {
    let place = Place::new();
    records(&place);
    place.write(
        "tracker.toml",
        "database = 'tracker.db'\nurl = 'http://127.0.0.1:1'\n",
    );
    let source = release(&place, "unstable", "openssl", "3.0");
    let added = place
        .command(&["tracker", "--config", "tracker.toml", "add-channel"])
        .args(["unstable", "--source", &source])
        .output()
        .unwrap();
    assert!(added.status.success(), "{added:?}");
    let work = || {
        let run = place
            .command(&["work", "--config", "tracker.toml", "--once"])
            .output()
            .unwrap();
        assert!(run.status.success(), "{run:?}");
        String::from_utf8(run.stderr).unwrap()
    };
    let first = work();
    // A look, advisories, a re-match, what goes out (twice), and tending.
    assert!(first.contains("did 6 jobs"), "{first}");
    let database = Database::open(place.path("tracker.db").to_str().unwrap()).unwrap();
    assert_eq!(findings(&database), 1);
    assert!(work().contains("did 0 jobs"));
    let again = place
        .command(&["tracker", "--config", "tracker.toml", "rematch", "openssl"])
        .output()
        .unwrap();
    assert!(again.status.success(), "{again:?}");
    assert!(work().contains("did 1 jobs"));
    let jobs = place
        .command(&["tracker", "--config", "tracker.toml", "jobs"])
        .output()
        .unwrap();
    let jobs = String::from_utf8(jobs.stdout).unwrap();
    assert!(jobs.contains("\tlook\tunstable\twaiting\t"), "{jobs}");
}

#[test]
fn a_server_does_what_is_due_beside_its_pages() {
    let place = Place::new();
    records(&place);
    let source = release(&place, "unstable", "openssl", "3.0");
    let location = place.path("tracker.db");
    let database = Database::open(location.to_str().unwrap()).unwrap();
    database
        .write(|session| session.add_channel("unstable", Some(&source)))
        .unwrap();
    let args = [
        "serve",
        "--database",
        "tracker.db",
        "--listen",
        "127.0.0.1:0",
    ];
    let serving = Running::start(place.command(&args).stderr(Stdio::null()));
    until("the channel becomes a finding", || findings(&database) == 1);
    let dropped = place
        .command(&["tracker", "--database", "tracker.db", "drop-channel"])
        .args(["unstable", "--reason", "it ended"])
        .output()
        .unwrap();
    assert!(dropped.status.success(), "{dropped:?}");
    until("its finding goes with it", || {
        let gone = "SELECT id FROM finding WHERE gone IS NOT NULL";
        let rows = database.read(|session| session.query(gone, &[])).unwrap();
        !rows.is_empty()
    });
    assert_eq!(serving.stop(), Some(0));
}

#[test]
fn two_processes_on_one_postgresql_do_each_job_once() {
    const CHANNELS: usize = 24;
    let scratch = Scratch::postgres().unwrap();
    let database = Database::open(scratch.name()).unwrap();
    let place = Place::new();
    records(&place);
    let start = || {
        let mut command = place.command(&["work", "--database", scratch.name(), "--advisories"]);
        command.arg("tracker.advisories.idx").stderr(Stdio::null());
        Running::start(&mut command)
    };
    let running = [start(), start()];
    let sources: Vec<(String, String)> = (0..CHANNELS)
        .map(|number| {
            let name = format!("channel-{number}");
            let source = release(&place, &name, &format!("openssl{number}"), "3.0");
            (name, source)
        })
        .collect();
    until("the advisories are there", || {
        let done = database.read(|session| session.jobs_done()).unwrap();
        done.iter().any(|(kind, _)| kind == "advisories")
    });
    database
        .write(|session| {
            for (name, source) in &sources {
                session.add_channel(name, Some(source))?;
            }
            Ok(())
        })
        .unwrap();
    let stale = |database: &Database| {
        let sql = "SELECT package FROM stale WHERE package > 0";
        database
            .read(|session| session.query(sql, &[]))
            .unwrap()
            .len()
    };
    until("every channel has its head, and is matched", || {
        let channels = database.read(|session| session.channels()).unwrap();
        channels.len() == CHANNELS
            && channels.iter().all(|channel| channel.head.is_some())
            && stale(&database) == 0
    });
    for running in running {
        assert_eq!(running.stop(), Some(0));
    }
    let jobs = database
        .read(|session| session.jobs_of("look", None, 1000))
        .unwrap();
    // The next ones wait for their time.
    let done: Vec<_> = jobs.iter().filter(|job| job.attempts > 0).collect();
    let keys: BTreeSet<&str> = done.iter().map(|job| job.key.as_str()).collect();
    assert_eq!((done.len(), keys.len()), (CHANNELS, CHANNELS));
    assert!(done.iter().all(|job| job.attempts == 1));
    let workers: BTreeSet<_> = done.iter().map(|job| job.worker.clone()).collect();
    assert_eq!(workers.len(), 2, "both did some: {workers:?}");
    let evaluations = "SELECT id FROM evaluation";
    let rows = database.read(|session| session.query(evaluations, &[]));
    assert_eq!(rows.unwrap().len(), CHANNELS);
}
