//! The small documents by which feeds say what is new: GitHub's list of releases, NVD's `.meta`, OSV's
//! `modified_id.csv`, and the head of an EPSS file.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| snowguard_feeds::feed::try_lists(bytes));
