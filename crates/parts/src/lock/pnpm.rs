//! `pnpm-lock.yaml`, versions 5, 6 and 9.
//!
//! Packages are keyed by name and version: `/a/1.0.0_peer` in version 5, `/a@1.0.0(peer@2.0.0)` in
//! 6, `a@1.0.0` in 9. Up to 6 each says whether only development needs it; since 9 that follows from
//! `importers` and `snapshots`.
//!
//! Source: pnpm's `@pnpm/lockfile.types` and `@pnpm/dependency-path`.

use std::collections::HashMap;

use super::graph::{self, To};
use super::npm::origin_of;
use super::yaml::{self, Entry, flow_field};
use super::yarn::split_pattern;
use crate::part::{Declared, Origin, Scope, Span};
use crate::read::{Draft, PartsError, Sink};
use crate::text::Text;

/// Adds the packages.
pub(crate) fn read(text: &Text<'_>, sink: &mut Sink) -> Result<(), PartsError> {
    let entries = yaml::entries(text, sink);
    // Each document of the file begins with its version; as a rule there is one.
    let is_version = |entry: &Entry<'_>| entry.indent == 0 && entry.key == "lockfileVersion";
    let mut rest = &entries[..];
    let mut documents = 0;
    while let Some(at) = rest.iter().position(is_version) {
        let after = &rest[at + 1..];
        let length = after.iter().position(is_version).unwrap_or(after.len());
        read_document(&rest[at], &after[..length], sink);
        rest = &after[length..];
        documents += 1;
    }
    if documents == 0 {
        return Err(PartsError::Malformed {
            format: "a pnpm-lock.yaml",
            what: "no lockfileVersion".to_owned(),
        });
    }
    Ok(())
}

fn read_document(version: &Entry<'_>, entries: &[Entry<'_>], sink: &mut Sink) {
    let major = version.value.split('.').next().unwrap_or_default();
    let major: u32 = major.parse().unwrap_or(0);
    if !(5..=9).contains(&major) {
        let version_text: String = version.value.chars().take(20).collect();
        sink.problem(version.span, format!("version {version_text} is not known"));
    }
    let scopes = (major >= 9).then(|| scopes(entries));
    for (head, fields) in blocks(section(entries, "packages"), 2) {
        let package = Package::new(head, fields, major);
        let scope = match &scopes {
            Some(scopes) => scopes.get(&*head.key).copied().unwrap_or_default(),
            None => package.scope(),
        };
        package.add(scope, sink);
    }
}

/// The entries below a key of the outermost mapping.
fn section<'e, 'a>(entries: &'e [Entry<'a>], name: &str) -> &'e [Entry<'a>] {
    let Some(at) = entries
        .iter()
        .position(|entry| entry.indent == 0 && entry.key == name)
    else {
        return &[];
    };
    let rest = &entries[at + 1..];
    let end = rest.iter().position(|entry| entry.indent == 0);
    &rest[..end.unwrap_or(rest.len())]
}

/// The keys at an indentation, each with what is below it.
fn blocks<'e, 'a>(
    entries: &'e [Entry<'a>],
    indent: usize,
) -> impl Iterator<Item = (&'e Entry<'a>, &'e [Entry<'a>])> {
    let mut rest = entries;
    std::iter::from_fn(move || {
        loop {
            let (head, after) = rest.split_first()?;
            let below = after.iter().take_while(|entry| entry.indent > indent);
            let (fields, next) = after.split_at(below.count());
            rest = next;
            if head.indent == indent {
                return Some((head, fields));
            }
        }
    })
}

struct Package<'a> {
    name: Option<&'a str>,
    version: Option<&'a str>,
    origin: Origin,
    integrity: Option<String>,
    dev: bool,
    optional: bool,
    key: &'a str,
    span: Span,
}

