//! Whose a connection is, by the process at its other end.
//!
//! A builder in Nix's sandbox has a root directory of its own, which it cannot choose: the kernel tells which. Without
//! the sandbox, Nix gives every builder the variable `out`, and a working directory of its own, whose name holds that of
//! the derivation. Both are looked for at the process that holds the socket and at those that started it; a builder can
//! make them say something else. This is for connections without a token; where it fails, nobody is guessed.
//!
//! Sources: proc(5), and what Nix does for a build.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::MetadataExt as _;

use camino::{Utf8Path, Utf8PathBuf};

/// So many processes up the tree are looked at.
const MOST_UP: usize = 64;
/// So much of an environment is read, in bytes.
const MOST_ENVIRONMENT: u64 = 1 << 20;

/// What a process says of its build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    /// The outputs that it, or who started it, is to make.
    pub(crate) outputs: Vec<String>,
    /// The names of derivations that working directories tell.
    pub(crate) names: Vec<String>,
    /// Its root directory, if it is another than ours.
    pub(crate) root: Option<Place>,
}

/// A directory, whatever it is called: its device and its number there.
pub(crate) type Place = (u64, u64);

/// Which directory that is, if it is there and may be looked at.
pub(crate) fn place(path: &Utf8Path) -> Option<Place> {
    let data = path.metadata().ok()?;
    Some((data.dev(), data.ino()))
}

/// Where Nix has the root directory of a builder in its sandbox: the two forms of its versions.
pub(crate) fn roots(drv: &str) -> [Utf8PathBuf; 2] {
    [".chroot/root", ".chroot"].map(|end| format!("{drv}{end}").into())
}

/// The process at the other end of a TCP connection, on this machine: `peer` is its address as it is seen here,
/// `local` is ours.
pub(crate) fn of_tcp(
    processes: &Utf8Path,
    net: &Utf8Path,
    peer: SocketAddr,
    local: SocketAddr,
) -> io::Result<Option<Process>> {
    for table in ["tcp", "tcp6"] {
        let text = match read(&net.join(table), u64::MAX) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let text = String::from_utf8_lossy(&text);
        if let Some(inode) = inode(&text, peer, local) {
            return match holder(processes, inode)? {
                Some(pid) => Ok(Some(of_pid(processes, pid))),
                None => Ok(None),
            };
        }
    }
    Ok(None)
}

/// What a process and those that started it say.
pub(crate) fn of_pid(processes: &Utf8Path, pid: u32) -> Process {
    let ours = place(&processes.join("self/root"));
    let mut process = Process {
        pid,
        outputs: Vec::new(),
        names: Vec::new(),
        root: place(&processes.join(format!("{pid}/root"))).filter(|root| Some(*root) != ours),
    };
    let mut at = pid;
    for _ in 0..MOST_UP {
        if at <= 1 {
            break;
        }
        let directory = processes.join(at.to_string());
        let environment = read(&directory.join("environ"), MOST_ENVIRONMENT).unwrap_or_default();
        let out = environment.split(|byte| *byte == 0).find_map(|line| {
            let value = line.strip_prefix(b"out=")?;
            String::from_utf8(value.to_vec()).ok()
        });
        process.outputs.extend(out);
        // A link into another mount namespace can be read all the same.
        if let Ok(link) = std::fs::read_link(directory.join("cwd")) {
            process
                .names
                .extend(name_of_directory(&link.to_string_lossy()));
        }
        let Ok(stat) = read(&directory.join("stat"), 4096) else {
            break;
        };
        let Some(parent) = parent(&stat) else { break };
        at = parent;
    }
    process
}

/// `x` of `/tmp/nix-build-x.drv-0/…`.
fn name_of_directory(path: &str) -> Option<String> {
    let part = path
        .split('/')
        .find_map(|part| part.strip_prefix("nix-build-"))?;
    let (name, number) = part.rsplit_once(".drv-")?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| name.to_owned())
}

/// The parent in `PID (NAME) STATE PARENT …`; names hold anything.
fn parent(stat: &[u8]) -> Option<u32> {
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    let text = std::str::from_utf8(&stat[end + 1..]).ok()?;
    text.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// The inode of the socket whose own address is `peer` and whose other end is `local`.
fn inode(table: &str, peer: SocketAddr, local: SocketAddr) -> Option<u64> {
    table.lines().skip(1).find_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let (own, other) = (address(words.nth(1)?)?, address(words.next()?)?);
        if own != plain(peer) || other != plain(local) {
            return None;
        }
        words.nth(6)?.parse().ok().filter(|inode| *inode != 0)
    })
}

