//! The helper: makes a network namespace and sockets in it, hands these out, and starts what it is told to.
//!
//! It speaks with the one who started it over its standard input, and ends with it: then everything that it
//! started is ended too, and the namespace is gone.

use std::ffi::OsStr;
use std::io::{self, IoSlice, Write as _};
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, recv, sendmsg,
};
use rustix::process::{Pid, Signal, getgid, getuid, kill_process_group};
use rustix::thread::UnshareFlags;

use crate::{channel, netlink};

/// How long a program may take to end once it is asked to.
const GRACE: Duration = Duration::from_secs(5);
/// How often the helper looks whether a program has ended.
const TICK: Duration = Duration::from_millis(20);
/// Where `nft` lies where no search path has it.
const NFT: &[&str] = &[
    "nft",
    "/run/current-system/sw/bin/nft",
    "/usr/sbin/nft",
    "/sbin/nft",
];

/// What the program does.
pub fn main() -> ExitCode {
    let Ok(stdin) = io::stdin().as_fd().try_clone_to_owned() else {
        return ExitCode::from(2);
    };
    let mut channel = UnixStream::from(stdin);
    match serve(&mut channel) {
        Ok(()) => ExitCode::SUCCESS,
        Err((what, source)) => {
            // Who started it tells; where that is nobody, stderr does.
            if channel::write(&channel, &["failed", what, &source.to_string()]).is_err() {
                let _ = writeln!(
                    io::stderr(),
                    "snowguard-confine: {what}: {source}; `snowguard fod build` starts this"
                );
            }
            ExitCode::from(2)
        }
    }
}

type Failed = (&'static str, io::Error);

fn at(what: &'static str) -> impl Fn(io::Error) -> Failed {
    move |source| (what, source)
}

fn serve(channel: &mut UnixStream) -> Result<(), Failed> {
    // Before anything is done: a standard input that is no socket is nobody's order.
    channel.peer_addr().map_err(at("take orders"))?;
    let (user, group) = (getuid(), getgid());
    if user.is_root() {
        unshare(UnshareFlags::NEWNET).map_err(at("make a network namespace"))?;
    } else {
        unshare(UnshareFlags::NEWUSER | UnshareFlags::NEWNET)
            .and_then(|()| map((0, user.as_raw()), (0, group.as_raw())))
            .map_err(at("make a user and a network namespace"))?;
    }
    netlink::loopback_up().map_err(at("bring the loopback interface up"))?;
    netlink::all_is_local(AddressFamily::INET).map_err(at("set the route"))?;
    // Without the sixth version nothing can be reached over it.
    let _ = netlink::all_is_local(AddressFamily::INET6);
    let sockets = Made::new().map_err(at("make the sockets"))?;
    let told = sockets.lead_to();
    if !user.is_root() {
        // As the user again, who may change nothing of what was set up.
        unshare(UnshareFlags::NEWUSER)
            .and_then(|()| map((user.as_raw(), 0), (group.as_raw(), 0)))
            .map_err(at("leave the user namespace"))?;
    }
    sockets
        .hand_out(channel, told)
        .map_err(at("hand the sockets out"))?;
    drop(sockets);
    while let Some(order) = channel::read(&mut *channel).map_err(at("take orders"))? {
        let answer = match Order::read(&order).and_then(|order| order.run(channel)) {
            Ok(Some(status)) => told_of(status),
            Ok(None) => return Ok(()),
            Err(error) => vec!["error".to_owned(), error.to_string()],
        };
        if channel::write(&*channel, &answer).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

#[expect(
    deprecated,
    reason = "what is unsafe about it is sharing files, which is not asked for"
)]
fn unshare(flags: UnshareFlags) -> io::Result<()> {
    Ok(rustix::thread::unshare(flags)?)
}

/// Maps one user and one group: the number inside, and the one outside.
fn map(user: (u32, u32), group: (u32, u32)) -> io::Result<()> {
    std::fs::write("/proc/self/setgroups", "deny")?;
    std::fs::write("/proc/self/uid_map", format!("{} {} 1", user.0, user.1))?;
    std::fs::write("/proc/self/gid_map", format!("{} {} 1", group.0, group.1))
}

/// The sockets of the namespace.
struct Made {
    proxy: TcpListener,
    strays: [TcpListener; 2],
    names: UdpSocket,
}

impl Made {
    fn new() -> io::Result<Self> {
        let four = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let six = SocketAddr::from((Ipv6Addr::LOCALHOST, 0));
        let stray = TcpListener::bind(four)?;
        Ok(Self {
            proxy: TcpListener::bind(four)?,
            // Where there is no sixth version, nothing comes over it.
            strays: [stray.try_clone()?, TcpListener::bind(six).unwrap_or(stray)],
            names: UdpSocket::bind(four)?,
        })
    }

    /// Leads what does not go to the proxy to the sockets for strays; an error is why not.
    fn lead_to(&self) -> io::Result<()> {
        let [four, six] = &self.strays;
        let rules = format!(
            "table inet snowguard {{\n\
             chain output {{\n\
             type nat hook output priority -100; policy accept;\n\
             ip daddr 127.0.0.1 tcp dport {proxy} accept\n\
             meta nfproto ipv4 udp dport 53 redirect to :{names}\n\
             meta nfproto ipv4 meta l4proto tcp redirect to :{four}\n\
             meta nfproto ipv6 meta l4proto tcp redirect to :{six}\n\
             }}\n}}\n",
            proxy = self.proxy.local_addr()?.port(),
            names = self.names.local_addr()?.port(),
            four = four.local_addr()?.port(),
            six = six.local_addr()?.port(),
        );
        let mut nft = NFT
            .iter()
            .find_map(|program| {
                let mut nft = Command::new(program);
                nft.args(["-f", "-"]).stdin(Stdio::piped());
                nft.stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()
            })
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "there is no nft"))?;
        if let Some(mut stdin) = nft.stdin.take() {
            stdin.write_all(rules.as_bytes())?;
        }
        if nft.wait()?.success() {
            Ok(())
        } else {
            Err(io::Error::other("nft could not set its rules"))
        }
    }

    fn hand_out(&self, channel: &UnixStream, told: io::Result<()>) -> io::Result<()> {
        let [four, six] = &self.strays;
        let files: [BorrowedFd<'_>; 4] = [
            self.proxy.as_fd(),
            four.as_fd(),
            six.as_fd(),
            self.names.as_fd(),
        ];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !ancillary.push(SendAncillaryMessage::ScmRights(&files)) {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        }
        sendmsg(
            channel,
            &[IoSlice::new(b"!")],
            &mut ancillary,
            SendFlags::empty(),
        )?;
        match told {
            Ok(()) => channel::write(channel, &["ready"]),
            Err(why) => channel::write(channel, &["ready", &why.to_string()]),
        }
    }
}

