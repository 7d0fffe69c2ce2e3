//! Version orders: which of two versions is the newer one, and when nobody can say.
//!
//! Every ecosystem has its own order. The first opinion is that order ([`Scheme`]); the second is
//! Nix's, from `builtins.compareVersions`. Where the two disagree, or where a version is no
//! release, the answer is a [`Doubt`] and never a guess.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use libversion::VersionFlags;
use serde::{Deserialize, Serialize};

/// The order by which an advisory's versions are to be compared.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Scheme {
    /// Upstream releases, as libversion orders them.
    #[default]
    Release,
    /// Semantic Versioning 2.0.0: Go, crates.io, npm, Hex, Pub.
    Semver,
    /// PEP 440: `PyPI`.
    Pep440,
    /// A distribution's package versions (RPM, Debian, Alpine): not comparable to upstream's.
    Distribution,
    /// Commits: not comparable to releases.
    Git,
}

impl Scheme {
    /// The name that a reader of evidence sees.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Release => "upstream release order",
            Self::Semver => "semantic versioning",
            Self::Pep440 => "PEP 440",
            Self::Distribution => "a distribution's package order",
            Self::Git => "git history",
        }
    }
}

/// A component's version, looked at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version<'a> {
    text: &'a str,
    kind: Kind<'a>,
    plain: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind<'a> {
    Release,
    /// A snapshot after a release: `1.2-unstable-2020-01-31`; the release, if it is told.
    Snapshot(Option<&'a str>),
    /// Only a date: `2019-12-08`, `20190709`.
    Date,
}

impl<'a> Version<'a> {
    /// From the version as the package set has it.
    pub fn new(text: &'a str) -> Self {
        let text = text.trim();
        let plain = is_plain(text);
        Self {
            text,
            kind: kind_of(text, plain),
            plain,
        }
    }

    /// As given.
    pub fn as_str(self) -> &'a str {
        self.text
    }

    /// Compares with a bound of an advisory.
    pub fn compare(self, bound: &str, scheme: Scheme) -> Result<Ordering, Doubt> {
        match scheme {
            Scheme::Distribution => return Err(Doubt::Distribution),
            Scheme::Git => return Err(Doubt::Commits),
            Scheme::Release | Scheme::Semver | Scheme::Pep440 => {}
        }
        let bound = bound.trim();
        match self.kind {
            Kind::Release => self.compare_release(bound, scheme),
            // After the release, nobody knows how long after.
            Kind::Snapshot(Some(base)) => match Version::new(base).compare(bound, scheme)? {
                Ordering::Less => Err(Doubt::Snapshot),
                Ordering::Equal | Ordering::Greater => Ok(Ordering::Greater),
            },
            Kind::Snapshot(None) => Err(Doubt::Snapshot),
            Kind::Date => match (date_digits(self.text), date_digits(bound)) {
                (Some(ours), Some(theirs)) => Ok(ours.cmp(&theirs)),
                _ => Err(Doubt::Snapshot),
            },
        }
    }

    fn compare_release(self, bound: &str, scheme: Scheme) -> Result<Ordering, Doubt> {
        if self.plain && is_plain(bound) {
            // Digits and dots mean the same in every order, but for how many zeros end them.
            return Ok(compare_plain(self.text, bound));
        }
        let first = match scheme {
            Scheme::Semver => semantic(self.text)
                .zip(semantic(bound))
                .map(|(a, b)| a.cmp_precedence(&b)),
            Scheme::Pep440 => python(self.text).zip(python(bound)).map(|(a, b)| a.cmp(&b)),
            Scheme::Release | Scheme::Distribution | Scheme::Git => None,
        };
        let first = first.unwrap_or_else(|| upstream(self.text, bound));
        let second = nix_order(self.text, bound);
        match first {
            // libversion reads only the first letter of a word: `1.0.2z` against `1.0.2za`.
            Ordering::Equal => Ok(second),
            first if first == second => Ok(first),
            first => Err(Doubt::OrdersDisagree {
                ours: relation(first),
                nix: relation(second),
            }),
        }
    }
}

