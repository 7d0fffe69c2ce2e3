//! The detector: what each document is, and what to say of bytes that are none.

use snowguard_formats::{DetectError, Format, detect};

use crate::{chain, data};

#[test]
fn every_document_is_told() {
    for (name, format, version) in [
        ("sbomnix.cdx.json", Format::CycloneDx, Some("1.4")),
        ("bombon.cdx.json", Format::CycloneDx, Some("1.5")),
        ("syft.cdx.json", Format::CycloneDx, Some("1.6")),
        ("old.cdx.json", Format::CycloneDx, Some("1.2")),
        ("syft.spdx.json", Format::Spdx, Some("2.3")),
        ("yocto.spdx.json", Format::Spdx, Some("2.2")),
        ("tools-java.spdx", Format::SpdxTagValue, Some("2.3")),
        ("vexctl.openvex.json", Format::OpenVex, Some("0.2.0")),
        ("early.openvex.json", Format::OpenVex, None),
        ("vendor.csaf.json", Format::Csaf, Some("2.0")),
    ] {
        let detected = detect(&data(name)).unwrap();
        assert_eq!(detected.format, format, "{name}");
        assert_eq!(detected.version.as_deref(), version, "{name}");
    }
    let sarif = detect(br#"{"version": "2.1.0", "runs": []}"#).unwrap();
    assert_eq!(sarif.format, Format::Sarif);
    let vex = detect(br#"{"format": "text/vex+json", "statements": []}"#).unwrap();
    assert_eq!(vex.format, Format::OpenVex);
}

#[test]
fn what_a_document_says_first_counts_even_if_it_breaks_later() {
    let detected = detect(br#"{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [{"#);
    assert_eq!(detected.unwrap().version.as_deref(), Some("1.6"));
    let marked = detect(b"\xEF\xBB\xBF {\"spdxVersion\": \"SPDX-2.3\"}").unwrap();
    assert_eq!(marked.format, Format::Spdx);
}

fn told(bytes: &[u8]) -> String {
    let error = detect(bytes).unwrap_err();
    match error.hint() {
        Some(hint) => format!("{}\nhint: {hint}", chain(&error)),
        None => chain(&error),
    }
}

#[test]
fn other_forms_are_named_with_a_way_out() {
    insta::assert_snapshot!(told(&data("spdx3.json")), @"
    SPDX 3.0.1 (JSON-LD) is not read
    hint: export SPDX 2.3 JSON instead: SPDX 3 is not read yet
    ");
    insta::assert_snapshot!(told(br#"{"spdxVersion": "SPDX-3.0"}"#), @"
    SPDX 3.0 is not read
    hint: export SPDX 2.3 JSON instead: SPDX 3 is not read yet
    ");
    insta::assert_snapshot!(told(&data("github.json")), @"
    an SPDX document inside an `sbom` object, as GitHub exports it, is not read
    hint: pass the value of `sbom` alone
    ");
    insta::assert_snapshot!(told(br#"{"payloadType": "application/vnd.in-toto+json", "payload": ""}"#), @"
    a signed envelope (DSSE) of `application/vnd.in-toto+json` is not read
    hint: check its signature, then pass the predicate of its decoded payload
    ");
    insta::assert_snapshot!(told(br#"{"_type": "x", "predicateType": "https://cyclonedx.org/bom", "predicate": {}}"#), @"
    an in-toto statement of `https://cyclonedx.org/bom` is not read
    hint: pass the value of `predicate` alone
    ");
    insta::assert_snapshot!(told(br#"<?xml version="1.0"?><bom xmlns="http://cyclonedx.org/schema/bom/1.4">"#), @"
    CycloneDX XML is not read
    hint: export CycloneDX JSON instead
    ");
    insta::assert_snapshot!(told(b"<rdf:RDF xmlns:spdx=\"http://spdx.org/rdf/terms#\">"), @"
    SPDX RDF/XML is not read
    hint: export SPDX 2.3 JSON instead
    ");
    insta::assert_snapshot!(told(b"spdxVersion: SPDX-2.3\nname: x\n"), @"
    SPDX YAML is not read
    hint: export SPDX 2.3 JSON instead
    ");
    insta::assert_snapshot!(told(b"\x28\xB5\x2F\xFD...."), @"
    a document compressed with zstd is not read
    hint: decompress it first
    ");
    insta::assert_snapshot!(told(b"\xFF\xFE{\0}\0"), @"
    text in UTF-16 is not read
    hint: convert it to UTF-8
    ");
    insta::assert_snapshot!(told(br#"{"artifacts": [], "artifactRelationships": []}"#), @"
    Syft's own JSON is not read
    hint: let it write CycloneDX JSON instead
    ");
    insta::assert_snapshot!(told(br#"{"SchemaVersion": 2, "Results": []}"#), @"
    Trivy's own JSON is not read
    hint: let it write CycloneDX JSON instead
    ");
}

#[test]
fn anything_else_is_described() {
    insta::assert_snapshot!(told(b" \n"), @"the document is empty");
    insta::assert_snapshot!(told(br#"{"packages": {}, "version": 2, "\u001b[31m": 1, "d": 1, "e": 1, "f": 1, "g": 1, "h": 1}"#), @r"JSON, but neither CycloneDX (no `bomFormat`), SPDX (no `spdxVersion`), OpenVEX (no `@context` of openvex.dev), CSAF (no `document.csaf_version`) nor SARIF (no `runs`): its keys are `packages`, `version`, `\u{1b}[31m`, `d`, `e`, `f` and 2 more");
    insta::assert_snapshot!(told(b"{}"), @"JSON, but neither CycloneDX (no `bomFormat`), SPDX (no `spdxVersion`), OpenVEX (no `@context` of openvex.dev), CSAF (no `document.csaf_version`) nor SARIF (no `runs`): it is an object without keys");
    insta::assert_snapshot!(told(b"[]"), @"JSON, but neither CycloneDX (no `bomFormat`), SPDX (no `spdxVersion`), OpenVEX (no `@context` of openvex.dev), CSAF (no `document.csaf_version`) nor SARIF (no `runs`): it is an array");
    insta::assert_snapshot!(told(b"42"), @"JSON, but neither CycloneDX (no `bomFormat`), SPDX (no `spdxVersion`), OpenVEX (no `@context` of openvex.dev), CSAF (no `document.csaf_version`) nor SARIF (no `runs`): it is a single value");
    insta::assert_snapshot!(told(b"{\"a\": 1,\n \"b\" 2}"), @"
    the document begins like JSON but is broken
      expected `:` at line 2, column 6
    ");
    insta::assert_snapshot!(told(b"Derive([(\"out\",\"/nix/store/00000000000000000000000000000000-x\",\"\",\"\")],[],[]"), @r#"text, but neither JSON nor an SPDX tag-value document: it begins with `Derive([("out","/nix/store/0000000000000…`"#);
    insta::assert_snapshot!(told(b"\x7fELF\x02\x01\x01\0"), @"binary data, not a document");
    insta::assert_snapshot!(told(b"\x80\x81\x82"), @"binary data, not a document");
    assert!(matches!(detect(b""), Err(DetectError::Empty)));
}
