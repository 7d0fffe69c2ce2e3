#![doc = include_str!("../README.md")]

mod binary;
mod kind;
mod part;
mod read;

pub use kind::{HEAD, Kind, kind_of};
pub use part::{Declared, Evidence, Origin, Part, Place, Scope, Span};
pub use read::{Limits, Parts, PartsError, Problem, read};
