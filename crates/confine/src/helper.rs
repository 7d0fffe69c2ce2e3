//! The helper: makes a network namespace and sockets in it, hands these out, and starts what it is told to.
//!
//! It speaks with the one who started it over its standard input, and ends with it: then everything that it
//! started is ended too, and the namespace is gone. Each program is started by `within`.

use std::ffi::OsStr;
use std::io::{self, IoSlice, Write as _};
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{
    AddressFamily, Protocol, RawProtocol, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketFlags, SocketType, ipproto, recv, sendmsg, socket_with,
};
use rustix::process::{
    Pid, Signal, WaitOptions, WaitStatus, getgid, getppid, getuid, kill_process_group, wait,
};
use rustix::thread::UnshareFlags;

use crate::within::{self, As, Kept};
use crate::{channel, files, netlink};

/// What a packet of IPv6 is called at the link (`linux/if_ether.h`).
const ETH_P_IPV6: u16 = 0x86dd;
/// How long a program may take to end once it is asked to.
const GRACE: Duration = Duration::from_secs(5);
/// How often the helper looks whether a program has ended.
const TICK: Duration = Duration::from_millis(20);
/// What is said to end the program that runs, and no more.
const END: &[u8] = b"end";
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
    let arguments: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    // Before anything is started.
    let kept = files::keep_from_children().map_err(at("keep its files from what it starts"));
    let started = || within::main(&channel, &arguments);
    let (done, word) = match kept.map(|()| started()) {
        Ok(Some(done)) => (done, "error"),
        Ok(None) => (serve(&mut channel).map(|()| ExitCode::SUCCESS), "failed"),
        Err(failed) => (Err(failed), "failed"),
    };
    match done {
        Ok(code) => code,
        Err((what, source)) => {
            let why = source.to_string();
            let told = match word {
                "error" => channel::write(&channel, &[word, &format!("{what}: {why}")]),
                word => channel::write(&channel, &[word, what, &why]),
            };
            // Who started it tells; where that is nobody, stderr does.
            if told.is_err() {
                let _ = writeln!(
                    io::stderr(),
                    "snowguard-confine: {what}: {why}; `snowguard fod build` starts this"
                );
            }
            ExitCode::from(2)
        }
    }
}

