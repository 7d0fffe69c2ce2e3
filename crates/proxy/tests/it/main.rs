//! The proxy with real sockets, real TLS, `curl`, `git`, and the real Nix; all servers are on loopback.

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "tests start programs, read and write files, and fail where they cannot go on"
)]

mod hidden;
mod http;
mod limits;
mod malformed;
mod nix;
mod replay;
mod support;
mod tls;
