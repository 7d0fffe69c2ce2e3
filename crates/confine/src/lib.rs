#![doc = include_str!("../README.md")]
#![expect(
    clippy::disallowed_methods,
    reason = "this room starts programs, and writes the maps of user namespaces"
)]

mod channel;
mod client;
pub mod helper;
mod netlink;

pub use self::client::{Command, ConfineError, Confined, Ended, Sockets, Stdout, Stopper};
