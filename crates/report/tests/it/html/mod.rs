//! The page: what it says, what it may do, and how it looks and behaves in a real browser.

mod browser;
mod palette;
mod text;

use snowguard_report::html::page;

use crate::support::{self, Scanned};

fn made(scanned: &Scanned) -> String {
    scanned.with(|_, report| page(report))
}

#[test]
fn a_typical_page_says() {
    insta::assert_snapshot!(text::of(&made(&support::small())));
}

#[test]
fn a_page_about_what_is_inside_says() {
    insta::assert_snapshot!(text::of(&made(&support::inside())));
}

#[test]
fn an_empty_page_says() {
    insta::assert_snapshot!(text::of(&made(&support::empty())));
}

#[test]
fn the_same_report_gives_the_same_page() {
    let scanned = support::typical();
    assert_eq!(made(&scanned), made(&scanned));
}

#[test]
fn others_text_is_neither_markup_nor_obeyed() {
    let html = made(&support::nasty());
    assert!(html.contains("&#60;script&#62;alert(1)"), "it is shown");
    assert_eq!(
        html.matches("<script").count(),
        1,
        "the only script is ours"
    );
    assert_eq!(html.matches("</script").count(), 1);
    assert!(!html.contains("<b>&amp;amp;"));
    let steering = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}')
    };
    assert_eq!(html.chars().find(|c| steering(*c)), None);
}

#[test]
fn the_page_allows_itself_only_its_own_parts() {
    let html = made(&support::nasty());
    let between = |from: &str, to: &str| {
        let (_, rest) = html.split_once(from).unwrap();
        rest.split_once(to).unwrap().0
    };
    let hash = |text: &str| {
        let hash = snowguard_store::Hash::of(snowguard_store::HashAlgo::Sha256, text.as_bytes());
        hash.unwrap().to_notation(snowguard_store::Notation::Sri)
    };
    let policy = between("Content-Security-Policy\" content=\"", "\">");
    let (style, script) = (
        hash(between("<style>", "</style>")),
        hash(between("<script>", "</script>")),
    );
    assert_eq!(
        policy.replace("&#39;", "'"),
        format!(
            "default-src 'none'; script-src '{script}'; style-src '{style}'; img-src data:; base-uri 'none'; form-action 'none'"
        )
    );
    // What the policy forbids would be silently without effect.
    for attribute in [" style=\"", " onclick", " onload", "javascript:"] {
        let ours = html.replace("javascript:alert(&#39;", "");
        assert!(!ours.contains(attribute), "{attribute}");
    }
}

#[test]
fn a_page_is_small() {
    let empty = made(&support::empty()).len();
    assert!(empty < 40_000, "{empty} bytes without any finding");
    let typical = made(&support::typical()).len();
    assert!(typical < 100_000, "{typical} bytes with 80 findings");
    let scanned = support::large();
    let findings = scanned.with(|_, report| report.summary.affected);
    let each = (made(&scanned).len() - empty) / findings;
    assert!(each < 400, "{each} bytes for each of {findings} findings");
}
