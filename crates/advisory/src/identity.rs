//! What an advisory says it is about, in forms that can be joined by equality.
//!
//! Three kinds, from strong to weak: a package in an ecosystem ([`PackageKey`], a purl without
//! version), a source repository ([`RepoKey`]), and a product name with or without a vendor
//! ([`Named`], which is what CPE and CVE records give). Each has a normal form, so that a join is
//! a hash lookup and never a substring search. Whether a vendor fits a component is decided where
//! components are known, in `snowguard-matching`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::cpe::{Cpe, Part};
use crate::id::shorten;

/// One thing that an advisory says it is about.
///
/// As text: `pkg:pypi/werkzeug`, `repo:github.com/grafana/grafana`, `openssl:openssl`, `:curl`
/// (no vendor), `o/linux:linux-kernel` (the part of a CPE), `acme:forms for wordpress`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Product {
    /// A package in an ecosystem.
    Package(PackageKey),
    /// A source repository.
    Repository(RepoKey),
    /// A product by name.
    Named(Named),
}

impl Product {
    /// The product that a CPE names; none if it names none.
    pub fn from_cpe(cpe: &Cpe) -> Option<Self> {
        let name = Name::new(cpe.product.text()?)?;
        Some(Self::Named(Named {
            name,
            vendor: cpe.vendor.text().and_then(vendor_or_none),
            part: cpe.part,
            target_software: cpe.target_software.text().and_then(Name::new),
        }))
    }

    /// The product of a CVE record's `vendor` and `product`, which are free text.
    pub fn from_vendor_product(vendor: Option<&str>, product: &str) -> Option<Self> {
        Some(Self::Named(Named {
            name: Name::new(product)?,
            vendor: vendor.and_then(vendor_or_none),
            part: None,
            target_software: None,
        }))
    }
}

impl FromStr for Product {
    type Err = InvalidIdentity;

    fn from_str(text: &str) -> Result<Self, InvalidIdentity> {
        if let Some(key) = text.strip_prefix("pkg:") {
            return PackageKey::try_from(key.to_owned()).map(Self::Package);
        }
        if let Some(key) = text.strip_prefix("repo:") {
            return RepoKey::try_from(key.to_owned()).map(Self::Repository);
        }
        let (head, target) = match text.rsplit_once(" for ") {
            Some((head, target)) => (head, Some(Name::try_from(target.to_owned())?)),
            None => (text, None),
        };
        let (part, rest) = match head.split_at_checked(2) {
            Some(("a/", rest)) => (Some(Part::Application), rest),
            Some(("o/", rest)) => (Some(Part::OperatingSystem), rest),
            Some(("h/", rest)) => (Some(Part::Hardware), rest),
            Some(("*/", rest)) => (None, rest),
            _ => (None, head),
        };
        let (vendor, name) =
            split_vendor(rest).ok_or_else(|| InvalidIdentity::Product(shorten(text)))?;
        let vendor = if vendor.is_empty() {
            None
        } else {
            Some(Name::try_from(vendor)?)
        };
        Ok(Self::Named(Named {
            name: Name::try_from(name.to_owned())?,
            vendor,
            part,
            target_software: target,
        }))
    }
}

/// A vendor, up to the first `:` that has no `\` before it, and what follows.
fn split_vendor(text: &str) -> Option<(String, &str)> {
    let mut vendor = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            ':' => return Some((vendor, &text[at + 1..])),
            '\\' => vendor.extend(chars.next().map(|(_, escaped)| escaped)),
            c => vendor.push(c),
        }
    }
    None
}

/// A vendor as [`split_vendor`] reads it.
fn escape_vendor(vendor: &str) -> Cow<'_, str> {
    if vendor.contains([':', '\\']) {
        Cow::Owned(vendor.replace('\\', r"\\").replace(':', r"\:"))
    } else {
        Cow::Borrowed(vendor)
    }
}

impl TryFrom<String> for Product {
    type Error = InvalidIdentity;

    fn try_from(text: String) -> Result<Self, InvalidIdentity> {
        text.parse()
    }
}

