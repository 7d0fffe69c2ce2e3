//! Keyrings: keys, when each is in force, who took over from whom, and what was revoked.
//!
//! The document is `snowguard-keyring/1`; the book has its specification. It only grows: a key stays in it
//! after its end, so that what it signed before can be told from what came after. A key that takes over
//! carries the signature of the one before, by which [`Keyring::follows`] knows a later edition.

mod error;

use std::collections::BTreeSet;

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use snowguard_formats::dsse;
use snowguard_store::{PublicKey, SecretKey, Signature};

pub use self::error::KeyringError;
use crate::canonical;
use crate::key_id::KeyId;
use crate::time::Time;

/// The name and version of the document.
pub const SCHEMA: &str = "snowguard-keyring/1";
/// The payload type under which a key signs the one that takes over.
pub const SUCCESSION: &str = "application/vnd.snowguard.key-succession.v1+json";

/// The longest document that is read, in bytes.
pub const MAX_BYTES: usize = 4 << 20;
/// How many keys one keyring has.
pub const MAX_KEYS: usize = 4096;
/// How many revocations one key has.
const MAX_REVOCATIONS: usize = 64;
/// How long a note or a name is, in bytes.
const MAX_TEXT: usize = 1024;

/// Keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keyring {
    entries: Vec<Entry>,
}

/// One key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    id: KeyId,
    wire: WireKey,
    /// Follows from the others of its keyring.
    doubt: Option<Doubt>,
}

/// Why nobody can tell whose a key is: on the way to it, one that others may have had then has handed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// The name of the key that others may have had.
    pub key: String,
    /// From when.
    pub at: Time,
}

/// Something that ended the time of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revocation {
    /// From when nothing that the key signs counts. Of a key in others' hands, the earliest time at which
    /// it may have been there.
    pub at: Time,
    /// Why.
    pub reason: RevocationReason,
    /// When it was written down.
    pub recorded_at: Time,
    /// More about it, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Why the time of a key ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RevocationReason {
    /// Somebody else may have had it.
    Compromised,
    /// It was put away or destroyed, and nobody else had it.
    Retired,
    /// Another key has taken over, and nobody else had it.
    Superseded,
}

impl RevocationReason {
    /// The word by which it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Compromised => "compromised",
            Self::Retired => "retired",
            Self::Superseded => "superseded",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireKey {
    key: PublicKey,
    valid_from: Time,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    valid_until: Option<Time>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    predecessor: Option<Predecessor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    added_anew: Option<Time>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    revocations: Vec<Revocation>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Predecessor {
    id: KeyId,
    signature: String,
}

/// What is not known here could be what forbids something, so it is refused.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    schema: String,
    keys: Vec<WireKey>,
}

impl Entry {
    /// The id of the key.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// The key.
    pub fn key(&self) -> &PublicKey {
        &self.wire.key
    }

    /// From when it is in force.
    pub fn valid_from(&self) -> Time {
        self.wire.valid_from
    }

    /// Until when it was meant to be, if that was said.
    pub fn valid_until(&self) -> Option<Time> {
        self.wire.valid_until
    }

    /// The key that it took over from.
    pub fn predecessor(&self) -> Option<KeyId> {
        self.wire.predecessor.as_ref().map(|key| key.id)
    }

    /// When who keeps the keyring said that it is right, whoever handed on to it.
    pub fn added_anew(&self) -> Option<Time> {
        self.wire.added_anew
    }

    /// Why it cannot be told whose it is, where it cannot.
    pub fn doubt(&self) -> Option<&Doubt> {
        self.doubt.as_ref()
    }

    /// What ended its time, in the order in which it was written down.
    pub fn revocations(&self) -> &[Revocation] {
        &self.wire.revocations
    }

