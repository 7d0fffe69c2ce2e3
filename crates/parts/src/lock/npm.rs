//! npm's lock files, versions 1 to 3: `package-lock.json`, `npm-shrinkwrap.json`, and the one that
//! npm leaves in `node_modules` about what it has installed.
//!
//! Version 1 nests packages as they lie in `node_modules`; 2 and 3 list them by path, and 2 has both
//! for old readers.
//!
//! Source: npm documentation, `package-lock.json`.

use serde::Deserialize;

use crate::part::{Declared, Origin, Scope, Span};
use crate::read::{Draft, PartsError, Sink};
use crate::text::{Members, Text, is_true, text_or_none};

const FORMAT: &str = "a lock file of npm";

#[derive(Deserialize)]
struct Lock<'a> {
    #[serde(borrow)]
    packages: Option<Members<'a>>,
    #[serde(borrow)]
    dependencies: Option<Members<'a>>,
}

#[derive(Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are the fields of the format"
)]
struct Package<'a> {
    #[serde(default, deserialize_with = "text_or_none")]
    name: Option<String>,
    #[serde(default, deserialize_with = "text_or_none")]
    version: Option<String>,
    #[serde(default, deserialize_with = "text_or_none")]
    resolved: Option<String>,
    #[serde(default, deserialize_with = "text_or_none")]
    integrity: Option<String>,
    #[serde(default, deserialize_with = "is_true")]
    dev: bool,
    #[serde(default, deserialize_with = "is_true")]
    optional: bool,
    #[serde(default, rename = "devOptional", deserialize_with = "is_true")]
    dev_optional: bool,
    #[serde(default, deserialize_with = "is_true")]
    link: bool,
    /// Nested packages, in version 1.
    #[serde(borrow, default)]
    dependencies: Option<&'a serde_json::value::RawValue>,
}

impl Package<'_> {
    fn scope(&self) -> Scope {
        if self.dev {
            Scope::Development
        } else if self.optional || self.dev_optional {
            Scope::Optional
        } else {
            Scope::Runtime
        }
    }
}

/// Adds the packages.
pub(crate) fn read(by: Declared, text: &Text<'_>, sink: &mut Sink) -> Result<(), PartsError> {
    let lock: Lock<'_> = text.json(FORMAT)?;
    match (lock.packages, lock.dependencies) {
        (Some(packages), _) => {
            for (path, value) in &packages.0 {
                let span = text.line_of_piece(value.get());
                match serde_json::from_str(value.get()) {
                    Ok(package) => add_by_path(by, path, &package, span, sink),
                    Err(_) => sink.problem(span, "a package that is not an object"),
                }
            }
        }
        (None, Some(dependencies)) => nested(by, text, dependencies, sink),
        // A project without dependencies.
        (None, None) => {}
    }
    Ok(())
}

/// A package of versions 2 and 3.
fn add_by_path(by: Declared, path: &str, package: &Package<'_>, span: Span, sink: &mut Sink) {
    // What is linked has an entry of its own where it lies.
    if package.link {
        return;
    }
    let installed = path.rsplit_once("node_modules/").map(|(_, name)| name);
    let Some(name) = package.name.as_deref().or(installed) else {
        // The project, or a directory within it; without a name nobody can depend on it.
        return;
    };
    let Some(version) = &package.version else {
        if installed.is_some() {
            sink.problem(span, format!("no version of {name}"));
        }
        return;
    };
    let origin = if installed.is_some() {
        origin_of(package.resolved.as_deref())
    } else {
        Origin::Local
    };
    let draft = Draft {
        replaces: installed.filter(|installed| *installed != name),
        checksum: package.integrity.as_deref(),
        ..Draft::new("npm", name, version, span)
    };
    let draft = draft.scope(package.scope()).root(installed.is_none());
    sink.add(by, draft.origin(origin));
}

