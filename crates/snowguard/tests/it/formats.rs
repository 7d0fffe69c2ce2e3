//! Every document that a scan prints, against the schema that its format publishes.

use serde_json::Value;
use snowguard_testkit::schema::{Schema, assert_valid};

use crate::support::{Package, Place, System, example};

fn check(place: &Place, input: &str) {
    for (format, schema) in [
        ("sarif", Schema::Sarif21),
        ("cyclonedx", Schema::CycloneDx16),
        ("spdx", Schema::Spdx23),
        ("openvex", Schema::OpenVex02),
    ] {
        let run = place.run(&[
            "scan",
            input,
            "--format",
            format,
            "--quiet",
            "--show-patched",
        ]);
        run.exits(1);
        assert_eq!(run.stderr, "", "{format}");
        assert_valid(schema, run.stdout.as_bytes());
    }
    let run = place.run(&["scan", input, "--format", "json", "--quiet"]);
    run.exits(1);
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(report["schema"], "snowguard-scan/1");
    let summary = &report["summary"];
    let count = |status: &str| {
        let packages = report["packages"].as_array().unwrap().iter();
        let findings = packages.flat_map(|package| package["findings"].as_array().unwrap());
        findings
            .filter(|finding| finding["status"] == status && finding["suppressed"].is_null())
            .count()
    };
    for (name, status) in [
        ("affected", "affected"),
        ("needs_review", "needs_review"),
        ("patched", "patched"),
    ] {
        assert_eq!(summary[name], count(status), "{name}");
    }
    // No verdict without evidence.
    for package in report["packages"].as_array().unwrap() {
        for finding in package["findings"].as_array().unwrap() {
            let evidence = finding["evidence"].as_array().unwrap();
            assert!(
                !evidence.is_empty(),
                "{} {}",
                package["name"],
                finding["id"]
            );
        }
    }
}

#[test]
fn the_example() {
    check(&Place::new(), &example());
}

#[test]
fn a_system_with_something_of_everything() {
    let place = Place::with_index();
    place.system("system.json.zst", &System::usual());
    check(&place, "system.json.zst");
}

/// A scan that found nothing is told in every format; OpenVEX has no document without a statement.
#[test]
fn a_system_with_nothing() {
    let place = Place::with_index();
    let system = System::new("empty", [Package::new("house-tool-1.0")]);
    place.system("system.json.zst", &system);
    for (format, schema) in [
        ("sarif", Schema::Sarif21),
        ("cyclonedx", Schema::CycloneDx16),
        ("spdx", Schema::Spdx23),
    ] {
        let run = place.run(&["scan", "system.json.zst", "--format", format]);
        run.exits(0);
        assert_valid(schema, run.stdout.as_bytes());
    }
    let run = place.run(&["scan", "system.json.zst", "--format", "openvex"]);
    run.exits(0);
    crate::support::assert_shown!(run);
}
