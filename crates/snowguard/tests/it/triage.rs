//! Decisions of a tracker: published with an index, fetched with it, and shown.

use std::fs;

use serde_json::{Value, json};

use crate::support::{Place, Run, System, assert_shown};

/// The document, written so many hours ago.
fn document(hours: i64, decisions: &Value) -> String {
    let generated = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(hours);
    json!({
        "schema": "snowguard-triage/1",
        "generated": generated.to_string(),
        "tracker": {"name": "Nixpkgs", "url": "https://tracker.example.org"},
        "channels": [
            {"name": "nixos-unstable", "revision": "0123456789ab", "evaluated": "2024-11-20T06:00:00Z"},
            {"name": "nixos-25.11", "revision": "ba9876543210", "evaluated": "2024-11-20T06:00:00Z"},
        ],
        "decisions": decisions,
    })
    .to_string()
}

/// sudo is not affected, openssl is and was fixed in one channel, curl stays affected.
fn decisions() -> Value {
    let about = |package: &str, advisory: &str| {
        json!({
            "advisory": advisory,
            "package": package,
            "decided": "2024-11-01T09:00:00Z",
            "by": "ada",
            "url": format!("https://tracker.example.org/packages/{package}/{advisory}"),
        })
    };
    let with = |mut decided: Value, more: Value| {
        for (key, value) in more.as_object().unwrap() {
            decided[key] = value.clone();
        }
        decided
    };
    json!([
        with(
            about("sudo", "CVE-2021-3156"),
            json!({
                "state": "not_affected",
                "justification": "vulnerable_code_not_present",
                "reason": "sudoedit is not built",
                "versions": ["1.8.31p1"],
            })
        ),
        with(
            about("openssl", "CVE-2021-3711"),
            json!({
                "state": "confirmed",
                "issue": "NIXPKGS-2026-0042",
                "channels": [
                    {"name": "nixos-unstable", "status": "affected", "versions": ["1.1.1g"]},
                    {"name": "nixos-25.11", "status": "fixed", "versions": ["1.1.1l"],
                     "fixed": {"revision": "ba9876543210", "since": "2024-11-18T06:00:00Z"}},
                ],
            })
        ),
        with(
            about("curl", "CVE-2020-8284"),
            json!({"state": "wont_fix", "reason": "it goes with the next release"})
        ),
    ])
}

/// A place whose index has decisions beside it.
fn place(document: &str) -> Place {
    let place = Place::with_index();
    place.system("system.json.zst", &System::usual());
    fs::write(beside(&place), document).unwrap();
    place
}

fn beside(place: &Place) -> std::path::PathBuf {
    let index = place.default_index();
    index.with_file_name("advisories.idx.triage")
}

fn scan(place: &Place, more: &[&str]) -> Run {
    let mut args = vec!["scan", "system.json.zst"];
    args.extend(more);
    place.run(&args)
}

/// What is printed, as one line.
fn unwrapped(run: &Run) -> String {
    let words: Vec<&str> = run.stdout.split_whitespace().collect();
    words.join(" ")
}

#[test]
fn a_scan_shows_what_was_decided() {
    let place = place(&document(1, &decisions()));
    let run = scan(&place, &["--channel", "nixos-25.11", "--show-suppressed"]);
    run.exits(1).fits();
    assert!(run.stdout.contains("1 suppressed"), "{run}");
    assert_shown!(run);
}

#[test]
fn an_explanation_says_who_decided() {
    let place = place(&document(1, &decisions()));
    let explain = |advisory, package| {
        let args = [
            "explain",
            advisory,
            package,
            "--in",
            "system.json.zst",
            "--channel",
            "nixos-25.11",
        ];
        place.run(&args)
    };
    let run = explain("CVE-2021-3156", "sudo");
    run.exits(0).fits();
    assert_shown!(run);
    let run = explain("CVE-2021-3711", "openssl");
    run.exits(1).fits();
    assert!(
        unwrapped(&run).contains("fixed in your channel nixos-25.11"),
        "{run}"
    );
    assert!(
        unwrapped(&run).contains("Published as NIXPKGS-2026-0042"),
        "{run}"
    );
}

#[test]
fn decisions_are_shown_only_or_ignored_if_that_is_asked_for() {
    let place = place(&document(1, &decisions()));
    let suppressed = |run: &Run| run.stdout.contains("1 suppressed");
    let applied = scan(&place, &[]);
    assert!(suppressed(&applied), "{applied}");
    assert!(
        unwrapped(&applied).contains("fixed in nixos-25.11 since 2024-11-18"),
        "{applied}"
    );
    let shown = scan(&place, &["--triage", "show"]);
    assert!(
        !suppressed(&shown) && shown.stdout.contains("says Nixpkgs"),
        "{shown}"
    );
    let ignored = scan(&place, &["--triage", "ignore"]);
    assert!(
        !suppressed(&ignored) && !ignored.stdout.contains("Nixpkgs"),
        "{ignored}"
    );
    // As set; what is asked for goes before it.
    place.write(
        "snowguard.toml",
        "[triage]\nuse = \"ignore\"\nchannel = \"nixos-25.11\"\n",
    );
    let ignored = scan(&place, &[]);
    assert!(!ignored.stdout.contains("Nixpkgs"), "{ignored}");
    let applied = scan(&place, &["--triage", "apply"]);
    assert!(suppressed(&applied), "{applied}");
    assert!(
        applied.stdout.contains("your channel is nixos-25.11"),
        "{applied}"
    );
    let other = scan(&place, &["--triage", "apply", "--channel", "nixos-24.05"]);
    assert!(
        other
            .stderr
            .contains("Nixpkgs has no channel nixos-24.05; it has nixos-unstable, nixos-25.11"),
        "{other}"
    );
    let wrong = scan(&place, &["--triage", "believe"]);
    wrong.exits(2);
}

