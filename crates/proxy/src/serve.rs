//! The proxy: what its connections share, the builds that it knows, and how it begins and ends.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use camino::Utf8Path;
use data_encoding::HEXLOWER;
use jiff::civil::Date;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use snowguard_fod::policy::{Described, Policy};
use snowguard_fod::{Fod, Mirrors};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::authority::{Authority, AuthorityError};
use crate::build::{Build, By, Group};
use crate::evidence::{self, Record, Sink};
use crate::listener::{Listener, Socket, accept_tcp, accept_unix};
use crate::load::{self, LoadError};
use crate::metrics::Metrics;
use crate::record::{Player, RecordError, Recorder};
use crate::room::Room;
use crate::settings::{Mode, Settings};
use crate::upstream::{TrustError, Upstream};

/// So many tokens are in force at a time.
const MOST_SESSIONS: usize = 10_000;
/// So many derivations share a token at most.
const MOST_BUILDS: usize = 100_000;
/// So long is waited for requests of a session that ends.
const SETTLE: Duration = Duration::from_secs(5);
/// So many processes are looked for at a time: each look goes through all of them.
const MOST_LOOKS: usize = 4;

/// What connections share.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) upstream: Upstream,
    pub(crate) authority: Option<Authority>,
    pub(crate) recorder: Option<Recorder>,
    pub(crate) player: Option<Player>,
    pub(crate) sink: Sink,
    pub(crate) metrics: Metrics,
    sessions: Mutex<Sessions>,
    next: AtomicU64,
    pub(crate) looks: Arc<Semaphore>,
}

#[derive(Default)]
pub(crate) struct Sessions {
    /// By the SHA-256 of their tokens, so that a look-up tells nothing of these.
    pub(crate) by_token: BTreeMap<[u8; 32], Arc<Group>>,
}

impl Sessions {
    /// Those of which a process may tell that it is one; in an audit all: Git sends a token only when it is asked for
    /// one, and an audit asks nobody.
    pub(crate) fn by_process(&self, is_audit: bool) -> Vec<Arc<Group>> {
        let all = self.by_token.values();
        all.filter(|group| group.by == By::Process || is_audit)
            .cloned()
            .collect()
    }

    /// The one that is alone in the network of builds.
    pub(crate) fn alone(&self) -> Option<Arc<Group>> {
        let all = self.by_token.values();
        let mut all = all.filter(|group| group.by == By::Network);
        all.next().filter(|_| all.next().is_none()).cloned()
    }

    /// The one that is alone in its network, where there are no others at all.
    pub(crate) fn only(&self) -> Option<Arc<Group>> {
        self.alone().filter(|_| self.by_token.len() == 1)
    }

    /// How many builds there are.
    pub(crate) fn builds(&self) -> usize {
        self.by_token.values().map(|group| group.builds.len()).sum()
    }
}

/// Builds that were let in under a token.
#[derive(Clone, Debug)]
pub struct Session {
    pub(crate) group: Arc<Group>,
    /// What the builds send as the user of the proxy's address; with any password, since Git asks for one where there
    /// is none: `http://TOKEN:x@HOST:PORT`.
    pub token: String,
    /// What was taken in, for who asked.
    pub description: Value,
}

/// A proxy before it serves, and how it is spoken to while it does.
#[derive(Clone)]
pub struct Proxy {
    pub(crate) shared: Arc<Shared>,
}

