//! OpenVEX: against its rules, and as its own reader takes it.

use snowguard_formats::openvex::{Document, Status};
use snowguard_formats::{Layout, Limits, Problem};
use snowguard_report::openvex::{Issuer, document};
use snowguard_testkit::schema::{Schema, assert_valid};

use crate::support::{self, Scanned};

const ISSUER: Issuer<'_> = Issuer {
    author: "The Lantern maintainers",
    id: None,
};

fn made(scanned: &Scanned, issuer: Issuer<'_>) -> Option<Document> {
    scanned.with(|facts, report| document(facts, report, issuer))
}

#[test]
fn every_report_is_valid() {
    for scanned in [
        support::small(),
        support::typical(),
        support::nasty(),
        support::large(),
        support::inside(),
    ] {
        let document = made(&scanned, ISSUER).unwrap();
        let errors: Vec<_> = document
            .problems()
            .into_iter()
            .filter(Problem::is_error)
            .collect();
        assert!(errors.is_empty(), "{errors:#?}");
        let json = document.to_json(Layout::Pretty).unwrap();
        assert_valid(Schema::OpenVex02, &json);
        let read = Document::read(&json, &Limits::default()).unwrap();
        assert_eq!(read.statements.len(), document.statements.len());
    }
}

#[test]
fn what_is_inside_is_a_part_of_what_contains_it() {
    let document = made(&support::inside(), ISSUER).unwrap();
    let json = document.to_json(Layout::Pretty).unwrap();
    insta::assert_snapshot!(String::from_utf8(json).unwrap());
}

#[test]
fn nothing_to_state_is_no_document() {
    assert_eq!(made(&support::empty(), ISSUER), None);
}

#[test]
fn a_typical_report() {
    let document = made(&support::small(), ISSUER).unwrap();
    insta::assert_snapshot!(String::from_utf8(document.to_json(Layout::Pretty).unwrap()).unwrap());
}

#[test]
fn the_id_follows_from_the_content() {
    let scanned = support::small();
    let first = made(&scanned, ISSUER).unwrap();
    assert_eq!(made(&scanned, ISSUER).unwrap(), first);
    let other = Issuer {
        author: "others",
        ..ISSUER
    };
    assert_ne!(made(&scanned, other).unwrap().id, first.id);
    let given = Issuer {
        id: Some("https://example.org/vex/7"),
        ..ISSUER
    };
    assert_eq!(
        made(&scanned, given).unwrap().id,
        "https://example.org/vex/7"
    );
}

#[test]
fn every_finding_is_stated() {
    let scanned = support::typical();
    let document = made(&scanned, ISSUER).unwrap();
    let count = |status: Status| {
        let of = document.statements.iter().filter(|s| s.status == status);
        of.map(|statement| statement.products.len()).sum::<usize>()
    };
    scanned.with(|_, report| {
        assert_eq!(count(Status::Affected), report.summary.affected);
        assert_eq!(
            count(Status::UnderInvestigation),
            report.summary.needs_review
        );
        assert_eq!(count(Status::Fixed), report.summary.patched);
        assert_eq!(count(Status::NotAffected), report.summary.suppressed);
    });
}
