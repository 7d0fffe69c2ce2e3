//! Evaluates a checkout with nix-eval-jobs or nix-env, as a child with limits.
//!
//! What is unfree, broken or insecure is evaluated, so that it is seen; aliases are not, since they are
//! other names of what is there. Nothing is built.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use snowguard_sources::Options;
use snowguard_sources::packages::{Derivations, Evaluation};

use super::child::{self, Ended, Limits};
use super::{IngestError, Progress, Step, read_file};

/// A program that evaluates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    /// `nix-eval-jobs`: several workers, and errors for each attribute.
    NixEvalJobs(Utf8PathBuf),
    /// `nix-env`: one process.
    NixEnv(Utf8PathBuf),
}

impl Program {
    /// The first of both in the directories of a search path (`PATH`), nix-eval-jobs before nix-env.
    pub fn find(path: &str) -> Option<Self> {
        let find = |name: &str| {
            path.split(':')
                .filter(|directory| directory.starts_with('/'))
                .map(|directory| Utf8Path::new(directory).join(name))
                .find(|program| program.is_file())
        };
        find("nix-eval-jobs")
            .map(Self::NixEvalJobs)
            .or_else(|| find("nix-env").map(Self::NixEnv))
    }
}

/// What an evaluation may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EvaluatorLimits {
    /// How long it may run.
    pub time: Duration,
    /// How much memory it may use, in bytes: each process of it, and all workers together.
    pub memory: u64,
    /// How much it may print, in bytes.
    pub output: u64,
}

impl Default for EvaluatorLimits {
    fn default() -> Self {
        Self {
            time: Duration::from_hours(1),
            memory: 24 << 30,
            output: 2 << 30,
        }
    }
}

/// How checkouts are evaluated.
#[derive(Debug, Clone)]
pub struct Evaluator {
    /// With what.
    pub program: Program,
    /// What it may take.
    pub limits: EvaluatorLimits,
    /// For which system, if not for this machine's: `x86_64-linux`.
    pub system: Option<String>,
    /// How many workers nix-eval-jobs has.
    pub workers: u16,
    /// Where what is printed is put meanwhile.
    pub spool: Utf8PathBuf,
}

/// Why a checkout could not be evaluated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvaluatorError {
    /// It is not what is evaluated.
    #[error("{checkout} has no default.nix")]
    NoExpression {
        /// Which.
        checkout: String,
    },
    /// It cannot be started or looked after.
    #[error("cannot run {program}")]
    Run {
        /// Which.
        program: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// It failed by itself.
    #[error("{program} failed ({status}): {complaint}")]
    Failed {
        /// Which.
        program: String,
        /// How it ended.
        status: String,
        /// The end of what it said.
        complaint: String,
    },
    /// It took too long.
    #[error("{program} took longer than {seconds} s, and was ended")]
    Slow {
        /// Which.
        program: String,
        /// What is allowed.
        seconds: u64,
    },
    /// It printed too much.
    #[error("{program} printed more than {bytes} bytes, and was ended")]
    Large {
        /// Which.
        program: String,
        /// What is allowed.
        bytes: u64,
    },
    /// Somebody wanted an end.
    #[error("the evaluation was stopped")]
    Stopped,
}

impl EvaluatorError {
    /// What to do about it, when there is something to do.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::NoExpression { .. } => "name a checkout of Nixpkgs, or of something like it",
            Self::Run { .. } => "install Nix, or nix-eval-jobs, and check PATH",
            Self::Failed { .. } => "run it by hand on the same checkout; it may need more memory",
            Self::Slow { .. } | Self::Large { .. } => {
                "raise the limit, or evaluate elsewhere and pass the file"
            }
            Self::Stopped => return None,
        })
    }
}

/// What is set of Nixpkgs' configuration, and nothing of a person's.
const CONFIG: &str = "{ allowAliases = false; allowUnfree = true; allowBroken = true; \
                      allowUnsupportedSystem = true; allowInsecurePredicate = _: true; }";

