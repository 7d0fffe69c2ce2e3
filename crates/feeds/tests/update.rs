//! Updates that are stopped in the middle, and what else lies beside an index.
#![expect(clippy::disallowed_methods, reason = "tests look at files")]
#![expect(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use serde_json::{Value, json};
use snowguard_advisory::index::{Builder, SourceKind};
use snowguard_advisory::read::With;
use snowguard_feeds::segments::WrittenFile;
use snowguard_feeds::{
    Feed, FeedSettings, FeedsPlace, IndexFile, Notice, OsvSettings, Report, Status, Update, Waiting,
};
use snowguard_http::{Client, Settings};
use snowguard_testkit::feeds::Mirror;
use snowguard_testkit::web::{Fault, Web};

struct World {
    mirror: Mirror,
    web: Web,
    settings: FeedSettings,
    only: Vec<Feed>,
    index: Utf8PathBuf,
    _keep: tempfile::TempDir,
}

fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

fn advisory(id: &str, ecosystems: &[&str]) -> Value {
    let affected = ecosystems.iter().map(|ecosystem| {
        json!({
            "package": { "ecosystem": ecosystem, "name": "x" },
            "ranges": [{ "type": "ECOSYSTEM", "events": [{ "introduced": "0" }, { "fixed": "9" }] }],
        })
    });
    let affected: Vec<Value> = affected.collect();
    json!({ "id": id, "modified": "2026-11-20T00:00:00Z", "affected": affected })
}

impl World {
    fn new() -> Self {
        let mut mirror = Mirror::default();
        let entries = [json!({ "cveID": "CVE-2026-0001", "dateAdded": "2026-11-10" })];
        mirror.kev("2026-11-20T12:00:00Z", &entries);
        let both = advisory("GHSA-2", &["PyPI", "npm"]);
        mirror
            .osv("PyPI", &[advisory("GHSA-1", &["PyPI"]), both.clone()])
            .unwrap();
        mirror
            .osv("npm", &[advisory("GHSA-3", &["npm"]), both])
            .unwrap();
        let keep = tempfile::tempdir().unwrap();
        let directory = Utf8Path::from_path(keep.path()).unwrap().to_owned();
        let web = Web::start().unwrap();
        mirror.serve(&web);
        let settings = FeedSettings {
            mirror: Some(web.base().parse().unwrap()),
            off: vec![Feed::Epss, Feed::Cve, Feed::Nvd],
            osv: OsvSettings {
                ecosystems: vec!["PyPI".to_owned(), "npm".to_owned()],
                ..OsvSettings::default()
            },
            ..FeedSettings::default()
        };
        Self {
            mirror,
            web,
            settings,
            only: Vec::new(),
            index: directory.join("advisories.idx"),
            _keep: keep,
        }
    }

    /// Makes an update, which is stopped where `stop` says.
    fn update(&self, stop: impl Fn(&Notice<'_>) -> bool) -> Report {
        let interrupted = Arc::new(AtomicBool::new(false));
        let settings = Settings {
            attempts: 1,
            ..Settings::default()
        };
        let client = Client::new(settings, Arc::clone(&interrupted)).unwrap();
        let update = Update {
            with: With::Facts,
            index: &self.index,
            settings: &self.settings,
            only: &self.only,
            client: &client,
            interrupted: &interrupted,
            clock: &now,
        };
        let mut notices = |notice: Notice<'_>| {
            if stop(&notice) {
                interrupted.store(true, Ordering::Relaxed);
            }
        };
        update.run(&mut notices).unwrap()
    }

    fn status(&self) -> Option<Status> {
        Status::of(&IndexFile::open(&self.index).unwrap())
    }

    fn edition(&self, part: &str) -> Option<String> {
        let status = self.status()?;
        status.feeds.get(part)?.edition.clone()
    }

    fn downloads(&self) -> Utf8PathBuf {
        self.index.with_file_name("advisories.idx.feeds/downloads")
    }
}

fn never(_: &Notice<'_>) -> bool {
    false
}

/// The book says that what was whole is kept.
#[test]
fn an_archive_that_was_being_read_is_not_fetched_again() {
    let world = World::new();
    let report = world.update(|notice| {
        matches!(
            notice,
            Notice::Reading {
                part: "osv/npm",
                ..
            }
        )
    });
    assert!(report.interrupted);
    assert!(!world.index.exists());
    world.web.seen();
    let report = world.update(never);
    assert!(report.is_complete());
    let seen = world.web.seen();
    let asked = |path: &str| seen.iter().filter(|request| request.path == path).count();
    assert_eq!(asked("/osv/npm/all.zip"), 1);
    let archive = seen
        .iter()
        .find(|request| request.path == "/osv/npm/all.zip");
    let length = world.mirror.file("osv/npm/all.zip").unwrap().len();
    let range = format!("bytes={length}-");
    assert_eq!(archive.unwrap().header("range"), Some(range.as_str()));
    let index = IndexFile::open(&world.index).unwrap();
    assert!(index.index().unwrap().find("GHSA-3").unwrap().is_some());
    assert_eq!(world.downloads().read_dir_utf8().unwrap().count(), 0);
}

