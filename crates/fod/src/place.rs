//! A URL as far as it matters here: its scheme, its host, and what its reference may become.

use std::fmt;
use std::net::IpAddr;

use snowguard_reach::is_public;

/// How bytes come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// HTTP over TLS.
    Https,
    /// HTTP: whoever is between can change what comes.
    Http,
    /// FTP, also without protection.
    Ftp,
    /// Git's own protocol, without protection.
    Git,
    /// Over SSH.
    Ssh,
    /// Subversion's own protocol, without protection.
    Svn,
    /// A mirror whose list was not read.
    Mirror,
    /// A file of this machine.
    File,
    /// Any other.
    Other,
}

impl Scheme {
    /// The word of interfaces.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Http => "http",
            Self::Ftp => "ftp",
            Self::Git => "git",
            Self::Ssh => "ssh",
            Self::Svn => "svn",
            Self::Mirror => "mirror",
            Self::File => "file",
            Self::Other => "other",
        }
    }

    /// Whether who is between can read and change what comes. A mirror's is not known.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Http | Self::Ftp | Self::Git | Self::Svn)
    }

    fn of(word: &str) -> Self {
        // `git+https`, `svn+ssh`: what carries it counts.
        let carrier = word.rsplit('+').next().unwrap_or(word);
        match carrier {
            "https" | "ftps" => Self::Https,
            "http" => Self::Http,
            "ftp" => Self::Ftp,
            "git" => Self::Git,
            "ssh" => Self::Ssh,
            "svn" => Self::Svn,
            "mirror" => Self::Mirror,
            "file" => Self::File,
            _ => Self::Other,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a host is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// In the public network, as far as its name tells.
    Public,
    /// In a private network, on this machine, or by a name that only a private network knows.
    Private,
}

/// What stays the same where something is fetched again, in the order of how much it moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reference {
    /// The address holds a digest of the content, such as a commit: another content has another one.
    Content,
    /// A file of a registry that does not take releases back, and does not replace them.
    Registry,
    /// A file that belongs to a release; its owner can replace it.
    Release,
    /// A file on a server.
    File,
    /// A tag; its owner can move it.
    Tag,
    /// A branch, or "latest": it moves as a matter of course.
    Branch,
    /// Nothing is named.
    None,
}

impl Reference {
    /// The word of interfaces.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Content => "content",
            Self::Registry => "registry",
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

/// A URL, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place<'u> {
    /// How bytes come.
    pub scheme: Scheme,
    /// The host in lower case, without user and port; the name of a mirror; empty for files.
    pub host: String,
    /// What follows the host, with its slash, without query and fragment.
    pub path: &'u str,
    /// The query, without `?`.
    pub query: &'u str,
    /// Whether a user or a password stands in it.
    pub has_credentials: bool,
}

impl<'u> Place<'u> {
    /// Takes a URL apart. What has no scheme is taken as `HOST:PATH`, as SSH has it, or as a file.
    pub fn of(url: &'u str) -> Self {
        let url = url.trim();
        let Some((scheme, rest)) = url.split_once("://") else {
            return Self::without_scheme(url);
        };
        let scheme = Scheme::of(&scheme.to_ascii_lowercase());
        let rest = rest.split('#').next().unwrap_or(rest);
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let end = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        Self {
            scheme,
            host: without_port(host).to_ascii_lowercase(),
            path,
            query,
            // `git@` of SSH is how one says who one is to it; it is no secret.
            has_credentials: user.contains(':') || (!user.is_empty() && scheme != Scheme::Ssh),
        }
    }

    fn without_scheme(url: &'u str) -> Self {
        let file = || Self {
            scheme: Scheme::File,
            host: String::new(),
            path: url,
            query: "",
            has_credentials: false,
        };
        if url.starts_with(['/', '.']) {
            return file();
        }
        match url.split_once(':') {
            Some((host, path)) if !host.is_empty() && !host.contains('/') => Self {
                scheme: Scheme::Ssh,
                host: host.rsplit('@').next().unwrap_or(host).to_ascii_lowercase(),
                path,
                query: "",
                has_credentials: false,
            },
            _ => Self {
                scheme: Scheme::Other,
                ..file()
            },
        }
    }

    /// Where its host is.
    pub fn network(&self) -> Host {
        if is_private(&self.host) {
            Host::Private
        } else {
            Host::Public
        }
    }

    /// What stays the same where it is fetched again. `rev` is the revision that stands beside it.
    pub fn reference(&self, rev: Option<&str>) -> Reference {
        if let Some(rev) = rev.map(str::trim).filter(|rev| !rev.is_empty()) {
            return of_revision(rev);
        }
        of_path(self)
    }
}

