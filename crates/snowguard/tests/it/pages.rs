//! Help, man pages and completions: what is read before the first command.

use unicode_width::UnicodeWidthStr as _;

use crate::support::{Place, assert_shown};

const COMMANDS: [&[&str]; 19] = [
    &[],
    &["scan"],
    &["explain"],
    &["diff"],
    &["sbom"],
    &["status"],
    &["advisories"],
    &["advisories", "update"],
    &["advisories", "import"],
    &["advisories", "info"],
    &["fod", "build"],
    &["attest", "verify"],
    &["attest", "key"],
    &["attest", "key", "new"],
    &["attest", "key", "add"],
    &["attest", "key", "rotate"],
    &["attest", "key", "revoke"],
    &["completions"],
    &["man"],
];

#[test]
fn help() {
    let place = Place::new();
    for command in COMMANDS {
        let mut args = command.to_vec();
        args.push("--help");
        let run = place.run_with(&args, &[("COLUMNS", "80")]);
        run.exits(0);
        assert_eq!(run.stderr, "", "{run}");
        assert!(run.stdout.contains("\nExample"), "no example: {run}");
        for line in run.stdout.lines() {
            assert!(line.width() <= 80, "{} columns: {line}", line.width());
        }
        let name = format!("help {}", command.join(" "));
        insta::assert_snapshot!(name.trim(), run.stdout);
    }
}

#[test]
fn short_help() {
    let place = Place::new();
    for command in COMMANDS {
        let mut args = command.to_vec();
        args.push("-h");
        let run = place.run_with(&args, &[("COLUMNS", "80")]);
        run.exits(0);
        for line in run.stdout.lines() {
            assert!(line.width() <= 80, "{} columns: {line}", line.width());
        }
    }
}

#[test]
fn no_command_is_misuse() {
    let run = Place::new().run(&[]);
    assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{run}");
    assert!(run.stderr.contains("Usage: snowguard"), "{run}");
}

#[test]
fn a_command_mistyped() {
    let run = Place::new().run(&["scna"]);
    run.fails_with("scan");
    assert_shown!(run);
}

#[test]
fn the_version() {
    let run = Place::new().run(&["--version"]);
    run.exits(0);
    assert_eq!(
        run.stdout,
        format!("snowguard {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn man_pages_for_every_command() {
    let place = Place::new();
    let run = place.run(&["man", "share/man1"]);
    run.exits(0);
    assert_eq!(
        (run.stdout.as_str(), run.stderr.as_str()),
        ("", ""),
        "{run}"
    );
    insta::assert_debug_snapshot!(place.files("share/man1"));
    for name in place.files("share/man1") {
        let page = std::fs::read_to_string(place.path("share/man1").join(&name)).unwrap();
        assert!(page.contains(".TH "), "{name}");
        assert!(page.contains(".SH NAME"), "{name}");
    }
    let main = place.run(&["man"]);
    main.exits(0);
    let page = std::fs::read_to_string(place.path("share/man1/snowguard.1")).unwrap();
    assert_eq!(main.stdout, page);
}

#[test]
fn man_pages_where_none_can_be() {
    let place = Place::new();
    place.write("file", "");
    let run = place.run(&["man", "file"]);
    run.fails_with("file");
    assert_shown!(run);
}

#[test]
fn completions_for_every_shell() {
    let place = Place::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let run = place.run(&["completions", shell]);
        run.exits(0);
        for word in ["scan", "explain", "diff", "sbom", "advisories", "fail-on"] {
            assert!(run.stdout.contains(word), "{shell} does not know {word}");
        }
    }
}

#[test]
fn completions_for_a_shell_that_is_none() {
    Place::new().run(&["completions", "cmd"]).fails_with("cmd");
}

/// What the unit that fetches advisories starts is a command with these options.
#[test]
fn the_unit_for_updates_starts_a_command() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let unit = std::fs::read_to_string(root.join("units/snowguard-update.service")).unwrap();
    let command = unit
        .lines()
        .find_map(|line| line.strip_prefix("ExecStart=/usr/bin/snowguard "))
        .unwrap();
    let mut args: Vec<&str> = command.split(' ').collect();
    assert_eq!(args[..2], ["advisories", "update"]);
    args.push("--help");
    Place::new().run(&args).exits(0);
}
