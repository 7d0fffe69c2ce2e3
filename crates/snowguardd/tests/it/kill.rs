//! What `kill -9` may do: nothing is lost, and what arrives twice has the same key.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use snowguard_testkit::web::Web;
use snowguard_watch::History;

use crate::support::{Place, Running, until};

const KILLS: usize = 200;

#[test]
fn nothing_is_lost_whenever_it_is_killed() {
    let place = Place::with_scanner();
    let web = Web::start().unwrap();
    web.put("/hook", "taken");
    let mut settings = std::fs::OpenOptions::new()
        .append(true)
        .open(place.path("watch.toml"))
        .unwrap();
    writeln!(
        settings,
        "[notify.file]\npath = '{}/told.jsonl'\n[notify.webhook]\nurl = '{}'",
        place.root(),
        web.url("/hook")
    )
    .unwrap();
    place.finds("0", &["CVE-0"]);
    // Whoever is told from the beginning is told everything.
    place.history().publish(&place.copy()).unwrap();
    for kind in ["file", "webhook"] {
        let run = place.notifier(kind, &["--once"]).output().unwrap();
        assert!(run.status.success(), "{run:?}");
    }

    let start = |slot: usize| match slot {
        0 => place.watch(&[]),
        1 => Running::start(
            place
                .notifier("file", &[])
                .stderr(std::process::Stdio::null()),
        ),
        _ => Running::start(
            place
                .notifier("webhook", &[])
                .stderr(std::process::Stdio::null()),
        ),
    };
    let changing = AtomicBool::new(true);
    std::thread::scope(|scope| {
        scope.spawn(|| change(&place, &changing));
        let mut running = [0, 1, 2].map(start);
        let mut chance = 88_172_645_463_325_252_u64;
        for _ in 0..KILLS {
            // Xorshift: the points are random and the same in every run.
            chance ^= chance << 13;
            chance ^= chance >> 7;
            chance ^= chance << 17;
            let slot = usize::try_from(chance % 3).unwrap();
            std::thread::sleep(Duration::from_millis(chance / 3 % 120));
            running[slot].0.kill().unwrap();
            running[slot].0.wait().unwrap();
            running[slot] = start(slot);
        }
        changing.store(false, Ordering::Relaxed);
    });
    // Undisturbed, they finish what they have begun.
    let mut requests = Vec::new();
    let _running = [0, 1, 2].map(start);
    let mut settled = BTreeSet::new();
    until("everything is told", || {
        requests.extend(web.seen());
        settled = recorded(&place);
        let file: BTreeSet<String> = lines(&place).into_iter().collect();
        let hook: BTreeSet<String> = requests
            .iter()
            .flat_map(|request| keys(&request.body))
            .collect();
        settled.len() > 20 && file == settled && hook == settled
    });

    let written = lines(&place);
    let arrived: Vec<&str> = requests
        .iter()
        .filter_map(|r| r.header("idempotency-key"))
        .collect();
    let messages: BTreeSet<&str> = arrived.iter().copied().collect();
    println!(
        "{KILLS} kills, {} changes; file: {} lines, {} twice; webhook: {} messages, {} twice",
        settled.len(),
        written.len(),
        written.len() - settled.len(),
        messages.len(),
        arrived.len() - messages.len()
    );
    assert_eq!(
        written.len(),
        settled.len(),
        "the file has each change once"
    );
    // With the messages of one key left out but one, each change has arrived once.
    let mut once = BTreeSet::new();
    let changes: usize = requests
        .iter()
        .filter(|request| once.insert(request.header("idempotency-key")))
        .map(|request| keys(&request.body).len())
        .sum();
    assert_eq!(changes, settled.len());
}

/// Another system, with other findings, again and again.
fn change(place: &Place, changing: &AtomicBool) {
    for round in 1_u32.. {
        if !changing.load(Ordering::Relaxed) {
            return;
        }
        let advisories: Vec<String> = (0..12)
            .filter(|bit| round >> (bit % 6) & 1 == bit / 6)
            .map(|bit| format!("CVE-{bit}"))
            .collect();
        let advisories: Vec<&str> = advisories.iter().map(String::as_str).collect();
        place.finds(&round.to_string(), &advisories);
        place.system(&format!("system-{}", round % 50));
        std::thread::sleep(Duration::from_millis(25));
    }
}

/// The keys of all changes that are written down.
fn recorded(place: &Place) -> BTreeSet<String> {
    let path = place.root().join("state/watch.sqlite");
    let events = History::open(&path, "test")
        .and_then(|history| history.reading())
        .and_then(|reading| reading.events_after(0, 1_000_000));
    let events = events.unwrap_or_default();
    events.iter().map(|event| event.key.to_string()).collect()
}

fn lines(place: &Place) -> Vec<String> {
    let text = std::fs::read_to_string(place.path("told.jsonl")).unwrap_or_default();
    text.lines()
        .map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            line["key"].as_str().unwrap().to_owned()
        })
        .collect()
}

fn keys(body: &[u8]) -> Vec<String> {
    let body: serde_json::Value = serde_json::from_slice(body).unwrap();
    let changes = body["changes"].as_array().unwrap();
    changes
        .iter()
        .map(|change| change["key"].as_str().unwrap().to_owned())
        .collect()
}
