//! One notifier at work: reads the history, and tells what its policy asks for, each change at least
//! once and in practice once.
#![expect(clippy::disallowed_methods, reason = "a service knows the time")]

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use camino::Utf8PathBuf;
use jiff::Timestamp;
use snowguard_watch::history::{Event, Told};
use snowguard_watch::policy::Policy;
use snowguard_watch::service::{in_full, now};
use snowguard_watch::trigger::Watcher;
use snowguard_watch::{Key, Message, Reading};

use crate::cursor::Cursor;
use crate::{CursorError, Deliver, DeliverError};

/// So many changes are one message at most.
const BATCH: usize = 2_000;
/// How often it is looked at what no event may have told.
const LOOK: Duration = Duration::from_mins(5);
/// How often it is looked for a history that is not there.
const LOOK_FOR_HISTORY: Duration = Duration::from_secs(5);
/// The first pause after something could not be told; it doubles.
const PAUSE: Duration = Duration::from_secs(5);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_mins(10);

/// What a notifier is woken by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// There may be a new history.
    Changed,
    /// It is to end.
    Stop,
}

/// A notifier.
pub struct Notifier<D> {
    /// The copy of the history.
    pub history: Utf8PathBuf,
    /// Where the cursor is kept.
    pub state: Utf8PathBuf,
    /// The name of the machine.
    pub host: String,
    /// What is told.
    pub policy: Policy,
    /// Who tells it.
    pub deliver: D,
}

/// What could not be done.
#[derive(Debug, thiserror::Error)]
pub enum NotifierError {
    /// The history cannot be read.
    #[error(transparent)]
    History(#[from] snowguard_watch::HistoryError),
    /// The cursor cannot be kept.
    #[error(transparent)]
    Cursor(#[from] CursorError),
    /// The message could not be told.
    #[error(transparent)]
    Deliver(#[from] DeliverError),
}

impl NotifierError {
    /// What to do.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::History(error) => Some(error.hint()),
            Self::Cursor(error) => Some(error.hint()),
            Self::Deliver(error) => error.hint,
        }
    }
}

/// What was done, and what is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// Something was told: there may be more.
    Told,
    /// There is nothing to tell.
    Nothing,
    /// There is something, and it is gathered until then.
    Gathering(Timestamp),
}

impl<D: Deliver> Notifier<D> {
    /// Tells what there is, until nothing is left.
    pub fn once(&mut self) -> Result<(), NotifierError> {
        let history = Reading::of_copy(&self.history)?;
        while self.step(&history)? == Done::Told {}
        Ok(())
    }

    /// Runs until it is told to stop. What fails is tried again, and told to `log`.
    pub fn run(&mut self, wake: &Sender<Wake>, wakes: &Receiver<Wake>, log: &mut dyn FnMut(&str)) {
        let watcher = Watcher::new().ok();
        if let Some(watcher) = watcher.clone() {
            let wake = wake.clone();
            std::thread::spawn(
                move || {
                    while watcher.wait().is_ok() && wake.send(Wake::Changed).is_ok() {}
                },
            );
        }
        let mut failures = 0;
        loop {
            if let Some(watcher) = &watcher {
                watcher.watch([], &self.history);
            }
            let wait = if self.history.exists() {
                match self.all() {
                    Ok(Done::Gathering(until)) => {
                        failures = 0;
                        let seconds = until.as_second().saturating_sub(now().as_second());
                        Duration::from_secs(u64::try_from(seconds).unwrap_or(0).max(1)).min(LOOK)
                    }
                    Ok(_) => {
                        failures = 0;
                        LOOK
                    }
                    Err(error) => {
                        log(&in_full(&error));
                        if let Some(hint) = error.hint() {
                            log(&format!("hint: {hint}"));
                        }
                        let pause = PAUSE.saturating_mul(1 << failures.min(10));
                        failures += 1;
                        pause.min(LONGEST_PAUSE)
                    }
                }
            } else {
                LOOK_FOR_HISTORY
            };
            if !sleep(wait, failures > 0, wakes) {
                return;
            }
        }
    }

