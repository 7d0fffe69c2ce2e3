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

/// What each package is for. In the graph, the first nodes are the packages.
fn scopes(packages: &[Package]) -> Vec<Scope> {
    let mut graph = Graph::of(packages);
    let mut starts = Vec::new();
    for (number, package) in packages.iter().enumerate() {
        for dependency in &package.dependencies {
            let targets = graph.targets(dependency, Scope::Runtime);
            graph.edges[number].extend(targets);
        }
        for (extra, dependencies) in &package.optional_dependencies {
            let node = graph.extras[&(number, extra.as_str())];
            for dependency in dependencies {
                let targets = graph.targets(dependency, Scope::Runtime);
                graph.edges[node].extend(targets);
            }
            if package.is_root() {
                starts.push((node, Scope::Optional));
            }
        }
        if package.is_root() {
            starts.push((number, Scope::Runtime));
            for dependency in package.dev_dependencies.values().flatten() {
                starts.extend(graph.targets(dependency, Scope::Development));
            }
        }
    }
    let mut scopes = graph::scopes(&graph.edges, &starts);
    scopes.truncate(packages.len());
    scopes
}

/// What a dependency asks for: a name, a version where one name has several, and one extra or none.
type Asked<'a> = (&'a str, Option<&'a str>, Option<&'a str>);

/// Nodes are packages, packages with one extra, and what dependencies ask for. An extra is a package
/// that needs the extra's dependencies. What is asked for is one that needs each package that fits:
/// were they joined to each other instead, a thousand packages of one name and a thousand
/// dependencies on it would make a million edges.
struct Graph<'a> {
    extras: HashMap<(usize, &'a str), usize>,
    asked: HashMap<Asked<'a>, usize>,
    edges: Vec<Vec<To>>,
}

impl<'a> Graph<'a> {
    fn of(packages: &'a [Package]) -> Self {
        let mut graph = Self {
            extras: HashMap::new(),
            asked: HashMap::new(),
            edges: vec![Vec::new(); packages.len()],
        };
        for (number, package) in packages.iter().enumerate() {
            graph.offer(package, None, number);
            for extra in package.optional_dependencies.keys() {
                let node = graph.edges.len();
                graph.edges.push(Vec::new());
                graph.extras.insert((number, extra), node);
                graph.offer(package, Some(extra), node);
            }
        }
        graph
    }

    /// The node is what is asked for by this name, with and without the version.
    fn offer(&mut self, package: &'a Package, extra: Option<&'a str>, node: usize) {
        let name = &**package.name.get_ref();
        let version = package.version.as_deref();
        let with_version = version.map(|version| (name, Some(version), extra));
        for asked in with_version.into_iter().chain([(name, None, extra)]) {
            let next = self.edges.len();
            let number = *self.asked.entry(asked).or_insert(next);
            if number == next {
                self.edges.push(Vec::new());
            }
            self.edges[number].push((node, Scope::Runtime));
        }
    }

    fn targets<'d>(&self, dependency: &'d Dependency, scope: Scope) -> Vec<To> {
        let (name, version) = (&*dependency.name, dependency.version.as_deref());
        let extras = dependency.extra.iter().map(|extra| Some(&**extra));
        [None]
            .into_iter()
            .chain(extras)
            .filter_map(|extra: Option<&'d str>| self.asked.get(&(name, version, extra)))
            .map(|node| (*node, scope))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn packages_of_one_name_make_no_more_edges_than_there_are_lines() {
        let mut text = String::new();
        let many = 400;
        for minor in 0..many {
            writeln!(
                text,
                "[[package]]\nname = \"a\"\nversion = \"1.{minor}\"\nsource = {{ registry = \"https://pypi.org/simple\" }}\n\
                 [package.optional-dependencies]\nx = [{{ name = \"b\", version = \"1\" }}]"
            )
            .unwrap();
        }
        let depends = "{ name = \"a\", extra = [\"x\"] }, ".repeat(many);
        writeln!(
            text,
            "[[package]]\nname = \"b\"\nversion = \"1\"\n\
             [[package]]\nname = \"b\"\nversion = \"2\"\n\
             [[package]]\nname = \"top\"\nversion = \"0\"\nsource = {{ virtual = \".\" }}\ndependencies = [{depends}]"
        )
        .unwrap();
        let lock: Lock = toml::from_str(&text).unwrap();
        let graph = Graph::of(&lock.package);
        let edges: usize = graph.edges.iter().map(Vec::len).sum();
        assert!(edges < 10 * many, "{edges}");
        // All that the name fits are needed; of `b` only the version that the extra names.
        let found = scopes(&lock.package);
        let (all, last) = found.split_at(many);
        assert!(all.iter().all(|scope| *scope == Scope::Runtime));
        assert_eq!(last, [Scope::Runtime, Scope::Unknown, Scope::Runtime]);
    }
}
