//! The program itself, as people install it, with an index of all data.

use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use serde::Deserialize;

use super::meter::{self, Measured};
use super::report::{Findings, IndexBuild};
use super::times::megabytes;
use super::{Common, say, write};
use crate::dataset;

pub(super) struct Product {
    program: Utf8PathBuf,
    index: Utf8PathBuf,
    settings: Utf8PathBuf,
}

/// What a scan found, of `--format json`.
#[derive(Deserialize)]
pub(super) struct Scanned {
    pub(super) subject: Subject,
    summary: Summary,
    index: Index,
}

#[derive(Deserialize)]
pub(super) struct Subject {
    pub(super) components: usize,
}

#[derive(Deserialize)]
struct Summary {
    affected: usize,
    affected_packages: usize,
}

#[derive(Deserialize)]
struct Index {
    vulnerabilities: usize,
}

impl Scanned {
    pub(super) fn findings(&self) -> Findings {
        Findings {
            packages: self.summary.affected_packages,
            pairs: self.summary.affected,
        }
    }

    /// In the index.
    pub(super) fn vulnerabilities(&self) -> usize {
        self.index.vulnerabilities
    }
}

impl Product {
    /// Builds the program, to scan with an index that is there or will be.
    pub(super) fn with_index(args: &Common, index: Utf8PathBuf) -> Result<Self> {
        let product = Self {
            program: program()?,
            index,
            settings: args.work.join("snowguard.toml"),
        };
        // Not those of the person who runs this.
        write(&product.settings, b"")?;
        Ok(product)
    }

    /// Builds the program, and with it the index.
    pub(super) fn build(args: &Common) -> Result<(Self, IndexBuild)> {
        let product = Self::with_index(args, args.work.join("advisories.idx"))?;
        say("building the index of all data");
        let mut command = product.command();
        command
            .args(["advisories", "import"])
            .args(dataset::advisories(&args.data)?);
        let run = meter::run(&command, 0)?;
        let size = std::fs::metadata(&product.index)
            .with_context(|| format!("cannot look at {}", product.index))?
            .len();
        let build = IndexBuild {
            wall_ms: run.wall_ms,
            cpu_ms: run.cpu_ms,
            peak_mb: run.peak_mb,
            size_mb: megabytes(size),
        };
        Ok((product, build))
    }

    pub(super) fn index(&self) -> &Utf8Path {
        &self.index
    }

    /// Measures one scan.
    pub(super) fn scan(&self, inputs: &[&str]) -> Result<Measured> {
        let mut command = self.command();
        command.arg("scan").args(inputs);
        // There is something to find, so 0 would mean that it was not looked at.
        meter::run(&command, 1)
    }

    /// What such a scan finds.
    pub(super) fn findings(&self, inputs: &[&str]) -> Result<Scanned> {
        let mut command = self.command();
        command.args(["scan", "--format", "json"]).args(inputs);
        let output = command
            .output()
            .with_context(|| format!("cannot start {}", self.program))?;
        if output.status.code() != Some(1) {
            let words = String::from_utf8_lossy(&output.stderr);
            bail!("{} ended with {}: {words}", self.program, output.status);
        }
        let scanned: Scanned = serde_json::from_slice(&output.stdout).with_context(|| {
            format!("{} scan --format json prints something else", self.program)
        })?;
        ensure!(
            scanned.summary.affected > 0,
            "the scan found nothing to tell: nothing was measured"
        );
        Ok(scanned)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(["--quiet", "--config", self.settings.as_str()])
            .args(["--index", self.index.as_str()]);
        command
    }
}

/// Builds the program as people install it, beside this one.
pub(super) fn program() -> Result<Utf8PathBuf> {
    built("snowguard")
}

/// Builds the program that runs services, likewise.
pub(super) fn service() -> Result<Utf8PathBuf> {
    built("snowguardd")
}

fn built(name: &str) -> Result<Utf8PathBuf> {
    say(&format!("building {name}"));
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    let built = Command::new(&cargo)
        .args(["build", "--quiet", "--release", "--locked"])
        .args(["--manifest-path", manifest, "--package", name])
        .status()
        .with_context(|| format!("cannot start {cargo}"))?;
    ensure!(
        built.success(),
        "{name} does not build; cargo says above why"
    );
    // This one lies beside it, and may have been started from anywhere.
    let here = std::env::current_exe().context("cannot tell where this program lies")?;
    let program = Utf8PathBuf::try_from(here)?.with_file_name(name);
    ensure!(
        program.exists(),
        "there is no {program}: start this as `cargo xtask bench`, which builds both into one place"
    );
    Ok(program)
}
