//! The central directory.

use std::borrow::Cow;
use std::io::{Read, Seek, SeekFrom};

use super::{damaged, unsupported};
use crate::error::ArchiveError;
use crate::limits::{Exceeded, Limits};

/// The central directory as it lies in the archive.
pub(super) struct Directory {
    /// Where it begins: members end here.
    pub(super) start: u64,
    bytes: Vec<u8>,
    count: u64,
}

/// How a member is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Stored,
    Deflated,
    Bzip2,
}

/// What the directory says of a member.
pub(super) struct Entry<'a> {
    pub(super) raw_name: &'a [u8],
    pub(super) name: Cow<'a, [u8]>,
    pub(super) raw_method: u16,
    pub(super) method: Method,
    pub(super) crc: u32,
    pub(super) packed_size: u64,
    pub(super) size: u64,
    /// Where its header is.
    pub(super) offset: u64,
    /// The system whose attributes it has.
    host: u8,
    attributes: u32,
}

/// Systems whose attributes unzip takes for modes of Unix.
const LIKE_UNIX: [u8; 9] = [2, 3, 5, 12, 13, 16, 17, 18, 30];
/// The one system whose attributes are yet others.
const AMIGA: u8 = 1;
/// Those like Unix whose symbolic links it makes.
const WITH_LINKS: [u8; 5] = [2, 3, 5, 16, 30];

impl Entry<'_> {
    pub(super) fn is_directory(&self) -> bool {
        self.name.ends_with(b"/")
    }

    pub(super) fn is_symlink(&self) -> bool {
        WITH_LINKS.contains(&self.host) && self.mode() & 0o170_000 == 0o120_000
    }

    /// Elsewhere only what counts for a directory there may be executed.
    pub(super) fn is_executable(&self) -> bool {
        if LIKE_UNIX.contains(&self.host) {
            self.mode() & 0o100 != 0
        } else {
            self.attributes & 0x10 != 0
        }
    }

    fn mode(&self) -> u32 {
        self.attributes >> 16
    }
}

/// What ends a zip, without its comment.
const END: usize = 22;
/// What leads to the larger form of it.
const LOCATOR: u64 = 20;
/// The larger form.
const END64: usize = 56;

/// Finds and reads the directory.
pub(super) fn directory<R: Read + Seek>(
    input: &mut R,
    limits: &Limits,
) -> Result<Directory, ArchiveError> {
    let failed = |source| ArchiveError::Input { source };
    let length = input.seek(SeekFrom::End(0)).map_err(failed)?;
    let tail = length.min(END as u64 + u64::from(u16::MAX));
    let mut bytes = read_at(input, length - tail, tail)?;
    let at = (0..=bytes.len().saturating_sub(END))
        .rev()
        .find(|at| bytes[*at..].starts_with(b"PK\x05\x06"))
        .ok_or_else(|| damaged(length, "it has no end"))?;
    bytes.drain(..at);
    let position = length - tail + at as u64;
    if bytes.len() < END {
        return Err(damaged(position, "it ends early"));
    }
    if short(&bytes, 4) != 0 && short(&bytes, 4) != u16::MAX {
        return Err(damaged(position, "it is a part of several"));
    }
    let mut count = u64::from(short(&bytes, 10));
    let mut size = u64::from(long(&bytes, 12));
    let mut start = u64::from(long(&bytes, 16));
    let mut end = position;
    let is_large =
        count == u64::from(u16::MAX) || size == u64::from(u32::MAX) || start == u64::from(u32::MAX);
    let locator = position.checked_sub(LOCATOR).filter(|_| is_large);
    if let Some((at, bytes)) = locator.map(|at| end64(input, at)).transpose()?.flatten() {
        count = quad(&bytes, 32);
        size = quad(&bytes, 40);
        start = quad(&bytes, 48);
        end = at;
    }
    if start.checked_add(size) != Some(end) {
        return Err(damaged(
            position,
            "the central directory is not where it should be: something stands before the archive, or within",
        ));
    }
    if count > limits.entries {
        return Err(Exceeded::Entries(limits.entries).into());
    }
    if size > limits.directory {
        return Err(Exceeded::Directory(limits.directory).into());
    }
    if count == 0 {
        return Err(damaged(position, "it is empty, which unzip fails on"));
    }
    let bytes = read_at(input, start, size)?;
    Ok(Directory {
        start,
        bytes,
        count,
    })
}

/// The larger form of the end, and where it is, if the locator is one.
fn end64<R: Read + Seek>(
    input: &mut R,
    locator: u64,
) -> Result<Option<(u64, Vec<u8>)>, ArchiveError> {
    let bytes = read_at(input, locator, LOCATOR)?;
    if !bytes.starts_with(b"PK\x06\x07") {
        return Ok(None);
    }
    let wrong = || damaged(locator, "its end is not where it should be");
    let at = quad(&bytes, 8);
    if at
        .checked_add(END64 as u64)
        .is_none_or(|after| after > locator)
    {
        return Err(wrong());
    }
    let bytes = read_at(input, at, END64 as u64)?;
    if !bytes.starts_with(b"PK\x06\x06") {
        return Err(wrong());
    }
    Ok(Some((at, bytes)))
}

