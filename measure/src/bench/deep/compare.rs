//! Two component sets side by side: what one has and the other has not, and why.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;

use super::bom::{Components, Key, Seen};
use super::proof::{Proof, Prover};

/// What became of the components that a peer has and we have not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Class {
    /// It is there, and we do not find it.
    Missed,
    /// We have it under another name.
    NamedOtherwise,
    /// It is there, and is none of what is asked for.
    OutOfScope,
    /// The file does not say so.
    NotThere,
}

/// Components of one kind and fate.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) class: Class,
    /// The type of the purl.
    pub(super) kind: String,
    pub(super) why: &'static str,
    pub(super) count: usize,
    /// The first few; of what was missed, all.
    pub(super) examples: Vec<Example>,
}

#[derive(Debug, Serialize)]
pub(super) struct Example {
    pub(super) purl: String,
    /// Our name of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ours: Option<String>,
    /// What the peer says where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) place: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) proof: Option<Proof>,
}

/// What only one of them has, by kind and by what declares it.
#[derive(Debug, Serialize)]
pub(super) struct Only {
    pub(super) kind: String,
    /// Of the first place.
    pub(super) declared_in: &'static str,
    pub(super) count: usize,
    pub(super) example: String,
    pub(super) place: String,
}

/// How many of a group are shown.
const SHOWN: usize = 5;

/// What the peer has and we have not.
pub(super) fn missing(
    ours: &Components,
    theirs: &Components,
    prover: &mut Prover<'_>,
) -> Result<Vec<Row>> {
    let names = Names::of(ours);
    let mut rows: BTreeMap<(Class, String, &'static str), Row> = BTreeMap::new();
    for (key, seen) in theirs.iter().filter(|(key, _)| !ours.contains_key(key)) {
        let (class, why, example) = judge(key, seen, &names, prover)?;
        let row = rows
            .entry((class, key.kind.clone(), why))
            .or_insert_with(|| Row {
                class,
                kind: key.kind.clone(),
                why,
                count: 0,
                examples: Vec::new(),
            });
        row.count += 1;
        if row.examples.len() < SHOWN || class == Class::Missed {
            row.examples.push(example);
        }
    }
    Ok(rows.into_values().collect())
}

/// What we have and the peer has not.
pub(super) fn only_ours(ours: &Components, theirs: &Components) -> Vec<Only> {
    let mut found: BTreeMap<(String, &'static str), Only> = BTreeMap::new();
    for (key, seen) in ours.iter().filter(|(key, _)| !theirs.contains_key(key)) {
        let place = seen.places.first().map_or("", String::as_str);
        let declared_in = declared_in(place);
        found
            .entry((key.kind.clone(), declared_in))
            .or_insert_with(|| Only {
                kind: key.kind.clone(),
                declared_in,
                count: 0,
                example: seen.purl.clone(),
                place: place.to_owned(),
            })
            .count += 1;
    }
    found.into_values().collect()
}

fn judge(
    key: &Key,
    seen: &Seen,
    names: &Names<'_>,
    prover: &mut Prover<'_>,
) -> Result<(Class, &'static str, Example)> {
    let mut example = Example {
        purl: seen.purl.clone(),
        ours: None,
        place: seen.places.first().cloned(),
        proof: None,
    };
    if let Some(why) = out_of_scope(key, seen) {
        return Ok((Class::OutOfScope, why, example));
    }
    if let Some((other, why)) = names.other(key, seen) {
        example.ours = Some(other.to_string());
        return Ok((Class::NamedOtherwise, why, example));
    }
    if let Some(other) = names.in_archive(key, seen) {
        example.ours = Some(other.to_string());
        let why = "the name of the file: the pom.properties in it says what it is";
        return Ok((Class::NamedOtherwise, why, example));
    }
    let files = prover.files(seen);
    if let Some(other) = prover.yarn_alias(key, &files)?.filter(|it| names.has(it)) {
        example.ours = Some(other.to_string());
        let why = "an alias of a lock file for a package that we have by its own name";
        return Ok((Class::NamedOtherwise, why, example));
    }
    if prover.is_own_project(key, &files)? {
        let why = "the project that a lock file belongs to, which is no library in it";
        return Ok((Class::OutOfScope, why, example));
    }
    if let Some(why) = guessed(key, &files, prover)? {
        return Ok((Class::NotThere, why, example));
    }
    example.proof = prover.prove(key, &files)?;
    Ok(if example.proof.is_some() {
        (Class::Missed, "name and version stand in the file", example)
    } else if files.is_empty() {
        (Class::NotThere, "no file is named", example)
    } else {
        (
            Class::NotThere,
            "the file does not have name and version",
            example,
        )
    })
}

/// Why a kind of component is none of what is asked for: libraries inside what is installed.
fn out_of_scope(key: &Key, seen: &Seen) -> Option<&'static str> {
    if key.kind == "github" {
        return Some(
            "workflows of a package's repository: they ran at its makers', nothing of them is in it",
        );
    }
    if key.version.ends_with("-use.local") {
        return Some("yarn's word for a project beside its lock file, which has no version");
    }
    let inner = |place: &String| place.ends_with("/package.json") && !is_package(place);
    if key.kind == "npm" && !seen.places.is_empty() && seen.places.iter().all(inner) {
        return Some(
            "a package.json inside a package: data of tests, or how modules are loaded; it was never installed",
        );
    }
    let windows = |place: &String| place.ends_with(".exe");
    if key.kind == "nuget" && !seen.places.is_empty() && seen.places.iter().all(windows) {
        return Some("what a program for Windows calls itself, which is no package of NuGet");
    }
    None
}

/// Whether a `package.json` lies where a package manager puts a package, or unpacks it.
fn is_package(place: &str) -> bool {
    let mut outwards = place.rsplit('/').skip(1);
    let own = outwards.next();
    let is_home = |name| matches!(name, Some("node_modules" | "nodejs"));
    match outwards.next() {
        Some(scope) if scope.starts_with('@') => is_home(outwards.next()),
        parent => is_home(parent) || own == Some("package"),
    }
}

/// Names that a peer makes up of something else that stands there.
fn guessed(
    key: &Key,
    files: &[Utf8PathBuf],
    prover: &mut Prover<'_>,
) -> Result<Option<&'static str>> {
    if key.kind == "golang" && !prover.has_module(key, files)? {
        return Ok(Some(
            "no such module in the build information: the version is made of flags or of a commit",
        ));
    }
    let dll = |file: &&Utf8PathBuf| matches!(file.extension(), Some("dll" | "exe"));
    if key.kind == "nuget" && files.iter().any(|file| dll(&file)) {
        // The list beside the files says to which package they belong, and calls this number
        // the version of the file.
        let lists: Vec<Utf8PathBuf> = files
            .iter()
            .filter_map(|file| file.parent())
            .filter_map(|dir| dir.read_dir_utf8().ok())
            .flat_map(|entries| entries.flatten().map(camino::Utf8DirEntry::into_path))
            .filter(|path| path.as_str().ends_with(".deps.json"))
            .collect();
        let file = Key {
            name: files
                .first()
                .and_then(|file| file.file_name())
                .unwrap_or_default()
                .to_owned(),
            ..key.clone()
        };
        if prover.prove(&file, &lists)?.is_some() {
            return Ok(Some(
                "the version of a file of a package that we have: the deps file beside it says so",
            ));
        }
    }
    Ok(None)
}

