//! Builds the fuzz targets and runs them, with nothing but the stable toolchain.
//!
//! `cargo fuzz` needs a nightly toolchain and an installation; all that it does for these targets is
//! to pass the flags below. The layout of `fuzz/` is its own, so that it serves as well.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use cargo_metadata::{MetadataCommand, TargetKind};

use crate::process::{self, Log};
use crate::workspace::Workspace;

/// The package of the targets, which is a workspace of its own.
pub(crate) const MANIFEST: &str = "fuzz/Cargo.toml";

/// What libFuzzer needs to see which code an input reaches, and the address sanitizer.
const FLAGS: &[&str] = &[
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "--cfg=fuzzing",
    "-Zsanitizer=address",
    // Arithmetic that wraps and broken assumptions are findings too.
    "-Cdebug-assertions=on",
    "-Coverflow-checks=on",
];

/// Inputs are kept short: long ones find little more, and cost much time.
const MAX_LENGTH: usize = 8192;
/// An input that takes longer is a finding.
const TIMEOUT: Duration = Duration::from_secs(10);
/// More memory for one input is a finding.
const MEMORY_MB: usize = 2048;
/// How long each target runs among the tests.
const SMOKE: Duration = Duration::from_secs(10);

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Which targets [default: all].
    targets: Vec<String>,
    /// How long each runs.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Lists the targets.
    #[arg(long)]
    list: bool,
}

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let fuzz = Fuzz::find(workspace)?;
    let chosen = fuzz.choose(&args.targets)?;
    if args.list {
        for target in chosen {
            println!("{target}");
        }
        return Ok(());
    }
    process::run(&mut fuzz.build(&chosen))?;
    let mut failed = Vec::new();
    println!(
        "{:<12} {:>12} {:>9} {:>9}",
        "target", "executions", "per s", "inputs"
    );
    for target in chosen {
        let mut log = Log::create(fuzz.directory.join("target/logs").join(target))?;
        match fuzz.fuzz(target, Duration::from_secs(args.seconds), &mut log) {
            Ok(run) => println!("{target:<12} {run}"),
            Err(error) if process::interrupted() => return Err(error),
            Err(error) => {
                println!("{}", log.text()?.trim_end());
                println!("{target:<12} {error:#}");
                failed.push(target);
            }
        }
    }
    ensure!(failed.is_empty(), "findings in: {}", failed.join(", "));
    Ok(())
}

/// Every target for a short while; the note says how much was tried.
pub(crate) fn smoke(workspace: &Workspace, log: &mut Log) -> Result<String> {
    let fuzz = Fuzz::find(workspace)?;
    let targets = fuzz.choose(&[])?;
    // Lines of a backtrace are for whoever looks into a finding, with `xtask fuzz`; here they would
    // only fill the disk.
    log.run(
        fuzz.build(&targets)
            .env("CARGO_PROFILE_RELEASE_DEBUG", "false"),
    )?;
    let mut executions = 0;
    for target in &targets {
        executions += fuzz.fuzz(target, SMOKE, log)?.executions;
    }
    Ok(format!(
        "{} targets, {executions} executions",
        targets.len()
    ))
}

/// The package of the targets.
struct Fuzz<'a> {
    workspace: &'a Workspace,
    directory: Utf8PathBuf,
    targets: Vec<String>,
    host: String,
}

impl<'a> Fuzz<'a> {
    fn find(workspace: &'a Workspace) -> Result<Self> {
        let manifest = workspace.root().join(MANIFEST);
        let metadata = MetadataCommand::new()
            .manifest_path(&manifest)
            .no_deps()
            .other_options(["--locked".to_owned()])
            .exec()
            .with_context(|| format!("ask cargo about {manifest}"))?;
        let mut targets: Vec<String> = metadata
            .packages
            .iter()
            .flat_map(|package| &package.targets)
            .filter(|target| target.kind.contains(&TargetKind::Bin))
            .map(|target| target.name.clone())
            .collect();
        targets.sort();
        Ok(Self {
            workspace,
            directory: workspace.root().join("fuzz"),
            targets,
            host: host(workspace)?,
        })
    }

    fn choose<'t>(&'t self, names: &'t [String]) -> Result<Vec<&'t str>> {
        if let Some(unknown) = names.iter().find(|name| !self.targets.contains(name)) {
            bail!(
                "there is no fuzz target `{unknown}`; there are: {}",
                self.targets.join(", ")
            );
        }
        let chosen = if names.is_empty() {
            &self.targets
        } else {
            names
        };
        Ok(chosen.iter().map(String::as_str).collect())
    }

