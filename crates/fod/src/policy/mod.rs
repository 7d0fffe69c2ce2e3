//! What one derivation may reach while it is built, compiled from what it says of itself.
//!
//! Whatever is not allowed is denied. Allowed are the hosts of its own URLs and mirrors, the hosts to which those
//! are known to redirect, what its package manager is known to fetch from, and what a reviewed exception names.
//! Names are judged here; the addresses to which they resolve are judged where they are connected to, by
//! [`Route::private`].
//!
//! Deliberately absent: sockets, resolving, and the clock.

mod described;
mod exceptions;
mod host;
mod known;

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

pub use self::described::Described;
pub use self::exceptions::{Exception, Exceptions, ExceptionsError, Proposal, day_of, propose};
pub use self::host::HostPattern;

use crate::class::Class;
use crate::fod::{Fod, MOST_URLS};
use crate::mirrors::Mirrors;
use crate::place::{Place, Scheme};

/// A protocol that the proxy carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// HTTP over TLS.
    Https,
    /// HTTP without protection.
    Http,
}

impl Protocol {
    /// The word of interfaces, and the scheme of URLs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Http => "http",
        }
    }

    /// The port that is meant where none is named.
    pub const fn port(self) -> u16 {
        match self {
            Self::Https => 443,
            Self::Http => 80,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How much one derivation may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes that come, over all of its requests.
    pub bytes: u64,
    /// Requests.
    pub requests: u64,
    /// Redirects in a row.
    pub redirects: u32,
    /// Seconds from its first request on.
    pub seconds: u64,
}

impl Default for Limits {
    /// Far above what Nixpkgs needs: a package manager asks for each package, and data sets are large.
    fn default() -> Self {
        Self {
            bytes: 64 << 30,
            requests: 200_000,
            redirects: 20,
            seconds: 6 * 60 * 60,
        }
    }
}

/// Why somewhere may be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Because {
    /// A URL of the derivation names it.
    Url,
    /// A URL of the derivation names a mirror that it belongs to.
    Mirror,
    /// A host that it names is known to redirect there.
    RedirectOf(Box<str>),
    /// Its package manager is known to fetch from there.
    Tool(&'static str),
    /// An exception allows it, for this reason.
    Exception(Box<str>),
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url => f.write_str("its URL"),
            Self::Mirror => f.write_str("its mirror"),
            Self::RedirectOf(host) => write!(f, "{host} redirects there"),
            Self::Tool(tool) => write!(f, "{tool} fetches from there"),
            Self::Exception(reason) => write!(f, "exception: {reason}"),
        }
    }
}

/// A place that may be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// By this protocol.
    pub protocol: Protocol,
    /// These hosts.
    pub host: HostPattern,
    /// At this port.
    pub port: u16,
    /// Also where it is no address of the public network.
    pub private: bool,
    /// Why.
    pub because: Because,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// By which protocol.
    pub protocol: Protocol,
    /// The host in lower case, without a dot at its end; addresses without brackets.
    pub host: &'a str,
    /// The port.
    pub port: u16,
}

/// Why something is denied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denial {
    /// It is said to fetch nothing.
    NoNetwork(Class),
    /// Nothing names that host.
    Host,
    /// The same, as far as it was looked at: so many of its URLs were not.
    Unread(usize),
    /// An address in place of a name, which nothing names.
    Literal,
    /// The host is allowed at other ports only.
    Port,
    /// Git's own protocol.
    GitProtocol,
    /// The host is allowed by TLS only.
    PlainHttp,
    /// Without TLS the hash is all that protects, and it is SHA-1 or MD5.
    WeakHash,
    /// The host is at an address that is not of the public network.
    Private(IpAddr),
    /// More requests than it may make.
    Requests(u64),
    /// More bytes than it may take.
    Bytes(u64),
    /// More redirects in a row than it may follow.
    Redirects(u32),
    /// It takes longer than it may, in seconds.
    Time(u64),
}