/// A proxy that serves.
pub struct Handle {
    proxy: Proxy,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Proxy {
    /// Makes all that is needed; `today` is the day for which certificates are made.
    pub fn new(settings: Settings, today: Date) -> Result<Self, ProxyError> {
        let mode = settings.mode;
        let (recorder, player) = match (mode, &settings.record) {
            (Mode::Inspect, Some(directory)) => (Some(Recorder::open(directory)?), None),
            (Mode::Replay, Some(directory)) => (None, Some(Player::open(directory)?)),
            (Mode::Replay, None) => return Err(ProxyError::NoRecord),
            (Mode::Audit | Mode::Tunnel, Some(_)) => return Err(ProxyError::NothingToRecord),
            (_, None) => (None, None),
        };
        let authority = match mode {
            Mode::Inspect | Mode::Replay => Some(Authority::new(today.year())?),
            Mode::Audit | Mode::Tunnel => None,
        };
        let upstream = Upstream::new(&settings)?;
        let (sink, _) = Sink::open(&settings.evidence, mode.as_str()).map_err(|source| {
            ProxyError::Evidence {
                file: settings.evidence.file.to_string(),
                source,
            }
        })?;
        Ok(Self {
            shared: Arc::new(Shared {
                upstream,
                authority,
                recorder,
                player,
                sink,
                metrics: Metrics::default(),
                sessions: Mutex::default(),
                next: AtomicU64::new(1),
                looks: Arc::new(Semaphore::new(MOST_LOOKS)),
                settings,
            }),
        })
    }

    /// The certificate of this run's authority in PEM, which builds have to trust where TLS is taken off.
    pub fn authority(&self) -> Option<&str> {
        self.shared.authority.as_ref().map(Authority::pem)
    }

    /// Lets builds in, under a token of their own. `today` decides which exceptions hold.
    pub fn begin(&self, derivations: &[&Utf8Path], today: Date) -> Result<Session, ProxyError> {
        self.admit(derivations, today, By::Token)
    }

    /// As `begin`, for builds that cannot be given a token: requests without one are theirs if the process at the
    /// other end is in the sandbox that Nix made for them, or says to be theirs while there is no other build. The
    /// token is for `end`.
    pub fn begin_by_process(
        &self,
        derivations: &[&Utf8Path],
        today: Date,
    ) -> Result<Session, ProxyError> {
        self.admit(derivations, today, By::Process)
    }

    /// As `begin`, for builds that are alone in the network of the proxy's listeners: what is asked for there without
    /// their token is counted on them, if it is nothing that they may, and in an audit is theirs.
    pub fn begin_in_network(
        &self,
        derivations: &[&Utf8Path],
        today: Date,
    ) -> Result<Session, ProxyError> {
        self.admit(derivations, today, By::Network)
    }

    /// Something that is no build, such as an evaluation: what it fetches is written down under a name. In an audit, since
    /// no derivation says what it may reach; whoever comes to its listeners without its token is asked for it.
    pub fn watch(&self, name: &str) -> Result<Session, ProxyError> {
        if !self.shared.is_lenient() {
            return Err(ProxyError::OnlyAudit);
        }
        let id = self.shared.next.fetch_add(1, Ordering::Relaxed);
        let limits = self.shared.settings.exceptions.limits();
        let most = self.shared.settings.most_connections;
        let group = Arc::new(Group::watched(id, name, limits, most));
        let token = self.let_in(&group)?;
        Ok(Session {
            group,
            description: json!({ "session": id }),
            token,
        })
    }

    /// Lets a group in, under a new token.
    fn let_in(&self, group: &Arc<Group>) -> Result<String, ProxyError> {
        let mut bytes = [0; 24];
        getrandom::fill(&mut bytes).map_err(|_| ProxyError::Random)?;
        let token = HEXLOWER.encode(&bytes);
        let mut sessions = self.shared.sessions();
        if sessions.by_token.len() >= MOST_SESSIONS {
            return Err(ProxyError::Full);
        }
        sessions.by_token.insert(digest(&token), Arc::clone(group));
        Ok(token)
    }

    pub(crate) fn admit(
        &self,
        derivations: &[&Utf8Path],
        today: Date,
        by: By,
    ) -> Result<Session, ProxyError> {
        if derivations.is_empty() || derivations.len() > MOST_BUILDS {
            return Err(ProxyError::Count(derivations.len()));
        }
        let mut all = Vec::new();
        for path in derivations {
            let (fod, mirrors) = load::fod(path)?;
            all.push((path.as_str(), fod, mirrors));
        }
        self.let_builds_in(all, today, by)
    }

    /// Lets one in of which another process tells what its policy is compiled from.
    pub(crate) fn begin_described(
        &self,
        described: &Described,
        today: Date,
        by: By,
    ) -> Result<Session, ProxyError> {
        let fod = described.fod().ok_or(ProxyError::Described)?;
        let one = (&*described.derivation, fod, Mirrors::default());
        self.let_builds_in(vec![one], today, by)
    }

    fn let_builds_in(
        &self,
        all: Vec<(&str, Fod, Mirrors)>,
        today: Date,
        by: By,
    ) -> Result<Session, ProxyError> {
        let exceptions = &self.shared.settings.exceptions;
        let in_force = exceptions.in_force(today);
        let mut builds = Vec::new();
        let mut described = Vec::new();
        for (drv, fod, mirrors) in all {
            let policy = Policy::compile(&fod, &mirrors, &in_force, exceptions.limits());
            described.push(describe(drv, &fod, &policy));
            builds.push(Arc::new(Build::new(drv, fod, policy)));
        }
        let id = self.shared.next.fetch_add(1, Ordering::Relaxed);
        let group = Arc::new(Group::new(id, builds, by, self.shared.most_of_one()));
        let token = self.let_in(&group)?;
        Ok(Session {
            group,
            description: json!({ "session": id, "derivations": described }),
            token,
        })
    }

    /// Lets builds go: their verdicts, which are in the evidence as well, and the first of what was denied. None if
    /// nobody has that token.
    pub async fn end(&self, token: &str) -> Option<(Vec<Value>, Vec<Value>)> {
        let group = self.shared.sessions().by_token.remove(&digest(token))?;
        // A fetcher may be done before what it did is written down.
        group.settle(SETTLE).await;
        // What it opened goes on for nobody.
        group.finish();
        group.settle(SETTLE).await;
        let verdicts = self.shared.verdicts(&group).await;
        let denials = group.builds.iter().flat_map(|build| {
            let tally = build.tally();
            let all = tally.denials.iter().map(serde_json::to_value);
            all.filter_map(Result::ok).collect::<Vec<_>>()
        });
        Some((verdicts, denials.collect()))
    }

    /// How many requests there were so far.
    pub(crate) fn requests(&self) -> u64 {
        self.shared.metrics.asked.load(Ordering::Relaxed)
    }

    /// What operators watch, as Prometheus reads it.
    pub fn metrics(&self) -> String {
        let sessions = self.shared.sessions().by_token.len();
        let failed = self.shared.sink.has_failed();
        self.shared
            .metrics
            .text(self.shared.settings.mode.as_str(), sessions, failed)
    }

    /// Serves until the handle is told to stop. Within a runtime of tokio.
    pub fn serve(self, listeners: Vec<Listener>) -> io::Result<Handle> {
        let (stop, stopping) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let room = Room::new(self.shared.settings.most_connections);
        for listener in listeners {
            let shared = Arc::clone(&self.shared);
            let (stopping, room) = (stopping.clone(), Arc::clone(&room));
            match listener.socket {
                Socket::Tcp(socket) => {
                    socket.set_nonblocking(true)?;
                    let socket = TcpListener::from_std(socket)?;
                    tasks.spawn(accept_tcp(shared, socket, listener.end, stopping, room));
                }
                Socket::Unix(socket) => {
                    socket.set_nonblocking(true)?;
                    let socket = UnixListener::from_std(socket)?;
                    tasks.spawn(accept_unix(shared, socket, listener.end, stopping, room));
                }
            }
        }
        Ok(Handle {
            proxy: self,
            stop,
            tasks,
        })
    }
}

impl Handle {
    /// The proxy that serves.
    pub fn proxy(&self) -> &Proxy {
        &self.proxy
    }

