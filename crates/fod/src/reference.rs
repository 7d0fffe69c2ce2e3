//! What stays the same where something is fetched again, as far as its address or its revision tells.
//!
//! Forges, registries and what shows repositories to browsers are known by the shapes of their addresses. What
//! moves is looked for first: a commit that stands somewhere in an address keeps no branch from moving.

use std::fmt;

use crate::place::{Place, Scheme};

/// What stays the same where something is fetched again, in the order of how much it moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reference {
    /// The address holds a digest of the content, such as a commit: another content has another one.
    Content,
    /// A file of a registry that does not take releases back, and does not replace them; or the number of a
    /// revision, where a server counts them.
    Registry,
    /// The beginning of a commit: it is one as long as no other begins so, and no tag is called so.
    Abbreviated,
    /// A file that belongs to a release; its owner can replace it.
    Release,
    /// A file on a server.
    File,
    /// A tag; its owner can move it.
    Tag,
    /// A branch, a pull request, or "latest": it moves as a matter of course.
    Branch,
    /// Nothing is named.
    None,
}

impl Reference {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Content,
        Self::Registry,
        Self::Abbreviated,
        Self::Release,
        Self::File,
        Self::Tag,
        Self::Branch,
        Self::None,
    ];

    /// The word of interfaces.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Content => "content",
            Self::Registry => "registry",
            Self::Abbreviated => "abbreviated",
            Self::Release => "release",
            Self::Tag => "tag",
            Self::Branch => "branch",
            Self::File => "file",
            Self::None => "none",
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Parts of a path that mean what is newest, wherever they stand.
const MOVING: [&str; 4] = ["HEAD", "latest", "master", "nightly"];

/// Branches by the names that are usual; any other name may be a tag as well.
const BRANCHES: [&str; 9] = [
    "HEAD", "master", "main", "trunk", "develop", "dev", "default", "tip", "latest",
];

/// What a revision of a repository is, by its name.
pub(crate) fn of_revision(rev: &str) -> Reference {
    let rev = rev.trim().replace("%2F", "/").replace("%2f", "/");
    let name = rev.strip_prefix("refs/").unwrap_or(&rev);
    if name.starts_with("tags/") {
        return Reference::Tag;
    }
    let moves = ["heads/", "remotes/", "pull/", "merge-requests/"];
    // `HEAD~3` goes with its head.
    let start = name.split(['~', '^']).next().unwrap_or(name);
    if is_commit(&rev) {
        Reference::Content
    } else if moves.iter().any(|kind| name.starts_with(kind)) || BRANCHES.contains(&start) {
        Reference::Branch
    } else if is_abbreviated(&rev) {
        Reference::Abbreviated
    } else {
        Reference::Tag
    }
}

/// A whole commit: SHA-1 or SHA-256.
fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The beginning of one, as people copy it. Digits alone may be a date, and letters alone a word.
fn is_abbreviated(text: &str) -> bool {
    (7..40).contains(&text.len())
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        && text.bytes().any(|byte| byte.is_ascii_digit())
        && text.bytes().any(|byte| byte.is_ascii_alphabetic())
}

/// Endings of archives, the longer first.
const ARCHIVES: [&str; 11] = [
    ".tar.gz", ".tar.xz", ".tar.bz2", ".tar.zst", ".tar.lz", ".tgz", ".tar", ".zip", ".patch",
    ".diff", ".git",
];

fn without_ending(name: &str) -> &str {
    ARCHIVES
        .iter()
        .find_map(|end| name.strip_suffix(end))
        .unwrap_or(name)
}

/// What an address alone tells.
pub(crate) fn of_place(place: &Place<'_>) -> Reference {
    if place.host.is_empty() && place.path.is_empty() {
        return Reference::None;
    }
    let segments: Vec<&str> = place.path.split('/').filter(|s| !s.is_empty()).collect();
    if place.scheme == Scheme::Mirror
        && matches!(&*place.host, "pypi" | "hackage" | "cpan" | "maven")
    {
        return Reference::Registry;
    }
    let bare: Vec<&str> = segments.iter().map(|s| without_ending(s)).collect();
    let is_registry = is_registry(&segments);
    let forge = of_forge(place, &bare).or_else(|| of_viewer(place, &segments, &bare));
    if is_pull_request(&bare) || (!is_registry && forge == Some(Reference::Branch)) {
        return Reference::Branch;
    }
    let last = bare.last().copied().unwrap_or_default();
    // `NAME-COMMIT.tar.gz`, as forges name what they generate.
    let of_name = last.rsplit(['-', '_']).next().unwrap_or(last);
    let named = REVISIONS.iter().filter_map(|key| value(place, key));
    if bare
        .iter()
        .copied()
        .chain([of_name])
        .chain(named)
        .any(is_commit)
    {
        return Reference::Content;
    }
    if let Some(reference) = of_comparison(&bare) {
        return reference;
    }
    if is_registry {
        return Reference::Registry;
    }
    if pair(&segments, "releases", "download") {
        return Reference::Release;
    }
    if let Some(reference) = forge {
        return reference;
    }
    if pair(&bare, "refs", "heads") || bare.iter().any(|part| MOVING.contains(part)) {
        return Reference::Branch;
    }
    Reference::File
}

