//! An evaluation as the difference to the one before it, packed.
//!
//! It leads back: from what the newer evaluation says to what the older one said. So the newest of a
//! channel is at hand, an older one is computed from it step by step, and forgetting the oldest ones
//! touches no other. A mass rebuild is 20 bytes for each derivation and each output, since a hash cannot
//! be made smaller; all else repeats, and compresses.
//!
//! `docs/src/reference/evaluation-delta.md` describes the bytes. Everything is checked before it is
//! used: a length, a sum over the bytes, and a sum over both evaluations.

use std::collections::BTreeMap;

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::bytes::{Reader, Writer};
use super::paths::{DIGEST, digests};

/// What an evaluation says of an attribute, as it is held: names of others are numbers of their rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Its package.
    pub package: i64,
    /// The derivation's name.
    pub name: Box<str>,
    /// The version; empty if it has none.
    pub version: Box<str>,
    /// Its fact.
    pub fact: i64,
    /// The path of its derivation, packed.
    pub drv: Option<Box<[u8]>>,
    /// Its outputs, packed.
    pub outputs: Option<Box<[u8]>>,
}

/// All attributes of an evaluation, by number.
pub type Set = BTreeMap<i64, Held>;

/// What leads from an evaluation back to its parent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delta {
    /// The sum of the evaluation.
    head: u64,
    /// The sum of its parent.
    parent: u64,
    /// Attributes that the parent did not have.
    gone: Vec<i64>,
    /// Attributes that only the parent had.
    back: Vec<(i64, Held)>,
    /// Attributes of both, with what was otherwise.
    changed: Vec<(i64, Change)>,
}

/// What was otherwise of an attribute; what was not is nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Change {
    package: Option<i64>,
    name: Option<Box<str>>,
    version: Option<Box<str>>,
    fact: Option<i64>,
    drv: Was,
    outputs: Was,
}

/// What packed paths were.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum Was {
    /// The same.
    #[default]
    Same,
    /// The same but for these digests, one after the other.
    Digests(Box<[u8]>),
    /// These.
    Whole(Option<Box<[u8]>>),
}

/// Why a delta cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeltaError {
    /// Bytes of something else, or of a later version.
    #[error("it is no delta of an evaluation, or one of a later version")]
    Format,
    /// Its sum is another: bits were lost.
    #[error("the delta is damaged")]
    Damaged,
    /// It says what cannot be.
    #[error("the delta is not sound: {0}")]
    Unsound(&'static str),
    /// It leads back from another evaluation, or to another one.
    #[error("the delta does not belong to this evaluation")]
    Other,
}

impl Delta {
    /// What leads from `head` back to `parent`.
    pub fn between(head: &Set, parent: &Set) -> Self {
        let mut delta = Self {
            head: sum(head),
            parent: sum(parent),
            ..Self::default()
        };
        for id in head.keys() {
            if !parent.contains_key(id) {
                delta.gone.push(*id);
            }
        }
        for (id, was) in parent {
            match head.get(id) {
                None => delta.back.push((*id, was.clone())),
                Some(is) if is != was => delta.changed.push((*id, Change::between(is, was))),
                Some(_) => {}
            }
        }
        delta
    }

    /// Turns what an evaluation says into what its parent said. Nothing is left of `set` if it fails.
    pub fn apply(&self, set: &mut Set) -> Result<(), DeltaError> {
        if sum(set) != self.head {
            return Err(DeltaError::Other);
        }
        let mut taken = std::mem::take(set);
        for id in &self.gone {
            taken.remove(id).ok_or(DeltaError::Other)?;
        }
        for (id, was) in &self.back {
            if taken.insert(*id, was.clone()).is_some() {
                return Err(DeltaError::Other);
            }
        }
        for (id, change) in &self.changed {
            change.apply(taken.get_mut(id).ok_or(DeltaError::Other)?)?;
        }
        if sum(&taken) != self.parent {
            return Err(DeltaError::Other);
        }
        *set = taken;
        Ok(())
    }

