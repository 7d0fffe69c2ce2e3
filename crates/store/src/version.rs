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
/// Component by component (see [`version_components`]): `pre` comes first, then the end of a version, then
/// letters by their bytes, then numbers by value. So `2.3pre1` is less than `2.3`, that is less than `2.3a`,
/// and that is less than `2.3.1`. A number that does not fit 32 bits, signed, counts as letters.
///
/// `Equal` does not mean the same text: `1.0` and `1.00` are equal.
pub fn compare_versions(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (version_components(left), version_components(right));
    loop {
        match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            // The end of a version counts as an empty component.
            (one, other) => {
                let (one, other) = (one.unwrap_or_default(), other.unwrap_or_default());
                let order = Component::new(one).cmp(&Component::new(other));
                if order.is_ne() {
                    return order;
                }
            }
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
        let bytes = self.rest.as_bytes();
        let start = bytes.iter().position(|byte| !is_separator(*byte))?;
        let digits = bytes[start].is_ascii_digit();
        let end = bytes[start..]
            .iter()
            .position(|byte| byte.is_ascii_digit() != digits || is_separator(*byte))
            .map_or(bytes.len(), |length| start + length);
        // Both ends are beside an ASCII character, or at an end of the text.
        let component = &self.rest[start..end];
        self.rest = &self.rest[end..];
        Some(component)
    }
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b'.' | b'-')
}

/// What a component counts as, in order.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Component<'a> {
    Pre,
    /// Letters, the end of a version, numbers that do not fit.
    Text(&'a str),
    Number(i32),
}

impl<'a> Component<'a> {
    fn new(component: &'a str) -> Self {
        if component == "pre" {
            return Self::Pre;
        }
        let digits = component.as_bytes().first().is_some_and(u8::is_ascii_digit);
        match component.parse() {
            Ok(number) if digits => Self::Number(number),
            _ => Self::Text(component),
        }
    }
}
