//! Orders in which a version is a list of numbers and every one of them counts: `1.2` is older than
//! `1.2.0`.

use std::cmp::Ordering;

use super::digits;

/// The Haskell Package Versioning Policy, as Cabal compares: numbers between dots. None if a version
/// is something else (tags have no order).
///
/// Source: <https://pvp.haskell.org>, `Data.Version` of base.
pub(super) fn haskell(a: &str, b: &str) -> Option<Ordering> {
    compare(a, b, &['.'])
}

/// R: numbers between dots or hyphens. None if a version is something else.
///
/// Source: `package_version` in the manual of R's base package.
pub(super) fn r(a: &str, b: &str) -> Option<Ordering> {
    compare(a, b, &['.', '-'])
}

fn compare(a: &str, b: &str, separators: &[char]) -> Option<Ordering> {
    let numbers = |text: &str| text.split(separators).all(digits::all);
    if !(numbers(a) && numbers(b)) {
        return None;
    }
    let (mut a, mut b) = (a.split(separators), b.split(separators));
    loop {
        let ordering = match (a.next(), b.next()) {
            (None, None) => return Some(Ordering::Equal),
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(a), Some(b)) => digits::compare(a, b),
        };
        if ordering.is_ne() {
            return Some(ordering);
        }
    }
}
