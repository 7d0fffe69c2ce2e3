//! Time, memory and reads of another program.
//!
//! The kernel counts the memory of a process from before it became another program, and keeps only
//! the largest of all children. So a small copy of this program starts each, and tells of its only
//! child.

use std::ffi::OsString;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use serde::{Deserialize, Serialize};

use super::times::megabytes;

/// What one run took.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Measured {
    /// The whole process, from start to end.
    pub(super) wall_ms: f64,
    /// Of all its threads.
    pub(super) cpu_ms: f64,
    /// The most memory that it had.
    pub(super) peak_mb: f64,
}

/// What one run read, with what it started: the kernel's own count.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Reads {
    /// Bytes that it asked for by reading; memory maps are not in it.
    pub(super) bytes: u64,
    /// How often it asked.
    pub(super) calls: u64,
    /// Bytes that had to come from the disk, maps and the kernel's reading ahead among them. None if
    /// all was in the page cache.
    pub(super) disk_bytes: u64,
}

/// What the small copy tells.
#[derive(Serialize, Deserialize)]
pub(super) struct Ran {
    /// How the program ended; none for a signal.
    status: Option<i32>,
    pub(super) measured: Measured,
    pub(super) reads: Reads,
}

/// Runs a program that should end with this status; what it prints goes nowhere.
pub(super) fn run(command: &Command, status: i32) -> Result<Measured> {
    Ok(run_any(command, &[status])?.measured)
}

/// Runs a program that should end with one of these; what it prints goes nowhere.
pub(super) fn run_any(command: &Command, statuses: &[i32]) -> Result<Ran> {
    let program = command.get_program().display();
    let mut meter = Command::new(std::env::current_exe()?);
    meter
        .arg("meter")
        .arg(command.get_program())
        .args(command.get_args())
        .stdin(Stdio::null());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => meter.env(name, value),
            None => meter.env_remove(name),
        };
    }
    if let Some(dir) = command.get_current_dir() {
        meter.current_dir(dir);
    }
    let output = meter
        .output()
        .with_context(|| format!("cannot start the meter of {program}"))?;
    let words = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("cannot measure {program}: {}", words.trim());
    }
    let ran: Ran = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("the meter of {program} does not tell what it measured"))?;
    if !ran.status.is_some_and(|status| statuses.contains(&status)) {
        let ended = ran.status.map_or_else(
            || "was ended by a signal".to_owned(),
            |ended| format!("ended with {ended} instead of {statuses:?}"),
        );
        bail!("{program} {ended}\n{}", words.trim());
    }
    Ok(ran)
}

#[derive(clap::Args)]
pub(crate) struct Meter {
    program: OsString,
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

impl Meter {
    /// What the small copy does.
    pub(crate) fn run(&self) -> Result<()> {
        let before = reads();
        let start = Instant::now();
        let status = Command::new(&self.program)
            .args(&self.arguments)
            .stdout(Stdio::null())
            .status()
            .with_context(|| format!("cannot start {}", self.program.display()))?;
        let wall = start.elapsed();
        let after = reads();
        let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
        let cpu = usage.user_time() + usage.system_time();
        #[expect(clippy::cast_precision_loss, reason = "times that people wait")]
        let cpu_ms = cpu.num_microseconds() as f64 / 1e3;
        let kilobytes = u64::try_from(usage.max_rss()).unwrap_or(0);
        let told = Ran {
            status: status.code(),
            measured: Measured {
                wall_ms: wall.as_secs_f64() * 1e3,
                cpu_ms,
                peak_mb: megabytes(kilobytes * 1024),
            },
            reads: Reads {
                bytes: after.bytes.saturating_sub(before.bytes),
                calls: after.calls.saturating_sub(before.calls),
                disk_bytes: after.disk_bytes.saturating_sub(before.disk_bytes),
            },
        };
        println!("{}", serde_json::to_string(&told)?);
        Ok(())
    }
}

/// Of this process and of its children that have ended; nothing where the kernel does not count.
fn reads() -> Reads {
    let text = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    let of = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")?.parse().ok())
            .unwrap_or(0)
    };
    Reads {
        bytes: of("rchar"),
        calls: of("syscr"),
        disk_bytes: of("read_bytes"),
    }
}
