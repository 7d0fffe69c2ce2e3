//! A compiled index, of any bytes and of bytes that were changed after they were written.
//!
//! Checksums would stop every change at the door, so they are made to fit again: what is left is what
//! an author with bad intent can write.
//!
//! An input is a number of changes, each of three bytes for a place and one to be put there; then
//! facts, one record a line. Without facts of its own, an input changes an index of [`RECORDS`].
//!
//! The same changes are then made to a delta in which every second record is said anew, read over a
//! base that is whole, and to the base below a delta that is whole.

#![no_main]

use libfuzzer_sys::fuzz_target;
use snowguard_advisory::index::{Builder, Index, SourceKind, Touched, reseal};
use snowguard_advisory::read::facts;
use snowguard_advisory::record::Record;

/// One record with all that a record can have.
const RECORDS: &str = include_str!("../corpus/facts/everything.json");

fuzz_target!(|input: &[u8]| {
    if let Ok(index) = Index::open(input) {
        let _ = snowguard_fuzz::walk(index);
    }
    let Some((&count, rest)) = input.split_first() else {
        return;
    };
    let (changes, lines) = rest.split_at(rest.len().min(4 * usize::from(count)));
    let records = records(lines);
    let base = builder(&records).finish().bytes;
    let delta = delta(&base, &records);
    let joined = Index::open_with_delta(&base, &delta).expect("both were written here");
    snowguard_fuzz::walk(joined).expect("both were written here");
    let changed = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        let length = bytes.len();
        for change in changes.chunks_exact(4) {
            let place = u32::from_le_bytes([change[0], change[1], change[2], 0]) as usize;
            bytes[place % length] = change[3];
        }
        reseal(&mut bytes);
        bytes
    };
    let other = changed(&base);
    show(Index::open(&other));
    // The digest of a base is that of its table: what changes nothing there goes with the delta.
    show(Index::open_with_delta(&other, &delta));
    show(Index::open_with_delta(&base, &changed(&delta)));
});

fn show(opened: Result<Index<'_>, snowguard_advisory::index::OpenError>) {
    match opened {
        Ok(index) => {
            let _ = snowguard_fuzz::walk(index).map_err(|corrupt| corrupt.to_string());
        }
        Err(error) => {
            let _ = error.to_string();
        }
    }
}

fn records(lines: &[u8]) -> Vec<Record> {
    let read = |lines: &[u8]| {
        lines
            .split(|&byte| byte == b'\n')
            .filter_map(|line| facts::read(line).ok())
            .collect::<Vec<_>>()
    };
    let own = read(lines);
    if own.is_empty() {
        read(RECORDS.as_bytes())
    } else {
        own
    }
}

fn builder(records: &[Record]) -> Builder {
    let mut builder = Builder::new();
    for record in records {
        builder.add("fuzz", SourceKind::Facts, record.clone());
    }
    builder
}

fn delta(base: &[u8], records: &[Record]) -> Vec<u8> {
    let sources = Index::open(base)
        .and_then(|index| {
            let corrupt = snowguard_advisory::index::OpenError::NotAnIndex;
            index.sources().map_err(|_| corrupt)
        })
        .expect("it was written here");
    let mut touched = Touched::new();
    records
        .iter()
        .step_by(2)
        .for_each(|record| touched.note(record));
    // Of records that link, all are handed over: those of other groups do no harm.
    builder(records)
        .finish_delta(base, &touched, &sources)
        .expect("the base was written here")
        .bytes
}
