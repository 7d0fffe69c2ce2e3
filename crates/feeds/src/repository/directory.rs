//! The published directory, as its publisher finds it. Whoever serves it may be able to write to it.
#![expect(
    clippy::disallowed_methods,
    reason = "this room owns the published directory"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;

use camino::{Utf8Path, Utf8PathBuf};
use serde::de::DeserializeOwned;
use snowguard_store::SecretKey;
use tough::TargetName;
use tough::schema::{self, Role, Root, Signed, Snapshot, Target, Targets};

use super::error::PublishError;
use super::publish::{about, consistent, digest_of, unpack};
use super::sign::is_root_key;
use super::{About, Kind, hex, sha256};
use crate::file::replace_file;

/// The published directory.
pub(super) struct Directory<'d>(pub(super) &'d Utf8Path);

/// A root, and its file.
type RootFile = (Signed<Root>, Vec<u8>);

/// What is in it that is signed. What others put there is passed over, or refused where it stands in the
/// way: nothing is built on it, and nothing of it is signed.
pub(super) struct Listed {
    /// The newest root, with its file.
    pub(super) root: Option<RootFile>,
    /// The highest number that any version took, in force or not.
    pub(super) last: u64,
    /// The version in force; 0 if there is none.
    pub(super) in_force: u64,
    /// Its targets.
    pub(super) targets: Option<Targets>,
}

impl Listed {
    /// The number of the newest root; 0 if there is none.
    pub(super) fn root_number(&self) -> u64 {
        let number = |(root, _): &RootFile| root.signed.version.get();
        self.root.as_ref().map_or(0, number)
    }
}

/// A base that was published and is whole.
pub(super) struct Known {
    pub(super) name: String,
    /// As it was published.
    pub(super) packed: Vec<u8>,
    pub(super) about: About,
    /// What it unpacks to.
    pub(super) bytes: Vec<u8>,
}

