#![doc = include_str!("../README.md")]

mod builder;
mod error;
mod limits;
mod listing;
mod nar;
mod packed;
mod read;
mod spool;
mod strip;
mod swhid;
mod tar;
mod tree;
mod zip;

pub use builder::{Builder, Duplicates};
pub use error::{ArchiveError, TreeError};
pub use limits::{Exceeded, Limits};
pub use listing::{Difference, Member, What, first_difference};
pub use packed::Packing;
pub use read::{Format, read, read_tar, read_zip};
pub use spool::{FileSpool, Memory, Spool};
pub use strip::StripError;
pub use swhid::{ContentHasher, Swhid, SwhidError, SwhidKind};
pub use tree::{Replaced, Tree};
