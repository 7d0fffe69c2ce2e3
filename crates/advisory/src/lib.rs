#![doc = include_str!("../README.md")]

pub mod authority;
pub mod cpe;
pub mod id;
pub mod identity;
pub mod index;
pub mod order;
pub mod range;
pub mod read;
pub mod record;
pub mod severity;
pub mod texts;
