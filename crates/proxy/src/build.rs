//! Builds that may use the proxy: their policies, and what they did.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use snowguard_fod::policy::{Denial, Limits, Policy, Wanted};
use snowguard_fod::{After, Class, Fod};
use snowguard_store::hash::Notation;
use snowguard_store::{ContentAddressMethod, HashAlgo};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, timeout};

use crate::room::Room;
use crate::upstream::Share;

/// So many hashes of bodies are kept for the verdict on a build.
const MOST_BODIES: usize = 64;
/// So many requests that were denied are told when a build ends.
pub(crate) const MOST_DENIALS: usize = 32;
/// So many redirects are remembered for a session.
const MOST_REDIRECTS: usize = 10_000;

/// One fixed-output derivation that is realised.
#[derive(Debug)]
pub(crate) struct Build {
    /// The path of its derivation.
    pub(crate) drv: Box<str>,
    pub(crate) fod: Fod,
    pub(crate) policy: Policy,
    tally: Mutex<Tally>,
}

/// What a build did so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) requests: u64,
    pub(crate) denied: u64,
    pub(crate) would_deny: u64,
    pub(crate) sent: u64,
    pub(crate) received: u64,
    /// Answers by status.
    pub(crate) statuses: BTreeMap<u16, u64>,
    /// Good answers with a body, which the one to HEAD does not have.
    pub(crate) came: u64,
    /// Requests after a limit was exceeded, or beyond what may be written, of which nothing is written but this.
    pub(crate) not_written: u64,
    /// Tunnels, whose bodies nobody saw.
    pub(crate) tunnels: u64,
    /// Servers that could not prove who they are.
    pub(crate) untrusted: u64,
    /// What went wrong on the way.
    pub(crate) faults: u64,
    /// Whether a body had the hash that is declared.
    pub(crate) met: bool,
    /// Whole bodies that had another.
    pub(crate) others: Vec<String>,
    /// The first requests that were denied, or would be.
    pub(crate) denials: Vec<Denied>,
}

/// A request that was denied or would be, for who has to mend that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Denied {
    pub(crate) protocol: &'static str,
    pub(crate) host: Box<str>,
    pub(crate) port: u16,
    /// The word for why.
    pub(crate) reason: String,
    /// In words, and behind `hint: ` on a line of its own what to do.
    pub(crate) detail: String,
}

/// What is said of a build in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// A body had the hash that is declared.
    Ok,
    /// Whole bodies came, and none had the hash that is declared.
    Mismatch,
    /// Servers say that it is gone.
    Gone,
    /// Something was denied, and nothing came in its place.
    PolicyDenied,
    /// No server could prove who it is.
    TlsFailure,
    /// Nothing whole came, for reasons that may pass.
    Transient,
    /// Something came, whose hash says nothing here: it is unpacked or worked on, or was not seen.
    Fetched,
    /// It fetched nothing.
    NothingFetched,
    /// It fetched nothing, and is of a class that does not.
    NoNetworkNeeded,
}

impl Verdict {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Ok,
        Self::Mismatch,
        Self::Gone,
        Self::PolicyDenied,
        Self::TlsFailure,
        Self::Transient,
        Self::Fetched,
        Self::NothingFetched,
        Self::NoNetworkNeeded,
    ];

    /// The word of interfaces.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Mismatch => "mismatch",
            Self::Gone => "gone",
            Self::PolicyDenied => "policy-denied",
            Self::TlsFailure => "tls-failure",
            Self::Transient => "transient",
            Self::Fetched => "fetched",
            Self::NothingFetched => "nothing-fetched",
            Self::NoNetworkNeeded => "no-network-needed",
        }
    }
}

impl Build {
    pub(crate) fn new(drv: &str, fod: Fod, policy: Policy) -> Self {
        Self {
            drv: drv.into(),
            fod,
            policy,
            tally: Mutex::default(),
        }
    }

    /// What has the hash of the declaration, if that is of one body as it comes.
    pub(crate) fn declared(&self) -> Option<String> {
        let address = &self.fod.address;
        let is_body =
            address.method == ContentAddressMethod::Flat && self.fod.after == After::Nothing;
        is_body.then(|| address.hash.to_notation(Notation::Sri))
    }

    pub(crate) fn algo(&self) -> HashAlgo {
        self.fod.address.hash.algo()
    }

