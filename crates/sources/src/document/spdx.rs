//! SPDX 2: the packages of a document, those that it is about first.

use rustc_hash::FxHashSet;
use snowguard_formats::spdx::{Document, EdgeKind, NOASSERTION, NONE, Package, Relationship};
use snowguard_inventory::{Patch, Stated};

use super::{Components, is_store_path, state_cpe, state_purl, state_urls};

/// Adds all packages; gives the name of the one that the document is about, if it is one.
pub(super) fn add(components: &mut Components<'_>, document: &Document) -> Option<String> {
    let described = document.described();
    let first: FxHashSet<&str> = described.iter().copied().collect();
    let (subjects, others): (Vec<&Package>, Vec<&Package>) = document
        .packages
        .iter()
        .partition(|package| first.contains(package.id.as_str()));
    for package in subjects.iter().chain(&others) {
        components.add(Some(&package.id), &package.name, stated(package));
    }
    for edge in document.relationships.iter().filter_map(Relationship::edge) {
        if edge.kind == EdgeKind::Patch {
            patched(components, document, edge.from, edge.to);
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
    stated
}

/// A package is changed by a patch, which is a package itself or, mostly, a file that is not kept.
fn patched(components: &mut Components<'_>, document: &Document, package: &str, patch: &str) {
    let found = document.packages.iter().find(|found| found.id == patch);
    let name = found.map_or(patch, |found| &found.name);
    let urls = found
        .map(|found| found.download_location.as_str())
        .filter(|location| location.contains("://"))
        .map(|location| vec![location.into()])
        .unwrap_or_default();
    let Some(node) = components.find(package) else {
        return;
    };
    let object = components.builder.get_mut(node);
    if let Some(stated) = object.and_then(|object| object.stated.as_mut()) {
        stated.patches.push(Patch::new(name, "", urls));
    }
}
