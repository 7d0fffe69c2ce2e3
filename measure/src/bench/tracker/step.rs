//! What one step of this process took: time, processor, and the most memory that it had meanwhile.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Context as _, Result};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use serde::Serialize;

use super::super::say;
use super::super::times::megabytes;

#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Took {
    pub(super) wall_s: f64,
    /// Of this process: what PostgreSQL does is not in it.
    pub(super) cpu_s: f64,
    /// With all that this process had before.
    pub(super) peak_mb: f64,
}

/// Does something, and notes under a name what it took.
pub(super) fn step<T>(
    steps: &mut BTreeMap<String, Took>,
    name: &str,
    work: impl FnOnce() -> Result<T>,
) -> Result<T> {
    say(name);
    // From here on the kernel counts the peak anew.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let before = cpu_s()?;
    let start = Instant::now();
    let outcome = work().with_context(|| name.to_owned())?;
    let took = Took {
        wall_s: start.elapsed().as_secs_f64(),
        cpu_s: cpu_s()? - before,
        peak_mb: peak_mb("self")?,
    };
    eprintln!(
        "  {:.2} s, {:.2} s of processor, {:.0} MB",
        took.wall_s, took.cpu_s, took.peak_mb
    );
    steps.insert(name.to_owned(), took);
    Ok(outcome)
}

fn cpu_s() -> Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let cpu = usage.user_time() + usage.system_time();
    #[expect(clippy::cast_precision_loss, reason = "a time to print")]
    Ok(cpu.num_microseconds() as f64 / 1e6)
}

/// The most memory that a process had.
pub(super) fn peak_mb(process: &str) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes =
        line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    Ok(megabytes(
        kilobytes.context("the kernel tells no peak")? * 1024,
    ))
}
