//! The watcher at work: waits for something to happen, scans, records, and publishes.
#![expect(clippy::disallowed_methods, reason = "a service knows the time")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;

use crate::history::{About, History, HistoryError, Reading};
use crate::observation::Observation;
use crate::ready::Manager;
use crate::results::{Results, ResultsError};
use crate::scanner::{Failed, Scanner};
use crate::settings::{Target, Watch};
use crate::settle::Settling;
use crate::trigger::{self, Due, Now, Reason, Watcher};

/// How often it is looked at what no event may have told.
const LOOK: Duration = Duration::from_mins(5);
/// A burst of events is looked at once.
const BURST: Duration = Duration::from_millis(100);

/// What the service is woken by.
#[derive(Debug)]
pub enum Wake {
    /// Something in a watched directory changed.
    Changed,
    /// It is to end.
    Stop,
    /// A scan has ended.
    Scanned(Box<Scanned>),
}

/// A scan that has ended.
#[derive(Debug)]
pub struct Scanned {
    about: About,
    outcome: Result<Observation, Box<Failed>>,
}

/// What the service works with.
#[derive(Debug)]
pub struct Service {
    /// What is scanned, and when.
    pub settings: Watch,
    /// The program that scans where the settings name none.
    pub program: Utf8PathBuf,
    /// What scans may keep.
    pub cache: Option<Utf8PathBuf>,
    /// Where everything is written down.
    pub history: History,
    /// The copy for readers.
    pub copy: Utf8PathBuf,
    /// The latest result of each target.
    pub results: Results,
    /// Who is told how it goes.
    pub manager: Manager,
    /// Ends after the first scan of each target.
    pub once: bool,
}

/// Why the service ended.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The history cannot be used.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// Changes cannot be watched.
    #[error("cannot watch directories")]
    Inotify(#[source] std::io::Error),
}

/// What the service tells whoever runs it.
pub trait Listener {
    /// The copy for readers is new.
    fn published(&mut self, history: &Reading);
    /// A line for the log.
    fn log(&mut self, line: &str);
}

impl Service {
    /// Runs until it is told to stop.
    pub fn run(
        mut self,
        wake: &Sender<Wake>,
        wakes: &Receiver<Wake>,
        listener: &mut dyn Listener,
    ) -> Result<(), ServiceError> {
        let watcher = Watcher::new().map_err(ServiceError::Inotify)?;
        listen(&watcher, wake.clone());
        let instance = self.publish(listener)?;
        let names = self.settings.target.iter().map(|target| &*target.name);
        tell(self.results.restore(names), listener);
        self.manager.ready();
        let mut state = Running::default();
        loop {
            self.manager.alive();
            watcher.watch(
                self.settings
                    .target
                    .iter()
                    .map(|target| target.input.as_path()),
                &self.settings.index,
            );
            let mut wait = LOOK;
            if state.scanning.is_none() {
                match self.next(&instance)? {
                    // What is due was scanned; what failed is for the next time.
                    Some(Next { due, .. })
                        if self.once && (due.at > now() || matches!(due.reason, Reason::Retry)) =>
                    {
                        return Ok(());
                    }
                    Some(next) => {
                        wait = wait.min(self.until(&next, &mut state));
                        if wait.is_zero() {
                            self.start(&next.target, next.due.reason, wake, &mut state);
                            continue;
                        }
                        let (target, at) = (&next.target.name, next.due.at);
                        let in_words = format!("next scan: {target} at {at}");
                        self.manager.status(&in_words);
                    }
                    None => {}
                }
            }
            match self.sleep(wait, wakes) {
                None => {}
                Some(Wake::Changed) => {
                    std::thread::sleep(BURST);
                    // What else has happened is part of the same.
                    while let Ok(more) = wakes.try_recv() {
                        if !matches!(more, Wake::Changed) {
                            let _ = wake.send(more);
                            break;
                        }
                    }
                }
                Some(Wake::Stop) => {
                    self.manager.stopping();
                    state.stop.store(true, Ordering::Relaxed);
                    if let Some(scan) = state.scanning.take() {
                        let _ = scan.join();
                    }
                    return Ok(());
                }
                Some(Wake::Scanned(scanned)) => {
                    state.scanning = None;
                    self.record(*scanned, listener)?;
                }
            }
        }
    }

