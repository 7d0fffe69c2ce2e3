//! SPDX 2: the packages of a document, those that it is about first.

use rustc_hash::{FxHashMap, FxHashSet};
use snowguard_advisory::id::CveId;
use snowguard_formats::spdx::{
    Document, EdgeKind, ExternalRef, NOASSERTION, NONE, Package, Relationship,
};
use snowguard_inventory::{Patch, Stated};

use super::{Components, is_store_path, state_cpe, state_purl, state_urls};

/// Adds all packages; gives the name of the one that the document is about, if it is one.
pub(super) fn add(components: &mut Components<'_>, document: &Document) -> Option<String> {
    let described = document.described();
    let first: FxHashSet<&str> = described.iter().copied().collect();
    let edges = || document.relationships.iter().filter_map(Relationship::edge);
    // A patch that is nothing else is no component.
    let mut patches: FxHashSet<&str> = edges()
        .filter(|edge| edge.kind == EdgeKind::Patch)
        .map(|edge| edge.to)
        .collect();
    for edge in edges().filter(|edge| edge.kind != EdgeKind::Patch) {
        patches.remove(edge.from);
        patches.remove(edge.to);
    }
    patches.retain(|id| !first.contains(id));
    let (subjects, others): (Vec<&Package>, Vec<&Package>) = document
        .packages
        .iter()
        .filter(|package| !patches.contains(package.id.as_str()))
        .partition(|package| first.contains(package.id.as_str()));
    for package in subjects.iter().chain(&others) {
        components.add(Some(&package.id), &package.name, stated(package));
    }
    let by_id: FxHashMap<&str, &Package> = document
        .packages
        .iter()
        .map(|package| (package.id.as_str(), package))
        .collect();
    for edge in edges() {
        if edge.kind == EdgeKind::Patch {
            patched(components, by_id.get(edge.to).copied(), edge.from, edge.to);
        } else {
            components.edge(edge.from, edge.to);
        }
    }
    components.finish();
    match subjects.as_slice() {
        [one] => Some(match &one.version {
            Some(version) if !version.is_empty() => format!("{} {version}", one.name),
            _ => one.name.clone(),
        }),
        _ => None,
    }
}

fn stated(package: &Package) -> Stated {
    let said = |text: &&str| !matches!(*text, "" | NOASSERTION | NONE);
    let mut stated = Stated {
        version: package.version.as_deref().filter(said).map(Into::into),
        store_path: package
            .file_name
            .as_deref()
            .filter(|name| is_store_path(name))
            .map(Into::into),
        ..Stated::default()
    };
    for purl in package.purls() {
        state_purl(&mut stated, purl);
    }
    for cpe in package.cpes() {
        state_cpe(&mut stated, cpe);
    }
    if let Some(homepage) = package.homepage.as_deref().filter(said) {
        state_urls(&mut stated.urls, homepage);
    }
    if said(&&*package.download_location) {
        state_urls(&mut stated.sources, &package.download_location);
    }
    // Names of CycloneDX, which has a field for each of these.
    for url in locators(&package.external_refs, "website") {
        state_urls(&mut stated.urls, url);
    }
    for url in locators(&package.external_refs, "source-distribution")
        .chain(locators(&package.external_refs, "vcs"))
    {
        state_urls(&mut stated.sources, url);
    }
    stated
}

/// A package is changed by a patch, which is a package itself or, mostly, a file that is not kept.
fn patched(components: &mut Components<'_>, found: Option<&Package>, package: &str, patch: &str) {
    let name = found.map_or(patch, |found| &found.name);
    let path = found.and_then(|found| found.file_name.as_deref());
    let mut urls: Vec<Box<str>> = Vec::new();
    let refs = found.map_or(&[][..], |found| &*found.external_refs);
    let places = found
        .map(|found| found.download_location.as_str())
        .into_iter()
        .chain(locators(refs, "source-distribution"))
        // What else is referred to as a fix describes it.
        .chain(locators(refs, "fix").filter(|url| url.ends_with(".patch")));
    for place in places.filter(|place| place.contains("://")) {
        if !urls.iter().any(|known| **known == *place) {
            urls.push(place.into());
        }
    }
    let mut patch = Patch::new(name, path.unwrap_or_default(), urls);
    for cve in locators(refs, "advisory").flat_map(CveId::find_all) {
        if !patch.named_cves.contains(&cve) {
            patch.named_cves.push(cve);
        }
    }
    let Some(node) = components.find(package) else {
        return;
    };
    let object = components.builder.get_mut(node);
    if let Some(stated) = object.and_then(|object| object.stated.as_mut()) {
        stated.patches.push(patch);
    }
}

fn locators<'p>(refs: &'p [ExternalRef], kind: &'static str) -> impl Iterator<Item = &'p str> {
    refs.iter()
        .filter(move |external| external.kind == kind)
        .map(|external| external.locator.as_str())
}
