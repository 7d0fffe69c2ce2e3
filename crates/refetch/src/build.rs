//! A real build by Nix, for what nothing less is exact for; and what Nix said of it.
//!
//! What the fetcher itself needs is substituted or built as Nix is set up; only then the derivation is run, with
//! substitutes off, or once more with `--check` where its output is there. The verdict is what Nix says of the hash,
//! word by word; anything else that fails says nothing of it.

#![expect(
    clippy::disallowed_methods,
    reason = "this room starts Nix, and reads what it said"
)]

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use snowguard_child::Ended;
use snowguard_fod::outcome::{Got, Outcome, Verdict};
use snowguard_store::Hash;

use crate::job::Job;
use crate::verify::{Halt, outcome};

/// How much of what Nix says is read, from its end: logs of builds have no limit.
const MOST_SAID: u64 = 1 << 20;

/// With what is built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Builder {
    /// The program `nix-store`.
    pub program: PathBuf,
    /// The store, as `--store` takes it; none for the one that Nix would use.
    pub store: Option<String>,
    /// Variables to set for Nix, beside those that are there.
    pub environment: Vec<(String, String)>,
    /// How long one build may take.
    pub longest: Duration,
    /// Where logs are put for a while.
    pub scratch: PathBuf,
}

/// How a command of Nix ended.
struct Said {
    status: ExitStatus,
    out: String,
    log: String,
}

enum Stop {
    Missing,
    Slow,
    Halt(Halt),
}

impl Builder {
    pub(crate) fn verify(&self, job: &Job, stop: &AtomicBool) -> Result<Outcome, Halt> {
        match self.build(job, stop) {
            Ok(outcome) => Ok(outcome),
            Err(Stop::Missing) => Ok(outcome(
                Verdict::NeedsBuilder,
                "Nix is not installed here".to_owned(),
            )),
            Err(Stop::Slow) => Ok(outcome(
                Verdict::Transient,
                format!("the build took more than {} s", self.longest.as_secs()),
            )),
            Err(Stop::Halt(halt)) => Err(halt),
        }
    }

    fn build(&self, job: &Job, stop: &AtomicBool) -> Result<Outcome, Stop> {
        let listed = self.run(&["--query", "--references", &job.drv], stop)?;
        if !listed.status.success() {
            let why = format!(
                "Nix does not have its derivation: {}",
                last_line(&listed.log)
            );
            return Ok(outcome(Verdict::NeedsBuilder, why));
        }
        let inputs: Vec<&str> = listed
            .out
            .lines()
            .map(str::trim)
            .filter(|path| path.ends_with(".drv"))
            .collect();
        if !inputs.is_empty() {
            let mut args = vec!["--realise"];
            args.extend(inputs);
            let made = self.run(&args, stop)?;
            if !made.status.success() {
                let why = format!(
                    "what it is fetched with cannot be had: {}",
                    last_line(&made.log)
                );
                return Ok(outcome(Verdict::NeedsBuilder, why));
            }
        }
        let is_there = self.run(&["--check-validity", &job.output], stop)?;
        let mut args = vec!["--realise", &job.drv, "--option", "substitute", "false"];
        if is_there.status.success() {
            args.push("--check");
        }
        let built = self.run(&args, stop)?;
        if built.status.success() {
            return Ok(Outcome {
                got: Some(Got {
                    hash: job.address.hash.to_string(),
                    size: None,
                    swhid: None,
                }),
                ..outcome(Verdict::Ok, Verdict::Ok.what().to_owned())
            });
        }
        if let Some(got) = mismatch(&built.log, &job.drv) {
            let reason = format!("Nix got {got}, not {}", job.address.hash);
            return Ok(Outcome {
                got: Some(Got {
                    hash: got.to_string(),
                    size: None,
                    swhid: None,
                }),
                ..outcome(Verdict::Mismatch, reason)
            });
        }
        let (verdict, line) = failure(&built.log);
        Ok(outcome(verdict, format!("the build failed: {line}")))
    }

