//! A day of a machine, with the real programs: feeds are fetched, the system is scanned and watched,
//! the feeds have something new, and what that changes is told once.

use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use snowguard_testkit::feeds::Mirror;
use snowguard_testkit::web::Web;
use snowguard_watch::trigger::fingerprint;

use crate::feeds::Records;
use crate::support::{Place, Running, until};

/// An advisory of OpenSSL's that the example system is affected by, and that is not known at first.
const NEW: &str = "CVE-2024-5535";
/// Another, which is taken back.
const WITHDRAWN: &str = "CVE-2021-3449";
/// One of Git's, which is exploited from the second edition on.
const EXPLOITED: &str = "CVE-2025-48384";

/// All feeds as they are at first, and later.
struct Feeds {
    mirror: Mirror,
    web: Web,
    records: Records,
}

impl Feeds {
    fn first() -> Self {
        let records = Records::shipped();
        let mut feeds = Self {
            mirror: Mirror::default(),
            web: Web::start().unwrap(),
            records,
        };
        let Self {
            mirror, records, ..
        } = &mut feeds;
        let new = (records.cve.remove(NEW), records.nvd.remove(NEW));
        let exploited = records.kev.remove(EXPLOITED);
        mirror.cve_whole("2026-10-01", &records.cves()).unwrap();
        records.years("2026-10-01T03:00:00-04:00", mirror);
        mirror
            .nvd("modified", "2026-10-01T03:00:00-04:00", &[])
            .unwrap();
        mirror.osv("PyPI", &records.pypi).unwrap();
        mirror.kev("2026-10-01T12:00:00Z", &records.exploited());
        feeds.scores("2026-10-01", 0.01);
        feeds.mirror.serve(&feeds.web);
        let records = &mut feeds.records;
        records.cve.insert(NEW.into(), new.0.unwrap());
        records.nvd.insert(NEW.into(), new.1.unwrap_or_default());
        records.kev.insert(EXPLOITED.into(), exploited.unwrap());
        feeds
    }

    /// What the day brings: one record more, one rejected, one exploited, and other scores.
    fn day_passes(&mut self) {
        let rejected = json!({
            "dataType": "CVE_RECORD",
            "dataVersion": "5.1",
            "cveMetadata": {"cveId": WITHDRAWN, "state": "REJECTED"},
            "containers": {"cna": {
                "providerMetadata": {"orgId": "0", "shortName": "openssl"},
                "rejectedReasons": [{"lang": "en", "value": "withdrawn by its CNA"}],
            }},
        });
        let changed = [(NEW, &self.records.cve[NEW]), (WITHDRAWN, &rejected)]
            .map(|(id, record)| (id.to_owned(), record.to_string().into_bytes()));
        self.mirror.cve_delta("2026-10-01", None, &changed).unwrap();
        self.mirror
            .kev("2026-10-02T12:00:00Z", &self.records.exploited());
        self.scores("2026-10-02", 0.5);
        self.mirror.serve(&self.web);
    }

    fn scores(&mut self, day: &str, score: f64) {
        let rows: Vec<(&str, f64, f64)> = self
            .records
            .cve
            .keys()
            .map(|id| (id.as_str(), score, 0.5))
            .collect();
        self.mirror.epss(day, &rows).unwrap();
    }
}

/// A place whose settings name these feeds, the example system, and whom to tell.
fn place(feeds: &Feeds) -> Place {
    let place = Place::new();
    let (root, web) = (place.root(), &feeds.web);
    place.write(
        "snowguard.toml",
        &format!(
            "[feeds]\nattempts = 1\nmirror = '{}'\n[feeds.osv]\necosystems = ['PyPI']\n",
            web.base()
        ),
    );
    place.write(
        "watch.toml",
        &format!(
            "[watch]\nscanner = '{}'\nindex = '{root}/advisories.idx'\nsettle = '0s'\n\
             [[watch.target]]\nname = 'system'\ninput = '{root}/system'\n\
             [notify.file]\npath = '{root}/told.jsonl'\n[notify.webhook]\nurl = '{}'\n",
            snowguard(),
            web.url("/hook")
        ),
    );
    let example = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../examples/nixos-20.09.json.zst"
    );
    std::os::unix::fs::symlink(example, place.path("system")).unwrap();
    place
}

/// The scanner, as the same build made it.
pub(crate) fn snowguard() -> String {
    let beside = env!("CARGO_BIN_EXE_snowguardd");
    let path = std::path::Path::new(beside).with_file_name("snowguard");
    assert!(
        path.exists(),
        "there is no {}: `cargo build -p snowguard` makes it",
        path.display()
    );
    path.to_str().unwrap().to_owned()
}

