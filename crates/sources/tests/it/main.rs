//! Everything that this crate reads, in one program: live stores and derivations that the real Nix
//! made, documents, package sets, lists, and what is none of these.
#![expect(clippy::disallowed_methods, reason = "tests write what is then read")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper of a test fails the test"
)]

mod derivations;
mod documents;
mod inside;
mod live;
mod packages;
mod support;
mod unknown;
