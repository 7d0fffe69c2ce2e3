//! The test command: picks steps, installs what they need, runs them, and sums up.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::disk;
use crate::process::{self, Log};
use crate::requirement::{self, Consent, Requirement};
use crate::steps::{self, STEPS, Step};
use crate::workspace::Workspace;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Installs what is missing without asking, as `CI=true` does.
    #[arg(long, short)]
    yes: bool,
    /// Runs only this step; may be given several times.
    #[arg(long, value_name = "STEP")]
    only: Vec<String>,
    /// Lists the steps, and what each needs.
    #[arg(long)]
    list: bool,
    /// Runs the other steps also when one has failed.
    #[arg(long)]
    keep_going: bool,
}

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let chosen = choose(&args.only)?;
    if args.list {
        for step in chosen {
            println!("{:<11} {}", step.name, step.about);
            if !step.needs.is_empty() {
                println!("{:<11} needs {}", "", requirement::describe(step.needs));
            }
        }
        return Ok(());
    }
    let needed = needed(&chosen);
    let started = Instant::now();
    let installed = requirement::install(workspace, &needed, Consent::new(args.yes))?;
    let installing = started.elapsed();
    if !installed.is_empty() {
        let seconds = installing.as_secs_f64();
        println!("installed {} in {seconds:.1} s", installed.join(", "));
    }
    if args.only.is_empty()
        && let Some(warning) = disk::warning(workspace)?
    {
        println!("{warning}");
    }
    let mut results = Vec::new();
    for step in &chosen {
        let result = run_step(workspace, step)?;
        let failed = result.failed;
        results.push(result);
        if failed && !args.keep_going {
            break;
        }
    }
    sum_up(&chosen, &results)
}

fn choose(only: &[String]) -> Result<Vec<&'static Step>> {
    if let Some(unknown) = only
        .iter()
        .find(|name| !STEPS.iter().any(|step| step.name == **name))
    {
        let names: Vec<&str> = STEPS.iter().map(|step| step.name).collect();
        bail!(
            "there is no step `{unknown}`; there are: {}",
            names.join(", ")
        );
    }
    Ok(STEPS
        .iter()
        .filter(|step| only.is_empty() || only.iter().any(|name| name == step.name))
        .collect())
}

fn needed(chosen: &[&'static Step]) -> Vec<&'static Requirement> {
    let mut needed: Vec<&Requirement> = Vec::new();
    for requirement in chosen.iter().flat_map(|step| step.needs) {
        if !needed.contains(&requirement) {
            needed.push(requirement);
        }
    }
    needed
}

struct Outcome {
    name: &'static str,
    failed: bool,
    took: Duration,
    note: String,
}

fn run_step(workspace: &Workspace, step: &Step) -> Result<Outcome> {
    println!("{:<11} {}", step.name, step.about);
    let started = Instant::now();
    let log = Log::create(workspace.target().join("xtask/test").join(step.name))?;
    let mut job = steps::Job::new(workspace, log);
    let outcome = (step.run)(&mut job);
    let took = started.elapsed();
    if process::interrupted() {
        bail!("interrupted");
    }
    let (failed, note) = match outcome {
        Ok(note) => (false, note),
        Err(error) => {
            println!("{}", job.log.text()?.trim_end());
            println!("{:<11} {error:#}", step.name);
            (true, format!("see {}", job.log.path()))
        }
    };
    Ok(Outcome {
        name: step.name,
        failed,
        took,
        note,
    })
}

fn sum_up(chosen: &[&Step], results: &[Outcome]) -> Result<()> {
    println!();
    for result in results {
        let word = if result.failed { "FAILED" } else { "passed" };
        let seconds = result.took.as_secs_f64();
        let line = format!(
            "{:<11} {word} {seconds:>7.1} s  {}",
            result.name, result.note
        );
        println!("{}", line.trim_end());
    }
    for step in &chosen[results.len()..] {
        println!("{:<11} not run", step.name);
    }
    let failed = results.iter().filter(|result| result.failed).count();
    let minutes = results
        .iter()
        .map(|result| result.took)
        .sum::<Duration>()
        .as_secs_f64()
        / 60.0;
    println!("together {minutes:.1} minutes");
    println!(
        "steps: {} passed, {failed} failed, {} skipped",
        results.len() - failed,
        chosen.len() - results.len()
    );
    if failed > 0 {
        let again: Vec<String> = results
            .iter()
            .filter(|result| result.failed)
            .map(|result| format!("--only {}", result.name))
            .collect();
        bail!(
            "run `cargo xtask test {}` to repeat what failed",
            again.join(" ")
        );
    }
    results.first().map(|_| ()).context("no step was run")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_chosen_by_name_in_their_own_order() {
        let names = |only: &[&str]| -> Vec<&str> {
            let only: Vec<String> = only.iter().map(|name| (*name).to_owned()).collect();
            choose(&only)
                .unwrap()
                .iter()
                .map(|step| step.name)
                .collect()
        };
        assert_eq!(names(&["layers", "fmt"]), ["fmt", "layers"]);
        assert_eq!(names(&[]).len(), STEPS.len());
        let error = choose(&["fnt".to_owned()]).err().unwrap().to_string();
        assert!(error.starts_with("there is no step `fnt`; there are: fmt, "));
    }

    #[test]
    fn what_several_steps_need_is_needed_once() {
        let all = needed(&STEPS.iter().collect::<Vec<_>>());
        let nix = all.iter().filter(|need| ***need == requirement::NIX);
        assert_eq!(nix.count(), 1);
    }
}
