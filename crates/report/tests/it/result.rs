//! The result that is sent: what is in it, and what must not be.

use serde_json::{Value, json};
use snowguard_formats::intoto::Statement;
use snowguard_formats::{Layout, Limits};
use snowguard_inventory::{Nature, Need};
use snowguard_report::result::statement;
use snowguard_report::text;

use crate::support;

#[test]
fn a_typical_system() {
    let scanned = support::small();
    let written = scanned.with(|facts, report| statement(facts, report, Some("web-1")).unwrap());
    let json = written.to_json(Layout::Pretty).unwrap();
    insta::assert_snapshot!(String::from_utf8_lossy(&json));
    assert_eq!(Statement::read(&json, &Limits::default()).unwrap(), written);
    insta::assert_snapshot!(text::result(&written));
}

/// Files of this machine: their content is what they declare, and where they lie is not told.
#[test]
fn of_files_the_content_is_told_and_not_the_place() {
    let told = |place: &str, parts: &[&str]| {
        let mut world = support::World::new("app", Nature::Files);
        world.package(place, |_| {});
        world.record(
            "facts",
            json!({
                "id": "CVE-2026-1",
                "affects": [support::affects("pkg:cargo/zlib-rs", None, false, "<2.0")],
            }),
        );
        for part in parts {
            world.declares(place, "bin/app", part, Need::Runtime);
        }
        let scanned = world.finish();
        scanned.with(|facts, report| statement(facts, report, None).unwrap())
    };
    let (one, two) = ("pkg:cargo/zlib-rs@1.0.0", "pkg:cargo/time@0.3.0");
    let first = told("alice-1.0", &[one, two]);
    assert_eq!(first.subject[0].name.as_deref(), Some("app"));
    assert_eq!(first.subject[0].digest["partsSha256"].len(), 64);
    let packages = first.predicate["packages"].as_array().unwrap();
    assert!(!packages.is_empty());
    assert!(!first.predicate.to_string().contains("alice"));
    assert_eq!(first.subject, told("bob-1.0", &[two, one, one]).subject);
    assert_ne!(first.subject, told("alice-1.0", &[one]).subject);
}

/// Texts are their authors', and names of machines, files and people are nobody's business.
#[test]
fn it_has_no_texts_and_no_places() {
    fn keys(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    found.push(key.clone());
                    keys(value, found);
                }
            }
            Value::Array(list) => list.iter().for_each(|value| keys(value, found)),
            _ => {}
        }
    }
    for scanned in support::all() {
        let written = scanned.with(|facts, report| statement(facts, report, None).unwrap());
        assert_eq!(written.predicate["host"], Value::Null);
        let mut found = Vec::new();
        keys(&written.predicate["packages"], &mut found);
        for key in [
            "title",
            "description",
            "reason",
            "evidence",
            "origin",
            "path",
            "attributes",
        ] {
            assert!(!found.iter().any(|found| found == key), "{key}");
        }
        assert!(written.predicate["index"].get("path").is_none());
        assert_eq!(written.subject.len(), 1);
    }
}

#[test]
fn the_digest_of_objects_does_not_depend_on_their_order() {
    let digest = |names: &[&str]| {
        let mut world = support::World::new("two", Nature::Document);
        for name in names {
            world.package(name, |_| {});
        }
        let scanned = world.finish();
        let written = scanned.with(|facts, report| statement(facts, report, None).unwrap());
        written.subject[0].digest["objectsSha256"].clone()
    };
    let one = digest(&["a-1", "b-2"]);
    assert_eq!(one.len(), 64);
    assert_eq!(one, digest(&["b-2", "a-1"]));
    assert_ne!(one, digest(&["b-2"]));
}
