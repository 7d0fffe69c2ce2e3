//! Version ranges, and the judgement whether a version lies inside.
//!
//! All formats are brought into one shape: an ordered list of [`Rule`]s and a default. An exact
//! rule goes before a range, an earlier range before a later one, and what no rule covers has the
//! default. Sources: CVE record format 5.1 `affected[].versions`; OSV schema 1.7
//! `affected[].ranges`; NVD API 2.0 `cpeMatch`.

use std::borrow::Cow;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

mod judge;
mod reading;

pub use self::judge::{Fix, Judgement, Outside, judge};

/// What a record says about versions.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// They are affected.
    Affected,
    /// They are not.
    Unaffected,
    /// The record does not say.
    #[default]
    Unknown,
}

/// One statement about versions. `S` is `String` in records and `&str` in the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rule<S> {
    /// What holds for them.
    pub status: Status,
    /// Which versions.
    pub span: Span<S>,
}

/// Rules have a text of their own, for data that people read: `>=1.1.1 <1.1.1l`, `<=2.0`, `=1.0`,
/// `*`, `>=5.4 5.4.*`, `"prose"`; with `ok ` in front for unaffected and `? ` for unknown versions.
/// What some record calls a version and could be taken for something else here stands in JSON's
/// quotes: `<"1.0 beta"`.
impl Serialize for Rule<Box<str>> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let status = match self.status {
            Status::Affected => "",
            Status::Unaffected => "ok ",
            Status::Unknown => "? ",
        };
        let span = match &self.span {
            Span::Exact(version) => format!("={}", quoted(version)),
            Span::Text(text) => format!("\"{text}\""),
            Span::Between(lower, upper) => {
                let lower = match lower {
                    Lower::Start => None,
                    Lower::From(version) => Some(format!(">={}", quoted(version))),
                    Lower::After(version) => Some(format!(">{}", quoted(version))),
                };
                let upper = match upper {
                    Upper::Open => None,
                    Upper::Before(version) => Some(format!("<{}", quoted(version))),
                    Upper::UpTo(version) => Some(format!("<={}", quoted(version))),
                    Upper::Within(line) => Some(format!("{}.*", quoted(line))),
                };
                match (lower, upper) {
                    (None, None) => "*".to_owned(),
                    (Some(bound), None) | (None, Some(bound)) => bound,
                    (Some(lower), Some(upper)) => format!("{lower} {upper}"),
                }
            }
        };
        serializer.collect_str(&format_args!("{status}{span}"))
    }
}

impl<'de> Deserialize<'de> for Rule<Box<str>> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        let (status, span) = match (text.strip_prefix("ok "), text.strip_prefix("? ")) {
            (Some(rest), _) => (Status::Unaffected, rest),
            (None, Some(rest)) => (Status::Unknown, rest),
            (None, None) => (Status::Affected, &*text),
        };
        let span = span_of(span).ok_or_else(|| {
            D::Error::custom(format_args!(
                "`{}` is not a version rule",
                crate::id::shorten(&text)
            ))
        })?;
        Ok(Self { status, span })
    }
}

fn quoted(version: &str) -> Cow<'_, str> {
    let plain = !version.contains([' ', '"']) && !version.starts_with(['=', '<', '>']);
    if plain {
        Cow::Borrowed(version)
    } else {
        Cow::Owned(serde_json::Value::from(version).to_string())
    }
}

fn span_of(text: &str) -> Option<Span<Box<str>>> {
    let prose = text.strip_prefix('"').and_then(|t| t.strip_suffix('"'));
    if let Some(prose) = prose {
        return Some(Span::Text(prose.into()));
    }
    if let Some(version) = text.strip_prefix('=') {
        // Without quotes, all of it.
        return Some(Span::Exact(match unquote(version) {
            Some((version, "")) => version,
            _ => version.into(),
        }));
    }
    if text.is_empty() {
        return None;
    }
    let (mut lower, mut upper) = (Lower::Start, Upper::Open);
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !"<>=".contains(c));
        let (operator, after) = rest.split_at(end.unwrap_or(rest.len()));
        let (version, after) = if after.starts_with('"') {
            unquote(after)?
        } else {
            let (word, _) = after.split_once(' ').unwrap_or((after, ""));
            // The end of a line's text is not a part of it; a version may end so.
            let word = word
                .strip_suffix(".*")
                .filter(|_| operator.is_empty())
                .unwrap_or(word);
            (word.into(), &after[word.len()..])
        };
        let (end, after) = after.split_once(' ').unwrap_or((after, ""));
        match (operator, end) {
            (">=", "") => lower = Lower::From(version),
            (">", "") => lower = Lower::After(version),
            ("<=", "") => upper = Upper::UpTo(version),
            ("<", "") => upper = Upper::Before(version),
            ("", ".*") => upper = Upper::Within(version),
            ("", "") if &*version == "*" => {}
            _ => return None,
        }
        rest = after;
    }
    Some(Span::Between(lower, upper))
}

