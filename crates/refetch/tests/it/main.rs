//! The whole, against servers on the loopback interface and the real Nix.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests start programs and servers, write scratch files, and fail where they cannot go on"
)]

mod answers;
mod builds;
mod corpus;
mod fetched;
mod lfs;
mod lfs_server;
mod oracle;
mod queue;
mod repositories;
mod support;
