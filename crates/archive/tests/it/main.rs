//! What is read, beside what GNU tar, unzip, Nix and Git make of the same bytes.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper of a test fails the test"
)]

mod hostile;
mod made;
mod swhid;
mod tars;
mod tools;
mod zips;