#[test]
fn decisions_that_are_old_or_damaged_suppress_nothing() {
    for (name, document, told) in [
        (
            "old",
            document(24 * 31 + 1, &decisions()),
            "are 31 days old: they are shown, and suppress nothing",
        ),
        (
            "of the future",
            document(-48, &decisions()),
            "are dated in the future",
        ),
        (
            "newer",
            r#"{"schema":"snowguard-triage/2"}"#.to_owned(),
            "snowguard-triage/1 is read",
        ),
        (
            "cut",
            document(1, &decisions())[..300].to_owned(),
            "this is no triage document",
        ),
    ] {
        let place = place(&document);
        let run = scan(&place, &[]);
        run.exits(1);
        assert!(run.stderr.contains(told), "{name}: {run}");
        assert!(
            run.stderr
                .contains("hint: `snowguard advisories update --from` fetches"),
            "{name}: {run}"
        );
        assert!(!run.stdout.contains("suppressed"), "{name}: {run}");
    }
}

#[test]
fn the_channel_is_the_one_of_the_system_that_is_scanned() {
    let place = place(&document(1, &decisions()));
    let release = "ID=nixos\nVERSION_ID=\"25.11\"\nBUILD_ID=\"25.11.1.abc\"\n";
    place.write("system/etc/os-release", release);
    place.write("system/app/requirements.txt", "werkzeug==1.0.1\n");
    let run = place.run(&["scan", "--deep", "system"]);
    assert!(run.stdout.contains("your channel is nixos-25.11"), "{run}");
    // What this machine is says nothing of a document.
    let run = scan(&place, &[]);
    assert!(!run.stdout.contains("your channel"), "{run}");
}

#[test]
fn decisions_are_published_with_the_index_and_taken_with_it() {
    let place = Place::with_index();
    place.system("system.json.zst", &System::usual());
    place
        .run(&["advisories", "key", "key", "--name", "tracker-1"])
        .exits(0);
    let json = document(1, &decisions());
    place.write("triage.json", &json);
    place.write(
        "triage.json.zst",
        zstd::encode_all(json.as_bytes(), 3).unwrap(),
    );
    place.write("newer.json", r#"{"schema":"snowguard-triage/2"}"#);
    let publish = |triage: &str| {
        let to = "site/repository";
        place.run(&[
            "advisories",
            "publish",
            "--to",
            to,
            "--key",
            "key",
            "--triage",
            triage,
        ])
    };
    for wrong in [
        "newer.json",
        "nothing.json",
        "http://127.0.0.1:1/triage.json",
    ] {
        publish(wrong).exits(2);
    }
    assert_shown!(publish("newer.json"));
    let run = publish("triage.json.zst");
    run.exits(0).fits();
    assert!(
        run.stdout.contains("\ndecisions of a tracker: 3, "),
        "{run}"
    );
    let address = format!("file://{}", place.path("triage.json").display());
    publish(&address).exits(0);

    place.run(&["advisories", "key", "other"]).exits(0);
    let public = |name: &str| {
        let secret = fs::read_to_string(place.path(name)).unwrap();
        let key: snowguard_store::SecretKey = secret.trim().parse().unwrap();
        key.public().to_string()
    };
    let update = |key: &str| {
        // The address of the site is enough.
        let from = format!("file://{}", place.path("site").display());
        place.run(&[
            "advisories",
            "update",
            "--from",
            &from,
            "--key",
            key,
            "--output",
            "taken.idx",
        ])
    };
    update(&public("other")).exits(2);
    assert!(!place.path("taken.idx.triage").exists());
    let run = update(&public("key"));
    run.exits(0).fits();
    assert!(run.stdout.ends_with("decisions of a tracker: 3\n"), "{run}");
    let run = update(&public("key"));
    assert!(
        run.stdout
            .ends_with("decisions of a tracker: as they were\n"),
        "{run}"
    );
    let run = scan(&place, &["--index", "taken.idx"]);
    assert!(
        run.stdout.contains("decisions of Nixpkgs, of today"),
        "{run}"
    );
    let info = place.run(&["advisories", "info", "--index", "taken.idx"]);
    assert!(
        info.stdout.contains("\n3 decisions of Nixpkgs, written "),
        "{info}"
    );
    let args = [
        "advisories",
        "info",
        "--index",
        "taken.idx",
        "--format",
        "json",
    ];
    let info: Value = serde_json::from_str(&place.run(&args).stdout).unwrap();
    assert_eq!(info["triage"]["tracker"], "Nixpkgs");
    assert_eq!(info["triage"]["decisions"], 3);
    // A mirror that hands out an older state.
    let timestamp = place.path("site/repository/metadata/timestamp.json");
    let old = fs::read(&timestamp).unwrap();
    place
        .run(&[
            "advisories",
            "publish",
            "--to",
            "site/repository",
            "--key",
            "key",
        ])
        .exits(0);
    let run = update(&public("key"));
    assert!(!run.stdout.contains("decisions"), "{run}");
    assert!(!place.path("taken.idx.triage").exists());
    fs::write(&timestamp, old).unwrap();
    let run = update(&public("key"));
    run.exits(2);
    assert!(run.stderr.contains("older state"), "{run}");
    assert!(!place.path("taken.idx.triage").exists());
}
