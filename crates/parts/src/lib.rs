#![doc = include_str!("../README.md")]

mod archive;
mod binary;
mod kind;
mod lock;
mod metered;
mod part;
mod read;
mod text;

pub use kind::{HEAD, Kind, kind_of};
pub use part::{Declared, Evidence, Origin, Part, Place, Scope, Span};
pub use read::{Limits, Parts, PartsError, Problem, read};
