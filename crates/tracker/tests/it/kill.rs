//! `kill -9` at random points while package sets are taken in, people decide and publish, and the worker matches
//! and brings issues to a forge: nothing that was acknowledged is lost, nothing is opened twice, and the database
//! is sound. `SNOWGUARD_KILLS` says how often, for each engine.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "tests read and write files, start themselves, tell what they did, and fail where they cannot go on"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use jiff::{SignedDuration, Timestamp};
use snowguard_advisory::index::SourceKind;
use snowguard_advisory::record::Record;
use snowguard_db::evaluations::{Evaluations as _, Outcome, Shrinking};
use snowguard_db::findings::{Findings as _, events_of_finding, mark_all_stale};
use snowguard_db::issues::Issues as _;
use snowguard_db::jobs::Jobs as _;
use snowguard_db::{Database, fsck};
use snowguard_feeds::RecordStore;
use snowguard_http::Settings;
use snowguard_matching::suppress::Justification;
use snowguard_sources::Options;
use snowguard_sources::packages::Derivations;
use snowguard_testkit::database::Scratch;
use snowguard_testkit::forge::{Forge, TOKEN};
use snowguard_tracker::decide::{Request, act};
use snowguard_tracker::ingest::{self, Revision};
use snowguard_tracker::publish::act::{Words, edit, publish};
use snowguard_tracker::publish::marker;
use snowguard_tracker::work::{Advisories, Plan, Publish, To, Worker};
use snowguard_triage::{Act, State};

use crate::publish::site;
use crate::world::TEAM;

/// What the child is told: the database, a directory, the forge, and which of all it is.
const DATABASE: &str = "SNOWGUARD_TEST_DATABASE";
const DIRECTORY: &str = "SNOWGUARD_TEST_DIRECTORY";
const FORGE: &str = "SNOWGUARD_TEST_FORGE";
const ROUND: &str = "SNOWGUARD_TEST_ROUND";

/// How many kills there are in a run of all tests, which has other things to do.
const KILLS: i64 = 12;
/// After how many kills all rows are read: there are more of them each time.
const WHOLE: i64 = 8;
const PACKAGES: i64 = 25;
/// A lease of one who was killed has run out when the next begins.
const BETWEEN: SignedDuration = SignedDuration::from_mins(2);
const OFTEN: SignedDuration = SignedDuration::from_millis(30);

/// The same points in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit.max(1) as u64).unwrap()
    }
}

fn begin(round: i64) -> Timestamp {
    let first: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
    first + BETWEEN * i32::try_from(round).unwrap()
}

