//! Containers: what lies in a file, through compression and archives, as single documents.
#![expect(
    clippy::disallowed_methods,
    reason = "this room reads the files that are imported"
)]

mod directory;

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

use camino::Utf8Path;

/// What a container may hold. Whatever goes beyond is an error: nothing is cut off in silence.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits<'l> {
    /// How deep archives and compression may lie in each other.
    pub(crate) depth: usize,
    /// How large a member may be when unpacked, in bytes.
    pub(crate) member: u64,
    /// How large all that is unpacked may be together, in bytes.
    pub(crate) total: u64,
    /// How many members an archive may have.
    pub(crate) members: usize,
    /// Where an archive in an archive is put meanwhile; else where the system puts such files.
    pub(crate) scratch: Option<&'l Utf8Path>,
}

impl Limits<'_> {
    /// Of files that a person hands over. cvelistV5's release is a zip in a zip with some 350,000
    /// members; the largest feed as one document is below 2 GiB.
    pub(crate) const IMPORT: Self = Self {
        depth: 3,
        member: 8 << 30,
        total: 1 << 40,
        members: 5_000_000,
        scratch: None,
    };
}

const BUFFER: usize = 1 << 18;

/// Why a container cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum ContainerError {
    /// The system or the decompressor says no.
    #[error("cannot read {0}")]
    Io(String, #[source] io::Error),
    /// A zip archive is broken.
    #[error("cannot read the zip archive {0}")]
    Zip(String, #[source] zip::result::ZipError),
    /// A limit is exceeded.
    #[error("{0} {1}")]
    Limit(String, &'static str),
    /// Compressed in a way that is not read.
    #[error("{0} is compressed with {1}; unpack it first")]
    Compression(String, &'static str),
}

impl ContainerError {
    /// With the place from where a file came in the place of the file's own name.
    pub(crate) fn in_terms_of(self, file: &str, place: &str) -> Self {
        let name = |name: String| name.replacen(file, place, 1);
        match self {
            Self::Io(at, error) => Self::Io(name(at), error),
            Self::Zip(at, error) => Self::Zip(name(at), error),
            Self::Limit(at, what) => Self::Limit(name(at), what),
            Self::Compression(at, method) => Self::Compression(name(at), method),
        }
    }

    /// From an error while a member is read.
    pub(crate) fn io(name: &str, error: io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(Exceeded(what)) => Self::Limit(name.to_owned(), what),
            None => Self::Io(name.to_owned(), error),
        }
    }
}

/// Gives each plain member of a file to `each`, with a name that says where it lies.
///
/// `each` may stop the walk by an error of its own kind.
pub(crate) fn members<E: From<ContainerError>>(
    path: &Utf8Path,
    limits: Limits<'_>,
    each: &mut dyn FnMut(&str, &mut dyn BufRead) -> Result<(), E>,
) -> Result<(), E> {
    let name = path.as_str();
    let budget = Budget {
        limits,
        left: Cell::new(limits.total),
    };
    let budget = &budget;
    let io = |e| ContainerError::io(name, e);
    let file = File::open(path).map_err(io)?;
    if file.metadata().map_err(io)?.is_file() {
        return walk_file(name, file, budget, 0, each);
    }
    // What comes through a pipe cannot be read twice, and comes in pieces of any size: the head, by
    // which the kind of container is told, is put together first.
    let mut head = Vec::with_capacity(512);
    (&file).take(512).read_to_end(&mut head).map_err(io)?;
    let whole = io::Cursor::new(head).chain(file);
    walk_stream(
        name,
        &mut BufReader::with_capacity(BUFFER, whole),
        budget,
        0,
        each,
    )
}

/// Whether a file begins as a zip archive does, or one with nothing in it.
pub(crate) fn is_zip(path: &Utf8Path) -> Result<bool, ContainerError> {
    let mut head = [0; 4];
    let length = File::open(path)
        .and_then(|mut file| read_up_to(&mut file, &mut head))
        .map_err(|e| ContainerError::io(path.as_str(), e))?;
    let head = &head[..length];
    Ok(head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06"))
}

fn walk_file<E: From<ContainerError>>(
    name: &str,
    mut file: File,
    budget: &Budget<'_>,
    depth: usize,
    each: &mut dyn FnMut(&str, &mut dyn BufRead) -> Result<(), E>,
) -> Result<(), E> {
    let io = |e| ContainerError::io(name, e);
    let mut head = [0; 4];
    file.seek(SeekFrom::Start(0)).map_err(io)?;
    let length = read_up_to(&mut file, &mut head).map_err(io)?;
    file.seek(SeekFrom::Start(0)).map_err(io)?;
    if head[..length].starts_with(b"PK\x03\x04") {
        return walk_zip(name, file, budget, depth, each);
    }
    walk_stream(
        name,
        &mut BufReader::with_capacity(BUFFER, file),
        budget,
        depth,
        each,
    )
}

fn walk_zip<E: From<ContainerError>>(
    name: &str,
    file: File,
    budget: &Budget<'_>,
    depth: usize,
    each: &mut dyn FnMut(&str, &mut dyn BufRead) -> Result<(), E>,
) -> Result<(), E> {
    budget.check_depth(name, depth)?;
    let broken = |e| ContainerError::Zip(name.to_owned(), e);
    // The whole directory is held in memory: how large it may get is found out before.
    let entries = directory::entries(&mut &file).map_err(|e| ContainerError::io(name, e))?;
    budget.check_members(name, usize::try_from(entries).unwrap_or(usize::MAX))?;
    let mut archive = zip::ZipArchive::new(BufReader::new(file)).map_err(broken)?;
    budget.check_members(name, archive.len())?;
    for at in 0..archive.len() {
        let member = archive.by_index(at).map_err(broken)?;
        if member.is_dir() {
            continue;
        }
        let inner = format!("{name}/{}", member.name().map_err(broken)?);
        walk_stream(
            &inner,
            &mut BufReader::with_capacity(BUFFER, budget.bound(member)),
            budget,
            depth + 1,
            each,
        )?;
    }
    Ok(())
}

fn walk_stream<E: From<ContainerError>>(
    name: &str,
    stream: &mut dyn BufRead,
    budget: &Budget<'_>,
    depth: usize,
    each: &mut dyn FnMut(&str, &mut dyn BufRead) -> Result<(), E>,
) -> Result<(), E> {
    let io = |e| ContainerError::io(name, e);
    let head = stream.fill_buf().map_err(io)?;
    if head.starts_with(b"PK\x03\x04") {
        // A zip's directory stands at its end: it must lie in a file to be read.
        budget.check_depth(name, depth)?;
        let mut file = match budget.limits.scratch {
            Some(directory) => tempfile::tempfile_in(directory),
            None => tempfile::tempfile(),
        }
        .map_err(io)?;
        io::copy(&mut budget.bound(stream), &mut file).map_err(io)?;
        return walk_file(name, file, budget, depth + 1, each);
    }
    if head.starts_with(&[0x1f, 0x8b]) {
        budget.check_depth(name, depth)?;
        let inner = budget.bound(flate2::bufread::MultiGzDecoder::new(stream));
        return walk_stream(
            name,
            &mut BufReader::with_capacity(BUFFER, inner),
            budget,
            depth + 1,
            each,
        );
    }
    if head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        budget.check_depth(name, depth)?;
        let mut inner = zstd::stream::read::Decoder::with_buffer(stream).map_err(io)?;
        // Long-distance windows, as `zstd --long=27` makes them: 128 MiB.
        inner.window_log_max(27).map_err(io)?;
        return walk_stream(
            name,
            &mut BufReader::with_capacity(BUFFER, budget.bound(inner)),
            budget,
            depth + 1,
            each,
        );
    }
    for (magic, method) in [
        (&b"\xfd7zXZ\0"[..], "xz"),
        (b"BZh", "bzip2"),
        (b"\x04\x22\x4d\x18", "lz4"),
    ] {
        if head.starts_with(magic) {
            return Err(ContainerError::Compression(name.to_owned(), method).into());
        }
    }
    if head.get(257..262) == Some(b"ustar") {
        return walk_tar(name, stream, budget, depth, each);
    }
    each(name, stream)
}

fn walk_tar<E: From<ContainerError>>(
    name: &str,
    stream: &mut dyn BufRead,
    budget: &Budget<'_>,
    depth: usize,
    each: &mut dyn FnMut(&str, &mut dyn BufRead) -> Result<(), E>,
) -> Result<(), E> {
    budget.check_depth(name, depth)?;
    let io = |e| ContainerError::io(name, e);
    let mut archive = tar::Archive::new(stream);
    for (at, member) in archive.entries().map_err(io)?.enumerate() {
        budget.check_members(name, at)?;
        let member = member.map_err(io)?;
        if !member.header().entry_type().is_file() {
            continue;
        }
        let inner = format!("{name}/{}", String::from_utf8_lossy(&member.path_bytes()));
        walk_stream(
            &inner,
            &mut BufReader::with_capacity(BUFFER, budget.bound(member)),
            budget,
            depth + 1,
            each,
        )?;
    }
    Ok(())
}

/// The limits of a walk, and what is left of the one on the whole.
struct Budget<'l> {
    limits: Limits<'l>,
    left: Cell<u64>,
}

impl Budget<'_> {
    fn check_depth(&self, name: &str, depth: usize) -> Result<(), ContainerError> {
        self.check(name, depth < self.limits.depth, "nests archives too deep")
    }

    fn check_members(&self, name: &str, count: usize) -> Result<(), ContainerError> {
        self.check(name, count <= self.limits.members, "has too many members")
    }

    #[expect(clippy::unused_self, reason = "the checks are the budget's")]
    fn check(&self, name: &str, holds: bool, what: &'static str) -> Result<(), ContainerError> {
        if holds {
            Ok(())
        } else {
            Err(ContainerError::Limit(name.to_owned(), what))
        }
    }

    fn bound<R>(&self, inner: R) -> Bounded<'_, R> {
        Bounded {
            inner,
            member: self.limits.member,
            total: &self.left,
        }
    }
}

/// A reader that fails where its member, or all members together, go beyond the limits.
struct Bounded<'b, R> {
    inner: R,
    member: u64,
    total: &'b Cell<u64>,
}

/// The limit that was exceeded, on its way through an [`io::Error`].
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Exceeded(&'static str);

impl<R: Read> Read for Bounded<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let bytes = read as u64;
        let Some(member) = self.member.checked_sub(bytes) else {
            return Err(io::Error::other(Exceeded("unpacks to more than it may")));
        };
        let Some(total) = self.total.get().checked_sub(bytes) else {
            return Err(io::Error::other(Exceeded(
                "brings all that is unpacked to more than it may be",
            )));
        };
        self.member = member;
        self.total.set(total);
        Ok(read)
    }
}

fn read_up_to(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match file.read(&mut buffer[length..])? {
            0 => break,
            read => length += read,
        }
    }
    Ok(length)
}
