//! `*.deps.json`: what the .NET host loads for a program.
//!
//! `libraries` has every package, `targets` has for each runtime what of it is loaded. A package
//! without files there was needed to build, as those whose library comes with the runtime, or only
//! gathers others: nothing of it is in the product. Up to .NET Core 3.1 the files of a package that is
//! another for each platform are those of `runtime.PLATFORM.NAME`, in the same version.
//!
//! Source: .NET runtime, `docs/design/features/host-probing.md` and `sdk` `DependencyContext`.

use std::collections::{HashMap, HashSet};

use serde::Deserialize;

use super::{Members, Text, text_or_none};
use crate::part::{Declared, Origin, Scope};
use crate::read::{Draft, PartsError, Sink};

const FORMAT: &str = "a .deps.json";

#[derive(Deserialize)]
struct Deps<'a> {
    #[serde(rename = "runtimeTarget")]
    runtime_target: Option<RuntimeTarget>,
    #[serde(borrow, default)]
    targets: HashMap<String, HashMap<String, Assets<'a>>>,
    #[serde(borrow, default)]
    libraries: Members<'a>,
}

#[derive(Deserialize)]
struct RuntimeTarget {
    #[serde(default, deserialize_with = "text_or_none")]
    name: Option<String>,
}

/// What `runtime.PLATFORM.NAME/VERSION` may be the files of: the platform has up to two dots, as in
/// `osx.10.10-x64`.
fn without_platform(key: &str) -> impl Iterator<Item = &str> {
    let rest = key.strip_prefix("runtime.").unwrap_or_default();
    let dots = rest.match_indices('.').take(3);
    dots.map(move |(at, _)| &rest[at + 1..])
}

/// What of a package is loaded.
#[derive(Deserialize)]
struct Assets<'a> {
    #[serde(borrow)]
    runtime: Option<Members<'a>>,
    #[serde(borrow)]
    native: Option<Members<'a>>,
    #[serde(borrow)]
    resources: Option<Members<'a>>,
    #[serde(borrow, rename = "runtimeTargets")]
    runtime_targets: Option<Members<'a>>,
}

impl Assets<'_> {
    fn scope(&self) -> Scope {
        let files = [
            &self.runtime,
            &self.native,
            &self.resources,
            &self.runtime_targets,
        ];
        // NuGet writes a file of this name where there is to be none.
        let is_file = |path: &str| path != "_._" && !path.ends_with("/_._");
        let mut files = files.into_iter().flatten().flat_map(|files| &files.0);
        if files.any(|(path, _)| is_file(path)) {
            Scope::Runtime
        } else {
            Scope::Build
        }
    }
}

#[derive(Deserialize)]
struct Library {
    #[serde(default, rename = "type", deserialize_with = "text_or_none")]
    kind: Option<String>,
    #[serde(default, deserialize_with = "text_or_none")]
    sha512: Option<String>,
}

/// Adds the packages, and the program itself as what is local.
pub(crate) fn read(text: &Text<'_>, sink: &mut Sink) -> Result<(), PartsError> {
    let deps: Deps<'_> = text.json(FORMAT)?;
    let target = deps.runtime_target.and_then(|target| target.name);
    let assets = target.and_then(|target| deps.targets.get(&target));
    let by_platform: HashSet<&str> = assets
        .into_iter()
        .flatten()
        .filter(|(_, assets)| assets.scope() == Scope::Runtime)
        .flat_map(|(key, _)| without_platform(key))
        .collect();
    for (key, value) in &deps.libraries.0 {
        let span = text.line_of_piece(value.get());
        let Some((name, version)) = key.split_once('/') else {
            sink.problem(span, "a library without a version");
            continue;
        };
        let Ok(library) = serde_json::from_str::<Library>(value.get()) else {
            sink.problem(span, "a library that is not an object");
            continue;
        };
        let scope = assets
            .and_then(|assets| assets.get(&**key))
            .map_or(Scope::Unknown, |assets| {
                if by_platform.contains(&**key) {
                    Scope::Runtime
                } else {
                    assets.scope()
                }
            });
        let draft = Draft {
            checksum: library.sha512.as_deref().filter(|sum| !sum.is_empty()),
            ..Draft::new("nuget", name, version, span).scope(scope)
        };
        match library.kind.as_deref() {
            Some("package") => sink.add(Declared::DotnetDeps, draft),
            // The runtime of a program that brings its own: the package is named without the word.
            Some("runtimepack") => {
                let name = name.strip_prefix("runtimepack.").unwrap_or(name);
                sink.add(Declared::DotnetDeps, Draft { name, ..draft });
            }
            Some("project") => {
                sink.add(Declared::DotnetDeps, draft.origin(Origin::Local).root(true));
            }
            // References to files, which have no package.
            _ => {}
        }
    }
    Ok(())
}