fn without_port(authority: &str) -> &str {
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split(']').next().unwrap_or(rest);
    }
    authority.split(':').next().unwrap_or(authority)
}

/// Names that are no names of the public network: RFC 6761, 6762, 8375, and what routers use.
const PRIVATE_ENDS: [&str; 9] = [
    "localhost",
    "local",
    "internal",
    "intranet",
    "lan",
    "home",
    "corp",
    "home.arpa",
    "private",
];

fn is_private(host: &str) -> bool {
    if host.is_empty() {
        return false;
    }
    if let Ok(address) = host.parse::<IpAddr>() {
        return !is_public(address);
    }
    let host = host.strip_suffix('.').unwrap_or(host);
    // A name without a dot is looked up where its machine is.
    !host.contains('.')
        || PRIVATE_ENDS.iter().any(|end| {
            host.strip_suffix(end)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        })
}

/// Parts of a path that mean what is newest, wherever they stand.
const MOVING: [&str; 4] = ["HEAD", "latest", "master", "nightly"];

/// Branches by the names that are usual; any other name may be a tag as well.
const BRANCHES: [&str; 9] = [
    "HEAD", "master", "main", "trunk", "develop", "dev", "default", "tip", "latest",
];

fn of_revision(rev: &str) -> Reference {
    if is_commit(rev) {
        Reference::Content
    } else if rev.starts_with("refs/heads/") || BRANCHES.contains(&rev) {
        Reference::Branch
    } else {
        Reference::Tag
    }
}

/// A whole commit: SHA-1 or SHA-256.
fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
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

