//! The index file: opening, and replacing as a whole.
#![expect(clippy::disallowed_methods, reason = "this room owns the index file")]

use std::fs::File;
use std::io::{self, Write as _};

use camino::{Utf8Path, Utf8PathBuf};
use snowguard_advisory::index::{Index, OpenError};

/// An open index file.
#[derive(Debug)]
pub struct IndexFile {
    path: Utf8PathBuf,
    map: memmap2::Mmap,
}

impl IndexFile {
    /// Opens a file. Its checksums are checked by [`Self::index`].
    pub fn open(path: &Utf8Path) -> Result<Self, IndexFileError> {
        let io = |source| IndexFileError::Read {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(io)?;
        #[expect(
            unsafe_code,
            reason = "a map is undefined behaviour only if the file shrinks or changes below it: index files are \
                      replaced by rename, never written in place, so that the map keeps the old file"
        )]
        let map = unsafe { memmap2::Mmap::map(&file) }.map_err(io)?;
        Ok(Self {
            path: path.to_owned(),
            map,
        })
    }

    /// The index inside, with all checksums checked.
    pub fn index(&self) -> Result<Index<'_>, IndexFileError> {
        Index::open(&self.map).map_err(|source| IndexFileError::Open {
            path: self.path.clone(),
            source,
        })
    }

    /// Where it lies.
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// How large it is, in bytes.
    pub fn size(&self) -> usize {
        self.map.len()
    }

    /// Replaces the file at `path` by `bytes`, as a whole: who opens it sees the old or the new.
    ///
    /// The content is on disk before the name changes, and the directory after, so that neither
    /// `kill -9` nor a power cut leaves a torn file.
    pub fn replace(path: &Utf8Path, bytes: &[u8]) -> Result<(), IndexFileError> {
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
            .prefix(".advisories-")
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
    /// It is no index, of another version, or damaged.
    #[error("cannot use the advisory index {path}")]
    Open {
        /// Where it lies.
        path: Utf8PathBuf,
        /// What is wrong.
        source: OpenError,
    },
}

#[cfg(test)]
mod tests {
    use snowguard_advisory::index::Builder;

    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(directory.path())
            .unwrap()
            .join("sub/advisories.idx");
        IndexFile::replace(&path, b"old").unwrap();
        let old = IndexFile::open(&path).unwrap();
        let built = Builder::new().finish();
        IndexFile::replace(&path, &built.bytes).unwrap();
        assert_eq!(&old.map[..], b"old");
        assert!(old.index().is_err());
        assert_eq!(
            IndexFile::open(&path)
                .unwrap()
                .index()
                .unwrap()
                .vulnerability_count(),
            0
        );
        let left: Vec<_> = std::fs::read_dir(path.parent().unwrap()).unwrap().collect();
        assert_eq!(left.len(), 1);
    }
}
