//! Which versions are affected, said without defaults, exceptions and lines of versions.
//!
//! Some records list what is not affected, the kernel's all do. NVD's feeds know only what is.

use std::cmp::Ordering;

use snowguard_advisory::order::{Scheme, Version};
use snowguard_advisory::range::{Lower, Rule, Span, Status, Upper};

/// The affected spans, as far as they can be said so.
pub(super) fn affected<'a>(
    default: Status,
    rules: impl Iterator<Item = Rule<&'a str>> + Clone,
) -> Vec<Span<String>> {
    let listed = rules
        .clone()
        .filter(|rule| rule.status == Status::Affected)
        .filter_map(|rule| owned(&rule.span));
    if default != Status::Affected {
        return listed.collect();
    }
    let sound: Option<Vec<Range>> = rules
        .filter(|rule| rule.status == Status::Unaffected)
        .filter_map(|rule| owned(&rule.span))
        .filter_map(|span| match span {
            Span::Between(lower, upper) => Some(sortable(lower, upper)),
            // One version among many: too little to cut a range for.
            Span::Exact(_) | Span::Text(_) => None,
        })
        .collect();
    match sound {
        Some(sound) if !sound.is_empty() => gaps(sound),
        _ => listed.collect(),
    }
}

type Range = (Lower<String>, Upper<String>);

/// Without prose, and with an end for each line of versions.
fn owned(span: &Span<&str>) -> Option<Span<String>> {
    Some(match *span {
        Span::Exact(version) => Span::Exact(version.to_owned()),
        Span::Between(lower, upper) => Span::Between(
            match lower {
                Lower::Start => Lower::Start,
                Lower::From(version) => Lower::From(version.to_owned()),
                Lower::After(version) => Lower::After(version.to_owned()),
            },
            match upper {
                Upper::Open => Upper::Open,
                Upper::Before(version) => Upper::Before(version.to_owned()),
                Upper::UpTo(version) => Upper::UpTo(version.to_owned()),
                Upper::Within(line) => Upper::Before(end_of_line(line)?),
            },
        ),
        Span::Text(_) => return None,
    })
}

/// The first version after a line of versions: `5.5` for `5.4`.
fn end_of_line(line: &str) -> Option<String> {
    let start = line.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let (head, last) = line.split_at(start);
    let next = last.parse::<u64>().ok()?.checked_add(1)?;
    Some(format!("{head}{next}"))
}

/// A range whose bounds begin with digits, so that an order of them exists.
fn sortable(lower: Lower<String>, upper: Upper<String>) -> Option<Range> {
    let begins = |version: &str| version.starts_with(|c: char| c.is_ascii_digit());
    let sound = start_of(&lower).is_none_or(begins) && end_of(&upper).is_none_or(begins);
    sound.then_some((lower, upper))
}

/// What lies between ranges.
fn gaps(mut ranges: Vec<Range>) -> Vec<Span<String>> {
    ranges.sort_by(|(a, _), (b, _)| order(start_of(a), start_of(b)));
    let mut gaps = Vec::new();
    // Where the next gap begins.
    let mut cursor = Lower::Start;
    for (lower, upper) in ranges {
        let end = match lower {
            Lower::Start => None,
            Lower::From(version) => Some(Upper::Before(version)),
            Lower::After(version) => Some(Upper::UpTo(version)),
        };
        if let Some(end) = end
            && order(start_of(&cursor), end_of(&end)).is_lt()
        {
            gaps.push(Span::Between(cursor.clone(), end));
        }
        let next = match upper {
            Upper::Open => return gaps,
            Upper::Before(version) | Upper::Within(version) => Lower::From(version),
            Upper::UpTo(version) => Lower::After(version),
        };
        if order(start_of(&cursor), start_of(&next)).is_lt() {
            cursor = next;
        }
    }
    gaps.push(Span::Between(cursor, Upper::Open));
    gaps
}

fn start_of(lower: &Lower<String>) -> Option<&str> {
    match lower {
        Lower::Start => None,
        Lower::From(version) | Lower::After(version) => Some(version),
    }
}

fn end_of(upper: &Upper<String>) -> Option<&str> {
    match upper {
        Upper::Open => None,
        Upper::Before(version) | Upper::UpTo(version) | Upper::Within(version) => Some(version),
    }
}

/// The order of lower bounds: none is the least. What the orders disagree about counts as equal.
fn order(a: Option<&str>, b: Option<&str>) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) => Version::new(a)
            .compare(b, Scheme::Release)
            .unwrap_or(Ordering::Equal),
        (a, b) => a.is_some().cmp(&b.is_some()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(default: Status, rules: &[&str]) -> Vec<String> {
        let rules: Vec<Rule<Box<str>>> = rules
            .iter()
            .map(|rule| serde_json::from_value((*rule).into()).unwrap())
            .collect();
        affected(default, rules.iter().map(Rule::borrowed))
            .into_iter()
            .map(|span| {
                let rule = Rule {
                    status: Status::Affected,
                    span: boxed(span),
                };
                serde_json::to_value(rule).unwrap().as_str().unwrap().into()
            })
            .collect()
    }

    fn boxed(span: Span<String>) -> Span<Box<str>> {
        match span {
            Span::Exact(v) => Span::Exact(v.into()),
            Span::Text(v) => Span::Text(v.into()),
            Span::Between(lower, upper) => Span::Between(
                match lower {
                    Lower::Start => Lower::Start,
                    Lower::From(v) => Lower::From(v.into()),
                    Lower::After(v) => Lower::After(v.into()),
                },
                match upper {
                    Upper::Open => Upper::Open,
                    Upper::Before(v) => Upper::Before(v.into()),
                    Upper::UpTo(v) => Upper::UpTo(v.into()),
                    Upper::Within(v) => Upper::Within(v.into()),
                },
            ),
        }
    }

    #[test]
    fn what_is_listed_is_taken_as_it_is() {
        assert_eq!(
            told(
                Status::Unknown,
                &[">=1.0 <2.0", "ok 1.5.*", "=3.0", "\"prose\"", ">=5.4 5.4.*"]
            ),
            [">=1.0 <2.0", "=3.0", ">=5.4 <5.5"]
        );
    }

    #[test]
    fn a_kernel_record_is_turned_round() {
        // As its CNA writes them: where it came in, and in each line what mended it.
        assert_eq!(
            told(
                Status::Affected,
                &[
                    "=4.16",
                    "ok <4.16",
                    "ok >=5.10.20 5.10.*",
                    "ok >=5.4.100 5.4.*",
                    "ok >=5.11"
                ]
            ),
            [">=4.16 <5.4.100", ">=5.5 <5.10.20"]
        );
        assert_eq!(
            told(Status::Affected, &["ok <4.16", "ok >=5.4.100 5.4.*"]),
            [">=4.16 <5.4.100", ">=5.5"]
        );
    }

    #[test]
    fn without_exceptions_the_list_counts() {
        assert_eq!(told(Status::Affected, &["<2.0"]), ["<2.0"]);
        assert_eq!(told(Status::Affected, &["<2.0", "ok >=x"]), ["<2.0"]);
    }

    #[test]
    fn lines_of_words_have_no_end() {
        assert_eq!(told(Status::Unknown, &["x.*"]), Vec::<String>::new());
    }
}
