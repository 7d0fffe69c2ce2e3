//! What to do about a package: the least update that mends the most.

use std::cmp::Ordering;

use snowguard_advisory::order::{Scheme, Version};

use crate::escape;
use crate::model::{Action, WithinLine};

/// Whether a package is the Linux kernel, whose findings are told as counts.
pub fn is_kernel(pname: &str) -> bool {
    pname == "linux"
        || pname.starts_with("linux-") && !pname.contains("headers") && !pname.contains("pam")
}

/// Where a finding is fixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FixPoint<'a> {
    In(&'a str),
    After(&'a str),
    Unknown,
}

/// A finding, as far as the action depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Point<'a> {
    /// Where it is fixed.
    pub(crate) fix: FixPoint<'a>,
    /// Whether it is known to be exploited.
    pub(crate) exploited: bool,
}

/// The action for a package in `version` with findings that are fixed at these points.
pub(crate) fn action(version: &str, points: &[Point<'_>]) -> Option<Action> {
    if points.is_empty() {
        return None;
    }
    let points: Vec<Point<'_>> = points
        .iter()
        .map(|point| Point {
            fix: point.fix.upstream(),
            ..*point
        })
        .collect();
    let points = points.as_slice();
    let versions = points.iter().filter_map(|point| match point.fix {
        FixPoint::In(fix) => Some(fix),
        _ => None,
    });
    let highest = |versions: &mut dyn Iterator<Item = &str>| -> Option<String> {
        versions
            .map(str::to_owned)
            .reduce(|a, b| if compare(&b, &a).is_gt() { b } else { a })
    };
    // Nobody runs a pre-release to be safe; a fix that is only there is one that is still to come.
    let releases = versions.clone().filter(|version| !is_prerelease(version));
    let update_to = highest(&mut releases.clone()).or_else(|| highest(&mut versions.clone()));
    let last = highest(&mut points.iter().filter_map(|point| match point.fix {
        FixPoint::After(last) => Some(last),
        _ => None,
    }));
    // A known fix beyond the last affected version says all that there is to say.
    let newer_than = last.filter(|last| {
        update_to
            .as_ref()
            .is_none_or(|fix| compare(fix, last).is_le())
    });
    let within = highest(&mut releases.filter(|fix| line(fix) == line(version)));
    let within_line = within
        .filter(|fix| Some(fix) != update_to.as_ref())
        .map(|fix| {
            let mended = Mended::count(points, |point| point.is_mended_by(&fix));
            WithinLine {
                fixes: mended.all,
                fixes_exploited: mended.exploited,
                update_to: fix,
            }
        });
    let mended = match (&update_to, &newer_than) {
        (_, Some(_)) => Mended::count(points, |point| *point != FixPoint::Unknown),
        (Some(fix), None) => Mended::count(points, |point| point.is_mended_by(fix)),
        (None, None) => Mended::default(),
    };
    Some(Action {
        update_to: update_to.filter(|_| newer_than.is_none()),
        newer_than,
        fixes: mended.all,
        of: points.len(),
        fixes_exploited: mended.exploited,
        exploited: points.iter().filter(|point| point.exploited).count(),
        within_line,
    })
}

/// How many findings an update mends.
#[derive(Default)]
struct Mended {
    all: usize,
    exploited: usize,
}

impl Mended {
    fn count(points: &[Point<'_>], is_mended: impl Fn(&FixPoint<'_>) -> bool) -> Self {
        let mended = || points.iter().filter(|point| is_mended(&point.fix));
        Self {
            all: mended().count(),
            exploited: mended().filter(|point| point.exploited).count(),
        }
    }
}

impl FixPoint<'_> {
    /// A last affected version is passed only by something newer.
    fn is_mended_by(&self, candidate: &str) -> bool {
        match self {
            Self::In(fix) => compare(candidate, fix).is_ge(),
            Self::After(last) => compare(candidate, last).is_gt(),
            Self::Unknown => false,
        }
    }

    fn upstream(&self) -> Self {
        match *self {
            Self::In(version) => Self::In(upstream_version(version)),
            other => other,
        }
    }
}

