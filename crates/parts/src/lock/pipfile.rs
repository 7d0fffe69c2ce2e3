//! `Pipfile.lock` of Pipenv.
//!
//! Source: Pipenv documentation, and pipfile-spec 6.

use serde::Deserialize;

use crate::part::{Declared, Origin, Scope};
use crate::read::{Draft, PartsError, Sink};
use crate::text::{Members, Text, text_or_none};

#[derive(Deserialize)]
struct Lock<'a> {
    #[serde(borrow, default)]
    default: Members<'a>,
    #[serde(borrow, default)]
    develop: Members<'a>,
}

#[derive(Deserialize)]
struct Package {
    #[serde(default, deserialize_with = "text_or_none")]
    version: Option<String>,
    #[serde(default, deserialize_with = "text_or_none")]
    git: Option<String>,
    #[serde(default, deserialize_with = "text_or_none")]
    file: Option<String>,
    #[serde(default, deserialize_with = "text_or_none")]
    path: Option<String>,
}

/// Adds the packages. What is in both lists is needed at run time.
pub(crate) fn read(text: &Text<'_>, sink: &mut Sink) -> Result<(), PartsError> {
    let lock: Lock<'_> = text.json("a Pipfile.lock")?;
    for (members, scope) in [
        (&lock.default, Scope::Runtime),
        (&lock.develop, Scope::Development),
    ] {
        for (name, value) in &members.0 {
            let span = text.line_of_piece(value.get());
            let Ok(package) = serde_json::from_str::<Package>(value.get()) else {
                sink.problem(span, "a package that is not an object");
                continue;
            };
            // Repositories, archives and directories have a version only where Pipenv looked.
            let Some(version) = package.version.as_deref() else {
                if package.git.is_none() && package.file.is_none() && package.path.is_none() {
                    sink.problem(span, "a package without a version");
                }
                continue;
            };
            let version = version.trim_start_matches('=');
            let draft = Draft::new("pypi", name, version, span).scope(scope);
            let draft = match (package.git, package.file, package.path) {
                (Some(url), _, _) => draft.origin(Origin::Repository(url.into())),
                (_, Some(url), _) => draft.origin(Origin::Elsewhere(url.into())),
                (_, _, Some(_)) => draft.origin(Origin::Local),
                _ => draft,
            };
            sink.add(Declared::PipfileLock, draft);
        }
    }
    Ok(())
}
