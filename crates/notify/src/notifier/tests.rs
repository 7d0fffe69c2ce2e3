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
    refuse: Refusal,
    /// More changes than these are too large.
    takes: Option<usize>,
    refused: usize,
    most: Option<usize>,
}

impl Deliver for Receiver {
    fn deliver(&mut self, message: &Message, again: bool) -> Result<(), DeliverError> {
        if self.fail {
            return Err(DeliverError::new("not now"));
        }
        let too_many = self.takes.is_some_and(|most| message.changes.len() > most);
        let refused = if too_many {
            Refusal::TooLarge
        } else {
            self.refuse
        };
        if refused != Refusal::No {
            self.refused += 1;
            let mut error = DeliverError::new("not this");
            error.refused = refused;
            return Err(error);
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
    target: &'static str,
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
            target: "system",
        }
    }

    fn path(&self, name: &str) -> Utf8PathBuf {
        Utf8PathBuf::from_path_buf(self.directory.path().join(name)).unwrap()
    }

    fn scan(&mut self, advisories: &[&str]) {
        self.second += 1;
        let at = Timestamp::from_second(self.second).unwrap();
        let about = About {
            target: self.target.into(),
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
    notifier.deliver.refuse = Refusal::Wrong;
    // Nothing is set aside before a day has passed since it was first refused.
    let mut since = None;
    for _ in 0..3 {
        assert!(matches!(notifier.once(), Err(NotifierError::Deliver(_))));
        assert!(!place.path("refused").exists());
        let cursor = Cursor::load(&notifier.state).unwrap().unwrap();
        assert!(cursor.refused_since.is_some());
        assert_eq!(
            *since.get_or_insert(cursor.refused_since),
            cursor.refused_since
        );
    }
    refused_for(&notifier, SignedDuration::from_hours(25));
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
    // The next has a day of its own.
    assert!(matches!(notifier.once(), Err(NotifierError::Deliver(_))));
    refused_for(&notifier, SignedDuration::from_hours(23));
    notifier.deliver.refuse = Refusal::No;
    notifier.once().unwrap();
    assert_eq!(notifier.deliver.heard.len(), 1);
    let cursor = Cursor::load(&notifier.state).unwrap().unwrap();
    assert_eq!(cursor.refused_since, None);
}

/// Makes the message that is being told one that was refused for so long.
fn refused_for(notifier: &Notifier<Receiver>, time: SignedDuration) {
    let mut cursor = Cursor::load(&notifier.state).unwrap().unwrap();
    cursor.refused_since = Some(now().checked_sub(time).unwrap());
    cursor.save(&notifier.state).unwrap();
}

#[test]
fn what_is_too_large_is_told_in_parts() {
    let mut place = Place::new();
    place.scan(&[]);
    let mut notifier = place.notifier();
    notifier.once().unwrap();
    let ids: Vec<String> = (0..25).map(|id| format!("CVE-{id}")).collect();
    place.scan(&ids.iter().map(String::as_str).collect::<Vec<_>>());
    notifier.deliver.takes = Some(7);
    notifier.once().unwrap();
    let heard = notifier.deliver.heard[1..].iter();
    assert_eq!(
        heard.map(|heard| heard.1).collect::<Vec<_>>(),
        [6, 6, 6, 6, 1]
    );
    // How many it takes is found out once.
    assert_eq!(notifier.deliver.refused, 2);
    assert_eq!(Cursor::load(&notifier.state).unwrap().unwrap().most, None);
    // Where a single one is too large, each is set aside at once, and alone.
    place.scan(&["CVE-1", "CVE-2"]);
    let before = notifier.deliver.heard.len();
    notifier.deliver.takes = Some(0);
    let error = notifier.once().unwrap_err();
    assert!(matches!(error, NotifierError::Refused { messages: 23, .. }));
    assert_eq!(notifier.deliver.heard.len(), before);
    assert_eq!(
        std::fs::read_dir(place.path("refused")).unwrap().count(),
        23
    );
}

#[test]
fn a_summary_that_is_too_large_is_told_in_parts() {
    let mut place = Place::new();
    place.scan(&[]);
    place.target = "profile";
    place.scan(&[]);
    let mut notifier = place.notifier();
    notifier.deliver.takes = Some(1);
    notifier.once().unwrap();
    assert_eq!(notifier.deliver.heard.len(), 2);
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
