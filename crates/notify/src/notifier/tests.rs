use snowguard_watch::history::{About, History};
use snowguard_watch::{Kind, Observation};

use super::*;

/// A message about as many findings of `openssl`.
pub(crate) fn message(ids: &[&str]) -> Message {
    let events = ids.iter().zip(1..).map(|(id, seq)| Event {
        seq,
        key: Key::of([*id]),
        at: Timestamp::from_second(1_800_000_000).unwrap(),
        told: serde_json::from_value(serde_json::json!({
            "kind": Kind::Opened, "cause": "advisories", "target": "system",
            "advisory": format!("CVE-2026-{id}"), "package": "openssl",
            "versions": ["1.1.1g"], "severity": "high", "score": 7.5,
            "url": "https://advisories.example/", "summary": "A <b>title</b>\u{202e}",
            "update_to": "1.1.1za",
        }))
        .unwrap(),
    });
    Message::new("tern", events.collect()).unwrap()
}

/// Fails when asked to, and remembers the rest.
#[derive(Default)]
struct Receiver {
    heard: Vec<(Key, usize, bool)>,
    fail: bool,
    refuse: bool,
    most: Option<usize>,
}

impl Deliver for Receiver {
    fn deliver(&mut self, message: &Message, again: bool) -> Result<(), DeliverError> {
        if self.fail {
            return Err(DeliverError::new("not now"));
        }
        if self.refuse {
            let mut never = DeliverError::new("not this");
            never.refused = true;
            return Err(never);
        }
        self.heard
            .push((message.key.clone(), message.changes.len(), again));
        Ok(())
    }

    fn most(&self) -> usize {
        self.most.unwrap_or(2_000)
    }
}

struct Place {
    directory: tempfile::TempDir,
    history: History,
    second: i64,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(directory.path().join("watch.sqlite")).unwrap();
        let history = History::open(&path, "test").unwrap();
        Self {
            directory,
            history,
            second: 0,
        }
    }

    fn path(&self, name: &str) -> Utf8PathBuf {
        Utf8PathBuf::from_path_buf(self.directory.path().join(name)).unwrap()
    }

    fn scan(&mut self, advisories: &[&str]) {
        self.second += 1;
        let at = Timestamp::from_second(self.second).unwrap();
        let about = About {
            target: "system".into(),
            reason: "schedule".into(),
            root: self.second.to_string(),
            fingerprint: String::new(),
            started: at,
            finished: at,
        };
        let findings: Vec<_> = advisories
            .iter()
            .map(|id| serde_json::json!({"id": id, "status": "affected"}))
            .collect();
        let text = serde_json::json!({
            "schema": "snowguard-scan/1", "tool": {"version": "1"},
            "subject": {"title": "t", "objects": 1, "components": 1},
            "index": {"vulnerabilities": 1},
            "packages": [{"name": "p", "version": "1", "findings": findings}],
        });
        let seen = Observation::read(text.to_string().as_bytes()).unwrap();
        self.history.record(&about, &seen).unwrap();
        self.history.publish(&self.path("history.sqlite")).unwrap();
    }

    fn notifier(&self) -> Notifier<Receiver> {
        Notifier {
            history: self.path("history.sqlite"),
            state: self.path(""),
            host: "tern".into(),
            policy: Policy::everything(),
            deliver: Receiver::default(),
        }
    }
}

#[test]
fn a_message_that_failed_is_the_same_the_next_time() {
    let mut place = Place::new();
    place
        .history
        .publish(&place.path("history.sqlite"))
        .unwrap();
    let mut notifier = place.notifier();
    notifier.once().unwrap();
    assert!(notifier.deliver.heard.is_empty());
    place.scan(&[]);
    notifier.deliver.fail = true;
    assert!(notifier.once().is_err());
    // More has happened meanwhile, and is a message of its own.
    place.scan(&["CVE-1", "CVE-2"]);
    let mut restarted = place.notifier();
    restarted.once().unwrap();
    let heard = &restarted.deliver.heard;
    assert_eq!(
        heard.iter().map(|h| (h.1, h.2)).collect::<Vec<_>>(),
        [(1, true), (2, false)]
    );
    restarted.once().unwrap();
    assert_eq!(restarted.deliver.heard.len(), 2);
}

