//! Two package sets: what came, what went, and what has another source with the same hash.
//!
//! A fixed output is had from the store by its hash and its name, so that who changes the version and forgets the
//! hash builds the old source, and nothing fails; where the name has the version in it, what was forgotten is
//! noticed by whoever fetches it next, and by nobody who has no need to. That one set alone has one hash under two URLs says little:
//! mirrors, moved projects and tags beside their commits do. Between two states of one set it is precise:
//! a derivation that names another source than before, and promises the same bytes.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use snowguard_store::ContentAddress;

use crate::class::Class;
use crate::fod::Fod;
use crate::place::Place;

/// From what one is fetched: as far as it is written down.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source {
    /// The URLs, in the order in which they are tried: the first that answers decides.
    pub urls: Vec<Box<str>>,
    /// The revision.
    pub rev: Option<Box<str>>,
    /// Where there is no URL: the store paths of what it is fetched for.
    pub sources: Vec<Box<str>>,
}

impl Source {
    /// That of a derivation.
    pub fn of(fod: &Fod) -> Self {
        let mut sources = fod.sources.clone();
        sources.sort_unstable();
        sources.dedup();
        Self {
            urls: fod.urls.clone(),
            rev: fod.revision().map(Into::into),
            sources,
        }
    }

    /// Whether anything is written down.
    fn is_told(&self) -> bool {
        !self.urls.is_empty() || !self.sources.is_empty()
    }
}

/// What an unchanged hash under a changed source may mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Only the place: host, scheme or directory; the file and the revision have the same names.
    Moved,
    /// The same source and the same demands; another script fetches it.
    Script,
    /// The same source, asked for in another way: with submodules, with another program for what came.
    Altered,
    /// The same numbers at the same host, and other words in the path: a directory that moved, or another branch or
    /// release that goes by a name.
    Relocated,
    /// What a package manager fetches for another source: right if that locks the same versions.
    Vendored,
    /// Another version or revision, and the same bytes: most likely the hash was forgotten.
    Stale,
}

impl Kind {
    /// The word of interfaces.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Moved => "moved",
            Self::Script => "script",
            Self::Altered => "altered",
            Self::Relocated => "relocated",
            Self::Vendored => "vendored",
            Self::Stale => "stale",
        }
    }

    /// What it means, for one whose output is that of before, or for one whose name is another and its output too.
    pub const fn what(self, is_same_output: bool) -> &'static str {
        match self {
            Self::Moved => "another place, the same file name and the same hash",
            Self::Script => {
                "another script fetches it, and the same hash: right only if the script does the same"
            }
            Self::Altered => {
                "the same source in another way, and the same hash: right only if what comes is the same"
            }
            Self::Relocated => {
                "another path at the same host, and the same hash: right only if it is no other release"
            }
            Self::Vendored => {
                "another source, the same hash of what is vendored for it: right only if the lock file is the same"
            }
            Self::Stale if is_same_output => {
                "another version or revision, and the same hash: the old source is built"
            }
            Self::Stale => {
                "another version or revision, and the same hash: Nix refuses what comes, unless it is the old file"
            }
        }
    }
}

/// Another source, the same hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unchanged {
    /// What it may mean.
    pub kind: Kind,
    /// Before: its place in the first set.
    pub base: usize,
    /// After: its place in the second set.
    pub head: usize,
}

/// The same source, another hash: somebody put other bytes there, or a mistake was mended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rehashed {
    /// Before: its place in the first set.
    pub base: usize,
    /// After: its place in the second set.
    pub head: usize,
}

/// What differs between two sets, as places in them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// In the second only: neither its source nor its hash was there.
    pub added: Vec<usize>,
    /// In the first only.
    pub removed: Vec<usize>,
    /// Another source, the same hash; the stale ones first.
    pub unchanged: Vec<Unchanged>,
    /// The same source, another hash.
    pub rehashed: Vec<Rehashed>,
    /// How many are the same.
    pub same: usize,
}

/// One source, however its address is written: its first place, its revision, and what it is fetched for.
type Spot<'f> = (
    Option<(String, Vec<String>, &'f str)>,
    Option<&'f str>,
    &'f [Box<str>],
);