impl Denial {
    /// The word of interfaces.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::NoNetwork(_) => "no-network",
            Self::Host | Self::Unread(_) => "other-host",
            Self::Literal => "address-literal",
            Self::Port => "other-port",
            Self::GitProtocol => "git-protocol",
            Self::PlainHttp => "plain-http",
            Self::WeakHash => "weak-hash-over-http",
            Self::Private(_) => "private-address",
            Self::Requests(_) => "too-many-requests",
            Self::Bytes(_) => "too-many-bytes",
            Self::Redirects(_) => "too-many-redirects",
            Self::Time(_) => "too-long",
        }
    }

    /// What to do about it.
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::NoNetwork(_) => "its builder fetches all the same: look at it",
            Self::Host => {
                "if it belongs to this source, name it in an exception, or in the derivation's urls"
            }
            Self::Unread(_) => "have it name fewer URLs, or name the host in an exception",
            Self::Literal => "name the host and not its address",
            Self::Port => "name the port in an exception",
            Self::GitProtocol => "use https:// in place of git://",
            Self::PlainHttp => "use https://, or an exception with protocols = [\"http\"]",
            Self::WeakHash => "use https://, or a hash of SHA-256 or SHA-512",
            Self::Private(_) => "an exception for its output, with private = true, allows that",
            Self::Requests(_) | Self::Bytes(_) | Self::Redirects(_) | Self::Time(_) => {
                "[limits] in the policy file raises that"
            }
        }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoNetwork(class) => write!(f, "its class is `{class}`, which fetches nothing"),
            Self::Host => f.write_str("nothing that it says names that host"),
            Self::Unread(more) => write!(
                f,
                "its first {MOST_URLS} URLs do not name that host, and {more} more were not looked at"
            ),
            Self::Literal => f.write_str("nothing that it says names that address"),
            Self::Port => f.write_str("the host is allowed at another port only"),
            Self::GitProtocol => f.write_str("git:// is protected by nothing"),
            Self::PlainHttp => f.write_str("the host is allowed with TLS only"),
            Self::WeakHash => {
                f.write_str("without TLS its hash is all that protects it, and that is a weak one")
            }
            Self::Private(address) => {
                write!(f, "{address} is not an address of the public network")
            }
            Self::Requests(most) => write!(f, "it makes more than {most} requests"),
            Self::Bytes(most) => write!(f, "it takes more than {most} bytes"),
            Self::Redirects(most) => write!(f, "it is redirected more than {most} times in a row"),
            Self::Time(most) => write!(f, "it takes longer than {most} seconds"),
        }
    }
}

/// Something that a derivation asks for and no proxy can carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uncarried {
    /// The URL.
    pub url: Box<str>,
    /// Its scheme.
    pub scheme: Scheme,
}

impl Uncarried {
    /// What to do about it.
    pub const fn remedy(&self) -> &'static str {
        match self.scheme {
            Scheme::Git => "use https:// in place of git://",
            Scheme::Ftp => "use an https:// or http:// URL of the same file",
            Scheme::Svn => "use svn over https://",
            Scheme::Ssh => "use https://; a builder has no key of yours",
            Scheme::Mirror => {
                "its list of mirrors is not known: pass the derivation with what it needs"
            }
            Scheme::File => "a file of this machine is no source that others have",
            Scheme::Https | Scheme::Http => {
                "its host is no name: write it as name servers know it, in ASCII"
            }
            Scheme::Other => "the proxy carries https:// and http://",
        }
    }
}

/// What one derivation may reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    class: Class,
    weak: bool,
    more_urls: usize,
    routes: Vec<Route>,
    uncarried: Vec<Uncarried>,
    limits: Limits,
}

