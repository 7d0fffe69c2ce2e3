//! Reading an index where it lies: a base, and what a delta says instead.

use jiff::civil::Date;

use super::items::{EntryView, Source, VulnerabilityView};
use super::layout::{Corrupt, OpenError, SegmentDigest, holds};
use super::segment::{OF_DELTA, Segment};
use crate::identity::{Name, PackageKey, Product, RepoKey};
use crate::record::Commit;

/// An index, borrowed from its bytes. Copies are free.
///
/// It is one block of bytes, the base, or two, with a delta. A delta holds whole vulnerabilities:
/// those that changed since the base was made. Who asks does not see which block answers.
#[derive(Clone, Copy)]
pub struct Index<'a> {
    base: Segment<'a>,
    delta: Option<Delta<'a>>,
}

#[derive(Clone, Copy)]
struct Delta<'a> {
    segment: Segment<'a>,
    shared: usize,
}

/// The number of a vulnerability in its index: the block, and the number in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VulnerabilityId(pub(super) u32);

/// The number of an affected entry in its index: the block, and the number in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId(pub(super) u32);

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

    pub(super) fn parts(self) -> (u8, &'k str) {
        match self {
            Self::Name(name) => (b'n', name.as_str()),
            Self::Package(key) => (b'p', key.as_str()),
            Self::Repository(key) => (b'r', key.as_str()),
        }
    }
}

/// The entries that are filed under a key.
#[derive(Clone, Debug)]
pub struct EntryList<'a> {
    base: std::slice::ChunksExact<'a, u8>,
    dead: &'a [u8],
    delta: std::slice::ChunksExact<'a, u8>,
}

impl Iterator for EntryList<'_> {
    type Item = EntryId;

    fn next(&mut self) -> Option<EntryId> {
        let number = |bytes: &[u8]| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        let dead = self.dead;
        self.base
            .by_ref()
            .map(number)
            .find(|entry| dead.is_empty() || !holds(dead, *entry))
            .or_else(|| self.delta.next().map(|bytes| number(bytes) | OF_DELTA))
            .map(EntryId)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // Which of the base still count is found out one by one.
        let certain = if self.dead.is_empty() {
            self.base.len()
        } else {
            0
        };
        let most = self.base.len() + self.delta.len();
        (certain + self.delta.len(), Some(most))
    }
}

impl<'a> Index<'a> {
    /// Opens an index: checks its format, all of its checksums, and that its texts are text.
    pub fn open(bytes: &'a [u8]) -> Result<Self, OpenError> {
        Ok(Self {
            base: Segment::base(bytes)?,
            delta: None,
        })
    }

    /// Opens an index of two blocks. The delta must be one of this base.
    pub fn open_with_delta(base: &'a [u8], delta: &'a [u8]) -> Result<Self, OpenError> {
        let index = Self::open(base)?;
        let (segment, head) = Segment::delta(delta)?;
        if SegmentDigest::of(base) != Some(SegmentDigest::from_bytes(head.base)) {
            return Err(OpenError::OtherBase);
        }
        Ok(Self {
            base: index.base.below(head.overlay),
            delta: Some(Delta {
                segment,
                shared: head.shared,
            }),
        })
    }

    /// How many vulnerabilities there are.
    pub fn vulnerability_count(&self) -> usize {
        let superseded = self.base.overlay().superseded.len() / 4;
        self.base.vulnerability_count().saturating_sub(superseded)
            + self
                .delta
                .map_or(0, |delta| delta.segment.vulnerability_count())
    }

    /// How many affected entries there are.
    pub fn entry_count(&self) -> usize {
        let dead = self.base.overlay().dead.len() / 4;
        let of_delta = self.delta.map_or(0, |delta| {
            delta.segment.entry_count().saturating_sub(delta.shared)
        });
        self.base.entry_count().saturating_sub(dead) + of_delta
    }

    /// How many identities there are. With a delta, they have to be counted.
    pub fn key_count(&self) -> usize {
        let Some(Delta { segment, .. }) = self.delta else {
            return self.base.key_count();
        };
        let dead = self.base.overlay().dead;
        let live = |postings: &[u8]| {
            postings
                .chunks_exact(4)
                .any(|c| !holds(dead, u32::from_le_bytes([c[0], c[1], c[2], c[3]])))
        };
        let of_base = (0..self.base.key_count())
            .filter(|at| self.base.postings_at(*at).is_ok_and(live))
            .count();
        let of_delta = (0..segment.key_count())
            .filter_map(|at| segment.key(at).ok())
            .filter(|(kind, text)| !self.base.postings(*kind, text).is_ok_and(live))
            .count();
        of_base + of_delta
    }