    /// Whether both evaluations say the same.
    pub fn is_empty(&self) -> bool {
        self.gone.is_empty() && self.back.is_empty() && self.changed.is_empty()
    }

    /// The packed bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut columns = Writer::default();
        let mut raw = Vec::new();
        columns.ids(self.gone.iter().copied());
        columns.ids(self.back.iter().map(|(id, _)| *id));
        columns.ids(self.changed.iter().map(|(id, _)| *id));
        for (_, change) in &self.changed {
            columns.byte(change.flags());
        }
        // One column after the other: what is alike stands together.
        let back = || self.back.iter().map(|(_, held)| held);
        let changed = || self.changed.iter().map(|(_, change)| change);
        let packages = changed().filter_map(|change| change.package);
        columns.numbers(back().map(|held| held.package).chain(packages));
        let facts = changed().filter_map(|change| change.fact);
        columns.numbers(back().map(|held| held.fact).chain(facts));
        let names = changed().filter_map(|change| change.name.as_deref());
        columns.texts(back().map(|held| &*held.name).chain(names));
        let versions = changed().filter_map(|change| change.version.as_deref());
        columns.texts(back().map(|held| &*held.version).chain(versions));
        for packed in back().flat_map(|held| [&held.drv, &held.outputs]) {
            columns.optional(packed.as_deref());
        }
        for was in changed().flat_map(|change| [&change.drv, &change.outputs]) {
            match was {
                Was::Same => {}
                Was::Digests(digests) => {
                    columns.number((digests.len() / DIGEST) as u64);
                    raw.extend_from_slice(digests);
                }
                Was::Whole(packed) => columns.optional(packed.as_deref()),
            }
        }
        let columns = columns.into_bytes();
        // A buffer in memory, which is as large as it must be: this does not fail.
        let packed = zstd::bulk::compress(&columns, LEVEL).unwrap_or_default();
        let mut out = Vec::with_capacity(HEADER + packed.len() + raw.len() + 8);
        out.extend_from_slice(MAGIC);
        out.extend(self.head.to_le_bytes());
        out.extend(self.parent.to_le_bytes());
        for length in [columns.len(), packed.len(), raw.len()] {
            out.extend((length as u64).to_le_bytes());
        }
        out.extend(packed);
        out.extend(raw);
        out.extend(xxh3_64(&out).to_le_bytes());
        out
    }

    /// The bytes with the sum that belongs at their end, for who tries what they could say.
    #[doc(hidden)]
    pub fn with_sum(bytes: &[u8]) -> Vec<u8> {
        let body = &bytes[..bytes.len().saturating_sub(8)];
        [body, &xxh3_64(body).to_le_bytes()].concat()
    }

    /// Reads packed bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DeltaError> {
        let (body, sum) = bytes.split_last_chunk::<8>().ok_or(DeltaError::Format)?;
        let mut header = Reader::new(body);
        if header.take(MAGIC.len()) != Some(MAGIC) {
            return Err(DeltaError::Format);
        }
        if xxh3_64(body) != u64::from_le_bytes(*sum) {
            return Err(DeltaError::Damaged);
        }
        let mut word = || header.word().ok_or(DeltaError::Format);
        let (head, parent) = (word()?, word()?);
        let [length, packed, raw] = [word()?, word()?, word()?];
        if length > MOST_COLUMNS || raw > MOST_DIGESTS {
            return Err(DeltaError::Unsound("it is too long"));
        }
        let length = usize::try_from(length).map_err(|_| DeltaError::Format)?;
        let packed = usize::try_from(packed)
            .ok()
            .and_then(|size| header.take(size));
        let raw = usize::try_from(raw).ok().and_then(|size| header.take(size));
        let (Some(packed), Some(raw), true) = (packed, raw, header.is_at_end()) else {
            return Err(DeltaError::Unsound("a length is wrong"));
        };
        // Not more is believed than what compresses exceedingly well.
        if length as u64 > (packed.len() as u64 + 16).saturating_mul(20_000) {
            return Err(DeltaError::Unsound("it is too long"));
        }
        let columns = zstd::bulk::decompress(packed, length).map_err(|_| DeltaError::Damaged)?;
        if columns.len() != length {
            return Err(DeltaError::Unsound("a length is wrong"));
        }
        let mut delta = Columns::read(&columns, raw).ok_or(DeltaError::Unsound("its columns"))?;
        (delta.head, delta.parent) = (head, parent);
        Ok(delta)
    }
}

