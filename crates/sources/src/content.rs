//! Bytes of files and pipes, decompressed, within limits.
//!
//! gzip, zstd and brotli are undone wherever they are found, a few times over; what remains is one
//! document in memory, or an archive that is read as a stream. Deliberately absent: what the bytes mean
//! (`detect`), and xz, bzip2 and zip, which whoever has such a file can undo.
#![expect(
    clippy::disallowed_methods,
    reason = "this room opens the files that are read"
)]

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::Path;

use snowguard_store::Quoted;

use crate::error::SourceError;
use crate::options::Limits;

/// What is in a file.
pub(crate) enum Content {
    /// A document.
    Bytes(Vec<u8>),
    /// A tar archive, decompressed on the way.
    Tar(Box<dyn Read + Send>),
}

/// Opens a file and undoes its compression.
pub(crate) fn of_file(path: &Path, limits: &Limits) -> Result<Content, SourceError> {
    let name = shown(path);
    let io = |source| SourceError::Io {
        name: name.clone(),
        source,
    };
    let file = File::open(path).map_err(io)?;
    let metadata = file.metadata().map_err(io)?;
    let size = metadata.is_file().then_some(metadata.len());
    of_reader(&name, Box::new(file), size, limits)
}

/// Reads what comes and undoes its compression; `size` is how much will come, where that is known.
pub(crate) fn of_reader(
    name: &Quoted,
    reader: Box<dyn Read + Send>,
    size: Option<u64>,
    limits: &Limits,
) -> Result<Content, SourceError> {
    let mut stage = Stage::Stream(reader, size);
    let mut method = None;
    for _ in 0..=MAX_LAYERS {
        let fail = |source| failed(name, method, source);
        let packing;
        (stage, packing) = stage.look().map_err(fail)?;
        match packing {
            Packing::Tar => {
                let limited = Limited {
                    reader: stage.into_reader(),
                    left: limits.archive,
                };
                return Ok(Content::Tar(Box::new(limited)));
            }
            Packing::None => return stage.into_bytes(name, limits, fail).map(Content::Bytes),
            Packing::Gzip => {
                let buffered = io::BufReader::with_capacity(BUFFER, stage.into_reader());
                let reader = flate2::bufread::MultiGzDecoder::new(buffered);
                stage = Stage::Stream(Box::new(reader), None);
                method = Some("gzip");
            }
            Packing::Brotli => {
                let reader = brotli_decompressor::Decompressor::new(stage.into_reader(), BUFFER);
                stage = Stage::Stream(Box::new(reader), None);
                method = Some("brotli");
            }
            Packing::Zstd => {
                method = Some("zstd");
                stage = stage
                    .unpack_zstd(limits)
                    .map_err(|source| failed(name, method, source))?;
            }
        }
    }
    Err(SourceError::TooNested {
        name: name.clone(),
        limit: MAX_LAYERS,
    })
}

/// The beginning of a file as it lies there, or nothing where it cannot be read.
pub(crate) fn beginning_of(path: &Path, bytes: usize) -> Vec<u8> {
    let mut head = Vec::new();
    if let Ok(file) = File::open(path) {
        let _ = file.take(bytes as u64).read_to_end(&mut head);
    }
    head
}

/// Reads a whole regular file of a store or a directory; never follows a link at its end.
pub(crate) fn regular_file(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    if !path.symlink_metadata()?.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is no regular file",
        ));
    }
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    let mut bytes = Vec::with_capacity(usize::try_from(size.min(limit)).unwrap_or(0) + 1);
    file.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("it has more than {limit} bytes"),
        ));
    }
    Ok(bytes)
}

/// A path for messages.
pub(crate) fn shown(path: &Path) -> Quoted {
    Quoted::new(path.as_os_str().as_encoded_bytes())
}

/// How often something may be compressed.
const MAX_LAYERS: usize = 3;
/// How much of a content is needed to tell how it is packed: a tar header, or the codes with which a
/// brotli stream begins and a little of what they say.
const HEAD: usize = 16 << 10;
const BUFFER: usize = 128 << 10;
/// Up to which size compressed data is read before it is decompressed, which is twice as fast.
const AT_ONCE: u64 = 64 << 20;

enum Packing {
    None,
    Gzip,
    Zstd,
    Brotli,
    Tar,
}

impl Packing {
    fn of(head: &[u8]) -> Self {
        if head.starts_with(&[0x1F, 0x8B]) {
            Self::Gzip
        } else if head.starts_with(&[0x28, 0xB5, 0x2F, 0xFD]) {
            Self::Zstd
        } else if head.get(257..262) == Some(b"ustar") {
            Self::Tar
        } else if is_brotli(&head[..head.len().min(HEAD)]) {
            Self::Brotli
        } else {
            Self::None
        }
    }
}

