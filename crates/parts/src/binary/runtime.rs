//! Language runtimes that say in their own bytes which version they are: Node.js, which editors and
//! test drivers bring along, and Rust's standard library.
//!
//! Only files that are called as a runtime is are searched, and only in the section where it writes
//! its version: a name in some other program's text is no runtime.

use memchr::memmem::Finder;
use object::ReadRef;

use super::Window;
use super::image::{Image, Region};
use crate::part::{Declared, Scope};
use crate::read::{Draft, Sink};

/// A runtime.
struct Runtime {
    /// As Nixpkgs calls the package.
    name: &'static str,
    /// Whether a file is called as it is.
    is_called: fn(&str) -> bool,
    /// Where it writes its version.
    section: fn(&Image) -> Option<Region>,
    /// What stands before the version there.
    marker: &'static [u8],
}

const RUNTIMES: [Runtime; 2] = [
    Runtime {
        name: "nodejs",
        is_called: |file| matches!(file, "node" | "nodejs"),
        section: |image| image.constants,
        marker: b"node.js/v",
    },
    Runtime {
        name: "rustc",
        // The `.comment` of any program names its compiler; only the library is the library.
        is_called: |file| file.starts_with("libstd-") && file.ends_with(".so"),
        section: |image| image.comment,
        marker: b"rustc version ",
    },
];

/// As much of a section is searched, in pieces of [`PIECE`]: Node.js 24 has 55 MB of constants, and
/// its version in the first ten.
const MOST: u64 = 128 << 20;
const PIECE: u64 = 1 << 20;
/// The marker and a version fit into this; pieces overlap by it.
const OVERLAP: u64 = 64;
/// The longest version.
const LONGEST: usize = 32;

/// Adds the runtime that a program is, if it is one and says so.
pub(super) fn read<'data, R: ReadRef<'data>>(
    data: Window<R>,
    path: &str,
    image: &Image,
    sink: &mut Sink,
) {
    let file = path.rsplit('/').next().unwrap_or(path);
    for runtime in RUNTIMES.iter().filter(|runtime| (runtime.is_called)(file)) {
        let Some((offset, version)) =
            (runtime.section)(image).and_then(|section| find(data, section, runtime.marker))
        else {
            continue;
        };
        let length = runtime.marker.len() + version.len();
        let span = data.span(offset, length as u64);
        let draft = Draft::new("generic", runtime.name, version, span).scope(Scope::Runtime);
        sink.add(Declared::Runtime, draft);
    }
}

/// The first version after a marker, and where the marker stands.
fn find<'data, R: ReadRef<'data>>(
    data: Window<R>,
    section: Region,
    marker: &[u8],
) -> Option<(u64, &'data str)> {
    let finder = Finder::new(marker);
    let searched = section.length.min(MOST);
    let mut from = 0;
    while from < searched {
        let offset = section.offset.checked_add(from)?;
        let piece = data.bytes(offset, (PIECE + OVERLAP).min(searched - from))?;
        for at in finder.find_iter(piece) {
            if let Some(version) = version(&piece[at + marker.len()..]) {
                return Some((offset + at as u64, version));
            }
        }
        from += PIECE;
    }
    None
}

/// Three numbers with dots, at the beginning.
fn version(bytes: &[u8]) -> Option<&str> {
    let is_of_it = |byte: &u8| byte.is_ascii_digit() || *byte == b'.';
    let end = bytes
        .iter()
        .take(LONGEST)
        .take_while(|byte| is_of_it(byte))
        .count();
    let text = std::str::from_utf8(&bytes[..end]).ok()?;
    let mut numbers = text.split('.');
    let is_three = numbers.clone().count() == 3 && numbers.all(|number| !number.is_empty());
    is_three.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_three_numbers() {
        assert_eq!(version(b"24.19.0\0"), Some("24.19.0"));
        assert_eq!(version(b"24.19.0Protocol-Version"), Some("24.19.0"));
        assert_eq!(version(b"1.95.0 (59807616e)"), Some("1.95.0"));
        for other in [&b"24.19"[..], b"24..0", b".1.2.3", b"x", b""] {
            assert_eq!(version(other), None);
        }
    }

    #[test]
    fn a_marker_may_stand_across_pieces() {
        for at in [PIECE - 12, PIECE - 4, PIECE, PIECE + 40, 2 * PIECE - 1] {
            let mut bytes = vec![0; 3 << 20];
            let text = b"node.js/v24.19.0";
            let start = usize::try_from(at).unwrap();
            bytes[start..start + text.len()].copy_from_slice(text);
            let whole = Region {
                address: 0,
                offset: 0,
                length: bytes.len() as u64,
            };
            let data = Window::new(&bytes[..]).unwrap();
            assert_eq!(find(data, whole, b"node.js/v"), Some((at, "24.19.0")));
        }
    }
}
