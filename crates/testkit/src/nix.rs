//! The real Nix, run on stores of its own: no daemon, no network, nothing built, nothing of the machine's.

#![expect(
    clippy::disallowed_methods,
    reason = "tests start programs, read the environment and write scratch files"
)]

use std::ffi::OsStr;
use std::fmt;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// The environment variable that names a directory with Nix's programs.
pub const NIX_DIR_VARIABLE: &str = "SNOWGUARD_TEST_NIX";

/// A Nix that was found.
#[derive(Debug, Clone)]
pub struct Nix {
    programs: Option<PathBuf>,
    version: NixVersion,
}

impl Nix {
    /// Finds Nix where [`NIX_DIR_VARIABLE`] says, else on `PATH`.
    pub fn find() -> Result<Self, NixError> {
        let programs = std::env::var_os(NIX_DIR_VARIABLE).map(PathBuf::from);
        let mut nix = Self {
            programs,
            version: NixVersion { major: 0, minor: 0 },
        };
        let output = nix
            .program("nix-store")
            .arg("--version")
            .output()
            .map_err(|source| NixError::NotFound { source })?;
        let text = String::from_utf8_lossy(&output.stdout);
        nix.version = NixVersion::parse(&text).ok_or_else(|| NixError::Version {
            text: text.trim().to_owned(),
        })?;
        Ok(nix)
    }

    /// Which version it is.
    pub fn version(&self) -> NixVersion {
        self.version
    }

    /// An empty store in a scratch directory.
    pub fn store(&self) -> Result<NixStore, NixError> {
        self.store_at("store")
    }

    /// An empty store at a path within a scratch directory.
    pub fn store_at(&self, path: &str) -> Result<NixStore, NixError> {
        let scratch = tempfile::Builder::new()
            .prefix("snowguard-nix-")
            .tempdir()
            .map_err(|source| NixError::Scratch { source })?;
        // Nix compares paths as text.
        let root = scratch
            .path()
            .canonicalize()
            .map_err(|source| NixError::Scratch { source })?;
        let store_dir = root.join(path);
        for dir in [&store_dir, &root.join("home"), &root.join("etc")] {
            std::fs::create_dir_all(dir).map_err(|source| NixError::Scratch { source })?;
        }
        Ok(NixStore {
            nix: self.clone(),
            _scratch: scratch,
            root,
            store_dir,
        })
    }

    fn program(&self, name: &str) -> Command {
        match &self.programs {
            Some(dir) => Command::new(dir.join(name)),
            None => Command::new(name),
        }
    }
}

/// The first two numbers of a Nix version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct NixVersion {
    /// 2 for all that matter.
    pub major: u32,
    /// What changes with every release.
    pub minor: u32,
}

impl NixVersion {
    /// Takes both numbers.
    pub const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor }
    }

    /// Reads `nix-store (Nix) 2.8.0`.
    fn parse(text: &str) -> Option<Self> {
        let mut numbers = text
            .split_whitespace()
            .last()?
            .split(|c: char| !c.is_ascii_digit());
        Some(Self {
            major: numbers.next()?.parse().ok()?,
            minor: numbers.next()?.parse().ok()?,
        })
    }
}

impl fmt::Display for NixVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// A store of its own; gone when dropped.
#[derive(Debug)]
pub struct NixStore {
    nix: Nix,
    _scratch: TempDir,
    root: PathBuf,
    store_dir: PathBuf,
}

impl NixStore {
    /// The store directory.
    pub fn dir(&self) -> &Path {
        &self.store_dir
    }

    /// A directory for other files, which holds the store and its state.
    pub fn scratch(&self) -> &Path {
        &self.root
    }

    /// The Nix that works on it.
    pub fn nix(&self) -> &Nix {
        &self.nix
    }

    /// Writes a file into the scratch directory.
    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> Result<PathBuf, NixError> {
        let path = self.root.join(name);
        std::fs::write(&path, contents).map_err(|source| NixError::Scratch { source })?;
        Ok(path)
    }

    /// One of Nix's programs, with the environment that keeps it in this store and every experimental
    /// feature that is asked for.
    pub fn command(&self, program: &str, features: &[&str]) -> Command {
        let features = features.join(" ");
        let config =
            format!("experimental-features = nix-command {features}\nsubstitute = false\n");
        self.with_environment(self.nix.program(program), &config)
    }

