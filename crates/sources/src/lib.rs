#![doc = include_str!("../README.md")]

mod auxiliary;
mod content;
mod defaults;
pub mod derivations;
mod detect;
mod document;
mod drv_closure;
mod drv_files;
mod error;
mod input;
mod inside;
mod json_pieces;
mod live;
mod options;
pub mod packages;
mod path_info;
mod path_list;
mod read;
mod show;
mod title;
mod tree;

pub use self::defaults::{Home, default_input};
pub use self::detect::Looks;
pub use self::error::SourceError;
pub use self::input::{Input, Kind};
#[doc(hidden)]
pub use self::inside::rewrite_cached;
pub use self::inside::{Deep, DeepLimits, Effort, Mode};
pub use self::live::{Store, StoreError};
pub use self::options::{Limits, Options};
pub use self::read::read;
