//! Reading an index where it lies.

use jiff::civil::Date;
use xxhash_rust::xxh3::xxh3_64;

use super::items::{EntryView, ProductView, Source, SourceKind, VulnerabilityView};
use super::layout::{Corrupt, OpenError, Reader, Section, number_at, take_apart};
use crate::cpe::Part;
use crate::identity::{Name, PackageKey, Product, RepoKey};
use crate::order::Scheme;
use crate::range::{Lower, Rule, Span, Status, Upper};
use crate::record::{Commit, PlatformSet};
use crate::severity::{CvssVector, Epss, Exploitation, Exploited, Rating, Severity, Ssvc};

/// An index, borrowed from its bytes. Copies are free.
#[derive(Clone, Copy)]
pub struct Index<'a> {
    sections: [&'a [u8]; Section::ALL.len()],
    strings: Strings<'a>,
}

/// All that lists need of an index to decode their items: a tenth of its size, in each of thousands.
#[derive(Clone, Copy)]
struct Strings<'a> {
    ends: &'a [u8],
    text: &'a str,
}

/// The number of a vulnerability in its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VulnerabilityId(u32);

/// The number of an affected entry in its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId(u32);

/// What entries are looked up by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Key<'k> {
    /// A product name, with whatever vendor.
    Name(&'k Name),
    /// A package.
    Package(&'k PackageKey),
    /// A repository.
    Repository(&'k RepoKey),
}

impl<'k> Key<'k> {
    /// The key under which a product is filed.
    pub fn of(product: &'k Product) -> Self {
        match product {
            Product::Named(named) => Self::Name(&named.name),
            Product::Package(key) => Self::Package(key),
            Product::Repository(key) => Self::Repository(key),
        }
    }

    fn parts(self) -> (u8, &'k str) {
        match self {
            Self::Name(name) => (b'n', name.as_str()),
            Self::Package(key) => (b'p', key.as_str()),
            Self::Repository(key) => (b'r', key.as_str()),
        }
    }
}

/// A key as text: what is hashed.
pub(super) fn key_of(product: &Product) -> String {
    let (kind, text) = Key::of(product).parts();
    format!("{}:{text}", char::from(kind))
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

fn date_of(days: i64) -> Option<Date> {
    let days = i32::try_from(days).ok()?;
    jiff::civil::date(1970, 1, 1)
        .checked_add(jiff::Span::new().try_days(days).ok()?)
        .ok()
}

/// The vulnerabilities of a record, decoded as they are walked.
#[derive(Clone)]
pub struct VulnerabilityList<'a> {
    reader: Reader<'a>,
    left: usize,
}

impl Iterator for VulnerabilityList<'_> {
    type Item = VulnerabilityId;

    fn next(&mut self) -> Option<VulnerabilityId> {
        self.left = self.left.checked_sub(1)?;
        self.reader.index().ok().map(VulnerabilityId)
    }
}

impl std::fmt::Debug for VulnerabilityList<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

/// The products of an entry, decoded as they are walked.
#[derive(Clone)]
pub struct ProductList<'a> {
    strings: Strings<'a>,
    reader: Reader<'a>,
    left: usize,
}

impl ProductList<'_> {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.left == 0
    }
}

impl<'a> Iterator for ProductList<'a> {
    type Item = ProductView<'a>;

    fn next(&mut self) -> Option<ProductView<'a>> {
        self.left = self.left.checked_sub(1)?;
        self.strings.product(&mut self.reader).ok()
    }
}

impl std::fmt::Debug for ProductList<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

/// The rules of an entry, decoded as they are walked.
#[derive(Clone)]
pub struct RuleList<'a> {
    strings: Strings<'a>,
    reader: Reader<'a>,
    left: usize,
}

impl<'a> Iterator for RuleList<'a> {
    type Item = Rule<&'a str>;

    fn next(&mut self) -> Option<Rule<&'a str>> {
        self.left = self.left.checked_sub(1)?;
        self.strings.rule(&mut self.reader).ok()
    }
}

impl std::fmt::Debug for RuleList<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

impl<'a> Index<'a> {
    /// Opens an index: checks its format, all of its checksums, and that its texts are text.
    pub fn open(bytes: &'a [u8]) -> Result<Self, OpenError> {
        let sections = take_apart(bytes)?;
        let text = std::str::from_utf8(sections[Section::Strings as usize]);
        Ok(Self {
            sections,
            strings: Strings {
                ends: sections[Section::StringEnds as usize],
                text: text.map_err(|_| OpenError::Damaged { section: "strings" })?,
            },
        })
    }

    /// How many vulnerabilities there are.
    pub fn vulnerability_count(&self) -> usize {
        self.section(Section::VulnerabilityEnds).len() / 4
    }

    /// How many affected entries there are.
    pub fn entry_count(&self) -> usize {
        self.section(Section::EntryEnds).len() / 4
    }

