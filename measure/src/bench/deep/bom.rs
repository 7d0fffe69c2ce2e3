//! What an SBOM says: components by purl, and where each was seen.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use anyhow::{Context as _, Result};
use camino::Utf8Path;
use serde_json::Value;

/// A component, written as all of them could write it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    /// The type of the purl.
    pub(super) kind: String,
    /// Namespace and name.
    pub(super) name: String,
    pub(super) version: String,
}

/// What one of them says of a component.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// The purl as it was written.
    pub(super) purl: String,
    /// Files, relative to the tree; `file!/member` if it says so.
    pub(super) places: BTreeSet<String>,
    /// Which of its readers found it, if it tells.
    pub(super) by: BTreeSet<String>,
}

pub(super) type Components = BTreeMap<Key, Seen>;

impl Key {
    /// None for what is no purl, or has no version.
    pub(super) fn of(purl: &str) -> Option<Self> {
        let rest = purl.strip_prefix("pkg:")?;
        let (kind, rest) = rest.split_once('/')?;
        let (rest, subpath) = rest.split_once('#').map_or((rest, ""), |(a, b)| (a, b));
        let rest = rest.split('?').next()?;
        let at = rest.rfind('@').filter(|at| *at > 0)?;
        let version = decoded(&rest[at + 1..]);
        let mut name = decoded(&rest[..at]);
        let kind = kind.to_ascii_lowercase();
        match kind.as_str() {
            // A module below the root of its repository.
            "golang" if !subpath.is_empty() => name = format!("{name}/{subpath}"),
            "pypi" => name = name.replace(['_', '.'], "-"),
            "cargo" => name = name.replace('_', "-"),
            _ => {}
        }
        // Maven's names are what they are; the others fold letters.
        if kind != "maven" {
            name = name.to_lowercase();
        }
        let mut version = version.as_str();
        if kind == "golang" {
            version = version.strip_prefix('v').unwrap_or(version);
            version = version.strip_prefix("go").unwrap_or(version);
            version = version.strip_suffix("+incompatible").unwrap_or(version);
        }
        // Go's word for a build from a working tree.
        (!version.is_empty() && version != "(devel)").then(|| Self {
            kind,
            name,
            version: version.to_owned(),
        })
    }

    /// The name without its namespace.
    pub(super) fn short(&self) -> &str {
        self.name.rsplit('/').next().unwrap_or(&self.name)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.kind, self.name, self.version)
    }
}

/// All of a CycloneDX document, nested ones too; how many more have no purl with a version.
pub(super) fn read(file: &Utf8Path, tree: &Utf8Path) -> Result<(Components, usize)> {
    let text = std::fs::read(file).with_context(|| format!("cannot read {file}"))?;
    let bom: Value =
        serde_json::from_slice(&text).with_context(|| format!("{file} is no CycloneDX"))?;
    let mut found = Components::new();
    let mut without = 0;
    let mut open: Vec<&Value> = members(&bom, "components").collect();
    while let Some(component) = open.pop() {
        open.extend(members(component, "components"));
        let purl = component["purl"].as_str().unwrap_or_default();
        let Some(key) = Key::of(purl) else {
            without += 1;
            continue;
        };
        let seen = found.entry(key).or_default();
        purl.clone_into(&mut seen.purl);
        for place in places(component) {
            seen.places.insert(relative(place, tree));
        }
        seen.by.extend(finders(component).map(str::to_owned));
    }
    Ok((found, without))
}

fn members<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    value[name].as_array().into_iter().flatten()
}

/// As the standard has it, and as cdxgen and syft write it beside.
fn places(component: &Value) -> impl Iterator<Item = &str> {
    let evidence = &component["evidence"];
    let occurrences: Vec<&Value> = members(evidence, "occurrences")
        .map(|it| &it["location"])
        .collect();
    // Else the value is words about it.
    let identities = members(evidence, "identity")
        .filter(move |_| evidence["occurrences"].is_null())
        .flat_map(|identity| members(identity, "methods").map(|method| &method["value"]));
    let properties = members(component, "properties")
        .filter(|property| {
            property["name"].as_str().is_some_and(|name| {
                name == "SrcFile"
                    || name == "syft:metadata:virtualPath"
                    || (name.starts_with("syft:location:") && name.ends_with(":path"))
            })
        })
        .map(|property| &property["value"]);
    occurrences
        .into_iter()
        .chain(identities)
        .chain(properties)
        .filter_map(Value::as_str)
}

fn finders(component: &Value) -> impl Iterator<Item = &str> {
    members(component, "properties")
        .filter(|property| property["name"] == "syft:package:foundBy")
        .filter_map(|property| property["value"].as_str())
}

/// A path in the tree, without the way to the tree.
fn relative(place: &str, tree: &Utf8Path) -> String {
    let place = place.strip_prefix("Filename ").unwrap_or(place);
    let name = format!("{}/", tree.file_name().unwrap_or_default());
    let inside = place
        .find(&name)
        .map_or(place, |at| &place[at + name.len()..]);
    inside.trim_start_matches('/').to_owned()
}

/// With the percent signs of a purl resolved.
fn decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) if *first == b'%' => {
                out.push(byte);
                rest = &tail[2..];
            }
            _ => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(purl: &str) -> String {
        Key::of(purl).map_or_else(|| "none".to_owned(), |key| key.to_string())
    }

    #[test]
    fn different_ways_to_write_one() {
        assert_eq!(key("pkg:npm/%40babel/core@7.1.0"), "npm @babel/core 7.1.0");
        assert_eq!(key("pkg:npm/@babel/core@7.1.0"), "npm @babel/core 7.1.0");
        assert_eq!(
            key("pkg:golang/github.com/AlekSi/pointer@v1.2.0?x=y#sub"),
            "golang github.com/aleksi/pointer/sub 1.2.0"
        );
        assert_eq!(
            key("pkg:golang/github.com/docker/docker@v1.0.0%2Bincompatible"),
            "golang github.com/docker/docker 1.0.0"
        );
        assert_eq!(
            key("pkg:pypi/Backports.Tarfile@1.2"),
            "pypi backports-tarfile 1.2"
        );
        assert_eq!(key("pkg:maven/G/a@1?type=jar"), "maven G/a 1");
    }

    #[test]
    fn without_a_version_it_is_none() {
        assert_eq!(key("pkg:generic/OpenMP"), "none");
        assert_eq!(key("pkg:npm/@babel/core"), "none");
        assert_eq!(key("file.c"), "none");
    }

    #[test]
    fn a_place_is_in_the_tree() {
        let tree = Utf8Path::new("/cache/tree-1");
        assert_eq!(relative("../tree-1/a/b", tree), "a/b");
        assert_eq!(relative("/cache/tree-1/a/b", tree), "a/b");
        assert_eq!(relative("/a/b", tree), "a/b");
    }
}
