//! What a tracker decided, beside an index: `INDEX.triage`, the document `snowguard-triage/1` as it was
//! signed.
#![expect(clippy::disallowed_methods, reason = "this room owns the file")]

use std::fs::File;
use std::io::{self, Read as _};

use camino::{Utf8Path, Utf8PathBuf};
use snowguard_matching::triage::{Document, MAX_BYTES, ReadError};

use crate::file::{IndexFileError, replace_file};

/// Where the decisions beside an index lie.
pub fn path(index: &Utf8Path) -> Utf8PathBuf {
    Utf8PathBuf::from(format!("{index}.triage"))
}

/// The bytes beside an index, if there are any that can be read, and not too many.
pub(crate) fn bytes(index: &Utf8Path) -> Option<Vec<u8>> {
    read(&path(index)).ok()
}

/// The decisions beside an index, if there are any.
pub fn load(index: &Utf8Path) -> Result<Option<Document>, TriageError> {
    let path = path(index);
    let bytes = match read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(TriageError::Read { path, source }),
    };
    match Document::read(&bytes) {
        Ok(document) => Ok(Some(document)),
        Err(source) => Err(TriageError::Document { path, source }),
    }
}

fn read(path: &Utf8Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // One more than is read: what is cut off would be called damaged, and is too large.
    let limit = MAX_BYTES as u64 + 1;
    File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A document as others hand it on, packed with zstd or not, as what is signed.
pub fn unpacked(bytes: Vec<u8>) -> io::Result<Vec<u8>> {
    // Source: RFC 8878, 3.1.1.
    if !bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        return Ok(bytes);
    }
    let mut json = Vec::new();
    let mut decoder = zstd::stream::read::Decoder::with_buffer(&bytes[..])?;
    decoder.window_log_max(27)?;
    decoder.take(MAX_BYTES as u64 + 1).read_to_end(&mut json)?;
    Ok(json)
}

/// Replaces the decisions beside an index, as a whole.
pub fn replace(index: &Utf8Path, json: &[u8]) -> Result<(), IndexFileError> {
    replace_file(&path(index), json)
}

/// Removes the decisions beside an index, if there are any.
pub fn remove(index: &Utf8Path) -> Result<(), IndexFileError> {
    let path = path(index);
    match std::fs::remove_file(&path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(IndexFileError::Write { path, source })
        }
        _ => Ok(()),
    }
}

/// Why the decisions beside an index cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TriageError {
    /// They cannot be read.
    #[error("cannot read {path}, what a tracker decided")]
    Read {
        /// Where they lie.
        path: Utf8PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// They are not what they should be.
    #[error("cannot use {path}, what a tracker decided")]
    Document {
        /// Where they lie.
        path: Utf8PathBuf,
        /// What is wrong.
        source: ReadError,
    },
}

impl TriageError {
    /// What to do next.
    pub fn hint(&self) -> &'static str {
        "`snowguard advisories update --from` fetches it anew; `--triage ignore` does without"
    }
}
