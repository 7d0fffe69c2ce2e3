//! One fixed-output derivation, as far as its derivation tells.

use snowguard_store::derivation::attrs::Attrs;
use snowguard_store::{ContentAddress, Derivation, HashAlgo, Output, StoreDir};

use crate::asked;
use crate::class::{self, Class, Tool};
use crate::place::{Place, Reference, Scheme};
use crate::plan::Plan;

/// So many URLs of one are kept; `fetchurl` tries them in turn.
const MOST_URLS: usize = 64;

/// A fixed-output derivation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fod {
    /// The name of its output: `hello-2.12.tar.gz`.
    pub name: Box<str>,
    /// The store path of its output, which follows from name and hash.
    pub output: Box<str>,
    /// What is promised.
    pub address: ContentAddress,
    /// With what it fetches.
    pub tool: Tool,
    /// The URLs as they are written; those of mirrors are not resolved. Where others are given up on, the
    /// next is tried.
    pub urls: Vec<Box<str>>,
    /// The revision that it asks for: a commit, a tag, a branch.
    pub rev: Option<Box<str>>,
    /// What it fetches for, where it names no URL: the store paths of its sources.
    pub sources: Vec<Box<str>>,
    /// What is done with what came.
    pub after: After,
    /// Git alone: what is taken beside the tree of the commit.
    pub checkout: Checkout,
    /// Whether it can be led through a proxy.
    pub proxy: Proxy,
    /// Whether it checks whom it speaks to.
    pub tls: Tls,
    /// Whether it lets variables of a proxy in, and so means to use the network.
    pub asks_for_network: bool,
    /// How it can be verified.
    pub plan: Plan,
    /// What it is asked for beside its source, as a text that two are compared by and nobody reads.
    pub asked: Box<str>,
}

/// What is done with what came, before it is hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum After {
    /// Nothing: the hash is of what the server sent.
    Nothing,
    /// It is unpacked, as `fetchzip` does.
    Unpack,
    /// A program of its own.
    Other,
}

impl After {
    /// The word of interfaces.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "none",
            Self::Unpack => "unpack",
            Self::Other => "other",
        }
    }
}

/// What of a repository is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent flags of fetchgit"
)]
pub struct Checkout {
    /// Submodules.
    pub submodules: bool,
    /// What Git LFS keeps elsewhere.
    pub lfs: bool,
    /// `.git` stays: its content differs from fetch to fetch unless somebody sees to it.
    pub dot_git: bool,
    /// The whole history.
    pub deep: bool,
}

/// Whether a fetch can be led through a proxy by the usual variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Proxy {
    /// It lets the variables in, and its tool heeds them.
    Yes,
    /// Nix fetches, with the environment of its daemon.
    Daemon,
    /// It does not let them in, its tool does not heed them, or the protocol has no proxy.
    No,
    /// There is nothing to lead.
    NotNeeded,
}

impl Proxy {
    /// The word of interfaces.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::Daemon => "daemon",
            Self::No => "no",
            Self::NotNeeded => "not-needed",
        }
    }
}

/// Whether a fetch checks whom it speaks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tls {
    /// It does.
    Verified,
    /// It is told not to, since the hash is known.
    Off,
    /// No URL has TLS.
    Without,
    /// It is not told.
    Unknown,
    /// There is nothing to check.
    NotNeeded,
}

impl Tls {
    /// The word of interfaces.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Off => "off",
            Self::Without => "without",
            Self::Unknown => "unknown",
            Self::NotNeeded => "not-needed",
        }
    }
}