/// How deep packages of version 1 are read in one another. Every level is read again with each that
/// is around it.
const MOST_NESTED: usize = 32;

/// The packages of version 1, each with those that lie within it.
fn nested(by: Declared, text: &Text<'_>, outermost: Members<'_>, sink: &mut Sink) {
    let mut waiting = vec![outermost.0.into_iter()];
    while let Some(members) = waiting.last_mut() {
        let Some((name, value)) = members.next() else {
            waiting.pop();
            continue;
        };
        let span = text.line_of_piece(value.get());
        let Ok(package) = serde_json::from_str::<Package<'_>>(value.get()) else {
            sink.problem(span, "a package that is not an object");
            continue;
        };
        add_by_name(by, &name, &package, span, sink);
        if let Some(inner) = package.dependencies {
            if waiting.len() >= MOST_NESTED {
                sink.problem(span, "dependencies that are nested too deep");
                continue;
            }
            match serde_json::from_str::<Members<'_>>(inner.get()) {
                Ok(inner) => waiting.push(inner.0.into_iter()),
                Err(_) => sink.problem(span, "dependencies that are not an object"),
            }
        }
    }
}

/// A package of version 1, whose version may be a URL or an alias.
fn add_by_name(by: Declared, name: &str, package: &Package<'_>, span: Span, sink: &mut Sink) {
    let Some(version) = package.version.as_deref() else {
        return sink.problem(span, format!("no version of {name}"));
    };
    let alias = version
        .strip_prefix("npm:")
        .and_then(|text| text.rsplit_once('@'))
        .filter(|(name, _)| !name.is_empty());
    let (real, version) = alias.unwrap_or((name, version));
    let origin = if version.contains(':') {
        origin_of(Some(version))
    } else {
        origin_of(package.resolved.as_deref())
    };
    let draft = Draft {
        replaces: (real != name).then_some(name),
        checksum: package.integrity.as_deref(),
        ..Draft::new("npm", real, version, span)
    };
    sink.add(by, draft.scope(package.scope()).origin(origin));
}

/// Where a package is from, by the URL that npm, yarn or pnpm fetched.
///
/// Mirrors of the registry have the same paths as the registry: `/NAME/-/FILE.tgz`.
pub(crate) fn origin_of(resolved: Option<&str>) -> Origin {
    let Some(url) = resolved else {
        return Origin::Registry;
    };
    let (scheme, rest) = url.split_once(':').unwrap_or((url, ""));
    match scheme {
        "http" | "https" if rest.contains("/-/") || rest.starts_with("//registry.npmjs.org/") => {
            Origin::Registry
        }
        "http" | "https" => Origin::Elsewhere(url.into()),
        "file" | "link" | "portal" | "workspace" => Origin::Local,
        "git" | "github" | "gitlab" | "bitbucket" | "gist" => Origin::Repository(url.into()),
        _ if scheme.starts_with("git+") => Origin::Repository(url.into()),
        // `1.2.3`, `^1`: not a URL.
        _ if rest.is_empty() => Origin::Registry,
        _ => Origin::Elsewhere(url.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_by_url() {
        let of = |url| origin_of(Some(url));
        assert_eq!(origin_of(None), Origin::Registry);
        for url in [
            "https://registry.npmjs.org/chalk/-/chalk-2.4.2.tgz",
            "https://registry.yarnpkg.com/chalk/-/chalk-2.4.2.tgz#cd42",
            "https://mirror.example/npm/@babel/runtime/-/runtime-7.20.0.tgz",
        ] {
            assert_eq!(of(url), Origin::Registry, "{url}");
        }
        assert_eq!(of("file:../x"), Origin::Local);
        let git = "git+ssh://git@github.com/a/b.git#0123";
        assert_eq!(of(git), Origin::Repository(git.into()));
        let archive = "https://codeload.github.com/a/b/tar.gz/0123";
        assert_eq!(of(archive), Origin::Elsewhere(archive.into()));
    }
}
