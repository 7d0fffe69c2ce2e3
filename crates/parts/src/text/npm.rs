//! `package.json` of packages that npm, yarn or pnpm have installed under `node_modules`.
//!
//! Source: npm documentation, `package.json`.

use serde::Deserialize;

use super::{Text, is_true, text_or_none};
use crate::lock::npm::origin_of;
use crate::part::{Declared, Origin, Scope, Span};
use crate::read::{Draft, PartsError, Sink};

#[derive(Deserialize)]
struct Package {
    #[serde(default, deserialize_with = "text_or_none")]
    name: Option<String>,
    #[serde(default, deserialize_with = "text_or_none")]
    version: Option<String>,
    #[serde(default, deserialize_with = "is_true")]
    private: bool,
    /// Written by npm up to 6.
    #[serde(default, rename = "_resolved", deserialize_with = "text_or_none")]
    resolved: Option<String>,
}

/// Adds the package. Without name or version there is none: such files only set how modules are
/// loaded.
pub(crate) fn read(text: &Text<'_>, sink: &mut Sink) -> Result<(), PartsError> {
    let package: Package = text.json("a package.json")?;
    let (Some(name), Some(version)) = (&package.name, &package.version) else {
        return Ok(());
    };
    // What is private cannot have come from the registry.
    let origin = if package.private {
        Origin::Local
    } else {
        origin_of(package.resolved.as_deref())
    };
    let draft = Draft::new("npm", name, version, Span::Whole)
        .scope(Scope::Runtime)
        .origin(origin);
    sink.add(Declared::NpmPackage, draft);
    Ok(())
}
