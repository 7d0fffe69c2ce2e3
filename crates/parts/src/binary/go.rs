//! The build information that the Go linker writes into programs.
//!
//! A header of 32 bytes: magic, size of a pointer, flags. Since Go 1.18 two strings follow, each
//! with its length; before, the header holds pointers to two strings as they are in memory. The
//! first string is the version of Go, the second the modules, between two marks of 16 bytes.
//!
//! Source: `debug/buildinfo` and `runtime/debug/mod.go` of Go.

use memchr::memmem;
use object::ReadRef;

use super::Window;
use super::image::{Image, Region};
use crate::part::{Declared, Origin, Scope, Span};
use crate::read::{Draft, Sink};

const MAGIC: &[u8] = b"\xff Go buildinf:";
const HEADER: u64 = 32;
const ALIGN: usize = 16;
/// How much of a data segment is searched. The linker puts the header near the beginning.
const SEARCHED: u64 = 1 << 20;
/// How much of all of them. Linkers make one, or two where some of it is read-only in the end.
const SEARCHED_IN_ALL: u64 = 4 << 20;
/// How much of it is asked for at once: a multiple of [`ALIGN`].
const CHUNK: u64 = 1 << 14;
/// The marks around the list of modules.
const MARK: usize = 16;

/// Adds Go's standard library and the modules, if there are any.
pub(super) fn read<'data, R: ReadRef<'data>>(data: Window<R>, image: &Image, sink: &mut Sink) {
    let mut left = SEARCHED_IN_ALL;
    for region in &image.go {
        let searched = left.min(SEARCHED).min(region.length);
        left -= searched;
        let Some(at) = find(data, *region, searched) else {
            if image.go_section {
                let span = data.span(region.offset, region.length);
                sink.problem(span, "the section of Go's build information has none");
            }
            continue;
        };
        match Info::read(data, image, at, sink.limits.text) {
            Some(info) => info.add(data, at, sink),
            None => {
                let span = data.span(at, HEADER);
                sink.problem(span, "Go's build information points beyond the file");
            }
        }
        return;
    }
}

/// Where the header is. Chunk by chunk, since it is near the beginning as a rule; it is aligned, so
/// that it does not cross from one chunk to the next.
fn find<'data, R: ReadRef<'data>>(data: Window<R>, region: Region, most: u64) -> Option<u64> {
    let end = data.length().saturating_sub(region.offset).min(most);
    let mut at = 0;
    while at < end {
        let length = (end - at).min(CHUNK);
        let offset = region.offset.checked_add(at)?;
        let bytes = data.bytes(offset, length)?;
        let found = memmem::find_iter(bytes, MAGIC).find(|at| at.is_multiple_of(ALIGN));
        if let Some(found) = found {
            return offset.checked_add(found as u64);
        }
        at += length;
    }
    None
}

/// A string and where it stands.
#[derive(Clone, Copy)]
struct Text<'data> {
    bytes: &'data [u8],
    offset: u64,
}

struct Info<'data> {
    go: Text<'data>,
    modules: Text<'data>,
}

impl<'data> Info<'data> {
    fn read<R: ReadRef<'data>>(
        data: Window<R>,
        image: &Image,
        at: u64,
        limit: u64,
    ) -> Option<Self> {
        let header = data.bytes(at, HEADER)?;
        let (pointer, flags) = (header[14], header[15]);
        if flags & 2 != 0 {
            let (go, next) = inline(data, at + HEADER, limit)?;
            let (modules, _) = inline(data, next, limit)?;
            return Some(Self { go, modules });
        }
        let memory = Memory {
            data,
            image,
            pointer: match pointer {
                4 => 4,
                8 => 8,
                _ => return None,
            },
            big: flags & 1 != 0,
            limit,
        };
        let go = memory.string(memory.number(&header[16..])?)?;
        // A program without modules has an empty string, or none.
        let none = Text {
            bytes: &[],
            offset: at,
        };
        let modules = memory
            .number(&header[16 + memory.pointer..])
            .and_then(|address| memory.string(address))
            .unwrap_or(none);
        Some(Self { go, modules })
    }

    fn add<R: ReadRef<'data>>(&self, data: Window<R>, at: u64, sink: &mut Sink) {
        let go = String::from_utf8_lossy(self.go.bytes);
        let span = data.span(self.go.offset, self.go.bytes.len() as u64);
        match standard_library(&go) {
            Some(version) => {
                let draft = Draft::new("golang", "stdlib", &version, span).scope(Scope::Runtime);
                sink.add(Declared::GoBuildInfo, draft);
            }
            None => sink.problem(span, format!("built by no released Go: {}", short(&go))),
        }
        let modules = self.modules.bytes;
        let framed = modules.len() > 2 * MARK && modules[modules.len() - MARK - 1] == b'\n';
        if !framed {
            if !modules.is_empty() {
                sink.problem(data.span(at, HEADER), "Go's list of modules has no end");
            }
            return;
        }
        let text = Text {
            bytes: &modules[MARK..modules.len() - MARK],
            offset: self.modules.offset + MARK as u64,
        };
        modules_of(data, text, sink);
    }
}

