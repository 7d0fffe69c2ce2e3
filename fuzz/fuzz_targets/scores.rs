//! The readers of what only scores and flags: EPSS and KEV.

#![no_main]

use libfuzzer_sys::fuzz_target;
use snowguard_advisory::read::Format;

fuzz_target!(|bytes: &[u8]| {
    snowguard_fuzz::read(Format::Epss, bytes);
    snowguard_fuzz::read(Format::Kev, bytes);
});
