//! Bytes of the index: header, section table, and the varint coding inside sections.

use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

/// The version of the layout. A reader takes only its own.
pub const FORMAT_VERSION: u32 = 2;

const MAGIC: &[u8; 8] = b"SNOWIDX\n";
const DELTA_MAGIC: &[u8; 8] = b"SNOWDLT\n";
/// Magic, version, number of sections, checksum of the table.
const HEADER: usize = 8 + 4 + 4 + 8;
/// Kind, offset, length, checksum.
const ROW: usize = 8 + 8 + 8 + 8;
/// Sections start at multiples of this, so that they can be told apart in a hex dump.
const ALIGNMENT: usize = 16;

/// What a section holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Section {
    /// Where each string ends.
    StringEnds,
    /// The strings, one after the other, sorted.
    Strings,
    /// What the records came from.
    Sources,
    /// Where each vulnerability ends.
    VulnerabilityEnds,
    /// Vulnerabilities.
    Vulnerabilities,
    /// Where each entry ends.
    EntryEnds,
    /// Affected entries.
    Entries,
    /// Per bucket of key hashes: the first key.
    Buckets,
    /// Keys: string, first posting, sorted by hash.
    Keys,
    /// Entry numbers by key.
    Postings,
    /// Advisory ids, sorted: string and vulnerability.
    Ids,
    /// Of a delta: to which base it belongs, and how many of its entries stand in the base as well.
    Base,
    /// Of a delta: the base's vulnerabilities that it speaks of instead, sorted.
    Superseded,
    /// Of a delta: the base's entries that speak of superseded vulnerabilities only, sorted.
    Dead,
    /// Of a delta: the number here of each source of the base.
    SourceMap,
}

impl Section {
    pub(super) const ALL: [Self; 11] = [
        Self::StringEnds,
        Self::Strings,
        Self::Sources,
        Self::VulnerabilityEnds,
        Self::Vulnerabilities,
        Self::EntryEnds,
        Self::Entries,
        Self::Buckets,
        Self::Keys,
        Self::Postings,
        Self::Ids,
    ];

    /// Those of a delta.
    const OF_DELTA: [Self; 15] = [
        Self::StringEnds,
        Self::Strings,
        Self::Sources,
        Self::VulnerabilityEnds,
        Self::Vulnerabilities,
        Self::EntryEnds,
        Self::Entries,
        Self::Buckets,
        Self::Keys,
        Self::Postings,
        Self::Ids,
        Self::Base,
        Self::Superseded,
        Self::Dead,
        Self::SourceMap,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::StringEnds => "string ends",
            Self::Strings => "strings",
            Self::Sources => "sources",
            Self::VulnerabilityEnds => "vulnerability ends",
            Self::Vulnerabilities => "vulnerabilities",
            Self::EntryEnds => "entry ends",
            Self::Entries => "entries",
            Self::Buckets => "buckets",
            Self::Keys => "keys",
            Self::Postings => "postings",
            Self::Ids => "ids",
            Self::Base => "base",
            Self::Superseded => "superseded vulnerabilities",
            Self::Dead => "superseded entries",
            Self::SourceMap => "source numbers",
        }
    }
}

/// Which base a delta belongs to: XXH3, 128 bits, of the base's header and section table. These hold
/// the checksums of all else, so that nothing but the first bytes of a file must be read for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SegmentDigest([u8; 16]);

impl SegmentDigest {
    /// Of the bytes of a base or a delta; none where the table is not whole.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let kinds = kinds_of(bytes)?;
        let table = bytes.get(..HEADER + ROW * kinds.len())?;
        Some(Self(xxh3_128(table).to_le_bytes()))
    }

    /// Of the base to which a delta belongs; none if these are not the bytes of a delta, or not
    /// enough of them. Its checksums are not checked.
    pub fn of_base(delta: &[u8]) -> Option<Self> {
        if delta.get(..8)? != DELTA_MAGIC {
            return None;
        }
        let row = HEADER + ROW * Section::Base as usize;
        let offset = u64::from_le_bytes(array(delta.get(row + 8..row + 16)?));
        let start = usize::try_from(offset).ok()?;
        let digest = delta.get(start..start.checked_add(16)?)?;
        Some(Self(array(digest)))
    }

    /// From its bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

