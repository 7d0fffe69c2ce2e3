//! CycloneDX: the components of a document, its subject first, nested ones after what holds them.
//!
//! What tools for Nix write beside the specification is understood: `nix:output_path` (once
//! `nix:out_path`), `nix:drv_path` and `nix:fetch_url` as properties, store paths as `bom-ref`, CPEs
//! to choose from as evidence, patches by file URL or by their whole text.

use rustc_hash::FxHashMap;
use snowguard_advisory::id::CveId;
use snowguard_formats::cyclonedx::{
    Bom, Component, Diff, ExternalReferenceType, IdentityField, Patch as StatedPatch,
};
use snowguard_inventory::{Patch, PatchText, Stated};
use snowguard_store::{StoreDir, StorePath};

use super::{Components, is_store_path, state_cpe, state_purl, state_urls};

/// Adds all components; gives the name of the subject.
pub(super) fn add(components: &mut Components<'_>, bom: &Bom) -> Option<String> {
    let mut nodes = FxHashMap::default();
    for nested in bom.walk() {
        let component = nested.component;
        let node = components.add(
            component.bom_ref.as_deref(),
            &component.name,
            stated(component),
        );
        // Components have no other identity: two may be equal in all their fields.
        nodes.insert(std::ptr::from_ref(component), node);
        if let Some(parent) = nested.parent
            && let Some(&parent) = nodes.get(&std::ptr::from_ref(parent))
        {
            components.connect(parent, node);
        }
    }
    for dependency in &bom.dependencies {
        for needed in &dependency.depends_on {
            components.edge(&dependency.reference, needed);
        }
    }
    components.finish();
    let subject = bom.subject()?;
    Some(match &subject.version {
        Some(version) if !version.is_empty() => format!("{} {version}", subject.name),
        _ => subject.name.clone(),
    })
}

fn stated(component: &Component) -> Stated {
    let mut stated = Stated {
        version: component
            .version
            .as_deref()
            .filter(|version| !version.is_empty())
            .map(Into::into),
        patches: component.patches().iter().map(patch).collect(),
        store_path: store_path(component),
        ..Stated::default()
    };
    if let Some(purl) = &component.purl {
        state_purl(&mut stated, purl);
    }
    if let Some(cpe) = &component.cpe {
        state_cpe(&mut stated, cpe);
    }
    for evidence in component.identity_evidence() {
        let state = match evidence.field {
            IdentityField::Purl => state_purl,
            IdentityField::Cpe => state_cpe,
            _ => continue,
        };
        let seen = evidence
            .methods
            .iter()
            .filter_map(|method| method.value.as_deref());
        for value in evidence.concluded_value.as_deref().into_iter().chain(seen) {
            state(&mut stated, value);
        }
    }
    for reference in &component.external_references {
        match reference.kind {
            ExternalReferenceType::Website => state_urls(&mut stated.urls, &reference.url),
            ExternalReferenceType::Vcs
            | ExternalReferenceType::SourceDistribution
            | ExternalReferenceType::Distribution
            | ExternalReferenceType::DistributionIntake => {
                state_urls(&mut stated.sources, &reference.url);
            }
            _ => {}
        }
    }
    for property in &component.properties {
        let Some(value) = property.value.as_deref() else {
            continue;
        };
        match property.name.as_str() {
            "nix:fetch_url" => state_urls(&mut stated.sources, value),
            "homepage" | "nix:homepage" => state_urls(&mut stated.urls, value),
            _ => {}
        }
    }
    stated
}

/// The store path of a component: its output, else whatever path it goes by.
fn store_path(component: &Component) -> Option<Box<str>> {
    let names = [
        "nix:output_path",
        "nix:out_path",
        "nix:store_path",
        "nix:drv_path",
        // What Snowguard itself writes.
        "snowguard:output:out",
        "snowguard:store-path",
    ];
    let property = names.iter().find_map(|name| component.property(name));
    let reference = component.bom_ref.as_deref();
    if let Some(path) = property
        .into_iter()
        .chain(reference)
        .find(|path| is_store_path(path))
    {
        return Some(path.into());
    }
    // Some leave the store directory out.
    let object: StorePath = reference?.parse().ok()?;
    let dir = StoreDir::default();
    Some(dir.show(&object).to_string().into())
}

fn patch(stated: &StatedPatch) -> Patch {
    let diff = stated.diff.as_ref();
    let places = diff
        .and_then(|diff| diff.url.as_deref())
        .into_iter()
        .chain(
            stated
                .resolves
                .iter()
                .flat_map(|issue| issue.references.iter().map(String::as_str))
                // What else is referred to there describes the issue.
                .filter(|reference| reference.starts_with("file:") || reference.ends_with(".patch")),
        );
    let (mut urls, mut path): (Vec<Box<str>>, _) = (Vec::new(), None);
    for place in places {
        match place.strip_prefix("file://") {
            Some(file) => path = path.or(Some(file)),
            None if place.contains("://") => {
                if !urls.iter().any(|known| **known == *place) {
                    urls.push(place.into());
                }
            }
            None => path = path.or(Some(place)),
        }
    }
    let path = path.unwrap_or_default();
    let place = if path.is_empty() {
        urls.first().map_or("", |url| &**url)
    } else {
        path
    };
    let name = name_of(place).to_owned();
    let mut patch = Patch::new(&name, path, urls);
    for issue in &stated.resolves {
        let ids = issue.id.iter().chain(&issue.name);
        for cve in ids.flat_map(|id| CveId::find_all(id)) {
            if !patch.named_cves.contains(&cve) {
                patch.named_cves.push(cve);
            }
        }
    }
    patch.text = diff.and_then(text);
    patch
}

/// The file name of a patch, without the digest of a store path.
fn name_of(place: &str) -> &str {
    let base = place.rsplit('/').find(|part| !part.is_empty());
    let base = base.unwrap_or_default();
    match base.split_once('-') {
        Some((_, name)) if base.parse::<StorePath>().is_ok() => name,
        _ => base,
    }
}

fn text(diff: &Diff) -> Option<PatchText> {
    let text = diff.text.as_ref()?;
    // Encoded content is rare, and says less than it costs.
    (text.encoding.is_none() && !text.content.is_empty())
        .then(|| PatchText::read(text.content.as_bytes()))
}
