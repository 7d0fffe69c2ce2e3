//! The document of a tracker, as a scan reads it: what is read is written and read as the same, and each
//! decision is found by each of its names.
#![no_main]

use libfuzzer_sys::fuzz_target;
use snowguard_matching::triage::Document;

fuzz_target!(|json: &[u8]| {
    let Ok(document) = Document::read(json) else {
        return;
    };
    let written = document.to_json().expect("it is written");
    let again = Document::read(&written).expect("what is written is read");
    assert_eq!(again, document);
    assert_eq!(again.to_json().expect("it is written"), written);
    for decided in document.decisions() {
        for name in decided.names() {
            let found = document.about(&decided.package, &[name]);
            assert!(found.is_some_and(|found| found.names().any(|known| known == name)));
        }
    }
});