fn kinds_of(bytes: &[u8]) -> Option<&'static [Section]> {
    match bytes.get(..8)? {
        magic if magic == MAGIC => Some(&Section::ALL),
        magic if magic == DELTA_MAGIC => Some(&Section::OF_DELTA),
        _ => None,
    }
}

/// Why bytes cannot be opened as an index.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It does not begin as an index does.
    #[error("this is not an advisory index")]
    NotAnIndex,
    /// It is the delta of an index.
    #[error("this is the delta of an advisory index; the index lies beside it")]
    Delta,
    /// It should be the delta of an index and is not.
    #[error("this is not the delta of an advisory index")]
    NotADelta,
    /// It is the delta of another base.
    #[error("the delta belongs to another index")]
    OtherBase,
    /// It was made by another version of the program.
    #[error("the index has format {found}; this program reads format {FORMAT_VERSION}")]
    Version {
        /// The format that it has.
        found: u32,
    },
    /// It ends too early.
    #[error("the index is cut off: {section} should end at byte {end}, the file has {length}")]
    Truncated {
        /// The section that is cut.
        section: &'static str,
        /// Where it should end.
        end: u64,
        /// How long the file is.
        length: u64,
    },
    /// A checksum does not fit.
    #[error("the index is damaged in its {section}")]
    Damaged {
        /// The section.
        section: &'static str,
    },
}

