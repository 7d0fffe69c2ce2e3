//! `Gemfile.lock` of Bundler. It has no groups: those are in the `Gemfile`, which is a program.
//!
//! Source: Bundler's `LockfileGenerator` and `LockfileParser`.

use std::collections::HashMap;

use crate::part::{Declared, Origin, Span};
use crate::read::{Draft, Sink};
use crate::text::Text;

/// Where the gems of a section are from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Section {
    Gem,
    Git,
    Path,
    Checksums,
    Other,
}

struct Spec<'a> {
    name: &'a str,
    /// With the platform, if there is one: `1.15.0-x86_64-linux`.
    version: &'a str,
    span: Span,
    section: Section,
    remote: Option<&'a str>,
}

/// Adds the gems.
pub(crate) fn read(text: &Text<'_>, sink: &mut Sink) {
    let mut section = Section::Other;
    let mut remotes: Vec<&str> = Vec::new();
    let mut specs = Vec::new();
    let mut checksums = HashMap::new();
    for (span, line) in text.lines() {
        let body = line.trim_start_matches(' ');
        match line.len() - body.len() {
            0 if !body.is_empty() => {
                section = match body {
                    "GEM" => Section::Gem,
                    "GIT" => Section::Git,
                    "PATH" => Section::Path,
                    "CHECKSUMS" => Section::Checksums,
                    _ => Section::Other,
                };
                remotes.clear();
            }
            2 if section == Section::Checksums => {
                if let Some((gem, sum)) = body.split_once(") ")
                    && checksums.len() <= sink.limits.parts
                {
                    checksums.insert(gem, sum);
                }
            }
            2 => remotes.extend(body.strip_prefix("remote: ")),
            4 if matches!(section, Section::Gem | Section::Git | Section::Path) => {
                let Some((name, version)) = name_and_version(body) else {
                    sink.problem(span, "a gem without a version");
                    continue;
                };
                // A section with several remotes does not say which gem is from where.
                let public = remotes.iter().any(|remote| is_rubygems(remote));
                let remote = remotes.first().copied().filter(|_| !public);
                // More are not added, and need not be remembered.
                if specs.len() > sink.limits.parts {
                    continue;
                }
                specs.push(Spec {
                    name,
                    version,
                    span,
                    section,
                    remote,
                });
            }
            _ => {}
        }
    }
    for spec in &specs {
        spec.add(&checksums, sink);
    }
}

impl Spec<'_> {
    fn add(&self, checksums: &HashMap<&str, &str>, sink: &mut Sink) {
        let key = format!("{} ({}", self.name, self.version);
        // No version of a gem has a hyphen: what follows it is the platform.
        let version = self.version.split('-').next().unwrap_or(self.version);
        let draft = Draft {
            checksum: checksums.get(&*key).copied(),
            ..Draft::new("gem", self.name, version, self.span)
        };
        let draft = match (self.section, self.remote) {
            (Section::Path, _) => draft.origin(Origin::Local).root(true),
            (Section::Git, remote) => {
                draft.origin(Origin::Repository(remote.unwrap_or_default().into()))
            }
            (_, Some(remote)) => draft.mirror(remote),
            (_, None) => draft,
        };
        sink.add(Declared::GemfileLock, draft);
    }
}

fn is_rubygems(remote: &str) -> bool {
    let rest = remote.split_once("://").map_or(remote, |(_, rest)| rest);
    rest.trim_end_matches('/') == "rubygems.org"
}

/// `name (version)`.
fn name_and_version(body: &str) -> Option<(&str, &str)> {
    let (name, rest) = body.split_once(" (")?;
    let version = rest.strip_suffix(')')?;
    Some((name, version))
}