/// Why a version can be neither inside nor outside of a range.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Doubt {
    /// The range's own order and Nix's order say different things.
    OrdersDisagree {
        /// What the first opinion says: `older`, `equal` or `newer`.
        ours: Cow<'static, str>,
        /// What Nix says.
        nix: Cow<'static, str>,
    },
    /// The version is a snapshot between releases.
    Snapshot,
    /// The range counts commits.
    Commits,
    /// The range is in a distribution's package versions.
    Distribution,
    /// The range is prose.
    FreeText {
        /// The prose.
        text: String,
    },
    /// The record names no version, or every one.
    NoVersion,
    /// The record says itself that it does not know.
    Undetermined,
    /// The record says itself that it does not know what comes after the last version that it looked
    /// at.
    NotLookedAt {
        /// That version.
        last: String,
    },
    /// The record names one version as affected, which is later.
    OneLater,
    /// The record's text speaks of other systems only, and its structure of none.
    OtherSystem {
        /// The systems, for people.
        systems: String,
    },
    /// The package has no version.
    Unversioned,
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OrdersDisagree { ours, nix } => {
                write!(
                    f,
                    "the version orders disagree: {ours} in the range's own, {nix} in Nix's"
                )
            }
            Self::Snapshot => {
                f.write_str("the version is a snapshot, which no release range places")
            }
            Self::Commits => f.write_str("the range counts commits, not releases"),
            Self::Distribution => {
                f.write_str("the range is in a distribution's own package versions")
            }
            Self::FreeText { text } => write!(f, "the range is free text: {text}"),
            Self::NoVersion => f.write_str("the record names no version"),
            Self::OneLater => f.write_str("the record names one version only, a later one"),
            Self::Undetermined => f.write_str("the record itself says that the status is unknown"),
            Self::NotLookedAt { last } => {
                write!(
                    f,
                    "affected up to {last}; the record itself does not know what comes after"
                )
            }
            Self::OtherSystem { systems } => {
                write!(
                    f,
                    "the version is in range, but the record's text speaks only of {systems}"
                )
            }
            Self::Unversioned => f.write_str("the package has no version"),
        }
    }
}

fn relation(ordering: Ordering) -> Cow<'static, str> {
    Cow::Borrowed(match ordering {
        Ordering::Less => "older",
        Ordering::Equal => "equal",
        Ordering::Greater => "newer",
    })
}

/// Upstream order: libversion, with `p` as in `8.2p1` meaning a patch.
///
/// In `1.1.1p` it is only the letter after `o`, which libversion has no flag for.
fn upstream(a: &str, b: &str) -> Ordering {
    let flags = VersionFlags::P_IS_PATCH;
    let (a, b) = (without_v(a), without_v(b));
    let ((head_a, letter_a), (head_b, letter_b)) = (letter_release(a), letter_release(b));
    if letter_a == "p" || letter_b == "p" {
        return libversion::version_compare4(head_a, head_b, flags, flags)
            .then_with(|| letter_a.cmp(letter_b));
    }
    libversion::version_compare4(a, b, flags, flags)
}

/// `1.1.1` and `g` of `1.1.1g`; no letters where a version has none or goes on after them.
fn letter_release(version: &str) -> (&str, &str) {
    let head = version.trim_end_matches(|c: char| c.is_ascii_lowercase());
    let (head, letters) = version.split_at(head.len());
    // After `z` comes `za`.
    let counts = matches!(letters.as_bytes(), [_] | [b'z', _]);
    if counts && head.ends_with(|c: char| c.is_ascii_digit()) {
        (head, letters)
    } else {
        (version, "")
    }
}

/// `1.2.3` for `v1.2.3`.
fn without_v(version: &str) -> &str {
    let rest = version.strip_prefix(['v', 'V']);
    rest.filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        .unwrap_or(version)
}

/// Nix's order over spellings that differ in habit only: case, a leading `v`, `_` for `.`, and
/// how many zeros stand at the end.
fn nix_order(a: &str, b: &str) -> Ordering {
    snowguard_store::compare_versions(&habitual(a), &habitual(b))
}

