//! The loop over a queue: so many at once, no host asked by too many, what passes tried again later; ends when nothing
//! is left of what this worker wants, or when somebody wants an end.

#![expect(
    clippy::disallowed_methods,
    reason = "this room waits, and leases for a while: by the clock that nobody sets"
)]

use std::any::Any;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use snowguard_db::DbError;
use snowguard_db::refetch::{Counts, End, RefetchQueue, Step, Task};
use snowguard_fod::outcome::{Outcome, Verdict};

use crate::job::{BUILT, Job};
use crate::verify::{Halt, Verifier, outcome};

/// How long a task belongs to a worker that says nothing.
const LEASE: SignedDuration = SignedDuration::from_secs(120);
/// How often a worker says that it is still at work.
const BEAT: Duration = Duration::from_secs(30);
/// How often it is looked whether somebody wants an end, or something is due.
const GLANCE: Duration = Duration::from_millis(50);
/// How often a queue in which nothing is due is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// After how many workers that died at it a task is given up: it would end the next one as well.
const DEATHS: u32 = 3;

/// How a queue is worked off.
#[derive(Debug)]
pub struct Work<'w> {
    /// The queue.
    pub queue: &'w RefetchQueue,
    /// With what.
    pub verifier: Verifier<'w>,
    /// A name that no other worker has, under which it said what it wants.
    pub worker: &'w str,
    /// How many at once.
    pub at_once: usize,
    /// How often what passes is tried in all.
    pub tries: u32,
    /// The pause after the first try; it doubles.
    pub pause: SignedDuration,
    /// The longest pause.
    pub longest_pause: SignedDuration,
    /// Ends the work, once it is set; it is also what ends the client.
    pub stop: &'w AtomicBool,
}

/// What happens on the way.
#[derive(Debug)]
pub enum Notice<'n> {
    /// One ended.
    Ended {
        /// What.
        job: &'n Job,
        /// How.
        outcome: &'n Outcome,
    },
    /// One is tried again after a pause.
    Later {
        /// What.
        job: &'n Job,
        /// Why.
        outcome: &'n Outcome,
        /// After how long.
        pause: SignedDuration,
    },
    /// How many there are of each state.
    Counts(Counts),
}

/// How the work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worked {
    /// Nothing is left.
    Done,
    /// Somebody wanted an end; what was under way is given back.
    Interrupted,
}

/// Why the work could not go on.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    /// The queue.
    #[error(transparent)]
    Queue(#[from] DbError),
    /// This machine.
    #[error(transparent)]
    Halt(Halt),
}

/// What a thread has done.
struct Done {
    task: Task,
    job: Option<Job>,
    outcome: Result<Outcome, Halt>,
}

