//! The directory at the end of a ZIP archive, and its members.
//!
//! It is read where it lies, entry by entry. What stands before the archive, as in programs that
//! unpack themselves, shifts all offsets. Sizes above 4 GiB are in fields of their own (ZIP64).
//!
//! Source: APPNOTE.TXT 6.3.10, .ZIP File Format Specification.

use std::io::Read as _;

use flate2::read::DeflateDecoder;
use memchr::memmem;
use object::ReadRef;

use crate::binary::Window;

/// The end of the directory, without its comment.
const END: u64 = 22;
/// The longest comment.
const COMMENT: u64 = 0xffff;
/// The end of a directory with large numbers, and what tells where it is.
const END_64: u64 = 56;
const LOCATOR: u64 = 20;

const STORED: u16 = 0;
const DEFLATED: u16 = 8;

/// The directory of an archive.
pub(super) struct Directory<'data, R> {
    window: Window<R>,
    entries: &'data [u8],
    /// What stands before the archive.
    shift: u64,
}

/// An entry of the directory.
pub(super) struct Entry<'data> {
    pub(super) name: &'data [u8],
    flags: u16,
    method: u16,
    packed: u64,
    size: u64,
    header: u64,
}

/// A member whose bytes were found.
#[derive(Clone, Copy)]
pub(super) struct Member<R> {
    /// As they lie in the archive.
    pub(super) data: Window<R>,
    method: u16,
    size: u64,
}

impl<'data, R: ReadRef<'data>> Directory<'data, R> {
    /// Finds the directory of an archive that is no larger than a limit.
    pub(super) fn open(window: Window<R>, limit: u64) -> Result<Self, String> {
        let (end, bytes) = find_end(window).ok_or("it has no directory")?;
        let mut length = u64::from(u32_at(bytes, 12));
        let mut offset = u64::from(u32_at(bytes, 16));
        let mut after = end;
        let large = u16_at(bytes, 10) == u16::MAX || length == 0xffff_ffff || offset == 0xffff_ffff;
        if large && let Some((at, bytes)) = find_end_64(window, end) {
            length = u64_at(bytes, 40);
            offset = u64_at(bytes, 48);
            after = at;
        }
        if length > limit {
            return Err(format!("its directory is larger than the limit of {limit}"));
        }
        let start = after
            .checked_sub(length)
            .ok_or("its directory begins before the file")?;
        let shift = start
            .checked_sub(offset)
            .ok_or("its directory is not where it says")?;
        let entries = window
            .bytes(start, length)
            .ok_or("its directory cannot be read")?;
        Ok(Self {
            window,
            entries,
            shift,
        })
    }

    /// The entries, until one cannot be understood.
    pub(super) fn members(
        &self,
    ) -> impl Iterator<Item = Result<Entry<'data>, String>> + use<'data, R> {
        let mut rest = self.entries;
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let Some((entry, next)) = Entry::split(rest) else {
                rest = &[];
                return Some(Err("an entry of its directory is cut short".to_owned()));
            };
            rest = next;
            Some(Ok(entry))
        })
    }

    /// Where the bytes of a member are.
    pub(super) fn locate(&self, entry: &Entry<'_>) -> Result<Member<R>, String> {
        if entry.flags & 1 != 0 {
            return Err("is encrypted".to_owned());
        }
        if !matches!(entry.method, STORED | DEFLATED) {
            return Err(format!("is packed by the unknown method {}", entry.method));
        }
        let data = self
            .data_of(entry)
            .ok_or("is not where the directory says")?;
        Ok(Member {
            data,
            method: entry.method,
            size: entry.size,
        })
    }

    fn data_of(&self, entry: &Entry<'_>) -> Option<Window<R>> {
        let at = self.shift.checked_add(entry.header)?;
        let header = self.window.bytes(at, 30)?;
        if !header.starts_with(b"PK\x03\x04") {
            return None;
        }
        // Name and extra fields are repeated, and the latter may have another length here.
        let skip = 30 + u64::from(u16_at(header, 26)) + u64::from(u16_at(header, 28));
        self.window.within(at.checked_add(skip)?, entry.packed)
    }
}

