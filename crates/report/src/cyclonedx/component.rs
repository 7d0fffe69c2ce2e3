//! One component in CycloneDX's shape.

use std::fmt::Write as _;

use snowguard_advisory::cpe::{Cpe, Value};
use snowguard_advisory::id::CveId;
use snowguard_advisory::identity::Name;
use snowguard_advisory::record::Commit;
use snowguard_formats::cyclonedx::{
    Component, ComponentType, Diff, Evidence, ExternalReference, ExternalReferenceType,
    IdentityEvidence, IdentityField, IdentityMethod, Issue, Occurrence, Patch, PatchType, Pedigree,
    Property, Scope, Technique,
};
use snowguard_inventory::component::{Applied, Identity, Reason};
use snowguard_inventory::{self as inventory, Object, Place};

use crate::{Facts, words};

/// A component, with all that is known of it.
pub(super) fn component(
    facts: &Facts<'_, '_>,
    of: &inventory::Component,
    cpes: &[String],
    reference: &str,
    places: &[&Place],
) -> Component {
    let objects: Vec<&Object> = of
        .nodes
        .iter()
        .filter_map(|node| facts.subject.object(*node))
        .collect();
    let kind = if crate::is_kernel(&of.pname) {
        ComponentType::OperatingSystem
    } else {
        ComponentType::Library
    };
    Component {
        // The schema takes no more.
        version: Some(of.version.chars().take(1_024).collect()),
        scope: match of.scope {
            inventory::Scope::RunTime => Some(Scope::Required),
            inventory::Scope::BuildTime => Some(Scope::Excluded),
            inventory::Scope::Unknown => None,
        },
        purl: Some(crate::build::purl(of)),
        cpe: cpes.first().cloned(),
        pedigree: pedigree(of),
        external_references: links(of, &objects),
        evidence: evidence(facts, of, cpes, places),
        properties: properties(of, &objects),
        ..Component::new(kind, &*of.pname).with_ref(reference)
    }
}

fn links(of: &inventory::Component, objects: &[&Object]) -> Vec<ExternalReference> {
    let mut links: Vec<ExternalReference> = Vec::new();
    let mut add = |kind: ExternalReferenceType, url: &str| {
        if !url.is_empty()
            && !links
                .iter()
                .any(|link| link.kind == kind && link.url == url)
        {
            links.push(ExternalReference::new(kind, url));
        }
    };
    for source in &of.sources {
        for url in &source.urls {
            add(ExternalReferenceType::SourceDistribution, url);
        }
    }
    for (identity, _) in &of.identities {
        if let Identity::Repository(key) = identity {
            add(ExternalReferenceType::Vcs, &format!("https://{key}"));
        }
    }
    for object in objects {
        let meta = object.meta.iter().flat_map(|meta| &meta.homepages);
        let stated = object.stated.iter().flat_map(|stated| &stated.urls);
        for url in meta.chain(stated) {
            add(ExternalReferenceType::Website, url);
        }
    }
    links
}

/// Why it is believed to be what it is. That it bears its own name is told only of what is known by
/// nothing else.
fn evidence(
    facts: &Facts<'_, '_>,
    of: &inventory::Component,
    cpes: &[String],
    places: &[&Place],
) -> Option<Box<Evidence>> {
    let identified = of.is_identified();
    let mut unexplained: Vec<&String> = cpes.iter().collect();
    let mut list: Vec<IdentityEvidence> = Vec::new();
    let mut add = |field, value, (technique, confidence), reason| {
        list.push(IdentityEvidence {
            field,
            confidence: Some(confidence),
            concluded_value: Some(value),
            methods: vec![IdentityMethod {
                technique,
                confidence,
                value: Some(reason),
            }],
        });
    };
    for (identity, reason) in &of.identities {
        if identified && matches!(reason, Reason::Pname) {
            continue;
        }
        let (field, value) = match identity {
            Identity::Package(key) => (IdentityField::Purl, key.to_purl(Some(&of.version))),
            Identity::Product(vendor, product) => {
                match unexplained
                    .iter()
                    .position(|cpe| names(cpe, vendor, product))
                {
                    Some(at) => (IdentityField::Cpe, unexplained.remove(at).clone()),
                    None => (IdentityField::Name, identity.to_string()),
                }
            }
            Identity::Name(_) | Identity::Repository(_) => {
                (IdentityField::Name, identity.to_string())
            }
        };
        add(field, value, weight(reason, places), reason.to_string());
    }
    for cpe in unexplained {
        let weight = (Technique::Unlisted, 0.8);
        add(
            IdentityField::Cpe,
            cpe.clone(),
            weight,
            "advisories on it name it so".into(),
        );
    }
    let occurrences: Vec<Occurrence> = places
        .iter()
        .map(|place| occurrence(&crate::build::place(facts.subject, of, place)))
        .collect();
    (!list.is_empty() || !occurrences.is_empty()).then(|| {
        Box::new(Evidence {
            identity: list,
            occurrences,
        })
    })
}

