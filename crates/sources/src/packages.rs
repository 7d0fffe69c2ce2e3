//! Evaluated package sets: `nix-env -qaP --json`, a channel's `packages.json`, and the lines of
//! nix-eval-jobs.

use std::borrow::Cow;
use std::collections::HashMap;

use rayon::prelude::*;
use serde::Deserialize;
use serde_json::value::RawValue;
use snowguard_advisory::cpe::Cpe;
use snowguard_advisory::identity::PackageKey;
use snowguard_inventory::{Meta, SubjectBuilder};

/// One package of a set.
#[derive(Debug)]
pub struct Package {
    /// The derivation's name.
    pub name: Box<str>,
    /// What the evaluation says.
    pub meta: Meta,
}

/// Reads a package set.
pub fn read(json: &[u8]) -> Result<Vec<Package>, PackagesError> {
    let first_line = json
        .split(|&b| b == b'\n')
        .find(|line| !line.trim_ascii().is_empty())
        .unwrap_or_default();
    if first_line.trim_ascii().ends_with(b"}")
        && serde_json::from_slice::<Job<'_>>(first_line).is_ok_and(|job| job.is_job())
    {
        return lines(json);
    }
    let set: HashMap<Cow<'_, str>, &RawValue> =
        serde_json::from_slice(json).map_err(PackagesError::Json)?;
    let set = match set.get("packages") {
        Some(packages) => serde_json::from_str(packages.get()).map_err(PackagesError::Json)?,
        None => set,
    };
    let mut entries: Vec<_> = set.into_iter().collect();
    entries.sort_by(|(a, _), (b, _)| a.cmp(b));
    entries
        .par_iter()
        .map(|(attr, raw)| {
            let entry: Entry<'_> =
                serde_json::from_str(raw.get()).map_err(|source| PackagesError::Package {
                    attr: attr.to_string(),
                    source,
                })?;
            Ok(entry.package(attr))
        })
        .collect()
}

fn lines(json: &[u8]) -> Result<Vec<Package>, PackagesError> {
    let lines: Vec<&[u8]> = json
        .split(|&b| b == b'\n')
        .filter(|line| !line.trim_ascii().is_empty())
        .collect();
    let packages: Vec<Option<Package>> = lines
        .par_iter()
        .enumerate()
        .map(|(at, line)| {
            let job: Job<'_> =
                serde_json::from_slice(line).map_err(|source| PackagesError::Line {
                    line: at + 1,
                    source,
                })?;
            // A job that failed to evaluate has an error in place of a name.
            Ok(job.name.is_some().then(|| {
                let attr = job.attr.clone().unwrap_or_default();
                let (name, meta, drv_path) = (job.name, job.meta, job.drv_path);
                Entry {
                    name,
                    pname: None,
                    version: None,
                    drv_path,
                    meta,
                }
                .package(&attr)
            }))
        })
        .collect::<Result<_, _>>()?;
    Ok(packages.into_iter().flatten().collect())
}

/// Adds packages as roots of a subject.
pub fn add(builder: &mut SubjectBuilder, packages: Vec<Package>) {
    for package in packages {
        let id = format!("attr:{}", package.meta.attr);
        let node = builder.object(&id, &package.name, |object| {
            object.meta = Some(Box::new(package.meta));
        });
        builder.root(node);
        let drv = builder
            .get(node)
            .and_then(|object| object.meta.as_ref()?.drv_path.clone());
        if let Some(drv) = drv.and_then(|drv| builder.find(&drv)) {
            builder.edge(node, drv);
        }
    }
}

#[derive(Deserialize)]
struct Job<'j> {
    #[serde(borrow)]
    attr: Option<Cow<'j, str>>,
    #[serde(borrow)]
    name: Option<Cow<'j, str>>,
    #[serde(borrow, rename = "drvPath")]
    drv_path: Option<Cow<'j, str>>,
    #[serde(borrow, default)]
    meta: Option<RawMeta<'j>>,
    error: Option<serde::de::IgnoredAny>,
}

impl Job<'_> {
    fn is_job(&self) -> bool {
        self.attr.is_some() && (self.name.is_some() || self.error.is_some())
    }
}

#[derive(Deserialize)]
struct Entry<'j> {
    #[serde(borrow)]
    name: Option<Cow<'j, str>>,
    #[serde(borrow)]
    pname: Option<Cow<'j, str>>,
    #[serde(borrow)]
    version: Option<Cow<'j, str>>,
    #[serde(borrow, rename = "drvPath")]
    drv_path: Option<Cow<'j, str>>,
    #[serde(borrow, default)]
    meta: Option<RawMeta<'j>>,
}