    pub(crate) fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A whole body came, with these hashes as SRI; whether one is the declared one. Another counts only if it is
    /// this one's `alone`.
    fn body(&self, hashes: &[String], alone: bool) -> Option<bool> {
        let declared = self.declared()?;
        let met = hashes.contains(&declared);
        let mut tally = self.tally();
        tally.met |= met;
        if !met && alone && tally.others.len() < MOST_BODIES {
            let same = hashes
                .iter()
                .find(|hash| hash.split('-').next() == declared.split('-').next());
            tally.others.extend(same.cloned());
        }
        Some(met)
    }

    pub(crate) fn verdict(&self) -> Verdict {
        let tally = self.tally().clone();
        verdict(&tally, self.fod.tool.class, self.declared().is_some())
    }
}

fn verdict(tally: &Tally, class: Class, has_declared: bool) -> Verdict {
    let came = tally.tunnels > 0 || tally.came > 0;
    if tally.requests == 0 {
        return match class {
            Class::Nothing | Class::Manual => Verdict::NoNetworkNeeded,
            _ => Verdict::NothingFetched,
        };
    }
    if tally.met {
        return Verdict::Ok;
    }
    if has_declared && !tally.others.is_empty() {
        return Verdict::Mismatch;
    }
    if tally.denied > 0 && !came {
        return Verdict::PolicyDenied;
    }
    if tally.untrusted > 0 && !came {
        return Verdict::TlsFailure;
    }
    if tally.tunnels > 0 || (tally.came > 0 && (!has_declared || tally.faults == 0)) {
        return Verdict::Fetched;
    }
    let gone = [404, 410]
        .iter()
        .any(|status| tally.statuses.contains_key(status));
    if gone && tally.faults == 0 {
        return Verdict::Gone;
    }
    Verdict::Transient
}

/// What tells that requests are of some builds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum By {
    /// Their token, and nothing else, but in an audit.
    #[default]
    Token,
    /// Without a token, the process at the other end.
    Process,
    /// Their token; without it, that there are no others in the network: in an audit, which asks nobody for one, it is
    /// theirs, and else what they may not is counted on them.
    Network,
}

/// Builds that share a token.
#[derive(Debug)]
pub(crate) struct Group {
    /// A number for the evidence, which is no secret.
    pub(crate) id: u64,
    /// What it is called, if it is no build and only watched.
    pub(crate) name: Option<Box<str>>,
    pub(crate) builds: Vec<Arc<Build>>,
    /// What tells that requests are theirs.
    pub(crate) by: By,
    limits: Limits,
    requests: AtomicU64,
    bytes: AtomicU64,
    /// So many bytes of evidence tell of its requests.
    written: AtomicU64,
    exceeded: AtomicBool,
    over: watch::Sender<bool>,
    connections: Arc<Semaphore>,
    /// The names that are resolved for it.
    pub(crate) lookups: Share,
    began: OnceLock<Instant>,
    /// How many redirects led to an address, by its key.
    redirects: Mutex<BTreeMap<[u8; 32], u32>>,
    active: watch::Sender<u64>,
}

/// A connection that counts as one of these builds.
#[derive(Debug)]
pub(crate) struct Held {
    group: Arc<Group>,
    /// Among the connections of these builds, and among those of all.
    _places: [OwnedSemaphorePermit; 2],
}

impl Held {
    pub(crate) fn is_of(&self, group: &Arc<Group>) -> bool {
        Arc::ptr_eq(&self.group, group)
    }
}

/// Waits until what a group opened is to end; for ever where it is nobody's.
pub(crate) async fn over(group: Option<&Arc<Group>>) {
    match group {
        Some(group) => group.is_over().await,
        None => std::future::pending().await,
    }
}

/// A request that is not yet written down.
#[derive(Debug)]
pub(crate) struct Active(Arc<Group>);

impl Drop for Active {
    fn drop(&mut self) {
        self.0.active.send_modify(|count| *count -= 1);
    }
}

impl Group {
    /// Builds, and how many connections they may hold at a time.
    pub(crate) fn new(id: u64, builds: Vec<Arc<Build>>, by: By, connections: usize) -> Self {
        let zero = Limits {
            bytes: 0,
            requests: 0,
            redirects: 0,
            seconds: 0,
        };
        // Several that share a token may together take what each of them may.
        let limits = builds.iter().fold(zero, |all, build| {
            let one = build.policy.limits();
            Limits {
                bytes: all.bytes.saturating_add(one.bytes),
                requests: all.requests.saturating_add(one.requests),
                redirects: all.redirects.max(one.redirects),
                seconds: all.seconds.saturating_add(one.seconds),
            }
        });
        Self {
            by,
            ..Self::with(id, builds, limits, connections)
        }
    }

