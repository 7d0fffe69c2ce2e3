//! What to do about a package: the least update that mends the most.

use std::cmp::Ordering;
use std::collections::HashSet;

use snowguard_advisory::order::{Scheme, Version};
use snowguard_matching::FixedIn;

use crate::escape;
use crate::model::{Action, WithinLine};

/// How often it is looked for where the holes of a fix are fixed.
const MOST_STEPS: usize = 3;

/// Whether a package is the Linux kernel, whose findings are told as counts.
pub fn is_kernel(pname: &str) -> bool {
    pname == "linux"
        || pname.starts_with("linux-") && !pname.contains("headers") && !pname.contains("pam")
}

/// Where a finding is fixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FixPoint<'a> {
    /// In this version.
    In(&'a str),
    /// After this one, which is the last that is known to be affected.
    After(&'a str),
    /// No record says where.
    Unknown,
}

impl<'a> From<FixedIn<'a>> for FixPoint<'a> {
    fn from(fixed_in: FixedIn<'a>) -> Self {
        match fixed_in {
            FixedIn::Version(version) => Self::In(version),
            FixedIn::After(version) => Self::After(version),
            FixedIn::Unknown => Self::Unknown,
        }
    }
}

/// A finding, as far as the action depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point<'a> {
    /// Which one.
    pub id: &'a str,
    /// Where it is fixed.
    pub fix: FixPoint<'a>,
    /// Whether it is known to be exploited.
    pub exploited: bool,
}

/// What reaches a version that may be updated to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held<'a> {
    /// Which vulnerability.
    pub id: &'a str,
    /// Whether that is sure.
    pub is_sure: bool,
    /// Whether nothing was said of it for the present version.
    pub is_new: bool,
    /// Where it is fixed.
    pub fix: FixPoint<'a>,
}

/// The action for a package in `version` with findings that are fixed at these points; `held` tells
/// what reaches another version.
pub fn action<'a, E>(
    version: &str,
    points: &[Point<'a>],
    held: impl Fn(&str) -> Result<Vec<Held<'a>>, E>,
) -> Result<Option<Action>, E> {
    if points.is_empty() {
        return Ok(None);
    }
    let fixes = || points.iter().map(|point| point.fix);
    let is_in_line = |fix: &str| line(fix) == line(version);
    let update = match highest_fix(fixes()) {
        Some(fix) => Some(Update::settle(fix, |_| true, &held)?),
        None => None,
    };
    let within = highest(
        fixes()
            .filter_map(FixPoint::release)
            .filter(|fix| is_in_line(fix)),
    );
    let within = match within {
        Some(fix) => Some(Update::settle(fix.to_owned(), is_in_line, &held)?),
        None => None,
    };
    let last = highest(fixes().filter_map(|fix| match fix {
        FixPoint::After(last) => Some(last),
        _ => None,
    }));
    // A known fix beyond the last affected version says all that there is to say.
    let newer_than = last.filter(|last| {
        update
            .as_ref()
            .is_none_or(|update| compare(&update.version, last).is_le())
    });
    let is_the_same = |within: &Update<'_>| {
        update
            .as_ref()
            .is_some_and(|update| update.version == within.version)
    };
    let within_line = within.filter(|within| !is_the_same(within)).map(|within| {
        let mended = within.mends(points);
        WithinLine {
            fixes: mended.all,
            fixes_exploited: mended.exploited,
            brings: within.brings(),
            update_to: within.version,
        }
    });
    let update = update.filter(|_| newer_than.is_none());
    let mended = match (&update, newer_than) {
        (_, Some(_)) => Mended::count(points, |point| point.fix != FixPoint::Unknown),
        (Some(update), None) => update.mends(points),
        (None, None) => Mended::default(),
    };
    Ok(Some(Action {
        newer_than: newer_than.map(str::to_owned),
        fixes: mended.all,
        of: points.len(),
        fixes_exploited: mended.exploited,
        exploited: points.iter().filter(|point| point.exploited).count(),
        brings: update.as_ref().map_or(0, Update::brings),
        update_to: update.map(|update| update.version),
        within_line,
    }))
}

/// A version to update to, and what reaches it.
struct Update<'a> {
    version: String,
    held: Vec<Held<'a>>,
}

