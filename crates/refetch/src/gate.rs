//! How many ask one host at once, and how soon one after another.

#![expect(
    clippy::disallowed_methods,
    reason = "this room measures the time between requests"
)]

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often who waits looks whether somebody wants an end.
const GLANCE: Duration = Duration::from_millis(50);

/// What one host is asked at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostLimits {
    /// So many requests at once.
    pub at_once: usize,
    /// So long between the beginnings of two.
    pub pace: Duration,
}

impl Default for HostLimits {
    fn default() -> Self {
        Self {
            at_once: 4,
            pace: Duration::ZERO,
        }
    }
}

/// Lets through what a host can be asked.
#[derive(Debug)]
pub struct Gate {
    limits: HostLimits,
    hosts: Mutex<HashMap<String, Host>>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Host {
    running: usize,
    last: Option<Instant>,
}

/// The right to ask a host, until it is dropped.
#[derive(Debug)]
pub(crate) struct Pass<'g> {
    gate: &'g Gate,
    host: String,
}

impl Gate {
    /// With these limits for each host.
    pub fn new(limits: HostLimits) -> Self {
        Self {
            limits,
            hosts: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// What one host is asked at most.
    pub fn limits(&self) -> HostLimits {
        self.limits
    }

    /// Waits until a host can be asked; none if somebody wants an end.
    pub(crate) fn enter(&self, host: &str, stop: &AtomicBool) -> Option<Pass<'_>> {
        let mut hosts = self.hosts();
        loop {
            if stop.load(Ordering::Relaxed) {
                return None;
            }
            let state = hosts.entry(host.to_owned()).or_default();
            let rest = state.last.map_or(Duration::ZERO, |last| {
                self.limits.pace.saturating_sub(last.elapsed())
            });
            if rest.is_zero() && state.running < self.limits.at_once.max(1) {
                state.running += 1;
                state.last = Some(Instant::now());
                return Some(Pass {
                    gate: self,
                    host: host.to_owned(),
                });
            }
            let wait = if rest.is_zero() {
                GLANCE
            } else {
                rest.min(GLANCE)
            };
            hosts = self
                .changed
                .wait_timeout(hosts, wait)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    fn hosts(&self) -> MutexGuard<'_, HashMap<String, Host>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if let Some(state) = self.gate.hosts().get_mut(&self.host) {
            state.running = state.running.saturating_sub(1);
        }
        self.gate.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[test]
    fn no_host_is_asked_by_more_than_it_may_be() {
        let gate = Gate::new(HostLimits {
            at_once: 2,
            pace: Duration::ZERO,
        });
        let (stop, now, most) = (
            AtomicBool::new(false),
            AtomicUsize::new(0),
            AtomicUsize::new(0),
        );
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let _pass = gate.enter("x.org", &stop).unwrap();
                    let running = now.fetch_add(1, Ordering::SeqCst) + 1;
                    most.fetch_max(running, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(5));
                    now.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        assert_eq!(most.load(Ordering::SeqCst), 2);
        let held = [
            gate.enter("x.org", &stop).unwrap(),
            gate.enter("x.org", &stop).unwrap(),
        ];
        assert!(gate.enter("y.org", &stop).is_some());
        stop.store(true, Ordering::SeqCst);
        assert!(gate.enter("x.org", &stop).is_none());
        drop(held);
    }
}
