//! What the report becomes: pages in a real browser, documents against their schemas.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a helper of a test fails the test"
)]

mod cyclonedx;
mod html;
mod openvex;
mod sarif;
mod spdx;
mod support;
