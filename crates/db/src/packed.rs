//! Many small bodies, packed one by one: each thread keeps what packs and unpacks, since making that anew
//! takes longer than a body does.

use std::cell::RefCell;
use std::io;

use zstd::bulk::{Compressor, Decompressor};

/// Packs bytes; equal bytes give equal ones. Not a byte in reserve: whoever packs many keeps them for a while.
pub(crate) fn pack(bytes: &[u8], level: i32) -> io::Result<Vec<u8>> {
    thread_local! {
        static PACKER: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    }
    PACKER.with_borrow_mut(|packer| {
        let packer = match packer {
            Some(packer) => packer,
            None => packer.insert(Compressor::new(level)?),
        };
        packer.set_compression_level(level)?;
        let mut packed = packer.compress(bytes)?;
        // It was made for what does not pack at all.
        packed.shrink_to_fit();
        Ok(packed)
    })
}

/// Unpacks bytes that say how long they were; nothing if they were longer than `longest`, or do not say.
pub(crate) fn unpack(bytes: &[u8], longest: usize) -> io::Result<Option<Vec<u8>>> {
    thread_local! {
        static UNPACKER: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
    }
    let length = Decompressor::upper_bound(bytes).filter(|length| *length <= longest);
    let Some(length) = length else {
        return Ok(None);
    };
    UNPACKER.with_borrow_mut(|unpacker| {
        let unpacker = match unpacker {
            Some(unpacker) => unpacker,
            None => unpacker.insert(Decompressor::new()?),
        };
        unpacker.decompress(bytes, length).map(Some)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_unpacked_as_they_were_packed_whatever_came_before() {
        let one = b"one and one and one".repeat(9);
        let first = pack(&one, 3).unwrap();
        assert_eq!(unpack(&first, 4096).unwrap().unwrap(), one);
        let other = pack(b"", 6).unwrap();
        assert_eq!(unpack(&other, 4096).unwrap().unwrap(), b"");
        let cut = &first[..first.len() - 1];
        assert!(!matches!(unpack(cut, 4096), Ok(Some(_))));
        let mut damaged = first.clone();
        damaged.iter_mut().skip(8).for_each(|byte| *byte = 0xff);
        assert!(!matches!(unpack(&damaged, 4096), Ok(Some(_))));
        assert_eq!(unpack(&first, 4096).unwrap().unwrap(), one);
        assert_eq!(pack(&one, 3).unwrap(), first);
        assert_eq!(unpack(&first, 20).unwrap(), None);
        assert_eq!(unpack(b"nothing", 4096).unwrap(), None);
    }
}
