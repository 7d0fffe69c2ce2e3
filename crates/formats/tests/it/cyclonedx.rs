//! CycloneDX: bills of others are read, ours are valid, and the errors say where.

use snowguard_formats::cyclonedx::{
    Advisory, AffectedStatus, AffectedVersions, Affects, Aggregate, Analysis,
    AnalysisJustification, AnalysisState, Bom, Component, ComponentType, Composition, Dependency,
    Evidence, ExternalReference, ExternalReferenceType, Hash, HashAlgorithm, IdentityEvidence,
    IdentityField, IdentityMethod, Issue, License, LicenseName, Lifecycle, Metadata, Occurrence,
    Organization, Patch, PatchType, Pedigree, Phase, Property, Rating, Response, Scope,
    ScoreMethod, Severity, Source, Technique, Vulnerability, VulnerabilityReference, serial_number,
};
use snowguard_formats::{Layout, Limits, Timestamp};
use snowguard_testkit::schema::{Schema, assert_valid, violations};

use crate::{chain, data, lines};

fn read(name: &str) -> Bom {
    Bom::read(&data(name), &Limits::default()).unwrap_or_else(|error| panic!("{}", chain(&error)))
}

fn error(json: &str) -> String {
    chain(&Bom::read(json.as_bytes(), &Limits::default()).unwrap_err())
}

/// Documents of others, read and written again, are valid as 1.6 but for what they got wrong.
#[test]
fn others_documents_become_valid_ones() {
    for name in [
        "sbomnix.cdx.json",
        "bombon.cdx.json",
        "syft.cdx.json",
        "cdxgen.cdx.json",
        "trivy.cdx.json",
        "old.cdx.json",
    ] {
        let mut bom = read(name);
        if name == "old.cdx.json" {
            assert_eq!(
                lines(&bom.problems()),
                "error: /metadata/timestamp: `2020-06-01T00:00:00` is not an RFC 3339 time"
            );
            bom.metadata.timestamp = None;
        }
        assert_eq!(lines(&bom.problems()), "", "{name}");
        let json = bom.to_json(Layout::Pretty).unwrap();
        assert_valid(Schema::CycloneDx16, &json);
        let mut again = Bom::read(&json, &Limits::default()).unwrap();
        again.spec_version.clone_from(&bom.spec_version);
        if name == "bombon.cdx.json" {
            // The space in the URL is now legal.
            let url = &mut again.components[0].external_references[0].url;
            assert_eq!(url, "https://zlib.example.org/fossils/zlib%201.3.1.tar.gz");
            *url = url.replace("%20", " ");
        }
        assert_eq!(again, bom, "{name}");
    }
}

#[test]
fn sbomnix_and_bombon_are_read() {
    let bom = read("sbomnix.cdx.json");
    assert_eq!(bom.spec_version, "1.4");
    assert_eq!(bom.metadata.tools[0].publisher.as_deref(), Some("TII"));
    assert_eq!(bom.metadata.tools[0].version.as_deref(), Some("1.7.0"));
    let subject = bom.subject().unwrap();
    assert_eq!(
        subject.property("nix:drv_path"),
        Some("/nix/store/0rlgjd5lp0w4fhyxn6cmj5s34mv1cpy5-greeter-2.1.drv")
    );
    assert_eq!(subject.property("no such"), None);
    assert_eq!(
        bom.components[0].licenses,
        [License::from(LicenseName::Name("zlib License".into()))]
    );
    assert_eq!(bom.dependencies[0].depends_on.len(), 1);
    assert!(bom.dependencies[1].depends_on.is_empty());

    let bom = read("bombon.cdx.json");
    let zlib = &bom.components[0];
    assert_eq!(zlib.scope, Some(Scope::Required));
    assert_eq!(zlib.patches().len(), 2);
    assert_eq!(zlib.patches()[1].kind, PatchType::CherryPick);
    assert_eq!(
        zlib.patches()[0].resolves[0].id.as_deref(),
        Some("CVE-2026-0001")
    );
    let evidence = &zlib.identity_evidence()[0];
    assert_eq!(evidence.field, IdentityField::Purl);
    assert_eq!(evidence.methods[0].technique, Technique::ManifestAnalysis);
}

