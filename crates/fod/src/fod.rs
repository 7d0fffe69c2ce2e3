//! One fixed-output derivation, as far as its derivation tells.

use snowguard_store::derivation::attrs::Attrs;
use snowguard_store::{ContentAddress, Derivation, HashAlgo, Output, StoreDir};

use crate::asked;
use crate::class::{self, Because, Class, Tool};
use crate::mirrors::Mirrors;
use crate::place::{Place, Scheme};
use crate::plan::Plan;
use crate::reference::{self, Reference};

/// So many URLs of one are kept; `fetchurl` tries them in turn. Nixpkgs gives five at most.
pub const MOST_URLS: usize = 64;

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
    /// How many more it names: nothing is known of these but that they are there.
    pub more_urls: usize,
    /// The revision that it asks for: a commit, a tag, a branch. Where files are fetched it is told only if it
    /// stands in an address: nobody else reads it.
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
    /// The files of the store that it is run by: scripts, by paths that follow from their contents.
    pub scripts: Vec<Box<str>>,
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
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Nothing, Self::Unpack, Self::Other];

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
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Yes, Self::Daemon, Self::No, Self::NotNeeded];

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
    /// Nix fetches, and its version decides: since 2.18.8 and 2.24.8 it checks what `builtin:fetchurl` speaks to
    /// (CVE-2024-47174), and did not before.
    Daemon,
    /// It is not told.
    Unknown,
    /// There is nothing to check.
    NotNeeded,
}

impl Tls {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Verified,
        Self::Off,
        Self::Without,
        Self::Daemon,
        Self::Unknown,
        Self::NotNeeded,
    ];

    /// The word of interfaces.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Off => "off",
            Self::Without => "without",
            Self::Daemon => "daemon",
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
            words.map(Box::from).collect()
        };
        let text = |name| text(attrs, name);
        // What else is set is read by nobody, and may be there to be looked at.
        let mut urls: Vec<_> = match tool.class {
            Class::Builtin | Class::Git | Class::Vcs => text("url").into_iter().collect(),
            Class::Curl if tool.because == Because::Attribute("urls") => list("urls"),
            _ => list("url"),
        };
        let more = urls.split_off(urls.len().min(MOST_URLS));
        let rev = text("rev");
        let rev =
            rev.filter(|rev| !fetches_files(tool) || urls.iter().any(|url| url.contains(&**rev)));
        let mut sources = Vec::new();
        if urls.is_empty() {
            for name in ["src", "srcs"] {
                sources.extend(list(name));
            }
            // A cache of yarn names no more than the lock file that it is for.
            let lock = list("yarnLock").into_iter();
            sources.extend(lock.filter(|path| path.starts_with(dir.as_str())));
            sources.truncate(MOST_URLS);
        }
        let asks_for_network = attrs.is_some_and(class::asks_for_network);
        let places: Vec<Place<'_>> = urls.iter().map(|url| Place::of(url)).collect();
        let checkout = Checkout {
            submodules: flag(attrs, "fetchSubmodules"),
            lfs: flag(attrs, "fetchLFS"),
            dot_git: flag(attrs, "leaveDotGit"),
            deep: flag(attrs, "deepClone"),
        };
        let plan = Plan::of(drv, attrs, dir, tool, address, checkout, &urls);
        let known: Vec<&str> = [&urls, &sources]
            .into_iter()
            .flatten()
            .chain(&rev)
            .map(|text| &**text)
            .collect();
        let asked = asked::of(drv, attrs, dir, &plan, &known, &more);
        Some(Self {
            asked,
            scripts: asked::scripts(drv, attrs, dir, &plan),
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
            more_urls: more.len(),
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

    /// Its URLs with mirrors resolved, in the order in which they are tried; a mirror that is not known stays as it
    /// is written.
    pub fn resolved(&self, mirrors: &Mirrors) -> Vec<Box<str>> {
        let mut all = Vec::new();
        for url in &self.urls {
            let resolved = mirrors.resolve(url);
            if resolved.is_empty() {
                all.push(url.clone());
            } else {
                all.extend(resolved);
            }
        }
        all
    }

    /// The revision, where it decides what comes. Of files the address alone does.
    pub fn revision(&self) -> Option<&str> {
        self.rev.as_deref().filter(|_| !fetches_files(self.tool))
    }

    /// What stays the same where it is fetched again: of its URLs the one that moves the most. `places` are its URLs,
    /// mirrors resolved.
    pub fn reference(&self, places: &[Place<'_>]) -> Reference {
        let named = places.iter().map(|place| self.reference_at(place));
        // What names nothing hides nothing.
        let named = named.filter(|reference| *reference != Reference::None);
        named.max().unwrap_or(Reference::None)
    }

    /// The same of one of them.
    pub(crate) fn reference_at(&self, place: &Place<'_>) -> Reference {
        if !matches!(self.tool.class, Class::Git | Class::Vcs) {
            return place.reference();
        }
        let is_number = |rev: &str| rev.bytes().all(|byte| byte.is_ascii_digit());
        match (self.tool.name, self.rev.as_deref()) {
            // They count their revisions, and none is ever another.
            ("svn" | "bzr", Some(rev)) if is_number(rev) => Reference::Registry,
            (_, Some(rev)) => reference::of_revision(rev),
            // What is newest is fetched.
            ("git" | "hg" | "svn" | "bzr" | "fossil", None) => Reference::Branch,
            _ => place.reference(),
        }
    }

    /// Whether it checks whom it speaks to, at its URLs with mirrors resolved.
    pub fn tls_at(&self, places: &[Place<'_>]) -> Tls {
        if self.tls != Tls::NotNeeded && are_open(places) {
            Tls::Without
        } else {
            self.tls
        }
    }

    /// Whether it can be led through a proxy, at its URLs with mirrors resolved.
    pub fn proxy_at(&self, places: &[Place<'_>]) -> Proxy {
        proxy(self.tool, self.asks_for_network, places)
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

/// Whether its tool fetches files, each by an address that says all.
fn fetches_files(tool: Tool) -> bool {
    matches!(tool.class, Class::Curl | Class::Builtin)
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
    // Beside another address FTP is a place to fall back to.
    let is_ftp = |place: &Place<'_>| place.scheme == Scheme::Ftp;
    let is_uncarried =
        places.iter().any(has_none) || (!places.is_empty() && places.iter().all(is_ftp));
    match tool.class {
        Class::Nothing | Class::Manual => Proxy::NotNeeded,
        Class::Builtin => Proxy::Daemon,
        _ if !asks_for_network || !tool.heeds_proxy || is_uncarried => Proxy::No,
        _ => Proxy::Yes,
    }
}

/// The file that is not there, which fetchers of Nixpkgs name to have no certificate checked.
const NO_CERTIFICATES: &str = "/no-cert-file.crt";

/// Whether nothing protects any of them.
fn are_open(places: &[Place<'_>]) -> bool {
    !places.is_empty() && places.iter().all(|place| place.scheme.is_open())
}

fn tls(tool: Tool, drv: &Derivation, attrs: Option<&Attrs<'_>>, places: &[Place<'_>]) -> Tls {
    match tool.class {
        Class::Nothing | Class::Manual => return Tls::NotNeeded,
        _ if are_open(places) => return Tls::Without,
        Class::Builtin => return Tls::Daemon,
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
pub(crate) mod tests;
