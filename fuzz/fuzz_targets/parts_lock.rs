//! The readers of lock files, on any bytes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use snowguard_parts::Kind;

/// The first byte says which; `A` is the first.
const KINDS: [Kind; 14] = [
    Kind::CargoLock,
    Kind::GoMod,
    Kind::GoSum,
    Kind::GoVendor,
    Kind::NpmLock,
    Kind::YarnLock,
    Kind::PnpmLock,
    Kind::ComposerLock,
    Kind::ComposerInstalled,
    Kind::GemfileLock,
    Kind::PoetryLock,
    Kind::UvLock,
    Kind::PipfileLock,
    Kind::Requirements,
];

fuzz_target!(|bytes: &[u8]| {
    let Some((first, text)) = bytes.split_first() else {
        return;
    };
    let kind = KINDS[usize::from(first.wrapping_sub(b'A')) % KINDS.len()];
    snowguard_fuzz::declared(kind, "", text);
});