    /// Something that is no build, which is watched in an audit.
    pub(crate) fn watched(id: u64, name: &str, limits: Limits, connections: usize) -> Self {
        Self {
            name: Some(name.into()),
            ..Self::with(id, Vec::new(), limits, connections)
        }
    }

    fn with(id: u64, builds: Vec<Arc<Build>>, limits: Limits, connections: usize) -> Self {
        Self {
            id,
            name: None,
            builds,
            by: By::Token,
            limits,
            requests: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            written: AtomicU64::new(0),
            exceeded: AtomicBool::new(false),
            over: watch::Sender::new(false),
            connections: Arc::new(Semaphore::new(connections)),
            lookups: Share::default(),
            began: OnceLock::new(),
            redirects: Mutex::default(),
            active: watch::Sender::new(0),
        }
    }

    /// Notes that a request begins.
    pub(crate) fn enter(self: &Arc<Self>) -> Active {
        self.active.send_modify(|count| *count += 1);
        Active(Arc::clone(self))
    }

    /// Waits until all requests are written down, so long at most.
    pub(crate) async fn settle(&self, patience: Duration) {
        let mut active = self.active.subscribe();
        // Who is still at it then is not waited for.
        let _ = timeout(patience, active.wait_for(|count| *count == 0)).await;
    }

    /// Counts a request.
    pub(crate) fn ask(&self) -> Result<(), Denial> {
        let elapsed = self.began.get_or_init(Instant::now).elapsed();
        if elapsed.as_secs() >= self.limits.seconds {
            return Err(Denial::Time(self.limits.seconds));
        }
        if self.requests.fetch_add(1, Ordering::Relaxed) >= self.limits.requests {
            return Err(Denial::Requests(self.limits.requests));
        }
        if self.bytes.load(Ordering::Relaxed) > self.limits.bytes {
            return Err(Denial::Bytes(self.limits.bytes));
        }
        Ok(())
    }

    /// Whether nothing was denied so far since a limit is exceeded.
    pub(crate) fn is_first_excess(&self) -> bool {
        !self.exceeded.swap(true, Ordering::Relaxed)
    }

    /// Notes that so much more is to be written of its requests; how much that is in all.
    pub(crate) fn note(&self, bytes: u64) -> u64 {
        self.written
            .fetch_add(bytes, Ordering::Relaxed)
            .saturating_add(bytes)
    }

    /// A place for one more connection, if neither these builds hold too many nor all together.
    pub(crate) fn hold(self: &Arc<Self>, room: &Room) -> Option<Held> {
        let place = Arc::clone(&self.connections).try_acquire_owned().ok()?;
        Some(Held {
            group: Arc::clone(self),
            _places: [place, room.of_build()?],
        })
    }

    /// Ends what is still carried.
    pub(crate) fn finish(&self) {
        self.over.send_replace(true);
    }

    /// Waits until what these builds opened is to end.
    pub(crate) async fn is_over(&self) {
        // The sender is here.
        let _ = self.over.subscribe().wait_for(|over| *over).await;
    }

    /// Counts bytes that came or went.
    pub(crate) fn take(&self, bytes: u64) -> Result<(), Denial> {
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) > self.limits.bytes {
            return Err(Denial::Bytes(self.limits.bytes));
        }
        let began = self.began.get_or_init(Instant::now);
        if began.elapsed().as_secs() >= self.limits.seconds {
            return Err(Denial::Time(self.limits.seconds));
        }
        Ok(())
    }

    /// Notes that one address leads to another, by their keys.
    pub(crate) fn redirected(&self, from: [u8; 32], to: [u8; 32]) {
        let mut all = self
            .redirects
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let depth = all.get(&from).copied().unwrap_or(0).saturating_add(1);
        if all.len() < MOST_REDIRECTS || all.contains_key(&to) {
            all.insert(to, depth);
        }
    }

    /// Whether an address may still be asked for: not at the end of too many redirects.
    pub(crate) fn follows(&self, to: [u8; 32]) -> Result<(), Denial> {
        let all = self
            .redirects
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match all.get(&to) {
            Some(depth) if *depth > self.limits.redirects => {
                Err(Denial::Redirects(self.limits.redirects))
            }
            _ => Ok(()),
        }
    }
}

