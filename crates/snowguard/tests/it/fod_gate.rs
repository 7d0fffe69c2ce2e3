//! `snowguard fod gate`: on derivations that the real Nix wrote, some by people with bad intentions.

use std::fs;

use serde_json::{Value, json};
use snowguard_testkit::nix::{Nix, NixStore};
use snowguard_testkit::schema::{Schema, assert_valid};

use crate::fod::{directory, store};
use crate::support::{Place, Run, assert_shown};

mod action;
mod hostile;
mod sources;
mod waivers;

fn gate(place: &Place, base: &NixStore, head: &NixStore, more: &[&str]) -> Run {
    let args = [&["fod", "gate", directory(base), directory(head)], more].concat();
    place.run(&args)
}

fn gate_of(place: &Place, base: &str, head: &str, more: &[&str]) -> Run {
    let args = ["fod", "gate", base, head, "--format", "json"];
    place.run(&[&args[..], more].concat())
}

fn document(run: &Run) -> Value {
    serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}{run}"))
}

/// The rules of what was found, with `!` where it blocks.
fn rules(document: &Value) -> Vec<String> {
    let findings = document["findings"].as_array().unwrap();
    let one = |found: &Value| {
        let blocks = if found["blocks"] == true { "!" } else { "" };
        format!(
            "{}{blocks} {}",
            found["rule"].as_str().unwrap(),
            found["name"].as_str().unwrap()
        )
    };
    findings.iter().map(one).collect()
}

/// A derivation that is fetched by Git from some URL at some revision.
fn of(url: &str, rev: &str, hash: &str) -> NixStore {
    let nix = Nix::find().unwrap().store_at("nix/store").unwrap();
    let text = |text: &str| format!("(builtins.fromJSON {})", nix_text(&json!(text).to_string()));
    let expression = format!(
        r#"let git = derivation {{ name = "git-2.51.0"; system = "x86_64-linux"; builder = "/bin/sh"; }};
        in derivation {{
          name = "source"; system = "x86_64-linux"; builder = "/bin/sh"; url = {}; rev = {};
          nativeBuildInputs = [ git ]; outputHash = builtins.hashString "sha256" "{hash}";
          outputHashAlgo = "sha256"; outputHashMode = "recursive";
        }}"#,
        text(url),
        text(rev)
    );
    nix.instantiate(&expression, &[]).unwrap();
    nix
}

/// A file that `fetchurl` fetches from some addresses, run by a script that says this: its derivation. What base and
/// head are compared by is in one store, since its directory is part of the digests of its paths.
fn fetched_by(store: &NixStore, script: &str, urls: &[&str]) -> String {
    let urls: Vec<String> = urls.iter().map(|url| nix_text(url)).collect();
    let expression = format!(
        r#"derivation {{
          name = "x"; system = "x86_64-linux"; builder = "/bin/sh"; urls = [ {} ];
          args = [ "-e" (builtins.toFile "builder.sh" "{script}") ];
          outputHash = builtins.hashString "sha256" "one"; outputHashAlgo = "sha256"; outputHashMode = "flat";
        }}"#,
        urls.join(" ")
    );
    store.instantiate(&expression, &[]).unwrap();
    let drv = store.evaluate(&format!("({expression}).drvPath")).unwrap();
    drv.as_str().unwrap().to_owned()
}

