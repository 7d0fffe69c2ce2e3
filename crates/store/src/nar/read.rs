//! Bytes in, events out.

use std::cmp::Ordering;
use std::io::{self, Read};

use super::{MAGIC, NarEvent, is_entry_name, padding};
use crate::quote::Quoted;

/// How much of a NAR is read before giving up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NarLimits {
    /// Bytes of the whole NAR.
    pub bytes: u64,
    /// File system objects in it, the root included.
    pub entries: u64,
    /// How many objects may be nested, the root and the innermost included.
    pub depth: usize,
    /// Bytes of a name.
    pub name_len: usize,
    /// Bytes of a symbolic link's target.
    pub target_len: usize,
}

impl Default for NarLimits {
    /// 1 TiB and a hundred million objects; 64 levels, 255 and 4095 bytes, which Nix has as limits since
    /// 2.35 and had not before.
    fn default() -> Self {
        Self {
            bytes: 1 << 40,
            entries: 100_000_000,
            depth: 64,
            name_len: 255,
            target_len: 4095,
        }
    }
}

/// Reads a NAR step by step, in pieces of a few bytes: give it a buffered reader or a slice.
///
/// ```
/// # use snowguard_store::nar::{NarEvent, NarReader, NarWriter};
/// # use std::io::Read;
/// # let mut writer = NarWriter::new(Vec::new())?;
/// # writer.file(b"", false, b"hello")?;
/// # let nar = writer.finish()?;
/// let mut reader = NarReader::new(&nar[..])?;
/// assert_eq!(reader.next()?, Some(NarEvent::File { name: b"", executable: false, size: 5 }));
/// let mut contents = String::new();
/// reader.contents().read_to_string(&mut contents)?;
/// assert_eq!(contents, "hello");
/// assert_eq!(reader.next()?, None);
/// reader.end()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct NarReader<R> {
    input: Input<R>,
    limits: NarLimits,
    entries: u64,
    /// The name of the last entry of each open directory.
    open: Vec<Vec<u8>>,
    state: State,
    name: Vec<u8>,
    target: Vec<u8>,
    /// The word of the format that was read last.
    tag: Vec<u8>,
}

impl<R: Read> NarReader<R> {
    /// Starts, and reads what every NAR begins with.
    pub fn new(input: R) -> Result<Self, NarError> {
        Self::with_limits(input, NarLimits::default())
    }

    /// Starts with limits of the caller's.
    pub fn with_limits(input: R, limits: NarLimits) -> Result<Self, NarError> {
        let mut input = Input {
            inner: input,
            at: 0,
            limit: limits.bytes,
        };
        let mut magic = Vec::new();
        match input.string(&mut magic, MAGIC.len(), "magic") {
            Err(error @ NarError::Read { .. }) => return Err(error),
            Ok(()) if magic == MAGIC => {}
            _ => return Err(NarError::Magic),
        }
        Ok(Self {
            input,
            limits,
            entries: 0,
            open: Vec::new(),
            state: State::Root,
            name: Vec::new(),
            target: Vec::new(),
            tag: Vec::new(),
        })
    }

