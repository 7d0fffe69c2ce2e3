//! One block of the index, a base or a delta: decoding of what lies in it.
//!
//! Nothing here knows of a second block, but for two things: numbers that are handed out are stamped
//! with the block that they are of, and what a delta supersedes is passed over in its base.

use jiff::civil::Date;
use xxhash_rust::xxh3::xxh3_64;

use super::items::{EntryView, Source, SourceKind, VulnerabilityView};
use super::layout::{
    Corrupt, OpenError, Reader, Section, check, check_delta, holds, number_at, section,
};
use super::lists::{ProductList, RuleList, Strings, VulnerabilityList, range_of, status};
use super::view::{EntryId, VulnerabilityId};
use crate::order::Scheme;
use crate::record::{Commit, PlatformSet};
use crate::severity::{CvssVector, Epss, Exploitation, Exploited, Rating, Severity, Ssvc};

/// In a number that is handed out: of the delta. A block is far too small to need the bit itself.
pub(super) const OF_DELTA: u32 = 1 << 31;

/// A base or a delta, borrowed from its bytes.
#[derive(Clone, Copy)]
pub(super) struct Segment<'a> {
    /// All of it. Sections are found by its table each time: it is passed about by value, and eleven
    /// slices would make it three times as large.
    bytes: &'a [u8],
    strings: Strings<'a>,
    /// 0 or [`OF_DELTA`].
    stamp: u32,
    /// Of a base with a delta: what the delta says instead.
    overlay: Overlay<'a>,
}

/// What a delta says of its base.
#[derive(Clone, Copy, Default)]
pub(super) struct Overlay<'a> {
    /// Vulnerabilities that it supersedes.
    pub(super) superseded: &'a [u8],
    /// Entries that go with them.
    pub(super) dead: &'a [u8],
    /// Its numbers of the base's sources.
    sources: Option<&'a [u8]>,
}

/// A delta's own sections.
#[derive(Clone, Copy)]
pub(super) struct DeltaHead<'a> {
    /// The digest of its base.
    pub(super) base: [u8; 16],
    /// How many of its entries stand in the base as well.
    pub(super) shared: usize,
    /// What it says of its base.
    pub(super) overlay: Overlay<'a>,
}

pub(super) fn bucket_of(hash: u64, count: usize) -> usize {
    // The count is a power of two.
    usize::try_from(hash & (count as u64 - 1)).unwrap_or(0)
}

/// Days since 1970-01-01.
pub(super) fn days(date: Date) -> i64 {
    let epoch = jiff::civil::date(1970, 1, 1);
    date.since((jiff::Unit::Day, epoch))
        .map_or(0, |span| i64::from(span.get_days()))
}

pub(super) fn date_of(days: i64) -> Option<Date> {
    let days = i32::try_from(days).ok()?;
    jiff::civil::date(1970, 1, 1)
        .checked_add(jiff::Span::new().try_days(days).ok()?)
        .ok()
}

impl<'a> Segment<'a> {
    /// Opens a base.
    pub(super) fn base(bytes: &'a [u8]) -> Result<Self, OpenError> {
        check(bytes)?;
        Self::of(bytes, 0)
    }

    /// Opens a delta.
    pub(super) fn delta(bytes: &'a [u8]) -> Result<(Self, DeltaHead<'a>), OpenError> {
        check_delta(bytes)?;
        let damaged = OpenError::Damaged { section: "base" };
        let (base, shared) = section(bytes, Section::Base)
            .split_first_chunk()
            .ok_or_else(|| damaged.clone())?;
        let shared = u64::from_le_bytes(shared.try_into().map_err(|_| damaged)?);
        let head = DeltaHead {
            base: *base,
            shared: usize::try_from(shared).unwrap_or(usize::MAX),
            overlay: Overlay {
                superseded: section(bytes, Section::Superseded),
                dead: section(bytes, Section::Dead),
                sources: Some(section(bytes, Section::SourceMap)),
            },
        };
        Ok((Self::of(bytes, OF_DELTA)?, head))
    }

    fn of(bytes: &'a [u8], stamp: u32) -> Result<Self, OpenError> {
        let text = std::str::from_utf8(section(bytes, Section::Strings));
        Ok(Self {
            bytes,
            strings: Strings {
                ends: section(bytes, Section::StringEnds),
                text: text.map_err(|_| OpenError::Damaged { section: "strings" })?,
            },
            stamp,
            overlay: Overlay::default(),
        })
    }

    /// The same below a delta.
    pub(super) fn below(self, overlay: Overlay<'a>) -> Self {
        Self { overlay, ..self }
    }

