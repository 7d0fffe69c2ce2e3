//! The services of Snowguard: one role to a process.
//!
//! A role reads its arguments and settings, does its work until it is told to stop, and says on stderr
//! what it does, which systemd keeps in the journal. Exit status 2 is a failure.

mod cli;
mod environment;
mod failure;
mod fod;
mod metrics;
mod notify;
mod pages;
mod plan;
mod push;
mod serve;
mod settings;
mod spool;
mod tracker;
mod watch;
mod work;

use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::{Cli, Role};
use crate::failure::Failure;

fn main() -> ExitCode {
    let outcome = match &Cli::parse().role {
        Role::Tracker(args) => return tracker::run(args).unwrap_or_else(Failure::report),
        Role::Watch(args) => watch::run(args),
        Role::Notify(args) => notify::run(args),
        Role::Push(args) => push::run(args),
        Role::Serve(args) => serve::run(args),
        Role::Work(args) => work::run(args),
        Role::FodProxy(args) => fod::proxy(args),
        Role::FodPolicy(args) => fod::policy::check(args),
        Role::FodEvidence(args) => fod::evidence(args),
        Role::Completions(args) => pages::completions(args),
        Role::Man(args) => pages::man(args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
