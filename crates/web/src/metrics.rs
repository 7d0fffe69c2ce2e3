//! What operators count: requests by page and status, how long they took, and how much waits.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The upper ends of the classes of durations, in seconds.
const ENDS: [f64; 9] = [0.002, 0.005, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0];

/// Counts since the start.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    requests: Mutex<BTreeMap<(&'static str, u16), Times>>,
    /// Connections that are open.
    pub(crate) connections: AtomicI64,
    /// Requests that are worked on or wait for it.
    pub(crate) pending: AtomicI64,
    /// Requests that were sent away, because too many were waiting.
    pub(crate) refused: AtomicU64,
}

#[derive(Debug, Default)]
struct Times {
    count: u64,
    sum: f64,
    classes: [u64; ENDS.len()],
}

impl Metrics {
    /// Counts one request. `page` is the kind of page, never a name in its address.
    pub(crate) fn count(&self, page: &'static str, status: u16, took: Duration) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let times = requests.entry((page, status)).or_default();
        let seconds = took.as_secs_f64();
        times.count += 1;
        times.sum += seconds;
        for (class, end) in times.classes.iter_mut().zip(ENDS) {
            *class += u64::from(seconds <= end);
        }
    }

    /// The text that Prometheus reads. Source: its text-based exposition format, 0.0.4.
    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        let mut gauge = |name: &str, kind: &str, help: &str, value: String| {
            let _ = writeln!(
                out,
                "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}"
            );
        };
        let signed = |value: &AtomicI64| value.load(Ordering::Relaxed).to_string();
        gauge(
            "snowguard_web_connections",
            "gauge",
            "Connections that are open.",
            signed(&self.connections),
        );
        gauge(
            "snowguard_web_pending_requests",
            "gauge",
            "Requests that are worked on or wait for it.",
            signed(&self.pending),
        );
        gauge(
            "snowguard_web_refused_requests_total",
            "counter",
            "Requests that were sent away because too many were waiting.",
            self.refused.load(Ordering::Relaxed).to_string(),
        );
        let name = "snowguard_web_request_seconds";
        let _ = writeln!(
            out,
            "# HELP {name} How long requests took.\n# TYPE {name} histogram"
        );
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        for ((page, status), times) in requests.iter() {
            let labels = format!("page=\"{page}\",status=\"{status}\"");
            for (class, end) in times.classes.iter().zip(ENDS) {
                let _ = writeln!(out, "{name}_bucket{{{labels},le=\"{end}\"}} {class}");
            }
            let _ = writeln!(out, "{name}_bucket{{{labels},le=\"+Inf\"}} {}", times.count);
            let _ = writeln!(out, "{name}_sum{{{labels}}} {:.6}", times.sum);
            let _ = writeln!(out, "{name}_count{{{labels}}} {}", times.count);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_hold_what_is_not_longer() {
        let metrics = Metrics::default();
        metrics.count("home", 200, Duration::from_millis(4));
        metrics.count("home", 200, Duration::from_mins(1));
        let text = metrics.text();
        for line in [
            "snowguard_web_request_seconds_bucket{page=\"home\",status=\"200\",le=\"0.002\"} 0",
            "snowguard_web_request_seconds_bucket{page=\"home\",status=\"200\",le=\"0.005\"} 1",
            "snowguard_web_request_seconds_bucket{page=\"home\",status=\"200\",le=\"10\"} 1",
            "snowguard_web_request_seconds_bucket{page=\"home\",status=\"200\",le=\"+Inf\"} 2",
            "snowguard_web_request_seconds_count{page=\"home\",status=\"200\"} 2",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }
}
