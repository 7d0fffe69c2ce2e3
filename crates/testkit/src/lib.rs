#![doc = include_str!("../README.md")]

pub mod nix;
pub mod schema;