/// An index whose checksums fit and whose content does not. Only a fault in the program that made
/// it, or intent, explains that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the index contradicts itself in its {0}; build it anew")]
pub struct Corrupt(pub(super) &'static str);

/// Puts sections together: those of a base, or those of a delta. Each is given back as soon as it is in.
pub(super) fn assemble(sections: Vec<(Section, Vec<u8>)>) -> Vec<u8> {
    let magic = if sections.len() == Section::ALL.len() {
        MAGIC
    } else {
        DELTA_MAGIC
    };
    let table = HEADER + ROW * sections.len();
    let mut bytes = Vec::with_capacity(
        table
            + sections
                .iter()
                .map(|(_, s)| s.len() + ALIGNMENT)
                .sum::<usize>(),
    );
    bytes.extend_from_slice(magic);
    bytes.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
    bytes.extend_from_slice(
        &u32::try_from(sections.len())
            .unwrap_or(u32::MAX)
            .to_le_bytes(),
    );
    let mut offset = align(table);
    let mut rows = Vec::with_capacity(ROW * sections.len());
    for (kind, content) in &sections {
        for number in [
            *kind as u64,
            offset as u64,
            content.len() as u64,
            xxh3_64(content),
        ] {
            rows.extend_from_slice(&number.to_le_bytes());
        }
        offset = align(offset + content.len());
    }
    bytes.extend_from_slice(&xxh3_64(&rows).to_le_bytes());
    bytes.extend_from_slice(&rows);
    for (_, content) in sections {
        bytes.resize(align(bytes.len()), 0);
        bytes.extend_from_slice(&content);
    }
    bytes
}

fn align(offset: usize) -> usize {
    offset.next_multiple_of(ALIGNMENT)
}

/// Checks a base: every checksum, and that every section lies inside of it.
pub(super) fn check(bytes: &[u8]) -> Result<(), OpenError> {
    match bytes.get(..8) {
        Some(magic) if magic == MAGIC => check_sections(bytes, &Section::ALL),
        Some(magic) if magic == DELTA_MAGIC => Err(OpenError::Delta),
        _ => Err(OpenError::NotAnIndex),
    }
}

/// Checks a delta in the same way.
pub(super) fn check_delta(bytes: &[u8]) -> Result<(), OpenError> {
    match bytes.get(..8) {
        Some(magic) if magic == DELTA_MAGIC => check_sections(bytes, &Section::OF_DELTA),
        _ => Err(OpenError::NotADelta),
    }
}

/// A section of what was checked; empty if it was not.
pub(super) fn section(bytes: &[u8], of: Section) -> &[u8] {
    let row = HEADER + ROW * of as usize;
    let number = |at: usize| {
        let field = bytes.get(row + at..row + at + 8)?;
        usize::try_from(u64::from_le_bytes(array(field))).ok()
    };
    number(8)
        .zip(number(16))
        .and_then(|(start, length)| bytes.get(start..start.checked_add(length)?))
        .unwrap_or_default()
}

fn check_sections(bytes: &[u8], kinds: &[Section]) -> Result<(), OpenError> {
    let truncated = |section, end| OpenError::Truncated {
        section,
        end,
        length: bytes.len() as u64,
    };
    let header = bytes
        .get(8..HEADER)
        .ok_or(truncated("header", HEADER as u64))?;
    let version = u32::from_le_bytes(array(&header[..4]));
    if version != FORMAT_VERSION {
        return Err(OpenError::Version { found: version });
    }
    let count = u32::from_le_bytes(array(&header[4..8])) as usize;
    if count != kinds.len() {
        return Err(OpenError::Damaged { section: "header" });
    }
    let end = HEADER + ROW * count;
    let table = bytes
        .get(HEADER..end)
        .ok_or(truncated("section table", end as u64))?;
    if xxh3_64(table) != u64::from_le_bytes(array(&header[8..16])) {
        return Err(OpenError::Damaged {
            section: "section table",
        });
    }
    for (row, kind) in table.chunks_exact(ROW).zip(kinds) {
        let number = |at: usize| u64::from_le_bytes(array(&row[8 * at..8 * at + 8]));
        let section = kind.name();
        if number(0) != *kind as u64 {
            return Err(OpenError::Damaged {
                section: "section table",
            });
        }
        let end = number(1).checked_add(number(2)).ok_or(OpenError::Damaged {
            section: "section table",
        })?;
        let range = usize::try_from(number(1))
            .ok()
            .zip(usize::try_from(end).ok());
        let content = range
            .and_then(|(start, end)| bytes.get(start..end))
            .ok_or(truncated(section, end))?;
        if xxh3_64(content) != number(3) {
            return Err(OpenError::Damaged { section });
        }
    }
    Ok(())
}

/// Makes the checksums of an index fit its bytes again, as far as its table says where they are.
///
/// For tests and fuzzing only: what was changed after it was written gets past the checksums, as an
/// index can that someone wrote with bad intent.
pub fn reseal(bytes: &mut [u8]) {
    let Some(kinds) = kinds_of(bytes) else {
        return;
    };
    let end = HEADER + ROW * kinds.len();
    for row in (HEADER..end).step_by(ROW) {
        let Some(table_row) = bytes.get(row..row + ROW) else {
            return;
        };
        let number = |at: usize| u64::from_le_bytes(array(&table_row[8 * at..8 * at + 8]));
        let content = usize::try_from(number(1))
            .ok()
            .zip(usize::try_from(number(2)).ok())
            .and_then(|(start, length)| bytes.get(start..start.checked_add(length)?));
        if let Some(checksum) = content.map(xxh3_64) {
            bytes[row + 24..row + ROW].copy_from_slice(&checksum.to_le_bytes());
        }
    }
    if let Some(checksum) = bytes.get(HEADER..end).map(xxh3_64) {
        bytes[HEADER - 8..HEADER].copy_from_slice(&checksum.to_le_bytes());
    }
}

/// A slice of known length as an array; zeros where it is too short.
fn array<const N: usize>(slice: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    let length = slice.len().min(N);
    out[..length].copy_from_slice(&slice[..length]);
    out
}

/// Reads the `at`-th of an array of 32-bit numbers.
pub(super) fn number_at(section: &[u8], at: usize) -> Option<u32> {
    let start = at.checked_mul(4)?;
    section
        .get(start..start.checked_add(4)?)
        .map(|bytes| u32::from_le_bytes(array(bytes)))
}

/// An array of 32-bit numbers.
pub(super) fn little_endian(numbers: &[u32]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(4 * numbers.len());
    bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
    bytes
}

/// Whether a number is in a sorted array of 32-bit numbers.
pub(super) fn holds(section: &[u8], number: u32) -> bool {
    let (mut low, mut high) = (0, section.len() / 4);
    while low < high {
        let middle = low + (high - low) / 2;
        match number_at(section, middle).map(|found| found.cmp(&number)) {
            Some(std::cmp::Ordering::Less) => low = middle + 1,
            Some(std::cmp::Ordering::Greater) => high = middle,
            Some(std::cmp::Ordering::Equal) => return true,
            None => return false,
        }
    }
    false
}

/// Writes values of a section: numbers as LEB128.
#[derive(Default)]
pub(super) struct Writer(pub(super) Vec<u8>);

impl Writer {
    pub(super) fn number(&mut self, mut number: u64) {
        loop {
            let low = (number & 0x7f) as u8;
            number >>= 7;
            if number == 0 {
                return self.0.push(low);
            }
            self.0.push(low | 0x80);
        }
    }

    pub(super) fn count(&mut self, count: usize) {
        self.number(count as u64);
    }

    /// A signed number: days before 1970 are rare and possible.
    pub(super) fn signed(&mut self, number: i64) {
        self.number(((number << 1) ^ (number >> 63)).cast_unsigned());
    }

    pub(super) fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }
}

