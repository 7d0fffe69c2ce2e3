//! A compiled index, of any bytes and of bytes that were changed after they were written.
//!
//! Checksums would stop every change at the door, so they are made to fit again: what is left is what
//! an author with bad intent can write.
//!
//! An input is a number of changes, each of three bytes for a place and one to be put there; then
//! facts, one record a line. Without facts of its own, an input changes an index of [`RECORDS`].

#![no_main]

use libfuzzer_sys::fuzz_target;
use snowguard_advisory::index::{Builder, Index, SourceKind, reseal};
use snowguard_advisory::read::facts;

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
    let mut bytes = build(lines);
    for change in changes.chunks_exact(4) {
        let place = u32::from_le_bytes([change[0], change[1], change[2], 0]) as usize;
        let length = bytes.len();
        bytes[place % length] = change[3];
    }
    reseal(&mut bytes);
    match Index::open(&bytes) {
        Ok(index) => {
            let _ = snowguard_fuzz::walk(index).map_err(|corrupt| corrupt.to_string());
        }
        Err(error) => {
            let _ = error.to_string();
        }
    }
});

fn build(lines: &[u8]) -> Vec<u8> {
    let mut builder = Builder::new();
    let own = lines
        .split(|&byte| byte == b'\n')
        .filter_map(|line| facts::read(line).ok());
    let mut records: Vec<_> = own.collect();
    if records.is_empty() {
        records.extend(
            RECORDS
                .lines()
                .filter_map(|line| facts::read(line.as_bytes()).ok()),
        );
    }
    for record in records {
        builder.add("fuzz", SourceKind::Facts, record);
    }
    builder.finish().bytes
}
