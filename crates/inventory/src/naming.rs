//! Habits of names in Nixpkgs: language prefixes, wrapper suffixes, output suffixes.

use snowguard_advisory::identity::PackageKey;
use snowguard_store::parse_drv_name;

/// The language whose package set a package belongs to.
///
/// Modules of a language share names with everything under the sun; a bare name says little there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Language {
    /// .NET.
    Dotnet,
    /// Emacs Lisp.
    Emacs,
    /// Go; only of what the bytes of a program declare, as is Rust.
    Go,
    /// Haskell.
    Haskell,
    /// Java and what else runs on its machine.
    Java,
    /// Lua.
    Lua,
    /// Node.js.
    Node,
    /// OCaml.
    Ocaml,
    /// Perl.
    Perl,
    /// PHP extensions and tools.
    Php,
    /// Python.
    Python,
    /// R.
    R,
    /// Ruby.
    Ruby,
    /// Rust.
    Rust,
    /// TeX Live.
    Tex,
    /// Vim plugins.
    Vim,
    /// Plugins and extensions of other programs.
    Plugin,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::Dotnet,
        Self::Emacs,
        Self::Go,
        Self::Haskell,
        Self::Java,
        Self::Lua,
        Self::Node,
        Self::Ocaml,
        Self::Perl,
        Self::Php,
        Self::Python,
        Self::R,
        Self::Ruby,
        Self::Rust,
        Self::Tex,
        Self::Vim,
        Self::Plugin,
    ];

    /// The purl type of its registry, if it has one.
    pub fn registry(self) -> Option<&'static str> {
        Some(match self {
            Self::Dotnet => "nuget",
            Self::Go => "golang",
            Self::Haskell => "hackage",
            Self::Java => "maven",
            Self::Lua => "luarocks",
            Self::Node => "npm",
            Self::Perl => "cpan",
            Self::Python => "pypi",
            Self::R => "cran",
            Self::Ruby => "gem",
            Self::Rust => "cargo",
            Self::Ocaml => "opam",
            Self::Emacs | Self::Php | Self::Tex | Self::Vim | Self::Plugin => return None,
        })
    }

    /// The language whose registry has that purl type.
    pub fn of_registry(kind: &str) -> Option<Self> {
        const WITH_REGISTRY: [Language; 12] = [
            Language::Dotnet,
            Language::Go,
            Language::Haskell,
            Language::Java,
            Language::Lua,
            Language::Node,
            Language::Ocaml,
            Language::Perl,
            Language::Python,
            Language::R,
            Language::Ruby,
            Language::Rust,
        ];
        WITH_REGISTRY
            .into_iter()
            .find(|language| language.registry() == Some(kind))
    }

    /// The language of a registry's package.
    pub fn of_package(package: &PackageKey) -> Option<Self> {
        match package.kind() {
            // Extensions are built from their sources: their names are not those of the registry.
            "composer" => Some(Self::Php),
            kind => Self::of_registry(kind),
        }
    }

    /// As a reader sees it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dotnet => ".NET",
            Self::Emacs => "Emacs",
            Self::Go => "Go",
            Self::Haskell => "Haskell",
            Self::Java => "Java",
            Self::Lua => "Lua",
            Self::Node => "Node.js",
            Self::Ocaml => "OCaml",
            Self::Perl => "Perl",
            Self::Php => "PHP",
            Self::Python => "Python",
            Self::R => "R",
            Self::Ruby => "Ruby",
            Self::Rust => "Rust",
            Self::Tex => "TeX",
            Self::Vim => "Vim",
            Self::Plugin => "a plugin",
        }
    }

    /// From the word that a reader sees.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|language| language.as_str() == word)
    }
}

/// A derivation name, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsedName<'a> {
    /// The language whose prefix the name has.
    pub language: Option<Language>,
    /// The package, without language prefix and without `-unwrapped` and the like.
    pub pname: &'a str,
    /// The version; empty if there is none.
    pub version: &'a str,
}

