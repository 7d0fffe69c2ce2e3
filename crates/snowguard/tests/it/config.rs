//! `snowguard.toml`: settings and suppressions.

use std::fmt::Write as _;

use crate::support::{Place, Run, System, assert_shown, days_ago, days_from_now};

fn place() -> Place {
    let place = Place::with_index();
    place.system("system.json.zst", &System::usual());
    place
}

fn scan(place: &Place, settings: &str) -> Run {
    place.write("snowguard.toml", settings);
    place.run(&["scan", "system.json.zst", "--show-suppressed"])
}

fn entry(more: &str) -> String {
    format!(
        "[[suppress]]\ncomponent = \"sudo\"\nadvisory = \"CVE-2021-3156\"\nreason = \"sudoedit is not installed here\"\n{more}\n"
    )
}

#[test]
fn an_entry_suppresses() {
    let day = days_from_now(100);
    let more = format!("justification = \"vulnerable_code_not_present\"\nexpires = {day}");
    let run = scan(&place(), &entry(&more));
    run.exits(1).fits();
    assert!(!run.stdout.contains("EXPLOITED"), "{run}");
    assert_shown!(run);
}

#[test]
fn components_are_named_in_many_ways() {
    for name in [
        "sudo",
        "Sudo",
        "pkg:generic/sudo",
        "pkg:nix/sudo@1.8.31p1",
        "cpe:2.3:a:sudo_project:sudo:*:*:*:*:*:*:*:*",
        "cpe:2.3:a:sudo_project:sudo:1.8.31:p1:*:*:*:*:*:*",
    ] {
        let run = scan(
            &place(),
            &entry("").replace("\"sudo\"", &format!("\"{name}\"")),
        );
        assert!(run.stdout.contains("1 suppressed"), "{name}: {run}");
    }
}

/// An advisory is met by each of its names.
#[test]
fn an_alias_is_met() {
    for id in ["GHSA-2g68-c3qc-8985", "CVE-2024-34069"] {
        let settings = format!(
            "[[suppress]]\ncomponent = \"pkg:pypi/werkzeug\"\nadvisory = \"{id}\"\nreason = \"no debugger here\"\n"
        );
        let run = scan(&place(), &settings);
        assert!(run.stdout.contains("1 suppressed"), "{id}: {run}");
    }
}

#[test]
fn an_entry_for_another_version_does_not() {
    let run = scan(&place(), &entry("version = \"1.9.0\""));
    assert!(run.stdout.contains("EXPLOITED"), "{run}");
    let run = scan(&place(), &entry("version = \"1.8.31p1\""));
    assert!(run.stdout.contains("1 suppressed"), "{run}");
    // A purl and a CPE say it themselves.
    for name in [
        "pkg:nix/sudo@1.9.0",
        "cpe:2.3:a:sudo_project:sudo:1.9.0:*:*:*:*:*:*:*",
    ] {
        let settings = entry("").replace("\"sudo\"", &format!("\"{name}\""));
        let run = scan(&place(), &settings);
        assert!(run.stdout.contains("EXPLOITED"), "{name}: {run}");
    }
    let both = entry("version = \"1.8.31p1\"").replace("\"sudo\"", "\"pkg:nix/sudo@1.9.0\"");
    let run = scan(&place(), &both);
    run.exits(2);
    assert!(run.stderr.contains("names version 1.9.0"), "{run}");
}

/// The last day counts as a whole, wherever on earth: the day after and the day before are sure.
#[test]
fn an_expired_entry_is_told() {
    let run = scan(&place(), &entry(&format!("expires = \"{}\"", days_ago(2))));
    run.exits(1).fits();
    assert!(run.stdout.contains("EXPLOITED"), "{run}");
    assert_shown!(run);
    let run = scan(&place(), &entry(&format!("expires = {}", days_from_now(1))));
    assert!(run.stdout.contains("1 suppressed"), "{run}");
}

#[test]
fn an_unused_entry_is_told() {
    let run = scan(&place(), &entry("").replace("sudo\"", "doas\""));
    run.exits(1).fits();
    assert_shown!(run);
}

/// A name that is in more than one entry of a long file must be told apart by its place.
#[test]
fn what_is_told_is_told_by_its_line() {
    let settings = format!(
        "# house rules\n\n{}\n{}",
        entry(""),
        entry("version = \"9\"")
    );
    let run = scan(&place(), &settings);
    assert!(run.stdout.contains("snowguard.toml, line 3"), "{run}");
    assert!(run.stdout.contains("snowguard.toml, line 9"), "{run}");
}

