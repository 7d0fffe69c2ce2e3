//! Atom feeds (RFC 4287): what is new, for whoever subscribes. They are written here.
//!
//! Only text goes in: others' words never become markup, and characters that XML 1.0 cannot hold, or
//! that steer and reorder text, are left out.

use std::fmt::Write as _;

use crate::text::is_hostile;
use crate::{Timestamp, iri};

/// One feed.
///
/// ```
/// use snowguard_formats::atom::{Entry, Feed};
///
/// let now: jiff::Timestamp = "2026-01-31T12:00:00Z".parse()?;
/// let feed = Feed {
///     entries: vec![Entry::new(
///         "tag:tracker.example.org,2026:issue/1",
///         "zlib: CVE-2026-0001",
///         "https://tracker.example.org/issues/1",
///         now.into(),
///     )],
///     ..Feed::new(
///         "https://tracker.example.org/issues.atom",
///         "Issues",
///         "Example maintainers",
///         now.into(),
///     )
/// };
/// assert!(feed.to_xml().starts_with("<?xml"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feed {
    /// Where it is: also its id, so that it must stay.
    pub url: String,
    /// Its name.
    pub title: String,
    /// Who says all this.
    pub author: String,
    /// When anything in it last changed.
    pub updated: Timestamp,
    /// The page of which it is the feed.
    pub page: Option<String>,
    /// The newest first.
    pub entries: Vec<Entry>,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// An IRI that stays the same when the entry changes: a reader tells entries apart by it.
    pub id: String,
    /// One line.
    pub title: String,
    /// The page.
    pub url: String,
    /// When it last changed.
    pub updated: Timestamp,
    /// When it was first published.
    pub published: Option<Timestamp>,
    /// A few lines of plain text.
    pub summary: Option<String>,
    /// Words to sort by.
    pub categories: Vec<String>,
}

impl Feed {
    /// A feed without entries.
    pub fn new(
        url: impl Into<String>,
        title: impl Into<String>,
        author: impl Into<String>,
        updated: Timestamp,
    ) -> Self {
        Self {
            url: url.into(),
            title: title.into(),
            author: author.into(),
            updated,
            page: None,
            entries: Vec::new(),
        }
    }

    /// The document: the same bytes for the same value.
    pub fn to_xml(&self) -> String {
        let mut out = String::from("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n");
        out.push_str("<feed xmlns=\"http://www.w3.org/2005/Atom\">\n");
        element(
            &mut out,
            1,
            "id",
            &iri::encode(&self.url, iri::Alphabet::Iri),
        );
        element(&mut out, 1, "title", &self.title);
        element(&mut out, 1, "updated", self.updated.as_str());
        link(&mut out, 1, "self", &self.url);
        if let Some(page) = &self.page {
            link(&mut out, 1, "alternate", page);
        }
        out.push_str("  <author>\n");
        element(&mut out, 2, "name", &self.author);
        out.push_str("  </author>\n");
        for entry in &self.entries {
            entry.write(&mut out);
        }
        out.push_str("</feed>\n");
        out
    }
}

impl Entry {
    /// An entry of one line.
    pub fn new(
        id: impl Into<String>,
        title: impl Into<String>,
        url: impl Into<String>,
        updated: Timestamp,
    ) -> Self {
        Self {
            id: id.into(),
            title: title.into(),
            url: url.into(),
            updated,
            published: None,
            summary: None,
            categories: Vec::new(),
        }
    }

    fn write(&self, out: &mut String) {
        out.push_str("  <entry>\n");
        element(out, 2, "id", &iri::encode(&self.id, iri::Alphabet::Iri));
        element(out, 2, "title", &self.title);
        element(out, 2, "updated", self.updated.as_str());
        if let Some(published) = &self.published {
            element(out, 2, "published", published.as_str());
        }
        link(out, 2, "alternate", &self.url);
        for category in &self.categories {
            indent(out, 2);
            out.push_str("<category term=\"");
            text(out, category);
            out.push_str("\"/>\n");
        }
        if let Some(summary) = &self.summary {
            element(out, 2, "summary", summary);
        }
        out.push_str("  </entry>\n");
    }
}

fn element(out: &mut String, depth: usize, name: &str, content: &str) {
    indent(out, depth);
    let _ = write!(out, "<{name}>");
    text(out, content);
    let _ = writeln!(out, "</{name}>");
}

fn link(out: &mut String, depth: usize, rel: &str, url: &str) {
    indent(out, depth);
    let _ = write!(out, "<link rel=\"{rel}\" href=\"");
    text(out, &iri::encode(url, iri::Alphabet::Iri));
    out.push_str("\"/>\n");
}

fn indent(out: &mut String, depth: usize) {
    for _ in 0..depth {
        out.push_str("  ");
    }
}

/// Text as XML has it, in elements and in attributes.
fn text(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push('\n'),
            // Neither is a character of XML 1.0, nor are other controls.
            '\u{FFFE}' | '\u{FFFF}' => {}
            c if c.is_control() || is_hostile(c) => {}
            c => out.push(c),
        }
    }
}
