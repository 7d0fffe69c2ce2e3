//! What was found, as bytes for the cache: numbers of variable length, and each text once.
//!
//! The bytes are read by the version that wrote them only (see [`super::cache`]); they are checked
//! all the same, since a disk may lie. What a part replaces and its checksum are not among them: a walk
//! does not keep them.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde::Deserialize as _;
use serde::de::IntoDeserializer as _;
use serde::de::value::{Error as ValueError, StrDeserializer};
use snowguard_advisory::identity::PackageKey;
use snowguard_parts::{Declared, Origin, Part, Place, Scope, Span};

use super::look::{File, Look};
use super::stamp::Stamp;

/// Writes a look.
pub(crate) fn encode(look: &Look) -> Vec<u8> {
    let mut out = Writer::default();
    out.number(look.directories.len() as u64);
    let mut above: &[u8] = &[];
    for (path, stamp) in &look.directories {
        out.path(above, path);
        out.stamp(*stamp);
        above = path;
    }
    out.number(look.files.len() as u64);
    above = &[];
    for file in &look.files {
        out.path(above, &file.path);
        above = &file.path;
        match file.stamp {
            Some(stamp) => {
                out.number(1);
                out.stamp(stamp);
            }
            None => out.number(0),
        }
        out.number(file.failed.into());
        out.optional(file.problem.as_deref());
        out.number(file.parts.len() as u64);
        for part in &file.parts {
            out.part(part);
        }
    }
    out.optional(look.cut_short.as_deref());
    out.bytes
}

/// For so many there is room at once: what is damaged may say any number.
const MANY: usize = 1 << 16;

/// Reads a look; none if the bytes are no such thing.
pub(crate) fn decode(bytes: &[u8]) -> Option<Look> {
    let mut input = Reader {
        bytes,
        texts: Vec::new(),
        packages: FxHashMap::default(),
        members: FxHashMap::default(),
        declared: FxHashMap::default(),
    };
    let mut look = Look::default();
    let count = input.count()?;
    look.directories.reserve(count.min(MANY));
    let mut above: Box<[u8]> = Box::default();
    for _ in 0..count {
        let path = input.path(&above)?;
        let stamp = input.stamp()?;
        above.clone_from(&path);
        look.directories.push((path, stamp));
    }
    let count = input.count()?;
    look.files.reserve(count.min(MANY));
    above = Box::default();
    for _ in 0..count {
        let path = input.path(&above)?;
        above.clone_from(&path);
        let stamp = match input.number()? {
            0 => None,
            1 => Some(input.stamp()?),
            _ => return None,
        };
        let failed = input.flag()?;
        let problem = input.optional()?;
        let parts = input.count()?;
        let parts = (0..parts).map(|_| input.part()).collect::<Option<_>>()?;
        look.files.push(File {
            path,
            stamp,
            parts,
            problem,
            failed,
        });
    }
    look.cut_short = input.optional()?;
    input.bytes.is_empty().then_some(look)
}

#[derive(Default)]
struct Writer {
    bytes: Vec<u8>,
    texts: FxHashMap<Box<str>, u64>,
}

impl Writer {
    /// LEB128: seven bits a byte, the lowest first.
    fn number(&mut self, mut number: u64) {
        loop {
            let low = (number & 0x7F).to_le_bytes()[0];
            number >>= 7;
            if number == 0 {
                return self.bytes.push(low);
            }
            self.bytes.push(low | 0x80);
        }
    }

    /// A path, as how much it shares with the one before, and the rest.
    fn path(&mut self, above: &[u8], path: &[u8]) {
        let shared = above.iter().zip(path).take_while(|(a, b)| a == b).count();
        self.number(shared as u64);
        self.number((path.len() - shared) as u64);
        self.bytes.extend_from_slice(&path[shared..]);
    }

    fn stamp(&mut self, Stamp(numbers): Stamp) {
        for number in numbers {
            self.number(number);
        }
    }

