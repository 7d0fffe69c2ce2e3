//! Out through the proxy: what `fod gate --verify` and `fod verify --proxy` fetch. Each derivation has a token of its
//! own while it is fetched, and reaches what its policy allows. TLS is carried as it is: our client looks at
//! certificates, and what a fetcher that Nix runs does about them is its own affair.

use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;
use serde_json::{Value, json};
use snowguard_fod::policy::Described;
use snowguard_http::Egress as Pass;
use snowguard_refetch::{Denied, Guard, Halt};
use snowguard_report::fod::Egress as Told;

use super::build::program;
use super::build::proxy::{Line, Proxy, denied, entry};
use crate::cli::fod::Through;
use crate::error::Failure;

/// So many speak with the proxy at once: it takes no more than 64.
const MOST_LINES: usize = 48;

/// A proxy that serves, and what came of it so far. It ends when this is dropped.
pub(super) struct Egress {
    address: SocketAddr,
    path: Utf8PathBuf,
    lines: Mutex<Lines>,
    is_free: Condvar,
    totals: Mutex<Totals>,
    evidence: Option<Utf8PathBuf>,
    _proxy: Proxy,
    _place: tempfile::TempDir,
}

/// Connections to the proxy: those that nobody uses, and how many are in use.
#[derive(Default)]
struct Lines {
    free: Vec<Line>,
    used: usize,
}

#[derive(Clone, Copy, Default)]
struct Totals {
    requests: u64,
    denied: u64,
    received: u64,
}

impl Egress {
    /// Starts the proxy, which takes over the socket of a network of builds, where there is one. An error if it
    /// cannot be started: nothing has been fetched then.
    pub(super) fn start(through: &Through, socket: Option<TcpListener>) -> Result<Self, Failure> {
        let place = tempfile::Builder::new()
            .prefix("snowguard-fod-")
            .tempdir()
            .map_err(|source| {
                Failure::new(anyhow::Error::new(source).context("cannot make a directory"))
            })?;
        let at = Utf8Path::from_path(place.path())
            .ok_or_else(|| Failure::message("the directory for a while is no text"))?;
        let daemon = program(through.daemon.as_deref(), "snowguardd")?;
        let aside = at.join("evidence.jsonl");
        let log = at.join("log");
        let evidence = through.evidence.as_deref().unwrap_or(&aside);
        let path = at.join("control");
        let mut proxy = Proxy::serve(&daemon, through, evidence, socket, (&path, &log))?;
        let address = proxy.address()?;
        Ok(Self {
            address: address
                .parse()
                .map_err(|_| Failure::message("the proxy does not say where it listens"))?,
            path,
            lines: Mutex::default(),
            is_free: Condvar::new(),
            totals: Mutex::default(),
            evidence: through.evidence.clone(),
            _proxy: proxy,
            _place: place,
        })
    }

    /// What came of it; `builds` where Nix built as well.
    pub(super) fn told(&self, builds: bool) -> Told {
        let totals = *lock(&self.totals);
        Told::Proxy {
            requests: totals.requests,
            denied: totals.denied,
            received: totals.received,
            builds,
            evidence: self.evidence.as_ref().map(ToString::to_string),
        }
    }

    /// Lets a derivation in by its file: a token.
    pub(super) fn begin(&self, file: &str) -> Result<String, Halt> {
        self.token(&entry(file))
    }

    /// Lets one in by what its policy is compiled from: a token.
    pub(super) fn admit(&self, described: &Described, by: By) -> Result<String, Halt> {
        self.token(&json!({"admit": {"described": described, "by": by}}))
    }

    /// Nothing more comes of a token.
    pub(super) fn end(&self, token: &str) -> Result<Over, Halt> {
        let answer = self.ask(&json!({"end": {"token": token}}))?;
        let mut requests = 0;
        let mut totals = lock(&self.totals);
        for verdict in answer["verdicts"].as_array().into_iter().flatten() {
            let count = |key: &str| verdict[key].as_u64().unwrap_or(0);
            requests += count("requests");
            totals.denied += count("denied");
            totals.received += count("received");
        }
        totals.requests += requests;
        drop(totals);
        let all = answer["denials"].as_array().into_iter().flatten();
        Ok(Over {
            requests,
            denied: all
                .map(|told| denied(told, "the proxy denied it"))
                .collect(),
        })
    }

    fn token(&self, request: &Value) -> Result<String, Halt> {
        let answer = self.ask(request)?;
        let token = answer["token"].as_str();
        token
            .map(str::to_owned)
            .ok_or_else(|| Halt::Network("the proxy gave no token".to_owned()))
    }

    fn ask(&self, request: &Value) -> Result<Value, Halt> {
        let halt = |failure: &Failure| Halt::Network(failure.text());
        let mut lines = lock(&self.lines);
        while lines.used >= MOST_LINES {
            lines = self
                .is_free
                .wait(lines)
                .unwrap_or_else(PoisonError::into_inner);
        }
        lines.used += 1;
        let free = lines.free.pop();
        drop(lines);
        let mut kept = None;
        let answer = free
            .map_or_else(|| Line::open(&self.path), Ok)
            .and_then(|mut line| {
                let answer = line.ask(request);
                kept = Some(line);
                answer
            });
        let mut lines = lock(&self.lines);
        lines.used -= 1;
        // One that failed may have an answer to come.
        lines.free.extend(kept.filter(|_| answer.is_ok()));
        drop(lines);
        self.is_free.notify_one();
        answer.map_err(|failure| halt(&failure))
    }
}

impl Guard for Egress {
    fn open(&self, described: &Described) -> Result<Pass, Halt> {
        Ok(Pass {
            address: self.address,
            token: self.admit(described, By::Token)?,
        })
    }

    fn close(&self, pass: &Pass) -> Result<Vec<Denied>, Halt> {
        Ok(self.end(&pass.token)?.denied)
    }
}

/// How the proxy knows whose a request is.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum By {
    /// By the token that it comes with, which our own client never forgets.
    Token,
    /// So, and what comes without one is counted on the only derivation in the network of builds.
    Network,
}

/// What came of a token.
pub(super) struct Over {
    /// How often something was asked for.
    pub(super) requests: u64,
    /// The first of what was denied.
    pub(super) denied: Vec<Denied>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Egress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Egress({})", self.address)
    }
}
