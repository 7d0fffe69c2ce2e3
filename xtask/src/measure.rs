//! The tasks of `snowguard-measure`, under the same names.

use std::ffi::OsString;

use anyhow::Result;

use crate::process;
use crate::workspace::Workspace;

#[derive(clap::Subcommand)]
pub(crate) enum Task {
    /// Scores the matcher against labelled truth.
    #[command(disable_help_flag = true)]
    Accuracy(Arguments),
    /// Selects the facts of the embedded default out of a data set.
    #[command(disable_help_flag = true)]
    Facts(Arguments),
    /// Selects the package sets of the sample out of a data set.
    #[command(disable_help_flag = true)]
    Sample(Arguments),
    /// Measures time and memory of the product beside its peers.
    #[command(disable_help_flag = true)]
    Bench(Arguments),
}

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Passed on as they are; `--help` tells them.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// Builds it as the product is built, and runs it on this terminal.
pub(crate) fn run(workspace: &Workspace, task: &Task) -> Result<()> {
    let (name, Arguments { arguments }) = match task {
        Task::Accuracy(arguments) => ("accuracy", arguments),
        Task::Facts(arguments) => ("facts", arguments),
        Task::Sample(arguments) => ("sample", arguments),
        Task::Bench(arguments) => ("bench", arguments),
    };
    let mut cargo = workspace.cargo();
    cargo
        .args(["run", "--quiet", "--release", "--locked"])
        .args(["--package", "snowguard-measure", "--", name])
        .args(arguments);
    if let Ok(current) = std::env::current_dir() {
        // Paths among the arguments are the caller's.
        cargo.current_dir(current);
    }
    process::run(&mut cargo)
}
