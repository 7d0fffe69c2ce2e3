//! Records as they wait to be joined: bytes in which strings are numbers.
//!
//! An index of everything is made of hundreds of thousands of records. As values of their own they would take ten
//! times the memory of the index, which is this in another order.

use std::cmp::Ordering;
use std::fmt::Write as _;

use jiff::civil::Date;

use super::layout::Writer;
use super::segment::{date_of, days};
use super::strings::{Sorted, Strings, len_u32};
use crate::identity::{Named, Product};
use crate::range::{Lower, Span, Upper};
use crate::record::{Affected, Platform, PlatformSet, Record};
use crate::severity::{Epss, Exploitation, Exploited, Severity, Ssvc};

/// Records in the order in which they came.
#[derive(Default)]
pub(super) struct Packed {
    pub(super) strings: Strings,
    bytes: Writer,
    heads: Vec<Head>,
    /// Where an entry is written before it is known how long it is.
    entry: Writer,
}

#[derive(Clone, Copy)]
struct Head {
    at: usize,
    source: u32,
    id: u32,
    modified: Option<Date>,
}

impl Packed {
    /// Adds a record of a source.
    pub(super) fn add(&mut self, source: u32, record: &Record) {
        let Self {
            strings,
            bytes: out,
            heads,
            entry,
        } = self;
        heads.push(Head {
            at: out.0.len(),
            source,
            id: strings.number(record.id.as_str()),
            modified: record.modified,
        });
        out.count(record.aliases.len());
        for alias in &record.aliases {
            out.number(strings.number(alias.as_str()).into());
        }
        let speaks = !record.affects.is_empty() || record.exploited.is_some();
        out.byte(u8::from(record.withdrawn) | u8::from(speaks) << 1);
        write_date(out, record.published);
        write_perhaps(out, strings, record.summary.as_deref());
        out.count(record.severities.len());
        for severity in &record.severities {
            match severity {
                Severity::Word(rating) => out.byte(*rating as u8),
                Severity::Vector(vector) => {
                    out.byte(0x80);
                    out.number(strings.number(vector.as_str()).into());
                }
            }
        }
        write_exploited(out, record.exploited);
        write_epss(out, record.epss);
        write_ssvc(out, record.ssvc);
        out.count(record.fixes.len());
        for fix in &record.fixes {
            out.bytes(fix.as_bytes());
        }
        out.count(record.affects.len());
        for affected in &record.affects {
            entry.0.clear();
            write_entry(entry, strings, affected);
            out.count(entry.0.len());
            out.bytes(&entry.0);
        }
    }

    /// Brings them in their order: by source, id and day, and what differs in nothing of these by all that it says,
    /// so that the order in which they came is of no consequence. `sources` has the place of each source.
    pub(super) fn sort(self, sources: &[u32]) -> Records {
        let Self {
            strings,
            bytes,
            heads,
            ..
        } = self;
        let mut records = Records {
            strings: strings.sort(),
            bytes: bytes.0,
            heads: Vec::new(),
        };
        let mut heads: Vec<Head> = heads;
        for head in &mut heads {
            let place = sources.get(head.source as usize);
            head.source = place.copied().unwrap_or(u32::MAX);
        }
        heads.sort_by(|a, b| {
            let place = |head: &Head| (head.source, records.strings.rank(head.id), head.modified);
            match place(a).cmp(&place(b)) {
                Ordering::Equal => records.in_full(a).cmp(&records.in_full(b)),
                other => other,
            }
        });
        records.heads = heads;
        records
    }
}

/// Records in their order.
pub(super) struct Records {
    pub(super) strings: Sorted,
    bytes: Vec<u8>,
    heads: Vec<Head>,
}

/// What is said of a record's severity.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    /// A rating, as its code.
    Word(u8),
    /// A vector, by number.
    Vector(u32),
}

/// A record, without its names.
pub(super) struct Unpacked<'r> {
    pub(super) withdrawn: bool,
    pub(super) published: Option<Date>,
    pub(super) modified: Option<Date>,
    pub(super) summary: Option<u32>,
    pub(super) severities: Vec<Level>,
    pub(super) exploited: Option<Exploited>,
    pub(super) epss: Option<Epss>,
    pub(super) ssvc: Option<Ssvc>,
    pub(super) fixes: Vec<&'r [u8]>,
    pub(super) affects: Vec<&'r [u8]>,
}