pub(crate) type Failed = (&'static str, io::Error);

pub(crate) fn at(what: &'static str) -> impl Fn(io::Error) -> Failed {
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
    let unseen = sockets.unseen.as_ref().map(ToString::to_string);
    let unled = sockets.lead_to().err().map(|why| why.to_string());
    let untold = [("connections", unled), ("datagrams", unseen)];
    let untold = untold.map(|(what, why)| why.map(|why| format!("{what}: {why}")));
    let untold: Vec<String> = untold.into_iter().flatten().collect();
    let who = As {
        user: user.as_raw(),
        group: group.as_raw(),
    };
    let trial = run(&[b"try".to_vec()], channel, Kept::Apart, who);
    let Some(trial) = trial.map_err(at("start itself"))? else {
        return Ok(());
    };
    let together = (trial.told[0] != "exit").then(|| trial.told[1..].join(" "));
    let kept = match &together {
        None => Kept::Apart,
        Some(_) => Kept::Together,
    };
    let why = |why: Option<String>| why.unwrap_or_default();
    sockets
        .hand_out(
            channel,
            &[untold.join(", "), why(together), why(trial.missed)],
        )
        .map_err(at("hand the sockets out"))?;
    drop(sockets);
    while let Some(order) = channel::read(&mut *channel).map_err(at("take orders"))? {
        // What it was about ended by itself meanwhile.
        if order == [END] {
            continue;
        }
        let told = match run(&order, channel, kept, who) {
            Ok(Some(done)) => done.told,
            Ok(None) => return Ok(()),
            Err(error) => vec!["error".to_owned(), error.to_string()],
        };
        if channel::write(&*channel, &told).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// What came of an order.
struct Done {
    told: Vec<String>,
    /// Where it was not looked for sockets.
    missed: Option<String>,
}

/// Lets an order be done; what is said of it, or none if who gave it is gone meanwhile. After that nothing of it is
/// left.
fn run(order: &[Vec<u8>], channel: &UnixStream, kept: Kept, who: As) -> io::Result<Option<Done>> {
    let (ours, theirs) = UnixStream::pair()?;
    let parent = getppid().map_or(1, |parent| parent.as_raw_nonzero().get().unsigned_abs());
    let mut child = within::start(kept, who, parent)
        .stdin(OwnedFd::from(theirs))
        .spawn()?;
    // One that has ended already says why.
    let _ = channel::write(&ours, order);
    let is_ordered = order != [b"try"];
    let mut missed = None;
    let told = loop {
        let mut polled = [
            PollFd::new(&ours, PollFlags::IN),
            PollFd::new(channel, PollFlags::IN),
        ];
        let found = poll(&mut polled, None);
        if found.is_ok() && !polled[0].revents().is_empty() {
            let told = channel::read(&ours);
            if let Ok(Some(words)) = &told
                && let [word, what] = words.as_slice()
                && word == b"missed"
            {
                missed = Some(text(what));
                continue;
            }
            break told;
        }
        if is_gone(channel) {
            let _ = ours.shutdown(std::net::Shutdown::Both);
            child.wait()?;
            return Ok(None);
        }
        // While something runs, only one thing is said; what comes before that is the first order.
        if is_ordered
            && polled[1].revents().contains(PollFlags::IN)
            && channel::read(channel)?.is_some()
        {
            let _ = ours.shutdown(std::net::Shutdown::Both);
            child.wait()?;
            let told = vec!["ended".to_owned()];
            return Ok(Some(Done { told, missed }));
        }
        std::thread::sleep(TICK);
    };
    child.wait()?;
    let told = told?.ok_or_else(|| io::Error::other("it has ended before it was done"))?;
    let told = told.iter().map(|field| text(field)).collect();
    Ok(Some(Done { told, missed }))
}

fn text(field: &[u8]) -> String {
    String::from_utf8_lossy(field).into_owned()
}

#[expect(
    deprecated,
    reason = "what is unsafe about it is sharing files, which is not asked for"
)]
pub(crate) fn unshare(flags: UnshareFlags) -> io::Result<()> {
    Ok(rustix::thread::unshare(flags)?)
}

/// Maps one user and one group: the number inside, and the one outside.
pub(crate) fn map(user: (u32, u32), group: (u32, u32)) -> io::Result<()> {
    std::fs::write("/proc/self/setgroups", "deny")?;
    std::fs::write("/proc/self/uid_map", format!("{} {} 1", user.0, user.1))?;
    std::fs::write("/proc/self/gid_map", format!("{} {} 1", group.0, group.1))
}

/// The sockets of the namespace.
struct Made {
    proxy: TcpListener,
    strays: [TcpListener; 2],
    datagrams: [OwnedFd; 2],
    /// Why nothing comes to one of these, if that is so.
    unseen: Option<io::Error>,
}

impl Made {
    fn new() -> io::Result<Self> {
        let four = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let six = SocketAddr::from((Ipv6Addr::LOCALHOST, 0));
        let stray = TcpListener::bind(four)?;
        // Of the fourth version, what is delivered here by UDP, with its head.
        let raw = socket_with(
            AddressFamily::INET,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            Some(ipproto::UDP),
        );
        // Such a socket would not tell where to in the sixth: all packets of it, and there is little else.
        let packets = RawProtocol::new(u32::from(ETH_P_IPV6.to_be())).map(Protocol::from_raw);
        let packets = socket_with(
            AddressFamily::PACKET,
            SocketType::DGRAM,
            SocketFlags::CLOEXEC,
            packets,
        );
        let mut unseen = None;
        let [raw, packets] = [raw, packets].map(|made| {
            made.or_else(|error| {
                unseen.get_or_insert(error);
                // Nothing comes here.
                UdpSocket::bind(four).map(OwnedFd::from)
            })
        });
        Ok(Self {
            proxy: TcpListener::bind(four)?,
            // Where there is no sixth version, nothing comes over it.
            strays: [stray.try_clone()?, TcpListener::bind(six).unwrap_or(stray)],
            datagrams: [raw?, packets?],
            unseen: unseen.map(io::Error::from),
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
             meta nfproto ipv4 meta l4proto tcp redirect to :{four}\n\
             meta nfproto ipv6 meta l4proto tcp redirect to :{six}\n\
             }}\n}}\n",
            proxy = self.proxy.local_addr()?.port(),
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

    /// The sockets, and what cannot be done here; empty if it can.
    fn hand_out(&self, channel: &UnixStream, missing: &[String; 3]) -> io::Result<()> {
        let [four, six] = &self.strays;
        let [raw, packets] = &self.datagrams;
        let files: [BorrowedFd<'_>; 5] = [
            self.proxy.as_fd(),
            four.as_fd(),
            six.as_fd(),
            raw.as_fd(),
            packets.as_fd(),
        ];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(5))];
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
        let [untold, together, missed] = missing;
        channel::write(channel, &["ready", untold, together, missed])
    }
}

