//! With what a fixed-output derivation fetches, and what tells so.
//!
//! The builder decides, then what the fetchers of Nixpkgs alone set, then the tools among its inputs. A
//! tool that nobody knows is told as unknown: a derivation that may use the network is not one that
//! fetches nothing only because its tool is new.

use std::fmt;

use snowguard_store::Derivation;
use snowguard_store::derivation::attrs::Attrs;
use snowguard_store::parse_drv_name;

/// What kind of fetch it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Nix itself fetches: `builtin:fetchurl`.
    Builtin,
    /// `curl`, as `fetchurl` and all that is made of it.
    Curl,
    /// Git.
    Git,
    /// Another version control system.
    Vcs,
    /// A language's package manager, which decides for itself what it fetches.
    Vendor,
    /// Nothing in it fetches: it unpacks, or writes something.
    Nothing,
    /// A person has to put the file into the store (`requireFile`).
    Manual,
    /// What it does cannot be told.
    Unknown,
}

impl Class {
    /// All of them, in the order in which they are listed.
    pub const ALL: [Self; 8] = [
        Self::Builtin,
        Self::Curl,
        Self::Git,
        Self::Vcs,
        Self::Vendor,
        Self::Nothing,
        Self::Manual,
        Self::Unknown,
    ];

    /// The word of interfaces.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Builtin => "builtin",
            Self::Curl => "curl",
            Self::Git => "git",
            Self::Vcs => "vcs",
            Self::Vendor => "vendor",
            Self::Nothing => "nothing",
            Self::Manual => "manual",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The class, and the tool behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tool {
    /// What kind of fetch it is.
    pub class: Class,
    /// The tool by its usual name: `curl`, `cargo`; empty where there is none.
    pub name: &'static str,
    /// What told so.
    pub because: Because,
    /// Whether it goes through the proxy of the usual variables.
    pub(crate) heeds_proxy: bool,
}

impl Tool {
    /// The tool of a class by its words, as another process tells it; none if there is no such tool.
    pub(crate) fn named(class: &str, name: &str) -> Option<Self> {
        let class = Class::ALL
            .into_iter()
            .find(|known| known.as_str() == class)?;
        let (name, heeds_proxy) = match class {
            Class::Builtin if name == BUILTIN => (BUILTIN, true),
            Class::Nothing | Class::Manual | Class::Unknown if name.is_empty() => ("", true),
            _ => TOOLS
                .iter()
                .find(|known| known.class == class && known.name == name)
                .map(|known| (known.name, known.heeds_proxy))?,
        };
        Some(Self {
            class,
            name,
            because: Because::Told,
            heeds_proxy,
        })
    }
}

/// Whether a tool is called that.
pub(crate) fn is_tool(name: &str) -> bool {
    name == BUILTIN || TOOLS.iter().any(|known| known.name == name)
}

/// The tool of Nix itself.
const BUILTIN: &str = "builtin:fetchurl";

/// What told the class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Because {
    /// The builder.
    Builder,
    /// An attribute that the fetchers of Nixpkgs set.
    Attribute(&'static str),
    /// The tool is among its inputs.
    Input,
    /// Something is among its inputs of which nobody knows that it cannot fetch.
    Stranger,
    /// Nothing that may fetch is among its inputs.
    NoTool,
    /// Another process, which read the derivation.
    Told,
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Builder => f.write_str("its builder"),
            Self::Attribute(name) => write!(f, "its attribute `{name}`"),
            Self::Input => f.write_str("the tool is among its inputs"),
            Self::Stranger => f.write_str("something that is not known is among its inputs"),
            Self::NoTool => f.write_str("no tool that fetches is among its inputs"),
            Self::Told => f.write_str("whoever read it"),
        }
    }
}

/// A tool that fetches: the names of its packages, what it is called, its class, and whether it heeds
/// the proxy variables.
struct Known {
    packages: &'static [&'static str],
    name: &'static str,
    class: Class,
    heeds_proxy: bool,
}

