//! Whether a component is really there: the bytes that name it and its version, and where they stand.
//!
//! Looked for in the file that the SBOM names: as it is, in the members of an archive, in those of an
//! archive within it, and in the compressed list of cargo-auditable.

use std::collections::HashMap;
use std::io::{Cursor, Read as _};

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};
use memchr::memmem;
use object::{Object as _, ObjectSection as _};
use serde::Serialize;

use super::bom::{Key, Seen};
use super::tree::walk;

/// Where name and version stand together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Proof {
    /// Relative to the tree.
    pub(super) file: String,
    /// Of an archive, or a section that is compressed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) member: Option<String>,
    /// Of the version, in the file or in the unpacked member.
    pub(super) offset: usize,
    /// What stands there.
    pub(super) text: String,
}

pub(super) struct Prover<'a> {
    tree: &'a Utf8Path,
    /// Where files of a name are: some SBOMs name a copy that they unpacked for themselves.
    by_name: HashMap<String, Vec<Utf8PathBuf>>,
    read: HashMap<Utf8PathBuf, Vec<Region>>,
}

/// Bytes to look into.
struct Region {
    member: Option<String>,
    bytes: Vec<u8>,
}

/// In smaller ones name and version may stand anywhere: they are about one package.
const ONE_PACKAGE: usize = 16 << 10;
/// In larger ones they stand no further apart.
const NEAR: usize = 300;
/// Larger files and members are not looked into.
const LARGEST: u64 = 400 << 20;

impl<'a> Prover<'a> {
    pub(super) fn new(tree: &'a Utf8Path) -> Result<Self> {
        let mut by_name: HashMap<String, Vec<Utf8PathBuf>> = HashMap::new();
        walk(tree, &mut |path, kind| {
            if kind.is_file() {
                let name = path.file_name().unwrap_or_default().to_owned();
                by_name.entry(name).or_default().push(path.to_owned());
            }
            Ok(())
        })?;
        Ok(Self {
            tree,
            by_name,
            read: HashMap::new(),
        })
    }

    /// The files that an SBOM means.
    pub(super) fn files(&self, seen: &Seen) -> Vec<Utf8PathBuf> {
        let mut found = Vec::new();
        for place in &seen.places {
            // The longest beginning that is a file: what follows is inside it.
            let mut path = Utf8Path::new(place.split([':', '!']).next().unwrap_or(place));
            let file = loop {
                let full = self.tree.join(path);
                if full.is_file() {
                    break Some(full);
                }
                match path.parent() {
                    Some(parent) if !parent.as_str().is_empty() => path = parent,
                    _ => break None,
                }
            };
            match file {
                Some(file) => found.push(file),
                None => {
                    let name = Utf8Path::new(place).file_name().unwrap_or(place);
                    found.extend(self.by_name.get(name).into_iter().flatten().cloned());
                }
            }
        }
        found.dedup();
        found
    }

    fn load(&mut self, file: &Utf8PathBuf) -> Result<&[Region]> {
        if !self.read.contains_key(file) {
            let regions = regions(file)?;
            self.read.insert(file.clone(), regions);
        }
        Ok(self.read.get(file).map_or(&[], Vec::as_slice))
    }

    /// What a `yarn.lock` has under this name: `string-width-cjs@npm:string-width@4.2.3`.
    pub(super) fn yarn_alias(&mut self, key: &Key, files: &[Utf8PathBuf]) -> Result<Option<Key>> {
        let start = format!("{}@npm:", key.name);
        for file in files.iter().filter(|it| it.ends_with("yarn.lock")) {
            for region in self.load(file)? {
                let text = String::from_utf8_lossy(&region.bytes);
                let alias = text.match_indices(&start).find_map(|(at, _)| {
                    let rest = text.get(at + start.len()..)?;
                    let rest = rest.split(['"', ',', '\n']).next()?;
                    let end = rest.rfind('@').filter(|end| *end > 0)?;
                    Some(rest[..end].to_owned())
                });
                if let Some(name) = alias {
                    return Ok(Some(Key {
                        name,
                        ..key.clone()
                    }));
                }
            }
        }
        Ok(None)
    }

