//! What was scanned as a bill of materials, with or without what is known to be wrong with it:
//! CycloneDX 1.6.
//!
//! Every component is there, found vulnerable or not, with its identities and the reason for each,
//! its sources, its patches as pedigree, and what it depends on. Facts that the format has no field
//! for are properties; their names begin with `snowguard:` and are these.
//!
//! | property | of | value |
//! |---|---|---|
//! | `snowguard:nature` | document | `build-time closure`, `run-time closure`, `package set`, `document` |
//! | `snowguard:objects`, `snowguard:sources`, `snowguard:unversioned` | document | how many objects there are, and how many of them are sources or have no version, and so are no components |
//! | `snowguard:looked-into` | document | how many objects were looked into for what is inside them |
//! | `snowguard:gap` | document | what could not be known, a sentence |
//! | `snowguard:language` | component | the language whose module it is |
//! | `snowguard:output:NAME` | component | the store path of an output |
//! | `snowguard:store-path` | component | the store path, where outputs are not known |
//! | `snowguard:attribute` | component | the attribute path in the package set |
//! | `snowguard:builds` | component | how many builds of it there are, if more than one |
//! | `snowguard:phase-advisory` | component | an advisory of which its build phases speak |
//! | `snowguard:marked-insecure` | component | why Nixpkgs marks it insecure |
//! | `snowguard:other-version` | component | a version that its own bytes declare, other than the one it goes by |
//! | `snowguard:exploited:since`, `:due`, `:ransomware` | vulnerability | from the catalogue of known exploited vulnerabilities |
//! | `snowguard:epss:probability`, `:percentile` | vulnerability | likelihood of exploitation |
//! | `snowguard:ssvc:exploitation`, `:automatable`, `:total-impact` | vulnerability | CISA's decision points |
//! | `snowguard:evidence` | vulnerability | one record's word |
//!
//! What is found inside of a component is nested in it, once for each component that contains it;
//! `evidence.occurrences` has the files that declare it, with the byte or the line.
//!
//! How sure an identity is, is a number in this format. It is read off the reason: 1 where the
//! package, a document or the user states it, 0.9 for the reviewed table, 0.8 for the source's URL
//! and for what advisories call it, 0.6 for the habits of a language, 0.5 for the home page, and 0.3
//! for the bare name.

mod component;
mod dependencies;
mod vulnerability;

use std::collections::{BTreeMap, HashMap};

use snowguard_closure::NodeId;
use snowguard_formats::cyclonedx::{
    Aggregate, Bom, Component, ComponentType, Composition, Dependency, Metadata, Phase, Property,
};
use snowguard_formats::{Layout, Timestamp};
use snowguard_inventory::{ComponentId, Gap, Nature, Place, Role};
use snowguard_store::Hasher;

use self::dependencies::Dependencies;
use crate::Facts;
use crate::identity::{Components, Cpes, urn};
use crate::model::Report;

/// All components with their identities, dependencies, sources and patches.
pub fn bom(facts: &Facts<'_, '_>) -> Bom {
    sealed(unsealed(facts, &References::of(facts)))
}

/// The same with the findings of the report.
pub fn bom_with_vulnerabilities(facts: &Facts<'_, '_>, report: &Report) -> Bom {
    let references = References::of(facts);
    let mut bom = unsealed(facts, &references);
    let components = Components::of(facts.inventory);
    for package in &report.packages {
        let Some(id) = components.get(package) else {
            continue;
        };
        let of_package = references.all(id);
        for finding in &package.findings {
            bom.vulnerabilities
                .extend(vulnerability::vulnerability(package, finding, &of_package));
        }
    }
    sealed(bom)
}

