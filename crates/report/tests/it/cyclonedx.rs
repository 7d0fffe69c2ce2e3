//! CycloneDX: against its schema, against its specification, and as its own reader takes it.

use snowguard_formats::cyclonedx::{AnalysisState, Bom};
use snowguard_formats::{Layout, Limits};
use snowguard_report::cyclonedx::{bom, bom_with_vulnerabilities};
use snowguard_testkit::schema::{Schema, assert_valid};

use crate::support::{self, Scanned};

fn both(scanned: &Scanned) -> [Bom; 2] {
    scanned.with(|facts, report| [bom(facts), bom_with_vulnerabilities(facts, report)])
}

#[test]
fn every_report_is_valid() {
    for scanned in support::all() {
        for bom in both(&scanned) {
            assert_eq!(bom.problems(), []);
            let json = bom.to_json(Layout::Compact).unwrap();
            assert_valid(Schema::CycloneDx16, &json);
            let read = Bom::read(&json, &Limits::default()).unwrap();
            assert_eq!(read.components.len(), bom.components.len());
            assert_eq!(read.dependencies, bom.dependencies);
        }
    }
}

#[test]
fn a_typical_system() {
    let [_, bom] = both(&support::small());
    insta::assert_snapshot!(String::from_utf8(bom.to_json(Layout::Pretty).unwrap()).unwrap());
}

#[test]
fn what_is_inside_is_nested_with_the_files_that_declare_it() {
    let [_, bom] = both(&support::inside());
    insta::assert_snapshot!(String::from_utf8(bom.to_json(Layout::Pretty).unwrap()).unwrap());
}

#[test]
fn every_component_and_every_finding_is_there() {
    let scanned = support::typical();
    let [plain, full] = both(&scanned);
    assert_eq!(plain.components, full.components);
    assert!(plain.vulnerabilities.is_empty());
    scanned.with(|facts, report| {
        assert_eq!(full.components.len(), facts.inventory.components.len());
        let count = |state: AnalysisState| {
            let states = full
                .vulnerabilities
                .iter()
                .filter_map(|v| v.analysis.as_ref()?.state.as_ref());
            states.filter(|s| **s == state).count()
        };
        let summary = &report.summary;
        assert_eq!(count(AnalysisState::Exploitable), summary.affected);
        assert_eq!(count(AnalysisState::InTriage), summary.needs_review);
        assert_eq!(
            count(AnalysisState::ResolvedWithPedigree) + count(AnalysisState::Resolved),
            summary.patched
        );
        assert_eq!(count(AnalysisState::NotAffected), summary.suppressed);
    });
}

#[test]
fn the_serial_number_follows_from_the_content() {
    let scanned = support::small();
    let [plain, full] = both(&scanned);
    assert_eq!(both(&scanned), [plain.clone(), full.clone()]);
    assert_ne!(plain.serial_number, full.serial_number);
}
