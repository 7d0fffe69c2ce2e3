//! The index files: opening, and replacing as a whole.
//!
//! An index is the file that is named, the base, and if there is one a delta beside it, with the
//! ending `.delta`. Each is replaced by rename; the two together are not replaced at once, so a reader
//! makes sure that what it has opened belongs together.
#![expect(clippy::disallowed_methods, reason = "this room owns the index file")]

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use data_encoding::HEXLOWER;
use snowguard_advisory::index::{Index, OpenError, SegmentDigest};

use crate::lock::{FileLock, LockError, Waiting};

/// How often a reader begins anew because the base was replaced below it. Replacing takes seconds,
/// opening microseconds: twice would be remarkable.
const ATTEMPTS: usize = 16;
/// How long one waits for another who replaces the index.
const LONGEST: Duration = Duration::from_mins(10);
/// What new files are called until they are whole.
pub(crate) const UNFINISHED: &str = ".advisories-";

/// An open index: its base, and the delta if there is one of this base.
#[derive(Debug)]
pub struct IndexFile {
    path: Utf8PathBuf,
    base: memmap2::Mmap,
    delta: Option<memmap2::Mmap>,
}

impl IndexFile {
    /// Opens a file, and the delta beside it. Their checksums are checked by [`Self::index`].
    ///
    /// A delta of another base is not read. If files are replaced meanwhile, what is opened is a pair
    /// that was in force together.
    pub fn open(path: &Utf8Path) -> Result<Self, IndexFileError> {
        let mut attempts = 0;
        loop {
            let file = File::open(path).map_err(|source| IndexFileError::read(path, source))?;
            let base = map(&file).map_err(|source| IndexFileError::read(path, source))?;
            let delta = open_delta(path)?;
            let found = delta.as_deref().map(SegmentDigest::of_base);
            let delta = match found {
                // What is too damaged to say is told when it is read.
                Some(None) => delta,
                Some(of) if of == SegmentDigest::of(&base) => delta,
                // Either the delta is left over, or it is newer than the base that was opened.
                _ => {
                    attempts += 1;
                    if attempts < ATTEMPTS && !is_in_force(path, &file) {
                        continue;
                    }
                    None
                }
            };
            return Ok(Self {
                path: path.to_owned(),
                base,
                delta,
            });
        }
    }

    /// The index inside, with all checksums checked.
    pub fn index(&self) -> Result<Index<'_>, IndexFileError> {
        let Some(delta) = &self.delta else {
            return self.base();
        };
        Index::open_with_delta(&self.base, delta).or_else(|source| {
            // The base may be the one that is damaged.
            self.base()?;
            Err(IndexFileError::Delta {
                path: delta_path(&self.path),
                source,
            })
        })
    }

    /// The bytes of the base.
    pub fn base_bytes(&self) -> &[u8] {
        &self.base
    }

    /// The bytes of the delta, if there is one.
    pub fn delta_bytes(&self) -> Option<&[u8]> {
        self.delta.as_deref()
    }

    /// What tells it from every other, whether it has a delta or not.
    pub fn digest(&self) -> String {
        let name = |digest: Option<SegmentDigest>| {
            digest.map_or_else(String::new, |digest| HEXLOWER.encode(digest.as_bytes()))
        };
        let delta = self.delta_bytes().and_then(SegmentDigest::of);
        format!("{}+{}", name(self.base_digest()), name(delta))
    }

    /// Where it lies.
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// How large it is, with its delta, in bytes.
    pub fn size(&self) -> usize {
        self.base.len() + self.delta.as_ref().map_or(0, |delta| delta.len())
    }

    /// Replaces an index by one without a delta, as a whole: who opens it sees the old or the new.
    pub fn replace(path: &Utf8Path, bytes: &[u8]) -> Result<(), IndexFileError> {
        replace_file(path, bytes)?;
        // It belongs to the old base, and is not read any more.
        Self::remove_delta(path)
    }

    /// Replaces the delta beside an index.
    pub fn replace_delta(path: &Utf8Path, bytes: &[u8]) -> Result<(), IndexFileError> {
        replace_file(&delta_path(path), bytes)
    }

    /// Removes the delta beside an index, if there is one.
    pub fn remove_delta(path: &Utf8Path) -> Result<(), IndexFileError> {
        let path = delta_path(path);
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(IndexFileError::Write { path, source })
            }
            _ => Ok(()),
        }
    }

    /// Keeps others from replacing the files of an index. Whoever replaces them holds this meanwhile:
    /// the base and the delta of two writers would not belong together. Waits for who has it, which is
    /// some seconds if that one makes a base meanwhile; much longer than that is an error.
    pub fn lock(path: &Utf8Path, waiting: &mut Waiting<'_>) -> Result<IndexLock, IndexFileError> {
        let lock = Utf8PathBuf::from(format!("{path}.lock"));
        if let Some(parent) = path.parent().filter(|parent| !parent.as_str().is_empty()) {
            std::fs::create_dir_all(parent).map_err(|source| IndexFileError::Write {
                path: path.to_owned(),
                source,
            })?;
        }
        match FileLock::take(&lock, Some(LONGEST), waiting) {
            Ok(held) => Ok(IndexLock(held)),
            Err(LockError::Held) => Err(IndexFileError::Held { path: lock }),
            Err(LockError::Interrupted) => Err(IndexFileError::Interrupted),
            Err(LockError::Io(source)) => Err(IndexFileError::Lock { path: lock, source }),
        }
    }

    /// What tells its base from others, as a delta names it. Nothing if it is too damaged to say.
    pub fn base_digest(&self) -> Option<SegmentDigest> {
        SegmentDigest::of(&self.base)
    }

    fn base(&self) -> Result<Index<'_>, IndexFileError> {
        Index::open(&self.base).map_err(|source| IndexFileError::Open {
            path: self.path.clone(),
            source,
        })
    }
}