    /// Waits, and goes on telling that it is alive.
    fn sleep(&self, wait: Duration, wakes: &Receiver<Wake>) -> Option<Wake> {
        let begin = Instant::now();
        loop {
            self.manager.alive();
            let left = wait.saturating_sub(begin.elapsed());
            let step = self.manager.beat().map_or(left, |beat| beat.min(left));
            match wakes.recv_timeout(step) {
                Ok(wake) => return Some(wake),
                Err(RecvTimeoutError::Disconnected) => return Some(Wake::Stop),
                Err(RecvTimeoutError::Timeout) if begin.elapsed() >= wait => return None,
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// The target that is due first.
    fn next(&self, instance: &str) -> Result<Option<Next>, ServiceError> {
        let stored = self.history.reading()?.targets()?;
        let fingerprint = trigger::fingerprint(&self.settings.index);
        let at = now();
        let dues = self.settings.target.iter().map(|target| {
            let now = Now {
                root: trigger::root_of(&target.input),
                fingerprint: fingerprint.clone(),
                at,
            };
            let stored = stored.iter().find(|stored| stored.name == target.name);
            let due = trigger::due(stored, &now, &self.settings, instance);
            let target = target.clone();
            Next { target, due, now }
        });
        Ok(dues.min_by_key(|next| (next.due.at, !matches!(next.due.reason, Reason::First))))
    }

    /// How long until something that is due is done: a change has to settle first.
    fn until(&self, next: &Next, state: &mut Running) -> Duration {
        let Next { target, due, now } = next;
        let is_change = matches!(due.reason, Reason::System | Reason::Advisories);
        // Who asks for one scan asks when everything is in place.
        if is_change && !self.once {
            let seen = format!("{} {} {}", target.name, now.root, now.fingerprint);
            return state
                .settling
                .quiet_in(seen, Instant::now(), self.settings.settle.get());
        }
        // A change that was taken back settles nothing of the next.
        state.settling = Settling::default();
        let seconds = due.at.as_second().saturating_sub(now.at.as_second());
        Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
    }

    fn start(&self, target: &Target, reason: Reason, wake: &Sender<Wake>, state: &mut Running) {
        let (target, reason) = (target.clone(), reason.as_str().to_owned());
        self.manager
            .status(&format!("scanning {}: {reason}", target.name));
        let scanner = Scanner::new(
            &self.settings,
            &self.program,
            self.cache.clone(),
            self.results.next(&target.name),
        );
        let (wake, stop) = (wake.clone(), Arc::clone(&state.stop));
        let index = self.settings.index.clone();
        state.scanning = Some(std::thread::spawn(move || {
            let root = trigger::root_of(&target.input);
            let mut about = About {
                fingerprint: trigger::fingerprint(&index),
                // The end of the links is what is scanned: they may lead elsewhere meanwhile.
                root: root.clone(),
                target: target.name,
                reason,
                started: now(),
                finished: now(),
            };
            let input = if root.is_empty() {
                target.input
            } else {
                root.into()
            };
            let outcome = scanner.scan(&input, &stop);
            about.finished = now().max(about.started);
            let scanned = Box::new(Scanned { about, outcome });
            // Nobody there: the service has ended.
            let _ = wake.send(Wake::Scanned(scanned));
        }));
        state.settling = Settling::default();
    }

    fn record(
        &mut self,
        scanned: Scanned,
        listener: &mut dyn Listener,
    ) -> Result<(), ServiceError> {
        let Scanned { about, outcome } = scanned;
        let told = match &outcome {
            Ok(seen) => {
                // First: of a scan that is recorded there is no second one soon.
                if tell(self.results.keep(&about.target), listener) == Some(false) {
                    listener.log(&format!("the scan of {} wrote no result", about.target));
                }
                self.history.record(&about, seen)?
            }
            Err(failed) => {
                let text = in_full(&failed.error);
                listener.log(&format!("cannot scan {}: {text}", about.target));
                self.history.record_failure(&about, &text, &failed.log)?
            }
        };
        self.publish(listener)?;
        if outcome.is_ok() {
            let seconds = about.finished.as_second() - about.started.as_second();
            let (target, reason) = (&about.target, &about.reason);
            listener.log(&format!(
                "scanned {target} ({reason}) in {seconds} s: {told} changes"
            ));
        }
        Ok(())
    }

    /// Publishes; gives the name of this history.
    fn publish(&self, listener: &mut dyn Listener) -> Result<String, ServiceError> {
        self.history.publish(&self.copy)?;
        let reading = self.history.reading()?;
        listener.published(&reading);
        Ok(reading.instance()?)
    }
}

/// A result that cannot be kept is no reason to end: the history goes on.
fn tell<T>(done: Result<T, ResultsError>, listener: &mut dyn Listener) -> Option<T> {
    done.map_err(|error| listener.log(&in_full(&error))).ok()
}

/// What is due.
struct Next {
    target: Target,
    due: Due,
    now: Now,
}

/// What goes on.
#[derive(Default)]
struct Running {
    scanning: Option<std::thread::JoinHandle<()>>,
    stop: Arc<AtomicBool>,
    settling: Settling,
}

/// Hands on every change of a directory.
fn listen(watcher: &Watcher, wake: Sender<Wake>) {
    let watcher = watcher.clone();
    std::thread::spawn(move || {
        while watcher.wait().is_ok() && wake.send(Wake::Changed).is_ok() {
            // A directory in which much happens wakes nobody more often than this.
            std::thread::sleep(BURST);
        }
    });
}

/// An error with its causes.
pub fn in_full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// The present, to the second.
pub fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).unwrap_or(0);
    Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// A text that no other history has: where it lies and when it was begun, and chance.
pub fn new_instance(path: &Utf8Path, chance: &[u8]) -> String {
    let digits = data_encoding::HEXLOWER.encode(chance);
    format!("{path} {} {digits}", now())
}
