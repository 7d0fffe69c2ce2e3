//! Composer: `composer.lock`, and `vendor/composer/installed.json` about what it has installed.
//!
//! Source: Composer's `Locker` and `FilesystemRepository`.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::part::{Declared, Origin, Scope};
use crate::read::{Draft, PartsError, Sink};
use crate::text::{Name, Text, text_or_none};

#[derive(Deserialize)]
struct Lock<'a> {
    #[serde(borrow, default)]
    packages: Vec<&'a RawValue>,
    #[serde(borrow, default, rename = "packages-dev")]
    packages_dev: Option<Vec<&'a RawValue>>,
    /// Only in `installed.json`.
    #[serde(borrow, default, rename = "dev-package-names")]
    dev_package_names: HashSet<Name<'a>>,
}

#[derive(Deserialize)]
struct Package {
    #[serde(default, deserialize_with = "text_or_none")]
    name: Option<String>,
    #[serde(default, deserialize_with = "text_or_none")]
    version: Option<String>,
    source: Option<Source>,
    dist: Option<Source>,
    /// Where Packagist counts installations: only its packages have it.
    #[serde(
        default,
        rename = "notification-url",
        deserialize_with = "text_or_none"
    )]
    notification_url: Option<String>,
}

#[derive(Deserialize)]
struct Source {
    #[serde(default, rename = "type", deserialize_with = "text_or_none")]
    kind: Option<String>,
    #[serde(default, deserialize_with = "text_or_none")]
    url: Option<String>,
    #[serde(default, deserialize_with = "text_or_none")]
    shasum: Option<String>,
}

/// Adds the packages of `composer.lock`.
pub(crate) fn read_lock(text: &Text<'_>, sink: &mut Sink) -> Result<(), PartsError> {
    let lock: Lock<'_> = text.json("a composer.lock")?;
    for raw in lock.packages {
        add(Declared::ComposerLock, text, raw, |_| Scope::Runtime, sink);
    }
    for raw in lock.packages_dev.unwrap_or_default() {
        add(
            Declared::ComposerLock,
            text,
            raw,
            |_| Scope::Development,
            sink,
        );
    }
    Ok(())
}

/// Adds the packages of `installed.json`: an object since Composer 2, a list before.
pub(crate) fn read_installed(text: &Text<'_>, sink: &mut Sink) -> Result<(), PartsError> {
    let by = Declared::ComposerInstalled;
    let format = "an installed.json of Composer";
    if text.as_str().trim_start().starts_with('[') {
        let packages: Vec<&RawValue> = text.json(format)?;
        for raw in packages {
            add(by, text, raw, |_| Scope::Unknown, sink);
        }
        return Ok(());
    }
    let lock: Lock<'_> = text.json(format)?;
    for raw in &lock.packages {
        let scope = |name: &str| {
            if lock.dev_package_names.contains(&Name(name.into())) {
                Scope::Development
            } else {
                Scope::Runtime
            }
        };
        add(by, text, raw, scope, sink);
    }
    Ok(())
}

fn add(
    by: Declared,
    text: &Text<'_>,
    raw: &RawValue,
    scope: impl Fn(&str) -> Scope,
    sink: &mut Sink,
) {
    let span = text.line_of_piece(raw.get());
    let Ok(package) = serde_json::from_str::<Package>(raw.get()) else {
        return sink.problem(span, "a package that is not an object of the known form");
    };
    let (Some(name), Some(version)) = (&package.name, &package.version) else {
        return sink.problem(span, "a package without name or version");
    };
    let draft = Draft {
        checksum: package
            .dist
            .as_ref()
            .and_then(|dist| dist.shasum.as_deref())
            .filter(|sum| !sum.is_empty()),
        ..Draft::new("composer", name, version, span)
    };
    let draft = draft.scope(scope(name)).origin(package.origin());
    sink.add(by, draft);
}

impl Package {
    fn origin(&self) -> Origin {
        let is_path = |source: &Option<Source>| {
            let kind = source.as_ref().and_then(|source| source.kind.as_deref());
            kind == Some("path")
        };
        if is_path(&self.dist) || is_path(&self.source) {
            return Origin::Local;
        }
        let source = self
            .source
            .as_ref()
            .and_then(|source| source.url.as_deref());
        match (&self.notification_url, source) {
            (None, Some(url)) => Origin::Repository(url.into()),
            _ => Origin::Registry,
        }
    }
}