/// Reads what [`Writer`] wrote.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    what: &'static str,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Self { bytes, what }
    }

    pub(super) fn corrupt(&self) -> Corrupt {
        Corrupt(self.what)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Corrupt> {
        let (&first, rest) = self.bytes.split_first().ok_or(Corrupt(self.what))?;
        self.bytes = rest;
        Ok(first)
    }

    pub(super) fn number(&mut self) -> Result<u64, Corrupt> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Corrupt(self.what))
    }

    /// A count of things that take at least one byte each, so that no count can ask for memory
    /// that the bytes do not justify.
    pub(super) fn count(&mut self) -> Result<usize, Corrupt> {
        let count = usize::try_from(self.number()?).map_err(|_| Corrupt(self.what))?;
        if count > self.bytes.len() {
            Err(Corrupt(self.what))
        } else {
            Ok(count)
        }
    }

    pub(super) fn index(&mut self) -> Result<u32, Corrupt> {
        u32::try_from(self.number()?).map_err(|_| Corrupt(self.what))
    }

    pub(super) fn signed(&mut self) -> Result<i64, Corrupt> {
        let number = self.number()?;
        Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    pub(super) fn bytes(&mut self, count: usize) -> Result<&'a [u8], Corrupt> {
        let (head, rest) = self
            .bytes
            .split_at_checked(count)
            .ok_or(Corrupt(self.what))?;
        self.bytes = rest;
        Ok(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_round_trip(unsigned: u64, signed: i64) {
            let mut writer = Writer::default();
            writer.number(unsigned);
            writer.signed(signed);
            let mut reader = Reader::new(&writer.0, "test");
            prop_assert_eq!(reader.number(), Ok(unsigned));
            prop_assert_eq!(reader.signed(), Ok(signed));
            prop_assert_eq!(reader.byte(), Err(Corrupt("test")));
        }
    }

    #[test]
    fn damage_is_named() {
        let sections: Vec<_> = Section::ALL
            .into_iter()
            .map(|kind| (kind, vec![kind as u8; 20]))
            .collect();
        let bytes = assemble(sections);
        check(&bytes).unwrap();
        assert_eq!(section(&bytes, Section::Strings), &[1; 20]);
        insta::assert_snapshot!(check(b"PK\x03\x04").unwrap_err(), @"this is not an advisory index");
        let mut newer = bytes.clone();
        newer[8] = 9;
        insta::assert_snapshot!(check(&newer).unwrap_err(), @"the index has format 9; this program reads format 2");
        let mut flipped = bytes.clone();
        *flipped.last_mut().unwrap() ^= 1;
        insta::assert_snapshot!(check(&flipped).unwrap_err(), @"the index is damaged in its ids");
        insta::assert_snapshot!(check(&bytes[..bytes.len() - 1]).unwrap_err(), @"the index is cut off: ids should end at byte 724, the file has 723");
        for end in 0..bytes.len() {
            assert!(check(&bytes[..end]).is_err());
        }
    }

    #[test]
    fn what_is_resealed_opens_again() {
        let sections: Vec<_> = Section::ALL
            .into_iter()
            .map(|kind| (kind, vec![kind as u8; 20]))
            .collect();
        let mut bytes = assemble(sections);
        *bytes.last_mut().unwrap() ^= 1;
        assert!(check(&bytes).is_err());
        reseal(&mut bytes);
        assert!(check(&bytes).is_ok());
        for end in 0..bytes.len() {
            reseal(&mut bytes[..end]);
        }
    }
}