/// Takes a derivation name apart; `pname` and `version` of the derivation or its evaluation, where
/// they are known, go before what the name seems to say.
pub fn parse<'a>(
    name: &'a str,
    pname: Option<&'a str>,
    version: Option<&'a str>,
) -> ParsedName<'a> {
    let (from_name, version_of_name) = parse_drv_name(name);
    let version = version.filter(|v| !v.is_empty()).unwrap_or(version_of_name);
    // `cudatoolkit-10.2-cudnn-7.6.3` in version 7.6.3 is no cudatoolkit.
    let before = name
        .strip_suffix(version)
        .and_then(|before| before.strip_suffix('-'));
    let from_name = before
        .filter(|before| !version.is_empty() && !before.is_empty())
        .unwrap_or(from_name);
    let (language, stripped) = strip_language(strip_stage(from_name));
    let pname = match pname.filter(|p| !p.is_empty()) {
        // Python's builder prefixes the name only, Perl's the pname as well.
        Some(pname) => strip_language(strip_stage(pname)).1,
        None => stripped,
    };
    let (pname, version) = (strip_wrapping(pname), strip_kind(version));
    // GRUB Legacy and the extended support line are products of their own; Nixpkgs tells them by the
    // version only.
    if pname == "grub" && version.starts_with("0.") {
        return ParsedName {
            language,
            pname: "grub-legacy",
            version,
        };
    }
    match version.strip_suffix("esr") {
        Some(version) if pname.starts_with("firefox") => ParsedName {
            language,
            pname: "firefox-esr",
            version,
        },
        _ => ParsedName {
            language,
            pname,
            version,
        },
    }
}

/// Takes the name of a package of an evaluated set apart: where its name has no language, its
/// attribute path may tell it.
pub fn parse_evaluated<'a>(
    attr: &str,
    name: &'a str,
    pname: Option<&'a str>,
    version: Option<&'a str>,
) -> ParsedName<'a> {
    let parsed = parse(name, pname, version);
    ParsedName {
        language: parsed.language.or_else(|| language_of_attr(attr)),
        ..parsed
    }
}

/// Without what Nixpkgs appends to the version of a thing that is derived from a package.
fn strip_kind(version: &str) -> &str {
    let mut version = version;
    for tail in [
        "-env",
        "-modules-shrunk",
        "-modules",
        "-wrapper",
        "-wrapped",
        "-unwrapped",
    ] {
        version = version
            .strip_suffix(tail)
            .filter(|rest| !rest.is_empty())
            .unwrap_or(version);
    }
    version
}

/// The language of an attribute path: `python38Packages.werkzeug`.
pub fn language_of_attr(attr: &str) -> Option<Language> {
    let set = attr.rsplit_once('.')?.0;
    let set = set.rsplit('.').next().unwrap_or(set);
    let is = |head: &str| set.starts_with(head) && set.contains("ackages");
    Some(if is("python") {
        Language::Python
    } else if is("perl") {
        Language::Perl
    } else if is("ruby") {
        Language::Ruby
    } else if is("lua") {
        Language::Lua
    } else if is("ocaml") || is("ocaml-ng") {
        Language::Ocaml
    } else if is("haskell") {
        Language::Haskell
    } else if is("node") {
        Language::Node
    } else if is("php") || (set.starts_with("php") && set.ends_with("Extensions")) {
        Language::Php
    } else if set == "rPackages" {
        Language::R
    } else if is("emacs") || is("melpa") || is("elpa") || is("org") {
        Language::Emacs
    } else if is("texlive") || set == "texlive" {
        Language::Tex
    } else if set == "vimPlugins" {
        Language::Vim
    } else if is("dotnet") {
        Language::Dotnet
    } else if [
        "kodiPlugins",
        "gimpPlugins",
        "gnomeExtensions",
        "vscode-extensions",
        "terraform-providers",
        "coqPackages",
        "rebar3Plugins",
        "bitlbee-plugins",
        "wordpressPackages",
        "obs-studio-plugins",
        "jetbrains-plugins",
        "fishPlugins",
        "tmuxPlugins",
    ]
    .contains(&set)
        || is("coq")
        || is("agda")
        || is("idris")
        || is("beam")
    {
        Language::Plugin
    } else {
        return None;
    })
}

/// The name that a package has as an attribute, where attributes are names of packages and not of
/// parts of one: at the top, and in sets that only gather a desktop's or an organisation's packages.
pub fn package_of_attr(attr: &str) -> Option<&str> {
    match attr.split_once('.') {
        None => Some(attr),
        Some((
            "xorg" | "gnome3" | "gnome" | "kdeApplications" | "plasma5" | "gst_all_1" | "xfce"
            | "mate" | "cinnamon",
            name,
        )) => Some(name),
        Some(_) => None,
    }
}