/// What makes two of them equal: what is promised, from where, what is asked for, and by which scripts.
type Key<'f> = (ContentAddress, Source, &'f str, &'f [Box<str>]);

/// Compares two sets. Equal ones count once, whatever they are needed for.
pub fn compare(base: &[&Fod], head: &[&Fod]) -> Difference {
    let (before, after) = (by_key(base), by_key(head));
    let mut by_address: BTreeMap<ContentAddress, Vec<usize>> = BTreeMap::new();
    let mut by_spot: BTreeMap<Spot<'_>, Vec<usize>> = BTreeMap::new();
    for ((address, ..), at) in &before {
        by_address.entry(*address).or_default().push(*at);
        if let Some(spot) = spot(base[*at]) {
            by_spot.entry(spot).or_default().push(*at);
        }
    }
    let mut difference = Difference::default();
    let mut explained: BTreeSet<usize> = BTreeSet::new();
    for (key, &at) in &after {
        if before.contains_key(key) {
            difference.same += 1;
            continue;
        }
        let ((address, source, ..), fod) = (key, head[at]);
        // Of several with this hash the one that is most like it: what it was moved from is no alarm.
        // What names no source at all is compared with its like alone.
        let like = by_address
            .get(address)
            .into_iter()
            .flatten()
            .filter(|at| source.is_told() || !Source::of(base[**at]).is_told())
            .map(|at| (kind(base[*at], fod), base[*at].name != fod.name, *at))
            .min();
        if let Some((kind, _, was)) = like {
            explained.insert(was);
            difference.unchanged.push(Unchanged {
                kind,
                base: was,
                head: at,
            });
            continue;
        }
        // What is asked for in another way and has another name is another thing: two parts of one patch.
        let was = spot(fod)
            .and_then(|spot| by_spot.get(&spot))
            .into_iter()
            .flatten()
            .find(|was| {
                let was = base[**was];
                let is_like = was.name == fod.name || was.asked == fod.asked;
                is_like && was.address.method == address.method
            });
        if let Some(&was) = was {
            explained.insert(was);
            difference.rehashed.push(Rehashed {
                base: was,
                head: at,
            });
        } else {
            difference.added.push(at);
        }
    }
    let gone = before.iter().filter(|(key, _)| !after.contains_key(*key));
    difference.removed = gone
        .map(|(_, at)| *at)
        .filter(|at| !explained.contains(at))
        .collect();
    let name = |at: usize| &head[at].name;
    difference.added.sort_by_key(|at| name(*at));
    difference.removed.sort_by_key(|at| &base[*at].name);
    difference
        .unchanged
        .sort_by_key(|found| (std::cmp::Reverse(found.kind), name(found.head)));
    difference.rehashed.sort_by_key(|found| name(found.head));
    difference
}

/// The first of equal ones, by what makes them equal.
fn by_key<'f>(fods: &[&'f Fod]) -> BTreeMap<Key<'f>, usize> {
    let mut map = BTreeMap::new();
    for (at, fod) in fods.iter().enumerate() {
        map.entry((fod.address, Source::of(fod), &*fod.asked, &*fod.scripts))
            .or_insert(at);
    }
    map
}

/// Where one comes from first; none where nothing is written down.
fn spot(fod: &Fod) -> Option<Spot<'_>> {
    let place = fod.urls.first().map(|url| {
        let place = Place::of(url);
        let path = segments(&place).into_iter().map(Cow::into_owned).collect();
        (place.host, path, place.query)
    });
    (place.is_some() || !fod.sources.is_empty()).then(|| (place, fod.revision(), &*fod.sources))
}

