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
    // `12.0.1-12.0.3` has the letters of a version and is a range.
    let two = text
        .split_once('-')
        .is_some_and(|(a, b)| a.contains('.') && b.contains('.') && looks_like_version(b));
    if looks_like_version(text) && !two {
        Span::Exact(text.into())
    } else {
        prose(text)
    }
}

/// Prose, shortened: it is shown, never parsed.
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
