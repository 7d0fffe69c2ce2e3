#![doc = include_str!("../README.md")]

pub mod action;
mod build;
pub mod csv;
pub mod cyclonedx;
pub mod diff;
pub mod escape;
pub mod explain;
pub mod fod;
mod gaps;
pub mod html;
mod identity;
pub mod model;
pub mod openvex;
pub mod pattern;
mod rank;
pub mod result;
pub mod sarif;
pub mod spdx;
pub mod text;
pub mod triage;
pub mod words;

pub use action::is_kernel;
pub use build::{Facts, build, evidence, patch, reason};
pub use model::Report;
