//! Starts the helper, takes the sockets, and tells it what to run.

use std::ffi::OsString;
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use crate::{channel, within};

/// How often it is asked whether a program is to be ended.
const MOMENT: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 50_000_000,
};

/// A network in which nothing leads out. It is gone, with all that runs in it, when this is dropped.
#[derive(Debug)]
pub struct Confined {
    helper: Child,
    channel: Option<UnixStream>,
    untold: Option<String>,
    together: Option<String>,
    missed: Option<String>,
}

/// The sockets that can be reached from within; they work in whatever process has them.
#[derive(Debug)]
pub struct Sockets {
    /// The one at which a proxy listens.
    pub proxy: TcpListener,
    /// Connections that were meant for elsewhere come here; the original destination can be asked for.
    pub strays: [TcpListener; 2],
    /// Datagrams that were meant for anywhere are seen here, and nobody else takes them: whole packets, with the head of
    /// IPv4 and IPv6 respectively. Of the latter all are seen, also those that are no datagrams.
    pub datagrams: [OwnedFd; 2],
}

/// A program to run.
#[derive(Debug, Clone)]
pub struct Command {
    /// The program and its arguments.
    pub arguments: Vec<OsString>,
    /// Its whole environment.
    pub environment: Vec<(OsString, OsString)>,
    /// Where it runs.
    pub directory: PathBuf,
    /// Where its standard output goes.
    pub stdout: Stdout,
}

/// Where standard output goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stdout {
    /// To that of the caller.
    Inherit,
    /// To the standard error of the caller.
    ToStderr,
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// With a status.
    Exit(i32),
    /// By a signal.
    Signal(i32),
    /// Since it was asked to.
    Asked,
}

impl Ended {
    /// Whether it ended well.
    pub fn is_success(self) -> bool {
        self == Self::Exit(0)
    }
}

impl Confined {
    /// Makes the network. An error if it cannot be made: nothing has been run then.
    pub fn start(helper: &Path) -> Result<(Self, Sockets), ConfineError> {
        Self::start_saying(helper, Stdio::inherit(), Stdio::inherit())
    }

    /// As [`Self::start`], with what is there in place of the caller's standard output and standard error.
    pub fn start_saying(
        helper: &Path,
        stdout: Stdio,
        stderr: Stdio,
    ) -> Result<(Self, Sockets), ConfineError> {
        let started = |source| ConfineError::Start {
            helper: helper.to_owned(),
            source,
        };
        let (ours, theirs) = UnixStream::pair().map_err(ConfineError::Channel)?;
        // Where it looks for `nft`, and for sockets.
        let said = ["PATH"].iter().chain(within::PLACES);
        let child = std::process::Command::new(helper)
            // Nobody who can look at it is to see more.
            .env_clear()
            .envs(said.filter_map(|name| Some((name, std::env::var_os(name)?))))
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(stdout)
            .stderr(stderr)
            // What a terminal sends to who started it is not meant for it: it ends with its channel, and ends
            // all that it started.
            .process_group(0)
            .spawn()
            .map_err(started)?;
        let mut confined = Self {
            helper: child,
            channel: None,
            untold: None,
            together: None,
            missed: None,
        };
        let sockets = sockets(&ours)?;
        let ready = channel::read(&ours).map_err(ConfineError::Channel)?;
        match words(&ready.unwrap_or_default()).as_slice() {
            [ready, untold, together, missed] if ready == "ready" => {
                let why = |why: &String| Some(why.clone()).filter(|why| !why.is_empty());
                (confined.untold, confined.together) = (why(untold), why(together));
                confined.missed = why(missed);
            }
            _ => return Err(ConfineError::Gone),
        }
        confined.channel = Some(ours);
        Ok((confined, sockets))
    }

    /// Why connections that go elsewhere are refused without coming to the sockets for strays, if that is so.
    pub fn untold(&self) -> Option<&str> {
        self.untold.as_deref()
    }

    /// Why programs are kept in the network only, if that is so: then they see other processes and the Unix sockets of
    /// this machine, and what one leaves behind goes on while the next one runs.
    pub fn together(&self) -> Option<&str> {
        self.together.as_deref()
    }

    /// Where it was not looked for Unix sockets, if there is such a place. Those that the kernel names are covered there
    /// too.
    pub fn missed(&self) -> Option<&str> {
        self.missed.as_deref()
    }

    /// A process in the network, by which others can look at it.
    pub fn process(&self) -> u32 {
        self.helper.id()
    }

    /// What ends all that runs here, from another thread.
    pub fn stopper(&self) -> Result<Stopper, ConfineError> {
        let channel = self.channel.as_ref().ok_or(ConfineError::Gone)?;
        channel
            .try_clone()
            .map(Stopper)
            .map_err(ConfineError::Channel)
    }

    /// Runs a program to its end. Nothing that it started is left then, unless programs are kept `together`.
    pub fn run(&self, command: &Command) -> Result<Ended, ConfineError> {
        self.run_until(command, &mut || false)
    }

