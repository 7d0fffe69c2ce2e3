//! The little grammars of version fields.

use crate::range::{Lower, Rule, Span, Status, Upper};

/// Reads a version field that should hold one version and often holds more.
///
/// Understood: one version; comparators joined by commas, as GitHub advisories write them
/// (`>= 1.3.0, < 1.3.19`); a line (`2.7.x`, `1.*`). Everything else is prose, which nobody may
/// guess at.
pub(super) fn version_field(text: &str) -> Span<Box<str>> {
    let text = text.trim();
    if let Some(span) = comparators(text) {
        return span;
    }
    if let Some(line) = line(text) {
        return Span::Between(Lower::From(line.into()), Upper::Within(line.into()));
    }
    if looks_like_version(text) && !is_two(text) {
        Span::Exact(text.into())
    } else {
        prose(text)
    }
}

/// Longer texts are not looked at for what they say.
const LONGEST: usize = 200;

/// A version field that says a range in words, and nothing else: `prior to 1.5`, `8.0.20 and prior`,
/// `Fixed in util-linux v2.37.3`, `jupyterlab: >= 4.0.0, < 4.2.5`.
pub(super) struct Worded {
    /// What it says for certain.
    pub(super) certain: Option<Span<Box<str>>>,
    /// The text, where it says more than that, or nothing certain.
    pub(super) prose: Option<Span<Box<str>>>,
}

/// Reads a version field that is none of the grammars of [`version_field`]. `names` are those of the
/// product, which may stand in it; a field that names anything else is prose.
///
/// "8.0.22 and prior" is often said of the line of 8.0, where 5.7 is a line of its own: what is older
/// than the line stays prose. Only "fixed in" and "all versions" speak of everything before, and only
/// if they are not one of several, as `among_others` says.
pub(super) fn worded(text: &str, names: &[String], among_others: bool) -> Worded {
    if text.len() > LONGEST {
        return Worded {
            certain: None,
            prose: Some(prose(text)),
        };
    }
    let plain = without_names(text, names);
    if let Some(span) = comparators(plain.trim_start_matches([':', ' '])) {
        return Worded {
            certain: Some(span),
            prose: None,
        };
    }
    let lower = plain.to_ascii_lowercase();
    let words: Vec<&str> = lower
        .split([' ', ',', ':', '(', ')'])
        .map(|word| word.strip_suffix('.').unwrap_or(word))
        .filter(|word| {
            !matches!(
                *word,
                "" | "all" | "version" | "versions" | "ver" | "releases"
            )
        })
        .collect();
    let version = |word: &str| -> Option<Box<str>> {
        let version = word.strip_prefix('v').unwrap_or(word);
        // Two versions, a commit and a line are no version.
        let is_one = version.starts_with(|c: char| c.is_ascii_digit())
            && version.len() < 24
            && looks_like_version(version)
            && line(version).is_none()
            && !is_two(version);
        is_one.then(|| version.into())
    };
    let from_to = |from: &str, to: &str| version(from).zip(version(to));
    // Whether the last of these is meant as well is not quite said by "to".
    let (span, exact) = match *words.as_slice() {
        [
            v,
            "and" | "or",
            "prior" | "earlier" | "below" | "older" | "lower",
        ]
        | ["up", "to", "and", "including", v]
        | ["through", v] => (version(v).map(|v| (Lower::Start, Upper::UpTo(v))), true),
        ["before" | "<", v]
        | ["prior", "to", v]
        | ["earlier" | "older" | "lower" | "less", "than", v]
        | ["fixed", "in", v] => (version(v).map(|v| (Lower::Start, Upper::Before(v))), true),
        ["up", "to", v] => (version(v).map(|v| (Lower::Start, Upper::Before(v))), false),
        [a, "through", b] => {
            let ends = from_to(a, b);
            (ends.map(|(a, b)| (Lower::From(a), Upper::UpTo(b))), true)
        }
        [a, "to" | "-", b] => {
            let ends = from_to(a, b);
            (ends.map(|(a, b)| (Lower::From(a), Upper::Before(b))), false)
        }
        ["fixed", "in", v, "affected", range] => {
            let start = range.split_once('-').and_then(|(from, _)| version(from));
            let ends = start.zip(version(v));
            (ends.map(|(a, v)| (Lower::From(a), Upper::Before(v))), true)
        }
        _ => (None, false),
    };
    let everything = !among_others && (words.starts_with(&["fixed"]) || lower.starts_with("all "));
    let text = || Some(prose(&shown(text, &plain)));
    match span {
        Some((Lower::Start, upper)) if !everything => {
            let (Upper::Before(end) | Upper::UpTo(end)) = &upper else {
                return Worded {
                    certain: None,
                    prose: text(),
                };
            };
            let line = end.rsplit_once('.').map(|(line, _)| line.into());
            Worded {
                certain: line.map(|line| Span::Between(Lower::From(line), upper)),
                prose: text(),
            }
        }
        span => Worded {
            prose: if exact && span.is_some() {
                None
            } else {
                text()
            },
            certain: span.map(|(lower, upper)| Span::Between(lower, upper)),
        },
    }
}

