//! The worker: looks at channels, fetches advisories, matches what changed, brings issues to the forge, tells
//! subscribers, and keeps the database.
//!
//! All of it is jobs (`db::jobs`), so that several workers on one database share the work: each job is done by
//! one of them at a time. A job that is done twice all the same, since a worker was cut off from the database and
//! went on, does no harm: what it writes is the same, and each step finds out by itself what is left to do. What
//! is to be matched is noted where it changes (`db::findings::mark_stale`), so that nothing depends on who is
//! ended when.
//!
//! Three threads, so that neither a decision nor a letter waits for a download. Deliberately absent: settings and
//! signals, which are the face's.

pub(crate) mod advisories;
mod beat;
mod due;
mod error;
mod keep;
mod look;
pub mod metrics;
mod plan;
mod post;
mod rematch;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use snowguard_db::jobs::{Failed, Jobs as _, Leased, NewJob, backoff};
use snowguard_db::{Database, DbError, Session};
use snowguard_http::{Client, HttpError, Settings};

use self::beat::Beat;
pub use self::error::WorkError;
pub use self::plan::{Advisories, Backup, Keep, Plan, Publish, Tell, To};
use crate::chain::chain;

/// What a worker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Looks at one channel; the key is its name.
    Look,
    /// Fetches advisories, and takes in what changed.
    Advisories,
    /// Matches what changed.
    Rematch,
    /// Brings issues in step with what is known, and to the forge.
    Publish,
    /// Tells subscribers.
    Tell,
    /// Forgets what nobody needs, and lets the engine look at what is stored.
    Tend,
    /// Writes a backup.
    Backup,
}

impl Kind {
    const ALL: [Self; 7] = [
        Self::Look,
        Self::Advisories,
        Self::Rematch,
        Self::Publish,
        Self::Tell,
        Self::Tend,
        Self::Backup,
    ];

    /// As it is called in the queue.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Look => "look",
            Self::Advisories => "advisories",
            Self::Rematch => "rematch",
            Self::Publish => "publish",
            Self::Tell => "tell",
            Self::Tend => "tend",
            Self::Backup => "backup",
        }
    }

    fn of(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// How often it is tried before the next regular time is waited for.
    const fn tries(self) -> u32 {
        match self {
            Self::Look | Self::Backup | Self::Tend => 3,
            Self::Advisories | Self::Publish | Self::Tell => 5,
            Self::Rematch => 10,
        }
    }
}

/// What is done one after the other, each in a thread of its own.
const LANES: [&[Kind]; 3] = [
    &[Kind::Look, Kind::Advisories, Kind::Tend, Kind::Backup],
    &[Kind::Rematch],
    &[Kind::Publish, Kind::Tell],
];

/// How long a job is a worker's, if it says nothing.
const LEASE: SignedDuration = SignedDuration::from_secs(60);
/// How often it says that it is still at it.
const BEAT: Duration = Duration::from_secs(5);
/// How often a worker without work looks for some.
const LOOK: Duration = Duration::from_secs(1);
/// When it looks again for what others have to do first.
const SOON: SignedDuration = SignedDuration::from_secs(30);
/// How often it looks whether it is to stop.
const GLANCE: Duration = Duration::from_millis(50);

/// Does what is due.
pub struct Worker<'w> {
    /// The database.
    pub db: &'w Database,
    /// What tells it from all other workers.
    pub name: &'w str,
    /// What is done, and how often.
    pub plan: &'w Plan,
    /// How it uses the network.
    pub network: &'w Settings,
    /// What time it is.
    pub clock: &'w (dyn Fn() -> Timestamp + Sync),
}

/// Asks for a job now, within the transaction that makes it needed.
pub fn ask(
    session: &mut dyn Session,
    kind: Kind,
    key: &str,
    now: Timestamp,
) -> Result<i64, DbError> {
    let job = NewJob {
        tries: kind.tries(),
        ..NewJob::new(kind.as_str(), key, now)
    };
    session.enqueue(&job, now)
}

/// What was done, in words.
struct Done {
    told: String,
    /// What happens each minute and changes nothing is told to those only who want to know all.
    is_news: bool,
}

impl Done {
    fn news(told: String) -> Self {
        Self {
            told,
            is_news: true,
        }
    }

    fn nothing(told: impl Into<String>) -> Self {
        Self {
            told: told.into(),
            is_news: false,
        }
    }
}

/// One of the threads.
pub(crate) struct Lane<'l> {
    worker: &'l Worker<'l>,
    kinds: Vec<Kind>,
    /// Ends what is being done: the worker is to stop, or somebody else has the job.
    interrupted: Arc<AtomicBool>,
    /// Fetches.
    client: Client,
    /// Goes where strangers say.
    public: Client,
}

impl Worker<'_> {
    /// Works until it is told to stop; then ends as soon as what it has begun can be left.
    pub fn run(&self, stopping: &AtomicBool) -> Result<(), HttpError> {
        let lanes = LANES
            .iter()
            .map(|kinds| self.lane(kinds))
            .collect::<Result<Vec<_>, _>>()?;
        std::thread::scope(|scope| {
            for lane in &lanes {
                scope.spawn(|| lane.run(stopping));
            }
        });
        Ok(())
    }

    /// Does what is due, and what follows from it, until nothing is; how many jobs were done, well or not.
    pub fn until_idle(&self, stopping: &AtomicBool) -> Result<usize, WorkError> {
        let lane = self.lane(&Kind::ALL)?;
        let mut done = 0;
        while !stopping.load(Ordering::Relaxed) {
            match lane.next()? {
                Some(job) => lane.perform(&job, stopping),
                None => break,
            }
            done += 1;
        }
        Ok(done)
    }

    fn lane(&self, kinds: &[Kind]) -> Result<Lane<'_>, HttpError> {
        let interrupted = Arc::new(AtomicBool::new(false));
        let public = Settings {
            public_only: true,
            ..self.network.clone()
        };
        Ok(Lane {
            worker: self,
            kinds: kinds
                .iter()
                .copied()
                .filter(|kind| self.plan.does(*kind))
                .collect(),
            client: Client::new(self.network.clone(), Arc::clone(&interrupted))?,
            public: Client::new(public, Arc::clone(&interrupted))?,
            interrupted,
        })
    }

    fn now(&self) -> Timestamp {
        (self.clock)()
    }
}

