//! How much of an archive is unpacked before giving up.

use std::cell::Cell;
use std::io::{self, Read, Seek, SeekFrom};
use std::rc::Rc;

/// How much of an archive is unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the unpacked archive, headers included.
    pub bytes: u64,
    /// How many bytes one compressed byte may become, on the average, once [`Self::RATIO_FROM`] are reached.
    pub ratio: u64,
    /// Members, and directories that are only implied.
    pub entries: u64,
    /// Bytes of files that hard links repeat. They take no room where they are unpacked, and each is written out
    /// in a NAR, so a small archive would otherwise take hours to hash.
    pub copies: u64,
    /// How many objects may be nested, the root and the innermost included.
    pub depth: usize,
    /// Bytes of a name.
    pub name_len: usize,
    /// Bytes of a symbolic link's target.
    pub target_len: usize,
    /// Bytes of all names and targets.
    pub names: u64,
    /// Bytes of an extended header of one member.
    pub header: u64,
    /// Bytes of the central directory of a zip, which is held in memory.
    pub directory: u64,
    /// Bytes of a decoder's window.
    pub window: u32,
}

impl Limits {
    /// From how many unpacked bytes on the ratio is looked at.
    pub const RATIO_FROM: u64 = 64 << 20;
}

impl Default for Limits {
    /// 32 GiB, 250 bytes from one, 900,000 members, 4 GiB of copies; depth, names and targets as Nix allows them in a NAR.
    fn default() -> Self {
        Self {
            bytes: 32 << 30,
            ratio: 250,
            entries: 900_000,
            copies: 4 << 30,
            depth: 64,
            name_len: 255,
            target_len: 4095,
            names: 256 << 20,
            header: 1 << 20,
            directory: 128 << 20,
            window: 256 << 20,
        }
    }
}

/// Which limit does not suffice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Exceeded {
    /// Too much.
    #[error("unpack archive: it has more than {0} bytes")]
    Bytes(u64),
    /// A bomb.
    #[error("unpack archive: one byte of it becomes more than {0}")]
    Ratio(u64),
    /// Too many.
    #[error("unpack archive: it has more than {0} members")]
    Entries(u64),
    /// Too many bytes more, through hard links.
    #[error("unpack archive: its hard links repeat more than {0} bytes")]
    Copies(u64),
    /// Too deep.
    #[error("unpack archive: its directories are nested more than {0} deep")]
    Depth(usize),
    /// Too long a name.
    #[error("unpack archive: a name of it has more than {0} bytes")]
    Name(usize),
    /// Too long a target.
    #[error("unpack archive: the target of a symbolic link has more than {0} bytes")]
    Target(usize),
    /// Too many bytes of names.
    #[error("unpack archive: its names have more than {0} bytes")]
    Names(u64),
    /// Too long a header.
    #[error("unpack archive: a header of it has more than {0} bytes")]
    Header(u64),
    /// Too long a directory.
    #[error("unpack archive: its central directory has more than {0} bytes")]
    Directory(u64),
}

/// What has been read so far, for those on both sides of a decoder.
#[derive(Debug, Clone, Default)]
pub(crate) struct Meter(Rc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    packed: Cell<u64>,
    unpacked: Cell<u64>,
    failed: Cell<bool>,
}

impl Meter {
    /// Whether the input failed, rather than what was made of it.
    pub(crate) fn failed(&self) -> bool {
        self.0.failed.get()
    }

    fn unpacked(&self, bytes: usize, limits: &Limits) -> Result<(), Exceeded> {
        let unpacked = self.0.unpacked.get().saturating_add(bytes as u64);
        self.0.unpacked.set(unpacked);
        if unpacked > limits.bytes {
            return Err(Exceeded::Bytes(limits.bytes));
        }
        let packed = self.0.packed.get().max(1);
        if unpacked > Limits::RATIO_FROM && unpacked / packed >= limits.ratio {
            return Err(Exceeded::Ratio(limits.ratio));
        }
        Ok(())
    }
}

/// The input: counts, and notes whether it failed.
#[derive(Debug)]
pub(crate) struct Source<R> {
    pub(crate) inner: R,
    pub(crate) meter: Meter,
}

impl<R: Read> Read for Source<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.inner.read(buffer) {
            Ok(count) => {
                let packed = &self.meter.0.packed;
                packed.set(packed.get().saturating_add(count as u64));
                Ok(count)
            }
            Err(error) => {
                if error.kind() != io::ErrorKind::Interrupted {
                    self.meter.0.failed.set(true);
                }
                Err(error)
            }
        }
    }
}

impl<R: Seek> Seek for Source<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner
            .seek(to)
            .inspect_err(|_| self.meter.0.failed.set(true))
    }
}

/// What came out of a decoder, as far as the limits allow. An [`Exceeded`] is inside of the error then.
pub(crate) struct Limited<R> {
    pub(crate) inner: R,
    pub(crate) meter: Meter,
    pub(crate) limits: Limits,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.meter
            .unpacked(count, &self.limits)
            .map_err(io::Error::other)?;
        Ok(count)
    }
}