    /// When it ended, if it was revoked at all, or was meant to end by `now`.
    fn ended(&self, now: Time) -> Option<Time> {
        let is_revoked = !self.revocations().is_empty();
        self.end().filter(|end| is_revoked || *end <= now)
    }
}

impl Keyring {
    /// The keys, in the order in which they came.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The key of an id.
    pub fn get(&self, id: KeyId) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.id == id)
    }

    /// The key of an id or a name.
    pub fn named(&self, text: &str) -> Option<&Entry> {
        self.entries
            .iter()
            .find(|entry| entry.key().name() == text || entry.id.to_string() == text)
    }

    /// Takes in a key that nobody vouches for but who keeps the keyring.
    ///
    /// One that is there already, and of which it cannot be told whose it is, is known to be right from now on; its
    /// time stays what it was.
    pub fn add(&mut self, key: PublicKey, valid_from: Time) -> Result<&Entry, KeyringError> {
        let is_doubted = |entry: &Entry| *entry.key() == key && entry.doubt.is_some();
        if let Some(at) = self.entries.iter().position(is_doubted) {
            let mut next = self.clone();
            next.entries[at].wire.added_anew = Some(valid_from);
            next.check()?;
            *self = next;
            return Ok(&self.entries[at]);
        }
        self.push(WireKey {
            key,
            valid_from,
            valid_until: None,
            predecessor: None,
            added_anew: None,
            revocations: Vec::new(),
        })
    }

    /// Lets a key take over from another, which signs that. The old one ends at `until`.
    pub fn rotate(
        &mut self,
        old: &SecretKey,
        new: PublicKey,
        valid_from: Time,
        until: Time,
    ) -> Result<&Entry, KeyringError> {
        let id = KeyId::of(old.public());
        let name = || old.name().to_owned();
        let at = self.entries.iter().position(|entry| entry.id == id);
        let at = at.ok_or_else(|| KeyringError::NotHere(name()))?;
        let entry = &self.entries[at];
        if let Some(end) = entry.end().filter(|end| *end <= valid_from) {
            return Err(KeyringError::Ended { name: name(), end });
        }
        if entry.in_others_hands().is_some() {
            return Err(KeyringError::HandedOnByOthers(name()));
        }
        if entry.doubt.is_some() {
            return Err(KeyringError::Doubted(name()));
        }
        if until <= entry.valid_from() {
            return Err(KeyringError::Order(name()));
        }
        let message = succession(id, &new, valid_from)?;
        let signature = BASE64.encode(old.sign(&message).bytes());
        let mut next = self.clone();
        let ends = next.entries[at].end().map_or(until, |end| end.min(until));
        next.entries[at].wire.valid_until = Some(ends);
        next.push(WireKey {
            key: new,
            valid_from,
            valid_until: None,
            predecessor: Some(Predecessor { id, signature }),
            added_anew: None,
            revocations: Vec::new(),
        })?;
        *self = next;
        self.entries.last().ok_or(KeyringError::NotHere(name()))
    }

    /// Ends the time of a key. What was said of it before stays. If others may have had it when it handed on, it cannot
    /// be told any more whose the keys are that followed, until each is [added](Self::add) anew.
    pub fn revoke(&mut self, name: &str, revocation: Revocation) -> Result<&Entry, KeyringError> {
        let at = self
            .named(name)
            .and_then(|entry| self.entries.iter().position(|other| other.id == entry.id))
            .ok_or_else(|| KeyringError::NotHere(name.to_owned()))?;
        let mut next = self.clone();
        next.entries[at].wire.revocations.push(revocation);
        next.check()?;
        *self = next;
        Ok(&self.entries[at])
    }

    /// Whether this may stand in the place of an earlier keyring without asking anybody: nothing of that is
    /// gone or made milder, and every key that is new goes back to one that was there and, by what was known
    /// there, had not ended by `now`. What a new key says of its own beginning decides nothing: whoever finds
    /// a key that was put away can write any time.
    pub fn follows(&self, earlier: &Self, now: Time) -> Result<(), KeyringError> {
        for old in &earlier.entries {
            let name = || old.key().name().to_owned();
            let new = self.get(old.id).ok_or_else(|| KeyringError::Gone(name()))?;
            let milder = match (old.valid_until(), new.valid_until()) {
                (Some(old), Some(new)) => new > old,
                (Some(_), None) => true,
                (None, _) => false,
            };
            if new.key() != old.key()
                || new.valid_from() != old.valid_from()
                || new.wire.predecessor != old.wire.predecessor
                || !new.revocations().starts_with(old.revocations())
                || milder
                || old
                    .added_anew()
                    .is_some_and(|at| new.added_anew() != Some(at))
            {
                return Err(KeyringError::Changed(name()));
            }
            if new.added_anew() != old.added_anew() {
                return Err(KeyringError::AddedAnew(name()));
            }
        }
        let known = |id| earlier.get(id).is_some();
        for new in self.entries.iter().filter(|entry| !known(entry.id)) {
            if new.added_anew().is_some() {
                return Err(KeyringError::AddedAnew(new.key().name().to_owned()));
            }
            // Those before it in the list have been looked at.
            let handed_on_by = new.predecessor().and_then(|id| self.get(id));
            match handed_on_by {
                None => return Err(KeyringError::Unvouched(new.key().name().to_owned())),
                Some(old) if old.in_others_hands().is_some() => {
                    return Err(KeyringError::HandedOnByOthers(old.key().name().to_owned()));
                }
                Some(old) if old.doubt.is_some() => {
                    return Err(KeyringError::Doubted(old.key().name().to_owned()));
                }
                Some(old) => {
                    // One that is new itself is looked at in its own turn.
                    let here = earlier.get(old.id);
                    if let Some(end) = here.and_then(|here| here.ended(now)) {
                        let name = old.key().name().to_owned();
                        return Err(KeyringError::Ended { name, end });
                    }
                }
            }
        }
        Ok(())
    }

    /// Reads a keyring, and checks every signature in it.
    pub fn read(json: &[u8]) -> Result<Self, KeyringError> {
        if json.len() > MAX_BYTES {
            return Err(KeyringError::TooLarge);
        }
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        let wire: Wire = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
            KeyringError::Malformed {
                place: error.path().to_string(),
                source: error.into_inner(),
            }
        })?;
        deserializer
            .end()
            .map_err(|source| KeyringError::Malformed {
                place: ".".to_owned(),
                source,
            })?;
        if wire.schema != SCHEMA {
            return Err(KeyringError::OtherSchema(wire.schema));
        }
        if wire.keys.len() > MAX_KEYS {
            return Err(KeyringError::TooLarge);
        }
        let entries = wire.keys.into_iter().map(|wire| Entry {
            id: KeyId::of(&wire.key),
            wire,
            doubt: None,
        });
        let mut keyring = Self {
            entries: entries.collect(),
        };
        keyring.check()?;
        Ok(keyring)
    }

    /// Writes the keyring for people and programs: the same bytes for the same keyring.
    pub fn to_json(&self) -> Result<Vec<u8>, KeyringError> {
        let wire = Wire {
            schema: SCHEMA.to_owned(),
            keys: self
                .entries
                .iter()
                .map(|entry| entry.wire.clone())
                .collect(),
        };
        let mut json = serde_json::to_vec_pretty(&wire).map_err(KeyringError::Write)?;
        json.push(b'\n');
        Ok(json)
    }

    fn push(&mut self, wire: WireKey) -> Result<&Entry, KeyringError> {
        let id = KeyId::of(&wire.key);
        let name = wire.key.name().to_owned();
        let mut next = self.clone();
        let doubt = None;
        next.entries.push(Entry { id, wire, doubt });
        next.check()?;
        *self = next;
        self.get(id).ok_or(KeyringError::NotHere(name))
    }

    /// Whether it may be a keyring, and which of its keys nobody can tell whose they are.
    fn check(&mut self) -> Result<(), KeyringError> {
        self.is_one()?;
        // Predecessors stand before.
        for at in 0..self.entries.len() {
            self.entries[at].doubt = self.doubt_of(&self.entries[at]);
        }
        Ok(())
    }

    fn doubt_of(&self, entry: &Entry) -> Option<Doubt> {
        if entry.added_anew().is_some() {
            return None;
        }
        let old = self.get(entry.predecessor()?)?;
        match old.in_others_hands() {
            Some(at) if at <= entry.valid_from() => Some(Doubt {
                key: old.key().name().to_owned(),
                at,
            }),
            _ => old.doubt.clone(),
        }
    }

    fn is_one(&self) -> Result<(), KeyringError> {
        if self.entries.len() > MAX_KEYS {
            return Err(KeyringError::TooLarge);
        }
        let mut ids = BTreeSet::new();
        let mut names = BTreeSet::new();
        for (at, entry) in self.entries.iter().enumerate() {
            let name = || entry.key().name().to_owned();
            // Who names a key by its id must never get another.
            if name().to_ascii_lowercase().parse::<KeyId>().is_ok() {
                return Err(KeyringError::LooksLikeId(name()));
            }
            if !ids.insert(entry.id) || !names.insert(entry.key().name()) {
                return Err(KeyringError::Twice(name()));
            }
            let notes = entry.revocations().iter().filter_map(|r| r.note.as_ref());
            if notes.map(String::len).any(|length| length > MAX_TEXT)
                || entry.key().name().len() > MAX_TEXT
                || entry.revocations().len() > MAX_REVOCATIONS
            {
                return Err(KeyringError::TooLarge);
            }
            if entry
                .valid_until()
                .is_some_and(|end| end <= entry.valid_from())
            {
                return Err(KeyringError::Order(name()));
            }
            let Some(predecessor) = &entry.wire.predecessor else {
                continue;
            };
            // Those that came before only, so that nobody vouches for itself.
            let before = self.entries[..at].iter();
            let old = before.rev().find(|old| old.id == predecessor.id);
            let old = old.ok_or_else(|| KeyringError::NoPredecessor(name()))?;
            let message = succession(old.id, entry.key(), entry.valid_from())?;
            let signature = BASE64.decode(predecessor.signature.as_bytes()).ok();
            let signature = signature
                .and_then(|signature| Signature::new(old.key().name(), &signature))
                .filter(|signature| old.key().verifies(&message, signature));
            if signature.is_none() {
                return Err(KeyringError::NoPredecessor(name()));
            }
        }
        Ok(())
    }
}

/// What a key signs to let another take over: never mistaken for a statement, since its type is signed too.
fn succession(
    predecessor: KeyId,
    successor: &PublicKey,
    valid_from: Time,
) -> Result<Vec<u8>, KeyringError> {
    let value: Value = json!({
        "predecessor": predecessor.to_string(),
        "successor": successor.to_string(),
        "valid_from": valid_from.to_string(),
    });
    let payload = canonical::to_bytes(&value)
        .map_err(|error| KeyringError::Write(serde::ser::Error::custom(error)))?;
    Ok(dsse::pae(SUCCESSION, &payload))
}

#[cfg(test)]
mod tests;
