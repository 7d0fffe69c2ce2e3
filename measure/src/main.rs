//! Measures the product, and makes what is made out of data sets.
//!
//! Apart from `xtask`, which starts it: this here is linked with the whole product, and who wants to
//! run the tests should not have to wait until all of that is compiled.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a tool for developers speaks to its terminal"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "measuring reads and writes files, starts programs and takes time"
)]

mod accuracy;
mod bench;
mod dataset;
mod facts;
mod sample;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Scores the matcher against labelled truth.
    Accuracy(accuracy::Args),
    /// Selects the facts of the embedded default out of a data set.
    Facts(facts::Args),
    /// Selects the package sets of the sample out of a data set.
    Sample(sample::Args),
    /// Measures time and memory of the product beside its peers.
    Bench(bench::Args),
    /// Starts a program and tells what it took.
    #[command(hide = true)]
    Meter(bench::Meter),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().task {
        Task::Accuracy(args) => accuracy::run(&args),
        Task::Facts(args) => facts::run(&args),
        Task::Sample(args) => sample::run(&args),
        Task::Bench(args) => bench::run(&args),
        Task::Meter(meter) => meter.run(),
    }
}
