//! The tracker from outside.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod advisories;
mod complaints;
mod decide;
mod forge;
mod ingest;
mod issues;
mod kill;
mod plans;
mod publish;
mod rematch;
mod subscribe;
mod sync;
mod triage;
mod view;
mod work;
mod world;
