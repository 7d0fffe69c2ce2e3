//! The readers of what packages say about themselves, on any bytes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use snowguard_parts::Kind;

/// The first byte says which; `A` is the first.
const KINDS: [Kind; 5] = [
    Kind::PythonMetadata,
    Kind::NpmPackage,
    Kind::Gemspec,
    Kind::DotnetDeps,
    Kind::Sbom,
];

fuzz_target!(|bytes: &[u8]| {
    let Some((first, text)) = bytes.split_first() else {
        return;
    };
    let kind = KINDS[usize::from(first.wrapping_sub(b'A')) % KINDS.len()];
    snowguard_fuzz::declared(kind, "", text);
});
