//! Issues as an Atom feed.

use jiff::Timestamp;
use snowguard_formats::atom::{Entry, Feed};

use super::issue::{Issue, Site};
use super::text;

/// The newest issues; `updated` is when the tracker last changed any.
pub fn atom<'i>(
    issues: impl IntoIterator<Item = &'i Issue>,
    site: &Site,
    updated: Timestamp,
) -> Feed {
    let entries: Vec<Entry> = issues
        .into_iter()
        .map(|issue| {
            let page = site.issue(&issue.id);
            let mut entry = Entry::new(
                &page,
                format!("{}: {}", issue.id, issue.title),
                &page,
                issue.modified.into(),
            );
            entry.published = Some(issue.published.into());
            entry.categories = vec![issue.verdicts.rating.word().to_owned()];
            entry.summary = Some(text::plain(issue));
            entry
        })
        .collect();
    Feed {
        page: Some(format!("{}/issues", site.url)),
        entries,
        ..Feed::new(
            format!("{}/issues.atom", site.url),
            "Published issues",
            &site.author,
            updated.into(),
        )
    }
}