/// The first bytes; the last of them is the version.
const MAGIC: &[u8; 8] = b"SGdelta\x01";
/// How long the header is.
const HEADER: usize = MAGIC.len() + 5 * 8;
const LEVEL: i32 = 9;
/// How many bytes of columns are taken at most: some millions of attributes.
const MOST_COLUMNS: u64 = 256 << 20;
/// How many bytes of digests are taken at most.
const MOST_DIGESTS: u64 = 1 << 30;

const PACKAGE: u8 = 1;
const NAME: u8 = 2;
const VERSION: u8 = 4;
const FACT: u8 = 8;
const DRV_DIGEST: u8 = 16;
const DRV: u8 = 32;
const OUTPUT_DIGESTS: u8 = 64;
const OUTPUTS: u8 = 128;

impl Change {
    fn between(is: &Held, was: &Held) -> Self {
        let text = |is: &str, was: &str| (is != was).then(|| was.into());
        Self {
            package: (is.package != was.package).then_some(was.package),
            name: text(&is.name, &was.name),
            version: text(&is.version, &was.version),
            fact: (is.fact != was.fact).then_some(was.fact),
            drv: Was::between(is.drv.as_deref(), was.drv.as_deref(), true),
            outputs: Was::between(is.outputs.as_deref(), was.outputs.as_deref(), false),
        }
    }

    fn apply(&self, held: &mut Held) -> Result<(), DeltaError> {
        if let Some(package) = self.package {
            held.package = package;
        }
        if let Some(name) = &self.name {
            held.name.clone_from(name);
        }
        if let Some(version) = &self.version {
            held.version.clone_from(version);
        }
        if let Some(fact) = self.fact {
            held.fact = fact;
        }
        self.drv.apply(&mut held.drv, true)?;
        self.outputs.apply(&mut held.outputs, false)
    }

    fn flags(&self) -> u8 {
        let mut flags = 0;
        for (is_there, flag) in [
            (self.package.is_some(), PACKAGE),
            (self.name.is_some(), NAME),
            (self.version.is_some(), VERSION),
            (self.fact.is_some(), FACT),
            (matches!(self.drv, Was::Digests(_)), DRV_DIGEST),
            (matches!(self.drv, Was::Whole(_)), DRV),
            (matches!(self.outputs, Was::Digests(_)), OUTPUT_DIGESTS),
            (matches!(self.outputs, Was::Whole(_)), OUTPUTS),
        ] {
            if is_there {
                flags |= flag;
            }
        }
        flags
    }
}

impl Was {
    fn between(is: Option<&[u8]>, was: Option<&[u8]>, is_drv: bool) -> Self {
        if is == was {
            return Self::Same;
        }
        is.zip(was)
            .and_then(|(is, was)| Self::only_digests(is, was, is_drv))
            .unwrap_or_else(|| Self::Whole(was.map(Into::into)))
    }

    /// If nothing but digests differs.
    fn only_digests(is: &[u8], was: &[u8], is_drv: bool) -> Option<Self> {
        let places = digests(is, is_drv)?;
        if is.len() != was.len() || digests(was, is_drv)? != places || places.is_empty() {
            return None;
        }
        let mut between = 0;
        let mut old = Vec::with_capacity(places.len() * DIGEST);
        for at in places {
            if is[between..at] != was[between..at] {
                return None;
            }
            between = at + DIGEST;
            old.extend_from_slice(&was[at..between]);
        }
        (is[between..] == was[between..]).then(|| Self::Digests(old.into()))
    }