/// What the same hash under another source, or asked for in another way, means.
fn kind(base: &Fod, head: &Fod) -> Kind {
    // Where both are the same, the scripts are not.
    let in_the_same_way = || match (base.asked == head.asked, base.scripts == head.scripts) {
        (true, true) => None,
        (true, false) => Some(Kind::Script),
        (false, _) => Some(Kind::Altered),
    };
    if Source::of(base) == Source::of(head) {
        return in_the_same_way().unwrap_or(Kind::Altered);
    }
    if head.urls.is_empty() || head.tool.class == Class::Vendor {
        return Kind::Vendored;
    }
    // Of several addresses the first that answers decides; those behind it serve the same file or none.
    let is_same_revision = base.revision() == head.revision();
    let Some(first) = head.place().filter(|_| is_same_revision) else {
        return Kind::Stale;
    };
    let is_known = |place: &Place<'_>| base.places().any(|was| is_same_file(&was, place));
    if is_known(&first) {
        // What stood behind the first, and what is new behind it, was never held against the hash.
        let was_first = base.place().is_some_and(|was| is_same_file(&was, &first));
        let has_more = head.places().any(|place| !is_known(&place));
        let least = if was_first && !has_more {
            Kind::Moved
        } else {
            Kind::Altered
        };
        in_the_same_way().map_or(least, |kind| kind.max(least))
    } else if base.places().any(|place| is_near(&place, &first)) {
        Kind::Relocated
    } else {
        Kind::Stale
    }
}

/// Whether two addresses name the same file of the same version.
///
/// On one host the whole path says which it is, however it is spelt: a release may go by a name (`bookworm`,
/// `nightly`). Between hosts directories differ (`v1` of an
/// interface, the year of a mirror's copy), and parts count that look like a version; where none does, a name
/// with a number of its own (`12many.r15878.tar.xz`) is enough, and else all parts with a digit.
pub fn is_same_file(one: &Place<'_>, other: &Place<'_>) -> bool {
    let (one_parts, other_parts) = (parts(one), parts(other));
    if one.query != other.query {
        return false;
    }
    if one.host == other.host {
        return one_parts == other_parts;
    }
    let is_last_same = one_parts.last() == other_parts.last();
    if one_parts
        .iter()
        .chain(&other_parts)
        .any(|part| is_versioned(part))
    {
        return have_same(&one_parts, &other_parts, is_versioned) && is_last_same;
    }
    (is_last_same && one_parts.last().is_some_and(|last| is_numbered(last)))
        || have_same_numbers(&one_parts, &other_parts)
        || one.path == other.path
}

/// Whether two addresses of one host have the same numbers. Every part that has a digit may be the version:
/// `v1.2/tool-linux-x86_64.tar.gz` has it in the directory, whatever other digits its name has.
fn is_near(one: &Place<'_>, other: &Place<'_>) -> bool {
    one.host == other.host
        && one.query == other.query
        && have_same_numbers(&parts(one), &parts(other))
}

/// Whether two paths have the same parts with a digit, and any.
fn have_same_numbers(one: &[String], other: &[String]) -> bool {
    let has_digit = |part: &str| part.bytes().any(|byte| byte.is_ascii_digit());
    one.iter().any(|part| has_digit(part)) && have_same(one, other, has_digit)
}

/// Whether two paths have the same parts of a kind, in whatever order.
fn have_same(one: &[String], other: &[String], takes: impl Fn(&str) -> bool) -> bool {
    let those = |parts: &[String]| {
        let mut those: Vec<String> = parts.iter().filter(|part| takes(part)).cloned().collect();
        those.sort_unstable();
        those
    };
    those(one) == those(other)
}

/// Whether a name has a number that tells it from its like, with a letter before it at most: not that of a
/// processor, of a packing, or of a year.
fn is_numbered(name: &str) -> bool {
    const OTHERS: [&str; 10] = [
        "x86", "386", "486", "586", "686", "i386", "i486", "i586", "i686", "x264",
    ];
    let mut words = name.split(|c: char| !c.is_ascii_alphanumeric());
    words.any(|word| {
        let digits = word.trim_start_matches(|c: char| c.is_ascii_alphabetic());
        let is_year = digits.len() == 4 && (digits.starts_with("19") || digits.starts_with("20"));
        digits.len() >= 3
            && word.len() - digits.len() <= 1
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && !is_year
            && !OTHERS.contains(&word)
    })
}

