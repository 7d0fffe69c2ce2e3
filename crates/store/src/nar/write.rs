//! Events in, bytes out.

use std::io::{self, Write};

use super::{MAGIC, NarEvent, is_entry_name, padding};
use crate::quote::Quoted;

/// Writes a NAR step by step, and refuses steps that no NAR can hold.
///
/// ```
/// # use snowguard_store::nar::NarWriter;
/// let mut writer = NarWriter::new(Vec::new())?;
/// writer.directory(b"")?;
/// writer.file(b"hello", false, b"world\n")?;
/// writer.symlink(b"link", b"hello")?;
/// writer.directory_end()?;
/// let nar = writer.finish()?;
/// assert_eq!(nar.len(), 480);
/// # Ok::<(), snowguard_store::nar::NarWriteError>(())
/// ```
#[derive(Debug)]
pub struct NarWriter<W> {
    out: W,
    /// The name of the last entry of each open directory.
    open: Vec<Vec<u8>>,
    state: State,
}

impl<W: Write> NarWriter<W> {
    /// Starts.
    pub fn new(out: W) -> Result<Self, NarWriteError> {
        let mut writer = Self {
            out,
            open: Vec::new(),
            state: State::Root,
        };
        writer.string(MAGIC)?;
        Ok(writer)
    }

    /// Takes one step. After a file, exactly its contents must come through [`Self::contents`].
    pub fn event(&mut self, event: NarEvent<'_>) -> Result<(), NarWriteError> {
        if let State::Contents { left, .. } = self.state {
            return Err(NarWriteError::Short { left });
        }
        match event {
            NarEvent::Directory { name } => {
                self.node(name)?;
                self.strings(&[b"directory"])?;
                self.open.push(Vec::new());
                self.state = State::Entry;
                Ok(())
            }
            NarEvent::DirectoryEnd => {
                self.open.pop().ok_or(NarWriteError::NotOpen)?;
                self.node_end()
            }
            NarEvent::File {
                name,
                executable,
                size,
            } => {
                self.node(name)?;
                self.strings(&[b"regular"])?;
                if executable {
                    self.strings(&[b"executable", b""])?;
                }
                self.strings(&[b"contents"])?;
                self.bytes(&size.to_le_bytes())?;
                if size == 0 {
                    return self.node_end();
                }
                self.state = State::Contents { size, left: size };
                Ok(())
            }
            NarEvent::Symlink { name, target } => {
                if target.is_empty() || target.contains(&0) {
                    return Err(NarWriteError::Target {
                        target: Quoted::new(target),
                    });
                }
                self.node(name)?;
                self.strings(&[b"symlink", b"target", target])?;
                self.node_end()
            }
        }
    }

    /// Writes the next part of a file's contents.
    pub fn contents(&mut self, part: &[u8]) -> Result<(), NarWriteError> {
        if part.is_empty() {
            return Ok(());
        }
        let State::Contents { size, left } = self.state else {
            return Err(NarWriteError::Long {
                excess: part.len() as u64,
            });
        };
        let Some(left) = left.checked_sub(part.len() as u64) else {
            return Err(NarWriteError::Long {
                excess: part.len() as u64 - left,
            });
        };
        self.bytes(part)?;
        self.state = State::Contents { size, left };
        if left == 0 {
            self.bytes(&[0; 8][..padding(size)])?;
            self.node_end()?;
        }
        Ok(())
    }

    /// Begins a directory; the root has an empty name.
    pub fn directory(&mut self, name: &[u8]) -> Result<(), NarWriteError> {
        self.event(NarEvent::Directory { name })
    }

    /// Ends a directory.
    pub fn directory_end(&mut self) -> Result<(), NarWriteError> {
        self.event(NarEvent::DirectoryEnd)
    }

    /// Writes a whole file.
    pub fn file(
        &mut self,
        name: &[u8],
        executable: bool,
        contents: &[u8],
    ) -> Result<(), NarWriteError> {
        self.event(NarEvent::File {
            name,
            executable,
            size: contents.len() as u64,
        })?;
        self.contents(contents)
    }

    /// Writes a symbolic link.
    pub fn symlink(&mut self, name: &[u8], target: &[u8]) -> Result<(), NarWriteError> {
        self.event(NarEvent::Symlink { name, target })
    }

    /// Ends, and gives back what was written to; an error if something is open or there is no root.
    pub fn finish(self) -> Result<W, NarWriteError> {
        match self.state {
            State::End => Ok(self.out),
            State::Contents { left, .. } => Err(NarWriteError::Short { left }),
            State::Root | State::Entry => Err(NarWriteError::Unfinished),
        }
    }

    /// Writes what an object begins with, and the entry around it.
    fn node(&mut self, name: &[u8]) -> Result<(), NarWriteError> {
        let bad_name = || NarWriteError::Name {
            name: Quoted::new(name),
        };
        match (&self.state, self.open.last_mut()) {
            (State::End, _) => return Err(NarWriteError::SecondRoot),
            (_, None) if name.is_empty() => {}
            (_, Some(previous)) if is_entry_name(name) => {
                if name <= previous.as_slice() {
                    return Err(NarWriteError::Order {
                        name: Quoted::new(name),
                        previous: Quoted::new(previous),
                    });
                }
                name.clone_into(previous);
                self.strings(&[b"entry", b"(", b"name", name, b"node"])?;
            }
            _ => return Err(bad_name()),
        }
        self.strings(&[b"(", b"type"])
    }

    fn node_end(&mut self) -> Result<(), NarWriteError> {
        self.string(b")")?;
        if self.open.is_empty() {
            self.state = State::End;
            Ok(())
        } else {
            self.state = State::Entry;
            self.string(b")")
        }
    }

    fn strings(&mut self, strings: &[&[u8]]) -> Result<(), NarWriteError> {
        strings.iter().try_for_each(|string| self.string(string))
    }

    fn string(&mut self, string: &[u8]) -> Result<(), NarWriteError> {
        let length = string.len() as u64;
        self.bytes(&length.to_le_bytes())?;
        self.bytes(string)?;
        self.bytes(&[0; 8][..padding(length)])
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<(), NarWriteError> {
        self.out
            .write_all(bytes)
            .map_err(|source| NarWriteError::Write { source })
    }
}

/// Why a NAR cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NarWriteError {
    /// The writer below failed.
    #[error("write NAR: the output failed")]
    Write {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A name that no entry can have, or one for the root, or none for an entry.
    #[error("write NAR: invalid name {name}")]
    Name {
        /// The name.
        name: Quoted,
    },
    /// An entry does not come after the one before it.
    #[error("write NAR: {name} does not come after {previous}")]
    Order {
        /// The name.
        name: Quoted,
        /// The one before.
        previous: Quoted,
    },
    /// A symbolic link that points to nothing, or has a zero byte.
    #[error("write NAR: invalid target {target}")]
    Target {
        /// The target.
        target: Quoted,
    },
    /// Contents of a file are missing.
    #[error("write NAR: {left} bytes of a file are missing")]
    Short {
        /// How many.
        left: u64,
    },
    /// More contents than the file was said to have.
    #[error("write NAR: {excess} bytes more than the file has")]
    Long {
        /// How many.
        excess: u64,
    },
    /// No directory is open that could end.
    #[error("write NAR: no directory is open")]
    NotOpen,
    /// A NAR has one root.
    #[error("write NAR: it has a root already")]
    SecondRoot,
    /// There is no root, or a directory is still open.
    #[error("write NAR: it is not complete")]
    Unfinished,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Root,
    Entry,
    Contents { size: u64, left: u64 },
    End,
}
