//! What a record says in its author's words: a description, and where more is to be read.
//!
//! Matching needs none of it, so readers pass it over unless they are asked for it
//! ([`crate::read::With::Texts`]). It belongs to its authors: it is shown, and never shipped with the
//! program. Escape it before you show it.

use serde::{Deserialize, Serialize};

/// The words of one record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Texts {
    /// The description in English, as it stands: plain text or Markdown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where more is to be read, in the order of the record, each URL once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<Reference>,
}

/// A reference.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Reference {
    /// Its address: of `http`, `https`, `ftp` or `git`.
    pub url: String,
    /// What it is, in the words of the record's format: `patch`, `vendor-advisory`, `FIX`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}

impl Texts {
    /// How many characters of a description are kept.
    pub const MAX_DESCRIPTION: usize = 10_000;
    /// How many references are kept.
    pub const MAX_REFERENCES: usize = 200;
    /// How long a URL may be, in bytes.
    pub const MAX_URL: usize = 2_000;
    /// How many tags of a reference are kept.
    pub const MAX_TAGS: usize = 10;

    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.description.is_none() && self.references.is_empty()
    }

    pub(crate) fn describe(&mut self, text: Option<&str>) {
        let text = text.map(str::trim).filter(|text| !text.is_empty());
        self.description = text.map(|text| cut(text, Self::MAX_DESCRIPTION));
    }

    /// Adds a reference, or its tags to that which is there.
    pub(crate) fn refer<'t>(&mut self, url: Option<&str>, tags: impl Iterator<Item = &'t str>) {
        let Some(url) = url.map(str::trim).filter(|url| is_address(url)) else {
            return;
        };
        let place = self.references.iter().position(|known| known.url == url);
        let place = place.unwrap_or_else(|| {
            self.references.push(Reference {
                url: url.to_owned(),
                tags: Vec::new(),
            });
            self.references.len() - 1
        });
        let known = &mut self.references[place].tags;
        for tag in tags {
            let tag = cut(tag.trim(), 60);
            if !tag.is_empty() && known.len() < Self::MAX_TAGS && !known.contains(&tag) {
                known.push(tag);
            }
        }
        self.references.truncate(Self::MAX_REFERENCES);
    }
}

/// Whether a text is an address that may become a link: nothing that a browser would run.
fn is_address(url: &str) -> bool {
    let scheme = url.split_once("://").map(|(scheme, _)| scheme);
    url.len() <= Texts::MAX_URL
        && !url.contains(|c: char| c.is_control() || c.is_whitespace())
        && scheme.is_some_and(|scheme| {
            ["http", "https", "ftp", "git"]
                .iter()
                .any(|known| scheme.eq_ignore_ascii_case(known))
        })
}

fn cut(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_are_references_and_each_once() {
        let mut texts = Texts::default();
        for url in [
            "https://example.org/a",
            "javascript:alert(1)",
            "https://example.org/a",
            "data:text/html,x",
            "https://example.org/\u{a0}x",
            "",
        ] {
            texts.refer(Some(url), ["patch", "patch", " "].into_iter());
        }
        let [reference] = &*texts.references else {
            panic!("{:?}", texts.references);
        };
        assert_eq!(reference.url, "https://example.org/a");
        assert_eq!(reference.tags, ["patch"]);
    }

    #[test]
    fn a_long_description_is_cut() {
        let mut texts = Texts::default();
        texts.describe(Some(&"ä".repeat(20_000)));
        let length = texts.description.unwrap().chars().count();
        assert_eq!(length, Texts::MAX_DESCRIPTION + 1);
    }
}