impl Lane<'_> {
    fn run(&self, stopping: &AtomicBool) {
        let is_stopping = || stopping.load(Ordering::Relaxed);
        let mut is_told = false;
        while !is_stopping() && !self.kinds.is_empty() {
            match self.next() {
                Ok(Some(job)) => self.perform(&job, stopping),
                Ok(None) => pause(LOOK, &is_stopping),
                // A server that is started again is not told each second.
                Err(error) => {
                    if !is_told {
                        tracing::warn!(error = chain(&error), "cannot look for jobs");
                    }
                    is_told = true;
                    pause(LOOK * 10, &is_stopping);
                    continue;
                }
            }
            is_told = false;
        }
    }

    /// The next job that is due. Nothing is written where there is none.
    fn next(&self) -> Result<Option<Leased>, DbError> {
        let (db, now) = (self.worker.db, self.worker.now());
        let (missing, is_due) = db.read(|session| {
            let missing = due::missing(session, self.worker.plan, &self.kinds, now)?;
            let kinds = self.names();
            let is_due = !missing.is_empty() || session.is_job_due(&kinds, now)?;
            Ok((missing, is_due))
        })?;
        if !is_due {
            return Ok(None);
        }
        db.write(|session| {
            for missing in &missing {
                missing.ask(session, now)?;
            }
            session.lease_job(self.worker.name, &self.names(), now, LEASE)
        })
    }

    fn names(&self) -> Vec<&'static str> {
        self.kinds.iter().map(|kind| kind.as_str()).collect()
    }

    /// Does a job, and says how it ended.
    fn perform(&self, job: &Leased, stopping: &AtomicBool) {
        let span = tracing::info_span!("job", kind = job.kind, key = job.key, job = job.lease.id());
        let _entered = span.enter();
        tracing::debug!(attempt = job.attempt, "begins");
        let beat = Beat::new(self.worker, &job.lease, &self.interrupted, stopping);
        let outcome = beat.during(|| {
            // A defect ends the job, and not the worker.
            catch_unwind(AssertUnwindSafe(|| self.work(job, &beat)))
                .unwrap_or(Err(WorkError::Defect))
        });
        let was_interrupted = self.interrupted.swap(false, Ordering::Relaxed);
        if let Err(error) = self.end(job, outcome, was_interrupted, stopping) {
            // The lease runs out, and it is done again.
            tracing::warn!(error = chain(&error), "cannot say how it ended");
        }
    }

    fn work(&self, job: &Leased, beat: &Beat<'_>) -> Result<Done, WorkError> {
        let kind = Kind::of(&job.kind).ok_or(WorkError::Defect)?;
        match kind {
            Kind::Look => look::look(self, &job.key, beat),
            Kind::Advisories => advisories::advisories(self, beat),
            Kind::Rematch => rematch::rematch(self, beat),
            Kind::Publish => post::publish(self, beat),
            Kind::Tell => post::tell(self, beat),
            Kind::Tend => keep::tend(self),
            Kind::Backup => keep::backup(self),
        }
    }

    fn end(
        &self,
        job: &Leased,
        outcome: Result<Done, WorkError>,
        was_interrupted: bool,
        stopping: &AtomicBool,
    ) -> Result<(), DbError> {
        let (db, now) = (self.worker.db, self.worker.now());
        match outcome {
            Ok(done) => {
                if done.is_news {
                    tracing::info!("{}", done.told);
                } else {
                    tracing::debug!("{}", done.told);
                }
                if !db.write(|session| session.finish_job(&job.lease, now))? {
                    tracing::warn!("somebody else has it by now");
                }
            }
            Err(_) if was_interrupted && stopping.load(Ordering::Relaxed) => {
                db.write(|session| session.release_job(&job.lease, now))?;
                tracing::info!("left for the next time");
            }
            Err(_) if was_interrupted => tracing::warn!("somebody else has it by now"),
            // Nothing went wrong: one of the next tries finds what it needs, and each waits no longer than this.
            Err(error) if error.is_too_early() => {
                let told = error.in_one_line();
                let again = now.checked_add(SOON).unwrap_or(Timestamp::MAX);
                db.write(|session| session.postpone_job(&job.lease, &told, again, now))?;
                tracing::info!(why = told, "waits until {again}");
            }
            Err(error) => {
                let told = error.in_one_line();
                let again = now
                    .checked_add(backoff(job.attempt))
                    .unwrap_or(Timestamp::MAX);
                let failed = db.write(|session| session.fail_job(&job.lease, &told, again, now))?;
                match failed {
                    Failed::Again => tracing::warn!(error = told, "failed; tried again at {again}"),
                    Failed::GivenUp => tracing::error!(error = told, "failed, and given up"),
                    Failed::Lost => tracing::warn!(error = told, "failed; somebody else has it"),
                }
            }
        }
        Ok(())
    }
}

/// Waits, unless it is to stop.
fn pause(long: Duration, is_stopping: &dyn Fn() -> bool) {
    let mut left = long;
    while !left.is_zero() && !is_stopping() {
        let step = left.min(GLANCE);
        std::thread::sleep(step);
        left -= step;
    }
}
