//! OSV: what is written is valid, and an ecosystem that the format does not list is named openly.

use snowguard_formats::osv::{
    Affected, Document, Event, Naming, Package, Range, Reference, ReferenceKind, Severity,
    SeverityKind, private_id,
};
use snowguard_formats::{Layout, Timestamp};
use snowguard_testkit::schema::{Schema, assert_valid, violations};

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn advisory() -> Document {
    let package = |channel: &str| Package {
        purl: Some("pkg:generic/zlib".to_owned()),
        ..Package::new(format!("Nixpkgs:{channel}"), "zlib")
    };
    Document {
        published: Some(time("2026-01-30T12:00:00Z")),
        upstream: vec!["CVE-2026-0001".into(), "GHSA-aaaa-bbbb-cccc".into()],
        summary: Some("zlib: a hole".into()),
        details: Some("**Markdown** of ours".into()),
        severity: vec![Severity {
            kind: SeverityKind::CvssV3,
            score: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H".into(),
        }],
        affected: vec![
            Affected {
                package: Some(package("nixos-25.11")),
                ranges: vec![Range::ecosystem([
                    Event::Introduced("0".into()),
                    Event::Fixed("1.3.2".into()),
                ])],
                versions: vec!["1.3.1".into()],
                ecosystem_specific: [("attributes".to_owned(), serde_json::json!(["zlib"]))].into(),
                ..Affected::default()
            },
            Affected {
                package: Some(package("nixos-unstable")),
                ranges: vec![Range::ecosystem([
                    Event::Introduced("0".into()),
                    Event::LastAffected("1.3.1".into()),
                ])],
                ..Affected::default()
            },
        ],
        references: vec![Reference {
            kind: ReferenceKind::Advisory,
            url: "https://example.org/a b".into(),
        }],
        ..Document::new(private_id("NIX-2026-0001"), time("2026-01-31T12:00:00Z"))
    }
}

#[test]
fn what_is_written_is_valid() {
    let json = advisory().to_json(Naming::Valid, Layout::Pretty).unwrap();
    assert_valid(Schema::Osv17, &json);
    insta::assert_snapshot!(String::from_utf8(json).unwrap());
}

#[test]
fn only_the_ecosystem_is_what_the_schema_refuses_of_the_open_form() {
    let json = advisory().to_json(Naming::Open, Layout::Compact).unwrap();
    let violations = violations(Schema::Osv17, &json);
    let places: Vec<_> = violations
        .iter()
        .filter_map(|line| line.split(": ").next())
        .collect();
    assert_eq!(
        places,
        [
            "/affected/0/package/ecosystem",
            "/affected/1/package/ecosystem"
        ]
    );
}

#[test]
fn a_listed_ecosystem_stays_where_it_belongs() {
    let document = Document {
        affected: vec![Affected {
            package: Some(Package::new("Debian:13", "zlib")),
            ..Affected::default()
        }],
        ..Document::new("DSA-1", time("2026-01-31T12:00:00Z"))
    };
    let json = document.to_json(Naming::Valid, Layout::Compact).unwrap();
    assert_valid(Schema::Osv17, &json);
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(json["affected"][0]["package"]["name"], "zlib");
}

#[test]
fn the_list_of_ecosystems_is_that_of_the_schema() {
    for (ecosystem, listed) in [("crates.io", true), ("GIT", true), ("Nixpkgs", false)] {
        assert_eq!(Package::new(ecosystem, "x").is_listed(), listed);
        let document = Document {
            affected: vec![Affected {
                package: Some(Package::new(ecosystem, "x")),
                ..Affected::default()
            }],
            ..Document::new("CVE-2026-0001", time("2026-01-31T12:00:00Z"))
        };
        let json = document.to_json(Naming::Open, Layout::Compact).unwrap();
        assert_eq!(violations(Schema::Osv17, &json).is_empty(), listed);
    }
}
