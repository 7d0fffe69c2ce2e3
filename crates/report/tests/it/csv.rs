//! CSV: as a reader of RFC 4180 takes it.

use snowguard_report::csv;

use crate::support;

/// The fields of each row. Written after the grammar of RFC 4180, section 2.
fn rows(text: &str) -> Vec<Vec<String>> {
    let mut rows = vec![vec![String::new()]];
    let mut chars = text.chars().peekable();
    let mut quoted = false;
    while let Some(c) = chars.next() {
        let row = rows.last_mut().unwrap();
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                row.last_mut().unwrap().push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(String::new()),
            '\r' if !quoted && chars.peek() == Some(&'\n') => {
                chars.next();
                rows.push(vec![String::new()]);
            }
            c => row.last_mut().unwrap().push(c),
        }
    }
    assert!(!quoted, "a quote is open");
    assert_eq!(
        rows.pop(),
        Some(vec![String::new()]),
        "the last line has no end"
    );
    rows
}

#[test]
fn every_finding_is_a_row() {
    for scanned in support::all() {
        scanned.with(|_, report| {
            let rows = rows(&csv::scan(report));
            assert_eq!(rows[0], csv::COLUMNS);
            let findings: Vec<_> = report
                .packages
                .iter()
                .flat_map(|package| package.findings.iter().map(move |f| (package, f)))
                .collect();
            assert_eq!(rows.len(), 1 + findings.len());
            for (row, (package, finding)) in rows[1..].iter().zip(findings) {
                assert_eq!(row.len(), csv::COLUMNS.len());
                assert_eq!(row[0], finding.id);
                assert_eq!(row[3], finding.status);
                assert_eq!(row[13], package.dependents.to_string());
                for field in row {
                    assert!(
                        !field.starts_with(['=', '+', '-', '@', '\t', '\r']),
                        "{field}"
                    );
                }
            }
        });
    }
}

#[test]
fn a_typical_system() {
    let text = support::small().with(|_, report| csv::scan(report));
    insta::assert_snapshot!(text.replace('\r', ""));
}