impl<'data> Entry<'data> {
    fn split(bytes: &'data [u8]) -> Option<(Self, &'data [u8])> {
        let (head, rest) = bytes.split_at_checked(46)?;
        if !head.starts_with(b"PK\x01\x02") {
            return None;
        }
        let (name, rest) = rest.split_at_checked(u16_at(head, 28).into())?;
        let (extra, rest) = rest.split_at_checked(u16_at(head, 30).into())?;
        let (_, rest) = rest.split_at_checked(u16_at(head, 32).into())?;
        let mut entry = Self {
            name,
            flags: u16_at(head, 8),
            method: u16_at(head, 10),
            packed: u32_at(head, 20).into(),
            size: u32_at(head, 24).into(),
            header: u32_at(head, 42).into(),
        };
        entry.large(extra)?;
        Some((entry, rest))
    }

    /// Takes numbers that do not fit into the entry from the extra field for them.
    fn large(&mut self, mut extra: &[u8]) -> Option<()> {
        const FULL: u64 = 0xffff_ffff;
        if self.packed != FULL && self.size != FULL && self.header != FULL {
            return Some(());
        }
        while let Some((head, rest)) = extra.split_at_checked(4) {
            let (body, rest) = rest.split_at_checked(u16_at(head, 2).into())?;
            if u16_at(head, 0) == 1 {
                let mut numbers = body.chunks_exact(8).map(|bytes| u64_at(bytes, 0));
                // Only those are there that do not fit, in this order.
                for field in [&mut self.size, &mut self.packed, &mut self.header] {
                    if *field == FULL {
                        *field = numbers.next()?;
                    }
                }
                return Some(());
            }
            extra = rest;
        }
        None
    }
}

impl<R> Member<R> {
    pub(super) fn is_stored(&self) -> bool {
        self.method == STORED
    }
}

impl<'data, R: ReadRef<'data>> Member<R> {
    /// How many bytes unpacking it takes at most, whether or not it ends well.
    pub(super) fn cost(&self) -> u64 {
        self.size.max(self.data.length())
    }

    /// The bytes, no more than [`Member::cost`] of them.
    pub(super) fn unpack(&self) -> Result<Vec<u8>, String> {
        let packed = self.data.length();
        let bytes = self
            .data
            .bytes(0, packed)
            .ok_or_else(|| "cannot be read".to_owned())?;
        if self.method == STORED {
            return Ok(bytes.to_vec());
        }
        let mut out = Vec::new();
        DeflateDecoder::new(bytes)
            .take(self.size.saturating_add(1))
            .read_to_end(&mut out)
            .map_err(|error| format!("cannot be unpacked: {error}"))?;
        if out.len() as u64 != self.size {
            return Err("has another size than the directory says".to_owned());
        }
        Ok(out)
    }
}

/// The last end of a directory, and where it is. As a rule nothing follows it.
fn find_end<'data, R: ReadRef<'data>>(window: Window<R>) -> Option<(u64, &'data [u8])> {
    const MAGIC: &[u8] = b"PK\x05\x06";
    let at = window.length().checked_sub(END)?;
    let bytes = window.bytes(at, END)?;
    if bytes.starts_with(MAGIC) && u16_at(bytes, 20) == 0 {
        return Some((at, bytes));
    }
    let tail = window.length().min(END + COMMENT);
    let start = window.length() - tail;
    let bytes = window.bytes(start, tail)?;
    memmem::rfind_iter(bytes, MAGIC).find_map(|at| {
        let end = bytes.get(at..at + usize::try_from(END).ok()?)?;
        let comment = usize::from(u16_at(end, 20));
        (bytes.len() - at - end.len() >= comment).then_some((start + at as u64, end))
    })
}

/// The end of a directory with large numbers, and where it is.
fn find_end_64<'data, R: ReadRef<'data>>(
    window: Window<R>,
    end: u64,
) -> Option<(u64, &'data [u8])> {
    let locator = end.checked_sub(LOCATOR)?;
    let bytes = window.bytes(locator, LOCATOR)?;
    if !bytes.starts_with(b"PK\x06\x07") {
        return None;
    }
    // Where it says; or just before, if something stands before the archive.
    [Some(u64_at(bytes, 8)), locator.checked_sub(END_64)]
        .into_iter()
        .flatten()
        .find_map(|at| {
            let bytes = window.bytes(at, END_64)?;
            bytes.starts_with(b"PK\x06\x06").then_some((at, bytes))
        })
}

// The callers have checked the length.
fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}
