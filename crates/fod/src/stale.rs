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
mod tests;
