//! The judgement whether a version lies inside of rules, and where the range that it is in ends.

use super::reading::reading;
use super::{Lower, Rule, Span, Status, Upper};
use crate::order::{Doubt, Scheme, Version};

/// Whether a version lies inside, and which rule decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement<'a> {
    /// It is affected.
    Inside {
        /// The rule that covers it; none if the default does.
        rule: Option<Rule<&'a str>>,
        /// Where it ends.
        fix: Fix<'a>,
    },
    /// It is not.
    Outside(Outside<'a>),
    /// Nobody can say.
    Unknown(Doubt),
}

/// Where an affected range ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fix<'a> {
    /// This is the first version without the problem.
    In(&'a str),
    /// The last affected version is this one; the next is not named.
    After(&'a str),
    /// No end is known.
    Unknown,
}

/// Why a version is not inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outside<'a> {
    /// It is at or after the version that ended the range.
    Fixed(&'a str),
    /// It is after the last affected version.
    After(&'a str),
    /// It is before the problem came in.
    Before(&'a str),
    /// A rule says that it is unaffected.
    Excluded(Rule<&'a str>),
    /// The range is prose which, read in the plainest way, does not reach it.
    Prose(&'a str),
    /// No rule covers it.
    Unlisted,
}

/// Judges a version against rules in their order.
///
/// Each rule costs at most two comparisons; nothing is allocated but for a doubt.
pub fn judge<'a>(
    version: Version<'_>,
    scheme: Scheme,
    default: Status,
    rules: impl Iterator<Item = Rule<&'a str>> + Clone,
) -> Judgement<'a> {
    let mut covering: Option<Rule<&'a str>> = None;
    let mut doubt: Option<Doubt> = None;
    let mut empty = true;
    for rule in rules.clone() {
        empty = false;
        match place(version, scheme, &rule.span) {
            Ok(Place::Inside) => {
                if matches!(rule.span, Span::Exact(_)) {
                    covering = Some(rule);
                    break;
                }
                covering.get_or_insert(rule);
            }
            // Only a doubt about being affected matters: an unaffected rule in doubt cannot hurt.
            Err(found) if rule.status != Status::Unaffected => {
                doubt.get_or_insert(found);
            }
            Ok(Place::Below | Place::Above) | Err(_) => {}
        }
    }
    match (covering, doubt) {
        (Some(rule), _) => match rule.status {
            Status::Affected => {
                let fix = fix_of(version, scheme, &rule.span, rules);
                Judgement::Inside {
                    rule: Some(rule),
                    fix,
                }
            }
            Status::Unaffected => Judgement::Outside(excluded(rule)),
            Status::Unknown => Judgement::Unknown(match rule.span {
                Span::Between(Lower::After(last), Upper::Open) => Doubt::NotLookedAt {
                    last: last.to_owned(),
                },
                _ => Doubt::Undetermined,
            }),
        },
        (None, Some(doubt)) => Judgement::Unknown(doubt),
        (None, None) if empty && matches!(scheme, Scheme::Git | Scheme::Distribution) => {
            Judgement::Unknown(if scheme == Scheme::Git {
                Doubt::Commits
            } else {
                Doubt::Distribution
            })
        }
        (None, None) if empty => match default {
            Status::Unaffected => Judgement::Outside(Outside::Unlisted),
            Status::Affected | Status::Unknown => Judgement::Unknown(Doubt::NoVersion),
        },
        (None, None) if default == Status::Affected => {
            let fix = fix_of(
                version,
                scheme,
                &Span::Between(Lower::Start, Upper::Open),
                rules,
            );
            Judgement::Inside { rule: None, fix }
        }
        (None, None) if default == Status::Unknown && names_one_later(version, scheme, &rules) => {
            Judgement::Unknown(Doubt::OneLater)
        }
        (None, None) => Judgement::Outside(outside(version, scheme, rules)),
    }
}

/// Whether all that is said is that one later version is affected. Such a record tells where somebody
/// looked, or at times where it was mended, and nothing about what was there before.
fn names_one_later<'a>(
    version: Version<'_>,
    scheme: Scheme,
    rules: &(impl Iterator<Item = Rule<&'a str>> + Clone),
) -> bool {
    let mut rules = rules.clone();
    let (Some(rule), None) = (rules.next(), rules.next()) else {
        return false;
    };
    rule.status == Status::Affected
        && matches!(rule.span, Span::Exact(_))
        && matches!(place(version, scheme, &rule.span), Ok(Place::Below))
}

#[derive(PartialEq)]
enum Place {
    Below,
    Inside,
    Above,
}

fn place(version: Version<'_>, scheme: Scheme, span: &Span<&str>) -> Result<Place, Doubt> {
    match span {
        // Prose may say that a version is out of reach, never that it is inside.
        Span::Text(text) => {
            let reaches = |&(lower, upper): &_| {
                !matches!(
                    place(version, scheme, &Span::Between(lower, upper)),
                    Ok(Place::Below | Place::Above)
                )
            };
            match reading(text) {
                Some(ranges) if !ranges.iter().any(reaches) => Ok(Place::Above),
                _ => Err(Doubt::FreeText {
                    text: (*text).to_owned(),
                }),
            }
        }
        Span::Exact(exact) => {
            // The same text is the same version, whatever the order thinks of it.
            if *exact == version.as_str() {
                return Ok(Place::Inside);
            }
            match version.compare(exact, scheme) {
                Ok(std::cmp::Ordering::Less) => Ok(Place::Below),
                Ok(std::cmp::Ordering::Equal) => Ok(Place::Inside),
                // Two orders that disagree about who is newer still agree that they differ.
                Ok(std::cmp::Ordering::Greater)
                | Err(Doubt::OrdersDisagree { .. } | Doubt::Snapshot) => Ok(Place::Above),
                Err(doubt) => Err(doubt),
            }
        }
        Span::Between(lower, upper) => {
            let below = match lower {
                Lower::Start => false,
                Lower::From(from) => version.compare(from, scheme)?.is_lt(),
                Lower::After(after) => version.compare(after, scheme)?.is_le(),
            };
            if below {
                return Ok(Place::Below);
            }
            let above = match upper {
                Upper::Open => false,
                Upper::Before(before) => version.compare(before, scheme)?.is_ge(),
                Upper::UpTo(up_to) => version.compare(up_to, scheme)?.is_gt(),
                Upper::Within(line) => !begins_with(version.as_str(), line),
            };
            Ok(if above { Place::Above } else { Place::Inside })
        }
    }
}

/// Whether a version belongs to a line: `5.4.53` to `5.4`, `5.40` not.
fn begins_with(version: &str, line: &str) -> bool {
    version
        .strip_prefix(line)
        .is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
}

fn fix_of<'a>(
    version: Version<'_>,
    scheme: Scheme,
    covering: &Span<&'a str>,
    rules: impl Iterator<Item = Rule<&'a str>>,
) -> Fix<'a> {
    match covering {
        Span::Between(_, Upper::Before(before)) => return Fix::In(before),
        Span::Between(_, Upper::UpTo(up_to)) => {
            // Where the record says that it does not know what comes after, that is no fix.
            let open = Span::Between(Lower::After(*up_to), Upper::Open);
            let mut unknown = rules.filter(|rule| rule.status == Status::Unknown);
            return if unknown.any(|rule| rule.span == open) {
                Fix::Unknown
            } else {
                Fix::After(up_to)
            };
        }
        _ => {}
    }
    // The lowest version above ours that a rule calls unaffected.
    let mut lowest: Option<&'a str> = None;
    for rule in rules.filter(|rule| rule.status == Status::Unaffected) {
        let start = match rule.span {
            Span::Exact(exact) => exact,
            Span::Between(Lower::From(from), _) => from,
            _ => continue,
        };
        let newer = version
            .compare(start, scheme)
            .is_ok_and(std::cmp::Ordering::is_lt);
        let lower = lowest.is_none_or(|l| {
            Version::new(start)
                .compare(l, scheme)
                .is_ok_and(std::cmp::Ordering::is_lt)
        });
        if newer && lower {
            lowest = Some(start);
        }
    }
    lowest.map_or(Fix::Unknown, Fix::In)
}

fn excluded(rule: Rule<&str>) -> Outside<'_> {
    match rule.span {
        Span::Between(Lower::From(from), Upper::Open | Upper::Within(_)) => Outside::Fixed(from),
        _ => Outside::Excluded(rule),
    }
}

