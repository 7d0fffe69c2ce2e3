//! What operators watch.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counters since the proxy began.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    pub(crate) connections: AtomicU64,
    pub(crate) open: AtomicU64,
    pub(crate) turned_away: AtomicU64,
    /// Requests when they come; the others count them when they are answered.
    pub(crate) asked: AtomicU64,
    pub(crate) allowed: AtomicU64,
    pub(crate) denied: AtomicU64,
    pub(crate) would_deny: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) nobody: AtomicU64,
    pub(crate) faults: AtomicU64,
    pub(crate) sent: AtomicU64,
    pub(crate) received: AtomicU64,
}

pub(crate) fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

impl Metrics {
    /// As Prometheus reads it.
    pub(crate) fn text(&self, mode: &str, sessions: usize, evidence_failed: bool) -> String {
        let mut text = String::new();
        let mut one = |name: &str, kind: &str, help: &str, value: u64| {
            // Writing to a string does not fail.
            let _ = write!(
                text,
                "# HELP snowguard_fod_proxy_{name} {help}\n# TYPE snowguard_fod_proxy_{name} {kind}\n\
                 snowguard_fod_proxy_{name} {value}\n"
            );
        };
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = [
            (
                "connections_total",
                "Connections of builds.",
                &self.connections,
            ),
            (
                "turned_away_total",
                "Connections for which there was no room.",
                &self.turned_away,
            ),
            (
                "allowed_total",
                "Requests that were carried.",
                &self.allowed,
            ),
            (
                "denied_total",
                "Requests that a policy denies.",
                &self.denied,
            ),
            (
                "would_deny_total",
                "Requests of an audit that a policy would deny.",
                &self.would_deny,
            ),
            (
                "refused_total",
                "Requests that are malformed.",
                &self.refused,
            ),
            (
                "unattributed_total",
                "Requests of nobody that is known.",
                &self.nobody,
            ),
            (
                "faults_total",
                "Requests that failed on the way.",
                &self.faults,
            ),
            (
                "sent_bytes_total",
                "Bytes from builds to servers.",
                &self.sent,
            ),
            (
                "received_bytes_total",
                "Bytes from servers to builds.",
                &self.received,
            ),
        ];
        for (name, help, counter) in counters {
            one(name, "counter", help, of(counter));
        }
        one(
            "open_connections",
            "gauge",
            "Connections of builds that are open.",
            of(&self.open),
        );
        one(
            "sessions",
            "gauge",
            "Tokens that are in force.",
            sessions as u64,
        );
        one(
            "evidence_failed",
            "gauge",
            "Whether evidence cannot be written; then nothing is carried.",
            u64::from(evidence_failed),
        );
        let _ = write!(
            text,
            "# HELP snowguard_fod_proxy_info The mode.\n# TYPE snowguard_fod_proxy_info gauge\n\
             snowguard_fod_proxy_info{{mode=\"{mode}\"}} 1\n"
        );
        text
    }
}