    /// Whether it is what a lock file of npm calls itself, before it names any package.
    pub(super) fn is_own_project(&mut self, key: &Key, files: &[Utf8PathBuf]) -> Result<bool> {
        #[derive(serde::Deserialize)]
        struct Lock {
            name: Option<String>,
            version: Option<String>,
        }
        for file in files.iter().filter(|it| it.ends_with("package-lock.json")) {
            for region in self.load(file)? {
                if let Ok(lock) = serde_json::from_slice::<Lock>(&region.bytes)
                    && lock
                        .name
                        .is_some_and(|name| name.eq_ignore_ascii_case(&key.name))
                    && lock.version.is_some_and(|version| version == key.version)
                {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Whether a program's build information, or else any text, has this module at this version.
    pub(super) fn has_module(&mut self, key: &Key, files: &[Utf8PathBuf]) -> Result<bool> {
        let line = format!("\t{}\tv{}", key.name, key.version).into_bytes();
        for file in files {
            for region in self.load(file)? {
                let program = region.bytes.starts_with(b"\x7fELF");
                let lines = memmem::find_iter(&region.bytes, &key.version).any(|at| {
                    let from = (at + key.version.len()).saturating_sub(line.len());
                    region.bytes[from..at + key.version.len()].eq_ignore_ascii_case(&line)
                });
                if lines || !program {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// The bytes that declare it, in one of these files.
    pub(super) fn prove(&mut self, key: &Key, files: &[Utf8PathBuf]) -> Result<Option<Proof>> {
        for file in files {
            self.load(file)?;
            for region in self.read.get(file).into_iter().flatten() {
                let Some(offset) = find(&region.bytes, key) else {
                    continue;
                };
                let inside = file.strip_prefix(self.tree).unwrap_or(file);
                return Ok(Some(Proof {
                    file: inside.to_string(),
                    member: region.member.clone(),
                    offset,
                    text: excerpt(&region.bytes, offset, key.version.len()),
                }));
            }
        }
        Ok(None)
    }
}

/// Where the version stands, with the name near it.
fn find(bytes: &[u8], key: &Key) -> Option<usize> {
    let name = key.short().to_ascii_lowercase().replace('_', "-");
    memmem::find_iter(bytes, &key.version).find(|&at| {
        let end = at + key.version.len();
        let before = at.checked_sub(1).and_then(|at| bytes.get(at));
        // Not the middle of another version, and not the bound of a range.
        let starts = before.is_none_or(|byte| {
            !byte.is_ascii_digit() && !matches!(byte, b'.' | b'^' | b'~' | b'>' | b'<')
        });
        let ends = bytes
            .get(end)
            .is_none_or(|byte| !byte.is_ascii_alphanumeric() && !starts_more(bytes, end));
        let near = if bytes.len() <= ONE_PACKAGE {
            bytes
        } else {
            &bytes[at.saturating_sub(NEAR)..bytes.len().min(end + NEAR)]
        };
        starts && ends && {
            let near = near.to_ascii_lowercase();
            let near: Vec<u8> = near
                .into_iter()
                .map(|byte| if byte == b'_' { b'-' } else { byte })
                .collect();
            memmem::find(&near, name.as_bytes()).is_some()
        }
    })
}

/// `1.2` goes on as `1.2.3`, but not as `1.2.jar`.
fn starts_more(bytes: &[u8], end: usize) -> bool {
    bytes.get(end) == Some(&b'.') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit)
}

fn excerpt(bytes: &[u8], at: usize, length: usize) -> String {
    let from = at.saturating_sub(40);
    let to = bytes.len().min(at + length + 10);
    String::from_utf8_lossy(&bytes[from..to])
        .escape_debug()
        .to_string()
}

fn regions(file: &Utf8Path) -> Result<Vec<Region>> {
    let size = file.metadata()?.len();
    if size > LARGEST {
        return Ok(Vec::new());
    }
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {file}"))?;
    let mut found = Vec::new();
    if bytes.starts_with(b"PK\x03\x04") {
        members(&bytes, "", &mut found);
    } else if let Some(list) = auditable(&bytes) {
        found.push(Region {
            member: Some(".dep-v0".to_owned()),
            bytes: list,
        });
    }
    found.push(Region {
        member: None,
        bytes,
    });
    Ok(found)
}

/// The members of an archive that say what something is, and those of archives within it.
fn members(bytes: &[u8], outer: &str, found: &mut Vec<Region>) {
    let Ok(mut archive) = zip::ZipArchive::new(Cursor::new(bytes)) else {
        return;
    };
    for number in 0..archive.len() {
        let Ok(mut member) = archive.by_index(number) else {
            continue;
        };
        let Ok(name) = member.name().map(std::borrow::Cow::into_owned) else {
            continue;
        };
        let file = Utf8Path::new(&name).file_name().unwrap_or_default();
        let tells = matches!(
            file,
            "pom.properties" | "pom.xml" | "MANIFEST.MF" | "METADATA" | "PKG-INFO" | "package.json"
        ) || [".gemspec", ".lock", ".json"]
            .iter()
            .any(|end| file.ends_with(end));
        let nested = [".jar", ".war", ".zip", ".whl"]
            .iter()
            .any(|end| file.ends_with(end));
        if member.size() > LARGEST || !(tells || nested) {
            continue;
        }
        let mut inside = Vec::new();
        if member.read_to_end(&mut inside).is_err() {
            continue;
        }
        let path = format!("{outer}{name}");
        if nested && outer.is_empty() {
            members(&inside, &format!("{path}!/"), found);
        }
        if tells {
            found.push(Region {
                member: Some(path),
                bytes: inside,
            });
        }
    }
}

/// The list that cargo-auditable leaves in a program.
fn auditable(bytes: &[u8]) -> Option<Vec<u8>> {
    let object = object::File::parse(bytes).ok()?;
    let packed = object.section_by_name(".dep-v0")?.data().ok()?;
    let mut list = Vec::new();
    flate2::read::ZlibDecoder::new(packed)
        .take(64 << 20)
        .read_to_end(&mut list)
        .ok()?;
    Some(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, purl: &str) -> Option<usize> {
        find(text.as_bytes(), &Key::of(purl).unwrap())
    }

    #[test]
    fn name_and_version_stand_together() {
        let lock = r#""node_modules/ms": { "version": "2.1.3" }"#;
        assert_eq!(found(lock, "pkg:npm/ms@2.1.3"), lock.find("2.1.3"));
        assert_eq!(found(lock, "pkg:npm/ms@2.1"), None);
        assert_eq!(found(lock, "pkg:npm/semver@2.1.3"), None);
    }

    #[test]
    fn a_range_is_no_version() {
        assert_eq!(found(r#""ms": "^2.1.3""#, "pkg:npm/ms@2.1.3"), None);
    }

    #[test]
    fn in_a_large_file_they_are_near() {
        let far = format!("lodash{}4.17.21", " ".repeat(ONE_PACKAGE));
        assert_eq!(found(&far, "pkg:npm/lodash@4.17.21"), None);
        let near = format!("{}lodash 4.17.21", " ".repeat(ONE_PACKAGE));
        assert!(found(&near, "pkg:npm/lodash@4.17.21").is_some());
    }
}
