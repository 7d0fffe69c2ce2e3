//! Keyrings: keys, when each is in force, who took over from whom, and what was revoked.
//!
//! The document is `snowguard-keyring/1`; the book has its specification. It only grows: a key stays in it
//! after its end, so that what it signed before can be told from what came after. A key that takes over
//! carries the signature of the one before, by which [`Keyring::follows`] knows a later edition.

use std::collections::BTreeSet;

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use snowguard_formats::dsse;
use snowguard_store::{PublicKey, SecretKey, Signature};

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

/// Why a document is no keyring, or why something cannot be done with one.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// It cannot be read.
    #[error("read the keyring at `{place}`")]
    Malformed {
        /// Where.
        place: String,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// It cannot be written.
    #[error("write the keyring")]
    Write(#[source] serde_json::Error),
    /// It is another document, or of another version.
    #[error("it is `{0}`, not `{SCHEMA}`")]
    OtherSchema(String),
    /// It has more than a keyring may.
    #[error("the keyring is larger than a keyring may be")]
    TooLarge,
    /// A key or a name is in it twice.
    #[error("the key {0}, or its name, is in the keyring already")]
    Twice(String),
    /// A name could be taken for the id of another key.
    #[error("the name {0} looks like the id of a key")]
    LooksLikeId(String),
    /// A key is not in it.
    #[error("the keyring has no key {0}")]
    NotHere(String),
    /// A key would end before it begins.
    #[error("the key {0} would end before it begins")]
    Order(String),
    /// A key is said to take over, and is not signed by one before it.
    #[error("the key {0} is not signed by the key that it takes over from")]
    NoPredecessor(String),
    /// A key that others may have had cannot hand on.
    #[error("the key {0} may have been in others' hands, so that no key can take over from it")]
    HandedOnByOthers(String),
    /// Nor can one to which such a key has handed on.
    #[error("nobody can tell whose the key {0} is, so that no key can take over from it")]
    Doubted(String),
    /// A key that has ended cannot hand on.
    #[error("the key {name} has ended at {end}")]
    Ended {
        /// Its name.
        name: String,
        /// When.
        end: Time,
    },
    /// A later edition lacks a key.
    #[error("the key {0} is gone from it")]
    Gone(String),
    /// A later edition says something else of a key than the earlier.
    #[error("it says otherwise of the key {0} than before, or takes back what was said")]
    Changed(String),
    /// A later edition says that a key is right, which nobody can tell by a signature.
    #[error(
        "it says that the key {0} is right, whoever handed on to it, and no key of the keyring says so"
    )]
    AddedAnew(String),
    /// A later edition has a key that no earlier one signed.
    #[error("no key of the keyring has signed the new key {0}")]
    Unvouched(String),
}

impl KeyringError {
    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::HandedOnByOthers(_) => Some(
                "make a key that takes over from none, and let people know of it in another way",
            ),
            Self::Doubted(_) => {
                Some("if you know from elsewhere that it is right, add it anew with `key add`")
            }
            Self::Unvouched(_) | Self::AddedAnew(_) => Some(
                "if you know from elsewhere that it is right, put the new file in the place of the old",
            ),
            Self::Gone(_) | Self::Changed(_) => Some(
                "a keyring only grows; ask who keeps it why this one does not, before you take it over",
            ),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::judge::{Times, Verdict};

    fn key(name: &str, seed: u8) -> SecretKey {
        SecretKey::from_seed(name, &[seed; 32]).unwrap()
    }

    /// The second day of a month of 2026, at noon.
    fn month(month: u8) -> Time {
        format!("2026-{month:02}-02T12:00:00Z").parse().unwrap()
    }

    fn revocation(at: u8, reason: RevocationReason) -> Revocation {
        Revocation {
            at: month(at),
            reason,
            recorded_at: month(at),
            note: None,
        }
    }

    fn judged(keyring: &Keyring, made: u8, existed_by: Option<u8>) -> String {
        let times = Times {
            now: month(12),
            existed_by: existed_by.map(month),
        };
        let entry = keyring.named("ci-1").unwrap();
        entry.judge(month(made), &times).to_string()
    }

