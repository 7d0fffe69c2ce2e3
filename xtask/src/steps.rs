//! The steps of the test command: one row each in [`STEPS`], with what it needs and what it runs.
//!
//! A new engine to test against is a requirement and a step; nothing else here knows of it.

use std::process::Command;

use anyhow::{Result, ensure};

use crate::build_users;
use crate::fuzz;
use crate::layers;
use crate::process::Log;
use crate::requirement::{
    self, BZIP2, CARGO_DENY, CHROMIUM, CLIPPY, CURL, CXX, DBUS, GIT, GIT_LFS, NFT, NIX, POSTGRES,
    RUSTFMT, Requirement, SYSTEMD, UNZIP, XZ, ZIP, ZSTD,
};
use crate::tree;
use crate::units;
use crate::workspace::Workspace;

/// One check.
pub(crate) struct Step {
    /// What it is called on the command line.
    pub(crate) name: &'static str,
    /// What it shows.
    pub(crate) about: &'static str,
    /// Programs that it starts.
    pub(crate) needs: &'static [Requirement],
    /// Runs it; what it returns is a note for the summary.
    pub(crate) run: fn(&mut Job<'_>) -> Result<String>,
}

/// All steps: what is quick and fails often comes first.
pub(crate) const STEPS: &[Step] = &[
    Step {
        name: "fmt",
        about: "the layout of the code",
        needs: &[RUSTFMT],
        run: fmt,
    },
    Step {
        name: "layers",
        about: "every crate uses only what its floor allows",
        needs: &[],
        run: |job| layers::check(job.workspace.metadata()),
    },
    Step {
        name: "tree",
        about: "committed data is sorted, lock files are current, scripts parse",
        needs: &[],
        run: whole_tree,
    },
    Step {
        name: "flake",
        about: "flake.nix and the modules are expressions that Nix parses",
        needs: &[NIX],
        run: flake,
    },
    Step {
        name: "deny",
        about: "licences, origins and duplicates of dependencies",
        needs: &[CARGO_DENY],
        run: deny,
    },
    Step {
        name: "clippy",
        about: "lints, in everything that is compiled",
        needs: &[CLIPPY],
        run: clippy,
    },
    Step {
        name: "doc",
        about: "the documentation of the code, private items too",
        needs: &[],
        run: doc,
    },
    Step {
        name: "test",
        about: "unit and integration tests, and no snapshot without a test",
        needs: &[
            NIX, NFT, CHROMIUM, DBUS, SYSTEMD, POSTGRES, CURL, GIT, GIT_LFS, UNZIP, ZIP, XZ, BZIP2,
            ZSTD,
        ],
        run: tests,
    },
    Step {
        name: "units",
        about: "the units work under a systemd of its own, and cannot do what they must not",
        needs: &[SYSTEMD],
        run: units,
    },
    Step {
        name: "doctest",
        about: "examples in the documentation",
        needs: &[],
        run: doctests,
    },
    Step {
        name: "fuzz",
        about: "every fuzz target, for a short while",
        needs: &[CXX],
        run: |job| fuzz::smoke(job.workspace, &mut job.log),
    },
];

/// What a step works with.
pub(crate) struct Job<'a> {
    pub(crate) workspace: &'a Workspace,
    pub(crate) log: Log,
}

impl<'a> Job<'a> {
    pub(crate) fn new(workspace: &'a Workspace, log: Log) -> Self {
        Self { workspace, log }
    }

    /// Runs cargo with the environment that all steps share, so that none compiles anew what another
    /// has compiled.
    fn cargo(&mut self, arguments: &[&str]) -> Result<()> {
        self.run(self.workspace.cargo().args(arguments))
    }

    fn run(&mut self, command: &mut Command) -> Result<()> {
        self.log.run(command)
    }
}

fn fmt(job: &mut Job<'_>) -> Result<String> {
    job.cargo(&["fmt", "--all", "--check"])?;
    job.cargo(&["fmt", "--manifest-path", fuzz::MANIFEST, "--check"])?;
    Ok(String::new())
}

fn whole_tree(job: &mut Job<'_>) -> Result<String> {
    tree::check_data(job.workspace.root())?;
    for manifest in ["Cargo.toml", fuzz::MANIFEST] {
        job.cargo(&[
            "tree",
            "--quiet",
            "--locked",
            "--depth=0",
            "--manifest-path",
            manifest,
        ])?;
    }
    let mut bash = job.workspace.command("bash");
    job.run(bash.args(["-n", ".ci/run"]))?;
    Ok(String::new())
}

