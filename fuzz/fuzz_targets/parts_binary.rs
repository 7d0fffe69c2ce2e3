//! The readers of programs, on any bytes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use snowguard_parts::Kind;

fuzz_target!(|bytes: &[u8]| snowguard_fuzz::declared(Kind::Executable, "bin/program", bytes));
