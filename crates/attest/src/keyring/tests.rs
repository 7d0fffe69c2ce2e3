use proptest::prelude::*;

use super::*;
use crate::judge::{Times, Verdict};

fn key(name: &str, seed: u8) -> SecretKey {
    SecretKey::from_seed(name, &[seed; 32]).unwrap()
}

/// The second day of a month of 2026, at noon.
fn month(month: u8) -> Time {
    format!("2026-{month:02}-02T12:00:00Z").parse().unwrap()
}

fn revocation(at: u8, reason: RevocationReason) -> Revocation {
    Revocation {
        at: month(at),
        reason,
        recorded_at: month(at),
        note: None,
    }
}

fn judged(keyring: &Keyring, made: u8, existed_by: Option<u8>) -> String {
    let times = Times {
        now: month(12),
        existed_by: existed_by.map(month),
    };
    let entry = keyring.named("ci-1").unwrap();
    entry.judge(month(made), &times).to_string()
}

#[test]
fn no_name_stands_for_the_id_of_another() {
    let one = key("ci-1", 1);
    let id = KeyId::of(one.public()).to_string();
    let mut keyring = Keyring::default();
    keyring.add(one.public().clone(), month(1)).unwrap();
    for name in [id.clone(), id.to_uppercase(), "0".repeat(64)] {
        let other = key(&name, 2);
        let error = keyring.add(other.public().clone(), month(1)).unwrap_err();
        assert!(matches!(error, KeyringError::LooksLikeId(_)), "{error}");
    }
    keyring
        .add(key(&"0".repeat(63), 2).public().clone(), month(1))
        .unwrap();
    assert_eq!(keyring.named(&id).unwrap().key().name(), "ci-1");
    // Nor is a file read that has one.
    let json = String::from_utf8(keyring.to_json().unwrap()).unwrap();
    let json = json.replace(&"0".repeat(63), &"0".repeat(64));
    assert!(Keyring::read(json.as_bytes()).is_err());
}

