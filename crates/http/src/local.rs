//! `file://`: a mirror that was carried here. The same checks, no network.
#![expect(
    clippy::disallowed_methods,
    reason = "this room reads mirrors that are files"
)]

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;

use camino::Utf8Path;

use crate::error::HttpError;

/// A file and what stands in the place of its `ETag`.
pub(crate) struct Local {
    pub(crate) file: File,
    pub(crate) length: u64,
    pub(crate) etag: String,
}

/// Opens a file of a mirror. Pipes and devices are none.
pub(crate) fn open(path: &Utf8Path) -> Result<Local, HttpError> {
    let cannot = |source| HttpError::File {
        what: "read",
        path: path.to_owned(),
        source,
    };
    let metadata = std::fs::metadata(path).map_err(cannot)?;
    if !metadata.is_file() {
        return Err(cannot(io::Error::other("it is not a regular file")));
    }
    Ok(Local {
        file: File::open(path).map_err(cannot)?,
        length: metadata.len(),
        etag: format!(
            "\"{}-{}.{}\"",
            metadata.len(),
            metadata.mtime(),
            metadata.mtime_nsec()
        ),
    })
}
