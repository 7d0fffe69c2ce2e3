//! Properties over generated documents: what is written is read back as it was, and a document
//! without errors is valid by its published schema.

use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use snowguard_formats::cyclonedx::{
    self, Affects, Analysis, AnalysisState, Bom, Component, ComponentType, Dependency,
    ExternalReference, ExternalReferenceType, Hash, HashAlgorithm, IdentityEvidence, IdentityField,
    IdentityMethod, Issue, License, LicenseName, Patch, PatchType, Pedigree, Property, Rating,
    Scope, ScoreMethod, Technique, Vulnerability,
};
use snowguard_formats::openvex::{self, Justification, Product, Statement, Status, Subcomponent};
use snowguard_formats::sarif::{Level, Location, Log, ReportingResult, Rule, Run};
use snowguard_formats::spdx::{
    self, Checksum, ChecksumAlgorithm, ExternalRef, Package, Purpose, ReferenceCategory,
    Relationship, RelationshipType,
};
use snowguard_formats::{Layout, Limits, Problem, Timestamp};
use snowguard_testkit::schema::{Schema, violations};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn cyclonedx(bom in bom()) {
        for layout in [Layout::Pretty, Layout::Compact] {
            let json = bom.to_json(layout).unwrap();
            prop_assert_eq!(&Bom::read(&json, &Limits::default()).unwrap(), &bom);
        }
        let json = bom.to_json(Layout::Compact).unwrap();
        check(Schema::CycloneDx16, &bom.problems(), &json)?;
    }

    #[test]
    fn spdx(document in spdx_document()) {
        let json = document.to_json(Layout::Compact).unwrap();
        prop_assert_eq!(&spdx::Document::read(&json, &Limits::default()).unwrap(), &document);
        check(Schema::Spdx23, &document.problems(), &json)?;
    }

    #[test]
    fn openvex(document in openvex_document()) {
        let json = document.to_json(Layout::Compact).unwrap();
        prop_assert_eq!(&openvex::Document::read(&json, &Limits::default()).unwrap(), &document);
        check(Schema::OpenVex02, &document.problems(), &json)?;
    }

    #[test]
    fn sarif(log in log()) {
        let json = log.to_json(Layout::Compact).unwrap();
        let violations = violations(Schema::Sarif21, &json);
        prop_assert!(violations.is_empty(), "{violations:?}");
    }

    /// Any text at all is a legal URL once written.
    #[test]
    fn urls(url in "\\PC*|([a-z]{1,3}:)?(//)?[a-z@:#%/?\\[\\]0-9. ]*") {
        let mut bom = Bom::default();
        bom.external_references.push(ExternalReference::new(ExternalReferenceType::Website, url.as_str()));
        let json = bom.to_json(Layout::Compact).unwrap();
        let violations_ = violations(Schema::CycloneDx16, &json);
        prop_assert!(violations_.is_empty(), "{violations_:?}");
        let again = Bom::read(&json, &Limits::default()).unwrap();
        prop_assert_eq!(again.to_json(Layout::Compact).unwrap(), json, "encoding twice changes nothing");
        let mut run = Run::new("x", "1");
        run.results.push(ReportingResult {
            locations: vec![Location::file(url, 1)],
            ..ReportingResult::new("x", Level::Note, "x")
        });
        let json = Log { runs: vec![run] }.to_json(Layout::Compact).unwrap();
        let violations_ = violations(Schema::Sarif21, &json);
        prop_assert!(violations_.is_empty(), "{violations_:?}");
    }
}

/// No errors means valid; the other way round, a schema sees less than the checks.
fn check(schema: Schema, problems: &[Problem], json: &[u8]) -> Result<(), TestCaseError> {
    if problems.iter().any(Problem::is_error) {
        return Ok(());
    }
    let violations = violations(schema, json);
    prop_assert!(violations.is_empty(), "{violations:?}");
    Ok(())
}

/// Text of any kind, controls and marks among it.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,12}",
        vec(any::<char>(), 0..6).prop_map(String::from_iter),
        Just("\u{1b}[31m\u{202e}\u{9b}\u{0}".to_owned()),
    ]
}

