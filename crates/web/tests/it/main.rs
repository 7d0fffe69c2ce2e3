//! The pages in a browser, and the server with what it refuses.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a helper of a test fails the test"
)]

mod attacks;
mod fixture;
mod pages;
mod people;
mod publish;
mod rules;
mod server;
mod subscribe;
mod support;
mod whole;
// The small package set of the tracker's own tests.
#[path = "../../../tracker/tests/it/world.rs"]
#[expect(dead_code, reason = "the tracker's tests ask more of it")]
mod world;
