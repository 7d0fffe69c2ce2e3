//! Atom: what is written is well-formed XML that says what was put in, whatever that was.

use proptest::prelude::*;
use snowguard_formats::Timestamp;
use snowguard_formats::atom::{Entry, Feed};

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn feed(title: &str, summary: &str) -> Feed {
    let mut entry = Entry::new(
        "tag:tracker.example.org,2026:issue/NIX-2026-0001",
        title,
        "https://tracker.example.org/issues/NIX-2026-0001?a=b&c=d",
        time("2026-01-31T12:00:00Z"),
    );
    entry.published = Some(time("2026-01-30T12:00:00Z"));
    entry.summary = Some(summary.to_owned());
    entry.categories = vec!["high".to_owned()];
    Feed {
        page: Some("https://tracker.example.org/issues".to_owned()),
        entries: vec![entry],
        ..Feed::new(
            "https://tracker.example.org/issues.atom",
            "Issues",
            "Example maintainers",
            time("2026-01-31T12:00:00Z"),
        )
    }
}

#[test]
fn a_feed_is_written() {
    insta::assert_snapshot!(feed("zlib: a <b>hole</b> & more", "Update to 1.3.2").to_xml());
}

proptest! {
    #[test]
    fn others_text_stays_text(title: String, summary: String) {
        let xml = feed(&title, &summary).to_xml();
        let document = roxmltree::Document::parse(&xml).unwrap();
        let text = |name: &str| {
            let mut found = document
                .descendants()
                .filter(|node| node.has_tag_name(("http://www.w3.org/2005/Atom", name)));
            found.next_back().and_then(|node| node.text()).unwrap_or_default().to_owned()
        };
        let kept = |text: &str| -> String {
            text.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').collect()
        };
        prop_assert_eq!(kept(&text("title")), kept(&title));
        prop_assert_eq!(kept(&text("summary")), kept(&summary));
        prop_assert_eq!(document.descendants().filter(roxmltree::Node::is_element).count(), 16);
    }
}
