//! Starting programs so that an interrupt ends them, with all that they started.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use rustix::process::{Pid, Signal, kill_process_group};

/// What a piece of work started and printed: one file, shown when the work fails.
pub(crate) struct Log {
    path: Utf8PathBuf,
    file: File,
}

impl Log {
    /// An empty one.
    pub(crate) fn create(path: Utf8PathBuf) -> Result<Self> {
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)
                .with_context(|| format!("cannot make the directory {directory}"))?;
        }
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)
            .with_context(|| format!("cannot write {path}"))?;
        Ok(Self { path, file })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// Runs a program in a process group of its own, with its output in the log.
    pub(crate) fn status(&mut self, command: &mut Command) -> Result<ExitStatus> {
        writeln!(self.file, "$ {}", shown(command))
            .with_context(|| format!("cannot write {}", self.path))?;
        let output = || {
            self.file
                .try_clone()
                .with_context(|| format!("cannot write {}", self.path))
        };
        command
            .stdin(Stdio::null())
            .stdout(output()?)
            .stderr(output()?);
        in_own_group(command)
    }

    /// The same; a program that fails is an error.
    pub(crate) fn run(&mut self, command: &mut Command) -> Result<()> {
        let status = self.status(command)?;
        ensure!(status.success(), "`{}` failed: {status}", shown(command));
        Ok(())
    }

    /// All of it.
    pub(crate) fn text(&mut self) -> Result<String> {
        let mut bytes = Vec::new();
        self.file
            .seek(SeekFrom::Start(0))
            .and_then(|_| self.file.read_to_end(&mut bytes))
            .with_context(|| format!("cannot read {}", self.path))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// Runs a program on this terminal; one that fails is an error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot start `{}`", shown(command)))?;
    if interrupted() {
        bail!("interrupted");
    }
    ensure!(status.success(), "`{}` failed: {status}", shown(command));
    Ok(())
}

/// A command as one would type it.
pub(crate) fn shown(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| {
            let word = word.to_string_lossy();
            if word.contains([' ', '"', '$']) {
                format!("'{word}'")
            } else {
                word.into_owned()
            }
        })
        .collect::<Vec<_>>()
        .join(" ")
}

static INTERRUPTED: AtomicBool = AtomicBool::new(false);
/// The process group that is running, if one is.
static GROUP: Mutex<Option<Pid>> = Mutex::new(None);
/// How long an interrupted program may take to end by itself.
const GRACE: Duration = Duration::from_secs(5);

/// Passes interrupts on to what is running; the first politely, and after a while for good.
pub(crate) fn catch_interrupts() -> Result<()> {
    ctrlc::set_handler(|| {
        INTERRUPTED.store(true, Ordering::SeqCst);
        signal(Signal::TERM);
        std::thread::sleep(GRACE);
        signal(Signal::KILL);
    })
    .context("cannot catch interrupts")
}

/// Whether there was one.
pub(crate) fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}

fn signal(signal: Signal) {
    if let Some(group) = *group() {
        // It may have ended by itself just now.
        let _ = kill_process_group(group, signal);
    }
}

fn group() -> MutexGuard<'static, Option<Pid>> {
    GROUP.lock().unwrap_or_else(PoisonError::into_inner)
}

fn in_own_group(command: &mut Command) -> Result<ExitStatus> {
    let mut child = {
        // An interrupt waits until the group is known.
        let mut running = group();
        if interrupted() {
            bail!("interrupted");
        }
        let child = command
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start `{}`", shown(command)))?;
        *running = Some(Pid::from_child(&child));
        child
    };
    let status = child.wait();
    *group() = None;
    if interrupted() {
        bail!("interrupted");
    }
    status.with_context(|| format!("cannot wait for `{}`", shown(command)))
}
