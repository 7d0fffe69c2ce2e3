//! What was scanned as a bill of materials, with or without the advisories on it: SPDX 2.3.
//!
//! It is the document of [`cyclonedx`](crate::cyclonedx) in SPDX's words, so that both hold the same
//! components, identities, sources, patches and dependencies. What the one has a field for and the
//! other has not:
//!
//! | fact | in SPDX |
//! |---|---|
//! | a further source, repository or home page | external reference of category `OTHER`, types `source-distribution`, `vcs`, `website` |
//! | why an identity is believed | comment of its external reference |
//! | a patch | a package of purpose `FILE` that is `PATCH_FOR` the patched one; the advisories that it names are its references of type `advisory` |
//! | an advisory on a component | external reference of category `SECURITY`, type `advisory`; the verdict is its comment |
//! | what has no field | lines `snowguard:NAME: VALUE` of a comment |
//!
//! Licences are `NOASSERTION`, since nothing was read that states them, and so is a download location
//! that is no URL of its own. There is no checksum: what identifies a build in Nix is its store path,
//! which is the package's file name.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use snowguard_formats::Layout;
use snowguard_formats::cyclonedx::{
    AnalysisState, Bom, Component, ComponentType, ExternalReferenceType, IdentityField, Property,
    Scope, Vulnerability,
};
use snowguard_formats::spdx::{
    DOCUMENT_ID, Document, ExternalRef, NOASSERTION, Package, Purpose, ReferenceCategory,
    Relationship, RelationshipType, element_id,
};
use snowguard_store::{Hasher, StorePath};

use crate::Facts;
use crate::identity::urn;
use crate::model::Report;

/// All components with their identities, dependencies, sources and patches.
pub fn document(facts: &Facts<'_, '_>) -> Document {
    written(facts, &crate::cyclonedx::bom(facts))
}

/// The same with an external reference for each finding of the report.
pub fn document_with_advisories(facts: &Facts<'_, '_>, report: &Report) -> Document {
    written(
        facts,
        &crate::cyclonedx::bom_with_vulnerabilities(facts, report),
    )
}

fn written(facts: &Facts<'_, '_>, bom: &Bom) -> Document {
    let tool = format!("snowguard-{}", facts.version);
    // The name of a document is one line.
    let title = one_line(&facts.subject.title);
    let mut document = Document::new(title, "", facts.now.into(), &tool);
    document.comment = comment(&bom.metadata.properties);
    let mut ids = Ids::default();
    let mut advisories: HashMap<&str, Vec<ExternalRef>> = HashMap::new();
    for vulnerability in &bom.vulnerabilities {
        for affects in &vulnerability.affects {
            let of = advisories.entry(&affects.reference).or_default();
            of.extend(advisory(vulnerability));
        }
    }
    let mut by_place: HashMap<*const Component, String> = HashMap::new();
    for nested in bom.walk() {
        let component = nested.component;
        let reference = component.bom_ref.as_deref().unwrap_or(&component.name);
        let id = ids.give(reference, component.bom_ref.as_deref());
        let mut package = package(component, &id);
        package
            .external_refs
            .extend(advisories.remove(reference).unwrap_or_default());
        if nested.parent.is_none() && bom.subject().is_some_and(|s| std::ptr::eq(s, component)) {
            document.relationships.push(Relationship::describes(&*id));
        }
        if let Some(parent) = nested
            .parent
            .and_then(|parent| by_place.get(&std::ptr::from_ref(parent)))
        {
            document.relationships.push(Relationship::new(
                parent.as_str(),
                RelationshipType::Contains,
                &*id,
            ));
        }
        patches(component, &id, &mut ids, &mut document);
        document.packages.push(package);
        by_place.insert(std::ptr::from_ref(component), id);
    }
    dependencies(bom, &ids, &mut document);
    sealed(document)
}

/// The identifiers that were given, each once.
#[derive(Default)]
struct Ids {
    given: HashSet<String>,
    by_reference: HashMap<String, String>,
}

impl Ids {
    /// An identifier that reads like `name`. Two names that SPDX cannot tell apart get numbers.
    fn give(&mut self, name: &str, reference: Option<&str>) -> String {
        let plain = element_id(&name.chars().take(200).collect::<String>());
        let mut id = plain.clone();
        let mut number = 2;
        while id == DOCUMENT_ID || !self.given.insert(id.clone()) {
            id = format!("{plain}-{number}");
            number += 1;
        }
        if let Some(reference) = reference {
            self.by_reference
                .entry(reference.to_owned())
                .or_insert_with(|| id.clone());
        }
        id
    }

    fn of(&self, reference: &str) -> Option<&str> {
        self.by_reference.get(reference).map(String::as_str)
    }
}