impl Records {
    pub(super) fn len(&self) -> usize {
        self.heads.len()
    }

    /// The place of a record's source.
    pub(super) fn source(&self, at: u32) -> u32 {
        self.head(at).map_or(u32::MAX, |head| head.source)
    }

    /// The number of its id.
    pub(super) fn id(&self, at: u32) -> u32 {
        self.head(at).map_or(u32::MAX, |head| head.id)
    }

    /// The numbers of its names, the id first.
    pub(super) fn names(&self, at: u32) -> impl Iterator<Item = u32> {
        let (names, _) = self.open(self.head(at));
        std::iter::once(self.id(at)).chain(names)
    }

    /// Whether a record makes a vulnerability of what it names: it says what is affected, or that it is exploited, or
    /// that all is taken back.
    pub(super) fn speaks(&self, at: u32) -> bool {
        let (_, mut rest) = self.open(self.head(at));
        rest.byte() != 0
    }

    /// What it says.
    pub(super) fn get(&self, at: u32) -> Unpacked<'_> {
        self.unpack(self.head(at))
    }

    fn head(&self, at: u32) -> Option<&Head> {
        self.heads.get(at as usize)
    }

    /// The other names of a record, and what follows them.
    fn open(&self, head: Option<&Head>) -> (Vec<u32>, Cursor<'_>) {
        let bytes = head.and_then(|head| self.bytes.get(head.at..));
        let mut cursor = Cursor(bytes.unwrap_or_default());
        let names = (0..cursor.count()).map(|_| cursor.text()).collect();
        (names, cursor)
    }

    fn unpack(&self, head: Option<&Head>) -> Unpacked<'_> {
        let (_, mut cursor) = self.open(head);
        let c = &mut cursor;
        Unpacked {
            withdrawn: c.byte() & 1 == 1,
            published: c.date(),
            modified: head.and_then(|head| head.modified),
            summary: c.perhaps(),
            severities: (0..c.count())
                .map(|_| match c.byte() {
                    0x80 => Level::Vector(c.text()),
                    rating => Level::Word(rating),
                })
                .collect(),
            exploited: c.exploited(),
            epss: c.epss(),
            ssvc: c.ssvc(),
            fixes: (0..c.count()).map(|_| c.bytes(20)).collect(),
            affects: (0..c.count())
                .map(|_| {
                    let length = c.count();
                    c.bytes(length)
                })
                .collect(),
        }
    }

    /// All that a record says, as a text that does not depend on the numbers of strings.
    fn in_full(&self, head: &Head) -> String {
        let text = |number: u32| self.strings.text(number);
        let (names, _) = self.open(Some(head));
        let record = self.unpack(Some(head));
        let names: Vec<&str> = names.into_iter().map(text).collect();
        let severities: Vec<(u8, &str)> = record
            .severities
            .iter()
            .map(|level| match level {
                Level::Word(rating) => (*rating, ""),
                Level::Vector(number) => (0x80, text(*number)),
            })
            .collect();
        let mut affects = String::new();
        for entry in &record.affects {
            each(entry, &mut |token| {
                // Writing to a text does not fail.
                let _ = match token {
                    Token::Plain(number) => write!(affects, "{number} "),
                    Token::Text(number) => write!(affects, "{:?} ", text(number)),
                };
            });
        }
        format!(
            "{names:?} {} {:?} {:?} {severities:?} {:?} {:?} {:?} {:?} {affects}",
            record.withdrawn,
            record.published,
            record.summary.map(text),
            record.exploited,
            record.epss,
            record.ssvc,
            record.fixes,
        )
    }
}

/// Writes an entry as the index has it, with other numbers of its strings.
pub(super) fn copy_entry(out: &mut Writer, entry: &[u8], strings: &Sorted) {
    let mut cursor = Cursor(entry);
    match cursor.perhaps() {
        Some(by) => out.number(u64::from(strings.rank(by)) + 1),
        None => out.number(0),
    }
    // As they are: whether upstream, the systems, the order of versions and what holds for the others.
    out.bytes(cursor.bytes(3));
    each_text(&mut cursor, &mut |token| match token {
        Token::Plain(number) => out.number(number),
        Token::Text(number) => out.number(strings.rank(number).into()),
    });
}

