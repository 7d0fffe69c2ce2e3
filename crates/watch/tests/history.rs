//! The history over many scans: what is told, once, and what a crash leaves.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests write the files that are read, and fail where they cannot go on"
)]

use std::fmt::Write as _;

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use snowguard_watch::history::{About, FAILING_AFTER, History, HistoryError, Reading};
use snowguard_watch::{Key, Kind, Observation, metrics};

struct Place {
    directory: tempfile::TempDir,
    history: History,
    day: i64,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(directory.path())
            .unwrap()
            .join("watch.sqlite");
        let history = History::open(&path, "test").unwrap();
        Self {
            directory,
            history,
            day: 0,
        }
    }

    fn path(&self, name: &str) -> Utf8PathBuf {
        Utf8Path::from_path(self.directory.path())
            .unwrap()
            .join(name)
    }

    fn about(&mut self, root: &str) -> About {
        self.day += 1;
        let time = Timestamp::from_second(self.day * 86_400).unwrap();
        About {
            target: "system".into(),
            reason: "schedule".into(),
            root: root.into(),
            fingerprint: String::new(),
            started: time,
            finished: time,
        }
    }

    /// A scan of a system against an index, and what is told of it.
    fn scan(&mut self, root: &str, index: u64, packages: &serde_json::Value) -> Vec<String> {
        let about = self.about(root);
        let seen = observation(Some("/idx"), index, packages);
        let before = self.history.reading().unwrap().last_event().unwrap();
        let told = self.history.record(&about, &seen).unwrap();
        let events = self
            .history
            .reading()
            .unwrap()
            .events_after(before, 1_000)
            .unwrap();
        assert_eq!(events.len(), told);
        events
            .iter()
            .map(|event| {
                let told = &event.told;
                let mut text = told.kind.as_str().to_owned();
                for word in [&told.advisory, &told.package].into_iter().flatten() {
                    write!(text, " {word}").unwrap();
                }
                if let Some(cause) = told.cause {
                    write!(text, " ({})", cause.as_str()).unwrap();
                }
                text
            })
            .collect()
    }

    fn fail(&mut self) -> usize {
        let about = self.about("/a");
        self.history
            .record_failure(&about, "no store", "a\nb")
            .unwrap()
    }
}

fn observation(path: Option<&str>, index: u64, packages: &serde_json::Value) -> Observation {
    let report = serde_json::json!({
        "schema": "snowguard-scan/1",
        "tool": {"version": "1"},
        "subject": {"title": "nixos-system", "objects": 10, "components": 10},
        "index": {"path": path, "newest": "2026-01-02", "vulnerabilities": index,
                  "sources": [{"name": "cve5", "records": index, "newest": "2026-01-02"}]},
        "packages": packages,
        "gaps": [],
    });
    Observation::read(&serde_json::to_vec(&report).unwrap()).unwrap()
}

/// A package with one finding that nobody can decide.
fn doubtful(name: &str, version: &str, advisory: &str) -> serde_json::Value {
    let finding = serde_json::json!({"id": advisory, "status": "needs_review"});
    serde_json::json!({"name": name, "version": version, "findings": [finding]})
}

fn package(name: &str, version: &str, advisories: &[&str]) -> serde_json::Value {
    let findings: Vec<_> = advisories
        .iter()
        .map(|id| {
            serde_json::json!({"id": id, "status": "affected",
                "severity": {"rating": "high", "score": 7.5}})
        })
        .collect();
    serde_json::json!({"name": name, "version": version, "findings": findings})
}

#[test]
fn a_life() {
    let mut place = Place::new();
    let both = serde_json::json!([
        package("openssl", "1.1.1g", &["CVE-1", "CVE-2"]),
        package("sudo", "1.8", &["CVE-3"]),
    ]);
    assert_eq!(place.scan("/a", 100, &both), ["baseline"]);
    assert!(place.scan("/a", 100, &both).is_empty());
    // A new advisory about what was there.
    let more = serde_json::json!([
        package("openssl", "1.1.1g", &["CVE-1", "CVE-2", "CVE-4"]),
        package("sudo", "1.8", &["CVE-3"]),
    ]);
    assert_eq!(
        place.scan("/a", 101, &more),
        ["opened CVE-4 openssl (advisories)"]
    );
    // A new system.
    let updated = serde_json::json!([package("openssl", "1.1.1h", &["CVE-2", "CVE-5"])]);
    assert_eq!(
        place.scan("/b", 101, &updated),
        [
            "opened CVE-5 openssl (system)",
            "fixed CVE-1 openssl (system)",
            "fixed CVE-3 sudo (system)",
            "fixed CVE-4 openssl (system)",
        ]
    );
    // Rolled back.
    assert_eq!(
        place.scan("/a", 101, &more),
        [
            "reopened CVE-1 openssl (system)",
            "reopened CVE-3 sudo (system)",
            "reopened CVE-4 openssl (system)",
            "fixed CVE-5 openssl (system)",
        ]
    );
    // A record was withdrawn.
    assert_eq!(
        place.scan("/a", 102, &both),
        ["withdrawn CVE-4 openssl (advisories)"]
    );
    let reading = place.history.reading().unwrap();
    let about = reading.about("CVE-4").unwrap();
    assert_eq!((about.len(), about[0].reopened), (1, 1));
    let kinds: Vec<Kind> = about[0].moments.iter().map(|moment| moment.kind).collect();
    assert_eq!(
        kinds,
        [Kind::Opened, Kind::Fixed, Kind::Reopened, Kind::Withdrawn]
    );
    assert!(about[0].closed.is_some());
    let target = &reading.targets().unwrap()[0];
    let open = reading.open_findings(target).unwrap();
    assert_eq!(
        open.iter().map(|open| open.findings.len()).sum::<usize>(),
        3
    );
    let now = Timestamp::from_second(6 * 86_400).unwrap();
    let trend = reading.trend(target, now, 86_400, 8).unwrap();
    let counts: Vec<Option<u64>> = trend.iter().map(|c| c.map(|c| c.affected)).collect();
    assert_eq!(
        counts,
        [
            None,
            None,
            Some(3),
            Some(3),
            Some(4),
            Some(2),
            Some(4),
            Some(3)
        ]
    );
}

