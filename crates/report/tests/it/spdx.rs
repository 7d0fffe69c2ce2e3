//! SPDX: against its schema, against its specification, and as its own reader takes it.

use snowguard_formats::spdx::{Document, EdgeKind, Relationship};
use snowguard_formats::{Layout, Limits};
use snowguard_report::cyclonedx;
use snowguard_report::spdx::{document, document_with_advisories};
use snowguard_testkit::schema::{Schema, assert_valid};

use crate::support::{self, Scanned};

fn both(scanned: &Scanned) -> [Document; 2] {
    scanned.with(|facts, report| [document(facts), document_with_advisories(facts, report)])
}

#[test]
fn every_report_is_valid() {
    for scanned in support::all() {
        for document in both(&scanned) {
            assert_eq!(document.problems(), []);
            let json = document.to_json(Layout::Compact).unwrap();
            assert_valid(Schema::Spdx23, &json);
            assert_eq!(Document::read(&json, &Limits::default()).unwrap(), document);
        }
    }
}

#[test]
fn a_typical_system() {
    let [_, document] = both(&support::small());
    insta::assert_snapshot!(String::from_utf8(document.to_json(Layout::Pretty).unwrap()).unwrap());
}

#[test]
fn it_holds_what_cyclonedx_holds() {
    for scanned in support::all() {
        let [_, spdx] = both(&scanned);
        let bom = scanned.with(cyclonedx::bom_with_vulnerabilities);
        let edges = |kind: EdgeKind| {
            let edges = spdx.relationships.iter().filter_map(Relationship::edge);
            edges.filter(|edge| edge.kind == kind).count()
        };
        let patches: usize = bom
            .walk()
            .map(|nested| nested.component.patches().len())
            .sum();
        assert_eq!(edges(EdgeKind::Patch), patches);
        assert_eq!(spdx.packages.len(), bom.walk().count() + patches);
        let depends: usize = bom.dependencies.iter().map(|d| d.depends_on.len()).sum();
        assert_eq!(
            edges(EdgeKind::Dependency) + edges(EdgeKind::Build),
            depends
        );
        let described = spdx.described();
        assert_eq!(described.len(), 1, "{described:?}");
    }
}

#[test]
fn the_namespace_follows_from_the_content() {
    let scanned = support::small();
    let [plain, full] = both(&scanned);
    assert_eq!(both(&scanned), [plain.clone(), full.clone()]);
    assert_ne!(plain.document_namespace, full.document_namespace);
}
