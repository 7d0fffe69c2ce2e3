//! WebAssembly modules: a list of sections, of which custom ones have names.
//!
//! Source: WebAssembly core specification, binary format of modules.

use object::ReadRef;

use super::Window;
use super::image::{AUDITABLE, Region};
use crate::read::PartsError;

/// More sections are not looked at.
const MOST_SECTIONS: usize = 100_000;

/// Whether this is a module, by its first bytes.
pub(super) fn is_module<'data, R: ReadRef<'data>>(data: Window<R>) -> bool {
    data.bytes(0, 4) == Some(b"\0asm")
}

/// The section of cargo-auditable of a module, if it has it. Those of other compilers do not, and
/// nothing is wrong with them.
pub(super) fn auditable<'data, R: ReadRef<'data>>(
    data: Window<R>,
) -> Result<Option<Region>, PartsError> {
    let mut at = 8;
    for _ in 0..MOST_SECTIONS {
        if at >= data.length() {
            break;
        }
        let id = data.bytes(at, 1).ok_or(PartsError::Unreadable)?[0];
        let (size, body) = uleb32(data, at + 1).ok_or_else(malformed)?;
        if id == 0 {
            let (name, rest) = uleb32(data, body).ok_or_else(malformed)?;
            if name == AUDITABLE.len() as u64 && data.bytes(rest, name) == Some(AUDITABLE) {
                let length = (body + size)
                    .checked_sub(rest + name)
                    .ok_or_else(malformed)?;
                let region = Region {
                    address: 0,
                    offset: rest + name,
                    length,
                };
                return Ok(Some(region));
            }
        }
        at = body + size;
    }
    Ok(None)
}

fn malformed() -> PartsError {
    PartsError::Malformed {
        format: "a WebAssembly module",
        what: "a section has no size".to_owned(),
    }
}

/// A number in LEB128 of at most 32 bits, and what follows it.
fn uleb32<'data, R: ReadRef<'data>>(data: Window<R>, at: u64) -> Option<(u64, u64)> {
    let mut value = 0;
    for index in 0..5 {
        let byte = data.bytes(at + index, 1)?[0];
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            return Some((value, at + index + 1));
        }
    }
    None
}
