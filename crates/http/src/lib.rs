#![doc = include_str!("../README.md")]

mod address;
mod client;
mod cookies;
mod download;
mod error;
mod fault;
mod local;
mod pace;
mod part;
mod public;
mod retry;
mod settings;
mod stream;

pub use address::{Address, AddressError};
pub use client::{Client, Get, Page, Post};
pub use download::{Download, Event, Expected, Whole};
pub use error::HttpError;
pub use settings::{Conditions, Egress, Settings};
pub use snowguard_reach::is_public;
pub use stream::{Question, Stream, Told};
