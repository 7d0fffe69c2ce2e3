//! One package as an evaluation prints it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use snowguard_advisory::cpe::Cpe;
use snowguard_advisory::identity::PackageKey;
use snowguard_inventory::Meta;
use snowguard_inventory::fact::{About, Mark, Team};

use super::{Detail, Failure, Output, Package};

/// The members of an object of packages, read but not yet taken apart.
#[derive(Default)]
pub(super) struct Entries<'j> {
    pub(super) packages: Vec<(Cow<'j, str>, Entry<'j>)>,
    pub(super) failed: Vec<Failure>,
}

impl<'de: 'j, 'j> Deserialize<'de> for Entries<'j> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct EntriesVisitor;

        impl<'de> Visitor<'de> for EntriesVisitor {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of packages")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<'de>, A::Error> {
                let mut entries = Entries::default();
                while let Some(attr) = map.next_key::<Key<'de>>()? {
                    match map.next_value::<Lenient<Entry<'de>>>()?.0 {
                        Some(entry) => entries.packages.push((attr.0, entry)),
                        None => entries.failed.push(Failure::no_package(&attr.0)),
                    }
                }
                Ok(entries)
            }
        }

        json.deserialize_map(EntriesVisitor)
    }
}

/// The name of a member, without a copy of it where that can be.
#[derive(Deserialize)]
#[serde(transparent)]
struct Key<'j>(#[serde(borrow)] Cow<'j, str>);

/// A package of a set, or a job of nix-eval-jobs.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entry<'j> {
    /// Only a job of nix-eval-jobs says it here.
    #[serde(borrow, default)]
    attr: Text<'j>,
    /// What a job has in place of a name if its evaluation failed.
    #[serde(borrow, default)]
    error: Text<'j>,
    #[serde(borrow, default)]
    name: Text<'j>,
    #[serde(borrow, default)]
    pname: Text<'j>,
    #[serde(borrow, default)]
    version: Text<'j>,
    #[serde(borrow, default)]
    drv_path: Text<'j>,
    #[serde(borrow, default)]
    outputs: Loose<'j>,
    #[serde(borrow, default)]
    meta: Lenient<RawMeta<'j>>,
}

impl Entry<'_> {
    /// The package of a job, or why there is none.
    pub(super) fn into_job(mut self, detail: Detail) -> Result<Package, Failure> {
        let attr = self.attr.0.take().unwrap_or_default();
        if self.name.0.is_none() {
            let error = self.error.0.unwrap_or_default();
            // Evaluation traces are long; their first line says what happened.
            let line = error.trim().lines().next().unwrap_or("it has no name");
            return Err(Failure::of(&attr, line));
        }
        Ok(self.into_package(&attr, detail))
    }

    pub(super) fn into_package(self, attr: &str, detail: Detail) -> Package {
        let raw = self.meta.0.unwrap_or_default();
        let (cpes, purls) = raw
            .identifiers
            .value::<Identifiers>()
            .unwrap_or_default()
            .read();
        let people: Vec<Maintainer> = raw.maintainers.list();
        let mut maintainers = names_of(&people);
        let about = match detail {
            Detail::Matching => About::default(),
            Detail::Whole => raw.about(people, &mut maintainers),
        };
        // Without the derivation's path, its outputs say which one it is.
        let outputs = match (&self.drv_path.0, detail) {
            (Some(_), Detail::Matching) => Vec::new(),
            _ => self.outputs.outputs(),
        };
        let name = self.name.boxed().unwrap_or_else(|| attr.into());
        let meta = Meta {
            attr: attr.into(),
            pname: self.pname.boxed(),
            version: self.version.boxed(),
            drv_path: self.drv_path.boxed(),
            homepages: raw.homepage.texts(),
            cpes,
            purls,
            known_vulnerabilities: raw.known_vulnerabilities.texts(),
            position: raw.position.boxed(),
            maintainers,
        };
        Package {
            name,
            meta,
            about,
            outputs,
        }
    }
}

fn names_of(maintainers: &[Maintainer]) -> Vec<Box<str>> {
    maintainers
        .iter()
        .filter_map(|maintainer| maintainer.github.as_deref().map(Into::into))
        .collect()
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct RawMeta<'j> {
    #[serde(borrow, default)]
    homepage: Loose<'j>,
    #[serde(borrow, default)]
    identifiers: Loose<'j>,
    #[serde(borrow, default)]
    known_vulnerabilities: Loose<'j>,
    #[serde(borrow, default)]
    maintainers: Loose<'j>,
    #[serde(borrow, default)]
    position: Text<'j>,
    #[serde(borrow, default)]
    description: Text<'j>,
    #[serde(borrow, default)]
    teams: Loose<'j>,
    #[serde(borrow, default)]
    broken: Loose<'j>,
    #[serde(borrow, default)]
    insecure: Loose<'j>,
    #[serde(borrow, default)]
    unsupported: Loose<'j>,
    #[serde(borrow, default)]
    unfree: Loose<'j>,
}

