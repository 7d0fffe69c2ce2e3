//! Publishing: files are written so that a client reading meanwhile sees the old state or the new.
//!
//! Files that a version names are never written again, and `timestamp.json`, which puts a version in
//! force, comes after them. What the version before names is kept, for clients that have begun with it.
//! A new root comes last: if it has another key, the version is signed with both, so that who reads
//! before it and who reads after it believes the same files.

use std::collections::{BTreeSet, HashMap};
use std::io::{Read as _, Write as _};
use std::num::NonZeroU64;

use camino::Utf8Path;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use snowguard_advisory::index::SegmentDigest;
use snowguard_matching::triage::Document;
use snowguard_store::SecretKey;
use tough::TargetName;
use tough::schema::{self, Hashes, Metafile, Snapshot, Target, Targets};

use super::directory::{Directory, Known, Listed};
use super::error::PublishError;
use super::sign::{SPECIFICATION, is_root_key, root, signed};
use super::{About, Kind, MAX_INDEX, hex, sha256};
use crate::file::IndexFile;

/// Bases are compressed once and fetched often.
const LEVEL: i32 = 15;
/// With an older base as prefix.
const PATCH_LEVEL: i32 = 12;
/// A patch that saves less than one part in so many is not worth its place.
const WORTH: usize = 5;

/// What to publish, where, and how.
#[derive(Debug)]
pub struct Publish<'p> {
    /// The index.
    pub index: &'p Utf8Path,
    /// What a tracker decided, if that is published too: the document `snowguard-triage/1`.
    pub triage: Option<&'p [u8]>,
    /// The directory.
    pub to: &'p Utf8Path,
    /// The key that signs.
    pub key: &'p SecretKey,
    /// The key that takes its place from now on.
    pub next_key: Option<&'p SecretKey>,
    /// Now.
    pub now: Timestamp,
    /// After how long clients refuse what is published now.
    pub expires: SignedDuration,
    /// The same of the root, which is renewed when half of it has passed.
    pub root_expires: SignedDuration,
    /// From how many older bases there are patches.
    pub keep: usize,
}

/// What was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The version.
    pub version: u64,
    /// The version of the root.
    pub root: u64,
    /// The compressed base, in bytes.
    pub base: u64,
    /// The compressed delta, if there is one.
    pub delta: Option<u64>,
    /// The patches to the base, the newest first.
    pub patches: Vec<u64>,
    /// What a tracker decided, if that is published, in bytes.
    pub triage: Option<u64>,
    /// How many decisions these are.
    pub decisions: Option<usize>,
    /// Until when clients take it.
    pub expires: Timestamp,
}

/// Publishes an index.
pub fn publish(publish: &Publish<'_>) -> Result<Published, PublishError> {
    // What no client could read is not signed.
    let document = publish.triage.map(Document::read).transpose();
    let document = document.map_err(PublishError::Triage)?;
    let published = write(publish)?;
    Ok(Published {
        decisions: document.map(|document| document.decisions().len()),
        ..published
    })
}

/// Signs and writes what was looked at.
pub(super) fn write(publish: &Publish<'_>) -> Result<Published, PublishError> {
    let to = Directory(publish.to);
    to.make("metadata")?;
    to.make("targets")?;
    let _lock = to.lock()?;
    let file = IndexFile::open(publish.index)?;
    // A damaged index is not handed on.
    file.index()?;
    let mut keys = vec![publish.key];
    keys.extend(publish.next_key);
    let listed = to.listed(&keys)?;
    let before = &listed.targets;
    let version = NonZeroU64::MIN.saturating_add(listed.last);
    let expires = later(publish.now, publish.expires)?;
    let (new_root, signers) = next_root(publish, &to, &listed)?;

    let plan = targets(publish, &to, &file, before.as_ref(), version.get())?;
    let names: BTreeSet<String> = plan
        .targets
        .iter()
        .map(|(name, target)| consistent(name, target))
        .collect();
    let role = Targets {
        targets: plan.targets,
        ..Targets::new(SPECIFICATION.to_owned(), version, expires)
    };
    let role = signed(role, &signers)?;
    let meta = |bytes: &[u8]| Metafile {
        length: Some(bytes.len() as u64),
        hashes: Some(hashes(bytes)),
        version,
        _extra: HashMap::new(),
    };
    let mut snapshot = Snapshot::new(SPECIFICATION.to_owned(), version, expires);
    snapshot.meta.insert("targets.json".to_owned(), meta(&role));
    let snapshot = signed(snapshot, &signers)?;
    let mut timestamp = schema::Timestamp::new(SPECIFICATION.to_owned(), version, expires);
    timestamp
        .meta
        .insert("snapshot.json".to_owned(), meta(&snapshot));
    let timestamp = signed(timestamp, &signers)?;
    to.write(&format!("metadata/{version}.targets.json"), &role)?;
    to.write(&format!("metadata/{version}.snapshot.json"), &snapshot)?;
    // Of the first version nobody knows; without a root it would be nobody's if this ended here.
    let is_first = listed.root.is_none();
    if !is_first {
        to.write("metadata/timestamp.json", &timestamp)?;
    }
    let mut root_version = listed.root_number();
    let mut root = listed.root.as_ref().map(|(_, bytes)| bytes.clone());
    if let Some((number, bytes)) = new_root {
        to.write(&format!("metadata/{number}.root.json"), &bytes)?;
        root_version = number;
        root = Some(bytes);
    }
    if let Some(root) = root.filter(|root| !to.has("metadata/root.json", root)) {
        to.write("metadata/root.json", &root)?;
    }
    if is_first {
        to.write("metadata/timestamp.json", &timestamp)?;
    }
    to.clean(&names, before.as_ref(), version.get(), listed.in_force)?;
    Ok(Published {
        version: version.get(),
        root: root_version,
        base: plan.base,
        delta: plan.delta,
        patches: plan.patches,
        triage: plan.triage,
        decisions: None,
        expires,
    })
}

