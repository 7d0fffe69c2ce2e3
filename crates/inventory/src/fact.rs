//! What an evaluation says of an attribute, without its version and its outputs: what stays the same
//! over most evaluations and channels, so that it is kept once.
//!
//! Versions are left out of CPEs and purls for that reason. Patches keep their store paths, which
//! follow from their content; sources only their names and URLs, since what is unpacked on the way is
//! built anew with every compiler.
//!
//! Descriptions are texts of others: they are kept to be shown, and never shipped.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use snowguard_advisory::cpe::{Cpe, Value};
use snowguard_advisory::id::CveId;
use snowguard_advisory::identity::PackageKey;
use snowguard_advisory::record::Commit;
use snowguard_closure::NodeId;
use snowguard_store::hash::Hasher;

use crate::built::Built;
use crate::component::Source;
use crate::patch::{Patch, PatchText};
use crate::recipe::Toolchain;
use crate::subject::{Meta, SubjectBuilder};

/// What an evaluation says of an attribute, version and outputs apart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Fact {
    /// `pname`, if the evaluation tells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pname: Option<Box<str>>,
    /// One line on what it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<Box<str>>,
    /// Where it is defined: `pkgs/…/default.nix:89`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<Box<str>>,
    /// Home pages.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub homepages: Vec<Box<str>>,
    /// Vendor, if told, and product of its CPEs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cpes: Vec<(Option<Box<str>>, Box<str>)>,
    /// Its packages in ecosystems.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub purls: Vec<PackageKey>,
    /// Marked insecure by Nixpkgs itself: the texts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub known_vulnerabilities: Vec<Box<str>>,
    /// GitHub names of its maintainers, those of its teams among them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub maintainers: Vec<Box<str>>,
    /// Numbers of maintainers at GitHub, which stay when a name is another's.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub github_ids: BTreeMap<Box<str>, i64>,
    /// Its teams.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub teams: Vec<Team>,
    /// What Nixpkgs says against building it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub marks: Vec<Mark>,
    /// How it is built, if its derivation could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build: Option<Build>,
}

/// A team of maintainers.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Team {
    /// Its short name in Nixpkgs.
    pub name: Box<str>,
    /// Its name at GitHub, if told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub github: Option<Box<str>>,
}

/// What Nixpkgs says against building a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// `meta.broken`: it is known not to build.
    Broken,
    /// `meta.insecure`: it has known vulnerabilities.
    Insecure,
    /// `meta.unsupported`: not for this platform.
    Unsupported,
    /// `meta.unfree`: its licence is not free.
    Unfree,
}

/// How a package is built.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Build {
    /// Its sources.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<FactSource>,
    /// Its patches.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub patches: Vec<FactPatch>,
    /// CVEs that its build phases speak of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub phase_cves: Vec<CveId>,
    /// What it is built with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub toolchain: Option<FactToolchain>,
}

/// A source of a package.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FactSource {
    /// The name of its store object: `openssl-1.1.1g.tar.gz`.
    pub name: Box<str>,
    /// Where it is fetched from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<Box<str>>,
}

/// A patch of a package.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FactPatch {
    /// Its name.
    pub name: Box<str>,
    /// Its store path.
    pub path: Box<str>,
    /// Where it is fetched from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<Box<str>>,
    /// What its text says; none if that was not read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<FactPatchText>,
}

/// What the head of a patch file says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FactPatchText {
    /// CVEs in it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cves: Vec<CveId>,
    /// Upstream commits in it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub commits: Vec<Commit>,
}

/// A build tool that names packages, as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FactToolchain {
    /// Cargo.
    Cargo,
    /// Go.
    Go,
}

/// What an evaluation says beyond what matching needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// One line on what it is.
    pub description: Option<Box<str>>,
    /// Numbers of maintainers at GitHub, by their names there.
    pub github_ids: BTreeMap<Box<str>, i64>,
    /// Its teams.
    pub teams: Vec<Team>,
    /// What speaks against building it.
    pub marks: Vec<Mark>,
}

/// The digest of a fact's bytes, by which equal facts are found.
pub type FactDigest = [u8; 20];