impl<'a> Update<'a> {
    /// A fix may have holes of its own: follows them to where they are fixed, and takes the first of
    /// those versions that has the fewest.
    fn settle<E>(
        version: String,
        may_be: impl Fn(&str) -> bool,
        held: impl Fn(&str) -> Result<Vec<Held<'a>>, E>,
    ) -> Result<Self, E> {
        let mut last = Self {
            held: held(&version)?,
            version,
        };
        let mut best = None;
        for _ in 0..MOST_STEPS {
            let fixes = last.sure().filter_map(|held| held.fix.release());
            let next = highest(fixes.filter(|fix| may_be(fix)));
            let Some(next) = next.filter(|next| compare(next, &last.version).is_gt()) else {
                break;
            };
            let next = Self {
                held: held(next)?,
                version: next.to_owned(),
            };
            best = Some(last.or_better(best));
            last = next;
        }
        Ok(last.or_better(best))
    }

    /// This one if it has fewer than the best so far.
    fn or_better(self, best: Option<Self>) -> Self {
        match best {
            Some(best) if best.sure().count() <= self.sure().count() => best,
            _ => self,
        }
    }

    fn sure(&self) -> impl Iterator<Item = &Held<'a>> {
        self.held.iter().filter(|held| held.is_sure)
    }

    /// How many it has that the present version has not.
    fn brings(&self) -> usize {
        self.sure().filter(|held| held.is_new).count()
    }

    /// What is in doubt there, as a pre-release of the version may be, is mended if its own fix says so.
    fn mends(&self, points: &[Point<'_>]) -> Mended {
        let of = |is_sure: bool| -> HashSet<&str> {
            let held = self.held.iter().filter(|held| held.is_sure == is_sure);
            held.map(|held| held.id).collect()
        };
        let (left, doubtful) = (of(true), of(false));
        Mended::count(points, |point| {
            let is_after = |fix| compare(&self.version, fix).is_ge();
            !left.contains(point.id)
                && (!doubtful.contains(point.id) || point.fix.version().is_some_and(is_after))
        })
    }
}

/// How many findings an update mends.
#[derive(Default)]
struct Mended {
    all: usize,
    exploited: usize,
}

impl Mended {
    fn count(points: &[Point<'_>], is_mended: impl Fn(&Point<'_>) -> bool) -> Self {
        let mended = || points.iter().filter(|point| is_mended(point));
        Self {
            all: mended().count(),
            exploited: mended().filter(|point| point.exploited).count(),
        }
    }
}

impl<'a> FixPoint<'a> {
    /// The first version without it, as upstream calls it.
    fn version(self) -> Option<&'a str> {
        match self {
            Self::In(version) => Some(upstream_version(version)).filter(|fix| !is_commit(fix)),
            Self::After(_) | Self::Unknown => None,
        }
    }

    /// The same if it is out. Nobody runs a pre-release to be safe; a fix that is only there is one
    /// that is still to come.
    fn release(self) -> Option<&'a str> {
        self.version().filter(|version| !is_prerelease(version))
    }
}

/// The highest release with a fix; if there is none, the highest pre-release.
fn highest_fix<'a>(fixes: impl Iterator<Item = FixPoint<'a>> + Clone) -> Option<String> {
    highest(fixes.clone().filter_map(FixPoint::release))
        .or_else(|| highest(fixes.filter_map(FixPoint::version)))
        .map(str::to_owned)
}

