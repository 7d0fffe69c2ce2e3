#![doc = include_str!("../README.md")]

pub mod browser;
pub mod nix;
pub mod schema;
pub mod web;