    fn build(&self, targets: &[&str]) -> Command {
        let mut cargo = self.workspace.cargo();
        cargo
            // Sanitizers and passes are not stable; the compiler has them all the same.
            .env("RUSTC_BOOTSTRAP", "1")
            .env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\u{1f}"))
            .args(["build", "--release", "--locked", "--manifest-path", MANIFEST])
            // With the host named, build scripts and macros are compiled without the flags.
            .args(["--target", &self.host])
            .arg("--target-dir")
            .arg(self.target_directory());
        for target in targets {
            cargo.args(["--bin", target]);
        }
        cargo
    }

    fn target_directory(&self) -> Utf8PathBuf {
        self.directory.join("target")
    }

    /// Runs a target: first what is committed, then what follows from it. What it finds new goes to
    /// `fuzz/target`, what fails to `fuzz/artifacts`.
    fn fuzz(&self, target: &str, time: Duration, log: &mut Log) -> Result<Run> {
        let program = self
            .target_directory()
            .join(&self.host)
            .join("release")
            .join(target);
        let found = self.target_directory().join("corpus").join(target);
        let committed = self.directory.join("corpus").join(target);
        let artifacts = self.directory.join("artifacts").join(target);
        for directory in [&found, &artifacts] {
            std::fs::create_dir_all(directory)
                .with_context(|| format!("cannot make the directory {directory}"))?;
        }
        let mut command = self.workspace.command(program.as_str());
        command
            // SQLite's own tables would be called duplicates: the linker merges what C shares.
            .env("ASAN_OPTIONS", "detect_odr_violation=0")
            .arg(found.as_str())
            .arg(format!("-artifact_prefix={artifacts}/"))
            .arg(format!("-max_total_time={}", time.as_secs()))
            .arg(format!("-max_len={MAX_LENGTH}"))
            .arg(format!("-timeout={}", TIMEOUT.as_secs()))
            .arg(format!("-rss_limit_mb={MEMORY_MB}"))
            .arg("-print_final_stats=1")
            .args(["-verbosity=0", "-print_funcs=0"]);
        if committed.is_dir() {
            command.arg(committed.as_str());
        }
        let dictionary = self.directory.join(format!("{target}.dict"));
        if dictionary.is_file() {
            command.arg(format!("-dict={dictionary}"));
        }
        let started = Instant::now();
        let before = log.text()?.len();
        log.run(&mut command).with_context(|| {
            format!(
                "the fuzz target `{target}` failed; the input is in {}",
                artifacts
                    .strip_prefix(self.workspace.root())
                    .unwrap_or(&artifacts)
            )
        })?;
        let text = log.text()?;
        let stat = |name| stat(text.get(before..).unwrap_or_default(), name);
        Ok(Run {
            executions: stat("number_of_executed_units")
                .context("libFuzzer did not say what it did")?,
            took: started.elapsed(),
            inputs: inputs(&found),
        })
    }
}

/// What a run of a target did.
struct Run {
    executions: u64,
    took: Duration,
    inputs: usize,
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let per_second = self.executions / self.took.as_secs().max(1);
        write!(
            f,
            "{:>12} {per_second:>9} {:>9}",
            self.executions, self.inputs
        )
    }
}

fn stat(log: &str, name: &str) -> Option<u64> {
    let line = log
        .lines()
        .find(|line| line.starts_with("stat::") && line.contains(name))?;
    line.rsplit(' ').next()?.parse().ok()
}

fn inputs(directory: &Utf8Path) -> usize {
    directory.read_dir_utf8().map_or(0, Iterator::count)
}

/// The triple of this machine, from the compiler.
fn host(workspace: &Workspace) -> Result<String> {
    let output = workspace
        .command("rustc")
        .arg("-vV")
        .output()
        .context("cannot start `rustc`")?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines()
        .find_map(|line| line.strip_prefix("host: "))
        .map(str::to_owned)
        .context("rustc does not say for which machine it compiles")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_are_read() {
        let log = "Done 5 runs in 1 second(s)\nstat::number_of_executed_units: 35011975\nstat::average_exec_per_sec:     58256\n";
        assert_eq!(stat(log, "number_of_executed_units"), Some(35_011_975));
        assert_eq!(stat(log, "average_exec_per_sec"), Some(58_256));
        assert_eq!(stat(log, "slowest_unit"), None);
    }
}
