//! An archive in, a tree out.

use std::io::{BufReader, Read, Seek, SeekFrom};

use crate::builder::{Builder, Duplicates};
use crate::error::ArchiveError;
use crate::limits::{Exceeded, Limited, Limits, Meter, Source};
use crate::packed::{HEAD, Packing, Peeked};
use crate::spool::Spool;
use crate::tree::Tree;
use crate::{tar, zip};

/// What an archive is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// A tar, packed or not.
    Tar(Packing),
    /// A zip.
    Zip,
}

impl Format {
    /// Tells by the first bytes; what is nothing else is taken for a plain tar, which shows soon.
    pub fn of(head: &[u8]) -> Self {
        match head {
            [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Self::Zip,
            _ => Self::Tar(Packing::of(head)),
        }
    }
}

/// Reads any archive.
pub fn read<R: Read + Seek, S: Spool>(
    mut input: R,
    spool: S,
    limits: &Limits,
) -> Result<Tree<S>, ArchiveError> {
    let mut head = Vec::new();
    let failed = |source| ArchiveError::Input { source };
    input
        .by_ref()
        .take(HEAD as u64)
        .read_to_end(&mut head)
        .map_err(failed)?;
    input.seek(SeekFrom::Start(0)).map_err(failed)?;
    match Format::of(&head) {
        Format::Tar(_) => read_tar(input, spool, limits),
        Format::Zip => read_zip(input, spool, limits),
    }
}

/// Reads a tar as it comes; with what it is packed is told by its first bytes.
///
/// All of the input is read, also what follows the tar, so that the checks of the packing are made.
pub fn read_tar<R: Read, S: Spool>(
    input: R,
    spool: S,
    limits: &Limits,
) -> Result<Tree<S>, ArchiveError> {
    let meter = Meter::default();
    let source = Source {
        inner: input,
        meter: meter.clone(),
    };
    let mut input = Peeked::new(BufReader::with_capacity(64 << 10, source));
    let head = input
        .peek(HEAD)
        .map_err(|source| ArchiveError::Input { source })?;
    let Format::Tar(packing) = Format::of(head) else {
        return Err(ArchiveError::Unknown);
    };
    let inner = packing
        .open(input, limits)
        .map_err(|source| ArchiveError::Packed { packing, source })?;
    let limited = Limited {
        inner,
        meter: meter.clone(),
        limits: *limits,
    };
    let mut builder = Builder::new(spool, *limits, Duplicates::LastWins);
    tar::read(
        BufReader::with_capacity(64 << 10, limited),
        limits,
        &mut builder,
    )
    .map_err(|error| told(error, &meter, packing))?;
    Ok(builder.finish())
}

/// Reads a zip.
pub fn read_zip<R: Read + Seek, S: Spool>(
    input: R,
    spool: S,
    limits: &Limits,
) -> Result<Tree<S>, ArchiveError> {
    let meter = Meter::default();
    let source = Source {
        inner: input,
        meter: meter.clone(),
    };
    let mut builder = Builder::new(spool, *limits, Duplicates::Refused);
    zip::read(source, limits, &mut builder).map_err(|error| told(error, &meter, Packing::Plain))?;
    Ok(builder.finish())
}

/// Whether it was the input that failed, a limit, or what was packed.
fn told(error: ArchiveError, meter: &Meter, packing: Packing) -> ArchiveError {
    let ArchiveError::Input { source } = error else {
        return error;
    };
    let limit = source
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<Exceeded>());
    if let Some(limit) = limit {
        return ArchiveError::Limit(*limit);
    }
    if meter.failed() || packing == Packing::Plain {
        return ArchiveError::Input { source };
    }
    ArchiveError::Packed { packing, source }
}