    /// How many identities there are.
    pub fn key_count(&self) -> usize {
        self.section(Section::Keys).len() / 12
    }

    /// All vulnerabilities, in the order of their ids.
    pub fn vulnerabilities(&self) -> impl Iterator<Item = VulnerabilityId> + use<> {
        (0..u32::try_from(self.vulnerability_count()).unwrap_or(u32::MAX)).map(VulnerabilityId)
    }

    /// What the records came from.
    pub fn sources(&self) -> Result<Vec<Source<'a>>, Corrupt> {
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

    /// The newest day in what any source says of affected versions: the age of the index.
    ///
    /// Days of exploitation and of scores do not count. They are of yesterday in every copy of KEV
    /// and EPSS, and would make old ranges look fresh.
    pub fn newest_date(&self) -> Result<Option<Date>, Corrupt> {
        Ok(self
            .sources()?
            .iter()
            .filter_map(|source| source.newest_range)
            .max())
    }

    /// The vulnerability of that id or alias.
    pub fn find(&self, id: &str) -> Result<Option<VulnerabilityId>, Corrupt> {
        let ids = self.section(Section::Ids);
        let (mut low, mut high) = (0, ids.len() / 8);
        while low < high {
            let middle = low + (high - low) / 2;
            let text = self.string(number_at(ids, 2 * middle).ok_or(Corrupt("ids"))?)?;
            match text.cmp(id) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => {
                    return Ok(number_at(ids, 2 * middle + 1).map(VulnerabilityId));
                }
            }
        }
        Ok(None)
    }

    /// Up to `limit` ids that begin with a text: to help with a typing error.
    pub fn ids_beginning_with(&self, head: &str, limit: usize) -> Result<Vec<&'a str>, Corrupt> {
        let ids = self.section(Section::Ids);
        let count = ids.len() / 8;
        let (mut low, mut high) = (0, count);
        while low < high {
            let middle = low + (high - low) / 2;
            let text = self.string(number_at(ids, 2 * middle).ok_or(Corrupt("ids"))?)?;
            if text < head {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let mut found = Vec::new();
        for at in low..count {
            let text = self.string(number_at(ids, 2 * at).ok_or(Corrupt("ids"))?)?;
            if !text.starts_with(head) || found.len() == limit {
                break;
            }
            found.push(text);
        }
        Ok(found)
    }

    /// The entries that are filed under a key.
    pub fn lookup(
        &self,
        key: Key<'_>,
    ) -> Result<impl ExactSizeIterator<Item = EntryId> + Clone + use<'a>, Corrupt> {
        let (kind, text) = key.parts();
        let corrupt = Corrupt("keys");
        let (buckets, keys) = (self.section(Section::Buckets), self.section(Section::Keys));
        let postings = self.section(Section::Postings);
        let count = (buckets.len() / 4).saturating_sub(1);
        let mut range = 0..0;
        if count > 0 {
            let hash = hash_of(kind, text);
            let bucket = bucket_of(hash, count);
            let first = number_at(buckets, bucket).ok_or(corrupt)? as usize;
            let last = number_at(buckets, bucket + 1).ok_or(corrupt)? as usize;
            for at in first..last.min(keys.len() / 12) {
                let number = |field: usize| number_at(keys, 3 * at + field).ok_or(corrupt);
                if number(0)? == u32::from(kind) && self.string(number(1)?)? == text {
                    let start = number(2)? as usize;
                    let end =
                        number_at(keys, 3 * at + 5).map_or(postings.len() / 4, |end| end as usize);
                    if start > end || end > postings.len() / 4 {
                        return Err(corrupt);
                    }
                    range = start..end;
                    break;
                }
            }
        }
        let slice = &postings[4 * range.start..4 * range.end];
        Ok(slice
            .chunks_exact(4)
            .map(|c| EntryId(u32::from_le_bytes([c[0], c[1], c[2], c[3]]))))
    }

    /// The id of a vulnerability, without the rest of it.
    pub fn id_of(&self, id: VulnerabilityId) -> Result<&'a str, Corrupt> {
        let what = "vulnerabilities";
        let mut reader = self.item(
            Section::VulnerabilityEnds,
            Section::Vulnerabilities,
            id.0,
            what,
        )?;
        self.string(reader.index()?)
    }

    /// Whether a vulnerability was withdrawn, and the commits that fix it, sorted: what a join needs
    /// of thousands, without decoding the rest.
    pub fn fixes_of(&self, id: VulnerabilityId) -> Result<(bool, Vec<Commit>), Corrupt> {
        let what = "vulnerabilities";
        let mut reader = self.item(
            Section::VulnerabilityEnds,
            Section::Vulnerabilities,
            id.0,
            what,
        )?;
        let r = &mut reader;
        r.index()?;
        let withdrawn = r.byte()? != 0;
        let fixes = (0..r.count()?)
            .map(|_| {
                Ok(Commit::from_bytes(
                    r.bytes(20)?.try_into().map_err(|_| Corrupt(what))?,
                ))
            })
            .collect::<Result<_, Corrupt>>()?;
        Ok((withdrawn, fixes))
    }

    /// A vulnerability.
    pub fn vulnerability(&self, id: VulnerabilityId) -> Result<VulnerabilityView<'a>, Corrupt> {
        let what = "vulnerabilities";
        let mut reader = self.item(
            Section::VulnerabilityEnds,
            Section::Vulnerabilities,
            id.0,
            what,
        )?;
        let r = &mut reader;
        let name = self.string(r.index()?)?;
        let withdrawn = r.byte()? != 0;
        let count = r.count()?;
        let fixes = (0..count)
            .map(|_| {
                Ok(Commit::from_bytes(
                    r.bytes(20)?.try_into().map_err(|_| Corrupt(what))?,
                ))
            })
            .collect::<Result<_, Corrupt>>()?;
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
            .map(|_| {
                Ok((
                    self.string(r.index()?)?,
                    r.index()? as usize,
                    r.byte()? != 0,
                ))
            })
            .collect::<Result<_, Corrupt>>()?;
        let entries = (0..r.count()?)
            .map(|_| r.index().map(EntryId))
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
    pub fn entry(&self, id: EntryId) -> Result<EntryView<'a>, Corrupt> {
        let mut reader = self.item(Section::EntryEnds, Section::Entries, id.0, "entries")?;
        let r = &mut reader;
        let record = self.string(r.index()?)?;
        let source = r.index()? as usize;
        let left = r.count()?;
        let vulnerabilities = VulnerabilityList { reader: *r, left };
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

    fn section(&self, section: Section) -> &'a [u8] {
        self.sections[section as usize]
    }
}

