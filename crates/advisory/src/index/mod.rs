//! The compiled index: all records as one block of bytes that is searched where it lies.
//!
//! The index is made once ([`Builder`]) and then only read ([`Index`]), from a memory map or from
//! bytes in the program. Equal input gives equal bytes: everything is sorted, and nothing of the
//! clock or the machine goes in. The layout is described in the book
//! (`docs/src/reference/index-format.md`); this module writes and reads it without `unsafe`, and
//! any byte string, however damaged, gives an error or wrong data but never a panic.

mod build;
mod items;
mod layout;
mod touched;
mod view;

pub use build::{Builder, Built};
pub use items::{EntryView, ProductView, Source, SourceKind, VulnerabilityView};
pub use layout::{Corrupt, FORMAT_VERSION, OpenError, reseal};
pub use touched::{Touched, marks};
pub use view::{EntryId, Index, Key, ProductList, RuleList, VulnerabilityId, VulnerabilityList};