/// Parameters of a query that name a revision, or the object itself.
const REVISIONS: [&str; 12] = [
    "name",
    "id",
    "h",
    "hb",
    "sha",
    "ref",
    "rev",
    "commit",
    "commitish",
    "revision",
    "at",
    "hash",
];

/// What a parameter of the query says, without the ending of an archive; none if it is empty.
fn value<'p>(place: &Place<'p>, key: &str) -> Option<&'p str> {
    place.query.split(['&', ';']).find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        (name == key && !value.is_empty()).then(|| without_ending(value))
    })
}

fn pair(segments: &[&str], one: &str, other: &str) -> bool {
    segments
        .windows(2)
        .any(|pair| matches!(pair, [a, b] if *a == one && *b == other))
}

/// Registries by the shape of their paths: of Rust, npm, Python, Ruby, Haskell, .NET, Java and Perl.
fn is_registry(segments: &[&str]) -> bool {
    let last = segments.last().copied().unwrap_or_default();
    let ends = |end: &str| last.ends_with(end);
    let is_forge = || {
        let mut pairs = segments.windows(2);
        pairs.any(|pair| matches!(pair, ["-", kind] if KINDS.contains(kind)))
    };
    (pair(segments, "api", "v1") && segments.contains(&"crates") && ends("download"))
        || (segments.contains(&"crates") && ends(".crate"))
        || (segments.len() >= 3 && ends(".tgz") && segments.contains(&"-") && !is_forge())
        || ((pair(segments, "packages", "source") || pair(segments, "packages", "py2.py3"))
            && segments.len() >= 4)
        || (segments.first() == Some(&"packages") && is_pypi_digest(segments))
        || ends(".gem")
        || (segments.first() == Some(&"package") && ends(".tar.gz") && segments.len() == 3)
        || ends(".nupkg")
        || segments.contains(&"maven2")
        || pair(segments, "authors", "id")
}

/// `packages/ab/cd/REST/NAME`: the registry's own digest.
fn is_pypi_digest(segments: &[&str]) -> bool {
    matches!(segments, [_, a, b, rest, ..]
        if a.len() == 2 && b.len() == 2 && rest.len() >= 56
            && [a, b, rest].iter().all(|part| part.bytes().all(|byte| byte.is_ascii_hexdigit())))
}

/// The patch of a pull request is another after each push to it. One of its commits is not.
fn is_pull_request(bare: &[&str]) -> bool {
    const KINDS: [&str; 4] = ["pull", "pulls", "merge_requests", "pull-requests"];
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let at = bare.windows(2).position(
        |pair| matches!(pair, [kind, number] if KINDS.contains(kind) && is_number(number)),
    );
    at.is_some_and(|at| !bare.iter().skip(at + 2).any(|part| is_commit(part)))
}

/// `compare/A...B` is as good as the one of both that moves more. A fork stands before its revision.
fn of_comparison(bare: &[&str]) -> Option<Reference> {
    let at = bare.iter().position(|part| *part == "compare")?;
    let both = bare.get(at + 1..)?.join("/");
    let (one, other) = both.split_once("...").or_else(|| both.split_once(".."))?;
    let of = |name: &str| of_revision(name.rsplit(':').next().unwrap_or(name));
    Some(of(one).max(of(other)))
}

/// What stands before a revision in the paths of forges.
const KINDS: [&str; 7] = [
    "archive", "tarball", "zipball", "get", "raw", "blob", "commit",
];

