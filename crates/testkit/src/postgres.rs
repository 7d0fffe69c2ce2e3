//! A real PostgreSQL of the tests' own: a scratch cluster on a Unix socket, and a fresh database for each test.
//!
//! The server ends with the process that started it, whatever ends that: a small shell process beside it waits for its
//! input to close, and then stops the server and removes its directory. So it needs no destructor, and one cluster can
//! serve all tests of a program.

#![expect(
    clippy::disallowed_methods,
    reason = "tests start programs, read the environment and write scratch files"
)]

use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// The environment variable that names a directory with PostgreSQL's programs.
pub const POSTGRES_DIR_VARIABLE: &str = "SNOWGUARD_TEST_POSTGRES";

/// Where Debian keeps the programs of each version, away from `PATH`.
const DEBIAN: &str = "/usr/lib/postgresql";

/// As whom the server runs if the tests run as root, whom it refuses: nobody, by the number it has everywhere.
const NOBODY: u32 = 65_534;

/// How long the server may take to start, on a machine that is busy.
const DEADLINE: Duration = Duration::from_mins(1);

/// How a cluster differs from the one that tests share.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Settings, as they are in `postgresql.conf`. `listen_addresses = '127.0.0.1'` makes it listen on TCP.
    pub settings: Vec<String>,
    /// How clients show over TCP who they are: `trust`, `scram-sha-256`.
    pub method: &'static str,
    /// Files of the server's by name, which it finds as `../NAME`.
    pub files: Vec<(&'static str, String)>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            settings: Vec::new(),
            method: "trust",
            files: Vec::new(),
        }
    }
}

/// A server that runs. It ends when this is dropped, or the process ends.
#[derive(Debug)]
pub struct Cluster {
    programs: PathBuf,
    root: PathBuf,
    port: u16,
    databases: AtomicU32,
    /// Stops the server when its input closes.
    keeper: Mutex<Child>,
}

