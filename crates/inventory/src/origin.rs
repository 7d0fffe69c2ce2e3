//! What a URL tells about the origin of what it points at.
//!
//! Registries are recognised by the shape of the path and by `mirror://` names, which also works
//! through mirrors and caches, and not by host names. What is no registry still tells who offers
//! the thing: the owner on a forge, the labels of a host, the project on a mirror. These *marks*
//! are what a vendor's name is held against.

use snowguard_advisory::identity::{PackageKey, RepoKey, is_forge, squeeze};

/// What a URL tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// A package in a registry.
    pub package: Option<PackageKey>,
    /// A source repository.
    pub repository: Option<RepoKey>,
    /// Who offers it, squeezed to letters and digits.
    pub marks: Vec<Mark>,
}

/// A word of a URL that may be a vendor's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Letters and digits of the word.
    pub word: String,
    /// What the word is.
    pub kind: MarkKind,
}

/// What a word of a URL is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkKind {
    /// The owner of a repository on a forge.
    Owner,
    /// A part of a host name.
    Host,
    /// A project or directory on a mirror or a shared host.
    Directory,
}

impl MarkKind {
    /// As a reader sees it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "the owner",
            Self::Host => "the host",
            Self::Directory => "a directory",
        }
    }
}

/// Reads a URL of a source or of a home page.
pub fn of_url(url: &str) -> Origin {
    let url = url.trim();
    let mut origin = Origin::default();
    if let Some(mirror) = url.strip_prefix("mirror://") {
        let segments = split(mirror);
        origin.package = mirrored(&segments);
        for segment in segments.iter().take(2) {
            origin.mark(segment, MarkKind::Directory);
        }
        return origin;
    }
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split(['?', '#']).next().unwrap_or(rest);
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = authority.rsplit('@').next().unwrap_or(authority);
    let host = host.split(':').next().unwrap_or(host).to_lowercase();
    let host = host.strip_prefix("www.").unwrap_or(&host);
    let segments = split(path);
    origin.package = registered(&segments);
    if is_forge(host) {
        origin.repository = RepoKey::from_url(url);
        if let Some(owner) = segments.first() {
            origin.mark(owner, MarkKind::Owner);
        }
        // `gitlab.gnome.org` tells as much as `gnome.org` does.
        if host.split('.').count() > 2 {
            origin.mark_host(host);
        }
        return origin;
    }
    // Pages of an owner on a forge: `owner.github.io/project`.
    for pages in [".github.io", ".github.com", ".gitlab.io", ".bitbucket.io"] {
        if let Some(owner) = host.strip_suffix(pages) {
            origin.mark(owner, MarkKind::Owner);
            if let Some(project) = segments.first() {
                let forge = if pages.contains("gitlab") {
                    "gitlab.com"
                } else {
                    "github.com"
                };
                origin.repository =
                    RepoKey::from_url(&format!("https://{forge}/{owner}/{project}"));
            }
            return origin;
        }
    }
    origin.mark_host(host);
    for segment in segments.iter().take(2) {
        origin.mark(segment, MarkKind::Directory);
    }
    origin
}

impl Origin {
    fn mark(&mut self, word: &str, kind: MarkKind) {
        let word = squeeze(word.strip_prefix('~').unwrap_or(word));
        if word.len() > 1 && !self.marks.iter().any(|mark| mark.word == word) {
            self.marks.push(Mark { word, kind });
        }
    }

    fn mark_host(&mut self, host: &str) {
        const NOBODY: [&str; 30] = [
            "com",
            "org",
            "net",
            "io",
            "edu",
            "gov",
            "info",
            "dev",
            "www",
            "ftp",
            "download",
            "downloads",
            "dl",
            "git",
            "files",
            "src",
            "github",
            "gitlab",
            "releases",
            "sourceforge",
            "wiki",
            "docs",
            "readthedocs",
            "co",
            "uk",
            "de",
            "googlecode",
            "code",
            "projects",
            "archive",
        ];
        let labels: Vec<&str> = host.split('.').collect();
        for label in &labels {
            if !NOBODY.contains(label) {
                self.mark(label, MarkKind::Host);
            }
        }
        // `squid-cache.org` as a whole, too: vendors are at times called by their domain.
        if let Some(domain) = labels.len().checked_sub(2).and_then(|at| labels.get(at..)) {
            self.mark(&domain.concat(), MarkKind::Host);
        }
    }
}

fn split(path: &str) -> Vec<&str> {
    path.split('/')
        .filter(|segment| !segment.is_empty())
        .collect()
}