/// Whether bytes are the beginning of JSON in brotli, which has no mark of its own: they are no text,
/// and undone as brotli they are one.
fn is_brotli(head: &[u8]) -> bool {
    if head.is_empty() || is_text(head) {
        return false;
    }
    let mut text = [0; 64];
    let mut length = 0;
    let mut decoder = brotli_decompressor::Decompressor::new(head, HEAD);
    while length < text.len() {
        match decoder.read(&mut text[length..]) {
            Ok(read @ 1..) => length += read,
            // The head of a long stream ends in the middle of it.
            _ => break,
        }
    }
    let text = &text[..length];
    let begin = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
    is_text(text) && matches!(begin.trim_ascii_start().first(), Some(b'{' | b'['))
}

/// UTF-8 without control characters, whose last character may be cut.
fn is_text(bytes: &[u8]) -> bool {
    let is_utf8 = match std::str::from_utf8(bytes) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    };
    is_utf8
        && !bytes
            .iter()
            .any(|byte| byte.is_ascii_control() && !byte.is_ascii_whitespace())
}

fn failed(name: &Quoted, method: Option<&'static str>, source: io::Error) -> SourceError {
    let name = name.clone();
    match method {
        Some(method) => SourceError::Decompress {
            name,
            method,
            source,
        },
        None => SourceError::Io { name, source },
    }
}

/// What is left to look into.
enum Stage {
    /// A stream, and how much it will give, where that is known.
    Stream(Box<dyn Read + Send>, Option<u64>),
    Memory(Vec<u8>),
}

impl Stage {
    /// Tells how the content is packed, without losing any of it.
    fn look(self) -> io::Result<(Self, Packing)> {
        match self {
            Self::Memory(bytes) => {
                let packing = Packing::of(&bytes);
                Ok((Self::Memory(bytes), packing))
            }
            Self::Stream(mut reader, size) => {
                let mut head = Vec::with_capacity(HEAD);
                (&mut *reader).take(HEAD as u64).read_to_end(&mut head)?;
                let packing = Packing::of(&head);
                let whole = Box::new(Cursor::new(head).chain(reader));
                Ok((Self::Stream(whole, size), packing))
            }
        }
    }

    fn into_reader(self) -> Box<dyn Read + Send> {
        match self {
            Self::Stream(reader, _) => reader,
            Self::Memory(bytes) => Box::new(Cursor::new(bytes)),
        }
    }

    fn into_bytes(
        self,
        name: &Quoted,
        limits: &Limits,
        fail: impl Fn(io::Error) -> SourceError,
    ) -> Result<Vec<u8>, SourceError> {
        let limit = limits.document;
        let too_large = || SourceError::TooLarge {
            name: name.clone(),
            what: "the document",
            limit,
        };
        let bytes = match self {
            Self::Memory(bytes) => bytes,
            Self::Stream(_, Some(size)) if size > limit => return Err(too_large()),
            Self::Stream(reader, size) => {
                let expected = usize::try_from(size.unwrap_or(0)).unwrap_or(0);
                let mut bytes = Vec::with_capacity(expected + 1);
                let mut reader = reader.take(limit.saturating_add(1));
                reader.read_to_end(&mut bytes).map_err(fail)?;
                bytes
            }
        };
        if bytes.len() as u64 > limit {
            return Err(too_large());
        }
        Ok(bytes)
    }

    /// Decompresses into memory of the right size if the data says how much it is and that is
    /// believable, else as a stream.
    fn unpack_zstd(self, limits: &Limits) -> io::Result<Self> {
        let packed = match self {
            Self::Memory(packed) => packed,
            Self::Stream(mut reader, Some(size)) if size <= AT_ONCE => {
                let mut packed = Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1);
                (&mut *reader).take(AT_ONCE).read_to_end(&mut packed)?;
                packed
            }
            Self::Stream(reader, _) => {
                return zstd_stream(io::BufReader::with_capacity(BUFFER, reader));
            }
        };
        // Text seldom compresses to less than a hundredth; what claims to is given no memory in
        // advance.
        let believable = (packed.len() as u64)
            .saturating_mul(256)
            .min(limits.document);
        let claimed = zstd::zstd_safe::get_frame_content_size(&packed)
            .ok()
            .flatten();
        if let Some(size) = claimed.filter(|size| *size <= believable)
            && let Ok(size) = usize::try_from(size)
            // Several frames in one file do not fit into what the first one claims.
            && let Ok(bytes) = zstd::bulk::decompress(&packed, size)
        {
            return Ok(Self::Memory(bytes));
        }
        zstd_stream(Cursor::new(packed))
    }
}

fn zstd_stream(packed: impl io::BufRead + Send + 'static) -> io::Result<Stage> {
    let mut decoder = zstd::stream::read::Decoder::with_buffer(packed)?;
    // Long-distance windows, as `zstd --long=27` makes them: 128 MiB.
    decoder.window_log_max(27)?;
    Ok(Stage::Stream(Box::new(decoder), None))
}

