//! While a job is done: says every few seconds that it is, and how far; ends it if the worker is to stop or
//! somebody else has the job.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use snowguard_db::jobs::{Jobs as _, Lease};

use super::{BEAT, GLANCE, LEASE, Worker};
use crate::chain::chain;

pub(super) struct Beat<'b> {
    worker: &'b Worker<'b>,
    lease: &'b Lease,
    interrupted: &'b AtomicBool,
    stopping: &'b AtomicBool,
    progress: Mutex<Option<String>>,
}

impl<'b> Beat<'b> {
    pub(super) const fn new(
        worker: &'b Worker<'b>,
        lease: &'b Lease,
        interrupted: &'b AtomicBool,
        stopping: &'b AtomicBool,
    ) -> Self {
        Self {
            worker,
            lease,
            interrupted,
            stopping,
            progress: Mutex::new(None),
        }
    }

    /// How far it is, for whoever looks on. It is written with the next beat.
    pub(super) fn say(&self, progress: String) {
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner) = Some(progress);
    }

    /// Whether the job is still this worker's, asked of the database: before what cannot be done twice.
    pub(super) fn is_ours(&self) -> bool {
        !self.interrupted.load(Ordering::Relaxed) && self.extend()
    }

    /// Does something while the lease is kept.
    pub(super) fn during<T>(&self, work: impl FnOnce() -> T) -> T {
        let ended = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| self.keep(&ended));
            let done = work();
            ended.store(true, Ordering::Relaxed);
            done
        })
    }

    fn keep(&self, ended: &AtomicBool) {
        let mut since = Duration::ZERO;
        while !ended.load(Ordering::Relaxed) {
            if self.stopping.load(Ordering::Relaxed) {
                self.interrupted.store(true, Ordering::Relaxed);
            }
            std::thread::sleep(GLANCE);
            since += GLANCE;
            if since >= BEAT {
                since = Duration::ZERO;
                if !self.extend() {
                    self.interrupted.store(true, Ordering::Relaxed);
                    return;
                }
            }
        }
    }

    /// False if the job is not this worker's any more. A database that cannot be reached says nothing about
    /// that; what is done needs it, too.
    fn extend(&self) -> bool {
        let now = self.worker.now();
        let until = now.checked_add(LEASE).unwrap_or(now);
        let progress = self
            .progress
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let extended = self
            .worker
            .db
            .write(|session| session.extend_lease(self.lease, progress.as_deref(), until));
        extended.unwrap_or_else(|error| {
            tracing::debug!(error = chain(&error), "cannot extend the lease");
            true
        })
    }
}