/// What is said of a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Judgement {
    /// The builds that it may be of.
    pub(crate) builds: Vec<Arc<Build>>,
    /// What allows it.
    pub(crate) because: Option<String>,
    /// Also at an address that is not of the public network.
    pub(crate) private: bool,
    /// Why it is, or would be, denied.
    pub(crate) denial: Option<Denial>,
}

impl Judgement {
    /// A whole body came, with these hashes as SRI; whether it is one that is declared.
    pub(crate) fn body(&self, hashes: &[String]) -> Option<bool> {
        let alone = self.builds.len() == 1;
        let met = self.builds.iter().map(|build| build.body(hashes, alone));
        met.max().flatten()
    }
}

/// Judges a request that one of these builds made. Which of them is not known, so that all have to be allowed it; where
/// it is watched only, it is of those that are.
pub(crate) fn judge(builds: &[Arc<Build>], wanted: &Wanted<'_>, watched: bool) -> Judgement {
    let mut judgement = Judgement::default();
    let mut is_public = false;
    for build in builds {
        match build.policy.judge(wanted) {
            Ok(route) => {
                judgement
                    .because
                    .get_or_insert_with(|| route.because.to_string());
                judgement.private |= route.private;
                is_public |= !route.private;
                judgement.builds.push(Arc::clone(build));
            }
            Err(denial) => {
                judgement.denial.get_or_insert(denial);
            }
        }
    }
    if judgement.builds.is_empty() || judgement.denial.is_some() && !watched {
        judgement.builds = builds.to_vec();
        judgement.private = false;
        judgement.because = None;
    } else {
        judgement.denial = None;
        judgement.private &= watched || !is_public;
    }
    judgement
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts() {
        let of = |tally: &Tally| verdict(tally, Class::Curl, true);
        let nothing = Tally::default();
        assert_eq!(of(&nothing), Verdict::NothingFetched);
        assert_eq!(
            verdict(&nothing, Class::Nothing, true),
            Verdict::NoNetworkNeeded
        );
        let with = |change: fn(&mut Tally)| {
            let mut tally = Tally {
                requests: 1,
                ..Tally::default()
            };
            change(&mut tally);
            of(&tally)
        };
        assert_eq!(with(|t| t.met = true), Verdict::Ok);
        assert_eq!(with(|t| t.others.push("x".into())), Verdict::Mismatch);
        assert_eq!(
            with(|t| {
                t.others.push("x".into());
                t.met = true;
            }),
            Verdict::Ok
        );
        assert_eq!(with(|t| t.denied = 1), Verdict::PolicyDenied);
        assert_eq!(with(|t| t.untrusted = 1), Verdict::TlsFailure);
        assert_eq!(with(|t| t.tunnels = 1), Verdict::Fetched);
        assert_eq!(
            with(|t| {
                t.statuses.insert(404, 1);
            }),
            Verdict::Gone
        );
        assert_eq!(
            with(|t| {
                t.statuses.insert(503, 1);
            }),
            Verdict::Transient
        );
        assert_eq!(
            with(|t| {
                t.statuses.insert(404, 1);
                t.faults = 1;
            }),
            Verdict::Transient
        );
        // A body that began and was cut is none.
        assert_eq!(
            with(|t| {
                t.came = 1;
                t.faults = 1;
            }),
            Verdict::Transient
        );
        // The answer to HEAD is nothing that came.
        assert_eq!(
            with(|t| {
                t.statuses.insert(200, 1);
                t.denied = 1;
            }),
            Verdict::PolicyDenied
        );
    }

    #[test]
    fn groups_have_limits() {
        let group = Group::new(1, Vec::new(), By::Token, 1);
        assert!(group.ask().is_err(), "who has no builds may nothing");
        let group = Group {
            limits: Limits {
                bytes: 10,
                requests: 2,
                redirects: 2,
                seconds: 60,
            },
            ..Group::new(1, Vec::new(), By::Token, 1)
        };
        assert!(group.ask().is_ok() && group.ask().is_ok());
        assert_eq!(group.ask(), Err(Denial::Requests(2)));
        assert!(group.take(10).is_ok());
        assert_eq!(group.take(1), Err(Denial::Bytes(10)));
        for at in 0..3u8 {
            assert!(group.follows([at; 32]).is_ok());
            group.redirected([at; 32], [at + 1; 32]);
        }
        assert_eq!(group.follows([3; 32]), Err(Denial::Redirects(2)));
    }
}