/// The revision in a path of a forge: `OWNER/REPO/archive/REF`, `…/-/archive/REF/NAME`, and what else
/// shows a file or a tree of one. Interfaces name it in the query, and mean the default branch where none is.
fn of_forge(place: &Place<'_>, bare: &[&str]) -> Option<Reference> {
    const WHOLE: [&str; 2] = ["tarball", "zipball"];
    let newest = Reference::Branch;
    if let Some(reference) = of_interface(place, bare) {
        return Some(reference);
    }
    match bare {
        [_, _, _, rest @ ..] if place.host == "codeload.github.com" => {
            Some(first_of(rest).unwrap_or(newest))
        }
        [_, _, rest @ ..] if place.host == "raw.githubusercontent.com" => first_of(rest),
        // The two parts before are owner and repository; where there are more, `-` tells them apart.
        [_, _, kind] if WHOLE.contains(kind) => Some(newest),
        [_, _, kind, rest @ ..] if KINDS.contains(kind) => first_of(rest),
        _ => {
            let mut pairs = bare.windows(2);
            let at = pairs.position(|pair| matches!(pair, ["-", kind] if KINDS.contains(kind)))?;
            first_of(bare.get(at + 2..)?)
        }
    }
}

/// The interfaces of GitHub and Gitea (`repos/OWNER/REPO/…`), and of GitLab (`projects/…/repository/…`).
fn of_interface(place: &Place<'_>, bare: &[&str]) -> Option<Reference> {
    let is_version = |text: &str| text.strip_prefix('v').is_some_and(|rest| rest.len() == 1);
    let mut pairs = bare.windows(2);
    let is_one = place.host.starts_with("api.")
        || pairs.any(|pair| matches!(pair, ["api", version] if is_version(version)));
    let named = value(place, "sha").or_else(|| value(place, "ref"));
    let named = named.map_or(Reference::Branch, of_revision);
    let after = |mark: &str, many: usize| {
        let at = bare.iter().position(|part| *part == mark && is_one)?;
        bare.get(at + many..)
    };
    if let Some(["archive" | "files", ..]) = after("repository", 1) {
        return Some(named);
    }
    match after("repos", 3)? {
        ["archive" | "tarball" | "zipball", rest @ ..] => {
            Some(first_of(rest).unwrap_or(Reference::Branch))
        }
        ["contents" | "raw" | "media", ..] => Some(named),
        _ => None,
    }
}

/// The revision with which the rest of a path begins.
fn first_of(rest: &[&str]) -> Option<Reference> {
    match rest {
        // Gitea says what the name is, too.
        ["refs", "tags", ..] | ["tag", _, ..] => Some(Reference::Tag),
        ["refs", ..] | ["heads" | "branch", _, ..] => Some(Reference::Branch),
        ["commit", name, ..] | [name, ..] => Some(of_revision(name)),
        [] => None,
    }
}