/// Something to run.
pub(crate) struct Order<'o> {
    to_stdout: bool,
    directory: &'o [u8],
    arguments: Vec<&'o [u8]>,
    environment: Vec<(&'o [u8], &'o [u8])>,
}

impl<'o> Order<'o> {
    /// `run`, `out` or `err`, the directory, how many arguments, these, and the environment.
    pub(crate) fn read(fields: &'o [Vec<u8>]) -> io::Result<Self> {
        let bad = || io::Error::from(io::ErrorKind::InvalidData);
        let [kind, stdout, directory, count, rest @ ..] = fields else {
            return Err(bad());
        };
        if kind != b"run" {
            return Err(bad());
        }
        let count = std::str::from_utf8(count).map_err(|_| bad())?;
        let count = count.parse().map_err(|_| bad())?;
        let (arguments, environment) = rest.split_at_checked(count).ok_or_else(bad)?;
        let environment = environment.iter().map(|variable| {
            let at = variable.iter().position(|byte| *byte == b'=');
            let (name, value) = variable.split_at(at.ok_or_else(bad)?);
            Ok((name, &value[1..]))
        });
        Ok(Self {
            to_stdout: stdout == b"out",
            directory,
            arguments: arguments.iter().map(Vec::as_slice).collect(),
            environment: environment.collect::<io::Result<_>>()?,
        })
    }

    /// Runs it to its end; none if who ordered it is gone meanwhile.
    pub(crate) fn run(&self, channel: &UnixStream) -> io::Result<Option<WaitStatus>> {
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
        let child = command.spawn()?;
        let child = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let child = child.ok_or(io::ErrorKind::InvalidData)?;
        loop {
            if let Some(status) = ended(child)? {
                return Ok(Some(status));
            }
            if is_gone(channel) {
                end(child);
                return Ok(None);
            }
            std::thread::sleep(TICK);
        }
    }
}

/// Whether a program has ended. All others that have are buried: of the first process of a namespace, whatever lost its
/// parent is a child.
fn ended(child: Pid) -> io::Result<Option<WaitStatus>> {
    while let Some((pid, status)) = wait(WaitOptions::NOHANG)? {
        if pid == child {
            return Ok(Some(status));
        }
    }
    Ok(None)
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
fn end(child: Pid) {
    let _ = kill_process_group(child, Signal::TERM);
    let asked = Instant::now();
    while asked.elapsed() < GRACE {
        if !matches!(ended(child), Ok(None)) {
            break;
        }
        std::thread::sleep(TICK);
    }
    let _ = kill_process_group(child, Signal::KILL);
}

/// What is said of an order: how it ended, or why it could not be done; nothing if nobody is there any more.
pub(crate) fn answer(done: io::Result<Option<WaitStatus>>) -> Option<Vec<String>> {
    let words = match done {
        Ok(status) => {
            let status = status?;
            match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => ["exit".to_owned(), code.to_string()],
                (None, signal) => ["signal".to_owned(), signal.unwrap_or(0).to_string()],
            }
        }
        Err(error) => ["error".to_owned(), error.to_string()],
    };
    Some(words.to_vec())
}
