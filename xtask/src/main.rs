//! The project's own chores, run as `cargo xtask NAME`.
//!
//! Light on purpose: it depends on no crate of ours, so that the first step of the tests runs while a
//! fresh machine still has nothing compiled. What measures the product is `snowguard-measure`, which
//! the tasks of the same names start through cargo.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a tool for developers speaks to its terminal"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "chores read and write files, start programs, ask the environment and take time"
)]

mod build_users;
mod disk;
mod docs;
mod fuzz;
mod layers;
mod measure;
mod process;
mod requirement;
mod steps;
mod test;
mod tree;
mod units;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

#[derive(Parser)]
#[command(name = "cargo xtask", about)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Runs every check of the project, after installing what is missing.
    Test(test::Args),
    /// Checks that every crate uses only what its floor allows.
    Layers,
    /// Builds the fuzz targets and runs them.
    Fuzz(fuzz::Args),
    /// Starts the units under a systemd of its own, and tries their restrictions; as root.
    Units,
    /// What that starts in its namespaces.
    #[command(subcommand, hide = true)]
    InsideUnits(units::Role),
    /// Writes man pages and completions, for packagers.
    DistDocs(docs::Args),
    #[command(flatten)]
    Measure(measure::Task),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = process::catch_interrupts().and_then(|()| {
        // There is no repository where this runs.
        if let Task::InsideUnits(role) = cli.task {
            return units::act(&role);
        }
        let workspace = Workspace::find()?;
        match cli.task {
            Task::Test(args) => test::run(&workspace, &args),
            Task::Layers => layers::run(&workspace),
            Task::Fuzz(args) => fuzz::run(&workspace, &args),
            Task::Units => units::run(&workspace),
            Task::InsideUnits(_) => Ok(()),
            Task::DistDocs(args) => docs::run(&workspace, &args),
            Task::Measure(task) => measure::run(&workspace, &task),
        }
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) if process::interrupted() => {
            eprintln!("interrupted");
            ExitCode::from(130)
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
