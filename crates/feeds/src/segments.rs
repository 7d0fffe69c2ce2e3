//! Writing the index files from the record store: a delta of what changed, or all of it anew.
//!
//! A delta is made anew each time, with all that changed since the base: so there is never more than
//! one, and a reader has two files to look at and not many. When it has grown to a share of the base,
//! the base is made anew from all records, as an import of them would make it, byte for byte.
//!
//! Files are replaced before the store notes what was written. Whoever is killed in between leaves
//! files that are whole and a note that does not fit them, and the next call writes them again.

use std::sync::atomic::AtomicBool;

use camino::{Utf8Path, Utf8PathBuf};
use snowguard_advisory::index::{Builder, Built, DeltaError, SegmentDigest};

use crate::file::{IndexFile, IndexFileError};
use crate::lock::Waiting;
use crate::records::{RecordStore, RecordsError};

/// A delta may be one part in so many of its base.
const SHARE: usize = 8;
/// Below this size a base is made so quickly that its share does not count.
const SMALL: usize = 1 << 18;

/// When a base is made anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compact {
    /// When the delta has grown to a share of the base, or there is no base of this store.
    #[default]
    WhenLarge,
    /// Now.
    Now,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Which file.
    pub what: WrittenFile,
    /// Its size in bytes; 0 if none was written.
    pub bytes: usize,
    /// How many vulnerabilities it holds.
    pub vulnerabilities: usize,
    /// How many affected entries.
    pub entries: usize,
}

/// Which of the files was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WrittenFile {
    /// None: they say what the store says.
    Nothing,
    /// The delta.
    Delta,
    /// The base; there is no delta now.
    Base,
}

/// Brings the index at a path to what the store holds.
///
/// An index at that path that was not made from this store is replaced. If another program replaces
/// it, that one is waited for in silence.
pub fn write(
    store: &mut RecordStore,
    index: &Utf8Path,
    compact: Compact,
) -> Result<Written, SegmentsError> {
    let mut waiting = Waiting {
        interrupted: &AtomicBool::new(false),
        told: &mut || (),
    };
    write_after(store, index, compact, &mut waiting)
}

/// As [`write()`], and says how to wait for another program.
pub fn write_after(
    store: &mut RecordStore,
    index: &Utf8Path,
    compact: Compact,
    waiting: &mut Waiting<'_>,
) -> Result<Written, SegmentsError> {
    let _others = IndexFile::lock(index, waiting)?;
    let lock = store.lock()?;
    let state = lock.state()?;
    let file = match IndexFile::open(index) {
        Ok(file) => Some(file),
        Err(IndexFileError::Read { source, .. })
            if source.kind() == std::io::ErrorKind::NotFound =>
        {
            None
        }
        Err(error) => return Err(error.into()),
    };
    let ours = file
        .as_ref()
        .filter(|file| state.base.is_some() && file.base_digest() == state.base);
    if let (Some(file), Compact::WhenLarge) = (ours, compact) {
        let of_delta = file.delta_bytes().and_then(SegmentDigest::of);
        if state.is_written && of_delta == state.delta && file.index().is_ok() {
            return Ok(Written {
                what: WrittenFile::Nothing,
                bytes: 0,
                vulnerabilities: 0,
                entries: 0,
            });
        }
        if let Some(built) = delta(&lock, file)? {
            IndexFile::replace_delta(index, &built.bytes)?;
            lock.wrote_delta(SegmentDigest::of(&built.bytes))?;
            return Ok(Written::of(WrittenFile::Delta, &built));
        }
    }
    drop(file);
    let mut builder = Builder::new();
    lock.fill(&mut builder)?;
    let built = builder.finish();
    IndexFile::replace(index, &built.bytes)?;
    lock.wrote_base(SegmentDigest::of(&built.bytes))?;
    Ok(Written::of(WrittenFile::Base, &built))
}

/// Whether there is an index at a path that can be read and was not made from this store.
pub fn is_of_others(store: &mut RecordStore, index: &Utf8Path) -> Result<bool, SegmentsError> {
    let base = store.base()?;
    match IndexFile::open(index) {
        Ok(file) => {
            let is_ours = base.is_some() && file.base_digest() == base;
            Ok(!is_ours && file.index().is_ok())
        }
        Err(IndexFileError::Read { source, .. })
            if source.kind() == std::io::ErrorKind::NotFound =>
        {
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

/// A delta of a base; none if the base should be made anew instead.
fn delta(
    lock: &crate::records::Lock<'_>,
    file: &IndexFile,
) -> Result<Option<Built>, SegmentsError> {
    let base = file.base_bytes();
    let limit = (base.len() / SHARE).max(SMALL);
    let touched = lock.touched()?;
    // A vulnerability takes some hundred bytes: a delta of so many would be thrown away.
    if touched.len() > limit / 64 {
        return Ok(None);
    }
    let mut builder = Builder::new();
    lock.fill_touched(&touched, &mut builder)?;
    let totals = lock.sources()?;
    let sources: Vec<_> = totals.iter().map(|totals| totals.as_source()).collect();
    match builder.finish_delta(base, &touched, &sources) {
        Ok(built) => Ok(Some(built).filter(|built| built.bytes.len() <= limit)),
        // A damaged base is no base.
        Err(DeltaError::Open(_) | DeltaError::Corrupt(_)) => Ok(None),
    }
}

impl Written {
    fn of(what: WrittenFile, built: &Built) -> Self {
        Self {
            what,
            bytes: built.bytes.len(),
            vulnerabilities: built.vulnerabilities,
            entries: built.entries,
        }
    }
}

/// Where the record store of an index lies: beside it.
pub fn records_path(index: &Utf8Path) -> Utf8PathBuf {
    Utf8PathBuf::from(format!("{index}.records"))
}

/// Where the index of a record store lies: where [`records_path`] has the store beside it, and next to a store
/// of another name.
pub fn index_path(records: &Utf8Path) -> Utf8PathBuf {
    match records.as_str().strip_suffix(".records") {
        Some(index) if !index.is_empty() && !index.ends_with('/') => index.into(),
        _ => Utf8PathBuf::from(format!("{records}.idx")),
    }
}

/// Why the index files cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum SegmentsError {
    /// The records cannot be read.
    #[error(transparent)]
    Records(#[from] RecordsError),
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] IndexFileError),
}