impl From<Product> for String {
    fn from(product: Product) -> Self {
        match product {
            Product::Package(key) => key.to_string(),
            Product::Repository(key) => format!("repo:{key}"),
            Product::Named(named) => {
                let vendor = named.vendor.as_ref().map_or("", Name::as_str);
                // A vendor that begins as something else here would be read as that.
                let looks_else = matches!(vendor, "pkg" | "repo")
                    || ["a/", "o/", "h/", "*/"]
                        .iter()
                        .any(|head| vendor.starts_with(head));
                let part = match named.part {
                    None if looks_else => "*/",
                    None => "",
                    Some(Part::Application) => "a/",
                    Some(Part::OperatingSystem) => "o/",
                    Some(Part::Hardware) => "h/",
                };
                let target = named
                    .target_software
                    .as_ref()
                    .map_or(String::new(), |target| format!(" for {target}"));
                let vendor = escape_vendor(vendor);
                format!("{part}{vendor}:{}{target}", named.name)
            }
        }
    }
}

impl fmt::Display for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Package(package) => package.fmt(f),
            Self::Repository(repo) => repo.fmt(f),
            Self::Named(named) => named.fmt(f),
        }
    }
}

/// A product by name, as CPE and CVE records name things.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Named {
    /// The product.
    pub name: Name,
    /// Who makes it; none where the record says `n/a`, `unknown` or nothing.
    pub vendor: Option<Name>,
    /// The part of a CPE.
    pub part: Option<Part>,
    /// The software for which it is made (`wordpress`, `node.js`), if a CPE says so.
    pub target_software: Option<Name>,
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.vendor {
            Some(vendor) => write!(f, "{vendor}:{}", self.name)?,
            None => write!(f, "{}", self.name)?,
        }
        match &self.target_software {
            Some(target) => write!(f, " for {target}"),
            None => Ok(()),
        }
    }
}

/// A product or vendor name in normal form: lower case, with runs of spaces, `_` and `-` as one `-`.
///
/// `Firefox ESR`, `firefox_esr` and `firefox-esr` are one name. At most 200 bytes; longer names
/// are no names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(Box<str>);

impl Name {
    /// The normal form of a name; none if nothing is left of it.
    pub fn new(text: &str) -> Option<Self> {
        let mut out = String::with_capacity(text.len());
        let mut gap = false;
        for c in text.trim().chars() {
            if c.is_whitespace() || c == '_' || c == '-' {
                gap = !out.is_empty();
            } else if c.is_control() || matches!(c, '\u{ae}' | '\u{2122}') {
                // Trade mark signs are decoration.
            } else {
                if gap {
                    out.push('-');
                    gap = false;
                }
                out.extend(c.to_lowercase());
            }
        }
        (!out.is_empty() && out.len() <= 200).then(|| Self(out.into()))
    }

    /// The normal form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Only letters and digits: what is left when spelling habits are taken away.
    ///
    /// `x.org` and `xorg`, `lib-xml2` and `libxml2` are the same then.
    pub fn squeezed(&self) -> String {
        squeeze(&self.0)
    }
}