impl Cluster {
    /// The cluster that all tests of this program share; started by the first that asks.
    pub fn shared() -> Result<&'static Self, PostgresError> {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        static STARTING: Mutex<()> = Mutex::new(());
        if let Some(cluster) = SHARED.get() {
            return Ok(cluster);
        }
        let _one = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cluster) = SHARED.get() {
            return Ok(cluster);
        }
        let cluster = Self::start(&Setup::default())?;
        Ok(SHARED.get_or_init(|| cluster))
    }

    /// A cluster of one's own. Over the socket everybody is believed; the superuser is `postgres`, with the password
    /// `secret`.
    pub fn start(setup: &Setup) -> Result<Self, PostgresError> {
        let programs = programs()?;
        let scratch = tempfile::Builder::new()
            .prefix("snowguard-pg-")
            .tempdir()
            .map_err(|source| PostgresError::Scratch { source })?;
        let root = scratch
            .path()
            .canonicalize()
            .map_err(|source| PostgresError::Scratch { source })?;
        let port = free_port()?;
        prepare(&programs, &root, port, setup)?;
        let keeper = keep(&programs, &root)?;
        // From here on it is the keeper that removes the directory.
        let _ = scratch.keep();
        let cluster = Self {
            programs,
            root,
            port,
            databases: AtomicU32::new(0),
            keeper: Mutex::new(keeper),
        };
        cluster.wait()?;
        Ok(cluster)
    }

    /// A URL of a fresh and empty database.
    pub fn database(&self) -> Result<String, PostgresError> {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{number}");
        self.sql("postgres", &format!("CREATE DATABASE {name}"))?;
        Ok(self.url(&name))
    }

    /// A URL of a database over the socket.
    pub fn url(&self, database: &str) -> String {
        // Percent signs are the only characters of such a path that a URL would take for something else.
        let host = self.root.display().to_string().replace('%', "%25");
        format!(
            "postgres:///{database}?host={host}&port={}&user=postgres",
            self.port
        )
    }

    /// The port, of the socket and, where `listen_addresses` is set, of the loopback interface.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The directory with its data (`data`), its log and its socket.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Runs statements as the superuser; what they give, as `psql` shows it without ornaments.
    pub fn sql(&self, database: &str, sql: &str) -> Result<String, PostgresError> {
        let mut command = Command::new(self.programs.join("psql"));
        command
            .args([
                "-X",
                "-q",
                "-A",
                "-t",
                "-v",
                "ON_ERROR_STOP=1",
                "-U",
                "postgres",
            ])
            .arg("-h")
            .arg(&self.root)
            .args(["-p", &self.port.to_string(), "-d", database, "-c", sql]);
        run("psql", &mut command)
    }

    /// Stops the server at once, as a crash does, and starts it again.
    pub fn crash(&self) -> Result<(), PostgresError> {
        for how in [&["-m", "immediate", "stop"][..], &["-w", "start"][..]] {
            let mut command = as_server(&self.programs.join("pg_ctl"), &self.root)?;
            command
                .arg("-D")
                .arg(self.root.join("data"))
                .arg("-l")
                .arg(self.root.join("log"))
                .args(how)
                .stdout(Stdio::null());
            run("pg_ctl", &mut command)?;
        }
        Ok(())
    }

    fn wait(&self) -> Result<(), PostgresError> {
        let start = Instant::now();
        loop {
            match self.sql("postgres", "SELECT 1") {
                Ok(_) => return Ok(()),
                // It answers that it is not ready, for a while.
                Err(PostgresError::Failed { .. }) if start.elapsed() < DEADLINE => {}
                Err(error) => return Err(error),
            }
            let ended = self
                .keeper
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .try_wait();
            if let Ok(Some(_)) = ended {
                return Err(PostgresError::Failed {
                    program: "postgres",
                    stderr: "it ended while it was started".to_owned(),
                });
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let keeper = self
            .keeper
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        drop(keeper.stdin.take());
        let _ = keeper.wait();
    }
}

/// Why there is no PostgreSQL.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PostgresError {
    /// There is none.
    #[error(
        "PostgreSQL is not installed: run `cargo xtask test`, which installs it, or name a directory with its programs in {POSTGRES_DIR_VARIABLE}"
    )]
    NotFound,
    /// The scratch directory cannot be used.
    #[error("use a scratch directory for PostgreSQL")]
    Scratch {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A program could not be started.
    #[error("run `{program}`")]
    Run {
        /// Which.
        program: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A program failed.
    #[error("run `{program}`: it failed: {stderr}")]
    Failed {
        /// Which.
        program: &'static str,
        /// What it complained about.
        stderr: String,
    },
}

/// The directory with the programs: the one that is named, one of `PATH`, or Debian's newest.
fn programs() -> Result<PathBuf, PostgresError> {
    if let Some(named) = std::env::var_os(POSTGRES_DIR_VARIABLE) {
        return Ok(PathBuf::from(named));
    }
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = std::env::split_paths(&on_path).collect();
    let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir(DEBIAN)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    versions.sort_unstable();
    places.extend(versions.into_iter().rev().map(|(_, place)| place));
    places
        .into_iter()
        // Debian has a `psql` on `PATH` that is no more than a way to the others.
        .find(|place| {
            ["initdb", "pg_ctl", "postgres", "psql"]
                .iter()
                .all(|program| place.join(program).is_file())
        })
        .ok_or(PostgresError::NotFound)
}

/// Makes the cluster's files.
fn prepare(programs: &Path, root: &Path, port: u16, setup: &Setup) -> Result<(), PostgresError> {
    let scratch = |source| PostgresError::Scratch { source };
    let password = root.join("password");
    let mut paths = vec![root.to_owned(), password.clone()];
    std::fs::write(&password, "secret\n").map_err(scratch)?;
    for (name, text) in &setup.files {
        let path = root.join(name);
        std::fs::write(&path, text).map_err(scratch)?;
        // A key that others may read is refused.
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(scratch)?;
        paths.push(path);
    }
    if is_root(root)? {
        for path in paths {
            std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).map_err(scratch)?;
        }
    }
    let data = root.join("data");
    let mut initdb = as_server(&programs.join("initdb"), root)?;
    initdb
        .args(["--no-sync", "--no-instructions", "--encoding=UTF8"])
        .args(["--username=postgres", "--auth-local=trust"])
        .arg(format!("--auth-host={}", setup.method))
        .arg("--pwfile")
        .arg(&password)
        // Orders text as people do, and not by code point: what rests on an order must say so.
        .args(["--locale=C", "--locale-provider=icu", "--icu-locale=en-US"])
        .arg("-D")
        .arg(&data);
    run("initdb", &mut initdb)?;
    let mut text = format!(
        "\nport = {port}\nunix_socket_directories = '{}'\nlisten_addresses = ''\n\
         fsync = off\nfull_page_writes = off\nshared_buffers = 32MB\nmax_connections = 200\n\
         log_min_messages = warning\n",
        root.display()
    );
    for setting in &setup.settings {
        text.push_str(setting);
        text.push('\n');
    }
    // As the server's user: root's file would not be the server's.
    let file = data.join("postgresql.conf");
    let old = std::fs::read_to_string(&file).map_err(scratch)?;
    std::fs::write(&file, old + &text).map_err(scratch)
}