/// Something to run.
struct Order<'o> {
    to_stdout: bool,
    user: Option<(u32, u32)>,
    directory: &'o [u8],
    arguments: Vec<&'o [u8]>,
    environment: Vec<(&'o [u8], &'o [u8])>,
}

impl<'o> Order<'o> {
    /// `run`, `out` or `err`, the user and the group or nothing, the directory, how many arguments, these, and
    /// the environment.
    fn read(fields: &'o [Vec<u8>]) -> io::Result<Self> {
        let bad = || io::Error::from(io::ErrorKind::InvalidData);
        let number = |field: &[u8]| {
            let text = std::str::from_utf8(field).map_err(|_| bad())?;
            text.parse::<u32>().map_err(|_| bad())
        };
        let [kind, stdout, user, group, directory, count, rest @ ..] = fields else {
            return Err(bad());
        };
        if kind != b"run" {
            return Err(bad());
        }
        let user = match user.as_slice() {
            b"" => None,
            user => Some((number(user)?, number(group)?)),
        };
        let count = usize::try_from(number(count)?).map_err(|_| bad())?;
        let (arguments, environment) = rest.split_at_checked(count).ok_or_else(bad)?;
        let environment = environment.iter().map(|variable| {
            let at = variable.iter().position(|byte| *byte == b'=');
            let (name, value) = variable.split_at(at.ok_or_else(bad)?);
            Ok((name, &value[1..]))
        });
        Ok(Self {
            to_stdout: stdout == b"out",
            user,
            directory,
            arguments: arguments.iter().map(Vec::as_slice).collect(),
            environment: environment.collect::<io::Result<_>>()?,
        })
    }

    /// Runs it to its end; none if who ordered it is gone meanwhile.
    fn run(&self, channel: &UnixStream) -> io::Result<Option<ExitStatus>> {
        let os = OsStr::from_bytes;
        let (program, arguments) = self
            .arguments
            .split_first()
            .ok_or(io::ErrorKind::InvalidInput)?;
        let mut command = Command::new(os(program));
        command
            .args(arguments.iter().map(|argument| os(argument)))
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (os(name), os(value))))
            .current_dir(Path::new(os(self.directory)))
            .stdin(Stdio::null())
            // All that it starts can be ended with it.
            .process_group(0);
        if !self.to_stdout {
            let stderr: OwnedFd = io::stderr().as_fd().try_clone_to_owned()?;
            command.stdout(stderr);
        }
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        let mut child = command.spawn()?;
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(Some(status));
            }
            if is_gone(channel) {
                end(&mut child);
                return Ok(None);
            }
            std::thread::sleep(TICK);
        }
    }
}

/// Whether the one who gives orders has ended. Nothing comes from there while something runs.
fn is_gone(channel: &UnixStream) -> bool {
    let mut polled = [PollFd::new(channel, PollFlags::IN)];
    let now = rustix::event::Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    match poll(&mut polled, Some(&now)) {
        Ok(0) | Err(_) => false,
        Ok(_) => {
            let mut byte = [0; 1];
            matches!(
                recv(channel, &mut byte[..], RecvFlags::PEEK),
                Ok((0, _)) | Err(_)
            )
        }
    }
}

/// Ends a program with all of its group: asks, waits, and then does not ask any more.
fn end(child: &mut Child) {
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let Some(group) = group else { return };
    let _ = kill_process_group(group, Signal::TERM);
    let asked = Instant::now();
    while asked.elapsed() < GRACE {
        if matches!(child.try_wait(), Ok(Some(_)) | Err(_)) {
            break;
        }
        std::thread::sleep(TICK);
    }
    let _ = kill_process_group(group, Signal::KILL);
    let _ = child.wait();
}

fn told_of(status: ExitStatus) -> Vec<String> {
    match (status.code(), status.signal()) {
        (Some(code), _) => vec!["exit".to_owned(), code.to_string()],
        (None, signal) => vec!["signal".to_owned(), signal.unwrap_or(0).to_string()],
    }
}