impl Fod {
    /// Takes the facts out of a derivation; none if its output is not fixed.
    ///
    /// Attributes that cannot be read are as good as absent, and what follows from them is unknown.
    pub fn of(drv: &Derivation, dir: &StoreDir) -> Option<Self> {
        let (path, address) = drv.outputs().iter().find_map(|(_, output)| match output {
            Output::Fixed { path, address } => Some((path, *address)),
            _ => None,
        })?;
        let attrs = drv.attrs().ok();
        let attrs = attrs.as_ref();
        let tool = class::of(drv, attrs);
        let list = |name: &str| -> Vec<Box<str>> {
            let words = attrs.into_iter().flat_map(|attrs| attrs.list(name));
            words.take(MOST_URLS).map(Box::from).collect()
        };
        let mut urls = list("urls");
        if urls.is_empty() {
            urls = list("url");
        }
        let text = |name| text(attrs, name);
        let rev = text("rev").or_else(|| text("tag").filter(|_| tool.class == Class::Git));
        let mut sources = Vec::new();
        if urls.is_empty() {
            for name in ["src", "srcs"] {
                sources.extend(list(name));
            }
        }
        let asks_for_network = attrs.is_some_and(class::asks_for_network);
        let places: Vec<Place<'_>> = urls.iter().map(|url| Place::of(url)).collect();
        let checkout = Checkout {
            submodules: flag(attrs, "fetchSubmodules"),
            lfs: flag(attrs, "fetchLFS"),
            dot_git: flag(attrs, "leaveDotGit"),
            deep: flag(attrs, "deepClone"),
        };
        let (method, algo) = (address.method, address.hash.algo());
        let plan = Plan::of(drv, attrs, tool, method, algo, checkout, &urls);
        let known: Vec<&str> = [&urls, &sources]
            .into_iter()
            .flatten()
            .chain(&rev)
            .map(|text| &**text)
            .collect();
        let asked = asked::of(drv, attrs, dir, &plan, &known);
        Some(Self {
            asked,
            name: drv.name().as_str().into(),
            output: dir.show(path).to_string().into(),
            address,
            proxy: proxy(tool, asks_for_network, &places),
            tls: tls(tool, drv, attrs, &places),
            after: after(attrs),
            checkout,
            plan,
            tool,
            rev,
            sources,
            asks_for_network,
            urls,
        })
    }

    /// Its URLs, taken apart.
    pub fn places(&self) -> impl Iterator<Item = Place<'_>> {
        self.urls.iter().map(|url| Place::of(url))
    }

    /// Its first URL, taken apart.
    pub fn place(&self) -> Option<Place<'_>> {
        self.urls.first().map(|url| Place::of(url))
    }

    /// What stays the same where it is fetched again: of its URLs the one that moves the most.
    pub fn reference(&self) -> Reference {
        let rev = self.rev.as_deref();
        // Subversion counts its revisions, and none is ever another.
        if self.tool.name == "svn"
            && rev.is_some_and(|rev| rev.bytes().all(|byte| byte.is_ascii_digit()))
        {
            return Reference::Registry;
        }
        let references = self.places().map(|place| place.reference(rev));
        references.max().unwrap_or(Reference::None)
    }

    /// Whether its hash can be had again: SHA-1 and MD5 cannot be trusted to name one content.
    pub fn is_weak(&self) -> bool {
        matches!(self.address.hash.algo(), HashAlgo::Md5 | HashAlgo::Sha1)
    }

    /// Whether the hash is all zeros, which stands for one that nobody knows yet.
    pub fn is_fake(&self) -> bool {
        self.address.hash.digest().iter().all(|byte| *byte == 0)
    }
}

fn text(attrs: Option<&Attrs<'_>>, name: &str) -> Option<Box<str>> {
    let text = attrs?.text(name)?;
    Some(text.trim())
        .filter(|text| !text.is_empty())
        .map(Into::into)
}

fn flag(attrs: Option<&Attrs<'_>>, name: &str) -> bool {
    text(attrs, name).is_some_and(|text| !matches!(&*text, "0" | "false"))
}

fn after(attrs: Option<&Attrs<'_>>) -> After {
    let Some(program) = text(attrs, "postFetch") else {
        return After::Nothing;
    };
    // `fetchzip` unpacks what it put aside; a program that does more comes after that.
    let unpacks = program.contains("unpackFile") || program.contains("unpackDir");
    if unpacks && flag(attrs, "downloadToTemp") {
        After::Unpack
    } else {
        After::Other
    }
}