fn outside<'a>(
    version: Version<'_>,
    scheme: Scheme,
    rules: impl Iterator<Item = Rule<&'a str>>,
) -> Outside<'a> {
    let mut passed: Option<(&'a str, bool)> = None;
    let mut ahead: Option<&'a str> = None;
    let mut prose: Option<&'a str> = None;
    for rule in rules.filter(|rule| rule.status == Status::Affected) {
        let (lower, upper) = match rule.span {
            Span::Between(lower, upper) => (lower, upper),
            Span::Text(text) => {
                prose.get_or_insert(text);
                continue;
            }
            Span::Exact(_) => continue,
        };
        match (
            place(version, scheme, &Span::Between(lower, upper)),
            lower,
            upper,
        ) {
            (Ok(Place::Above), _, Upper::Before(end) | Upper::UpTo(end)) => {
                let exclusive = matches!(rule.span, Span::Between(_, Upper::Before(_)));
                let higher = passed.is_none_or(|(p, _)| {
                    Version::new(end)
                        .compare(p, scheme)
                        .is_ok_and(std::cmp::Ordering::is_gt)
                });
                if higher {
                    passed = Some((end, exclusive));
                }
            }
            (Ok(Place::Below), Lower::From(start) | Lower::After(start), _) => {
                ahead.get_or_insert(start);
            }
            _ => {}
        }
    }
    match (passed, ahead) {
        (Some((end, true)), _) => Outside::Fixed(end),
        (Some((end, false)), _) => Outside::After(end),
        (None, Some(start)) => Outside::Before(start),
        (None, None) => prose.map_or(Outside::Unlisted, Outside::Prose),
    }
}
