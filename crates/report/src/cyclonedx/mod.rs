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
//! | `snowguard:gap` | document | what could not be known, a sentence |
//! | `snowguard:language` | component | the language whose module it is |
//! | `snowguard:output:NAME` | component | the store path of an output |
//! | `snowguard:store-path` | component | the store path, where outputs are not known |
//! | `snowguard:attribute` | component | the attribute path in the package set |
//! | `snowguard:builds` | component | how many builds of it there are, if more than one |
//! | `snowguard:phase-advisory` | component | an advisory of which its build phases speak |
//! | `snowguard:marked-insecure` | component | why Nixpkgs marks it insecure |
//! | `snowguard:exploited:since`, `:due`, `:ransomware` | vulnerability | from the catalogue of known exploited vulnerabilities |
//! | `snowguard:epss:probability`, `:percentile` | vulnerability | likelihood of exploitation |
//! | `snowguard:ssvc:exploitation`, `:automatable`, `:total-impact` | vulnerability | CISA's decision points |
//! | `snowguard:evidence` | vulnerability | one record's word |
//!
//! How sure an identity is, is a number in this format. It is read off the reason: 1 where the
//! package, a document or the user states it, 0.9 for the reviewed table, 0.8 for the source's URL
//! and for what advisories call it, 0.6 for the habits of a language, 0.5 for the home page, and 0.3
//! for the bare name.

mod component;
mod dependencies;
mod vulnerability;

use snowguard_formats::cyclonedx::{
    Aggregate, Bom, Component, ComponentType, Composition, Dependency, Metadata, Phase, Property,
};
use snowguard_formats::{Layout, Timestamp};
use snowguard_inventory::{ComponentId, Gap, Nature, Role};
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
        let Some(reference) = components.get(package).and_then(|id| references.get(id)) else {
            continue;
        };
        for finding in &package.findings {
            bom.vulnerabilities
                .push(vulnerability::vulnerability(package, finding, reference));
        }
    }
    sealed(bom)
}

fn unsealed(facts: &Facts<'_, '_>, references: &References) -> Bom {
    let cpes = Cpes::of(facts);
    let dependencies = Dependencies::of(facts.subject, facts.inventory);
    let mut bom = Bom {
        metadata: metadata(facts),
        components: facts
            .inventory
            .iter()
            .zip(&references.0)
            .map(|((id, component), reference)| {
                component::component(facts, component, cpes.get(id), reference)
            })
            .collect(),
        ..Bom::default()
    };
    let named = |list: &[ComponentId]| -> Vec<String> {
        let names = list.iter().filter_map(|id| references.get(*id));
        names.map(str::to_owned).collect()
    };
    bom.dependencies
        .push(Dependency::new(SUBJECT, named(&dependencies.of_subject)));
    for (list, reference) in dependencies.by_component.iter().zip(&references.0) {
        bom.dependencies
            .push(Dependency::new(reference, named(list)));
    }
    let cut = references
        .0
        .get(dependencies.by_component.len()..)
        .unwrap_or_default();
    bom.compositions.extend(completeness(facts, cut));
    bom
}

/// By what the document refers to its components: name and version, and the language of a module.
struct References(Vec<String>);

impl References {
    fn of(facts: &Facts<'_, '_>) -> Self {
        let references = facts.inventory.components.iter().map(|component| {
            let name = &component.pname;
            let version = &component.version;
            match component.language {
                Some(language) => format!("{}:{name}@{version}", language.as_str()),
                None => format!("{name}@{version}"),
            }
        });
        Self(references.collect())
    }

    fn get(&self, id: ComponentId) -> Option<&str> {
        self.0.get(id.0 as usize).map(String::as_str)
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
        Nature::RunTime => Some(Phase::PostBuild),
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
    ];
    let gaps = subject.gaps.iter().map(crate::build::gap);
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