const fn known(
    packages: &'static [&'static str],
    name: &'static str,
    class: Class,
    heeds_proxy: bool,
) -> Known {
    Known {
        packages,
        name,
        class,
        heeds_proxy,
    }
}

/// In the order in which they decide: what calls others stands before these. Bazel and what builds Java call the
/// package managers of other languages, `go mod download` has Git beside it, and a package manager may have `curl`.
///
/// Virtual machines of Java look for a proxy in properties, not in the environment; `cvs`, `bzr`
/// and `svn` over their own protocols use none.
const TOOLS: &[Known] = &[
    known(&["bazel"], "bazel", Class::Vendor, false),
    known(&["apache-maven", "maven"], "maven", Class::Vendor, false),
    known(&["gradle"], "gradle", Class::Vendor, false),
    known(&["sbt"], "sbt", Class::Vendor, false),
    known(&["coursier"], "coursier", Class::Vendor, false),
    known(&["leiningen"], "leiningen", Class::Vendor, false),
    known(&["mill"], "mill", Class::Vendor, false),
    known(&["scala-cli"], "scala-cli", Class::Vendor, false),
    known(
        &[
            "fetch-cargo-vendor-util",
            "cargo",
            "cargo-vendor-normalise",
            "cargo-auditable",
        ],
        "cargo",
        Class::Vendor,
        true,
    ),
    known(&["go"], "go", Class::Vendor, true),
    known(
        &["prefetch-npm-deps", "fetch-npm-deps", "npm"],
        "npm",
        Class::Vendor,
        true,
    ),
    known(
        &[
            "prefetch-yarn-deps",
            "fixup-yarn-lock",
            "yarn",
            "yarn-berry",
        ],
        "yarn",
        Class::Vendor,
        true,
    ),
    known(&["pnpm"], "pnpm", Class::Vendor, true),
    known(&["bun"], "bun", Class::Vendor, true),
    known(
        &["node_bower2nix", "bower2nix", "bower"],
        "bower",
        Class::Vendor,
        true,
    ),
    known(
        &["composer", "php-composer", "composer-local-repo-plugin"],
        "composer",
        Class::Vendor,
        true,
    ),
    known(&["bundler", "bundix"], "bundler", Class::Vendor, true),
    known(
        &["dotnet-sdk", "nuget-to-nix", "nuget"],
        "nuget",
        Class::Vendor,
        true,
    ),
    known(
        &["mix", "hex", "rebar3", "elixir"],
        "hex",
        Class::Vendor,
        true,
    ),
    known(&["dart", "flutter"], "pub", Class::Vendor, true),
    known(&["chicken"], "chicken", Class::Vendor, false),
    known(&["opam"], "opam", Class::Vendor, true),
    known(&["pip", "uv", "poetry"], "pip", Class::Vendor, true),
    known(&["deno"], "deno", Class::Vendor, true),
    known(&["zig"], "zig", Class::Vendor, true),
    known(&["elm"], "elm", Class::Vendor, true),
    known(&["stack"], "stack", Class::Vendor, true),
    known(&["cabal-install"], "cabal", Class::Vendor, true),
    known(&["dub", "dub-to-nix"], "dub", Class::Vendor, true),
    known(&["nimble"], "nimble", Class::Vendor, true),
    known(&["julia", "julia-bin"], "julia", Class::Vendor, true),
    known(&["luarocks"], "luarocks", Class::Vendor, true),
    known(&["conan"], "conan", Class::Vendor, true),
    known(&["clojure"], "clojure", Class::Vendor, false),
    known(&["skopeo"], "skopeo", Class::Vendor, true),
    known(&["gx", "gx-go"], "gx", Class::Vendor, false),
    known(&["git-repo"], "repo", Class::Vcs, true),
    known(&["mercurial"], "hg", Class::Vcs, true),
    known(&["breezy", "bazaar", "bzr"], "bzr", Class::Vcs, false),
    known(&["cvs"], "cvs", Class::Vcs, false),
    known(&["darcs"], "darcs", Class::Vcs, true),
    known(&["fossil"], "fossil", Class::Vcs, true),
    known(&["monotone"], "mtn", Class::Vcs, false),
    known(&["pijul"], "pijul", Class::Vcs, true),
    known(
        &["subversion", "subversion-client"],
        "svn",
        Class::Vcs,
        false,
    ),
    known(&["radicle-node", "radicle"], "rad", Class::Vcs, false),
    known(
        &["nix-prefetch-git", "git", "git-minimal", "git-lfs"],
        "git",
        Class::Git,
        true,
    ),
    known(&["awscli", "awscli2"], "aws", Class::Unknown, true),
    known(&["transmission", "rqbit"], "torrent", Class::Unknown, false),
    known(&["wget", "wget2"], "wget", Class::Curl, true),
    known(&["curl", "curl-minimal"], "curl", Class::Curl, true),
    // Node.js has npm with it; where another tool is there as well, that one is told.
    known(&["nodejs"], "npm", Class::Vendor, true),
    known(&["aria2"], "aria2", Class::Unknown, true),
    known(&["lftp"], "lftp", Class::Unknown, true),
    known(&["rclone"], "rclone", Class::Unknown, true),
    known(&["yt-dlp", "youtube-dl"], "yt-dlp", Class::Unknown, true),
    known(&["rsync"], "rsync", Class::Unknown, false),
    known(&["kubo", "ipfs"], "ipfs", Class::Unknown, false),
    known(
        &["depotdownloader"],
        "depotdownloader",
        Class::Unknown,
        false,
    ),
];

