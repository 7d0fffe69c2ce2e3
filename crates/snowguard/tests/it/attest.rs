//! `snowguard attest`: statements, keys and keyrings, as people use them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use crate::support::{Place, Run};

/// What an independent program made: `crates/attest/tests/vectors/README.md`.
const STATEMENT: &str = include_str!("../../../attest/tests/vectors/statement.json");
const ENVELOPE: &str = include_str!("../../../attest/tests/vectors/envelope.json");
const KEYRING: &str = include_str!("../../../attest/tests/vectors/keyring.json");

fn place() -> Place {
    let place = Place::new();
    place
        .write("statement.json", STATEMENT)
        .write("envelope.json", ENVELOPE)
        .write("keyring.json", KEYRING);
    place
}

fn key(place: &Place, args: &[&str]) -> Run {
    place.run(&[&["attest", "key"], args].concat())
}

fn sign(place: &Place, name: &str) {
    place
        .run(&[
            "attest",
            "sign",
            "statement.json",
            "--key",
            name,
            "--output",
            "signed.json",
        ])
        .exits(0);
}

fn verify(place: &Place, keyring: &str) -> Run {
    place.run(&["attest", "verify", "signed.json", "--keyring", keyring])
}

#[test]
fn a_vector_is_verified_and_shown() {
    let place = place();
    let run = place.run(&[
        "attest",
        "verify",
        "envelope.json",
        "--keyring",
        "keyring.json",
    ]);
    run.exits(0);
    insta::assert_snapshot!(run.stdout);
    let run = place.run(&["attest", "show", "envelope.json"]);
    run.exits(0);
    assert_eq!(
        run.stderr,
        "warning: the signature was not checked\nhint: `snowguard attest verify --keyring FILE` checks it\n"
    );
    let run = place.run(&["attest", "show", "statement.json", "--format", "json"]);
    run.exits(0);
    assert_eq!(
        serde_json::from_str::<Value>(&run.stdout).unwrap(),
        serde_json::from_str::<Value>(STATEMENT).unwrap()
    );
    let run = key(&place, &["show", "--keyring", "keyring.json"]);
    run.exits(0);
    insta::assert_snapshot!(run.stdout);
}

#[test]
fn a_key_hands_on_and_is_revoked_and_what_it_signed_is_told_apart() {
    let place = place();
    let run = key(&place, &["new", "a-1", "--keyring", "ours.json"]);
    run.exits(0);
    assert!(run.stdout.starts_with("a-1:"), "{run}");
    let keys = place.work().join("../home/.local/share/snowguard/keys");
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&keys), 0o700);
    assert_eq!(mode(&keys.join("a-1.secret")), 0o600);
    let first = fs::read(place.path("ours.json")).unwrap();
    let made = |text: &str| {
        place.write(
            "statement.json",
            STATEMENT.replace("2026-01-31T12:00:00Z", text),
        )
    };

    // Before the key was there; the statement of the vectors has a time of its own.
    made("2020-01-01T00:00:00Z");
    sign(&place, "a-1");
    let run = verify(&place, "ours.json");
    run.exits(1);
    assert!(run.stdout.starts_with("not valid: a-1\n"), "{run}");
    let ring: Value = serde_json::from_slice(&first).unwrap();
    let from = ring["keys"][0]["valid_from"].as_str().unwrap().to_owned();
    made(&from);
    sign(&place, "a-1");
    verify(&place, "ours.json").exits(0);

    let until = "2099-01-01T00:00:00Z";
    let run = key(
        &place,
        &[
            "rotate",
            "a-1",
            "a-2",
            "--keyring",
            "ours.json",
            "--until",
            until,
        ],
    );
    run.exits(0);
    verify(&place, "ours.json").exits(0);
    place.write("first.json", &first);
    key(&place, &["accept", "ours.json", "--keyring", "first.json"]).exits(0);
    assert_eq!(
        fs::read(place.path("first.json")).unwrap(),
        fs::read(place.path("ours.json")).unwrap()
    );

    let revoke = [
        "revoke",
        "a-1",
        "--keyring",
        "ours.json",
        "--reason",
        "compromised",
        "--at",
        until,
    ];
    let run = key(
        &place,
        &[&revoke[..], &["--note", "a laptop was lost"]].concat(),
    );
    run.exits(0);
    assert!(
        run.stdout
            .contains("compromised from 2099-01-01T00:00:00Z: a laptop was lost"),
        "{run}"
    );
    let run = verify(&place, "ours.json");
    run.exits(1);
    assert!(run.stdout.starts_with("cannot be decided: a-1\n"), "{run}");
    assert!(run.stderr.contains("--existed-by"), "{run}");
    let known = [
        "attest",
        "verify",
        "signed.json",
        "--keyring",
        "ours.json",
        "--existed-by",
        &from,
    ];
    place.run(&known).exits(0);
    let run = place.run(&[&known[..], &["--format", "json"]].concat());
    let document: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(document["verdict"], "valid");
    assert_eq!(document["signatures"][0]["name"], "a-1");
    // The one before does not follow from the one after.
    key(&place, &["accept", "first.json", "--keyring", "ours.json"])
        .fails_with("takes back what was said");
}

