//! A directory of this machine as a tree: what a checkout or a store path holds, without following links.

#![expect(
    clippy::disallowed_methods,
    reason = "this room reads directories that were made here, and store paths"
)]

use std::fs::File;
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use snowguard_archive::{ArchiveError, Builder, Duplicates, FileSpool, Limits, Tree};

use crate::space::{Held, Share};

/// A tree whose contents lie in a file without a name.
pub(crate) type Spooled = Tree<FileSpool<Held>>;

/// An empty place for a tree.
pub(crate) fn builder(
    (scratch, share): (&Path, &Arc<Share>),
    limits: Limits,
) -> io::Result<Builder<FileSpool<Held>>> {
    let spool = FileSpool::new(Held::new(scratch, share)?);
    Ok(Builder::new(spool, limits, Duplicates::Refused))
}

/// Why a directory cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DirectoryError {
    #[error("cannot read {path}")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Tree(#[from] ArchiveError),
    #[error("{path} is neither file, directory nor symbolic link")]
    Kind { path: PathBuf },
}

/// Reads a directory; what is called as `without` says is left out, wherever it is.
pub(crate) fn read(
    root: &Path,
    without: Option<&[u8]>,
    scratch: (&Path, &Arc<Share>),
    limits: Limits,
) -> Result<Spooled, DirectoryError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| DirectoryError::Read { path, source }
    };
    let mut builder = builder(scratch, limits).map_err(failed(scratch.0))?;
    let mut todo: Vec<(PathBuf, Vec<u8>)> = vec![(root.to_owned(), Vec::new())];
    while let Some((directory, name)) = todo.pop() {
        for entry in directory.read_dir().map_err(failed(&directory))? {
            let entry = entry.map_err(failed(&directory))?;
            let own = entry.file_name();
            if without == Some(own.as_bytes()) {
                continue;
            }
            let path = entry.path();
            let metadata = std::fs::symlink_metadata(&path).map_err(failed(&path))?;
            let mut name = name.clone();
            if !name.is_empty() {
                name.push(b'/');
            }
            name.extend_from_slice(own.as_bytes());
            if metadata.is_dir() {
                builder.directory(&name)?;
                todo.push((path, name));
            } else if metadata.is_symlink() {
                let target = std::fs::read_link(&path).map_err(failed(&path))?;
                builder.symlink(&name, &target.into_os_string().into_vec())?;
            } else if metadata.is_file() {
                let executable = metadata.permissions().mode() & 0o100 != 0;
                let mut file = File::open(&path).map_err(failed(&path))?;
                builder.file(&name, executable, metadata.len(), &mut file)?;
            } else {
                return Err(DirectoryError::Kind { path });
            }
        }
    }
    Ok(builder.finish())
}