impl RawMeta<'_> {
    /// What matching does not need. Members of teams are maintainers, whether or not the evaluation
    /// lists them there as well.
    fn about(&self, mut people: Vec<Maintainer>, maintainers: &mut Vec<Box<str>>) -> About {
        let mut teams = Vec::new();
        for team in self.teams.list::<RawTeam>() {
            for member in names_of(&team.members.0) {
                if !maintainers.contains(&member) {
                    maintainers.push(member);
                }
            }
            people.extend(team.members.0);
            if let Some(name) = team.short_name.filter(|name| !name.is_empty()) {
                teams.push(Team {
                    name: name.into(),
                    github: team.github.map(Into::into),
                });
            }
        }
        let marks = [
            (&self.broken, Mark::Broken),
            (&self.insecure, Mark::Insecure),
            (&self.unsupported, Mark::Unsupported),
            (&self.unfree, Mark::Unfree),
        ];
        About {
            description: self.description.boxed(),
            github_ids: people
                .into_iter()
                .filter_map(|person| {
                    let number = person.number()?;
                    Some((person.github?.into(), number))
                })
                .collect(),
            teams,
            marks: marks
                .into_iter()
                .filter(|(said, _)| said.value() == Some(true))
                .map(|(_, mark)| mark)
                .collect(),
        }
    }
}

/// A value that is looked at again once it is known to be wanted.
#[derive(Deserialize, Default)]
#[serde(transparent)]
struct Loose<'j>(#[serde(borrow)] Option<&'j RawValue>);

impl Loose<'_> {
    fn value<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_str(self.0?.get()).ok()
    }

    /// The members of a list that have the expected shape.
    fn list<T: DeserializeOwned>(&self) -> Vec<T> {
        self.value::<List<T>>().unwrap_or_default().0
    }

    /// An object of paths by name of output, or a list of names.
    fn outputs(&self) -> Vec<Output> {
        match self.value() {
            Some(RawOutputs::Paths(paths)) => paths.into_iter().collect(),
            Some(RawOutputs::Names(names)) => names.into_iter().map(|name| (name, None)).collect(),
            None => Vec::new(),
        }
    }

    fn texts(&self) -> Vec<Box<str>> {
        match self.value() {
            Some(OneOrMany::One(one)) => vec![one],
            Some(OneOrMany::Many(many)) => many,
            None => Vec::new(),
        }
        .into_iter()
        .filter(|text: &String| !text.is_empty())
        .map(Into::into)
        .collect()
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawOutputs {
    Paths(BTreeMap<Box<str>, Option<Box<str>>>),
    Names(Vec<Box<str>>),
}

/// A list, without what in it has another shape.
struct List<T>(Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        let items = Vec::<Box<RawValue>>::deserialize(json)?;
        let read = items.iter().map(|item| serde_json::from_str(item.get()));
        Ok(Self(read.filter_map(Result::ok).collect()))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Maintainer {
    github: Option<String>,
    /// Whatever stands there, so that a name is read even where this is no number.
    #[serde(default)]
    github_id: Option<serde_json::Value>,
}

impl Maintainer {
    fn number(&self) -> Option<i64> {
        self.github_id
            .as_ref()?
            .as_i64()
            .filter(|number| *number > 0)
    }
}

/// A member of `meta.teams`, as Nixpkgs defines teams (maintainers/team-list.nix).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawTeam {
    short_name: Option<String>,
    github: Option<String>,
    #[serde(default)]
    members: List<Maintainer>,
}

/// A string, or nothing if something else stands there.
#[derive(Default)]
struct Text<'j>(Option<Cow<'j, str>>);

impl Text<'_> {
    fn boxed(&self) -> Option<Box<str>> {
        let text = self.0.as_deref()?;
        (!text.is_empty()).then(|| text.into())
    }
}

impl<'de: 'j, 'j> Deserialize<'de> for Text<'j> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct TextVisitor;

        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Some(Cow::Borrowed(text))))
            }

            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Some(Cow::Owned(text.to_owned()))))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Text<'de>, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Text(None))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Text<'de>, A::Error> {
                while items.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Text(None))
            }

            fn visit_unit<E>(self) -> Result<Text<'de>, E> {
                Ok(Text(None))
            }

            fn visit_bool<E>(self, _: bool) -> Result<Text<'de>, E> {
                Ok(Text(None))
            }

            fn visit_i64<E>(self, _: i64) -> Result<Text<'de>, E> {
                Ok(Text(None))
            }

            fn visit_u64<E>(self, _: u64) -> Result<Text<'de>, E> {
                Ok(Text(None))
            }

            fn visit_f64<E>(self, _: f64) -> Result<Text<'de>, E> {
                Ok(Text(None))
            }
        }

        json.deserialize_any(TextVisitor)
    }
}

/// An object, or nothing if something else stands there.
struct Lenient<T>(Option<T>);

impl<T> Default for Lenient<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct LenientVisitor<T>(std::marker::PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for LenientVisitor<T> {
            type Value = Lenient<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Lenient<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(|value| Lenient(Some(value)))
            }

            fn visit_str<E>(self, _: &str) -> Result<Lenient<T>, E> {
                Ok(Lenient(None))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Lenient<T>, A::Error> {
                while items.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Lenient(None))
            }

            fn visit_unit<E>(self) -> Result<Lenient<T>, E> {
                Ok(Lenient(None))
            }

            fn visit_bool<E>(self, _: bool) -> Result<Lenient<T>, E> {
                Ok(Lenient(None))
            }

            fn visit_i64<E>(self, _: i64) -> Result<Lenient<T>, E> {
                Ok(Lenient(None))
            }

            fn visit_u64<E>(self, _: u64) -> Result<Lenient<T>, E> {
                Ok(Lenient(None))
            }

            fn visit_f64<E>(self, _: f64) -> Result<Lenient<T>, E> {
                Ok(Lenient(None))
            }
        }

        json.deserialize_any(LenientVisitor(std::marker::PhantomData))
    }
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
