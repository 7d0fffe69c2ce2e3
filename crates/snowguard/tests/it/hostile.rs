//! Strangers' text in every place that holds some, through every output.

use serde_json::json;
use snowguard_testkit::schema::{Schema, assert_valid};

use crate::support::{Advisories, Package, Place, System};

/// Red, a cleared screen, a window title, a bell, backspaces, an 8-bit CSI, right-to-left override
/// and isolate, a zero-width space, and a line end.
const NASTY: &str = "\u{1b}[31m\u{1b}[2J\u{1b}]0;owned\u{7}\u{8}\u{8}\u{9b}31m\u{202e}cod\u{2066}\u{200b}\n<b>&\"'`$(id)";

/// What must never reach a terminal or a page.
fn harmful(c: char) -> bool {
    (c.is_control() && c != '\n')
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

fn place() -> Place {
    let place = Place::new();
    let mut advisories = Advisories::aged(3);
    let nasty = |text: &str| format!("{text}{NASTY}");
    advisories
        .add(json!({
            "id": "CVE-2025-1000", "published": "2025-01-01", "summary": nasty("title"),
            "severities": [{"vector": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
            "affects": [{"products": ["alice:widget"], "by": nasty("cna"), "default": "unaffected", "rules": [format!("<2.0{}", "\u{202e}x")]}],
        }))
        .add(json!({
            "id": "CVE-2025-1001", "published": "2025-01-01", "summary": nasty("title"),
            "affects": [{"products": ["alice:widget"], "by": nasty("cna"), "rules": [format!("\"{}\"", nasty("all versions").replace('"', ""))]}],
        }))
        .add(json!({
            "id": "CVE-2025-1002", "published": "2025-01-01",
            "affects": [{"products": ["alice:widget"], "default": "unaffected", "rules": ["<3.0"]}],
        }))
        .add(json!({
            "id": "CVE-2025-1003", "published": "2025-01-01", "summary": nasty("title"),
            "affects": [{"products": ["alice:widget", "repo:github.com/alice/widget"], "by": nasty("cna"), "default": "unaffected", "rules": ["<3.0"]}],
        }));
    place.write("facts.jsonl", advisories.lines());
    place.run(&["advisories", "import", "facts.jsonl"]).exits(0);
    let system = System::new(
        "system",
        [
            Package::new("widget-1.0")
                .source("https://github.com/alice/widget/archive/v1.0.tar.gz")
                .patch("p.patch", Some("https://example.org/\u{1b}[31m\u{202e}/CVE-2025-1002.patch")),
            Package::new("gadget-1.0")
                .env("pname", &nasty("gadget"))
                .env("version", &nasty("1.0"))
                .source("https://github.com/alice/widget/archive/v1.0.tar.gz?\u{1b}[31m\u{202e}/gadget.tar.gz"),
        ],
    );
    place.system("system.json.zst", &system);
    place.write(
        "snowguard.toml",
        "[[suppress]]\ncomponent = \"no\\u001b[31m\\u202esuch\"\nadvisory = \"CVE-2025-1000\"\nreason = \"a\\u001b[31m\\u202eb\"\n\
         [[suppress]]\ncomponent = \"widget\"\nadvisory = \"CVE-2025-1000\"\nreason = \"a\\u001b[31m\\u202eb\"\n",
    );
    place
}

#[test]
fn no_output_obeys_it() {
    let place = place();
    let scan = [
        "scan",
        "system.json.zst",
        "--show-patched",
        "--show-suppressed",
        "--all",
    ];
    let with = |more: &[&'static str]| [&scan[..], more].concat();
    for command in [
        with(&[]),
        with(&["--component", "*"]),
        with(&["--component", "?"]),
        with(&["--component", "\u{1b}[31m\u{202e}"]),
        with(&["--format", "json"]),
        with(&["--format", "sarif"]),
        with(&["--format", "cyclonedx"]),
        with(&["--format", "openvex", "--author", "a\u{1b}[31m\u{202e}"]),
        with(&["--format", "html"]),
        vec!["sbom", "system.json.zst"],
        vec!["explain", "CVE-2025-1000", "--in", "system.json.zst"],
        vec!["explain", "CVE-2025-1001", "--in", "system.json.zst"],
        vec!["explain", "CVE-2025-1002", "--in", "system.json.zst"],
        vec!["explain", "CVE-2025-1003", "--in", "system.json.zst"],
        vec![
            "explain",
            "CVE-2025-1000",
            "--in",
            "system.json.zst",
            "--format",
            "json",
        ],
        vec!["explain", "\u{1b}[31m\u{202e}", "--in", "system.json.zst"],
        vec![
            "explain",
            "CVE-2025-1000",
            "\u{1b}[31m\u{202e}",
            "--in",
            "system.json.zst",
        ],
        vec![
            "explain",
            "CVE-2025-1000",
            "\u{1b}[31m\u{202e}@1\u{1b}[31m\u{202e}",
        ],
        vec!["diff", "system.json.zst", "system.json.zst"],
        vec![
            "diff",
            "system.json.zst",
            "system.json.zst",
            "--format",
            "json",
        ],
        vec!["scan", "no\u{1b}[31m\u{202e}such"],
        vec![
            "scan",
            "system.json.zst",
            "--index",
            "no\u{1b}[31m\u{202e}such",
        ],
        vec![
            "scan",
            "system.json.zst",
            "--config",
            "no\u{1b}[31m\u{202e}such",
        ],
        vec![
            "scan",
            "system.json.zst",
            "--vex",
            "no\u{1b}[31m\u{202e}such",
        ],
        vec![
            "scan",
            "system.json.zst",
            "--max-age",
            "no\u{1b}[31m\u{202e}such",
        ],
        vec!["advisories", "info"],
        vec!["advisories", "info", "--format", "json"],
    ] {
        let run = place.run(&command);
        for (stream, text) in [("stdout", &run.stdout), ("stderr", &run.stderr)] {
            let bad = text.char_indices().find(|(_, c)| harmful(*c));
            if let Some((at, c)) = bad {
                let start = text[..at]
                    .char_indices()
                    .rev()
                    .nth(60)
                    .map_or(0, |(at, _)| at);
                panic!(
                    "{command:?}: {c:?} on {stream} after {:?}",
                    &text[start..at]
                );
            }
        }
    }
}

/// What is escaped is still there: a reader can see what someone tried.
#[test]
fn it_is_shown_for_what_it_is() {
    let run = place().run(&["explain", "CVE-2025-1000", "--in", "system.json.zst"]);
    assert!(run.stdout.contains("title\\u{1b}[31m"), "{run}");
    assert!(run.stdout.contains("\\u{202e}cod"), "{run}");
    run.fits();
}

#[test]
fn documents_stay_valid() {
    let place = place();
    for (format, schema) in [
        ("sarif", Schema::Sarif21),
        ("cyclonedx", Schema::CycloneDx16),
        ("openvex", Schema::OpenVex02),
    ] {
        let run = place.run(&[
            "scan",
            "system.json.zst",
            "--format",
            format,
            "--show-patched",
        ]);
        run.exits(1);
        assert_valid(schema, run.stdout.as_bytes());
    }
}

/// A hint is a command that people paste.
#[test]
fn no_hint_carries_a_command_of_strangers() {
    let place = Place::new();
    let mut advisories = Advisories::aged(3);
    advisories.add(json!({
        "id": "CVE-2025-1000", "published": "2025-01-01",
        "affects": [{"products": ["repo:github.com/alice/widget"], "default": "unaffected", "rules": ["<2.0"]}],
    }));
    place.import(&advisories);
    let package = Package::new("widget-1.0")
        .env("pname", "widget; rm -rf ~")
        .source("https://github.com/alice/widget/archive/v1.0.tar.gz");
    place.system("it's a system.json.zst", &System::new("system", [package]));
    let run = place.run(&["scan", "it's a system.json.zst"]);
    run.exits(1);
    let hints: Vec<&str> = run
        .stderr
        .lines()
        .filter(|line| line.starts_with("hint"))
        .collect();
    assert!(!hints.iter().any(|hint| hint.contains("rm -rf")), "{run}");
}
