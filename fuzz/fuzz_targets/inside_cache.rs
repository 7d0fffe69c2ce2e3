//! The rows of the cache of what was found inside files, on any bytes: what is read of one is written and
//! read as the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use snowguard_sources::rewrite_cached;

fuzz_target!(|bytes: &[u8]| {
    let Some(written) = rewrite_cached(bytes) else {
        return;
    };
    assert_eq!(rewrite_cached(&written), Some(written));
});
