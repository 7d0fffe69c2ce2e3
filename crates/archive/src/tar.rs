//! tar: ustar, pax, and the extensions of GNU and of those before.
//!
//! Sources: POSIX.1-2017 "pax", and "Basic Tar Format" in the manual of GNU tar; where these leave room,
//! GNU tar decides, since it is what unpacks in Nixpkgs. Sparse files, members of several volumes and
//! devices are refused openly.

mod header;

use std::io::{self, BufRead, Read};

use snowguard_store::Quoted;

use self::header::{BLOCK, Header, Pax};
use crate::builder::Builder;
use crate::error::ArchiveError;
use crate::limits::{Exceeded, Limits};
use crate::spool::Spool;

/// Reads all members, and what follows them.
pub(crate) fn read<S: Spool>(
    input: impl BufRead,
    limits: &Limits,
    builder: &mut Builder<S>,
) -> Result<(), ArchiveError> {
    let mut tar = Tar {
        input,
        offset: 0,
        limits,
    };
    // What the headers before a member say of it.
    let mut long_name: Option<Vec<u8>> = None;
    let mut long_link: Option<Vec<u8>> = None;
    let mut pax = Pax::default();
    while let Some(block) = tar.block()? {
        let Some(header) = Header::read(&block).map_err(|what| tar.damaged(what))? else {
            break;
        };
        match header.kind {
            b'L' => long_name = Some(tar.text(header.size)?),
            b'K' => long_link = Some(tar.text(header.size)?),
            b'x' | b'X' => {
                let text = tar.extended(header.size)?;
                pax.read(&text).map_err(|what| tar.damaged(what))?;
            }
            b'g' => {
                let text = tar.extended(header.size)?;
                let mut global = Pax::default();
                global.read(&text).map_err(|what| tar.damaged(what))?;
                if global.is_of_members() {
                    return Err(ArchiveError::Unsupported {
                        path: Quoted::new(&header.name),
                        what: "a header for all members names or sizes them",
                    });
                }
            }
            // The name of the volume.
            b'V' => tar.skip(header.size)?,
            _ => {
                let pax = std::mem::take(&mut pax);
                let path = pax.path.or(long_name.take()).unwrap_or(header.name.clone());
                let link = pax.link.or(long_link.take()).unwrap_or(header.link.clone());
                long_name = None;
                long_link = None;
                if pax.is_sparse {
                    return Err(unsupported(&path, "it is a sparse file"));
                }
                let size = pax.size.unwrap_or(header.size);
                tar.member(&header, &path, &link, size, builder)?;
            }
        }
    }
    tar.drain()
}

fn unsupported(path: &[u8], what: &'static str) -> ArchiveError {
    ArchiveError::Unsupported {
        path: Quoted::new(path),
        what,
    }
}

struct Tar<'a, R> {
    input: R,
    offset: u64,
    limits: &'a Limits,
}

impl<R: BufRead> Tar<'_, R> {
    fn member<S: Spool>(
        &mut self,
        header: &Header,
        path: &[u8],
        link: &[u8],
        size: u64,
        builder: &mut Builder<S>,
    ) -> Result<(), ArchiveError> {
        match header.kind {
            b'0' | b'\0' | b'7' if path.ends_with(b"/") => {
                // Before there was a kind for directories, they were files with a slash.
                if size > 0 {
                    return Err(unsupported(path, "it is a directory with contents"));
                }
                builder.directory(path)
            }
            b'0' | b'\0' | b'7' => {
                builder.file(path, header.executable, size, &mut self.input)?;
                self.offset += size;
                self.padding(size)
            }
            // GNU tar takes no contents after these, whatever their size says.
            b'1' => builder.hard_link(path, link),
            b'2' => builder.symlink(trimmed(path), link),
            b'5' => builder.directory(path),
            b'3' | b'4' | b'6' => Err(unsupported(
                path,
                "it is a device or a named pipe, which no store path can hold",
            )),
            b'S' => Err(unsupported(path, "it is a sparse file")),
            b'M' => Err(unsupported(path, "it is a part of a file, from before")),
            b'D' => Err(unsupported(path, "it is a directory of a dump")),
            _ => Err(unsupported(path, "it is of a kind that is not known")),
        }
    }

    /// The next header; `None` at the end. What is less than a block counts for the end, but at the
    /// beginning, where it is no tar.
    fn block(&mut self) -> Result<Option<[u8; BLOCK]>, ArchiveError> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            match self.input.read(&mut block[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(ArchiveError::Input { source }),
            }
        }
        if filled < BLOCK {
            return match self.offset {
                0 => Err(ArchiveError::Unknown),
                _ => Ok(None),
            };
        }
        if self.offset == 0 && Header::read(&block).is_err() {
            return Err(ArchiveError::Unknown);
        }
        self.offset += BLOCK as u64;
        Ok(Some(block))
    }

    /// A long name.
    fn text(&mut self, size: u64) -> Result<Vec<u8>, ArchiveError> {
        let mut text = self.extended(size)?;
        if let Some(end) = text.iter().position(|byte| *byte == 0) {
            text.truncate(end);
        }
        Ok(text)
    }

    /// The contents of a header that stands before a member.
    fn extended(&mut self, size: u64) -> Result<Vec<u8>, ArchiveError> {
        if size > self.limits.header {
            return Err(Exceeded::Header(self.limits.header).into());
        }
        let mut text = Vec::new();
        (&mut self.input)
            .take(size)
            .read_to_end(&mut text)
            .map_err(|source| ArchiveError::Input { source })?;
        self.offset += text.len() as u64;
        if (text.len() as u64) < size {
            return Err(self.damaged("a header before a member ends early"));
        }
        self.padding(size)?;
        Ok(text)
    }

    fn skip(&mut self, size: u64) -> Result<(), ArchiveError> {
        let skipped = io::copy(&mut (&mut self.input).take(size), &mut io::sink())
            .map_err(|source| ArchiveError::Input { source })?;
        self.offset += skipped;
        if skipped < size {
            return Err(self.damaged("a header before a member ends early"));
        }
        self.padding(size)
    }

    /// What fills the last block.
    fn padding(&mut self, size: u64) -> Result<(), ArchiveError> {
        let padding = size.wrapping_neg() % BLOCK as u64;
        let skipped = io::copy(&mut (&mut self.input).take(padding), &mut io::sink())
            .map_err(|source| ArchiveError::Input { source })?;
        self.offset += skipped;
        if skipped < padding {
            return Err(self.damaged("a member ends early"));
        }
        Ok(())
    }

    fn drain(mut self) -> Result<(), ArchiveError> {
        io::copy(&mut self.input, &mut io::sink())
            .map(|_| ())
            .map_err(|source| ArchiveError::Input { source })
    }

    fn damaged(&self, what: &'static str) -> ArchiveError {
        ArchiveError::Damaged {
            format: "tar",
            offset: self.offset.saturating_sub(BLOCK as u64),
            what,
        }
    }
}

/// A name without slashes at its end.
fn trimmed(path: &[u8]) -> &[u8] {
    let end = path.iter().rposition(|byte| *byte != b'/');
    end.map_or(path, |end| &path[..=end])
}
