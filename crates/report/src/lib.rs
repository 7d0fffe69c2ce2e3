#![doc = include_str!("../README.md")]

mod action;
mod build;
pub mod diff;
pub mod escape;
pub mod explain;
pub mod model;
pub mod text;

pub use action::is_kernel;
pub use build::{Facts, build};
pub use model::Report;
