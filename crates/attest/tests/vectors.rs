//! What an independent program made (`vectors/README.md`) is read, verified, and made alike.
#![expect(clippy::unwrap_used, reason = "tests fail where they cannot go on")]

use std::collections::BTreeMap;

use snowguard_attest::{KeyId, Keyring, Statement, Time, Times, Verdict, sign, verify};
use snowguard_formats::Limits;
use snowguard_formats::dsse::Envelope;
use snowguard_store::{PublicKey, SecretKey};

const KEYS: &str = include_str!("vectors/keys.json");
const STATEMENT: &[u8] = include_bytes!("vectors/statement.json");
const ENVELOPE: &[u8] = include_bytes!("vectors/envelope.json");
const KEYRING: &[u8] = include_bytes!("vectors/keyring.json");
const DOUBTED: &[u8] = include_bytes!("vectors/keyring-doubted.json");
const ADDED_ANEW: &[u8] = include_bytes!("vectors/keyring-added-anew.json");

fn keys() -> BTreeMap<String, (PublicKey, SecretKey)> {
    let keys: BTreeMap<String, (PublicKey, String)> = serde_json::from_str(KEYS).unwrap();
    keys.into_iter()
        .map(|(id, (public, secret))| (id, (public, secret.parse().unwrap())))
        .collect()
}

fn secret(keys: &BTreeMap<String, (PublicKey, SecretKey)>, name: &str) -> SecretKey {
    let (_, key) = keys.values().find(|(key, _)| key.name() == name).unwrap();
    key.to_text().parse().unwrap()
}

fn time(text: &str) -> Time {
    text.parse().unwrap()
}

#[test]
fn ids_of_keys() {
    for (id, (public, secret)) in keys() {
        assert_eq!(KeyId::of(&public).to_string(), id);
        assert_eq!(secret.public(), &public);
    }
}

#[test]
fn the_statement_has_these_bytes() {
    let statement = Statement::read(STATEMENT).unwrap();
    assert_eq!(statement.to_bytes().unwrap(), STATEMENT);
}

#[test]
fn the_envelope_has_these_signatures() {
    let keys = keys();
    let statement = Statement::read(STATEMENT).unwrap();
    let (one, two) = (secret(&keys, "ci-1"), secret(&keys, "ci-2"));
    let envelope = Envelope::read(ENVELOPE, &Limits::default()).unwrap();
    assert_eq!(sign(&statement, &[&one, &two]).unwrap(), envelope);
}

#[test]
fn the_keyring_is_what_rotation_and_revocation_make() {
    let keys = keys();
    let read = Keyring::read(KEYRING).unwrap();
    let mut made = Keyring::default();
    let one = secret(&keys, "ci-1");
    made.add(one.public().clone(), time("2026-01-01T00:00:00Z"))
        .unwrap();
    let two = secret(&keys, "ci-2").public().clone();
    let (from, until) = (time("2026-01-15T00:00:00Z"), time("2026-02-15T00:00:00Z"));
    made.rotate(&one, two, from, until).unwrap();
    let revocation = read.entries()[0].revocations()[0].clone();
    made.revoke("ci-1", revocation).unwrap();
    assert_eq!(made, read);
    assert_eq!(made.to_json().unwrap(), KEYRING);
}

#[test]
fn the_first_key_was_lost_and_the_second_was_not() {
    let keyring = Keyring::read(KEYRING).unwrap();
    let verdicts = |existed_by: Option<&str>| {
        let times = Times {
            now: time("2026-06-01T00:00:00Z"),
            existed_by: existed_by.map(time),
        };
        let verified = verify(ENVELOPE, &keyring, &times).unwrap();
        assert_eq!(verified.verdict(), Verdict::Valid);
        let judged = verified.judgements.iter();
        judged.map(|judged| judged.verdict).collect::<Vec<_>>()
    };
    assert_eq!(verdicts(None), [Verdict::Undecided, Verdict::Valid]);
    let before = Some("2026-01-31T18:00:00Z");
    assert_eq!(verdicts(before), [Verdict::Valid, Verdict::Valid]);
    let after = Some("2026-02-02T00:00:00Z");
    assert_eq!(verdicts(after), [Verdict::Undecided, Verdict::Valid]);
}

#[test]
fn the_first_key_was_lost_before_it_handed_on() {
    let times = Times {
        now: time("2026-06-01T00:00:00Z"),
        existed_by: Some(time("2026-02-02T00:00:00Z")),
    };
    let verdicts = |keyring: &[u8]| {
        let verified = verify(ENVELOPE, &Keyring::read(keyring).unwrap(), &times).unwrap();
        let judged = verified.judgements.iter();
        judged.map(|judged| judged.verdict).collect::<Vec<_>>()
    };
    assert_eq!(verdicts(DOUBTED), [Verdict::NotValid, Verdict::Undecided]);
    assert_eq!(verdicts(ADDED_ANEW), [Verdict::NotValid, Verdict::Valid]);
    let mut made = Keyring::read(DOUBTED).unwrap();
    let two = secret(&keys(), "ci-2").public().clone();
    made.add(two, time("2026-03-01T00:00:00Z")).unwrap();
    assert_eq!(made.to_json().unwrap(), ADDED_ANEW);
}
