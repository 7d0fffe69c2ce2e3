//! Containers: what lies in a file, through compression and archives, as single documents.
#![expect(
    clippy::disallowed_methods,
    reason = "this room reads the files that are imported"
)]

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

use camino::Utf8Path;

/// How deep archives may lie in archives: cvelistV5's release is a zip in a zip.
const MAX_DEPTH: usize = 3;
/// How large a member may be when unpacked. The largest feed as one document is below 2 GiB.
const MAX_MEMBER: u64 = 8 << 30;
/// How many members an archive may have: cvelistV5 has some 350,000.
const MAX_MEMBERS: usize = 5_000_000;
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

/// Gives each plain member of a file to `each`, with a name that says where it lies.
///
/// `each` may stop the walk by an error of its own kind.
pub(crate) fn members<E: From<ContainerError>>(
    path: &Utf8Path,
    each: &mut dyn FnMut(&str, &mut dyn BufRead) -> Result<(), E>,
) -> Result<(), E> {
    let name = path.as_str();
    let io = |e| ContainerError::Io(name.to_owned(), e);
    let file = File::open(path).map_err(io)?;
    if file.metadata().map_err(io)?.is_file() {
        return walk_file(name, file, 0, each);
    }
    // What comes through a pipe cannot be read twice, and comes in pieces of any size: the head, by
    // which the kind of container is told, is put together first.
    let mut head = Vec::with_capacity(512);
    (&file).take(512).read_to_end(&mut head).map_err(io)?;
    let whole = io::Cursor::new(head).chain(file);
    walk_stream(name, &mut BufReader::with_capacity(BUFFER, whole), 0, each)
}

fn walk_file<E: From<ContainerError>>(
    name: &str,
    mut file: File,
    depth: usize,
    each: &mut dyn FnMut(&str, &mut dyn BufRead) -> Result<(), E>,
) -> Result<(), E> {
    let io = |e| ContainerError::Io(name.to_owned(), e);
    let mut head = [0; 4];
    file.seek(SeekFrom::Start(0)).map_err(io)?;
    let length = read_up_to(&mut file, &mut head).map_err(io)?;
    file.seek(SeekFrom::Start(0)).map_err(io)?;
    if head[..length].starts_with(b"PK\x03\x04") {
        return walk_zip(name, file, depth, each);
    }
    walk_stream(
        name,
        &mut BufReader::with_capacity(BUFFER, file),
        depth,
        each,
    )
}

fn walk_zip<E: From<ContainerError>>(
    name: &str,
    file: File,
    depth: usize,
    each: &mut dyn FnMut(&str, &mut dyn BufRead) -> Result<(), E>,
) -> Result<(), E> {
    check_depth(name, depth)?;
    let broken = |e| ContainerError::Zip(name.to_owned(), e);
    let mut archive = zip::ZipArchive::new(BufReader::new(file)).map_err(broken)?;
    check_members(name, archive.len())?;
    for at in 0..archive.len() {
        let member = archive.by_index(at).map_err(broken)?;
        if member.is_dir() {
            continue;
        }
        let inner = format!("{name}/{}", member.name().map_err(broken)?);
        walk_stream(
            &inner,
            &mut BufReader::with_capacity(BUFFER, member.take(MAX_MEMBER)),
            depth + 1,
            each,
        )?;
    }
    Ok(())
}

fn walk_stream<E: From<ContainerError>>(
    name: &str,
    stream: &mut dyn BufRead,
    depth: usize,
    each: &mut dyn FnMut(&str, &mut dyn BufRead) -> Result<(), E>,
) -> Result<(), E> {
    let io = |e| ContainerError::Io(name.to_owned(), e);
    let head = stream.fill_buf().map_err(io)?;
    if head.starts_with(b"PK\x03\x04") {
        // A zip's directory stands at its end: it must lie in a file to be read.
        check_depth(name, depth)?;
        let mut file = tempfile::tempfile().map_err(io)?;
        let length = io::copy(&mut stream.take(MAX_MEMBER), &mut file).map_err(io)?;
        check_size(name, length)?;
        return walk_file(name, file, depth + 1, each);
    }
    if head.starts_with(&[0x1f, 0x8b]) {
        check_depth(name, depth)?;
        let inner = flate2::bufread::MultiGzDecoder::new(stream).take(MAX_MEMBER);
        return walk_stream(
            name,
            &mut BufReader::with_capacity(BUFFER, inner),
            depth + 1,
            each,
        );
    }
    if head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        check_depth(name, depth)?;
        let mut inner = zstd::stream::read::Decoder::with_buffer(stream).map_err(io)?;
        // Long-distance windows, as `zstd --long=27` makes them: 128 MiB.
        inner.window_log_max(27).map_err(io)?;
        return walk_stream(
            name,
            &mut BufReader::with_capacity(BUFFER, inner.take(MAX_MEMBER)),
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
        return walk_tar(name, stream, depth, each);
    }
    each(name, stream)
}

fn walk_tar<E: From<ContainerError>>(
    name: &str,
    stream: &mut dyn BufRead,
    depth: usize,
    each: &mut dyn FnMut(&str, &mut dyn BufRead) -> Result<(), E>,
) -> Result<(), E> {
    check_depth(name, depth)?;
    let io = |e| ContainerError::Io(name.to_owned(), e);
    let mut archive = tar::Archive::new(stream);
    for (at, member) in archive.entries().map_err(io)?.enumerate() {
        check_members(name, at)?;
        let member = member.map_err(io)?;
        if !member.header().entry_type().is_file() {
            continue;
        }
        let inner = format!("{name}/{}", String::from_utf8_lossy(&member.path_bytes()));
        walk_stream(
            &inner,
            &mut BufReader::with_capacity(BUFFER, member.take(MAX_MEMBER)),
            depth + 1,
            each,
        )?;
    }
    Ok(())
}

fn check_depth(name: &str, depth: usize) -> Result<(), ContainerError> {
    if depth < MAX_DEPTH {
        Ok(())
    } else {
        Err(ContainerError::Limit(
            name.to_owned(),
            "nests archives too deep",
        ))
    }
}

fn check_members(name: &str, count: usize) -> Result<(), ContainerError> {
    if count <= MAX_MEMBERS {
        Ok(())
    } else {
        Err(ContainerError::Limit(
            name.to_owned(),
            "has too many members",
        ))
    }
}

fn check_size(name: &str, length: u64) -> Result<(), ContainerError> {
    if length < MAX_MEMBER {
        Ok(())
    } else {
        Err(ContainerError::Limit(
            name.to_owned(),
            "is larger than 8 GiB",
        ))
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
