//! What is none of what is read: it is named, with what to do, and never taken for an empty system.

use std::io::Write as _;

use snowguard_sources::{Input, Limits, Options};

use crate::support::{piped, told, try_subject};

#[test]
fn everything_that_people_pass_by_mistake_is_recognised() {
    let cases: [(&str, &[u8]); 24] = [
        ("nothing", b""),
        ("white space", b" \n\t\n"),
        ("an empty object", b"{}"),
        ("an empty array", b"[]"),
        ("a number", b"12"),
        ("a flake.lock", br#"{"nodes":{"root":{}},"root":"root","version":7}"#),
        ("a Nix expression", b"{ pkgs ? import <nixpkgs> {} }:\npkgs.hello\n"),
        ("a program", b"\x7FELF\x02\x01\x01\0"),
        ("a script", b"#!/bin/sh\necho hello\n"),
        ("a web page", b"<!DOCTYPE html>\n<html><head><title>404</title></head></html>"),
        ("a narinfo", b"StorePath: /nix/store/x\nURL: nar/x.nar.xz\n"),
        ("a NAR", b"\x0D\0\0\0\0\0\0\0nix-archive-1\0\0\0"),
        ("a database", b"SQLite format 3\0"),
        ("xz", b"\xFD7zXZ\0\0"),
        ("zip", b"PK\x03\x04\x14\0"),
        ("an npm lock", br#"{"name":"x","lockfileVersion":3,"packages":{}}"#),
        ("a Cargo lock", b"version = 4\n\n[[package]]\nname = \"x\"\n"),
        ("a manifest", b"[package]\nname = \"x\"\n"),
        ("OpenVEX", br#"{"@context":"https://openvex.dev/ns/v0.2.0","@id":"https://x/1","author":"a","timestamp":"2024-01-01T00:00:00Z","version":1,"statements":[]}"#),
        ("an OSV advisory", br#"{"id":"OSV-2020-1","modified":"2020-01-01T00:00:00Z","affected":[]}"#),
        ("nix build --json", br#"[{"drvPath":"/nix/store/x.drv","outputs":{"out":"/nix/store/x"}}]"#),
        ("cut JSON", br#"{"a": {"#),
        ("prose", b"Dear reader, this is not a closure.\n"),
        ("escapes", b"\x1b[31mred\x1b[0m \xE2\x80\xAEdesrever\n"),
    ];
    let mut all = String::new();
    for (name, bytes) in cases {
        let error = piped(bytes).unwrap_err();
        let text = told(&error);
        assert!(!text.contains(['\x1b', '\u{202e}']), "{name}: {text:?}");
        all.extend(["# ", name, "\n", &*text, "\n\n"]);
    }
    insta::assert_snapshot!(all);
}

#[test]
fn what_is_not_there_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options::default();
    for (name, wanted) in [
        ("absent.json", "does not exist"),
        ("nixpkgs#hello", "looks like a reference to a flake"),
        ("github:NixOS/nixpkgs", "looks like a reference to a flake"),
    ] {
        let error = Input::detect(dir.path().join(name), &options);
        let error = match error {
            Ok(_) => panic!("{name} was found"),
            Err(error) if name.contains("github:") => {
                drop(error);
                Input::detect(name, &options).unwrap_err()
            }
            Err(error) => error,
        };
        assert!(told(&error).contains(wanted), "{}", told(&error));
        assert!(error.hint().is_some(), "{name}");
    }
}

#[test]
fn bombs_go_off_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bomb");
    let mut zstd = zstd::Encoder::new(Vec::new(), 19).unwrap();
    for _ in 0..64 {
        zstd.write_all(&vec![b' '; 1 << 20]).unwrap();
    }
    std::fs::write(&path, zstd.finish().unwrap()).unwrap();
    assert!(path.metadata().unwrap().len() < 1 << 16);
    let options = Options {
        limits: Limits {
            document: 1 << 20,
            ..Limits::default()
        },
        ..Options::default()
    };
    let text = told(&try_subject(&path, &options).unwrap_err());
    assert!(text.contains("has more than 1048576 bytes"), "{text}");

    let mut layers = b"{}".to_vec();
    for _ in 0..8 {
        layers = zstd::encode_all(&*layers, 1).unwrap();
    }
    let text = told(&piped(layers).unwrap_err());
    assert!(text.contains("compressed more than"), "{text}");

    let deep = "[".repeat(1_000_000);
    assert!(piped(deep).is_err());
    let deep = "{\"a\":".repeat(1_000_000);
    assert!(piped(deep).is_err());
}

#[test]
fn cut_off_compression_is_told() {
    let whole = zstd::encode_all(
        &br#"{"bomFormat":"CycloneDX","specVersion":"1.6","components":[]}"#[..],
        3,
    )
    .unwrap();
    let text = told(&piped(&whole[..whole.len() - 4]).unwrap_err());
    assert!(
        text.contains("the zstd data is damaged or cut off"),
        "{text}"
    );
}
