//! `snowguard explain`: the evidence in words, for and against.

use crate::support::{Place, Run, System, assert_shown};

fn place() -> Place {
    let place = Place::with_index();
    place.system("system.json.zst", &System::usual());
    place
}

fn explain(place: &Place, args: &[&str]) -> Run {
    let mut all = vec!["explain"];
    all.extend(args);
    all.extend(["--in", "system.json.zst"]);
    place.run(&all)
}

#[test]
fn affected_and_exploited() {
    let run = explain(&place(), &["CVE-2021-3156", "sudo"]);
    run.exits(1).fits();
    assert_shown!(run);
}

#[test]
fn affected_by_the_projects_own_word() {
    let run = explain(&place(), &["cve-2021-3711", "openssl"]);
    run.exits(1).fits();
    assert_shown!(run);
}

#[test]
fn patched() {
    let run = explain(&place(), &["CVE-2020-35521", "libtiff"]);
    run.exits(0).fits();
    assert_shown!(run);
}

#[test]
fn fixed() {
    let run = explain(&place(), &["CVE-2016-2108", "openssl"]);
    run.exits(0).fits();
    assert_shown!(run);
}

#[test]
fn needs_review() {
    let run = explain(&place(), &["CVE-2023-50967", "jose"]);
    run.fits();
    assert_shown!(run);
}

#[test]
fn another_product_of_the_same_name() {
    let run = explain(&place(), &["CVE-2023-5214", "bolt"]);
    run.exits(0).fits();
    assert_shown!(run);
}

#[test]
fn a_name_that_the_user_takes_back() {
    let place = place();
    place.write(
        "names.txt",
        "openssl not openssl:openssl # a fork of ours\n",
    );
    let run = explain(
        &place,
        &["CVE-2021-3711", "openssl", "--identities", "names.txt"],
    );
    run.exits(0).fits();
    assert_shown!(run);
}

#[test]
fn a_package_that_is_not_concerned() {
    let run = explain(&place(), &["CVE-2021-3711", "sudo"]);
    run.exits(0).fits();
    assert_shown!(run);
}

#[test]
fn nothing_here_is_concerned() {
    let run = explain(&place(), &["CVE-2025-0001"]);
    run.exits(0).fits();
    assert_shown!(run);
}

/// An advisory is found by each of its names, and without a package.
#[test]
fn an_alias_without_a_package() {
    let place = place();
    let run = explain(&place, &["CVE-2024-34069"]);
    run.exits(1).fits();
    assert_shown!(run);
    let other = explain(&place, &["ghsa-2g68-c3qc-8985"]);
    assert_eq!((run.code, &run.stdout), (other.code, &other.stdout));
}

#[test]
fn an_advisory_that_the_index_does_not_have() {
    let run = explain(&place(), &["CVE-2019-99999"]);
    run.fails_with("CVE-2019-99999");
    assert_shown!(run);
}

#[test]
fn an_advisory_mistyped() {
    let run = explain(&place(), &["CVE-2021-3710"]);
    run.fails_with("CVE-2021-3710");
    assert_shown!(run);
}

#[test]
fn what_is_no_advisory() {
    let run = explain(&place(), &["openssl"]);
    run.fails_with("openssl");
    assert_shown!(run);
    let run = explain(&place(), &["openssl", "cve-2021-3711"]);
    run.fails_with("snowguard explain CVE-2021-3711 openssl");
}

#[test]
fn a_package_that_is_not_there() {
    let run = explain(&place(), &["CVE-2021-3711", "nosuch"]);
    run.fails_with("nosuch");
    assert_shown!(run);
}

/// Two versions of a thing, one of which is not here, need no system.
#[test]
fn a_version_that_is_not_here() {
    let place = Place::with_index();
    let run = place.run(&["explain", "CVE-2021-3711", "openssl@1.1.1k"]);
    run.exits(1).fits();
    assert_shown!(run);
    let run = place.run(&["explain", "CVE-2021-3711", "openssl@1.1.1l"]);
    run.exits(0).fits();
    assert!(run.stdout.contains("openssl 1.1.1l has the fix"), "{run}");
}

#[test]
fn a_suppression_is_told() {
    let place = place();
    place.write(
        "snowguard.toml",
        "[[suppress]]\ncomponent = \"sudo\"\nadvisory = \"CVE-2021-3156\"\njustification = \"vulnerable_code_not_in_execute_path\"\nreason = \"sudoedit is not installed here\"\nexpires = 2999-12-31\n",
    );
    let run = explain(&place, &["CVE-2021-3156", "sudo"]);
    run.exits(0).fits();
    let words: Vec<&str> = run.stdout.split_whitespace().collect();
    let words = words.join(" ");
    let told = "sudoedit is not installed here, until 2999-12-31 (snowguard.toml, line 1)";
    assert!(words.contains(told), "{run}");
    assert_shown!(run);
    let json = explain(&place, &["CVE-2021-3156", "sudo", "--format", "json"]);
    let document: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    let suppressed = &document["packages"][0]["finding"]["suppressed"];
    assert_eq!(suppressed["expires"], "2999-12-31", "{json}");
}

#[test]
fn an_expired_suppression_is_told() {
    let place = place();
    place.write(
        "snowguard.toml",
        "[[suppress]]\ncomponent = \"sudo\"\nadvisory = \"CVE-2021-3156\"\nreason = \"until the update in May\"\nexpires = 2022-05-31\n",
    );
    let run = explain(&place, &["CVE-2021-3156", "sudo"]);
    run.exits(1).fits();
    assert!(run.stdout.contains("2022-05-31"), "{run}");
    assert_shown!(run);
}
