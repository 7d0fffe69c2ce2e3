//! Time and memory of another program.
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

/// What the small copy tells.
#[derive(Serialize, Deserialize)]
struct Told {
    /// How the program ended; none for a signal.
    status: Option<i32>,
    measured: Measured,
}

/// Runs a program that should end with this status; what it prints goes nowhere.
pub(super) fn run(command: &Command, status: i32) -> Result<Measured> {
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
    let output = meter
        .output()
        .with_context(|| format!("cannot start the meter of {program}"))?;
    let words = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("cannot measure {program}: {}", words.trim());
    }
    let told: Told = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("the meter of {program} does not tell what it measured"))?;
    if told.status != Some(status) {
        let ended = told.status.map_or_else(
            || "was ended by a signal".to_owned(),
            |ended| format!("ended with {ended} instead of {status}"),
        );
        bail!("{program} {ended}\n{}", words.trim());
    }
    Ok(told.measured)
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
        let start = Instant::now();
        let status = Command::new(&self.program)
            .args(&self.arguments)
            .stdout(Stdio::null())
            .status()
            .with_context(|| format!("cannot start {}", self.program.display()))?;
        let wall = start.elapsed();
        let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
        let cpu = usage.user_time() + usage.system_time();
        #[expect(clippy::cast_precision_loss, reason = "times that people wait")]
        let cpu_ms = cpu.num_microseconds() as f64 / 1e3;
        let kilobytes = u64::try_from(usage.max_rss()).unwrap_or(0);
        let told = Told {
            status: status.code(),
            measured: Measured {
                wall_ms: wall.as_secs_f64() * 1e3,
                cpu_ms,
                peak_mb: megabytes(kilobytes * 1024),
            },
        };
        println!("{}", serde_json::to_string(&told)?);
        Ok(())
    }
}