/// Held while the files of an index are replaced. It ends with the process.
#[derive(Debug)]
pub struct IndexLock(#[expect(dead_code, reason = "it is held as long as this is there")] FileLock);

/// Where the delta of an index lies.
pub fn delta_path(index: &Utf8Path) -> Utf8PathBuf {
    Utf8PathBuf::from(format!("{index}.delta"))
}

fn open_delta(index: &Utf8Path) -> Result<Option<memmap2::Mmap>, IndexFileError> {
    let path = delta_path(index);
    match File::open(&path).and_then(|file| map(&file)) {
        Ok(map) => Ok(Some(map)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(IndexFileError::read(&path, source)),
    }
}

fn map(file: &File) -> io::Result<memmap2::Mmap> {
    #[expect(
        unsafe_code,
        reason = "a map is undefined behaviour only if the file shrinks or changes below it: index files are \
                  replaced by rename, never written in place, so that the map keeps the old file"
    )]
    unsafe {
        memmap2::Mmap::map(file)
    }
}

/// Whether a path still leads to an open file. As long as it is open, no other has its number.
fn is_in_force(path: &Utf8Path, file: &File) -> bool {
    let number = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
    match (std::fs::metadata(path), file.metadata()) {
        (Ok(now), Ok(then)) => number(now) == number(then),
        _ => false,
    }
}

/// Replaces a file by `bytes`, as a whole.
///
/// The content is on disk before the name changes, and the directory after, so that neither
/// `kill -9` nor a power cut leaves a torn file.
pub(crate) fn replace_file(path: &Utf8Path, bytes: &[u8]) -> Result<(), IndexFileError> {
    let io = |source| IndexFileError::Write {
        path: path.to_owned(),
        source,
    };
    let directory = match path.parent() {
        Some(parent) if !parent.as_str().is_empty() => parent,
        _ => Utf8Path::new("."),
    };
    std::fs::create_dir_all(directory).map_err(io)?;
    let mut file = tempfile::Builder::new()
        .prefix(UNFINISHED)
        .permissions(readable_by_all())
        .tempfile_in(directory)
        .map_err(io)?;
    file.write_all(bytes).map_err(io)?;
    file.as_file().sync_all().map_err(io)?;
    file.persist(path).map_err(|error| io(error.error))?;
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(io)
}

/// The index holds nothing secret, and a service and a person may share it.
fn readable_by_all() -> std::fs::Permissions {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::Permissions::from_mode(0o644)
}