/// What is known of the feeds is what is in the index.
#[test]
fn a_feed_is_up_to_date_when_the_index_is() {
    let mut world = World::new();
    world.update(never);
    assert_eq!(world.edition("kev").as_deref(), Some("2026.11.20"));
    let entries = [
        json!({ "cveID": "CVE-2026-0001", "dateAdded": "2026-11-10" }),
        json!({ "cveID": "CVE-2026-0002", "dateAdded": "2026-11-21" }),
    ];
    world.mirror.kev("2026-11-21T12:00:00Z", &entries);
    world.mirror.serve(&world.web);
    world
        .web
        .fail_always("/osv/PyPI/modified_id.csv", Fault::Status(500, vec![]));
    // The new KEV is stored, and then the person stops it.
    let stopped = world.update(|notice| matches!(notice, Notice::Begin { part: "osv/npm" }));
    assert!(stopped.interrupted);
    assert_eq!(world.edition("kev").as_deref(), Some("2026.11.20"));
    let failed = world.status().unwrap().feeds["osv/PyPI"].failure.clone();
    assert!(failed.is_some(), "what failed is told");
    world.web.heal();
    world.update(never);
    assert_eq!(world.edition("kev").as_deref(), Some("2026.11.21"));

    // Another index in its place is not of these feeds.
    IndexFile::replace(&world.index, &Builder::new().finish().bytes).unwrap();
    assert_eq!(world.status(), None);
}

/// Who replaces the index has to be waited for, but not by a person who does not want to.
#[test]
fn an_index_that_another_replaces_is_waited_for() {
    let world = World::new();
    let never_stop = AtomicBool::new(false);
    let mut other = Waiting {
        interrupted: &never_stop,
        told: &mut || (),
    };
    let held = IndexFile::lock(&world.index, &mut other).unwrap();
    let report = world.update(|notice| matches!(notice, Notice::WaitingForIndex));
    assert!(report.interrupted);
    assert!(!world.index.exists());
    let held = Mutex::new(Some(held));
    let report = world.update(|notice| {
        if matches!(notice, Notice::WaitingForIndex) {
            *held.lock().unwrap() = None;
        }
        false
    });
    assert!(held.lock().unwrap().is_none());
    assert!(report.is_complete());
    assert_eq!(world.edition("kev").as_deref(), Some("2026.11.20"));
}

/// As long as an index stays, what is known of it stays.
#[test]
fn a_signed_index_that_stays_has_no_feeds() {
    let mut world = World::new();
    let signed = Builder::new().finish().bytes;
    IndexFile::replace(&world.index, &signed).unwrap();
    Status::note_signed(&world.index, Ok("version 1"), now()).unwrap();
    let before = world.status().unwrap();
    assert!(before.is_signed());
    world
        .web
        .fail_always("/osv/npm/all.zip", Fault::Status(500, vec![]));
    let report = world.update(never);
    assert_eq!(report.lacking, ["osv/npm"]);
    assert_eq!(world.status(), Some(before.clone()));
    let stopped = world.update(|notice| matches!(notice, Notice::Begin { part: "osv/npm" }));
    assert!(stopped.interrupted);
    assert_eq!(world.status(), Some(before));
    let gone = std::io::Error::other("gone");
    Status::note_signed(&world.index, Err(&gone), now()).unwrap();
    assert!(world.status().unwrap().feeds["from"].failure.is_some());

    // What came meanwhile is known once the index is made of it.
    world.web.heal();
    world.only = vec![Feed::Osv];
    let report = world.update(never);
    assert_eq!(report.lacking, [""; 0]);
    assert_eq!(world.edition("kev").as_deref(), Some("2026.11.20"));
    let status = world.status().unwrap();
    let parts: Vec<_> = status.feeds.keys().map(String::as_str).collect();
    assert_eq!(parts, ["kev", "osv/PyPI", "osv/npm"]);
    let beside = world.index.with_file_name("advisories.idx.feeds");
    assert!(!beside.join("ahead.json").exists());
}

/// What failed is noted of the index that came from there, and of no other in its place.
#[test]
fn a_failure_is_not_of_another_index() {
    let world = World::new();
    let gone = std::io::Error::other("gone");
    Status::note_signed(&world.index, Err(&gone), now()).unwrap();
    assert!(!FeedsPlace::of(&world.index).status().exists());
    IndexFile::replace(&world.index, &Builder::new().finish().bytes).unwrap();
    Status::note_signed(&world.index, Ok("version 1"), now()).unwrap();
    let before = world.status();
    // An import, and then the signed one again.
    let signed = std::fs::read(&world.index).unwrap();
    let mut builder = Builder::new();
    let withdrawn = r#"{"id":"CVE-2026-0001","withdrawn":true}"#;
    builder.add(
        "a",
        SourceKind::Osv,
        serde_json::from_str(withdrawn).unwrap(),
    );
    IndexFile::replace(&world.index, &builder.finish().bytes).unwrap();
    Status::note_signed(&world.index, Err(&gone), now()).unwrap();
    assert_eq!(world.status(), None);
    IndexFile::replace(&world.index, &signed).unwrap();
    assert_eq!(world.status(), before);
}

