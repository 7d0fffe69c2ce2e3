//! One notifier at work: reads the history, and tells what its policy asks for, each change at least
//! once and in practice once.
#![expect(clippy::disallowed_methods, reason = "a service knows the time")]

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use camino::Utf8PathBuf;
use jiff::{SignedDuration, Timestamp};
use snowguard_watch::history::{Event, Told};
use snowguard_watch::policy::Policy;
use snowguard_watch::service::{in_full, now};
use snowguard_watch::trigger::Watcher;
use snowguard_watch::{Key, Message, Reading};

use crate::cursor::Cursor;
use crate::{CursorError, Deliver, DeliverError, Refusal, refused};

/// So many changes are looked at together.
const BATCH: usize = 2_000;
/// How often it is looked at what no event may have told.
const LOOK: Duration = Duration::from_mins(5);
/// How often it is looked for a history that is not there.
const LOOK_FOR_HISTORY: Duration = Duration::from_secs(5);
/// The first pause after something could not be told; it doubles.
const PAUSE: Duration = Duration::from_secs(5);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_mins(10);

/// A message that its receiver finds something wrong with is tried for so long: a key that was changed, or
/// a proxy that is set up wrongly, looks the same from here.
const GIVEN_UP_AFTER: SignedDuration = SignedDuration::from_hours(24);

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
    /// Messages were refused, and given up.
    #[error("{messages} messages were refused, the last is kept as {kept}")]
    Refused {
        /// How many.
        messages: usize,
        /// Where the last of them is.
        kept: Utf8PathBuf,
        /// Why it was refused.
        #[source]
        source: DeliverError,
    },
}

impl NotifierError {
    /// What to do.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::History(error) => Some(error.hint()),
            Self::Cursor(error) => Some(error.hint()),
            Self::Deliver(error) | Self::Refused { source: error, .. } => error.hint,
        }
    }
}

/// What was done, and what is to do.
#[derive(Debug)]
pub enum Done {
    /// Something was told, or is to be told in parts: there may be more.
    Told,
    /// Something was refused and given up, and kept: there may be more.
    Refused(Refused),
    /// There is nothing to tell.
    Nothing,
    /// There is something, and it is gathered until then.
    Gathering(Timestamp),
}

/// A message that its receiver did not take.
#[derive(Debug)]
pub struct Refused {
    /// Where it is kept.
    pub kept: Utf8PathBuf,
    /// Why.
    pub error: DeliverError,
}