#[test]
fn a_key_that_was_put_away_keeps_what_it_signed() {
    let (one, two) = (key("ci-1", 1), key("ci-2", 2));
    let mut keyring = Keyring::default();
    keyring.add(one.public().clone(), month(1)).unwrap();
    keyring
        .rotate(&one, two.public().clone(), month(5), month(6))
        .unwrap();
    assert_eq!(
        keyring.entries()[1].predecessor(),
        Some(KeyId::of(one.public()))
    );
    insta::assert_snapshot!([
        judged(&keyring, 1, None),
        judged(&keyring, 5, None),
        judged(&keyring, 6, None),
    ].join("\n"), @"
    valid: ci-1: the key was in force then, until 2026-06-02T12:00:00Z, and never in others' hands
    valid: ci-1: the key was in force then, until 2026-06-02T12:00:00Z, and never in others' hands
    not valid: ci-1: it says that it was made at 2026-06-02T12:00:00Z, and the key was in force until 2026-06-02T12:00:00Z
    ");
    let before = "2025-12-31T00:00:00Z".parse().unwrap();
    let times = Times {
        now: month(12),
        existed_by: None,
    };
    let judgement = keyring.entries()[0].judge(before, &times);
    assert_eq!(judgement.verdict, Verdict::NotValid);
    let future = keyring.entries()[1].judge("2027-01-01T00:00:00Z".parse().unwrap(), &times);
    assert_eq!(future.verdict, Verdict::Undecided);
}

#[test]
fn a_key_that_others_had_needs_a_trusted_time() {
    let mut keyring = Keyring::default();
    keyring
        .add(key("ci-1", 1).public().clone(), month(1))
        .unwrap();
    let compromised = revocation(6, RevocationReason::Compromised);
    keyring.revoke("ci-1", compromised.clone()).unwrap();
    insta::assert_snapshot!([
        judged(&keyring, 3, None),
        judged(&keyring, 3, Some(5)),
        judged(&keyring, 3, Some(7)),
        judged(&keyring, 7, None),
        judged(&keyring, 7, Some(5)),
    ].join("\n"), @"
    cannot be decided: ci-1: the key may have been in others' hands from 2026-06-02T12:00:00Z, and who has it can write any time; when it existed for certain is not known
    valid: ci-1: it existed by 2026-05-02T12:00:00Z, before the key was in others' hands (2026-06-02T12:00:00Z)
    cannot be decided: ci-1: the key may have been in others' hands from 2026-06-02T12:00:00Z, and who has it can write any time; it is known from 2026-07-02T12:00:00Z on only
    not valid: ci-1: it says that it was made at 2026-07-02T12:00:00Z, and the key was in force until 2026-06-02T12:00:00Z
    not valid: ci-1: it says that it was made at 2026-07-02T12:00:00Z, and the key was in force until 2026-06-02T12:00:00Z
    ");
    // A word that is milder takes nothing back; an earlier time counts.
    keyring
        .revoke("ci-1", revocation(8, RevocationReason::Retired))
        .unwrap();
    assert!(judged(&keyring, 3, None).starts_with("cannot be decided"));
    let earlier = Revocation {
        at: month(4),
        ..compromised
    };
    keyring.revoke("ci-1", earlier).unwrap();
    assert!(judged(&keyring, 3, Some(5)).starts_with("cannot be decided"));
    assert_eq!(keyring.entries()[0].revocations().len(), 3);
}

#[test]
fn others_cannot_hand_a_key_on() {
    let (one, two) = (key("ci-1", 1), key("ci-2", 2));
    let mut keyring = Keyring::default();
    keyring.add(one.public().clone(), month(1)).unwrap();
    keyring
        .revoke("ci-1", revocation(6, RevocationReason::Compromised))
        .unwrap();
    for at in [3, 7] {
        let error = keyring
            .rotate(&one, two.public().clone(), month(at), month(at + 1))
            .unwrap_err();
        assert!(matches!(
            error,
            KeyringError::HandedOnByOthers(_) | KeyringError::Ended { .. }
        ));
    }
}

#[test]
fn who_comes_after_a_stolen_key_is_in_doubt_until_added_anew() {
    let keys = [key("ci-1", 1), key("ci-2", 2), key("ci-3", 3)];
    let mut keyring = Keyring::default();
    keyring.add(keys[0].public().clone(), month(1)).unwrap();
    let first = keyring.clone();
    for (at, from) in [(0, 5), (1, 7)] {
        let new = keys[at + 1].public().clone();
        keyring
            .rotate(&keys[at], new, month(from), month(from + 1))
            .unwrap();
    }
    let times = Times {
        now: month(12),
        existed_by: Some(month(9)),
    };
    let verdicts = |keyring: &Keyring| {
        let entries = keyring.entries().iter();
        let made = [month(2), month(5), month(8)];
        let judged = entries.zip(made);
        let judged = judged.map(|(entry, made)| entry.judge(made, &times).verdict);
        judged.collect::<Vec<_>>()
    };
    assert_eq!(verdicts(&keyring), [Verdict::Valid; 3]);
    // Stolen after it handed on: what followed is what it was.
    let mut later = keyring.clone();
    later
        .revoke("ci-1", revocation(6, RevocationReason::Compromised))
        .unwrap();
    assert_eq!(
        verdicts(&later),
        [Verdict::Undecided, Verdict::Valid, Verdict::Valid]
    );
    // Stolen before, and known later.
    let before = keyring.clone();
    keyring
        .revoke("ci-1", revocation(4, RevocationReason::Compromised))
        .unwrap();
    assert_eq!(verdicts(&keyring), [Verdict::Undecided; 3]);
    insta::assert_snapshot!(keyring.entries()[2].judge(month(8), &times), @"cannot be decided: ci-3: others may have handed on to the key: ci-1 may have been in their hands from 2026-04-02T12:00:00Z");
    assert_eq!(Keyring::read(&keyring.to_json().unwrap()).unwrap(), keyring);
    keyring.follows(&before, month(12)).unwrap();
    assert!(before.follows(&keyring, month(12)).is_err());
    assert!(keyring.follows(&first, month(12)).is_err());
    // They hand on to nobody, neither here nor in a later edition.
    let next = key("ci-4", 4).public().clone();
    let error = keyring
        .rotate(&keys[2], next.clone(), month(9), month(10))
        .unwrap_err();
    assert!(matches!(error, KeyringError::Doubted(_)), "{error}");
    let mut forged = before.clone();
    forged.rotate(&keys[2], next, month(9), month(10)).unwrap();
    let mut known = keyring.clone();
    known.entries.push(forged.entries[3].clone());
    known.check().unwrap();
    let error = known.follows(&keyring, month(9)).unwrap_err();
    assert!(matches!(error, KeyringError::Doubted(_)), "{error}");
    // Who keeps it knows the second, and so the third, which that one signed.
    let doubted = keyring.clone();
    keyring.add(keys[1].public().clone(), month(11)).unwrap();
    assert_eq!(
        verdicts(&keyring),
        [Verdict::Undecided, Verdict::Valid, Verdict::Valid]
    );
    assert_eq!(keyring.entries()[1].valid_from(), month(5));
    assert!(keyring.add(keys[1].public().clone(), month(11)).is_err());
    assert!(keyring.add(keys[0].public().clone(), month(11)).is_err());
    // Others cannot say so, and nobody takes it back.
    let error = keyring.follows(&doubted, month(12)).unwrap_err();
    assert!(matches!(error, KeyringError::AddedAnew(_)), "{error}");
    let error = keyring.follows(&first, month(12)).unwrap_err();
    assert!(matches!(error, KeyringError::AddedAnew(_)), "{error}");
    let error = doubted.follows(&keyring, month(12)).unwrap_err();
    assert!(matches!(error, KeyringError::Changed(_)), "{error}");
    keyring.follows(&keyring, month(12)).unwrap();
    let mut reread = Keyring::read(&keyring.to_json().unwrap()).unwrap();
    assert_eq!(reread, keyring);
    // Stolen itself, it is no longer vouched for.
    reread
        .revoke("ci-2", revocation(6, RevocationReason::Compromised))
        .unwrap();
    assert_eq!(verdicts(&reread), [Verdict::Undecided; 3]);
}

#[test]
fn a_later_edition_only_grows() {
    let (one, two, stranger) = (key("ci-1", 1), key("ci-2", 2), key("x-1", 3));
    let mut earlier = Keyring::default();
    earlier.add(one.public().clone(), month(1)).unwrap();
    let mut later = earlier.clone();
    later
        .rotate(&one, two.public().clone(), month(5), month(6))
        .unwrap();
    let now = month(12);
    later.follows(&earlier, now).unwrap();
    later.follows(&later, now).unwrap();
    assert!(matches!(
        earlier.follows(&later, now),
        Err(KeyringError::Changed(_))
    ));
    assert!(matches!(
        Keyring::default().follows(&earlier, now),
        Err(KeyringError::Gone(_))
    ));
    let mut other = earlier.clone();
    other.add(stranger.public().clone(), month(2)).unwrap();
    assert!(matches!(
        other.follows(&earlier, now),
        Err(KeyringError::Unvouched(_))
    ));
    let mut revoked = later.clone();
    revoked
        .revoke("ci-1", revocation(6, RevocationReason::Compromised))
        .unwrap();
    revoked.follows(&later, now).unwrap();
    assert!(later.follows(&revoked, now).is_err());
    // Whoever stole the key cannot hand it on to those who know an earlier edition only.
    assert!(matches!(
        revoked.follows(&earlier, now),
        Err(KeyringError::HandedOnByOthers(_))
    ));
}

#[test]
fn a_key_that_was_put_away_hands_nothing_on() {
    let (one, evil, late) = (key("ci-1", 1), key("evil", 2), key("late", 3));
    let mut first = Keyring::default();
    first.add(one.public().clone(), month(1)).unwrap();
    let entry_by = |valid_from| {
        // Whoever has the key and an edition from before signs what he likes.
        let mut copy = first.clone();
        copy.rotate(
            &one,
            evil.public().clone(),
            month(valid_from),
            month(valid_from),
        )
        .unwrap();
        copy.entries[1].clone()
    };
    for reason in [RevocationReason::Retired, RevocationReason::Superseded] {
        let mut retired = first.clone();
        retired.revoke("ci-1", revocation(6, reason)).unwrap();
        // Also with a beginning that is written back, or before the end that was said.
        for (valid_from, now) in [(8, 9), (3, 9), (3, 5)] {
            let mut forged = retired.clone();
            forged.entries.push(entry_by(valid_from));
            let error = forged.follows(&retired, month(now)).unwrap_err();
            assert!(matches!(error, KeyringError::Ended { .. }), "{error}");
            // Nor by a key that it handed on to.
            let mut further = forged.clone();
            further
                .rotate(&evil, late.public().clone(), month(9), month(10))
                .unwrap();
            assert!(further.follows(&retired, month(now)).is_err());
        }
    }
    // Replaced, it has its time until the end of that.
    let mut replaced = first.clone();
    replaced
        .rotate(&one, late.public().clone(), month(5), month(6))
        .unwrap();
    let mut forged = replaced.clone();
    forged.entries.push(entry_by(3));
    assert!(forged.follows(&replaced, month(7)).is_err());
    forged.follows(&replaced, month(5)).unwrap();
    // Handed on in order and put away at once, by whoever keeps the keyring.
    let mut later = replaced.clone();
    later
        .revoke("ci-1", revocation(6, RevocationReason::Superseded))
        .unwrap();
    later.follows(&first, month(7)).unwrap();
}

#[test]
fn a_document_is_read_as_it_was_written_and_not_bent() {
    let (one, two) = (key("ci-1", 1), key("ci-2", 2));
    let mut keyring = Keyring::default();
    keyring.add(one.public().clone(), month(1)).unwrap();
    keyring
        .rotate(&one, two.public().clone(), month(5), month(6))
        .unwrap();
    keyring
        .revoke(
            "ci-1",
            Revocation {
                note: Some("laptop lost".into()),
                ..revocation(7, RevocationReason::Compromised)
            },
        )
        .unwrap();
    let json = keyring.to_json().unwrap();
    assert_eq!(Keyring::read(&json).unwrap(), keyring);
    let text = String::from_utf8(json).unwrap();
    let told = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        let error = Keyring::read(text.replacen(from, to, 1).as_bytes()).unwrap_err();
        let source = std::error::Error::source(&error);
        let source = source
            .map(|source| format!(": {source}"))
            .unwrap_or_default();
        format!("{error}{source}")
    };
    let mark = text.find("\"signature\": \"").unwrap() + 14;
    let signature = &text[mark..mark + 8];
    insta::assert_snapshot!([
        told("keyring/1", "keyring/2"),
        told("ci-2:", "ci-1:"),
        told("ci-2:", "ci-3:"),
        told(signature, "AAAAAAAA"),
        told("2026-05-02", "2026-05-03"),
        told("2026-06-02", "2025-06-02"),
        told("\"note\"", "\"scope\""),
        told("compromised", "lost"),
        told("2026-01-02T12:00:00Z", "2026-01-02"),
    ].join("\n"), @"
    it is `snowguard-keyring/2`, not `snowguard-keyring/1`
    the key ci-1, or its name, is in the keyring already
    the key ci-3 is not signed by the key that it takes over from
    the key ci-2 is not signed by the key that it takes over from
    the key ci-2 is not signed by the key that it takes over from
    the key ci-1 would end before it begins
    read the keyring at `keys[0].revocations[0].scope`: unknown field `scope`, expected one of `at`, `reason`, `recorded_at`, `note` at line 13 column 17
    read the keyring at `keys[0].revocations[0].reason`: unknown variant `lost`, expected one of `compromised`, `retired`, `superseded` at line 11 column 26
    read the keyring at `keys[0].valid_from`: not a time such as 2026-01-31T12:00:00Z at line 6 column 32
    ");
    assert!(Keyring::read(&vec![b' '; MAX_BYTES + 1]).is_err());
}

proptest! {
    /// A signature never gains by what is revoked.
    #[test]
    fn revocations_never_add_trust(
        at in 1_u8..12, made in 1_u8..12, existed in prop::option::of(1_u8..12),
        more in prop::collection::vec((1_u8..12, 0_u8..3), 0..4),
    ) {
        let mut keyring = Keyring::default();
        keyring.add(key("ci-1", 1).public().clone(), month(at)).unwrap();
        let times = Times { now: month(12), existed_by: existed.map(month) };
        let judge = |keyring: &Keyring| keyring.entries()[0].judge(month(made), &times).verdict;
        let mut before = judge(&keyring);
        for (at, reason) in more {
            let reason = [
                RevocationReason::Compromised, RevocationReason::Retired, RevocationReason::Superseded,
            ][usize::from(reason)];
            let earlier = keyring.clone();
            keyring.revoke("ci-1", revocation(at, reason)).unwrap();
            keyring.follows(&earlier, month(12)).unwrap();
            let now = judge(&keyring);
            prop_assert!(now <= before);
            before = now;
        }
    }
}
