//! A source of bytes that gives only so many.
//!
//! What is asked of a file through a cache stays in memory until the file is done. Headers of a
//! hostile file can ask for the same bytes again and again, each time from another offset; those of a
//! real one ask for each byte about once.

use std::cell::Cell;
use std::ops::Range;

use object::ReadRef;

/// As much of a name is searched for its end by [`object::ReadCache`].
const LONGEST_STRING: u64 = 4096;
/// What a small file may be asked for beyond its own length.
const SLACK: u64 = 1 << 20;

/// How many bytes may still be asked for.
#[derive(Debug)]
pub(crate) struct Meter {
    left: Cell<u64>,
    refused: Cell<bool>,
}

impl Meter {
    /// Twice what the file has, and no more than a limit.
    pub(crate) fn new(length: u64, limit: u64) -> Self {
        let most = length.saturating_mul(2).saturating_add(SLACK).min(limit);
        Self {
            left: Cell::new(most),
            refused: Cell::new(false),
        }
    }

    /// Whether more was asked for than there was to give.
    pub(crate) fn is_exceeded(&self) -> bool {
        self.refused.get()
    }

    fn spend(&self, bytes: u64) -> Result<(), ()> {
        let left = self.left.get().checked_sub(bytes);
        self.refused.set(self.refused.get() || left.is_none());
        self.left.set(left.unwrap_or(0));
        left.map(drop).ok_or(())
    }
}

/// Bytes of which no more are given than the meter has left.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Metered<'m, R> {
    pub(crate) data: R,
    pub(crate) meter: &'m Meter,
}

impl<'data, R: ReadRef<'data>> ReadRef<'data> for Metered<'_, R> {
    fn len(self) -> Result<u64, ()> {
        self.data.len()
    }

    fn read_bytes_at(self, offset: u64, size: u64) -> Result<&'data [u8], ()> {
        // What is not there is not read, and costs nothing.
        let end = offset.checked_add(size).ok_or(())?;
        if end > self.data.len()? {
            return Err(());
        }
        self.meter.spend(size)?;
        self.data.read_bytes_at(offset, size)
    }

    fn read_bytes_at_until(self, range: Range<u64>, delimiter: u8) -> Result<&'data [u8], ()> {
        let most = range.end.saturating_sub(range.start).min(LONGEST_STRING);
        let found = self.data.read_bytes_at_until(range, delimiter);
        self.meter
            .spend(found.map_or(most, |found| found.len() as u64))?;
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_given_than_the_meter_has() {
        let bytes = [7; 100];
        let meter = Meter::new(100, 150);
        let data = Metered {
            data: &bytes[..],
            meter: &meter,
        };
        assert!(data.read_bytes_at(0, 101).is_err());
        assert_eq!(data.read_bytes_at(0, 100).map(<[u8]>::len), Ok(100));
        assert_eq!(data.read_bytes_at(1, 50).map(<[u8]>::len), Ok(50));
        assert!(!meter.is_exceeded());
        assert!(data.read_bytes_at(2, 1).is_err());
        assert!(meter.is_exceeded());
    }

    #[test]
    fn names_without_an_end_cost_as_well() {
        let bytes = [7; 100];
        let meter = Meter::new(100, 250);
        let data = Metered {
            data: &bytes[..],
            meter: &meter,
        };
        assert!(data.read_bytes_at_until(0..100, 0).is_err());
        assert_eq!(meter.left.get(), 150);
        assert_eq!(data.read_bytes_at_until(0..100, 7), Ok(&[][..]));
        assert_eq!(meter.left.get(), 150);
    }
}
