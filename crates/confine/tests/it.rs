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
use std::time::Duration;

use snowguard_confine::{Command, ConfineError, Confined, Ended, Sockets, Stdout};

const HELPER: &str = env!("CARGO_BIN_EXE_snowguard-confine");

/// None, and said loudly, where this machine does not let the tests make networks.
fn start() -> Option<(Confined, Sockets)> {
    match Confined::start(Path::new(HELPER)) {
        Ok(started) => Some(started),
        Err(error @ ConfineError::Namespace { .. }) => {
            let told = "SKIPPED: this test needs root or user namespaces";
            let _ = std::io::stderr().write_all(format!("{told}: {error}\n").as_bytes());
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
        user: None,
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

/// Whoever is killed leaves nothing behind: the helper sees its channel end.
#[test]
fn all_ends_with_who_started_it() {
    if start().is_none() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("pid");
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let mut helper = std::process::Command::new(HELPER)
        .stdin(std::process::Stdio::from(OwnedFd::from(theirs)))
        .spawn()
        .unwrap();
    let script = format!("sleep 600 & echo $! > {}; wait", file.display());
    let path = format!("PATH={}", std::env::var("PATH").unwrap());
    let fields = [
        "run",
        "err",
        "",
        "",
        "/",
        "3",
        "/bin/bash",
        "-c",
        &script,
        &path,
    ];
    let frame: Vec<u8> = fields
        .iter()
        .flat_map(|f| [f.as_bytes(), b"\0"].concat())
        .collect();
    let length = u32::try_from(frame.len()).unwrap().to_le_bytes();
    ours.write_all(&[&length[..], &frame].concat()).unwrap();
    let pid = loop {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        if text.ends_with('\n') {
            break text.trim().to_owned();
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    drop(ours);
    helper.wait().unwrap();
    let stat = format!("/proc/{pid}/stat");
    let is_alive = std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "));
    assert!(
        !is_alive,
        "the program outlived the network that it was started in"
    );
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
