//! The readers of archives, on any bytes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use snowguard_parts::Kind;

fuzz_target!(|bytes: &[u8]| {
    snowguard_fuzz::declared(Kind::Archive, "lib/a.jar", bytes);
    snowguard_fuzz::declared(Kind::Archive, "a-1.0-py3-none-any.whl", bytes);
});
