//! Making an index out of records.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use rustc_hash::FxHashMap;
use xxhash_rust::xxh3::xxh3_64;

use super::delta::{self, DeltaError};
use super::group::group;
use super::items::{Source, SourceKind};
use super::layout::{Section, Writer, assemble, little_endian};
use super::segment::{bucket_of, days, key_of};
use super::strings::Strings;
use super::touched::Touched;
use crate::id::AdvisoryId;
use crate::identity::{Named, Product};
use crate::range::{Lower, Span, Upper};
use crate::record::{Affected, Platform, PlatformSet, Record};
use crate::severity::{Exploitation, Severity};

/// Takes records and makes an index of them.
#[derive(Default)]
pub struct Builder {
    sources: BTreeMap<String, Draft>,
}

#[derive(Default)]
struct Draft {
    kind: SourceKind,
    records: Vec<Record>,
    skipped: u64,
    newest: Option<Date>,
    newest_range: Option<Date>,
    /// How many records the source has where not all of them are here.
    total: Option<u64>,
}

/// A finished index.
#[derive(Debug, Clone)]
pub struct Built {
    /// The bytes, to be written to a file as they are.
    pub bytes: Vec<u8>,
    /// How many vulnerabilities are inside.
    pub vulnerabilities: usize,
    /// How many affected entries.
    pub entries: usize,
}

impl Builder {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a record of a source. Sources are told apart by name; the order of calls is of no
    /// consequence.
    pub fn add(&mut self, source: &str, kind: SourceKind, record: Record) {
        let draft = self.draft(source, kind);
        draft.newest = draft.newest.max(record.newest_date());
        draft.newest_range = draft.newest_range.max(record.newest_range());
        draft.records.push(record);
    }

    /// Counts a record that could not be read.
    pub fn skip(&mut self, source: &str, kind: SourceKind) {
        self.draft(source, kind).skipped += 1;
    }

    fn draft(&mut self, source: &str, kind: SourceKind) -> &mut Draft {
        if !self.sources.contains_key(source) {
            self.sources.insert(
                source.to_owned(),
                Draft {
                    kind,
                    ..Draft::default()
                },
            );
        }
        self.sources.entry(source.to_owned()).or_default()
    }

    /// Makes the index.
    pub fn finish(mut self) -> Built {
        self.sort();
        let records = self.records();
        let groups = group(&records);
        let assembly = self.assemble(&groups, &records);
        assembly.finish(&self.sources, Vec::new())
    }

    /// Makes a delta of a base: the groups that changed since, and what they supersede.
    ///
    /// The records that were added must be all those of the touched groups ([`Touched`]): each CVE
    /// with every record that names it, and records without a CVE as far as names link them. Records
    /// of other groups do no harm. What is said of the sources is taken from `sources`.
    pub fn finish_delta(
        mut self,
        base: &[u8],
        touched: &Touched,
        sources: &[Source<'_>],
    ) -> Result<Built, DeltaError> {
        for source in sources {
            let draft = self.draft(source.name, source.kind);
            draft.kind = source.kind;
            draft.total = Some(source.records);
            draft.skipped = source.skipped;
            draft.newest = source.newest;
            draft.newest_range = source.newest_range;
        }
        self.sort();
        let records = self.records();
        let mut groups = group(&records);
        groups.retain(|id, members| {
            touched.contains(id)
                || id.cve().is_none()
                    && members
                        .iter()
                        .flat_map(|&at| names(records[at].1))
                        .any(|name| touched.contains(name))
        });
        let assembly = self.assemble(&groups, &records);
        let shared = assembly
            .placed
            .iter()
            .filter(|(at, _)| {
                names(records[**at].1).any(|name| name.cve().is_some() && !touched.contains(name))
            })
            .map(|(_, entries)| entries.len())
            .sum();
        let names: Vec<&str> = self.sources.keys().map(String::as_str).collect();
        let overlay = delta::overlay(base, touched, shared, &names)?;
        Ok(assembly.finish(&self.sources, overlay))
    }

    fn sort(&mut self) {
        for draft in self.sources.values_mut() {
            draft.records.sort_by(|a, b| {
                (&a.id, a.modified)
                    .cmp(&(&b.id, b.modified))
                    .then_with(|| in_full(a).cmp(&in_full(b)))
            });
        }
    }

    /// All records, each with the number of its source.
    fn records(&self) -> Vec<(u32, &Record)> {
        (0..)
            .zip(self.sources.values())
            .flat_map(|(source, draft)| draft.records.iter().map(move |record| (source, record)))
            .collect()
    }

    fn assemble<'b>(
        &'b self,
        groups: &BTreeMap<AdvisoryId, Vec<usize>>,
        records: &[(u32, &'b Record)],
    ) -> Assembly<'b> {
        let strings = Strings::of(self.sources.keys().map(String::as_str), records);
        let mut assembly = Assembly::new(strings, groups);
        for (id, members) in groups {
            assembly.add(id, members, records);
        }
        assembly
    }
}

/// All names that a record has.
fn names(record: &Record) -> impl Iterator<Item = &AdvisoryId> {
    std::iter::once(&record.id).chain(&record.aliases)
}

/// What orders records of one id and day, so that the order of calls is of no consequence.
fn in_full(record: &Record) -> Option<String> {
    serde_json::to_string(record).ok()
}

struct Assembly<'a> {
    strings: Strings<'a>,
    /// The vulnerabilities of which each record speaks.
    spoken_of: FxHashMap<usize, Vec<u32>>,
    vulnerabilities: Writer,
    vulnerability_ends: Vec<u32>,
    entries: Writer,
    entry_ends: Vec<u32>,
    ids: BTreeSet<(u32, u32)>,
    postings: BTreeMap<String, Vec<u32>>,
    /// Which vulnerabilities a record's entries already stand for: records with several CVEs share
    /// their entries.
    placed: FxHashMap<usize, Vec<u32>>,
}