/// `mirror://pypi/W/Werkzeug/Werkzeug-1.0.1.tar.gz` and its like.
fn mirrored(segments: &[&str]) -> Option<PackageKey> {
    let (mirror, rest) = segments.split_first()?;
    match *mirror {
        "pypi" => PackageKey::new("pypi", rest.get(1)?).ok(),
        "cpan" => cpan(rest),
        "hackage" => PackageKey::new("hackage", without_version(rest.first()?)?).ok(),
        "luarocks" => PackageKey::new("luarocks", without_version(rest.last()?)?).ok(),
        "cran" => PackageKey::new("cran", rest.last()?.split_once('_')?.0).ok(),
        "maven" => maven(rest),
        _ => None,
    }
}

/// A registry, by the shape of the path.
fn registered(segments: &[&str]) -> Option<PackageKey> {
    let at = |word: &str| segments.iter().position(|segment| *segment == word);
    // crates: …/api/v1/crates/NAME/VERSION/download
    if let Some(crates) =
        at("crates").filter(|&c| c >= 1 && segments.get(c + 3) == Some(&"download"))
    {
        return PackageKey::new("cargo", segments.get(crates + 1)?).ok();
    }
    // npm: …/[@SCOPE/]NAME/-/NAME-VERSION.tgz
    if let Some(dash) =
        at("-").filter(|&d| d >= 1 && segments.get(d + 1).is_some_and(|f| f.ends_with(".tgz")))
    {
        let name = segments.get(dash - 1)?;
        let scope = dash
            .checked_sub(2)
            .and_then(|s| segments.get(s))
            .filter(|s| s.starts_with('@') || s.starts_with("%40"));
        let name = match scope {
            Some(scope) => format!("{}/{name}", scope.replace("%40", "@")),
            None => (*name).to_owned(),
        };
        return PackageKey::new("npm", &name).ok();
    }
    // PyPI: …/packages/source/N/NAME/FILE, …/packages/aa/bb/HASH/FILE, …/packages/cp38/N/NAME/FILE
    if let Some(packages) = at("packages") {
        let rest = segments.get(packages + 1..)?;
        let file = rest.last()?;
        let is_python = [".whl", ".tar.gz", ".zip", ".tar.bz2", ".egg"]
            .iter()
            .any(|tail| file.ends_with(tail));
        if is_python && rest.len() == 4 {
            let hashed = rest[..3]
                .iter()
                .all(|s| s.bytes().all(|b| b.is_ascii_hexdigit()))
                && rest[0].len() == 2
                && rest[1].len() == 2;
            let name = if hashed {
                without_version(file)?
            } else {
                rest[2]
            };
            return PackageKey::new("pypi", name).ok();
        }
    }
    // RubyGems: …/gems/NAME-VERSION.gem, …/downloads/NAME-VERSION.gem
    let file = segments.last()?;
    if let Some(gem) = file.strip_suffix(".gem")
        && segments.len() >= 2
        && matches!(segments[segments.len() - 2], "gems" | "downloads")
    {
        return PackageKey::new("gem", without_version(gem)?).ok();
    }
    if let Some(authors) = at("authors").filter(|&a| segments.get(a + 1) == Some(&"id")) {
        return cpan(&segments[authors..]);
    }
    // Hackage: …/package/NAME-VERSION/…
    if let Some(package) = at("package").filter(|_| file.ends_with(".tar.gz")) {
        return PackageKey::new("hackage", without_version(segments.get(package + 1)?)?).ok();
    }
    // CRAN: …/src/contrib/[Archive/NAME/]NAME_VERSION.tar.gz
    if at("contrib").is_some() && file.ends_with(".tar.gz") {
        return PackageKey::new("cran", file.split_once('_')?.0).ok();
    }
    // Hex: …/tarballs/NAME-VERSION.tar
    if at("tarballs").is_some_and(|t| t + 2 == segments.len()) && file.ends_with(".tar") {
        return PackageKey::new("hex", without_version(file)?).ok();
    }
    // NuGet: …/api/v2/package/NAME/VERSION
    if let Some(api) = at("api").filter(|&a| segments.get(a + 2) == Some(&"package")) {
        return PackageKey::new("nuget", segments.get(api + 3)?).ok();
    }
    let repository = at("maven2").or_else(|| at("maven"));
    repository.and_then(|maven2| maven(&segments[maven2 + 1..]))
}

/// `authors/id/A/AB/ABC/[…/]NAME-VERSION.tar.gz`
fn cpan(segments: &[&str]) -> Option<PackageKey> {
    let file = segments.last().filter(|_| segments.len() >= 4)?;
    PackageKey::new("cpan", without_version(file)?).ok()
}

/// `org/apache/kafka/kafka-clients/2.8.0/kafka-clients-2.8.0.jar`
fn maven(segments: &[&str]) -> Option<PackageKey> {
    let [group @ .., artifact, version, file] = segments else {
        return None;
    };
    let fits = !group.is_empty() && file.starts_with(&format!("{artifact}-{version}"));
    fits.then(|| PackageKey::new("maven", &format!("{}/{artifact}", group.join("."))).ok())?
}