    /// The next step; `None` at the end. Contents of a file that were not read are skipped.
    ///
    /// After an error every further call fails.
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator cannot lend its items"
    )]
    pub fn next(&mut self) -> Result<Option<NarEvent<'_>>, NarError> {
        let state = std::mem::replace(&mut self.state, State::Failed);
        let step = self.step(state)?;
        let name = &self.name;
        Ok(step.map(|step| match step {
            Step::Directory => NarEvent::Directory { name },
            Step::DirectoryEnd => NarEvent::DirectoryEnd,
            Step::File { executable, size } => NarEvent::File {
                name,
                executable,
                size,
            },
            Step::Symlink => NarEvent::Symlink {
                name,
                target: &self.target,
            },
        }))
    }

    /// The contents of the file that [`Self::next`] told last; nothing if it told something else.
    pub fn contents(&mut self) -> NarContents<'_, R> {
        NarContents { reader: self }
    }

    /// How many objects are open around the next one.
    pub fn depth(&self) -> usize {
        self.open.len()
    }

    /// Reads what is left, and makes sure that nothing follows.
    pub fn end(mut self) -> Result<(), NarError> {
        while self.next()?.is_some() {}
        let offset = self.input.at;
        let mut byte = [0];
        loop {
            match self.input.inner.read(&mut byte) {
                Ok(0) => return Ok(()),
                Ok(_) => return Err(NarError::Trailing { offset }),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(NarError::Read { offset, source }),
            }
        }
    }

    fn step(&mut self, state: State) -> Result<Option<Step>, NarError> {
        let state = match state {
            State::Contents { size, left } => {
                self.input.skip(left)?;
                self.input.padding(size)?;
                self.expect(b")", "`)` after a file")?;
                self.node_end()?
            }
            other => other,
        };
        match state {
            State::Root => {
                self.name.clear();
                self.node().map(Some)
            }
            State::Entry => self.entry().map(Some),
            State::End => {
                self.state = State::End;
                Ok(None)
            }
            State::Contents { .. } | State::Failed => Err(NarError::AfterError),
        }
    }

    fn entry(&mut self) -> Result<Step, NarError> {
        let offset = self.input.at;
        let tag = self.tag()?;
        if tag == b")" {
            self.open.pop();
            self.state = self.node_end()?;
            return Ok(Step::DirectoryEnd);
        }
        if tag != b"entry" {
            let found = Quoted::new(tag);
            return Err(NarError::Expected {
                offset,
                expected: "`entry` or `)`",
                found,
            });
        }
        self.expect(b"(", "`(` after `entry`")?;
        self.expect(b"name", "`name`")?;
        let offset = self.input.at;
        self.input
            .string(&mut self.name, self.limits.name_len, "name")?;
        if !is_entry_name(&self.name) {
            return Err(NarError::Name {
                offset,
                name: Quoted::new(&self.name),
            });
        }
        if let Some(previous) = self.open.last_mut() {
            match self.name.cmp(previous) {
                Ordering::Greater => {}
                Ordering::Equal => {
                    return Err(NarError::Duplicate {
                        offset,
                        name: Quoted::new(&self.name),
                    });
                }
                Ordering::Less => {
                    let (name, previous) = (Quoted::new(&self.name), Quoted::new(previous));
                    return Err(NarError::Order {
                        offset,
                        name,
                        previous,
                    });
                }
            }
            previous.clone_from(&self.name);
        }
        self.expect(b"node", "`node`")?;
        self.node()
    }

    fn node(&mut self) -> Result<Step, NarError> {
        if self.open.len() >= self.limits.depth {
            return Err(NarError::TooDeep {
                offset: self.input.at,
                limit: self.limits.depth,
            });
        }
        self.entries += 1;
        if self.entries > self.limits.entries {
            return Err(NarError::TooMany {
                limit: self.limits.entries,
            });
        }
        self.expect(b"(", "`(` before an object")?;
        self.expect(b"type", "`type`")?;
        let offset = self.input.at;
        match self.tag()? {
            b"regular" => self.file(),
            b"directory" => {
                self.open.push(Vec::new());
                self.state = State::Entry;
                Ok(Step::Directory)
            }
            b"symlink" => self.symlink(),
            other => Err(NarError::Type {
                offset,
                found: Quoted::new(other),
            }),
        }
    }

    fn file(&mut self) -> Result<Step, NarError> {
        let mut offset = self.input.at;
        let mut tag = self.tag()?;
        let executable = tag == b"executable";
        if executable {
            self.expect(b"", "an empty string after `executable`")?;
            offset = self.input.at;
            tag = self.tag()?;
        }
        if tag != b"contents" {
            let found = Quoted::new(tag);
            return Err(NarError::Expected {
                offset,
                expected: "`contents`",
                found,
            });
        }
        let size = self.input.number()?;
        if size > self.limits.bytes.saturating_sub(self.input.at) {
            return Err(NarError::TooLarge {
                limit: self.limits.bytes,
            });
        }
        self.state = State::Contents { size, left: size };
        Ok(Step::File { executable, size })
    }

    fn symlink(&mut self) -> Result<Step, NarError> {
        self.expect(b"target", "`target`")?;
        let offset = self.input.at;
        self.input
            .string(&mut self.target, self.limits.target_len, "target")?;
        if self.target.is_empty() || self.target.contains(&0) {
            return Err(NarError::Target {
                offset,
                target: Quoted::new(&self.target),
            });
        }
        self.expect(b")", "`)` after a symbolic link")?;
        self.state = self.node_end()?;
        Ok(Step::Symlink)
    }

    /// What comes after a whole object.
    fn node_end(&mut self) -> Result<State, NarError> {
        if self.open.is_empty() {
            return Ok(State::End);
        }
        self.expect(b")", "`)` after an entry")?;
        Ok(State::Entry)
    }

    fn expect(&mut self, wanted: &'static [u8], expected: &'static str) -> Result<(), NarError> {
        let offset = self.input.at;
        let tag = self.tag()?;
        if tag == wanted {
            return Ok(());
        }
        Err(NarError::Expected {
            offset,
            expected,
            found: Quoted::new(tag),
        })
    }

    /// Reads a string that can only be a word of the format; these are short.
    fn tag(&mut self) -> Result<&[u8], NarError> {
        self.input.string(&mut self.tag, 32, "tag")?;
        Ok(&self.tag)
    }
}