fn unsealed(facts: &Facts<'_, '_>, references: &References) -> Bom {
    let dependencies = Dependencies::of(facts.subject, facts.inventory);
    let mut bom = Bom {
        metadata: metadata(facts),
        components: components(facts, references),
        ..Bom::default()
    };
    let named = |list: &[ComponentId]| -> Vec<String> {
        let names = list.iter().filter_map(|id| references.get(*id));
        names.map(str::to_owned).collect()
    };
    bom.dependencies
        .push(Dependency::new(SUBJECT, named(&dependencies.of_subject)));
    let all = facts.inventory.iter().zip(&references.own);
    // What is only inside of others has no references of its own: nothing is said of its needs.
    let whole = all.filter(|((_, component), _)| !component.is_part());
    let (known, cut): (Vec<_>, Vec<_>) =
        whole.partition(|((id, _), _)| (id.0 as usize) < dependencies.by_component.len());
    for ((id, _), reference) in known {
        if let Some(list) = dependencies.by_component.get(id.0 as usize) {
            bom.dependencies
                .push(Dependency::new(reference, named(list)));
        }
    }
    let cut: Vec<String> = cut
        .into_iter()
        .map(|(_, reference)| reference.clone())
        .collect();
    bom.compositions.extend(completeness(facts, &cut));
    bom
}

/// The components, each with those inside of it.
fn components(facts: &Facts<'_, '_>, references: &References) -> Vec<Component> {
    let cpes = Cpes::of(facts);
    let mut nested: BTreeMap<ComponentId, Vec<Component>> = BTreeMap::new();
    let mut list = Vec::new();
    for (id, component) in facts.inventory.iter().filter(|(_, of)| of.is_part()) {
        for (inside, reference) in references.of_part(id) {
            let is_there = |place: &&Place| references.owner(place.node) == *inside;
            let places: Vec<&Place> = component.places.iter().filter(is_there).collect();
            let made = component::component(facts, component, cpes.get(id), reference, &places);
            match inside {
                Some(host) => nested.entry(*host).or_default().push(made),
                // What it is in is no component: a directory, a thing without a version.
                None => list.push(made),
            }
        }
    }
    let whole = facts.inventory.iter().zip(&references.own);
    for ((id, component), reference) in whole.filter(|((_, of), _)| !of.is_part()) {
        let places: Vec<&Place> = component.places.iter().collect();
        list.push(Component {
            components: nested.remove(&id).unwrap_or_default(),
            ..component::component(facts, component, cpes.get(id), reference, &places)
        });
    }
    list
}

/// By what the document refers to its components: name and version, and the language of a module.
/// What is inside of several has a reference in each.
struct References {
    own: Vec<String>,
    owners: HashMap<NodeId, ComponentId>,
    of_parts: HashMap<ComponentId, Vec<(Option<ComponentId>, String)>>,
}

impl References {
    fn of(facts: &Facts<'_, '_>) -> Self {
        let components = &facts.inventory.components;
        let mut references = Self {
            own: components
                .iter()
                .map(|component| {
                    let name = &component.pname;
                    let version = &component.version;
                    match component.language {
                        Some(language) => format!("{}:{name}@{version}", language.as_str()),
                        None => format!("{name}@{version}"),
                    }
                })
                .collect(),
            owners: HashMap::new(),
            of_parts: HashMap::new(),
        };
        for (id, component) in facts.inventory.iter() {
            let nodes = component.nodes.iter();
            references.owners.extend(nodes.map(|node| (*node, id)));
        }
        for (id, component) in facts.inventory.iter().filter(|(_, of)| of.is_part()) {
            let mut hosts: Vec<Option<ComponentId>> = component
                .hosts
                .iter()
                .map(|host| references.owner(host.node))
                .collect();
            hosts.sort_unstable();
            hosts.dedup();
            let own = references.get(id).unwrap_or_default();
            let named = hosts.into_iter().map(|host| {
                let reference = match host.and_then(|host| references.get(host)) {
                    Some(host) => format!("{own} in {host}"),
                    None => own.to_owned(),
                };
                (host, reference)
            });
            let named = named.collect();
            references.of_parts.insert(id, named);
        }
        references
    }

