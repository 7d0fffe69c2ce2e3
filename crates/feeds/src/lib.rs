#![doc = include_str!("../README.md")]

pub mod feed;
pub mod file;
pub mod import;
mod lock;
mod open;
pub mod records;
pub mod repository;
pub mod segments;
pub mod triage;
pub mod update;

pub use feed::{Done, Feed, FeedError, FeedSettings, Malicious, OsvSettings};
pub use file::{IndexFile, IndexFileError};
pub use import::{Event, Import, ImportError, Imported, Problem};
pub use lock::Waiting;
pub use open::ContainerError;
pub use records::{Change, Changed, RecordStore, RecordsError};
pub use update::{FeedsPlace, Notice, Outcome, Report, Status, Update, UpdateError};
