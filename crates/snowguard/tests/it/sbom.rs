//! `snowguard sbom`.

use snowguard_testkit::schema::{Schema, assert_valid};

use crate::support::{Place, System};

#[test]
fn the_usual_system_is_valid_cyclonedx() {
    let place = Place::with_index();
    place.system("system.json.zst", &System::usual());
    let run = place.run(&["sbom", "system.json.zst"]);
    run.exits(0);
    assert_eq!(run.stderr, "", "{run}");
    assert_valid(Schema::CycloneDx16, run.stdout.as_bytes());
    let bom: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let names: Vec<&str> = bom["components"]
        .as_array()
        .unwrap()
        .iter()
        .map(|component| component["name"].as_str().unwrap())
        .collect();
    for name in [
        "openssl",
        "sudo",
        "curl",
        "libtiff",
        "jose",
        "werkzeug",
        "bolt",
        "house-tool",
    ] {
        assert!(names.contains(&name), "{name} is not in {names:?}");
    }
    assert!(
        run.stdout.contains("CVE-2020-35521.patch"),
        "patches are pedigree"
    );
    assert!(
        !run.stdout.contains("\"vulnerabilities\""),
        "no advisory was asked for"
    );
}

#[test]
fn the_example_is_valid_cyclonedx() {
    let place = Place::new();
    let run = place.run(&[
        "sbom",
        &crate::support::example(),
        "--output",
        "out/bom.json",
    ]);
    run.fails_with("out/bom.json");
    let run = place.run(&["sbom", &crate::support::example(), "--output", "bom.json"]);
    run.exits(0);
    assert_eq!(
        (run.stdout.as_str(), run.stderr.as_str()),
        ("", ""),
        "{run}"
    );
    let bom = std::fs::read(place.path("bom.json")).unwrap();
    assert_valid(Schema::CycloneDx16, &bom);
    assert_eq!(place.files("."), ["bom.json"]);
}

#[test]
fn spdx_is_valid_and_says_the_same_as_cyclonedx() {
    let place = Place::with_index();
    place.system("system.json.zst", &System::usual());
    for (format, name) in [("spdx", "bom.spdx.json"), ("cyclonedx", "bom.cdx.json")] {
        let run = place.run(&[
            "sbom",
            "system.json.zst",
            "--format",
            format,
            "--output",
            name,
        ]);
        run.exits(0);
        assert_eq!(
            (run.stdout.as_str(), run.stderr.as_str()),
            ("", ""),
            "{run}"
        );
    }
    assert_valid(
        Schema::Spdx23,
        &std::fs::read(place.path("bom.spdx.json")).unwrap(),
    );
    let scanned = |name: &str| {
        let run = place.run(&["scan", name, "--format", "json", "--quiet"]);
        run.exits(1);
        let mut report: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
        report["generated_at"] = serde_json::Value::Null;
        report
    };
    let (spdx, cyclonedx) = (scanned("bom.spdx.json"), scanned("bom.cdx.json"));
    assert!(!spdx["packages"].as_array().unwrap().is_empty());
    // A difference is easier to see in one package than in all.
    for (one, other) in spdx["packages"]
        .as_array()
        .unwrap()
        .iter()
        .zip(cyclonedx["packages"].as_array().unwrap())
    {
        assert_eq!(one, other);
    }
    assert_eq!(spdx, cyclonedx);
}