    /// A text: 0 and the text the first time, its number from then on.
    fn text(&mut self, text: &str) {
        if let Some(&known) = self.texts.get(text) {
            return self.number(known);
        }
        self.texts.insert(text.into(), self.texts.len() as u64 + 1);
        self.number(0);
        self.number(text.len() as u64);
        self.bytes.extend_from_slice(text.as_bytes());
    }

    fn optional(&mut self, text: Option<&str>) {
        match text {
            Some(text) => {
                self.number(1);
                self.text(text);
            }
            None => self.number(0),
        }
    }

    fn part(&mut self, part: &Part) {
        self.text(part.package.as_str());
        self.text(&part.name);
        self.text(&part.version);
        self.number(match part.scope {
            Scope::Runtime => 0,
            Scope::Build => 1,
            Scope::Development => 2,
            Scope::Optional => 3,
            Scope::Unknown => 4,
        });
        self.text(&serde_json::to_string(&part.by).unwrap_or_default());
        self.optional(part.place.member.as_deref());
        match part.place.span {
            Span::Whole => self.number(0),
            Span::Line(line) => {
                self.number(1);
                self.number(line.into());
            }
            Span::Bytes(offset, length) => {
                self.number(2);
                self.number(offset);
                self.number(length);
            }
        }
        self.number(part.root.into());
        match &part.origin {
            Origin::Registry => self.number(0),
            Origin::Local => self.number(1),
            Origin::Elsewhere(text) => {
                self.number(2);
                self.text(text);
            }
            Origin::Repository(text) => {
                self.number(3);
                self.text(text);
            }
        }
    }
}

struct Reader<'b> {
    bytes: &'b [u8],
    texts: Vec<&'b str>,
    packages: FxHashMap<&'b str, PackageKey>,
    members: FxHashMap<&'b str, Arc<str>>,
    declared: FxHashMap<&'b str, Declared>,
}

impl<'b> Reader<'b> {
    fn number(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.bytes.split_first()?;
            self.bytes = rest;
            number |= u64::from(byte & 0x7F).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    /// How many things follow; each takes a byte at least.
    fn count(&mut self) -> Option<usize> {
        let count = usize::try_from(self.number()?).ok()?;
        (count <= self.bytes.len()).then_some(count)
    }

    fn take(&mut self) -> Option<&'b [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let (taken, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        Some(taken)
    }

    fn path(&mut self, above: &[u8]) -> Option<Box<[u8]>> {
        let shared = usize::try_from(self.number()?).ok()?;
        let shared = above.get(..shared)?;
        let own = self.take()?;
        Some([shared, own].concat().into())
    }

    fn stamp(&mut self) -> Option<Stamp> {
        let mut numbers = [0; 7];
        for number in &mut numbers {
            *number = self.number()?;
        }
        Some(Stamp(numbers))
    }

