//! The facts format: a [`Record`] as it is, one JSON document per line.
//!
//! It is how the embedded default is shipped (ids, identities, ranges, scores and dates, no
//! prose), and a plain way to hand advisories of one's own to `snowguard advisories import`.

use super::{LIMIT_AFFECTED, LIMIT_RULES, ReadError, within};
use crate::record::Record;

/// Reads one record.
pub fn read(document: &[u8]) -> Result<Record, ReadError> {
    let record: Record = serde_json::from_slice(document).map_err(ReadError::json)?;
    within("affected entries", record.affects.len(), LIMIT_AFFECTED)?;
    for affected in &record.affects {
        within("version rules", affected.rules.len(), LIMIT_RULES)?;
    }
    Ok(record)
}

/// Writes one record as one line, without the line's end.
///
/// The summary is left out: facts carry nobody's words.
pub fn write(record: &Record) -> Result<String, serde_json::Error> {
    serde_json::to_string(&Record {
        summary: None,
        ..record.clone()
    })
}
