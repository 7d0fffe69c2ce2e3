//! One program, apart from everything else: it sees no other processes, what it leaves behind ends with it, and the
//! Unix sockets of this machine are not there.
//!
//! The helper starts itself anew for each program. What is started makes a process and a mount namespace, covers the
//! sockets, and starts itself once more, as the first process of that namespace. When that one ends, the kernel ends
//! all others in it.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags};
use rustix::thread::UnshareFlags;

use crate::helper::{Failed, Order, answer, at, map, unshare};
use crate::sockets;

/// So that it is found without its path: it may have been replaced meanwhile.
const SELF: &str = "/proc/self/exe";
/// So many sockets are covered; a machine that has more has somebody who wants that.
const MOST_SOCKETS: usize = 20_000;
/// Where services make sockets anew while something runs.
const DIRECTORIES: &[&str] = &[
    "/nix/var/nix/daemon-socket",
    "/run/nscd",
    "/var/run/nscd",
    "/run/dbus",
    "/var/run/dbus",
];

/// What tells where the user's programs make sockets.
pub(crate) const PLACES: &[&str] = &["XDG_RUNTIME_DIR", "TMPDIR"];

/// As whom a program runs: the numbers outside, which are 0 where who started the helper is root.
#[derive(Clone, Copy)]
pub(crate) struct As {
    pub(crate) user: u32,
    pub(crate) group: u32,
}

/// How much a program is kept apart.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// Wholly.
    Apart,
    /// In the network only, where the rest cannot be.
    Together,
}

/// The helper, started for one program.
pub(crate) fn start(kept: Kept, who: As, parent: u32) -> Command {
    let mut command = Command::new(SELF);
    let word = match kept {
        Kept::Apart => "apart",
        Kept::Together => "together",
    };
    command.arg0("snowguard-confine").arg(word);
    command.args([who.user, who.group, parent].map(|number| number.to_string()));
    // A builder that can look at this one is to see nothing.
    command.env_clear();
    if kept == Kept::Apart {
        let places = PLACES.iter();
        command.envs(places.filter_map(|name| Some((name, std::env::var_os(name)?))));
    }
    command
}

/// What it does then, by its arguments; none if they are no such.
pub(crate) fn main(channel: &UnixStream, arguments: &[String]) -> Option<Result<ExitCode, Failed>> {
    let [word, user, group, number] = arguments else {
        return None;
    };
    let who = As {
        user: user.parse().ok()?,
        group: group.parse().ok()?,
    };
    let number = number.parse().ok()?;
    match word.as_str() {
        "apart" => Some(apart(channel, who, number)),
        "first" => Some(first(channel, who, number)),
        "together" => Some(perform(channel, who)),
        _ => None,
    }
}

fn apart(channel: &UnixStream, who: As, parent: u32) -> Result<ExitCode, Failed> {
    unshare(UnshareFlags::NEWPID | UnshareFlags::NEWNS)
        .map_err(at("make a process and a mount namespace"))?;
    let missed = cover(parent).map_err(at("cover the sockets of this machine"))?;
    if let Some(missed) = missed {
        // Who is gone needs not know.
        let _ = crate::channel::write(channel, &["missed", &missed]);
    }
    let mut first = Command::new(SELF);
    first.arg0("snowguard-confine").arg("first").env_clear();
    first.args([who.user, who.group, std::process::id()].map(|number| number.to_string()));
    let status = first
        .status()
        .map_err(at("start a process in its namespace"))?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(2)
    })
}

/// The first process of a namespace; `number` is that of the one who made it, outside.
fn first(channel: &UnixStream, who: As, number: u32) -> Result<ExitCode, Failed> {
    let usual = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    rustix::mount::mount("proc", "/proc", "proc", usual, None)
        .map_err(|error| ("show processes in their namespace", error.into()))?;
    // Nix names files after its process, and takes one that is there for a leftover. Outside, the one who made this
    // namespace has that number as long as this one lives. Kernels that cannot do this have no such file.
    let before = number.saturating_sub(1).to_string();
    let _ = std::fs::write("/proc/sys/kernel/ns_last_pid", before);
    perform(channel, who)
}

/// Does what is ordered, as who ordered it.
fn perform(channel: &UnixStream, who: As) -> Result<ExitCode, Failed> {
    if who.user != 0 {
        // As the user again, who may change nothing of what was set up.
        unshare(UnshareFlags::NEWUSER)
            .and_then(|()| map((who.user, 0), (who.group, 0)))
            .map_err(at("leave the user namespace"))?;
    }
    let order = crate::channel::read(channel).map_err(at("take orders"))?;
    let Some(order) = order else {
        return Ok(ExitCode::SUCCESS);
    };
    let told = match &*order {
        // Whether all this can be done.
        [only] if only == b"try" => Some(vec!["exit".to_owned(), "0".to_owned()]),
        order => answer(Order::read(order).and_then(|order| order.run(channel))),
    };
    if let Some(told) = told {
        crate::channel::write(channel, &told).map_err(at("tell how it ended"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Covers the Unix sockets of this machine, for whoever is in this mount namespace: a socket is a file, and of no
/// network. `parent` is a process in the machine's network. What was not looked at, if there is something.
fn cover(parent: u32) -> io::Result<Option<String>> {
    // Nothing that is done here is seen elsewhere.
    let private = MountPropagationFlags::REC | MountPropagationFlags::PRIVATE;
    rustix::mount::mount_change("/", private)?;
    for directory in DIRECTORIES.iter().filter(|path| Path::new(path).is_dir()) {
        let flags =
            MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC | MountFlags::RDONLY;
        rustix::mount::mount("tmpfs", *directory, "tmpfs", flags, c"mode=0755,size=4k")?;
    }
    // The kernel knows those of one network only, and by the names by which they were made.
    let mut all = sockets::named(&std::fs::read(format!("/proc/{parent}/net/unix"))?);
    all.extend(sockets::mounted(&std::fs::read("/proc/self/mountinfo")?));
    let of_user = PLACES.iter().filter_map(std::env::var_os);
    let walked = sockets::walk(of_user.map(PathBuf::from));
    all.extend(walked.sockets);
    let mut count = 0;
    for path in all {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        // What is gone, or in a place that is not reached here, is not reached by what runs here either.
        let Ok(file) = rustix::fs::open(path, flags, Mode::empty()) else {
            continue;
        };
        let kind = FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode);
        if kind != FileType::Socket {
            continue;
        }
        if count == MOST_SOCKETS {
            return Err(io::Error::other("there are too many"));
        }
        let target = format!("/proc/self/fd/{}", file.as_fd().as_raw_fd());
        match rustix::mount::mount_bind("/dev/null", target) {
            // Removed since it was opened: this name leads nobody to it.
            Err(Errno::NOENT) => {}
            covered => {
                covered?;
                count += 1;
            }
        }
    }
    Ok(walked.missed)
}
