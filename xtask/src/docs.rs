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

const PROGRAMS: [&str; 2] = ["snowguard", "snowguardd"];

/// Shells, and what each wants before and after the name of the program in that of its file.
const SHELLS: [(&str, &str, &str); 3] = [
    ("bash", "", ".bash"),
    ("zsh", "_", ""),
    ("fish", "", ".fish"),
];

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let directory = camino::absolute_utf8(&args.directory)
        .with_context(|| format!("cannot resolve {}", args.directory))?;
    let man = directory.join("man");
    let completions = directory.join("completions");
    std::fs::create_dir_all(&completions)
        .with_context(|| format!("cannot make the directory {completions}"))?;
    for name in PROGRAMS {
        process::run(workspace.cargo().args([
            "build",
            "--quiet",
            "--release",
            "--locked",
            "--package",
            name,
        ]))?;
        let program = workspace.target().join("release").join(name);
        process::run(
            workspace
                .command(program.as_str())
                .args(["man", man.as_str()]),
        )?;
        for (shell, before, after) in SHELLS {
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
            let path = completions.join(format!("{before}{name}{after}"));
            std::fs::write(&path, output.stdout).with_context(|| format!("cannot write {path}"))?;
        }
    }
    println!("{man}\n{completions}");
    Ok(())
}
