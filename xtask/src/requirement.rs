//! Programs that the tests need, how to tell whether they are here, and how they are installed.

use std::ffi::OsStr;
use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use crate::process;
use crate::workspace::Workspace;

/// A program that a step needs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Requirement {
    /// What is looked for on `PATH`.
    program: &'static str,
    from: From,
    /// Why, for the person who is asked to install it.
    why: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum From {
    /// A component of the Rust toolchain.
    Component(&'static str),
    /// A Debian package.
    Debian(&'static str),
    /// A crate, with the version that is known to work.
    Crate(&'static str, &'static str),
}

pub(crate) const RUSTFMT: Requirement = Requirement {
    program: "cargo-fmt",
    from: From::Component("rustfmt"),
    why: "the layout of the code is checked",
};
pub(crate) const CLIPPY: Requirement = Requirement {
    program: "cargo-clippy",
    from: From::Component("clippy"),
    why: "the lints are policy",
};
pub(crate) const CARGO_DENY: Requirement = Requirement {
    program: "cargo-deny",
    from: From::Crate("cargo-deny", "0.20.2"),
    why: "licences and origins of dependencies are checked",
};
pub(crate) const NIX: Requirement = Requirement {
    program: "nix-instantiate",
    from: From::Debian("nix-bin"),
    why: "Nix itself is the oracle of the tests, and parses flake.nix",
};
pub(crate) const CURL: Requirement = Requirement {
    program: "curl",
    from: From::Debian("curl"),
    why: "fetchers go through the proxy as they are",
};
pub(crate) const CHROMIUM: Requirement = Requirement {
    program: "chromium",
    from: From::Debian("chromium"),
    why: "the pages are opened in a real browser",
};
pub(crate) const NFT: Requirement = Requirement {
    program: "nft",
    from: From::Debian("nftables"),
    why: "what goes past the proxy of a build is led to a trap",
};
pub(crate) const CXX: Requirement = Requirement {
    program: "c++",
    from: From::Debian("g++"),
    why: "libFuzzer, which the fuzz targets are linked with, is C++",
};

pub(crate) const DBUS: Requirement = Requirement {
    program: "dbus-daemon",
    from: From::Debian("dbus-daemon"),
    why: "desktop notifications go over a real bus",
};
pub(crate) const POSTGRES: Requirement = Requirement {
    program: "initdb",
    from: From::Debian("postgresql"),
    why: "storage is tested on the real PostgreSQL, too",
};
pub(crate) const SYSTEMD: Requirement = Requirement {
    program: "systemd-analyze",
    from: From::Debian("systemd"),
    why: "systemd itself checks the units",
};

pub(crate) const GIT: Requirement = Requirement {
    program: "git",
    from: From::Debian("git"),
    why: "identifiers of contents and trees are compared with its own",
};
pub(crate) const GIT_LFS: Requirement = Requirement {
    program: "git-lfs",
    from: From::Debian("git-lfs"),
    why: "what is made of a checkout is compared with what it makes of it",
};
pub(crate) const UNZIP: Requirement = Requirement {
    program: "unzip",
    from: From::Debian("unzip"),
    why: "what is read of a zip is compared with what it unpacks",
};
pub(crate) const ZIP: Requirement = Requirement {
    program: "zip",
    from: From::Debian("zip"),
    why: "archives of tests are made with it",
};
pub(crate) const XZ: Requirement = Requirement {
    program: "xz",
    from: From::Debian("xz-utils"),
    why: "archives of tests are packed with it",
};
pub(crate) const BZIP2: Requirement = Requirement {
    program: "bzip2",
    from: From::Debian("bzip2"),
    why: "archives of tests are packed with it",
};
pub(crate) const ZSTD: Requirement = Requirement {
    program: "zstd",
    from: From::Debian("zstd"),
    why: "archives of tests are packed with it",
};

/// Whether and how to ask before something is installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Consent {
    /// It was given on the command line, or by CI.
    Given,
    /// Somebody can be asked.
    Ask,
    /// Nobody is there.
    Nobody,
}

impl Consent {
    /// Finds out.
    pub(crate) fn new(yes: bool) -> Self {
        if yes || std::env::var("CI").is_ok_and(|ci| ci == "true") {
            Self::Given
        } else if std::io::stdin().is_terminal() {
            Self::Ask
        } else {
            Self::Nobody
        }
    }
}

/// Names what is missing, with the reason, and installs it if that is agreed to; says what it installed.
pub(crate) fn install(
    workspace: &Workspace,
    needed: &[&'static Requirement],
    consent: Consent,
) -> Result<Vec<&'static str>> {
    let missing: Vec<_> = needed
        .iter()
        .filter(|requirement| !on_path(requirement.program, &workspace.search_path()))
        .copied()
        .collect();
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    println!("These programs are needed and not here:");
    for requirement in &missing {
        println!("  {:<16} {}", requirement.program, requirement.why);
    }
    let commands = installation(workspace, &missing, &Privilege::find());
    println!("They are installed with:");
    for command in &commands {
        println!("  {}", process::shown(command));
    }
    match consent {
        Consent::Given => {}
        Consent::Ask if agreed()? => {}
        Consent::Ask => bail!("nothing was installed; the tests need these programs"),
        Consent::Nobody => {
            bail!("nothing was installed: run the commands above, or pass --yes to have it done")
        }
    }
    for mut command in commands {
        println!("$ {}", process::shown(&command));
        process::run(&mut command).context(
            "a program that the tests need could not be installed; run the command above by hand",
        )?;
    }
    let mut installed = Vec::new();
    for requirement in missing {
        ensure!(
            on_path(requirement.program, &workspace.search_path()),
            "`{}` is still not on PATH after its installation",
            requirement.program
        );
        installed.push(requirement.program);
    }
    Ok(installed)
}

/// How packages of the distribution can be installed.
#[derive(Debug, PartialEq, Eq)]
enum Privilege {
    Root,
    Sudo,
}

impl Privilege {
    fn find() -> Self {
        if rustix::process::geteuid().is_root() {
            Self::Root
        } else {
            Self::Sudo
        }
    }
}

/// The commands that install what is missing, fewest first.
fn installation(
    workspace: &Workspace,
    missing: &[&Requirement],
    privilege: &Privilege,
) -> Vec<Command> {
    let (mut components, mut packages, mut crates) = (Vec::new(), Vec::new(), Vec::new());
    for requirement in missing {
        match requirement.from {
            From::Component(name) => components.push(name),
            From::Debian(name) => packages.push(name),
            From::Crate(name, version) => crates.push(format!("{name}@{version}")),
        }
    }
    let mut commands = Vec::new();
    if !components.is_empty() {
        let mut command = workspace.command("rustup");
        command.args(["component", "add"]).args(components);
        commands.push(command);
    }
    if !packages.is_empty() {
        let apt = || match privilege {
            Privilege::Root => workspace.command("apt-get"),
            Privilege::Sudo => {
                let mut command = workspace.command("sudo");
                command.arg("apt-get");
                command
            }
        };
        let mut update = apt();
        update.arg("update");
        commands.push(update);
        let mut install = apt();
        install
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(["install", "--yes", "--no-install-recommends"])
            .args(packages);
        commands.push(install);
    }
    for name in crates {
        let mut command = workspace.cargo();
        command
            .args(["install", "--locked", "--quiet", "--root"])
            .arg(workspace.tools())
            .arg(name);
        commands.push(command);
    }
    commands
}

fn agreed() -> Result<bool> {
    let mut out = std::io::stdout().lock();
    write!(out, "Install them? [y/N] ")
        .and_then(|()| out.flush())
        .context("cannot ask")?;
    let mut answer = String::new();
    std::io::stdin()
        .read_line(&mut answer)
        .context("cannot read the answer")?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Whether a program is somewhere on a search path.
pub(crate) fn on_path(program: &str, path: &OsStr) -> bool {
    std::env::split_paths(path).any(|directory| is_program(&directory.join(program)))
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path)
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// What a step needs, in a line.
pub(crate) fn describe(needed: &[Requirement]) -> String {
    let programs: Vec<&str> = needed.iter().map(|need| need.program).collect();
    programs.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_installed_by_kind() {
        let workspace = Workspace::find().unwrap();
        let commands = installation(
            &workspace,
            &[&NIX, &CARGO_DENY, &CHROMIUM],
            &Privilege::Sudo,
        );
        let shown: Vec<String> = commands.iter().map(process::shown).collect();
        assert_eq!(shown[0], "sudo apt-get update");
        assert_eq!(
            shown[1],
            "sudo apt-get install --yes --no-install-recommends nix-bin chromium"
        );
        assert!(shown[2].ends_with("tools cargo-deny@0.20.2"), "{shown:?}");
        assert_eq!(shown.len(), 3);
    }

    #[test]
    fn programs_are_files_that_may_be_run() {
        assert!(on_path("sh", OsStr::new("/nowhere:/bin")));
        assert!(!on_path("passwd", OsStr::new("/etc")));
        assert!(!on_path("no-such-program", OsStr::new("/bin")));
    }
}
