//! The order of Maven: `ComparableVersion` as Maven 3.9 has it.
//!
//! Sources: "Version Order Specification" in the POM reference, and maven-artifact 3.9.9, which is
//! what the golden vectors were asked of where the two differ. A version is a list of numbers and
//! words; a hyphen, or a change between digits and letters, opens a list inside of the list, as its
//! last item. Any text is a version.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::digits;

/// Compares two versions. Never without an answer.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (a, b) = (lower(a), lower(b));
    let (a, b) = (items(&a), items(&b));
    let (mut left, mut right) = (a.iter(), b.iter());
    loop {
        let ordering = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (Some(Item::List), Some(Item::List)) => Ordering::Equal,
            (Some(Item::List), None) => return against_nothing(left),
            (None, Some(Item::List)) => return against_nothing(right).reverse(),
            (Some(item), None) => item.against_nothing(),
            (None, Some(item)) => item.against_nothing().reverse(),
            (Some(a), Some(b)) => a.cmp(b),
        };
        if ordering.is_ne() {
            return ordering;
        }
    }
}

/// The first item that differs from nothing decides.
fn against_nothing<'a>(mut items: impl Iterator<Item = &'a Item<'a>>) -> Ordering {
    items
        .find_map(|item| Some(item.against_nothing()).filter(|ordering| ordering.is_ne()))
        .unwrap_or(Ordering::Equal)
}

/// One item; the lists are flat, since one can only be the last item of the other.
#[derive(Clone, Copy, Debug)]
enum Item<'a> {
    Word(Word<'a>),
    /// The rest is a list inside of this one.
    List,
    Number(&'a str),
}

/// A qualifier by its rank: the known ones come before all others, which are in the order of letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Word<'a> {
    Alpha,
    Beta,
    Milestone,
    Candidate,
    Snapshot,
    Release,
    ServicePack,
    Other(&'a str),
}

impl<'a> Word<'a> {
    fn new(text: &'a str, before_digit: bool) -> Self {
        match text {
            "a" if before_digit => Self::Alpha,
            "b" if before_digit => Self::Beta,
            "m" if before_digit => Self::Milestone,
            "alpha" => Self::Alpha,
            "beta" => Self::Beta,
            "milestone" => Self::Milestone,
            "rc" | "cr" => Self::Candidate,
            "snapshot" => Self::Snapshot,
            "" | "ga" | "final" | "release" => Self::Release,
            "sp" => Self::ServicePack,
            other => Self::Other(other),
        }
    }
}

impl Item<'_> {
    fn is_nothing(self) -> bool {
        self.against_nothing().is_eq()
    }

    /// Compared with a list that has ended.
    fn against_nothing(self) -> Ordering {
        match self {
            Self::Number(digits) if digits::is_zero(digits) => Ordering::Equal,
            Self::Number(_) => Ordering::Greater,
            Self::Word(word) => word.cmp(&Word::Release),
            Self::List => Ordering::Equal,
        }
    }

    /// Words before lists before numbers.
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => digits::compare(a, b),
            (Self::Word(a), Self::Word(b)) => a.cmp(b),
            (a, b) => a.kind().cmp(&b.kind()),
        }
    }

    fn kind(self) -> u8 {
        match self {
            Self::Word(_) => 0,
            Self::List => 1,
            Self::Number(_) => 2,
        }
    }
}

fn lower(text: &str) -> Cow<'_, str> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(text.to_ascii_lowercase())
    } else {
        Cow::Borrowed(text)
    }
}

/// The items of a version, without those that say nothing at the end of each list.
fn items(text: &str) -> Vec<Item<'_>> {
    let mut items = Vec::with_capacity(8);
    // Whether the innermost list has no item yet.
    let mut empty = true;
    let mut rest = text;
    loop {
        let number = digits::take(&mut rest);
        let word = if number.is_empty() {
            digits::take_while(&mut rest, |byte| {
                !byte.is_ascii_digit() && byte != b'.' && byte != b'-'
            })
        } else {
            ""
        };
        let next = rest.bytes().next();
        let before_digit = next.is_some_and(|byte| byte.is_ascii_digit());
        if !word.is_empty() && (before_digit || next.is_none()) && !empty {
            // `.X1` and a last `.X` are as `-X1` and `-X`.
            items.push(Item::List);
        }
        if !word.is_empty() {
            items.push(Item::Word(Word::new(word, before_digit)));
        } else if !number.is_empty() {
            items.push(Item::Number(number));
        } else if next.is_some() {
            items.push(Item::Number("0"));
        }
        empty = false;
        match next {
            None => break,
            Some(b'.') => rest = &rest[1..],
            Some(b'-') => {
                rest = &rest[1..];
                items.push(Item::List);
                empty = true;
            }
            Some(_) => {
                items.push(Item::List);
                empty = true;
            }
        }
    }
    trim(&mut items);
    items
}

/// Takes away what says nothing at the end of each list; lists that are empty then are nothing, too.
fn trim(items: &mut Vec<Item<'_>>) {
    let mut end = items.len();
    while end > 0 {
        let start = items[..end]
            .iter()
            .rposition(|item| matches!(item, Item::List))
            .map_or(0, |at| at + 1);
        let mut kept = end;
        while kept > start && items[kept - 1].is_nothing() {
            kept -= 1;
        }
        items.drain(kept..end);
        if start == 0 {
            break;
        }
        end = start - 1;
        // A list that nothing is left of, neither in it nor behind it.
        if items.len() == start {
            items.truncate(end);
        }
    }
}