/// A legal URL, so that it comes back as it was.
fn url() -> impl Strategy<Value = String> {
    "https://[a-z]{1,8}\\.example/[a-z0-9%]{0}[a-z0-9/._-]{0,12}(\\?[a-z]=[a-z0-9]{1,3})?"
}

/// Few references, so that some meet.
fn reference() -> impl Strategy<Value = String> {
    "[a-d]{1,2}"
}

fn time() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        30 => (0_i64..4_000_000_000)
            .prop_map(|second| Timestamp::from(jiff::Timestamp::from_second(second).unwrap())),
        1 => text().prop_map(|text| serde_json::from_value(text.into()).unwrap()),
    ]
}

/// Text that is hardly ever empty.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![20 => "[A-Z0-9-]{4,12}", 1 => text()]
}

/// Hardly ever absent.
fn mostly<T: std::fmt::Debug>(
    strategy: impl Strategy<Value = T>,
) -> impl Strategy<Value = Option<T>> {
    proptest::option::weighted(0.95, strategy)
}

/// A word of a vocabulary, and now and then another.
fn word<T: Clone + std::fmt::Debug + for<'a> From<&'a str> + 'static>(
    known: &'static [T],
) -> impl Strategy<Value = T> {
    prop_oneof![
        60 => proptest::sample::select(known),
        1 => Just(T::from("another word")),
    ]
}

fn hash() -> impl Strategy<Value = Hash> {
    let digest = prop_oneof![20 => "[0-9a-f]{64}", 20 => "[0-9a-f]{40}", 1 => "[g-z]{3}"];
    (word(HashAlgorithm::KNOWN), digest)
        .prop_map(|(algorithm, content)| Hash { algorithm, content })
}

fn license() -> impl Strategy<Value = License> {
    let name = prop_oneof![
        text().prop_map(|name| License::new(&name).name),
        Just(LicenseName::Id("MIT".into())),
        Just(LicenseName::Expression("MIT OR Zlib".into())),
    ];
    (name, of(url())).prop_map(|(name, url)| License {
        url: url.filter(|_| !matches!(name, LicenseName::Expression(_))),
        name,
        acknowledgement: None,
    })
}

fn confidence() -> impl Strategy<Value = f64> {
    prop_oneof![60 => 0.0..=1.0, 1 => any::<f64>().prop_filter("NaN is no JSON", |f| f.is_finite())]
}

fn identity() -> impl Strategy<Value = IdentityEvidence> {
    let method = (word(Technique::KNOWN), confidence(), of(text())).prop_map(
        |(technique, confidence, value)| IdentityMethod {
            technique,
            confidence,
            value,
        },
    );
    (
        word(IdentityField::KNOWN),
        of(confidence()),
        of(text()),
        vec(method, 0..3),
    )
        .prop_map(
            |(field, confidence, concluded_value, methods)| IdentityEvidence {
                field,
                confidence,
                concluded_value,
                methods,
            },
        )
}

fn pedigree() -> impl Strategy<Value = Pedigree> {
    let patch = (
        word(PatchType::KNOWN),
        url(),
        vec(text().prop_map(Issue::security), 0..2),
    )
        .prop_map(|(kind, url, resolves)| Patch {
            resolves,
            ..Patch::at(kind, url)
        });
    (vec(patch, 0..3), of(text())).prop_map(|(patches, notes)| Pedigree { patches, notes })
}