/// A root's number and its file.
type NewRoot = (u64, Vec<u8>);

/// The root that has to be written, with its number, if one has; and who signs the rest.
fn next_root<'k>(
    publish: &Publish<'k>,
    to: &Directory<'_>,
    listed: &Listed,
) -> Result<(Option<NewRoot>, Vec<&'k SecretKey>), PublishError> {
    let expires = later(publish.now, publish.root_expires)?;
    let number = listed.root_number();
    let make = |owner: &SecretKey, signers: &[&SecretKey]| -> Result<NewRoot, PublishError> {
        let version = NonZeroU64::MIN.saturating_add(number);
        let role = root(version, expires, owner.public().bytes()).map_err(PublishError::schema)?;
        Ok((version.get(), signed(role, signers)?))
    };
    let (key, next) = (publish.key, publish.next_key);
    let Some((current, _)) = &listed.root else {
        return match next {
            Some(_) => Err(PublishError::NothingToRotate(publish.to.to_owned())),
            None => Ok((Some(make(key, &[key])?), vec![key])),
        };
    };
    let is_key = |key: &SecretKey| is_root_key(&current.signed, key.public().bytes());
    let key = match next {
        // Whoever trusts the old key must be led to the new one by both.
        Some(next) if is_key(key) => {
            let both = vec![key, next];
            return Ok((Some(make(next, &both)?), both));
        }
        // The key was replaced before, and the program perhaps ended in the middle of it.
        Some(next) if to.was_key_before(number, key) => next,
        _ => key,
    };
    if !is_key(key) {
        return Err(PublishError::OtherKey(publish.to.to_owned()));
    }
    let is_old = current.signed.expires < later(publish.now, publish.root_expires / 2)?;
    let renewed = is_old.then(|| make(key, &[key])).transpose()?;
    Ok((renewed, vec![key]))
}

/// What the targets of a version are.
struct Plan {
    targets: HashMap<TargetName, Target>,
    base: u64,
    delta: Option<u64>,
    patches: Vec<u64>,
    triage: Option<u64>,
}

fn targets(
    publish: &Publish<'_>,
    to: &Directory<'_>,
    file: &IndexFile,
    before: Option<&Targets>,
    version: u64,
) -> Result<Plan, PublishError> {
    let base = file.base_bytes();
    if base.len() as u64 > MAX_INDEX {
        return Err(PublishError::TooLarge);
    }
    let digest = digest_of(base);
    let about = |kind, from, since, of: &[u8]| About {
        kind,
        base: digest.clone(),
        from,
        since,
        length: of.len() as u64,
        sha256: hex(&sha256(of)),
    };
    let mut plan = Plan {
        targets: HashMap::new(),
        base: 0,
        delta: None,
        patches: Vec::new(),
        triage: None,
    };
    // What was published and is still whole, by what it unpacks to.
    let mut known = to.known(before);
    let own = about(Kind::Base, None, None, base);
    let own_sha256 = own.sha256.clone();
    let published = known
        .remove(&digest)
        .filter(|old| old.about.sha256 == own.sha256);
    let since = published
        .as_ref()
        .and_then(|old| old.about.since)
        .unwrap_or(version);
    let packed = match &published {
        Some(old) => old.packed.clone(),
        None => pack(base, None).map_err(|error| PublishError::Write(error.into()))?,
    };
    plan.base = packed.len() as u64;
    let name = format!("advisories-{digest}.idx.zst");
    add(
        &mut plan,
        to,
        &name,
        &packed,
        &About {
            since: Some(since),
            ..own
        },
    )?;
    if let Some(delta) = file.delta_bytes() {
        let packed = pack(delta, None).map_err(|error| PublishError::Write(error.into()))?;
        plan.delta = Some(packed.len() as u64);
        let about = about(Kind::Delta, None, None, delta);
        add(
            &mut plan,
            to,
            &format!("advisories-{digest}.delta.zst"),
            &packed,
            &about,
        )?;
    }
    let mut old: Vec<Known> = known.into_values().collect();
    old.sort_by_key(|old| std::cmp::Reverse(old.about.since));
    for old in old.into_iter().take(publish.keep) {
        let from = old.about.base.clone();
        let name = format!("advisories-{from}-{digest}.patch.zst");
        let made = before
            .and_then(|before| before.targets.iter().find(|(raw, _)| raw.raw() == name))
            .filter(|(_, target)| {
                super::publish::about(target).is_some_and(|made| {
                    made.kind == Kind::Patch
                        && made.base == digest
                        && made.from.as_ref() == Some(&from)
                        && made.sha256 == own_sha256
                })
            })
            .and_then(|(name, target)| to.target(name, target));
        let patch = match made {
            Some(patch) => patch,
            None => {
                pack(base, Some(&old.bytes)).map_err(|error| PublishError::Write(error.into()))?
            }
        };
        if patch.len() > packed.len() - packed.len() / WORTH {
            continue;
        }
        plan.patches.push(patch.len() as u64);
        add(
            &mut plan,
            to,
            &name,
            &patch,
            &about(Kind::Patch, Some(from), None, base),
        )?;
        let about = About {
            kind: Kind::Old,
            ..old.about
        };
        add(&mut plan, to, &old.name, &old.packed, &about)?;
    }
    if let Some(json) = publish.triage {
        let packed = pack(json, None).map_err(|error| PublishError::Write(error.into()))?;
        plan.triage = Some(packed.len() as u64);
        let about = about(Kind::Triage, None, None, json);
        add(&mut plan, to, "triage.json.zst", &packed, &about)?;
    }
    Ok(plan)
}

