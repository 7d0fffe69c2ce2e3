//! The order of Packagist: what Composer makes of a version, in the order of PHP.
//!
//! Sources: `VersionParser::normalize` of composer/semver, whose answers are the golden vectors, and
//! the documentation of PHP's `version_compare`. A release has four numbers, or is a date; then
//! perhaps a stability with numbers of its own, and `dev`. Branches (`dev-main`) have no order.

use std::cmp::Ordering;

use super::digits;

/// Compares two versions; none if Composer reads one as no version, or as a branch.
pub(super) fn compare(a: &str, b: &str) -> Option<Ordering> {
    let (a, b) = (parts(a)?, parts(b)?);
    let unequal = (0..a.len().max(b.len()))
        .map(|index| at(&a, index).cmp(at(&b, index)))
        .find(|ordering| ordering.is_ne());
    Some(unequal.unwrap_or(Ordering::Equal))
}

fn at<'a>(list: &[Part<'a>], index: usize) -> Part<'a> {
    list.get(index).copied().unwrap_or(Part::End)
}

/// One part of a version. An end is before numbers and after all words but `patch`.
#[derive(Clone, Copy, Debug)]
enum Part<'a> {
    Dev,
    Alpha,
    Beta,
    Candidate,
    End,
    Number(&'a str),
    Patch,
}

impl Part<'_> {
    fn cmp(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => digits::compare(a, b),
            (a, b) => a.rank().cmp(&b.rank()),
        }
    }

    fn rank(self) -> u8 {
        match self {
            Self::Dev => 0,
            Self::Alpha => 1,
            Self::Beta => 2,
            Self::Candidate => 3,
            Self::End => 4,
            Self::Number(_) => 5,
            Self::Patch => 6,
        }
    }
}

/// A branch of numbers stands behind all its releases.
const BRANCH: Part<'static> = Part::Number("9999999");

fn parts(text: &str) -> Option<Vec<Part<'_>>> {
    let text = without_flag(text.trim());
    let text = match text.split_once('+') {
        Some((release, build)) if !build.is_empty() => release,
        Some(_) => return None,
        None => text,
    };
    let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
    classical(text)
        .or_else(|| date(text))
        .or_else(|| branch(text))
}

/// Without `@beta` and the like, which say what a constraint accepts.
fn without_flag(text: &str) -> &str {
    match text.rsplit_once('@') {
        Some((head, flag))
            if ["stable", "rc", "beta", "alpha", "dev"]
                .iter()
                .any(|known| flag.eq_ignore_ascii_case(known)) =>
        {
            head
        }
        _ => text,
    }
}

/// Up to four numbers, the first of at most five digits, and a modifier.
fn classical(text: &str) -> Option<Vec<Part<'_>>> {
    let mut rest = text;
    let first = digits::take(&mut rest);
    if first.is_empty() || first.len() > 5 {
        return None;
    }
    let mut parts = vec![Part::Number(first)];
    while parts.len() < 4 {
        let Some(mut behind) = rest.strip_prefix('.') else {
            break;
        };
        let number = digits::take(&mut behind);
        if number.is_empty() {
            break;
        }
        parts.push(Part::Number(number));
        rest = behind;
    }
    parts.resize(4, Part::Number("0"));
    modifier(rest, &mut parts)?;
    Some(parts)
}

/// A year and pairs of digits, with or without signs between them.
fn date(text: &str) -> Option<Vec<Part<'_>>> {
    let end = text
        .bytes()
        .take_while(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b':' | b'-'))
        .count();
    // The longest beginning that is a date and leaves a modifier.
    (6..=end).rev().find_map(|end| {
        let (head, rest) = text.split_at_checked(end)?;
        if !is_date(head) {
            return None;
        }
        let mut parts: Vec<Part<'_>> = head.split(['.', ':', '-']).map(Part::Number).collect();
        modifier(rest, &mut parts)?;
        Some(parts)
    })
}

/// Four digits, one to six pairs of digits, and at most one group of up to three at the end.
fn is_date(text: &str) -> bool {
    let Some((year, rest)) = text.split_at_checked(4) else {
        return false;
    };
    if !digits::all(year) {
        return false;
    }
    let begun_by_separator = rest.starts_with(['.', ':', '-']);
    let mut groups = rest
        .split(['.', ':', '-'])
        .skip(usize::from(begun_by_separator))
        .peekable();
    let mut pairs = 0;
    while let Some(group) = groups.next() {
        if !digits::all(group) {
            return false;
        }
        if groups.peek().is_some() {
            if group.len() % 2 == 1 {
                return false;
            }
            pairs += group.len() / 2;
        } else {
            return (0..=group.len().min(3)).any(|tail| {
                let rest = group.len() - tail;
                rest % 2 == 0 && (1..=6).contains(&(pairs + rest / 2))
            });
        }
    }
    false
}

/// `2.1.x-dev`: a branch that is named by numbers.
fn branch(text: &str) -> Option<Vec<Part<'_>>> {
    let head = strip_word(text, "dev")?;
    let head = head.strip_suffix(['.', '-']).unwrap_or(head);
    let head = head.strip_prefix(['v', 'V']).unwrap_or(head);
    let mut parts = Vec::with_capacity(5);
    for (at, part) in head.split('.').enumerate() {
        parts.push(match part {
            "x" | "X" | "*" if at > 0 => BRANCH,
            part if digits::all(part) => Part::Number(part),
            _ => return None,
        });
    }
    if parts.len() > 4 {
        return None;
    }
    parts.resize(4, BRANCH);
    parts.push(Part::Dev);
    Some(parts)
}

/// `-beta.2`, `RC1`, `_p1`, `-dev`, or nothing.
fn modifier<'a>(text: &'a str, parts: &mut Vec<Part<'a>>) -> Option<()> {
    let rest = text.strip_prefix(['.', '_', '-']).unwrap_or(text);
    // A separator that is taken here is one that `dev` can do without.
    stability(rest, parts).or_else(|| stability(text, parts))
}

fn stability<'a>(text: &'a str, parts: &mut Vec<Part<'a>>) -> Option<()> {
    let words = [
        ("stable", None),
        ("beta", Some(Part::Beta)),
        ("b", Some(Part::Beta)),
        ("rc", Some(Part::Candidate)),
        ("alpha", Some(Part::Alpha)),
        ("a", Some(Part::Alpha)),
        ("patch", Some(Part::Patch)),
        ("pl", Some(Part::Patch)),
        ("p", Some(Part::Patch)),
    ];
    let length = parts.len();
    let mut rest = text;
    let mut stable = false;
    if let Some((word, part)) = words.iter().find(|(word, _)| {
        text.get(..word.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(word))
    }) {
        rest = &text[word.len()..];
        stable = part.is_none();
        parts.extend(*part);
        loop {
            let mut behind = rest.strip_prefix(['.', '-']).unwrap_or(rest);
            let number = digits::take(&mut behind);
            if number.is_empty() {
                break;
            }
            rest = behind;
            if !stable {
                parts.push(Part::Number(number));
            }
        }
    }
    let behind = rest.strip_prefix(['.', '-']).unwrap_or(rest);
    if behind.eq_ignore_ascii_case("dev") {
        if !stable {
            parts.push(Part::Dev);
        }
        return Some(());
    }
    if rest.is_empty() {
        return Some(());
    }
    parts.truncate(length);
    None
}

fn strip_word<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let at = text.len().checked_sub(word.len())?;
    let (head, tail) = text.split_at_checked(at)?;
    tail.eq_ignore_ascii_case(word).then_some(head)
}