impl<'a> Assembly<'a> {
    fn new(strings: Strings<'a>, groups: &BTreeMap<AdvisoryId, Vec<usize>>) -> Self {
        let mut spoken_of: FxHashMap<usize, Vec<u32>> = FxHashMap::default();
        for (members, number) in groups.values().zip(0..) {
            for &at in members {
                spoken_of.entry(at).or_default().push(number);
            }
        }
        Self {
            strings,
            spoken_of,
            vulnerabilities: Writer::default(),
            vulnerability_ends: Vec::new(),
            entries: Writer::default(),
            entry_ends: Vec::new(),
            ids: BTreeSet::new(),
            postings: BTreeMap::new(),
            placed: FxHashMap::default(),
        }
    }

    fn add(&mut self, id: &AdvisoryId, members: &[usize], records: &[(u32, &Record)]) {
        let number = len_u32(&self.vulnerability_ends);
        let mut entries = Vec::new();
        for &at in members {
            let (source, record) = records[at];
            entries.extend(self.place(at, source, record));
        }
        let all = || members.iter().map(|&at| records[at].1);
        let mut names: BTreeSet<&AdvisoryId> = BTreeSet::new();
        for record in all() {
            // Another CVE in the aliases is another vulnerability.
            names.extend(
                std::iter::once(&record.id)
                    .chain(&record.aliases)
                    .filter(|n| n.cve().is_none()),
            );
        }
        names.remove(id);
        self.ids.insert((self.strings.number(id.as_str()), number));
        for name in &names {
            self.ids
                .insert((self.strings.number(name.as_str()), number));
        }
        self.write_vulnerability(id, &names, members, records, &entries);
        self.vulnerability_ends
            .push(len_u32(&self.vulnerabilities.0));
    }

