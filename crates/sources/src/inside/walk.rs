//! The walk over the files of one object or directory, on all cores.
//!
//! Links are not followed, and nothing but regular files is opened. A file is opened only if its
//! name, or the lack of a name that speaks against it, allows that it declares something; of most
//! that are opened, only the first bytes are read.

use std::ffi::OsStr;
use std::fs::{DirEntry, File, Metadata, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use object::read::ReadCache;
use rayon::Scope;
use rustc_hash::FxHashMap;
use rustix::fs::OFlags;
use snowguard_parts::{HEAD, Kind, Part, Parts, PartsError, kind_of};

use super::look::{self, Look};
use super::stamp::Stamp;
use super::{DeepLimits, Effort};

/// Walks over what lies at a path. `name` is how it is called: that of a store object is without
/// the digest.
///
/// `known` are files of an earlier walk, by path: one that is as it was is not read again. With
/// `stamps`, the state of all that was considered is noted, so that it can be.
pub(crate) fn walk(
    root: &Path,
    name: &[u8],
    limits: &DeepLimits,
    effort: &Effort,
    known: Option<&FxHashMap<&[u8], &look::File>>,
    stamps: bool,
) -> io::Result<Look> {
    let metadata = root.symlink_metadata()?;
    let walk = Walk {
        name,
        device: metadata.dev(),
        limits,
        effort,
        known,
        stamps,
        entries: AtomicUsize::new(0),
        declarations: AtomicUsize::new(0),
        found: Mutex::default(),
    };
    if metadata.is_file() {
        walk.file(root, Vec::new());
    } else if metadata.is_dir() {
        rayon::scope(|scope| walk.directory(scope, root, Vec::new()));
    }
    let mut look = walk
        .found
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    look.files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    look.directories.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    Ok(look)
}

struct Walk<'w> {
    name: &'w [u8],
    device: u64,
    limits: &'w DeepLimits,
    effort: &'w Effort,
    known: Option<&'w FxHashMap<&'w [u8], &'w look::File>>,
    stamps: bool,
    entries: AtomicUsize,
    declarations: AtomicUsize,
    found: Mutex<Look>,
}

