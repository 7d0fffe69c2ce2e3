//! The order of RubyGems: `Gem::Version`.
//!
//! Source: the documentation of `Gem::Version`, and Ruby's own answers. A version is a list of
//! numbers and words, at dots and where digits and letters meet; a hyphen means `.pre.`. Words come
//! before numbers, and lists are padded with zeros. Zeros before the first word and at the end do
//! not count.

use std::cmp::Ordering;

use super::digits;

/// Compares two versions; none if one is not of that grammar.
pub(super) fn compare(a: &str, b: &str) -> Option<Ordering> {
    let (a, b) = (segments(a)?, segments(b)?);
    let unequal = (0..a.len().max(b.len()))
        .map(|index| at(&a, index).cmp(at(&b, index)))
        .find(|ordering| ordering.is_ne());
    Some(unequal.unwrap_or(Ordering::Equal))
}

fn at<'a>(list: &[Segment<'a>], index: usize) -> Segment<'a> {
    list.get(index).copied().unwrap_or(Segment::ZERO)
}

#[derive(Clone, Copy, Debug)]
enum Segment<'a> {
    Word(&'a str),
    Number(&'a str),
}

impl Segment<'_> {
    const ZERO: Segment<'static> = Segment::Number("0");

    fn is_zero(self) -> bool {
        matches!(self, Self::Number(digits) if digits::is_zero(digits))
    }

    fn cmp(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::Word(a), Self::Word(b)) => a.cmp(b),
            (Self::Word(_), Self::Number(_)) => Ordering::Less,
            (Self::Number(_), Self::Word(_)) => Ordering::Greater,
            (Self::Number(a), Self::Number(b)) => digits::compare(a, b),
        }
    }
}

fn segments(text: &str) -> Option<Vec<Segment<'_>>> {
    if !is_version(text) {
        return None;
    }
    let mut segments = Vec::with_capacity(8);
    let mut numbers = true;
    let mut rest = text;
    while let Some(byte) = rest.bytes().next() {
        let segment = match byte {
            b'0'..=b'9' => Segment::Number(digits::take(&mut rest)),
            b'-' => {
                rest = &rest[1..];
                Segment::Word("pre")
            }
            b'.' => {
                rest = &rest[1..];
                continue;
            }
            _ => Segment::Word(digits::take_while(&mut rest, |byte| {
                byte.is_ascii_alphabetic()
            })),
        };
        if numbers && matches!(segment, Segment::Word(_)) {
            trim(&mut segments);
            numbers = false;
        }
        segments.push(segment);
    }
    trim(&mut segments);
    Some(segments)
}

fn trim(segments: &mut Vec<Segment<'_>>) {
    while segments.last().is_some_and(|segment| segment.is_zero()) {
        segments.pop();
    }
}

/// A number, then words and numbers after dots, then perhaps a hyphen and more of them, in which
/// hyphens count as letters.
fn is_version(text: &str) -> bool {
    let (release, rest) = match text.split_once('-') {
        Some((release, rest)) => (release, Some(rest)),
        None => (text, None),
    };
    let mut parts = release.split('.');
    parts.next().is_some_and(digits::all)
        && parts.all(|part| is_word(part, false))
        && rest.is_none_or(|rest| rest.split('.').all(|part| is_word(part, true)))
}

fn is_word(text: &str, hyphens: bool) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || (hyphens && byte == b'-');
    !text.is_empty() && text.bytes().all(fits)
}