fn package(component: &Component, id: &str) -> Package {
    let name = match &component.group {
        Some(group) => format!("{group}/{}", component.name),
        None => component.name.clone(),
    };
    let sources = links(component, &ExternalReferenceType::SourceDistribution);
    let sites = links(component, &ExternalReferenceType::Website);
    let download = sources.iter().copied().find(|url| is_download(url));
    let homepage = sites.iter().copied().find(|url| is_web(url));
    let mut refs: Vec<ExternalRef> = identities(component);
    let further = [
        ("source-distribution", sources, download),
        ("website", sites, homepage),
        ("vcs", links(component, &ExternalReferenceType::Vcs), None),
    ];
    for (kind, urls, taken) in further {
        for url in urls {
            if Some(url) != taken {
                add(&mut refs, ReferenceCategory::Unlisted, kind, url, None);
            }
        }
    }
    let no_assertion = || Some(NOASSERTION.to_owned());
    let path = component
        .property("snowguard:output:out")
        .or_else(|| {
            let mut paths = component.properties.iter().filter(|property| {
                property.name.starts_with("snowguard:output:")
                    || property.name == "snowguard:store-path"
            });
            paths.find_map(|property| property.value.as_deref())
        })
        .map(str::to_owned);
    Package {
        version: component.version.clone(),
        purpose: match component.kind {
            ComponentType::Application => Some(Purpose::Application),
            ComponentType::OperatingSystem => Some(Purpose::OperatingSystem),
            ComponentType::Library => Some(Purpose::Library),
            _ => None,
        },
        supplier: no_assertion(),
        file_name: path,
        download_location: download.unwrap_or(NOASSERTION).to_owned(),
        homepage: homepage.map(str::to_owned),
        license_concluded: no_assertion(),
        license_declared: no_assertion(),
        copyright_text: no_assertion(),
        source_info: component
            .pedigree
            .as_ref()
            .and_then(|pedigree| pedigree.notes.clone()),
        comment: comment(&component.properties),
        external_refs: refs,
        ..Package::new(id, name)
    }
}

/// Package URLs and CPEs, what the component goes by first, then what else it may be, with the reason.
fn identities(component: &Component) -> Vec<ExternalRef> {
    let mut refs = Vec::new();
    let reason = |field: &IdentityField, value: &str| {
        let mut evidence = component.identity_evidence().iter();
        let found = evidence.find(|evidence| {
            evidence.field == *field && evidence.concluded_value.as_deref() == Some(value)
        });
        found?
            .methods
            .iter()
            .find_map(|method| method.value.clone())
    };
    let own = [
        (IdentityField::Purl, component.purl.as_deref()),
        (IdentityField::Cpe, component.cpe.as_deref()),
    ];
    let further = component
        .identity_evidence()
        .iter()
        .map(|evidence| (evidence.field.clone(), evidence.concluded_value.as_deref()));
    for (field, value) in own.into_iter().chain(further) {
        let Some(value) = value else { continue };
        let (category, kind) = match field {
            IdentityField::Purl => (ReferenceCategory::PackageManager, "purl"),
            IdentityField::Cpe => (ReferenceCategory::Security, "cpe23Type"),
            _ => continue,
        };
        add(&mut refs, category, kind, value, reason(&field, value));
    }
    refs
}

/// The verdict on one vulnerability.
fn advisory(of: &Vulnerability) -> Option<ExternalRef> {
    let id = of.id.as_deref()?;
    let url = of
        .advisories
        .first()
        .map(|advisory| advisory.url.as_str())?;
    let analysis = of.analysis.as_ref();
    let verdict = match analysis.and_then(|analysis| analysis.state.as_ref()) {
        Some(AnalysisState::Exploitable) => "affected",
        Some(AnalysisState::InTriage) => "needs review",
        Some(AnalysisState::Resolved | AnalysisState::ResolvedWithPedigree) => "fixed",
        _ => "not affected",
    };
    let mut comment = format!("{id}: {verdict}");
    if let Some(detail) = analysis.and_then(|analysis| analysis.detail.as_deref()) {
        let _ = write!(comment, ". {detail}");
    }
    let mut refs = Vec::new();
    add(
        &mut refs,
        ReferenceCategory::Security,
        "advisory",
        url,
        Some(comment),
    );
    refs.pop()
}

/// Adds a reference, once, if it can be written: a locator has no white space.
fn add(
    refs: &mut Vec<ExternalRef>,
    category: ReferenceCategory,
    kind: &str,
    locator: &str,
    comment: Option<String>,
) {
    let known = |known: &ExternalRef| known.kind == kind && known.locator == locator;
    if !locator.is_empty() && !locator.contains(char::is_whitespace) && !refs.iter().any(known) {
        refs.push(ExternalRef {
            comment,
            ..ExternalRef::new(category, kind, locator)
        });
    }
}

