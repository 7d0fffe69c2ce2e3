//! Ranges in words, as some records write them into a version field.

use super::{Lower, Upper};

/// The plainest reading of a few phrases: `8.0.20 and prior`, `before v1.2`, `1.0 to 1.4`,
/// `4.11.15, 4.12.9, 4.13.1`. A version outside of all of these ranges is out of reach.
pub(super) fn reading(text: &str) -> Option<Vec<(Lower<&str>, Upper<&str>)>> {
    if text.ends_with('…') {
        // Cut off: nobody knows what else it said.
        return None;
    }
    let words: Vec<&str> = text
        .split([' ', ',', ':', '(', ')', '/'])
        .flat_map(|word| match ends_of(word) {
            Some((from, to)) => vec![from, "-", to],
            None => vec![word.strip_suffix('.').unwrap_or(word)],
        })
        .filter(|word| !word.is_empty())
        .filter(|word| {
            !FILLERS
                .iter()
                .any(|filler| word.eq_ignore_ascii_case(filler))
        })
        .collect();
    let lower: Vec<String> = words.iter().map(|word| word.to_ascii_lowercase()).collect();
    let shape: Vec<&str> = words
        .iter()
        .zip(&lower)
        .map(|(word, lower)| {
            if begins_as_version(word) {
                "V"
            } else {
                lower.as_str()
            }
        })
        .collect();
    let ends = |tail: &str| matches!(tail, "prior" | "earlier" | "below" | "older" | "before");
    Some(match *shape.as_slice() {
        ["V", "and" | "or" | "&", tail] if ends(tail) => up_to(Lower::Start, words[0]).collect(),
        ["before" | "<", "V"] | ["prior", "to", "V"] => {
            vec![(Lower::Start, Upper::Before(words[words.len() - 1]))]
        }
        ["V", "to" | "through" | "-" | "–" | "until", "V"] => {
            up_to(Lower::From(words[0]), words[2]).collect()
        }
        ["V", "before", "V"] => vec![(Lower::From(line_of(words[0])), Upper::Before(words[2]))],
        ["V", "up", "to", "V"] => up_to(Lower::From(words[0]), words[3]).collect(),
        // Whatever else such words say: nothing above each version that they name.
        [.., "V" | "prior" | "earlier" | "below" | "older" | "before"]
            if shape.iter().all(|word| *word == "V" || SAFE.contains(word)) =>
        {
            let versions = words.iter().zip(&shape).filter(|(_, shape)| **shape == "V");
            versions
                .flat_map(|(word, _)| up_to(Lower::Start, word))
                .collect()
        }
        _ => return None,
    })
    .filter(|ranges: &Vec<_>| !ranges.is_empty())
}

/// Words that say nothing about where a range ends.
const FILLERS: [&str; 8] = [
    "all", "version", "versions", "ver", "release", "releases", "lts", "the",
];

/// Words around versions that never reach beyond them, as "later" and "since" do.
const SAFE: [&str; 22] = [
    "and",
    "or",
    "&",
    "prior",
    "earlier",
    "below",
    "older",
    "before",
    "lower",
    "less",
    "than",
    "to",
    "up",
    "through",
    "until",
    "-",
    "–",
    "including",
    "fixed",
    "affected",
    "in",
    "<",
];

/// A word that begins with a digit, also after a `v`; a commit is none.
fn begins_as_version(word: &str) -> bool {
    let word = word.strip_prefix(['v', 'V']).unwrap_or(word);
    word.len() < 24 && word.starts_with(|c: char| c.is_ascii_digit())
}

/// `12.0.1` and `12.0.3` of `12.0.1-12.0.3`.
fn ends_of(word: &str) -> Option<(&str, &str)> {
    let (from, to) = word.split_once('-')?;
    let dotted = |part: &str| part.contains('.') && begins_as_version(part);
    (dotted(from) && dotted(to)).then_some((from, to))
}

/// `2.7` of `2.7.x`.
fn line_of(word: &str) -> &str {
    let line = word.strip_suffix(".x").or_else(|| word.strip_suffix(".X"));
    line.or_else(|| word.strip_suffix(".*")).unwrap_or(word)
}

/// Up to a version, or to the end of a line.
fn up_to<'a>(
    lower: Lower<&'a str>,
    word: &'a str,
) -> impl Iterator<Item = (Lower<&'a str>, Upper<&'a str>)> {
    let line = line_of(word);
    let within = (line.len() < word.len()).then_some((Lower::From(line), Upper::Within(line)));
    let below = match within {
        Some(_) => Upper::Before(line),
        None => Upper::UpTo(word),
    };
    within.into_iter().chain([(lower, below)])
}