/// A place where bytes declare it. A member of an archive is told as people write it: the format
/// has one field for the file.
fn occurrence(place: &crate::model::Place) -> Occurrence {
    let mut context = place.by.clone();
    if let Some(length) = place.length {
        let _ = write!(context, ", {length} bytes");
    }
    if place.need != "run-time" && place.need != "unknown" {
        let _ = write!(context, ", for {}", place.need);
    }
    Occurrence {
        line: place.line.map(u64::from),
        offset: place.offset,
        additional_context: Some(context),
        ..Occurrence::at(words::location(place))
    }
}

/// Whether a CPE is of that vendor and product.
fn names(cpe: &str, vendor: &Name, product: &Name) -> bool {
    cpe.parse::<Cpe>().is_ok_and(|cpe| {
        let is =
            |value: &Value, name: &Name| value.text().and_then(Name::new).as_ref() == Some(name);
        is(&cpe.vendor, vendor) && is(&cpe.product, product)
    })
}

/// How an identity was concluded, and how sure that makes it: the module's own words say why so.
fn weight(reason: &Reason, places: &[&Place]) -> (Technique, f64) {
    let is_binary = places.iter().any(|place| place.offset.is_some());
    match reason {
        Reason::Stated | Reason::Document | Reason::Reviewed { by_user: true, .. } => {
            (Technique::Attestation, 1.0)
        }
        Reason::Reviewed { by_user: false, .. } => (Technique::Attestation, 0.9),
        Reason::SourceUrl(_) => (Technique::ManifestAnalysis, 0.8),
        Reason::Declared { .. } if is_binary => (Technique::BinaryAnalysis, 0.9),
        Reason::Declared { .. } => (Technique::ManifestAnalysis, 0.9),
        Reason::Module(_) | Reason::Toolchain(_) => (Technique::ManifestAnalysis, 0.6),
        Reason::Homepage(_) => (Technique::ManifestAnalysis, 0.5),
        Reason::Pname | Reason::Attribute(_) => (Technique::Filename, 0.3),
    }
}

fn pedigree(of: &inventory::Component) -> Option<Box<Pedigree>> {
    if of.patches.is_empty() {
        return None;
    }
    let notes: Vec<String> = of
        .patches
        .iter()
        .filter_map(|patch| note(of, patch))
        .collect();
    Some(Box::new(Pedigree {
        patches: of
            .patches
            .iter()
            .map(|applied| patch(&applied.what))
            .collect(),
        notes: (!notes.is_empty()).then(|| notes.join("\n")),
    }))
}

fn patch(patch: &inventory::Patch) -> Patch {
    let text = patch.text.as_ref();
    let in_head = text.is_some_and(|text| !text.commits.is_empty());
    // What is fetched from a commit is that commit; what only names one was made from it.
    let kind = if !patch.commits.is_empty() {
        PatchType::CherryPick
    } else if in_head {
        PatchType::Backport
    } else {
        PatchType::Unofficial
    };
    let mut cves: Vec<CveId> = patch.named_cves.clone();
    cves.extend(text.into_iter().flat_map(|text| &text.cves));
    cves.sort_unstable();
    cves.dedup();
    let commits: Vec<String> = patch
        .urls
        .iter()
        .filter(|url| Commit::from_url(url).is_some())
        .map(ToString::to_string)
        .collect();
    let resolves = cves.iter().map(|cve| Issue {
        references: commits.clone(),
        ..Issue::security(cve.to_string())
    });
    Patch {
        kind,
        diff: Some(Diff {
            text: None,
            url: Some(patch.urls.first().unwrap_or(&patch.path).to_string()),
        }),
        resolves: resolves.collect(),
    }
}

/// What the format has no field for: the commit in a patch's head, and builds without the patch.
fn note(of: &inventory::Component, applied: &Applied<inventory::Patch>) -> Option<String> {
    let patch = &applied.what;
    let mut facts = Vec::new();
    for commit in patch.text.iter().flat_map(|text| &text.commits) {
        facts.push(format!("made from upstream commit {commit}"));
    }
    if applied.builds < of.known_builds {
        facts.push(format!(
            "in {} of {} builds",
            applied.builds, of.known_builds
        ));
    }
    (!facts.is_empty()).then(|| format!("{}: {}", patch.name, facts.join(", ")))
}

fn properties(of: &inventory::Component, objects: &[&Object]) -> Vec<Property> {
    let mut list: Vec<Property> = Vec::new();
    let mut add = |name: &str, value: &str| {
        let property = Property::new(format!("snowguard:{name}"), value);
        if !list.contains(&property) {
            list.push(property);
        }
    };
    if let Some(language) = of.language {
        add("language", language.as_str());
    }
    for attribute in &of.attrs {
        add("attribute", attribute);
    }
    for (name, path) in &of.outputs {
        add(&format!("output:{name}"), path);
    }
    if of.outputs.is_empty() {
        for object in objects.iter().filter(|object| object.id.starts_with('/')) {
            add("store-path", &object.id);
        }
    }
    if of.nodes.len() > 1 {
        add("builds", &of.nodes.len().to_string());
    }
    for applied in &of.phase_cves {
        add("phase-advisory", &applied.what.to_string());
    }
    for text in &of.known_vulnerabilities {
        add("marked-insecure", text);
    }
    for other in &of.other_versions {
        add("other-version", &other.version);
    }
    list
}
