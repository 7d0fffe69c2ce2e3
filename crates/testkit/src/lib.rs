#![doc = include_str!("../README.md")]

pub mod browser;
pub mod feeds;
pub mod nix;
pub mod programs;
pub mod schema;
pub mod web;