fn habitual(version: &str) -> String {
    let mut out = without_v(version).to_lowercase().replace('_', ".");
    while let Some(rest) = out.strip_suffix(".0") {
        out.truncate(rest.len());
    }
    out
}

/// A semantic version, with missing parts as zero and a leading `v` dropped.
fn semantic(text: &str) -> Option<semver::Version> {
    let text = text.strip_prefix('v').unwrap_or(text);
    if let Ok(version) = semver::Version::parse(text) {
        return Some(version);
    }
    let end = text.find(['-', '+']).unwrap_or(text.len());
    let (numbers, rest) = text.split_at(end);
    let mut parts = numbers.split('.').map(|part| part.parse::<u64>().ok());
    let version = [
        parts.next()??,
        parts.next().unwrap_or(Some(0))?,
        parts.next().unwrap_or(Some(0))?,
    ];
    if parts.next().is_some() {
        return None;
    }
    semver::Version::parse(&format!(
        "{}.{}.{}{rest}",
        version[0], version[1], version[2]
    ))
    .ok()
}

fn python(text: &str) -> Option<pep440_rs::Version> {
    pep440_rs::Version::from_str(text).ok()
}

/// Digits and dots only, with numbers that every order reads as numbers.
fn is_plain(text: &str) -> bool {
    let mut run = 0;
    let mut last = b'.';
    for byte in text.bytes() {
        match byte {
            b'0'..=b'9' => run += 1,
            b'.' if last != b'.' => run = 0,
            _ => return false,
        }
        if run > 9 {
            return false;
        }
        last = byte;
    }
    last != b'.'
}

fn compare_plain(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    // Components that are left out are zero; the longest has nine digits.
    while !(a.is_empty() && b.is_empty()) {
        match next_number(&mut a).cmp(&next_number(&mut b)) {
            Ordering::Equal => {}
            unequal => return unequal,
        }
    }
    Ordering::Equal
}

/// The number before the next dot, of digits and dots, which are taken away.
fn next_number(text: &mut &[u8]) -> u32 {
    let mut number = 0;
    while let Some((byte, rest)) = text.split_first() {
        *text = rest;
        if *byte == b'.' {
            break;
        }
        number = number * 10 + u32::from(byte.wrapping_sub(b'0'));
    }
    number
}

fn kind_of(text: &str, plain: bool) -> Kind<'_> {
    if date_digits(text).is_some() {
        return Kind::Date;
    }
    // Most versions are digits and dots, and hold none of the words below.
    if plain {
        return Kind::Release;
    }
    for mark in [
        "-unstable",
        "+unstable",
        ".unstable",
        "_unstable",
        "-git-",
        "+git",
        "+date=",
    ] {
        if let Some(at) = text.find(mark) {
            let base = &text[..at];
            return Kind::Snapshot(
                (base.starts_with(|c: char| c.is_ascii_digit()) && base != "0").then_some(base),
            );
        }
    }
    if text.starts_with("unstable") || text.starts_with("git-") {
        return Kind::Snapshot(None);
    }
    Kind::Release
}