/// What upstream calls a release that a distribution counts as `2.14+dfsg-1` or `2.12-1ubuntu5`.
fn upstream_version(version: &str) -> &str {
    let mark = ["+dfsg", "+ds", "+repack", "~deb", "+deb", "ubuntu", "~bpo"]
        .into_iter()
        .find_map(|mark| version.find(mark));
    let Some(mark) = mark else { return version };
    let head = version[..mark].trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    // `2.12-1ubuntu5` has a revision before the mark, `2.14+dfsg-1` after it.
    match head.strip_suffix('-') {
        Some(upstream) if !upstream.is_empty() => upstream,
        _ => &version[..mark],
    }
}

impl Action {
    /// What to do first, and what else there is to choose.
    ///
    /// An update that stays in the line comes first where it mends nine in ten, and no less of what is
    /// exploited: it is had today, and breaks little.
    pub fn steps(&self) -> (Step<'_>, Option<Step<'_>>) {
        let most = Step {
            goal: match (&self.update_to, &self.newer_than) {
                (_, Some(last)) => Goal::Beyond(last),
                (Some(version), None) => Goal::Version(version),
                (None, None) => Goal::Unknown,
            },
            fixes: self.fixes,
            exploited: self.fixes_exploited,
        };
        let within = self.within_line.as_ref().map(|within| Step {
            goal: Goal::Version(&within.update_to),
            fixes: within.fixes,
            exploited: within.fixes_exploited,
        });
        match within {
            Some(within)
                if within.fixes * 10 >= self.of * 9 && within.exploited >= most.exploited =>
            {
                (within, Some(most))
            }
            // One of a thousand is no choice.
            Some(within) if within.fixes * 10 >= self.of => (most, Some(within)),
            _ => (most, None),
        }
    }
}

impl Action {
    /// What to say of a step that leaves something which is exploited.
    pub fn leaves_exploited(&self, step: Step<'_>) -> &'static str {
        match step {
            Step {
                goal: Goal::Unknown,
                ..
            } => "",
            step if step.exploited >= self.exploited => "",
            Step { exploited: 0, .. } => ", none exploited",
            Step { .. } => ", not all exploited",
        }
    }
}

/// One way to mend a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step<'a> {
    /// Which version to get.
    pub goal: Goal<'a>,
    /// How many findings that mends.
    pub fixes: usize,
    /// How many of them are known to be exploited.
    pub exploited: usize,
}

/// Which version to get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal<'a> {
    /// This one, or a later one of its line.
    Version(&'a str),
    /// One after this, which is the last that is known to be affected.
    Beyond(&'a str),
    /// None is known.
    Unknown,
}

impl std::fmt::Display for Goal<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Version(version) => write!(f, "update to {}", escape::line(version)),
            Self::Beyond(last) => write!(f, "update beyond {}", escape::line(last)),
            Self::Unknown => f.write_str("no record names a fix"),
        }
    }
}

fn compare(a: &str, b: &str) -> Ordering {
    Version::new(a)
        .compare(b, Scheme::Release)
        .unwrap_or_else(|_| a.cmp(b))
}

/// `3.15.0a6`, `2.0-rc1`, `1.0.beta2`; not `1.1.1g` or `8.2p1`.
fn is_prerelease(version: &str) -> bool {
    let version = version.to_ascii_lowercase();
    let word = |mark: &str| version.contains(mark);
    let short = |letter: char| {
        version.rsplit_once(letter).is_some_and(|(head, tail)| {
            head.ends_with(|c: char| c.is_ascii_digit())
                && !tail.is_empty()
                && tail.bytes().all(|b| b.is_ascii_digit())
        })
    };
    ["alpha", "beta", "rc", "pre", "dev"].into_iter().any(word) || short('a') || short('b')
}