fn component() -> impl Strategy<Value = Component> {
    let names = (text(), of(text()), of(text()), of("[a-z]{1,40}"));
    let occurrence = (text(), of(0..1_000_u64), of(any::<u32>()), of(text())).prop_map(
        |(location, line, offset, additional_context)| cyclonedx::Occurrence {
            location,
            line,
            offset: offset.map(u64::from),
            additional_context,
        },
    );
    let identities = (
        of(text()),
        of(text()),
        of((identity(), vec(occurrence, 0..3))),
        of(pedigree()),
    );
    let lists = (
        vec(hash(), 0..2),
        vec(license(), 0..3),
        vec(url(), 0..2),
        vec((text(), text()), 0..2),
    );
    let leaf = (
        word(ComponentType::KNOWN),
        of(word(Scope::KNOWN)),
        names,
        identities,
        lists,
    )
        .prop_map(
            |(
                kind,
                scope,
                (name, version, group, bom_ref),
                (cpe, purl, identity, pedigree),
                (hashes, licenses, urls, properties),
            )| Component {
                scope,
                version,
                group,
                bom_ref,
                cpe,
                purl,
                hashes,
                licenses,
                pedigree: pedigree.map(Box::new),
                evidence: identity.map(|(identity, occurrences)| {
                    Box::new(cyclonedx::Evidence {
                        identity: vec![identity],
                        occurrences,
                    })
                }),
                external_references: urls
                    .into_iter()
                    .map(|url| ExternalReference::new(ExternalReferenceType::Vcs, url))
                    .collect(),
                properties: properties
                    .into_iter()
                    .map(|(name, value)| Property::new(name, value))
                    .collect(),
                ..Component::new(kind, name)
            },
        );
    leaf.prop_recursive(3, 8, 3, |inner| {
        (inner.clone(), vec(inner, 0..3)).prop_map(|(outer, components)| Component {
            components,
            ..outer
        })
    })
}

fn vulnerability() -> impl Strategy<Value = Vulnerability> {
    let rating = (
        of((0_u32..=100).prop_map(|tenths| f64::from(tenths) / 10.0)),
        of(word(cyclonedx::Severity::KNOWN)),
        of(word(ScoreMethod::KNOWN)),
        of(text()),
    )
        .prop_map(|(score, severity, method, vector)| Rating {
            score,
            severity,
            method,
            vector,
            ..Rating::default()
        });
    let analysis = (of(word(AnalysisState::KNOWN)), of(text()), of(time())).prop_map(
        |(state, detail, first_issued)| Analysis {
            state,
            detail,
            first_issued,
            ..Analysis::default()
        },
    );
    (
        text(),
        vec(rating, 0..3),
        vec(0_u32..2000, 0..3),
        of(text()),
        of(time()),
        of(analysis),
        vec(reference(), 0..3),
    )
        .prop_map(
            |(id, ratings, cwes, description, published, analysis, affects)| Vulnerability {
                ratings,
                cwes: cwes.into_iter().filter(|cwe| *cwe > 0).collect(),
                description,
                published,
                analysis,
                affects: affects.into_iter().map(Affects::new).collect(),
                ..Vulnerability::new(id)
            },
        )
}

fn bom() -> impl Strategy<Value = Bom> {
    let dependency = (reference(), vec(reference(), 0..3))
        .prop_map(|(reference, depends_on)| Dependency::new(reference, depends_on));
    (
        1_u64..5,
        of(time()),
        of(component()),
        vec(component(), 0..4),
        vec(dependency, 0..3),
        vec(vulnerability(), 0..3),
    )
        .prop_map(
            |(version, timestamp, subject, components, dependencies, vulnerabilities)| {
                let mut bom = Bom {
                    version,
                    components,
                    dependencies,
                    vulnerabilities,
                    ..Bom::default()
                };
                bom.metadata.timestamp = timestamp;
                bom.metadata.component = subject;
                bom
            },
        )
}

fn package() -> impl Strategy<Value = Package> {
    let checksum = (word(ChecksumAlgorithm::KNOWN), "[0-9a-f]{8}")
        .prop_map(|(algorithm, value)| Checksum { algorithm, value });
    let external =
        ("[a-z:/@.0-9]{1,12}", any::<bool>(), of(text())).prop_map(|(locator, purl, comment)| {
            ExternalRef {
                comment,
                ..if purl {
                    ExternalRef::purl(locator)
                } else {
                    ExternalRef::new(ReferenceCategory::from("PERSISTENT_ID"), "swh", locator)
                }
            }
        });
    let texts = (of(text()), of(text()), of(text()), of(text()));
    (
        reference(),
        text(),
        of(word(Purpose::KNOWN)),
        texts,
        vec(checksum, 0..2),
        vec(external, 0..3),
    )
        .prop_map(
            |(
                id,
                name,
                purpose,
                (version, homepage, license_declared, description),
                checksums,
                external_refs,
            )| Package {
                purpose,
                version,
                homepage,
                license_declared,
                description,
                checksums,
                external_refs,
                ..Package::new(spdx::element_id(&id), name)
            },
        )
}

