//! What the report becomes: pages in a real browser, documents against their schemas.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a helper of a test fails the test"
)]

mod action;
mod csv;
mod cyclonedx;
mod html;
mod inside;
mod openvex;
mod result;
mod sarif;
mod spdx;
mod support;
mod triage;
