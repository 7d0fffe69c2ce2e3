//! Go: `go.mod`, `go.sum` and `vendor/modules.txt`.
//!
//! `go.mod` has what is asked for, at least; `go.sum` checksums of what was looked at, which is more
//! than what is used; `modules.txt` what lies in `vendor`. None has a scope.
//!
//! Source: Go modules reference.

use std::collections::HashMap;

use crate::binary::is_directory;
use crate::part::{Declared, Origin, Span};
use crate::read::{Draft, Sink};
use crate::text::Text;

/// Adds the modules of `go.sum`, without those of which only the `go.mod` was looked at.
pub(crate) fn read_sum(text: &Text<'_>, sink: &mut Sink) {
    for (span, line) in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let Some(path) = words.next() else { continue };
        let (Some(version), Some(sum), None) = (words.next(), words.next(), words.next()) else {
            sink.problem(span, "a line of go.sum without a version or checksum");
            continue;
        };
        if version.ends_with("/go.mod") {
            continue;
        }
        let draft = Draft {
            checksum: Some(sum),
            ..Draft::new("golang", path, version, span)
        };
        sink.add(Declared::GoSum, draft);
    }
}

/// A module with its version; no version means any, or that there is none.
#[derive(Clone, Copy)]
struct Module<'a> {
    path: &'a str,
    version: Option<&'a str>,
}

/// Adds the modules that `go.mod` requires, and the module itself.
pub(crate) fn read_mod(text: &Text<'_>, sink: &mut Sink) {
    let mut required = Vec::new();
    let mut replaced: HashMap<(&str, Option<&str>), Module<'_>> = HashMap::new();
    let mut block: Option<&str> = None;
    for (span, line) in text.lines() {
        let line = line.split("//").next().unwrap_or_default().trim();
        if line == ")" {
            block = None;
            continue;
        }
        let (word, rest) = match block {
            Some(word) => (word, line),
            None => line
                .split_once(|c: char| c.is_ascii_whitespace() || c == '(')
                .unwrap_or((line, "")),
        };
        if block.is_none() && line.ends_with('(') {
            block = Some(word);
            continue;
        }
        let mut words = rest.split_ascii_whitespace().map(unquote);
        let Some(path) = words.next() else { continue };
        match word {
            "module" => {
                let draft = Draft::new("golang", path, "(devel)", span);
                sink.add(Declared::GoMod, draft.root(true));
            }
            "require" => match words.next() {
                // More are not added, and need not be remembered.
                Some(_) if required.len() > sink.limits.parts => {}
                Some(version) => required.push((path, version, span)),
                None => sink.problem(span, "a requirement without a version"),
            },
            "replace" => match replacement(path, words) {
                Some((from, to)) => {
                    replaced.insert((from.path, from.version), to);
                }
                None => sink.problem(span, "a replacement that cannot be read"),
            },
            _ => {}
        }
    }
    for (path, version, span) in required {
        // One for the version comes before one for every version.
        let by = replaced
            .get(&(path, Some(version)))
            .or_else(|| replaced.get(&(path, None)));
        let by = by.copied();
        add(Declared::GoMod, path, version, by, span, sink);
    }
}

/// Adds the modules of which `vendor` has files.
pub(crate) fn read_vendor(text: &Text<'_>, sink: &mut Sink) {
    let mut waiting = None;
    for (span, line) in text.lines() {
        if let Some(module) = line.strip_prefix("# ") {
            let mut words = module.split_ascii_whitespace();
            let path = words.next().unwrap_or_default();
            let read = replacement(path, words.clone());
            let version = match read {
                Some((from, _)) => from.version,
                None => words.next(),
            };
            // Without a version it repeats a replacement for those who check `go.mod`.
            waiting = version.map(|version| (path, version, read.map(|(_, to)| to), span));
        } else if !line.is_empty()
            && !line.starts_with('#')
            && let Some((path, version, by, span)) = waiting.take()
        {
            add(Declared::GoVendor, path, version, by, span, sink);
        }
    }
}

fn add(
    by: Declared,
    path: &str,
    version: &str,
    replacement: Option<Module<'_>>,
    span: Span,
    sink: &mut Sink,
) {
    let replaced = format!("{path}@{version}");
    let draft = match replacement {
        None => Draft::new("golang", path, version, span),
        Some(Module {
            path: to,
            version: Some(version),
        }) => Draft {
            replaces: Some(&replaced),
            ..Draft::new("golang", to, version, span)
        },
        // A directory: the module that was asked for, but from where only the builder knows.
        Some(_) => Draft {
            origin: Origin::Local,
            ..Draft::new("golang", path, version, span)
        },
    };
    sink.add(by, draft);
}

/// `path [version] => path [version]`.
fn replacement<'a>(
    path: &'a str,
    mut words: impl Iterator<Item = &'a str>,
) -> Option<(Module<'a>, Module<'a>)> {
    let mut next = words.next()?;
    let version = if next == "=>" {
        None
    } else {
        let version = next;
        next = words.next()?;
        Some(version)
    };
    if next != "=>" {
        return None;
    }
    let to = words.next()?;
    let to_version = words.next();
    if to_version.is_none() && !is_directory(to) {
        return None;
    }
    let from = Module { path, version };
    let to = Module {
        path: to,
        version: to_version,
    };
    Some((from, to))
}

fn unquote(word: &str) -> &str {
    let quotes = ['"', '`'];
    word.strip_prefix(quotes)
        .and_then(|word| word.strip_suffix(quotes))
        .unwrap_or(word)
}
