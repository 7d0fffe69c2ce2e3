//! Supply-chain security for Nix systems: the program that a person runs.
//!
//! It parses arguments, prints, and maps errors to exit codes: 0 clean, 1 findings, 2 failure. What
//! it prints on stdout is data; everything else goes to stderr.

mod advisories;
mod attest;
mod cli;
mod config;
mod deep;
mod diff;
mod error;
mod explain;
mod fod;
mod index;
mod output;
mod pages;
mod publish;
mod read;
mod result;
mod scan;
mod status;
mod triage;

use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::{Advisories, Cli, Command};
use crate::output::Terminal;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let terminal = Terminal::new(cli.global.color);
    let outcome = match &cli.command {
        Command::Scan(args) => scan::run(&cli.global, args, &terminal),
        Command::Sbom(args) => scan::sbom(&cli.global, args, &terminal),
        Command::Explain(args) => explain::run(&cli.global, args, &terminal),
        Command::Diff(args) => diff::run(&cli.global, args, &terminal),
        Command::Fod(command) => fod::run(&cli.global, command, &terminal),
        Command::Status(args) => status::run(&cli.global, args, &terminal),
        Command::Advisories(Advisories::Update(args)) => {
            advisories::update(&cli.global, args, &terminal)
        }
        Command::Advisories(Advisories::Import(args)) => {
            advisories::import(&cli.global, args, &terminal)
        }
        Command::Advisories(Advisories::Info(args)) => {
            advisories::info(&cli.global, args, &terminal)
        }
        Command::Advisories(Advisories::Publish(args)) => {
            publish::run(&cli.global, args, &terminal)
        }
        Command::Advisories(Advisories::Key(args)) => publish::key(args, &terminal),
        Command::Attest(command) => attest::run(command, &terminal),
        Command::Result(command) => result::run(command, &terminal),
        Command::Completions(args) => pages::completions(args, &terminal),
        Command::Man(args) => pages::man(args, &terminal),
    };
    match outcome {
        Ok(Findings::None) => ExitCode::SUCCESS,
        Ok(Findings::Some) => ExitCode::from(1),
        Err(failure) => failure.report(&terminal),
    }
}

/// What a command found, as far as the exit code is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Findings {
    None,
    Some,
}

impl From<bool> for Findings {
    fn from(some: bool) -> Self {
        if some { Self::Some } else { Self::None }
    }
}