/// The contents of a file in a NAR; an error if the NAR ends before they do.
#[derive(Debug)]
pub struct NarContents<'a, R> {
    reader: &'a mut NarReader<R>,
}

impl<R: Read> Read for NarContents<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let State::Contents { left, .. } = &mut self.reader.state else {
            return Ok(0);
        };
        let room = usize::try_from(*left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        if room == 0 {
            return Ok(0);
        }
        let count = self.reader.input.inner.read(&mut buffer[..room])?;
        if count == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the NAR ends within a file",
            ));
        }
        *left -= count as u64;
        self.reader.input.at += count as u64;
        Ok(count)
    }
}

/// Why bytes are not a NAR. Offsets are in bytes from its beginning.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NarError {
    /// The reader failed.
    #[error("read NAR: the input failed at byte {offset}")]
    Read {
        /// Where.
        offset: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The bytes end before the NAR does.
    #[error("read NAR: it ends too early, at byte {offset}")]
    Truncated {
        /// Where.
        offset: u64,
    },
    /// Not a NAR at all.
    #[error("read NAR: it does not begin with `nix-archive-1`")]
    Magic,
    /// Another word than expected.
    #[error("read NAR: expected {expected} at byte {offset}, found {found}")]
    Expected {
        /// Where.
        offset: u64,
        /// What would be right.
        expected: &'static str,
        /// What is there.
        found: Quoted,
    },
    /// Neither `regular` nor `directory` nor `symlink`.
    #[error("read NAR: unknown type {found} at byte {offset}")]
    Type {
        /// Where.
        offset: u64,
        /// What is there.
        found: Quoted,
    },
    /// A string is longer than it can be in this place.
    #[error("read NAR: {what} of {length} bytes at byte {offset}, more than {limit}")]
    StringTooLong {
        /// Where.
        offset: u64,
        /// What it is for.
        what: &'static str,
        /// Its length.
        length: u64,
        /// The limit.
        limit: usize,
    },
    /// Bytes that fill up to a multiple of eight are not zero.
    #[error("read NAR: padding that is not zero at byte {offset}")]
    Padding {
        /// Where it begins.
        offset: u64,
    },
    /// An entry is called `.`, `..`, nothing, or has a `/` or a zero byte in its name.
    #[error("read NAR: invalid name {name} at byte {offset}")]
    Name {
        /// Where.
        offset: u64,
        /// The name.
        name: Quoted,
    },
    /// Two entries of a directory have the same name.
    #[error("read NAR: {name} at byte {offset} is there twice")]
    Duplicate {
        /// Where.
        offset: u64,
        /// The name.
        name: Quoted,
    },
    /// Entries of a directory are not in order.
    #[error("read NAR: {name} at byte {offset} comes after {previous}")]
    Order {
        /// Where.
        offset: u64,
        /// The name.
        name: Quoted,
        /// The one before.
        previous: Quoted,
    },
    /// The target of a symbolic link is empty or has a zero byte.
    #[error("read NAR: invalid target {target} at byte {offset}")]
    Target {
        /// Where.
        offset: u64,
        /// The target.
        target: Quoted,
    },
    /// Directories are nested deeper than [`NarLimits::depth`].
    #[error("read NAR: more than {limit} levels at byte {offset}")]
    TooDeep {
        /// Where.
        offset: u64,
        /// The limit.
        limit: usize,
    },
    /// More objects than [`NarLimits::entries`].
    #[error("read NAR: more than {limit} entries")]
    TooMany {
        /// The limit.
        limit: u64,
    },
    /// More bytes than [`NarLimits::bytes`].
    #[error("read NAR: more than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// Something follows.
    #[error("read NAR: it ends at byte {offset}, but more follows")]
    Trailing {
        /// Where it ends.
        offset: u64,
    },
    /// Reading went on after an error.
    #[error("read NAR: it has failed before")]
    AfterError,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// The root is next.
    Root,
    /// An entry of a directory, or its end, is next.
    Entry,
    /// Contents of a file are next.
    Contents { size: u64, left: u64 },
    /// Nothing is next.
    End,
    /// An error has been told.
    Failed,
}

