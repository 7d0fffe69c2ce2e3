//! A program that prints much, and may never end.
#![expect(
    clippy::disallowed_methods,
    reason = "this room starts a program, and measures how long it takes"
)]

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use snowguard_child::end;

/// How much a program may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) time: Duration,
    /// Of each process, in bytes of addresses.
    pub(super) memory: u64,
    /// What it may print, in bytes.
    pub(super) output: u64,
}

/// How a program ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// By itself, with the end of what it complained about.
    Itself(ExitStatus, String),
    /// It took too long.
    Slow,
    /// It printed too much.
    Large,
    /// Somebody wants an end.
    Stopped,
}

/// Runs a program with its output in a file, until it ends or has to. `each` is told how much it has
/// printed so far.
pub(super) fn run<'a>(
    program: &OsStr,
    arguments: impl IntoIterator<Item = &'a OsStr>,
    out: &File,
    limits: Limits,
    stop: &AtomicBool,
    each: &mut dyn FnMut(u64),
) -> io::Result<Ended> {
    let mut complaints = tempfile::tempfile()?;
    let mut command = Command::new("/bin/sh");
    command
        // The shell sets the limit before the program is there, and then becomes the program.
        .args(["-c", r#"ulimit -v "$1" && shift && exec "$@""#, "sh"])
        .arg((limits.memory / 1024).to_string())
        .arg(program)
        .args(arguments)
        // Nothing of whoever runs this decides what is evaluated.
        .env_remove("NIX_PATH")
        .env_remove("NIXPKGS_CONFIG")
        .stdin(Stdio::null())
        .stdout(out.try_clone()?)
        .stderr(complaints.try_clone()?)
        .process_group(0);
    let begin = Instant::now();
    let mut running = command.spawn()?;
    let ended = loop {
        if let Some(status) = running.try_wait()? {
            break Ended::Itself(status, end_of(&mut complaints)?);
        }
        let printed = out.metadata()?.len();
        if stop.load(Ordering::Relaxed) {
            break Ended::Stopped;
        }
        if begin.elapsed() >= limits.time {
            break Ended::Slow;
        }
        // Complaints without end fill a disk as well.
        if printed > limits.output || complaints.metadata()?.len() > limits.output {
            break Ended::Large;
        }
        each(printed);
        std::thread::sleep(STEP);
    };
    // Whatever it has started goes with it.
    end(&mut running);
    if out.metadata()?.len() > limits.output {
        return Ok(Ended::Large);
    }
    Ok(ended)
}

/// How often it is looked at.
const STEP: Duration = Duration::from_millis(50);

/// The last lines of what was complained about.
fn end_of(complaints: &mut File) -> io::Result<String> {
    use std::io::Seek as _;
    const KEPT: u64 = 2_000;
    let length = complaints.metadata()?.len();
    complaints.seek(io::SeekFrom::Start(length.saturating_sub(KEPT)))?;
    let mut bytes = Vec::new();
    complaints.take(KEPT).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
}
