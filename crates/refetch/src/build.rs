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
use std::time::{Duration, Instant};

use snowguard_child::Ended;
use snowguard_fod::outcome::{FoundBy, Got, Outcome, Verdict};
use snowguard_store::{Hash, Notation};

use crate::job::Job;
use crate::verify::{Halt, outcome};

/// How much of what Nix says is read, from its end: logs of builds have no limit.
const MOST_SAID: u64 = 1 << 20;
/// How often it is looked how much a build has printed.
const LOOK: Duration = Duration::from_secs(1);

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
    /// How many bytes one build may print.
    pub most_said: u64,
    /// Where logs are put for a while.
    pub scratch: PathBuf,
}

/// How a command of Nix ended.
struct Said {
    status: ExitStatus,
    log_length: u64,
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
        // By this machine, and from its own addresses: whoever has the bytes by their hash says nothing of the source.
        let mut args = vec!["--realise", &job.drv];
        for (name, value) in [
            ("substitute", "false"),
            ("builders", ""),
            ("hashed-mirrors", ""),
        ] {
            args.extend(["--option", name, value]);
        }
        if is_there.status.success() {
            args.push("--check");
        }
        let built = self.run(&args, stop)?;
        let found = self.said(job, &built);
        let is_found = found.verdict != Verdict::NeedsBuilder;
        Ok(Outcome {
            found_by: is_found.then_some(FoundBy::Build),
            ..found
        })
    }

    /// What Nix said of a build.
    fn said(&self, job: &Job, built: &Said) -> Outcome {
        if built.log_length > self.most_said {
            let text = format!("its build printed more than {} bytes", self.most_said);
            return outcome(Verdict::Failed, text);
        }
        if let Some(elsewhere) = remote(&built.log, &job.drv) {
            return outcome(
                Verdict::NeedsBuilder,
                format!("another machine built it, which may have had it before: {elsewhere}"),
            );
        }
        if built.status.success() {
            if let Some(instead) = by_hash(&built.log, job) {
                return instead;
            }
            return Outcome {
                got: Some(Got {
                    hash: job.address.hash.to_string(),
                    size: None,
                    swhid: None,
                }),
                ..outcome(Verdict::Ok, Verdict::Ok.what().to_owned())
            };
        }
        if let Some(got) = mismatch(&built.log, &job.drv) {
            let reason = format!("Nix got {got}, not {}", job.address.hash);
            return Outcome {
                got: Some(Got {
                    hash: got.to_string(),
                    size: None,
                    swhid: None,
                }),
                ..outcome(Verdict::Mismatch, reason)
            };
        }
        let (verdict, line) = failure(&built.log);
        outcome(verdict, format!("the build failed: {line}"))
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
            // `fetchurl` lets this stand for its own list, which it would ask first. Nothing but a blank is none.
            .env("NIX_HASHED_MIRRORS", " ")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(out.try_clone().map_err(scratch)?)
            .stderr(log.try_clone().map_err(scratch)?);
        let mut running = command.spawn().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Stop::Missing,
            _ => Stop::Halt(Halt::Network(format!("cannot start nix-store: {error}"))),
        })?;
        let begin = Instant::now();
        let status = loop {
            let left = self.longest.saturating_sub(begin.elapsed());
            match snowguard_child::wait(&mut running, LOOK.min(left), stop).map_err(scratch)? {
                Ended::Itself(status) => break status,
                Ended::Slow if begin.elapsed() >= self.longest => {
                    snowguard_child::end(&mut running);
                    return Err(Stop::Slow);
                }
                // A log that has no end fills the disk.
                Ended::Slow if length(&log).map_err(scratch)? > self.most_said => {
                    snowguard_child::end(&mut running);
                    break running.wait().map_err(scratch)?;
                }
                Ended::Slow => {}
                Ended::Stopped => {
                    snowguard_child::end(&mut running);
                    return Err(Stop::Halt(Halt::Interrupted));
                }
            }
        };
        Ok(Said {
            status,
            log_length: length(&log).map_err(scratch)?,
            out: end_of(out).map_err(scratch)?,
            log: end_of(log).map_err(scratch)?,
        })
    }
}

fn length(file: &File) -> io::Result<u64> {
    Ok(file.metadata()?.len())
}

