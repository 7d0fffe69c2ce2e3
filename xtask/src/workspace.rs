//! The repository: where it is, where its build goes, and cargo as every task runs it.

use std::ffi::OsString;
use std::process::Command;

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};
use cargo_metadata::{Metadata, MetadataCommand};

/// The repository that this program was built from.
pub(crate) struct Workspace {
    root: Utf8PathBuf,
    metadata: Metadata,
}

impl Workspace {
    /// Asks cargo.
    pub(crate) fn find() -> Result<Self> {
        let root = Utf8Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .context("xtask lies in the repository")?
            .to_owned();
        let metadata = MetadataCommand::new()
            .current_dir(&root)
            .other_options(["--locked".to_owned()])
            .exec()
            .context("ask cargo about the workspace")?;
        Ok(Self { root, metadata })
    }

    /// Its first directory.
    pub(crate) fn root(&self) -> &Utf8Path {
        &self.root
    }

    /// Its crates, and what they depend on.
    pub(crate) fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Where cargo builds.
    pub(crate) fn target(&self) -> &Utf8Path {
        &self.metadata.target_directory
    }

    /// Where tools go that only this project's tests need.
    pub(crate) fn tools(&self) -> Utf8PathBuf {
        self.target().join("tools")
    }

    /// A program, run at the root, with the project's own tools before the machine's.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(&self.root)
            .env("PATH", self.search_path());
        command
    }

    /// Cargo. Rustup passes on which toolchain runs this, so that it is the same.
    pub(crate) fn cargo(&self) -> Command {
        let mut command = self.command("cargo");
        // What a run of this program through cargo sets, and another would not.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
                command.env_remove(&name);
            }
        }
        command
    }

    /// Where programs are looked for.
    pub(crate) fn search_path(&self) -> OsString {
        let mut path = OsString::from(self.tools().join("bin"));
        if let Some(machine) = std::env::var_os("PATH") {
            path.push(":");
            path.push(machine);
        }
        // Debian keeps the programs of each version of PostgreSQL away from `PATH`.
        for version in std::fs::read_dir("/usr/lib/postgresql")
            .into_iter()
            .flatten()
            .flatten()
        {
            path.push(":");
            path.push(version.path().join("bin"));
        }
        path
    }
}
