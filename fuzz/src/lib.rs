//! What several targets do with what they have read.

use std::error::Error as _;

use snowguard_advisory::index::{Builder, Corrupt, Index, Key, SourceKind};
use snowguard_advisory::order::Version;
use snowguard_advisory::range::judge;
use snowguard_advisory::read::{Format, ReadError, With, facts};
use snowguard_advisory::record::Record;
use snowguard_advisory::severity::Severity;
use snowguard_advisory::texts::Texts;
use snowguard_parts::{Kind, Limits, Part, Parts, Span};

/// Versions of every kind that the orders tell apart.
const VERSIONS: [&str; 6] = [
    "1.2.3",
    "8.2p1",
    "1.0.2za",
    "2.0.0-rc.1+build",
    "1.2-unstable-2020-01-31",
    "2019-12-08",
];

/// Reads a document, and does with every record what the product does with it: judges versions,
/// writes it as facts and reads it back, compiles an index and walks it.
pub fn read(format: Format, document: &[u8]) {
    let mut records = Vec::new();
    format.read(document, &mut |outcome| match outcome {
        Ok(record) => records.push(record),
        Err(error) => show(&error),
    });
    // With texts the same is read, and texts beside.
    let mut told = records.iter();
    format.read_with(With::Texts, document, &mut |outcome| {
        if let Ok(mut record) = outcome {
            if let Some(texts) = record.texts.take() {
                assert!(texts.references.len() <= Texts::MAX_REFERENCES);
            }
            assert_eq!(Some(&record), told.next());
        }
    });
    if let Err(error) = Format::detect(document) {
        show(&error);
    }
    records.iter().for_each(round_trip);
    compile(records);
}

fn show(error: &ReadError) {
    let _ = error.to_string();
    let _ = error.source().map(ToString::to_string);
}

/// What a record says must survive being written as facts.
fn round_trip(record: &Record) {
    let line = facts::write(record).expect("memory takes it");
    assert!(!line.contains('\n'), "facts are lines");
    let again = facts::read(line.as_bytes()).expect("it was written here");
    let facts_only = Record {
        summary: None,
        ..record.clone()
    };
    assert_eq!(again, facts_only);
}

/// Compiles records into an index: the same one in whatever order, and one without contradictions.
fn compile(records: Vec<Record>) {
    let build = |records: &mut dyn Iterator<Item = &Record>| {
        let mut builder = Builder::new();
        for record in records {
            builder.add("fuzz", SourceKind::Facts, record.clone());
        }
        builder.finish().bytes
    };
    let bytes = build(&mut records.iter());
    let index = Index::open(&bytes).expect("it was written here");
    walk(index).expect("it was written here");
    for product in records
        .iter()
        .flat_map(|record| &record.affects)
        .flat_map(|affected| &affected.products)
    {
        let found = index.lookup(Key::of(product)).expect("it was written here");
        let _ = found.size_hint();
    }
}

/// Reads everything that is in an index, as far as it does not contradict itself.
pub fn walk(index: Index<'_>) -> Result<(), Corrupt> {
    let sources = index.sources()?;
    let _ = (index.newest_date()?, index.key_count(), sources.len());
    for id in index.vulnerabilities() {
        let name = index.id_of(id)?;
        let vulnerability = index.vulnerability(id)?;
        let _ = vulnerability.severity().map(Severity::score);
        let _ = (index.find(name)?, index.ids_beginning_with(name, 3)?);
        for entry in vulnerability.entries {
            let entry = index.entry(entry)?;
            for product in entry.products.clone().chain(entry.only_with.clone()) {
                let _ = product.to_string();
            }
            for version in VERSIONS {
                let version = Version::new(version);
                let _ = judge(version, entry.scheme, entry.default, entry.rules.clone());
            }
            for rule in entry.rules {
                let _ = rule.span.to_string();
            }
        }
    }
    Ok(())
}

/// Reads what a file declares, and looks at it as the product does: proofs lie in the file, and parts
/// survive being kept in a cache.
pub fn declared(kind: Kind, path: &str, file: &[u8]) {
    let limits = Limits {
        text: 1 << 20,
        members: 1000,
        unpacked: 4 << 20,
        asked: 4 << 20,
        nesting: 3,
        parts: 1000,
    };
    let parts = match snowguard_parts::read(kind, path, file, &limits) {
        Ok(parts) => parts,
        Err(error) => {
            let _ = error.to_string();
            return;
        }
    };
    assert!(parts.parts.len() <= limits.parts);
    for part in &parts.parts {
        check(part, file);
    }
    let cached = serde_json::to_vec(&parts).expect("memory takes it");
    let again: Parts = serde_json::from_slice(&cached).expect("it was written here");
    assert_eq!(again, parts);
}

fn check(part: &Part, file: &[u8]) {
    assert!(!part.version.is_empty());
    assert!(part.purl().starts_with("pkg:"));
    let _ = part.advisory_version();
    if part.place.member.is_some() {
        return;
    }
    match part.place.span {
        Span::Bytes(offset, length) => {
            let end = offset.checked_add(length).expect("it was read");
            assert!(end <= file.len() as u64, "the proof is in the file");
        }
        Span::Line(line) => {
            let lines = file.iter().filter(|byte| **byte == b'\n').count() + 1;
            assert!((1..=lines).contains(&(line as usize)), "the line is there");
        }
        Span::Whole => {}
    }
}

/// Limits for archives that are read again and again.
pub fn archive_limits() -> snowguard_archive::Limits {
    snowguard_archive::Limits {
        bytes: 1 << 20,
        entries: 1000,
        window: 1 << 20,
        ..snowguard_archive::Limits::default()
    }
}

/// A tree that was unpacked has a NAR, and the NAR has what the tree's list has.
pub fn unpacked(tree: &mut snowguard_archive::Tree<snowguard_archive::Memory>) {
    use snowguard_store::nar::{NarEvent, NarReader};

    let nar = tree.write_nar(Vec::new()).expect("a tree has a NAR");
    let mut reader = NarReader::new(&nar[..]).expect("it is one");
    let mut count = 0;
    while let Some(event) = reader.next().expect("it is one") {
        count += usize::from(!matches!(event, NarEvent::DirectoryEnd));
    }
    reader.end().expect("it ends");
    let members = tree.members().expect("a tree has a list");
    // The root is not in it.
    assert_eq!(count, members.len() + 1);
    tree.swhid().expect("a tree has an identifier");
}
