//! Readers against files that other tools wrote. `tests/data/README.md` says where they are from.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a helper of a test fails the test"
)]

mod archives;
mod limits;
mod locks;
mod locks_javascript;
mod packages;
mod programs;

use std::fmt::Write as _;
use std::io::Read as _;

use flate2::read::GzDecoder;
use snowguard_parts::{HEAD, Limits, Part, Parts, Scope, Span, kind_of, read};

/// A file that was compressed to be small here.
fn unpack(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    GzDecoder::new(bytes).read_to_end(&mut out).unwrap();
    out
}

/// The bytes that a span names.
fn proof(file: &[u8], span: Span) -> &[u8] {
    let Span::Bytes(offset, length) = span else {
        panic!("no bytes: {span}");
    };
    let (offset, length) = (usize::try_from(offset), usize::try_from(length));
    &file[offset.unwrap()..][..length.unwrap()]
}

/// What a file declares.
fn declared(path: &str, bytes: &[u8]) -> Parts {
    let kind = kind_of(path, &bytes[..bytes.len().min(HEAD)]).expect("a kind");
    read(kind, path, bytes, &Limits::default()).expect("it can be read")
}

/// What a text declares.
fn text(path: &str, text: &str) -> String {
    table(&declared(path, text.as_bytes()))
}

/// The parts as a table to look at.
fn table(parts: &Parts) -> String {
    let mut out = String::new();
    for part in &parts.parts {
        out.push_str(&line(part));
        out.push('\n');
    }
    for problem in &parts.problems {
        let member = problem.place.member.as_deref();
        let member = member.map_or(String::new(), |member| format!("{member}, "));
        let (span, what) = (problem.place.span, &problem.what);
        writeln!(out, "problem: {member}{span}, {what}").unwrap();
    }
    out
}

fn line(part: &Part) -> String {
    let mut words = vec![
        part.name.to_string(),
        part.package.to_string(),
        part.version.to_string(),
    ];
    if part.scope != Scope::Unknown {
        words.push(part.scope.as_str().to_owned());
    }
    if part.root {
        words.push("root".to_owned());
    }
    if !part.origin.is_registry() {
        words.push(format!("{:?}", part.origin));
    }
    if let Some(replaced) = &part.replaces {
        words.push(format!("for {replaced}"));
    }
    if let Some(checksum) = &part.checksum {
        words.push(checksum.to_string());
    }
    if let Some(member) = &part.place.member {
        words.push(format!("in {member}"));
    }
    if part.place.span != Span::Whole {
        words.push(part.place.span.to_string());
    }
    words.join(" | ")
}
