//! `snowguard scan --format result` and `snowguard result`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;
use snowguard_testkit::nix::Nix;

use crate::support::{Place, System};

/// Of RFC 8032, section 7.1, test 1, in Nix's form.
const SECRET: &str = "web-1:nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2DXWpgBgrEKt9VL/tPJZAc6DuFy89qmIyWvAhpo9wdRGg==";
const PUBLIC: &str = "web-1:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

fn place() -> Place {
    let place = Place::with_index();
    place.system("system.json.zst", &System::usual());
    let run = place.run(&[
        "scan",
        "system.json.zst",
        "--format",
        "result",
        "--host",
        "web-1",
        "--quiet",
        "--output",
        "result.json",
    ]);
    run.exits(1);
    key(&place, "web-1.secret", SECRET, 0o600);
    place
}

fn key(place: &Place, name: &str, text: &str, mode: u32) {
    let path = place.path(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
}

fn signed() -> Place {
    let place = place();
    place
        .run(&[
            "result",
            "sign",
            "result.json",
            "--key-file",
            "web-1.secret",
            "--output",
            "result.dsse.json",
        ])
        .exits(0);
    place
}

#[test]
fn a_signed_result_is_verified_and_shown() {
    let place = signed();
    let run = place.run(&["result", "verify", "result.dsse.json", "--key", PUBLIC]);
    run.exits(0);
    assert_eq!(run.stderr, "note: signed by web-1\n");
    assert!(run.stdout.contains("host      web-1\n"), "{run}");
    key(&place, "web-1.public", PUBLIC, 0o644);
    let run = place.run(&[
        "result",
        "verify",
        "result.dsse.json",
        "--key",
        "web-1.public",
        "--format",
        "json",
    ]);
    run.exits(0);
    let original: Value =
        serde_json::from_slice(&fs::read(place.path("result.json")).unwrap()).unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(&run.stdout).unwrap(),
        original
    );
    let run = place.run(&["result", "show", "result.dsse.json"]);
    run.exits(0);
    assert_eq!(
        run.stderr,
        "warning: the signature was not checked\nhint: `snowguard result verify --key KEY` checks it\n"
    );
}

#[test]
fn the_name_of_the_machine_is_not_told_unasked() {
    let place = Place::with_index();
    place.system("system.json.zst", &System::usual());
    let run = place.run(&["scan", "system.json.zst", "--format", "result", "--quiet"]);
    run.exits(1);
    let statement: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(statement["predicate"]["host"], Value::Null);
    assert_eq!(statement["_type"], "https://in-toto.io/Statement/v1");
    assert!(!run.stdout.contains(place.path("").to_str().unwrap()));
}

#[test]
fn what_does_not_hold_is_told_with_its_remedy() {
    let place = signed();
    let other = "web-2:PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=";
    let mut runs = vec![place.run(&["result", "verify", "result.dsse.json", "--key", other])];
    // The key of the same name, and another.
    let wrong = "web-1:PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=";
    runs.push(place.run(&["result", "verify", "result.dsse.json", "--key", wrong]));
    let mut envelope: Value =
        serde_json::from_slice(&fs::read(place.path("result.dsse.json")).unwrap()).unwrap();
    let good = envelope.clone();
    envelope["payloadType"] = "text/plain".into();
    fs::write(place.path("typed.json"), envelope.to_string()).unwrap();
    runs.push(place.run(&["result", "verify", "typed.json", "--key", PUBLIC]));
    envelope = good;
    envelope["signatures"] = Value::Array(Vec::new());
    fs::write(place.path("bare.json"), envelope.to_string()).unwrap();
    runs.push(place.run(&["result", "verify", "bare.json", "--key", PUBLIC]));
    runs.push(place.run(&["result", "verify", "result.json", "--key", PUBLIC]));
    runs.push(place.run(&["result", "verify", "result.dsse.json", "--key", SECRET]));
    key(&place, "open.secret", SECRET, 0o644);
    runs.push(place.run(&["result", "sign", "result.json", "--key-file", "open.secret"]));
    key(&place, "public.secret", PUBLIC, 0o600);
    runs.push(place.run(&[
        "result",
        "sign",
        "result.json",
        "--key-file",
        "public.secret",
    ]));
    runs.push(place.run(&[
        "result",
        "sign",
        "result.dsse.json",
        "--key-file",
        "web-1.secret",
    ]));
    runs.push(place.run(&["scan", "system.json.zst", "--host", "web-1"]));
    let mut told = String::new();
    for run in &runs {
        run.exits(2);
        assert_eq!(run.stdout, "", "{run}");
        assert!(!run.stderr.contains("nWGxne"), "a key is not repeated");
        told.push_str(&run.stderr);
    }
    insta::assert_snapshot!(told);
}