impl Evaluator {
    /// Evaluates a checkout, and reads what comes. `stop` ends it early.
    ///
    /// nix-eval-jobs leaves derivations in the store, where live ones are found; nix-env leaves none.
    pub fn evaluate(
        &self,
        checkout: &Utf8Path,
        derivations: Derivations,
        options: &Options,
        stop: &AtomicBool,
        progress: Progress<'_>,
    ) -> Result<Evaluation, IngestError> {
        let expression = checkout.join("default.nix");
        if !expression.is_file() {
            return Err(EvaluatorError::NoExpression {
                checkout: checkout.to_string(),
            }
            .into());
        }
        let out = tempfile::Builder::new()
            .prefix("evaluation-")
            .tempfile_in(&self.spool)
            .map_err(|source| IngestError::File {
                what: "make a file in",
                path: self.spool.to_string(),
                source,
            })?;
        self.run(&expression, out.as_file(), stop, progress)?;
        let path = Utf8Path::from_path(out.path()).ok_or_else(|| IngestError::File {
            what: "read",
            path: out.path().display().to_string(),
            source: io::Error::from(io::ErrorKind::InvalidFilename),
        })?;
        read_file(path, derivations, options, progress)
    }

    fn run(
        &self,
        expression: &Utf8Path,
        out: &File,
        stop: &AtomicBool,
        progress: Progress<'_>,
    ) -> Result<(), EvaluatorError> {
        let (Program::NixEvalJobs(program) | Program::NixEnv(program)) = &self.program;
        let limits = Limits {
            time: self.limits.time,
            memory: self.limits.memory,
            output: self.limits.output,
        };
        let arguments = self.arguments(expression);
        let ended = child::run(
            program.as_ref(),
            arguments.iter().map(OsString::as_os_str),
            out,
            limits,
            stop,
            &mut |printed| progress(Step::Evaluating { printed }),
        );
        let program = program.to_string();
        match ended {
            Ok(Ended::Itself(status, _)) if status.success() => Ok(()),
            Ok(Ended::Itself(status, complaint)) => Err(EvaluatorError::Failed {
                program,
                status: status.to_string(),
                complaint,
            }),
            Ok(Ended::Slow) => Err(EvaluatorError::Slow {
                program,
                seconds: self.limits.time.as_secs(),
            }),
            Ok(Ended::Large) => Err(EvaluatorError::Large {
                program,
                bytes: self.limits.output,
            }),
            Ok(Ended::Stopped) => Err(EvaluatorError::Stopped),
            Err(source) => Err(EvaluatorError::Run { program, source }),
        }
    }

    fn arguments(&self, expression: &Utf8Path) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = Vec::new();
        let mut add = |words: &[&str]| arguments.extend(words.iter().map(OsString::from));
        match &self.program {
            Program::NixEnv(_) => {
                add(&["-f", expression.as_str(), "-qaP", "--json", "--meta"]);
                add(&["--drv-path", "--out-path"]);
            }
            Program::NixEvalJobs(_) => {
                let workers = self.workers.max(1);
                let each = (self.limits.memory >> 20) / u64::from(workers);
                add(&["--meta", "--workers", &workers.to_string()]);
                add(&["--max-memory-size", &each.to_string()]);
                add(&[expression.as_str()]);
            }
        }
        add(&["--arg", "config", CONFIG, "--arg", "overlays", "[ ]"]);
        if let Some(system) = &self.system {
            add(&["--argstr", "system", system]);
        }
        arguments
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    fn evaluator(program: Program) -> Evaluator {
        Evaluator {
            program,
            limits: EvaluatorLimits::default(),
            system: Some("x86_64-linux".to_owned()),
            workers: 4,
            spool: "/tmp".into(),
        }
    }

    #[test]
    fn what_they_are_called_with() {
        let called = |program| {
            let arguments = evaluator(program).arguments(Utf8Path::new("/nixpkgs/default.nix"));
            arguments.join(OsStr::new(" ")).into_string().unwrap()
        };
        insta::assert_snapshot!(called(Program::NixEnv("nix-env".into())), @"-f /nixpkgs/default.nix -qaP --json --meta --drv-path --out-path --arg config { allowAliases = false; allowUnfree = true; allowBroken = true; allowUnsupportedSystem = true; allowInsecurePredicate = _: true; } --arg overlays [ ] --argstr system x86_64-linux");
        insta::assert_snapshot!(called(Program::NixEvalJobs("nix-eval-jobs".into())), @"--meta --workers 4 --max-memory-size 6144 /nixpkgs/default.nix --arg config { allowAliases = false; allowUnfree = true; allowBroken = true; allowUnsupportedSystem = true; allowInsecurePredicate = _: true; } --arg overlays [ ] --argstr system x86_64-linux");
    }
}