pub(crate) fn run(place: &Place, args: &[&str]) -> Output {
    Command::new(snowguard())
        .args(args)
        .env_clear()
        .env("HOME", place.root())
        .env("LANG", "C.UTF-8")
        .current_dir(place.root())
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Fetches the feeds, as the timer does. Gives what it printed.
#[track_caller]
fn update(place: &Place) -> String {
    let run = run(
        place,
        &["--index", "advisories.idx", "advisories", "update"],
    );
    assert!(run.status.success(), "{run:?}");
    String::from_utf8(run.stdout).unwrap()
}

/// The ids of what the example is affected by, as a person scans it.
fn affected(place: &Place) -> Vec<String> {
    let args = ["--index", "advisories.idx", "scan", "--format", "json"];
    let run = run(place, &[&args[..], &["--no-deep", "system"]].concat());
    assert_eq!(run.status.code(), Some(1), "{run:?}");
    let told: Value = serde_json::from_slice(&run.stdout).unwrap();
    let packages = told["packages"].as_array().unwrap().iter();
    packages
        .flat_map(|package| package["findings"].as_array().unwrap())
        .filter(|finding| finding["status"] == "affected")
        .map(|finding| finding["id"].as_str().unwrap().to_owned())
        .collect()
}

/// A change in a few words: what happened to what, and why.
fn words(change: &Value) -> String {
    let word = |name: &str| change[name].as_str().unwrap_or_default();
    let words = [
        word("kind"),
        word("advisory"),
        word("package"),
        word("cause"),
    ];
    words.join(" ").trim().to_owned()
}

/// What the file notifier wrote.
fn in_file(place: &Place) -> Vec<String> {
    let text = std::fs::read_to_string(place.path("told.jsonl")).unwrap_or_default();
    text.lines()
        .map(|line| words(&serde_json::from_str(line).unwrap()))
        .collect()
}

/// What arrived at the webhook since the last time, by message.
fn arrived(feeds: &Feeds) -> Vec<Vec<String>> {
    let requests = feeds.web.seen();
    let bodies = requests.iter().filter(|request| request.path == "/hook");
    bodies
        .map(|request| {
            let body: Value = serde_json::from_slice(&request.body).unwrap();
            body["changes"]
                .as_array()
                .unwrap()
                .iter()
                .map(words)
                .collect()
        })
        .collect()
}

#[test]
fn what_the_feeds_bring_is_told_once() {
    let mut feeds = Feeds::first();
    let place = place(&feeds);
    let index = place.root().join("advisories.idx");
    update(&place);
    let before = affected(&place);
    assert!(before.len() > 100, "{} findings", before.len());
    assert!(before.iter().any(|id| id == WITHDRAWN) && before.iter().any(|id| id == EXPLOITED));
    assert!(!before.iter().any(|id| id == NEW));
    feeds.mirror.put("hook", b"taken".to_vec());
    feeds.mirror.serve(&feeds.web);

    let quiet = |command: &mut Command| Running::start(command.stderr(Stdio::null()));
    let _watch = place.watch(&[]);
    place.until("the first scan", |history| {
        history.last_event().unwrap() == 1
    });
    let _file = quiet(&mut place.notifier("file", &[]));
    let _webhook = quiet(&mut place.notifier("webhook", &[]));
    let mut messages = Vec::new();
    until("the summary", || {
        messages.extend(arrived(&feeds));
        in_file(&place).len() == 1 && messages.len() == 1
    });
    // Hundreds of findings that were always there are one summary.
    assert_eq!(in_file(&place), ["baseline"]);
    assert_eq!(messages, [["baseline"]]);

    // Nothing new: the index is not touched, so nobody scans.
    let untouched = fingerprint(&index);
    let told = update(&place);
    assert!(told.contains("as it was"), "{told}");
    assert_eq!(fingerprint(&index), untouched);

    feeds.day_passes();
    let told = update(&place);
    assert!(told.contains("a delta of "), "{told}");
    assert_ne!(fingerprint(&index), untouched);
    let changes = [
        format!("withdrawn {WITHDRAWN} openssl advisories"),
        format!("opened {NEW} openssl advisories"),
        format!("exploited {EXPLOITED} git advisories"),
    ];
    let mut expected = changes.to_vec();
    expected.sort();
    let sorted = |mut list: Vec<String>| {
        list.sort();
        list
    };
    let mut messages = Vec::new();
    until("the changes", || {
        messages.extend(arrived(&feeds));
        in_file(&place).len() > 3 && !messages.is_empty()
    });
    assert_eq!(sorted(in_file(&place).split_off(1)), expected);
    assert_eq!(messages.len(), 1);
    assert_eq!(sorted(messages.remove(0)), expected);
    let reading = place.reading().unwrap();
    let target = reading.targets().unwrap().remove(0);
    assert_eq!(target.last.as_ref().unwrap().reason, "advisories");
    // Of an update, one scan: the first one and this.
    assert_eq!(reading.scans(&target).unwrap(), (2, 0));

    // Nobody has more to tell, however often it is asked.
    let again = place.notifier("file", &["--once"]).output().unwrap();
    assert!(again.status.success(), "{again:?}");
    assert_eq!(in_file(&place).len(), 4);
    assert!(arrived(&feeds).is_empty());

    // What a person sees: the same as of a scan by hand.
    let mut after = affected(&place);
    let mut wanted = before;
    wanted.retain(|id| id != WITHDRAWN);
    wanted.push(NEW.into());
    wanted.sort();
    after.sort();
    assert_eq!(after, wanted);
    let history = place.copy();
    let status = |more: &[&str]| {
        let args = ["status", "--history", history.as_str()];
        let run = run(&place, &[&args[..], more].concat());
        (run.status.code(), String::from_utf8(run.stdout).unwrap())
    };
    let (code, text) = status(&["--advisory", NEW]);
    assert_eq!(code, Some(1));
    assert!(
        text.starts_with(&format!("{NEW}  openssl 1.1.1g in system: affected\n"))
            && text.contains("opened by a new advisory\n"),
        "{text}"
    );
    let (_, text) = status(&["--format", "json"]);
    let told: Value = serde_json::from_str(&text).unwrap();
    let open = told["targets"][0]["open"].as_array().unwrap().iter();
    let open: Vec<&str> = open
        .flat_map(|package| package["findings"].as_array().unwrap())
        .map(|finding| finding["id"].as_str().unwrap())
        .collect();
    assert!(open.contains(&NEW) && !open.contains(&WITHDRAWN));
}