/// The keys under which an entry is filed: the kind, and the number of the text.
pub(super) fn keys_of(entry: &[u8]) -> Vec<(u8, u32)> {
    let mut cursor = Cursor(entry);
    cursor.perhaps();
    cursor.bytes(3);
    (0..cursor.count())
        .map(|_| {
            let shape = cursor.byte();
            let kind = match shape & 3 {
                0 => b'p',
                1 => b'r',
                _ => b'n',
            };
            let text = cursor.text();
            for _ in 0..others_of(shape) {
                cursor.text();
            }
            (kind, text)
        })
        .collect()
}

/// A part of an entry.
enum Token {
    Plain(u64),
    /// A string, by number.
    Text(u32),
}

fn each(entry: &[u8], told: &mut dyn FnMut(Token)) {
    let mut cursor = Cursor(entry);
    if let Some(by) = cursor.perhaps() {
        told(Token::Text(by));
    }
    for byte in cursor.bytes(3) {
        told(Token::Plain((*byte).into()));
    }
    each_text(&mut cursor, told);
}

/// The products and rules of an entry.
fn each_text(c: &mut Cursor<'_>, told: &mut dyn FnMut(Token)) {
    for _ in ["products", "only with"] {
        let count = c.count();
        told(Token::Plain(count as u64));
        for _ in 0..count {
            let shape = c.byte();
            told(Token::Plain(shape.into()));
            for _ in 0..=others_of(shape) {
                told(Token::Text(c.text()));
            }
        }
    }
    let count = c.count();
    told(Token::Plain(count as u64));
    for _ in 0..count {
        let rule = c.byte();
        told(Token::Plain(rule.into()));
        for _ in 0..texts_of(rule >> 2) {
            told(Token::Text(c.text()));
        }
    }
}

/// How many texts a product has beside its name.
fn others_of(shape: u8) -> u8 {
    (shape >> 2 & 1) + (shape >> 3 & 1)
}

/// How many texts a span of a shape has.
fn texts_of(shape: u8) -> u8 {
    match shape {
        0 | 1 => 1,
        between => u8::from((between - 2) % 3 > 0) + u8::from((between - 2) / 3 > 0),
    }
}

fn write_entry(out: &mut Writer, strings: &mut Strings, affected: &Affected) {
    write_perhaps(out, strings, affected.by.as_deref());
    let bits = |systems: &[Platform]| systems.iter().copied().collect::<PlatformSet>().bits();
    out.byte(u8::from(affected.upstream));
    out.byte(bits(&affected.platforms) | bits(&affected.prose_platforms) << 4);
    out.byte(affected.scheme as u8 | (affected.default as u8) << 4);
    write_products(out, strings, &affected.products);
    write_products(out, strings, &affected.only_with);
    out.count(affected.rules.len());
    for rule in &affected.rules {
        let (shape, a, b) = match &rule.span {
            Span::Exact(version) => (0, Some(version), None),
            Span::Text(prose) => (1, Some(prose), None),
            Span::Between(lower, upper) => {
                let (low, a) = match lower {
                    Lower::Start => (0, None),
                    Lower::From(version) => (1, Some(version)),
                    Lower::After(version) => (2, Some(version)),
                };
                let (up, b) = match upper {
                    Upper::Open => (0, None),
                    Upper::Before(version) => (1, Some(version)),
                    Upper::UpTo(version) => (2, Some(version)),
                    Upper::Within(version) => (3, Some(version)),
                };
                (2 + low + 3 * up, a, b)
            }
        };
        out.byte(rule.status as u8 | shape << 2);
        for text in [a, b].into_iter().flatten() {
            out.number(strings.number(text).into());
        }
    }
}

fn write_products(out: &mut Writer, strings: &mut Strings, products: &[Product]) {
    out.count(products.len());
    for product in products {
        match product {
            Product::Package(key) => {
                out.byte(0);
                out.number(strings.number(key.as_str()).into());
            }
            Product::Repository(key) => {
                out.byte(1);
                out.number(strings.number(key.as_str()).into());
            }
            Product::Named(Named {
                name,
                vendor,
                part,
                target_software,
            }) => {
                let part = part.map_or(0, |part| 1 + part as u8);
                let flags = u8::from(vendor.is_some()) | u8::from(target_software.is_some()) << 1;
                out.byte(2 | flags << 2 | part << 4);
                out.number(strings.number(name.as_str()).into());
                for text in [vendor, target_software].into_iter().flatten() {
                    out.number(strings.number(text.as_str()).into());
                }
            }
        }
    }
}

