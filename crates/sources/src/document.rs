//! Bills of materials into objects: what CycloneDX and SPDX have in common.
//!
//! A document's word is kept as that (`Stated`); nothing is concluded here. Package URLs of the type
//! `nix` are left out: none is registered, and they say no more than name and version do.

mod cyclonedx;
mod spdx;

use rustc_hash::FxHashMap;
use snowguard_advisory::cpe::Cpe;
use snowguard_advisory::identity::PackageKey;
use snowguard_closure::NodeId;
use snowguard_formats::cyclonedx::Bom;
use snowguard_formats::{Limits as FormatLimits, ReadError};
use snowguard_inventory::{Gap, Stated, SubjectBuilder};
use snowguard_store::StoreDir;

use crate::options::Limits;

/// Adds the components of a CycloneDX document; gives the name of what it is about.
///
/// `number` tells documents of one subject apart.
pub(crate) fn add_cyclonedx(
    builder: &mut SubjectBuilder,
    json: &[u8],
    number: usize,
    limits: &Limits,
) -> Result<Option<String>, ReadError> {
    let bom = Bom::read(json, &format_limits(limits))?;
    Ok(cyclonedx::add(&mut Components::new(builder, number), &bom))
}

/// Adds the packages of an SPDX document; gives the name of what it is about.
pub(crate) fn add_spdx(
    builder: &mut SubjectBuilder,
    bytes: &[u8],
    number: usize,
    limits: &Limits,
) -> Result<Option<String>, ReadError> {
    let document = snowguard_formats::spdx::Document::read(bytes, &format_limits(limits))?;
    Ok(spdx::add(&mut Components::new(builder, number), &document))
}

fn format_limits(limits: &Limits) -> FormatLimits {
    let defaults = FormatLimits::default();
    FormatLimits {
        bytes: usize::try_from(limits.document)
            .unwrap_or(usize::MAX)
            .min(defaults.bytes),
        ..defaults
    }
}

/// The components of one document, by what the document calls them.
struct Components<'b> {
    builder: &'b mut SubjectBuilder,
    number: usize,
    by_reference: FxHashMap<Box<str>, NodeId>,
    count: usize,
    edges: usize,
}

impl<'b> Components<'b> {
    fn new(builder: &'b mut SubjectBuilder, number: usize) -> Self {
        Self {
            builder,
            number,
            by_reference: FxHashMap::default(),
            count: 0,
            edges: 0,
        }
    }

    /// Adds a component. Of several with one reference, which no document should have, each is kept.
    fn add(&mut self, reference: Option<&str>, name: &str, stated: Stated) -> NodeId {
        self.count += 1;
        let reference = reference.filter(|reference| !reference.is_empty());
        let is_free = |id: &str| self.builder.find(id).is_none();
        let id = match reference {
            // A store path means the same in every document.
            Some(reference) if is_store_path(reference) && is_free(reference) => {
                reference.to_owned()
            }
            Some(reference) if self.number == 0 && is_free(reference) => reference.to_owned(),
            _ => format!("document {} component {}", self.number, self.count),
        };
        let node = self
            .builder
            .object(&id, name, |object| object.stated = Some(Box::new(stated)));
        if let Some(reference) = reference {
            self.by_reference.entry(reference.into()).or_insert(node);
        }
        node
    }

    /// One component needs or holds another; references that lead nowhere are passed over.
    fn edge(&mut self, from: &str, to: &str) {
        if let (Some(&from), Some(&to)) = (self.by_reference.get(from), self.by_reference.get(to)) {
            self.connect(from, to);
        }
    }

    fn connect(&mut self, from: NodeId, to: NodeId) {
        if from != to {
            self.edges += 1;
            self.builder.edge(from, to);
        }
    }

    fn find(&self, reference: &str) -> Option<NodeId> {
        self.by_reference.get(reference).copied()
    }

    /// Tells that the document says nothing of dependencies, if so.
    fn finish(&mut self) {
        if self.edges == 0 && self.count > 1 {
            self.builder.gap(Gap::NoDependencies);
        }
    }
}

fn is_store_path(text: &str) -> bool {
    StoreDir::split(text).is_ok()
}

/// Takes up a package URL.
fn state_purl(stated: &mut Stated, purl: &str) {
    if let Ok(key) = PackageKey::from_purl(purl)
        && key.kind() != "nix"
        && !stated.purls.contains(&key)
    {
        stated.purls.push(key);
    }
}

/// Takes up a CPE; the version is the component's own word.
fn state_cpe(stated: &mut Stated, cpe: &str) {
    let same = |known: &Cpe, cpe: &Cpe| known.vendor == cpe.vendor && known.product == cpe.product;
    if let Ok(cpe) = cpe.parse::<Cpe>()
        && !stated.cpes.iter().any(|known| same(known, &cpe))
    {
        stated.cpes.push(cpe);
    }
}

/// Takes up URLs, several of them if there is white space between.
fn state_urls(urls: &mut Vec<Box<str>>, text: &str) {
    for url in text.split_whitespace() {
        if url.contains("://") && !urls.iter().any(|known| **known == *url) && urls.len() < 64 {
            urls.push(url.into());
        }
    }
}