    /// As [`Self::run`], but ends the program once it is over: that is asked again and again.
    pub fn run_until(
        &self,
        command: &Command,
        is_over: &mut dyn FnMut() -> bool,
    ) -> Result<Ended, ConfineError> {
        let channel = self.channel.as_ref().ok_or(ConfineError::Gone)?;
        let text = |text: &str| text.as_bytes().to_vec();
        let mut fields = vec![
            text("run"),
            text(match command.stdout {
                Stdout::Inherit => "out",
                Stdout::ToStderr => "err",
            }),
            command.directory.as_os_str().as_bytes().to_vec(),
            text(&command.arguments.len().to_string()),
        ];
        fields.extend(command.arguments.iter().map(|a| a.as_bytes().to_vec()));
        fields.extend(command.environment.iter().map(|(name, value)| {
            let mut variable = name.as_bytes().to_vec();
            variable.push(b'=');
            variable.extend_from_slice(value.as_bytes());
            variable
        }));
        channel::write(channel, &fields).map_err(ConfineError::Channel)?;
        let mut is_told = false;
        while !is_answered(channel) {
            // It is said once; the answer comes when all has ended.
            if !is_told && is_over() {
                channel::write(channel, &["end"]).map_err(ConfineError::Channel)?;
                is_told = true;
            }
        }
        let answer = channel::read(channel).map_err(ConfineError::Channel)?;
        let answer = words(&answer.ok_or(ConfineError::Gone)?);
        let number = |text: &str| text.parse().map_err(|_| ConfineError::Gone);
        match answer.as_slice() {
            [exit, code] if exit == "exit" => Ok(Ended::Exit(number(code)?)),
            [signal, number_] if signal == "signal" => Ok(Ended::Signal(number(number_)?)),
            [ended] if ended == "ended" => Ok(Ended::Asked),
            [error, why] if error == "error" => Err(ConfineError::Run {
                program: command.arguments.first().cloned().unwrap_or_default(),
                why: why.clone(),
            }),
            _ => Err(ConfineError::Gone),
        }
    }
}

/// Ends all that runs in a network; see [`Confined::stopper`].
#[derive(Debug)]
pub struct Stopper(UnixStream);

impl Stopper {
    /// Ends it. Who waits for a program there is told that the helper has ended.
    pub fn stop(&self) {
        let _ = self.0.shutdown(std::net::Shutdown::Both);
    }
}

impl Drop for Confined {
    fn drop(&mut self) {
        // The helper ends with its channel, whoever else holds an end of it.
        if let Some(channel) = self.channel.take() {
            let _ = channel.shutdown(std::net::Shutdown::Both);
        }
        let _ = self.helper.wait();
    }
}

/// Waits for a moment; whether something came, or nothing will.
fn is_answered(channel: &UnixStream) -> bool {
    let mut polled = [PollFd::new(channel, PollFlags::IN)];
    matches!(poll(&mut polled, Some(&MOMENT)), Ok(1..))
}

/// The sockets that come first, or why none do.
fn sockets(channel: &UnixStream) -> Result<Sockets, ConfineError> {
    let mut byte = [0; 1];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(5))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let got = recvmsg(
        channel,
        &mut [IoSliceMut::new(&mut byte)],
        &mut ancillary,
        RecvFlags::CMSG_CLOEXEC,
    )
    .map_err(|error| ConfineError::Channel(error.into()))?;
    let mut files: Vec<OwnedFd> = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            files.extend(received);
        }
    }
    if got.bytes == 1 && files.is_empty() {
        // The first byte of a frame that says why.
        let rest = io::Read::chain(&byte[..], channel);
        let told = channel::read(rest).map_err(ConfineError::Channel)?;
        if let [failed, what, why] = words(&told.unwrap_or_default()).as_slice()
            && failed == "failed"
        {
            return Err(ConfineError::Namespace {
                what: what.clone(),
                why: why.clone(),
            });
        }
        return Err(ConfineError::Gone);
    }
    let files: [OwnedFd; 5] = files.try_into().map_err(|_| ConfineError::Gone)?;
    let [proxy, four, six, raw, packets] = files;
    Ok(Sockets {
        proxy: proxy.into(),
        strays: [four.into(), six.into()],
        datagrams: [raw, packets],
    })
}

fn words(fields: &[Vec<u8>]) -> Vec<String> {
    let text = |field: &Vec<u8>| String::from_utf8_lossy(field).into_owned();
    fields.iter().map(text).collect()
}

/// Why nothing can be run in a network of its own.
#[derive(Debug, thiserror::Error)]
pub enum ConfineError {
    /// The helper cannot be started.
    #[error("cannot start {}", helper.display())]
    Start {
        /// Its file.
        helper: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The namespace cannot be made.
    #[error("cannot {what} for the build: {why}")]
    Namespace {
        /// What was tried.
        what: String,
        /// What the system says.
        why: String,
    },
    /// A program cannot be started.
    #[error("cannot run {}: {why}", program.display())]
    Run {
        /// Which.
        program: OsString,
        /// What the system says.
        why: String,
    },
    /// What the two say to each other does not come through.
    #[error("cannot speak with the helper")]
    Channel(#[source] io::Error),
    /// The helper ended.
    #[error("the helper has ended")]
    Gone,
}

impl ConfineError {
    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Start { .. } => Some(
                "`snowguard-confine` comes with snowguard, and lies beside it or in ../libexec; `--helper FILE` names another",
            ),
            Self::Namespace { .. } => Some(
                "run it as root, or let users make user namespaces: kernel.unprivileged_userns_clone, user.max_user_namespaces, and kernel.apparmor_restrict_unprivileged_userns on Ubuntu",
            ),
            Self::Run { .. } | Self::Channel(_) | Self::Gone => None,
        }
    }
}