/// Ours by what remains of a name if its kind and namespace are left open.
struct Names<'a> {
    short: BTreeMap<(String, &'a str), Vec<(&'a Key, &'a Seen)>>,
    /// By archive and version, what Maven left in it.
    archives: BTreeMap<(&'a str, &'a str), &'a Key>,
}

impl<'a> Names<'a> {
    fn of(ours: &'a Components) -> Self {
        let mut short: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (key, seen) in ours {
            let name = (folded(key), key.version.as_str());
            short.entry(name).or_default().push((key, seen));
        }
        let mut archives = BTreeMap::new();
        for (key, seen) in ours.iter().filter(|(key, _)| key.kind == "maven") {
            for place in &seen.places {
                if let Some((archive, member)) = place.split_once("!/")
                    && member.starts_with("META-INF/maven/")
                {
                    archives.insert((archive, key.version.as_str()), key);
                }
            }
        }
        Self { short, archives }
    }

    /// What an archive calls itself, where a peer goes by the name of its file.
    fn in_archive(&self, key: &Key, seen: &Seen) -> Option<&'a Key> {
        let file = seen.places.iter().find(|place| {
            let stem = Utf8Path::new(place).file_stem();
            key.kind == "maven" && stem.is_some_and(|stem| stem.starts_with(key.short()))
        })?;
        let found = self.archives.get(&(file.as_str(), key.version.as_str()));
        found.copied()
    }

    fn has(&self, key: &Key) -> bool {
        let name = (folded(key), key.version.as_str());
        let found = self.short.get(&name);
        found.is_some_and(|found| found.iter().any(|(other, _)| *other == key))
    }

    /// What we call the same, and why it is the same.
    fn other(&self, key: &Key, seen: &Seen) -> Option<(&'a Key, &'static str)> {
        // Numbers of .NET assemblies have four fields where those of packages have three.
        let version = match key.kind.as_str() {
            "nuget" => key
                .version
                .strip_suffix(".0")
                .filter(|it| it.matches('.').count() == 2),
            _ => None,
        };
        let version = version.unwrap_or(&key.version);
        let found = self.short.get(&(folded(key), version))?;
        found.iter().find_map(|(other, ours)| {
            let together = || {
                let directory =
                    |place: &String| Utf8Path::new(place).parent().map(Utf8Path::to_owned);
                let ours: BTreeSet<_> = ours.places.iter().filter_map(directory).collect();
                seen.places
                    .iter()
                    .filter_map(directory)
                    .any(|it| ours.contains(&it))
            };
            if let Some(other) = Some(*other).filter(|other| runtime(key) == Some(&other.name)) {
                Some((other, "a runtime, which we call as Nixpkgs does"))
            } else if other.kind == key.kind {
                Some((*other, "the same name and version in another namespace"))
            } else if other.kind == "generic" && together() {
                Some((
                    *other,
                    "the file says that it is not from the registry: the purl is generic",
                ))
            } else {
                None
            }
        })
    }
}

