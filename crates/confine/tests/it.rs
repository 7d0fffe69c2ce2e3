//! What runs in the network reaches the proxy's socket and nothing else. Needs the right to make network
//! namespaces: root, or user namespaces.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests start programs, and fail where they cannot go on"
)]

use std::ffi::OsString;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use snowguard_confine::{Command, ConfineError, Confined, Ended, Sockets, Stdout};

const HELPER: &str = env!("CARGO_BIN_EXE_snowguard-confine");

/// None, and said loudly, where this machine does not let the tests make networks. Where all is tested, that fails.
fn start() -> Option<(Confined, Sockets)> {
    match Confined::start(Path::new(HELPER)) {
        Ok(started) => Some(started),
        Err(error @ ConfineError::Namespace { .. }) => {
            let told = "SKIPPED: this test needs root or user namespaces";
            let _ = std::io::stderr().write_all(format!("{told}: {error}\n").as_bytes());
            assert!(std::env::var_os("CI").is_none(), "{told}: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

fn shell(script: &str) -> Command {
    let bash = ["/bin/bash", "-c", script];
    Command {
        arguments: bash.map(OsString::from).to_vec(),
        environment: vec![("PATH".into(), std::env::var_os("PATH").unwrap())],
        directory: PathBuf::from("/"),
        stdout: Stdout::ToStderr,
    }
}

/// A connection that bash makes; its status is that of what follows.
fn connect(address: SocketAddr, then: &str) -> Command {
    let (ip, port) = (address.ip(), address.port());
    shell(&format!("exec 3<>/dev/tcp/{ip}/{port} || exit 9; {then}"))
}

#[test]
fn the_proxy_is_reached_and_this_machine_is_not() {
    let Some((confined, sockets)) = start() else {
        return;
    };
    assert_eq!(confined.untold(), None, "this test needs nft");
    let proxy = sockets.proxy.local_addr().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (mut connection, _) = sockets.proxy.accept().unwrap();
            connection.write_all(b"hello\n").unwrap();
        });
        let read = connect(proxy, "read line <&3; [ $line = hello ]");
        assert_eq!(confined.run(&read).unwrap(), Ended::Exit(0));
    });
    // A service of this machine, on loopback: the connection goes to the socket for strays, not there.
    let service = TcpListener::bind("127.0.0.1:0").unwrap();
    service.set_nonblocking(true).unwrap();
    let far = "198.51.100.7:22".parse().unwrap();
    let private = "10.0.0.1:80".parse().unwrap();
    for meant in [service.local_addr().unwrap(), far, private] {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let (connection, _) = sockets.strays[0].accept().unwrap();
                let found = rustix::net::sockopt::ip_original_dst(&connection).unwrap();
                assert_eq!(SocketAddr::from(found), meant);
            });
            let run = confined.run(&connect(meant, "read line <&3; [ -z $line ]"));
            assert_eq!(run.unwrap(), Ended::Exit(0));
        });
    }
    assert!(service.accept().is_err());
}

/// Where datagrams were meant to go is in their heads; nobody takes them, which is told at once.
#[test]
fn datagrams_are_seen_and_go_nowhere() {
    let Some((confined, sockets)) = start() else {
        return;
    };
    let service = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    service.set_nonblocking(true).unwrap();
    let port = service.local_addr().unwrap().port();
    let send = |to: &str, port: u16| {
        let script =
            format!("exec 3<>/dev/udp/{to}/{port}; echo x >&3; read -t 60 line <&3; [ $? = 1 ]");
        assert_eq!(confined.run(&shell(&script)).unwrap(), Ended::Exit(0));
    };
    let read = |from: &OwnedFd| {
        let mut bytes = [0; 99];
        let (length, _) =
            rustix::net::recv(from, &mut bytes[..], rustix::net::RecvFlags::DONTWAIT).unwrap();
        bytes[..length].to_vec()
    };
    let [four, six] = &sockets.datagrams;
    for (to, port) in [("127.0.0.1", port), ("198.51.100.7", 53), ("10.0.0.1", 443)] {
        send(to, port);
        let packet = read(four);
        let meant: std::net::Ipv4Addr = to.parse().unwrap();
        assert_eq!(packet[16..20], meant.octets());
        assert_eq!(packet[22..24], port.to_be_bytes());
        assert!(packet.ends_with(b"x\n"));
    }
    assert!(service.recv(&mut [0; 9]).is_err());
    if Path::new("/proc/sys/net/ipv6").exists() {
        send("2001:db8::1", 443);
        let packet = read(six);
        let meant: std::net::Ipv6Addr = "2001:db8::1".parse().unwrap();
        assert_eq!(packet[24..40], meant.octets());
        assert_eq!(packet[42..44], 443_u16.to_be_bytes());
    }
}

