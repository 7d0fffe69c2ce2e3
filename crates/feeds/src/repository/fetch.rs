//! Fetching a published index: metadata first, then the least that brings the index here up to it, and
//! what a tracker decided, if that is published with it.
//!
//! What was seen of a repository is kept in a directory, so that an older state is known for one. It
//! is changed after `tough` has judged, each file as a whole: `tough` itself writes in place, and takes
//! a torn file for none. Whatever fails, the index that is there stays.
#![expect(
    clippy::disallowed_methods,
    reason = "this room owns the state directory"
)]

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use snowguard_advisory::index::Index;
use snowguard_http::{Address, Client, Download, Event, Expected};
use snowguard_matching::triage::{Document, MAX_BYTES, ReadError};
use snowguard_store::signature::PublicKey;
use tough::schema::{Root, Signed, Target, Targets};
use tough::{Limits, Repository, RepositoryLoader, TargetName};

use super::error::FetchError;
use super::publish::{about, consistent, digest_of, unpack};
use super::sign::{is_root_key, root as root_of};
use super::transport::{BASE, Http, MAX_METADATA, get};
use super::{About, Kind, MAX_INDEX, hex, sha256};
use crate::file::{IndexFile, IndexFileError, replace_file};
use crate::lock::{FileLock, LockError, Waiting};
use crate::triage;

/// The files of the trust state. The clock is the last time at which it was looked at.
const STATE: [&str; 5] = [
    "root.json",
    "timestamp.json",
    "snapshot.json",
    "targets.json",
    "latest_known_time.json",
];

/// How many roots may lie between one that is known and the newest.
const MAX_ROOTS: u64 = 1024;

/// What is trusted to begin with.
#[derive(Debug, Clone)]
pub enum Anchor {
    /// A public key, with which a root must be signed.
    Key(PublicKey),
    /// A root that was brought here in a safe way.
    Root(Vec<u8>),
}

impl Anchor {
    /// From what a person gives: a public key (`NAME:BASE64`), or a file with one or with a root.
    pub fn given(text: &str) -> Result<Self, FetchError> {
        if let Ok(key) = text.parse() {
            return Ok(Self::Key(key));
        }
        let path = Utf8Path::new(text);
        let bytes = std::fs::read(path).map_err(|source| FetchError::File {
            what: "read the key or root",
            path: path.to_owned(),
            source,
        })?;
        let key = std::str::from_utf8(&bytes).ok().map(str::trim);
        if let Some(key) = key.and_then(|text| text.parse().ok()) {
            return Ok(Self::Key(key));
        }
        match serde_json::from_slice::<Signed<Root>>(&bytes) {
            Ok(_) => Ok(Self::Root(bytes)),
            Err(_) => Err(FetchError::NoAnchor(text.to_owned())),
        }
    }
}

/// What to fetch, and where it goes.
pub struct Fetch<'f> {
    /// The published directory.
    pub from: &'f Address,
    /// What is trusted to begin with.
    pub anchor: &'f Anchor,
    /// Where is kept what was seen. It is of this one repository.
    pub state: &'f Utf8Path,
    /// The index.
    pub index: &'f Utf8Path,
    /// The connection.
    pub client: Arc<Client>,
    /// Called once, if another program replaces the index and has to be waited for.
    pub waiting: &'f dyn Fn(),
}

/// What was fetched.
#[derive(Debug)]
pub struct Fetched {
    /// The version that is in force.
    pub version: u64,
    /// Until when it is.
    pub expires: Timestamp,
    /// What was taken for the base; nothing if it is the one that was here.
    pub base: Option<Taken>,
    /// Whether the delta is another one than before.
    pub delta: bool,
    /// What came of a tracker's decisions.
    pub triage: TakenTriage,
    /// How many bytes of targets came, those of earlier broken attempts among them.
    pub bytes: u64,
}

/// What came of a tracker's decisions. What is not published, or cannot be read, is not kept from before
/// either: it is no longer said.
#[derive(Debug)]
pub enum TakenTriage {
    /// None are published.
    None,
    /// They are as before.
    Same,
    /// They are others than before: so many.
    New(usize),
    /// They are of a form that is not read here.
    Unread(ReadError),
}