fn strip_language(name: &str) -> (Option<Language>, &str) {
    const HEADS: [(&str, Language); 12] = [
        ("python", Language::Python),
        ("pypy", Language::Python),
        ("perl", Language::Perl),
        ("ruby", Language::Ruby),
        ("luajit", Language::Lua),
        ("lua", Language::Lua),
        ("ocaml", Language::Ocaml),
        ("emacs", Language::Emacs),
        ("php", Language::Php),
        ("node", Language::Node),
        ("ghc", Language::Haskell),
        ("coq", Language::Plugin),
    ];
    for (head, language) in HEADS {
        let Some(rest) = name.strip_prefix(head) else {
            continue;
        };
        let digits = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        // A version must follow, as in `python3.8-`; `python-` alone begins other names as well.
        if digits.len() < rest.len()
            && let Some(package) = digits.strip_prefix('-').filter(|p| !p.is_empty())
        {
            return (Some(language), package);
        }
    }
    const PLAIN: [(&str, Language); 10] = [
        ("vimplugin-", Language::Vim),
        ("emacs-", Language::Emacs),
        ("texlive-", Language::Tex),
        ("r-", Language::R),
        ("ocaml-", Language::Ocaml),
        ("node_", Language::Node),
        ("haskell-", Language::Haskell),
        ("gnome-shell-extension-", Language::Plugin),
        ("vscode-extension-", Language::Plugin),
        ("terraform-provider-", Language::Plugin),
    ];
    for (head, language) in PLAIN {
        if let Some(package) = name.strip_prefix(head).filter(|p| !p.is_empty()) {
            return (Some(language), package);
        }
    }
    (None, name)
}

/// Without the stage of the bootstrap in which a compiler is built: `bootstrap-stage4-gcc`.
fn strip_stage(name: &str) -> &str {
    name.strip_prefix("bootstrap-stage")
        .map(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()))
        .and_then(|rest| rest.strip_prefix('-'))
        .filter(|rest| !rest.is_empty())
        .unwrap_or(name)
}

/// Without the words that Nixpkgs adds to one package in several forms.
fn strip_wrapping(pname: &str) -> &str {
    let mut pname = pname;
    for tail in [
        "-unwrapped",
        "-wrapped",
        "-wrapper",
        "-bin-unwrapped",
        "-with-extensions",
        "-with-plugins",
    ] {
        if let Some(rest) = pname.strip_suffix(tail).filter(|rest| !rest.is_empty()) {
            pname = rest;
        }
    }
    pname
}

/// Names of outputs that end store path names: `openssl-1.1.1g-dev`.
const OUTPUTS: [&str; 22] = [
    "bin",
    "dev",
    "devdoc",
    "devman",
    "dist",
    "doc",
    "data",
    "debug",
    "info",
    "lib",
    "libgcc",
    "lua",
    "man",
    "modules",
    "npm",
    "out",
    "py",
    "pythonPath",
    "static",
    "terminfo",
    "tools",
    "getent",
];

/// Whether a name is that of a package, where nothing else tells: neither a file (a source, a patch, a
/// script, a setting), nor a part of a system that `NixOS` makes of packages.
///
/// What states a name of its own is not asked.
pub fn is_of_package(name: &str) -> bool {
    const FILES: [&str; 27] = [
        ".drv", ".patch", ".diff", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2", ".tar.zst", ".zip",
        ".gem", ".whl", ".sh", ".service", ".socket", ".timer", ".target", ".conf", ".json",
        ".nix", ".crate", ".jar", ".txt", ".rules", ".pam", ".xml", ".cfg", ".pem",
    ];
    // Their version is that of the system, of the kernel in them, or of a standard.
    const MADE_OF_PACKAGES: [&str; 3] = ["nixos-system-", "nixos-version", "initrd-"];
    const POSIX: &str = "-1003.1-2008";
    let (pname, version) = parse_drv_name(name);
    let is_file = |text: &str| FILES.iter().any(|tail| text.ends_with(tail));
    !is_file(name)
        && !is_file(pname)
        && !name.ends_with(POSIX)
        && !MADE_OF_PACKAGES.iter().any(|head| name.starts_with(head))
        && (version.is_empty() || version.starts_with(|c: char| c.is_ascii_digit() || c == '_'))
}