/// Ends in an error, rather than quietly, where an archive is too long.
struct Limited {
    reader: Box<dyn Read + Send>,
    left: u64,
}

impl Read for Limited {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.left = self.left.checked_sub(read as u64).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, "the archive is too large")
        })?;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn load(bytes: &[u8], size: Option<u64>, limits: &Limits) -> Result<Content, SourceError> {
        let reader = Box::new(Cursor::new(bytes.to_vec()));
        of_reader(&Quoted::new("x"), reader, size, limits)
    }

    fn text(content: Result<Content, SourceError>) -> Vec<u8> {
        match content.unwrap() {
            Content::Bytes(bytes) => bytes,
            Content::Tar(_) => panic!("an archive"),
        }
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(bytes).unwrap();
        gzip.finish().unwrap()
    }

    fn brotli(bytes: &[u8], quality: u32) -> Vec<u8> {
        let mut packed = brotli::CompressorWriter::new(Vec::new(), 4096, quality, 24);
        packed.write_all(bytes).unwrap();
        packed.into_inner()
    }

    #[test]
    fn brotli_is_told_by_what_is_in_it() {
        let mut json = br#"{"version":2,"packages":{"#.to_vec();
        for number in 0..20_000 {
            let digest = number * 7_919 % 10_007;
            let one = format!("\"p{number}\":{{\"name\":\"p{digest}-1\",\"meta\":{{}}}},");
            json.extend_from_slice(one.as_bytes());
        }
        json.pop();
        json.extend_from_slice(b"}}");
        let limits = Limits::default();
        for quality in [0, 1, 5, 9] {
            let packed = brotli(&json, quality);
            assert_eq!(text(load(&packed, None, &limits)), json, "{quality}");
            let cut = load(&packed[..packed.len() / 2], None, &limits);
            assert!(matches!(
                cut,
                Err(SourceError::Decompress {
                    method: "brotli",
                    ..
                })
            ));
        }
        assert_eq!(text(load(&brotli(b"{}", 5), None, &limits)), b"{}");
        // What is something else stays what it is.
        for other in [
            &brotli(b"plain words", 5)[..],
            b"\x7fELF\x02\x01\x01\0\0",
            "ä{".as_bytes(),
        ] {
            assert_eq!(text(load(other, None, &limits)), other);
        }
        let few = Limits {
            document: 1_000,
            ..limits
        };
        let refused = load(&brotli(&json, 5), None, &few);
        assert!(matches!(refused, Err(SourceError::TooLarge { .. })));
    }

    #[test]
    fn every_packing_gives_the_same() {
        let plain = b"hello, world".repeat(1_000);
        let zstd = zstd::encode_all(&*plain, 3).unwrap();
        let sized = zstd::bulk::compress(&plain, 3).unwrap();
        let twice = [sized.clone(), sized.clone()].concat();
        let limits = Limits::default();
        for packed in [&plain, &gzip(&plain), &zstd, &sized, &gzip(&zstd)] {
            assert_eq!(text(load(packed, None, &limits)), plain);
            assert_eq!(
                text(load(packed, Some(packed.len() as u64), &limits)),
                plain
            );
        }
        let both = text(load(&twice, Some(twice.len() as u64), &limits));
        assert_eq!(both, plain.repeat(2));
    }

    #[test]
    fn limits_hold_after_decompression() {
        let limits = Limits {
            document: 1_000,
            ..Limits::default()
        };
        for packed in [
            vec![b'a'; 1_001],
            gzip(&[b'a'; 1_001]),
            zstd::encode_all(&[b'a'; 1_001][..], 3).unwrap(),
            zstd::bulk::compress(&[b'a'; 1_001], 3).unwrap(),
        ] {
            for size in [None, Some(packed.len() as u64)] {
                let refused = load(&packed, size, &limits);
                assert!(matches!(refused, Err(SourceError::TooLarge { .. })));
            }
        }
        assert_eq!(
            text(load(&gzip(&[b'a'; 1_000]), None, &limits)).len(),
            1_000
        );
        let mut deep = b"x".to_vec();
        for _ in 0..4 {
            deep = gzip(&deep);
        }
        let refused = load(&deep, None, &Limits::default());
        assert!(matches!(refused, Err(SourceError::TooNested { .. })));
    }

    #[test]
    fn damage_is_told() {
        let packed = zstd::encode_all(&b"hello".repeat(100)[..], 3).unwrap();
        for size in [None, Some(10)] {
            let refused = load(&packed[..packed.len() - 3], size, &Limits::default());
            assert!(matches!(refused, Err(SourceError::Decompress { .. })));
        }
    }
}
