//! The order of opam, which is Debian's without epochs and revisions.
//!
//! Source: "Version ordering" in opam's manual; Debian Policy, section 5.6.12. Runs of other than
//! digits and runs of digits take turns. A tilde is before the end, the end before letters, letters
//! before all else.

use std::cmp::Ordering;

use super::digits;

/// Compares two versions. Never without an answer.
pub(super) fn compare(mut a: &str, mut b: &str) -> Ordering {
    loop {
        let words = (word(&mut a), word(&mut b));
        let ordering = compare_words(words.0, words.1)
            .then_with(|| digits::compare(digits::take(&mut a), digits::take(&mut b)));
        if ordering.is_ne() || (a.is_empty() && b.is_empty()) {
            return ordering;
        }
    }
}

fn word<'a>(text: &mut &'a str) -> &'a str {
    digits::take_while(text, |byte| !byte.is_ascii_digit())
}

fn compare_words(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.bytes(), b.bytes());
    loop {
        match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (a, b) if a == b => {}
            (a, b) => return rank(a).cmp(&rank(b)),
        }
    }
}

fn rank(byte: Option<u8>) -> u16 {
    match byte {
        Some(b'~') => 0,
        None => 1,
        Some(byte) if byte.is_ascii_alphabetic() => u16::from(byte) + 2,
        Some(byte) => u16::from(byte) + 0x100,
    }
}