/// A package set, in which some packages have been mended and others have been put back.
fn set(number: i64) -> String {
    let packages: Vec<String> = (0..PACKAGES)
        .map(|at| {
            let version = if (number + at) % 3 == 0 { "3.1" } else { "3.0" };
            format!(
                r#""tool{at}":{{"name":"tool{at}-{version}","pname":"tool{at}","version":"{version}","system":"x86_64-linux","outputName":"out","outputs":{{"out":null}},"meta":{{"homepage":"https://tool{at}.example/"}}}}"#
            )
        })
        .collect();
    format!(r#"{{"version":2,"packages":{{{}}}}}"#, packages.join(","))
}

/// Two advisories for each package, of which the second is taken back and put there again.
fn records(directory: &Utf8Path, round: i64) {
    let path = directory.join("advisories.idx.records");
    let mut store = RecordStore::open(&path).unwrap();
    let mut change = store.change().unwrap();
    change.replace("cve", SourceKind::Facts).unwrap();
    for at in 0..PACKAGES {
        for (number, below) in [
            (at, "3.1"),
            (500 + at, ["3.1", "2.0"][usize::from((round + at) % 4 == 0)]),
        ] {
            let line = format!(
                r#"{{"id":"CVE-2026-{:04}","summary":"a title","affects":[{{"products":["tool{at}:tool{at}"],"by":"nvd","default":"unaffected","rules":["<{below}"]}}]}}"#,
                1 + number
            );
            let record: Record = serde_json::from_str(&line).unwrap();
            change.put("cve", SourceKind::Facts, &record).unwrap();
        }
    }
    change.commit().unwrap();
}

fn plan(directory: &Utf8Path, forge: &str) -> Plan {
    Plan {
        spool: directory.join("spool"),
        look: None,
        evaluator: None,
        advisories: Some(Advisories {
            file: directory.join("advisories.idx"),
            feeds: None,
            every: OFTEN,
        }),
        publish: Some(Publish {
            site: site(),
            to: Some(To {
                api: forge.parse().unwrap(),
                repository: "owner/name".to_owned(),
                token: TOKEN.to_owned().into(),
                label: None,
            }),
            every: OFTEN,
        }),
        tell: None,
        keep: None,
    }
}

fn told(what: &str, which: impl std::fmt::Display) {
    let mut out = std::io::stdout().lock();
    // In one piece, or not at all.
    out.write_all(format!("\n{what} {which}\n").as_bytes())
        .unwrap();
    out.flush().unwrap();
}

/// Does everything at once, and says what was acknowledged. Does not end by itself.
#[test]
#[ignore = "started by the other tests of this file, which kill it"]
fn child() {
    let of = |name| std::env::var(name).unwrap();
    let db = Database::open(&of(DATABASE)).unwrap();
    let directory = Utf8PathBuf::from(of(DIRECTORY));
    let round: i64 = of(ROUND).parse().unwrap();
    let started = Timestamp::now();
    let clock = || begin(round) + Timestamp::now().duration_since(started);
    let plan = plan(&directory, &of(FORGE));
    told("ready", round);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let worker = Worker {
                db: &db,
                name: &format!("worker {round}"),
                plan: &plan,
                network: &Settings::default(),
                clock: &clock,
            };
            worker.run(&AtomicBool::new(false)).unwrap();
        });
        scope.spawn(|| ingest(&db, &directory, &clock));
        scope.spawn(|| triage(&db, round, &clock));
        scope.spawn(|| announce(&db, round, &clock));
    });
}