#[test]
fn what_it_runs_is_told_as_it_ended() {
    let Some((confined, _sockets)) = start() else {
        return;
    };
    assert_eq!(confined.run(&shell("exit 7")).unwrap(), Ended::Exit(7));
    assert_eq!(
        confined.run(&shell("kill -9 $$")).unwrap(),
        Ended::Signal(9)
    );
    let mut none = shell("");
    none.arguments[0] = "/no/such/program".into();
    assert!(
        confined
            .run(&none)
            .unwrap_err()
            .to_string()
            .contains("/no/such/program")
    );
    // The environment is what was said, and the directory too.
    let mut says = shell("[ \"$A\" = 'b c' ] && [ -z \"$HOME\" ] && [ $PWD = /usr ]");
    says.environment.push(("A".into(), "b c".into()));
    says.directory = "/usr".into();
    assert_eq!(confined.run(&says).unwrap(), Ended::Exit(0));
}

#[test]
fn what_is_over_is_ended_and_the_next_one_runs() {
    let Some((confined, _sockets)) = start() else {
        return;
    };
    let place = tempfile::tempdir().unwrap();
    let there = place.path().join("there");
    let slow = shell(&(leaves_behind(place.path()) + "; sleep 600"));
    let ended = confined.run_until(&slow, &mut || there.exists());
    assert_eq!(ended.unwrap(), Ended::Asked);
    if confined.together().is_none() {
        assert!(is_free(place.path()), "something goes on");
    }
    // One may end by itself just when it is to be ended.
    for _ in 0..10 {
        let ended = confined.run_until(&shell("exit 4"), &mut || true).unwrap();
        assert!(matches!(ended, Ended::Asked | Ended::Exit(4)), "{ended:?}");
        assert_eq!(confined.run(&shell("exit 3")).unwrap(), Ended::Exit(3));
    }
}

/// Whoever is killed leaves nothing behind: the helper sees its channel end.
#[test]
fn all_ends_with_who_started_it() {
    if start().is_none() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let mut helper = std::process::Command::new(HELPER)
        .stdin(std::process::Stdio::from(OwnedFd::from(theirs)))
        .spawn()
        .unwrap();
    let path = format!("PATH={}", std::env::var("PATH").unwrap());
    let script = leaves_behind(place.path()) + "; sleep 600";
    let fields = ["run", "err", "/", "3", "/bin/bash", "-c", &script, &path];
    let frame: Vec<u8> = fields
        .iter()
        .flat_map(|f| [f.as_bytes(), b"\0"].concat())
        .collect();
    let length = u32::try_from(frame.len()).unwrap().to_le_bytes();
    ours.write_all(&[&length[..], &frame].concat()).unwrap();
    while !place.path().join("there").exists() {
        std::thread::sleep(Duration::from_millis(10));
    }
    drop(ours);
    helper.wait().unwrap();
    assert!(is_free(place.path()), "something goes on");
}