    /// All vulnerabilities, in the order of their ids.
    pub fn vulnerabilities(&self) -> impl Iterator<Item = VulnerabilityId> + use<'a> {
        let index = *self;
        let mut base = index.base.vulnerabilities().peekable();
        let delta = index.delta.map(|delta| delta.segment.vulnerabilities());
        let mut delta = delta.into_iter().flatten().peekable();
        std::iter::from_fn(move || match (base.peek(), delta.peek()) {
            (Some(of_base), Some(of_delta))
                if index.id_of(*of_delta).unwrap_or("") < index.id_of(*of_base).unwrap_or("") =>
            {
                delta.next()
            }
            (Some(_), _) => base.next(),
            (None, _) => delta.next(),
        })
    }

    /// What the records came from. Those of a delta stand for the whole: it knows the state that it
    /// was made of.
    pub fn sources(&self) -> Result<Vec<Source<'a>>, Corrupt> {
        self.newest().sources()
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

    /// The vulnerability of that id or alias: the first in the order of ids where it is an alias of
    /// several.
    pub fn find(&self, id: &str) -> Result<Option<VulnerabilityId>, Corrupt> {
        let of_base = self.base.find(id)?;
        let of_delta = match self.delta {
            Some(delta) => delta.segment.find(id)?,
            None => None,
        };
        Ok(match (of_base, of_delta) {
            (Some(one), Some(other)) if self.id_of(other)? < self.id_of(one)? => Some(other),
            (one, other) => one.or(other),
        })
    }

    /// Up to `limit` ids that begin with a text: to help with a typing error.
    pub fn ids_beginning_with(&self, head: &str, limit: usize) -> Result<Vec<&'a str>, Corrupt> {
        let mut found = Vec::new();
        for segment in self.segments() {
            for name in segment.names_from(head)?.take(limit) {
                let (name, _) = name?;
                if !name.starts_with(head) {
                    break;
                }
                found.push(name);
            }
        }
        found.sort_unstable();
        found.truncate(limit);
        Ok(found)
    }

    /// The entries that are filed under a key.
    ///
    /// Where a record speaks of several vulnerabilities and a delta of only some of them, its
    /// entries come twice, each time with a part of its vulnerabilities.
    pub fn lookup(&self, key: Key<'_>) -> Result<EntryList<'a>, Corrupt> {
        let (kind, text) = key.parts();
        let of_delta = match &self.delta {
            Some(delta) => delta.segment.postings(kind, text)?,
            None => &[],
        };
        Ok(EntryList {
            base: self.base.postings(kind, text)?.chunks_exact(4),
            dead: self.base.overlay().dead,
            delta: of_delta.chunks_exact(4),
        })
    }

    /// The id of a vulnerability, without the rest of it.
    pub fn id_of(&self, id: VulnerabilityId) -> Result<&'a str, Corrupt> {
        self.segment(id.0)?.id_of(id.0 & !OF_DELTA)
    }

    /// Whether a vulnerability was withdrawn, and the commits that fix it, sorted: what a join needs
    /// of thousands, without decoding the rest.
    pub fn fixes_of(&self, id: VulnerabilityId) -> Result<(bool, Vec<Commit>), Corrupt> {
        self.segment(id.0)?.fixes_of(id.0 & !OF_DELTA)
    }

    /// A vulnerability.
    pub fn vulnerability(&self, id: VulnerabilityId) -> Result<VulnerabilityView<'a>, Corrupt> {
        self.segment(id.0)?.vulnerability(id.0 & !OF_DELTA)
    }

    /// An affected entry.
    pub fn entry(&self, id: EntryId) -> Result<EntryView<'a>, Corrupt> {
        self.segment(id.0)?.entry(id.0 & !OF_DELTA)
    }

    fn newest(&self) -> &Segment<'a> {
        self.delta
            .as_ref()
            .map_or(&self.base, |delta| &delta.segment)
    }

    fn segments(&self) -> impl Iterator<Item = &Segment<'a>> {
        std::iter::once(&self.base).chain(self.delta.as_ref().map(|delta| &delta.segment))
    }

    /// The block that a number is of.
    fn segment(&self, number: u32) -> Result<&Segment<'a>, Corrupt> {
        match (number & OF_DELTA, &self.delta) {
            (0, _) => Ok(&self.base),
            (_, Some(delta)) => Ok(&delta.segment),
            (_, None) => Err(Corrupt("numbers")),
        }
    }
}
