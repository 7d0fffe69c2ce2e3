#![doc = include_str!("../README.md")]

pub mod ingest;
pub mod publish;
pub mod view;
