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
