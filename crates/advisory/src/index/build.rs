//! Making an index out of records.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use xxhash_rust::xxh3::xxh3_64;

use super::delta::{self, DeltaError};
use super::group::{Groups, group, is_cve};
use super::items::{Source, SourceKind};
use super::layout::{Section, Writer, assemble, little_endian};
use super::packed::{
    Level, Packed, Records, Unpacked, copy_entry, keys_of, number, write_date, write_epss,
    write_exploited, write_ssvc,
};
use super::segment::bucket_of;
use super::touched::Touched;
use crate::record::Record;

/// Takes records and makes an index of them.
///
/// It keeps them packed: about as large as the index will be.
#[derive(Default)]
pub struct Builder {
    sources: BTreeMap<String, Draft>,
    records: Packed,
}

#[derive(Default)]
struct Draft {
    kind: SourceKind,
    /// By which number its records say that they are of it.
    number: u32,
    records: u64,
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
    #[expect(
        clippy::needless_pass_by_value,
        reason = "its memory is given back here"
    )]
    pub fn add(&mut self, source: &str, kind: SourceKind, record: Record) {
        let draft = self.draft(source, kind);
        draft.newest = draft.newest.max(record.newest_date());
        draft.newest_range = draft.newest_range.max(record.newest_range());
        draft.records += 1;
        let number = draft.number;
        self.records.add(number, &record);
    }

    /// Counts a record that could not be read.
    pub fn skip(&mut self, source: &str, kind: SourceKind) {
        self.draft(source, kind).skipped += 1;
    }

    fn draft(&mut self, source: &str, kind: SourceKind) -> &mut Draft {
        if !self.sources.contains_key(source) {
            let draft = Draft {
                kind,
                number: number(self.sources.len()),
                ..Draft::default()
            };
            self.sources.insert(source.to_owned(), draft);
        }
        self.sources.entry(source.to_owned()).or_default()
    }

    /// Makes the index.
    pub fn finish(self) -> Built {
        let (sources, records) = self.sort();
        let groups = group(&records, |_, _| true);
        let assembly = Assembly::of(&records, &groups);
        drop(groups);
        let parts = assembly.finish();
        parts.join(&sources, records, Vec::new())
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
        let (sources, records) = self.sort();
        let strings = &records.strings;
        let groups = group(&records, |name, members| {
            let name = strings.at(name);
            let mut names = members.iter().flat_map(|at| records.names(*at));
            touched.contains(name)
                || !is_cve(name) && names.any(|name| touched.contains(strings.text(name)))
        });
        let assembly = Assembly::of(&records, &groups);
        let is_shared = |at: u32| {
            let mut names = records.names(at).map(|name| strings.text(name));
            names.any(|name| is_cve(name) && !touched.contains(name))
        };
        let placed = (0..).zip(&assembly.placed);
        let shared = placed
            .filter_map(|(at, placed)| Some((at, placed.as_ref()?)))
            .filter(|(at, _)| is_shared(*at))
            .map(|(_, entries)| entries.len())
            .sum();
        let names: Vec<&str> = sources.keys().map(String::as_str).collect();
        let overlay = delta::overlay(base, touched, shared, &names)?;
        let parts = assembly.finish();
        Ok(parts.join(&sources, records, overlay))
    }

    fn sort(self) -> (BTreeMap<String, Draft>, Records) {
        let Self {
            sources,
            mut records,
        } = self;
        let mut places = vec![0; sources.len()];
        for (place, (name, draft)) in (0..).zip(&sources) {
            places[draft.number as usize] = place;
            records.strings.number(name);
        }
        (sources, records.sort(&places))
    }
}

/// A key, by its kind and the rank of its text, and an entry that is filed under it.
type Posting = (u8, u32, u32);

struct Assembly<'a> {
    records: &'a Records,
    /// The vulnerabilities of which each record speaks.
    spoken_of: Lists,
    vulnerabilities: Writer,
    vulnerability_ends: Vec<u32>,
    entries: Writer,
    entry_ends: Vec<u32>,
    /// Ranks of names, and vulnerabilities.
    ids: Vec<(u32, u32)>,
    postings: Vec<Posting>,
    /// The entries of each record: those with several CVEs share them.
    placed: Vec<Option<std::ops::Range<u32>>>,
}

impl<'a> Assembly<'a> {
    fn of(records: &'a Records, groups: &Groups) -> Self {
        let pairs = || {
            let groups = (0..).zip(groups.iter());
            groups.flat_map(|(number, (_, members))| members.iter().map(move |at| (*at, number)))
        };
        let mut assembly = Self {
            records,
            spoken_of: Lists::of(records.len(), pairs),
            vulnerabilities: Writer::default(),
            vulnerability_ends: Vec::new(),
            entries: Writer::default(),
            entry_ends: Vec::new(),
            ids: Vec::new(),
            postings: Vec::new(),
            placed: vec![None; records.len()],
        };
        for (name, members) in groups.iter() {
            assembly.add(name, members);
        }
        assembly
    }