#[test]
fn what_is_wrong_is_told_with_its_place_and_a_remedy() {
    let place = place();
    let mut told = String::new();
    for (what, settings) in [
        (
            "a wrong justification",
            entry("justification = \"we_do_not_care\""),
        ),
        ("a wrong day", entry("expires = \"next year\"")),
        ("a day that is none", entry("expires = \"2025-02-30\"")),
        ("a number for a day", entry("expires = 2025")),
        ("an unknown key", entry("until = 2025-01-01")),
        ("no reason", entry("").replace("reason", "# reason")),
        (
            "an empty reason",
            entry("").replace("sudoedit is not installed here", " "),
        ),
        (
            "a wrong advisory",
            entry("").replace("CVE-2021-3156", "CVE-twenty"),
        ),
        (
            "a component that is none",
            entry("").replace("\"sudo\"", "\"pkg:\""),
        ),
        (
            "a component without text",
            entry("").replace("\"sudo\"", "\"\""),
        ),
        ("broken syntax", "[[suppress]\n".to_owned()),
        (
            "an unknown setting",
            "\n\nfail_on = [\"high\"]\n".to_owned(),
        ),
        ("an unknown gate", "\nfail-on = [\"terrible\"]\n".to_owned()),
        ("a wrong type", "fail-on = \"high\"\n".to_owned()),
        ("a wrong age", "max-age = \"soon\"\n".to_owned()),
        (
            "identities that are not there",
            "identities = [\"nosuch.txt\"]\n".to_owned(),
        ),
        (
            "decisions that are not there",
            "vex = [\"nosuch.json\"]\n".to_owned(),
        ),
    ] {
        let run = scan(&place, &settings);
        run.fails_with("error: ");
        let named = run.stderr.contains("snowguard.toml") || run.stderr.contains("nosuch");
        assert!(named, "{what}: the file is not named\n{run}");
        assert!(
            run.stderr.contains("hint: "),
            "{what}: there is no remedy\n{run}"
        );
        write!(told, "{what}\n{}\n", run.stderr).unwrap();
    }
    place.write("snowguard.toml", b"\xff\xfe");
    write!(
        told,
        "no text\n{}\n",
        place.run(&["scan", "system.json.zst"]).stderr
    )
    .unwrap();
    let run = place.run(&["scan", "system.json.zst", "--config", "nosuch.toml"]);
    run.fails_with("nosuch.toml");
    write!(told, "no file\n{}", run.stderr).unwrap();
    insta::assert_snapshot!(told);
}

#[test]
fn settings_are_looked_for_in_order() {
    let place = place();
    let gate = |name: &str, what: &str| {
        place.write(name, format!("fail-on = [\"{what}\"]\n"));
    };
    let scan = |environment: &[(&str, &str)]| {
        place
            .run_with(&["scan", "system.json.zst", "--quiet"], environment)
            .code
    };
    assert_eq!(scan(&[]), 1);
    gate("../home/.config/snowguard/snowguard.toml", "never");
    assert_eq!(scan(&[]), 0);
    gate("xdg/snowguard/snowguard.toml", "high");
    let xdg = place.path("xdg");
    assert_eq!(scan(&[("XDG_CONFIG_HOME", xdg.to_str().unwrap())]), 1);
    gate("snowguard.toml", "exploited");
    assert_eq!(scan(&[]), 1);
    gate("other.toml", "never");
    let other = ["scan", "system.json.zst", "--config", "other.toml"];
    assert_eq!(place.run(&other).code, 0);
    // What is asked for on the command line goes before every file.
    let mut narrowed = other.to_vec();
    narrowed.extend(["--fail-on", "high"]);
    assert_eq!(place.run(&narrowed).code, 1);
}

/// Paths in a file are meant beside the file, wherever the program is started.
#[test]
fn paths_are_meant_beside_the_file() {
    let place = place();
    place.write(
        "rules/names.txt",
        "jose  is  latchset:jose  # the project's organisation\n",
    );
    place.write("rules/snowguard.toml", "identities = [\"names.txt\"]\n");
    let run = place.run(&[
        "scan",
        "system.json.zst",
        "--config",
        "rules/snowguard.toml",
    ]);
    run.exits(1);
    place.write("rules/names.txt", "jose  is\n");
    let run = place.run(&[
        "scan",
        "system.json.zst",
        "--config",
        "rules/snowguard.toml",
    ]);
    run.fails_with("rules/names.txt");
    assert_shown!(run);
}