/// The JSON string with which a text begins, and what follows it.
fn unquote(text: &str) -> Option<(Box<str>, &str)> {
    if !text.starts_with('"') {
        return None;
    }
    let mut values = serde_json::Deserializer::from_str(text).into_iter();
    let version: Box<str> = values.next()?.ok()?;
    Some((version, text.get(values.byte_offset()..)?))
}

/// A set of versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Span<S> {
    /// Just this one.
    Exact(S),
    /// From a lower to an upper bound.
    Between(Lower<S>, Upper<S>),
    /// Prose.
    Text(S),
}

/// The lower end of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lower<S> {
    /// From the start.
    Start,
    /// From this version on.
    From(S),
    /// After this version.
    After(S),
}

/// The upper end of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Upper<S> {
    /// No end is known.
    Open,
    /// Before this version, which is the first without the problem.
    Before(S),
    /// Up to and including this version.
    UpTo(S),
    /// As long as the version begins with these components: `5.4` for `5.4.*`.
    Within(S),
}

impl<S: AsRef<str>> Rule<S> {
    /// The same rule, borrowed.
    pub fn borrowed(&self) -> Rule<&str> {
        let span = match &self.span {
            Span::Exact(version) => Span::Exact(version.as_ref()),
            Span::Text(text) => Span::Text(text.as_ref()),
            Span::Between(lower, upper) => Span::Between(
                match lower {
                    Lower::Start => Lower::Start,
                    Lower::From(v) => Lower::From(v.as_ref()),
                    Lower::After(v) => Lower::After(v.as_ref()),
                },
                match upper {
                    Upper::Open => Upper::Open,
                    Upper::Before(v) => Upper::Before(v.as_ref()),
                    Upper::UpTo(v) => Upper::UpTo(v.as_ref()),
                    Upper::Within(v) => Upper::Within(v.as_ref()),
                },
            ),
        };
        Rule {
            status: self.status,
            span,
        }
    }
}