/// Starts the server, and beside it who stops it.
fn keep(programs: &Path, root: &Path) -> Result<Child, PostgresError> {
    // Signals of a terminal go to all of a group: this one outlives them, and ends by its input alone.
    let script = r#"
        trap '' INT TERM HUP
        "$1/pg_ctl" -D "$2/data" -l "$2/log" -W start </dev/null >/dev/null 2>&1
        read -r _
        "$1/pg_ctl" -D "$2/data" -m immediate -w stop </dev/null >/dev/null 2>&1
        rm -rf "$2"
        if [ -d "$2" ]; then exit 1; fi
    "#;
    let mut command = as_server(Path::new("/bin/sh"), root)?;
    command
        .args(["-c", script, "keeper"])
        .arg(programs)
        .arg(root)
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.spawn().map_err(|source| PostgresError::Run {
        program: "sh",
        source,
    })
}

/// A program as the server's user, whom root has to become.
fn as_server(program: &Path, root: &Path) -> Result<Command, PostgresError> {
    let owner = std::fs::metadata(root)
        .map_err(|source| PostgresError::Scratch { source })?
        .uid();
    let mut command = if owner == NOBODY && is_root(Path::new("/proc/self"))? {
        let mut command = Command::new("setpriv");
        command
            .arg(format!("--reuid={NOBODY}"))
            .arg(format!("--regid={NOBODY}"))
            .args(["--clear-groups", "--"])
            .arg(program);
        command
    } else {
        Command::new(program)
    };
    command.current_dir(root).env("HOME", root);
    // A locale of the person who runs the tests may not be installed.
    command.env("LC_ALL", "C");
    Ok(command)
}

/// Whether something belongs to root: a scratch directory, or this process.
fn is_root(path: &Path) -> Result<bool, PostgresError> {
    std::fs::metadata(path)
        .map(|metadata| metadata.uid() == 0)
        .map_err(|source| PostgresError::Scratch { source })
}

/// A port that was free a moment ago; two servers on one port would only matter where both listen on TCP.
fn free_port() -> Result<u16, PostgresError> {
    std::net::TcpListener::bind(("127.0.0.1", 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|source| PostgresError::Scratch { source })
}

fn run(program: &'static str, command: &mut Command) -> Result<String, PostgresError> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|source| PostgresError::Run { program, source })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    Err(PostgresError::Failed {
        program,
        stderr: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_starts_answers_and_is_gone() {
        let cluster = Cluster::start(&Setup::default()).unwrap();
        let root = cluster.root().to_owned();
        let url = cluster.database().unwrap();
        assert!(url.starts_with("postgres:///test_0?host=/"), "{url}");
        assert_eq!(cluster.sql("test_0", "SELECT 6 * 7").unwrap(), "42");
        cluster.crash().unwrap();
        assert_eq!(cluster.sql("test_0", "SELECT 'a' < 'B'").unwrap(), "t");
        drop(cluster);
        assert!(!root.exists());
    }
}