impl Policy {
    /// Compiles what a derivation may reach. Exceptions are those that are in force
    /// ([`Exceptions::in_force`]).
    pub fn compile(
        fod: &Fod,
        mirrors: &Mirrors,
        exceptions: &[&Exception],
        limits: Limits,
    ) -> Self {
        let mut policy = Self {
            class: fod.tool.class,
            weak: fod.is_weak(),
            more_urls: fod.more_urls,
            routes: Vec::new(),
            uncarried: Vec::new(),
            limits,
        };
        if policy.fetches() {
            for url in &fod.urls {
                let because = if url.starts_with("mirror://") {
                    Because::Mirror
                } else {
                    Because::Url
                };
                let resolved = mirrors.resolve(url);
                if resolved.is_empty() {
                    policy.add_url(url, &because);
                }
                for resolved in resolved {
                    policy.add_url(&resolved, &because);
                }
            }
            for host in known::hosts_of(fod.tool.name) {
                policy.add_host(host, Because::Tool(fod.tool.name));
            }
        }
        for exception in exceptions
            .iter()
            .filter(|exception| exception.concerns(fod))
        {
            policy.except(exception);
        }
        policy
    }

    /// Whether a request may be made, as far as its name tells; what allows it.
    pub fn judge(&self, wanted: &Wanted<'_>) -> Result<&Route, Denial> {
        let fits = |route: &&Route| route.host.fits(wanted.host);
        let mut at_host = self.routes.iter().filter(fits).peekable();
        if at_host.peek().is_none() {
            return Err(if !self.fetches() {
                Denial::NoNetwork(self.class)
            } else if wanted.port == GIT_PORT {
                Denial::GitProtocol
            } else if wanted.host.parse::<IpAddr>().is_ok() {
                Denial::Literal
            } else if self.more_urls > 0 {
                Denial::Unread(self.more_urls)
            } else {
                Denial::Host
            });
        }
        let mut protocol_fits = false;
        for route in at_host {
            if route.protocol != wanted.protocol {
                continue;
            }
            protocol_fits = true;
            let by_exception = matches!(route.because, Because::Exception(_));
            if route.port != wanted.port {
                continue;
            }
            if wanted.protocol == Protocol::Http && self.weak && !by_exception {
                return Err(Denial::WeakHash);
            }
            return Ok(route);
        }
        Err(match wanted.protocol {
            _ if wanted.port == GIT_PORT => Denial::GitProtocol,
            Protocol::Http if !protocol_fits => Denial::PlainHttp,
            _ => Denial::Port,
        })
    }

    /// Whether it is of a class that fetches at all.
    pub fn fetches(&self) -> bool {
        !matches!(self.class, Class::Nothing | Class::Manual)
    }

    /// All that may be reached, in the order in which it is looked through.
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// What it asks for and no proxy can carry.
    pub fn uncarried(&self) -> &[Uncarried] {
        &self.uncarried
    }

    /// How much it may take.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    fn add_url(&mut self, url: &str, because: &Because) {
        let place = Place::of(url);
        let protocol = match place.scheme {
            Scheme::Https => Protocol::Https,
            Scheme::Http => Protocol::Http,
            scheme => {
                self.uncarried.push(Uncarried {
                    url: url.into(),
                    scheme,
                });
                return;
            }
        };
        let name = in_ascii(&place.host);
        let Some(host) = HostPattern::exactly(&name) else {
            self.uncarried.push(Uncarried {
                url: url.into(),
                scheme: place.scheme,
            });
            return;
        };
        let port = port_of(url).unwrap_or(protocol.port());
        for target in known::redirects_of(&name) {
            self.add_host(target, Because::RedirectOf(name.as_ref().into()));
        }
        // A server without TLS may have it by now, and redirect there.
        if protocol == Protocol::Http && port == protocol.port() {
            self.add_host(&name, because.clone());
        }
        self.add(Route {
            protocol,
            host,
            port,
            private: false,
            because: because.clone(),
        });
    }

    /// A host by TLS at its usual port.
    fn add_host(&mut self, host: &str, because: Because) {
        if let Some(host) = HostPattern::parse(host) {
            self.add(Route {
                protocol: Protocol::Https,
                host,
                port: Protocol::Https.port(),
                private: false,
                because,
            });
        }
    }

    fn except(&mut self, exception: &Exception) {
        for (host, port) in &exception.hosts {
            for protocol in &exception.protocols {
                // An exception says more than what is known without it: it is looked at first.
                self.routes.insert(
                    0,
                    Route {
                        protocol: *protocol,
                        host: host.clone(),
                        port: port.unwrap_or(protocol.port()),
                        private: exception.private,
                        because: Because::Exception(exception.reason.clone()),
                    },
                );
            }
        }
    }

    fn add(&mut self, route: Route) {
        let same = |known: &Route| {
            known.protocol == route.protocol && known.host == route.host && known.port == route.port
        };
        if !self.routes.iter().any(same) {
            self.routes.push(route);
        }
    }
}

