//! The pages in a browser.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod fixture;
mod pages;