/// The parts of a path, each as it is meant.
fn segments<'u>(place: &Place<'u>) -> Vec<Cow<'u, str>> {
    let mut parts: Vec<Cow<'_, str>> = Vec::new();
    for part in place.path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            _ => parts.push(decoded(part)),
        }
    }
    parts
}

/// The same, where `v1.2` and `1.2` are one version.
fn parts(place: &Place<'_>) -> Vec<String> {
    let bare = |part: &str| {
        let rest = part.strip_prefix('v').unwrap_or(part);
        let is_version = rest.starts_with(|first: char| first.is_ascii_digit());
        if is_version { rest } else { part }.to_owned()
    };
    let parts = segments(place);
    parts.iter().map(|part| bare(part)).collect()
}

/// A part of a path without `%XX` for what can be written as it is.
fn decoded(part: &str) -> Cow<'_, str> {
    if !part.contains('%') {
        return Cow::Borrowed(part);
    }
    let (mut out, mut rest) = (String::new(), part);
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        let code = after
            .get(..2)
            .and_then(|code| u8::from_str_radix(code, 16).ok());
        rest = match code.filter(|byte| byte.is_ascii_graphic() && !b"/%".contains(byte)) {
            Some(byte) => {
                out.push(char::from(byte));
                &after[2..]
            }
            None => {
                out.push('%');
                after
            }
        };
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Whether it has a number, a dot and a number.
fn is_versioned(part: &str) -> bool {
    part.as_bytes()
        .windows(3)
        .any(|at| at[0].is_ascii_digit() && at[1] == b'.' && at[2].is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use snowguard_store::{Hash, StoreDir};

    use super::*;
    use crate::fod::tests::of_hash;
    use crate::plan::tests::run_by_script;

    fn fod(name: &str, inputs: &[&str], env: &[(&str, &str)], hash: u8) -> Fod {
        let drv = of_hash(name, "/bin/sh", inputs, env, Hash::sha256([hash; 32]));
        Fod::of(&drv, &StoreDir::default()).unwrap()
    }

    fn url(name: &str, url: &str, hash: u8) -> Fod {
        fod(name, &["curl-8.1"], &[("urls", url)], hash)
    }

    fn told(base: &[Fod], head: &[Fod]) -> String {
        let (base, head): (Vec<&Fod>, Vec<&Fod>) = (base.iter().collect(), head.iter().collect());
        let difference = compare(&base, &head);
        let mut lines = vec![format!("same {}", difference.same)];
        let added = difference.added.iter().map(|at| head[*at]);
        lines.extend(added.map(|fod| format!("added {}", fod.name)));
        let removed = difference.removed.iter().map(|at| base[*at]);
        lines.extend(removed.map(|fod| format!("removed {}", fod.name)));
        lines.extend(difference.unchanged.iter().map(|found| {
            let (before, after) = (&base[found.base].name, &head[found.head].name);
            format!("{} {after} <- {before}", found.kind.as_str())
        }));
        let rehashed = difference.rehashed.iter().map(|found| head[found.head]);
        lines.extend(rehashed.map(|fod| format!("rehashed {}", fod.name)));
        lines.join("\n")
    }

    #[test]
    fn a_forgotten_hash_is_told() {
        let base = [
            url("nix-2.24.14.tar.gz", "https://x.org/nix-2.24.14.tar.gz", 1),
            url("same.tar.gz", "https://x.org/same-1.tar.gz", 2),
            url("gone.tar.gz", "https://x.org/gone-1.tar.gz", 3),
        ];
        let head = [
            url("nix-2.24.15.tar.gz", "https://x.org/nix-2.24.15.tar.gz", 1),
            url("same.tar.gz", "https://x.org/same-1.tar.gz", 2),
            url("new.tar.gz", "https://x.org/new-1.tar.gz", 4),
        ];
        insta::assert_snapshot!(told(&base, &head), @"
        same 1
        added new.tar.gz
        removed gone.tar.gz
        stale nix-2.24.15.tar.gz <- nix-2.24.14.tar.gz
        ");
    }

    #[test]
    fn a_version_in_the_directory_counts() {
        let base = [url("source", "https://github.com/o/r/archive/v1.tar.gz", 1)];
        let head = [url("source", "https://github.com/o/r/archive/v2.tar.gz", 1)];
        assert_eq!(told(&base, &head), "same 0\nstale source <- source");
        let base = [url(
            "x",
            "https://registry.example/api/v1/crates/x/1.0.1/download",
            1,
        )];
        let head = [url(
            "x",
            "https://registry.example/api/v1/crates/x/1.0.2/download",
            1,
        )];
        assert_eq!(told(&base, &head), "same 0\nstale x <- x");
    }

    #[test]
    fn digits_of_a_platform_or_of_a_packing_are_no_version() {
        for name in [
            "tool-linux-x86_64.tar.gz",
            "tool-linux-amd64",
            "tool-win32.zip",
            "tool.tar.bz2",
            "tool-i686.7z",
        ] {
            let at = |host: &str, version: &str| {
                [url(
                    "x",
                    &format!("https://{host}/o/r/releases/download/v{version}/{name}"),
                    1,
                )]
            };
            let base = at("github.com", "1.2.3");
            assert_eq!(
                told(&base, &at("github.com", "1.2.4")),
                "same 0\nstale x <- x",
                "{name}"
            );
            assert_eq!(
                told(&base, &at("x.org", "1.2.4")),
                "same 0\nstale x <- x",
                "{name}"
            );
            assert_eq!(
                told(&base, &at("x.org", "1.2.3")),
                "same 0\nmoved x <- x",
                "{name}"
            );
        }
        // An interface has a version of its own.
        let base = [url(
            "x",
            "https://crates.io/api/v1/crates/x/1.0.1/download",
            1,
        )];
        let head = [url(
            "x",
            "https://static.crates.io/crates/x/1.0.1/download",
            1,
        )];
        assert_eq!(told(&base, &head), "same 0\nmoved x <- x");
        // Of several the first that answers decides.
        let base = [url("x", "https://x.org/x-2.tar.gz", 1)];
        let head = [url(
            "x",
            "https://x.org/x-3.tar.gz https://x.org/x-2.tar.gz",
            1,
        )];
        assert_eq!(told(&base, &head), "same 0\nstale x <- x");
    }

    #[test]
    fn a_mirror_that_moves_is_no_alarm() {
        let old = "http://ftp.x.org/historic/texlive/2019/tlnet-final/archive/";
        let new = "https://mirror.y.org/systems/texlive/tlnet/archive/";
        let told = |old: &str, new: &str, name: &str, other: &str| {
            let base = [url("x", &format!("{old}{name}"), 1)];
            let head = [url("x", &format!("{new}{other}"), 1)];
            told(&base, &head)
        };
        let (moved, stale) = ("same 0\nmoved x <- x", "same 0\nstale x <- x");
        let name = "12many.r15878.tar.xz";
        assert_eq!(told(old, new, name, name), moved);
        assert_eq!(told(old, new, name, "12many.r15879.tar.xz"), stale);
        for name in [
            "tool-i686.tar.gz",
            "tool-x86_64.tgz",
            "tool-2019.tgz",
            "a1.gz",
        ] {
            assert_eq!(told(old, new, name, name), stale, "{name}");
        }
        // On one host the directory may be the version.
        assert_eq!(told(old, "http://ftp.x.org/2020/", name, name), stale);
    }

    #[test]
    fn a_revision_beside_the_same_address_is_no_alarm() {
        let archive = |rev: &[(&str, &str)], url: &str| {
            let mut env = vec![("urls", url)];
            env.extend(rev);
            fod("source", &["curl-8.1"], &env, 1)
        };
        let (one, two) = (
            "https://github.com/o/r/archive/v1.0.2.tar.gz",
            "https://github.com/o/r/archive/v1.0.3.tar.gz",
        );
        let rev = [("rev", "v1.0.2")];
        assert_eq!(told(&[archive(&[], one)], &[archive(&rev, one)]), "same 1");
        let stale = "same 0\nstale source <- source";
        assert_eq!(told(&[archive(&rev, one)], &[archive(&rev, two)]), stale);
        // It is no address that a repository was fetched by.
        let git = |rev| {
            let env = [("url", "https://x.org/v1v2.git"), ("rev", rev)];
            fod("source", &["git-2.5"], &env, 1)
        };
        assert_eq!(told(&[git("v1")], &[git("v2")]), stale);
    }

    #[test]
    fn the_same_source_in_another_way_is_told() {
        let git = |more: &[(&str, &str)]| {
            let mut env = vec![("url", "https://x.org/r.git"), ("rev", "v1")];
            env.extend(more);
            fod("r", &["git-2.5"], &env, 1)
        };
        let altered = "same 0\naltered r <- r";
        assert_eq!(told(&[git(&[])], &[git(&[])]), "same 1");
        // What is fetched without its builder is compared by the form in which it is taken.
        let by_script = |more: &[(&str, &str)]| {
            let mut env = vec![("url", "https://x.org/r.git"), ("rev", "v1")];
            env.extend(more);
            run_by_script(true, "/bin/sh", &["git-2.5"], &env)
        };
        assert_eq!(by_script(&[("fetchLFS", "1")]).plan.as_str(), "git");
        for more in [
            ("fetchSubmodules", "1"),
            ("sparseCheckout", "src"),
            ("fetchLFS", "1"),
            ("leaveDotGit", "1"),
            ("postFetch", "rm -r $out/x"),
        ] {
            assert_eq!(told(&[git(&[])], &[git(&[more])]), altered, "{more:?}");
            let (one, other) = ([by_script(&[])], [by_script(&[more])]);
            assert_eq!(told(&one, &other), "same 0\naltered x <- x", "{more:?}");
        }
        let curl = |place: &str, more: &[(&str, &str)]| {
            let mut env = vec![("urls", place)];
            env.extend(more);
            fod("r", &["curl-8.1"], &env, 1)
        };
        let (old, new) = ("https://x.org/r-1.zip", "https://y.org/r-1.zip");
        for more in [
            ("postFetch", "true"),
            ("executable", "1"),
            ("curlOpts", "-d x"),
        ] {
            assert_eq!(
                told(&[curl(old, &[])], &[curl(old, &[more])]),
                altered,
                "{more:?}"
            );
            assert_eq!(
                told(&[curl(old, &[])], &[curl(new, &[more])]),
                altered,
                "{more:?}"
            );
        }
        let vendor = |more: &[(&str, &str)]| {
            let mut env = vec![("src", "/nix/store/00000000000000000000000000000000-s")];
            env.extend(more);
            fod("r", &["go-1.24"], &env, 1)
        };
        for more in [
            ("modRoot", "x"),
            ("proxyVendor", "1"),
            ("patches", "/nix/store/x.patch"),
        ] {
            assert_eq!(
                told(&[vendor(&[])], &[vendor(&[more])]),
                altered,
                "{more:?}"
            );
        }
        // What names no source at all.
        let none = |more: &str| fod("r", &["python3-3.12"], &[("buildCommand", more)], 1);
        assert_eq!(told(&[none("a")], &[none("b")]), altered);
        // Two in one set are two.
        assert_eq!(
            told(
                &[git(&[])],
                &[git(&[("fetchLFS", "1")]), git(&[("leaveDotGit", "1")])]
            ),
            "same 0\naltered r <- r\naltered r <- r"
        );
    }

    #[test]
    fn a_release_may_go_by_a_name() {
        let one = |at: &str| [url("x", at, 1)];
        let dists = |host: &str, name: &str| {
            one(&format!(
                "http://{host}/debian/dists/{name}/main/installer-amd64/netboot.tar.gz"
            ))
        };
        let (old, new) = ("deb.debian.org", "ftp.de.debian.org");
        let relocated = "same 0\nrelocated x <- x";
        let moved = "same 0\nmoved x <- x";
        assert_eq!(
            told(&dists(old, "bullseye"), &dists(old, "bookworm")),
            relocated
        );
        assert_eq!(
            told(&dists(old, "bullseye"), &dists(new, "bullseye")),
            moved
        );
        let stable = one("https://x.org/tool/v1/stable/tool-x86_64.tar.gz");
        let nightly = one("https://x.org/tool/v1/nightly/tool-x86_64.tar.gz");
        assert_eq!(told(&stable, &nightly), relocated);
        // No number at all, and no name that is the same.
        let (stable, nightly) = (one("https://x.org/stable"), one("https://x.org/nightly"));
        assert_eq!(told(&stable, &nightly), "same 0\nstale x <- x");
        // The same in other letters.
        for other in [
            "http://x.org//a/b+c/v1.tar.gz",
            "https://X.org/a/./b%2Bc/d/../1.tar.gz",
        ] {
            assert_eq!(
                told(&one("https://x.org/a/b+c/v1.tar.gz"), &one(other)),
                moved,
                "{other}"
            );
        }
        for broken in ["%", "%2", "%zz", "%\u{e9}1", "%00", "%2F"] {
            assert_eq!(decoded(broken), broken);
        }
    }

    #[test]
    fn another_script_is_told() {
        let by = |digest: char, env: &[(&str, &str)]| {
            let digest: String = std::iter::repeat_n(digest, 32).collect();
            let script = format!("/nix/store/{digest}-builder.sh");
            let hash = Hash::sha256([1; 32]);
            let mut drv = of_hash("x", "/bin/sh", &["curl-8.1"], env, hash).to_builder();
            drv.arg("-e").arg(script.as_str());
            drv.input_src(StoreDir::default().parse(&*script).unwrap());
            Fod::of(&drv.build().unwrap(), &StoreDir::default()).unwrap()
        };
        let url = [("urls", "https://x.org/x-1.tar.gz")];
        let more = [url[0], ("postFetch", "rm x")];
        for env in [&url[..], &more] {
            assert_eq!(told(&[by('0', env)], &[by('0', env)]), "same 1");
            let script = "same 0\nscript x <- x";
            assert_eq!(told(&[by('0', env)], &[by('1', env)]), script);
        }
        // Neither of two that differ in it alone is lost.
        assert_eq!(
            told(&[by('0', &url)], &[by('0', &url), by('1', &url)]),
            "same 1\nscript x <- x"
        );
        assert_eq!(
            told(&[by('0', &url)], &[by('1', &more)]),
            "same 0\naltered x <- x"
        );
    }

    #[test]
    fn a_move_is_no_alarm() {
        let base = [url("x-1.tar.gz", "http://old.org/x-1.tar.gz", 1)];
        let head = [url("x-1.tar.gz", "https://new.org/pub/x-1.tar.gz", 1)];
        assert_eq!(told(&base, &head), "same 0\nmoved x-1.tar.gz <- x-1.tar.gz");
        // Beside one that was there before, the same thing under another name is no alarm either.
        let base = [
            url("x-1.tar.gz", "http://old.org/x-1.tar.gz", 1),
            url("x-0.tar.gz", "http://old.org/x-0.tar.gz", 1),
        ];
        assert_eq!(
            told(&base, &head),
            "same 0\nremoved x-0.tar.gz\nmoved x-1.tar.gz <- x-1.tar.gz"
        );
    }

    #[test]
    fn the_first_address_decides() {
        let of = |urls: &str| [url("x", urls, 1)];
        let (one, two) = ("https://x.org/x-1.tar.gz", "https://x.org/x-2.tar.gz");
        let mirror = "https://y.org/pub/x-1.tar.gz";
        let both = |first: &str, second: &str| of(&format!("{first} {second}"));
        let (moved, altered) = ("same 0\nmoved x <- x", "same 0\naltered x <- x");
        assert_eq!(told(&of(one), &both(one, mirror)), moved);
        assert_eq!(told(&both(one, mirror), &both(mirror, one)), moved);
        assert_eq!(told(&both(one, mirror), &of(mirror)), moved);
        // Another version behind it, which then comes first.
        assert_eq!(told(&of(one), &both(one, two)), altered);
        assert_eq!(told(&both(one, two), &both(two, one)), altered);
        assert_eq!(told(&both(one, two), &of(two)), altered);
        assert_eq!(told(&of(one), &of(two)), "same 0\nstale x <- x");
    }

    #[test]
    fn another_hash_under_one_address_is_told_however_it_is_written() {
        let of = |name: &str, urls: &str, hash| [url(name, urls, hash)];
        let base = of("x", "https://x.org/a+b/v1.tar.gz", 1);
        for urls in [
            "https://x.org/a+b/v1.tar.gz",
            "https://x.org/a+b/v1.tar.gz#",
            "http://X.org//a%2Bb/./v1.tar.gz",
            "https://x.org/a+b/v1.tar.gz https://y.org/v1.tar.gz",
        ] {
            for name in ["x", "y"] {
                let expected = format!("same 0\nrehashed {name}");
                assert_eq!(told(&base, &of(name, urls, 2)), expected, "{urls}");
            }
        }
        for urls in [
            "https://x.org/a+b/1.tar.gz",
            "https://x.org/a+b/v1.tar.gz?x",
            "https://y.org/a+b/v1.tar.gz",
        ] {
            let expected = "same 0\nadded x\nremoved x";
            assert_eq!(told(&base, &of("x", urls, 2)), expected, "{urls}");
        }
        // Two parts of one patch.
        let part = |name: &str, program: &str, hash| {
            let env = [("urls", "https://x.org/p"), ("postFetch", program)];
            [fod(name, &["curl-8.1"], &env, hash)]
        };
        assert_eq!(
            told(&part("a", "filter a", 1), &part("b", "filter b", 2)),
            "same 0\nadded b\nremoved a"
        );
    }

    #[test]
    fn what_a_cache_is_fetched_for_counts() {
        let store = |digest: char, rest: &str| {
            let digest: String = std::iter::repeat_n(digest, 32).collect();
            format!("/nix/store/{digest}-{rest}")
        };
        let with = |name: &str, value: &str| {
            let tool = store('0', "yarn-1.22");
            let env = [("nativeBuildInputs", tool.as_str()), (name, value)];
            [fod("offline", &["yarn-1.22"], &env, 1)]
        };
        // A cache of yarn names its lock file, and no source.
        let lock = |digest| with("yarnLock", &store(digest, "source/yarn.lock"));
        assert_eq!(told(&lock('0'), &lock('0')), "same 1");
        assert_eq!(
            told(&lock('0'), &lock('1')),
            "same 0\nvendored offline <- offline"
        );
        // In a program: what is content, and no tool.
        for (rest, expected) in [
            ("source", "altered"),
            ("x-1.2/package-lock.json", "altered"),
            ("x-1.2.tar.gz", "altered"),
            ("jq-1.7/bin/jq", "same 1"),
            ("cacert-3.1/etc/ssl/certs/ca-bundle.crt", "same 1"),
            ("jq-1.7", "same 1"),
        ] {
            let program = |digest| with("buildCommand", &format!("cp {} .", store(digest, rest)));
            let told = told(&program('0'), &program('1'));
            assert!(told.contains(expected), "{rest}: {told}");
        }
    }

    #[test]
    fn a_moved_tag_and_a_vendored_lock() {
        let git = |rev: &str, hash| {
            fod(
                "r",
                &["git-2.5"],
                &[("url", "https://x.org/r.git"), ("rev", rev)],
                hash,
            )
        };
        assert_eq!(told(&[git("v1", 1)], &[git("v1", 2)]), "same 0\nrehashed r");
        assert_eq!(
            told(&[git("v1", 1)], &[git("v2", 1)]),
            "same 0\nstale r <- r"
        );
        let vendor = |source: &str, hash| {
            let path = format!("/nix/store/00000000000000000000000000000000-{source}");
            fod("x-vendor", &["cargo-1.8"], &[("src", &path)], hash)
        };
        assert_eq!(
            told(&[vendor("a", 1)], &[vendor("b", 1)]),
            "same 0\nvendored x-vendor <- x-vendor"
        );
        assert_eq!(told(&[vendor("a", 1)], &[vendor("a", 1)]), "same 1");
    }
}