    fn apply(&self, packed: &mut Option<Box<[u8]>>, is_drv: bool) -> Result<(), DeltaError> {
        match self {
            Self::Same => {}
            Self::Whole(was) => packed.clone_from(was),
            Self::Digests(old) => {
                let packed = packed.as_deref_mut().ok_or(DeltaError::Other)?;
                let places = digests(packed, is_drv).ok_or(DeltaError::Other)?;
                if places.len() * DIGEST != old.len() {
                    return Err(DeltaError::Other);
                }
                for (at, digest) in places.into_iter().zip(old.chunks_exact(DIGEST)) {
                    packed[at..at + DIGEST].copy_from_slice(digest);
                }
            }
        }
        Ok(())
    }
}

/// Reads the columns.
struct Columns;

impl Columns {
    fn read(columns: &[u8], mut raw: &[u8]) -> Option<Delta> {
        let mut columns = Reader::new(columns);
        let gone = columns.ids()?;
        let back = columns.ids()?;
        let changed = columns.ids()?;
        let flags = columns.take(changed.len())?.to_vec();
        let is_sound = |flags: &u8| {
            *flags != 0
                && flags & (DRV_DIGEST | DRV) != DRV_DIGEST | DRV
                && flags & (OUTPUT_DIGESTS | OUTPUTS) != OUTPUT_DIGESTS | OUTPUTS
        };
        if !flags.iter().all(is_sound) {
            return None;
        }
        let count = |flag: u8| back.len() + flags.iter().filter(|of| **of & flag != 0).count();
        let mut packages = columns.numbers(count(PACKAGE))?.into_iter();
        let mut facts = columns.numbers(count(FACT))?.into_iter();
        let mut names = columns.texts(count(NAME))?.into_iter();
        let mut versions = columns.texts(count(VERSION))?.into_iter();
        let mut delta = Delta {
            gone,
            ..Delta::default()
        };
        for id in back {
            let held = Held {
                package: packages.next()?,
                name: names.next()?,
                version: versions.next()?,
                fact: facts.next()?,
                drv: columns.optional()?.0,
                outputs: columns.optional()?.0,
            };
            delta.back.push((id, held));
        }
        for (id, flags) in changed.into_iter().zip(flags) {
            let has = |flag: u8| flags & flag != 0;
            let mut was = |digests: u8, whole: u8| {
                Some(if has(digests) {
                    let count = usize::try_from(columns.number()?).ok()?;
                    let (taken, rest) = raw.split_at_checked(count.checked_mul(DIGEST)?)?;
                    raw = rest;
                    Was::Digests(taken.into())
                } else if has(whole) {
                    Was::Whole(columns.optional()?.0)
                } else {
                    Was::Same
                })
            };
            let change = Change {
                drv: was(DRV_DIGEST, DRV)?,
                outputs: was(OUTPUT_DIGESTS, OUTPUTS)?,
                package: if has(PACKAGE) {
                    Some(packages.next()?)
                } else {
                    None
                },
                name: if has(NAME) { Some(names.next()?) } else { None },
                version: if has(VERSION) {
                    Some(versions.next()?)
                } else {
                    None
                },
                fact: if has(FACT) { Some(facts.next()?) } else { None },
            };
            delta.changed.push((id, change));
        }
        (columns.is_at_end() && raw.is_empty()).then_some(delta)
    }
}

/// A sum over all that an evaluation says.
pub(super) fn sum(set: &Set) -> u64 {
    let mut hasher = Xxh3::new();
    let mut row = Writer::default();
    for (id, held) in set {
        row.clear();
        row.numbers([*id, held.package, held.fact].into_iter());
        row.texts([&*held.name, &*held.version].into_iter());
        row.optional(held.drv.as_deref());
        row.optional(held.outputs.as_deref());
        hasher.update(row.as_bytes());
    }
    hasher.digest()
}

#[cfg(test)]
mod tests;
