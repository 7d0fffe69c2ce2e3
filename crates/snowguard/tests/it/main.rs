//! The program as a person or a script runs it: arguments and files in, two streams and an exit
//! status out. One file per command; `support` makes the systems, the advisories and the runs.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests write the files that the program reads, start it, and fail where they cannot go on"
)]

mod advisories;
mod attest;
mod book;
mod colour;
mod config;
mod deep;
mod diff;
mod explain;
mod fod;
mod fod_gate;
mod fod_queue;
mod fod_sets;
mod fod_verify;
mod formats;
mod hostile;
mod index;
mod input;
mod labels;
mod output;
mod pages;
mod publish;
mod result;
mod sbom;
mod scan;
mod status;
mod support;
mod triage;
mod update;
mod vex;
