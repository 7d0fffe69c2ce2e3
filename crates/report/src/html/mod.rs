//! The report as one page that needs nothing but itself.
//!
//! The page is read without script: everything is there, closed parts open in place. A script of our
//! own adds search, order, filters and keys, and keeps their state in the URL's fragment. Styles and
//! script lie inside, and the page forbids itself everything else by their hashes.
//!
//! The templates lie in `templates/html`; the modules here prepare what they show. Every string that a
//! template writes passes `Escaper`, so that others' text is neither markup nor obeyed.

mod chart;
mod finding;
mod sections;
mod verdict;

use std::fmt;

use askama::Template;
use snowguard_store::{Hash, HashAlgo, Notation};

use self::chart::Chart;
use self::finding::{RATINGS, Rating};
use self::sections::{Closed, Review, Row};
use self::verdict::Verdict;
use crate::model::Report;
use crate::{escape, triage, words};

/// The page: HTML with its styles and its script inside, and no request to anywhere.
pub fn page(report: &Report) -> String {
    Page::of(report).to_string()
}

#[derive(Template)]
#[template(path = "html/page.html")]
struct Page<'r> {
    report: &'r Report,
    /// The verdict in a few words, for a tab.
    title: String,
    scanned_at: String,
    /// How old the index is.
    age: Option<String>,
    style: &'static str,
    style_hash: String,
    script: &'static str,
    script_hash: String,
    ratings: [Rating; 5],
    verdict: Verdict,
    chart: Chart,
    /// Packages with something affected, as the report ranks them.
    rows: Vec<Row<'r>>,
    /// Whether the list is so long that its end is folded, and how many are shown then.
    folds: bool,
    shown: usize,
    has_scope: bool,
    /// Whether what was scanned tells who depends on whom; a package set does not.
    has_needed: bool,
    columns: usize,
    reviews: Vec<Review<'r>>,
    /// What is patched or suppressed.
    closed: Vec<Closed<'r>>,
    gaps: Vec<String>,
    /// What was scanned, in words.
    scanned: String,
}

impl<'r> Page<'r> {
    fn of(report: &'r Report) -> Self {
        let rows = sections::rows(report);
        let has_needed = rows.iter().any(|row| row.package.dependents > 0);
        let has_scope = rows.iter().any(|row| row.package.scope != "unknown");
        Self {
            title: verdict::title(&report.summary),
            scanned_at: words::moment(&report.generated_at),
            age: report.index.age_days.map(words::days_old),
            style: STYLE,
            style_hash: hash(STYLE),
            script: SCRIPT,
            script_hash: hash(SCRIPT),
            ratings: RATINGS,
            verdict: Verdict::of(report, &rows),
            chart: Chart::of(&rows),
            has_scope,
            has_needed,
            folds: rows.len() > SHOWN + SHOWN / 5,
            shown: SHOWN,
            columns: 4 + usize::from(has_needed) + usize::from(has_scope),
            rows,
            reviews: sections::reviews(report),
            closed: sections::closed(report),
            gaps: report
                .gaps
                .iter()
                .map(|gap| format!("{}.", words::sentence(gap)))
                .collect(),
            scanned: sections::scanned(&report.subject),
            report,
        }
    }
}

/// A hash as the security policy of a page has it.
pub(crate) fn hash(text: &str) -> String {
    Hash::of(HashAlgo::Sha256, text.as_bytes())
        .map(|hash| hash.to_notation(Notation::Sri))
        .unwrap_or_default()
}

/// Makes others' text harmless twice: what would be obeyed is shown, and what would be markup is
/// text.
#[derive(Clone, Copy, Debug, Default)]
pub struct Escaper;

impl askama::filters::Escaper for Escaper {
    fn write_escaped_str<W: fmt::Write>(&self, dest: W, text: &str) -> fmt::Result {
        askama::filters::Html.write_escaped_str(dest, &escape::line(text))
    }
}

/// How many packages a long list shows at first; the script reads it from the page.
const SHOWN: usize = 100;

/// What the pages of Snowguard share in looks: the palette in light, dark and print, severities, plain
/// parts. A style sheet of one's own comes after it.
pub const BASE_STYLE: &str = include_str!("../../templates/html/base.css");

const STYLE: &str = concat!(
    include_str!("../../templates/html/base.css"),
    include_str!("../../templates/html/style.css")
);
const SCRIPT: &str = include_str!("../../templates/html/script.js");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_a_security_policy() {
        assert_eq!(
            hash(""),
            "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
        );
    }
}