/// Adds the modules of the lines `mod`, `dep` and `=>`.
fn modules_of<'data, R: ReadRef<'data>>(data: Window<R>, text: Text<'data>, sink: &mut Sink) {
    let mut waiting: Option<Module<'_>> = None;
    let mut offset = text.offset;
    for line in text.bytes.split_inclusive(|byte| *byte == b'\n') {
        let span = data.span(offset, line.len() as u64);
        offset += line.len() as u64;
        let Ok(line) = std::str::from_utf8(line) else {
            sink.problem(span, "a line of Go's list of modules is not text");
            continue;
        };
        let mut fields = line.trim_end_matches(['\n', '\r']).split('\t');
        let word = fields.next().unwrap_or_default();
        let mut module = Module {
            path: fields.next().unwrap_or_default(),
            version: fields.next().unwrap_or_default(),
            sum: fields.next().filter(|sum| !sum.is_empty()),
            main: word == "mod",
            span,
        };
        match word {
            "mod" | "dep" => {
                if let Some(module) = waiting.replace(module) {
                    module.add(None, sink);
                }
            }
            "=>" => {
                if let Some(replaced) = waiting.take() {
                    module.main = replaced.main;
                    module.add(Some(&replaced), sink);
                } else {
                    sink.problem(
                        span,
                        "a replacement in Go's list of modules replaces nothing",
                    );
                }
            }
            // `path` is a package within the main module; `build` tells settings.
            _ => {}
        }
    }
    if let Some(module) = waiting {
        module.add(None, sink);
    }
}

struct Module<'a> {
    path: &'a str,
    version: &'a str,
    sum: Option<&'a str>,
    main: bool,
    span: Span,
}

impl Module<'_> {
    fn add(&self, replaced: Option<&Module<'_>>, sink: &mut Sink) {
        let name_of = replaced.map(|module| format!("{}@{}", module.path, module.version));
        // A replacement by a directory has a path and no version: it is the module that was asked
        // for, but from where only the builder knows.
        let local = replaced.filter(|_| is_directory(self.path));
        let (path, version) = local.map_or((self.path, self.version), |module| {
            (module.path, module.version)
        });
        // Old linkers leave the main module's version out.
        let version = if version.is_empty() {
            "(devel)"
        } else {
            version
        };
        let draft = Draft {
            root: self.main,
            scope: Scope::Runtime,
            origin: if local.is_some() {
                Origin::Local
            } else {
                Origin::Registry
            },
            replaces: name_of.as_deref().filter(|_| local.is_none()),
            checksum: self.sum,
            ..Draft::new("golang", path, version, self.span)
        };
        sink.add(Declared::GoBuildInfo, draft);
    }
}