/// The end of a file.
fn end_of(mut file: File) -> io::Result<String> {
    let length = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(length.saturating_sub(MOST_SAID)))?;
    let mut bytes = Vec::new();
    file.take(MOST_SAID).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Where another machine built it, by Nix's own word.
fn remote<'l>(log: &'l str, drv: &str) -> Option<&'l str> {
    let wanted = format!("building '{drv}' on '");
    log.lines().find(|line| line.starts_with(&wanted))
}

/// What follows where the last address that `fetchurl` tried is one by the promised hash, and not one of its own.
fn by_hash(log: &str, job: &Job) -> Option<Outcome> {
    let tried: Vec<(usize, &str)> = log
        .match_indices("trying ")
        .filter(|(at, _)| log[..*at].ends_with('\n') || *at == 0 || log[..*at].ends_with("> "))
        .filter_map(|(at, word)| Some((at, log[at + word.len()..].lines().next()?.trim())))
        .collect();
    let (at, last) = *tried.last()?;
    let hash = &job.address.hash;
    let is_by_hash = |url: &str| {
        [
            Notation::Hex,
            Notation::Nix32,
            Notation::Base64,
            Notation::Sri,
        ]
        .iter()
        .any(|notation| url.ends_with(&format!("/{}", hash.to_notation(*notation))))
            && !job.urls.iter().any(|own| own == url)
    };
    if !is_by_hash(last) {
        return None;
    }
    if tried.iter().all(|(_, url)| is_by_hash(url)) {
        let text = format!(
            "Nix took it by its hash from {last}, and asked none of its own addresses: \
             NIX_HASHED_MIRRORS must be a blank where its daemon builds"
        );
        return Some(outcome(Verdict::NeedsBuilder, text));
    }
    let (verdict, line) = failure(&log[..at]);
    Some(outcome(
        verdict,
        format!(
            "its own addresses did not send it ({line}); it is had by its hash alone, from {last}"
        ),
    ))
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
    fn who_has_it_by_its_hash_is_not_the_source() {
        let hash = Hash::of(snowguard_store::HashAlgo::Sha256, b"x").unwrap();
        let job = Job {
            drv: DRV.into(),
            output: String::new(),
            address: snowguard_store::ContentAddress::new(
                snowguard_store::ContentAddressMethod::Flat,
                hash,
            ),
            way: crate::job::Way::Build(String::new()),
            urls: vec!["https://x.org/a".into()],
            curl: false,
            terms: String::new(),
            described: None,
        };
        let told = |log: &str, job: &Job| {
            let found = by_hash(log, job);
            found
                .map(|found| format!("{}: {}", found.verdict, found.reason))
                .unwrap_or_default()
        };
        let own = "\ntrying https://x.org/a\ncurl: (22) The requested URL returned error: 404\n";
        let hashed = format!(
            "trying https://tarballs.example/sha256/{}\n",
            hash.to_notation(Notation::Hex)
        );
        insta::assert_snapshot!([
            told(&format!("{own}{hashed}"), &job),
            told(&hashed, &job),
            told(&format!("{hashed}{own}"), &job),
            told(own, &job),
            told("", &job),
            told(&format!("\ntrying https://x.org/a\n{hashed}"), &job),
        ].join("\n"), @r"
        gone: its own addresses did not send it (curl: (22) The requested URL returned error: 404); it is had by its hash alone, from https://tarballs.example/sha256/2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881
        needs-builder: Nix took it by its hash from https://tarballs.example/sha256/2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881, and asked none of its own addresses: NIX_HASHED_MIRRORS must be a blank where its daemon builds



        failed: its own addresses did not send it (trying https://x.org/a); it is had by its hash alone, from https://tarballs.example/sha256/2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881
        ");
        // An address of its own may be one by hash.
        let itself = hashed.trim().strip_prefix("trying ").unwrap();
        let its_own = Job {
            urls: vec![itself.into()],
            ..job
        };
        assert_eq!(told(&hashed, &its_own), "");
        assert!(remote(&format!("building '{DRV}' on 'ssh://b'...\n"), DRV).is_some());
        assert!(remote(&format!("building '{DRV}'...\n"), DRV).is_none());
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