    /// Takes no more connections, waits a while for those that are there, and writes the verdicts on what was not
    /// ended.
    pub async fn stop(mut self) {
        let _ = self.stop.send(true);
        let patience = self.proxy.shared.settings.times.stop;
        let ended = timeout(patience, async {
            while self.tasks.join_next().await.is_some() {}
        });
        if ended.await.is_err() {
            // The second time: what goes on is ended, and written down as such.
            let _ = self.stop.send(true);
            let ended = timeout(SETTLE, async {
                while self.tasks.join_next().await.is_some() {}
            });
            if ended.await.is_err() {
                self.tasks.shutdown().await;
            }
        }
        let open = std::mem::take(&mut self.proxy.shared.sessions().by_token);
        for group in open.values() {
            self.proxy.shared.verdicts(group).await;
        }
        let _ = timeout(patience, self.proxy.shared.sink.written()).await;
    }
}

/// What a session takes in, for who asked: what it may reach, and what no proxy can carry.
fn describe(drv: &str, fod: &Fod, policy: &Policy) -> Value {
    let routes: Vec<Value> = policy
        .routes()
        .iter()
        .map(|route| {
            json!({
                "protocol": route.protocol.as_str(),
                "host": route.host.to_string(),
                "port": route.port,
                "private": route.private,
                "because": route.because.to_string(),
            })
        })
        .collect();
    let uncarried: Vec<Value> = policy
        .uncarried()
        .iter()
        .map(|one| {
            json!({
                "url": evidence::shown(&one.url, &fod.urls),
                "scheme": one.scheme.as_str(),
                "remedy": one.remedy(),
            })
        })
        .collect();
    json!({
        "derivation": drv,
        "output": fod.output,
        "name": fod.name,
        "class": fod.tool.class.as_str(),
        "proxy": fod.proxy.as_str(),
        "routes": routes,
        "uncarried": uncarried,
    })
}

pub(crate) fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

impl Shared {
    pub(crate) fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So many connections one session holds at a time: others need some as well.
    fn most_of_one(&self) -> usize {
        (self.settings.most_connections / 4).max(1)
    }

