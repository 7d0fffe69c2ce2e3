//! Which files are worth reading, by name and first bytes.

use serde::{Deserialize, Serialize};

/// A format that declares parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Kind {
    /// An executable or a library: ELF, PE, Mach-O, WebAssembly.
    Executable,
}

/// How many first bytes [`kind_of`] looks at, at most. Fewer are enough if the file has no more.
pub const HEAD: usize = 64;

/// The format of a file, if it may declare parts.
///
/// `path` is relative, with `/`; if the walk starts at a file, it is the file's name. `head` is the
/// first [`HEAD`] bytes. Only names and magic numbers are looked at, so that a walk can ask for
/// every file; the answer promises nothing about the rest of the bytes.
pub fn kind_of(_path: &str, head: &[u8]) -> Option<Kind> {
    is_executable(head).then_some(Kind::Executable)
}

fn is_executable(head: &[u8]) -> bool {
    match head {
        [0x7f, b'E', b'L', b'F', ..]
        // Mach-O: 32 and 64 bits, either byte order.
        | [0xfe, 0xed, 0xfa, 0xce | 0xcf, ..]
        | [0xce | 0xcf, 0xfa, 0xed, 0xfe, ..]
        | [0x00, b'a', b's', b'm', ..] => true,
        // Several architectures in one file; Java classes begin alike, with their version (45 and
        // up) where the number of architectures stands here.
        [0xca, 0xfe, 0xba, 0xbe | 0xbf, 0, 0, 0, count, ..] => (1..45).contains(count),
        // The MS-DOS header, with the offset of the real one.
        [b'M', b'Z', ..] => head.len() >= 64,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executables_by_magic() {
        let executable = |head: &[u8]| kind_of("bin/x", head) == Some(Kind::Executable);
        assert!(executable(b"\x7fELF\x02\x01"));
        assert!(executable(b"\0asm\x01\0\0\0"));
        assert!(executable(b"\xcf\xfa\xed\xfe"));
        assert!(executable(b"\xca\xfe\xba\xbe\0\0\0\x02"));
        assert!(!executable(b"\xca\xfe\xba\xbe\0\0\0\x34"));
        assert!(!executable(b"MZ is not a program"));
        assert!(!executable(b"#!/bin/sh"));
    }
}