    /// How many vulnerabilities it has, superseded ones among them.
    pub(super) fn vulnerability_count(&self) -> usize {
        self.section(Section::VulnerabilityEnds).len() / 4
    }

    /// How many entries.
    pub(super) fn entry_count(&self) -> usize {
        self.section(Section::EntryEnds).len() / 4
    }

    /// How many keys.
    pub(super) fn key_count(&self) -> usize {
        self.section(Section::Keys).len() / 12
    }

    /// The numbers of the vulnerabilities that are not superseded.
    pub(super) fn vulnerabilities(&self) -> impl Iterator<Item = VulnerabilityId> + use<'a> {
        let (stamp, superseded) = (self.stamp, self.overlay.superseded);
        (0..u32::try_from(self.vulnerability_count()).unwrap_or(u32::MAX))
            .filter(move |number| !holds(superseded, *number))
            .map(move |number| VulnerabilityId(number | stamp))
    }

    /// What the records came from.
    pub(super) fn sources(&self) -> Result<Vec<Source<'a>>, Corrupt> {
        let mut reader = Reader::new(self.section(Section::Sources), "sources");
        let count = reader.count()?;
        (0..count)
            .map(|_| {
                let name = self.string(reader.index()?)?;
                let kind = *SourceKind::ALL
                    .get(usize::from(reader.byte()?))
                    .ok_or(reader.corrupt())?;
                let (records, skipped) = (reader.number()?, reader.number()?);
                Ok(Source {
                    name,
                    kind,
                    records,
                    skipped,
                    newest: date(&mut reader)?,
                    newest_range: date(&mut reader)?,
                })
            })
            .collect()
    }

    /// Where the names begin that are not before a text.
    fn first_name(&self, text: &str) -> Result<usize, Corrupt> {
        let (mut low, mut high) = (0, self.section(Section::Ids).len() / 8);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.name(middle)?.0 < text {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    fn name(&self, at: usize) -> Result<(&'a str, u32), Corrupt> {
        let ids = self.section(Section::Ids);
        let number = |field| number_at(ids, 2 * at + field).ok_or(Corrupt("ids"));
        Ok((self.string(number(0)?)?, number(1)?))
    }

    /// The names from a text on, with their vulnerabilities, but for superseded ones.
    pub(super) fn names_from(
        &self,
        text: &str,
    ) -> Result<impl Iterator<Item = Result<(&'a str, VulnerabilityId), Corrupt>> + use<'a>, Corrupt>
    {
        let segment = *self;
        let count = self.section(Section::Ids).len() / 8;
        Ok((self.first_name(text)?..count)
            .map(move |at| segment.name(at))
            .filter(move |name| {
                !matches!(name, Ok((_, number)) if holds(segment.overlay.superseded, *number))
            })
            .map(move |name| name.map(|(name, id)| (name, VulnerabilityId(id | segment.stamp)))))
    }

    /// The first vulnerability of a name.
    pub(super) fn find(&self, id: &str) -> Result<Option<VulnerabilityId>, Corrupt> {
        match self.names_from(id)?.next().transpose()? {
            Some((name, found)) if name == id => Ok(Some(found)),
            _ => Ok(None),
        }
    }

    /// The postings of a key, superseded ones among them.
    pub(super) fn postings(&self, kind: u8, text: &str) -> Result<&'a [u8], Corrupt> {
        let corrupt = Corrupt("keys");
        let (buckets, keys) = (self.section(Section::Buckets), self.section(Section::Keys));
        let count = (buckets.len() / 4).saturating_sub(1);
        if count == 0 {
            return Ok(&[]);
        }
        let hash = hash_of(kind, text);
        let bucket = bucket_of(hash, count);
        let first = number_at(buckets, bucket).ok_or(corrupt)? as usize;
        let last = number_at(buckets, bucket + 1).ok_or(corrupt)? as usize;
        for at in first..last.min(keys.len() / 12) {
            let number = |field: usize| number_at(keys, 3 * at + field).ok_or(corrupt);
            if number(0)? == u32::from(kind) && self.string(number(1)?)? == text {
                return self.postings_at(at);
            }
        }
        Ok(&[])
    }

    /// The key of a number: its kind and its text.
    pub(super) fn key(&self, at: usize) -> Result<(u8, &'a str), Corrupt> {
        let number = |field: usize| {
            number_at(self.section(Section::Keys), 3 * at + field).ok_or(Corrupt("keys"))
        };
        let kind = u8::try_from(number(0)?).map_err(|_| Corrupt("keys"))?;
        Ok((kind, self.string(number(1)?)?))
    }

    /// The postings of the key of a number.
    pub(super) fn postings_at(&self, at: usize) -> Result<&'a [u8], Corrupt> {
        let corrupt = Corrupt("keys");
        let (keys, postings) = (self.section(Section::Keys), self.section(Section::Postings));
        let start = number_at(keys, 3 * at + 2).ok_or(corrupt)? as usize;
        let end = number_at(keys, 3 * at + 5).map_or(postings.len() / 4, |end| end as usize);
        if start > end || end > postings.len() / 4 {
            return Err(corrupt);
        }
        Ok(&postings[4 * start..4 * end])
    }

    /// What this segment says is superseded.
    pub(super) fn overlay(&self) -> Overlay<'a> {
        self.overlay
    }

    /// The id of a vulnerability, without the rest of it.
    pub(super) fn id_of(&self, number: u32) -> Result<&'a str, Corrupt> {
        let mut reader = self.of_vulnerability(number)?;
        self.string(reader.index()?)
    }

    /// Whether a vulnerability was withdrawn, and the commits that fix it, sorted: what a join needs
    /// of thousands, without decoding the rest.
    pub(super) fn fixes_of(&self, number: u32) -> Result<(bool, Vec<Commit>), Corrupt> {
        let mut reader = self.of_vulnerability(number)?;
        let r = &mut reader;
        r.index()?;
        let withdrawn = r.byte()? != 0;
        let fixes = commits(r)?;
        Ok((withdrawn, fixes))
    }

    /// A vulnerability.
    pub(super) fn vulnerability(&self, number: u32) -> Result<VulnerabilityView<'a>, Corrupt> {
        let mut reader = self.of_vulnerability(number)?;
        let r = &mut reader;
        let name = self.string(r.index()?)?;
        let withdrawn = r.byte()? != 0;
        let fixes = commits(r)?;
        let (published, modified) = (date(r)?, date(r)?);
        let summary = self.optional_string(r)?;
        let aliases = (0..r.count()?)
            .map(|_| self.string(r.index()?))
            .collect::<Result<_, _>>()?;
        let count = r.count()?;
        let mut severities = Vec::with_capacity(count);
        for _ in 0..count {
            severities.push(match r.byte()? {
                0x80 => {
                    let text = self.string(r.index()?)?;
                    Severity::Vector(text.parse::<CvssVector>().map_err(|_| r.corrupt())?)
                }
                rating => {
                    let ratings = [
                        Rating::None,
                        Rating::Low,
                        Rating::Medium,
                        Rating::High,
                        Rating::Critical,
                    ];
                    Severity::Word(*ratings.get(usize::from(rating)).ok_or(r.corrupt())?)
                }
            });
        }
        let exploited = match r.byte()? {
            0 => None,
            flag => Some(Exploited {
                since: date(r)?.ok_or(r.corrupt())?,
                due: date(r)?,
                ransomware: flag == 2,
            }),
        };
        let epss = match r.byte()? {
            0 => None,
            _ => {
                let mut share = || -> Result<f32, Corrupt> {
                    let bytes = r.bytes(4)?;
                    Ok(f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
                };
                Some(Epss {
                    probability: share()?,
                    percentile: share()?,
                    date: date(r)?,
                })
            }
        };
        let ssvc = match r.byte()? {
            0 => None,
            exploitation => {
                let bits = r.byte()?;
                let tri = |bits: u8| (bits & 3 != 0).then_some(bits & 3 == 2);
                Some(Ssvc {
                    exploitation: match exploitation {
                        1 => Exploitation::None,
                        2 => Exploitation::Poc,
                        _ => Exploitation::Active,
                    },
                    automatable: tri(bits),
                    total_impact: tri(bits >> 2),
                })
            }
        };
        let records = (0..r.count()?)
            .map(|_| Ok((self.string(r.index()?)?, self.source(r)?, r.byte()? != 0)))
            .collect::<Result<_, Corrupt>>()?;
        let entries = (0..r.count()?)
            .map(|_| r.index().map(|number| EntryId(number | self.stamp)))
            .collect::<Result<_, _>>()?;
        Ok(VulnerabilityView {
            id: name,
            aliases,
            withdrawn,
            published,
            modified,
            summary,
            severities,
            exploited,
            epss,
            ssvc,
            fixes,
            records,
            entries,
        })
    }

    /// An affected entry.
    pub(super) fn entry(&self, number: u32) -> Result<EntryView<'a>, Corrupt> {
        let mut reader = self.item(Section::EntryEnds, Section::Entries, number, "entries")?;
        let r = &mut reader;
        let record = self.string(r.index()?)?;
        let source = self.source(r)?;
        let left = r.count()?;
        let vulnerabilities = VulnerabilityList {
            reader: *r,
            left,
            stamp: self.stamp,
            superseded: self.overlay.superseded,
        };
        for _ in 0..left {
            r.index()?;
        }
        let by = self.optional_string(r)?;
        let upstream = r.byte()? & 1 == 1;
        let bits = r.byte()?;
        let order = r.byte()?;
        let schemes = [
            Scheme::Release,
            Scheme::Semver,
            Scheme::Pep440,
            Scheme::Distribution,
            Scheme::Git,
        ];
        let scheme = *schemes.get(usize::from(order & 0xf)).ok_or(r.corrupt())?;
        let products = self.products(r)?;
        let only_with = self.products(r)?;
        let left = r.count()?;
        Ok(EntryView {
            record,
            source,
            vulnerabilities,
            by,
            upstream,
            scheme,
            default: status(order >> 4).ok_or(r.corrupt())?,
            platforms: PlatformSet::from_bits(bits),
            prose_platforms: PlatformSet::from_bits(bits >> 4),
            products,
            only_with,
            rules: RuleList {
                strings: self.strings,
                reader,
                left,
            },
        })
    }

    /// The number of a source as the whole index counts them.
    fn source(&self, r: &mut Reader<'a>) -> Result<usize, Corrupt> {
        let number = r.index()? as usize;
        match self.overlay.sources {
            None => Ok(number),
            Some(map) => number_at(map, number)
                .map(|number| number as usize)
                .ok_or(Corrupt("source numbers")),
        }
    }

    /// Skips a list of products, checking each, so that walking it later cannot fail.
    fn products(&self, r: &mut Reader<'a>) -> Result<ProductList<'a>, Corrupt> {
        let left = r.count()?;
        let list = ProductList {
            strings: self.strings,
            reader: *r,
            left,
        };
        for _ in 0..left {
            let shape = r.byte()?;
            for _ in 0..=(shape >> 2 & 1) + (shape >> 3 & 1) {
                r.index()?;
            }
        }
        Ok(list)
    }

    fn optional_string(&self, r: &mut Reader<'a>) -> Result<Option<&'a str>, Corrupt> {
        self.strings.optional_string(r)
    }

    fn string(&self, number: u32) -> Result<&'a str, Corrupt> {
        self.strings.string(number)
    }

    fn of_vulnerability(&self, number: u32) -> Result<Reader<'a>, Corrupt> {
        let (ends, items) = (Section::VulnerabilityEnds, Section::Vulnerabilities);
        self.item(ends, items, number, "vulnerabilities")
    }

    fn item(
        &self,
        ends: Section,
        items: Section,
        number: u32,
        what: &'static str,
    ) -> Result<Reader<'a>, Corrupt> {
        let bytes =
            slice_of(self.section(ends), self.section(items), number).ok_or(Corrupt(what))?;
        Ok(Reader::new(bytes, what))
    }

    fn section(&self, of: Section) -> &'a [u8] {
        section(self.bytes, of)
    }
}

