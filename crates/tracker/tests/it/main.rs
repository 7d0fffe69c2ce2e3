//! The tracker from outside.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod forge;
mod ingest;
mod publish;
mod sync;