#[test]
fn syft_cdxgen_and_trivy_are_read() {
    let bom = read("syft.cdx.json");
    assert_eq!(bom.metadata.tools[0].name, "syft");
    assert_eq!(
        bom.components[1].licenses,
        [License::expression("MIT OR Apache-2.0")]
    );
    assert!(bom.components[2].licenses.is_empty(), "it names none");

    let bom = read("cdxgen.cdx.json");
    let pad = &bom.components[0];
    assert_eq!(pad.group.as_deref(), Some("@example"));
    let evidence = &pad.identity_evidence()[0];
    assert_eq!(
        evidence.concluded_value.as_deref(),
        Some("package-lock.json")
    );
    assert_eq!(
        pad.properties[1],
        Property {
            name: "LocalNodeModulesPath".into(),
            value: None
        }
    );
    assert_eq!(bom.metadata.lifecycles, [Lifecycle::from(Phase::Build)]);

    let bom = read("trivy.cdx.json");
    let vulnerability = &bom.vulnerabilities[0];
    assert_eq!(vulnerability.cwes, [400], "the other is no weakness");
    let rating = &vulnerability.ratings[1];
    assert_eq!(rating.score, Some(7.5));
    assert_eq!(rating.method, Some(ScoreMethod::CvssV31));
    let analysis = vulnerability.analysis.as_ref().unwrap();
    assert_eq!(analysis.state, Some(AnalysisState::NotAffected));
    assert_eq!(analysis.response, [Response::WillNotFix, Response::Update]);
    assert_eq!(vulnerability.affects[0].reference, "pkg:gem/rack@2.2.3");
    assert_eq!(
        vulnerability.affects[0].versions,
        [AffectedVersions::version("2.2.3", AffectedStatus::Affected)]
    );
}

#[test]
fn the_walk_reaches_every_component_in_document_order() {
    let bom = read("old.cdx.json");
    let walked: Vec<_> = bom
        .walk()
        .map(|nested| {
            let parent = nested.parent.map(|parent| parent.name.as_str());
            (nested.component.name.as_str(), parent)
        })
        .collect();
    assert_eq!(
        walked,
        [
            ("outer", None),
            ("inner", Some("outer")),
            ("innermost", Some("inner"))
        ]
    );
    let bom = read("sbomnix.cdx.json");
    let names: Vec<_> = bom.walk().map(|nested| &nested.component.name).collect();
    assert_eq!(names, ["greeter", "zlib"]);
}

#[test]
fn unknown_fields_words_and_a_later_minor_version_do_not_fail_a_read() {
    let bom = Bom::read(
        br#"{"bomFormat": "CycloneDX", "specVersion": "1.7", "citations": [{"a": [{}]}],
             "components": [{"type": "quantum-thing", "name": "x", "isExternal": true,
                             "versionRange": "vers:generic/*",
                             "licenses": [{"expression": "MIT", "expressionDetails": []},
                                          {"license": {"id": "Zlib"}}],
                             "scope": "sometimes"}]}"#,
        &Limits::default(),
    )
    .unwrap();
    let component = &bom.components[0];
    assert_eq!(component.kind.as_str(), "quantum-thing");
    assert_eq!(component.licenses.len(), 2);
    insta::assert_snapshot!(lines(&bom.problems()), @"
    error: /components/0/type: CycloneDX 1.6 has no value `quantum-thing` here
    error: /components/0/scope: CycloneDX 1.6 has no value `sometimes` here
    error: /components/0/licenses/0/expression: an expression stands alone in its list
    ");
}

