//! How a proxy works, as whoever starts it says.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use camino::Utf8PathBuf;
use snowguard_fod::policy::Exceptions;

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Nothing is denied; what would be is written down.
    Audit,
    /// What is not allowed is denied; TLS is carried as it is.
    Tunnel,
    /// As `Tunnel`, and TLS is taken off and put on again, so that bodies are seen.
    Inspect,
    /// Answers come from a record, and nothing goes out.
    Replay,
}

impl Mode {
    /// The word of interfaces.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Audit => "audit",
            Self::Tunnel => "tunnel",
            Self::Inspect => "inspect",
            Self::Replay => "replay",
        }
    }
}

/// How long is waited for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// For a whole head, of a request or a response.
    pub head: Duration,
    /// For the next request on a connection.
    pub next: Duration,
    /// For a name to be resolved and a server to answer a connection.
    pub connect: Duration,
    /// For a handshake of TLS.
    pub handshake: Duration,
    /// For the next bytes of a body or of a tunnel.
    pub idle: Duration,
    /// For a server to begin its answer.
    pub answer: Duration,
    /// For connections to end when the proxy stops.
    pub stop: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(20),
            next: Duration::from_mins(1),
            connect: Duration::from_secs(20),
            handshake: Duration::from_secs(15),
            idle: Duration::from_mins(2),
            answer: Duration::from_mins(5),
            stop: Duration::from_secs(20),
        }
    }
}

/// Where evidence goes.
#[derive(Clone, Debug)]
pub struct EvidenceSettings {
    /// The file of JSON lines.
    pub file: Utf8PathBuf,
    /// So large it becomes, in bytes, before it is put aside.
    pub most_bytes: u64,
    /// So many that were put aside are kept.
    pub keep: u32,
}

impl EvidenceSettings {
    /// A file, with the usual bounds: half a gigabyte in all.
    pub fn new(file: Utf8PathBuf) -> Self {
        Self {
            file,
            most_bytes: 64 << 20,
            keep: 7,
        }
    }
}

/// How a proxy works.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What becomes of a request.
    pub mode: Mode,
    /// What is allowed beyond what derivations say.
    pub exceptions: Exceptions,
    /// Where evidence goes.
    pub evidence: EvidenceSettings,
    /// Authorities in PEM beside those of the system, for the servers that are fetched from.
    pub ca_files: Vec<Utf8PathBuf>,
    /// Addresses of names, in place of what the system resolves them to.
    pub resolve: BTreeMap<String, IpAddr>,
    /// Where bodies are recorded to, or come from.
    pub record: Option<Utf8PathBuf>,
    /// How long is waited.
    pub times: Times,
    /// So many connections at a time.
    pub most_connections: usize,
    /// Where processes are looked for: `/proc`.
    pub processes: Utf8PathBuf,
    /// The directory with `tcp` and `tcp6` of the network in which clients are: `/proc/net`, or
    /// `/proc/PID/net` of a process in another namespace.
    pub peer_net: Utf8PathBuf,
}

impl Settings {
    /// The usual settings for a mode.
    pub fn new(mode: Mode, evidence: EvidenceSettings) -> Self {
        Self {
            mode,
            exceptions: Exceptions::default(),
            evidence,
            ca_files: Vec::new(),
            resolve: BTreeMap::new(),
            record: None,
            times: Times::default(),
            most_connections: 4096,
            processes: "/proc".into(),
            peer_net: "/proc/net".into(),
        }
    }
}