/// What shows repositories to browsers: gitiles, Mercurial, gitweb and cgit. They mean the default branch
/// where no revision is named.
fn of_viewer(place: &Place<'_>, segments: &[&str], bare: &[&str]) -> Option<Reference> {
    let after = |marks: &[&str]| {
        let at = bare.iter().position(|part| marks.contains(part))?;
        bare.get(at + 1..)
    };
    if let Some(rest) = after(&["+", "+archive", "raw-file", "raw-rev"]) {
        return first_of(rest);
    }
    let has_repository = || segments.iter().any(|part| part.ends_with(".git"));
    let is_repository = has_repository() || value(place, "p").is_some();
    if is_repository && value(place, "a").is_some() {
        let object = value(place, "h");
        let named = object
            .filter(|name| is_commit(name))
            .or_else(|| value(place, "hb"))
            .or(object);
        return Some(of_revision(named.unwrap_or("HEAD")));
    }
    let is_viewer = has_repository()
        || bare.contains(&"cgit")
        || ["git.", "cgit.", "repo.or.cz"]
            .iter()
            .any(|start| place.host.starts_with(start));
    if !is_viewer {
        return None;
    }
    if let [.., repository, "snapshot", name] = bare {
        let named = name.strip_prefix(repository);
        let named = named.and_then(|rest| rest.strip_prefix('-'));
        return Some(of_revision(named.unwrap_or(name)));
    }
    // gitweb has it in the path, too.
    if after(&["patch", "rawdiff"])
        .and_then(<[&str]>::first)
        .is_some_and(|name| is_commit(name))
    {
        return Some(Reference::Content);
    }
    let shows = ["plain", "patch", "rawdiff"];
    bare.iter().any(|part| shows.contains(part)).then(|| {
        let named = value(place, "id").or_else(|| value(place, "h"));
        of_revision(named.unwrap_or("HEAD"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_reference_may_become() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        let of = |url: &str| Place::of(&url.replace("COMMIT", commit)).reference();
        let cases = [
            "https://github.com/o/r/archive/COMMIT.tar.gz",
            "https://gitlab.com/o/r/-/archive/COMMIT/r-COMMIT.tar.gz",
            "https://git.x.org/r.git/snapshot/r-COMMIT.tar.gz",
            "https://gitlab.com/api/v4/projects/o%2Fr/repository/archive.tar.gz?sha=COMMIT",
            "https://gitlab.com/api/v4/projects/o%2Fr/repository/archive.tar.gz?sha=v2.3.0",
            "https://gitlab.com/api/v4/projects/o%2Fr/repository/archive.tar.gz?sha=refs%2Ftags%2Fmain",
            "https://gitlab.com/api/v4/projects/o%2Fr/repository/archive.tar.gz?sha=main",
            "https://gitlab.com/api/v4/projects/o%2Fr/repository/archive.tar.gz",
            "https://gitlab.com/api/v4/projects/o%2Fr/repository/files/a/raw?ref=main",
            "https://github.com/o/r/commit/COMMIT.patch",
            "https://github.com/o/r/commit/0a1b2c3d.patch",
            "https://github.com/o/r/archive/v1.2.tar.gz",
            "https://github.com/o/r/archive/refs/tags/v1.2.tar.gz",
            "https://github.com/o/r/archive/3d48cb0c28be.tar.gz",
            "https://github.com/o/r/archive/20200102.tar.gz",
            "https://github.com/o/r/archive/master.tar.gz",
            "https://github.com/o/r/archive/main.tar.gz?x=COMMIT",
            "https://raw.githubusercontent.com/o/r/main/COMMIT.patch",
            "https://github.com/o/r/archive/refs/heads/x.tar.gz",
            "https://codeload.github.com/o/r/tar.gz/main",
            "https://codeload.github.com/o/r/legacy.tar.gz/refs/tags/v1",
            "https://api.github.com/repos/o/r/tarball",
            "https://api.github.com/repos/o/r/tarball/v1",
            "https://api.github.com/repos/o/r/contents/a?ref=main",
            "https://github.com/o/r/pull/12.patch",
            "https://github.com/o/r/pull/12/commits/COMMIT.patch",
            "https://patch-diff.githubusercontent.com/raw/o/r/pull/12.patch?x=COMMIT",
            "https://gitlab.com/g/s/r/-/merge_requests/3.diff",
            "https://github.com/o/r/compare/COMMIT...COMMIT.patch",
            "https://github.com/o/r/compare/COMMIT..v2.diff",
            "https://github.com/o/r/compare/v1...fork:main.diff",
            "https://github.com/o/r/releases/download/v1/r-1.tar.gz",
            "https://gitlab.com/o/r/-/archive/v1/r-v1.tgz",
            "https://registry.example/api/v1/crates/serde/1.0.1/download",
            "https://registry.example/left-pad/-/left-pad-1.3.0.tgz",
            "mirror://pypi/f/falcon/falcon-2.0.0.tar.gz",
            "mirror://gnu/hello/hello-2.12.tar.gz",
            "https://x.org/download/latest/x.zip",
            "https://x.org/x-1.0.tar.gz",
            "https://x.org/snapshot/x-1.0.tar.gz",
            "https://git.x.org/cgit/r.git/snapshot/r-1.0.tar.gz",
            "https://git.x.org/r/plain/x.patch?h=v1&id=COMMIT",
            "https://git.x.org/r/plain/x.patch",
            "https://repo.or.cz/r.git/patch/COMMIT",
            "https://x.org/gitweb/?p=r.git;a=snapshot;h=COMMIT;sf=tgz",
            "https://x.org/gitweb/?p=r.git;a=blob_plain;f=x;hb=refs/heads/x",
            "https://x.googlesource.com/r/+archive/refs/tags/v1.tar.gz",
            "https://hg.x.org/r/raw-rev/abcdef012345",
            "https://hg.x.org/r/raw-file/tip/x",
            "https://",
        ];
        let told = cases.map(|url| format!("{} {url}", of(url)));
        insta::assert_snapshot!(told.join("\n"), @"
        content https://github.com/o/r/archive/COMMIT.tar.gz
        content https://gitlab.com/o/r/-/archive/COMMIT/r-COMMIT.tar.gz
        content https://git.x.org/r.git/snapshot/r-COMMIT.tar.gz
        content https://gitlab.com/api/v4/projects/o%2Fr/repository/archive.tar.gz?sha=COMMIT
        tag https://gitlab.com/api/v4/projects/o%2Fr/repository/archive.tar.gz?sha=v2.3.0
        tag https://gitlab.com/api/v4/projects/o%2Fr/repository/archive.tar.gz?sha=refs%2Ftags%2Fmain
        branch https://gitlab.com/api/v4/projects/o%2Fr/repository/archive.tar.gz?sha=main
        branch https://gitlab.com/api/v4/projects/o%2Fr/repository/archive.tar.gz
        branch https://gitlab.com/api/v4/projects/o%2Fr/repository/files/a/raw?ref=main
        content https://github.com/o/r/commit/COMMIT.patch
        abbreviated https://github.com/o/r/commit/0a1b2c3d.patch
        tag https://github.com/o/r/archive/v1.2.tar.gz
        tag https://github.com/o/r/archive/refs/tags/v1.2.tar.gz
        abbreviated https://github.com/o/r/archive/3d48cb0c28be.tar.gz
        tag https://github.com/o/r/archive/20200102.tar.gz
        branch https://github.com/o/r/archive/master.tar.gz
        branch https://github.com/o/r/archive/main.tar.gz?x=COMMIT
        branch https://raw.githubusercontent.com/o/r/main/COMMIT.patch
        branch https://github.com/o/r/archive/refs/heads/x.tar.gz
        branch https://codeload.github.com/o/r/tar.gz/main
        tag https://codeload.github.com/o/r/legacy.tar.gz/refs/tags/v1
        branch https://api.github.com/repos/o/r/tarball
        tag https://api.github.com/repos/o/r/tarball/v1
        branch https://api.github.com/repos/o/r/contents/a?ref=main
        branch https://github.com/o/r/pull/12.patch
        content https://github.com/o/r/pull/12/commits/COMMIT.patch
        branch https://patch-diff.githubusercontent.com/raw/o/r/pull/12.patch?x=COMMIT
        branch https://gitlab.com/g/s/r/-/merge_requests/3.diff
        content https://github.com/o/r/compare/COMMIT...COMMIT.patch
        tag https://github.com/o/r/compare/COMMIT..v2.diff
        branch https://github.com/o/r/compare/v1...fork:main.diff
        release https://github.com/o/r/releases/download/v1/r-1.tar.gz
        tag https://gitlab.com/o/r/-/archive/v1/r-v1.tgz
        registry https://registry.example/api/v1/crates/serde/1.0.1/download
        registry https://registry.example/left-pad/-/left-pad-1.3.0.tgz
        registry mirror://pypi/f/falcon/falcon-2.0.0.tar.gz
        file mirror://gnu/hello/hello-2.12.tar.gz
        branch https://x.org/download/latest/x.zip
        file https://x.org/x-1.0.tar.gz
        file https://x.org/snapshot/x-1.0.tar.gz
        tag https://git.x.org/cgit/r.git/snapshot/r-1.0.tar.gz
        content https://git.x.org/r/plain/x.patch?h=v1&id=COMMIT
        branch https://git.x.org/r/plain/x.patch
        content https://repo.or.cz/r.git/patch/COMMIT
        content https://x.org/gitweb/?p=r.git;a=snapshot;h=COMMIT;sf=tgz
        branch https://x.org/gitweb/?p=r.git;a=blob_plain;f=x;hb=refs/heads/x
        tag https://x.googlesource.com/r/+archive/refs/tags/v1.tar.gz
        abbreviated https://hg.x.org/r/raw-rev/abcdef012345
        branch https://hg.x.org/r/raw-file/tip/x
        none https://
        ");
    }

    #[test]
    fn what_a_revision_is() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        let all = [
            commit,
            "e7e905edc00e",
            "v1.0",
            "refs/tags/v1.0",
            "refs/tags/main",
            "refs/heads/x",
            "refs/pull/1/head",
            "HEAD",
            "HEAD~1",
            "deadbeef",
            "20200102",
            "E7E905EDC00E",
        ];
        let told = all.map(|rev| format!("{rev} {}", of_revision(rev)));
        insta::assert_snapshot!(told.join("\n"), @"
        0123456789abcdef0123456789abcdef01234567 content
        e7e905edc00e abbreviated
        v1.0 tag
        refs/tags/v1.0 tag
        refs/tags/main tag
        refs/heads/x branch
        refs/pull/1/head branch
        HEAD branch
        HEAD~1 branch
        deadbeef tag
        20200102 tag
        E7E905EDC00E tag
        ");
    }

    proptest::proptest! {
        #[test]
        fn nothing_panics(rev in ".{0,80}") {
            let _ = of_revision(&rev);
        }
    }
}
