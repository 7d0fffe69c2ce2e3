//! Numbers of any length, compared as they are written.

use std::cmp::Ordering;

/// Compares two runs of ASCII digits by what they count; an empty run counts zero.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (a, b) = (significant(a), significant(b));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// Whether a run counts zero.
pub(super) fn is_zero(digits: &str) -> bool {
    significant(digits).is_empty()
}

/// Whether a text is a run of digits, and not empty.
pub(super) fn all(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Takes the digits that a text begins with.
pub(super) fn take<'a>(text: &mut &'a str) -> &'a str {
    take_while(text, |byte| byte.is_ascii_digit())
}

/// Takes the bytes that a text begins with and that are wanted. `wanted` must not accept a part of a
/// character.
pub(super) fn take_while<'a>(text: &mut &'a str, wanted: impl Fn(u8) -> bool) -> &'a str {
    let length = text.bytes().take_while(|byte| wanted(*byte)).count();
    let (head, rest) = text.split_at_checked(length).unwrap_or((text, ""));
    *text = rest;
    head
}

fn significant(digits: &str) -> &str {
    digits.trim_start_matches('0')
}
