//! Where the contents of files go while a tree is read, since a NAR has them in another order.

use std::io::{self, Read, Seek, SeekFrom, Write};

/// Takes bytes one after the other, and gives them again from anywhere.
pub trait Spool {
    /// Puts bytes at the end.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Fills the buffer from an offset on, as far as there is something; how many bytes came.
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
}

impl<S: Spool + ?Sized> Spool for Box<S> {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        (**self).append(bytes)
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        (**self).read_at(offset, buffer)
    }
}

/// Memory: for what is small.
#[derive(Debug, Default, Clone)]
pub struct Memory(Vec<u8>);

impl Spool for Memory {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = self.0.get(from..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
}

/// An empty file, or whatever else can be written, read and sought. Small pieces are gathered.
#[derive(Debug)]
pub struct FileSpool<F> {
    file: F,
    /// How much has been written, so that this is where the buffer belongs.
    written: u64,
    buffer: Vec<u8>,
    /// Where the file stands.
    at: u64,
}

/// How much is gathered before it is written.
const GATHERED: usize = 256 << 10;

impl<F: Read + Write + Seek> FileSpool<F> {
    /// Takes an empty file that stands at its beginning.
    pub fn new(file: F) -> Self {
        Self {
            file,
            written: 0,
            buffer: Vec::new(),
            at: 0,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.stand_at(self.written)?;
        self.file.write_all(&self.buffer)?;
        self.written += self.buffer.len() as u64;
        self.at = self.written;
        self.buffer.clear();
        Ok(())
    }

    fn stand_at(&mut self, offset: u64) -> io::Result<()> {
        if self.at != offset {
            self.at = self.file.seek(SeekFrom::Start(offset))?;
        }
        Ok(())
    }
}

impl<F: Read + Write + Seek> Spool for FileSpool<F> {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= GATHERED {
            self.flush()?;
        }
        Ok(())
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.flush()?;
        self.stand_at(offset)?;
        let mut filled = 0;
        while filled < buffer.len() {
            match self.file.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.at = offset.saturating_add(filled as u64);
        Ok(filled)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_file_gives_what_memory_gives(
            steps in prop::collection::vec((any::<bool>(), 0..200_000_u64, 0..60_000_usize), 1..20)
        ) {
            let (mut memory, mut file) = (Memory::default(), FileSpool::new(Cursor::new(Vec::new())));
            for (at, (append, offset, length)) in steps.into_iter().enumerate() {
                if append {
                    let bytes = vec![u8::try_from(at).unwrap(); length];
                    memory.append(&bytes).unwrap();
                    file.append(&bytes).unwrap();
                } else {
                    let (mut a, mut b) = (vec![9; length], vec![9; length]);
                    prop_assert_eq!(
                        memory.read_at(offset, &mut a).unwrap(),
                        file.read_at(offset, &mut b).unwrap()
                    );
                    prop_assert_eq!(a, b);
                }
            }
        }
    }
}