impl<'a> Package<'a> {
    fn new(head: &'a Entry<'_>, fields: &'a [Entry<'_>], major: u32) -> Self {
        let field = |key: &str| {
            let of = |entry: &&Entry<'_>| entry.indent == 4 && entry.key == key;
            fields.iter().find(of).map(|entry| &*entry.value)
        };
        let resolution = fields
            .iter()
            .find(|entry| entry.indent == 4 && entry.key == "resolution");
        let resolution = |name: &str| {
            let entry = resolution?;
            // pnpm breaks long ones into lines.
            let below = || {
                let of = |entry: &&Entry<'_>| entry.indent == 6 && entry.key == name;
                fields.iter().find(of).map(|entry| entry.value.to_string())
            };
            match flow_field(&entry.value, name) {
                Some(value) => Some(value.into_owned()),
                None if entry.value.is_empty() => below(),
                None => None,
            }
        };
        let (name, version) = match split_key(&head.key, major) {
            Some((name, version)) => (Some(name), Some(version)),
            None => (None, None),
        };
        let origin = if let Some(repository) = resolution("repo") {
            Origin::Repository(repository.into())
        } else if resolution("directory").is_some() {
            Origin::Local
        } else {
            origin_of(resolution("tarball").as_deref())
        };
        Self {
            // Both are written where they do not follow from the key: for archives and repositories.
            name: field("name").or(name),
            version: field("version").or(version),
            origin,
            integrity: resolution("integrity"),
            dev: field("dev") == Some("true"),
            optional: field("optional") == Some("true"),
            key: &head.key,
            span: head.span,
        }
    }

    fn scope(&self) -> Scope {
        if self.dev {
            Scope::Development
        } else if self.optional {
            Scope::Optional
        } else {
            Scope::Runtime
        }
    }

    fn add(self, scope: Scope, sink: &mut Sink) {
        let (Some(name), Some(version)) = (self.name, self.version) else {
            // Directories beside the project may have no version.
            if self.origin != Origin::Local && !self.key.contains("file:") {
                sink.problem(self.span, "a package without name or version");
            }
            return;
        };
        // In place of a version stands where it is from, if that is no registry.
        let origin = match self.origin {
            Origin::Registry => origin_of(Some(version)),
            other => other,
        };
        let draft = Draft {
            checksum: self.integrity.as_deref(),
            ..Draft::new("npm", name, version, self.span)
        };
        sink.add(Declared::PnpmLock, draft.scope(scope).origin(origin));
    }
}

/// Name and version of a key; none if it is a URL or a path.
fn split_key(key: &str, major: u32) -> Option<(&str, &str)> {
    // What follows are the versions of peers.
    let key = key.split('(').next().unwrap_or(key);
    if major >= 9 {
        return split_pattern(key);
    }
    let key = key.strip_prefix('/')?;
    let (name, version) = if major >= 6 {
        split_pattern(key)?
    } else {
        key.rsplit_once('/')?
    };
    // Version 5 has peers after `_`, which is in no version.
    let version = version.split('_').next().unwrap_or(version);
    Some((name, version))
}

/// The scope of every package of version 9, by its key in `packages`.
fn scopes<'e>(entries: &'e [Entry<'_>]) -> HashMap<&'e str, Scope> {
    let snapshots: Vec<_> = blocks(section(entries, "snapshots"), 2).collect();
    let numbers: HashMap<&str, usize> = snapshots
        .iter()
        .enumerate()
        .map(|(number, (head, _))| (&*head.key, number))
        .collect();
    let edges: Vec<Vec<To>> = snapshots
        .iter()
        .map(|(_, fields)| {
            let mut edges = Vec::new();
            for (list, below) in blocks(fields, 4) {
                let Some(scope) = scope_of_list(&list.key) else {
                    continue;
                };
                for entry in below.iter().filter(|entry| entry.indent == 6) {
                    let to = number_of(&numbers, &entry.key, &entry.value);
                    edges.extend(to.map(|to| (to, scope)));
                }
            }
            edges
        })
        .collect();
    let mut starts = Vec::new();
    for (_, lists) in blocks(section(entries, "importers"), 2) {
        for (list, below) in blocks(lists, 4) {
            let Some(scope) = scope_of_list(&list.key) else {
                continue;
            };
            for (dependency, fields) in blocks(below, 6) {
                let version = fields.iter().find(|entry| entry.key == "version");
                let to = version
                    .and_then(|version| number_of(&numbers, &dependency.key, &version.value));
                starts.extend(to.map(|to| (to, scope)));
            }
        }
    }
    let mut scopes = HashMap::new();
    for (number, scope) in graph::scopes(&edges, &starts).into_iter().enumerate() {
        // A package has several snapshots if it was resolved with several peers.
        let key = &*snapshots[number].0.key;
        let key = key.split('(').next().unwrap_or(key);
        let entry = scopes.entry(key).or_insert(scope);
        // Stronger scopes come first.
        if scope < *entry {
            *entry = scope;
        }
    }
    scopes
}

fn scope_of_list(list: &str) -> Option<Scope> {
    match list {
        "dependencies" => Some(Scope::Runtime),
        "optionalDependencies" => Some(Scope::Optional),
        "devDependencies" => Some(Scope::Development),
        _ => None,
    }
}

/// The snapshot that a dependency means: its name and version, or for an alias the whole key.
fn number_of(numbers: &HashMap<&str, usize>, name: &str, version: &str) -> Option<usize> {
    let key = format!("{name}@{version}");
    numbers.get(&*key).or_else(|| numbers.get(version)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys() {
        assert_eq!(split_key("/@a/b/1.0.0_c@2.0.0", 5), Some(("@a/b", "1.0.0")));
        assert_eq!(split_key("/a/1.0.0", 5), Some(("a", "1.0.0")));
        assert_eq!(
            split_key("/@a/b@1.0.0(c@2.0.0)", 6),
            Some(("@a/b", "1.0.0"))
        );
        assert_eq!(split_key("@a/b@1.0.0", 9), Some(("@a/b", "1.0.0")));
        assert_eq!(split_key("github.com/a/b/0123", 5), None);
        assert_eq!(split_key("file:../a", 6), None);
    }
}
