//! What to do about a package: the least update that mends the most.

use std::cmp::Ordering;

use snowguard_advisory::order::{Scheme, Version};

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

/// The action for a package in `version` with findings that are fixed at these points.
pub(crate) fn action(version: &str, points: &[FixPoint<'_>]) -> Option<Action> {
    if points.is_empty() {
        return None;
    }
    // A last affected version is passed only by something newer.
    let mended_by = |candidate: &str, point: &FixPoint<'_>| match point {
        FixPoint::In(fix) => compare(candidate, fix).is_ge(),
        FixPoint::After(last) => compare(candidate, last).is_gt(),
        FixPoint::Unknown => false,
    };
    let versions = points.iter().filter_map(|point| match point {
        FixPoint::In(fix) => Some(*fix),
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
    let last = highest(&mut points.iter().filter_map(|point| match point {
        FixPoint::After(last) => Some(*last),
        _ => None,
    }));
    // A known fix beyond the last affected version says all that there is to say.
    let newer_than = last.filter(|last| {
        update_to
            .as_ref()
            .is_none_or(|fix| compare(fix, last).is_le())
    });
    let count = |candidate: &str| {
        points
            .iter()
            .filter(|point| mended_by(candidate, point))
            .count()
    };
    let within = highest(&mut releases.filter(|fix| line(fix) == line(version)));
    let within_line = within
        .filter(|fix| Some(fix) != update_to.as_ref())
        .map(|fix| WithinLine {
            fixes: count(&fix),
            update_to: fix,
        });
    let fixes = match (&update_to, &newer_than) {
        (_, Some(_)) => points
            .iter()
            .filter(|point| !matches!(point, FixPoint::Unknown))
            .count(),
        (Some(fix), None) => count(fix),
        (None, None) => 0,
    };
    Some(Action {
        update_to,
        newer_than,
        fixes,
        of: points.len(),
        within_line,
    })
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