/// Starts something that nobody waits for, in a session of its own, and that has a file locked while it lives.
fn leaves_behind(place: &Path) -> String {
    let place = place.display();
    format!(
        "setsid bash -c 'exec 9>{place}/lock; flock 9; : >{place}/there; trap \"\" TERM; sleep 600; sleep 600' \
         </dev/null >/dev/null 2>&1 & while ! [ -e {place}/there ]; do sleep 0.01; done"
    )
}

/// Whether what has the file locked is gone.
fn is_free(place: &Path) -> bool {
    let mut flock = std::process::Command::new("flock");
    let lock = place.join("lock");
    let args = [OsString::from("-n"), lock.into(), "true".into()];
    flock.args(args).status().unwrap().success()
}

/// Whether programs are kept apart here. Where not, the test says so and shows nothing.
fn is_apart(confined: &Confined) -> bool {
    if let Some(why) = confined.together() {
        let told = format!("SKIPPED: this test needs process and mount namespaces: {why}\n");
        let _ = std::io::stderr().write_all(told.as_bytes());
    }
    confined.together().is_none()
}

#[test]
fn what_a_program_leaves_behind_ends_with_it() {
    let Some((confined, _sockets)) = start() else {
        return;
    };
    if !is_apart(&confined) {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let run = confined.run(&shell(&leaves_behind(place.path())));
    assert_eq!(run.unwrap(), Ended::Exit(0));
    assert!(is_free(place.path()));
    // Orphans of its own are buried while it runs.
    let many = "for i in {1..50}; do (setsid true &); done; sleep 0.2; ! grep -l '^State:.Z' /proc/[0-9]*/status";
    assert_eq!(confined.run(&shell(many)).unwrap(), Ended::Exit(0));
}

#[test]
fn programs_see_no_processes_and_no_sockets_of_this_machine() {
    let Some((confined, _sockets)) = start() else {
        return;
    };
    if !is_apart(&confined) {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    // One that is there before, and one that is made meanwhile; their names are no words.
    let sockets = ["a socket", "another"].map(|name| place.path().join(name));
    let file = place.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let _before = std::os::unix::net::UnixListener::bind(&sockets[0]).unwrap();
    assert_eq!(confined.run(&shell("true")).unwrap(), Ended::Exit(0));
    let _after = std::os::unix::net::UnixDatagram::bind(&sockets[1]).unwrap();
    let [one, two] = sockets.each_ref().map(|path| path.display());
    let looks = format!(
        "! [ -S '{one}' ] && ! [ -S '{two}' ] && [ -s '{}' ]",
        file.display()
    );
    assert_eq!(confined.run(&shell(&looks)).unwrap(), Ended::Exit(0));
    // Here they are what they were.
    use std::os::unix::fs::FileTypeExt as _;
    for path in &sockets {
        assert!(path.symlink_metadata().unwrap().file_type().is_socket());
    }
    let own = "set -- /proc/[0-9]*; [ $# -le 3 ] && [ -z \"$(tr -d '\\0' < /proc/1/environ)\" ]";
    assert_eq!(confined.run(&shell(own)).unwrap(), Ended::Exit(0));
}

/// What whoever starts all this has open is nothing for what runs here: a socket of the machine's network is one way out.
#[test]
fn no_file_is_inherited() {
    use std::os::fd::AsRawFd as _;
    let out = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    rustix::io::fcntl_setfd(&out, rustix::io::FdFlags::empty()).unwrap();
    let name = std::fs::read_link(format!("/proc/self/fd/{}", out.as_raw_fd())).unwrap();
    let Some((confined, _sockets)) = start() else {
        return;
    };
    let looks = format!(
        "[ -e /proc/$$/fd/1 ] && ! ls -l /proc/[0-9]*/fd | grep -F '{}'",
        name.display()
    );
    assert_eq!(confined.run(&shell(&looks)).unwrap(), Ended::Exit(0));
}

/// The kernel tells names by which sockets were made, in one network.
#[test]
fn sockets_are_not_there_whatever_they_are_called() {
    let Some((confined, _sockets)) = start() else {
        return;
    };
    if !is_apart(&confined) {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    let bind = |path: &Path| std::os::unix::net::UnixListener::bind(path).unwrap();
    std::fs::create_dir(at("before")).unwrap();
    let _open = [
        bind(&at("linked")),
        bind(&at("two\nlines")),
        bind(&at("old")),
        bind(&at("before/s")),
    ];
    std::fs::hard_link(at("linked"), at("link")).unwrap();
    std::fs::rename(at("old"), at("renamed")).unwrap();
    std::fs::rename(at("before"), at("after")).unwrap();
    // As one that a process of another network made: nothing here knows of it but its directory.
    let mode = rustix::fs::Mode::RUSR;
    let kind = rustix::fs::FileType::Socket;
    rustix::fs::mknodat(rustix::fs::CWD, at("foreign"), kind, mode, 0).unwrap();
    let looks = format!(
        "cd '{}'; covered=0; for file in * after/*; do [ -S \"$file\" ] && exit 5; \
         [ -c \"$file\" ] && covered=$((covered + 1)); done; [ $covered = 6 ]",
        place.path().display()
    );
    assert_eq!(confined.run(&shell(&looks)).unwrap(), Ended::Exit(0));
}

/// Other programs make and remove theirs all the time.
#[test]
fn sockets_may_come_and_go_while_they_are_covered() {
    let Some((confined, _sockets)) = start() else {
        return;
    };
    let place = tempfile::tempdir().unwrap();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                let paths = (0..50).map(|number| place.path().join(format!("s{number}")));
                let made = paths.map(|path| {
                    let socket = std::os::unix::net::UnixListener::bind(&path);
                    (socket.unwrap(), path)
                });
                for (_socket, path) in made.collect::<Vec<_>>() {
                    std::fs::remove_file(path).unwrap();
                }
            }
        });
        let ended: Vec<_> = (0..20).map(|_| confined.run(&shell("true"))).collect();
        is_over.store(true, Ordering::Relaxed);
        for ended in ended {
            assert_eq!(ended.unwrap(), Ended::Exit(0));
        }
    });
}

