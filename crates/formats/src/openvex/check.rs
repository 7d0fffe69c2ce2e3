//! The rules of the specification, on a document as it would be written.

use std::collections::{BTreeMap, HashSet};

use super::{Document, Statement, Status};
use crate::error::{Problem, Problems};
use crate::{Timestamp, iri};

pub(super) fn problems(document: &Document) -> Vec<Problem> {
    let mut check = Check::default();
    check.iri("/@id", Some(&document.id));
    if document.author.is_empty() {
        check.0.error("/author", "a document names its author");
    }
    if document.timestamp.is_none() {
        check.0.error("/timestamp", "a document has a time");
    }
    check.time("/timestamp", document.timestamp.as_ref());
    check.time("/last_updated", document.last_updated.as_ref());
    if document.version == 0 {
        check.0.error("/version", "revisions are counted from 1");
    }
    if document.statements.is_empty() {
        check
            .0
            .error("/statements", "a document makes at least one statement");
    }
    let mut seen = HashSet::new();
    for (at, statement) in document.statements.iter().enumerate() {
        let place = format!("/statements/{at}");
        check.statement(&place, statement);
        // A value that cannot be serialised is told when it is written.
        if serde_json::to_string(statement).is_ok_and(|json| !seen.insert(json)) {
            check.0.error(place, "the same statement stands twice");
        }
    }
    check.0.0
}

#[derive(Default)]
struct Check(Problems);

impl Check {
    fn statement(&mut self, place: &str, statement: &Statement) {
        self.iri(&format!("{place}/@id"), statement.id.as_deref());
        if statement.version == Some(0) {
            self.0
                .error(format!("{place}/version"), "revisions are counted from 1");
        }
        let vulnerability = &statement.vulnerability;
        self.iri(
            &format!("{place}/vulnerability/@id"),
            vulnerability.id.as_deref(),
        );
        if vulnerability.name.is_empty() {
            self.0.error(
                format!("{place}/vulnerability/name"),
                "a vulnerability has a name",
            );
        }
        let aliases: HashSet<_> = vulnerability.aliases.iter().collect();
        if aliases.len() < vulnerability.aliases.len() {
            self.0.error(
                format!("{place}/vulnerability/aliases"),
                "an alias is listed more than once",
            );
        }
        self.time(&format!("{place}/timestamp"), statement.timestamp.as_ref());
        self.time(
            &format!("{place}/last_updated"),
            statement.last_updated.as_ref(),
        );
        self.time(
            &format!("{place}/action_statement_timestamp"),
            statement.action_statement_timestamp.as_ref(),
        );
        self.status(place, statement);
        self.products(place, statement);
    }

    fn status(&mut self, place: &str, statement: &Statement) {
        match &statement.status {
            Status::NotAffected
                if statement.justification.is_none() && statement.impact_statement.is_none() =>
            {
                self.0.error(
                    place,
                    "`not_affected` needs a justification or an impact_statement",
                );
            }
            Status::Affected if statement.action_statement.is_none() => {
                self.0.error(place, "`affected` needs an action_statement");
            }
            Status::Other(status) => {
                self.0.error(
                    format!("{place}/status"),
                    format!("OpenVEX has no status `{status}`"),
                );
            }
            _ => {}
        }
        if statement.status != Status::NotAffected {
            for (field, is_there) in [
                ("justification", statement.justification.is_some()),
                ("impact_statement", statement.impact_statement.is_some()),
            ] {
                if is_there {
                    self.0.warning(
                        format!("{place}/{field}"),
                        format!(
                            "it explains `not_affected`, the status is `{}`",
                            statement.status
                        ),
                    );
                }
            }
        }
        if let Some(justification) = &statement.justification
            && !justification.is_known()
        {
            self.0.error(
                format!("{place}/justification"),
                format!("OpenVEX has no justification `{justification}`"),
            );
        }
    }

    fn products(&mut self, place: &str, statement: &Statement) {
        let place = format!("{place}/products");
        if statement.products.is_empty() {
            self.0.error(
                &place,
                "a statement is about a product, unless the document that holds it says which",
            );
        }
        let mut seen = HashSet::new();
        for (at, product) in statement.products.iter().enumerate() {
            let place = format!("{place}/{at}");
            self.component(
                &place,
                product.id.as_deref(),
                &product.identifiers,
                &product.hashes,
            );
            if serde_json::to_string(product).is_ok_and(|json| !seen.insert(json)) {
                self.0.error(&place, "the same product stands twice");
            }
            let mut seen = HashSet::new();
            for (at, part) in product.subcomponents.iter().enumerate() {
                let place = format!("{place}/subcomponents/{at}");
                self.component(&place, part.id.as_deref(), &part.identifiers, &part.hashes);
                if serde_json::to_string(part).is_ok_and(|json| !seen.insert(json)) {
                    self.0.error(&place, "the same part stands twice");
                }
            }
        }
    }

    fn component(
        &mut self,
        place: &str,
        id: Option<&str>,
        identifiers: &BTreeMap<String, String>,
        hashes: &BTreeMap<String, String>,
    ) {
        self.iri(&format!("{place}/@id"), id);
        if id.is_none() && identifiers.is_empty() {
            self.0
                .error(place, "it has neither an `@id` nor identifiers");
        }
        for key in identifiers.keys() {
            if !IDENTIFIERS.contains(&key.as_str()) {
                self.0.error(
                    format!("{place}/identifiers"),
                    format!("OpenVEX has no identifier `{key}`"),
                );
            }
        }
        for key in hashes.keys() {
            if !HASHES.contains(&key.as_str()) {
                self.0.error(
                    format!("{place}/hashes"),
                    format!("OpenVEX has no hash function `{key}`"),
                );
            }
        }
    }

    fn iri(&mut self, place: &str, id: Option<&str>) {
        if let Some(id) = id
            && !iri::is_absolute_iri(&iri::encode(id, iri::Alphabet::Iri))
        {
            self.0.error(place, format!("`{id}` is not an IRI"));
        }
    }

    fn time(&mut self, place: &str, time: Option<&Timestamp>) {
        if let Some(time) = time
            && !time.is_well_formed()
        {
            self.0
                .error(place, format!("`{time}` is not an RFC 3339 time"));
        }
    }
}

const IDENTIFIERS: [&str; 3] = ["purl", "cpe22", "cpe23"];

const HASHES: [&str; 12] = [
    "md5",
    "sha1",
    "sha-256",
    "sha-384",
    "sha-512",
    "sha3-224",
    "sha3-256",
    "sha3-384",
    "sha3-512",
    "blake2s-256",
    "blake2b-256",
    "blake2b-512",
];