impl Walk<'_> {
    fn directory<'s>(&'s self, scope: &Scope<'s>, path: &Path, relative: Vec<u8>) {
        if self.stamps {
            match path.symlink_metadata() {
                // What is mounted below is another matter, and may be `/proc`.
                Ok(metadata) if metadata.dev() != self.device => {
                    return self.problem(relative, "another file system is mounted there");
                }
                Ok(metadata) => {
                    self.with(|found| {
                        let path = relative.clone().into_boxed_slice();
                        let stamp = settled(&metadata).unwrap_or(Stamp::NONE);
                        found.directories.push((path, stamp));
                    });
                }
                Err(error) => return self.problem(relative, &error.to_string()),
            }
        }
        let entries = match std::fs::read_dir(path) {
            Ok(entries) => entries,
            Err(error) => return self.problem(relative, &error.to_string()),
        };
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => return self.problem(relative, &error.to_string()),
            };
            if self.entries.fetch_add(1, Ordering::Relaxed) >= self.limits.entries {
                let limit = self.limits.entries;
                return self.cut_short(&format!("more than {limit} directory entries"));
            }
            self.entry(scope, &entry, &relative);
        }
    }

    fn entry<'s>(&'s self, scope: &Scope<'s>, entry: &DirEntry, above: &[u8]) {
        let name = entry.file_name();
        let name = name.as_bytes();
        let Ok(kind) = entry.file_type() else {
            return self.problem(join(above, name), "it vanished");
        };
        if kind.is_dir() {
            // What a version control system keeps are its own files.
            if !matches!(name, b".git" | b".hg" | b".svn") {
                let (path, relative) = (entry.path(), join(above, name));
                scope.spawn(move |scope| self.directory(scope, &path, relative));
            }
        } else if kind.is_file() {
            let relative = join(above, name);
            if may_declare(&relative) || (self.stamps && self.is_told_by_root(&relative)) {
                self.file(&entry.path(), relative);
            }
        }
    }

    /// Looks into a file.
    fn file(&self, path: &Path, relative: Vec<u8>) {
        let mut stamp = None;
        if self.stamps {
            let Ok(metadata) = path.symlink_metadata() else {
                return self.problem(relative, "it vanished");
            };
            let now = Stamp::of(&metadata);
            if let Some(known) = self.known.and_then(|known| known.get(&*relative))
                && known.stamp == Some(now)
            {
                let known = look::File::clone(known);
                return self.add(known);
            }
            stamp = settled(&metadata);
        }
        let told_by = self.name_of(&relative);
        let (parts, problem) = match self.read(path, &told_by) {
            Ok(parts) => {
                let problem = parts.problems.first().map(|problem| {
                    let more = parts.problems.len() - 1;
                    match more {
                        0 => problem.what.clone(),
                        more => format!("{}, and {more} more", problem.what).into(),
                    }
                });
                (parts.parts.into_iter().map(kept).collect(), problem)
            }
            Err(Failure::System(error)) => return self.problem(relative, &error.to_string()),
            Err(Failure::Content(error)) => (Vec::new(), Some(error.to_string().into())),
        };
        self.add(look::File {
            path: relative.into(),
            stamp,
            parts,
            problem,
            failed: false,
        });
    }

    fn is_told_by_root(&self, relative: &[u8]) -> bool {
        kind_of(&self.name_of(relative), &[]).is_some()
    }

    /// By what the kind of a file is told: its path from the object on. A plain directory may itself
    /// be one of those whose names tell (`node_modules`, `vendor`).
    fn name_of(&self, relative: &[u8]) -> String {
        if relative.is_empty() {
            return String::from_utf8_lossy(self.name).into_owned();
        }
        let plain = String::from_utf8_lossy(relative);
        if !self.stamps || self.name.is_empty() || kind_of(&plain, &[]).is_some() {
            return plain.into_owned();
        }
        let whole = format!("{}/{plain}", String::from_utf8_lossy(self.name));
        if kind_of(&whole, &[]).is_some() {
            whole
        } else {
            plain.into_owned()
        }
    }

    fn read(&self, path: &Path, told_by: &str) -> Result<Parts, Failure> {
        // Whatever was put in the place of the file since it was listed: no link is followed, and
        // no pipe is waited for.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(flags.bits().cast_signed())
            .open(path)
            .map_err(Failure::System)?;
        let metadata = file.metadata().map_err(Failure::System)?;
        if !metadata.is_file() {
            return Ok(Parts::default());
        }
        self.effort.opened.fetch_add(1, Ordering::Relaxed);
        let mut file = Counting {
            file,
            effort: self.effort,
        };
        // A small file is read at once: the first bytes are a call to the system as well.
        let small = metadata.len() <= SMALL;
        let wanted = if small { SMALL } else { HEAD as u64 };
        let mut head =
            Vec::with_capacity(usize::try_from(metadata.len().min(wanted)).unwrap_or(0) + 1);
        (&mut file)
            .take(wanted)
            .read_to_end(&mut head)
            .map_err(Failure::System)?;
        let Some(kind) = kind_of(told_by, &head) else {
            return Ok(Parts::default());
        };
        let read = if small {
            self.parse(kind, told_by, &*head)
        } else {
            self.parse(kind, told_by, &ReadCache::new(file))
        };
        read.map_err(Failure::Content)
    }

    fn parse<'d, R: object::ReadRef<'d>>(
        &self,
        kind: Kind,
        path: &str,
        data: R,
    ) -> Result<Parts, PartsError> {
        snowguard_parts::read(kind, path, data, &self.limits.file)
    }

    fn add(&self, file: look::File) {
        if !file.says_something() && !self.stamps {
            return;
        }
        let count = file.parts.len();
        if count > 0
            && self.declarations.fetch_add(count, Ordering::Relaxed) + count
                > self.limits.declarations
        {
            let limit = self.limits.declarations;
            return self.cut_short(&format!("more than {limit} declarations"));
        }
        self.with(|found| found.files.push(file));
    }

    fn problem(&self, path: Vec<u8>, what: &str) {
        self.with(|found| {
            found.files.push(look::File {
                path: path.into(),
                stamp: None,
                parts: Vec::new(),
                problem: Some(what.into()),
                failed: true,
            });
        });
    }

    fn cut_short(&self, limit: &str) {
        self.with(|found| found.cut_short = Some(limit.into()));
    }

    fn with(&self, change: impl FnOnce(&mut Look)) {
        if let Ok(mut found) = self.found.lock() {
            change(&mut found);
        }
    }
}