fn highest<'a>(versions: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    versions.reduce(|a, b| if compare(b, a).is_gt() { b } else { a })
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
            brings: self.brings,
        };
        let within = self.within_line.as_ref().map(|within| Step {
            goal: Goal::Version(&within.update_to),
            fixes: within.fixes,
            exploited: within.fixes_exploited,
            brings: within.brings,
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
    /// How many others are known of that version.
    pub brings: usize,
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

/// Which of two versions is the newer release.
pub fn compare(a: &str, b: &str) -> Ordering {
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

/// `94062790aedb`: where a repository is fixed, which nobody updates to by that name.
fn is_commit(version: &str) -> bool {
    version.len() >= 7
        && version.bytes().all(|b| b.is_ascii_hexdigit())
        && version.bytes().any(|b| b.is_ascii_alphabetic())
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

    /// The points as findings, of which each reaches what is before its fix.
    fn action(version: &str, fixes: &[FixPoint<'_>]) -> Option<Action> {
        // In these tests, what is fixed in 9.9 is exploited.
        let exploited = |fix: &FixPoint<'_>| *fix == FixPoint::In("9.9");
        let ids: Vec<String> = (0..fixes.len()).map(|at| format!("CVE-{at}")).collect();
        let points: Vec<Point<'_>> = fixes
            .iter()
            .zip(&ids)
            .map(|(fix, id)| Point {
                id,
                fix: *fix,
                exploited: exploited(fix),
            })
            .collect();
        with_holes(version, &points, &[])
    }

    /// Beside the points there are holes: from a version on, fixed in another.
    fn with_holes(
        version: &str,
        points: &[Point<'_>],
        holes: &[(&'static str, &'static str)],
    ) -> Option<Action> {
        let held = |candidate: &str| {
            let reaches = |fix: &FixPoint<'_>| match fix {
                FixPoint::In(fix) => compare(candidate, upstream_version(fix)).is_lt(),
                FixPoint::After(last) => compare(candidate, last).is_le(),
                FixPoint::Unknown => true,
            };
            let of_points = points.iter().filter(|point| reaches(&point.fix));
            let of_points = of_points.map(|point| (point.id, point.fix, false));
            let of_holes = holes
                .iter()
                .filter(|(from, fix)| {
                    compare(candidate, from).is_ge() && compare(candidate, fix).is_lt()
                })
                .map(|(_, fix)| (*fix, FixPoint::In(fix), true));
            Ok::<_, std::convert::Infallible>(
                of_points
                    .chain(of_holes)
                    .map(|(id, fix, is_new)| Held {
                        id,
                        is_sure: true,
                        is_new,
                        fix,
                    })
                    .collect(),
            )
        };
        let Ok(action) = super::action(version, points, held);
        action
    }

    #[test]
    fn a_fix_with_holes_is_not_where_it_ends() {
        let point = Point {
            id: "CVE-1",
            fix: FixPoint::In("3.0.1"),
            exploited: false,
        };
        let of = |holes| with_holes("1.1.1g", &[point], holes).unwrap();
        let one = of(&[("3.0.0", "3.0.7")]);
        assert_eq!((one.update_to.as_deref(), one.brings), (Some("3.0.7"), 0));
        let chain = of(&[("3.0.0", "3.0.7"), ("3.0.2", "3.0.9")]);
        assert_eq!(chain.update_to.as_deref(), Some("3.0.9"));
        // What is later is not always better.
        let worse = of(&[
            ("3.0.0", "3.0.7"),
            ("3.0.7", "4.0-rc1"),
            ("3.0.7", "4.0-rc2"),
        ]);
        assert_eq!(
            (worse.update_to.as_deref(), worse.fixes, worse.brings),
            (Some("3.0.1"), 1, 1)
        );
    }

    #[test]
    fn an_update_in_the_line_stays_in_it() {
        let points = ["1.1.1l", "3.0.7"].map(|fix| Point {
            id: fix,
            fix: FixPoint::In(fix),
            exploited: false,
        });
        let holes = [("1.1.1l", "1.1.1n"), ("1.1.1l", "3.0.8")];
        let found = with_holes("1.1.1g", &points, &holes).unwrap();
        let line = found.within_line.unwrap();
        assert_eq!(
            (line.update_to.as_str(), line.fixes, line.brings),
            ("1.1.1n", 1, 1)
        );
        assert_eq!(
            (found.update_to.as_deref(), found.brings),
            (Some("3.0.8"), 0)
        );
    }

    #[test]
    fn what_is_exploited_is_not_left_for_later() {
        let mut points = vec![FixPoint::In("1.1.1l"); 99];
        points.push(FixPoint::In("9.9"));
        let found = action("1.1.1g", &points).unwrap();
        assert_eq!((found.fixes_exploited, found.exploited), (1, 1));
        assert_eq!(found.steps().0.goal, Goal::Version("9.9"));
        let unfixed = with_holes(
            "1.0",
            &[
                Point {
                    id: "CVE-1",
                    fix: FixPoint::Unknown,
                    exploited: true,
                },
                Point {
                    id: "CVE-2",
                    fix: FixPoint::In("1.5"),
                    exploited: false,
                },
            ],
            &[],
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
    fn a_commit_is_no_version_to_update_to() {
        let found = action(
            "5.4.53",
            &[FixPoint::In("94062790aedb"), FixPoint::In("5.4.201")],
        );
        assert_eq!(found.unwrap().update_to.as_deref(), Some("5.4.201"));
        assert!(is_commit("94062790aedb") && !is_commit("20240101") && !is_commit("1.1.1g"));
    }

    #[test]
    fn the_kernel_is_known_by_its_names() {
        assert!(is_kernel("linux") && is_kernel("linux-hardened"));
        assert!(!is_kernel("linux-headers") && !is_kernel("linux-pam") && !is_kernel("util-linux"));
    }
}
