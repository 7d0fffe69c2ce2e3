#![doc = include_str!("../README.md")]

pub mod atom;
pub mod csaf;
pub mod cyclonedx;
mod detect;
pub mod dsse;
mod error;
pub mod intoto;
mod iri;
mod json;
mod license_ids;
mod limits;
mod open_enum;
pub mod openvex;
pub mod osv;
pub mod sarif;
pub mod secdb;
pub mod spdx;
mod text;
mod timestamp;

pub use self::detect::{DetectError, Detected, Format, detect};
pub use self::error::{JsonError, Place, Problem, ProblemSeverity, ReadError, WriteError};
pub use self::json::Layout;
pub use self::license_ids::canonical_license_id;
pub use self::limits::Limits;
pub use self::timestamp::{Timestamp, TimestampError};

/// Which versions of a format its reader takes.
struct Readable {
    /// In words, for an error.
    words: &'static str,
    /// The decision, on the version as stated.
    accepts: fn(Option<&str>) -> bool,
}

/// Makes sure that the bytes are a document of the format, in a version that is read.
fn read_known(
    format: Format,
    bytes: &[u8],
    limits: &Limits,
    readable: &Readable,
) -> Result<(), ReadError> {
    limits.check_size(format, bytes)?;
    let detected = detect(bytes).map_err(|source| ReadError::Unrecognised {
        expected: format,
        source,
    })?;
    if detected.format != format {
        return Err(ReadError::OtherFormat {
            expected: format,
            found: detected.format,
        });
    }
    if !(readable.accepts)(detected.version.as_deref()) {
        let version = detected.version.as_deref().unwrap_or("without a version");
        return Err(ReadError::UnsupportedVersion {
            format,
            version: text::excerpt(version),
            readable: readable.words,
        });
    }
    Ok(())
}