impl std::fmt::Display for Span<&str> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exact(version) => write!(f, "{version}"),
            Self::Text(text) => write!(f, "“{text}”"),
            Self::Between(Lower::Start, Upper::Open) => f.write_str("every version"),
            Self::Between(lower, upper) => {
                match lower {
                    Lower::Start => {}
                    Lower::From(v) => write!(f, "from {v}")?,
                    Lower::After(v) => write!(f, "after {v}")?,
                }
                let gap = if matches!(lower, Lower::Start) {
                    ""
                } else {
                    " "
                };
                match upper {
                    Upper::Open => Ok(()),
                    Upper::Before(v) => write!(f, "{gap}before {v}"),
                    Upper::UpTo(v) => write!(f, "{gap}up to {v}"),
                    Upper::Within(v) => write!(f, "{gap}within {v}"),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::order::{Scheme, Version};

    fn between(
        status: Status,
        lower: Lower<&'static str>,
        upper: Upper<&'static str>,
    ) -> Rule<&'static str> {
        Rule {
            status,
            span: Span::Between(lower, upper),
        }
    }

    fn check(version: &str, default: Status, rules: &[Rule<&'static str>]) -> String {
        match judge(
            Version::new(version),
            Scheme::Release,
            default,
            rules.iter().copied(),
        ) {
            Judgement::Inside { rule, fix } => {
                format!(
                    "inside {} {fix:?}",
                    rule.map_or("by default".into(), |r| r.span.to_string())
                )
            }
            Judgement::Outside(why) => format!("{why:?}"),
            Judgement::Unknown(doubt) => format!("unknown: {doubt}"),
        }
    }

    #[test]
    fn rules_have_a_text() {
        for text in [
            "<1.0",
            ">=1.1.1 <1.1.1l",
            ">1.0 <=2.0",
            "=8.2p1",
            "*",
            "ok >=5.4.56 5.4.*",
            "? <2",
            "\"see there\"",
            ">=1",
        ] {
            let json = serde_json::to_string(text).unwrap();
            let rule: Rule<Box<str>> = serde_json::from_str(&json).unwrap();
            assert_eq!(serde_json::to_string(&rule).unwrap(), json);
        }
        let error = serde_json::from_str::<Rule<Box<str>>>("\"1.0 to 2.0\"").unwrap_err();
        insta::assert_snapshot!(error, @"`1.0 to 2.0` is not a version rule");
    }

    #[test]
    fn what_could_be_taken_for_something_else_is_quoted() {
        let rule = Rule {
            status: Status::Affected,
            span: Span::Between(
                Lower::From("1.0 beta".into()),
                Upper::Before("=.1.5".into()),
            ),
        };
        let json = serde_json::to_value(&rule).unwrap();
        assert_eq!(json, r#">="1.0 beta" <"=.1.5""#);
        for wrong in ["", ">=\"1", ">=\"1\"2", "1.0", "5.4.* x"] {
            let json = serde_json::to_string(wrong).unwrap();
            assert!(
                serde_json::from_str::<Rule<Box<str>>>(&json).is_err(),
                "{wrong}"
            );
        }
    }

    fn any_rule() -> impl Strategy<Value = Rule<Box<str>>> {
        let version = || "[0-9a.*=<>\" ?]{0,6}".prop_map(String::into_boxed_str);
        let lower = prop_oneof![
            Just(Lower::Start),
            version().prop_map(Lower::From),
            version().prop_map(Lower::After),
        ];
        let upper = prop_oneof![
            Just(Upper::Open),
            version().prop_map(Upper::Before),
            version().prop_map(Upper::UpTo),
            version().prop_map(Upper::Within),
        ];
        let span = prop_oneof![
            version().prop_map(Span::Exact),
            version().prop_map(Span::Text),
            (lower, upper).prop_map(|(lower, upper)| Span::Between(lower, upper)),
        ];
        let status = prop_oneof![
            Just(Status::Affected),
            Just(Status::Unaffected),
            Just(Status::Unknown),
        ];
        (status, span).prop_map(|(status, span)| Rule { status, span })
    }

    proptest! {
        #[test]
        fn every_rule_survives_its_text(rule in any_rule()) {
            let json = serde_json::to_string(&rule).unwrap();
            prop_assert_eq!(serde_json::from_str::<Rule<Box<str>>>(&json).unwrap(), rule);
        }
    }

    #[test]
    fn release_lines() {
        let lines = [
            between(
                Status::Affected,
                Lower::From("10.0"),
                Upper::Before("10.14"),
            ),
            between(
                Status::Affected,
                Lower::From("11.0"),
                Upper::Before("11.9.0"),
            ),
            between(Status::Affected, Lower::From("12.0"), Upper::UpTo("12.3")),
        ];
        let check = |version| check(version, Status::Unaffected, &lines);
        insta::assert_snapshot!(check("11.8"), @r#"inside from 11.0 before 11.9.0 In("11.9.0")"#);
        insta::assert_snapshot!(check("12.3"), @r#"inside from 12.0 up to 12.3 After("12.3")"#);
        insta::assert_snapshot!(check("11.9"), @r#"Fixed("11.9.0")"#);
        insta::assert_snapshot!(check("12.4"), @r#"After("12.3")"#);
        insta::assert_snapshot!(check("9.6"), @r#"Before("10.0")"#);
    }

    #[test]
    fn kernel_records_list_what_is_unaffected() {
        let rules = [
            Rule {
                status: Status::Affected,
                span: Span::Exact("2.6.13"),
            },
            between(Status::Unaffected, Lower::Start, Upper::Before("2.6.13")),
            between(
                Status::Unaffected,
                Lower::From("4.19.140"),
                Upper::Within("4.19"),
            ),
            between(
                Status::Unaffected,
                Lower::From("5.4.56"),
                Upper::Within("5.4"),
            ),
            between(Status::Unaffected, Lower::From("5.8"), Upper::Open),
        ];
        let check = |version| check(version, Status::Affected, &rules);
        insta::assert_snapshot!(check("5.4.53"), @r#"inside by default In("5.4.56")"#);
        insta::assert_snapshot!(check("5.4.56"), @r#"Fixed("5.4.56")"#);
        insta::assert_snapshot!(check("4.14.1"), @r#"inside by default In("4.19.140")"#);
        insta::assert_snapshot!(check("2.6.12"), @r#"Excluded(Rule { status: Unaffected, span: Between(Start, Before("2.6.13")) })"#);
        insta::assert_snapshot!(check("5.9"), @r#"Fixed("5.8")"#);
    }

    #[test]
    fn exact_rules_go_first() {
        let rules = [
            between(Status::Affected, Lower::Start, Upper::Before("2.0")),
            Rule {
                status: Status::Unaffected,
                span: Span::Exact("1.5.3"),
            },
        ];
        let check = |version| check(version, Status::Unknown, &rules);
        insta::assert_snapshot!(check("1.5.3"), @r#"Excluded(Rule { status: Unaffected, span: Exact("1.5.3") })"#);
        insta::assert_snapshot!(check("1.5.2"), @r#"inside before 2.0 In("2.0")"#);
    }

    #[test]
    fn what_cannot_be_decided_is_told() {
        let text = [Rule {
            status: Status::Affected,
            span: Span::Text("see the vendor's page"),
        }];
        insta::assert_snapshot!(check("1.0", Status::Unknown, &text), @"unknown: the range is free text: see the vendor's page");
        insta::assert_snapshot!(check("1.0", Status::Affected, &[]), @"unknown: the record names no version");
        let unknown = [between(Status::Unknown, Lower::Start, Upper::Before("2"))];
        insta::assert_snapshot!(check("1.0", Status::Unaffected, &unknown), @"unknown: the record itself says that the status is unknown");
        let range = [between(
            Status::Affected,
            Lower::Start,
            Upper::Before("1.0"),
        )];
        insta::assert_snapshot!(check("1.0rc1", Status::Unaffected, &range), @"unknown: the version orders disagree: older in the range's own, newer in Nix's");
    }

    #[test]
    fn prose_can_exclude_and_never_include() {
        let rule = |text| {
            [Rule {
                status: Status::Affected,
                span: Span::Text(text),
            }]
        };
        let check = |version, text| check(version, Status::Unknown, &rule(text));
        insta::assert_snapshot!(check("8.0.21", "8.0.20 and prior"), @r#"Prose("8.0.20 and prior")"#);
        insta::assert_snapshot!(check("8.0.20", "8.0.20 and prior"), @"unknown: the range is free text: 8.0.20 and prior");
        insta::assert_snapshot!(check("2.0", "prior to 1.5"), @r#"Prose("prior to 1.5")"#);
        insta::assert_snapshot!(check("0.9", "1.0 to 1.4"), @r#"Prose("1.0 to 1.4")"#);
        insta::assert_snapshot!(check("2.24.1", "Before v2.24.1"), @r#"Prose("Before v2.24.1")"#);
        insta::assert_snapshot!(check("4.14.0", "4.11.15, 4.12.9, 4.13.1"), @r#"Prose("4.11.15, 4.12.9, 4.13.1")"#);
        insta::assert_snapshot!(check("4.12.8", "4.11.15, 4.12.9, 4.13.1"), @"unknown: the range is free text: 4.11.15, 4.12.9, 4.13.1");
        insta::assert_snapshot!(check("12.2.9", "12.2.3-12.2.8"), @r#"Prose("12.2.3-12.2.8")"#);
        insta::assert_snapshot!(check("12.2.5", "12.2.3-12.2.8"), @"unknown: the range is free text: 12.2.3-12.2.8");
        insta::assert_snapshot!(check("2.3.9", "2.3.x and earlier"), @"unknown: the range is free text: 2.3.x and earlier");
        insta::assert_snapshot!(check("2.1", "2.3.x and earlier"), @"unknown: the range is free text: 2.3.x and earlier");
        insta::assert_snapshot!(check("2.4", "2.3.x and earlier"), @r#"Prose("2.3.x and earlier")"#);
        insta::assert_snapshot!(check("9.9", "2.3 and later"), @"unknown: the range is free text: 2.3 and later");
        insta::assert_snapshot!(check("9.9", "2.3 -"), @"unknown: the range is free text: 2.3 -");
        insta::assert_snapshot!(check("9.9", "all versions of 3.2 series"), @"unknown: the range is free text: all versions of 3.2 series");
        insta::assert_snapshot!(check("9.9", "8dddb9ad2009705dfc3e50d59d7c56fc7314cfc3 and 1.24"), @"unknown: the range is free text: 8dddb9ad2009705dfc3e50d59d7c56fc7314cfc3 and 1.24");
        insta::assert_snapshot!(check("9.9", "some versions before 1.2 on Tuesdays"), @"unknown: the range is free text: some versions before 1.2 on Tuesdays");
    }

    #[test]
    fn one_version_says_nothing_about_earlier_ones() {
        let exact = |version| Rule {
            status: Status::Affected,
            span: Span::Exact(version),
        };
        let one = [exact("8.4")];
        insta::assert_snapshot!(check("5.4.53", Status::Unknown, &one), @"unknown: the record names one version only, a later one");
        insta::assert_snapshot!(check("8.4", Status::Unknown, &one), @"inside 8.4 Unknown");
        insta::assert_snapshot!(check("8.5", Status::Unknown, &one), @"Unlisted");
        insta::assert_snapshot!(check("5.4.53", Status::Unaffected, &one), @"Unlisted");
        // A list was made by someone who looked at each.
        insta::assert_snapshot!(check("5.4.53", Status::Unknown, &[exact("8.3"), exact("8.4")]), @"Unlisted");
    }

    #[test]
    fn a_certain_rule_beats_a_doubtful_one() {
        let rules = [
            Rule {
                status: Status::Affected,
                span: Span::Text("old versions"),
            },
            between(Status::Affected, Lower::Start, Upper::Before("2.0")),
        ];
        insta::assert_snapshot!(check("1.0", Status::Unknown, &rules), @r#"inside before 2.0 In("2.0")"#);
    }
}
