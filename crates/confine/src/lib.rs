#![doc = include_str!("../README.md")]
#![expect(
    clippy::disallowed_methods,
    reason = "this room starts programs, writes the maps of user namespaces, and reads where sockets are"
)]

mod channel;
mod client;
mod files;
pub mod helper;
mod netlink;
mod sockets;
mod within;

pub use self::client::{Command, ConfineError, Confined, Ended, Sockets, Stdout, Stopper};
