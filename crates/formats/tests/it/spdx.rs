//! SPDX: documents of others in both forms, ours valid, and one word for each dependency.

use snowguard_formats::spdx::{
    self, Checksum, ChecksumAlgorithm, Document, EdgeKind, ExternalDocumentRef, ExternalRef,
    ExtractedLicense, NOASSERTION, Package, Purpose, ReferenceCategory, Relationship,
    RelationshipType,
};
use snowguard_formats::{Layout, Limits, Timestamp};
use snowguard_testkit::schema::{Schema, assert_valid};

use crate::{chain, data, lines};

fn read(name: &str) -> Document {
    Document::read(&data(name), &Limits::default())
        .unwrap_or_else(|error| panic!("{}", chain(&error)))
}

fn error(bytes: &[u8]) -> String {
    chain(&Document::read(bytes, &Limits::default()).unwrap_err())
}

#[test]
fn others_documents_become_valid_ones() {
    for (name, problems) in [
        (
            "syft.spdx.json",
            "warning: /relationships/1/relatedSpdxElement: `SPDXRef-File-libz` is no element of this document",
        ),
        ("yocto.spdx.json", ""),
        ("tools-java.spdx", ""),
    ] {
        let document = read(name);
        assert_eq!(lines(&document.problems()), problems, "{name}");
        let json = document.to_json(Layout::Pretty).unwrap();
        assert_valid(Schema::Spdx23, &json);
        let mut again = Document::read(&json, &Limits::default()).unwrap();
        again.spdx_version.clone_from(&document.spdx_version);
        assert_eq!(again, document, "{name}");
    }
}

#[test]
fn syft_is_read() {
    let document = read("syft.spdx.json");
    let zlib = &document.packages[0];
    assert_eq!(zlib.version.as_deref(), Some("1:1.3.1"));
    assert_eq!(
        zlib.purls().collect::<Vec<_>>(),
        ["pkg:deb/debian/zlib1g@1%3A1.3.1?arch=amd64"]
    );
    assert_eq!(zlib.cpes().count(), 2);
    assert_eq!(document.described(), ["SPDXRef-DocumentRoot-Image-greeter"]);
    assert_eq!(document.packages[1].purpose, Some(Purpose::Container));
    let edges: Vec<_> = document
        .relationships
        .iter()
        .filter_map(Relationship::edge)
        .collect();
    assert_eq!(edges.len(), 1);
    assert_eq!(edges[0].kind, EdgeKind::Contains);
}

#[test]
fn yocto_is_read() {
    let document = read("yocto.spdx.json");
    assert_eq!(document.spdx_version, "SPDX-2.2");
    assert_eq!(document.described(), ["SPDXRef-Recipe-zlib"]);
    let zlib = &document.packages[0];
    assert_eq!(
        zlib.external_refs[1].category,
        ReferenceCategory::PackageManager
    );
    assert_eq!(
        zlib.cpes().collect::<Vec<_>>(),
        ["cpe:2.3:*:gnu:zlib:1.3.1:*:*:*:*:*:*:*"]
    );
    assert_eq!(document.packages[1].download_location, NOASSERTION);
    let edges: Vec<_> = document
        .relationships
        .iter()
        .filter_map(Relationship::edge)
        .map(|edge| (edge.from, edge.kind, edge.to))
        .collect();
    assert_eq!(
        edges,
        [
            (
                "SPDXRef-Recipe-zlib",
                EdgeKind::Build,
                "DocumentRef-dependency-recipe-gcc:SPDXRef-Recipe-gcc"
            ),
            ("SPDXRef-Recipe-zlib", EdgeKind::Patch, "SPDXRef-Patch"),
        ]
    );
}

#[test]
fn tag_value_is_read() {
    let document = read("tools-java.spdx");
    assert_eq!(
        document.comment.as_deref(),
        Some("Made up\nfor a test: with a colon")
    );
    assert_eq!(document.creation_info.creators.len(), 2);
    assert_eq!(
        document.external_document_refs[0].checksum.algorithm,
        ChecksumAlgorithm::Sha1
    );
    let [greeter, zlib] = &document.packages[..] else {
        panic!("two packages");
    };
    assert_eq!(greeter.id, "SPDXRef-greeter");
    assert_eq!(greeter.purpose, Some(Purpose::OperatingSystem));
    assert_eq!(greeter.files_analyzed, Some(false));
    assert_eq!(
        greeter.copyright_text.as_deref(),
        Some("Copyright 2026 Someone")
    );
    assert_eq!(
        greeter.purls().collect::<Vec<_>>(),
        ["pkg:generic/greeter@2.1"]
    );
    assert_eq!(greeter.external_refs[0].comment.as_deref(), Some("its own"));
    assert_eq!(zlib.id, "SPDXRef-zlib", "not that of the file after it");
    assert_eq!(document.described(), ["SPDXRef-greeter"]);
    assert_eq!(document.relationships[1].comment.as_deref(), Some("linked"));
    let edge = document.relationships[1].edge().unwrap();
    assert_eq!(
        (edge.from, edge.kind, edge.to),
        ("SPDXRef-greeter", EdgeKind::Runtime, "SPDXRef-zlib")
    );
    let license = &document.has_extracted_licensing_infos[0];
    assert_eq!(license.text, "\nDo what you like.\n\nBut greet.");
    assert_eq!(license.see_also, ["https://example.org/licence"]);
}