/// `2019-12-08`, `20191208` or `s20191208` as eight digits.
fn date_digits(text: &str) -> Option<u32> {
    let text = text.strip_prefix(['s', 'v', 'r']).unwrap_or(text);
    let digits: String =
        if text.len() == 10 && text.is_ascii() && &text[4..5] == "-" && &text[7..8] == "-" {
            [&text[..4], &text[5..7], &text[8..]].concat()
        } else if text.len() == 8 {
            text.to_owned()
        } else {
            return None;
        };
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number: u32 = digits.parse().ok()?;
    let (year, month, day) = (number / 10_000, number / 100 % 100, number % 100);
    ((1980..2100).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day))
        .then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Ordering::{Equal, Greater, Less};

    fn cmp(a: &str, b: &str) -> Result<Ordering, Doubt> {
        Version::new(a).compare(b, Scheme::Release)
    }

    #[test]
    fn releases_compare_as_upstreams_mean_them() {
        for (a, b, expected) in [
            ("1.1.1g", "1.1.1za", Less),
            ("1.0.2z", "1.0.2za", Less),
            ("1.1.1g", "1.1.1p", Less),
            ("1.1.1p", "1.1.1q", Less),
            ("1.1.1p", "1.1.1za", Less),
            ("1.1.1", "1.1.1p", Less),
            ("1.1.1p", "1.1.1p", Equal),
            ("1.1.0p", "1.1.1g", Less),
            ("8.2p1", "8.2", Greater),
            ("8.2p1", "8.3p1", Less),
            ("1.8.31p1", "1.8.31p2", Less),
            ("6.9.11-14", "6.9.11-40", Less),
            ("153.0", "153.0.0", Equal),
            ("v1.2.3", "1.2.3", Equal),
            ("0.15.1b", "0.15.1b", Equal),
            ("11.8", "11.9.0", Less),
            ("2.4.50", "2.4.50", Equal),
            ("10", "9.5.23", Greater),
            ("1.001", "1.1", Equal),
            ("9d", "9e", Less),
            ("3_6_3", "3.6.4", Less),
        ] {
            assert_eq!(cmp(a, b), Ok(expected), "{a} against {b}");
            assert_eq!(cmp(b, a), Ok(expected.reverse()), "{b} against {a}");
        }
    }

    #[test]
    fn disagreement_is_told() {
        // A release candidate: older upstream, newer in Nix's order.
        let doubt = cmp("1.0rc1", "1.0").unwrap_err();
        insta::assert_snapshot!(doubt, @"the version orders disagree: older in the range's own, newer in Nix's");
    }

    #[test]
    fn snapshots_are_placed_only_where_their_release_is() {
        assert_eq!(cmp("1.4-unstable-2020-01-31", "1.3"), Ok(Greater));
        assert_eq!(cmp("1.4-unstable-2020-01-31", "1.4"), Ok(Greater));
        assert_eq!(cmp("1.4-unstable-2020-01-31", "1.5"), Err(Doubt::Snapshot));
        assert_eq!(cmp("unstable-2020-01-31", "1.5"), Err(Doubt::Snapshot));
        assert_eq!(cmp("0-unstable-2020-01-31", "0"), Err(Doubt::Snapshot));
        assert_eq!(cmp("2019-12-08", "1.5"), Err(Doubt::Snapshot));
        assert_eq!(cmp("20190709", "s20161105"), Ok(Greater));
        assert_eq!(cmp("20070708", "20070708"), Ok(Equal));
    }

    #[test]
    fn ecosystems_have_their_own_orders() {
        let semver = |a, b| Version::new(a).compare(b, Scheme::Semver);
        assert_eq!(
            semver("0.2.13", "0.2.12-0.20230925092853-5b05b5c147d9"),
            Ok(Greater)
        );
        assert_eq!(
            semver("0.2.11", "0.2.12-0.20230925092853-5b05b5c147d9"),
            Ok(Less)
        );
        assert_eq!(semver("1.5", "1.5.0"), Ok(Equal));
        let doubt = semver("0.2.12", "0.2.12-0.20230925092853-5b05b5c147d9").unwrap_err();
        assert!(matches!(doubt, Doubt::OrdersDisagree { .. }));
        let pep = |a, b| Version::new(a).compare(b, Scheme::Pep440);
        assert_eq!(pep("3.9.7", "3.10"), Ok(Less));
        assert_eq!(pep("2.0.post1", "2.0"), Ok(Greater));
        assert_eq!(
            Version::new("1").compare("abc", Scheme::Git),
            Err(Doubt::Commits)
        );
        assert_eq!(
            Version::new("1").compare("0:1-2.el8", Scheme::Distribution),
            Err(Doubt::Distribution)
        );
    }

    #[test]
    fn plain_comparison_agrees_with_both_orders() {
        for (a, b) in [
            ("1.2", "1.10"),
            ("1", "1.0.1"),
            ("01.2", "1.2"),
            ("999999999", "1"),
            ("5.4.53", "5.4.6"),
        ] {
            let expected = compare_plain(a, b);
            assert_eq!(upstream(a, b), expected);
            assert_eq!(nix_order(a, b), expected);
        }
        assert!(!is_plain("1..2") && !is_plain("1.") && !is_plain("") && !is_plain("2147483648"));
    }
}
