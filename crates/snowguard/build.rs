//! Compiles the facts under `data/advisories` into the embedded index.
#![allow(
    clippy::disallowed_methods,
    reason = "a build script reads the tree and writes its output directory"
)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a build that cannot go on must stop"
)]

use std::path::Path;

use snowguard_advisory::index::{Builder, SourceKind};
use snowguard_advisory::read::facts;

fn main() {
    // As it is when this runs: the program may have been compiled where the tree lay before.
    let package = std::env::var_os("CARGO_MANIFEST_DIR").expect("the directory of the package");
    let root = Path::new(&package).join("../../data/advisories");
    println!("cargo::rerun-if-changed={}", root.display());
    let mut files: Vec<_> = std::fs::read_dir(&root)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}", root.display()))
        .map(|entry| entry.expect("a readable entry").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "jsonl")
        })
        .collect();
    files.sort();
    let mut builder = Builder::new();
    for path in files {
        let name = path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .expect("a readable name")
            .to_owned();
        let text = std::fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
        for (at, line) in text.lines().enumerate() {
            let record = facts::read(line.as_bytes())
                .unwrap_or_else(|error| panic!("{}, line {}: {error:?}", path.display(), at + 1));
            builder.add(&name, SourceKind::Facts, record);
        }
    }
    let out =
        Path::new(&std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("embedded.idx");
    std::fs::write(&out, builder.finish().bytes).expect("cargo's output directory is writable");
}
