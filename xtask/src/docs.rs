//! Man pages and completions, made by the program itself out of the definition of its command line.
//!
//! They are not committed, so that they cannot be wrong.

use anyhow::{Context as _, Result, ensure};
use camino::Utf8PathBuf;

use crate::process;
use crate::workspace::Workspace;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where they go: `man/` and `completions/` are made in it.
    directory: Utf8PathBuf,
}

/// Shells, and how each wants its file to be called.
const SHELLS: [(&str, &str); 3] = [
    ("bash", "snowguard.bash"),
    ("zsh", "_snowguard"),
    ("fish", "snowguard.fish"),
];

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let directory = camino::absolute_utf8(&args.directory)
        .with_context(|| format!("cannot resolve {}", args.directory))?;
    process::run(workspace.cargo().args([
        "build",
        "--quiet",
        "--release",
        "--locked",
        "--package",
        "snowguard",
    ]))?;
    let program = workspace.target().join("release/snowguard");
    let man = directory.join("man");
    process::run(
        workspace
            .command(program.as_str())
            .args(["man", man.as_str()]),
    )?;
    let completions = directory.join("completions");
    std::fs::create_dir_all(&completions)
        .with_context(|| format!("cannot make the directory {completions}"))?;
    for (shell, file) in SHELLS {
        let output = workspace
            .command(program.as_str())
            .args(["completions", shell])
            .output()
            .with_context(|| format!("cannot start {program}"))?;
        ensure!(
            output.status.success(),
            "{program} printed no completions for {shell}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let path = completions.join(file);
        std::fs::write(&path, output.stdout).with_context(|| format!("cannot write {path}"))?;
    }
    println!("{man}\n{completions}");
    Ok(())
}
