//! Help, man pages and completions.

use unicode_width::UnicodeWidthStr as _;

use crate::support::Place;

const ROLES: [&[&str]; 10] = [
    &[],
    &["watch"],
    &["notify"],
    &["push"],
    &["serve"],
    &["fod-proxy"],
    &["fod-policy"],
    &["fod-evidence"],
    &["completions"],
    &["man"],
];

#[test]
fn help() {
    let place = Place::new();
    for role in ROLES {
        let mut args = role.to_vec();
        args.push("--help");
        let run = place.command(&args).env("COLUMNS", "80").output().unwrap();
        let text = String::from_utf8(run.stdout).unwrap();
        assert!(run.status.success() && text.contains("\nExample"), "{text}");
        for line in text.lines() {
            assert!(line.width() <= 80, "{} columns: {line}", line.width());
        }
        insta::assert_snapshot!(format!("help {}", role.join(" ")).trim(), text);
    }
}

#[test]
fn man_pages_for_every_role() {
    let place = Place::new();
    let run = place.command(&["man", "man1"]).output().unwrap();
    assert!(run.status.success());
    for role in ROLES {
        let name = [&["snowguardd"], role].concat().join("-");
        let page = std::fs::read_to_string(place.path(&format!("man1/{name}.1"))).unwrap();
        assert!(page.contains(".SH NAME"), "{name}");
    }
}

#[test]
fn completions_for_every_shell() {
    let place = Place::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let run = place.command(&["completions", shell]).output().unwrap();
        let text = String::from_utf8(run.stdout).unwrap();
        assert!(text.contains("metrics-file"), "{shell}");
    }
}
