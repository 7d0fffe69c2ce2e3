//! Signed statements and keyrings, as whoever verifies reads them.
//!
//! A statement that is read has one form only, and a keyring that is read is written and read as the same.
//! Nothing of a payload is believed, whatever keys the keyring has.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use snowguard_attest::{Keyring, Statement, Time, Times, Verdict, read_unverified, verify};
use snowguard_formats::Layout;
use snowguard_formats::dsse::{Envelope, INTOTO, Signature};

static KEYRING: LazyLock<Keyring> = LazyLock::new(|| {
    let json = include_bytes!("../../crates/attest/tests/vectors/keyring.json");
    Keyring::read(json).expect("it is a keyring")
});
const VECTOR: &[u8] = include_bytes!("../../crates/attest/tests/vectors/envelope.json");

fn times() -> Times {
    let time = |text: &str| text.parse::<Time>().expect("a time");
    Times {
        now: time("2026-06-01T00:00:00Z"),
        existed_by: Some(time("2026-01-31T18:00:00Z")),
    }
}

fuzz_target!(|bytes: &[u8]| {
    for statement in [Statement::read(bytes), Statement::read_loosely(bytes)]
        .into_iter()
        .flatten()
    {
        let written = statement.to_bytes().expect("what is read may be written");
        assert_eq!(
            Statement::read(&written).expect("it was written here"),
            statement
        );
    }
    if let Ok(keyring) = Keyring::read(bytes) {
        let json = keyring.to_json().expect("memory takes it");
        assert_eq!(Keyring::read(&json).expect("it was written here"), keyring);
        keyring
            .follows(&keyring, times().now)
            .expect("nothing has changed");
        let _ = verify(VECTOR, &keyring, &times());
    }
    if let Ok(verification) = verify(bytes, &KEYRING, &times()) {
        // The keys are those of the vectors: only their one statement is signed.
        if verification.verdict() != Verdict::NotValid || verification.statement.is_some() {
            let (vector, _) = read_unverified(VECTOR).expect("it is a vector");
            assert_eq!(verification.statement, Some(vector));
        }
    }
    // The input as the payload of an envelope that nobody signed.
    let envelope = Envelope {
        payload_type: INTOTO.into(),
        payload: bytes.to_vec(),
        signatures: vec![Signature {
            key_id: Some("ci-1".into()),
            bytes: vec![7; 64],
        }],
    };
    let json = envelope.to_json(Layout::Compact).expect("memory takes it");
    if let Ok(verification) = verify(&json, &KEYRING, &times()) {
        assert_eq!(verification.verdict(), Verdict::NotValid);
        assert_eq!(verification.statement, None);
    }
});