    /// A program that starts Nix itself: what it starts stays in this store, and has these settings.
    pub fn command_of(&self, program: impl AsRef<OsStr>, config: &str) -> Command {
        self.with_environment(Command::new(program), config)
    }

    fn with_environment(&self, mut command: Command, config: &str) -> Command {
        command
            .env("NIX_REMOTE", "")
            .env("NIX_STORE_DIR", &self.store_dir)
            .env("NIX_STATE_DIR", self.root.join("var"))
            .env("NIX_LOG_DIR", self.root.join("log"))
            .env("NIX_CONF_DIR", self.root.join("etc"))
            .env("NIX_CONFIG", config)
            .env("HOME", self.root.join("home"))
            .env("XDG_CACHE_HOME", self.root.join("home"))
            .current_dir(&self.root)
            .stdin(Stdio::null());
        for unset in [
            "NIX_PATH",
            "NIX_USER_CONF_FILES",
            "NIX_BUILD_HOOK",
            "http_proxy",
            "https_proxy",
            "no_proxy",
        ] {
            command.env_remove(unset);
        }
        command
    }

    /// Runs a program to its end; what it printed, or an error with what it complained about.
    pub fn run<I, A>(&self, program: &str, features: &[&str], args: I) -> Result<Vec<u8>, NixError>
    where
        I: IntoIterator<Item = A>,
        A: AsRef<OsStr>,
    {
        let mut command = self.command(program, features);
        command.args(args);
        let output = command.output();
        finish(program, output)
    }

    /// Runs a program with something to read.
    pub fn run_with_input<I, A>(
        &self,
        program: &str,
        args: I,
        input: &[u8],
    ) -> Result<Vec<u8>, NixError>
    where
        I: IntoIterator<Item = A>,
        A: AsRef<OsStr>,
    {
        let mut command = self.command(program, &[]);
        command
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut run = || -> io::Result<Output> {
            let mut child = command.spawn()?;
            if let Some(mut stdin) = child.stdin.take() {
                // A program that stops reading early says itself what is wrong.
                match stdin.write_all(input) {
                    Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error),
                    _ => {}
                }
            }
            child.wait_with_output()
        };
        finish(program, run())
    }

    /// Instantiates every derivation that an expression evaluates to; they are then in the store directory.
    pub fn instantiate(&self, expression: &str, features: &[&str]) -> Result<(), NixError> {
        let file = self.write("instantiate.nix", expression)?;
        let roots = self.root.join("roots");
        let args = [
            OsStr::new("--add-root"),
            roots.as_os_str(),
            file.as_os_str(),
        ];
        self.run("nix-instantiate", features, args).map(|_| ())
    }

    /// Evaluates an expression to JSON; what it adds to the store is added.
    pub fn evaluate(&self, expression: &str) -> Result<serde_json::Value, NixError> {
        let file = self.write("evaluate.nix", expression)?;
        let args = [
            OsStr::new("--eval"),
            OsStr::new("--strict"),
            OsStr::new("--json"),
            OsStr::new("--read-write-mode"),
            file.as_os_str(),
        ];
        let json = self.run("nix-instantiate", &[], args)?;
        serde_json::from_slice(&json).map_err(|source| NixError::Json { source })
    }
}

/// Why Nix could not be asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NixError {
    /// There is none.
    #[error(
        "Nix is not installed: run `cargo xtask test`, which installs it, or name a directory with its programs in {NIX_DIR_VARIABLE}"
    )]
    NotFound {
        /// Why it could not be started.
        #[source]
        source: io::Error,
    },
    /// What it says of itself is no version.
    #[error("ask Nix for its version: it said `{text}`")]
    Version {
        /// What it said.
        text: String,
    },
    /// The scratch directory cannot be used.
    #[error("use a scratch directory for Nix")]
    Scratch {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A program could not be started or talked to.
    #[error("run `{program}`")]
    Run {
        /// Which.
        program: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A program failed.
    #[error("run `{program}`: it failed: {stderr}")]
    Failed {
        /// Which.
        program: String,
        /// What it complained about.
        stderr: String,
    },
    /// What it printed is not JSON.
    #[error("read what Nix evaluated")]
    Json {
        /// Where and what.
        #[source]
        source: serde_json::Error,
    },
}

fn finish(program: &str, output: io::Result<Output>) -> Result<Vec<u8>, NixError> {
    let output = output.map_err(|source| NixError::Run {
        program: program.to_owned(),
        source,
    })?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(NixError::Failed {
        program: program.to_owned(),
        stderr,
    })
}
