//! Tars, packed in any way: what is read is a tree that has a NAR.
#![no_main]

use libfuzzer_sys::fuzz_target;
use snowguard_archive::{Memory, read_tar};

fuzz_target!(|bytes: &[u8]| {
    let limits = snowguard_fuzz::archive_limits();
    let Ok(mut tree) = read_tar(bytes, Memory::default(), &limits) else {
        return;
    };
    snowguard_fuzz::unpacked(&mut tree);
});
