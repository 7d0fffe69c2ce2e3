//! What documents of others need of a component: which one a package of the report is, its CPEs
//! beside its purl, and identifiers that the content determines.
//!
//! A CPE is written only where it is known: the package or the document states it, or a record of
//! an advisory that surely means the component names it so. Names are joined in a normal form in
//! which `_` and `-` are one; where that leaves open how the dictionary spells a name, none is
//! written.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use snowguard_advisory::cpe::{Cpe, Part};
use snowguard_advisory::index::ProductView;
use snowguard_formats::cyclonedx::serial_number;
use snowguard_inventory::naming::Language;
use snowguard_inventory::{Component, ComponentId, Inventory};
use snowguard_matching::Certainty;
use snowguard_store::Hash;

use crate::Facts;
use crate::model::Package;

/// Finds the components of the report's packages.
pub(crate) struct Components<'f> {
    by_key: HashMap<(Option<&'static str>, &'f str, &'f str), ComponentId>,
}

impl<'f> Components<'f> {
    /// Those of an inventory, where language, name and version are a component.
    pub(crate) fn of(inventory: &'f Inventory) -> Self {
        let by_key = inventory.iter().map(|(id, component)| {
            let language = component.language.map(Language::as_str);
            ((language, &*component.pname, &*component.version), id)
        });
        Self {
            by_key: by_key.collect(),
        }
    }

    /// The component of a package.
    pub(crate) fn get(&self, package: &Package) -> Option<ComponentId> {
        let key = (
            package.language,
            package.name.as_str(),
            package.version.as_str(),
        );
        self.by_key.get(&key).copied()
    }
}

/// An IRI out of what identifies a content.
pub(crate) fn urn(hash: &Hash) -> String {
    let mut bytes = [0; 16];
    for (byte, digest) in bytes.iter_mut().zip(hash.digest()) {
        *byte = *digest;
    }
    serial_number(bytes)
}

/// Part, vendor and product.
type CpeName = (char, String, String);

/// The CPEs of all components.
pub(crate) struct Cpes {
    by_component: BTreeMap<ComponentId, Vec<String>>,
}

impl Cpes {
    /// Gathers them.
    pub(crate) fn of(facts: &Facts<'_, '_>) -> Self {
        let mut names: BTreeMap<ComponentId, BTreeMap<CpeName, usize>> = BTreeMap::new();
        for finding in &facts.matches.findings {
            for claim in &finding.claims {
                if claim.certainty == Certainty::Sure
                    && let Some(name) = of_product(&claim.product)
                {
                    *names
                        .entry(finding.component)
                        .or_default()
                        .entry(name)
                        .or_default() += 1;
                }
            }
        }
        let mut by_component = BTreeMap::new();
        for (id, component) in facts.inventory.iter() {
            let mut joined: Vec<(CpeName, usize)> =
                names.remove(&id).unwrap_or_default().into_iter().collect();
            joined.sort_by_key(|(_, records)| std::cmp::Reverse(*records));
            let joined = joined.into_iter().map(|(name, _)| name);
            let mut list: Vec<String> = stated(facts, component)
                .into_iter()
                .chain(joined)
                .filter_map(|(part, vendor, product)| {
                    write(part, &vendor, &product, &component.version)
                })
                .collect();
            let mut seen = BTreeSet::new();
            list.retain(|cpe| seen.insert(cpe.clone()));
            if !list.is_empty() {
                by_component.insert(id, list);
            }
        }
        Self { by_component }
    }

    /// Those of a component: what it states of itself, then what most records call it.
    pub(crate) fn get(&self, id: ComponentId) -> &[String] {
        self.by_component.get(&id).map_or(&[], Vec::as_slice)
    }
}

/// What the evaluation or the document states, as it is spelled there.
fn stated(facts: &Facts<'_, '_>, component: &Component) -> Vec<CpeName> {
    let objects = component
        .nodes
        .iter()
        .filter_map(|node| facts.subject.object(*node));
    let cpes = objects.flat_map(|object| {
        let meta = object.meta.iter().flat_map(|meta| &meta.cpes);
        meta.chain(object.stated.iter().flat_map(|stated| &stated.cpes))
    });
    cpes.filter_map(of_cpe).collect()
}

fn of_cpe(cpe: &Cpe) -> Option<CpeName> {
    let (vendor, product) = (cpe.vendor.text()?, cpe.product.text()?);
    Some((
        letter(cpe.part.unwrap_or(Part::Application)),
        vendor.to_owned(),
        product.to_owned(),
    ))
}

/// The name in a record, if it came from a CPE and its spelling is certain.
fn of_product(product: &ProductView<'_>) -> Option<CpeName> {
    let ProductView::Named {
        name,
        vendor: Some(vendor),
        part: Some(part),
        target_software: None,
    } = *product
    else {
        return None;
    };
    if (vendor, name) == ("linux", "linux-kernel") {
        return Some(('o', "linux".into(), "linux_kernel".into()));
    }
    let certain = |name: &str| !name.contains('-');
    (certain(vendor) && certain(name)).then(|| (letter(part), vendor.into(), name.into()))
}

fn letter(part: Part) -> char {
    match part {
        Part::Application => 'a',
        Part::OperatingSystem => 'o',
        Part::Hardware => 'h',
    }
}

/// A CPE 2.3 as a formatted string; none if a part of it cannot be written so.
///
/// Source: NISTIR 7695, 6.2: what is neither letter, digit nor one of `_.-` is quoted.
fn write(part: char, vendor: &str, product: &str, version: &str) -> Option<String> {
    let mut out = format!("cpe:2.3:{part}");
    for attribute in [vendor, product, version] {
        if attribute.is_empty()
            || attribute == "-"
            || !attribute.bytes().all(|b| b.is_ascii_graphic())
        {
            return None;
        }
        out.push(':');
        for c in attribute.chars() {
            if !c.is_ascii_alphanumeric() && !matches!(c, '_' | '.' | '-') {
                out.push('\\');
            }
            out.push(c);
        }
    }
    out.push_str(":*:*:*:*:*:*:*");
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let text = write('a', "gnu", "node.js", "1.0+git~2").unwrap();
        assert_eq!(text, r"cpe:2.3:a:gnu:node.js:1.0\+git\~2:*:*:*:*:*:*:*");
        let cpe: Cpe = text.parse().unwrap();
        assert_eq!(cpe.version.text(), Some("1.0+git~2"));
        assert_eq!(write('a', "gnu", "ünï", "1"), None);
        assert_eq!(write('a', "gnu", "x", "1\u{1b}"), None);
        assert_eq!(write('a', "gnu", "x", ""), None);
    }

    #[test]
    fn a_spelling_that_is_open_is_none() {
        let product = |vendor, name| {
            of_product(&ProductView::Named {
                name,
                vendor: Some(vendor),
                part: Some(Part::Application),
                target_software: None,
            })
        };
        assert!(product("haxx", "curl").is_some());
        assert!(product("apache", "http-server").is_none());
        assert_eq!(
            product("linux", "linux-kernel"),
            Some(('o', "linux".into(), "linux_kernel".into()))
        );
    }
}
