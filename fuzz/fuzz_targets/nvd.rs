//! The reader of NVD 2.0 items and feeds, on any bytes; then the index, on what was read.

#![no_main]

use libfuzzer_sys::fuzz_target;
use snowguard_advisory::read::Format;

fuzz_target!(|bytes: &[u8]| snowguard_fuzz::read(Format::Nvd, bytes));
