//! A tree as a NAR.

use std::collections::btree_map::Iter;
use std::io::{self, Write};

use snowguard_store::nar::{NarEvent, NarWriteError, NarWriter};
use snowguard_store::{Hash, HashAlgo, Hasher};

use crate::error::TreeError;
use crate::spool::Spool;
use crate::tree::{Node, Tree, contents};

impl<S: Spool> Tree<S> {
    /// Writes the NAR, and gives back what was written to.
    pub fn write_nar<W: Write>(&mut self, out: W) -> Result<W, TreeError> {
        let mut writer = NarWriter::new(out).map_err(nar_error)?;
        let mut buffer = Vec::new();
        // The rest of each open directory.
        let mut open: Vec<Iter<'_, Box<[u8]>, usize>> = Vec::new();
        let mut next: Option<(&[u8], usize)> = Some((b"", self.root));
        loop {
            if let Some((name, at)) = next.take() {
                let event = match &self.nodes[at] {
                    Node::Directory(children) => {
                        open.push(children.iter());
                        NarEvent::Directory { name }
                    }
                    Node::File(file) => NarEvent::File {
                        name,
                        executable: file.executable,
                        size: file.size,
                    },
                    Node::Symlink(target) => NarEvent::Symlink { name, target },
                };
                writer.event(event).map_err(nar_error)?;
                if let Node::File(file) = &self.nodes[at] {
                    contents(&mut self.spool, *file, &mut buffer, |piece| {
                        writer.contents(piece).map_err(nar_error)
                    })?;
                }
            }
            let Some(directory) = open.last_mut() else {
                return writer.finish().map_err(nar_error);
            };
            if let Some((name, at)) = directory.next() {
                next = Some((name, *at));
            } else {
                open.pop();
                writer.event(NarEvent::DirectoryEnd).map_err(nar_error)?;
            }
        }
    }

    /// The hash of the NAR.
    pub fn nar_hash(&mut self, algo: HashAlgo) -> Result<Hash, TreeError> {
        let hasher = Hasher::new(algo).ok_or(TreeError::Algo(algo))?;
        self.write_nar(hasher).map(Hasher::finish)
    }

    /// How long the NAR is.
    pub fn nar_size(&mut self) -> Result<u64, TreeError> {
        self.write_nar(Length(0)).map(|length| length.0)
    }

    /// Hash and length of the NAR, in one pass.
    pub fn nar_digest(&mut self, algo: HashAlgo) -> Result<(Hash, u64), TreeError> {
        let hasher = Hasher::new(algo).ok_or(TreeError::Algo(algo))?;
        let both = self.write_nar(Both(hasher, Length(0)))?;
        Ok((both.0.finish(), both.1.0))
    }
}

fn nar_error(error: NarWriteError) -> TreeError {
    match error {
        NarWriteError::Write { source } => TreeError::Output { source },
        source => TreeError::Nar { source },
    }
}

struct Length(u64);

impl Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Both(Hasher, Length);

impl Write for Both {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        self.1.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
