//! `poetry.lock`.
//!
//! Up to Poetry 1.4 a package has a category, since 2.0 its groups; in between nothing tells what
//! it is for.
//!
//! Source: Poetry's `Locker`.

use serde::Deserialize;
use toml::Spanned;

use super::uv::is_pypi;
use crate::part::{Declared, Origin, Scope};
use crate::read::{Draft, PartsError, Sink};
use crate::text::Text;

#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    package: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: Spanned<String>,
    version: String,
    #[serde(default)]
    optional: bool,
    category: Option<String>,
    groups: Option<Vec<String>>,
    source: Option<Source>,
}

#[derive(Deserialize)]
struct Source {
    #[serde(rename = "type")]
    kind: String,
    url: String,
}

/// Adds the packages.
pub(crate) fn read(text: &Text<'_>, sink: &mut Sink) -> Result<(), PartsError> {
    let lock: Lock = text.toml("a poetry.lock")?;
    for package in &lock.package {
        let span = text.line_of(package.name.span().start);
        let draft = Draft::new("pypi", package.name.get_ref(), &package.version, span);
        let draft = draft.scope(package.scope());
        let draft = match &package.source {
            None => draft,
            Some(source) => match &*source.kind {
                "legacy" if is_pypi(&source.url) => draft,
                "legacy" => draft.mirror(&source.url),
                "git" => draft.origin(Origin::Repository((&*source.url).into())),
                "file" | "directory" => draft.origin(Origin::Local),
                _ => draft.origin(Origin::Elsewhere((&*source.url).into())),
            },
        };
        sink.add(Declared::PoetryLock, draft);
    }
    Ok(())
}

impl Package {
    fn scope(&self) -> Scope {
        let main = match (&self.groups, self.category.as_deref()) {
            (Some(groups), _) => groups.iter().any(|group| group == "main"),
            (None, Some(category)) => category == "main",
            (None, None) if self.optional => true,
            (None, None) => return Scope::Unknown,
        };
        match (main, self.optional) {
            (true, true) => Scope::Optional,
            (true, false) => Scope::Runtime,
            (false, _) => Scope::Development,
        }
    }
}