/// A product's name before a version is a name; alone, the version must not be taken for more than it
/// was: at times it is the affected one, at times the fixed one.
fn shown(text: &str, plain: &str) -> String {
    if looks_like_version(plain) && plain.len() < text.len() {
        format!("version {plain}")
    } else {
        plain.to_owned()
    }
}

/// The text without the product's names, where they stand as words of their own.
fn without_names(text: &str, names: &[String]) -> String {
    let mut text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for name in names {
        let mut from = 0;
        while let Some(at) = text
            .to_ascii_lowercase()
            .get(from..)
            .and_then(|rest| rest.find(name.as_str()))
        {
            let (start, end) = (from + at, from + at + name.len());
            let own = |c: Option<char>| c.is_none_or(|c| c == ' ' || c == ':');
            if own(text[..start].chars().next_back()) && own(text[end..].chars().next()) {
                text.replace_range(start..end, "");
                from = start;
            } else {
                from = end;
            }
        }
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `12.0.1-12.0.3` has the letters of a version and is a range.
fn is_two(text: &str) -> bool {
    text.split_once('-')
        .is_some_and(|(a, b)| a.contains('.') && b.contains('.') && looks_like_version(b))
}

/// Prose, shortened: it is shown, and read in the plainest way only.
pub(super) fn prose(text: &str) -> Span<Box<str>> {
    let text: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    Span::Text(match text.char_indices().nth(100) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    })
}

/// `>= 1.3.0, < 1.3.19`, `<= 2.0`, `= 1.0`, `>1.0 <2.0`.
pub(super) fn comparators(text: &str) -> Option<Span<Box<str>>> {
    if !text.starts_with(['<', '>', '=']) {
        return None;
    }
    let (mut lower, mut upper, mut exact) = (Lower::Start, Upper::Open, None);
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest
            .find(|c: char| !"<>=".contains(c))
            .unwrap_or(rest.len());
        let (operator, after) = rest.split_at(end);
        let after = after.trim_start();
        let end = after
            .find(|c: char| c == ',' || c.is_whitespace() || c == '<' || c == '>')
            .unwrap_or(after.len());
        let (version, after) = after.split_at(end);
        if !looks_like_version(version) {
            return None;
        }
        let version: Box<str> = version.into();
        match operator {
            "<" if upper == Upper::Open => upper = Upper::Before(version),
            "<=" | "=<" if upper == Upper::Open => upper = Upper::UpTo(version),
            ">" if lower == Lower::Start => lower = Lower::After(version),
            ">=" | "=>" if lower == Lower::Start => lower = Lower::From(version),
            "=" | "==" if exact.is_none() => exact = Some(version),
            _ => return None,
        }
        rest = after.trim_start_matches(|c: char| c == ',' || c.is_whitespace());
        if !rest.is_empty() && !rest.starts_with(['<', '>', '=']) {
            return None;
        }
    }
    match (exact, lower, upper) {
        (Some(version), Lower::Start, Upper::Open) => Some(Span::Exact(version)),
        (Some(_), _, _) => None,
        (None, lower, upper) => Some(Span::Between(lower, upper)),
    }
}

/// `2.7` of `2.7.x` or `2.7.*`.
pub(super) fn line(text: &str) -> Option<&str> {
    let line = text
        .strip_suffix(".x")
        .or_else(|| text.strip_suffix(".X"))
        .or_else(|| text.strip_suffix(".*"))?;
    looks_like_version(line).then_some(line)
}

/// One word with a digit in it, of the characters that versions have.
pub(super) fn looks_like_version(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || ".-_+~:".contains(c);
    (1..=80).contains(&text.len())
        && text.chars().all(fits)
        && text.contains(|c: char| c.is_ascii_digit())
        && !text.ends_with(['-', '.', ':'])
}