    fn write_vulnerability(
        &mut self,
        id: &AdvisoryId,
        names: &BTreeSet<&AdvisoryId>,
        members: &[usize],
        records: &[(u32, &Record)],
        entries: &[u32],
    ) {
        let strings = &self.strings;
        let all = || members.iter().map(|&at| records[at].1);
        // The record that bears the id speaks first; the rest in order of id.
        let mut ranked: Vec<&Record> = all().collect();
        ranked.sort_by_key(|record| (record.id != *id, &record.id));
        let own_withdrawn = ranked.iter().any(|r| r.id == *id && r.withdrawn);
        let withdrawn = own_withdrawn || ranked.iter().all(|r| r.withdrawn);
        let mut severities: Vec<&Severity> = Vec::new();
        for severity in ranked
            .iter()
            .filter(|r| !r.withdrawn)
            .flat_map(|r| &r.severities)
        {
            if !severities.contains(&severity) {
                severities.push(severity);
            }
        }
        let fixes: BTreeSet<_> = ranked.iter().flat_map(|r| &r.fixes).collect();
        let exploited = ranked
            .iter()
            .filter_map(|r| r.exploited)
            .max_by_key(|e| (e.due.is_some(), e.ransomware));
        let epss = ranked.iter().filter_map(|r| r.epss).max_by_key(|e| e.date);
        let ssvc = ranked.iter().find_map(|r| r.ssvc);
        let summary = ranked.iter().find_map(|r| r.summary.as_deref());

        let out = &mut self.vulnerabilities;
        out.number(strings.number(id.as_str()).into());
        out.byte(u8::from(withdrawn));
        out.count(fixes.len());
        for fix in fixes {
            out.bytes(fix.as_bytes());
        }
        for date in [
            ranked.iter().filter_map(|r| r.published).min(),
            ranked.iter().filter_map(|r| r.modified).max(),
        ] {
            write_date(out, date);
        }
        match summary {
            Some(text) => out.number(u64::from(strings.number(text)) + 1),
            None => out.number(0),
        }
        out.count(names.len());
        for name in names {
            out.number(strings.number(name.as_str()).into());
        }
        out.count(severities.len());
        for severity in severities {
            match severity {
                Severity::Word(rating) => out.byte(*rating as u8),
                Severity::Vector(vector) => {
                    out.byte(0x80);
                    out.number(strings.number(vector.as_str()).into());
                }
            }
        }
        match exploited {
            None => out.byte(0),
            Some(exploited) => {
                out.byte(if exploited.ransomware { 2 } else { 1 });
                write_date(out, Some(exploited.since));
                write_date(out, exploited.due);
            }
        }
        match epss {
            None => out.byte(0),
            Some(epss) => {
                out.byte(1);
                out.bytes(&epss.probability.to_le_bytes());
                out.bytes(&epss.percentile.to_le_bytes());
                write_date(out, epss.date);
            }
        }
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
        out.count(members.len());
        for &at in members {
            let (source, record) = records[at];
            out.number(strings.number(record.id.as_str()).into());
            out.number(source.into());
            out.byte(u8::from(record.withdrawn));
        }
        out.count(entries.len());
        for entry in entries {
            out.number((*entry).into());
        }
    }

    /// Writes the entries of a record once; withdrawn records have none.
    fn place(&mut self, at: usize, source: u32, record: &Record) -> Vec<u32> {
        if record.withdrawn {
            return Vec::new();
        }
        if let Some(placed) = self.placed.get(&at) {
            return placed.clone();
        }
        let mut unique: Vec<&Affected> = Vec::with_capacity(record.affects.len());
        for affected in &record.affects {
            if !unique.contains(&affected) || unique.len() > 500 {
                unique.push(affected);
            }
        }
        let mut placed = Vec::with_capacity(unique.len());
        for affected in unique {
            let number = len_u32(&self.entry_ends);
            self.write_entry(at, source, record, affected);
            self.entry_ends.push(len_u32(&self.entries.0));
            placed.push(number);
            let keys: BTreeSet<String> = affected.products.iter().map(key_of).collect();
            for key in keys {
                self.postings.entry(key).or_default().push(number);
            }
        }
        self.placed.insert(at, placed.clone());
        placed
    }

    fn write_entry(&mut self, at: usize, source: u32, record: &Record, affected: &Affected) {
        let strings = &self.strings;
        let out = &mut self.entries;
        out.number(strings.number(record.id.as_str()).into());
        out.number(source.into());
        let vulnerabilities = self.spoken_of.get(&at).map_or(&[][..], Vec::as_slice);
        out.count(vulnerabilities.len());
        for number in vulnerabilities {
            out.number((*number).into());
        }
        match &affected.by {
            Some(by) => out.number(u64::from(strings.number(by)) + 1),
            None => out.number(0),
        }
        let bits = |systems: &[Platform]| systems.iter().copied().collect::<PlatformSet>().bits();
        out.byte(u8::from(affected.upstream));
        out.byte(bits(&affected.platforms) | bits(&affected.prose_platforms) << 4);
        out.byte(affected.scheme as u8 | (affected.default as u8) << 4);
        write_products(out, strings, &affected.products);
        write_products(out, strings, &affected.only_with);
        out.count(affected.rules.len());
        for rule in &affected.rules {
            let text = |text: &str| u64::from(strings.number(text));
            let (shape, a, b) = match &rule.span {
                Span::Exact(version) => (0, Some(text(version)), None),
                Span::Text(prose) => (1, Some(text(prose)), None),
                Span::Between(lower, upper) => {
                    let (low, a) = match lower {
                        Lower::Start => (0, None),
                        Lower::From(version) => (1, Some(text(version))),
                        Lower::After(version) => (2, Some(text(version))),
                    };
                    let (up, b) = match upper {
                        Upper::Open => (0, None),
                        Upper::Before(version) => (1, Some(text(version))),
                        Upper::UpTo(version) => (2, Some(text(version))),
                        Upper::Within(version) => (3, Some(text(version))),
                    };
                    (2 + low + 3 * up, a, b)
                }
            };
            out.byte(rule.status as u8 | shape << 2);
            for number in [a, b].into_iter().flatten() {
                out.number(number);
            }
        }
    }

