//! A report and a difference as CSV (RFC 4180): one row for each finding, for spreadsheets and scripts.
//!
//! UTF-8, a header, lines that end with CR and LF. Columns are only added, at the end; the book has them
//! (`docs/src/formats.md`). Texts of others are on one line and escaped as everywhere.
//!
//! A spreadsheet takes a field that begins with `=`, `+`, `-`, `@`, a tab or the end of a line for a
//! formula, quoted or not. Such a field gets an apostrophe in front, which spreadsheets show as text and
//! which scripts can take away: no field begins with one otherwise. Where a language writes numbers with
//! commas, spreadsheets part fields at semicolons instead, and quotes in the middle of what they take for
//! a field mean nothing to them: so the same holds of what follows a semicolon.
//! Source: OWASP, CSV Injection.

use std::borrow::Cow;

use crate::diff::{Change, Difference};
use crate::escape::line;
use crate::model::{Finding, Package, Report};

/// The columns of a scan.
pub const COLUMNS: [&str; 24] = [
    "id",
    "package",
    "version",
    "status",
    "severity",
    "score",
    "exploited_since",
    "epss",
    "fixed_in",
    "last_affected",
    "reason",
    "suppressed",
    "scope",
    "dependents",
    "language",
    "purl",
    "store_paths",
    "attributes",
    "aliases",
    "url",
    "published",
    "title",
    "triage",
    "triage_url",
];

/// The columns of a difference.
pub const DIFF_COLUMNS: [&str; 8] = [
    "change",
    "id",
    "package",
    "old_versions",
    "new_versions",
    "how",
    "severity",
    "exploited_since",
];

/// One row for each finding of the report, in its order.
pub fn scan(report: &Report) -> String {
    let mut out = Rows::new(&COLUMNS);
    for package in &report.packages {
        for finding in &package.findings {
            out.row(&fields(package, finding));
        }
    }
    out.0
}

/// One row for each change.
pub fn diff(difference: &Difference) -> String {
    let mut out = Rows::new(&DIFF_COLUMNS);
    let sections = [
        ("fixed", &difference.fixed),
        ("brought", &difference.brought),
        ("to_review", &difference.to_review),
        ("left", &difference.left),
    ];
    for (what, changes) in sections {
        for change in changes {
            out.row(&change_fields(what, change));
        }
    }
    out.0
}

fn fields<'r>(package: &'r Package, finding: &'r Finding) -> [Cow<'r, str>; COLUMNS.len()] {
    let severity = finding.severity.as_ref();
    [
        (&*finding.id).into(),
        (&*package.name).into(),
        (&*package.version).into(),
        finding.status.into(),
        severity.map_or("", |severity| severity.rating).into(),
        shown(severity.and_then(|severity| severity.score)),
        shown(finding.exploited.as_ref().map(|exploited| exploited.since)),
        shown(finding.epss.as_ref().map(|epss| epss.probability)),
        finding.fixed_in.as_deref().unwrap_or_default().into(),
        finding.last_affected.as_deref().unwrap_or_default().into(),
        (&*finding.reason).into(),
        finding
            .suppressed
            .as_ref()
            .map_or("", |decision| decision.verdict)
            .into(),
        package.scope.into(),
        package.dependents.to_string().into(),
        package.language.unwrap_or_default().into(),
        (&*package.purl).into(),
        package.store_paths.join(" ").into(),
        package.attributes.join(" ").into(),
        finding.aliases.join(" ").into(),
        (&*finding.url).into(),
        shown(finding.published),
        finding.title.as_deref().unwrap_or_default().into(),
        finding
            .triage
            .as_ref()
            .map_or("", |triaged| triaged.state)
            .into(),
        finding
            .triage
            .as_ref()
            .map_or("", |triaged| triaged.url.as_str())
            .into(),
    ]
}

fn change_fields<'d>(what: &'d str, change: &'d Change) -> [Cow<'d, str>; DIFF_COLUMNS.len()] {
    let severity = change.severity.as_ref();
    [
        what.into(),
        (&*change.id).into(),
        (&*change.package).into(),
        change.old_versions.join(" ").into(),
        change.new_versions.join(" ").into(),
        change.how.into(),
        severity.map_or("", |severity| severity.rating).into(),
        shown(change.exploited.as_ref().map(|exploited| exploited.since)),
    ]
}

fn shown(value: Option<impl ToString>) -> Cow<'static, str> {
    value.map_or(Cow::Borrowed(""), |value| Cow::Owned(value.to_string()))
}

struct Rows(String);

impl Rows {
    fn new(columns: &[&str]) -> Self {
        Self(columns.join(",") + "\r\n")
    }

    fn row(&mut self, fields: &[Cow<'_, str>]) {
        for (at, text) in fields.iter().enumerate() {
            if at > 0 {
                self.0.push(',');
            }
            self.field(text);
        }
        self.0.push_str("\r\n");
    }

    fn field(&mut self, text: &str) {
        let text = no_formula(text);
        let harmless = line(&text);
        let quoted = harmless.starts_with('\'') || harmless.contains([',', ';', '"']);
        if quoted {
            self.0.push('"');
        }
        self.0.push_str(&harmless.replace('"', "\"\""));
        if quoted {
            self.0.push('"');
        }
    }
}

/// With an apostrophe before everything that a spreadsheet could take for a formula.
///
/// Text is looked at as it was given: what becomes a space later may have been a tab.
fn no_formula(text: &str) -> Cow<'_, str> {
    const BEGINS: [char; 12] = [
        '=', '+', '-', '@', '\t', '\r', '\n', '\'', '＝', '＋', '－', '＠',
    ];
    let cells = text.split(';');
    if !cells.clone().any(|cell| cell.starts_with(BEGINS)) {
        return text.into();
    }
    let cells: Vec<String> = cells
        .map(|cell| {
            let guard = if cell.starts_with(BEGINS) { "'" } else { "" };
            format!("{guard}{cell}")
        })
        .collect();
    cells.join(";").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> String {
        let mut rows = Rows(String::new());
        rows.row(&[text.into(), "x".into()]);
        rows.0
    }

    #[test]
    fn fields_are_quoted_where_they_must_be() {
        assert_eq!(written("plain text"), "plain text,x\r\n");
        assert_eq!(written("a,b"), "\"a,b\",x\r\n");
        assert_eq!(written("say \"x\""), "\"say \"\"x\"\"\",x\r\n");
        assert_eq!(written("two\r\nlines\u{202e}"), "two  lines\\u{202e},x\r\n");
        assert_eq!(written(""), ",x\r\n");
    }

    #[test]
    fn nothing_begins_as_a_formula() {
        for text in [
            "=1+1", "+1", "-2", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\r\n=1", "'x", "＝1",
        ] {
            let row = written(text);
            assert!(row.starts_with("\"'"), "{row}");
        }
        assert_eq!(
            written("=HYPERLINK(\"http://x\",\"y\")"),
            "\"'=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\",x\r\n"
        );
        // Where fields are parted at semicolons.
        assert_eq!(written("x;=1+1"), "\"x;'=1+1\",x\r\n");
        assert_eq!(written("x;\t=1;-2;'"), "\"x;' =1;'-2;''\",x\r\n");
        assert_eq!(written("one; two"), "\"one; two\",x\r\n");
    }
}