fn flake(job: &mut Job<'_>) -> Result<String> {
    let mut nix = job.workspace.command("nix-instantiate");
    nix.args(["--parse", "flake.nix"]);
    for module in job.workspace.root().join("nix").read_dir_utf8()? {
        nix.arg(module?.path());
    }
    job.run(&mut nix)?;
    Ok(String::new())
}

fn deny(job: &mut Job<'_>) -> Result<String> {
    // Advisories need a network, and change without us: `cargo deny check advisories` by hand.
    job.cargo(&["fetch", "--quiet", "--locked"])?;
    job.cargo(&[
        "deny",
        "--offline",
        "--locked",
        "check",
        "licenses",
        "bans",
        "sources",
    ])?;
    Ok(String::new())
}

fn clippy(job: &mut Job<'_>) -> Result<String> {
    job.cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-D",
        "warnings",
    ])?;
    // `fuzz/` is a workspace of its own, and its step comes last: a target that an interface was changed under
    // is told here, minutes earlier. Nothing is linked, so libFuzzer need not be built: the path is never read.
    let target = job.workspace.target();
    job.run(
        job.workspace
            .cargo()
            .env("CUSTOM_LIBFUZZER_PATH", target.join("no-library"))
            .args(["clippy", "--all-targets", "--locked"])
            .args(["--manifest-path", "fuzz/Cargo.toml", "--target-dir"])
            .arg(target)
            // The macro of libFuzzer writes files, which `clippy.toml` keeps from the product's rooms.
            .args(["--", "-D", "warnings", "-A", "clippy::disallowed_methods"]),
    )?;
    Ok(String::new())
}

fn doc(job: &mut Job<'_>) -> Result<String> {
    job.run(
        job.workspace
            .cargo()
            .env("RUSTDOCFLAGS", "-D warnings")
            .args([
                "doc",
                "--workspace",
                "--no-deps",
                "--document-private-items",
                "--locked",
            ]),
    )?;
    Ok(String::new())
}

fn tests(job: &mut Job<'_>) -> Result<String> {
    let workspace = job.workspace;
    let used = workspace.target().join("xtask/used-snapshots");
    tree::forget_snapshots(&used)?;
    let mut cargo = workspace.cargo();
    // No test writes a snapshot, and each tells which it compared with.
    cargo
        .env("INSTA_UPDATE", "no")
        .env("INSTA_SNAPSHOT_REFERENCES_FILE", &used);
    let nextest = requirement::on_path("cargo-nextest", &workspace.search_path());
    if nextest {
        cargo.args([
            "nextest",
            "run",
            "--workspace",
            "--locked",
            "--no-fail-fast",
        ]);
        cargo.args(["--status-level", "fail", "--final-status-level", "fail"]);
    } else {
        cargo.args(["test", "--workspace", "--locked", "--no-fail-fast"]);
        cargo.args(["--lib", "--bins", "--tests", "--examples"]);
    }
    job.run(&mut build_users::seen_by(cargo, workspace.target())?)?;
    tree::check_snapshots(workspace.root(), &used)?;
    let note = count_tests(&job.log.text()?);
    ensure!(note > 0, "no test was run");
    Ok(format!("{note} tests passed"))
}

fn units(job: &mut Job<'_>) -> Result<String> {
    // The programs as the tests have them: other features would be another build.
    let build = [
        "test",
        "--no-run",
        "--workspace",
        "--locked",
        "--lib",
        "--bins",
        "--tests",
        "--examples",
    ];
    units::check(job.workspace, &mut job.log, &build)
}

fn doctests(job: &mut Job<'_>) -> Result<String> {
    job.cargo(&["test", "--workspace", "--doc", "--locked"])?;
    let passed = count_tests(&job.log.text()?);
    Ok(format!("{passed} examples passed"))
}

/// Adds up `N passed` in the closing lines of either test runner.
fn count_tests(log: &str) -> usize {
    log.lines()
        .filter(|line| line.contains("test result:") || line.contains("Summary ["))
        .filter_map(|line| {
            let (before, _) = line.split_once(" passed")?;
            before.rsplit(' ').next()?.parse::<usize>().ok()
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique() {
        let names: BTreeSet<&str> = STEPS.iter().map(|step| step.name).collect();
        assert_eq!(names.len(), STEPS.len());
    }

    #[test]
    fn tests_are_counted_for_either_runner() {
        let nextest = "     Summary [   4.201s] 512 tests run: 512 passed (1 slow), 3 skipped\n";
        assert_eq!(count_tests(nextest), 512);
        let cargo = "test result: ok. 7 passed; 0 failed; 0 ignored\n\
                     test result: ok. 5 passed; 0 failed; 0 ignored\n";
        assert_eq!(count_tests(cargo), 12);
    }
}