fn commits(r: &mut Reader<'_>) -> Result<Vec<Commit>, Corrupt> {
    (0..r.count()?)
        .map(|_| {
            let bytes = r.bytes(20)?.try_into().map_err(|_| r.corrupt())?;
            Ok(Commit::from_bytes(bytes))
        })
        .collect()
}

fn slice_of<'a>(ends: &[u8], items: &'a [u8], number: u32) -> Option<&'a [u8]> {
    items.get(range_of(ends, number)?)
}

fn hash_of(kind: u8, text: &str) -> u64 {
    // The same bytes as those of `kind:text`, without building the text where it is short.
    let mut buffer = [0; 128];
    let length = text.len() + 2;
    if length <= buffer.len() {
        buffer[0] = kind;
        buffer[1] = b':';
        buffer[2..length].copy_from_slice(text.as_bytes());
        return xxh3_64(&buffer[..length]);
    }
    xxh3_64(format!("{}:{text}", char::from(kind)).as_bytes())
}

fn date(r: &mut Reader<'_>) -> Result<Option<Date>, Corrupt> {
    Ok(match r.signed()? {
        0 => None,
        day if day > 0 => Some(date_of(day - 1).ok_or(r.corrupt())?),
        day => Some(date_of(day).ok_or(r.corrupt())?),
    })
}
