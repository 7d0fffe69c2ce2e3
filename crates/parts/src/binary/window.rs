//! A part of a file that is read as if it were one.

use std::ops::Range;

use object::ReadRef;

use crate::part::Span;
use crate::read::PartsError;

/// Bytes of a file from an offset on: one architecture of several, a stored member of an archive.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window<R> {
    data: R,
    start: u64,
    length: u64,
}

impl<'data, R: ReadRef<'data>> Window<R> {
    pub(crate) fn new(data: R) -> Result<Self, PartsError> {
        let length = data.len().map_err(|()| PartsError::Unreadable)?;
        Ok(Self {
            data,
            start: 0,
            length,
        })
    }

    /// A window in this window, if it lies within it.
    pub(crate) fn within(self, offset: u64, length: u64) -> Option<Self> {
        let end = offset.checked_add(length)?;
        let start = self.start.checked_add(offset)?;
        (end <= self.length).then_some(Self {
            data: self.data,
            start,
            length,
        })
    }

    pub(crate) fn length(self) -> u64 {
        self.length
    }

    /// Some of the bytes, if they are there.
    pub(crate) fn bytes(self, offset: u64, length: u64) -> Option<&'data [u8]> {
        self.read_bytes_at(offset, length).ok()
    }

    /// Where bytes of this window stand in the whole file.
    pub(crate) fn span(self, offset: u64, length: u64) -> Span {
        Span::Bytes(self.start.saturating_add(offset), length)
    }
}

impl<'data, R: ReadRef<'data>> ReadRef<'data> for Window<R> {
    fn len(self) -> Result<u64, ()> {
        Ok(self.length)
    }

    fn read_bytes_at(self, offset: u64, size: u64) -> Result<&'data [u8], ()> {
        let window = self.within(offset, size).ok_or(())?;
        self.data.read_bytes_at(window.start, size)
    }

    fn read_bytes_at_until(self, range: Range<u64>, delimiter: u8) -> Result<&'data [u8], ()> {
        let length = range.end.checked_sub(range.start).ok_or(())?;
        let window = self.within(range.start, length).ok_or(())?;
        let range = window.start..window.start + length;
        self.data.read_bytes_at_until(range, delimiter)
    }
}
