#![doc = include_str!("../README.md")]

pub mod advisories;
mod chain;
pub mod decide;
pub mod foresee;
pub mod ingest;
pub mod publish;
pub mod rematch;
pub mod subscribe;
pub mod view;
pub mod work;
pub mod year;