fn proxy(tool: Tool, asks_for_network: bool, places: &[Place<'_>]) -> Proxy {
    let has_none =
        |place: &Place<'_>| matches!(place.scheme, Scheme::Git | Scheme::Svn | Scheme::Ssh);
    match tool.class {
        Class::Nothing | Class::Manual => Proxy::NotNeeded,
        Class::Builtin => Proxy::Daemon,
        _ if !asks_for_network || !tool.heeds_proxy || places.iter().any(has_none) => Proxy::No,
        _ => Proxy::Yes,
    }
}

/// The file that is not there, which fetchers of Nixpkgs name to have no certificate checked.
const NO_CERTIFICATES: &str = "/no-cert-file.crt";

fn tls(tool: Tool, drv: &Derivation, attrs: Option<&Attrs<'_>>, places: &[Place<'_>]) -> Tls {
    match tool.class {
        Class::Nothing | Class::Manual => return Tls::NotNeeded,
        _ if !places.is_empty() && places.iter().all(|place| place.scheme.is_open()) => {
            return Tls::Without;
        }
        Class::Builtin => return Tls::Verified,
        _ => {}
    }
    let told: Vec<Box<str>> = [
        "SSL_CERT_FILE",
        "NIX_SSL_CERT_FILE",
        "GIT_SSL_CAINFO",
        "NIX_GIT_SSL_CAINFO",
    ]
    .into_iter()
    .filter_map(|name| text(attrs, name))
    .collect();
    let options = ["curlOpts", "curlOptsList"]
        .into_iter()
        .flat_map(|name| attrs.into_iter().flat_map(move |attrs| attrs.list(name)))
        .any(|option| matches!(&*option, "--insecure" | "-k"));
    if options
        || flag(attrs, "GIT_SSL_NO_VERIFY")
        || told.iter().any(|file| &**file == NO_CERTIFICATES)
    {
        return Tls::Off;
    }
    let has_certificates = || {
        drv.input_drvs()
            .iter()
            .any(|input| input.path().drv_name().starts_with("nss-cacert"))
    };
    if !told.is_empty() || has_certificates() {
        Tls::Verified
    } else {
        Tls::Unknown
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use snowguard_store::{
        ContentAddressMethod, DerivationBuilder, DrvPath, Hash, InputDrv, OutputName, References,
    };

    use super::*;

    /// A fixed-output derivation with these variables.
    pub(crate) fn derivation(name: &str, env: &[(&str, &str)]) -> Derivation {
        built(name, "/bin/sh", &[], env)
    }

    /// The same with a builder, and with inputs of these names.
    pub(crate) fn built(
        name: &str,
        builder: &str,
        inputs: &[&str],
        env: &[(&str, &str)],
    ) -> Derivation {
        let hash = Hash::of(HashAlgo::Sha256, name.as_bytes()).unwrap();
        of_hash(name, builder, inputs, env, hash)
    }

    pub(crate) fn of_hash(
        name: &str,
        builder: &str,
        inputs: &[&str],
        env: &[(&str, &str)],
        hash: Hash,
    ) -> Derivation {
        let dir = StoreDir::default();
        let out = OutputName::new("out").unwrap();
        let name = snowguard_store::StoreName::new(name).unwrap();
        let mut drv = DerivationBuilder::new(name.clone());
        let address = ContentAddress::new(ContentAddressMethod::Flat, hash);
        let path = dir.content_path(&name, &address, References::NONE).unwrap();
        drv.output(out.clone(), Output::Fixed { path, address });
        drv.builder(builder);
        for input in inputs {
            let path = format!("00000000000000000000000000000000-{input}.drv");
            drv.input_drv(InputDrv::new(
                path.parse::<DrvPath>().unwrap(),
                [out.clone()],
            ));
        }
        for (name, value) in env {
            drv.env(*name, *value);
        }
        drv.build().unwrap()
    }

    pub(crate) fn fod(name: &str, inputs: &[&str], env: &[(&str, &str)]) -> Fod {
        Fod::of(&built(name, "/bin/sh", inputs, env), &StoreDir::default()).unwrap()
    }

    fn shown(fod: &Fod) -> String {
        format!(
            "{} {} ({}), {}, after {}, proxy {}, tls {}",
            fod.tool.class,
            fod.tool.name,
            fod.tool.because,
            fod.reference(),
            fod.after.as_str(),
            fod.proxy.as_str(),
            fod.tls.as_str()
        )
    }

    /// The builder of `requireFile`.
    pub(crate) const MANUAL: &str = "/nix/store/00000000000000000000000000000000-restrict-message";
    const PROXIES: &str = "http_proxy https_proxy ftp_proxy all_proxy no_proxy";

    #[test]
    fn what_fetchers_of_nixpkgs_make_is_told() {
        let tool = |name: &str| format!("/nix/store/00000000000000000000000000000000-{name}");
        let (curl, git, go) = (tool("curl-8.1-dev"), tool("git-2.51.0"), tool("go-1.24"));
        let cases = [
            fod(
                "x.tar.gz",
                &["curl-8.1", "stdenv-linux", "mirrors-list"],
                &[
                    ("urls", "https://x.org/x.tar.gz"),
                    ("nativeBuildInputs", &curl),
                    ("impureEnvVars", PROXIES),
                    ("SSL_CERT_FILE", "/no-cert-file.crt"),
                ],
            ),
            fod(
                "source",
                &["curl-8.1"],
                &[
                    ("urls", "https://github.com/o/r/archive/v1.tar.gz"),
                    ("nativeBuildInputs", &curl),
                    ("impureEnvVars", PROXIES),
                    ("SSL_CERT_FILE", "/etc/ssl/certs/ca-bundle.crt"),
                    ("downloadToTemp", "1"),
                    ("postFetch", "unpackFile \"$downloadedFile\""),
                ],
            ),
            fod(
                "r",
                &["git-2.51.0"],
                &[
                    ("url", "https://x.org/r.git"),
                    ("rev", "v1.0"),
                    ("nativeBuildInputs", &git),
                    ("impureEnvVars", PROXIES),
                    ("GIT_SSL_CAINFO", "/etc/ssl/certs/ca-bundle.crt"),
                ],
            ),
            fod(
                "r",
                &["git-2.51.0"],
                &[
                    ("url", "git://x.org/r.git"),
                    ("rev", "0123456789abcdef0123456789abcdef01234567"),
                    ("nativeBuildInputs", &git),
                    ("impureEnvVars", PROXIES),
                ],
            ),
            fod(
                "x-go-modules",
                &["go-1.24", "git-2.51.0", "nss-cacert-3.54"],
                &[
                    ("src", &tool("source")),
                    ("nativeBuildInputs", &format!("{go} {git}")),
                    ("impureEnvVars", PROXIES),
                ],
            ),
            fod(
                "hadoop-deps",
                &["apache-maven-3.6"],
                &[("src", &tool("source"))],
            ),
            fod(
                "svn",
                &["subversion-1.12"],
                &[("url", "svn://x.org/r"), ("rev", "123")],
            ),
            fod(
                "texlive-a",
                &["a.tar.xz", "stdenv-linux"],
                &[("buildCommand", "tar x")],
            ),
            fod(
                "git-2.tar.gz-files",
                &["git-2.27.0.tar.xz"],
                &[("buildCommand", "tar x")],
            ),
            Fod::of(
                &built("file.bin", MANUAL, &[], &[("message", "buy it")]),
                &StoreDir::default(),
            )
            .unwrap(),
            fod(
                "x",
                &["some-new-fetcher"],
                &[
                    ("nativeBuildInputs", &tool("some-new-fetcher")),
                    ("impureEnvVars", PROXIES),
                ],
            ),
            Fod::of(
                &built("x", "builtin:fetchurl", &[], &[("url", "https://x.org/x")]),
                &StoreDir::default(),
            )
            .unwrap(),
        ];
        insta::assert_snapshot!(cases.iter().map(shown).collect::<Vec<_>>().join("\n"), @"
        curl curl (its attribute `urls`), file, after none, proxy yes, tls off
        curl curl (its attribute `urls`), tag, after unpack, proxy yes, tls verified
        git git (the tool is among its inputs), tag, after none, proxy yes, tls verified
        git git (the tool is among its inputs), content, after none, proxy no, tls without
        vendor go (the tool is among its inputs), none, after none, proxy yes, tls verified
        vendor maven (the tool is among its inputs), none, after none, proxy no, tls unknown
        vcs svn (the tool is among its inputs), registry, after none, proxy no, tls without
        nothing  (no tool that fetches is among its inputs), none, after none, proxy not-needed, tls not-needed
        nothing  (no tool that fetches is among its inputs), none, after none, proxy not-needed, tls not-needed
        manual  (its builder), none, after none, proxy not-needed, tls not-needed
        unknown  (its attribute `impureEnvVars`), none, after none, proxy yes, tls unknown
        builtin builtin:fetchurl (its builder), file, after none, proxy daemon, tls verified
        ");
    }

    #[test]
    fn what_may_fetch_is_not_said_to_fetch_nothing() {
        let class = |inputs: &[&str], env: &[(&str, &str)]| fod("x", inputs, env).tool.class;
        let tool = |name: &str| format!("/nix/store/00000000000000000000000000000000-{name}");
        assert_eq!(class(&["stdenv-linux", "a.tar.xz"], &[]), Class::Nothing);
        assert_eq!(
            class(&["stdenv-linux", "python3-3.12"], &[]),
            Class::Unknown
        );
        let python = tool("python3-3.12");
        assert_eq!(
            class(&[], &[("nativeBuildInputs", &python)]),
            Class::Unknown
        );
        // The message of a file that has to be bought is its builder; beside an address it is a pretence.
        assert_eq!(
            class(
                &["restrict-message", "curl-8.1"],
                &[("urls", "https://x.org/x")]
            ),
            Class::Curl
        );
        let tooled = built("x", MANUAL, &["curl-8.1"], &[]);
        let tooled = Fod::of(&tooled, &StoreDir::default()).unwrap();
        assert_eq!(tooled.tool.class, Class::Curl);
        let url = [("url", "https://x.org/x")];
        let both = built("x", MANUAL, &["curl-8.1"], &url);
        let both = Fod::of(&both, &StoreDir::default()).unwrap();
        assert_eq!(both.tool.class, Class::Curl);
    }

    #[test]
    fn what_is_not_fixed_is_none() {
        let mut drv = DerivationBuilder::new(snowguard_store::StoreName::new("x").unwrap());
        drv.output(OutputName::new("out").unwrap(), Output::Deferred);
        assert_eq!(Fod::of(&drv.build().unwrap(), &StoreDir::default()), None);
    }

    #[test]
    fn structured_attributes_are_read() {
        let json = r#"{"urls":["https://a.org/x","https://b.org/x"],"impureEnvVars":["https_proxy"],"curlOptsList":["-k"]}"#;
        let fod = fod("x", &["curl-8.1"], &[("__json", json)]);
        assert_eq!(fod.urls.len(), 2);
        insta::assert_snapshot!(shown(&fod), @"curl curl (its attribute `urls`), file, after none, proxy yes, tls off");
        // What cannot be read leaves it unknown.
        let broken = self::fod("x", &["curl-8.1"], &[("__json", "{")]);
        insta::assert_snapshot!(shown(&broken), @"curl curl (the tool is among its inputs), none, after none, proxy no, tls unknown");
    }
}