    fn text(&mut self) -> Option<&'b str> {
        match self.number()? {
            0 => {
                let text = std::str::from_utf8(self.take()?).ok()?;
                self.texts.push(text);
                Some(text)
            }
            known => self.texts.get(usize::try_from(known).ok()? - 1).copied(),
        }
    }

    fn flag(&mut self) -> Option<bool> {
        match self.number()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    #[expect(
        clippy::option_option,
        reason = "the outer one is that of all of these"
    )]
    fn optional(&mut self) -> Option<Option<Box<str>>> {
        match self.number()? {
            0 => Some(None),
            1 => Some(Some(self.text()?.into())),
            _ => None,
        }
    }

    fn package(&mut self) -> Option<PackageKey> {
        let text = self.text()?;
        if let Some(known) = self.packages.get(text) {
            return Some(known.clone());
        }
        let package = PackageKey::try_from(text.to_owned()).ok()?;
        self.packages.insert(text, package.clone());
        Some(package)
    }

    /// The parts of a member share its path.
    #[expect(
        clippy::option_option,
        reason = "the outer one is that of all of these"
    )]
    fn member(&mut self) -> Option<Option<Arc<str>>> {
        match self.number()? {
            0 => Some(None),
            1 => {
                let text = self.text()?;
                let known = self.members.entry(text).or_insert_with(|| text.into());
                Some(Some(Arc::clone(known)))
            }
            _ => None,
        }
    }

    fn declared(&mut self) -> Option<Declared> {
        let text = self.text()?;
        if let Some(known) = self.declared.get(text) {
            return Some(*known);
        }
        let word: StrDeserializer<'_, ValueError> = text.trim_matches('"').into_deserializer();
        let declared = Declared::deserialize(word).ok()?;
        self.declared.insert(text, declared);
        Some(declared)
    }

    fn part(&mut self) -> Option<Part> {
        Some(Part {
            package: self.package()?,
            name: self.text()?.into(),
            version: self.text()?.into(),
            scope: match self.number()? {
                0 => Scope::Runtime,
                1 => Scope::Build,
                2 => Scope::Development,
                3 => Scope::Optional,
                4 => Scope::Unknown,
                _ => return None,
            },
            by: self.declared()?,
            place: Place {
                member: self.member()?,
                span: match self.number()? {
                    0 => Span::Whole,
                    1 => Span::Line(u32::try_from(self.number()?).ok()?),
                    2 => Span::Bytes(self.number()?, self.number()?),
                    _ => return None,
                },
            },
            root: self.flag()?,
            origin: match self.number()? {
                0 => Origin::Registry,
                1 => Origin::Local,
                2 => Origin::Elsewhere(self.text()?.into()),
                3 => Origin::Repository(self.text()?.into()),
                _ => return None,
            },
            replaces: None,
            checksum: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text() -> impl Strategy<Value = Box<str>> {
        "[a-zé/@.0-9-]{1,12}".prop_map(Into::into)
    }

    fn part() -> impl Strategy<Value = Part> {
        let scope = prop::sample::select(vec![
            Scope::Runtime,
            Scope::Build,
            Scope::Development,
            Scope::Optional,
            Scope::Unknown,
        ]);
        let span = prop_oneof![
            Just(Span::Whole),
            any::<u32>().prop_map(Span::Line),
            any::<(u64, u64)>().prop_map(|(offset, length)| Span::Bytes(offset, length)),
        ];
        let origin = prop_oneof![
            Just(Origin::Registry),
            Just(Origin::Local),
            text().prop_map(Origin::Elsewhere),
            text().prop_map(Origin::Repository),
        ];
        let by = prop::sample::select(vec![Declared::CargoAuditable, Declared::GoBuildInfo]);
        let names = (
            prop::sample::select(vec!["cargo", "npm", "golang"]),
            text(),
            text(),
        );
        let member = prop::option::of(text().prop_map(Into::into));
        (names, scope, by, span, any::<bool>(), origin, member).prop_map(
            |((kind, name, version), scope, by, span, root, origin, member)| Part {
                package: PackageKey::new(kind, &name).unwrap(),
                name,
                version,
                scope,
                by,
                place: Place { member, span },
                root,
                origin,
                replaces: None,
                checksum: None,
            },
        )
    }

    fn stamp() -> impl Strategy<Value = Stamp> {
        any::<[u64; 7]>().prop_map(Stamp)
    }

    fn look() -> impl Strategy<Value = Look> {
        let path = || prop::collection::vec(any::<u8>(), 0..20).prop_map(Vec::into_boxed_slice);
        let file = (
            path(),
            prop::option::of(stamp()),
            prop::collection::vec(part(), 0..5),
            prop::option::of(text()),
            any::<bool>(),
        )
            .prop_map(|(path, stamp, parts, problem, failed)| File {
                path,
                stamp,
                parts,
                problem,
                failed,
            });
        (
            prop::collection::vec(file, 0..8),
            prop::collection::vec((path(), stamp()), 0..8),
            prop::option::of(text()),
        )
            .prop_map(|(files, directories, cut_short)| Look {
                files,
                directories,
                cut_short,
            })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(look in look()) {
            prop_assert_eq!(decode(&encode(&look)), Some(look));
        }

        #[test]
        fn damage_never_panics(look in look(), at in any::<prop::sample::Index>(), bit in 0..8_u8) {
            let mut bytes = encode(&look);
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            let _ = decode(&bytes);
            bytes.truncate(at);
            prop_assert_eq!(decode(&bytes), None);
        }
    }
}
