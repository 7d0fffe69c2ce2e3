//! What one is asked for beside its addresses, as one text that two can be compared by.
//!
//! Where what comes can be computed without its builder, that is the form in which it is taken: with which
//! curl it came is nothing to its content. Everything else may decide what comes, and so all that is
//! written in it counts, except for what is its source and what is only its tools. Of a tool the name
//! counts and not the version: else each new compiler would make another of everything. Scripts are compared beside
//! it, by their paths.

use std::collections::BTreeSet;

use snowguard_store::derivation::attrs::Attrs;
use snowguard_store::{Derivation, Hash, HashAlgo, StoreDir};

use crate::class::without_version;
use crate::plan::{Form, Plan, Tree};

/// Attributes that say who builds, what is promised, or whom is spoken to, and not what is asked for.
const OTHERS: [&str; 35] = [
    "name",
    "out",
    "outputs",
    "system",
    "builder",
    "stdenv",
    "userHook",
    "outputHash",
    "outputHashAlgo",
    "outputHashMode",
    "mirrorsFile",
    "hashedMirrors",
    "preferHashedMirrors",
    "nixpkgsVersion",
    "curlVersion",
    "impureEnvVars",
    "preferLocalBuild",
    "allowSubstitutes",
    "fetcher",
    "SSL_CERT_FILE",
    "NIX_SSL_CERT_FILE",
    "GIT_SSL_CAINFO",
    "NIX_GIT_SSL_CAINFO",
    "strictDeps",
    "enableParallelBuilding",
    "enableParallelChecking",
    "enableParallelInstalling",
    "__structuredAttrs",
    "__ignoreNulls",
    "__darwinAllowLocalNetworking",
    "__json",
    "doCheck",
    "doInstallCheck",
    "NIX_HARDENING_ENABLE",
    "hardeningDisable",
];

/// The text. `sources` are the addresses, revisions and store paths by which it is compared already; `more` are
/// addresses that are not kept, and of which it must still be seen that they are others.
pub(crate) fn of(
    drv: &Derivation,
    attrs: Option<&Attrs<'_>>,
    dir: &StoreDir,
    plan: &Plan,
    sources: &[&str],
    more: &[Box<str>],
) -> Box<str> {
    let text = match plan {
        Plan::Fetch(Form::Git(tree)) => git(tree),
        Plan::Fetch(form) => format!("{form:?}"),
        Plan::Build(_) | Plan::Nothing | Plan::Manual => digest(all(drv, attrs, dir, sources)),
    };
    if more.is_empty() {
        return text.into();
    }
    format!("{text} {}", digest(more.join(" "))).into()
}

/// Of a repository: all but where it is and which commit, by which it is compared already.
fn git(tree: &Tree) -> String {
    let Tree {
        url: _,
        rev: _,
        submodules,
        lfs,
        sparse,
    } = tree;
    format!("git {submodules} {lfs} {sparse:?}")
}

fn digest(text: String) -> String {
    let hash = Hash::of(HashAlgo::Sha256, text.as_bytes());
    hash.map_or(text, |hash| hash.to_string())
}

/// The sources that it is run by. Where what comes is taken without its builder, its script is trusted to be that of
/// the fetcher, so that all of its sources count; else those that are told to its builder: the rest is part of what is
/// asked.
pub(crate) fn scripts(
    drv: &Derivation,
    attrs: Option<&Attrs<'_>>,
    dir: &StoreDir,
    plan: &Plan,
) -> Vec<Box<str>> {
    if drv.builder().starts_with(b"builtin:") {
        return Vec::new();
    }
    let fetcher = attrs.and_then(|attrs| attrs.text("fetcher"));
    let runs = |path: &str| {
        let mut told = drv.args().chain([drv.builder()]);
        told.any(|arg| arg == path.as_bytes()) || fetcher.as_deref() == Some(path)
    };
    let paths = drv.input_srcs().iter();
    paths
        .map(|path| dir.show(path).to_string())
        .filter(|path| matches!(plan, Plan::Fetch(_)) || runs(path))
        .map(Into::into)
        .collect()
}

