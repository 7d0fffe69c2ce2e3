#![doc = include_str!("../README.md")]

pub mod derivations;
pub mod packages;