/// `0100007F:1F90`: words of 32 bits in the order of this machine, and the port.
fn address(text: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let mut bytes = Vec::new();
    for at in (0..address.len()).step_by(8) {
        let word = u32::from_str_radix(address.get(at..at + 8)?, 16).ok()?;
        bytes.extend_from_slice(&word.to_ne_bytes());
    }
    let address = match bytes.len() {
        4 => IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?),
        16 => IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?),
        _ => return None,
    };
    Some((address.to_canonical(), port))
}

fn plain(address: SocketAddr) -> (IpAddr, u16) {
    (address.ip().to_canonical(), address.port())
}

/// Who holds a socket. Processes that cannot be looked at, or end meanwhile, are passed over.
fn holder(processes: &Utf8Path, inode: u64) -> io::Result<Option<u32>> {
    let wanted = format!("socket:[{inode}]");
    for entry in std::fs::read_dir(processes)? {
        let entry = entry?;
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let Ok(files) = std::fs::read_dir(entry.path().join("fd")) else {
            continue;
        };
        let holds = |link: std::path::PathBuf| link.as_os_str() == wanted.as_str();
        if files
            .flatten()
            .any(|file| std::fs::read_link(file.path()).is_ok_and(holds))
        {
            return Ok(Some(pid));
        }
    }
    Ok(None)
}

#[expect(
    clippy::disallowed_methods,
    reason = "this room looks at the processes of the machine"
)]
fn read(path: &Utf8Path, most: u64) -> io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    std::fs::File::open(path)?
        .take(most)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests write what processes say")]
mod tests {
    use super::*;

    #[test]
    fn the_holder_of_a_real_connection_is_this_process() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, peer) = listener.accept().unwrap();
        let found = of_tcp(
            Utf8Path::new("/proc"),
            Utf8Path::new("/proc/net"),
            peer,
            server.local_addr().unwrap(),
        );
        assert_eq!(found.unwrap().unwrap().pid, std::process::id());
        drop(client);
    }

    #[test]
    fn builds_are_told_by_what_nix_gives_them() {
        let place = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(place.path()).unwrap();
        let process = |pid: u32, parent: u32, environment: &str, cwd: &str| {
            let directory = root.join(pid.to_string());
            std::fs::create_dir(&directory).unwrap();
            std::fs::write(directory.join("environ"), environment).unwrap();
            std::fs::write(
                directory.join("stat"),
                format!("{pid} (a) b) (c) S {parent} 0 0"),
            )
            .unwrap();
            std::os::unix::fs::symlink(cwd, directory.join("cwd")).unwrap();
        };
        process(30, 20, "A=b\0", "/tmp/nix-build-hello-2.12.tar.gz.drv-3/x");
        process(20, 10, "PATH=/x\0out=/nix/store/x-hello\0", "/build");
        process(10, 1, "NIX=1\0", "/");
        let found = of_pid(root, 30);
        assert_eq!(found.outputs, ["/nix/store/x-hello"]);
        assert_eq!(found.names, ["hello-2.12.tar.gz"]);
        assert_eq!(of_pid(root, 10).outputs, Vec::<String>::new());
    }

    #[test]
    fn tables_of_both_versions() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             0: 0100007F:1F90 0100007F:0050 01 00000000:00000000 00:00000000 00000000  1000        0 4711 1\n\
             1: 0000000000000000FFFF00000100007F:1F91 0000000000000000FFFF00000100007F:0050 01 00000000:00000000 00:00000000 00000000  1000        0 4712 1\n";
        let local = "127.0.0.1:80".parse().unwrap();
        assert_eq!(
            inode(table, "127.0.0.1:8080".parse().unwrap(), local),
            Some(4711)
        );
        assert_eq!(
            inode(table, "127.0.0.1:8081".parse().unwrap(), local),
            Some(4712)
        );
        assert_eq!(inode(table, "127.0.0.1:8082".parse().unwrap(), local), None);
    }
}
