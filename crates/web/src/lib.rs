#![doc = include_str!("../README.md")]

mod assets;
mod chart;
pub mod frame;
mod href;
pub mod page;
mod words;

pub use assets::{Asset, Assets, assets};
