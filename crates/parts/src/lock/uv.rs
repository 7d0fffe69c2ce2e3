//! `uv.lock`. What a package is for follows from the graph: from the packages of the workspace, over
//! dependencies, extras and development groups.
//!
//! Source: uv's `uv-resolver`, `lock`.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;
use toml::Spanned;

use super::graph::{self, To};
use crate::part::{Declared, Origin, Scope, Span};
use crate::read::{Draft, PartsError, Sink};
use crate::text::Text;

#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    package: Vec<Package>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Package {
    name: Spanned<String>,
    /// Absent if it is computed when the package is built.
    version: Option<String>,
    #[serde(default)]
    source: BTreeMap<String, toml::Value>,
    #[serde(default)]
    dependencies: Vec<Dependency>,
    #[serde(default)]
    optional_dependencies: BTreeMap<String, Vec<Dependency>>,
    #[serde(default)]
    dev_dependencies: BTreeMap<String, Vec<Dependency>>,
    sdist: Option<Archive>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    version: Option<String>,
    #[serde(default)]
    extra: Vec<String>,
}

#[derive(Deserialize)]
struct Archive {
    hash: Option<String>,
}

/// Adds the packages.
pub(crate) fn read(text: &Text<'_>, sink: &mut Sink) -> Result<(), PartsError> {
    let lock: Lock = text.toml("a uv.lock")?;
    // The first versions of uv wrote them under another name.
    if lock.package.is_empty() {
        sink.problem(Span::Whole, "a uv.lock without packages");
    }
    let scopes = scopes(&lock.package);
    for (package, scope) in lock.package.iter().zip(scopes) {
        let Some(version) = package.version.as_deref() else {
            // A package of the workspace whose version is computed; nothing is known to be in it.
            continue;
        };
        let span = text.line_of(package.name.span().start);
        let draft = Draft {
            checksum: package
                .sdist
                .as_ref()
                .and_then(|sdist| sdist.hash.as_deref()),
            ..Draft::new("pypi", package.name.get_ref(), version, span).scope(scope)
        };
        let source = |kind: &str| package.source.get(kind).and_then(toml::Value::as_str);
        let draft = if let Some(url) = source("registry") {
            if is_pypi(url) {
                draft
            } else {
                draft.mirror(url)
            }
        } else if let Some(url) = source("git") {
            draft.origin(Origin::Repository(url.into()))
        } else if let Some(url) = source("url") {
            draft.origin(Origin::Elsewhere(url.into()))
        } else {
            draft.origin(Origin::Local).root(package.is_root())
        };
        sink.add(Declared::UvLock, draft);
    }
    Ok(())
}

/// Whether this is the public Python Package Index.
pub(super) fn is_pypi(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    matches!(
        rest.trim_end_matches('/'),
        "pypi.org/simple" | "pypi.python.org/simple" | "pypi.org"
    )
}

impl Package {
    /// A package of the workspace.
    fn is_root(&self) -> bool {
        self.source.contains_key("virtual") || self.source.contains_key("editable")
    }
}

/// Nodes are packages, and packages with one extra: an extra is a package that needs its package and
/// the extra's dependencies.
fn scopes(packages: &[Package]) -> Vec<Scope> {
    let mut by_name: HashMap<&str, Vec<usize>> = HashMap::new();
    for (number, package) in packages.iter().enumerate() {
        by_name
            .entry(package.name.get_ref())
            .or_default()
            .push(number);
    }
    let mut extras: HashMap<(usize, &String), usize> = HashMap::new();
    let mut count = packages.len();
    for (number, package) in packages.iter().enumerate() {
        for extra in package.optional_dependencies.keys() {
            extras.insert((number, extra), count);
            count += 1;
        }
    }
    let targets = |dependency: &Dependency, scope: Scope, out: &mut Vec<To>| {
        let named = by_name.get(&*dependency.name).into_iter().flatten();
        for number in named {
            // The version is told where one name has several.
            let fits =
                dependency.version.is_none() || dependency.version == packages[*number].version;
            if !fits {
                continue;
            }
            out.push((*number, scope));
            for extra in &dependency.extra {
                out.extend(extras.get(&(*number, extra)).map(|to| (*to, scope)));
            }
        }
    };
    let mut edges: Vec<Vec<To>> = vec![Vec::new(); count];
    let mut starts = Vec::new();
    for (number, package) in packages.iter().enumerate() {
        for dependency in &package.dependencies {
            targets(dependency, Scope::Runtime, &mut edges[number]);
        }
        for (extra, dependencies) in &package.optional_dependencies {
            let node = extras[&(number, extra)];
            for dependency in dependencies {
                targets(dependency, Scope::Runtime, &mut edges[node]);
            }
            if package.is_root() {
                starts.push((node, Scope::Optional));
            }
        }
        if package.is_root() {
            starts.push((number, Scope::Runtime));
            for dependency in package.dev_dependencies.values().flatten() {
                targets(dependency, Scope::Development, &mut starts);
            }
        }
    }
    let mut scopes = graph::scopes(&edges, &starts);
    scopes.truncate(packages.len());
    scopes
}