/// Tells the class of a fixed-output derivation.
pub fn of(drv: &Derivation, attrs: Option<&Attrs<'_>>) -> Tool {
    let tool = |class, name, because| Tool {
        class,
        name,
        because,
        heeds_proxy: true,
    };
    if drv.builder().starts_with(b"builtin:") {
        return tool(Class::Builtin, BUILTIN, Because::Builder);
    }
    let has = |name: &str| {
        attrs.is_some_and(|attrs| attrs.text(name).is_some_and(|text| !text.trim().is_empty()))
    };
    // `fetchurl` sets `urls`, and nothing else does that runs a tool of another kind.
    if has("urls") {
        return tool(Class::Curl, "curl", Because::Attribute("urls"));
    }
    let own = attrs
        .into_iter()
        .flat_map(|attrs| {
            let tools = attrs.list("nativeBuildInputs").into_iter();
            tools.chain(attrs.list("buildInputs"))
        })
        .filter_map(|path| package_of(&path).map(str::to_owned))
        .collect::<Vec<_>>();
    let inputs: Vec<&str> = drv
        .input_drvs()
        .iter()
        .map(|input| without_version(input.path().drv_name()))
        .chain(
            drv.input_srcs()
                .iter()
                .map(|source| without_version(source.name().as_str())),
        )
        .collect();
    let found = |packages: &[&str]| {
        let is = |name: &str| packages.contains(&name);
        own.iter().any(|name| is(name)) || inputs.iter().any(|name| is(name))
    };
    let known = TOOLS.iter().find(|known| found(known.packages));
    match known {
        Some(known) => Tool {
            heeds_proxy: known.heeds_proxy,
            ..tool(known.class, known.name, Because::Input)
        },
        // Who asks for the proxy means to use the network, with whatever tool that is.
        None if !own.is_empty() && attrs.is_some_and(asks_for_network) => {
            tool(Class::Unknown, "", Because::Attribute("impureEnvVars"))
        }
        None if has("url") => tool(Class::Unknown, "", Because::Attribute("url")),
        // A tool of which nobody knows that it cannot fetch.
        None if own
            .iter()
            .map(String::as_str)
            .chain(inputs.iter().copied())
            .any(|name| !is_harmless(name)) =>
        {
            tool(Class::Unknown, "", Because::Stranger)
        }
        None if is_manual(drv, &inputs) => tool(Class::Manual, "", Because::Builder),
        None => tool(Class::Nothing, "", Because::NoTool),
    }
}