impl<'a> Strings<'a> {
    fn product(self, r: &mut Reader<'a>) -> Result<ProductView<'a>, Corrupt> {
        let shape = r.byte()?;
        let text = self.string(r.index()?)?;
        Ok(match shape & 3 {
            0 => ProductView::Package(text),
            1 => ProductView::Repository(text),
            _ => ProductView::Named {
                name: text,
                vendor: if shape >> 2 & 1 == 1 {
                    Some(self.string(r.index()?)?)
                } else {
                    None
                },
                target_software: if shape >> 3 & 1 == 1 {
                    Some(self.string(r.index()?)?)
                } else {
                    None
                },
                part: match shape >> 4 {
                    1 => Some(Part::Application),
                    2 => Some(Part::OperatingSystem),
                    3 => Some(Part::Hardware),
                    _ => None,
                },
            },
        })
    }

    fn rule(self, r: &mut Reader<'a>) -> Result<Rule<&'a str>, Corrupt> {
        let head = r.byte()?;
        let status = status(head & 3).ok_or(r.corrupt())?;
        let span = match head >> 2 {
            0 => Span::Exact(self.string(r.index()?)?),
            1 => Span::Text(self.string(r.index()?)?),
            shape => {
                let lower = match (shape - 2) % 3 {
                    0 => Lower::Start,
                    1 => Lower::From(self.string(r.index()?)?),
                    _ => Lower::After(self.string(r.index()?)?),
                };
                let upper = match (shape - 2) / 3 {
                    0 => Upper::Open,
                    1 => Upper::Before(self.string(r.index()?)?),
                    2 => Upper::UpTo(self.string(r.index()?)?),
                    3 => Upper::Within(self.string(r.index()?)?),
                    _ => return Err(r.corrupt()),
                };
                Span::Between(lower, upper)
            }
        };
        Ok(Rule { status, span })
    }

    fn optional_string(self, r: &mut Reader<'a>) -> Result<Option<&'a str>, Corrupt> {
        match r.number()?.checked_sub(1) {
            None => Ok(None),
            Some(number) => u32::try_from(number)
                .map_err(|_| r.corrupt())
                .and_then(|n| self.string(n))
                .map(Some),
        }
    }

    fn string(self, number: u32) -> Result<&'a str, Corrupt> {
        range_of(self.ends, number)
            .and_then(|range| self.text.get(range))
            .ok_or(Corrupt("strings"))
    }
}

fn slice_of<'a>(ends: &[u8], items: &'a [u8], number: u32) -> Option<&'a [u8]> {
    items.get(range_of(ends, number)?)
}

fn range_of(ends: &[u8], number: u32) -> Option<std::ops::Range<usize>> {
    let number = number as usize;
    let end = number_at(ends, number)? as usize;
    let start = match number.checked_sub(1) {
        Some(previous) => number_at(ends, previous)? as usize,
        None => 0,
    };
    Some(start..end)
}

fn hash_of(kind: u8, text: &str) -> u64 {
    // The same bytes as `key_of`, without building the text where it is short.
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

fn status(bits: u8) -> Option<Status> {
    [Status::Affected, Status::Unaffected, Status::Unknown]
        .get(usize::from(bits))
        .copied()
}