/// Name, version and output of a store path's name, where nothing but the name is known.
///
/// What is no package (a source, a patch, a script) is none.
pub fn parse_path_name(name: &str) -> Option<(ParsedName<'_>, &str)> {
    if !is_of_package(name) {
        return None;
    }
    let (base, output) = match name.rsplit_once('-') {
        Some((base, output)) if OUTPUTS.contains(&output) => (base, output),
        _ => (name, "out"),
    };
    let parsed = parse(base, None, None);
    (!parsed.version.is_empty() && !parsed.pname.is_empty()).then_some((parsed, output))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(name: &str, pname: Option<&str>, version: Option<&str>) -> String {
        let parsed = parse(name, pname, version);
        format!("{:?} {} {}", parsed.language, parsed.pname, parsed.version)
    }

    #[test]
    fn prefixes_of_languages_go() {
        insta::assert_snapshot!(shown("python3.8-werkzeug-1.0.1", Some("Werkzeug"), Some("1.0.1")), @"Some(Python) Werkzeug 1.0.1");
        insta::assert_snapshot!(shown("perl5.30.3-Image-ExifTool-12.00", Some("perl5.30.3-Image-ExifTool"), None), @"Some(Perl) Image-ExifTool 12.00");
        insta::assert_snapshot!(shown("ruby2.6.6-aws-sdk-iam-1.33.0", None, None), @"Some(Ruby) aws-sdk-iam 1.33.0");
        insta::assert_snapshot!(shown("python-2.7.18", None, None), @"None python 2.7.18");
        insta::assert_snapshot!(shown("python3-3.8.3", Some("python3"), Some("3.8.3")), @"None python3 3.8.3");
        insta::assert_snapshot!(shown("cudatoolkit-10.2-cudnn-7.6.3", None, Some("7.6.3")), @"None cudatoolkit-10.2-cudnn 7.6.3");
        insta::assert_snapshot!(shown("vimplugin-fugitive-2020-07-01", None, None), @"Some(Vim) fugitive 2020-07-01");
        insta::assert_snapshot!(shown("r-readxl-1.3.1", None, None), @"Some(R) readxl 1.3.1");
    }

    #[test]
    fn wrappers_are_what_they_wrap() {
        insta::assert_snapshot!(shown("firefox-unwrapped-78.0.2", Some("firefox-unwrapped"), Some("78.0.2")), @"None firefox 78.0.2");
        insta::assert_snapshot!(shown("gcc-wrapper-9.3.0", None, None), @"None gcc 9.3.0");
        insta::assert_snapshot!(shown("python3-3.8.3-env", None, None), @"None python3 3.8.3");
        insta::assert_snapshot!(shown("firefox-unwrapped-68.10.0esr", None, None), @"None firefox-esr 68.10.0");
        insta::assert_snapshot!(shown("grub-0.97-73", None, None), @"None grub-legacy 0.97-73");
        insta::assert_snapshot!(shown("grub-2.04", None, None), @"None grub 2.04");
    }

    #[test]
    fn path_names_lose_their_outputs() {
        let shown = |name| {
            parse_path_name(name).map(|(p, output)| format!("{} {} {output}", p.pname, p.version))
        };
        assert_eq!(
            shown("openssl-1.1.1g-dev").as_deref(),
            Some("openssl 1.1.1g dev")
        );
        assert_eq!(shown("glibc-2.31").as_deref(), Some("glibc 2.31 out"));
        assert_eq!(shown("bash-4.4-p23").as_deref(), Some("bash 4.4-p23 out"));
        assert_eq!(shown("openssl-1.1.1g.tar.gz"), None);
        assert_eq!(shown("source"), None);
        assert_eq!(shown("etc"), None);
    }

    #[test]
    fn files_and_made_up_parts_are_no_packages() {
        for name in [
            "setuptools-47.3.1-sdist.tar.gz",
            "polkit-1.pam",
            "catalog-legacy-uris.patch-1.79.2",
            "etc-10-nixos.rules",
            "fc-00-nixos-cache.conf",
            "unit-container-.service",
            "unit-container@.service",
            "stage-1-init.sh",
            "nix-etag-1.15.4.patch",
            "nixos-system-nixos-20.09pre-git",
            "initrd-linux-5.4.53",
            "getent-1003.1-2008",
            "x-.hidden",
        ] {
            assert!(!is_of_package(name), "{name}");
        }
        for name in [
            "openssl-1.1.1g",
            "gnu-config-2019-04-15",
            "lisp-_3bmd-20171019-git",
            "rules-1.0",
            "patch-2.7.6",
            "socket.io-1.0",
            "source",
        ] {
            assert!(is_of_package(name), "{name}");
        }
    }

    #[test]
    fn a_stage_of_the_bootstrap_is_no_name() {
        insta::assert_snapshot!(shown("bootstrap-stage4-gcc-wrapper-9.3.0", None, None), @"None gcc 9.3.0");
        insta::assert_snapshot!(shown("bootstrap-stage-1.0", None, None), @"None bootstrap-stage 1.0");
    }

    #[test]
    fn attributes_tell_languages() {
        assert_eq!(
            language_of_attr("python38Packages.werkzeug"),
            Some(Language::Python)
        );
        assert_eq!(
            language_of_attr("ocamlPackages.core"),
            Some(Language::Ocaml)
        );
        assert_eq!(
            language_of_attr("ocaml-ng.ocamlPackages_4_09.core"),
            Some(Language::Ocaml)
        );
        assert_eq!(
            language_of_attr("dotnetPackages.NewtonsoftJson"),
            Some(Language::Dotnet)
        );
        assert_eq!(language_of_attr("xorg.xorgserver"), None);
        assert_eq!(language_of_attr("openssl"), None);
    }
}