fn of_path(place: &Place<'_>) -> Reference {
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
    let query = place.query.split('&').map(|pair| {
        let value = pair.split_once('=').map_or(pair, |(_, value)| value);
        without_ending(value)
    });
    if bare.iter().copied().chain(query.clone()).any(is_commit) {
        return Reference::Content;
    }
    // `NAME-COMMIT.tar.gz`, as forges name what they generate.
    if bare
        .last()
        .and_then(|last| last.rsplit(['-', '_']).next())
        .is_some_and(is_commit)
    {
        return Reference::Content;
    }
    if is_registry(&segments) {
        return Reference::Registry;
    }
    if pair(&segments, "releases", "download") {
        return Reference::Release;
    }
    if let Some(name) = of_forge(place, &bare) {
        return of_revision(name);
    }
    // cgit names the revision in the query, and means the default branch where there is none.
    if bare.contains(&"plain") && (bare.contains(&"cgit") || place.host.starts_with("git.")) {
        let named = place.query.split('&').find_map(|pair| {
            let value = pair.strip_prefix("h=").or_else(|| pair.strip_prefix("id="));
            value.filter(|value| !value.is_empty())
        });
        return of_revision(named.unwrap_or("HEAD"));
    }
    if pair(&bare, "refs", "heads") || bare.iter().any(|part| MOVING.contains(part)) {
        return Reference::Branch;
    }
    Reference::File
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
    (pair(segments, "api", "v1") && segments.contains(&"crates") && ends("download"))
        || (segments.contains(&"crates") && ends(".crate"))
        || (segments.len() >= 3 && ends(".tgz") && segments.contains(&"-"))
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

/// The revision in a path of a forge: `OWNER/REPO/archive/REF`, `…/-/archive/REF/NAME`, and what else
/// shows a file or a tree of one.
fn of_forge<'p>(place: &Place<'_>, bare: &[&'p str]) -> Option<&'p str> {
    const KINDS: [&str; 6] = ["archive", "tarball", "zipball", "get", "raw", "blob"];
    let rest = match bare {
        [_, _, rest @ ..] if place.host == "raw.githubusercontent.com" => rest,
        [.., "+archive", name] => return Some(name),
        // The two parts before are owner and repository; where there are more, `-` tells them apart.
        [_, _, kind, rest @ ..] if KINDS.contains(kind) => rest,
        _ => {
            let at = bare
                .windows(2)
                .position(|pair| matches!(pair, ["-", kind] if KINDS.contains(kind)))?;
            bare.get(at + 2..)?
        }
    };
    match rest {
        // Gitea says what the name is, too.
        ["refs", "heads", ..] | ["branch", _, ..] => Some("HEAD"),
        ["refs", "tags", name, ..] | ["tag" | "commit", name, ..] | [name, ..] => Some(name),
        [] => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        let shown = |url| {
            let place = Place::of(url);
            let secret = if place.has_credentials {
                ", secret"
            } else {
                ""
            };
            format!("{} {} {}{secret}", place.scheme, place.host, place.path)
        };
        insta::assert_snapshot!(
            [
                "https://Example.org:8443/a?b#c",
                "http://user:pass@x.org/a",
                "git+https://x.org/a.git",
                "git@github.com:owner/repo.git",
                "ssh://git@x.org/repo",
                "mirror://gnu/hello/hello-2.12.tar.gz",
                "http://[fe80::1]:80/x",
                "/tmp/file",
                "https://token@x.org/y",
                "ftp://x.org",
                "lp:project",
            ].map(shown).join("\n"), @"
        https example.org /a
        http x.org /a, secret
        https x.org /a.git
        ssh github.com owner/repo.git
        ssh x.org /repo
        mirror gnu /hello/hello-2.12.tar.gz
        http fe80::1 /x
        file  /tmp/file
        https x.org /y, secret
        ftp x.org 
        ssh lp project
        ");
    }

    #[test]
    fn private_hosts_are_told_by_address_and_name() {
        for private in [
            "http://localhost/x",
            "http://127.8.0.1/",
            "http://10.0.0.7/",
            "http://192.168.1.1/",
            "http://169.254.169.254/latest/meta-data",
            "http://100.64.0.1/",
            "http://[::1]/",
            "http://[fd00::1]/",
            "http://[::ffff:10.0.0.1]/",
            "http://[64:ff9b::7f00:1]/",
            "http://[2002:0a00:0001::]/",
            "http://0.0.0.0/",
            "http://build/",
            "http://git.corp/",
            "http://nas.local./",
            "http://x.home.arpa/",
        ] {
            assert_eq!(Place::of(private).network(), Host::Private, "{private}");
        }
        for public in [
            "https://github.com/",
            "http://8.8.8.8/",
            "http://[2606:4700::1]/",
            "https://mylocal.org/",
            "http://[64:ff9b::808:808]/",
            "https://internal.example.org/",
            "/tmp/file",
        ] {
            assert_eq!(Place::of(public).network(), Host::Public, "{public}");
        }
    }

    #[test]
    fn what_a_reference_may_become() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        let of = |url: &str| Place::of(&url.replace("COMMIT", commit)).reference(None);
        for (url, expected) in [
            (
                "https://github.com/o/r/archive/COMMIT.tar.gz",
                Reference::Content,
            ),
            (
                "https://gitlab.com/o/r/-/archive/COMMIT/r-COMMIT.tar.gz",
                Reference::Content,
            ),
            (
                "https://git.x.org/r.git/snapshot/r-COMMIT.tar.gz",
                Reference::Content,
            ),
            (
                "https://gitlab.com/api/v4/projects/o%2Fr/repository/archive.tar.gz?sha=COMMIT",
                Reference::Content,
            ),
            (
                "https://github.com/o/r/commit/COMMIT.patch",
                Reference::Content,
            ),
            ("https://github.com/o/r/archive/v1.2.tar.gz", Reference::Tag),
            (
                "https://github.com/o/r/archive/refs/tags/v1.2.tar.gz",
                Reference::Tag,
            ),
            (
                "https://github.com/o/r/archive/master.tar.gz",
                Reference::Branch,
            ),
            (
                "https://github.com/o/r/archive/refs/heads/x.tar.gz",
                Reference::Branch,
            ),
            (
                "https://github.com/o/r/releases/download/v1/r-1.tar.gz",
                Reference::Release,
            ),
            (
                "https://registry.example/api/v1/crates/serde/1.0.1/download",
                Reference::Registry,
            ),
            (
                "https://registry.example/left-pad/-/left-pad-1.3.0.tgz",
                Reference::Registry,
            ),
            (
                "mirror://pypi/f/falcon/falcon-2.0.0.tar.gz",
                Reference::Registry,
            ),
            ("mirror://gnu/hello/hello-2.12.tar.gz", Reference::File),
            ("https://x.org/download/latest/x.zip", Reference::Branch),
            ("https://x.org/x-1.0.tar.gz", Reference::File),
        ] {
            assert_eq!(of(url), expected, "{url}");
        }
        let git = |rev| Place::of("https://x.org/r.git").reference(Some(rev));
        assert_eq!(git(commit), Reference::Content);
        assert_eq!(git("v1.0"), Reference::Tag);
        assert_eq!(git("refs/tags/v1.0"), Reference::Tag);
        assert_eq!(git("refs/heads/x"), Reference::Branch);
        assert_eq!(git("HEAD"), Reference::Branch);
    }

    proptest::proptest! {
        #[test]
        fn nothing_panics(url in ".{0,200}", rev in ".{0,80}") {
            let place = Place::of(&url);
            let _ = (place.network(), place.reference(None), place.reference(Some(&rev)));
        }
    }
}
