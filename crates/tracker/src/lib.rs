#![doc = include_str!("../README.md")]

pub mod publish;
pub mod view;