#[test]
fn a_result_beside_another_output() {
    let place = place();
    let run = place.run(&[
        "scan",
        "system.json.zst",
        "--format",
        "json",
        "--result",
        "beside.json",
        "--host",
        "web-1",
        "--quiet",
    ]);
    run.exits(1);
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(report["schema"], "snowguard-scan/1");
    let read = |name: &str| -> Value {
        let mut statement: Value =
            serde_json::from_slice(&fs::read(place.path(name)).unwrap()).unwrap();
        // Another second, maybe.
        statement["predicate"]["scanned_at"].take();
        statement
    };
    assert_eq!(read("beside.json"), read("result.json"));
    let run = place.run(&["scan", "system.json.zst", "--result", "-"]);
    run.exits(2);
    insta::assert_snapshot!(run.stderr, @r"
    error: --result names a file: stdout is for what --format writes
    hint: `--format result` prints a result
    ");
}

/// Every byte of the payload and of the signature counts.
#[test]
fn no_change_goes_unnoticed() {
    let place = signed();
    let text = fs::read_to_string(place.path("result.dsse.json")).unwrap();
    let start = text.find("\"payload\": \"").unwrap() + 12;
    for at in [start, start + 500, text.rfind("\"sig\": \"").unwrap() + 9] {
        let mut bytes = text.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        fs::write(place.path("changed.json"), bytes).unwrap();
        let run = place.run(&["result", "verify", "changed.json", "--key", PUBLIC]);
        run.exits(2);
    }
}

#[test]
fn csv_has_a_row_for_each_finding() {
    let place = Place::with_index();
    place.system("system.json.zst", &System::usual());
    let run = place.run(&["scan", "system.json.zst", "--format", "csv", "--quiet"]);
    run.exits(1);
    assert!(
        run.stdout
            .starts_with("id,package,version,status,severity,score,"),
        "{run}"
    );
    assert!(run.stdout.ends_with("\r\n"));
    let diff = place.run(&[
        "diff",
        "system.json.zst",
        "system.json.zst",
        "--format",
        "csv",
    ]);
    diff.exits(0);
    assert!(
        diff.stdout
            .starts_with("change,id,package,old_versions,new_versions,how,"),
        "{diff}"
    );
}

/// The vector of the book is what this program signs, and what it accepts.
#[test]
fn the_vector_of_the_book_holds() {
    let page = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/src/reference/scan-result.md"
    );
    let page = fs::read_to_string(page).unwrap();
    assert!(page.contains(SECRET) && page.contains(PUBLIC));
    let (_, vector) = page.split_once("```json\n").unwrap();
    let (vector, _) = vector.split_once("```").unwrap();
    let place = place();
    fs::write(place.path("vector.json"), vector).unwrap();
    let run = place.run(&[
        "result",
        "verify",
        "vector.json",
        "--key",
        PUBLIC,
        "--format",
        "json",
    ]);
    run.exits(0);
    fs::write(place.path("statement.json"), &run.stdout).unwrap();
    let again = place.run(&[
        "result",
        "sign",
        "statement.json",
        "--key-file",
        "web-1.secret",
    ]);
    again.exits(0);
    let value = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let payload = |envelope: &Value| envelope["payload"].as_str().unwrap().to_owned();
    assert_eq!(payload(&value(&again.stdout)), payload(&value(vector)));
    assert_eq!(value(&again.stdout), value(vector));
}

/// Keys are those that Nix makes, and what is named is what Nix has in its store.
#[test]
fn nix_makes_the_key_and_knows_the_subject() {
    let place = Place::with_index();
    let store = Nix::find().unwrap().store_at("nix/store").unwrap();
    let [secret, public] = ["secret", "public"].map(|name| store.scratch().join(name));
    let [secret, public] = [&secret, &public].map(|path| path.to_str().unwrap());
    let make = ["--generate-binary-cache-key", "web-1", secret, public];
    store.run("nix-store", &[], make).unwrap();
    let file = store.write("thing-1.0", "a thing").unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().trim().to_owned();
    let added = store.run("nix-store", &[], ["--add", file.to_str().unwrap()]);
    let path = text(added.unwrap());
    let hash = text(
        store
            .run("nix-store", &[], ["--query", "--hash", &path])
            .unwrap(),
    );
    let hex = store.run(
        "nix-hash",
        &[],
        [
            "--to-base16",
            "--type",
            "sha256",
            hash.strip_prefix("sha256:").unwrap(),
        ],
    );
    let hex = text(hex.unwrap());
    let state = store.scratch().join("var");
    let scan = [
        "scan",
        &path,
        "--store",
        state.to_str().unwrap(),
        "--format",
        "result",
        "--quiet",
        "--output",
        "result.json",
    ];
    place.run(&scan).exits(0);
    let sign = [
        "result",
        "sign",
        "result.json",
        "--key-file",
        secret,
        "-o",
        "signed.json",
    ];
    place.run(&sign).exits(0);
    let run = place.run(&[
        "result",
        "verify",
        "signed.json",
        "--key",
        public,
        "-f",
        "json",
    ]);
    run.exits(0);
    let statement: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(
        statement["subject"],
        serde_json::json!([{"name": path, "digest": {"narSha256": hex}}])
    );
}