/// Bytes that are no fact.
#[derive(Debug, thiserror::Error)]
#[error("it is no fact of an evaluation")]
pub struct FactError(#[source] serde_json::Error);

impl Fact {
    /// How many of each thing are kept: more is no statement about a package.
    pub const MOST: usize = 400;
    /// How many characters of a text are kept.
    pub const LONGEST: usize = 1_000;

    /// What an evaluation says. Lists and texts are cut at what is reasonable.
    pub fn of(meta: &Meta, about: &About, built: Option<&Built>) -> Self {
        let cpes = meta.cpes.iter().filter_map(|cpe| {
            let product = cut(cpe.product.text()?);
            Some((cpe.vendor.text().map(cut), product))
        });
        Self {
            pname: meta.pname.as_deref().map(cut),
            description: about.description.as_deref().map(cut),
            position: meta.position.as_deref().map(cut),
            homepages: texts(&meta.homepages),
            cpes: few(cpes),
            purls: few(meta.purls.iter().cloned()),
            known_vulnerabilities: texts(&meta.known_vulnerabilities),
            maintainers: texts(&meta.maintainers),
            github_ids: about
                .github_ids
                .iter()
                .take(Self::MOST)
                .map(|(name, id)| (cut(name), *id))
                .collect(),
            teams: few(about.teams.iter().map(|team| Team {
                name: cut(&team.name),
                github: team.github.as_deref().map(cut),
            })),
            marks: few(about.marks.iter().copied()),
            build: built.map(Build::of),
        }
    }

    /// Its bytes: equal facts have equal bytes.
    pub fn encode(&self) -> Vec<u8> {
        // Nothing in it can fail to be written: no map has keys that are no texts.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads what [`Fact::encode`] wrote. Members of later versions are passed over.
    pub fn decode(bytes: &[u8]) -> Result<Self, FactError> {
        serde_json::from_slice(bytes).map_err(FactError)
    }

    /// The digest of what [`Fact::encode`] wrote: the first 20 bytes of its SHA-256.
    pub fn digest(encoded: &[u8]) -> FactDigest {
        let mut hasher = Hasher::sha256();
        hasher.update(encoded);
        let mut digest = FactDigest::default();
        for (to, from) in digest.iter_mut().zip(hasher.finish().digest()) {
            *to = *from;
        }
        digest
    }

    /// Adds the attribute that this is said of as a root of a subject.
    ///
    /// `version` is what the evaluation said, or what the name says where it said none.
    pub fn add_to(
        &self,
        builder: &mut SubjectBuilder,
        attr: &str,
        name: &str,
        version: &str,
    ) -> NodeId {
        let node = builder.object(&format!("attr:{attr}"), name, |object| {
            object.meta = Some(Box::new(self.meta(attr, version)));
            object.built = self.build.as_ref().map(|build| Box::new(build.built()));
        });
        builder.root(node);
        node
    }

    /// The evaluation's words again, as far as they matter to matching.
    pub fn meta(&self, attr: &str, version: &str) -> Meta {
        let value = |text: &str| Value::Text(text.to_owned());
        let cpes = self.cpes.iter().map(|(vendor, product)| Cpe {
            part: None,
            vendor: vendor.as_deref().map_or(Value::Any, value),
            product: value(product),
            version: Value::Any,
            update: Value::Any,
            target_software: Value::Any,
        });
        Meta {
            attr: attr.into(),
            pname: self.pname.clone(),
            version: (!version.is_empty()).then(|| version.into()),
            drv_path: None,
            homepages: self.homepages.clone(),
            cpes: cpes.collect(),
            purls: self.purls.clone(),
            known_vulnerabilities: self.known_vulnerabilities.clone(),
            position: self.position.clone(),
            maintainers: self.maintainers.clone(),
        }
    }
}

impl Build {
    fn of(built: &Built) -> Self {
        let sources = built.sources.iter().map(|source| FactSource {
            name: cut(name_of(&source.path)),
            urls: texts(&source.urls),
        });
        let patches = built.patches.iter().map(|patch| FactPatch {
            name: cut(&patch.name),
            path: cut(&patch.path),
            urls: texts(&patch.urls),
            text: patch.text.as_ref().map(|text| FactPatchText {
                cves: few(text.cves.iter().copied()),
                commits: few(text.commits.iter().copied()),
            }),
        });
        Self {
            sources: few(sources),
            patches: few(patches),
            phase_cves: few(built.phase_cves.iter().copied()),
            toolchain: built.toolchain.map(|toolchain| match toolchain {
                Toolchain::Cargo => FactToolchain::Cargo,
                Toolchain::Go => FactToolchain::Go,
            }),
        }
    }

    fn built(&self) -> Built {
        let sources = self.sources.iter().map(|source| Source {
            path: source.name.clone(),
            urls: source.urls.clone(),
        });
        let patches = self.patches.iter().map(|patch| Patch {
            text: patch.text.as_ref().map(|text| PatchText {
                cves: text.cves.clone(),
                commits: text.commits.clone(),
            }),
            ..Patch::new(&patch.name, &patch.path, patch.urls.clone())
        });
        Built {
            sources: sources.collect(),
            patches: patches.collect(),
            phase_cves: self.phase_cves.clone(),
            toolchain: self.toolchain.map(|toolchain| match toolchain {
                FactToolchain::Cargo => Toolchain::Cargo,
                FactToolchain::Go => Toolchain::Go,
            }),
        }
    }
}

/// The name in a store path, or all of what is none.
fn name_of(path: &str) -> &str {
    let base = path.rsplit('/').next().unwrap_or(path);
    match base.split_once('-') {
        Some((digest, name)) if digest.len() == 32 => name,
        _ => base,
    }
}

fn few<T>(items: impl Iterator<Item = T>) -> Vec<T> {
    items.take(Fact::MOST).collect()
}

fn texts(texts: &[Box<str>]) -> Vec<Box<str>> {
    few(texts.iter().map(|text| cut(text)))
}

fn cut(text: &str) -> Box<str> {
    match text.char_indices().nth(Fact::LONGEST) {
        Some((at, _)) => text[..at].into(),
        None => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::component::{Component, Inventory};
    use crate::recipe::Recipe;
    use crate::subject::{Nature, Subject};
    use crate::table::IdentityTable;
    use crate::{Builds, PatchText, Role};

    const STORE: &str = "/nix/store/00000000000000000000000000000000";

    fn meta() -> Meta {
        Meta {
            attr: "openssl_1_1".into(),
            pname: Some("openssl".into()),
            version: Some("1.1.1g".into()),
            drv_path: Some(format!("{STORE}-openssl-1.1.1g.drv").into()),
            homepages: vec!["https://www.openssl.org/".into()],
            cpes: vec![
                "cpe:2.3:a:openssl:openssl:1.1.1g:*:*:*:*:*:*:*"
                    .parse()
                    .unwrap(),
            ],
            purls: vec![PackageKey::from_purl("pkg:github/openssl/openssl@1").unwrap()],
            known_vulnerabilities: vec!["CVE-2020-1".into()],
            position: Some("pkgs/openssl/default.nix:89".into()),
            maintainers: vec!["someone".into()],
        }
    }

    /// A package whose derivation was read, with those of a source and of a patch.
    fn subject() -> Subject {
        let mut builder = SubjectBuilder::new();
        let node = builder.object("attr:openssl_1_1", "openssl-1.1.1g", |object| {
            object.meta = Some(Box::new(meta()));
        });
        builder.root(node);
        let auxiliary = |builder: &mut SubjectBuilder, name: &str, recipe: Recipe| {
            builder.object(&format!("{STORE}-{name}.drv"), name, |object| {
                object.role = Role::Auxiliary;
                object.recipe = Some(Box::new(recipe));
            })
        };
        let fetched = |name: &str, url: &str| Recipe {
            fixed: true,
            outputs: vec![("out".into(), Some(format!("{STORE}-{name}").into()))],
            urls: vec![url.into()],
            ..Recipe::default()
        };
        let source = "https://github.com/openssl/openssl/archive/x.tar.gz";
        auxiliary(&mut builder, "src.tar.gz", fetched("src.tar.gz", source));
        let patch = "https://github.com/openssl/openssl/commit/43913f2f4fbd7dcff930b8a809e709591e4dd79e.patch";
        let fix = auxiliary(&mut builder, "fix.patch", fetched("fix.patch", patch));
        builder.get_mut(fix).unwrap().patch = Some(Box::new(PatchText {
            cves: vec!["CVE-2020-1967".parse().unwrap()],
            commits: Vec::new(),
        }));
        auxiliary(
            &mut builder,
            "openssl-1.1.1g",
            Recipe {
                sources: vec![format!("{STORE}-src.tar.gz").into()],
                patches: vec![format!("{STORE}-fix.patch").into()],
                phase_cves: vec!["CVE-2019-1543".parse().unwrap()],
                ..Recipe::default()
            },
        );
        builder.build("set", Nature::PackageSet)
    }

    fn fact(subject: &Subject) -> Fact {
        let object = &subject.objects[0];
        let built = Builds::of(subject).get(object).unwrap();
        let about = About {
            description: Some("A library".into()),
            github_ids: BTreeMap::from([("someone".into(), 7)]),
            teams: vec![Team {
                name: "Crypto".into(),
                github: None,
            }],
            marks: vec![Mark::Insecure],
        };
        Fact::of(object.meta.as_ref().unwrap(), &about, Some(&built))
    }

    fn only(subject: &Subject) -> Component {
        let inventory = Inventory::of(subject, &IdentityTable::default());
        let [component] = &*inventory.components else {
            panic!("{:?}", inventory.components);
        };
        component.clone()
    }

    #[test]
    fn a_package_made_again_of_its_fact_is_the_same_component() {
        let subject = subject();
        let fact = fact(&subject);
        let decoded = Fact::decode(&fact.encode()).unwrap();
        assert_eq!(decoded, fact);
        let mut builder = SubjectBuilder::new();
        decoded.add_to(&mut builder, "openssl_1_1", "openssl-1.1.1g", "1.1.1g");
        let (before, after) = (
            only(&subject),
            only(&builder.build("set", Nature::PackageSet)),
        );
        assert_eq!(after.identities, before.identities);
        assert_eq!(after.marks, before.marks);
        assert_eq!(after.patches, before.patches);
        assert_eq!(after.patches[0].what.text.as_ref().unwrap().cves.len(), 1);
        assert_eq!(after.phase_cves, before.phase_cves);
        assert_eq!(after.known_builds, 1);
        assert_eq!(after.table_key(), before.table_key());
        let urls = |component: &Component| component.sources[0].urls.clone();
        assert_eq!(urls(&after), urls(&before));
        assert_eq!(after.known_vulnerabilities, before.known_vulnerabilities);
    }

    #[test]
    fn another_version_or_build_is_the_same_fact() {
        let about = About::default();
        let one = meta();
        let other = Meta {
            version: Some("1.1.1h".into()),
            drv_path: None,
            cpes: vec![
                "cpe:2.3:a:openssl:openssl:1.1.1h:*:*:*:*:*:*:*"
                    .parse()
                    .unwrap(),
            ],
            purls: vec![PackageKey::from_purl("pkg:github/openssl/openssl@2").unwrap()],
            ..meta()
        };
        let digest = |meta| Fact::digest(&Fact::of(meta, &about, None).encode());
        assert_eq!(digest(&one), digest(&other));
    }

    #[test]
    fn its_bytes() {
        insta::assert_snapshot!(String::from_utf8(fact(&subject()).encode()).unwrap(), @r#"{"pname":"openssl","description":"A library","position":"pkgs/openssl/default.nix:89","homepages":["https://www.openssl.org/"],"cpes":[["openssl","openssl"]],"purls":["github/openssl/openssl"],"known_vulnerabilities":["CVE-2020-1"],"maintainers":["someone"],"github_ids":{"someone":7},"teams":[{"name":"Crypto"}],"marks":["insecure"],"build":{"sources":[{"name":"src.tar.gz","urls":["https://github.com/openssl/openssl/archive/x.tar.gz"]}],"patches":[{"name":"fix.patch","path":"/nix/store/00000000000000000000000000000000-fix.patch","urls":["https://github.com/openssl/openssl/commit/43913f2f4fbd7dcff930b8a809e709591e4dd79e.patch"],"text":{"cves":["CVE-2020-1967"]}}],"phase_cves":["CVE-2019-1543"]}}"#);
    }

    #[test]
    fn lists_and_texts_are_cut() {
        let meta = Meta {
            position: Some("ä".repeat(5_000).into()),
            maintainers: vec!["x".into(); 5_000],
            ..Meta::default()
        };
        let fact = Fact::of(&meta, &About::default(), None);
        assert_eq!(fact.position.unwrap().chars().count(), Fact::LONGEST);
        assert_eq!(fact.maintainers.len(), Fact::MOST);
    }
}