/// Words that stand for "no lower bound".
pub(super) fn is_start(text: &str) -> bool {
    matches!(
        text.trim().to_ascii_lowercase().as_str(),
        "" | "0"
            | "0.0"
            | "0.0.0"
            | "*"
            | "-"
            | "n/a"
            | "na"
            | "none"
            | "unspecified"
            | "unknown"
            | "all"
            | "any"
    )
}

/// A rule that covers versions with one status.
pub(super) fn rule(status: Status, span: Span<Box<str>>) -> Rule<Box<str>> {
    Rule { status, span }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_where_they_say_a_range_and_nothing_else() {
        let names = ["mysql server".to_owned(), "jupyterlab".to_owned()];
        let shown = |text: &str, among_others| {
            let worded = worded(text, &names, among_others);
            [worded.certain, worded.prose]
                .into_iter()
                .flatten()
                .map(|span| rule(Status::Affected, span).borrowed().span.to_string())
                .collect::<Vec<_>>()
                .join(" and ")
        };
        let read = |text| shown(text, false);
        assert_eq!(
            read("8.0.20 and prior"),
            "from 8.0 up to 8.0.20 and “8.0.20 and prior”"
        );
        assert_eq!(
            read("Before v2.24.1"),
            "from 2.24 before 2.24.1 and “Before v2.24.1”"
        );
        assert_eq!(
            read("All versions prior to MySQL Server v12.2"),
            "before 12.2"
        );
        assert_eq!(read("Fixed in MySQL Server 5.7.1."), "before 5.7.1");
        assert_eq!(
            read("Fixed in MySQL Server 1.1.1d (Affected 1.1.1-1.1.1c)"),
            "from 1.1.1 before 1.1.1d"
        );
        assert_eq!(
            read("jupyterlab: >= 4.0.0, < 4.2.5"),
            "from 4.0.0 before 4.2.5"
        );
        assert_eq!(read("1.0 through 1.4"), "from 1.0 up to 1.4");
        // The end itself is left to a person.
        assert_eq!(read("1.0 to 1.4"), "from 1.0 before 1.4 and “1.0 to 1.4”");
        assert_eq!(read("up to 1.4"), "from 1 before 1.4 and “up to 1.4”");
        // A name and a version: affected, or fixed? Both are in use.
        assert_eq!(read("MySQL Server 1.17.2"), "“version 1.17.2”");
        // Another thing than the product.
        assert_eq!(read("Fixed in MariaDB 5.7.1"), "“Fixed in MariaDB 5.7.1”");
        assert_eq!(read("notebook: >= 7.0.0"), "“notebook: >= 7.0.0”");
        assert_eq!(
            read("mysql server-x 1.0 and prior"),
            "“mysql server-x 1.0 and prior”"
        );
        assert_eq!(read("2.3.x and earlier"), "“2.3.x and earlier”");
        assert_eq!(read("1.0 and later"), "“1.0 and later”");
        assert_eq!(read("9 and prior"), "“9 and prior”");
        // One line among several.
        let among = |text| shown(text, true);
        assert_eq!(
            among("Fixed in 5.15.11"),
            "from 5.15 before 5.15.11 and “Fixed in 5.15.11”"
        );
        assert_eq!(among("1.0 through 1.4"), "from 1.0 up to 1.4");
    }

    #[test]
    fn fields_are_read_strictly() {
        let read = |text: &str| {
            let rule = rule(Status::Affected, version_field(text));
            rule.borrowed().span.to_string()
        };
        assert_eq!(read("1.2.3"), "1.2.3");
        assert_eq!(read("8.2p1"), "8.2p1");
        assert_eq!(read(">= 1.3.0, < 1.3.19"), "from 1.3.0 before 1.3.19");
        assert_eq!(read(">1.0 <2.0"), "after 1.0 before 2.0");
        assert_eq!(read("<= 0.27.4"), "up to 0.27.4");
        assert_eq!(read("= 2.39.0"), "2.39.0");
        assert_eq!(read("2.7.x"), "from 2.7 within 2.7");
        assert_eq!(read("7.2.26 and earlier"), "“7.2.26 and earlier”");
        assert_eq!(read("12.0.1-12.0.3"), "“12.0.1-12.0.3”");
        assert_eq!(read("6.9.11-14"), "6.9.11-14");
        assert_eq!(read("< 1.2 or >= 2.0"), "“< 1.2 or >= 2.0”");
        assert_eq!(read("< 1.2, < 1.3"), "“< 1.2, < 1.3”");
        assert_eq!(read("All versions < V3.0"), "“All versions < V3.0”");
    }
}
