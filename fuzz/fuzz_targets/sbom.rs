//! The detector and every reader of `snowguard-formats`, on any bytes.
//!
//! What is read must also be checked, walked and written without a panic, and what is written must
//! be read back and written again as the same bytes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use snowguard_formats::cyclonedx::Bom;
use snowguard_formats::{Layout, Limits, csaf, detect, openvex, spdx};

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits {
        objects: 10_000,
        values: 40_000,
        ..Limits::default()
    };
    if let Err(error) = detect(bytes) {
        let _ = (error.to_string(), error.hint());
    }
    if let Ok(bom) = Bom::read(bytes, &limits) {
        assert!(bom.walk().count() >= bom.components.len());
        let _ = bom.problems();
        let json = bom.to_json(Layout::Compact).expect("memory takes it");
        let again = Bom::read(&json, &Limits::default()).expect("it was written here");
        assert_eq!(
            again.to_json(Layout::Compact).expect("memory takes it"),
            json
        );
        let mut sorted = bom;
        sorted.sort();
    }
    if let Ok(document) = spdx::Document::read(bytes, &limits) {
        let _ = document.problems();
        let _ = document.described();
        let edges = document
            .relationships
            .iter()
            .filter_map(spdx::Relationship::edge);
        let _ = edges.count();
        let json = document.to_json(Layout::Compact).expect("memory takes it");
        let again = spdx::Document::read(&json, &Limits::default()).expect("it was written here");
        assert_eq!(again.packages, document.packages);
        assert_eq!(again.relationships, document.relationships);
        assert_eq!(
            again.to_json(Layout::Compact).expect("memory takes it"),
            json
        );
    }
    if let Ok(document) = openvex::Document::read(bytes, &limits) {
        let _ = document.problems();
        let _ = document.chronological();
        let json = document.to_json(Layout::Pretty).expect("memory takes it");
        let again =
            openvex::Document::read(&json, &Limits::default()).expect("it was written here");
        assert_eq!(
            again.to_json(Layout::Pretty).expect("memory takes it"),
            json
        );
    }
    if let Ok(document) = csaf::Document::read(bytes, &limits) {
        let _ = document.statements();
    }
});
