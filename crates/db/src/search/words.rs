//! Texts as words, and words as what an engine looks for. Both engines get their words from here, so that they find the
//! same.

use std::collections::BTreeSet;

/// Characters of a text that are looked at.
const TEXT: usize = 20_000;
/// Words of a text that are kept.
const KEPT: usize = 1_000;
/// Shorter words tell nothing, longer ones are no words.
const LENGTHS: std::ops::RangeInclusive<usize> = 2..=40;
/// Words of a query that are looked for.
const ASKED: usize = 8;
/// From this length on, the last word of a query may be the beginning of one.
const BEGINNING: usize = 4;

/// Words that stand in so many advisories that they tell nothing, sorted.
const COMMON: &[&str] = &[
    "about",
    "after",
    "all",
    "allow",
    "allowed",
    "allowing",
    "allows",
    "also",
    "an",
    "and",
    "any",
    "are",
    "as",
    "at",
    "attacker",
    "attackers",
    "be",
    "been",
    "before",
    "being",
    "both",
    "but",
    "by",
    "can",
    "cause",
    "could",
    "cve",
    "do",
    "does",
    "due",
    "earlier",
    "exists",
    "for",
    "found",
    "from",
    "has",
    "have",
    "if",
    "in",
    "into",
    "is",
    "issue",
    "it",
    "its",
    "may",
    "more",
    "not",
    "of",
    "on",
    "or",
    "other",
    "prior",
    "remote",
    "some",
    "such",
    "that",
    "the",
    "their",
    "there",
    "these",
    "this",
    "through",
    "to",
    "use",
    "used",
    "user",
    "users",
    "using",
    "version",
    "versions",
    "via",
    "vulnerability",
    "vulnerable",
    "was",
    "were",
    "when",
    "where",
    "which",
    "while",
    "will",
    "with",
    "within",
    "would",
];

/// What is looked for: all of these words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    words: Vec<String>,
    /// The last one may go on.
    open: bool,
}

impl Asked {
    /// Of a query; nothing if no word of it tells anything.
    pub(super) fn of(query: &str) -> Option<Self> {
        let mut words = Vec::new();
        let mut last = None;
        for word in split(query) {
            if !words.contains(&word) && is_telling(&word) && words.len() < ASKED {
                words.push(word.clone());
            }
            last = Some(word);
        }
        let typed = query.chars().last().is_some_and(char::is_alphanumeric);
        let open = typed
            && last.is_some()
            && last.as_ref() == words.last()
            && last.is_some_and(|word| word.chars().count() >= BEGINNING);
        (!words.is_empty()).then_some(Self { words, open })
    }

    /// For FTS5: strings, which hold no quotation mark.
    pub(super) fn sqlite(&self) -> String {
        self.joined("\"", " AND ", "*")
    }

    /// For a tsquery: strings, which hold no quotation mark or backslash.
    pub(super) fn postgres(&self) -> String {
        self.joined("'", " & ", ":*")
    }

    fn joined(&self, quote: &str, and: &str, open: &str) -> String {
        let words: Vec<String> = self
            .words
            .iter()
            .map(|word| format!("{quote}{word}{quote}"))
            .collect();
        let mut text = words.join(and);
        if self.open {
            text.push_str(open);
        }
        text
    }
}

/// The words of texts, each once, sorted, with spaces between.
pub(super) fn kept(texts: &[&str]) -> String {
    let mut words = BTreeSet::new();
    'all: for text in texts {
        for word in split(text) {
            if words.len() == KEPT {
                break 'all;
            }
            if is_telling(&word) {
                words.insert(word);
            }
        }
    }
    let words: Vec<String> = words.into_iter().collect();
    words.join(" ")
}

/// Letters and digits that stand together, in small letters.
fn split(text: &str) -> impl Iterator<Item = String> {
    let end = text
        .char_indices()
        .nth(TEXT)
        .map_or(text.len(), |(at, _)| at);
    text[..end]
        .split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| {
            // Small letters of a letter can hold marks, which would end the word elsewhere.
            word.chars()
                .flat_map(char::to_lowercase)
                .filter(|letter| letter.is_alphanumeric())
                .collect()
        })
}

fn is_telling(word: &str) -> bool {
    LENGTHS.contains(&word.chars().count()) && COMMON.binary_search(&word).is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_words_are_sorted_and_none_is_too_short() {
        assert!(COMMON.is_sorted());
        assert!(COMMON.iter().all(|word| LENGTHS.contains(&word.len())));
    }

    #[test]
    fn texts_are_kept_as_their_words() {
        insta::assert_snapshot!(kept(&["Heap-based Buffer Overflow in libFoo 1.2.30", "A buffer overflow in İstanbul's É"]), @"30 based buffer heap istanbul libfoo overflow");
        assert_eq!(kept(&["the an a . , !"]), "");
        let many: Vec<String> = (0..5000).map(|n| format!("w{n:05}")).collect();
        assert_eq!(kept(&[&many.join(" ")]).split(' ').count(), KEPT);
        assert_eq!(kept(&[&"x".repeat(41)]), "");
    }

    #[test]
    fn a_query_is_words_and_nothing_else() {
        let asked = |query| Asked::of(query).map(|asked| (asked.sqlite(), asked.postgres()));
        let both = |sqlite: &str, postgres: &str| Some((sqlite.to_owned(), postgres.to_owned()));
        assert_eq!(
            asked("Buffer over"),
            both(r#""buffer" AND "over"*"#, "'buffer' & 'over':*")
        );
        assert_eq!(
            asked("buffer over "),
            both(r#""buffer" AND "over""#, "'buffer' & 'over'")
        );
        assert_eq!(asked("buf"), both(r#""buf""#, "'buf'"));
        assert_eq!(asked("heap the"), both(r#""heap""#, "'heap'"));
        assert_eq!(asked("heap heap"), both(r#""heap"*"#, "'heap':*"));
        assert_eq!(
            asked(r#"a" OR 'b' NEAR(words:* & !x) -- \ NOT "#),
            both(r#""near" AND "words""#, "'near' & 'words'")
        );
        assert_eq!(asked("the of"), None);
        assert_eq!(asked("\"'*:()"), None);
        assert_eq!(asked(""), None);
    }
}