#[test]
fn a_failure_closes_nothing_and_is_told_once() {
    let mut place = Place::new();
    let found = serde_json::json!([package("sudo", "1.8", &["CVE-3"])]);
    place.scan("/a", 100, &found);
    let told: Vec<usize> = (0..FAILING_AFTER + 2).map(|_| place.fail()).collect();
    assert_eq!(told, [0, 0, 1, 0, 0]);
    let reading = place.history.reading().unwrap();
    let target = reading.targets().unwrap().remove(0);
    assert_eq!(reading.open_findings(&target).unwrap().len(), 1);
    let failing = target.failing.unwrap();
    assert_eq!((failing.times, failing.log.as_str()), (5, "a\nb"));
    assert_eq!(place.scan("/a", 100, &found), ["scan_working"]);
    for _ in 0..FAILING_AFTER {
        place.fail();
    }
    let events = place
        .history
        .reading()
        .unwrap()
        .events_after(0, 100)
        .unwrap();
    let mut keys: Vec<&Key> = events.iter().map(|event| &event.key).collect();
    assert_eq!(events.len(), 4);
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 4, "the second time has another key");
}

#[test]
fn advisories_that_went_back_fix_nothing() {
    let mut place = Place::new();
    let found = serde_json::json!([package("sudo", "1.8", &["CVE-3"])]);
    place.scan("/a", 100, &found);
    // The file of the index is gone, and the program's own takes its place.
    let about = place.about("/a");
    let fallen = observation(None, 7, &serde_json::json!([]));
    assert_eq!(place.history.record(&about, &fallen).unwrap(), 0);
    let reading = place.history.reading().unwrap();
    let target = reading.targets().unwrap().remove(0);
    let last = target.last.clone().unwrap();
    assert!(last.blind);
    assert_eq!(last.counts.affected, 1);
    assert_eq!(reading.open_findings(&target).unwrap().len(), 1);
    // Believed after a week.
    place.day += 7;
    let about = place.about("/a");
    assert_eq!(place.history.record(&about, &fallen).unwrap(), 1);
}

#[test]
fn what_was_only_to_review_ends_as_such() {
    let mut place = Place::new();
    let nothing = serde_json::json!([]);
    place.scan("/a", 100, &nothing);
    let review = serde_json::json!([doubtful("sudo", "1.8", "CVE-3")]);
    let affected = serde_json::json!([package("sudo", "1.8", &["CVE-3"])]);
    let last = |place: &Place| {
        let events = place.history.reading().unwrap().events_after(0, 100);
        events.unwrap().pop().unwrap().told
    };
    place.scan("/b", 100, &review);
    assert_eq!(
        place.scan("/c", 100, &nothing),
        ["fixed CVE-3 sudo (system)"]
    );
    assert!(last(&place).only_review);
    // Affected in between, and so told to everybody.
    assert_eq!(
        place.scan("/d", 100, &affected),
        ["opened CVE-3 sudo (system)"]
    );
    assert_eq!(
        place.scan("/d", 101, &review),
        ["needs_review CVE-3 sudo (advisories)"]
    );
    place.scan("/e", 101, &nothing);
    assert!(!last(&place).only_review);
    // Closed since: what comes back to review is only that.
    place.scan("/f", 101, &review);
    place.scan("/g", 101, &nothing);
    assert!(last(&place).only_review);
    // And it was affected before, however it is seen in between.
    place.scan("/h", 101, &review);
    assert_eq!(
        place.scan("/h", 102, &affected),
        ["reopened CVE-3 sudo (advisories)"]
    );
}

