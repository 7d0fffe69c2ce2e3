//! Zips: what is read is a tree that has a NAR.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use snowguard_archive::{Memory, read_zip};

fuzz_target!(|bytes: &[u8]| {
    let limits = snowguard_fuzz::archive_limits();
    let Ok(mut tree) = read_zip(Cursor::new(bytes), Memory::default(), &limits) else {
        return;
    };
    assert_eq!(tree.replaced().count, 0);
    snowguard_fuzz::unpacked(&mut tree);
});