fn write_perhaps(out: &mut Writer, strings: &mut Strings, text: Option<&str>) {
    match text {
        Some(text) => out.number(u64::from(strings.number(text)) + 1),
        None => out.number(0),
    }
}

/// A day, or none.
pub(super) fn write_date(out: &mut Writer, date: Option<Date>) {
    match date {
        // Day zero is none, so that the common case takes one byte.
        None => out.signed(0),
        Some(date) => out.signed(match days(date) {
            day if day >= 0 => day + 1,
            day => day,
        }),
    }
}

pub(super) fn write_exploited(out: &mut Writer, exploited: Option<Exploited>) {
    match exploited {
        None => out.byte(0),
        Some(exploited) => {
            out.byte(if exploited.ransomware { 2 } else { 1 });
            write_date(out, Some(exploited.since));
            write_date(out, exploited.due);
        }
    }
}

pub(super) fn write_epss(out: &mut Writer, epss: Option<Epss>) {
    match epss {
        None => out.byte(0),
        Some(epss) => {
            out.byte(1);
            out.bytes(&epss.probability.to_le_bytes());
            out.bytes(&epss.percentile.to_le_bytes());
            write_date(out, epss.date);
        }
    }
}

pub(super) fn write_ssvc(out: &mut Writer, ssvc: Option<Ssvc>) {
    let tri = |value: Option<bool>| value.map_or(0, |v| 1 + u8::from(v));
    match ssvc {
        None => out.byte(0),
        Some(ssvc) => {
            out.byte(match ssvc.exploitation {
                Exploitation::None => 1,
                Exploitation::Poc => 2,
                Exploitation::Active => 3,
            });
            out.byte(tri(ssvc.automatable) | tri(ssvc.total_impact) << 2);
        }
    }
}

/// Reads what [`Packed`] wrote. Nobody else writes it: what is not there is nothing, and no error.
#[derive(Clone, Copy)]
struct Cursor<'r>(&'r [u8]);

impl<'r> Cursor<'r> {
    fn byte(&mut self) -> u8 {
        self.bytes(1).first().copied().unwrap_or(0)
    }

    fn bytes(&mut self, count: usize) -> &'r [u8] {
        let (bytes, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        bytes
    }

    fn number(&mut self) -> u64 {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte();
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        number
    }

    fn count(&mut self) -> usize {
        let count = usize::try_from(self.number()).unwrap_or(usize::MAX);
        count.min(self.0.len())
    }

    fn text(&mut self) -> u32 {
        u32::try_from(self.number()).unwrap_or(u32::MAX)
    }

    fn perhaps(&mut self) -> Option<u32> {
        let number = self.number().checked_sub(1)?;
        Some(u32::try_from(number).unwrap_or(u32::MAX))
    }

    fn date(&mut self) -> Option<Date> {
        let number = self.number();
        let signed = (number >> 1).cast_signed() ^ -((number & 1).cast_signed());
        match signed {
            0 => None,
            day if day > 0 => date_of(day - 1),
            day => date_of(day),
        }
    }

    fn exploited(&mut self) -> Option<Exploited> {
        let kind = self.byte();
        if kind == 0 {
            return None;
        }
        let (since, due) = (self.date(), self.date());
        Some(Exploited {
            since: since?,
            due,
            ransomware: kind == 2,
        })
    }

    fn epss(&mut self) -> Option<Epss> {
        if self.byte() == 0 {
            return None;
        }
        let mut share = || {
            let bytes = self.bytes(4).try_into();
            f32::from_le_bytes(bytes.unwrap_or_default())
        };
        Some(Epss {
            probability: share(),
            percentile: share(),
            date: self.date(),
        })
    }

    fn ssvc(&mut self) -> Option<Ssvc> {
        let exploitation = match self.byte() {
            0 => return None,
            1 => Exploitation::None,
            2 => Exploitation::Poc,
            _ => Exploitation::Active,
        };
        let bits = self.byte();
        let tri = |bits: u8| (bits & 3 != 0).then_some(bits & 3 == 2);
        Some(Ssvc {
            exploitation,
            automatable: tri(bits),
            total_impact: tri(bits >> 2),
        })
    }
}

/// The number of a record as others note it.
pub(super) fn number(at: usize) -> u32 {
    len_u32(at)
}
