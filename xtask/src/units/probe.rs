//! What a unit must not be able to do, tried from within.
//!
//! Each try works in a process without restrictions, and fails in one with the directive that it is for. It
//! changes nothing outside of the namespaces in which this is started.

use std::fs;
use std::io::{self, Error};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use memmap2::MmapMut;
use rustix::net::{AddressFamily, SocketType};

use super::SHARED;

/// A try.
pub(crate) struct Try {
    /// The directive that forbids it.
    pub(crate) directive: &'static str,
    /// What it is.
    pub(crate) what: &'static str,
    run: fn() -> io::Result<()>,
}

const fn of(directive: &'static str, what: &'static str, run: fn() -> io::Result<()>) -> Try {
    Try {
        directive,
        what,
        run,
    }
}

pub(crate) const TRIES: &[Try] = &[
    of("ProtectSystem", "write to /etc", || create("/etc/probe")),
    of("ProtectSystem", "write to /var/lib", || {
        create("/var/lib/probe")
    }),
    of("ProtectSystem", "write to /srv", || create("/srv/probe")),
    of("ProtectHome", "read /home", || {
        fs::read("/home/alice/secret").map(drop)
    }),
    of("ProtectHome", "read /root", || {
        fs::read("/root/secret").map(drop)
    }),
    of("PrivateNetwork", "connect to this machine", connect),
    of("RestrictAddressFamilies", "open a netlink socket", || {
        rustix::net::socket(AddressFamily::NETLINK, SocketType::RAW, None)?;
        Ok(())
    }),
    of("RestrictNamespaces", "make a user namespace", || {
        unshare("--user")
    }),
    of("RestrictNamespaces", "make a mount namespace", || {
        unshare("--mount")
    }),
    of("RestrictNamespaces", "make a network namespace", || {
        unshare("--net")
    }),
    of("RestrictNamespaces", "make an IPC namespace", || {
        unshare("--ipc")
    }),
    of("RestrictNamespaces", "make a UTS namespace", || {
        unshare("--uts")
    }),
    of("RestrictNamespaces", "make a cgroup namespace", || {
        unshare("--cgroup")
    }),
    of(
        "MemoryDenyWriteExecute",
        "make written memory executable",
        || MmapMut::map_anon(4096)?.make_exec().map(drop),
    ),
    of("SystemCallFilter", "mount", || {
        start("mount", &["-t", "tmpfs", "tmpfs", "/mnt"])
    }),
    of("SystemCallFilter", "change the root directory", || {
        start("chroot", &["/", "true"])
    }),
    of("SystemCallFilter", "choose processors", || {
        start("taskset", &["1", "true"])
    }),
    of("RestrictRealtime", "schedule in real time", || {
        start("chrt", &["-f", "1", "true"])
    }),
    of("LockPersonality", "change the personality", || {
        start("setarch", &["-R", "true"])
    }),
    of("RestrictSUIDSGID", "set the set-user-ID bit", set_user_id),
    of("ProtectHostname", "change the host name", || {
        Ok(rustix::system::sethostname(b"probe")?)
    }),
    of("ProtectKernelTunables", "write below /proc/sys", || {
        fs::write("/proc/sys/kernel/domainname", "probe")
    }),
    of("ProtectControlGroups", "make a cgroup", || {
        fs::create_dir("/sys/fs/cgroup/probe")
    }),
    of("ProtectKernelLogs", "read the log of the kernel", || {
        start("dmesg", &[])
    }),
    of(
        "ProtectKernelModules",
        "list the modules of the kernel",
        || fs::read_dir("/usr/lib/modules").map(drop),
    ),
    of("PrivateDevices", "see devices", || {
        fs::metadata("/dev/disk").map(drop)
    }),
    of("PrivateTmp", "see the /tmp of others", || {
        fs::metadata("/tmp/outside").map(drop)
    }),
    of("ProtectProc", "see the processes of others", || {
        fs::metadata("/proc/1/status").map(drop)
    }),
    of("ProcSubset", "read /proc/meminfo", || {
        fs::read("/proc/meminfo").map(drop)
    }),
    of("PrivateUsers", "be among all users of the machine", || {
        let map = fs::read_to_string("/proc/self/uid_map")?;
        could(map.lines().any(|line| line.ends_with(" 4294967295")))
    }),
    of("LimitCORE", "have its memory written out", || {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Core);
        could(limit.maximum != Some(0))
    }),
    of("NoNewPrivileges", "get new privileges", || {
        could(state("NoNewPrivs:")? == "0")
    }),
    of("CapabilityBoundingSet", "have a capability", || {
        could(state("CapBnd:")?.contains(|digit| digit != '0'))
    }),
];

/// Tries all, and tells each on a line.
pub(crate) fn run() {
    for Try { what, run, .. } in TRIES {
        match run() {
            Ok(()) => println!("could {what}"),
            Err(error) => println!("refused {what}: {error}"),
        }
    }
    println!("end");
}

fn create(path: &str) -> io::Result<()> {
    fs::File::create(path).map(drop)
}

fn connect() -> io::Result<()> {
    let address = fs::read_to_string(format!("{SHARED}/address"))?;
    TcpStream::connect(address).map(drop)
}

fn set_user_id() -> io::Result<()> {
    // The one place where a unit may write; who has none has a /tmp of the machine.
    let directory = std::env::var("STATE_DIRECTORY").unwrap_or_else(|_| "/tmp".into());
    let file = format!("{directory}/probe");
    fs::write(&file, "")?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).map_err(|error| {
        // That must work: else the rest shows nothing.
        Error::other(format!("not even its own file: {error}"))
    })?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o4755))
}

fn unshare(kind: &str) -> io::Result<()> {
    start("unshare", &[kind, "true"])
}

fn start(program: &str, arguments: &[&str]) -> io::Result<()> {
    let output = Command::new(program).args(arguments).output()?;
    if output.status.success() {
        return Ok(());
    }
    let told = String::from_utf8_lossy(&output.stderr);
    Err(Error::other(told.trim().replace('\n', " ")))
}

fn could(it: bool) -> io::Result<()> {
    if it {
        Ok(())
    } else {
        Err(Error::other("it is not so"))
    }
}

fn state(field: &str) -> io::Result<String> {
    let status = fs::read_to_string("/proc/self/status")?;
    let value = status.lines().find_map(|line| line.strip_prefix(field));
    Ok(value.unwrap_or_default().trim().to_owned())
}