/// The state of what did not just change: a clock does not tell apart what happens within a tick,
/// and the next change may come in the same one.
#[expect(
    clippy::disallowed_methods,
    reason = "a file's time is held against the present"
)]
fn settled(metadata: &Metadata) -> Option<Stamp> {
    let changed = Duration::new(
        u64::try_from(metadata.ctime()).unwrap_or(0),
        u32::try_from(metadata.ctime_nsec()).unwrap_or(0),
    );
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    (now.saturating_sub(changed) > TICK).then(|| Stamp::of(metadata))
}

/// More than any kernel's tick.
const TICK: Duration = Duration::from_millis(20);

/// A part without what nobody asks for later: of a large lock file it is the larger half.
fn kept(part: Part) -> Part {
    Part {
        replaces: None,
        checksum: None,
        ..part
    }
}

/// Why a file says nothing.
enum Failure {
    System(io::Error),
    Content(PartsError),
}

/// Up to which size a file is read as a whole.
const SMALL: u64 = 16 << 10;

fn join(above: &[u8], name: &[u8]) -> Vec<u8> {
    let mut path = Vec::with_capacity(above.len() + name.len() + 1);
    if !above.is_empty() {
        path.extend_from_slice(above);
        path.push(b'/');
    }
    path.extend_from_slice(name);
    path
}

/// Whether a file is worth opening: its name is one of those that readers know, or nothing in it
/// speaks against a program or an archive.
fn may_declare(relative: &[u8]) -> bool {
    let name = OsStr::from_bytes(relative);
    let extension = Path::new(name).extension().map(OsStr::as_bytes);
    let Some(extension) = extension else {
        return true;
    };
    let known = extension.to_ascii_lowercase();
    // In order, to be searched.
    if NO_PROGRAM.binary_search(&&*known).is_err() {
        return true;
    }
    std::str::from_utf8(relative).is_ok_and(|path| kind_of(path, &[]).is_some())
}

/// Endings of texts, pictures and data: most files of a system have one of them.
const NO_PROGRAM: &[&[u8]] = &[
    b"adoc",
    b"bmp",
    b"c",
    b"cc",
    b"cfg",
    b"cmake",
    b"conf",
    b"cpp",
    b"css",
    b"csv",
    b"cts",
    b"desktop",
    b"dtd",
    b"el",
    b"elc",
    b"eot",
    b"flow",
    b"gif",
    b"gir",
    b"go",
    b"gz",
    b"h",
    b"hpp",
    b"hs",
    b"htm",
    b"html",
    b"hxx",
    b"ico",
    b"info",
    b"ini",
    b"java",
    b"jpeg",
    b"jpg",
    b"js",
    b"json",
    b"jsx",
    b"la",
    b"less",
    b"lock",
    b"log",
    b"lua",
    b"m4",
    b"map",
    b"markdown",
    b"md",
    b"mjs",
    b"mo",
    b"mp3",
    b"mp4",
    b"mts",
    b"nix",
    b"nls",
    b"o",
    b"ogg",
    b"otf",
    b"pc",
    b"pdf",
    b"php",
    b"pl",
    b"pm",
    b"png",
    b"po",
    b"pod",
    b"properties",
    b"py",
    b"pyc",
    b"pyi",
    b"pyx",
    b"rb",
    b"rs",
    b"rst",
    b"sass",
    b"scss",
    b"service",
    b"sh",
    b"sql",
    b"svg",
    b"tcl",
    b"tex",
    b"tiff",
    b"toml",
    b"ts",
    b"tsx",
    b"ttf",
    b"txt",
    b"typelib",
    b"vim",
    b"wav",
    b"webp",
    b"woff",
    b"woff2",
    b"xhtml",
    b"xml",
    b"xsd",
    b"yaml",
    b"yml",
];

/// A file that counts what is read from it.
struct Counting<'e> {
    file: File,
    effort: &'e Effort,
}

impl Read for Counting<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.effort.bytes.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

impl Seek for Counting<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_are_in_order() {
        assert!(NO_PROGRAM.is_sorted());
    }

    #[test]
    fn names_that_speak_against_a_program() {
        for path in ["a/index.js", "share/doc/README.md", "lib/x.PNG"] {
            assert!(!may_declare(path.as_bytes()), "{path}");
        }
        for path in [
            "bin/rg",
            "bin/python3.8",
            "lib/libx.so.1",
            "a/.rg-wrapped",
            "x.node",
        ] {
            assert!(may_declare(path.as_bytes()), "{path}");
        }
    }
}