    /// Whether nothing is denied.
    pub(crate) fn is_lenient(&self) -> bool {
        self.settings.mode == Mode::Audit
    }

    /// Writes down what is said of each build of a group that did something or should have.
    async fn verdicts(&self, group: &Group) -> Vec<Value> {
        let mut all = Vec::new();
        for build in &group.builds {
            let tally = build.tally().clone();
            let record = evidence::Build {
                session: group.id,
                derivation: build.drv.clone(),
                output: build.fod.output.clone(),
                name: build.fod.name.clone(),
                class: build.fod.tool.class.as_str(),
                verdict: build.verdict(),
                declared: build
                    .fod
                    .address
                    .hash
                    .to_notation(snowguard_store::hash::Notation::Sri),
                got: tally.others,
                requests: tally.requests,
                denied: tally.denied,
                would_deny: tally.would_deny,
                sent: tally.sent,
                received: tally.received,
                not_written: tally.not_written,
                statuses: tally.statuses,
            };
            all.extend(serde_json::to_value(&record));
            self.sink.tell(&Record::Build(Box::new(record))).await;
        }
        all
    }
}

/// Why a proxy cannot work.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// No certificate can be made.
    #[error("cannot make the authority of this run")]
    Authority(#[from] AuthorityError),
    /// It is not known whom to trust.
    #[error("cannot tell which servers to trust: {0}")]
    Trust(#[from] TrustError),
    /// The record cannot be used.
    #[error("cannot use the record")]
    Record(#[from] RecordError),
    /// Replay without a record.
    #[error("replay needs a record")]
    NoRecord,
    /// Something is to be watched where requests are judged.
    #[error("only an audit carries what no derivation asks for")]
    OnlyAudit,
    /// Nothing is seen that could be recorded.
    #[error("only inspect sees what could be recorded")]
    NothingToRecord,
    /// Evidence cannot be written.
    #[error("cannot write evidence to {file}")]
    Evidence {
        /// Where.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// A derivation cannot be taken.
    #[error("cannot take a derivation")]
    Load(#[from] LoadError),
    /// What is told of one makes no sense here.
    #[error("the class or the tool of the derivation is not known")]
    Described,
    /// No derivations, or too many.
    #[error("{0} derivations cannot share a token")]
    Count(usize),
    /// Too many tokens.
    #[error("there are too many tokens in force")]
    Full,
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    Random,
}

impl ProxyError {
    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Record(error) => error.hint(),
            Self::NoRecord => Some("--record DIR names one that inspect wrote"),
            Self::OnlyAudit => Some("leave --watch out, or use --mode audit"),
            Self::NothingToRecord => Some("leave --record out, or use --mode inspect"),
            Self::Trust(_) => Some("--ca-file takes certificates in PEM"),
            Self::Evidence { .. } => Some("--evidence takes a file that this user may write"),
            Self::Full => Some("end what is done"),
            _ => None,
        }
    }
}
