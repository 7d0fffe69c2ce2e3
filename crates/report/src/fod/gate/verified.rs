//! What became of verifying, as a document says it: `snowguard-fod-verify/1`.

use std::collections::HashMap;

use serde::Deserialize;
use snowguard_fod::Outcome;

use crate::fod::Row;

/// Outcomes, by derivation.
#[derive(Clone, Debug, Default)]
pub struct Verified {
    by_drv: HashMap<String, (Outcome, bool)>,
}

impl Verified {
    /// Takes outcomes, each with the store path of its derivation, and whether an earlier run found it, or another worker
    /// of the same queue. The later of two is the one that counts.
    pub fn new(outcomes: impl IntoIterator<Item = (String, Outcome, bool)>) -> Self {
        let outcomes = outcomes.into_iter();
        Self {
            by_drv: outcomes
                .map(|(drv, outcome, is_earlier)| (drv, (outcome, is_earlier)))
                .collect(),
        }
    }

    /// Reads a document.
    pub fn read(document: &[u8]) -> Result<Self, VerifiedError> {
        let document: Document = serde_json::from_slice(document)?;
        if document.schema != SCHEMA {
            return Err(VerifiedError::Schema);
        }
        let rows = document.fods.into_iter();
        Ok(Self::new(
            rows.map(|row| (row.drv, row.outcome, row.earlier)),
        ))
    }

    /// The outcome of a derivation.
    ///
    /// It is the derivation that counts and not its output: another source that promises the same bytes is
    /// another derivation with the same output, and that it was once verified says nothing of the other.
    pub(super) fn of(&self, row: &Row) -> Option<&Outcome> {
        self.by_drv.get(&row.drv).map(|(outcome, _)| outcome)
    }

    /// Whether that was found earlier.
    pub(super) fn is_earlier(&self, row: &Row) -> bool {
        self.by_drv
            .get(&row.drv)
            .is_some_and(|(_, earlier)| *earlier)
    }
}

/// Why a document cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum VerifiedError {
    /// It is no such document.
    #[error("read results of verifying")]
    Json(#[from] serde_json::Error),
    /// It is another.
    #[error("read results of verifying: expected the schema {SCHEMA}")]
    Schema,
}

const SCHEMA: &str = "snowguard-fod-verify/1";

#[derive(Deserialize)]
struct Document {
    schema: String,
    fods: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    drv: String,
    #[serde(default)]
    earlier: bool,
    #[serde(flatten)]
    outcome: Outcome,
}
