//! The result that is sent: what is in it, and what must not be.

use serde_json::Value;
use snowguard_formats::intoto::Statement;
use snowguard_formats::{Layout, Limits};
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
        let mut world = support::World::new("two", snowguard_inventory::Nature::Document);
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
