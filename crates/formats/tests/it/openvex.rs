//! OpenVEX: every form is read, ours is valid, and the rules of the specification are kept.

use std::collections::BTreeMap;

use snowguard_formats::openvex::{
    Document, Justification, Product, Statement, Status, Subcomponent, Vulnerability,
};
use snowguard_formats::{Layout, Limits, Timestamp};
use snowguard_testkit::schema::{Schema, assert_valid, violations};

use crate::{chain, data, lines};

fn read(name: &str) -> Document {
    Document::read(&data(name), &Limits::default())
        .unwrap_or_else(|error| panic!("{}", chain(&error)))
}

fn error(json: &str) -> String {
    chain(&Document::read(json.as_bytes(), &Limits::default()).unwrap_err())
}

#[test]
fn vexctl_is_read_and_written_as_it_was() {
    let document = read("vexctl.openvex.json");
    assert_eq!(lines(&document.problems()), "");
    let statement = &document.statements[0];
    assert_eq!(statement.status, Status::NotAffected);
    assert_eq!(
        statement.justification,
        Some(Justification::VulnerableCodeNotInExecutePath)
    );
    assert_eq!(
        statement.vulnerability.names().collect::<Vec<_>>(),
        ["CVE-2026-0001", "GHSA-aaaa-bbbb-cccc"]
    );
    let product = &statement.products[0];
    assert_eq!(
        product.purls().collect::<Vec<_>>(),
        ["pkg:oci/greeter@sha256%3A1111"]
    );
    assert_eq!(
        product.subcomponents[0].purls().collect::<Vec<_>>(),
        ["pkg:nix/zlib@1.3.1"]
    );
    let json = document.to_json(Layout::Pretty).unwrap();
    assert_valid(Schema::OpenVex02, &json);
    let ours: serde_json::Value = serde_json::from_slice(&json).unwrap();
    let theirs: serde_json::Value = serde_json::from_slice(&data("vexctl.openvex.json")).unwrap();
    assert_eq!(ours, theirs);
}

#[test]
fn the_latest_statement_comes_last() {
    let document = read("vexctl.openvex.json");
    let order: Vec<_> = document
        .chronological()
        .iter()
        .map(|statement| &statement.status)
        .collect();
    assert_eq!(order, [&Status::UnderInvestigation, &Status::NotAffected]);
    assert_eq!(
        document.time_of(&document.statements[1]).unwrap().as_str(),
        "2026-01-31T12:00:00.647787998-06:00"
    );
}

#[test]
fn the_first_versions_are_read() {
    let document = read("early.openvex.json");
    assert_eq!(document.version, 1);
    let statement = &document.statements[0];
    assert_eq!(statement.vulnerability.name, "CVE-2026-0001");
    assert_eq!(
        statement.vulnerability.description.as_deref(),
        Some("Made up for a test")
    );
    assert_eq!(statement.products.len(), 2);
    for product in &statement.products {
        assert_eq!(
            product.subcomponents[0].id.as_deref(),
            Some("pkg:apk/example/zlib@1.3.1-r0")
        );
    }
    assert_eq!(statement.impact_statement, None, "it was empty");
    assert_eq!(document.statements[1].vulnerability.name, "CVE-2026-0002");
    insta::assert_snapshot!(lines(&document.problems()), @"
    error: /statements/1/vulnerability/@id: `CVE-2026-0002` is not an IRI
    error: /statements/1: `affected` needs an action_statement
    ");
}

#[test]
fn few_bytes_do_not_become_many_parts() {
    let list = |count: usize| vec![r#""x""#; count].join(",");
    let json = format!(
        r#"{{"@context": "https://openvex.dev/ns", "statements": [{{"vulnerability": "x",
            "status": "fixed", "products": [{}], "subcomponents": [{}]}}]}}"#,
        list(3000),
        list(3000)
    );
    insta::assert_snapshot!(error(&json), @"OpenVEX document refused: it stands for more than 4000000 parts of products");
}