#[test]
fn errors_say_what_and_where() {
    insta::assert_snapshot!(error(&data("spdx3.json")), @"
    expected SPDX
      SPDX 3.0.1 (JSON-LD) is not read
    ");
    insta::assert_snapshot!(error(br#"{"spdxVersion": "SPDX-2.1"}"#), @"SPDX 2.1 is not read; readable versions are 2.2 and 2.3 (and their revisions)");
    insta::assert_snapshot!(error(br#"{"spdxVersion": "SPDX-2.3", "packages": [{"name": "x"}]}"#), @"
    cannot read the SPDX document at `/packages/0`
      missing field `SPDXID` at line 1, column 54
    ");
    insta::assert_snapshot!(error(br#"{"bomFormat": "CycloneDX"}"#), @"expected SPDX, found CycloneDX");
    insta::assert_snapshot!(error(b"SPDXVersion: SPDX-2.3\n\nnonsense\n"), @"cannot read the SPDX tag-value document at line 3: a line is `Tag: value`");
    insta::assert_snapshot!(error(b"SPDXVersion: SPDX-2.3\nDocumentComment: <text>a\nb\n"), @"cannot read the SPDX tag-value document at line 2: `<text>` without `</text>`");
    insta::assert_snapshot!(error(b"SPDXVersion: SPDX-2.3\nRelationship: a b\n"), @"cannot read the SPDX tag-value document at line 2: a relationship is `ELEMENT TYPE ELEMENT`");
    insta::assert_snapshot!(error(b"SPDXVersion: SPDX-2.3\nPackageName: x\nPackageChecksum: 00\n"), @"cannot read the SPDX tag-value document at line 3: a digest is `ALGORITHM: HEX`");
    insta::assert_snapshot!(error(b"SPDXVersion: SPDX-2.3\nPackageName: x\nExternalRef: purl\n"), @"cannot read the SPDX tag-value document at line 3: an external reference is `CATEGORY TYPE LOCATOR`");
    insta::assert_snapshot!(error(b"SPDXVersion: SPDX-2.3\nPackageName: \xFF\n"), @"cannot read the SPDX tag-value document at line 2: the text is not UTF-8");
    insta::assert_snapshot!(error(b"SPDXVersion: SPDX-1.2\n"), @"SPDX tag-value 1.2 is not read; readable versions are 2.2 and 2.3 (and their revisions)");
}

#[test]
fn tag_value_is_bounded_too() {
    let limits = Limits {
        values: 3,
        objects: 1,
        ..Limits::default()
    };
    let error = |text: &str| chain(&Document::read(text.as_bytes(), &limits).unwrap_err());
    insta::assert_snapshot!(error("SPDXVersion: SPDX-2.3\nPackageName: x\nPackageName: y\n"), @"SPDX tag-value document refused: more than 1 objects by line 3, column 1");
    insta::assert_snapshot!(error("SPDXVersion: SPDX-2.3\nA: x\nA: y\nA: z\n"), @"SPDX tag-value document refused: more than 3 values by line 4, column 1");
}

#[test]
fn a_document_with_everything_is_valid_and_comes_back() {
    let document = everything();
    assert_eq!(lines(&document.problems()), "");
    let json = document.to_json(Layout::Pretty).unwrap();
    assert_valid(Schema::Spdx23, &json);
    assert_eq!(Document::read(&json, &Limits::default()).unwrap(), document);
    insta::assert_snapshot!(String::from_utf8(json).unwrap());
}

#[test]
fn problems_name_what_a_schema_cannot_see() {
    let mut document = everything();
    document.document_namespace = "x#y".into();
    document.creation_info.creators = vec!["me".into()];
    document.creation_info.created = Some("2026-01-31T12:00:00.5Z".parse().unwrap());
    document.packages[0].id = "zlib".into();
    document.packages[0].checksums[0].value = "xyz".into();
    document.packages[1].external_refs = vec![ExternalRef::new("NONSENSE".into(), "x", "a b")];
    insta::assert_snapshot!(lines(&document.problems()), @"
    error: /documentNamespace: a namespace is a URI without a fragment
    error: /creationInfo/created: `2026-01-31T12:00:00.5Z` is not whole seconds in UTC
    warning: /creationInfo/creators/0: a creator is `Tool: `, `Organization: ` or `Person: ` and a name
    error: /packages/0/SPDXID: `zlib` is not `SPDXRef-` and letters, digits, dots and dashes
    error: /packages/0/checksums/0/checksumValue: a digest is hexadecimal
    error: /packages/1/externalRefs/0/referenceCategory: SPDX 2.3 has no value `NONSENSE` here
    error: /packages/1/externalRefs/0/referenceLocator: a locator is not empty and has no white space
    warning: /relationships/1/relatedSpdxElement: `SPDXRef-zlib-1.3.1` is no element of this document
    ");
}

#[test]
fn every_word_for_a_dependency_is_one_edge() {
    for (kind, from, edge, to) in [
        (RelationshipType::DependsOn, "a", EdgeKind::Dependency, "b"),
        (
            RelationshipType::DependencyOf,
            "b",
            EdgeKind::Dependency,
            "a",
        ),
        (RelationshipType::Contains, "a", EdgeKind::Contains, "b"),
        (RelationshipType::ContainedBy, "b", EdgeKind::Contains, "a"),
        (
            RelationshipType::BuildDependencyOf,
            "b",
            EdgeKind::Build,
            "a",
        ),
        (
            RelationshipType::RuntimeDependencyOf,
            "b",
            EdgeKind::Runtime,
            "a",
        ),
        (RelationshipType::DynamicLink, "a", EdgeKind::Runtime, "b"),
        (RelationshipType::StaticLink, "a", EdgeKind::Build, "b"),
        (RelationshipType::PatchApplied, "b", EdgeKind::Patch, "a"),
        (RelationshipType::TestDependencyOf, "b", EdgeKind::Test, "a"),
        (
            RelationshipType::DevDependencyOf,
            "b",
            EdgeKind::Development,
            "a",
        ),
        (
            RelationshipType::HasPrerequisite,
            "a",
            EdgeKind::Dependency,
            "b",
        ),
        (
            RelationshipType::OptionalDependencyOf,
            "b",
            EdgeKind::Optional,
            "a",
        ),
        (
            RelationshipType::ProvidedDependencyOf,
            "b",
            EdgeKind::Provided,
            "a",
        ),
    ] {
        let relationship = Relationship::new("a", kind, "b");
        let found = relationship.edge().unwrap();
        assert_eq!(
            (found.from, found.kind, found.to),
            (from, edge, to),
            "{}",
            relationship.kind
        );
    }
    assert!(Relationship::describes("a").edge().is_none());
    let none = Relationship::new("a", RelationshipType::DependsOn, spdx::NONE);
    assert!(none.edge().is_none());
}

#[test]
fn identifiers_are_made_of_any_name() {
    assert_eq!(spdx::element_id("gtk+3 3.24_x"), "SPDXRef-gtk-3-3.24-x");
    assert_eq!(spdx::element_id("日本"), "SPDXRef---");
}

/// One of everything that the types can hold.
fn everything() -> Document {
    let created: jiff::Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
    let zlib = Package {
        version: Some("1.3.1".into()),
        file_name: Some("zlib-1.3.1.tar.gz".into()),
        purpose: Some(Purpose::Library),
        supplier: Some("Organization: Example".into()),
        originator: Some("Person: Someone".into()),
        download_location: "https://example.org/zlib-1.3.1.tar.gz".into(),
        checksums: vec![Checksum::new(ChecksumAlgorithm::Sha256, "ab".repeat(32))],
        homepage: Some("https://example.org".into()),
        source_info: Some("a derivation".into()),
        license_concluded: Some(NOASSERTION.into()),
        license_declared: Some("Zlib AND LicenseRef-1".into()),
        copyright_text: Some(NOASSERTION.into()),
        summary: Some("Packs".into()),
        description: Some("Packs and unpacks".into()),
        comment: Some("Patched".into()),
        external_refs: vec![
            ExternalRef::purl("pkg:generic/zlib@1.3.1"),
            ExternalRef::cpe23("cpe:2.3:a:zlib:zlib:1.3.1:*:*:*:*:*:*:*"),
        ],
        ..Package::new(spdx::element_id("zlib-1.3.1"), "zlib")
    };
    let greeter = spdx::element_id("greeter-2.1");
    Document {
        comment: Some("Everything".into()),
        external_document_refs: vec![ExternalDocumentRef {
            external_document_id: "DocumentRef-tools".into(),
            spdx_document: "https://example.org/tools".into(),
            checksum: Checksum::new(ChecksumAlgorithm::Sha1, "0".repeat(40)),
        }],
        has_extracted_licensing_infos: vec![ExtractedLicense {
            id: "LicenseRef-1".into(),
            text: "Do what you like".into(),
            name: Some("One".into()),
            see_also: vec!["https://example.org/licence".into()],
            comment: Some("Short".into()),
        }],
        packages: vec![zlib, Package::new(&greeter, "greeter")],
        relationships: vec![
            Relationship::describes(&greeter),
            Relationship {
                comment: Some("linked".into()),
                ..Relationship::new(
                    &greeter,
                    RelationshipType::DependsOn,
                    spdx::element_id("zlib-1.3.1"),
                )
            },
        ],
        ..Document::new(
            "everything",
            "https://example.org/everything",
            Timestamp::from(created),
            "snowguard-0.1.0",
        )
    }
}
