//! SARIF: against its schema, and as GitHub would take it.

use snowguard_formats::{Layout, Problem};
use snowguard_report::sarif::{Options, log};
use snowguard_testkit::schema::{Schema, assert_valid};

use crate::support::{self, Scanned};

fn json(scanned: &Scanned, options: Options) -> String {
    scanned.with(|_, report| {
        let log = log(report, options);
        let refused: Vec<_> = log
            .github_problems()
            .into_iter()
            .filter(Problem::is_error)
            .collect();
        assert!(refused.is_empty(), "{refused:#?}");
        let json = log.to_json(Layout::Pretty).unwrap();
        assert_valid(Schema::Sarif21, &json);
        String::from_utf8(json).unwrap()
    })
}

#[test]
fn every_report_is_valid() {
    for patched in [false, true] {
        for scanned in support::all() {
            json(&scanned, Options { patched });
        }
    }
}

#[test]
fn a_typical_report() {
    let json = json(&support::small(), Options { patched: true });
    insta::assert_snapshot!(json);
}

#[test]
fn patched_findings_are_left_out_unless_asked_for() {
    let scanned = support::typical();
    assert!(!json(&scanned, Options::default()).contains("CVE-2020-1971"));
    let with = json(&scanned, Options { patched: true });
    assert!(with.contains(r#""kind": "pass""#));
}

#[test]
fn fingerprints_name_neither_version_nor_path() {
    support::typical().with(|_, report| {
        let log = log(report, Options::default());
        for result in &log.runs[0].results {
            let print = result.partial_fingerprints.values().next().unwrap();
            assert!(!print.contains("/nix/store"), "{print}");
            assert!(
                !report
                    .packages
                    .iter()
                    .any(|p| print.contains(&format!(" {} ", p.version)))
            );
        }
        let prints: std::collections::BTreeSet<_> = log.runs[0]
            .results
            .iter()
            .map(|result| &result.partial_fingerprints)
            .collect();
        assert_eq!(prints.len(), log.runs[0].results.len());
    });
}
