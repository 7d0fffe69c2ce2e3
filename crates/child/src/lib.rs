#![doc = include_str!("../README.md")]
#![expect(
    clippy::disallowed_methods,
    reason = "this room measures how long a process takes"
)]

use std::io;
use std::process::{Child, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

/// How often it is looked whether the process has ended.
const STEP: Duration = Duration::from_millis(25);

/// Why it is no longer waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It has ended by itself.
    Itself(ExitStatus),
    /// It takes longer than it may, and runs on.
    Slow,
    /// Somebody wants an end, and it runs on.
    Stopped,
}

/// Waits so long at most, or until `stop` says so.
pub fn wait(running: &mut Child, limit: Duration, stop: &AtomicBool) -> io::Result<Ended> {
    let begin = Instant::now();
    loop {
        if let Some(status) = running.try_wait()? {
            return Ok(Ended::Itself(status));
        }
        if stop.load(Ordering::Relaxed) {
            return Ok(Ended::Stopped);
        }
        if begin.elapsed() >= limit {
            return Ok(Ended::Slow);
        }
        std::thread::sleep(STEP);
    }
}

/// Ends a process that leads a group of its own, and whatever it has started in that group.
pub fn end(running: &mut Child) {
    let group = i32::try_from(running.id()).ok().and_then(Pid::from_raw);
    if let Some(group) = group {
        let _ = rustix::process::kill_process_group(group, Signal::KILL);
    }
    let _ = running.wait();
}