/// Whether the path of a replacement is a directory, as `go.mod` tells it: it begins with `.` or
/// `/`, or with a drive.
pub(crate) fn is_directory(path: &str) -> bool {
    path.starts_with(['.', '/']) || path.as_bytes().get(1..3) == Some(br":\")
}

/// The version of the standard library, as advisories write it: `go1.19.8` is `1.19.8`, `go1.20rc1`
/// is `1.20.0-rc.1`. None for builds from Go's repository.
///
/// What follows the first space are experiments and vendors' words: `go1.21.5 X:boringcrypto`.
pub(crate) fn standard_library(go: &str) -> Option<String> {
    let text = go.trim().split(' ').next()?.strip_prefix("go")?;
    // Vendors append theirs: `1.22.1-fips`, `1.20.3+somebody`.
    let text = text.split(['-', '+']).next()?;
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.');
    let (release, pre) = text.split_at(end.unwrap_or(text.len()));
    let whole = release
        .split('.')
        .all(|part| !part.is_empty() && part.len() <= 9);
    if !whole || release.split('.').count() > 3 {
        return None;
    }
    if pre.is_empty() {
        return Some(release.to_owned());
    }
    let (word, number) = pre.split_at(pre.find(|c: char| c.is_ascii_digit())?);
    let known = matches!(word, "rc" | "beta") && number.bytes().all(|byte| byte.is_ascii_digit());
    let zeros = ".0".repeat(3 - release.split('.').count());
    known.then(|| format!("{release}{zeros}-{word}.{number}"))
}

/// A string after its length, and what follows it.
fn inline<'data, R: ReadRef<'data>>(
    data: Window<R>,
    at: u64,
    limit: u64,
) -> Option<(Text<'data>, u64)> {
    let mut length: u64 = 0;
    for index in 0..10 {
        let byte = data.bytes(at + index, 1)?[0];
        length |= u64::from(byte & 0x7f).checked_shl(7 * u32::try_from(index).ok()?)?;
        if byte < 0x80 {
            let offset = at + index + 1;
            let bytes = data.bytes(offset, length).filter(|_| length <= limit)?;
            return Some((Text { bytes, offset }, offset + length));
        }
    }
    None
}

/// The program as it is in memory, before relocation.
struct Memory<'a, R> {
    data: Window<R>,
    image: &'a Image,
    pointer: usize,
    big: bool,
    limit: u64,
}

impl<'data, R: ReadRef<'data>> Memory<'_, R> {
    /// The number at the beginning of some bytes, of the size of a pointer.
    fn number(&self, bytes: &[u8]) -> Option<u64> {
        let bytes = bytes.get(..self.pointer)?;
        let digit = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        Some(if self.big {
            bytes.iter().fold(0, digit)
        } else {
            bytes.iter().rev().fold(0, digit)
        })
    }

    /// The string whose header, pointer and length, is at an address.
    fn string(&self, address: u64) -> Option<Text<'data>> {
        let size = self.pointer as u64;
        let header = self.data.bytes(self.offset(address, 2 * size)?, 2 * size)?;
        let length = self.number(&header[self.pointer..])?;
        if length > self.limit {
            return None;
        }
        let offset = self.offset(self.number(header)?, length)?;
        let bytes = self.data.bytes(offset, length)?;
        Some(Text { bytes, offset })
    }

    /// Where in the file some memory is.
    fn offset(&self, address: u64, length: u64) -> Option<u64> {
        self.image.mapped.iter().find_map(|region| {
            let within = address.checked_sub(region.address)?;
            let end = within.checked_add(length)?;
            (end <= region.length).then(|| region.offset.checked_add(within))?
        })
    }
}

fn short(text: &str) -> String {
    text.chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_go_are_those_of_its_standard_library() {
        let version = |text| standard_library(text);
        assert_eq!(version("go1.19.8").as_deref(), Some("1.19.8"));
        assert_eq!(
            version("go1.21.5 X:boringcrypto").as_deref(),
            Some("1.21.5")
        );
        assert_eq!(version("go1.22.1-fips").as_deref(), Some("1.22.1"));
        assert_eq!(version("go1.20rc1").as_deref(), Some("1.20.0-rc.1"));
        assert_eq!(version("go1.21.0beta2").as_deref(), Some("1.21.0-beta.2"));
        assert_eq!(version("go1").as_deref(), Some("1"));
        assert_eq!(version("devel go1.20-9c9c2a2 Tue Nov 1"), None);
        assert_eq!(version("go"), None);
        assert_eq!(version("go1.."), None);
        assert_eq!(version("go1.2.3.4"), None);
        assert_eq!(version(""), None);
    }

    #[test]
    fn directories_replace_modules() {
        for path in ["./x", "../x", "/src/x", r"C:\x"] {
            assert!(is_directory(path), "{path}");
        }
        assert!(!is_directory("github.com/a/b"));
    }
}
