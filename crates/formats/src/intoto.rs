//! in-toto Statements: what is claimed of which artifacts.
//!
//! Source: the in-toto Attestation Framework, Statement v1. The predicate is whatever its type says;
//! here it is JSON. A statement says nothing of who makes it: that is what an envelope is for
//! ([`dsse`](crate::dsse)).

use std::collections::BTreeMap;
use std::io::Write;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{ReadError, WriteError};
use crate::json::{self, Layout};
use crate::{Format, Limits};

/// The type of every statement of this version.
pub const STATEMENT: &str = "https://in-toto.io/Statement/v1";

/// A claim about artifacts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Statement {
    /// [`STATEMENT`].
    #[serde(rename = "_type")]
    pub kind: String,
    /// What it is about; each has a digest.
    pub subject: Vec<Resource>,
    /// A URI that says what the predicate means.
    #[serde(rename = "predicateType")]
    pub predicate_type: String,
    /// What is claimed.
    #[serde(default)]
    pub predicate: Value,
}

/// An artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// Its name, for people and for telling subjects apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// By what it is known: digests in lower-case hexadecimal, by algorithm.
    #[serde(default)]
    pub digest: BTreeMap<String, String>,
}

impl Statement {
    /// A statement of this version.
    pub fn new(subject: Vec<Resource>, predicate_type: &str, predicate: Value) -> Self {
        Self {
            kind: STATEMENT.to_owned(),
            subject,
            predicate_type: predicate_type.to_owned(),
            predicate,
        }
    }

    /// Reads a statement of version 1. One without a subject, or with a subject that has no digest, is
    /// about nothing, and is refused.
    pub fn read(json: &[u8], limits: &Limits) -> Result<Self, ReadError> {
        let statement: Self = json::read(Format::InToto, json, limits)?;
        if statement.kind != STATEMENT {
            return Err(ReadError::UnsupportedVersion {
                format: Format::InToto,
                version: crate::text::excerpt(&statement.kind),
                readable: STATEMENT,
            });
        }
        let bad = |pointer: String, message| {
            Err(ReadError::not_allowed(Format::InToto, pointer, message))
        };
        if statement.subject.is_empty() {
            return bad("/subject".into(), "no subject");
        }
        for (at, subject) in statement.subject.iter().enumerate() {
            if subject.digest.is_empty() {
                return bad(format!("/subject/{at}/digest"), "no digest");
            }
        }
        Ok(statement)
    }

    /// Writes the statement: the same bytes for the same value.
    pub fn write(&self, out: &mut dyn Write, layout: Layout) -> Result<(), WriteError> {
        json::write(Format::InToto, self, layout, out)
    }

    /// As [`write`](Self::write), into memory.
    pub fn to_json(&self, layout: Layout) -> Result<Vec<u8>, WriteError> {
        let mut out = Vec::new();
        self.write(&mut out, layout)?;
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let subject = Resource {
            name: Some("/nix/store/x".into()),
            digest: BTreeMap::from([("sha256".into(), "00".into())]),
        };
        let statement = Statement::new(
            vec![subject],
            "https://example.org/v1",
            serde_json::json!({"a": 1.5}),
        );
        let json = statement.to_json(Layout::Compact).unwrap();
        insta::assert_snapshot!(String::from_utf8_lossy(&json).trim_end(), @r#"{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"/nix/store/x","digest":{"sha256":"00"}}],"predicateType":"https://example.org/v1","predicate":{"a":1.5}}"#);
        assert_eq!(
            Statement::read(&json, &Limits::default()).unwrap(),
            statement
        );
    }

    #[test]
    fn a_statement_about_nothing_is_refused() {
        let read = |json: &str| {
            Statement::read(json.as_bytes(), &Limits::default())
                .unwrap_err()
                .to_string()
        };
        insta::assert_snapshot!(read(r#"{"_type": "https://in-toto.io/Statement/v0.1", "subject": [], "predicateType": "x"}"#), @"in-toto https://in-toto.io/Statement/v0.1 is not read; readable versions are https://in-toto.io/Statement/v1");
        insta::assert_snapshot!(read(r#"{"_type": "https://in-toto.io/Statement/v1", "subject": [], "predicateType": "x"}"#), @"cannot read the in-toto document at `/subject`: no subject");
        insta::assert_snapshot!(read(r#"{"_type": "https://in-toto.io/Statement/v1", "subject": [{"name": "a"}], "predicateType": "x"}"#), @"cannot read the in-toto document at `/subject/0/digest`: no digest");
    }
}
