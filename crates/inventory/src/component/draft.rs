//! What objects are before they are brought together: packages, each with what bytes declare of it.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use snowguard_advisory::identity::PackageKey;
use snowguard_closure::NodeId;

use super::paths::{OutputPaths, patch};
use crate::inside::{self, Concern, Declaration, Host, Hosts};
use crate::naming::{self, Language};
use crate::recipe::Recipe;
use crate::subject::{Object, Subject};

/// What an object turned out to be.
pub(super) enum Finding<'s> {
    Source,
    Unversioned,
    Component(Draft<'s>),
}

pub(super) struct Draft<'s> {
    pub(super) node: NodeId,
    pub(super) object: &'s Object,
    pub(super) recipe: Option<&'s Recipe>,
    pub(super) language: Option<Language>,
    pub(super) pname: &'s str,
    pub(super) version: &'s str,
}

/// By what packages are told apart: language, name in lower case, version.
pub(super) type Key<'s> = (Option<Language>, String, &'s str);

/// What is one package.
#[derive(Default)]
pub(super) struct Group<'s> {
    /// Objects that are it.
    pub(super) drafts: Vec<&'s Draft<'s>>,
    /// What bytes say of it.
    pub(super) declared: Vec<&'s Declaration>,
    /// What its own bytes say otherwise.
    pub(super) otherwise: Vec<&'s Declaration>,
}

impl<'s> Draft<'s> {
    /// Whether how it is built is known.
    pub(super) fn is_known(&self) -> bool {
        self.recipe.is_some() || self.object.built.is_some()
    }

    pub(super) fn key(&self) -> Key<'s> {
        let name = match self.language {
            // As the registry spells it, so that what the bytes declare is the same package.
            Some(Language::Python) => PackageKey::new("pypi", self.pname)
                .map_or_else(|_| self.pname.to_lowercase(), |key| key.name().to_owned()),
            _ => self.pname.to_lowercase(),
        };
        (self.language, name, self.version)
    }
}

/// Puts what bytes declare to the packages that it is about; gives the objects in which something
/// is declared.
pub(super) fn add_declarations<'s>(
    subject: &'s Subject,
    paths: &OutputPaths<'_>,
    drafts: &'s [Finding<'s>],
    groups: &mut FxHashMap<Key<'s>, Group<'s>>,
) -> Hosts {
    let mut hosts = Hosts::default();
    if subject.inside.is_empty() {
        return hosts;
    }
    let drafts: FxHashMap<NodeId, &'s Draft<'s>> = drafts
        .iter()
        .filter_map(|finding| match finding {
            Finding::Component(draft) => Some((draft.node, draft)),
            Finding::Source | Finding::Unversioned => None,
        })
        .collect();
    for declaration in &subject.inside {
        let node = declaration.place.node;
        let host = drafts.get(&node);
        hosts
            .entry(node)
            .or_insert_with(|| Arc::new(make_host(subject, paths, node, host.copied())));
        let concern = host.map(|host| {
            let concern = inside::concern(declaration, host.pname, host.version, host.language);
            (concern, host.key())
        });
        match concern {
            Some((Concern::Itself, key)) => {
                groups.entry(key).or_default().declared.push(declaration);
            }
            Some((Concern::ItselfOtherwise, key)) => {
                groups.entry(key).or_default().otherwise.push(declaration);
            }
            // What has no version can be held against nothing.
            Some((Concern::Inside, _)) | None if declaration.version.is_empty() => {}
            Some((Concern::Inside, _)) | None => {
                let key = (
                    Language::of_package(&declaration.package),
                    declaration.package.name().to_lowercase(),
                    &*declaration.version,
                );
                groups.entry(key).or_default().declared.push(declaration);
            }
        }
    }
    hosts
}

fn make_host(
    subject: &Subject,
    paths: &OutputPaths<'_>,
    node: NodeId,
    draft: Option<&Draft<'_>>,
) -> Host {
    let object = subject.object(node);
    let recipe = draft
        .and_then(|draft| draft.recipe)
        .or_else(|| object?.recipe.as_deref());
    let label = match draft {
        Some(draft) => format!("{} {}", draft.pname, draft.version),
        None => object.map_or(String::new(), |object| {
            object
                .name
                .strip_suffix(".drv")
                .unwrap_or(&object.name)
                .to_owned()
        }),
    };
    Host {
        node,
        label: label.into(),
        patches: recipe
            .into_iter()
            .flat_map(|recipe| &recipe.patches)
            .map(|path| patch(path, paths))
            .collect(),
        phase_cves: recipe.map_or_else(Vec::new, |recipe| recipe.phase_cves.clone()),
    }
}

impl<'s> Finding<'s> {
    pub(super) fn of(node: NodeId, object: &'s Object, paths: &OutputPaths<'s>) -> Self {
        let recipe = paths.recipe_of(object);
        if recipe.is_some_and(|recipe| recipe.fixed) && object.meta.is_none() {
            return Self::Source;
        }
        let mut draft = Draft {
            node,
            object,
            recipe,
            language: None,
            pname: "",
            version: "",
        };
        if let Some(meta) = object.meta.as_deref() {
            let parsed = naming::parse_evaluated(
                &meta.attr,
                &object.name,
                meta.pname.as_deref(),
                meta.version.as_deref(),
            );
            (draft.language, draft.pname, draft.version) =
                (parsed.language, parsed.pname, parsed.version);
        } else if let Some(stated) = object.stated.as_deref() {
            let parsed = naming::parse(&object.name, None, stated.version.as_deref());
            let by_purl = || {
                stated
                    .purls
                    .iter()
                    .find_map(|purl| Language::of_registry(purl.kind()))
            };
            draft.language = parsed.language.or_else(by_purl);
            draft.version = parsed.version;
            draft.pname = if stated.version.is_some() {
                naming::parse(&object.name, Some(&object.name), None).pname
            } else {
                parsed.pname
            };
            // Some documents give Go's standard library the name of the toolchain's release.
            if draft.language == Some(Language::Go) && draft.pname == "stdlib" {
                let version = draft.version;
                draft.version = version.strip_prefix("go").unwrap_or(version);
            }
        } else if let Some(recipe) = recipe {
            let name = object.name.strip_suffix(".drv").unwrap_or(&object.name);
            if recipe.pname.is_none() && !naming::is_of_package(name) {
                return Self::Unversioned;
            }
            let parsed = naming::parse(name, recipe.pname.as_deref(), recipe.version.as_deref());
            draft.language = parsed.language;
            (draft.pname, draft.version) = (parsed.pname, parsed.version);
        } else {
            let name = object.name.strip_suffix(".drv").unwrap_or(&object.name);
            match naming::parse_path_name(name) {
                Some((parsed, _)) => {
                    draft.language = parsed.language;
                    (draft.pname, draft.version) = (parsed.pname, parsed.version);
                }
                None => return Self::Unversioned,
            }
        }
        if draft.version.is_empty() || draft.pname.is_empty() {
            Self::Unversioned
        } else {
            Self::Component(draft)
        }
    }
}