#[test]
fn errors_say_what_and_where() {
    insta::assert_snapshot!(error(r#"{"bomFormat": "CycloneDX", "specVersion": "1.6",
        "components": [{"type": "library", "name": "a"}, {"type": "library", "name": "b", "purl": 7}]}"#), @"
    cannot read the CycloneDX document at `/components/1/purl`
      invalid type: integer `7`, expected a string at line 2, column 99
    ");
    insta::assert_snapshot!(error(r#"{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [{"type": "library"}]}"#), @"
    cannot read the CycloneDX document at `/components/0`
      missing field `name` at line 1, column 83
    ");
    insta::assert_snapshot!(error(r#"{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": ["#), @"
    cannot read the CycloneDX document at `/components`
      EOF while parsing a list at line 1, column 64
    ");
    insta::assert_snapshot!(error(r#"{"bomFormat": "CycloneDX", "specVersion": "2.0"}"#), @"CycloneDX 2.0 is not read; readable versions are 1.2 to 1.7");
    insta::assert_snapshot!(error(r#"{"specFormat": "CycloneDX", "specVersion": "2.0"}"#), @"CycloneDX 2.0 is not read; readable versions are 1.2 to 1.7");
    insta::assert_snapshot!(error(r#"{"bomFormat": "CycloneDX"}"#), @"CycloneDX without a version is not read; readable versions are 1.2 to 1.7");
    insta::assert_snapshot!(error(r#"{"spdxVersion": "SPDX-2.3"}"#), @"expected CycloneDX, found SPDX");
    insta::assert_snapshot!(error("x"), @"
    expected CycloneDX
      text, but neither JSON nor an SPDX tag-value document: it begins with `x`
    ");
}

#[test]
fn errors_carry_a_hint_where_there_is_a_way_out() {
    let hint = |bytes: &[u8]| Bom::read(bytes, &Limits::default()).unwrap_err().hint();
    let version = br#"{"bomFormat": "CycloneDX", "specVersion": "2.0"}"#;
    assert_eq!(hint(version), Some("export CycloneDX 1.6 JSON instead"));
    let xml = br#"<bom xmlns="http://cyclonedx.org/schema/bom/1.4">"#;
    assert_eq!(hint(xml), Some("export CycloneDX JSON instead"));
    assert_eq!(hint(b"{}"), None);
}

#[test]
fn a_document_with_everything_is_valid_and_comes_back() {
    let bom = everything();
    assert_eq!(lines(&bom.problems()), "");
    for layout in [Layout::Pretty, Layout::Compact] {
        let json = bom.to_json(layout).unwrap();
        assert_valid(Schema::CycloneDx16, &json);
        assert_eq!(Bom::read(&json, &Limits::default()).unwrap(), bom);
        assert_eq!(bom.to_json(layout).unwrap(), json, "the same bytes");
    }
    let json = bom.to_json(Layout::Pretty).unwrap();
    insta::assert_snapshot!(String::from_utf8(json).unwrap());
}

#[test]
fn an_empty_document_is_valid() {
    let json = Bom::default().to_json(Layout::Compact).unwrap();
    assert_valid(Schema::CycloneDx16, &json);
}

#[test]
fn problems_name_what_a_schema_cannot_see() {
    let twice = || Component::new(ComponentType::Library, "x").with_ref("x");
    let bom = Bom {
        serial_number: Some("7".into()),
        version: 0,
        components: vec![
            Component {
                hashes: vec![Hash::new(HashAlgorithm::Sha256, "xyz")],
                licenses: vec![License::from(LicenseName::Id("unfree".into()))],
                ..twice()
            },
            twice(),
        ],
        dependencies: vec![
            Dependency::new("x", ["y".to_owned(), "y".to_owned()]),
            Dependency::new("x", []),
        ],
        vulnerabilities: vec![Vulnerability {
            ratings: vec![Rating {
                score: Some(f64::NAN),
                ..Rating::default()
            }],
            affects: vec![
                Affects::new("z"),
                Affects::new("urn:cdx:3c3a1c5e-55d2-4e41-8a3f-5d8d3f1c0a11/1#z"),
            ],
            ..Vulnerability::new("CVE-2026-0001")
        }],
        ..Bom::default()
    };
    insta::assert_snapshot!(lines(&bom.problems()), @"
    error: /serialNumber: `7` is not `urn:uuid:` and a UUID in lower case
    error: /version: revisions are counted from 1
    error: /components/0/hashes/0/content: a digest is hexadecimal and has the length of a hash function
    error: /components/0/licenses/0/license/id: `unfree` is not in the SPDX licence list: write it as a name
    error: /components/1/bom-ref: `x` is used more than once
    warning: /dependencies/0/dependsOn/0: `y` is no bom-ref of this document
    warning: /dependencies/0/dependsOn/1: `y` is no bom-ref of this document
    error: /dependencies/0/dependsOn: `y` is listed more than once
    error: /dependencies: `x` is listed more than once
    error: /vulnerabilities/0/ratings/0/score: a score is a finite number
    warning: /vulnerabilities/0/affects/0/ref: `z` is no bom-ref of this document
    ");
    assert!(!violations(Schema::CycloneDx16, &bom.to_json(Layout::Compact).unwrap()).is_empty());
}

#[test]
fn sorting_makes_one_order_of_any() {
    let mut bom = everything();
    bom.sort();
    let mut reversed = everything();
    reversed.components.reverse();
    reversed.dependencies.reverse();
    for dependency in &mut reversed.dependencies {
        dependency.depends_on.reverse();
        if let Some(first) = dependency.depends_on.first().cloned() {
            dependency.depends_on.push(first);
        }
    }
    reversed.vulnerabilities.reverse();
    reversed.sort();
    assert_eq!(reversed, bom);
}

#[test]
fn a_serial_number_is_a_uuid_of_its_content() {
    let first = serial_number([0xFF; 16]);
    assert_eq!(first, "urn:uuid:ffffffff-ffff-8fff-bfff-ffffffffffff");
    assert_ne!(first, serial_number([0xFE; 16]));
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// One of everything that the types can hold.
fn everything() -> Bom {
    let zlib = Component {
        supplier: Some(Box::new(Organization {
            name: Some("Example".into()),
            url: vec!["https://example.org".into()],
        })),
        author: Some("Someone".into()),
        publisher: Some("Someone else".into()),
        group: Some("org.example".into()),
        version: Some("1.3.1".into()),
        description: Some("Packs. \u{1b}[31mRed\u{202e}".into()),
        scope: Some(Scope::Required),
        hashes: vec![Hash::new(HashAlgorithm::Sha256, "ab".repeat(32))],
        licenses: vec![
            License::new("zlib"),
            License {
                url: Some("https://example.org/licence".into()),
                ..License::new("something of our own")
            },
        ],
        cpe: Some("cpe:2.3:a:zlib:zlib:1.3.1:*:*:*:*:*:*:*".into()),
        purl: Some("pkg:generic/zlib@1.3.1".into()),
        pedigree: Some(Box::new(Pedigree {
            patches: vec![Patch {
                resolves: vec![Issue {
                    source: Some(Source::named("NVD").at("https://nvd.nist.gov")),
                    references: vec!["https://nvd.nist.gov/vuln/detail/CVE-2026-0001".into()],
                    ..Issue::security("CVE-2026-0001")
                }],
                ..Patch::at(PatchType::Backport, "https://example.org/fix.patch")
            }],
            notes: Some("Patched".into()),
        })),
        external_references: vec![
            ExternalReference::new(
                ExternalReferenceType::SourceDistribution,
                "mirror://example/zlib-1.3.1.tar.gz",
            ),
            ExternalReference {
                comment: Some("Where it lives".into()),
                hashes: vec![Hash::new(HashAlgorithm::Sha512, "0".repeat(128))],
                ..ExternalReference::new(ExternalReferenceType::Vcs, "git@host:zlib/zlib.git")
            },
        ],
        components: vec![Component::new(ComponentType::File, "libz.so")],
        evidence: Some(Box::new(Evidence {
            identity: vec![IdentityEvidence {
                field: IdentityField::Cpe,
                confidence: Some(0.9),
                concluded_value: Some("cpe:2.3:a:zlib:zlib:1.3.1:*:*:*:*:*:*:*".into()),
                methods: vec![IdentityMethod {
                    technique: Technique::ManifestAnalysis,
                    confidence: 0.9,
                    value: Some("source URL".into()),
                }],
            }],
            occurrences: vec![Occurrence {
                line: Some(3),
                offset: Some(4_096),
                additional_context: Some("a string".into()),
                ..Occurrence::at("lib/libz.so")
            }],
        })),
        properties: vec![Property::new("nix:pname", "zlib")],
        ..Component::new(ComponentType::Library, "zlib").with_ref("zlib")
    };
    // What is legal in a URL only once encoded is compared as it is written.
    let mut zlib = zlib;
    zlib.external_references[1].url = "git@host%3Azlib/zlib.git".into();
    Bom {
        serial_number: Some(serial_number([7; 16])),
        version: 3,
        metadata: Metadata {
            timestamp: Some(time("2026-01-31T12:00:00Z")),
            lifecycles: vec![
                Phase::Build.into(),
                Lifecycle {
                    phase: None,
                    name: Some("evaluation".into()),
                },
            ],
            tools: vec![Component {
                version: Some("0.1.0".into()),
                ..Component::new(ComponentType::Application, "snowguard")
            }],
            component: Some(
                Component::new(ComponentType::OperatingSystem, "nixos").with_ref("nixos"),
            ),
            supplier: Some(Organization {
                name: Some("Example".into()),
                url: Vec::new(),
            }),
            properties: vec![Property::new("snowguard:closure", "build time")],
        },
        components: vec![
            zlib,
            Component::new(ComponentType::Application, "greeter").with_ref("greeter"),
        ],
        external_references: vec![ExternalReference::new(
            ExternalReferenceType::Unlisted,
            "https://example.org",
        )],
        dependencies: vec![
            Dependency::new("nixos", ["greeter".to_owned(), "zlib".to_owned()]),
            Dependency::new("greeter", ["zlib".to_owned()]),
            Dependency::new("zlib", []),
        ],
        compositions: vec![Composition {
            aggregate: Aggregate::Incomplete,
            assemblies: Vec::new(),
            dependencies: vec!["nixos".into()],
        }],
        vulnerabilities: vec![
            Vulnerability {
                bom_ref: Some("CVE-2026-0001/zlib".into()),
                source: Some(Source::named("NVD").at("https://nvd.nist.gov")),
                references: vec![VulnerabilityReference {
                    id: "GHSA-aaaa-bbbb-cccc".into(),
                    source: Source::named("GitHub"),
                }],
                ratings: vec![Rating {
                    source: Some(Source::named("NVD")),
                    score: Some(9.8),
                    severity: Some(Severity::Critical),
                    method: Some(ScoreMethod::CvssV31),
                    vector: Some("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H".into()),
                    justification: Some("As published".into()),
                }],
                cwes: vec![787, 20],
                description: Some("A hole".into()),
                detail: Some("A deep hole".into()),
                recommendation: Some("Update to 1.3.2".into()),
                advisories: vec![
                    Advisory::at("https://example.org/advisory"),
                    Advisory {
                        title: Some("Title".into()),
                        url: "https://example.org/other".into(),
                    },
                ],
                created: Some(time("2026-01-01T00:00:00Z")),
                published: Some(time("2026-01-02T00:00:00Z")),
                updated: Some(time("2026-01-03T00:00:00Z")),
                rejected: None,
                analysis: Some(Analysis {
                    state: Some(AnalysisState::ResolvedWithPedigree),
                    justification: Some(AnalysisJustification::CodeNotPresent),
                    response: vec![Response::Update],
                    detail: Some("The patch is in".into()),
                    first_issued: Some(time("2026-01-04T00:00:00Z")),
                    last_updated: Some(time("2026-01-05T00:00:00Z")),
                }),
                affects: vec![Affects {
                    versions: vec![
                        AffectedVersions::version("1.3.1", AffectedStatus::Unaffected),
                        AffectedVersions::range("vers:generic/<1.3.2", AffectedStatus::Affected),
                    ],
                    ..Affects::new("zlib")
                }],
                properties: vec![Property::new("snowguard:kev", "true")],
                ..Vulnerability::new("CVE-2026-0001")
            },
            Vulnerability::new("CVE-2026-0002"),
        ],
        properties: vec![Property::new("a", "b")],
        ..Bom::default()
    }
}
