#![doc = include_str!("../README.md")]

mod access;
mod app;
mod assets;
mod attempt;
mod chart;
mod fault;
pub mod frame;
mod href;
mod limits;
mod metrics;
mod oauth;
pub mod page;
mod random;
mod reply;
mod request;
mod respond;
mod server;
mod settings;
mod words;

pub use app::App;
pub use assets::{Asset, Assets, assets};
#[doc(hidden)]
pub use attempt::{Attempt, attempt, attempted};
pub use fault::Problem;
pub use limits::Rate;
pub use random::NoRandom;
pub use respond::openapi;
pub use server::serve;
pub use settings::{GitHub, Limits, Login, Publishing, Settings};