impl Directory<'_> {
    pub(super) fn make(&self, name: &str) -> Result<(), PublishError> {
        let path = self.0.join(name);
        std::fs::create_dir_all(&path).map_err(|source| PublishError::File {
            what: "make",
            path,
            source,
        })
    }

    /// One publisher at a time; the file stays, and the lock goes with the process.
    pub(super) fn lock(&self) -> Result<File, PublishError> {
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

    /// What is here, as far as it is signed with the key of the newest root, which must be one of those
    /// given.
    pub(super) fn listed(&self, keys: &[&SecretKey]) -> Result<Listed, PublishError> {
        let names: BTreeSet<String> = self.names("metadata")?.into_iter().collect();
        let root = self.newest_root(&names)?;
        let mut listed = Listed {
            root: None,
            last: 0,
            in_force: 0,
            targets: None,
        };
        let Some((root, bytes)) = root else {
            return Ok(listed);
        };
        let is_ours = |key: &&SecretKey| is_root_key(&root.signed, key.public().bytes());
        if !keys.iter().any(is_ours) {
            return Err(PublishError::OtherKey(self.0.to_owned()));
        }
        if names.contains("timestamp.json") {
            let timestamp: schema::Timestamp = self.signed(&root, "metadata/timestamp.json")?;
            listed.in_force = timestamp.version.get();
            let targets = self.version::<Targets>(&root, listed.in_force, "targets")?;
            listed.targets = Some(targets);
        }
        listed.last = listed.in_force;
        for number in numbers(&names, "targets") {
            if number > listed.last && self.version::<Targets>(&root, number, "targets").is_ok() {
                listed.last = number;
            }
        }
        for number in numbers(&names, "snapshot") {
            if number > listed.last && self.version::<Snapshot>(&root, number, "snapshot").is_ok() {
                listed.last = number;
            }
        }
        listed.root = Some((root, bytes));
        Ok(listed)
    }

    /// The root after which there is no next one: roots stay, so they are without gaps.
    fn newest_root(&self, names: &BTreeSet<String>) -> Result<Option<RootFile>, PublishError> {
        let mut number = 0;
        for next in numbers(names, "root") {
            if next == number + 1 {
                number = next;
            }
        }
        if number == 0 {
            return if names.contains("timestamp.json") {
                Err(self.unverified("metadata/timestamp.json"))
            } else {
                Ok(None)
            };
        }
        let name = format!("metadata/{number}.root.json");
        let root: Signed<Root> = self.json(&name)?;
        if root.signed.version.get() != number || root.signed.verify_role(&root).is_err() {
            return Err(self.unverified(&name));
        }
        Ok(Some((root, self.read(&name)?)))
    }

    /// Whether a key was that of the root before one.
    pub(super) fn was_key_before(&self, root: u64, key: &SecretKey) -> bool {
        let name = format!("metadata/{}.root.json", root.saturating_sub(1));
        let before: Result<Signed<Root>, PublishError> = self.json(&name);
        before.is_ok_and(|before| is_root_key(&before.signed, key.public().bytes()))
    }

    /// A role of a version.
    fn version<T: Role + DeserializeOwned>(
        &self,
        root: &Signed<Root>,
        number: u64,
        role: &str,
    ) -> Result<T, PublishError> {
        let name = format!("metadata/{number}.{role}.json");
        let found: T = self.signed(root, &name)?;
        if found.version().get() == number {
            Ok(found)
        } else {
            Err(self.unverified(&name))
        }
    }

    fn signed<T: Role + DeserializeOwned>(
        &self,
        root: &Signed<Root>,
        name: &str,
    ) -> Result<T, PublishError> {
        let found: Signed<T> = self.json(name)?;
        match root.signed.verify_role(&found) {
            Ok(()) => Ok(found.signed),
            Err(_) => Err(self.unverified(name)),
        }
    }

    fn unverified(&self, name: &str) -> PublishError {
        PublishError::Unverified(self.0.join(name))
    }

    /// The bases that were published, by digest, as far as they unpack to what was signed. What does
    /// not is published anew or not at all.
    pub(super) fn known(&self, before: Option<&Targets>) -> BTreeMap<String, Known> {
        let mut known = BTreeMap::new();
        for (name, target) in before.into_iter().flat_map(|targets| &targets.targets) {
            let Some(about) =
                about(target).filter(|about| matches!(about.kind, Kind::Base | Kind::Old))
            else {
                continue;
            };
            let Some(packed) = self.target(name, target) else {
                continue;
            };
            if let Ok(bytes) = unpack(&packed, None, about.length)
                && hex(&sha256(&bytes)) == about.sha256
                && digest_of(&bytes) == about.base
            {
                let base = Known {
                    name: name.raw().to_owned(),
                    packed,
                    about,
                    bytes,
                };
                known.insert(base.about.base.clone(), base);
            }
        }
        known
    }

    /// The file of a target, if it is the one that was signed.
    pub(super) fn target(&self, name: &TargetName, target: &Target) -> Option<Vec<u8>> {
        let bytes = self.read(&format!("targets/{}", consistent(name, target)));
        bytes
            .ok()
            .filter(|bytes| sha256(bytes)[..] == target.hashes.sha256[..])
    }

    /// Removes what neither this version nor the one before names.
    pub(super) fn clean(
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

    pub(super) fn read(&self, name: &str) -> Result<Vec<u8>, PublishError> {
        let path = self.0.join(name);
        std::fs::read(&path).map_err(|source| PublishError::File {
            what: "read",
            path,
            source,
        })
    }

    pub(super) fn has(&self, name: &str, bytes: &[u8]) -> bool {
        self.read(name).is_ok_and(|found| found == bytes)
    }

    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), PublishError> {
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

/// The numbers of the files of a role, rising.
fn numbers(names: &BTreeSet<String>, role: &str) -> BTreeSet<u64> {
    let ending = format!(".{role}.json");
    let numbers = names.iter().filter_map(|name| {
        let number: u64 = name.strip_suffix(&ending)?.parse().ok()?;
        (format!("{number}{ending}") == *name).then_some(number)
    });
    numbers.collect()
}
