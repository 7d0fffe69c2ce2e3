//! With what a tar is packed, and its decoders.

use std::fmt;
use std::io::{self, BufRead, Read};

use bzip2::bufread::BzDecoder;
use flate2::bufread::GzDecoder;

use crate::limits::Limits;

/// With what a tar is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Packing {
    /// With nothing.
    Plain,
    /// gzip.
    Gzip,
    /// xz.
    Xz,
    /// bzip2.
    Bzip2,
    /// Zstandard.
    Zstd,
}

impl Packing {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Plain, Self::Gzip, Self::Xz, Self::Bzip2, Self::Zstd];

    /// Tells by the first bytes; what is none of the others is plain.
    pub fn of(head: &[u8]) -> Self {
        match head {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Self::Bzip2,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            _ => Self::Plain,
        }
    }

    /// The name of the format.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "nothing",
            Self::Gzip => "gzip",
            Self::Xz => "xz",
            Self::Bzip2 => "bzip2",
            Self::Zstd => "zstd",
        }
    }

    /// What was packed. Several streams one after the other are one, as they are for the programs.
    pub(crate) fn open<'a, R: BufRead + 'a>(
        self,
        input: Peeked<R>,
        limits: &Limits,
    ) -> io::Result<Box<dyn Read + 'a>> {
        Ok(match self {
            Self::Plain => Box::new(input),
            Self::Gzip => Box::new(Streams::<GzDecoder<_>>::new(input)),
            Self::Xz => {
                // What the decoder needs beside its window is less than a megabyte.
                let kib = (limits.window >> 10).saturating_add(1024);
                Box::new(lzma_rust2::XzReader::new_mem_limit(input, true, kib))
            }
            Self::Bzip2 => Box::new(Streams::<BzDecoder<_>>::new(input)),
            Self::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(input)?;
                // What `zstd` itself takes without being asked for more.
                decoder.window_log_max(limits.window.ilog2().min(27))?;
                Box::new(decoder)
            }
        })
    }
}

impl fmt::Display for Packing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Streams of gzip or bzip2 one after the other. What the programs let stand after the last one may stand
/// there: zeros after gzip, as tapes have them; anything after bzip2.
struct Streams<D> {
    decoder: Option<D>,
}

/// The decoder of one stream.
trait Stream: Read + Sized {
    type Input: BufRead;

    fn of(input: Self::Input) -> Self;

    /// What follows the stream, if another does.
    fn next(self) -> io::Result<Option<Self>>;
}

impl<R: BufRead> Stream for GzDecoder<Peeked<R>> {
    type Input = Peeked<R>;

    fn of(input: Peeked<R>) -> Self {
        Self::new(input)
    }

    fn next(self) -> io::Result<Option<Self>> {
        let mut input = self.into_inner();
        Ok(skip_zeros(&mut input)?.then(|| Self::of(input)))
    }
}

impl<R: BufRead> Stream for BzDecoder<Peeked<R>> {
    type Input = Peeked<R>;

    fn of(input: Peeked<R>) -> Self {
        Self::new(input)
    }

    fn next(self) -> io::Result<Option<Self>> {
        let mut input = self.into_inner();
        let head = input.peek(4)?;
        Ok((Packing::of(head) == Packing::Bzip2).then(|| Self::of(input)))
    }
}

impl<D: Stream> Streams<D> {
    fn new(input: D::Input) -> Self {
        Self {
            decoder: Some(D::of(input)),
        }
    }
}

impl<D: Stream> Read for Streams<D> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        while let Some(mut decoder) = self.decoder.take() {
            let result = decoder.read(buffer);
            if let Ok(0) = result {
                self.decoder = decoder.next()?;
            } else {
                self.decoder = Some(decoder);
                return result;
            }
        }
        Ok(0)
    }
}

/// An input of which some bytes have been looked at.
pub(crate) struct Peeked<R> {
    head: Vec<u8>,
    at: usize,
    inner: R,
}

impl<R: BufRead> Peeked<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self {
            head: Vec::new(),
            at: 0,
            inner,
        }
    }

    /// The next bytes, as many as that if there are so many. They are still to be read.
    pub(crate) fn peek(&mut self, count: usize) -> io::Result<&[u8]> {
        self.head.drain(..self.at);
        self.at = 0;
        let more = count.saturating_sub(self.head.len()) as u64;
        self.inner.by_ref().take(more).read_to_end(&mut self.head)?;
        Ok(&self.head)
    }
}

impl<R: BufRead> Read for Peeked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

impl<R: BufRead> BufRead for Peeked<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at < self.head.len() {
            return Ok(&self.head[self.at..]);
        }
        self.inner.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        if self.at < self.head.len() {
            self.at += count;
        } else {
            self.inner.consume(count);
        }
    }
}

/// Whether something is left after zeros.
fn skip_zeros(input: &mut impl BufRead) -> io::Result<bool> {
    loop {
        let (zeros, rest) = match input.fill_buf() {
            Ok([]) => return Ok(false),
            Ok(bytes) => {
                let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
                (zeros, bytes.len() - zeros)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        input.consume(zeros);
        if rest > 0 {
            return Ok(true);
        }
    }
}

/// How many bytes tell the format.
pub(crate) const HEAD: usize = 16;