/// Whether a proxy is among the variables that it lets in.
pub(crate) fn asks_for_network(attrs: &Attrs<'_>) -> bool {
    attrs
        .list("impureEnvVars")
        .iter()
        .any(|name| name.ends_with("_proxy") || name.ends_with("_PROXY"))
}

/// The builder of `requireFile`.
const MESSAGE: &str = "restrict-message";

/// `requireFile` has a builder of its own, which says what a person has to do, and fails. Any script can be
/// called so: what has an address or a tool that may fetch is none.
fn is_manual(drv: &Derivation, inputs: &[&str]) -> bool {
    let names = |text: &[u8]| text.ends_with(b"-restrict-message");
    names(drv.builder()) || drv.args().any(names) || inputs.contains(&MESSAGE)
}

/// What unpacks and writes, and has no network of its own. Everything else may fetch: a fixed output has
/// the network whether it asks for a proxy or not.
const HARMLESS: [&str; 32] = [
    "bash",
    "bash-interactive",
    "stdenv-linux",
    "stdenv-darwin",
    "stdenv-freebsd",
    "stdenv-cygwin",
    "bootstrap-tools",
    "coreutils",
    "findutils",
    "diffutils",
    "gawk",
    "gnugrep",
    "gnused",
    "gnutar",
    "gnupatch",
    "patch",
    "gzip",
    "bzip2",
    "xz",
    "zstd",
    "lzip",
    "unzip",
    "zip",
    "p7zip",
    "cpio",
    "cabextract",
    "dpkg",
    "mkfontscale",
    "bdftopcf",
    "file",
    "which",
    "source",
];

/// Whether something among the inputs is only unpacked with or unpacked: a tool of these, a script, an
/// archive, a patch, a hook, a font, or what another system would install.
fn is_harmless(name: &str) -> bool {
    const ENDS: [&str; 18] = [
        ".sh", ".tar", ".tgz", ".tbz", ".tbz2", ".txz", ".tlz", ".zip", ".7z", ".gz", ".xz",
        ".bz2", ".zst", ".lz", ".lzma", ".Z", ".patch", ".diff",
    ];
    let mut ends = ENDS.iter().chain(&DATA);
    HARMLESS.contains(&name) || name == MESSAGE || ends.any(|end| name.ends_with(end))
}

/// Endings of fonts, of texts, and of what another system would install.
const DATA: [&str; 14] = [
    ".ttf", ".ttc", ".otf", ".txt", ".htm", ".html", ".pdf", ".conf", ".exe", ".msi", ".cab",
    ".dmg", ".deb", ".rpm",
];

/// The name of a store path without its version: `curl` of `/nix/store/…-curl-8.1-dev`.
fn package_of(path: &str) -> Option<&str> {
    let base = path.rsplit('/').next()?;
    let (_, name) = base.split_once('-')?;
    Some(without_version(name))
}

/// `git-minimal` of `git-minimal-2.51.0`, as Nix splits names. What is an archive or a
/// font is no tool: it keeps its name as a whole.
pub(crate) fn without_version(name: &str) -> &str {
    let (package, version) = parse_drv_name(name);
    let is_archive = version.contains(".tar.")
        || [".tgz", ".zip", ".crate", ".gz", ".xz", ".bz2", ".patch"]
            .iter()
            .chain(&DATA)
            .any(|end| version.ends_with(end));
    // What Python packages is called by it.
    let is_version = |c: char| c.is_ascii_digit() || c == '.';
    let package = package
        .strip_prefix("python")
        .map(|rest| rest.trim_start_matches(is_version))
        .and_then(|rest| rest.strip_prefix('-'))
        .unwrap_or(package);
    if is_archive { name } else { package }
}
