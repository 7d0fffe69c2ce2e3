//! `snowguard scan` for people: what is wrong, what to do, and the exit status.

use serde_json::json;

use crate::support::{Advisories, Package, Place, System, assert_shown};

fn place() -> Place {
    let place = Place::with_index();
    place.system("system.json.zst", &System::usual());
    place
}

#[test]
fn a_system_with_something_of_everything() {
    let run = place().run(&["scan", "system.json.zst"]);
    run.fits();
    assert_shown!(run);
}

#[test]
fn nothing_known_to_be_affected() {
    let place = Place::with_index();
    let system = System::new(
        "nixos-system-clean",
        [Package::new("openssl-3.0.15")
            .source("https://www.openssl.org/source/openssl-3.0.15.tar.gz")],
    );
    place.system("clean.json.zst", &system);
    let run = place.run(&["scan", "clean.json.zst"]);
    run.fits();
    assert_shown!(run);
}

/// A system in which the advisories know no package at all must not look as good as a clean one.
#[test]
fn nothing_that_could_be_looked_at() {
    let place = Place::with_index();
    let system = System::new("house-system", [Package::new("house-tool-1.0")]);
    place.system("own.json.zst", &system);
    let run = place.run(&["scan", "own.json.zst"]);
    run.fits();
    assert_shown!(run);
}

#[test]
fn patched_packages_are_shown_on_demand() {
    let run = place().run(&["scan", "system.json.zst", "--show-patched"]);
    run.exits(1).fits();
    assert!(run.stdout.contains("PATCHED HERE"), "{run}");
    assert!(run.stdout.contains("CVE-2020-35521.patch"), "{run}");
    assert_shown!(run);
}

#[test]
fn one_component_in_full() {
    let run = place().run(&["scan", "system.json.zst", "--component", "openssl"]);
    run.exits(1).fits();
    assert_shown!(run);
}

/// A component that is patched or suppressed has something to tell.
#[test]
fn one_component_that_is_patched() {
    let run = place().run(&["scan", "system.json.zst", "--component", "libtiff"]);
    run.fits();
    assert_shown!(run);
}

#[test]
fn components_by_pattern() {
    let place = place();
    for pattern in ["OpenSSL", "open*", "*ssl", "*pens*"] {
        let run = place.run(&["scan", "system.json.zst", "--component", pattern]);
        assert!(run.stdout.contains("CVE-2021-3711"), "{run}");
        assert!(!run.stdout.contains("CVE-2021-3156"), "{run}");
    }
}

#[test]
fn a_component_about_which_nothing_is_known() {
    let place = place();
    let run = place.run(&["scan", "system.json.zst", "--component", "bolt"]);
    run.fits();
    assert_shown!(run);
}

#[test]
fn a_component_that_is_not_there() {
    let run = place().run(&["scan", "system.json.zst", "--component", "nosuch"]);
    run.fails_with("nosuch");
    assert_shown!(run);
}

#[test]
fn what_was_not_looked_at() {
    let place = place();
    let run = place.run(&["scan", "system.json.zst", "--component", "?"]);
    run.fits();
    assert_shown!(run);
}

#[test]
fn what_fails_is_narrowed() {
    let place = place();
    let status = |what: &str| {
        let run = place.run(&["scan", "system.json.zst", "--quiet", "--fail-on", what]);
        assert_eq!(run.stderr, "", "{run}");
        run.code
    };
    for (what, code) in [
        ("affected", 1),
        ("exploited", 1),
        ("critical", 1),
        ("high", 1),
        ("medium", 1),
        ("low", 1),
        ("review", 1),
        ("never", 0),
    ] {
        assert_eq!(status(what), code, "--fail-on {what}");
    }
    // The same with a system in which only something of medium severity is affected.
    let mild = System::new(
        "mild",
        [Package::new("curl-7.71.1").source("https://curl.se/download/curl-7.71.1.tar.xz")],
    );
    place.system("system.json.zst", &mild);
    for (what, code) in [
        ("affected", 1),
        ("exploited", 0),
        ("critical", 0),
        ("high", 0),
        ("medium", 0),
        ("low", 1),
        ("review", 0),
        ("exploited,low", 1),
        ("never", 0),
    ] {
        assert_eq!(status(what), code, "--fail-on {what}");
    }
}

/// What nobody has rated may be as bad as anything: a gate on severity must say that it is blind
/// there, or fail.
#[test]
fn a_gate_on_severity_is_not_blind_to_what_is_unrated() {
    let place = Place::new();
    let mut advisories = Advisories::aged(1);
    advisories.add(json!({
        "id": "CVE-2025-1111", "published": "2025-01-01",
        "affects": [{"products": ["a/haxx:curl"], "default": "unaffected", "rules": ["<8.0"]}],
    }));
    place.import(&advisories);
    let system = System::new(
        "unrated",
        [Package::new("curl-7.71.1").source("https://curl.se/download/curl-7.71.1.tar.xz")],
    );
    place.system("system.json.zst", &system);
    let run = place.run(&["scan", "system.json.zst", "--fail-on", "critical"]);
    run.fits();
    assert_shown!(run);
}

#[test]
fn an_unknown_gate_is_refused() {
    let run = place().run(&["scan", "system.json.zst", "--fail-on", "terrible"]);
    run.fails_with("terrible");
    assert_shown!(run);
}

/// Sections show the first packages, and say how many more there are.
#[test]
fn many_packages_are_counted_and_shown_on_demand() {
    let place = Place::new();
    let mut advisories = Advisories::aged(1);
    let mut packages = Vec::new();
    for number in 10..30 {
        let name = format!("widget{number}");
        advisories.add(json!({
            "id": format!("CVE-2025-10{number}"), "published": "2025-01-01",
            "severities": [{"vector": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
            "affects": [{"products": [format!("alice:{name}")], "default": "unaffected", "rules": ["<2.0"]}],
        }));
        packages.push(Package::new(&format!("{name}-1.0")).source(&format!(
            "https://github.com/alice/{name}/archive/v1.0.tar.gz"
        )));
    }
    place.import(&advisories);
    place.system("many.json.zst", &System::new("many", packages));
    let some = place.run(&["scan", "many.json.zst"]);
    some.exits(1).fits();
    assert!(
        some.stdout
            .contains("and 8 more packages (--all shows them)"),
        "{some}"
    );
    assert_eq!(some.stdout.matches("CVE-2025-10").count(), 12, "{some}");
    let all = place.run(&["scan", "many.json.zst", "--all"]);
    assert_eq!(all.stdout.matches("CVE-2025-10").count(), 20, "{all}");
}

/// The first command of the README, on a machine without Nix and without a network.
#[test]
fn the_example_is_scanned_with_the_index_of_the_program() {
    let place = Place::new();
    let example = crate::support::example();
    let run = place.run(&["scan", &example]);
    run.exits(1).fits();
    for heading in ["EXPLOITED", "CRITICAL OR HIGH", "OTHER", "NEEDS REVIEW"] {
        assert!(run.stdout.contains(&format!("\n{heading}\n")), "{run}");
    }
    assert!(run.stdout.contains("build-time closure"), "{run}");
    assert!(run.stdout.contains("CVE-2021-3156"), "{run}");
    let all = place.run(&["scan", &example, "--all", "--show-patched"]);
    all.exits(1).fits();
}