fn spdx_document() -> impl Strategy<Value = spdx::Document> {
    let relationship = (
        reference(),
        word(RelationshipType::KNOWN),
        reference(),
        of(text()),
    )
        .prop_map(|(element, kind, related, comment)| Relationship {
            comment,
            ..Relationship::new(spdx::element_id(&element), kind, spdx::element_id(&related))
        });
    (
        text(),
        url(),
        time(),
        vec(package(), 0..4),
        vec(relationship, 0..4),
    )
        .prop_map(
            |(name, namespace, created, packages, relationships)| spdx::Document {
                packages,
                relationships,
                ..spdx::Document::new(name, namespace, created, "x-1")
            },
        )
}

fn openvex_document() -> impl Strategy<Value = openvex::Document> {
    let identifiers = || {
        btree_map(
            prop_oneof![30 => Just("purl"), 30 => Just("cpe23"), 1 => Just("swid")]
                .prop_map(str::to_owned),
            text(),
            0..2,
        )
    };
    let hashes = || {
        btree_map(
            prop_oneof![60 => Just("sha-256"), 1 => Just("crc")].prop_map(str::to_owned),
            "[0-9a-f]{4}",
            0..2,
        )
    };
    let part = (mostly(url()), identifiers(), hashes()).prop_map(|(id, identifiers, hashes)| {
        Subcomponent {
            id,
            identifiers,
            hashes,
        }
    });
    let product = (mostly(url()), identifiers(), hashes(), vec(part, 0..3)).prop_map(
        |(id, identifiers, hashes, subcomponents)| Product {
            id,
            identifiers,
            hashes,
            subcomponents,
        },
    );
    // An empty text is read as none.
    let some_text = || mostly(text().prop_filter("not empty", |text| !text.is_empty()));
    let statement = (
        name(),
        vec(product, 1..3),
        word(Status::KNOWN),
        mostly(word(Justification::KNOWN)),
        some_text(),
        some_text(),
        of(time()),
    )
        .prop_map(
            |(
                name,
                products,
                status,
                justification,
                impact_statement,
                action_statement,
                timestamp,
            )| Statement {
                products,
                justification,
                impact_statement,
                action_statement,
                timestamp,
                ..Statement::new(name, Product::default(), status)
            },
        );
    (url(), name(), time(), 1_u64..3, vec(statement, 1..4)).prop_map(
        |(id, author, timestamp, version, statements)| openvex::Document {
            version,
            statements,
            ..openvex::Document::new(id, author, timestamp)
        },
    )
}

fn log() -> impl Strategy<Value = Log> {
    let rule = (text(), 0.0..=10.0, vec(text(), 0..3)).prop_map(|(id, score, tags)| {
        tags.into_iter()
            .fold(Rule::new(id).with_security_severity(score), Rule::with_tag)
    });
    let result = (text(), text(), text(), text(), 0_u64..100).prop_map(
        |(rule, message, file, name, line)| ReportingResult {
            locations: vec![Location::file(file, line).with_logical(name, "module")],
            partial_fingerprints: BTreeMap::from([(rule.clone(), message.clone())]),
            ..ReportingResult::new(rule, Level::Warning, message)
        },
    );
    // The schema wants every rule once.
    (text(), vec(rule, 0..3), vec(result, 0..3)).prop_map(|(tool, rules, results)| {
        let mut run = Run::new(tool, "1");
        let distinct: BTreeMap<_, _> = rules
            .into_iter()
            .map(|rule| (rule.id.clone(), rule))
            .collect();
        run.tool.driver.rules = distinct.into_values().collect();
        run.results = results;
        Log { runs: vec![run] }
    })
}
