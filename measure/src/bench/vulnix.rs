//! vulnix, from PyPI: what people scan a Nix system with today.

use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use serde::Deserialize;

use super::meter::{self, Measured};
use super::report::Findings;
use super::say;
use super::server::Server;

/// The one that is installed if none is given.
const VERSION: &str = "1.10.1";
/// What to do where it cannot be had.
const REMEDY: &str = "--vulnix names an installed one, --alone goes without";

pub(super) struct Vulnix {
    program: Utf8PathBuf,
    version: String,
    cache: Utf8PathBuf,
}

impl Vulnix {
    /// The one that is given, else one in an environment of its own.
    pub(super) fn find(given: Option<&Utf8Path>, work: &Utf8Path) -> Result<Self> {
        let program = match given {
            Some(program) => program.to_owned(),
            None => install(&work.join("vulnix"))?,
        };
        // It also has Python compile it, which a first run should not have to.
        let output = Command::new(&program)
            .arg("--version")
            .output()
            .with_context(|| format!("cannot start {program}; {REMEDY}"))?;
        let told = String::from_utf8_lossy(&output.stdout);
        let Some(version) = told.trim().strip_prefix("vulnix ") else {
            let words = String::from_utf8_lossy(&output.stderr);
            bail!("{program} does not tell its version; {REMEDY}\n{words}");
        };
        Ok(Self {
            version: version.to_owned(),
            program,
            cache: work.join("vulnix-cache"),
        })
    }

    pub(super) fn version(&self) -> &str {
        &self.version
    }

    /// Empties its cache.
    pub(super) fn forget(&self) -> Result<()> {
        if self.cache.exists() {
            std::fs::remove_dir_all(&self.cache)
                .with_context(|| format!("cannot empty {}", self.cache))?;
        }
        Ok(())
    }

    /// Measures one scan of what the arguments name, and of nothing that this needs.
    ///
    /// It loads the feeds if its cache is empty, and asks for none in the two hours after.
    pub(super) fn scan(&self, inputs: &[String], server: &Server) -> Result<Measured> {
        // 2: there are findings. 0 would mean that it read no feed, or none of the input.
        meter::run(&self.command(inputs, server), 2)
    }

    /// What such a scan finds.
    pub(super) fn findings(&self, inputs: &[String], server: &Server) -> Result<Findings> {
        let output = self
            .command(inputs, server)
            .arg("--json")
            .output()
            .with_context(|| format!("cannot start {}", self.program))?;
        let affected: Vec<Affected> =
            serde_json::from_slice(&output.stdout).with_context(|| {
                let words = String::from_utf8_lossy(&output.stderr);
                format!("{} --json prints something else; {words}", self.program)
            })?;
        ensure!(
            !affected.is_empty(),
            "{} found nothing: it did not read the feeds",
            self.program
        );
        Ok(findings(&affected))
    }

    fn command(&self, inputs: &[String], server: &Server) -> Command {
        let mut command = Command::new(&self.program);
        command
            .arg("--no-requisites")
            .args(inputs)
            .args(["--mirror", &server.url()])
            .args(["--cache-dir", self.cache.as_str()])
            // Its year is that of the feeds, and what is served here is not behind a proxy.
            .env("TZ", "UTC")
            .env("NO_PROXY", "127.0.0.1")
            .env("no_proxy", "127.0.0.1");
        command
    }
}

#[derive(Deserialize)]
struct Affected {
    name: String,
    affected_by: Vec<String>,
}

/// It names a package once for each derivation of that name with other patches.
fn findings(affected: &[Affected]) -> Findings {
    let mut packages: Vec<&str> = affected.iter().map(|a| &*a.name).collect();
    packages.sort_unstable();
    packages.dedup();
    let mut pairs: Vec<(&str, &str)> = affected
        .iter()
        .flat_map(|a| a.affected_by.iter().map(|id| (&*a.name, &**id)))
        .collect();
    pairs.sort_unstable();
    pairs.dedup();
    Findings {
        packages: packages.len(),
        pairs: pairs.len(),
    }
}

fn install(environment: &Utf8Path) -> Result<Utf8PathBuf> {
    let program = environment.join("bin/vulnix");
    if program.exists() {
        return Ok(program);
    }
    say(&format!("installing vulnix {VERSION} into {environment}"));
    let run = |program: &str, arguments: &[&str]| -> Result<()> {
        let status = Command::new(program)
            .args(arguments)
            .stdout(std::io::stderr())
            .status()
            .with_context(|| format!("cannot start {program}; {REMEDY}"))?;
        ensure!(
            status.success(),
            "`{program} {}` failed; {REMEDY}",
            arguments.join(" ")
        );
        Ok(())
    };
    run("python3", &["-m", "venv", environment.as_str()])?;
    let pip = environment.join("bin/pip");
    let wanted = format!("vulnix=={VERSION}");
    // It asks for `pkg_resources`, which newer setuptools do not have.
    run(
        pip.as_str(),
        &["install", "--quiet", &wanted, "setuptools<81"],
    )?;
    Ok(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_counts_once() {
        let affected: Vec<Affected> = serde_json::from_str(
            r#"[{"name":"a-1","affected_by":["CVE-1-1","CVE-1-2"],"derivation":"x"},
                {"name":"a-1","affected_by":["CVE-1-2"],"derivation":"y"},
                {"name":"a-2","affected_by":["CVE-1-2"]}]"#,
        )
        .unwrap();
        let found = findings(&affected);
        assert_eq!((found.packages, found.pairs), (2, 3));
    }
}