/// The name in front of the version in a file name: `Werkzeug-1.0.1.tar.gz`, `aws_sdk-1.0`.
fn without_version(file: &str) -> Option<&str> {
    let bytes = file.as_bytes();
    (1..bytes.len().saturating_sub(1))
        .find(|&at| {
            bytes[at] == b'-'
                && (bytes[at + 1].is_ascii_digit()
                    || (bytes[at + 1] == b'v' && bytes.get(at + 2).is_some_and(u8::is_ascii_digit)))
        })
        .map(|at| &file[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(url: &str) -> String {
        of_url(url)
            .package
            .map_or("none".into(), |package| package.to_string())
    }

    #[test]
    fn registries_are_told_by_the_shape_of_the_path() {
        for (url, expected) in [
            (
                "https://crates-registry.example/api/v1/crates/libc/0.2.71/download",
                "pkg:cargo/libc",
            ),
            (
                "https://registry.yarnpkg.com/ip/-/ip-1.1.5.tgz",
                "pkg:npm/ip",
            ),
            (
                "https://x.example/@babel/core/-/core-7.0.0.tgz",
                "pkg:npm/@babel/core",
            ),
            (
                "mirror://pypi/W/Werkzeug/Werkzeug-1.0.1.tar.gz",
                "pkg:pypi/werkzeug",
            ),
            (
                "https://x.example/packages/source/l/lxml/lxml-4.5.0.tar.gz",
                "pkg:pypi/lxml",
            ),
            (
                "https://x.example/packages/10/27/a33329150147594eff0ea4c33c2036c0eadd933141055be0ff911f7f8d04/Werkzeug-1.0.1.tar.gz",
                "pkg:pypi/werkzeug",
            ),
            (
                "https://x.example/packages/py3/b/black/black-20.8b1-py3-none-any.whl",
                "pkg:pypi/black",
            ),
            (
                "https://rubygems.example/gems/nokogiri-1.10.9.gem",
                "pkg:gem/nokogiri",
            ),
            (
                "mirror://cpan/authors/id/E/ET/ETHER/HTTP-Message-6.25.tar.gz",
                "pkg:cpan/HTTP-Message",
            ),
            (
                "mirror://hackage/aeson-1.4.7.1/aeson-1.4.7.1.tar.gz",
                "pkg:hackage/aeson",
            ),
            (
                "https://x.example/src/contrib/readxl_1.3.1.tar.gz",
                "pkg:cran/readxl",
            ),
            (
                "https://x.example/maven2/org/apache/kafka/kafka-clients/2.8.0/kafka-clients-2.8.0.jar",
                "pkg:maven/org.apache.kafka/kafka-clients",
            ),
            (
                "https://x.example/tarballs/hex_core-0.6.9.tar",
                "pkg:hex/hex_core",
            ),
            ("https://github.com/x/y/archive/v1.0.tar.gz", "none"),
            ("https://download.example/packages/foo.tar.gz", "none"),
        ] {
            assert_eq!(package(url), expected, "{url}");
        }
    }

    #[test]
    fn marks_name_who_offers_it() {
        let marks = |url| {
            of_url(url)
                .marks
                .iter()
                .map(|m| format!("{:?} {}", m.kind, m.word))
                .collect::<Vec<_>>()
                .join(", ")
        };
        insta::assert_snapshot!(marks("https://github.com/latchset/jose/releases/download/v10/jose-10.tar.bz2"), @"Owner latchset");
        insta::assert_snapshot!(marks("http://www.squid-cache.org/Versions/v4/squid-4.12.tar.xz"), @"Host squidcache, Host squidcacheorg, Directory versions, Directory v4");
        insta::assert_snapshot!(marks("mirror://gnu/global/global-6.6.4.tar.gz"), @"Directory gnu, Directory global");
        insta::assert_snapshot!(marks("https://gitlab.gnome.org/GNOME/libxml2"), @"Owner gnome, Host gnomeorg");
        insta::assert_snapshot!(marks("https://ebassi.github.io/graphene"), @"Owner ebassi");
        insta::assert_snapshot!(marks("ftp://invisible-island.net/dialog/x.tgz"), @"Host invisibleisland, Host invisibleislandnet, Directory dialog, Directory xtgz");
    }

    #[test]
    fn repositories_are_found() {
        let repository = |url| of_url(url).repository.map(|r| r.to_string());
        assert_eq!(
            repository("https://github.com/rizsotto/Bear"),
            Some("github.com/rizsotto/bear".into())
        );
        assert_eq!(
            repository("https://ebassi.github.io/graphene"),
            Some("github.com/ebassi/graphene".into())
        );
        assert_eq!(repository("http://zlib.net"), None);
    }
}
