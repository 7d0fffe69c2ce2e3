//! The formats from outside: documents of others in, documents of ours out and against their
//! published schemas, hostile bytes, and round trips over generated values.

#![expect(
    clippy::disallowed_methods,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests read their own documents from tests/data, and fail by panicking"
)]

mod atom;
mod csaf;
mod cyclonedx;
mod detect;
mod generated;
mod hostile;
mod openvex;
mod osv;
mod sarif;
mod spdx;

use std::path::Path;

use snowguard_formats::Problem;

/// The bytes of a document under `tests/data`.
fn data(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// An error with all its sources, as a face would print it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str("\n  ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

/// Problems, one a line.
fn lines(problems: &[Problem]) -> String {
    let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
    lines.join("\n")
}