impl Directory {
    /// Its entries, in its order.
    pub(super) fn entries(&self) -> impl Iterator<Item = Result<Entry<'_>, ArchiveError>> {
        let mut rest = &self.bytes[..];
        let mut left = self.count;
        std::iter::from_fn(move || {
            let offset = self.start + (self.bytes.len() - rest.len()) as u64;
            if left == 0 {
                // What is left may be a signature of the directory.
                return match rest {
                    [] | [b'P', b'K', 5, 5, ..] => None,
                    _ => {
                        rest = &[];
                        Some(Err(damaged(
                            offset,
                            "the central directory has more entries than it says",
                        )))
                    }
                };
            }
            left -= 1;
            let entry = entry(rest, offset);
            match entry {
                Ok((entry, length)) => {
                    rest = &rest[length..];
                    Some(Ok(entry))
                }
                Err(error) => {
                    (left, rest) = (0, &[]);
                    Some(Err(error))
                }
            }
        })
    }
}

/// Reads an entry; with its length.
fn entry(bytes: &[u8], at: u64) -> Result<(Entry<'_>, usize), ArchiveError> {
    const FIXED: usize = 46;
    if bytes.len() < FIXED || !bytes.starts_with(b"PK\x01\x02") {
        return Err(damaged(at, "no entry of the central directory is here"));
    }
    let name_end = FIXED + usize::from(short(bytes, 28));
    let extra_end = name_end + usize::from(short(bytes, 30));
    let length = extra_end + usize::from(short(bytes, 32));
    if bytes.len() < length {
        return Err(damaged(at, "an entry of the central directory ends early"));
    }
    let raw_name = &bytes[FIXED..name_end];
    let extra = &bytes[name_end..extra_end];
    let host = bytes[5];
    let flags = short(bytes, 8);
    if host == AMIGA {
        return Err(unsupported(raw_name, "it has the attributes of an Amiga"));
    }
    if flags & 0x2041 != 0 {
        return Err(unsupported(raw_name, "it is encrypted"));
    }
    let raw_method = short(bytes, 10);
    let method = match raw_method {
        0 => Method::Stored,
        8 => Method::Deflated,
        12 => Method::Bzip2,
        _ => {
            return Err(unsupported(
                raw_name,
                "it is packed with a method that is not known here",
            ));
        }
    };
    let mut packed_size = u64::from(long(bytes, 20));
    let mut size = u64::from(long(bytes, 24));
    let mut offset = u64::from(long(bytes, 42));
    let mut unicode = None;
    for (id, field) in fields(extra) {
        match id {
            0x0001 => {
                let mut numbers = field.chunks_exact(8).map(|number| quad(number, 0));
                for value in [&mut size, &mut packed_size, &mut offset] {
                    if *value == u64::from(u32::MAX) {
                        *value = numbers.next().ok_or_else(|| {
                            damaged(at, "an entry of the central directory has no size")
                        })?;
                    }
                }
            }
            0x7075 => unicode = Some(field),
            _ => {}
        }
    }
    let name = name(raw_name, flags, host, unicode)?;
    let entry = Entry {
        raw_name,
        name,
        raw_method,
        method,
        crc: long(bytes, 16),
        packed_size,
        size,
        offset,
        host,
        attributes: long(bytes, 38),
    };
    Ok((entry, length))
}

/// The name that unzip would give a member, where that is certain.
fn name<'a>(
    raw: &'a [u8],
    flags: u16,
    host: u8,
    unicode: Option<&'a [u8]>,
) -> Result<Cow<'a, [u8]>, ArchiveError> {
    let mut name = raw;
    if raw.is_ascii() {
        // Nothing to be told.
    } else if let Some([1, crc @ ..]) = unicode
        && let Some((crc, text)) = crc.split_at_checked(4)
        && flags & 0x800 == 0
    {
        let mut sum = flate2::Crc::new();
        sum.update(raw);
        if crc != sum.sum().to_le_bytes() {
            return Err(unsupported(
                raw,
                "it has another name beside, which is of none",
            ));
        }
        name = text;
    } else if !LIKE_UNIX.contains(&host) {
        return Err(unsupported(
            raw,
            "the encoding of its name depends on where it is unpacked",
        ));
    }
    let what = if std::str::from_utf8(name).is_err() {
        "its name is not UTF-8"
    } else if name.starts_with(b"/") {
        "its name begins at the root, which unzip warns of"
    } else if host == 0 && name.contains(&b'\\') {
        "its name has a backslash, which unzip warns of"
    } else if name.iter().any(u8::is_ascii_control) {
        "its name has control characters, which unzip leaves out"
    } else if name.split(|byte| *byte == b'/').any(has_version) {
        "its name ends like a version of VMS, which unzip leaves out"
    } else if name.is_empty() {
        "it has no name"
    } else {
        return Ok(Cow::Borrowed(name));
    };
    Err(unsupported(name, what))
}

/// Whether a name ends in `;` and digits.
fn has_version(name: &[u8]) -> bool {
    let digits = name
        .iter()
        .rev()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    name[..name.len() - digits].ends_with(b";")
}

/// The fields of an extra field; what is no field ends them.
fn fields(mut extra: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let (head, rest) = extra.split_at_checked(4)?;
        let (field, rest) = rest.split_at_checked(usize::from(short(head, 2)))?;
        extra = rest;
        Some((short(head, 0), field))
    })
}

fn read_at<R: Read + Seek>(input: &mut R, at: u64, length: u64) -> Result<Vec<u8>, ArchiveError> {
    let failed = |source| ArchiveError::Input { source };
    input.seek(SeekFrom::Start(at)).map_err(failed)?;
    let mut bytes = Vec::new();
    input.take(length).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 != length {
        return Err(damaged(at, "it ends early"));
    }
    Ok(bytes)
}

fn short(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn long(bytes: &[u8], at: usize) -> u32 {
    u32::from(short(bytes, at)) | u32::from(short(bytes, at + 2)) << 16
}

fn quad(bytes: &[u8], at: usize) -> u64 {
    u64::from(long(bytes, at)) | u64::from(long(bytes, at + 4)) << 32
}