impl<D: Deliver> Notifier<D> {
    /// Tells what there is, until nothing is left. That something was refused is said at the end.
    pub fn once(&mut self) -> Result<(), NotifierError> {
        let history = Reading::of_copy(&self.history)?;
        let (mut messages, mut last) = (0, None);
        loop {
            match self.step(&history)? {
                Done::Told => {}
                Done::Refused(refused) => {
                    messages += 1;
                    last = Some(refused);
                }
                Done::Nothing | Done::Gathering(_) => break,
            }
        }
        match last {
            None => Ok(()),
            Some(Refused { kept, error }) => Err(NotifierError::Refused {
                messages,
                kept,
                source: error,
            }),
        }
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
                match self.all(log) {
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
            let summary = self.summary(history, &instance)?;
            let done = match &summary {
                Some(message) => Some(self.greet(message, again, &mut cursor)?),
                None => None,
            };
            cursor.greeted = true;
            cursor.refused_since = None;
            cursor.last = Some(now());
            cursor.save(&self.state)?;
            if let Some(done) = done {
                return Ok(done);
            }
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
                Next::Tell(chosen) => {
                    let through = chosen.last().copied().unwrap_or(cursor.told);
                    cursor.telling = Some(through);
                    cursor.chosen = Some(chosen);
                    cursor.wave = cursor.wave.max(history.last_event()?);
                    cursor.save(&self.state)?;
                    (through, false)
                }
            },
        };
        let mut events = history.events_between(cursor.told, through)?;
        events.retain(|event| match &cursor.chosen {
            Some(chosen) => chosen.contains(&event.seq),
            None => self.policy.wants(&event.told),
        });
        let done = match Message::new(&self.host, events) {
            Some(message) => match self.tell(&message, again, &mut cursor)? {
                Outcome::Done(done) => done,
                Outcome::TooLarge => {
                    let half = message.changes.len() / 2;
                    let chosen: Vec<i64> = message.changes[..half].iter().map(|e| e.seq).collect();
                    cursor.telling = chosen.last().copied();
                    cursor.chosen = Some(chosen);
                    cursor.most = Some(half);
                    cursor.refused_since = None;
                    cursor.save(&self.state)?;
                    return Ok(Done::Told);
                }
            },
            None => Done::Told,
        };
        cursor.told = through;
        cursor.refused_since = None;
        // What took more than it may have is told by now, or set aside.
        if through >= cursor.wave || matches!(done, Done::Refused(_)) {
            cursor.most = None;
        }
        cursor.telling = None;
        cursor.chosen = None;
        cursor.last = Some(now());
        cursor.save(&self.state)?;
        Ok(done)
    }

    /// Tells a message. One that is refused for long enough is kept, so that it holds up no other.
    fn tell(
        &mut self,
        message: &Message,
        again: bool,
        cursor: &mut Cursor,
    ) -> Result<Outcome, NotifierError> {
        let Err(error) = self.deliver.deliver(message, again) else {
            return Ok(Outcome::Done(Done::Told));
        };
        let now = now();
        match error.refused {
            Refusal::No => return Err(error.into()),
            Refusal::TooLarge if message.changes.len() > 1 => return Ok(Outcome::TooLarge),
            Refusal::TooLarge => {}
            Refusal::Wrong => {
                // With a clock that was set back, the time begins again.
                let since = cursor.refused_since.filter(|since| *since <= now);
                if since.is_none_or(|since| now.duration_since(since) < GIVEN_UP_AFTER) {
                    cursor.refused_since = Some(since.unwrap_or(now));
                    cursor.save(&self.state)?;
                    return Err(error.into());
                }
            }
        }
        let kept = refused::keep(&self.state, message, now)?;
        Ok(Outcome::Done(Done::Refused(Refused { kept, error })))
    }

    /// Tells the summary that a new notifier begins with, if need be one target after the other.
    fn greet(
        &mut self,
        message: &Message,
        again: bool,
        cursor: &mut Cursor,
    ) -> Result<Done, NotifierError> {
        if let Outcome::Done(done) = self.tell(message, again, cursor)? {
            return Ok(done);
        }
        let mut all = Done::Told;
        for event in &message.changes {
            let one = Message::new(&self.host, vec![event.clone()]);
            if let Some(one) = one
                && let Outcome::Done(done @ Done::Refused(_)) = self.tell(&one, again, cursor)?
            {
                all = done;
            }
        }
        Ok(all)
    }

    fn all(&mut self, log: &mut dyn FnMut(&str)) -> Result<Done, NotifierError> {
        let history = Reading::of_copy(&self.history)?;
        loop {
            match self.step(&history)? {
                Done::Told => {}
                Done::Refused(Refused { kept, error }) => {
                    log(&format!(
                        "{}; the message is kept as {kept}",
                        in_full(&error)
                    ));
                }
                done => return Ok(done),
            }
        }
    }

    fn next(&self, history: &Reading, cursor: &Cursor) -> Result<Next, NotifierError> {
        let mut events = history.events_after(cursor.told, BATCH)?;
        let Some(through) = events.last().map(|event| event.seq) else {
            return Ok(Next::Nothing);
        };
        events.retain(|event| self.policy.wants(&event.told));
        if events.is_empty() {
            return Ok(Next::Skip(through));
        }
        let urgent = events
            .iter()
            .any(|event| self.policy.is_urgent(&event.told));
        // The rest of what is being told already waits for nothing.
        let gathers = !urgent && cursor.told >= cursor.wave;
        if let (Some(every), Some(last), true) = (self.policy.at_most_every, cursor.last, gathers) {
            let until = last.checked_add(every.get()).unwrap_or(Timestamp::MAX);
            // A clock that was set back gathers nothing for a year.
            if until > now() && last <= now() {
                return Ok(Next::Gather(until));
            }
        }
        let most = self.deliver.most();
        events.truncate(cursor.most.map_or(most, |fewer| fewer.min(most)));
        Ok(Next::Tell(events.iter().map(|event| event.seq).collect()))
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

/// What became of a message.
enum Outcome {
    Done(Done),
    /// Its receiver may take it in parts.
    TooLarge,
}

enum Next {
    Nothing,
    Gather(Timestamp),
    Skip(i64),
    /// These, in order.
    Tell(Vec<i64>),
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
pub(crate) mod tests;
