#![doc = include_str!("../README.md")]

pub mod browser;
pub mod certificates;
pub mod database;
pub mod feeds;
pub mod forge;
pub mod machine;
pub mod nix;
pub mod postgres;
pub mod programs;
pub mod schema;
pub mod web;