#[test]
fn who_took_over_from_a_stolen_key_is_in_doubt_until_added_anew() {
    let place = place();
    let ring = ["--keyring", "ours.json"];
    let ours = |args: &[&str]| key(&place, &[args, &ring[..]].concat());
    let from = |at: usize| {
        let text = fs::read(place.path("ours.json")).unwrap();
        let ring: Value = serde_json::from_slice(&text).unwrap();
        ring["keys"][at]["valid_from"].as_str().unwrap().to_owned()
    };
    ours(&["new", "a-1"]).exits(0);
    ours(&["rotate", "a-1", "a-2", "--until", "2099-01-01T00:00:00Z"]).exits(0);
    let statement = STATEMENT.replace("2026-01-31T12:00:00Z", &from(1));
    place.write("statement.json", statement);
    sign(&place, "a-2");
    verify(&place, "ours.json").exits(0);
    let lost = ["revoke", "a-1", "--reason", "compromised", "--at"];
    ours(&[&lost[..], &[&from(0)]].concat()).exits(0);
    let run = verify(&place, "ours.json");
    run.exits(1);
    assert!(run.stdout.starts_with("cannot be decided: a-2\n"), "{run}");
    assert!(run.stdout.contains("others may have handed on"), "{run}");
    let public = key(&place, &["show", "a-2"]).exits(0).stdout.clone();
    place.write("before.json", fs::read(place.path("ours.json")).unwrap());
    let run = ours(&["add", &public]);
    run.exits(0);
    assert!(run.stdout.starts_with("a-2  in force\n"), "{run}");
    assert!(run.stdout.contains("added anew at"), "{run}");
    verify(&place, "ours.json").exits(0);
    ours(&["add", &public]).fails_with("is in the keyring already");
    key(&place, &["accept", "ours.json", "--keyring", "before.json"])
        .fails_with("whoever handed on to it");
    ours(&["add", "a-3"]).fails_with("");
    // A keyring that is not there is made.
    key(&place, &["add", &public, "--keyring", "other.json"]).exits(0);
    key(&place, &["show", "a-2", "--keyring", "other.json"]).exits(0);
}