    fn get(&self, id: ComponentId) -> Option<&str> {
        self.own.get(id.0 as usize).map(String::as_str)
    }

    /// The component that a node is.
    fn owner(&self, node: NodeId) -> Option<ComponentId> {
        self.owners.get(&node).copied()
    }

    /// In which components a part is, and by what it is referred to there.
    fn of_part(&self, id: ComponentId) -> &[(Option<ComponentId>, String)] {
        self.of_parts.get(&id).map_or(&[], Vec::as_slice)
    }

    /// Every reference to a component.
    fn all(&self, id: ComponentId) -> Vec<&str> {
        match self.of_part(id) {
            [] => self.get(id).into_iter().collect(),
            parts => parts.iter().map(|(_, reference)| &**reference).collect(),
        }
    }
}

fn metadata(facts: &Facts<'_, '_>) -> Metadata {
    let subject = facts.subject;
    let kind = if subject.title.starts_with("nixos-system") {
        ComponentType::OperatingSystem
    } else {
        ComponentType::Application
    };
    let phase = match subject.nature {
        Nature::BuildTime => Some(Phase::Build),
        Nature::RunTime | Nature::Files => Some(Phase::PostBuild),
        Nature::PackageSet => Some(Phase::PreBuild),
        Nature::Document => None,
    };
    let tool = Component {
        version: Some(facts.version.to_owned()),
        ..Component::new(ComponentType::Application, "snowguard")
    };
    let objects = subject
        .objects
        .iter()
        .filter(|object| object.role == Role::Part);
    let counts = [
        ("snowguard:nature", subject.nature.as_str().to_owned()),
        ("snowguard:objects", objects.count().to_string()),
        ("snowguard:sources", facts.inventory.sources.to_string()),
        (
            "snowguard:unversioned",
            facts.inventory.unversioned.to_string(),
        ),
        ("snowguard:looked-into", subject.looked_into.to_string()),
    ];
    let gaps = subject.gaps.iter().map(crate::gaps::told);
    let properties = counts
        .into_iter()
        .chain(gaps.map(|gap| ("snowguard:gap", gap)))
        .map(|(name, value)| Property::new(name, value));
    Metadata {
        timestamp: Some(Timestamp::from(facts.now)),
        lifecycles: phase.into_iter().map(Into::into).collect(),
        tools: vec![tool],
        component: Some(Component::new(kind, &subject.title).with_ref(SUBJECT)),
        supplier: None,
        properties: properties.collect(),
    }
}

/// What is known to be missing from the dependencies. That nothing is known to be missing does not
/// make them complete, and is not said.
fn completeness(facts: &Facts<'_, '_>, cut: &[String]) -> Vec<Composition> {
    let about = |aggregate, dependencies| Composition {
        aggregate,
        assemblies: Vec::new(),
        dependencies,
    };
    let mut list = Vec::new();
    let gaps = &facts.subject.gaps;
    if gaps.contains(&Gap::NoDependencies) {
        list.push(about(Aggregate::Unknown, vec![SUBJECT.into()]));
    } else if gaps
        .iter()
        .any(|gap| matches!(gap, Gap::MissingInputs { .. } | Gap::Unreadable { .. }))
    {
        list.push(about(Aggregate::Incomplete, vec![SUBJECT.into()]));
    }
    if !cut.is_empty() {
        list.push(about(Aggregate::Incomplete, cut.to_vec()));
    }
    list
}

/// The document in one order, with a serial number that follows from its content.
fn sealed(mut bom: Bom) -> Bom {
    bom.sort();
    let mut hasher = Hasher::sha256();
    // A hasher takes every byte; a value that cannot be serialised is told when it is written.
    let _ = bom.write(&mut hasher, Layout::Compact);
    bom.serial_number = Some(urn(&hasher.finish()));
    bom
}

/// By what the document refers to what was scanned; no component's name has a space and no version.
const SUBJECT: &str = "the subject";