    /// Adds a vulnerability: the rank of its name, and its records.
    fn add(&mut self, name: u32, members: &[u32]) {
        let vulnerability = number(self.vulnerability_ends.len());
        let strings = &self.records.strings;
        // The record that bears the name speaks first; the rest in order of id.
        let id = |at: u32| strings.rank(self.records.id(at));
        let mut ranked: Vec<(u32, Unpacked<'_>)> = members
            .iter()
            .map(|at| (*at, self.records.get(*at)))
            .collect();
        let mut entries = Vec::new();
        for (at, record) in &ranked {
            entries.extend(self.place(*at, record));
        }
        ranked.sort_by_key(|(at, _)| (id(*at) != name, id(*at)));
        let mut names: BTreeSet<u32> = BTreeSet::new();
        for at in members {
            // Another CVE in the aliases is another vulnerability.
            let others = self.records.names(*at);
            let others = others.filter(|other| !is_cve(strings.text(*other)));
            names.extend(others.map(|other| strings.rank(other)));
        }
        names.remove(&name);
        self.ids.push((name, vulnerability));
        self.ids
            .extend(names.iter().map(|name| (*name, vulnerability)));
        self.write_vulnerability(name, &names, members, &ranked, &entries);
        self.vulnerability_ends
            .push(number(self.vulnerabilities.0.len()));
    }

    fn write_vulnerability(
        &mut self,
        name: u32,
        names: &BTreeSet<u32>,
        members: &[u32],
        ranked: &[(u32, Unpacked<'_>)],
        entries: &[u32],
    ) {
        let strings = &self.records.strings;
        let id = |at: u32| strings.rank(self.records.id(at));
        let all = || ranked.iter().map(|(_, record)| record);
        let mut own = ranked.iter().filter(|(at, _)| id(*at) == name);
        let withdrawn =
            own.any(|(_, record)| record.withdrawn) || all().all(|record| record.withdrawn);
        let mut severities: Vec<Level> = Vec::new();
        let holding = all().filter(|record| !record.withdrawn);
        for severity in holding.flat_map(|record| &record.severities) {
            if !severities.contains(severity) {
                severities.push(*severity);
            }
        }
        let fixes: BTreeSet<&[u8]> = all().flat_map(|record| record.fixes.clone()).collect();
        let exploited = all()
            .filter_map(|record| record.exploited)
            .max_by_key(|e| (e.due.is_some(), e.ransomware));

        let out = &mut self.vulnerabilities;
        out.number(name.into());
        out.byte(u8::from(withdrawn));
        out.count(fixes.len());
        for fix in fixes {
            out.bytes(fix);
        }
        write_date(out, all().filter_map(|record| record.published).min());
        write_date(out, all().filter_map(|record| record.modified).max());
        match all().find_map(|record| record.summary) {
            Some(text) => out.number(u64::from(strings.rank(text)) + 1),
            None => out.number(0),
        }
        out.count(names.len());
        for name in names {
            out.number((*name).into());
        }
        out.count(severities.len());
        for severity in severities {
            match severity {
                Level::Word(rating) => out.byte(rating),
                Level::Vector(vector) => {
                    out.byte(0x80);
                    out.number(strings.rank(vector).into());
                }
            }
        }
        write_exploited(out, exploited);
        let epss = all().filter_map(|record| record.epss);
        write_epss(out, epss.max_by_key(|epss| epss.date));
        write_ssvc(out, all().find_map(|record| record.ssvc));
        out.count(members.len());
        for at in members {
            let record = ranked.iter().find(|(other, _)| other == at);
            out.number(id(*at).into());
            out.number(self.records.source(*at).into());
            out.byte(u8::from(record.is_some_and(|(_, record)| record.withdrawn)));
        }
        out.count(entries.len());
        for entry in entries {
            out.number((*entry).into());
        }
    }

    /// Writes the entries of a record once; withdrawn records have none.
    fn place(&mut self, at: u32, record: &Unpacked<'_>) -> std::ops::Range<u32> {
        if record.withdrawn {
            return 0..0;
        }
        if let Some(Some(placed)) = self.placed.get(at as usize) {
            return placed.clone();
        }
        let mut unique: Vec<&[u8]> = Vec::with_capacity(record.affects.len());
        for affected in &record.affects {
            if !unique.contains(affected) || unique.len() > 500 {
                unique.push(affected);
            }
        }
        let first = number(self.entry_ends.len());
        for affected in unique {
            let entry = number(self.entry_ends.len());
            self.write_entry(at, affected);
            self.entry_ends.push(number(self.entries.0.len()));
            let rank = |text: u32| self.records.strings.rank(text);
            let keys = keys_of(affected).into_iter();
            let keys: BTreeSet<(u8, u32)> = keys.map(|(kind, text)| (kind, rank(text))).collect();
            let filed = keys.into_iter().map(|(kind, text)| (kind, text, entry));
            self.postings.extend(filed);
        }
        let placed = first..number(self.entry_ends.len());
        if let Some(place) = self.placed.get_mut(at as usize) {
            *place = Some(placed.clone());
        }
        placed
    }

    fn write_entry(&mut self, at: u32, affected: &[u8]) {
        let strings = &self.records.strings;
        let out = &mut self.entries;
        out.number(strings.rank(self.records.id(at)).into());
        out.number(self.records.source(at).into());
        let vulnerabilities = self.spoken_of.get(at);
        out.count(vulnerabilities.len());
        for number in vulnerabilities {
            out.number((*number).into());
        }
        copy_entry(out, affected, strings);
    }

    fn finish(mut self) -> Parts {
        self.ids.sort_unstable();
        self.ids.dedup();
        let ids = self.ids.iter();
        let ids: Vec<u32> = ids.flat_map(|(id, number)| [*id, *number]).collect();
        let (buckets, keys, postings) = self.write_keys();
        Parts {
            vulnerabilities: self.vulnerability_ends.len(),
            entries: self.entry_ends.len(),
            sections: vec![
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
            ],
        }
    }

    /// Keys by hash, in about as many buckets as there are keys.
    fn write_keys(&mut self) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
        let strings = &self.records.strings;
        let mut filed = std::mem::take(&mut self.postings);
        filed.sort_unstable();
        let mut hashed: Vec<(u64, &[Posting])> = filed
            .chunk_by(|a, b| (a.0, a.1) == (b.0, b.1))
            .map(|own| {
                let (kind, text) = own
                    .first()
                    .map_or((0, ""), |(kind, text, _)| (*kind, strings.at(*text)));
                let key = format!("{}:{text}", char::from(kind));
                (xxh3_64(key.as_bytes()), own)
            })
            .collect();
        let count = hashed.len().next_power_of_two();
        // Those of one hash are in their order already.
        hashed.sort_by_key(|(hash, _)| (bucket_of(*hash, count), *hash));
        let mut buckets = vec![0_u32; count + 1];
        let (mut keys, mut postings) = (Vec::new(), Vec::new());
        for (hash, own) in hashed {
            let Some(&(kind, text, _)) = own.first() else {
                continue;
            };
            buckets[bucket_of(hash, count) + 1] += 1;
            keys.extend([kind.into(), text, number(postings.len())]);
            postings.extend(own.iter().map(|(_, _, entry)| *entry));
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

/// What the index has beside its strings and sources.
struct Parts {
    vulnerabilities: usize,
    entries: usize,
    sections: Vec<(Section, Vec<u8>)>,
}

impl Parts {
    fn join(
        self,
        sources: &BTreeMap<String, Draft>,
        records: Records,
        of_delta: Vec<(Section, Vec<u8>)>,
    ) -> Built {
        // The records themselves are written.
        let strings = records.strings;
        let mut listed = Writer::default();
        listed.count(sources.len());
        for (name, draft) in sources {
            listed.number(strings.rank_of(name).into());
            listed.byte(draft.kind as u8);
            listed.number(draft.total.unwrap_or(draft.records));
            listed.number(draft.skipped);
            write_date(&mut listed, draft.newest);
            write_date(&mut listed, draft.newest_range);
        }
        let mut sections = Vec::from(strings.sections());
        sections.push((Section::Sources, listed.0));
        sections.extend(self.sections);
        sections.extend(of_delta);
        Built {
            bytes: assemble(sections),
            vulnerabilities: self.vulnerabilities,
            entries: self.entries,
        }
    }
}

/// A list of numbers for each of many things.
struct Lists {
    ends: Vec<u32>,
    numbers: Vec<u32>,
}

impl Lists {
    /// Of pairs of a thing and a number. Each thing's numbers stay in their order.
    fn of<P: Iterator<Item = (u32, u32)>>(things: usize, pairs: impl Fn() -> P) -> Self {
        // First where each begins; by its numbers it moves to where it ends.
        let mut ends = vec![0_u32; things + 1];
        for (thing, _) in pairs() {
            ends[thing as usize + 1] += 1;
        }
        for at in 1..ends.len() {
            ends[at] += ends[at - 1];
        }
        let total = ends.last().copied().unwrap_or(0);
        let mut numbers = vec![0; total as usize];
        for (thing, number) in pairs() {
            let place = &mut ends[thing as usize];
            numbers[*place as usize] = number;
            *place += 1;
        }
        Self { ends, numbers }
    }

    fn get(&self, thing: u32) -> &[u32] {
        let thing = thing as usize;
        let before = thing
            .checked_sub(1)
            .and_then(|before| self.ends.get(before));
        let (start, end) = (before.copied().unwrap_or(0), self.ends.get(thing));
        let range = start as usize..end.copied().unwrap_or(start) as usize;
        self.numbers.get(range).unwrap_or_default()
    }
}
