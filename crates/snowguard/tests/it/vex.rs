//! Decisions from OpenVEX documents.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::support::{Place, Run, System, assert_shown};

fn place() -> Place {
    let place = Place::with_index();
    place.system("system.json.zst", &System::usual());
    place
}

fn document(statements: &Value) -> String {
    json!({
        "@context": "https://openvex.dev/ns/v0.2.0",
        "@id": "https://example.org/vex/1",
        "author": "Example Security",
        "timestamp": "2025-01-01T00:00:00Z",
        "version": 1,
        "statements": statements,
    })
    .to_string()
}

fn scan(place: &Place, document: &str) -> Run {
    place.write("decisions.json", document);
    place.run(&[
        "scan",
        "system.json.zst",
        "--vex",
        "decisions.json",
        "--show-suppressed",
    ])
}

fn sudo(more: &Value) -> String {
    let mut statement = json!({
        "vulnerability": {"name": "CVE-2021-3156"},
        "products": [{"@id": "pkg:nix/sudo"}],
        "status": "not_affected",
        "justification": "vulnerable_code_not_in_execute_path",
    });
    for (key, value) in more.as_object().unwrap() {
        statement[key] = value.clone();
    }
    document(&json!([statement]))
}

#[test]
fn a_statement_suppresses() {
    let run = scan(
        &place(),
        &sudo(&json!({"impact_statement": "sudoedit is not installed here"})),
    );
    run.exits(1).fits();
    assert!(!run.stdout.contains("EXPLOITED"), "{run}");
    assert!(run.stdout.contains("1 suppressed"), "{run}");
    assert_shown!(run);
}

#[test]
fn what_is_fixed_is_suppressed_too() {
    let run = scan(
        &place(),
        &sudo(&json!({"status": "fixed", "justification": null})),
    );
    assert!(run.stdout.contains("1 suppressed"), "{run}");
}

/// Neither says that the component is safe.
#[test]
fn other_statuses_suppress_nothing() {
    for status in ["affected", "under_investigation"] {
        let more = json!({"status": status, "justification": null, "action_statement": "update"});
        let run = scan(&place(), &sudo(&more));
        assert!(run.stdout.contains("EXPLOITED"), "{status}: {run}");
        assert!(!run.stdout.contains("suppressed"), "{status}: {run}");
    }
}

/// A decision about one version says nothing about another.
#[test]
fn a_version_is_meant() {
    let products = |purl: &str| json!({"products": [{"@id": purl}]});
    let run = scan(&place(), &sudo(&products("pkg:nix/sudo@1.8.31p1")));
    assert!(run.stdout.contains("1 suppressed"), "{run}");
    let run = scan(&place(), &sudo(&products("pkg:nix/sudo@1.9.0")));
    assert!(run.stdout.contains("EXPLOITED"), "{run}");
    assert!(run.stdout.contains("met nothing"), "{run}");
}

#[test]
fn an_unused_statement_is_told() {
    let run = scan(
        &place(),
        &sudo(&json!({"products": [{"@id": "pkg:nix/doas"}]})),
    );
    run.exits(1).fits();
    assert!(run.stdout.contains("EXPLOITED"), "{run}");
    assert_shown!(run);
}

/// The later statement about the same thing counts.
#[test]
fn a_statement_is_taken_back() {
    let statement = |status: &str, day: &str| {
        json!({
            "vulnerability": {"name": "CVE-2021-3156"}, "products": [{"@id": "pkg:nix/sudo"}], "status": status,
            "justification": if status == "not_affected" { json!("component_not_present") } else { Value::Null },
            "action_statement": if status == "affected" { json!("update") } else { Value::Null },
            "timestamp": format!("{day}T00:00:00Z"),
        })
    };
    let both = json!([
        statement("affected", "2025-03-01"),
        statement("not_affected", "2025-02-01")
    ]);
    let run = scan(&place(), &document(&both));
    assert!(run.stdout.contains("EXPLOITED"), "{run}");
}

#[test]
fn what_is_not_vex_is_refused() {
    let place = place();
    let mut told = String::new();
    let wrong_justification = sudo(&json!({"justification": "we_do_not_care"}));
    let no_justification = sudo(&json!({"justification": null}));
    let wrong_status = sudo(&json!({"status": "fine"}));
    let sbom = r#"{"bomFormat":"CycloneDX","specVersion":"1.6","components":[]}"#;
    for (what, text) in [
        ("a wrong justification", wrong_justification.as_str()),
        ("no justification", &no_justification),
        ("a wrong status", &wrong_status),
        ("a bill of materials", sbom),
        ("text", "never mind"),
        ("nothing", ""),
        ("half a document", &wrong_status[..60]),
    ] {
        let run = scan(&place, text);
        run.fails_with("decisions.json");
        write!(told, "{what}\n{}\n", run.stderr).unwrap();
    }
    let run = place.run(&["scan", "system.json.zst", "--vex", "nosuch.json"]);
    run.fails_with("nosuch.json");
    write!(told, "no file\n{}", run.stderr).unwrap();
    insta::assert_snapshot!(told);
}

/// What one scan states, the next can take: the findings stay open, since nobody decided.
#[test]
fn our_own_document_is_read_again() {
    let place = place();
    let run = place.run(&["scan", "system.json.zst", "--format", "openvex", "--quiet"]);
    run.exits(1);
    let again = scan(&place, &run.stdout);
    again.exits(1);
    assert!(again.stdout.contains("EXPLOITED"), "{again}");
}
