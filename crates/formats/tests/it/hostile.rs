//! Hostile bytes: deep, many, broken. Every reader refuses or reads, none of them panics.

use snowguard_formats::cyclonedx::Bom;
use snowguard_formats::{Limits, ReadError, csaf, detect, openvex, spdx};

use crate::{chain, data};

/// Runs everything that reads over the bytes.
fn read_all(bytes: &[u8]) {
    let limits = Limits::default();
    let _ = detect(bytes);
    let _ = Bom::read(bytes, &limits).map(|bom| (bom.walk().count(), bom.problems()));
    let _ = spdx::Document::read(bytes, &limits).map(|document| document.problems());
    let _ = openvex::Document::read(bytes, &limits).map(|document| document.problems());
    let _ = csaf::Document::read(bytes, &limits).map(|document| document.statements().len());
}

#[test]
fn depth_is_refused_before_it_costs_a_stack() {
    for (open, close) in [
        (r#"{"type":"library","name":"x","components":["#, "]}"),
        (r#"{"x":"#, "}"),
        ("[", "]"),
    ] {
        for depth in [10, 30, 49, 51, 200, 100_000] {
            let inner = if open.ends_with(':') { "1" } else { "" };
            let nested = format!("{}{inner}{}", open.repeat(depth), close.repeat(depth));
            let json = format!(
                r#"{{"bomFormat":"CycloneDX","specVersion":"1.6","unknown":{nested},"components":[{nested}]}}"#
            );
            read_all(json.as_bytes());
            read_all(nested.as_bytes());
        }
    }
    let deep = format!(
        r#"{{"bomFormat":"CycloneDX","specVersion":"1.6","x":{}{}}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    let error = Bom::read(deep.as_bytes(), &Limits::default()).unwrap_err();
    assert!(matches!(error, ReadError::TooDeep { limit: 64, .. }));
}

/// A small stack, as of a test thread or a worker, is enough for the deepest document.
#[test]
fn the_deepest_document_that_is_read_fits_a_small_stack() {
    let limits = Limits {
        depth: usize::MAX,
        ..Limits::default()
    };
    let depth = 48;
    let nested = format!(
        "{}{}",
        r#"{"type":"library","name":"x","components":["#.repeat(depth),
        "]}".repeat(depth)
    );
    let json =
        format!(r#"{{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{nested}]}}"#);
    let bom = Bom::read(json.as_bytes(), &limits).unwrap();
    assert_eq!(bom.walk().count(), depth);
    assert_eq!(bom.clone(), bom);
    assert!(bom.to_json(snowguard_formats::Layout::Pretty).is_ok());
}

#[test]
fn every_document_cut_short_is_refused_or_read() {
    for name in [
        "trivy.cdx.json",
        "bombon.cdx.json",
        "yocto.spdx.json",
        "tools-java.spdx",
        "early.openvex.json",
        "vendor.csaf.json",
    ] {
        let document = data(name);
        for length in 0..document.len() {
            read_all(&document[..length]);
        }
    }
}

#[test]
fn every_document_with_a_broken_byte_is_refused_or_read() {
    for name in [
        "trivy.cdx.json",
        "yocto.spdx.json",
        "tools-java.spdx",
        "early.openvex.json",
        "vendor.csaf.json",
    ] {
        let mut document = data(name);
        for at in 0..document.len() {
            let byte = document[at];
            for other in [b'"', 0xFF] {
                document[at] = other;
                read_all(&document);
            }
            document[at] = byte;
        }
    }
}

/// What a message quotes is short and cannot steer a terminal.
#[test]
fn messages_are_fit_to_print() {
    let long = "\\u001b[31m\u{202e}".repeat(10_000);
    for json in [
        format!(r#"{{"bomFormat":"CycloneDX","specVersion":"1.6","components":"{long}"}}"#),
        format!(r#"{{"bomFormat":"CycloneDX","specVersion":"{long}"}}"#),
        format!(r#"{{"{long}":1}}"#),
        format!(
            r#"{{"@context":"https://openvex.dev/ns","statements":[{{"vulnerability":"x","status":"fixed","products":[{{"hashes":{{"{long}":1}}}}]}}]}}"#
        ),
        format!("SPDXVersion: {long}"),
        format!("SPDXVersion: SPDX-2.3\nRelationship: {long}"),
        long.clone(),
    ] {
        let errors = [
            Bom::read(json.as_bytes(), &Limits::default()).map(|_| ()),
            spdx::Document::read(json.as_bytes(), &Limits::default()).map(|_| ()),
            openvex::Document::read(json.as_bytes(), &Limits::default()).map(|_| ()),
        ];
        for error in errors.into_iter().filter_map(Result::err) {
            let message = chain(&error);
            assert!(message.len() < 1500, "{} bytes", message.len());
            let hostile = |c: char| c == '\u{202e}' || (c.is_control() && c != '\n');
            assert!(!message.contains(hostile), "{message:?}");
        }
    }
}

#[test]
fn duplicate_keys_are_refused() {
    let twice = br#"{"bomFormat":"CycloneDX","specVersion":"1.6","components":[],"components":[]}"#;
    assert!(matches!(
        Bom::read(twice, &Limits::default()),
        Err(ReadError::Malformed { .. })
    ));
}
