//! A command of Nix as it is run: watched, with an end to its time and to what it says, and what it said.

#![expect(
    clippy::disallowed_methods,
    reason = "this room starts Nix, and measures how long it takes"
)]

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use snowguard_child::Ended;

use crate::verify::Halt;

/// How much of a log is read, from its end: logs of builds have no limit.
const MOST_LOG: usize = 1 << 20;
/// How much of what Nix lists is read.
const MOST_LISTED: u64 = 64 << 20;
/// How often it is looked how much a build has printed.
const LOOK: Duration = Duration::from_secs(1);
/// How long Nix may take to end its builders once it is asked to.
const GRACE: Duration = Duration::from_secs(5);

/// The programs of Nix on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nix {
    /// The program `nix-store`.
    pub program: PathBuf,
    /// Variables to set for it, beside those that are there.
    pub environment: Vec<(String, String)>,
}

impl Nix {
    /// `nix-store` on a store, as `--store` takes it; none for the one that Nix would use.
    pub fn command(&self, store: Option<&str>) -> Command {
        let mut command = Command::new(&self.program);
        if let Some(store) = store {
            command.args(["--store", store]);
        }
        command
            .env("LC_ALL", "C")
            // `fetchurl` lets this stand for its own list, which it would ask first. Nothing but a blank is none.
            .env("NIX_HASHED_MIRRORS", " ")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }
}

/// How a command of Nix ended, and what it said.
#[derive(Debug)]
pub struct Said {
    /// How it ended.
    pub end: End,
    /// What it printed, from its end.
    pub out: String,
    /// What it complained about, from its end.
    pub log: String,
}

impl Said {
    /// Whether it did what it was asked for.
    pub fn is_success(&self) -> bool {
        self.end == End::Itself { success: true }
    }

    /// Whether all of its complaints are here, and not only the last of them.
    pub fn is_whole(&self) -> bool {
        self.log.len() < MOST_LOG
    }

    /// The last of its complaints, in one line.
    pub fn last_line(&self) -> String {
        super::said::last_line(&self.log)
    }
}

/// How a command of Nix ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By itself.
    Itself {
        /// With status 0.
        success: bool,
    },
    /// It was ended, since it took too long.
    Slow,
    /// It was ended, since it said too much.
    Loud,
}

/// Why nothing can be said of any derivation.
#[derive(Debug)]
pub enum Stop {
    /// There is no Nix.
    Missing,
    /// Something of this machine, or somebody wants an end.
    Halt(Halt),
}

impl From<Halt> for Stop {
    fn from(halt: Halt) -> Self {
        Self::Halt(halt)
    }
}

/// How long commands of Nix may take, how much they may say, and who may want an end of them.
#[derive(Clone, Copy, Debug)]
pub struct Watch<'w> {
    /// How long one may take.
    pub longest: Duration,
    /// How many bytes one may complain.
    pub most_said: u64,
    /// Set where somebody wants an end.
    pub stop: &'w AtomicBool,
    /// Where files without names are put.
    pub scratch: &'w Path,
}

impl Watch<'_> {
    /// Runs a command to its end.
    pub fn run(&self, command: &mut Command) -> Result<Said, Stop> {
        self.run_into(command, &self.file()?)
    }

    /// A file without a name.
    pub fn file(&self) -> Result<File, Stop> {
        Ok(tempfile::tempfile_in(self.scratch).map_err(Halt::scratch)?)
    }

    /// Runs a command that prints into a file.
    pub fn run_into(&self, command: &mut Command, out: &File) -> Result<Said, Stop> {
        let log = self.file()?;
        command
            .process_group(0)
            .stdout(out.try_clone().map_err(Halt::scratch)?)
            .stderr(log.try_clone().map_err(Halt::scratch)?);
        let mut running = command.spawn().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Stop::Missing,
            _ => Stop::Halt(Halt::Network(format!("cannot start Nix: {error}"))),
        })?;
        let begun = self.begin();
        let end = loop {
            let left = self.longest.saturating_sub(begun.at.elapsed());
            let ended = snowguard_child::wait(&mut running, LOOK.min(left), self.stop);
            match ended.map_err(Halt::scratch)? {
                Ended::Itself(status) => {
                    let success = status.success();
                    break End::Itself { success };
                }
                Ended::Slow => {
                    if let Some(end) = begun.is_over(&log)? {
                        finish(&mut running);
                        break end;
                    }
                }
                Ended::Stopped => {
                    finish(&mut running);
                    return Err(Stop::Halt(Halt::Interrupted));
                }
            }
        };
        self.said(end, out, &log)
    }

    /// What was said into files by one that has ended.
    pub fn said(&self, end: End, out: &File, log: &File) -> Result<Said, Stop> {
        // One that ends by itself between two looks may have said too much as well.
        let is_loud = matches!(end, End::Itself { .. }) && length(log)? > self.most_said;
        Ok(Said {
            end: if is_loud { End::Loud } else { end },
            out: end_of(out, MOST_LISTED).map_err(Halt::scratch)?,
            log: end_of(log, MOST_LOG as u64).map_err(Halt::scratch)?,
        })
    }

    /// For a command that begins now, and is run by somebody else.
    pub fn begin(&self) -> Begun<'_> {
        Begun {
            watch: self,
            at: Instant::now(),
        }
    }
}

/// A command that runs.
#[derive(Clone, Copy, Debug)]
pub struct Begun<'w> {
    watch: &'w Watch<'w>,
    at: Instant,
}

impl Begun<'_> {
    /// Whether it is to be ended; what it complains about goes into that file.
    pub fn is_over(&self, log: &File) -> Result<Option<End>, Stop> {
        if self.watch.stop.load(Ordering::Relaxed) {
            return Err(Stop::Halt(Halt::Interrupted));
        }
        if self.at.elapsed() >= self.watch.longest {
            return Ok(Some(End::Slow));
        }
        // A log that has no end fills the disk.
        Ok((length(log)? > self.watch.most_said).then_some(End::Loud))
    }
}

/// Ends Nix: asks it first, since it alone knows its builders, which are in groups of their own.
fn finish(running: &mut Child) {
    let group = i32::try_from(running.id()).ok().and_then(Pid::from_raw);
    if let Some(group) = group {
        let _ = kill_process_group(group, Signal::TERM);
    }
    let nobody = AtomicBool::new(false);
    let asked = snowguard_child::wait(running, GRACE, &nobody);
    if !matches!(asked, Ok(Ended::Itself(_))) {
        snowguard_child::end(running);
    }
}

fn length(file: &File) -> Result<u64, Stop> {
    Ok(file.metadata().map_err(Halt::scratch)?.len())
}

/// The end of a file.
fn end_of(mut file: &File, most: u64) -> io::Result<String> {
    let length = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(length.saturating_sub(most)))?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