/// The release line of a version: its first two numbers.
fn line(version: &str) -> Vec<&str> {
    version
        .split(|c: char| !c.is_ascii_digit())
        .filter(|part| !part.is_empty())
        .take(2)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(version: &str, fixes: &[FixPoint<'_>]) -> Option<Action> {
        let exploited = |fix: &FixPoint<'_>| matches!(fix, FixPoint::In("9.9"));
        let points: Vec<Point<'_>> = fixes
            .iter()
            .map(|fix| Point {
                fix: *fix,
                // In these tests, what is fixed in 9.9 is exploited.
                exploited: exploited(fix),
            })
            .collect();
        super::action(version, &points)
    }

    #[test]
    fn what_is_exploited_is_not_left_for_later() {
        let mut points = vec![FixPoint::In("1.1.1l"); 99];
        points.push(FixPoint::In("9.9"));
        let found = action("1.1.1g", &points).unwrap();
        assert_eq!((found.fixes_exploited, found.exploited), (1, 1));
        assert_eq!(found.steps().0.goal, Goal::Version("9.9"));
        let unfixed = super::action(
            "1.0",
            &[
                Point {
                    fix: FixPoint::Unknown,
                    exploited: true,
                },
                Point {
                    fix: FixPoint::In("1.5"),
                    exploited: false,
                },
            ],
        )
        .unwrap();
        assert_eq!((unfixed.fixes_exploited, unfixed.exploited), (0, 1));
    }

    #[test]
    fn the_highest_fix_mends_all() {
        let action = action(
            "1.1.1g",
            &[
                FixPoint::In("1.1.1l"),
                FixPoint::In("1.1.1za"),
                FixPoint::In("3.0.7"),
            ],
        )
        .unwrap();
        assert_eq!(action.update_to.as_deref(), Some("3.0.7"));
        assert_eq!((action.fixes, action.of), (3, 3));
        let line = action.within_line.unwrap();
        assert_eq!((line.update_to.as_str(), line.fixes), ("1.1.1za", 2));
    }

    #[test]
    fn the_line_goes_first_where_it_mends_nine_in_ten() {
        let mut points = vec![FixPoint::In("1.1.1l"); 9];
        points.push(FixPoint::In("3.0.7"));
        let found = action("1.1.1g", &points).unwrap();
        let (first, other) = found.steps();
        assert_eq!((first.goal, first.fixes), (Goal::Version("1.1.1l"), 9));
        assert_eq!(other.unwrap().goal, Goal::Version("3.0.7"));
        points.push(FixPoint::In("3.0.8"));
        let found = action("1.1.1g", &points).unwrap();
        assert_eq!(found.steps().0.goal, Goal::Version("3.0.8"));
        points.extend([FixPoint::In("3.0.8"); 90]);
        let found = action("1.1.1g", &points).unwrap();
        assert_eq!(found.steps().1, None);
    }

    #[test]
    fn releases_of_distributions_are_told_as_upstream_calls_them() {
        for (version, upstream) in [
            ("2.14+dfsg-1", "2.14"),
            ("2.12-1ubuntu5", "2.12"),
            ("2.12-1.3ubuntu5", "2.12"),
            ("1.1.1g", "1.1.1g"),
            ("6.9.11-40", "6.9.11-40"),
            ("ubuntu", ""),
        ] {
            assert_eq!(upstream_version(version), upstream, "{version}");
        }
    }

    #[test]
    fn what_has_no_fix_is_told() {
        let some = action("1.0", &[FixPoint::Unknown]).unwrap();
        assert_eq!((some.update_to, some.fixes, some.of), (None, 0, 1));
        let last = action("1.0", &[FixPoint::After("2.0"), FixPoint::In("1.5")]).unwrap();
        assert_eq!(last.newer_than.as_deref(), Some("2.0"));
        assert_eq!(last.fixes, 2);
        let passed = action("1.0", &[FixPoint::After("1.2"), FixPoint::In("1.5")]).unwrap();
        assert_eq!((passed.newer_than, passed.fixes), (None, 2));
        assert!(action("1.0", &[]).is_none());
    }

    #[test]
    fn pre_releases_are_not_recommended() {
        let action = action("3.8.3", &[FixPoint::In("3.8.14"), FixPoint::In("3.15.0a6")]).unwrap();
        assert_eq!(
            (action.update_to.as_deref(), action.fixes, action.of),
            (Some("3.8.14"), 1, 2)
        );
        assert!(is_prerelease("2.0-rc1") && !is_prerelease("1.1.1g") && !is_prerelease("8.2p1"));
    }

    #[test]
    fn the_kernel_is_known_by_its_names() {
        assert!(is_kernel("linux") && is_kernel("linux-hardened"));
        assert!(!is_kernel("linux-headers") && !is_kernel("linux-pam") && !is_kernel("util-linux"));
    }
}
