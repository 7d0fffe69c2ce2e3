//! What a client is told by who makes it.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use camino::Utf8PathBuf;

/// How a client behaves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Who asks, as servers log it.
    pub user_agent: String,
    /// Files with certificates in PEM that are trusted beside the system's.
    pub ca_files: Vec<Utf8PathBuf>,
    /// How long a connection may take to come about.
    pub connect_timeout: Duration,
    /// How long an answer may stand still, or bring less than 1 kB a second.
    pub stall: Duration,
    /// How often something is tried in all, as long as nothing of it arrives.
    pub attempts: u32,
    /// The pause after the first failed try; it doubles from one to the next.
    pub pause: Duration,
    /// The longest pause. What asks for a longer one is told instead.
    pub longest_pause: Duration,
    /// Goes to the public network only, and there directly: for addresses that strangers choose.
    pub public_only: bool,
    /// A proxy that decides what may be reached. Nothing goes round it, and it alone looks up names.
    pub egress: Option<Egress>,
}

/// A proxy on this machine that decides for whoever has a token.
#[derive(Clone, PartialEq, Eq)]
pub struct Egress {
    /// Where it listens.
    pub address: SocketAddr,
    /// Whose requests they are; a secret.
    pub token: String,
}

impl Egress {
    /// As a URL, with the token as its user: for programs that take a proxy so.
    pub fn url(&self) -> String {
        format!("http://{}:x@{}", self.token, self.address)
    }
}

impl fmt::Debug for Egress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Egress({})", self.address)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            user_agent: concat!(
                "snowguard/",
                env!("CARGO_PKG_VERSION"),
                " (+",
                env!("CARGO_PKG_REPOSITORY"),
                ")"
            )
            .to_owned(),
            ca_files: Vec::new(),
            connect_timeout: Duration::from_secs(20),
            stall: Duration::from_mins(1),
            attempts: 5,
            pause: Duration::from_secs(1),
            longest_pause: Duration::from_mins(2),
            public_only: false,
            egress: None,
        }
    }
}

impl Settings {
    /// The usual settings, with what the environment says: `NIX_SSL_CERT_FILE` names certificates.
    ///
    /// Proxies and `SSL_CERT_FILE` are looked up where connections are made.
    #[expect(
        clippy::disallowed_methods,
        reason = "every program that uses the network honours the same variables"
    )]
    pub fn from_environment() -> Self {
        // Nix sets it to a file that is not there where a build must not use the network.
        let named = std::env::var("NIX_SSL_CERT_FILE").ok();
        let named = named.map(Utf8PathBuf::from).filter(|path| path.is_file());
        Self {
            ca_files: named.into_iter().collect(),
            ..Self::default()
        }
    }
}

/// What is known of a document from the last time: it is sent only if it is another now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// The `ETag` of the last answer.
    pub etag: Option<String>,
    /// The `Last-Modified` of the last answer.
    pub last_modified: Option<String>,
}