/// All that is written in it.
fn all(drv: &Derivation, attrs: Option<&Attrs<'_>>, dir: &StoreDir, sources: &[&str]) -> String {
    let own: BTreeSet<String> = drv
        .input_srcs()
        .iter()
        .map(|path| dir.show(path).to_string())
        .collect();
    let told = |name: &str, value: &str| {
        // Patches are content, whoever made them.
        if name.ends_with("atches") || name.starts_with("src") {
            return value.to_owned();
        }
        without_stores(value, dir, &|path, after| {
            own.contains(path) || is_content(path, after)
        })
    };
    let mut lines = vec![
        told("builder", &String::from_utf8_lossy(drv.builder())),
        drv.args()
            .map(|arg| without_stores(&String::from_utf8_lossy(arg), dir, &|_, _| false))
            .collect::<Vec<_>>()
            .join(" "),
    ];
    let structured = attrs.filter(|attrs| attrs.is_structured());
    let mut values: Vec<(String, String)> = match structured {
        Some(attrs) => attrs
            .names()
            .map(|name| {
                let value = match attrs.text(&name) {
                    Some(text) => text.into_owned(),
                    None => attrs
                        .json(&name)
                        .map(ToString::to_string)
                        .unwrap_or_default(),
                };
                (name.into_owned(), value)
            })
            .collect(),
        None => drv
            .env()
            // What cannot be read as attributes counts as it is.
            .filter(|(name, _)| attrs.is_some() || *name == b"__json")
            .map(|(name, value)| {
                let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
                (text(name), text(value))
            })
            .collect(),
    };
    values.sort_unstable();
    for (name, value) in values {
        let is_other = attrs.is_some() && OTHERS.contains(&&*name);
        let mut words = value.split_ascii_whitespace();
        let is_source = words.all(|word| sources.contains(&word));
        // Empty is as good as absent, which `is_source` says of it too.
        if !is_other && !is_source {
            lines.push(format!("{name}={}", told(&name, &value)));
        }
    }
    lines.join("\n")
}

/// Names of packages in place of store paths, but for those that are kept, by their text and what stands behind it.
fn without_stores(text: &str, dir: &StoreDir, keeps: &dyn Fn(&str, &str) -> bool) -> String {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || "+-._?=".contains(c);
    let start = format!("{}/", dir.as_str());
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(&start) {
        out.push_str(&rest[..at]);
        let (found, behind) = (&rest[at..], &rest[at + start.len()..]);
        let length = behind.find(|c| !is_of_name(c)).unwrap_or(behind.len());
        let (path, after) = found.split_at(start.len() + length);
        if keeps(path, after) {
            out.push_str(path);
        } else {
            let base = &behind[..length];
            let name = base.split_once('-').map_or(base, |(_, name)| name);
            out.push_str(without_version(name));
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Whether a store path is what something is made of and no tool, by its name and by what is taken of it: a source, an
/// archive, or a file that lies where no package has its programs, libraries and data.
fn is_content(path: &str, after: &str) -> bool {
    const ARCHIVES: [&str; 10] = [
        ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2", ".tar.zst", ".zip", ".crate", ".gem", ".lock",
        ".json",
    ];
    const OF_PACKAGES: [&str; 11] = [
        "bin",
        "sbin",
        "lib",
        "lib32",
        "lib64",
        "libexec",
        "etc",
        "share",
        "include",
        "nix-support",
        "var",
    ];
    if path.ends_with("-source") || ARCHIVES.iter().any(|end| path.ends_with(end)) {
        return true;
    }
    let Some(file) = after.strip_prefix('/') else {
        return false;
    };
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || "+-._".contains(c);
    let first = &file[..file.find(|c| !is_of_name(c)).unwrap_or(file.len())];
    // `/.` and `/..` are a path that somebody goes on with.
    !first.trim_matches('.').is_empty() && !OF_PACKAGES.contains(&first)
}

#[cfg(test)]
mod tests {
    use crate::fod::tests::fod;

    const STORE: &str = "/nix/store/00000000000000000000000000000000";

    #[test]
    fn tools_do_not_count_and_all_else_does() {
        let asked = |env: &[(&str, &str)]| {
            let tool = format!("{STORE}-cargo-1.80.0");
            let mut all = vec![("nativeBuildInputs", tool.as_str()), ("patches", "")];
            all.extend(env);
            fod("x-vendor", &["cargo-1.80.0"], &all).asked
        };
        let one = asked(&[]);
        let newer = "/nix/store/11111111111111111111111111111111-cargo-1.81.0";
        let (patch, other) = (
            format!("{STORE}-x.patch"),
            "/nix/store/11111111111111111111111111111111-x.patch",
        );
        assert_eq!(asked(&[("nativeBuildInputs", newer)]), one);
        assert_eq!(asked(&[("SSL_CERT_FILE", "/other")]), one);
        assert_eq!(asked(&[("preferHashedMirrors", "1")]), one);
        assert_eq!(asked(&[("src", &format!("{STORE}-source"))]), one);
        assert_ne!(asked(&[("patches", &patch)]), asked(&[("patches", other)]));
        for env in [
            ("modRoot", "x"),
            ("postPatch", "rm -r x"),
            ("version", "2"),
            ("__json", "{"),
        ] {
            assert_ne!(asked(&[env]), one, "{env:?}");
        }
        let structured = |json| fod("x-vendor", &["cargo-1.80.0"], &[("__json", json)]).asked;
        assert_ne!(
            structured(r#"{"a":{"b":1}}"#),
            structured(r#"{"a":{"b":2}}"#)
        );
    }
}