/// An ecosystem that is not chosen any more goes, and what is about others as well comes with these.
#[test]
fn an_ecosystem_that_is_not_chosen_any_more_is_removed() {
    let mut world = World::new();
    world.update(never);
    world.settings.osv.ecosystems = vec!["npm".to_owned()];
    world
        .web
        .fail_always("/osv/npm/all.zip", Fault::Status(500, vec![]));
    let report = world.update(never);
    assert_eq!(report.dropped, [], "not before the others have come");
    world.web.heal();
    let report = world.update(never);
    assert_eq!(report.dropped, [("osv/PyPI".to_owned(), 2)]);
    assert_eq!(world.edition("osv/PyPI"), None);
    let file = IndexFile::open(&world.index).unwrap();
    let index = file.index().unwrap();
    let known = |id: &str| index.find(id).unwrap().is_some();
    assert_eq!(
        [known("GHSA-1"), known("GHSA-2"), known("GHSA-3")],
        [false, true, true]
    );
    let report = world.update(never);
    assert_eq!(report.dropped, []);
    assert_eq!(report.index.unwrap().what, WrittenFile::Nothing);
}

#[test]
fn what_was_left_behind_is_removed_after_two_days() {
    let world = World::new();
    world.update(never);
    let beside = world.index.with_file_name(".advisories-abc");
    let old = world.downloads().join("get-2026-11-01_all_CVEs.zip.part");
    let new = world.downloads().join("get-2026-11-21_all_CVEs.zip.part");
    let kept = world.downloads().join("epss-last.csv.gz");
    let of = |part: &Utf8Path| Utf8PathBuf::from(format!("{part}.of"));
    let (of_old, of_new) = (of(&old), of(&new));
    let of_none = world.downloads().join("get-2026-11-02.part.of");
    for (path, hours) in [
        (&beside, 49),
        (&old, 49),
        (&kept, 49),
        (&new, 47),
        // Written once, when the download began.
        (&of_old, 60),
        (&of_new, 60),
        (&of_none, 60),
    ] {
        let file = std::fs::File::create(path).unwrap();
        let then = SystemTime::from(now()) - Duration::from_hours(hours);
        file.set_modified(then).unwrap();
    }
    world.update(never);
    let here = [&beside, &old, &kept, &new].map(|path| path.exists());
    assert_eq!(here, [false, false, true, true]);
    let here = [&of_old, &of_new, &of_none].map(|path| path.exists());
    assert_eq!(here, [false, true, false]);
}

/// Two indexes side by side have nothing in common.
#[test]
fn names_that_differ_in_their_ending_only() {
    let places = ["adv.v1", "adv.v2", "x.records"].map(|name| FeedsPlace::of(name.into()));
    assert_ne!(places[0], places[1]);
    let records = ["adv.v1", "adv.v2", "x.records"]
        .map(|name| snowguard_feeds::segments::records_path(name.into()));
    assert_ne!(records[0], records[1]);
    assert_ne!(records[2], "x.records");
}

/// What lies beside an index had names that differed in their ending only.
#[test]
fn what_has_its_old_name_is_found() {
    let world = World::new();
    world.update(never);
    let base = std::fs::read(&world.index).unwrap();
    let (records, feeds) = ("advisories.idx.records", "advisories.idx.feeds");
    let beside = |name: &str| world.index.with_file_name(name);
    let rename = |from: &str, to: &str| std::fs::rename(beside(from), beside(to)).unwrap();
    let as_of_old = || {
        rename(records, "advisories.records");
        rename(feeds, "advisories.feeds");
    };
    as_of_old();
    world.web.seen();
    let report = world.update(never);
    assert!(report.is_complete());
    assert_eq!(report.index.unwrap().what, WrittenFile::Nothing);
    assert!(
        world
            .web
            .seen()
            .iter()
            .all(|request| !request.path.ends_with("all.zip"))
    );
    assert_eq!(std::fs::read(&world.index).unwrap(), base);
    assert_eq!(world.edition("kev").as_deref(), Some("2026.11.20"));
    let is_old_there = ["advisories.records", "advisories.feeds"].map(|name| beside(name).exists());
    assert_eq!(is_old_there, [false, false]);

    // Beside an index without an ending, these are the names of today.
    as_of_old();
    std::fs::write(beside("advisories"), &base).unwrap();
    world.update(never);
    let is_there = ["advisories.records", "advisories.feeds"].map(|name| beside(name).exists());
    assert_eq!(is_there, [true, true]);

    // What is no record store is not one of an index.
    for name in [records, "advisories", "advisories.records"] {
        std::fs::remove_file(beside(name)).unwrap();
    }
    std::fs::write(beside("advisories.records"), &base).unwrap();
    world.update(never);
    assert_eq!(std::fs::read(beside("advisories.records")).unwrap(), base);
}