fn nix_text(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", text.replace("${", "\\${"))
}

#[test]
fn a_change_with_a_forgotten_hash_does_not_pass() {
    let (base, head) = (store("1.0"), store("1.1"));
    let place = Place::new();
    let run = gate(&place, &base, &head, &[]);
    run.exits(1).fits();
    let markdown = gate(&place, &base, &head, &["--format", "markdown"]);
    markdown.exits(1);
    // Where a store lies is part of the hashes of its paths.
    let filters = vec![(
        r"/tmp/snowguard-nix-\w+/nix/store/[a-z0-9]{32}-",
        "[STORE]/",
    )];
    insta::with_settings!({ filters => filters }, {
        assert_shown!(run);
        assert_shown!(markdown);
    });
    gate(&place, &base, &base, &[]).exits(0);
    gate(&place, &base, &head, &["--fail-on", "never"]).exits(0);
    let run = gate(&place, &base, &base, &["--format", "markdown"]);
    assert_shown!(run, @r"
    exit status 0
    ----- stdout -----
    ## What this change fetches: passed

    It adds and alters no fixed-output derivation.
    ");
}

#[test]
fn documents_are_valid() {
    let (base, head) = (store("1.0"), store("1.1"));
    let place = Place::new();
    let more = [
        "--summary",
        "s.md",
        "--sarif",
        "g.sarif",
        "--json",
        "g.json",
        "--format",
        "sarif",
    ];
    let run = gate(&place, &base, &head, &more);
    run.exits(1);
    assert_valid(Schema::Sarif21, run.stdout.as_bytes());
    let read = |name: &str| fs::read_to_string(place.path(name)).unwrap();
    assert_eq!(read("g.sarif"), run.stdout);
    assert!(read("s.md").starts_with("## What this change fetches: "));
    let document: Value = serde_json::from_str(&read("g.json")).unwrap();
    assert_eq!(document["schema"], "snowguard-fod-gate/1");
    assert_eq!(document["passed"], false);
}

/// Results that say the same of all that was changed.
fn verified(document: &Value, verdict: &str) -> String {
    let changes = document["changes"].as_array().unwrap();
    let fods: Vec<Value> = changes
        .iter()
        .map(|change| {
            json!({
                "drv": change["drv"], "name": change["name"], "output": change["output"],
                "verdict": verdict, "reason": "so it is", "tries": [],
            })
        })
        .collect();
    json!({ "schema": "snowguard-fod-verify/1", "fods": fods }).to_string()
}

#[test]
fn results_of_verifying_are_taken_into_account() {
    let (base, head) = (store("1.0"), store("1.1"));
    let place = Place::new();
    let plain = document(&gate(&place, &base, &head, &["--format", "json"]));
    let with = |content: &str| {
        place.write("v.json", content);
        let more = [
            "--format",
            "json",
            "--verified",
            "v.json",
            "--fail-on",
            "error",
        ];
        document(&gate(&place, &base, &head, &more))
    };
    let count = |document: &Value, rule: &str| {
        let rules = rules(document);
        rules.iter().filter(|found| found.starts_with(rule)).count()
    };
    let changed = plain["changes"].as_array().unwrap().len();
    assert!(changed > 1);
    assert_eq!(plain.get("verdicts"), None);
    for (verdict, rule) in [
        ("mismatch", "mismatch! "),
        ("gone", "gone! "),
        ("transient", "transient "),
        ("needs-builder", "needs-builder "),
        ("not-fetchable", "not-fetchable "),
    ] {
        let told = with(&verified(&plain, verdict));
        assert_eq!(count(&told, rule), changed, "{verdict}");
        assert_eq!(told["verdicts"][verdict], changed);
    }
    // What is fine adds nothing, and takes nothing away where nobody says which address was asked: a forgotten hash is
    // fetched without complaint from the old one.
    let fine = with(&verified(&plain, "ok"));
    assert_eq!(rules(&fine).len(), rules(&plain).len());
    assert_eq!(count(&fine, "stale-hash!"), count(&plain, "stale-hash!"));
    // Nothing is silently fine: neither what is missing, nor what was verified from another source.
    let none = with(r#"{"schema":"snowguard-fod-verify/1","fods":[]}"#);
    assert_eq!(count(&none, "not-verified "), changed);
    let before = document(&gate(&place, &head, &base, &["--format", "json"]));
    let other = with(&verified(&before, "ok"));
    assert_eq!(count(&other, "not-verified "), changed);
    for wrong in ["", "{}", r#"{"schema":"other/1","fods":[]}"#] {
        place.write("v.json", wrong);
        gate(&place, &base, &head, &["--verified", "v.json"]).fails_with("cannot use v.json");
    }
}

#[test]
fn a_build_that_came_out_right_and_wanted_more_says_just_that() {
    let (base, head) = (store("1.0"), store("1.1"));
    let place = Place::new();
    let plain = document(&gate(&place, &base, &head, &["--format", "json"]));
    let change = &plain["changes"][0];
    // Longer than a line, and with what a runner would obey where a line begins.
    let reason = format!(
        "its output has the promised hash; on the way, evil.example.org: the proxy denied it: {}::error::no ##[error]its end",
        "no URL names that host, ".repeat(8)
    );
    let fod = json!({
        "drv": change["drv"], "name": change["name"], "output": change["output"], "verdict": "ok",
        "found_by": "build", "reason": reason, "got": { "hash": change["hash"] },
        "tries": [{ "url": "https://evil.example.org/", "result": "denied", "detail": "no" }],
    });
    let results = json!({ "schema": "snowguard-fod-verify/1", "fods": [fod] });
    place.write("v.json", results.to_string());
    let with = |format: &str| {
        let more = ["--verified", "v.json", "--format", format];
        gate(&place, &base, &head, &more)
    };
    let told = document(&with("json"));
    let mut found = told["findings"].as_array().unwrap().iter();
    let found = found.find(|found| found["rule"] == "denied").unwrap();
    assert_eq!((&found["level"], found.get("was")), (&json!("note"), None));
    assert_ne!(found["is"], change["hash"], "{found}");
    let what = found["what"].as_str().unwrap();
    assert_eq!(
        what,
        "it came out as promised, and its build wanted more than it may have"
    );
    assert!(!found["remedy"].as_str().unwrap().contains("address"));
    // All that was met is told, in lines that begin with what is ours.
    let run = with("text");
    let text = &run.fits().stdout;
    let folded: Vec<&str> = text
        .lines()
        .skip_while(|line| !line.contains("  told "))
        .take_while(|line| line.starts_with("  told ") || line.starts_with("          | "))
        .collect();
    assert!(folded.len() > 2, "{run}");
    let whole: Vec<&str> = folded.iter().map(|line| line[12..].trim()).collect();
    assert!(whole.join(" ").ends_with("its end"), "{run}");
    for line in text.lines() {
        let begins = line.trim_start().starts_with("::") || line.contains("##[");
        assert!(!begins, "{run}");
    }
}

#[test]
fn what_was_not_read_does_not_pass() {
    let one = || of("https://example.org/r.git", "v1", "one");
    let (base, head) = (one(), one());
    let place = Place::new();
    gate(&place, &base, &head, &[]).exits(0);
    // One derivation of the head is gone: nobody knows what it fetches.
    let lost = |store: &NixStore| {
        let mut files = fs::read_dir(store.dir())
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let lost = files.find(|path| path.to_str().unwrap().ends_with("-git-2.51.0.drv"));
        fs::remove_file(lost.unwrap()).unwrap();
    };
    lost(&head);
    let run = gate(&place, &base, &head, &["--format", "json"]);
    let told = document(run.exits(1));
    assert_eq!(rules(&told), ["incomplete! after the change"]);
    assert_eq!(told["passed"], false);
    let sarif = gate(&place, &base, &head, &["--format", "sarif"]);
    assert_valid(Schema::Sarif21, sarif.exits(1).stdout.as_bytes());
    assert_eq!(
        document(&sarif)["runs"][0]["invocations"][0]["executionSuccessful"],
        false
    );
    gate(&place, &base, &head, &["--format", "markdown"]).exits(1);
    // Before the change it hides what was altered.
    let run = gate(&place, &head, &base, &["--format", "json"]);
    let told = rules(&document(run.exits(1)));
    assert!(
        told.contains(&"incomplete! before the change".to_owned()),
        "{told:?}"
    );
    // Nobody can accept it but who runs the check.
    let run = gate(
        &place,
        &base,
        &head,
        &["--allow-incomplete", "--format", "json"],
    );
    assert_eq!(
        rules(&document(run.exits(0))),
        ["incomplete after the change"]
    );
    place.write(
        "w.toml",
        "[[waiver]]\nrule = \"incomplete\"\noutput = \"/nix/store/x-y\"\nreason = \"r\"\nexpires = 2999-01-01\n",
    );
    gate(&place, &base, &head, &["--waivers", "w.toml"]).fails_with("there is no such rule");
}