#[test]
fn another_policy_makes_no_other_message_of_the_same() {
    let mut place = Place::new();
    place.scan(&[]);
    place.notifier().once().unwrap();
    place.scan(&["CVE-1", "CVE-2"]);
    place.scan(&["CVE-1"]);
    place.scan(&["CVE-1", "CVE-3"]);
    let mut before = place.notifier();
    before.deliver.fail = true;
    before.policy.resolved = false;
    assert!(before.once().is_err());
    // It may have arrived. With other settings it is told again, and is the same.
    let key = {
        let history = Reading::of_copy(&before.history).unwrap();
        let events = history.events_after(1, 10).unwrap();
        let opened = events
            .iter()
            .filter(|event| before.policy.wants(&event.told));
        Key::of_all(opened.map(|event| &event.key))
    };
    let mut after = place.notifier();
    after.once().unwrap();
    assert_eq!(after.deliver.heard, [(key, 3, true)]);
}

#[test]
fn what_is_refused_holds_up_nothing() {
    let mut place = Place::new();
    place.scan(&[]);
    place.notifier().once().unwrap();
    place.scan(&["CVE-1"]);
    let mut notifier = place.notifier();
    notifier.deliver.refuse = true;
    let error = notifier.once().unwrap_err();
    let NotifierError::Refused {
        kept, messages: 1, ..
    } = &error
    else {
        panic!("{error}");
    };
    assert!(
        std::fs::read_to_string(kept)
            .unwrap()
            .contains("\"advisory\":\"CVE-1\"")
    );
    place.scan(&["CVE-1", "CVE-2"]);
    notifier.deliver.refuse = false;
    notifier.once().unwrap();
    assert_eq!(notifier.deliver.heard.len(), 1);
}

#[test]
fn a_wave_is_several_messages_and_is_gathered_once() {
    let mut place = Place::new();
    place.scan(&[]);
    let mut notifier = place.notifier();
    notifier.once().unwrap();
    let ids: Vec<String> = (0..25).map(|id| format!("CVE-{id}")).collect();
    place.scan(&ids.iter().map(String::as_str).collect::<Vec<_>>());
    // Nothing was told for longer than it is gathered.
    let mut cursor = Cursor::load(&notifier.state).unwrap().unwrap();
    cursor.last = Some(Timestamp::UNIX_EPOCH);
    cursor.save(&notifier.state).unwrap();
    notifier.policy.at_most_every = Some("1d".parse().unwrap());
    notifier.deliver.most = Some(10);
    notifier.once().unwrap();
    let heard = notifier.deliver.heard[1..].iter();
    assert_eq!(heard.map(|heard| heard.1).collect::<Vec<_>>(), [10, 10, 5]);
    place.scan(&[]);
    notifier.once().unwrap();
    assert_eq!(
        notifier.deliver.heard.len(),
        4,
        "what comes later is gathered"
    );
}

#[test]
fn a_new_notifier_begins_with_what_is_there() {
    let mut place = Place::new();
    place.scan(&["CVE-1"]);
    place.scan(&["CVE-1", "CVE-2"]);
    let mut notifier = place.notifier();
    notifier.once().unwrap();
    assert_eq!(notifier.deliver.heard.len(), 1);
    place.scan(&["CVE-1"]);
    notifier.once().unwrap();
    assert_eq!(notifier.deliver.heard[1].1, 1);
}

#[test]
fn a_history_that_was_begun_anew_is_told_from_its_beginning() {
    let mut place = Place::new();
    place.scan(&["CVE-1"]);
    place.notifier().once().unwrap();
    let anew = place.path("anew.sqlite");
    place.history = History::open(&anew, "another").unwrap();
    place.scan(&["CVE-1"]);
    let mut notifier = place.notifier();
    notifier.once().unwrap();
    assert_eq!(notifier.deliver.heard.len(), 1);
}

#[test]
fn changes_are_gathered() {
    let mut place = Place::new();
    place.scan(&["CVE-1"]);
    let mut notifier = place.notifier();
    notifier.policy.at_most_every = Some("1h".parse().unwrap());
    notifier.once().unwrap();
    place.scan(&[]);
    let history = Reading::of_copy(&notifier.history).unwrap();
    assert!(matches!(notifier.step(&history), Ok(Done::Gathering(_))));
    assert_eq!(notifier.deliver.heard.len(), 1);
}
