//! Names of derivations and the order of their versions, as Nix itself sees them.
//!
//! Equal to `builtins.parseDrvName`, `builtins.splitVersion` and `builtins.compareVersions` on every input.
//! Deliberately absent: any other order of versions; upstreams count differently (`advisory` knows how).

use std::cmp::Ordering;

/// Splits a derivation's name into package name and version, the latter empty if there is none.
///
/// The version begins after the first dash that something other than a letter follows:
/// `openssl-1.1.1g` is `openssl` and `1.1.1g`, `a-_b-1` is `a` and `_b-1`.
pub fn parse_drv_name(name: &str) -> (&str, &str) {
    for (dash, pair) in name.as_bytes().windows(2).enumerate() {
        if pair[0] == b'-' && !pair[1].is_ascii_alphabetic() {
            // The byte after an ASCII dash begins a character.
            return (&name[..dash], &name[dash + 1..]);
        }
    }
    (name, "")
}

/// Compares two versions in Nix's order.
///
/// Component by component (see [`version_components`]): numbers by value, `pre` before everything,
/// the end before numbers, numbers after letters (`2.3a` is less than `2.3.1`), letters by their bytes.
/// A number that does not fit 32 bits, signed, is compared as letters are.
///
/// This is a total order of classes: `Equal` does not mean the same text, `1.0` and `1.00` are equal.
pub fn compare_versions(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (version_components(left), version_components(right));
    loop {
        let (one, other) = (left.next(), right.next());
        if one.is_none() && other.is_none() {
            return Ordering::Equal;
        }
        let (one, other) = (one.unwrap_or_default(), other.unwrap_or_default());
        if is_less(one, other) {
            return Ordering::Less;
        }
        if is_less(other, one) {
            return Ordering::Greater;
        }
    }
}

/// Splits a version into its components: runs of digits, and runs of anything else but dots and dashes.
///
/// `1.2-rc3` has `1`, `2`, `rc`, `3`.
pub fn version_components(version: &str) -> VersionComponents<'_> {
    VersionComponents { rest: version }
}

/// The components of a version; see [`version_components`].
#[derive(Debug, Clone)]
pub struct VersionComponents<'a> {
    rest: &'a str,
}

impl<'a> Iterator for VersionComponents<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.rest.trim_start_matches(['.', '-']);
        let digits = rest.as_bytes().first()?.is_ascii_digit();
        let end = rest
            .bytes()
            .position(|byte| byte.is_ascii_digit() != digits || matches!(byte, b'.' | b'-'))
            .unwrap_or(rest.len());
        let (component, rest) = rest.split_at(end);
        self.rest = rest;
        Some(component)
    }
}

/// Whether one component comes before another; the empty one is the end of a version.
fn is_less(one: &str, other: &str) -> bool {
    match (number(one), number(other)) {
        (Some(one), Some(other)) => one < other,
        (None, Some(_)) if one.is_empty() => true,
        _ if one == "pre" && other != "pre" => true,
        _ if other == "pre" => false,
        (None, Some(_)) => true,
        (Some(_), None) => false,
        (None, None) => one < other,
    }
}

/// The value of a component of digits that fits; components hold no sign.
fn number(component: &str) -> Option<i32> {
    if component.starts_with(|first: char| first.is_ascii_digit()) {
        component.parse().ok()
    } else {
        None
    }
}