    fn finish(self, sources: &BTreeMap<String, Draft>, of_delta: Vec<(Section, Vec<u8>)>) -> Built {
        let (buckets, keys, postings) = self.write_keys();
        let mut listed = Writer::default();
        listed.count(sources.len());
        for (name, draft) in sources {
            listed.number(self.strings.number(name).into());
            listed.byte(draft.kind as u8);
            listed.number(draft.total.unwrap_or(draft.records.len() as u64));
            listed.number(draft.skipped);
            write_date(&mut listed, draft.newest);
            write_date(&mut listed, draft.newest_range);
        }
        let mut string_ends = Vec::with_capacity(self.strings.sorted.len());
        let mut text = Vec::new();
        for string in &self.strings.sorted {
            text.extend_from_slice(string.as_bytes());
            string_ends.push(len_u32(&text));
        }
        let ids = self
            .ids
            .iter()
            .flat_map(|&(id, vulnerability)| [id, vulnerability])
            .collect::<Vec<_>>();
        let (vulnerabilities, entries) = (self.vulnerability_ends.len(), self.entry_ends.len());
        let mut sections = vec![
            (Section::StringEnds, little_endian(&string_ends)),
            (Section::Strings, text),
            (Section::Sources, listed.0),
            (
                Section::VulnerabilityEnds,
                little_endian(&self.vulnerability_ends),
            ),
            (Section::Vulnerabilities, self.vulnerabilities.0),
            (Section::EntryEnds, little_endian(&self.entry_ends)),
            (Section::Entries, self.entries.0),
            (Section::Buckets, buckets),
            (Section::Keys, keys),
            (Section::Postings, postings),
            (Section::Ids, little_endian(&ids)),
        ];
        sections.extend(of_delta);
        let bytes = assemble(&sections);
        Built {
            bytes,
            vulnerabilities,
            entries,
        }
    }

    /// Keys by hash, in about as many buckets as there are keys.
    fn write_keys(&self) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
        let mut hashed: Vec<(u64, &str, &[u32])> = self
            .postings
            .iter()
            .map(|(key, entries)| (xxh3_64(key.as_bytes()), key.as_str(), entries.as_slice()))
            .collect();
        let count = hashed.len().next_power_of_two();
        hashed.sort_by_key(|(hash, key, _)| (bucket_of(*hash, count), *hash, *key));
        let mut buckets = vec![0_u32; count + 1];
        let (mut keys, mut postings) = (Vec::new(), Vec::new());
        for (hash, key, entries) in hashed {
            buckets[bucket_of(hash, count) + 1] += 1;
            // The first byte of a key is its kind, the rest is a string of the table.
            let kind = u32::from(key.as_bytes().first().copied().unwrap_or_default());
            let text = key.get(2..).unwrap_or_default();
            keys.extend([kind, self.strings.number(text), len_u32(&postings)]);
            postings.extend_from_slice(entries);
        }
        for at in 1..buckets.len() {
            buckets[at] += buckets[at - 1];
        }
        (
            little_endian(&buckets),
            little_endian(&keys),
            little_endian(&postings),
        )
    }
}

fn write_products(out: &mut Writer, strings: &Strings<'_>, products: &[Product]) {
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

fn write_date(out: &mut Writer, date: Option<Date>) {
    match date {
        // Day zero is none, so that the common case takes one byte.
        None => out.signed(0),
        Some(date) => out.signed(match days(date) {
            day if day >= 0 => day + 1,
            day => day,
        }),
    }
}

/// Sections stay far below 4 GiB: all of CVE is under 100 MB. Beyond it the builder saturates and
/// the reader finds the index corrupt, which is told.
fn len_u32<T>(items: &[T]) -> u32 {
    u32::try_from(items.len()).unwrap_or(u32::MAX)
}