#[test]
fn errors_say_what_and_where() {
    insta::assert_snapshot!(error(r#"{"@context": "https://openvex.dev/ns/v0.2.0", "statements": [{"status": "fixed"}]}"#), @"
    cannot read the OpenVEX document at `/statements/0`
      missing field `vulnerability` at line 1, column 80
    ");
    insta::assert_snapshot!(error(r#"{"@context": "https://openvex.dev/ns/v0.2.0", "statements": [{"vulnerability": {}, "status": "fixed"}]}"#), @"
    cannot read the OpenVEX document at `/statements/0/vulnerability`
      missing field `name` at line 1, column 81
    ");
    insta::assert_snapshot!(error(r#"{"@context": "https://openvex.dev/ns/v0.2.0", "statements": [{"vulnerability": "x", "status": "fixed", "products": [{"hashes": {"md5": 1}}]}]}"#), @"
    cannot read the OpenVEX document at `/statements/0/products/0/hashes/md5`
      invalid type: integer `1`, expected a string at line 1, column 136
    ");
    insta::assert_snapshot!(error(r#"{"@context": "https://openvex.dev/ns/v0.2.0", "version": "first"}"#), @r#"
    cannot read the OpenVEX document at `/version`
      invalid value: string "first", expected a positive number at line 1, column 64
    "#);
    insta::assert_snapshot!(error(r#"{"@context": "https://openvex.dev/ns/v1.0.0"}"#), @"OpenVEX 1.0.0 is not read; readable versions are 0.0 to 0.2");
}

fn document(statements: Vec<Statement>) -> Document {
    let now: jiff::Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
    Document {
        statements,
        ..Document::new("https://example.org/vex/1", "Example", now.into())
    }
}

fn statement(status: Status) -> Statement {
    Statement::new(
        "CVE-2026-0001",
        Product::purl("pkg:generic/zlib@1.3.1"),
        status,
    )
}

/// Each rule of the specification: the problem is told, and the schema sees it too.
#[test]
fn the_rules_of_the_specification_are_kept() {
    let broken = [
        (
            statement(Status::NotAffected),
            "error: /statements/0: `not_affected` needs a justification or an impact_statement",
        ),
        (
            statement(Status::Affected),
            "error: /statements/0: `affected` needs an action_statement",
        ),
        (
            statement("perhaps".into()),
            "error: /statements/0/status: OpenVEX has no status `perhaps`",
        ),
        (
            Statement {
                version: Some(0),
                ..statement(Status::Fixed)
            },
            "error: /statements/0/version: revisions are counted from 1",
        ),
        (
            Statement {
                products: vec![Product::default()],
                ..statement(Status::Fixed)
            },
            "error: /statements/0/products/0: it has neither an `@id` nor identifiers",
        ),
        (
            Statement {
                products: vec![Product {
                    identifiers: BTreeMap::from([("swid".into(), "x".into())]),
                    hashes: BTreeMap::from([("crc".into(), "x".into())]),
                    ..Product::default()
                }],
                ..statement(Status::Fixed)
            },
            "error: /statements/0/products/0/identifiers: OpenVEX has no identifier `swid`\n\
             error: /statements/0/products/0/hashes: OpenVEX has no hash function `crc`",
        ),
        (
            Statement {
                vulnerability: Vulnerability {
                    aliases: vec!["a".into(), "a".into()],
                    ..Vulnerability::new("x")
                },
                ..statement(Status::Fixed)
            },
            "error: /statements/0/vulnerability/aliases: an alias is listed more than once",
        ),
        (
            Statement {
                id: Some("no iri".into()),
                ..statement(Status::Fixed)
            },
            "error: /statements/0/@id: `no iri` is not an IRI",
        ),
    ];
    for (statement, expected) in broken {
        let document = document(vec![statement]);
        assert_eq!(lines(&document.problems()), expected);
        let json = document.to_json(Layout::Compact).unwrap();
        assert!(
            !violations(Schema::OpenVex02, &json).is_empty(),
            "{expected}"
        );
    }
    let twice = document(vec![statement(Status::Fixed), statement(Status::Fixed)]);
    assert_eq!(
        lines(&twice.problems()),
        "error: /statements/1: the same statement stands twice"
    );
    let empty = Document {
        version: 0,
        author: String::new(),
        timestamp: None,
        ..document(Vec::new())
    };
    insta::assert_snapshot!(lines(&empty.problems()), @"
    error: /author: a document names its author
    error: /timestamp: a document has a time
    error: /version: revisions are counted from 1
    error: /statements: a document makes at least one statement
    ");
}

#[test]
fn what_is_only_odd_is_a_warning() {
    let odd = Statement {
        justification: Some(Justification::ComponentNotPresent),
        impact_statement: Some("why".into()),
        ..statement(Status::Fixed)
    };
    insta::assert_snapshot!(lines(&document(vec![odd]).problems()), @"
    warning: /statements/0/justification: it explains `not_affected`, the status is `fixed`
    warning: /statements/0/impact_statement: it explains `not_affected`, the status is `fixed`
    ");
    let nowhere = Statement {
        products: Vec::new(),
        ..statement(Status::Fixed)
    };
    insta::assert_snapshot!(lines(&document(vec![nowhere]).problems()), @"error: /statements/0/products: a statement is about a product, unless the document that holds it says which");
}

#[test]
fn a_document_with_everything_is_valid_and_comes_back() {
    let time = |text: &str| -> Option<Timestamp> { Some(text.parse().unwrap()) };
    let everything = Document {
        role: Some("Maintainer".into()),
        last_updated: time("2026-02-01T00:00:00Z"),
        version: 2,
        tooling: Some("snowguard 0.1.0".into()),
        ..document(vec![
            Statement {
                id: Some("https://example.org/vex/1#1".into()),
                version: Some(1),
                vulnerability: Vulnerability {
                    id: Some("https://nvd.nist.gov/vuln/detail/CVE-2026-0001".into()),
                    description: Some("A hole".into()),
                    aliases: vec!["GHSA-aaaa-bbbb-cccc".into()],
                    ..Vulnerability::new("CVE-2026-0001")
                },
                timestamp: time("2026-01-30T00:00:00Z"),
                last_updated: time("2026-01-31T00:00:00Z"),
                products: vec![Product {
                    hashes: BTreeMap::from([("sha-256".into(), "ab".repeat(32))]),
                    subcomponents: vec![Subcomponent::purl("pkg:generic/zlib@1.3.1")],
                    ..Product::purl("pkg:nix/greeter@2.1")
                        .with_cpe23("cpe:2.3:a:greeter:greeter:2.1:*:*:*:*:*:*:*")
                }],
                supplier: Some("Example".into()),
                status_notes: Some("By the patch".into()),
                justification: Some(Justification::InlineMitigationsAlreadyExist),
                impact_statement: Some("Patched".into()),
                ..statement(Status::NotAffected)
            },
            Statement {
                action_statement: Some("Update".into()),
                action_statement_timestamp: time("2026-01-31T00:00:00Z"),
                ..statement(Status::Affected)
            },
            statement(Status::UnderInvestigation),
        ])
    };
    assert_eq!(lines(&everything.problems()), "");
    let json = everything.to_json(Layout::Pretty).unwrap();
    assert_valid(Schema::OpenVex02, &json);
    assert_eq!(
        Document::read(&json, &Limits::default()).unwrap(),
        everything
    );
    insta::assert_snapshot!(String::from_utf8(json).unwrap());
}
