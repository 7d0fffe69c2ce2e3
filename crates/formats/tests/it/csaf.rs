//! CSAF: the parts of a vendor's document become statements.

use snowguard_formats::Limits;
use snowguard_formats::csaf::{Document, Justification};
use snowguard_formats::openvex::Status;

use crate::{chain, data};

fn error(json: &str) -> String {
    chain(&Document::read(json.as_bytes(), &Limits::default()).unwrap_err())
}

#[test]
fn a_vendors_document_is_read() {
    let document = Document::read(&data("vendor.csaf.json"), &Limits::default()).unwrap();
    assert_eq!(document.document.category, "csaf_vex");
    assert_eq!(document.document.publisher.name, "Example Product Security");
    assert_eq!(document.document.tracking.id, "CVE-2026-0001");
    let names: Vec<_> = document
        .product_tree
        .products()
        .iter()
        .map(|product| product.product_id.as_str())
        .collect();
    assert_eq!(
        names,
        ["EL-9", "zlib-1.3.1-1.src", "greeter-2.1", "EL-9:zlib"]
    );
    let vulnerability = &document.vulnerabilities[0];
    assert_eq!(
        vulnerability.names().collect::<Vec<_>>(),
        ["CVE-2026-0001", "2048"]
    );
    assert_eq!(vulnerability.remediations[0].category, "vendor_fix");
}

#[test]
fn status_tree_flags_and_threats_are_joined() {
    let document = Document::read(&data("vendor.csaf.json"), &Limits::default()).unwrap();
    let statements = document.statements();
    let [zlib, greeter] = &statements[..] else {
        panic!("two statements: {statements:?}");
    };
    assert_eq!(zlib.status, Status::NotAffected);
    assert_eq!(
        zlib.justification,
        Some(&Justification::VulnerableCodeNotPresent)
    );
    assert_eq!(zlib.impact, Some("The code came later"));
    assert_eq!(
        zlib.product.name,
        "zlib-1.3.1-1.src as a component of Example Linux 9"
    );
    let part = zlib.product.part.unwrap();
    assert_eq!(
        part.identification.purl.as_deref(),
        Some("pkg:rpm/example/zlib@1.3.1-1?arch=src")
    );
    let whole = zlib.product.whole.unwrap();
    assert_eq!(
        whole.identification.cpe.as_deref(),
        Some("cpe:/o:example:linux:9")
    );

    assert_eq!(greeter.status, Status::Affected);
    assert_eq!(
        greeter.justification, None,
        "a reason for not being affected says nothing here"
    );
    let identification = greeter.product.identification.unwrap();
    assert_eq!(
        identification.purl.as_deref(),
        Some("pkg:generic/greeter@2.1")
    );
}

#[test]
fn errors_say_what_and_where() {
    insta::assert_snapshot!(error(r#"{"document": {"csaf_version": "2.1"}}"#), @"CSAF 2.1 is not read; readable versions are 2.0");
    insta::assert_snapshot!(error(r#"{"document": {"csaf_version": "2.0"}, "vulnerabilities": [{"flags": [{}]}]}"#), @"
    cannot read the CSAF document at `/vulnerabilities/0/flags/0`
      missing field `label` at line 1, column 71
    ");
    insta::assert_snapshot!(error(r#"{"document": {}}"#), @"
    expected CSAF
      JSON, but neither CycloneDX (no `bomFormat`), SPDX (no `spdxVersion`), OpenVEX (no `@context` of openvex.dev), CSAF (no `document.csaf_version`) nor SARIF (no `runs`): its keys are `document`
    ");
}

#[test]
fn few_bytes_do_not_become_many_products() {
    let ids = vec![r#""x""#; 5000].join(",");
    let groups = vec![r#""g""#; 5000].join(",");
    let json = format!(
        r#"{{"document": {{"csaf_version": "2.0"}},
            "product_tree": {{"product_groups": [{{"group_id": "g", "product_ids": [{ids}]}}]}},
            "vulnerabilities": [{{"flags": [{{"label": "component_not_present", "group_ids": [{groups}]}}]}}]}}"#
    );
    insta::assert_snapshot!(error(&json), @"CSAF document refused: it stands for more than 16000000 products of groups");
}
