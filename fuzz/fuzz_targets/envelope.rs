//! Signed envelopes and the statements in them, as whoever receives results reads them.
//!
//! What is read must be written and read back as the same value, and the bytes that are signed must tell
//! type and payload apart.

#![no_main]

use libfuzzer_sys::fuzz_target;
use snowguard_formats::dsse::{Envelope, pae};
use snowguard_formats::intoto::Statement;
use snowguard_formats::{Layout, Limits};

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits {
        objects: 10_000,
        values: 40_000,
        ..Limits::default()
    };
    let statement = |bytes: &[u8]| {
        if let Ok(statement) = Statement::read(bytes, &limits) {
            let json = statement.to_json(Layout::Compact).expect("memory takes it");
            let again = Statement::read(&json, &Limits::default()).expect("it was written here");
            assert_eq!(again, statement);
        }
    };
    statement(bytes);
    if let Ok(envelope) = Envelope::read(bytes, &limits) {
        let json = envelope.to_json(Layout::Pretty).expect("memory takes it");
        let again = Envelope::read(&json, &Limits::default()).expect("it was written here");
        assert_eq!(again, envelope);
        let encoded = envelope.pae();
        assert!(encoded.starts_with(b"DSSEv1 ") && encoded.ends_with(&envelope.payload));
        assert_ne!(
            encoded,
            pae(&format!("{} ", envelope.payload_type), &envelope.payload)
        );
        statement(&envelope.payload);
    }
});
