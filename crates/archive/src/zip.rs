//! zip: the central directory, and each member where it says.
//!
//! Source: PKWARE's APPNOTE 6.3.10. Where it leaves room, Info-ZIP's unzip 6.0 decides, since it is what
//! unpacks in Nixpkgs; what makes it warn, which fails a build, is refused, and so is what it would
//! name otherwise than the archive does.

mod directory;

use std::io::{self, BufReader, Read, Seek, SeekFrom};

use flate2::read::DeflateDecoder;
use snowguard_store::Quoted;

use self::directory::{Directory, Entry, Method, directory};
use crate::builder::Builder;
use crate::error::ArchiveError;
use crate::limits::{Exceeded, Limited, Limits, Source};
use crate::spool::Spool;

/// Reads all members.
pub(crate) fn read<R: Read + Seek, S: Spool>(
    mut input: Source<R>,
    limits: &Limits,
    builder: &mut Builder<S>,
) -> Result<(), ArchiveError> {
    let directory = directory(&mut input, limits)?;
    let contents = apart(&mut input, &directory)?;
    for (entry, data) in directory.entries().zip(contents) {
        unpack(&mut input, data, &entry?, limits, builder)?;
    }
    Ok(())
}

/// Where the contents of each member are, once it is known that no two share any bytes: that is how a small zip becomes
/// very large.
fn apart<R: Read + Seek>(input: &mut R, directory: &Directory) -> Result<Vec<u64>, ArchiveError> {
    let mut contents: Vec<u64> = Vec::new();
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for entry in directory.entries() {
        let entry = entry?;
        let data = local(input, &entry, directory.start)?;
        ranges.push((entry.offset, data + entry.packed_size));
        contents.push(data);
    }
    ranges.sort_unstable();
    match ranges.windows(2).find(|pair| pair[1].0 < pair[0].1) {
        Some(pair) => Err(damaged(pair[1].0, "two members overlap")),
        None => Ok(contents),
    }
}

/// Where the contents of a member are, after the header that stands before them.
fn local<R: Read + Seek>(input: &mut R, entry: &Entry<'_>, end: u64) -> Result<u64, ArchiveError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::UnexpectedEof => damaged(entry.offset, "a member ends early"),
        _ => ArchiveError::Input { source },
    };
    if entry.offset >= end {
        return Err(damaged(entry.offset, "a member is not where it should be"));
    }
    input.seek(SeekFrom::Start(entry.offset)).map_err(failed)?;
    let mut header = [0; 30];
    input.read_exact(&mut header).map_err(failed)?;
    if !header.starts_with(b"PK\x03\x04") {
        return Err(damaged(entry.offset, "no member is where one should be"));
    }
    let short = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
    let mut name = vec![0; usize::from(short(26))];
    input.read_exact(&mut name).map_err(failed)?;
    if name != entry.raw_name || short(8) != entry.raw_method {
        return Err(damaged(
            entry.offset,
            "the header of a member and the central directory differ",
        ));
    }
    let data = entry.offset + 30 + name.len() as u64 + u64::from(short(28));
    match data.checked_add(entry.packed_size) {
        Some(after) if after <= end => Ok(data),
        _ => Err(damaged(
            entry.offset,
            "a member reaches into the central directory",
        )),
    }
}

fn unpack<R: Read + Seek, S: Spool>(
    input: &mut Source<R>,
    data: u64,
    entry: &Entry<'_>,
    limits: &Limits,
    builder: &mut Builder<S>,
) -> Result<(), ArchiveError> {
    if entry.is_directory() {
        return builder.directory(&entry.name);
    }
    let failed = |source| ArchiveError::Input { source };
    input.seek(SeekFrom::Start(data)).map_err(failed)?;
    let meter = input.meter.clone();
    let packed = BufReader::with_capacity(32 << 10, input.take(entry.packed_size));
    let inner: Box<dyn Read + '_> = match entry.method {
        Method::Stored => Box::new(packed),
        Method::Deflated => Box::new(DeflateDecoder::new(packed)),
        Method::Bzip2 => Box::new(bzip2::bufread::BzDecoder::new(packed)),
    };
    let limited = Limited {
        inner,
        meter: meter.clone(),
        limits: *limits,
    };
    let mut contents = Checked {
        inner: limited,
        crc: flate2::Crc::new(),
    };
    let wrong_size = || damaged(data, "a member is not as long as it should be");
    let told = |error| match error {
        ArchiveError::Short { .. } => wrong_size(),
        ArchiveError::Input { source } if !meter.failed() && !is_limit(&source) => {
            damaged(data, "the contents of a member are damaged")
        }
        other => other,
    };
    if entry.is_symlink() {
        if entry.size > limits.target_len as u64 {
            return Err(Exceeded::Target(limits.target_len).into());
        }
        let mut target = Vec::new();
        contents
            .by_ref()
            .take(entry.size)
            .read_to_end(&mut target)
            .map_err(|source| told(failed(source)))?;
        if target.len() as u64 != entry.size {
            return Err(wrong_size());
        }
        contents.end(entry, data).map_err(told)?;
        return builder.symlink(&entry.name, &target);
    }
    builder
        .file(
            &entry.name,
            entry.is_executable(),
            entry.size,
            &mut contents,
        )
        .map_err(told)?;
    contents.end(entry, data).map_err(told)
}

/// What was unpacked, and its checksum.
struct Checked<R> {
    inner: R,
    crc: flate2::Crc,
}

impl<R: Read> Checked<R> {
    /// Nothing may be left, and the checksum must be right.
    fn end(mut self, entry: &Entry<'_>, data: u64) -> Result<(), ArchiveError> {
        let mut byte = [0];
        match self.inner.read(&mut byte) {
            Ok(0) => {}
            Ok(_) => return Err(damaged(data, "a member is not as long as it should be")),
            Err(source) => return Err(ArchiveError::Input { source }),
        }
        if self.crc.sum() != entry.crc {
            return Err(damaged(data, "the checksum of a member is wrong"));
        }
        Ok(())
    }
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.crc.update(&buffer[..count]);
        Ok(count)
    }
}

/// Whether it was a limit that ended a read.
fn is_limit(error: &io::Error) -> bool {
    match error.get_ref() {
        Some(inner) => inner.is::<Exceeded>(),
        None => false,
    }
}

fn damaged(offset: u64, what: &'static str) -> ArchiveError {
    ArchiveError::Damaged {
        format: "zip",
        offset,
        what,
    }
}

fn unsupported(path: &[u8], what: &'static str) -> ArchiveError {
    ArchiveError::Unsupported {
        path: Quoted::new(path),
        what,
    }
}
