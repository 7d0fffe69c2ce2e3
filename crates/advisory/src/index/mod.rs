//! The compiled index: all records as one block of bytes that is searched where it lies.
//!
//! The index is made once ([`Builder`]) and then only read ([`Index`]), from a memory map or from
//! bytes in the program. Equal input gives equal bytes: everything is sorted, and nothing of the
//! clock or the machine goes in. The layout is described in the book
//! (`docs/src/reference/index-format.md`); this module writes and reads it without `unsafe`, and
//! any byte string, however damaged, gives an error or wrong data but never a panic.
//!
//! It may be in two blocks: a base, and a delta with what changed since ([`Builder::finish_delta`]).
//! Records that speak of one vulnerability are a group, and a delta holds whole groups, so that an
//! answer is put together from one block and never from two.

mod build;
mod delta;
mod group;
mod items;
mod layout;
mod lists;
mod packed;
mod segment;
mod strings;
mod touched;
mod view;

pub use build::{Builder, Built};
pub use delta::DeltaError;
pub use items::{EntryView, ProductView, Source, SourceKind, VulnerabilityView};
pub use layout::{Corrupt, FORMAT_VERSION, OpenError, SegmentDigest, reseal};
pub use lists::{ProductList, RuleList, VulnerabilityList};
pub use touched::{Touched, marks};
pub use view::{EntryId, EntryList, Index, Key, VulnerabilityId};