/// Writes a target under its digest, and lists it.
fn add(
    plan: &mut Plan,
    to: &Directory<'_>,
    name: &str,
    bytes: &[u8],
    about: &About,
) -> Result<(), PublishError> {
    let target = Target {
        length: bytes.len() as u64,
        hashes: hashes(bytes),
        custom: HashMap::from([(
            "snowguard".to_owned(),
            serde_json::to_value(about).map_err(PublishError::json)?,
        )]),
        _extra: HashMap::new(),
    };
    let name = TargetName::new(name).map_err(|error| PublishError::Write(error.into()))?;
    let path = format!("targets/{}", consistent(&name, &target));
    if !to.has(&path, bytes) {
        to.write(&path, bytes)?;
    }
    plan.targets.insert(name, target);
    Ok(())
}

/// The name of the file of a target.
pub(super) fn consistent(name: &TargetName, target: &Target) -> String {
    format!("{}.{}", hex(&target.hashes.sha256), name.resolved())
}

/// What a target says of itself.
pub(super) fn about(target: &Target) -> Option<About> {
    let custom: &Value = target.custom.get("snowguard")?;
    serde_json::from_value(custom.clone()).ok()
}

/// The digest by which bases are told apart.
pub(super) fn digest_of(base: &[u8]) -> String {
    SegmentDigest::of(base).map_or_else(String::new, |digest| hex(digest.as_bytes()))
}

fn hashes(bytes: &[u8]) -> Hashes {
    Hashes {
        sha256: sha256(bytes).to_vec().into(),
        _extra: HashMap::new(),
    }
}

fn later(now: Timestamp, by: SignedDuration) -> Result<Timestamp, PublishError> {
    now.checked_add(by)
        // Whole seconds, as the specification writes times.
        .and_then(|time| Timestamp::from_second(time.as_second()))
        .map_err(|_| PublishError::Expiry)
}

/// Compresses, alone or with another content as prefix.
pub(super) fn pack(bytes: &[u8], prefix: Option<&[u8]>) -> std::io::Result<Vec<u8>> {
    let Some(prefix) = prefix else {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), LEVEL)?;
        encoder.long_distance_matching(true)?;
        encoder.include_checksum(true)?;
        encoder.write_all(bytes)?;
        return encoder.finish();
    };
    let mut encoder =
        zstd::stream::write::Encoder::with_ref_prefix(Vec::new(), PATCH_LEVEL, prefix)?;
    encoder.long_distance_matching(true)?;
    encoder.window_log(window_log(bytes.len() + prefix.len()))?;
    encoder.include_checksum(true)?;
    encoder.write_all(bytes)?;
    encoder.finish()
}

/// The window that reaches back over so many bytes.
pub(super) fn window_log(bytes: usize) -> u32 {
    bytes.next_power_of_two().ilog2().clamp(20, 31)
}

/// Unpacks what must have a certain length.
pub(super) fn unpack(
    packed: &[u8],
    prefix: Option<&[u8]>,
    length: u64,
) -> std::io::Result<Vec<u8>> {
    let limit = length.min(MAX_INDEX);
    let mut bytes = Vec::new();
    match prefix {
        None => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(packed)?;
            decoder.window_log_max(31)?;
            decoder.take(limit + 1).read_to_end(&mut bytes)?;
        }
        Some(prefix) => {
            let mut decoder = zstd::stream::read::Decoder::with_ref_prefix(packed, prefix)?;
            decoder.window_log_max(31)?;
            decoder.take(limit + 1).read_to_end(&mut bytes)?;
        }
    }
    if bytes.len() as u64 == length {
        Ok(bytes)
    } else {
        Err(std::io::Error::other("it has another length than it says"))
    }
}
