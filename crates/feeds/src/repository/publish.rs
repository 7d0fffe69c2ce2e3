//! Publishing: files are written so that a client reading meanwhile sees the old state or the new.
//!
//! Files that a version names are never written again, and `timestamp.json`, which puts a version in
//! force, comes last. What the version before names is kept, for clients that have begun with it.
#![expect(
    clippy::disallowed_methods,
    reason = "this room owns the published directory"
)]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::num::NonZeroU64;

use camino::{Utf8Path, Utf8PathBuf};
use jiff::{SignedDuration, Timestamp};
use serde::de::DeserializeOwned;
use serde_json::Value;
use snowguard_advisory::index::SegmentDigest;
use snowguard_store::SecretKey;
use tough::TargetName;
use tough::schema::{self, Hashes, Metafile, Root, Signed, Snapshot, Target, Targets};

use super::error::PublishError;
use super::sign::{SPECIFICATION, is_root_key, root, signed};
use super::{About, Kind, MAX_INDEX, hex, sha256};
use crate::file::{IndexFile, replace_file};

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
    /// Until when clients take it.
    pub expires: Timestamp,
}

/// Publishes an index.
pub fn publish(publish: &Publish<'_>) -> Result<Published, PublishError> {
    let to = Directory(publish.to);
    to.make("metadata")?;
    to.make("targets")?;
    let _lock = to.lock()?;
    let file = IndexFile::open(publish.index)?;
    // A damaged index is not handed on.
    file.index()?;
    let listed = to.listed()?;
    let before = to.targets(&listed)?;
    let version = NonZeroU64::MIN.saturating_add(listed.last);
    let expires = later(publish.now, publish.expires)?;
    let (new_root, signer) = next_root(publish, &to, &listed)?;

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
    let role = signed(role, &[signer])?;
    let meta = |bytes: &[u8]| Metafile {
        length: Some(bytes.len() as u64),
        hashes: Some(hashes(bytes)),
        version,
        _extra: HashMap::new(),
    };
    let mut snapshot = Snapshot::new(SPECIFICATION.to_owned(), version, expires);
    snapshot.meta.insert("targets.json".to_owned(), meta(&role));
    let snapshot = signed(snapshot, &[signer])?;
    let mut timestamp = schema::Timestamp::new(SPECIFICATION.to_owned(), version, expires);
    timestamp
        .meta
        .insert("snapshot.json".to_owned(), meta(&snapshot));
    let timestamp = signed(timestamp, &[signer])?;
    to.write(&format!("metadata/{version}.targets.json"), &role)?;
    to.write(&format!("metadata/{version}.snapshot.json"), &snapshot)?;
    let mut root_version = listed.root;
    if let Some((number, bytes)) = new_root {
        to.write(&format!("metadata/{number}.root.json"), &bytes)?;
        to.write("metadata/root.json", &bytes)?;
        root_version = number;
    }
    to.write("metadata/timestamp.json", &timestamp)?;
    to.clean(&names, before.as_ref(), version.get(), listed.in_force)?;
    Ok(Published {
        version: version.get(),
        root: root_version,
        base: plan.base,
        delta: plan.delta,
        patches: plan.patches,
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
) -> Result<(Option<NewRoot>, &'k SecretKey), PublishError> {
    let signer = publish.next_key.unwrap_or(publish.key);
    let expires = later(publish.now, publish.root_expires)?;
    let version = NonZeroU64::MIN.saturating_add(listed.root);
    let keys: &[&SecretKey] = match (listed.root, publish.next_key) {
        (0, Some(_)) => return Err(PublishError::NothingToRotate(publish.to.to_owned())),
        (0, None) => &[publish.key],
        (number, next) => {
            let current: Signed<Root> = to.json(&format!("metadata/{number}.root.json"))?;
            if !is_root_key(&current.signed, publish.key.public().bytes()) {
                return Err(PublishError::OtherKey(publish.to.to_owned()));
            }
            match next {
                // Whoever trusts the old key must be led to the new one by both.
                Some(next) => &[publish.key, next],
                None if current.signed.expires < later(publish.now, publish.root_expires / 2)? => {
                    &[publish.key]
                }
                None => return Ok((None, signer)),
            }
        }
    };
    let role = root(version, expires, signer.public().bytes()).map_err(PublishError::schema)?;
    Ok((Some((version.get(), signed(role, keys)?)), signer))
}

/// What the targets of a version are.
struct Plan {
    targets: HashMap<TargetName, Target>,
    base: u64,
    delta: Option<u64>,
    patches: Vec<u64>,
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
    };
    // What was published and is still whole, by what it unpacks to.
    let mut known = to.known(before);
    let own = about(Kind::Base, None, None, base);
    let published = known
        .remove(&digest)
        .filter(|old| old.about.sha256 == own.sha256);
    let since = published
        .as_ref()
        .and_then(|old| old.about.since)
        .unwrap_or(version);
    let packed = match &published {
        Some(old) => to.read(&format!("targets/{}", old.file))?,
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
        let patch =
            pack(base, Some(&old.bytes)).map_err(|error| PublishError::Write(error.into()))?;
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
        let bytes = to.read(&format!("targets/{}", old.file))?;
        let about = About {
            kind: Kind::Old,
            ..old.about
        };
        add(&mut plan, to, &old.name, &bytes, &about)?;
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

/// The published directory.
struct Directory<'d>(&'d Utf8Path);

/// What is in it, by the names of files.
struct Listed {
    /// The newest root; 0 if there is none.
    root: u64,
    /// The highest number that any version took, in force or not.
    last: u64,
    /// The version in force; 0 if there is none.
    in_force: u64,
}

/// A base that was published and is whole.
struct Known {
    name: String,
    file: String,
    about: About,
    bytes: Vec<u8>,
}

impl Directory<'_> {
    fn make(&self, name: &str) -> Result<(), PublishError> {
        let path = self.0.join(name);
        std::fs::create_dir_all(&path).map_err(|source| PublishError::File {
            what: "make",
            path,
            source,
        })
    }

    /// One publisher at a time; the file stays, and the lock goes with the process.
    fn lock(&self) -> Result<File, PublishError> {
        let path = self.0.join(".lock");
        let file = File::create(&path).map_err(|source| PublishError::File {
            what: "write",
            path: path.clone(),
            source,
        })?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(std::fs::TryLockError::WouldBlock) => Err(PublishError::Busy(self.0.to_owned())),
            Err(std::fs::TryLockError::Error(source)) => Err(PublishError::File {
                what: "lock",
                path,
                source,
            }),
        }
    }

    fn listed(&self) -> Result<Listed, PublishError> {
        let mut listed = Listed {
            root: 0,
            last: 0,
            in_force: 0,
        };
        for name in self.names("metadata")? {
            match name
                .split_once('.')
                .map(|(number, rest)| (number.parse::<u64>(), rest))
            {
                Some((Ok(number), "root.json")) => listed.root = listed.root.max(number),
                Some((Ok(number), "targets.json" | "snapshot.json")) => {
                    listed.last = listed.last.max(number);
                }
                _ => {}
            }
            if name == "timestamp.json" {
                let timestamp: Signed<schema::Timestamp> = self.json("metadata/timestamp.json")?;
                listed.in_force = timestamp.signed.version.get();
                listed.last = listed.last.max(listed.in_force);
            }
        }
        Ok(listed)
    }

    /// The targets that are in force.
    fn targets(&self, listed: &Listed) -> Result<Option<Targets>, PublishError> {
        if listed.in_force == 0 {
            return Ok(None);
        }
        let signed: Signed<Targets> =
            self.json(&format!("metadata/{}.targets.json", listed.in_force))?;
        Ok(Some(signed.signed))
    }

    /// The bases that were published, by digest, as far as they unpack to what was signed. What does
    /// not is published anew or not at all, so that nothing is signed that was put here by others.
    fn known(&self, before: Option<&Targets>) -> BTreeMap<String, Known> {
        let mut known = BTreeMap::new();
        for (name, target) in before.into_iter().flat_map(|targets| &targets.targets) {
            let Some(about) =
                about(target).filter(|about| matches!(about.kind, Kind::Base | Kind::Old))
            else {
                continue;
            };
            let file = consistent(name, target);
            let bytes = self
                .read(&format!("targets/{file}"))
                .ok()
                .and_then(|packed| unpack(&packed, None, about.length).ok());
            if let Some(bytes) = bytes
                && hex(&sha256(&bytes)) == about.sha256
                && digest_of(&bytes) == about.base
            {
                let base = Known {
                    name: name.raw().to_owned(),
                    file,
                    about,
                    bytes,
                };
                known.insert(base.about.base.clone(), base);
            }
        }
        known
    }

    /// Removes what neither this version nor the one before names.
    fn clean(
        &self,
        names: &BTreeSet<String>,
        before: Option<&Targets>,
        version: u64,
        previous: u64,
    ) -> Result<(), PublishError> {
        let old: BTreeSet<String> = before
            .into_iter()
            .flat_map(|targets| &targets.targets)
            .map(|(name, target)| consistent(name, target))
            .collect();
        for name in self.names("targets")? {
            if !names.contains(&name) && !old.contains(&name) {
                self.remove(&format!("targets/{name}"))?;
            }
        }
        for name in self.names("metadata")? {
            if let Some((number, "targets.json" | "snapshot.json")) = name.split_once('.')
                && let Ok(number) = number.parse::<u64>()
                && number != version
                && number != previous
            {
                self.remove(&format!("metadata/{name}"))?;
            }
        }
        Ok(())
    }

    fn names(&self, folder: &str) -> Result<Vec<String>, PublishError> {
        let path = self.0.join(folder);
        let failed = |source| PublishError::File {
            what: "read",
            path: path.clone(),
            source,
        };
        let mut names = Vec::new();
        for entry in path.read_dir_utf8().map_err(failed)? {
            names.push(entry.map_err(failed)?.file_name().to_owned());
        }
        Ok(names)
    }

    fn json<T: DeserializeOwned>(&self, name: &str) -> Result<T, PublishError> {
        serde_json::from_slice(&self.read(name)?).map_err(|source| PublishError::Metadata {
            path: self.0.join(name),
            source,
        })
    }

    fn read(&self, name: &str) -> Result<Vec<u8>, PublishError> {
        let path = self.0.join(name);
        std::fs::read(&path).map_err(|source| PublishError::File {
            what: "read",
            path,
            source,
        })
    }

    fn has(&self, name: &str, bytes: &[u8]) -> bool {
        self.read(name).is_ok_and(|found| found == bytes)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), PublishError> {
        Ok(replace_file(&self.0.join(name), bytes)?)
    }

    fn remove(&self, name: &str) -> Result<(), PublishError> {
        let path = self.0.join(name);
        std::fs::remove_file(&path).map_err(|source| PublishError::File {
            what: "remove",
            path: Utf8PathBuf::from(&path),
            source,
        })
    }
}
