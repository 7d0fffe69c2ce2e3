//! Writes a copy of a file in which only the bytes that the reader asks for are left, and zeros
//! elsewhere; and says how many there are. This is how fixtures are made of programs.
//!
//! `cargo run -p snowguard-parts --example hollow -- FILE COPY`

use std::cell::RefCell;
use std::ops::Range;

use object::ReadRef;
use snowguard_parts::{HEAD, Limits, kind_of, read};

/// Bytes that remember which of them were asked for.
#[derive(Clone, Copy)]
struct Asked<'a> {
    bytes: &'a [u8],
    ranges: &'a RefCell<Vec<Range<u64>>>,
}

impl<'a> ReadRef<'a> for Asked<'a> {
    fn len(self) -> Result<u64, ()> {
        self.bytes.len().try_into().map_err(|_| ())
    }

    fn read_bytes_at(self, offset: u64, size: u64) -> Result<&'a [u8], ()> {
        let bytes = self.bytes.read_bytes_at(offset, size)?;
        self.ranges.borrow_mut().push(offset..offset + size);
        Ok(bytes)
    }

    fn read_bytes_at_until(self, range: Range<u64>, delimiter: u8) -> Result<&'a [u8], ()> {
        let start = range.start;
        let bytes = self.bytes.read_bytes_at_until(range, delimiter)?;
        let end = start + bytes.len() as u64 + 1;
        self.ranges.borrow_mut().push(start..end);
        Ok(bytes)
    }
}

#[expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "an example reads files and prints"
)]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(from), Some(to)) = (arguments.next(), arguments.next()) else {
        return Err("two files".into());
    };
    let bytes = std::fs::read(&from)?;
    let head = &bytes[..bytes.len().min(HEAD)];
    let kind = kind_of(from.trim_start_matches('/'), head).ok_or("declares nothing")?;
    let ranges = RefCell::default();
    let asked = Asked {
        bytes: &bytes,
        ranges: &ranges,
    };
    let parts = read(kind, &from, asked, &Limits::default())?;
    let mut copy = vec![0; bytes.len()];
    for range in ranges.take() {
        let range = usize::try_from(range.start)?..usize::try_from(range.end)?;
        copy[range.clone()].copy_from_slice(&bytes[range]);
    }
    if read(kind, &from, &*copy, &Limits::default())? != parts {
        return Err("the copy declares something else".into());
    }
    let left = copy.iter().filter(|byte| **byte != 0).count();
    println!(
        "{} parts, {left} of {} bytes",
        parts.parts.len(),
        bytes.len()
    );
    std::fs::write(to, copy)?;
    Ok(())
}
