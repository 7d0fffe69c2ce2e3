//! A URL as far as it matters here: its scheme and its host.

use std::fmt;
use std::net::IpAddr;

use snowguard_reach::is_public;

use crate::reference::{self, Reference};

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
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Https,
        Self::Http,
        Self::Ftp,
        Self::Git,
        Self::Ssh,
        Self::Svn,
        Self::Mirror,
        Self::File,
        Self::Other,
    ];

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

    /// What stays the same where it is fetched again.
    pub fn reference(&self) -> Reference {
        reference::of_place(self)
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
    if is_disguised(host) {
        return true;
    }
    // A name without a dot is looked up where its machine is.
    !host.contains('.')
        || PRIVATE_ENDS.iter().any(|end| {
            host.strip_suffix(end)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        })
}

/// Whether an address may stand in other clothes, and so cannot be told from here: `127.1`, `0x7f.0.0.1` and
/// `0177.0.0.1` are what curl and the resolver make of them, and so are escaped and full-width digits.
fn is_disguised(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or(host);
    let is_number = |text: &str| {
        let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
        let all = |text: &str, is: fn(&u8) -> bool| text.as_bytes().iter().all(is);
        match hex {
            Some(hex) => all(hex, u8::is_ascii_hexdigit),
            None => !text.is_empty() && all(text, u8::is_ascii_digit),
        }
    };
    let is_strange =
        |c: char| c == '%' || (!c.is_ascii() && (c.is_numeric() || "。．｡".contains(c)));
    is_number(last) || host.contains(is_strange)
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
            "http://127.1/",
            "http://0x7f.0.0.1/",
            "http://0177.0.0.1/",
            "http://127.0.0.0x1/",
            "http://127.0.0.1./",
            "http://2130706433/",
            "http://8.8.8.8.8/",
            "http://127%2e0.0.1/",
            "http://１２７.0.0.１/",
            "http://127。0。0。1/",
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
            "https://1.x.org/",
            "https://x.0xyz/",
            "https://bücher.example/",
            "/tmp/file",
        ] {
            assert_eq!(Place::of(public).network(), Host::Public, "{public}");
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_panics(url in ".{0,200}") {
            let place = Place::of(&url);
            let _ = (place.network(), place.reference());
        }
    }
}