fn ingest(db: &Database, directory: &Utf8Path, clock: &(dyn Fn() -> Timestamp + Sync)) {
    let channel = ingest::followed(db, "unstable").unwrap();
    loop {
        let count = "SELECT count(*) FROM evaluation WHERE id > 0";
        let rows = db.read(|session| session.query(count, &[])).unwrap();
        let number: i64 = rows.first().unwrap().get(0).unwrap();
        let file = directory.join("set.json");
        std::fs::write(&file, set(number)).unwrap();
        let options = Options::default();
        let read = ingest::read_file(&file, Derivations::default(), &options, &mut |_| ());
        let revision = Revision::named(&format!("set-{number}"), clock()).unwrap();
        let shrinking = Shrinking::Refused;
        let now = clock();
        let outcome = ingest::take(
            db,
            &channel,
            &revision,
            now,
            shrinking,
            read.unwrap(),
            &mut |_| (),
        );
        if let Outcome::Taken(taken) = outcome.unwrap() {
            told("evaluation", taken.evaluation);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn numbers(db: &Database, sql: &str) -> Vec<i64> {
    db.read(|session| session.query(sql, &[])?.map(|row| row.get(0)))
        .unwrap()
}

fn triage(db: &Database, round: i64, clock: &(dyn Fn() -> Timestamp + Sync)) {
    let mut chance = Chance(88_172_645_463_325_252 + round.unsigned_abs());
    let states = [
        State::Confirmed,
        State::Confirmed,
        State::WontFix,
        State::NotAffected {
            justification: Justification::VulnerableCodeNotPresent,
        },
        State::Untriaged,
    ];
    loop {
        let findings = numbers(db, "SELECT id FROM finding ORDER BY id");
        if findings.is_empty() {
            std::thread::sleep(Duration::from_millis(5));
            continue;
        }
        let request = Request {
            finding: findings[chance.below(findings.len())],
            revision: None,
            act: Act::Decide(states[chance.below(states.len())]),
        };
        // What is so already is refused.
        if let Ok(done) = act(db, TEAM, &[request], "seen it", clock())
            && let Some(event) = done.event
        {
            told("event", event);
        }
    }
}

fn announce(db: &Database, round: i64, clock: &(dyn Fn() -> Timestamp + Sync)) {
    let mut chance = Chance(362_436_069 + round.unsigned_abs());
    loop {
        let advisories = numbers(db, "SELECT DISTINCT advisory FROM finding WHERE state = 2");
        if advisories.is_empty() {
            std::thread::sleep(Duration::from_millis(5));
            continue;
        }
        let words = Words::new(&format!("title {}", chance.below(1000)), "text").unwrap();
        let advisory = advisories[chance.below(advisories.len())];
        let issue = db
            .read(|session| session.issue_of_advisory(advisory))
            .unwrap();
        let done = match &issue {
            None => publish(db, TEAM, "NIX", advisory, &words, clock()),
            Some(issue) => edit(db, TEAM, (&issue.public, issue.revision), &words, clock()),
        };
        if let Ok(done) = done {
            told("event", done.event.unwrap());
            told("issue", done.issue.id);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What was acknowledged, by kind.
type Acknowledged = BTreeMap<&'static str, BTreeSet<i64>>;

fn survives(scratch: &Scratch) {
    let asked = std::env::var("SNOWGUARD_KILLS").ok();
    let kills = asked.map_or(KILLS, |kills| kills.parse().unwrap());
    let directory = tempfile::tempdir().unwrap();
    let directory = Utf8Path::from_path(directory.path()).unwrap();
    let forge = Forge::start().unwrap();
    let db = Database::open(scratch.name()).unwrap();
    db.write(|session| session.add_channel("unstable", None))
        .unwrap();
    drop(db);
    let mut all = Acknowledged::new();
    let mut chance = Chance(2_463_534_242);
    for round in 0..kills {
        records(directory, round);
        let wait = Duration::from_millis(5 + chance.below(500) as u64);
        let new = one(scratch, directory, &forge.web.base(), round, wait);
        let db = Database::open(scratch.name()).unwrap();
        is_sound(&db, &new, round % WHOLE == 0);
        for (kind, numbers) in new {
            all.entry(kind).or_default().extend(numbers);
        }
    }
    let db = Database::open(scratch.name()).unwrap();
    let end = begin(kills);
    finish(&db, directory, &forge, end);
    is_sound(&db, &all, true);
    is_as_logged(&db);
    is_matched(&db, directory, &forge, end + SignedDuration::from_hours(12));
    let issues = published(&db, &forge);
    let count = |kind| all.get(kind).map_or(0, BTreeSet::len);
    eprintln!(
        "{kills} kills; acknowledged: {} evaluations, {} decisions and words, {issues} issues",
        count("evaluation"),
        count("event"),
    );
    assert!(
        ["evaluation", "event", "issue"]
            .iter()
            .all(|kind| count(kind) > 0),
        "{all:?}"
    );
}

/// One child, killed after a while; what it acknowledged.
fn one(
    scratch: &Scratch,
    directory: &Utf8Path,
    forge: &str,
    round: i64,
    wait: Duration,
) -> Acknowledged {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::child", "--ignored", "--nocapture"])
        .env(DATABASE, scratch.name())
        .env(DIRECTORY, directory)
        .env(FORGE, forge)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let is_ready = lines
        .by_ref()
        .map_while(Result::ok)
        .any(|line| line.starts_with("ready "));
    assert!(is_ready, "round {round}: it ended by itself");
    std::thread::scope(|scope| {
        // What it says is taken meanwhile: who writes to a full pipe waits.
        let reading = scope.spawn(|| lines.map_while(Result::ok).collect::<Vec<_>>());
        std::thread::sleep(wait);
        assert!(
            child.try_wait().unwrap().is_none(),
            "round {round}: it ended by itself"
        );
        child.kill().unwrap();
        child.wait().unwrap();
        let mut acknowledged = Acknowledged::new();
        for line in reading.join().unwrap() {
            for kind in ["evaluation", "event", "issue"] {
                let number = line
                    .strip_prefix(kind)
                    .and_then(|rest| rest.trim().parse().ok());
                if let Some(number) = number {
                    acknowledged.entry(kind).or_default().insert(number);
                }
            }
        }
        acknowledged
    })
}

/// Everything that was acknowledged is there, and the database is sound: the engine's file always, and our rows where
/// all of them are to be read.
fn is_sound(db: &Database, acknowledged: &Acknowledged, is_whole: bool) {
    let check = if is_whole { fsck::run } else { fsck::engine };
    assert_eq!(db.read(|session| check(session)).unwrap(), []);
    for (kind, wanted) in acknowledged {
        let wanted: Vec<i64> = wanted.iter().copied().collect();
        let sql = format!("SELECT id FROM {kind} WHERE id {{in:1}}");
        let there = db
            .read(|session| session.query(&sql, &[wanted.clone().into()]))
            .unwrap();
        assert_eq!(there.len(), wanted.len(), "an acknowledged {kind} is gone");
    }
}

/// Every finding is as the last event says that changed it.
fn is_as_logged(db: &Database) {
    for id in numbers(db, "SELECT id FROM finding ORDER BY id") {
        let (finding, events) = db
            .read(|session| {
                Ok((
                    session.finding(id)?,
                    events_of_finding(session, id, i64::MAX, 100_000)?,
                ))
            })
            .unwrap();
        let mut changes = events
            .into_iter()
            .filter_map(|row| Some((row.id, row.event.change?)));
        let newest = changes.by_ref().max_by_key(|(id, _)| *id);
        let decided = finding.unwrap().decided;
        let logged = newest
            .map(|(_, (_, after))| after.state)
            .unwrap_or_default();
        assert_eq!(decided.state, logged, "finding {id}");
    }
}

/// Lets a worker do in peace what is left. What was given up, since one who was at it was killed too often, is
/// asked for again after five minutes; nothing waits longer.
fn finish(db: &Database, directory: &Utf8Path, forge: &Forge, from: Timestamp) {
    let plan = plan(directory, &forge.web.base());
    for minute in 0..8 {
        let worker = Worker {
            db,
            name: "the last",
            plan: &plan,
            network: &Settings::default(),
            clock: &|| from + SignedDuration::from_mins(minute),
        };
        worker.until_idle(&AtomicBool::new(false)).unwrap();
    }
    let left = numbers(db, "SELECT package FROM stale ORDER BY package");
    let jobs = ["rematch", "advisories"]
        .map(|kind| db.read(|session| session.last_job(kind, "")).unwrap());
    assert!(left.is_empty(), "nobody matched {left:?}: {jobs:#?}");
}

/// What was matched piece by piece is what matching everything gives.
fn is_matched(db: &Database, directory: &Utf8Path, forge: &Forge, from: Timestamp) {
    let computed = || {
        let sql = "SELECT finding.id, finding.status, finding.gone IS NOT NULL, finding_channel.channel, \
                   finding_channel.status, finding_channel.versions FROM finding \
                   LEFT JOIN finding_channel ON finding_channel.finding = finding.id ORDER BY 1, 4";
        db.read(|session| {
            session.query(sql, &[])?.map(|row| {
                let channel: (Option<i64>, Option<i64>, Option<String>) =
                    (row.get(3)?, row.get(4)?, row.get(5)?);
                Ok((
                    row.get::<i64>(0)?,
                    row.get::<i64>(1)?,
                    row.get::<bool>(2)?,
                    channel,
                ))
            })
        })
        .unwrap()
    };
    let before = computed();
    assert!(!before.is_empty());
    db.write(|session| mark_all_stale(session, from)).unwrap();
    finish(db, directory, forge, from);
    assert_eq!(computed(), before);
}

/// Each issue is in the forge once; how many there are.
fn published(db: &Database, forge: &Forge) -> usize {
    let issues = db.read(|session| session.issues_after(0, 10_000)).unwrap();
    let bodies: Vec<String> = forge
        .issues()
        .iter()
        .map(|issue| issue["body"].as_str().unwrap().to_owned())
        .collect();
    for issue in &issues {
        let marker = marker(&issue.public);
        let there = bodies.iter().filter(|body| body.contains(&marker)).count();
        assert_eq!(there, 1, "{} in the forge", issue.public);
    }
    assert_eq!(bodies.len(), issues.len());
    issues.len()
}

#[test]
fn sqlite_loses_nothing() {
    survives(&Scratch::sqlite().unwrap());
}

#[test]
fn postgres_loses_nothing() {
    survives(&Scratch::postgres().unwrap());
}