    /// Tells one message, if there is one to tell.
    pub fn step(&mut self, history: &Reading) -> Result<Done, NotifierError> {
        let instance = history.instance()?;
        let mut again = true;
        let mut cursor = match Cursor::load(&self.state)? {
            Some(cursor) if cursor.instance == instance => cursor,
            // The history was begun anew: its first scan is a summary.
            Some(_) => Cursor::new(&instance, 0),
            None => {
                again = false;
                let cursor = Cursor::new(&instance, history.last_event()?);
                cursor.save(&self.state)?;
                cursor
            }
        };
        if !cursor.greeted {
            let mut greeted = cursor.clone();
            greeted.greeted = true;
            greeted.last = Some(now());
            if let Some(message) = self.summary(history, &instance)? {
                self.deliver.deliver(&message, again)?;
                greeted.save(&self.state)?;
                return Ok(Done::Told);
            }
            greeted.save(&self.state)?;
            cursor = greeted;
        }
        let (through, again) = match cursor.telling {
            Some(through) => (through, true),
            None => match self.next(history, &cursor)? {
                Next::Nothing => return Ok(Done::Nothing),
                Next::Gather(until) => return Ok(Done::Gathering(until)),
                Next::Skip(through) => {
                    cursor.told = through;
                    cursor.save(&self.state)?;
                    return Ok(Done::Told);
                }
                Next::Tell(through) => {
                    cursor.telling = Some(through);
                    cursor.save(&self.state)?;
                    (through, false)
                }
            },
        };
        let events = history.events_between(cursor.told, through)?;
        if let Some(message) = Message::new(&self.host, self.wanted(events)) {
            self.deliver.deliver(&message, again)?;
        }
        cursor.told = through;
        cursor.telling = None;
        cursor.last = Some(now());
        cursor.save(&self.state)?;
        Ok(Done::Told)
    }

    fn all(&mut self) -> Result<Done, NotifierError> {
        let history = Reading::of_copy(&self.history)?;
        loop {
            match self.step(&history)? {
                Done::Told => {}
                done => return Ok(done),
            }
        }
    }

    fn next(&self, history: &Reading, cursor: &Cursor) -> Result<Next, NotifierError> {
        let events = history.events_after(cursor.told, BATCH)?;
        let Some(through) = events.last().map(|event| event.seq) else {
            return Ok(Next::Nothing);
        };
        let wanted = self.wanted(events);
        if wanted.is_empty() {
            return Ok(Next::Skip(through));
        }
        let urgent = wanted
            .iter()
            .any(|event| self.policy.is_urgent(&event.told));
        if let (Some(every), Some(last), false) = (self.policy.at_most_every, cursor.last, urgent) {
            let until = last.checked_add(every.get()).unwrap_or(Timestamp::MAX);
            // A clock that was set back gathers nothing for a year.
            if until > now() && last <= now() {
                return Ok(Next::Gather(until));
            }
        }
        Ok(Next::Tell(through))
    }

    fn wanted(&self, events: Vec<Event>) -> Vec<Event> {
        events
            .into_iter()
            .filter(|event| self.policy.wants(&event.told))
            .collect()
    }

    /// What a new notifier begins with: what is open now, as the first scan would have told it.
    fn summary(&self, history: &Reading, instance: &str) -> Result<Option<Message>, NotifierError> {
        let mut events = Vec::new();
        for target in history.targets()? {
            let Some(last) = &target.last else {
                continue;
            };
            events.push(Event {
                seq: 0,
                key: Key::of(["begin", instance, &self.host, &target.name]),
                at: last.finished,
                told: Told::summary(&target.name, &last.title, &last.counts),
            });
        }
        Ok(Message::new(&self.host, events))
    }
}

enum Next {
    Nothing,
    Gather(Timestamp),
    Skip(i64),
    Tell(i64),
}

/// Waits; tells whether to go on. After a failure only time counts: what is new does not mend it.
fn sleep(wait: Duration, failed: bool, wakes: &Receiver<Wake>) -> bool {
    let begin = Instant::now();
    loop {
        let left = wait.saturating_sub(begin.elapsed());
        match wakes.recv_timeout(left) {
            Ok(Wake::Stop) | Err(RecvTimeoutError::Disconnected) => return false,
            Ok(Wake::Changed) if !failed => return true,
            Err(RecvTimeoutError::Timeout) => return true,
            Ok(Wake::Changed) => {}
        }
    }
}

/// The name of this machine.
pub fn host_name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

#[cfg(test)]
pub(crate) mod tests {
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
    }

    impl Deliver for Receiver {
        fn deliver(&mut self, message: &Message, again: bool) -> Result<(), DeliverError> {
            if self.fail {
                return Err(DeliverError::new("not now"));
            }
            self.heard
                .push((message.key.clone(), message.changes.len(), again));
            Ok(())
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
}
