//! Checks a document against the schema that its format publishes, without a network.
//!
//! For the tests of every crate that writes such a document. The schemas lie in `schemas/` of this
//! crate with their origins and licences (`schemas/README.md`) and are compiled in; a `$ref` that
//! they do not answer themselves is an error, never a download. `format` keywords (date-time, IRI
//! and so on) are enforced, since consumers do so too.

use std::fmt::Write as _;
use std::sync::OnceLock;

use jsonschema::{Registry, Validator};
use serde_json::Value;

/// A format whose written documents can be checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schema {
    /// CycloneDX 1.6, with its licence list and signature sub-schemas.
    CycloneDx16,
    /// SPDX 2.3 (the 2.3.1 revision of its JSON schema, which is the stricter one).
    Spdx23,
    /// OpenVEX 0.2.0, by this project's transcription of its rules.
    OpenVex02,
    /// SARIF 2.1.0 with errata 01.
    Sarif21,
    /// OSV 1.7, as of July 2026: the first with `x_` before the ids of databases that it does not list.
    Osv17,
}

impl Schema {
    /// Every schema that lies here.
    pub const ALL: [Self; 5] = [
        Self::CycloneDx16,
        Self::Spdx23,
        Self::OpenVex02,
        Self::Sarif21,
        Self::Osv17,
    ];

    fn text(self) -> &'static str {
        match self {
            Self::CycloneDx16 => include_str!("../schemas/cyclonedx/bom-1.6.schema.json"),
            Self::Spdx23 => include_str!("../schemas/spdx/spdx-2.3.schema.json"),
            Self::OpenVex02 => {
                include_str!("../schemas/openvex/openvex-0.2.0.rules.schema.json")
            }
            Self::Sarif21 => include_str!("../schemas/sarif/sarif-schema-2.1.0.json"),
            Self::Osv17 => include_str!("../schemas/osv/osv.schema.json"),
        }
    }
}

/// Says what in `document` breaks `schema`: one line for each place, empty when it is valid.
///
/// Bytes that are not JSON are one such line.
pub fn violations(schema: Schema, document: &[u8]) -> Vec<String> {
    let document: Value = match serde_json::from_slice(document) {
        Ok(document) => document,
        Err(error) => return vec![format!("not JSON: {error}")],
    };
    validator(schema)
        .iter_errors(&document)
        .map(|error| {
            let place = error.instance_path().to_string();
            let place = if place.is_empty() { "/" } else { &place };
            format!("{place}: {error}")
        })
        .collect()
}

/// Fails the calling test, with every violation in its message, unless `document` is valid.
///
/// # Panics
///
/// When the document breaks its schema: that is what it is for.
#[track_caller]
#[expect(clippy::panic, reason = "an assertion for tests")]
pub fn assert_valid(schema: Schema, document: &[u8]) {
    let violations = violations(schema, document);
    if violations.is_empty() {
        return;
    }
    let mut message = format!(
        "the document breaks its schema ({schema:?}) in {} places:",
        violations.len()
    );
    for violation in violations.iter().take(20) {
        let violation: String = violation.chars().take(600).collect();
        let _ = write!(message, "\n  {violation}");
    }
    panic!("{message}");
}

/// The identifiers of the SPDX licence list, as the CycloneDX sub-schema has them.
pub fn spdx_license_ids() -> Vec<String> {
    parse(LICENSE_IDS)["enum"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|id| id.as_str().map(str::to_owned))
        .collect()
}

const LICENSE_IDS: &str = include_str!("../schemas/cyclonedx/spdx.schema.json");
const SIGNATURES: &str = include_str!("../schemas/cyclonedx/jsf-0.82.schema.json");

/// Compiling a schema takes longer than checking a document, so that each is compiled once.
fn validator(schema: Schema) -> &'static Validator {
    static VALIDATORS: [OnceLock<Validator>; Schema::ALL.len()] =
        [const { OnceLock::new() }; Schema::ALL.len()];
    VALIDATORS[schema as usize].get_or_init(|| compile(schema))
}

#[expect(
    clippy::expect_used,
    reason = "the schemas are compiled in: a broken one is a broken build"
)]
fn compile(schema: Schema) -> Validator {
    let registry = Registry::new()
        .add(
            "http://cyclonedx.org/schema/spdx.schema.json",
            parse(LICENSE_IDS),
        )
        .and_then(|registry| {
            registry.add(
                "http://cyclonedx.org/schema/jsf-0.82.schema.json",
                parse(SIGNATURES),
            )
        })
        .and_then(jsonschema::RegistryBuilder::prepare)
        .expect("the sub-schemas form a registry");
    jsonschema::options()
        .with_registry(&registry)
        .offline()
        .should_validate_formats(true)
        .build(&parse(schema.text()))
        .expect("the schema compiles")
}

#[expect(
    clippy::expect_used,
    reason = "the schemas are compiled in: a broken one is a broken build"
)]
fn parse(schema: &str) -> Value {
    serde_json::from_str(schema).expect("the schema is JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schema_compiles_and_refuses_an_empty_object() {
        for schema in Schema::ALL {
            assert!(!violations(schema, b"{}").is_empty(), "{schema:?}");
            assert!(!violations(schema, b"not JSON").is_empty(), "{schema:?}");
        }
    }

    #[test]
    fn minimal_documents_pass() {
        assert_valid(
            Schema::CycloneDx16,
            br#"{"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1}"#,
        );
        assert_valid(
            Schema::Spdx23,
            br#"{"spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT",
                 "name": "x", "documentNamespace": "https://example.org/x",
                 "creationInfo": {"created": "2026-01-01T00:00:00Z", "creators": ["Tool: x"]}}"#,
        );
        assert_valid(
            Schema::OpenVex02,
            br#"{"@context": "https://openvex.dev/ns/v0.2.0", "@id": "https://example.org/x",
                 "author": "x", "timestamp": "2026-01-01T00:00:00Z", "version": 1,
                 "statements": [{"vulnerability": {"name": "CVE-2026-0001"}, "status": "fixed",
                                 "products": [{"@id": "pkg:generic/x@1"}]}]}"#,
        );
        assert_valid(Schema::Sarif21, br#"{"version": "2.1.0", "runs": []}"#);
    }

    #[test]
    fn formats_and_sub_schemas_are_enforced() {
        let time = br#"{"bomFormat": "CycloneDX", "specVersion": "1.6",
                        "metadata": {"timestamp": "yesterday"}}"#;
        assert_eq!(violations(Schema::CycloneDx16, time).len(), 1);
        let license = br#"{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [
                           {"type": "library", "name": "x",
                            "licenses": [{"license": {"id": "No-Such-License"}}]}]}"#;
        assert_eq!(violations(Schema::CycloneDx16, license).len(), 1);
    }

    #[test]
    fn the_license_list_is_there() {
        let ids = spdx_license_ids();
        assert!(ids.len() > 600);
        assert!(ids.iter().any(|id| id == "MIT"));
    }
}