/// What Nixpkgs calls a runtime.
fn runtime(key: &Key) -> Option<&'static str> {
    match (key.kind.as_str(), key.name.as_str()) {
        ("generic", "node") => Some("nodejs"),
        ("generic", "rust") => Some("rustc"),
        _ => None,
    }
}

fn folded(key: &Key) -> String {
    runtime(key)
        .unwrap_or(key.short())
        .to_ascii_lowercase()
        .replace(['_', '.'], "-")
}

/// What kind of file a place is.
fn declared_in(place: &str) -> &'static str {
    let file = place.rsplit(['/', '!']).next().unwrap_or(place);
    let archive = [".jar", ".war", ".ear", ".whl", ".zip", ".hpi"]
        .iter()
        .any(|end| place.contains(&format!("{end}!")) || file.ends_with(end));
    match file {
        _ if archive && place.contains(".whl") => "a packed wheel",
        _ if archive => "a JAR",
        "package.json" => "an installed npm package",
        "METADATA" | "PKG-INFO" => "an installed Python package",
        "package-lock.json"
        | ".package-lock.json"
        | "npm-shrinkwrap.json"
        | "yarn.lock"
        | "pnpm-lock.yaml"
        | "Cargo.lock"
        | "Gemfile.lock"
        | "go.sum"
        | "poetry.lock"
        | "uv.lock"
        | "composer.lock" => "a lock file",
        _ if file.ends_with(".gemspec") => "an installed gem",
        _ if file.ends_with(".deps.json") => "a .NET deps file",
        _ if place.contains("/sboms/") || file.contains(".cdx.") => "an SBOM inside a package",
        _ if place.is_empty() => "no place told",
        _ => "a program or library",
    }
}

/// All that one of the peers found and we missed, once.
pub(super) fn missed<'a>(rows: impl Iterator<Item = &'a Row>) -> usize {
    rows.filter(|row| row.class == Class::Missed)
        .flat_map(|row| &row.examples)
        .filter_map(|example| Key::of(&example.purl))
        .collect::<BTreeSet<_>>()
        .len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_place_is() {
        assert_eq!(declared_in("usr/bin/rg"), "a program or library");
        assert_eq!(declared_in("a/x.jar!/META-INF/pom.properties"), "a JAR");
        assert_eq!(declared_in("w/pip.whl!/pip/METADATA"), "a packed wheel");
        assert_eq!(
            declared_in("a/node_modules/b/package.json"),
            "an installed npm package"
        );
    }

    #[test]
    fn a_package_lies_where_it_is_installed() {
        assert!(is_package("a/node_modules/@s/b/package.json"));
        assert!(is_package("usr/share/nodejs/b/package.json"));
        assert!(is_package("driver/package/package.json"));
        assert!(!is_package("a/node_modules/b/test/c/package.json"));
    }

    #[test]
    fn another_namespace_is_another_name() {
        let key = |purl| Key::of(purl).unwrap();
        let seen = |place: &str| Seen {
            places: [place.to_owned()].into(),
            ..Seen::default()
        };
        let ours: Components = [
            (key("pkg:maven/org.jruby/jruby_core@9"), seen("a.jar")),
            (key("pkg:generic/uv@1"), seen("bin/uv")),
        ]
        .into();
        let names = Names::of(&ours);
        let other = |purl, place| names.other(&key(purl), &seen(place)).is_some();
        assert!(other("pkg:maven/jruby/jruby-core@9", "b.jar"));
        assert!(!other("pkg:maven/jruby/jruby-core@8", "a.jar"));
        assert!(!other("pkg:npm/jruby-core@9", "a.jar"));
        assert!(other("pkg:cargo/uv@1", "bin/uv"));
        assert!(!other("pkg:cargo/uv@1", "lib/other"));
    }
}