impl Work<'_> {
    /// Works until nothing is left.
    pub fn run(&self, notice: &mut dyn FnMut(Notice<'_>)) -> Result<Worked, WorkError> {
        let (tasks, todo) = channel::<Task>();
        let (done, ended) = channel::<Done>();
        let todo = Mutex::new(todo);
        std::thread::scope(|scope| {
            for _ in 0..self.at_once.max(1) {
                let done = done.clone();
                let todo = &todo;
                scope.spawn(move || self.thread(todo, &done));
            }
            drop(done);
            let outcome = self.dispatch(&tasks, &ended, notice);
            if outcome.is_err() {
                // Nobody takes what they bring any more.
                self.stop.store(true, Ordering::Relaxed);
            }
            drop(tasks);
            outcome
        })
    }

    fn thread(&self, todo: &Mutex<Receiver<Task>>, done: &Sender<Done>) {
        loop {
            let next = match todo.lock() {
                Ok(todo) => todo.recv(),
                Err(_) => return,
            };
            let Ok(task) = next else { return };
            let job: Option<Job> = serde_json::from_slice(&task.payload).ok();
            let outcome = match &job {
                Some(_) if task.lost >= DEATHS => Ok(outcome(
                    Verdict::Failed,
                    format!("given up: {} times whoever was at it died", task.lost),
                )),
                Some(job) => {
                    let before = task.before.as_deref();
                    let before = before.and_then(|bytes| serde_json::from_slice(bytes).ok());
                    caught(|| self.verifier.verify_after(job, before.as_ref()))
                }
                None => Ok(outcome(
                    Verdict::Failed,
                    "another version of this program put it into the queue".to_owned(),
                )),
            };
            if done.send(Done { task, job, outcome }).is_err() {
                return;
            }
        }
    }

    fn dispatch(
        &self,
        tasks: &Sender<Task>,
        ended: &Receiver<Done>,
        notice: &mut dyn FnMut(Notice<'_>),
    ) -> Result<Worked, WorkError> {
        let mut running: Vec<Task> = Vec::new();
        let mut ends: Vec<(Task, End)> = Vec::new();
        let mut halt: Option<Halt> = None;
        // A clock that is set back or forth delays nothing here.
        let (mut last, mut counted): (Option<Instant>, Option<Instant>) = (None, None);
        let is_past = |when: Option<Instant>, span| when.is_none_or(|when| when.elapsed() >= span);
        loop {
            let stopping = self.stop.load(Ordering::Relaxed) || halt.is_some();
            let want = if stopping {
                0
            } else {
                self.at_once.saturating_sub(running.len())
            };
            let is_free = want > 0 && (!ends.is_empty() || is_past(last, LOOK));
            if !ends.is_empty() || is_free || is_past(last, BEAT) {
                let taken = self.queue.step(&Step {
                    worker: self.worker,
                    ended: &ends,
                    running: &running,
                    want,
                    busy: &self.busy(&running),
                    now: Timestamp::now(),
                    longest_pause: self.longest_pause,
                    lease: LEASE,
                })?;
                ends.clear();
                last = Some(Instant::now());
                for task in taken {
                    running.push(task.clone());
                    // The threads live as long as this channel.
                    let _ = tasks.send(task);
                }
                if is_past(counted, LOOK) || running.is_empty() {
                    counted = Some(Instant::now());
                    let counts = self.queue.counts(self.worker)?;
                    notice(Notice::Counts(counts));
                    // What others have may come back; what waits will be due.
                    if counts.waiting == 0 && counts.running == 0 {
                        return Ok(Worked::Done);
                    }
                }
            }
            if running.is_empty() && stopping {
                return match halt {
                    Some(Halt::Interrupted) | None => Ok(Worked::Interrupted),
                    Some(halt) => Err(WorkError::Halt(halt)),
                };
            }
            let mut next = ended.recv_timeout(GLANCE);
            while let Ok(done) = next {
                running.retain(|task| task.id != done.task.id);
                let end = self.end(&done, &mut halt, notice);
                ends.push((done.task, end));
                next = ended.try_recv().map_err(|_| RecvTimeoutError::Timeout);
            }
        }
    }

    /// How a task ends: with a verdict, later, or not at all.
    fn end(&self, done: &Done, halt: &mut Option<Halt>, notice: &mut dyn FnMut(Notice<'_>)) -> End {
        let outcome = match &done.outcome {
            Ok(outcome) => outcome,
            Err(error) => {
                if halt.is_none() {
                    *halt = Some(copy(error, done.job.as_ref()));
                }
                return End::Released;
            }
        };
        if outcome.verdict == Verdict::Transient && done.task.attempt < self.tries {
            let doubled = 1_i32 << done.task.attempt.saturating_sub(1).min(16);
            let pause = self.pause.saturating_mul(doubled).min(self.longest_pause);
            if let Some(job) = &done.job {
                notice(Notice::Later {
                    job,
                    outcome,
                    pause,
                });
            }
            return End::Later(pause);
        }
        if let Some(job) = &done.job {
            notice(Notice::Ended { job, outcome });
        }
        End::Done {
            verdict: outcome.verdict.as_str().to_owned(),
            result: serde_json::to_vec(outcome).unwrap_or_default(),
        }
    }

    /// Hosts that cannot be asked by more now: their tasks would only stand in the way of others.
    fn busy(&self, running: &[Task]) -> Vec<String> {
        let most = self.verifier.gate.limits().at_once.max(1);
        let builder = self.verifier.builder.as_ref();
        // Who waits for its turn to build keeps no other from being fetched.
        let most_built = builder.and_then(|builder| builder.realise.most_at_once());
        let most_of = |host: &str| match most_built {
            Some(built) if host == BUILT => built.min(most),
            _ => most,
        };
        let mut counts: HashMap<&str, usize> = HashMap::new();
        for task in running.iter().filter(|task| !task.host.is_empty()) {
            *counts.entry(&task.host).or_default() += 1;
        }
        let busy = counts
            .into_iter()
            .filter(|(host, count)| *count >= most_of(host));
        busy.map(|(host, _)| host.to_owned()).collect()
    }
}

/// A defect that one shows is told of that one: the others go on, and what is waited for comes.
fn caught(verify: impl FnOnce() -> Result<Outcome, Halt>) -> Result<Outcome, Halt> {
    catch_unwind(AssertUnwindSafe(verify)).unwrap_or_else(|panic| {
        let said = said(panic.as_ref());
        Ok(outcome(
            Verdict::Failed,
            format!("a defect of this program showed: {said}"),
        ))
    })
}

fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("it says nothing of it")
}

/// An error cannot be kept and be told to others; it is told with what was done at the time.
fn copy(halt: &Halt, job: Option<&Job>) -> Halt {
    match halt {
        Halt::Interrupted => Halt::Interrupted,
        other => {
            let text = crate::tried::text(other);
            Halt::Network(match job {
                Some(job) => format!("verify {}: {text}", job.drv),
                None => text,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_the_verdict_of_one() {
        let found = caught(|| panic!("index out of {}", "bounds")).unwrap();
        assert_eq!(found.verdict, Verdict::Failed);
        assert!(
            found.reason.ends_with("index out of bounds"),
            "{}",
            found.reason
        );
        assert!(matches!(
            caught(|| Err(Halt::Interrupted)),
            Err(Halt::Interrupted)
        ));
    }

    #[test]
    fn what_ends_all_says_at_what() {
        let job = Job {
            drv: "/nix/store/x.drv".into(),
            output: "/nix/store/x".into(),
            address: snowguard_store::ContentAddress::new(
                snowguard_store::ContentAddressMethod::Flat,
                snowguard_store::Hash::sha256([0; 32]),
            ),
            way: crate::job::Way::Never(String::new()),
            urls: Vec::new(),
            curl: false,
            terms: String::new(),
            described: None,
        };
        let halt = Halt::scratch(std::io::Error::from(std::io::ErrorKind::StorageFull));
        insta::assert_snapshot!(copy(&halt, Some(&job)), @"verify /nix/store/x.drv: cannot keep what is fetched: no storage space");
    }
}
