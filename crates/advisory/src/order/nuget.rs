//! The order of `NuGet`: Semantic Versioning 2.0.0 with a fourth number and without case.
//!
//! Source: "Package versioning" in `NuGet`'s documentation. Numbers that are left out are zero, leading
//! zeros do not count, and neither does what follows a `+`.

use std::cmp::Ordering;

use super::digits;

/// Compares two versions; none if one is not of that grammar.
pub(super) fn compare(a: &str, b: &str) -> Option<Ordering> {
    let (a, b) = (Version::new(a)?, Version::new(b)?);
    let numbers = a.numbers.iter().zip(b.numbers);
    let unequal = numbers
        .map(|(a, b)| digits::compare(a, b))
        .find(|ordering| ordering.is_ne());
    Some(unequal.unwrap_or_else(|| match (a.labels, b.labels) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (Some(a), Some(b)) => compare_labels(a, b),
    }))
}

struct Version<'a> {
    numbers: [&'a str; 4],
    labels: Option<&'a str>,
}

impl<'a> Version<'a> {
    fn new(text: &'a str) -> Option<Self> {
        let (text, _build) = text.split_once('+').unwrap_or((text, ""));
        let (release, labels) = match text.split_once('-') {
            Some((release, labels)) => (release, Some(labels)),
            None => (text, None),
        };
        let mut numbers = ["0"; 4];
        for (at, part) in release.split('.').enumerate() {
            if !digits::all(part) {
                return None;
            }
            *numbers.get_mut(at)? = part;
        }
        let is_label = |label: &str| {
            !label.is_empty()
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        labels
            .is_none_or(|labels| labels.split('.').all(is_label))
            .then_some(Self { numbers, labels })
    }
}

fn compare_labels(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.split('.'), b.split('.'));
    loop {
        let ordering = match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(a), Some(b)) => match (digits::all(a), digits::all(b)) {
                (true, true) => digits::compare(a, b),
                (true, false) => Ordering::Less,
                (false, true) => Ordering::Greater,
                (false, false) => {
                    let upper = |text: &'_ str| text.to_ascii_uppercase();
                    upper(a).cmp(&upper(b))
                }
            },
        };
        if ordering.is_ne() {
            return ordering;
        }
    }
}