#[test]
fn what_does_not_hold_is_told_with_its_remedy() {
    let place = place();
    let ours = place.path("keys");
    let ours = ours.to_str().unwrap();
    key(
        &place,
        &["new", "a-1", "--keys", ours, "--keyring", "ours.json"],
    )
    .exits(0);
    let mut runs = vec![
        key(
            &place,
            &["new", "a-1", "--keys", ours, "--keyring", "ours.json"],
        ),
        key(&place, &["new", "../a", "--keys", ours]),
        key(
            &place,
            &[
                "rotate",
                "a-1",
                "a-2",
                "--keys",
                ours,
                "--keyring",
                "keyring.json",
            ],
        ),
        key(
            &place,
            &[
                "revoke",
                "b-1",
                "--keyring",
                "ours.json",
                "--reason",
                "retired",
            ],
        ),
        key(
            &place,
            &[
                "revoke",
                "a-1",
                "--keyring",
                "ours.json",
                "--reason",
                "retired",
                "--at",
                "now",
            ],
        ),
        key(
            &place,
            &["accept", "keyring.json", "--keyring", "ours.json"],
        ),
        place.run(&[
            "attest",
            "verify",
            "statement.json",
            "--keyring",
            "keyring.json",
        ]),
        place.run(&[
            "attest",
            "verify",
            "envelope.json",
            "--keyring",
            "statement.json",
        ]),
    ];
    // Nothing is left of the key that could not take over.
    assert!(!place.path("keys/a-2.secret").exists());
    place.write(
        "scan.json",
        STATEMENT.replace("fod-verification/v1", "scan-result/v1"),
    );
    runs.push(place.run(&[
        "attest",
        "sign",
        "scan.json",
        "--key",
        "a-1",
        "--keys",
        ours,
    ]));
    fs::set_permissions(ours, fs::Permissions::from_mode(0o755)).unwrap();
    runs.push(place.run(&[
        "attest",
        "sign",
        "statement.json",
        "--key",
        "a-1",
        "--keys",
        ours,
    ]));
    let mut told = String::new();
    for run in runs {
        run.fails_with("");
        told.push_str(&run.stderr.replace(place.work().to_str().unwrap(), "WORK"));
        told.push('\n');
    }
    insta::assert_snapshot!(told);
}

#[test]
fn what_is_not_signed_is_said() {
    let place = place();
    key(&place, &["new", "ci-1"]).exits(0);
    let run = place.run(&["attest", "sign", "statement.json", "--key", "ci-1"]);
    run.exits(0);
    assert_eq!(run.stderr, "");
    let mut statement: Value = serde_json::from_str(STATEMENT).unwrap();
    statement["predicate"]["reviewed_by"] = "somebody".into();
    statement["predicate"]["tool"]["\u{1b}[31mcolour"] = 1.into();
    statement["predicate"]["note"] = Value::Null;
    statement["subject"][0]["annotations"] = serde_json::json!({"a": 1});
    place.write("statement.json", statement.to_string());
    let run = place.run(&["attest", "sign", "statement.json", "--key", "ci-1"]);
    run.exits(0);
    insta::assert_snapshot!(run.stderr, @r"
    warning: `predicate.reviewed_by` is not known here, and is not signed
    warning: `predicate.tool.\u{1b}[31mcolour` is not known here, and is not signed
    warning: `subject[].annotations` is not known here, and is not signed
    warning: `subject[].annotations.a` is not known here, and is not signed
    ");
}

#[test]
fn keys_that_are_made_at_once_are_all_in_the_keyring() {
    let place = Place::new();
    key(&place, &["new", "first", "--keyring", "ring.json"]).exits(0);
    let running: Vec<_> = (0..8)
        .map(|n| {
            let name = format!("ci-{n}");
            let args = ["attest", "key", "new", &name, "--keyring", "ring.json"];
            place.command(&args).spawn().unwrap()
        })
        .collect();
    for mut one in running {
        assert!(one.wait().unwrap().success());
    }
    let run = key(
        &place,
        &["show", "--keyring", "ring.json", "--format", "json"],
    );
    let told: Value = serde_json::from_str(&run.exits(0).stdout).unwrap();
    assert_eq!(told["keys"].as_array().unwrap().len(), 9);
    let id = told["keys"][0]["id"].as_str().unwrap();
    key(&place, &["new", id, "--keyring", "ring.json"]).fails_with("looks like the id of a key");
    key(&place, &["show", id]).fails_with("");
}

#[test]
fn a_stranger_is_told_and_his_words_are_not() {
    let place = place();
    key(&place, &["new", "a-1", "--keyring", "ours.json"]).exits(0);
    sign(&place, "a-1");
    let run = verify(&place, "keyring.json");
    run.exits(1);
    assert!(run.stdout.starts_with("not valid: unknown key\n"), "{run}");
    assert!(!run.stdout.contains("hello.tar.gz"), "{run}");
    // Another key of the name that the envelope gives.
    let mut envelope: Value =
        serde_json::from_slice(&fs::read(place.path("signed.json")).unwrap()).unwrap();
    envelope["signatures"][0]["keyid"] = "ci-1".into();
    place.write("signed.json", envelope.to_string());
    let run = verify(&place, "keyring.json");
    run.exits(1);
    assert!(run.stdout.contains("does not fit"), "{run}");
}