/// How a base came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// As a whole.
    Whole,
    /// As a patch to the one that was here.
    Patch,
}

/// Where the published directory is: at an address, or where a tracker has it below its own.
pub fn locate(client: &Client, from: &Address) -> Result<Address, FetchError> {
    const IN_FORCE: [&str; 2] = ["metadata", "timestamp.json"];
    if get(client, &from.below(&IN_FORCE))?.is_some() {
        return Ok(from.clone());
    }
    let below = from.below(&["repository"]);
    Ok(match get(client, &below.below(&IN_FORCE))? {
        Some(_) => below,
        None => from.clone(),
    })
}

/// Brings the index at a path to what is published.
pub fn fetch(fetch: &Fetch<'_>, events: &mut dyn FnMut(Event<'_>)) -> Result<Fetched, FetchError> {
    let state = State(fetch.state);
    std::fs::create_dir_all(fetch.state).map_err(|source| state.failed("make", "", source))?;
    let _lock = state.lock()?;
    let repository = metadata(fetch, &state)?;
    let targets = &repository.targets().signed;
    let mut taken = Taking {
        fetch,
        events,
        bytes: 0,
    };
    let (base_target, base_about) =
        find(targets, |about| about.kind == Kind::Base).ok_or_else(|| FetchError::Mixed {
            from: fetch.from.to_string(),
            why: "there is no index among the targets".to_owned(),
        })?;
    let old = match IndexFile::open(fetch.index) {
        Ok(file) => Some(file),
        Err(IndexFileError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            None
        }
        Err(error) => return Err(error.into()),
    };
    let here = old.as_ref().map(IndexFile::base_bytes);
    let is_here = here.is_some_and(|base| hex(&sha256(base)) == base_about.sha256);
    let (base, came) = if is_here {
        (None, None)
    } else {
        let (base, came) = taken.base(targets, here, base_target, &base_about)?;
        (Some(base), Some(came))
    };
    let delta = match find(targets, |about| {
        about.kind == Kind::Delta && about.base == base_about.base
    }) {
        None => None,
        Some((_, about))
            if is_here
                && old
                    .as_ref()
                    .and_then(IndexFile::delta_bytes)
                    .is_some_and(|delta| hex(&sha256(delta)) == about.sha256) =>
        {
            old.as_ref()
                .and_then(IndexFile::delta_bytes)
                .map(<[u8]>::to_vec)
        }
        Some((target, about)) => Some(taken.unpacked(target, None, &about)?),
    };
    let (decisions, triage) = taken.triage(targets)?;
    let had = old.as_ref().and_then(IndexFile::delta_bytes);
    let is_new = base.is_some() && delta.is_some() || base.is_none() && delta.as_deref() != had;
    // Before anything is replaced: can it be read at all?
    let whole = base.as_deref().or(here).unwrap_or_default();
    match &delta {
        Some(delta) => Index::open_with_delta(whole, delta),
        None => Index::open(whole),
    }
    .map_err(FetchError::Format)?;
    let mut waiting = Waiting {
        interrupted: fetch.client.interrupted(),
        told: &mut || (fetch.waiting)(),
    };
    let _others = IndexFile::lock(fetch.index, &mut waiting)?;
    if !is_unchanged(fetch.index, old.as_ref()) {
        return Err(FetchError::Busy(fetch.index.to_owned()));
    }
    if let Some(base) = &base {
        IndexFile::replace(fetch.index, base)?;
    }
    match &delta {
        Some(delta) if is_new => IndexFile::replace_delta(fetch.index, delta)?,
        Some(_) => {}
        None => IndexFile::remove_delta(fetch.index)?,
    }
    match (&triage, decisions) {
        (TakenTriage::Same, _) => {}
        (_, Some(json)) => triage::replace(fetch.index, &json)?,
        (_, None) => triage::remove(fetch.index)?,
    }
    let bytes = taken.bytes;
    state.clear_downloads()?;
    Ok(Fetched {
        version: repository.timestamp().signed.version.get(),
        expires: repository.timestamp().signed.expires,
        base: came,
        delta: is_new,
        triage,
        bytes,
    })
}