#[test]
fn a_history_of_the_layout_before_goes_on() {
    let mut place = Place::new();
    let findings = serde_json::json!([
        package("sudo", "1.8", &["CVE-3"]),
        doubtful("vim", "8", "CVE-4"),
        package("zlib", "1.2", &["CVE-5"]),
        package("zstd", "1.4", &["CVE-6"]),
    ]);
    place.scan("/a", 100, &findings);
    // Affected at first, which nobody was told one by one.
    let later = serde_json::json!([
        package("sudo", "1.8", &["CVE-3"]),
        doubtful("vim", "8", "CVE-4"),
        doubtful("zlib", "1.2", "CVE-5"),
        doubtful("zstd", "1.4", "CVE-6"),
    ]);
    assert_eq!(
        place.scan("/a", 101, &later),
        [
            "needs_review CVE-5 zlib (advisories)",
            "needs_review CVE-6 zstd (advisories)",
        ]
    );
    let path = place.path("watch.sqlite");
    let before = rusqlite::Connection::open(&path).unwrap();
    before
        .execute_batch(
            "ALTER TABLE finding DROP COLUMN affected;
             ALTER TABLE finding DROP COLUMN affected_since_closed;
             PRAGMA user_version = 1;",
        )
        .unwrap();
    drop(before);
    // A notifier of the next version reads what the watcher of this one published.
    assert_eq!(Reading::of_copy(&path).unwrap().targets().unwrap().len(), 1);
    place.history = History::open(&path, "test").unwrap();
    assert_eq!(
        place.scan(
            "/b",
            101,
            &serde_json::json!([package("zstd", "1.4", &["CVE-6"])])
        ),
        [
            "reopened CVE-6 zstd (system)",
            "fixed CVE-3 sudo (system)",
            "fixed CVE-4 vim (system)",
            "fixed CVE-5 zlib (system)",
        ]
    );
    let events = place.history.reading().unwrap().events_after(3, 100);
    let only_review: Vec<bool> = events.unwrap().iter().map(|e| e.told.only_review).collect();
    assert_eq!(only_review, [false, false, true, false]);
}

#[test]
fn files_that_cannot_be_read_fix_nothing() {
    let mut place = Place::new();
    let found = serde_json::json!([package("regex", "1.5.4", &["CVE-3"])]);
    place.scan("/a", 100, &found);
    // Another system, and what was found inside of a program is not seen: a file of it is unreadable.
    let mut less = observation(Some("/idx"), 100, &serde_json::json!([]));
    less.knowledge.unread = 1;
    let about = place.about("/b");
    assert_eq!(place.history.record(&about, &less).unwrap(), 0);
    let target = place
        .history
        .reading()
        .unwrap()
        .targets()
        .unwrap()
        .remove(0);
    let last = target.last.unwrap();
    assert!(last.blind);
    assert_eq!(last.counts.affected, 1);
    // What is unread is told by the scan, and is no other index.
    assert!(
        less.knowledge
            .has_same_advisories(&observation(Some("/idx"), 100, &found).knowledge)
    );
    // Seen again: nothing happened. Read to the end: it is gone.
    assert!(place.scan("/b", 100, &found).is_empty());
    assert_eq!(
        place.scan("/c", 100, &serde_json::json!([])),
        ["fixed CVE-3 regex (system)"]
    );
}

#[test]
fn readers_have_a_copy_that_is_whole() {
    let mut place = Place::new();
    let copy = place.path("copy ?%.sqlite");
    place.history.publish(&copy).unwrap();
    let empty = Reading::of_copy(&copy).unwrap();
    place.scan(
        "/a",
        100,
        &serde_json::json!([package("sudo", "1.8", &["CVE-3"])]),
    );
    place.history.publish(&copy).unwrap();
    assert!(empty.targets().unwrap().is_empty());
    let full = Reading::of_copy(&copy).unwrap();
    assert_eq!(full.targets().unwrap().len(), 1);
    assert_eq!(full.instance().unwrap(), empty.instance().unwrap());
}

#[test]
fn what_is_no_history() {
    let place = Place::new();
    let path = place.path("other.sqlite");
    assert!(matches!(
        Reading::of_copy(&path),
        Err(HistoryError::Sqlite { .. })
    ));
    std::fs::write(
        &path,
        "not a database, and long enough to be looked at as one",
    )
    .unwrap();
    assert!(Reading::of_copy(&path).is_err());
    std::fs::write(&path, "").unwrap();
    assert!(matches!(
        Reading::of_copy(&path),
        Err(HistoryError::Layout { found: 0, .. })
    ));
}

#[test]
fn numbers_for_prometheus() {
    let mut place = Place::new();
    place.scan(
        "/a",
        100,
        &serde_json::json!([package("sudo", "1.8", &["CVE-3"])]),
    );
    place.fail();
    let text = metrics::render(&place.history.reading().unwrap(), "0.1.0").unwrap();
    insta::assert_snapshot!(text);
}