/// Why an index file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IndexFileError {
    /// It cannot be read.
    #[error("cannot read the advisory index {path}")]
    Read {
        /// Where it lies.
        path: Utf8PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It cannot be written.
    #[error("cannot write the advisory index {path}")]
    Write {
        /// Where it should lie.
        path: Utf8PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// What keeps others from replacing it cannot be locked.
    #[error("cannot lock the advisory index with {path}")]
    Lock {
        /// Where the lock lies.
        path: Utf8PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Another program replaces it, and does not end.
    #[error("another program has held {path}, the lock of the advisory index, for ten minutes")]
    Held {
        /// Where the lock lies.
        path: Utf8PathBuf,
    },
    /// The person stopped it while it waited for another program.
    #[error("interrupted")]
    Interrupted,
    /// It is no index, of another version, or damaged.
    #[error("cannot use the advisory index {path}")]
    Open {
        /// Where it lies.
        path: Utf8PathBuf,
        /// What is wrong.
        source: OpenError,
    },
    /// The delta beside it is damaged, or of another version.
    #[error("cannot use {path}, the delta of the advisory index")]
    Delta {
        /// Where the delta lies.
        path: Utf8PathBuf,
        /// What is wrong.
        source: OpenError,
    },
}

impl IndexFileError {
    /// What to do next, where the lock is what is wrong.
    pub fn lock_hint(&self) -> Option<&'static str> {
        match self {
            Self::Lock { .. } => Some(
                "the directory of the index must be writable; --index and --output name another",
            ),
            Self::Held { .. } => {
                Some("`lslocks` or `fuser` tells which program that is; the index is as it was")
            }
            _ => None,
        }
    }

    fn read(path: &Utf8Path, source: io::Error) -> Self {
        Self::Read {
            path: path.to_owned(),
            source,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use snowguard_advisory::index::{Builder, SourceKind, Touched};
    use snowguard_advisory::record::Record;

    use super::*;

    fn scratch() -> (tempfile::TempDir, Utf8PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(directory.path()).unwrap();
        let path = path.join("sub/advisories.idx");
        (directory, path)
    }

    /// A record of one CVE whose only statement is its state.
    fn record(state: u8) -> Record {
        let mut record = Record::new("CVE-2024-0001".parse().unwrap());
        record.withdrawn = true;
        record.summary = Some(format!("state {state}"));
        record
    }

    fn base(state: u8) -> Vec<u8> {
        let mut builder = Builder::new();
        builder.add("a", SourceKind::Osv, record(state));
        builder.finish().bytes
    }

    fn delta(base: &[u8], state: u8) -> Vec<u8> {
        let sources = Index::open(base).unwrap().sources().unwrap();
        let mut touched = Touched::new();
        touched.note(&record(state));
        let mut builder = Builder::new();
        builder.add("a", SourceKind::Osv, record(state));
        builder
            .finish_delta(base, &touched, &sources)
            .unwrap()
            .bytes
    }

    fn state(file: &IndexFile) -> String {
        let index = file.index().unwrap();
        let id = index.find("CVE-2024-0001").unwrap().unwrap();
        index.vulnerability(id).unwrap().summary.unwrap().to_owned()
    }

    #[test]
    fn a_file_is_replaced_as_a_whole() {
        let (_keep, path) = scratch();
        IndexFile::replace(&path, b"old").unwrap();
        let old = IndexFile::open(&path).unwrap();
        let built = Builder::new().finish();
        IndexFile::replace(&path, &built.bytes).unwrap();
        assert_eq!(&old.base[..], b"old");
        assert!(old.index().is_err());
        let new = IndexFile::open(&path).unwrap();
        assert_eq!(new.index().unwrap().vulnerability_count(), 0);
        let left: Vec<_> = std::fs::read_dir(path.parent().unwrap()).unwrap().collect();
        assert_eq!(left.len(), 1);
    }

    #[test]
    fn a_delta_is_read_with_its_base_and_no_other() {
        let (_keep, path) = scratch();
        let one = base(1);
        IndexFile::replace(&path, &one).unwrap();
        let alone = IndexFile::open(&path).unwrap();
        IndexFile::replace_delta(&path, &delta(&one, 2)).unwrap();
        let joined = IndexFile::open(&path).unwrap();
        assert_eq!(
            (state(&alone), state(&joined)),
            ("state 1".into(), "state 2".into())
        );
        // As if the program had ended between the two steps of a compaction.
        replace_file(&path, &base(3)).unwrap();
        assert_eq!(state(&IndexFile::open(&path).unwrap()), "state 3");
        assert_eq!(state(&joined), "state 2");
        IndexFile::replace(&path, &base(4)).unwrap();
        assert!(!delta_path(&path).exists());
    }

    #[test]
    fn damage_to_a_delta_is_told() {
        let (_keep, path) = scratch();
        let one = base(1);
        IndexFile::replace(&path, &one).unwrap();
        let whole = delta(&one, 2);
        let told = |bytes: &[u8]| {
            IndexFile::replace_delta(&path, bytes).unwrap();
            let file = IndexFile::open(&path).unwrap();
            let error = file.index().err().unwrap();
            let cause = std::error::Error::source(&error).unwrap().to_string();
            format!("{error}: {cause}").replace(path.as_str(), "PATH")
        };
        let mut damaged = whole.clone();
        *damaged.last_mut().unwrap() ^= 1;
        insta::assert_snapshot!(told(&damaged), @"cannot use PATH.delta, the delta of the advisory index: the index is damaged in its source numbers");
        insta::assert_snapshot!(told(&whole[..100]), @"cannot use PATH.delta, the delta of the advisory index: the index is cut off: section table should end at byte 504, the file has 100");
        insta::assert_snapshot!(told(b"x"), @"cannot use PATH.delta, the delta of the advisory index: this is not the delta of an advisory index");
        IndexFile::remove_delta(&path).unwrap();
        IndexFile::remove_delta(&path).unwrap();
        assert_eq!(state(&IndexFile::open(&path).unwrap()), "state 1");
    }

    #[test]
    fn what_is_opened_was_in_force_together() {
        let (_keep, path) = scratch();
        IndexFile::replace(&path, &base(0)).unwrap();
        let end = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                // States only rise: base of 2n, its delta 2n + 1, base of 2n + 2 ...
                for n in 0..60 {
                    let of = base(2 * n);
                    IndexFile::replace(&path, &of).unwrap();
                    IndexFile::replace_delta(&path, &delta(&of, 2 * n + 1)).unwrap();
                }
                end.store(true, Ordering::Relaxed);
            });
            let mut before = 0;
            while !end.load(Ordering::Relaxed) {
                let seen = state(&IndexFile::open(&path).unwrap());
                let seen: u8 = seen.trim_start_matches("state ").parse().unwrap();
                assert!(seen >= before, "{seen} after {before}");
                before = seen;
            }
            writer.join().unwrap();
        });
    }
}