/// [`NarEvent`] without its texts, which are in the reader.
enum Step {
    Directory,
    DirectoryEnd,
    File { executable: bool, size: u64 },
    Symlink,
}

#[derive(Debug)]
struct Input<R> {
    inner: R,
    at: u64,
    limit: u64,
}

impl<R: Read> Input<R> {
    fn string(
        &mut self,
        out: &mut Vec<u8>,
        limit: usize,
        what: &'static str,
    ) -> Result<(), NarError> {
        let offset = self.at;
        let length = self.number()?;
        let fits = usize::try_from(length)
            .ok()
            .filter(|length| *length <= limit);
        let Some(fits) = fits else {
            return Err(NarError::StringTooLong {
                offset,
                what,
                length,
                limit,
            });
        };
        out.clear();
        out.resize(fits, 0);
        self.exactly(out)?;
        self.padding(length)
    }

    fn number(&mut self) -> Result<u64, NarError> {
        let mut bytes = [0; 8];
        self.exactly(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn padding(&mut self, length: u64) -> Result<(), NarError> {
        let offset = self.at;
        let mut bytes = [0; 8];
        let zeros = &mut bytes[..padding(length)];
        self.exactly(zeros)?;
        if zeros.iter().any(|byte| *byte != 0) {
            return Err(NarError::Padding { offset });
        }
        Ok(())
    }

    fn skip(&mut self, count: u64) -> Result<(), NarError> {
        let offset = self.at;
        let skipped = io::copy(&mut self.inner.by_ref().take(count), &mut io::sink())
            .map_err(|source| NarError::Read { offset, source })?;
        self.at += skipped;
        if skipped < count {
            Err(NarError::Truncated { offset: self.at })
        } else {
            Ok(())
        }
    }

    fn exactly(&mut self, out: &mut [u8]) -> Result<(), NarError> {
        if out.len() as u64 > self.limit.saturating_sub(self.at) {
            return Err(NarError::TooLarge { limit: self.limit });
        }
        match self.inner.read_exact(out) {
            Ok(()) => {
                self.at += out.len() as u64;
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(NarError::Truncated { offset: self.at })
            }
            Err(source) => Err(NarError::Read {
                offset: self.at,
                source,
            }),
        }
    }
}