impl Entry<'_> {
    fn package(self, attr: &str) -> Package {
        let boxed =
            |text: Option<Cow<'_, str>>| text.filter(|t| !t.is_empty()).map(|t| Box::from(&*t));
        let raw = self.meta.unwrap_or_default();
        let identifiers = raw
            .identifiers
            .and_then(|i| i.value::<Identifiers>())
            .unwrap_or_default();
        let homepage = raw.homepage.and_then(|h| h.value::<OneOrMany<String>>());
        let known = raw
            .known_vulnerabilities
            .and_then(|k| k.value::<OneOrMany<String>>());
        let maintainers = raw
            .maintainers
            .and_then(|m| m.value::<Vec<Maintainer>>())
            .unwrap_or_default();
        let (cpes, purls) = identifiers.read();
        let name: Box<str> = boxed(self.name).unwrap_or_else(|| attr.into());
        let meta = Meta {
            attr: attr.into(),
            pname: boxed(self.pname),
            version: boxed(self.version),
            drv_path: boxed(self.drv_path),
            homepages: homepage.map(OneOrMany::into_boxes).unwrap_or_default(),
            cpes,
            purls,
            known_vulnerabilities: known.map(OneOrMany::into_boxes).unwrap_or_default(),
            position: boxed(raw.position),
            maintainers: maintainers
                .into_iter()
                .filter_map(|m| m.github.map(Into::into))
                .collect(),
        };
        Package { name, meta }
    }
}

/// The fields of `meta` whose shape varies are read one by one: none of them may cost the package.
#[derive(Deserialize, Default)]
struct RawMeta<'j> {
    #[serde(borrow, default)]
    homepage: Option<Loose<'j>>,
    #[serde(borrow, default)]
    identifiers: Option<Loose<'j>>,
    #[serde(borrow, default, rename = "knownVulnerabilities")]
    known_vulnerabilities: Option<Loose<'j>>,
    #[serde(borrow, default)]
    maintainers: Option<Loose<'j>>,
    #[serde(borrow, default)]
    position: Option<Cow<'j, str>>,
}

#[derive(Deserialize)]
#[serde(transparent)]
struct Loose<'j>(#[serde(borrow)] &'j RawValue);

impl Loose<'_> {
    fn value<T: serde::de::DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_str(self.0.get()).ok()
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl OneOrMany<String> {
    fn into_boxes(self) -> Vec<Box<str>> {
        let all = match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        };
        all.into_iter()
            .filter(|text| !text.is_empty())
            .map(Into::into)
            .collect()
    }
}

#[derive(Deserialize)]
struct Maintainer {
    github: Option<String>,
}

/// `meta.identifiers`, as Nixpkgs defines it (doc/stdenv/meta.chapter.md): `v1` is the stable copy.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Identifiers {
    v1: Option<Box<Identifiers>>,
    #[serde(rename = "cpeParts")]
    cpe_parts: CpeParts,
    cpe: Option<String>,
    #[serde(rename = "possibleCPEs")]
    possible_cpes: Vec<PossibleCpe>,
    purl: Option<String>,
    purls: Option<Vec<String>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct CpeParts {
    vendor: Option<String>,
    product: Option<String>,
}

#[derive(Deserialize)]
struct PossibleCpe {
    cpe: Option<String>,
}

impl Identifiers {
    fn read(self) -> (Vec<Cpe>, Vec<PackageKey>) {
        if let Some(v1) = self.v1 {
            return v1.read();
        }
        let parts = self.cpe_parts.vendor.zip(self.cpe_parts.product);
        let from_parts =
            parts.map(|(vendor, product)| format!("cpe:2.3:a:{vendor}:{product}:*:*:*:*:*:*:*:*"));
        let possible = self
            .possible_cpes
            .into_iter()
            .filter_map(|possible| possible.cpe);
        let mut cpes: Vec<Cpe> = Vec::new();
        for cpe in from_parts
            .into_iter()
            .chain(self.cpe)
            .chain(possible)
            .filter_map(|text| text.parse::<Cpe>().ok())
        {
            if !cpes
                .iter()
                .any(|known| (&known.vendor, &known.product) == (&cpe.vendor, &cpe.product))
            {
                cpes.push(cpe);
            }
        }
        let purls = self.purl.into_iter().chain(self.purls.unwrap_or_default());
        let mut keys: Vec<PackageKey> = purls
            .filter_map(|purl| PackageKey::from_purl(&purl).ok())
            .collect();
        keys.dedup();
        (cpes, keys)
    }
}

/// Why a text is no package set.
#[derive(Debug, thiserror::Error)]
pub enum PackagesError {
    /// Not a JSON object by attribute.
    #[error("the package set is not a JSON object by attribute path")]
    Json(#[source] serde_json::Error),
    /// A package does not fit.
    #[error("the package `{attr}` does not fit `nix-env -qaP --json`")]
    Package {
        /// Which.
        attr: String,
        /// What does not fit.
        source: serde_json::Error,
    },
    /// A line does not fit.
    #[error("line {line} is not a line of nix-eval-jobs")]
    Line {
        /// Which, from 1.
        line: usize,
        /// What does not fit.
        source: serde_json::Error,
    },
}