/// The port of Git's own protocol.
const GIT_PORT: u16 = 9418;

/// A name in the form in which it is asked for (IDNA): `xn--bcher-kva.example` for `bücher.example`.
fn in_ascii(host: &str) -> Cow<'_, str> {
    if host.is_ascii() {
        return host.into();
    }
    idna::domain_to_ascii(host).map_or(host.into(), Cow::Owned)
}

/// The port that a URL names.
fn port_of(url: &str) -> Option<u16> {
    let (_, rest) = url.trim().split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit('@').next()?;
    let after = host.rsplit(']').next()?;
    after.rsplit_once(':')?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use snowguard_store::{Hash, HashAlgo, StoreDir};

    use super::*;
    use crate::fod::tests::{derivation, fod, of_hash};

    fn judged(policy: &Policy, url: &str) -> String {
        let place = Place::of(url);
        let protocol = match place.scheme {
            Scheme::Https => Protocol::Https,
            _ => Protocol::Http,
        };
        let wanted = Wanted {
            protocol,
            host: &place.host,
            port: port_of(url).unwrap_or(protocol.port()),
        };
        match policy.judge(&wanted) {
            Ok(route) => format!("allowed, {}", route.because),
            Err(denial) => format!("{}: {denial}", denial.as_str()),
        }
    }

    fn of(fod: &Fod) -> Policy {
        Policy::compile(fod, &Mirrors::default(), &[], Limits::default())
    }

    fn told(policy: &Policy, urls: &[&str]) -> String {
        let lines: Vec<String> = urls
            .iter()
            .map(|url| format!("{url} {}", judged(policy, url)))
            .collect();
        lines.join("\n")
    }

    #[test]
    fn a_derivation_reaches_what_it_names_and_nothing_else() {
        let fod = fod(
            "source",
            &["curl-8.1"],
            &[(
                "urls",
                "https://github.com/o/r/archive/v1.tar.gz http://old.example.org:8080/x.tar.gz \
                 http://plain.example.org/x git://git.example.org/x ftp://ftp.example.org/x",
            )],
        );
        let policy = of(&fod);
        insta::assert_snapshot!(told(&policy, &[
            "https://github.com/evil/evil",
            "https://codeload.github.com/o/r",
            "https://objects.githubusercontent.com/x",
            "https://githubusercontent.com/x",
            "https://evilgithubusercontent.com/x",
            "https://github.com.evil.example/x",
            "https://github.com:22/x",
            "http://github.com/x",
            "http://old.example.org:8080/x",
            "http://old.example.org/x",
            "https://plain.example.org/x",
            "https://evil.example/x",
            "https://140.82.121.3/x",
            "http://git.example.org:9418/",
            "http://169.254.169.254/",
        ]), @"
        https://github.com/evil/evil allowed, its URL
        https://codeload.github.com/o/r allowed, github.com redirects there
        https://objects.githubusercontent.com/x allowed, github.com redirects there
        https://githubusercontent.com/x other-host: nothing that it says names that host
        https://evilgithubusercontent.com/x other-host: nothing that it says names that host
        https://github.com.evil.example/x other-host: nothing that it says names that host
        https://github.com:22/x other-port: the host is allowed at another port only
        http://github.com/x plain-http: the host is allowed with TLS only
        http://old.example.org:8080/x allowed, its URL
        http://old.example.org/x other-port: the host is allowed at another port only
        https://plain.example.org/x allowed, its URL
        https://evil.example/x other-host: nothing that it says names that host
        https://140.82.121.3/x address-literal: nothing that it says names that address
        http://git.example.org:9418/ git-protocol: git:// is protected by nothing
        http://169.254.169.254/ address-literal: nothing that it says names that address
        ");
        let uncarried: Vec<&str> = policy.uncarried().iter().map(Uncarried::remedy).collect();
        assert_eq!(
            uncarried,
            [
                "use https:// in place of git://",
                "use an https:// or http:// URL of the same file"
            ]
        );
    }

    #[test]
    fn what_fetches_nothing_reaches_nothing() {
        let policy = of(&fod(
            "texlive-a",
            &["a.tar.xz"],
            &[("buildCommand", "tar x")],
        ));
        assert_eq!(
            judged(&policy, "https://github.com/"),
            "no-network: its class is `nothing`, which fetches nothing"
        );
    }

    #[test]
    fn without_tls_the_hash_has_to_hold() {
        let env = [("urls", "http://x.org/x https://y.org/y")];
        let sha1 = Hash::of(HashAlgo::Sha1, b"x").unwrap();
        let weak = of_hash("x", "/bin/sh", &[], &env, sha1);
        let weak = of(&Fod::of(&weak, &StoreDir::default()).unwrap());
        assert!(judged(&weak, "http://x.org/x").starts_with("weak-hash-over-http"));
        assert!(judged(&weak, "https://y.org/x").starts_with("allowed"));
        let strong = of(&fod("x", &["curl-8.1"], &env));
        assert!(judged(&strong, "http://x.org/x").starts_with("allowed"));
    }

    #[test]
    fn mirrors_are_those_of_its_own_list() {
        let list = derivation(
            crate::mirrors::LIST,
            &[
                ("name", crate::mirrors::LIST),
                ("gnu", "https://ftpmirror.gnu.org/ https://ftp.gnu.org/gnu"),
            ],
        );
        let mirrors = Mirrors::of(&list).unwrap();
        let fod = fod("x", &["curl-8.1"], &[("urls", "mirror://gnu/x.tar.gz")]);
        let policy = Policy::compile(&fod, &mirrors, &[], Limits::default());
        assert_eq!(
            judged(&policy, "https://ftp.gnu.org/gnu/x"),
            "allowed, its mirror"
        );
        // Nothing is known of a mirror whose list is not there.
        let without = of(&fod);
        assert_eq!(without.routes(), []);
        assert_eq!(without.uncarried().len(), 1);
        // The hashed mirror of Nixpkgs would answer for a source that is gone.
        assert!(judged(&policy, "https://tarballs.nixos.org/sha256/x").starts_with("other-host"));
    }

    #[test]
    fn what_was_not_looked_at_is_no_silence() {
        let urls: Vec<String> = (0..65).map(|at| format!("https://h{at}.org/x")).collect();
        let fod = fod("x", &["curl-8.1"], &[("urls", &urls.join(" "))]);
        let told = |fod: &Fod| judged(&of(fod), "https://h64.org/x");
        assert!(judged(&of(&fod), "https://h63.org/x").starts_with("allowed"));
        assert_eq!(
            told(&fod),
            "other-host: its first 64 URLs do not name that host, and 1 more were not looked at"
        );
        // Who is told of it in another process knows it, too.
        let described = Described::of(&fod, "/nix/store/x.drv", &urls[..64]);
        assert_eq!(told(&described.fod().unwrap()), told(&fod));
    }

    #[test]
    fn names_in_other_scripts_are_those_that_are_asked_for() {
        let urls =
            "https://Bücher.example/x https://例え.テスト:8443/y https://%62.example/z https:///";
        let policy = of(&fod("x", &["curl-8.1"], &[("urls", urls)]));
        assert_eq!(
            told(
                &policy,
                &[
                    "https://xn--bcher-kva.example/x",
                    "https://xn--r8jz45g.xn--zckzah:8443/y"
                ]
            ),
            "https://xn--bcher-kva.example/x allowed, its URL\n\
             https://xn--r8jz45g.xn--zckzah:8443/y allowed, its URL"
        );
        let uncarried: Vec<_> = policy
            .uncarried()
            .iter()
            .map(|one| (&*one.url, one.remedy()))
            .collect();
        let remedy = "its host is no name: write it as name servers know it, in ASCII";
        assert_eq!(
            uncarried,
            [("https://%62.example/z", remedy), ("https:///", remedy)]
        );
    }

    #[test]
    fn package_managers_reach_their_registries() {
        let go = fod("x-go-modules", &["go-1.24"], &[]);
        let policy = of(&go);
        assert_eq!(
            told(
                &policy,
                &["https://proxy.golang.org/x", "https://github.com/x"]
            ),
            "https://proxy.golang.org/x allowed, go fetches from there\n\
             https://github.com/x other-host: nothing that it says names that host"
        );
    }

    #[test]
    fn exceptions_say_more_than_what_is_known() {
        let output = fod("inside-1.tar.gz", &["curl-8.1"], &[]).output;
        let exceptions = Exceptions::parse(&format!(
            r#"
            [[exception]]
            derivation = "inside-*"
            output = "{output}"
            hosts = ["10.0.0.1:8080", "*.lan.example"]
            protocols = ["http", "https"]
            private = true
            reason = "the mirror of this network"
            expires = 2027-01-01
            "#
        ))
        .unwrap();
        let today = jiff::civil::date(2026, 12, 31);
        let compile = |name: &str, today| {
            let fod = fod(name, &["curl-8.1"], &[("urls", "https://x.org/x")]);
            let in_force = exceptions.in_force(today);
            Policy::compile(&fod, &Mirrors::default(), &in_force, exceptions.limits())
        };
        let policy = compile("inside-1.tar.gz", today);
        assert_eq!(
            judged(&policy, "http://10.0.0.1:8080/x"),
            "allowed, exception: the mirror of this network"
        );
        assert_eq!(
            judged(&policy, "https://a.lan.example/x"),
            "allowed, exception: the mirror of this network"
        );
        assert!(policy.routes()[0].private);
        assert!(judged(&policy, "http://10.0.0.1/x").starts_with("other-port"));
        assert!(judged(&compile("other", today), "http://10.0.0.1:8080/x").starts_with("address"));
        let later = jiff::civil::date(2027, 1, 2);
        assert!(
            judged(&compile("inside-1.tar.gz", later), "http://10.0.0.1:8080/")
                .starts_with("address")
        );
    }

    proptest::proptest! {
        #[test]
        fn no_url_is_dropped_without_a_word(
            scheme in "https?|ftp|git[+]https|x|",
            rest in "[a-zA-Zäß例。%@:.\\[\\]/?#-]{0,30}",
        ) {
            let url = format!("{scheme}://{rest}");
            let fod = fod("x", &["curl-8.1"], &[("urls", &url)]);
            let policy = of(&fod);
            proptest::prop_assume!(policy.fetches() && !fod.urls.is_empty());
            let told = !policy.routes().is_empty() || !policy.uncarried().is_empty();
            proptest::prop_assert!(told, "{}", url);
        }

        #[test]
        fn a_name_that_nothing_names_is_denied(host in "[a-z0-9.:-]{0,40}", port: u16) {
            let fod = fod("x", &["curl-8.1"], &[("urls", "https://x.org/x")]);
            let wanted = Wanted { protocol: Protocol::Https, host: &host, port };
            let allowed = of(&fod).judge(&wanted).is_ok();
            proptest::prop_assert_eq!(allowed, host == "x.org" && port == 443);
        }
    }
}