/// Nix has files that are called by the number of its process, and takes those that are there for old ones.
#[test]
fn no_process_outside_has_the_number_of_one_inside() {
    let Some((confined, _sockets)) = start() else {
        return;
    };
    if !is_apart(&confined) || !Path::new("/proc/sys/kernel/ns_last_pid").exists() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let pid = place.path().join("pid");
    let done = place.path().join("done");
    let script = format!(
        "echo $$ > {0}.new; mv {0}.new {0}; while ! [ -e {1} ]; do sleep 0.01; done",
        pid.display(),
        done.display()
    );
    std::thread::scope(|scope| {
        scope.spawn(|| confined.run(&shell(&script)).unwrap());
        while !pid.exists() {
            std::thread::sleep(Duration::from_millis(10));
        }
        let number = std::fs::read_to_string(&pid).unwrap();
        let outside = std::fs::read(format!("/proc/{}/cmdline", number.trim()));
        std::fs::write(done, "").unwrap();
        assert!(outside.unwrap().starts_with(b"snowguard-confine\0apart"));
    });
}

#[test]
fn what_runs_can_be_stopped() {
    let Some((confined, _sockets)) = start() else {
        return;
    };
    let stopper = confined.stopper().unwrap();
    let waiting = std::thread::spawn(move || confined.run(&shell("sleep 600")));
    std::thread::sleep(Duration::from_millis(50));
    stopper.stop();
    assert!(waiting.join().unwrap().is_err());
}

#[test]
fn it_ends_also_while_somebody_could_stop_it() {
    let Some((confined, _sockets)) = start() else {
        return;
    };
    let stopper = confined.stopper().unwrap();
    drop(confined);
    stopper.stop();
}

#[test]
fn a_helper_without_orders_does_nothing() {
    let output = std::process::Command::new(HELPER)
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("take orders"));
}