/// Whether an index is the one that was looked at.
fn is_unchanged(path: &Utf8Path, before: Option<&IndexFile>) -> bool {
    let now = IndexFile::open(path).ok();
    let bytes = |file: &IndexFile| {
        let delta = file.delta_bytes().map(sha256);
        (sha256(file.base_bytes()), delta)
    };
    now.as_ref().map(bytes) == before.map(bytes)
}

/// The signed metadata, judged against what was seen before.
fn metadata(fetch: &Fetch<'_>, state: &State<'_>) -> Result<Repository, FetchError> {
    let from = fetch.from.to_string();
    let trusted = trusted_root(fetch, state)?;
    // `tough` works on a copy; what it accepts is taken over, one whole file after the other.
    let copy =
        tempfile::tempdir_in(fetch.state).map_err(|source| state.failed("write", "", source))?;
    let copy_path = Utf8Path::from_path(copy.path())
        .ok_or_else(|| state.failed("write", "", io::Error::other("its name is no text")))?;
    for name in STATE {
        if let Some(bytes) = state.read(name)? {
            std::fs::write(copy_path.join(name), bytes)
                .map_err(|source| state.failed("write", name, source))?;
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| state.failed("start threads for", "", source))?;
    let base = |folder: &str| {
        let url = format!("{BASE}{folder}/").parse();
        url.map_err(|_| FetchError::Nothing(from.clone()))
    };
    let loader = RepositoryLoader::new(&trusted, base("metadata")?, base("targets")?)
        .transport(Http {
            client: Arc::clone(&fetch.client),
            from: fetch.from.clone(),
        })
        .limits(Limits {
            max_root_size: MAX_METADATA,
            max_targets_size: MAX_METADATA,
            max_timestamp_size: MAX_METADATA,
            max_snapshot_size: MAX_METADATA,
            max_root_updates: MAX_ROOTS,
        })
        .datastore(copy_path.as_std_path());
    let loaded = runtime.block_on(loader.load());
    // Also if it failed: a timestamp that was accepted stays known, whatever is wrong with the rest.
    for name in STATE {
        let path = copy_path.join(name);
        match std::fs::read(&path) {
            Ok(bytes) if state.read(name)?.as_deref() != Some(&bytes) => {
                replace_file(&state.0.join(name), &bytes)?;
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(state.failed("read", name, source)),
        }
    }
    loaded.map_err(|error| FetchError::of(&from, error))
}

/// The root to begin with: the one that was accepted last, else the first one, by the anchor.
fn trusted_root(fetch: &Fetch<'_>, state: &State<'_>) -> Result<Vec<u8>, FetchError> {
    let known = state.read("root.json")?;
    match (fetch.anchor, known) {
        (Anchor::Root(root), None) => {
            replace_file(&state.0.join("anchor.json"), root)?;
            Ok(root.clone())
        }
        (Anchor::Root(root), Some(known)) => {
            let given: Signed<Root> =
                serde_json::from_slice(root).map_err(|source| FetchError::Malformed {
                    from: fetch.from.to_string(),
                    what: "the root".to_owned(),
                    source: source.into(),
                })?;
            let old: Signed<Root> = parse(state, "root.json", &known)?;
            // One must lead to the other; the newer is taken, and `tough` checks the chain from there
            // on.
            let (is_one, newer) = if given.signed.version > old.signed.version {
                (leads_to(fetch, old, &given)?, root.clone())
            } else if given.signed == old.signed
                || state.read("anchor.json")?.as_ref() == Some(root)
            {
                (true, known)
            } else {
                (leads_to(fetch, given, &old)?, known)
            };
            if !is_one {
                return Err(FetchError::OtherState {
                    state: fetch.state.to_owned(),
                    key: "that of the root given".to_owned(),
                });
            }
            Ok(newer)
        }
        (Anchor::Key(key), Some(known)) => {
            let old: Signed<Root> = parse(state, "root.json", &known)?;
            let first = state.read("anchor.json")?;
            let is_anchor = |bytes: &[u8]| {
                serde_json::from_slice::<Signed<Root>>(bytes)
                    .is_ok_and(|root| is_signed_by(&root, key))
            };
            if is_root_key(&old.signed, key.bytes()) || first.as_deref().is_some_and(is_anchor) {
                Ok(known)
            } else {
                Err(FetchError::OtherState {
                    state: fetch.state.to_owned(),
                    key: key.to_string(),
                })
            }
        }
        (Anchor::Key(key), None) => {
            // The newest root if the key is the current one, else the first.
            for name in ["root.json", "1.root.json"] {
                let address = fetch.from.below(&["metadata", name]);
                let Some(bytes) = get(&fetch.client, &address)? else {
                    continue;
                };
                let root: Signed<Root> =
                    serde_json::from_slice(&bytes).map_err(|source| FetchError::Malformed {
                        from: fetch.from.to_string(),
                        what: name.to_owned(),
                        source: source.into(),
                    })?;
                if is_signed_by(&root, key) {
                    replace_file(&state.0.join("anchor.json"), &bytes)?;
                    return Ok(bytes);
                }
                if name == "1.root.json" {
                    return Err(FetchError::OtherKey {
                        from: fetch.from.to_string(),
                        key: key.to_string(),
                    });
                }
            }
            Err(FetchError::Nothing(fetch.from.to_string()))
        }
    }
}

fn parse<T: serde::de::DeserializeOwned>(
    state: &State<'_>,
    name: &str,
    bytes: &[u8],
) -> Result<T, FetchError> {
    serde_json::from_slice(bytes).map_err(|_| FetchError::State(state.0.join(name)))
}

/// Whether a newer root follows from an older one: each root is signed by the one before it. Those
/// between them are asked of the server, which cannot sign them.
fn leads_to(
    fetch: &Fetch<'_>,
    mut older: Signed<Root>,
    newer: &Signed<Root>,
) -> Result<bool, FetchError> {
    for _ in 0..MAX_ROOTS {
        let next = older.signed.version.get().saturating_add(1);
        if next > newer.signed.version.get() {
            return Ok(false);
        }
        if older.signed.verify_role(newer).is_ok() {
            return Ok(true);
        }
        let address = fetch
            .from
            .below(&["metadata", &format!("{next}.root.json")]);
        let Some(bytes) = get(&fetch.client, &address)? else {
            return Ok(false);
        };
        let Ok(between) = serde_json::from_slice::<Signed<Root>>(&bytes) else {
            return Ok(false);
        };
        if between.signed.version.get() != next || older.signed.verify_role(&between).is_err() {
            return Ok(false);
        }
        older = between;
    }
    Ok(false)
}

/// Whether a root is signed with a key and names it.
fn is_signed_by(root: &Signed<Root>, key: &PublicKey) -> bool {
    is_root_key(&root.signed, key.bytes())
        && root_of(root.signed.version, root.signed.expires, key.bytes())
            .is_ok_and(|only| only.verify_role(root).is_ok())
}

/// The target that says something of itself.
fn find(targets: &Targets, is: impl Fn(&About) -> bool) -> Option<((&TargetName, &Target), About)> {
    targets
        .targets
        .iter()
        .filter_map(|(name, target)| Some(((name, target), about(target)?)))
        .find(|(_, about)| is(about))
}

struct Taking<'t, 'f> {
    fetch: &'t Fetch<'f>,
    events: &'t mut dyn FnMut(Event<'_>),
    bytes: u64,
}

impl Taking<'_, '_> {
    /// The newest base, by a patch if there is one to what is here.
    fn base(
        &mut self,
        targets: &Targets,
        here: Option<&[u8]>,
        whole: (&TargetName, &Target),
        about: &About,
    ) -> Result<(Vec<u8>, Taken), FetchError> {
        let digest = here.map(digest_of);
        let patch = digest.as_ref().and_then(|digest| {
            find(targets, |patch| {
                patch.kind == Kind::Patch
                    && patch.base == about.base
                    && patch.from.as_ref() == Some(digest)
            })
        });
        if let Some((target, patch)) = patch {
            match self.unpacked(target, here, &patch) {
                Ok(base) if hex(&sha256(&base)) == about.sha256 => return Ok((base, Taken::Patch)),
                // What is here is damaged: the whole one mends it.
                Ok(_) | Err(FetchError::Unpacked(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok((self.unpacked(whole, None, about)?, Taken::Whole))
    }

    /// What a tracker decided, if it is not here already.
    fn triage(&mut self, targets: &Targets) -> Result<(Option<Vec<u8>>, TakenTriage), FetchError> {
        let Some((target, about)) = find(targets, |about| about.kind == Kind::Triage) else {
            return Ok((None, TakenTriage::None));
        };
        if about.length > MAX_BYTES as u64 {
            let length = usize::try_from(about.length).unwrap_or(usize::MAX);
            return Ok((None, TakenTriage::Unread(ReadError::TooLarge(length))));
        }
        if triage::bytes(self.fetch.index).is_some_and(|here| hex(&sha256(&here)) == about.sha256) {
            return Ok((None, TakenTriage::Same));
        }
        let json = self.unpacked(target, None, &about)?;
        Ok(match Document::read(&json) {
            Ok(document) => (Some(json), TakenTriage::New(document.decisions().len())),
            Err(error) => (None, TakenTriage::Unread(error)),
        })
    }

    /// A target, fetched and unpacked to what is published.
    fn unpacked(
        &mut self,
        (name, target): (&TargetName, &Target),
        prefix: Option<&[u8]>,
        about: &About,
    ) -> Result<Vec<u8>, FetchError> {
        let file = consistent(name, target);
        let address = self.fetch.from.below(&["targets", &file]);
        // What was signed as a target is no path: its digest is.
        let to = State(self.fetch.state)
            .downloads()?
            .join(hex(&target.hashes.sha256));
        let sha: [u8; 32] = (&*target.hashes.sha256)
            .try_into()
            .map_err(|_| self.mixed("a digest is no SHA-256"))?;
        let expected = Expected {
            length: Some(target.length),
            sha256: Some(sha),
            limit: MAX_INDEX,
        };
        let download = Download {
            address: &address,
            to: &to,
            conditions: None,
            headers: &[],
            expected,
        };
        self.fetch.client.download(&download, self.events)?;
        self.bytes += target.length;
        let packed = std::fs::read(&to).map_err(|source| FetchError::File {
            what: "read",
            path: to.clone(),
            source,
        })?;
        let bytes = unpack(&packed, prefix, about.length)
            .map_err(|_| FetchError::Unpacked(name.raw().to_owned()))?;
        if hex(&sha256(&bytes)) == about.sha256 {
            Ok(bytes)
        } else {
            Err(FetchError::Unpacked(name.raw().to_owned()))
        }
    }

    fn mixed(&self, why: &str) -> FetchError {
        FetchError::Mixed {
            from: self.fetch.from.to_string(),
            why: why.to_owned(),
        }
    }
}

/// The state directory.
struct State<'s>(&'s Utf8Path);

impl State<'_> {
    fn lock(&self) -> Result<FileLock, FetchError> {
        let mut waiting = Waiting {
            interrupted: &AtomicBool::new(false),
            told: &mut || (),
        };
        let lock = FileLock::take(&self.0.join(".lock"), Some(Duration::ZERO), &mut waiting);
        lock.map_err(|error| match error {
            LockError::Io(source) => self.failed("lock", ".lock", source),
            LockError::Held | LockError::Interrupted => FetchError::Busy(self.0.to_owned()),
        })
    }

    /// A file of the state, which must be JSON: `tough` would take what is damaged for nothing.
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, FetchError> {
        match std::fs::read(self.0.join(name)) {
            Ok(bytes) => {
                parse::<serde::de::IgnoredAny>(self, name, &bytes)?;
                Ok(Some(bytes))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(self.failed("read", name, source)),
        }
    }

    fn downloads(&self) -> Result<Utf8PathBuf, FetchError> {
        let path = self.0.join("downloads");
        std::fs::create_dir_all(&path)
            .map_err(|source| self.failed("make", "downloads", source))?;
        Ok(path)
    }

    /// Removes what was unpacked, and what was begun of states that are in force no more.
    fn clear_downloads(&self) -> Result<(), FetchError> {
        match std::fs::remove_dir_all(self.0.join("downloads")) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(self.failed("remove", "downloads", source))
            }
            _ => Ok(()),
        }
    }

    fn failed(&self, what: &'static str, name: &str, source: io::Error) -> FetchError {
        let path = if name.is_empty() {
            self.0.to_owned()
        } else {
            self.0.join(name)
        };
        FetchError::File { what, path, source }
    }
}
