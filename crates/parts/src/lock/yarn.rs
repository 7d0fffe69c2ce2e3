//! `yarn.lock`: version 1, which has a syntax of its own, and what yarn has written since version 2,
//! which is YAML. Neither has scopes.
//!
//! Source: yarn's `@yarnpkg/lockfile` and `@yarnpkg/core`.

use super::npm::origin_of;
use super::yaml::{self, Entry};
use crate::part::{Declared, Origin, Scope, Span};
use crate::read::{Draft, Sink};
use crate::text::Text;

/// Adds the packages.
pub(crate) fn read(text: &Text<'_>, sink: &mut Sink) {
    let berry = text.lines().any(|(_, line)| line == "__metadata:");
    if berry {
        read_yaml(text, sink);
    } else {
        read_first(text, sink);
    }
}

/// A block of version 1.
#[derive(Default)]
struct Block<'a> {
    patterns: &'a str,
    version: Option<(&'a str, Span)>,
    resolved: Option<&'a str>,
    integrity: Option<&'a str>,
}

fn read_first(text: &Text<'_>, sink: &mut Sink) {
    let mut block: Option<Block<'_>> = None;
    for (span, line) in text.lines() {
        let body = line.trim_start_matches(' ');
        match line.len() - body.len() {
            _ if body.is_empty() || body.starts_with('#') => {}
            0 => {
                if let Some(block) = block.take() {
                    block.add(sink);
                }
                match body.strip_suffix(':') {
                    Some(patterns) => {
                        block = Some(Block {
                            patterns,
                            ..Block::default()
                        });
                    }
                    None => sink.problem(span, "a line that begins no package"),
                }
            }
            2 => {
                let Some(block) = &mut block else { continue };
                let Some((key, value)) = body.split_once(' ') else {
                    continue;
                };
                let value = value.trim_matches('"');
                match key {
                    "version" => block.version = Some((value, span)),
                    "resolved" => block.resolved = Some(value),
                    "integrity" => block.integrity = Some(value),
                    _ => {}
                }
            }
            _ => {}
        }
    }
    if let Some(block) = block {
        block.add(sink);
    }
}

impl Block<'_> {
    fn add(&self, sink: &mut Sink) {
        // Every pattern of a block is resolved to the same package: the first tells its name.
        let pattern = self.patterns.split(", ").next().unwrap_or_default();
        let pattern = pattern.trim_matches('"');
        let Some((version, span)) = self.version else {
            let what = format!("no version of {}", shorten(pattern));
            return sink.problem(Span::Whole, what);
        };
        let Some((name, range)) = split_pattern(pattern) else {
            return sink.problem(span, "a package without a name");
        };
        let real = range
            .strip_prefix("npm:")
            .map(|text| split_pattern(text).map_or(text, |(name, _)| name));
        let origin = match self.resolved {
            Some(resolved) => origin_of(Some(resolved)),
            None => origin_of(Some(range).filter(|_| real.is_none())),
        };
        let draft = Draft {
            replaces: real.is_some().then_some(name),
            checksum: self.integrity,
            ..Draft::new("npm", real.unwrap_or(name), version, span)
        };
        sink.add(Declared::YarnLock, draft.origin(origin));
    }
}

/// `name@range`, where the name may begin with `@`.
pub(super) fn split_pattern(pattern: &str) -> Option<(&str, &str)> {
    let at = pattern.get(1..)?.find('@')? + 1;
    Some((&pattern[..at], &pattern[at + 1..]))
}

fn read_yaml(text: &Text<'_>, sink: &mut Sink) {
    let entries = yaml::entries(text, sink);
    let mut rest = &entries[..];
    while let Some((head, after)) = rest.split_first() {
        let length = after.iter().take_while(|entry| entry.indent > 0).count();
        let (fields, next) = after.split_at(length);
        rest = next;
        if head.key != "__metadata" {
            add_yaml(head, fields, sink);
        }
    }
}

fn add_yaml(head: &Entry<'_>, fields: &[Entry<'_>], sink: &mut Sink) {
    let field = |key: &str| {
        fields
            .iter()
            .find(|entry| entry.indent == 2 && entry.key == key)
    };
    let (Some(version), Some(resolution)) = (field("version"), field("resolution")) else {
        let what = format!("no version or resolution of {}", shorten(&head.key));
        return sink.problem(head.span, what);
    };
    let Some((name, reference)) = split_pattern(&resolution.value) else {
        return sink.problem(resolution.span, "a resolution without a name");
    };
    let (protocol, source) = reference.split_once(':').unwrap_or(("", reference));
    let origin = match protocol {
        "npm" => match source.split_once("::__archiveUrl=") {
            // The archive is not where the registry has it; the address is escaped as in URLs.
            Some((_, url)) if !url.contains("%2F-%2F") && !url.contains("/-/") => {
                Origin::Elsewhere(url.into())
            }
            _ => Origin::Registry,
        },
        // A patched copy of a package that has an entry of its own.
        "patch" if source.contains("@npm%3A") => return,
        "patch" | "virtual" => Origin::Elsewhere(reference.into()),
        "workspace" | "file" | "link" | "portal" => Origin::Local,
        _ if reference.contains("#commit=") => Origin::Repository(reference.into()),
        _ => origin_of(Some(reference)),
    };
    // The pattern has another name if a package is used under an alias.
    let alias = split_pattern(head.key.split(", ").next().unwrap_or_default())
        .map(|(alias, _)| alias)
        .filter(|alias| *alias != name);
    let root = protocol == "workspace";
    let draft = Draft {
        scope: if root { Scope::Runtime } else { Scope::Unknown },
        replaces: alias,
        checksum: field("checksum").map(|entry| &*entry.value),
        ..Draft::new("npm", name, &version.value, version.span)
    };
    sink.add(Declared::YarnLock, draft.origin(origin).root(root));
}

fn shorten(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        assert_eq!(split_pattern("a@^1"), Some(("a", "^1")));
        assert_eq!(split_pattern("@a/b@npm:c@1"), Some(("@a/b", "npm:c@1")));
        assert_eq!(split_pattern("@a/b"), None);
        assert_eq!(split_pattern(""), None);
    }
}