/// A text reduced to its lower-case letters and digits.
pub fn squeeze(text: &str) -> String {
    text.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

/// Words that stand in a vendor field and name nobody.
fn vendor_or_none(text: &str) -> Option<Name> {
    let name = Name::new(text)?;
    let nobody = [
        "n/a",
        "na",
        "n-a",
        "unknown",
        "unspecified",
        "none",
        "null",
        "-",
        "*",
        "[unknown]",
        "not-specified",
        "unknown-vendor",
        "open-source",
        "opensource",
        "various",
        "multiple-vendors",
        "other",
    ];
    (!nobody.contains(&name.as_str())).then_some(name)
}

impl TryFrom<String> for Name {
    type Error = InvalidIdentity;

    fn try_from(text: String) -> Result<Self, InvalidIdentity> {
        Self::new(&text).ok_or_else(|| InvalidIdentity::Name(shorten(&text)))
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0.into()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A package in an ecosystem: a purl's type, namespace and name, without version.
///
/// Written `pypi/werkzeug`, `golang/github.com/grafana/grafana`, `npm/@babel/core`. Names are
/// normalised as their ecosystem does it, so that equal packages are equal texts. Ecosystems that
/// are unknown here keep their name in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PackageKey(Box<str>);

impl PackageKey {
    /// From a purl, with or without version and qualifiers.
    ///
    /// Source: Package URL specification, purl-spec `PURL-SPECIFICATION.rst`.
    pub fn from_purl(text: &str) -> Result<Self, InvalidIdentity> {
        let purl =
            packageurl::PackageUrl::from_str(text).map_err(|source| InvalidIdentity::Purl {
                text: shorten(text),
                source,
            })?;
        let name = match purl.namespace() {
            Some(namespace) => format!("{namespace}/{}", purl.name()),
            None => purl.name().to_owned(),
        };
        Self::new(purl.ty(), &name)
    }

    /// From the name of an OSV ecosystem (`PyPI`, `crates.io`, `AlmaLinux:10`) and of a package.
    pub fn from_osv(ecosystem: &str, name: &str) -> Result<Self, InvalidIdentity> {
        let base = ecosystem.split(':').next().unwrap_or(ecosystem);
        let (kind, name) = match base {
            "PyPI" => ("pypi", name.to_owned()),
            "crates.io" => ("cargo", name.to_owned()),
            "Go" => ("golang", name.to_owned()),
            "RubyGems" => ("gem", name.to_owned()),
            "Packagist" => ("composer", name.to_owned()),
            "Maven" => ("maven", name.replacen(':', "/", 1)),
            "npm" | "NuGet" | "Hex" | "Pub" | "CRAN" | "Hackage" | "Bitnami" => {
                (base, name.to_owned())
            }
            other => (other, name.to_owned()),
        };
        Self::new(kind, &name)
    }

    /// From a purl type and a name with its namespace.
    pub fn new(kind: &str, name: &str) -> Result<Self, InvalidIdentity> {
        let kind: String = kind.trim().to_lowercase().replace(char::is_whitespace, "-");
        let name = match &*kind {
            "pypi" => normal_pypi(name),
            // Case matters there.
            "maven" | "cran" | "cpan" | "hackage" => name.trim().to_owned(),
            "cargo" => name.trim().to_lowercase().replace('_', "-"),
            _ => name.trim().to_lowercase(),
        };
        let fits =
            |text: &str| !text.is_empty() && text.len() <= 300 && !text.contains(char::is_control);
        if fits(&kind) && fits(&name) && !kind.contains('/') {
            Ok(Self(format!("{kind}/{name}").into()))
        } else {
            Err(InvalidIdentity::Package(shorten(&format!("{kind}/{name}"))))
        }
    }

    /// `type/namespace/name`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The purl type: `pypi`, `cargo`, `golang`.
    pub fn kind(&self) -> &str {
        self.0.split_once('/').map_or("", |(kind, _)| kind)
    }

    /// The name with its namespace.
    pub fn name(&self) -> &str {
        self.0.split_once('/').map_or(&*self.0, |(_, name)| name)
    }

    /// The purl, with a version if one is given.
    pub fn to_purl(&self, version: Option<&str>) -> String {
        let (namespace, name) = match self.name().rsplit_once('/') {
            Some((namespace, name)) => (Some(namespace), name),
            None => (None, self.name()),
        };
        let Ok(mut purl) = packageurl::PackageUrl::new(self.kind().to_owned(), name.to_owned())
        else {
            return format!("pkg:{}", self.0);
        };
        if let Some(namespace) = namespace {
            let _ = purl.with_namespace(namespace.to_owned());
        }
        if let Some(version) = version {
            let _ = purl.with_version(version.to_owned());
        }
        purl.to_string()
    }

    /// The repository in which a Go module lives, if its path names one.
    pub fn go_repository(&self) -> Option<RepoKey> {
        let path = (self.kind() == "golang").then(|| self.name())?;
        let mut segments = path.split('/');
        let host = segments.next().filter(|host| is_forge(host))?;
        let (owner, repo) = (segments.next()?, segments.next()?);
        // Below the root only a major version suffix is the same thing as the repository.
        match (segments.next(), segments.next()) {
            (None, None) => {}
            (Some(major), None) if is_major_suffix(major) => {}
            _ => return None,
        }
        RepoKey::from_url(&format!("https://{host}/{owner}/{repo}"))
    }
}

fn is_major_suffix(segment: &str) -> bool {
    segment
        .strip_prefix('v')
        .is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

/// PEP 503: lower case, runs of `-`, `_` and `.` as one `-`.
fn normal_pypi(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut gap = false;
    for c in name.trim().chars() {
        if matches!(c, '-' | '_' | '.') {
            gap = true;
        } else {
            if gap && !out.is_empty() {
                out.push('-');
            }
            gap = false;
            out.extend(c.to_lowercase());
        }
    }
    out
}

impl TryFrom<String> for PackageKey {
    type Error = InvalidIdentity;

    fn try_from(text: String) -> Result<Self, InvalidIdentity> {
        let (kind, name) = text
            .split_once('/')
            .ok_or_else(|| InvalidIdentity::Package(shorten(&text)))?;
        Self::new(kind, name)
    }
}

impl From<PackageKey> for String {
    fn from(key: PackageKey) -> Self {
        key.0.into()
    }
}

impl fmt::Display for PackageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("pkg:{}", self.0))
    }
}

/// A source repository: host and path in normal form, `github.com/grafana/grafana`.
///
/// Scheme, user, port, `.git` and a trailing slash are dropped and case is folded, since the large
/// forges fold it too. `www.` and `git.` variants of one host stay apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RepoKey(Box<str>);

impl RepoKey {
    /// From a URL of a repository, or of something inside one on a known forge.
    ///
    /// On a forge the key is always host/owner/name, whatever follows; elsewhere the whole path.
    pub fn from_url(url: &str) -> Option<Self> {
        let url = url.trim();
        // Without a scheme the colon of `git@host:owner/repo` ends the host.
        let (rest, colon) = match url.split_once("://") {
            Some((_, rest)) => (rest, false),
            None => (url, true),
        };
        let rest = rest.split(['?', '#']).next().unwrap_or(rest);
        let (authority, path) = rest.split_once(|c| c == '/' || (colon && c == ':'))?;
        let host = authority.rsplit('@').next().unwrap_or(authority);
        let host = host.split(':').next().unwrap_or(host).to_lowercase();
        let host = host.strip_prefix("www.").unwrap_or(&host);
        let segments: Vec<&str> = path.split('/').filter(|s| !s.is_empty()).collect();
        let path = if is_forge(host) {
            segments.get(..forge_depth(&segments))?.join("/")
        } else {
            segments.join("/")
        };
        let path = path.strip_suffix(".git").unwrap_or(&path).to_lowercase();
        let fits = host.contains('.') && !path.is_empty() && path.len() <= 200;
        let printable =
            !format!("{host}{path}").contains(|c: char| c.is_control() || c.is_whitespace());
        (fits && printable).then(|| Self(format!("{host}/{path}").into()))
    }

    /// `host/path`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host.
    pub fn host(&self) -> &str {
        self.0.split('/').next().unwrap_or_default()
    }

    /// The owner, on a forge.
    pub fn owner(&self) -> Option<&str> {
        is_forge(self.host()).then(|| self.0.split('/').nth(1))?
    }

    /// The last segment.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }
}

/// Where the path ends that names a repository: GitLab has groups in groups, ended by `/-/`.
fn forge_depth(segments: &[&str]) -> usize {
    segments.iter().position(|s| *s == "-").unwrap_or(2)
}

/// Hosts whose URLs are `host/owner/repository`.
pub fn is_forge(host: &str) -> bool {
    matches!(
        host,
        "github.com" | "bitbucket.org" | "codeberg.org" | "gitea.com" | "git.sr.ht" | "gitee.com"
    ) || host == "gitlab.com"
        || host.starts_with("gitlab.")
        || host == "salsa.debian.org"
        || host == "invent.kde.org"
}

impl TryFrom<String> for RepoKey {
    type Error = InvalidIdentity;

    fn try_from(text: String) -> Result<Self, InvalidIdentity> {
        Self::from_url(&format!("https://{text}"))
            .ok_or_else(|| InvalidIdentity::Repository(shorten(&text)))
    }
}

impl From<RepoKey> for String {
    fn from(key: RepoKey) -> Self {
        key.0.into()
    }
}

impl fmt::Display for RepoKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Why a text is no identity.
#[derive(Debug, thiserror::Error)]
pub enum InvalidIdentity {
    /// None of the forms of a product.
    #[error(
        "`{0}` is not a product: expected vendor:product, :product, pkg:type/name or repo:host/path"
    )]
    Product(String),
    /// Nothing is left of a product name, or it is too long.
    #[error("`{0}` is not a product name: expected 1 to 200 bytes")]
    Name(String),
    /// Not a purl.
    #[error("`{text}` is not a package URL")]
    Purl {
        /// The text.
        text: String,
        /// What is wrong with it.
        source: packageurl::Error,
    },
    /// Not `type/name`.
    #[error("`{0}` is not a package: expected type/name, as in pypi/werkzeug")]
    Package(String),
    /// Not `host/path`.
    #[error("`{0}` is not a repository: expected host/path, as in github.com/nixos/nix")]
    Repository(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_one_spelling() {
        for text in [
            "Firefox ESR",
            "firefox_esr",
            " firefox-esr ",
            "Firefox\u{a0}ESR",
            "firefox__esr",
        ] {
            assert_eq!(Name::new(text).unwrap().as_str(), "firefox-esr");
        }
        assert_eq!(Name::new("Node.js®").unwrap().as_str(), "node.js");
        assert_eq!(Name::new(" _- "), None);
        assert_eq!(Name::new("X.Org").unwrap().squeezed(), "xorg");
    }

    #[test]
    fn vendors_that_name_nobody_are_none() {
        let vendor = |text| match Product::from_vendor_product(Some(text), "x") {
            Some(Product::Named(named)) => named.vendor.map(|v| v.to_string()),
            _ => None,
        };
        assert_eq!(vendor("n/a"), None);
        assert_eq!(vendor("Unknown"), None);
        assert_eq!(vendor("[UNKNOWN]"), None);
        assert_eq!(vendor("Red Hat"), Some("red-hat".into()));
    }

    #[test]
    fn products_have_a_text() {
        for text in [
            "pkg:pypi/werkzeug",
            "repo:github.com/a/b",
            "openssl:openssl",
            ":curl",
            "o/linux:linux-kernel",
            "a/acme:forms for wordpress",
            "*/pkg:thing",
            "*/a/b:thing",
            "a/pkg:thing",
            r"acme\:labs:thing",
            r"acme\\labs:perl::thing",
        ] {
            let product: Product = text.parse().unwrap();
            assert_eq!(String::from(product), text);
        }
        let product: Product = "Pkg:thing".parse().unwrap();
        assert_eq!(String::from(product), "*/pkg:thing");
        assert!("nonsense".parse::<Product>().is_err());
    }

    #[test]
    fn packages_have_one_spelling() {
        let purl = |text| PackageKey::from_purl(text).unwrap().as_str().to_owned();
        assert_eq!(
            purl("pkg:pypi/Jaraco.Functools@1.0"),
            "pypi/jaraco-functools"
        );
        assert_eq!(purl("pkg:npm/%40babel/core@7.0.0"), "npm/@babel/core");
        assert_eq!(
            purl("pkg:golang/github.com/grafana/grafana"),
            "golang/github.com/grafana/grafana"
        );
        let osv = |e, n| PackageKey::from_osv(e, n).unwrap().as_str().to_owned();
        assert_eq!(osv("PyPI", "Foo__Bar"), "pypi/foo-bar");
        assert_eq!(osv("crates.io", "libwebp_sys"), "cargo/libwebp-sys");
        assert_eq!(osv("Maven", "org.apache:Kafka"), "maven/org.apache/Kafka");
        assert_eq!(osv("AlmaLinux:10", "python3"), "almalinux/python3");
        assert_eq!(osv("Some New Thing", "x"), "some-new-thing/x");
        let key = PackageKey::from_purl("pkg:npm/%40babel/core").unwrap();
        assert_eq!(key.to_purl(Some("7.0.0")), "pkg:npm/%40babel/core@7.0.0");
    }

    #[test]
    fn go_modules_name_repositories() {
        let repo = |name| {
            PackageKey::from_osv("Go", name)
                .unwrap()
                .go_repository()
                .map(|r| r.to_string())
        };
        assert_eq!(
            repo("github.com/grafana/grafana"),
            Some("github.com/grafana/grafana".into())
        );
        assert_eq!(
            repo("github.com/labstack/echo/v4"),
            Some("github.com/labstack/echo".into())
        );
        assert_eq!(repo("github.com/hashicorp/vault/sdk"), None);
        assert_eq!(repo("golang.org/x/crypto"), None);
        assert_eq!(repo("stdlib"), None);
    }

    #[test]
    fn repositories_have_one_spelling() {
        let repo = |url| RepoKey::from_url(url).map(|r| r.to_string());
        let grafana = Some("github.com/grafana/grafana".to_owned());
        for url in [
            "https://github.com/grafana/grafana",
            "https://github.com/Grafana/grafana.git",
            "git@github.com:grafana/grafana.git",
            "git://github.com/grafana/grafana/",
            "https://user@www.github.com:443/grafana/grafana/archive/v7.0.4.tar.gz",
        ] {
            assert_eq!(repo(url), grafana, "{url}");
        }
        assert_eq!(
            repo("https://gitlab.freedesktop.org/bolt/bolt/-/archive/0.8/bolt-0.8.tar.gz"),
            Some("gitlab.freedesktop.org/bolt/bolt".into())
        );
        assert_eq!(
            repo("https://gitlab.com/a/b/c/-/commit/0"),
            Some("gitlab.com/a/b/c".into())
        );
        assert_eq!(
            repo("https://git.kernel.org/pub/scm/git/git.git"),
            Some("git.kernel.org/pub/scm/git/git".into())
        );
        assert_eq!(repo("https://github.com/grafana"), None);
        assert_eq!(repo("nonsense"), None);
    }
}
