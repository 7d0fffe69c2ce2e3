//! What the specification would object to in a document as it would be written.

use std::collections::HashSet;

use super::{Document, NOASSERTION, NONE, Package};
use crate::error::{Problem, Problems};
use crate::open_enum::Vocabulary;

pub(super) fn problems(document: &Document) -> Vec<Problem> {
    let mut problems = Problems::default();
    header(document, &mut problems);
    let mut ids = HashSet::from([document.id.as_str()]);
    for (at, package) in document.packages.iter().enumerate() {
        let place = format!("/packages/{at}");
        if !is_element_id(&package.id) {
            problems.error(
                format!("{place}/SPDXID"),
                format!(
                    "`{}` is not `SPDXRef-` and letters, digits, dots and dashes",
                    package.id
                ),
            );
        }
        if !ids.insert(&package.id) {
            problems.error(
                format!("{place}/SPDXID"),
                format!("`{}` is used more than once", package.id),
            );
        }
        self::package(&place, package, &mut problems);
    }
    for (at, relationship) in document.relationships.iter().enumerate() {
        let place = format!("/relationships/{at}");
        vocabulary(
            format!("{place}/relationshipType"),
            &relationship.kind,
            &mut problems,
        );
        for (field, id) in [
            ("spdxElementId", &relationship.element),
            ("relatedSpdxElement", &relationship.related),
        ] {
            let elsewhere =
                id.starts_with("DocumentRef-") || matches!(id.as_str(), NONE | NOASSERTION);
            if !elsewhere && !ids.contains(id.as_str()) {
                problems.warning(
                    format!("{place}/{field}"),
                    format!("`{id}` is no element of this document"),
                );
            }
        }
    }
    problems.0
}

fn header(document: &Document, problems: &mut Problems) {
    if document.data_license != "CC0-1.0" {
        problems.error("/dataLicense", "the licence of a document is CC0-1.0");
    }
    if document.name.is_empty() {
        problems.error("/name", "a document has a name");
    }
    if !crate::iri::is_absolute_iri(&document.document_namespace)
        || document.document_namespace.contains('#')
    {
        problems.error(
            "/documentNamespace",
            "a namespace is a URI without a fragment",
        );
    }
    match &document.creation_info.created {
        None => problems.error("/creationInfo/created", "the time of creation is missing"),
        Some(created) if !created.is_well_formed() || created.as_str().len() != 20 => problems
            .error(
                "/creationInfo/created",
                format!("`{created}` is not whole seconds in UTC"),
            ),
        Some(_) => {}
    }
    if document.creation_info.creators.is_empty() {
        problems.error("/creationInfo/creators", "a document has a creator");
    }
    for (at, creator) in document.creation_info.creators.iter().enumerate() {
        let known = ["Tool: ", "Organization: ", "Person: "];
        if !known.iter().any(|prefix| creator.starts_with(prefix)) {
            problems.warning(
                format!("/creationInfo/creators/{at}"),
                "a creator is `Tool: `, `Organization: ` or `Person: ` and a name",
            );
        }
    }
    for (at, external) in document.external_document_refs.iter().enumerate() {
        vocabulary(
            format!("/externalDocumentRefs/{at}/checksum/algorithm"),
            &external.checksum.algorithm,
            problems,
        );
    }
}

fn package(place: &str, package: &Package, problems: &mut Problems) {
    if let Some(purpose) = &package.purpose {
        vocabulary(format!("{place}/primaryPackagePurpose"), purpose, problems);
    }
    for (at, checksum) in package.checksums.iter().enumerate() {
        let place = format!("{place}/checksums/{at}");
        vocabulary(format!("{place}/algorithm"), &checksum.algorithm, problems);
        if checksum.value.is_empty() || !checksum.value.bytes().all(|b| b.is_ascii_hexdigit()) {
            problems.error(format!("{place}/checksumValue"), "a digest is hexadecimal");
        }
    }
    for (at, external) in package.external_refs.iter().enumerate() {
        let place = format!("{place}/externalRefs/{at}");
        vocabulary(
            format!("{place}/referenceCategory"),
            &external.category,
            problems,
        );
        if external.locator.is_empty() || external.locator.contains(char::is_whitespace) {
            problems.error(
                format!("{place}/referenceLocator"),
                "a locator is not empty and has no white space",
            );
        }
    }
}

fn vocabulary<T: Vocabulary>(place: String, value: &T, problems: &mut Problems) {
    if !value.is_in_vocabulary() {
        problems.error(place, format!("SPDX 2.3 has no value `{value}` here"));
    }
}

fn is_element_id(id: &str) -> bool {
    id.strip_prefix("SPDXRef-").is_some_and(|name| {
        !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'))
    })
}