    #[test]
    fn no_name_stands_for_the_id_of_another() {
        let one = key("ci-1", 1);
        let id = KeyId::of(one.public()).to_string();
        let mut keyring = Keyring::default();
        keyring.add(one.public().clone(), month(1)).unwrap();
        for name in [id.clone(), id.to_uppercase(), "0".repeat(64)] {
            let other = key(&name, 2);
            let error = keyring.add(other.public().clone(), month(1)).unwrap_err();
            assert!(matches!(error, KeyringError::LooksLikeId(_)), "{error}");
        }
        keyring
            .add(key(&"0".repeat(63), 2).public().clone(), month(1))
            .unwrap();
        assert_eq!(keyring.named(&id).unwrap().key().name(), "ci-1");
        // Nor is a file read that has one.
        let json = String::from_utf8(keyring.to_json().unwrap()).unwrap();
        let json = json.replace(&"0".repeat(63), &"0".repeat(64));
        assert!(Keyring::read(json.as_bytes()).is_err());
    }

    #[test]
    fn a_key_that_was_put_away_keeps_what_it_signed() {
        let (one, two) = (key("ci-1", 1), key("ci-2", 2));
        let mut keyring = Keyring::default();
        keyring.add(one.public().clone(), month(1)).unwrap();
        keyring
            .rotate(&one, two.public().clone(), month(5), month(6))
            .unwrap();
        assert_eq!(
            keyring.entries()[1].predecessor(),
            Some(KeyId::of(one.public()))
        );
        insta::assert_snapshot!([
            judged(&keyring, 1, None),
            judged(&keyring, 5, None),
            judged(&keyring, 6, None),
        ].join("\n"), @"
        valid: ci-1: the key was in force then, until 2026-06-02T12:00:00Z, and never in others' hands
        valid: ci-1: the key was in force then, until 2026-06-02T12:00:00Z, and never in others' hands
        not valid: ci-1: it says that it was made at 2026-06-02T12:00:00Z, and the key was in force until 2026-06-02T12:00:00Z
        ");
        let before = "2025-12-31T00:00:00Z".parse().unwrap();
        let times = Times {
            now: month(12),
            existed_by: None,
        };
        let judgement = keyring.entries()[0].judge(before, &times);
        assert_eq!(judgement.verdict, Verdict::NotValid);
        let future = keyring.entries()[1].judge("2027-01-01T00:00:00Z".parse().unwrap(), &times);
        assert_eq!(future.verdict, Verdict::Undecided);
    }

    #[test]
    fn a_key_that_others_had_needs_a_trusted_time() {
        let mut keyring = Keyring::default();
        keyring
            .add(key("ci-1", 1).public().clone(), month(1))
            .unwrap();
        let compromised = revocation(6, RevocationReason::Compromised);
        keyring.revoke("ci-1", compromised.clone()).unwrap();
        insta::assert_snapshot!([
            judged(&keyring, 3, None),
            judged(&keyring, 3, Some(5)),
            judged(&keyring, 3, Some(7)),
            judged(&keyring, 7, None),
            judged(&keyring, 7, Some(5)),
        ].join("\n"), @"
        cannot be decided: ci-1: the key may have been in others' hands from 2026-06-02T12:00:00Z, and who has it can write any time; when it existed for certain is not known
        valid: ci-1: it existed by 2026-05-02T12:00:00Z, before the key was in others' hands (2026-06-02T12:00:00Z)
        cannot be decided: ci-1: the key may have been in others' hands from 2026-06-02T12:00:00Z, and who has it can write any time; it is known from 2026-07-02T12:00:00Z on only
        not valid: ci-1: it says that it was made at 2026-07-02T12:00:00Z, and the key was in force until 2026-06-02T12:00:00Z
        not valid: ci-1: it says that it was made at 2026-07-02T12:00:00Z, and the key was in force until 2026-06-02T12:00:00Z
        ");
        // A word that is milder takes nothing back; an earlier time counts.
        keyring
            .revoke("ci-1", revocation(8, RevocationReason::Retired))
            .unwrap();
        assert!(judged(&keyring, 3, None).starts_with("cannot be decided"));
        let earlier = Revocation {
            at: month(4),
            ..compromised
        };
        keyring.revoke("ci-1", earlier).unwrap();
        assert!(judged(&keyring, 3, Some(5)).starts_with("cannot be decided"));
        assert_eq!(keyring.entries()[0].revocations().len(), 3);
    }

    #[test]
    fn others_cannot_hand_a_key_on() {
        let (one, two) = (key("ci-1", 1), key("ci-2", 2));
        let mut keyring = Keyring::default();
        keyring.add(one.public().clone(), month(1)).unwrap();
        keyring
            .revoke("ci-1", revocation(6, RevocationReason::Compromised))
            .unwrap();
        for at in [3, 7] {
            let error = keyring
                .rotate(&one, two.public().clone(), month(at), month(at + 1))
                .unwrap_err();
            assert!(matches!(
                error,
                KeyringError::HandedOnByOthers(_) | KeyringError::Ended { .. }
            ));
        }
    }

    #[test]
    fn who_comes_after_a_stolen_key_is_in_doubt_until_added_anew() {
        let keys = [key("ci-1", 1), key("ci-2", 2), key("ci-3", 3)];
        let mut keyring = Keyring::default();
        keyring.add(keys[0].public().clone(), month(1)).unwrap();
        let first = keyring.clone();
        for (at, from) in [(0, 5), (1, 7)] {
            let new = keys[at + 1].public().clone();
            keyring
                .rotate(&keys[at], new, month(from), month(from + 1))
                .unwrap();
        }
        let times = Times {
            now: month(12),
            existed_by: Some(month(9)),
        };
        let verdicts = |keyring: &Keyring| {
            let entries = keyring.entries().iter();
            let made = [month(2), month(5), month(8)];
            let judged = entries.zip(made);
            let judged = judged.map(|(entry, made)| entry.judge(made, &times).verdict);
            judged.collect::<Vec<_>>()
        };
        assert_eq!(verdicts(&keyring), [Verdict::Valid; 3]);
        // Stolen after it handed on: what followed is what it was.
        let mut later = keyring.clone();
        later
            .revoke("ci-1", revocation(6, RevocationReason::Compromised))
            .unwrap();
        assert_eq!(
            verdicts(&later),
            [Verdict::Undecided, Verdict::Valid, Verdict::Valid]
        );
        // Stolen before, and known later.
        let before = keyring.clone();
        keyring
            .revoke("ci-1", revocation(4, RevocationReason::Compromised))
            .unwrap();
        assert_eq!(verdicts(&keyring), [Verdict::Undecided; 3]);
        insta::assert_snapshot!(keyring.entries()[2].judge(month(8), &times), @"cannot be decided: ci-3: others may have handed on to the key: ci-1 may have been in their hands from 2026-04-02T12:00:00Z");
        assert_eq!(Keyring::read(&keyring.to_json().unwrap()).unwrap(), keyring);
        keyring.follows(&before, month(12)).unwrap();
        assert!(before.follows(&keyring, month(12)).is_err());
        assert!(keyring.follows(&first, month(12)).is_err());
        // They hand on to nobody, neither here nor in a later edition.
        let next = key("ci-4", 4).public().clone();
        let error = keyring
            .rotate(&keys[2], next.clone(), month(9), month(10))
            .unwrap_err();
        assert!(matches!(error, KeyringError::Doubted(_)), "{error}");
        let mut forged = before.clone();
        forged.rotate(&keys[2], next, month(9), month(10)).unwrap();
        let mut known = keyring.clone();
        known.entries.push(forged.entries[3].clone());
        known.check().unwrap();
        let error = known.follows(&keyring, month(9)).unwrap_err();
        assert!(matches!(error, KeyringError::Doubted(_)), "{error}");
        // Who keeps it knows the second, and so the third, which that one signed.
        let doubted = keyring.clone();
        keyring.add(keys[1].public().clone(), month(11)).unwrap();
        assert_eq!(
            verdicts(&keyring),
            [Verdict::Undecided, Verdict::Valid, Verdict::Valid]
        );
        assert_eq!(keyring.entries()[1].valid_from(), month(5));
        assert!(keyring.add(keys[1].public().clone(), month(11)).is_err());
        assert!(keyring.add(keys[0].public().clone(), month(11)).is_err());
        // Others cannot say so, and nobody takes it back.
        let error = keyring.follows(&doubted, month(12)).unwrap_err();
        assert!(matches!(error, KeyringError::AddedAnew(_)), "{error}");
        let error = keyring.follows(&first, month(12)).unwrap_err();
        assert!(matches!(error, KeyringError::AddedAnew(_)), "{error}");
        let error = doubted.follows(&keyring, month(12)).unwrap_err();
        assert!(matches!(error, KeyringError::Changed(_)), "{error}");
        keyring.follows(&keyring, month(12)).unwrap();
        let mut reread = Keyring::read(&keyring.to_json().unwrap()).unwrap();
        assert_eq!(reread, keyring);
        // Stolen itself, it is no longer vouched for.
        reread
            .revoke("ci-2", revocation(6, RevocationReason::Compromised))
            .unwrap();
        assert_eq!(verdicts(&reread), [Verdict::Undecided; 3]);
    }

    #[test]
    fn a_later_edition_only_grows() {
        let (one, two, stranger) = (key("ci-1", 1), key("ci-2", 2), key("x-1", 3));
        let mut earlier = Keyring::default();
        earlier.add(one.public().clone(), month(1)).unwrap();
        let mut later = earlier.clone();
        later
            .rotate(&one, two.public().clone(), month(5), month(6))
            .unwrap();
        let now = month(12);
        later.follows(&earlier, now).unwrap();
        later.follows(&later, now).unwrap();
        assert!(matches!(
            earlier.follows(&later, now),
            Err(KeyringError::Changed(_))
        ));
        assert!(matches!(
            Keyring::default().follows(&earlier, now),
            Err(KeyringError::Gone(_))
        ));
        let mut other = earlier.clone();
        other.add(stranger.public().clone(), month(2)).unwrap();
        assert!(matches!(
            other.follows(&earlier, now),
            Err(KeyringError::Unvouched(_))
        ));
        let mut revoked = later.clone();
        revoked
            .revoke("ci-1", revocation(6, RevocationReason::Compromised))
            .unwrap();
        revoked.follows(&later, now).unwrap();
        assert!(later.follows(&revoked, now).is_err());
        // Whoever stole the key cannot hand it on to those who know an earlier edition only.
        assert!(matches!(
            revoked.follows(&earlier, now),
            Err(KeyringError::HandedOnByOthers(_))
        ));
    }

    #[test]
    fn a_key_that_was_put_away_hands_nothing_on() {
        let (one, evil, late) = (key("ci-1", 1), key("evil", 2), key("late", 3));
        let mut first = Keyring::default();
        first.add(one.public().clone(), month(1)).unwrap();
        let entry_by = |valid_from| {
            // Whoever has the key and an edition from before signs what he likes.
            let mut copy = first.clone();
            copy.rotate(
                &one,
                evil.public().clone(),
                month(valid_from),
                month(valid_from),
            )
            .unwrap();
            copy.entries[1].clone()
        };
        for reason in [RevocationReason::Retired, RevocationReason::Superseded] {
            let mut retired = first.clone();
            retired.revoke("ci-1", revocation(6, reason)).unwrap();
            // Also with a beginning that is written back, or before the end that was said.
            for (valid_from, now) in [(8, 9), (3, 9), (3, 5)] {
                let mut forged = retired.clone();
                forged.entries.push(entry_by(valid_from));
                let error = forged.follows(&retired, month(now)).unwrap_err();
                assert!(matches!(error, KeyringError::Ended { .. }), "{error}");
                // Nor by a key that it handed on to.
                let mut further = forged.clone();
                further
                    .rotate(&evil, late.public().clone(), month(9), month(10))
                    .unwrap();
                assert!(further.follows(&retired, month(now)).is_err());
            }
        }
        // Replaced, it has its time until the end of that.
        let mut replaced = first.clone();
        replaced
            .rotate(&one, late.public().clone(), month(5), month(6))
            .unwrap();
        let mut forged = replaced.clone();
        forged.entries.push(entry_by(3));
        assert!(forged.follows(&replaced, month(7)).is_err());
        forged.follows(&replaced, month(5)).unwrap();
        // Handed on in order and put away at once, by whoever keeps the keyring.
        let mut later = replaced.clone();
        later
            .revoke("ci-1", revocation(6, RevocationReason::Superseded))
            .unwrap();
        later.follows(&first, month(7)).unwrap();
    }

    #[test]
    fn a_document_is_read_as_it_was_written_and_not_bent() {
        let (one, two) = (key("ci-1", 1), key("ci-2", 2));
        let mut keyring = Keyring::default();
        keyring.add(one.public().clone(), month(1)).unwrap();
        keyring
            .rotate(&one, two.public().clone(), month(5), month(6))
            .unwrap();
        keyring
            .revoke(
                "ci-1",
                Revocation {
                    note: Some("laptop lost".into()),
                    ..revocation(7, RevocationReason::Compromised)
                },
            )
            .unwrap();
        let json = keyring.to_json().unwrap();
        assert_eq!(Keyring::read(&json).unwrap(), keyring);
        let text = String::from_utf8(json).unwrap();
        let told = |from: &str, to: &str| {
            assert!(text.contains(from), "{from}");
            let error = Keyring::read(text.replacen(from, to, 1).as_bytes()).unwrap_err();
            let source = std::error::Error::source(&error);
            let source = source
                .map(|source| format!(": {source}"))
                .unwrap_or_default();
            format!("{error}{source}")
        };
        let mark = text.find("\"signature\": \"").unwrap() + 14;
        let signature = &text[mark..mark + 8];
        insta::assert_snapshot!([
            told("keyring/1", "keyring/2"),
            told("ci-2:", "ci-1:"),
            told("ci-2:", "ci-3:"),
            told(signature, "AAAAAAAA"),
            told("2026-05-02", "2026-05-03"),
            told("2026-06-02", "2025-06-02"),
            told("\"note\"", "\"scope\""),
            told("compromised", "lost"),
            told("2026-01-02T12:00:00Z", "2026-01-02"),
        ].join("\n"), @"
        it is `snowguard-keyring/2`, not `snowguard-keyring/1`
        the key ci-1, or its name, is in the keyring already
        the key ci-3 is not signed by the key that it takes over from
        the key ci-2 is not signed by the key that it takes over from
        the key ci-2 is not signed by the key that it takes over from
        the key ci-1 would end before it begins
        read the keyring at `keys[0].revocations[0].scope`: unknown field `scope`, expected one of `at`, `reason`, `recorded_at`, `note` at line 13 column 17
        read the keyring at `keys[0].revocations[0].reason`: unknown variant `lost`, expected one of `compromised`, `retired`, `superseded` at line 11 column 26
        read the keyring at `keys[0].valid_from`: not a time such as 2026-01-31T12:00:00Z at line 6 column 32
        ");
        assert!(Keyring::read(&vec![b' '; MAX_BYTES + 1]).is_err());
    }

    proptest! {
        /// A signature never gains by what is revoked.
        #[test]
        fn revocations_never_add_trust(
            at in 1_u8..12, made in 1_u8..12, existed in prop::option::of(1_u8..12),
            more in prop::collection::vec((1_u8..12, 0_u8..3), 0..4),
        ) {
            let mut keyring = Keyring::default();
            keyring.add(key("ci-1", 1).public().clone(), month(at)).unwrap();
            let times = Times { now: month(12), existed_by: existed.map(month) };
            let judge = |keyring: &Keyring| keyring.entries()[0].judge(month(made), &times).verdict;
            let mut before = judge(&keyring);
            for (at, reason) in more {
                let reason = [
                    RevocationReason::Compromised, RevocationReason::Retired, RevocationReason::Superseded,
                ][usize::from(reason)];
                let earlier = keyring.clone();
                keyring.revoke("ci-1", revocation(at, reason)).unwrap();
                keyring.follows(&earlier, month(12)).unwrap();
                let now = judge(&keyring);
                prop_assert!(now <= before);
                before = now;
            }
        }
    }
}