    fn run(&self, args: &[&str], stop: &AtomicBool) -> Result<Said, Stop> {
        let scratch = |error| Stop::Halt(Halt::scratch(error));
        let file = || tempfile::tempfile_in(&self.scratch).map_err(scratch);
        let (out, log) = (file()?, file()?);
        let mut command = Command::new(&self.program);
        if let Some(store) = &self.store {
            command.args(["--store", store]);
        }
        command
            .args(args)
            .process_group(0)
            .env("LC_ALL", "C")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(out.try_clone().map_err(scratch)?)
            .stderr(log.try_clone().map_err(scratch)?);
        let mut running = command.spawn().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Stop::Missing,
            _ => Stop::Halt(Halt::Network(format!("cannot start nix-store: {error}"))),
        })?;
        match snowguard_child::wait(&mut running, self.longest, stop).map_err(scratch)? {
            Ended::Itself(status) => Ok(Said {
                status,
                out: end_of(out).map_err(scratch)?,
                log: end_of(log).map_err(scratch)?,
            }),
            Ended::Slow => {
                snowguard_child::end(&mut running);
                Err(Stop::Slow)
            }
            Ended::Stopped => {
                snowguard_child::end(&mut running);
                Err(Stop::Halt(Halt::Interrupted))
            }
        }
    }
}

/// The end of a file.
fn end_of(mut file: File) -> io::Result<String> {
    let length = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(length.saturating_sub(MOST_SAID)))?;
    let mut bytes = Vec::new();
    file.take(MOST_SAID).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The hash that Nix got in place of the promised one, if it says so of this derivation.
///
/// A builder can print what it likes. What Nix says stands on lines of its own: `error: hash mismatch in fixed-output
/// derivation 'PATH':`, then `specified:` and `got:`. The last such message counts, since Nix speaks after the builder.
fn mismatch(log: &str, drv: &str) -> Option<Hash> {
    let wanted = format!("hash mismatch in fixed-output derivation '{drv}'");
    let at = log.rfind(&wanted)?;
    let mut lines = log[at..].lines().skip(1);
    let specified = lines.next()?.trim();
    specified.strip_prefix("specified:")?;
    let got = lines.next()?.trim().strip_prefix("got:")?;
    Hash::parse(got.trim(), None).ok()
}

/// What a failed build that says nothing of the hash means, and in which line.
fn failure(log: &str) -> (Verdict, String) {
    const GONE: [&str; 4] = [
        "error: 404",
        "HTTP error 404",
        "error: 410",
        "HTTP error 410",
    ];
    const PASSING: [&str; 14] = [
        "Could not resolve host",
        "Couldn't resolve host",
        "Temporary failure in name resolution",
        "timed out",
        "Connection refused",
        "Connection reset",
        "Couldn't connect to server",
        "Failed to connect",
        "Network is unreachable",
        "error: 429",
        "error: 500",
        "error: 502",
        "error: 503",
        "HTTP error 5",
    ];
    let has = |words: &[&str]| {
        log.lines()
            .rev()
            .find(|line| words.iter().any(|word| line.contains(word)))
    };
    // Of several addresses one may be gone, and another may pass.
    if let Some(line) = has(&PASSING) {
        (Verdict::Transient, line.trim().to_owned())
    } else if let Some(line) = has(&GONE) {
        (Verdict::Gone, line.trim().to_owned())
    } else {
        (Verdict::Failed, last_line(log))
    }
}

/// The last line that says something.
fn last_line(log: &str) -> String {
    let said = log.lines().rev().map(str::trim);
    let mut said = said.filter(|line| !line.is_empty());
    let line = said.next().unwrap_or("it said nothing");
    line.chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRV: &str = "/nix/store/00000000000000000000000000000000-x.drv";

    /// As Nix 2.8 and 2.34 say it.
    const LOG: &str = "error: hash mismatch in fixed-output derivation '/nix/store/00000000000000000000000000000000-x.drv':
         specified: sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
            got:    sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=
error: 1 dependencies failed to build
";

    #[test]
    fn what_nix_says_of_the_hash_is_read() {
        let got = mismatch(LOG, DRV).unwrap();
        assert_eq!(
            got,
            Hash::of(snowguard_store::HashAlgo::Sha256, b"").unwrap()
        );
        assert_eq!(mismatch(LOG, "/nix/store/other.drv"), None);
        assert_eq!(
            mismatch("hash mismatch in fixed-output derivation", DRV),
            None
        );
        assert_eq!(mismatch(&LOG.replace("got:", "is:"), DRV), None);
    }

    #[test]
    fn what_else_failed_says_nothing_of_the_hash() {
        let told = |log: &str| failure(log).0;
        assert_eq!(
            told("curl: (6) Could not resolve host: x.org"),
            Verdict::Transient
        );
        let both =
            "curl: (22) The requested URL returned error: 404\ncurl: (28) Operation timed out";
        assert_eq!(told(both), Verdict::Transient);
        assert_eq!(
            told("curl: (22) The requested URL returned error: 404"),
            Verdict::Gone
        );
        assert_eq!(
            told("error: builder for 'x' failed with exit code 1"),
            Verdict::Failed
        );
    }
}
