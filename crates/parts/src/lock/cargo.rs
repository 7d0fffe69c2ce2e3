//! `Cargo.lock`, versions 1 to 4.
//!
//! It has the dependencies of every target, feature and platform, and of tests: no scopes.
//!
//! Source: `cargo::core::resolver::encode` of Cargo.

use std::collections::{HashMap, HashSet};

use serde::Deserialize;
use toml::Spanned;

use crate::part::{Declared, Origin, Span};
use crate::read::{Draft, PartsError, Sink};
use crate::text::Text;

#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    package: Vec<Package>,
    /// Before version 2: the package for which the file was made.
    root: Option<Package>,
    /// Version 1: checksums, by `checksum NAME VERSION (SOURCE)`.
    #[serde(default)]
    metadata: HashMap<String, toml::Value>,
}

#[derive(Deserialize)]
struct Package {
    name: Spanned<String>,
    version: String,
    source: Option<String>,
    checksum: Option<String>,
    #[serde(default)]
    dependencies: Vec<String>,
}

/// Adds the packages.
pub(crate) fn read(text: &Text<'_>, sink: &mut Sink) -> Result<(), PartsError> {
    let lock: Lock = text.toml("a Cargo.lock")?;
    let packages = || lock.root.iter().chain(&lock.package);
    if packages().next().is_none() {
        sink.problem(Span::Whole, "a Cargo.lock without packages");
    }
    let used: HashSet<&str> = packages()
        .flat_map(|package| &package.dependencies)
        .filter_map(|text| text.split(' ').next())
        .collect();
    for package in packages() {
        let name = package.name.get_ref();
        let source = package.source.as_deref();
        let checksum = package.checksum.clone().or_else(|| {
            let key = format!("checksum {name} {} ({})", package.version, source?);
            Some(lock.metadata.get(&key)?.as_str()?.to_owned())
        });
        let checksum = checksum
            .filter(|sum| sum != "<none>")
            .map(|sum| format!("sha256:{sum}"));
        let origin = origin(source);
        let root = origin == Origin::Local && !used.contains(&**name);
        let span = text.line_of(package.name.span().start);
        let draft = Draft {
            checksum: checksum.as_deref(),
            ..Draft::new("cargo", name, &package.version, span)
        };
        sink.add(Declared::CargoLock, draft.origin(origin).root(root));
    }
    Ok(())
}

fn origin(source: Option<&str>) -> Origin {
    match source {
        None => Origin::Local,
        Some(
            "registry+https://github.com/rust-lang/crates.io-index"
            | "registry+sparse+https://index.crates.io/"
            | "sparse+https://index.crates.io/",
        ) => Origin::Registry,
        Some(text) => match text.strip_prefix("git+") {
            Some(url) => Origin::Repository(url.into()),
            None => Origin::Elsewhere(text.into()),
        },
    }
}