fn links<'c>(component: &'c Component, kind: &ExternalReferenceType) -> Vec<&'c str> {
    let links = component.external_references.iter();
    links
        .filter(|link| link.kind == *kind)
        .map(|link| link.url.as_str())
        .collect()
}

/// Patches are packages of their own.
fn patches(component: &Component, of: &str, ids: &mut Ids, document: &mut Document) {
    for patch in component.patches() {
        let place = patch.diff.as_ref().and_then(|diff| diff.url.as_deref());
        let place = place.unwrap_or_default();
        let name = patch_name(place);
        let id = ids.give(&format!("patch-{name}"), None);
        let mut refs = Vec::new();
        if place.contains("://") && !is_download(place) {
            let kind = "source-distribution";
            add(&mut refs, ReferenceCategory::Unlisted, kind, place, None);
        }
        for issue in &patch.resolves {
            for url in issue.references.iter().filter(|url| *url != place) {
                add(&mut refs, ReferenceCategory::Security, "fix", url, None);
            }
            if let Some(id) = &issue.id {
                let url = crate::build::url_of(id);
                let comment = Some(id.clone());
                add(
                    &mut refs,
                    ReferenceCategory::Security,
                    "advisory",
                    &url,
                    comment,
                );
            }
        }
        document.packages.push(Package {
            purpose: Some(Purpose::File),
            supplier: Some(NOASSERTION.to_owned()),
            file_name: (!place.contains("://") && !place.is_empty()).then(|| place.to_owned()),
            download_location: Some(place)
                .filter(|place| is_download(place))
                .unwrap_or(NOASSERTION)
                .to_owned(),
            license_concluded: Some(NOASSERTION.to_owned()),
            license_declared: Some(NOASSERTION.to_owned()),
            copyright_text: Some(NOASSERTION.to_owned()),
            external_refs: refs,
            ..Package::new(&*id, name)
        });
        document
            .relationships
            .push(Relationship::new(id, RelationshipType::PatchFor, of));
    }
}

/// The file name of a patch, without the digest of a store path.
fn patch_name(place: &str) -> &str {
    let base = place.rsplit('/').find(|part| !part.is_empty());
    let base = base.unwrap_or("patch");
    match base.split_once('-') {
        Some((_, name)) if base.parse::<StorePath>().is_ok() => name,
        _ => base,
    }
}

/// Needed for building only is what is never there at run time, of something that is.
fn dependencies(bom: &Bom, ids: &Ids, document: &mut Document) {
    let scopes: HashMap<&str, &Scope> = bom
        .walk()
        .filter_map(|nested| {
            let component = nested.component;
            Some((component.bom_ref.as_deref()?, component.scope.as_ref()?))
        })
        .collect();
    for dependency in &bom.dependencies {
        let Some(from) = ids.of(&dependency.reference) else {
            continue;
        };
        let there = scopes.get(&*dependency.reference) == Some(&&Scope::Required);
        for needed in &dependency.depends_on {
            let Some(to) = ids.of(needed) else { continue };
            let for_building = there && scopes.get(&**needed) == Some(&&Scope::Excluded);
            document.relationships.push(if for_building {
                Relationship::new(to, RelationshipType::BuildDependencyOf, from)
            } else {
                Relationship::new(from, RelationshipType::DependsOn, to)
            });
        }
    }
}

/// A location from which something is downloaded, as the specification has it.
fn is_download(url: &str) -> bool {
    let schemes = ["https://", "http://", "ftp://"];
    is_one_word(url) && schemes.iter().any(|scheme| url.starts_with(scheme))
}

fn is_web(url: &str) -> bool {
    is_one_word(url) && (url.starts_with("https://") || url.starts_with("http://"))
}

/// What a URL is made of, by RFC 3986; what a stranger wrote may have more.
fn is_one_word(url: &str) -> bool {
    url.bytes()
        .all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte))
}

/// What the format has no field for.
fn comment(properties: &[Property]) -> Option<String> {
    let lines: Vec<String> = properties
        .iter()
        .filter_map(|property| {
            let value = one_line(property.value.as_deref()?);
            Some(format!("{}: {value}", property.name))
        })
        .collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

fn one_line(text: &str) -> String {
    text.split(['\n', '\r']).collect::<Vec<_>>().join(" ")
}

/// The document in one order, with a namespace that follows from its content.
fn sealed(mut document: Document) -> Document {
    document.sort();
    let mut hasher = Hasher::sha256();
    // A hasher takes every byte; a value that cannot be serialised is told when it is written.
    let _ = document.write(&mut hasher, Layout::Compact);
    document.document_namespace = urn(&hasher.finish());
    document
}
