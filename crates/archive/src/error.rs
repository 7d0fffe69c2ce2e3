//! Why an archive cannot be read, or a tree cannot be written.

use std::io;

use snowguard_store::Quoted;

use crate::limits::Exceeded;
use crate::packed::Packing;

/// Why an archive cannot be unpacked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// Whoever gives the bytes failed.
    #[error("read archive: the input failed")]
    Input {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The compressed bytes are not as they should be.
    #[error("read archive: what is packed with {packing} is damaged")]
    Packed {
        /// With what.
        packing: Packing,
        /// What the decoder says.
        #[source]
        source: io::Error,
    },
    /// It is no archive, or one that is not read here.
    #[error("read archive: it is neither tar (plain, gzip, xz, bzip2, zstd) nor zip")]
    Unknown,
    /// The archive itself is not as it should be.
    #[error("read {format} at byte {offset}: {what}")]
    Damaged {
        /// `tar` or `zip`.
        format: &'static str,
        /// Where, in the archive as unpacked.
        offset: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// What a member is cannot be had here; the tools might make something of it.
    #[error("unpack {path}: {what}")]
    Unsupported {
        /// The member.
        path: Quoted,
        /// What it is.
        what: &'static str,
    },
    /// A name that leads elsewhere, or that no file can have.
    #[error("unpack {path}: {what}")]
    Name {
        /// The name.
        path: Quoted,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A member would be written through a symbolic link.
    #[error("unpack {path}: {link} on its way is a symbolic link")]
    ThroughSymlink {
        /// The member.
        path: Quoted,
        /// The link.
        link: Quoted,
    },
    /// Something on the way of a member is a file.
    #[error("unpack {path}: {file} on its way is a file")]
    ThroughFile {
        /// The member.
        path: Quoted,
        /// The file.
        file: Quoted,
    },
    /// A file or a link where a directory with contents is.
    #[error("unpack {path}: a directory that is not empty is there")]
    Occupied {
        /// The member.
        path: Quoted,
    },
    /// There is one of this name, and the tool would ask which to take.
    #[error("unpack {path}: there is one of this name already")]
    Duplicate {
        /// The member.
        path: Quoted,
    },
    /// The contents of a file are shorter than was said.
    #[error("unpack {path}: {left} bytes of it are missing")]
    Short {
        /// The file.
        path: Quoted,
        /// How many.
        left: u64,
    },
    /// A hard link to what is not there, or is a directory.
    #[error("unpack {path}: it is a hard link to {target}, which is no file that came before it")]
    HardLink {
        /// The member.
        path: Quoted,
        /// To what.
        target: Quoted,
    },
    /// It is larger than allowed.
    #[error(transparent)]
    Limit(#[from] Exceeded),
    /// What is unpacked to failed.
    #[error("unpack archive: the spool failed")]
    Spool {
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl ArchiveError {
    /// Whether the bytes came as they are: not so where the input or the spool failed.
    pub fn is_of_the_archive(&self) -> bool {
        !matches!(self, Self::Input { .. } | Self::Spool { .. })
    }
}

/// Why a tree cannot be read again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// What was unpacked to failed.
    #[error("read tree: the spool failed")]
    Spool {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What is written to failed.
    #[error("write tree: the output failed")]
    Output {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A tree that no NAR can hold; a builder lets none come to be.
    #[error("write tree: it has no NAR")]
    Nar {
        /// Why.
        #[source]
        source: snowguard_store::nar::NarWriteError,
    },
    /// A hash algorithm that is not computed.
    #[error("hash tree: `{0}` cannot be computed")]
    Algo(snowguard_store::HashAlgo),
}
