//! One scan, in a process of its own: what a scan reads, and what goes wrong in it, stays there.
#![expect(clippy::disallowed_methods, reason = "this room starts the scanner")]

use std::io::{self, Read};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;

use camino::{Utf8Path, Utf8PathBuf};
use rustix::process::Pid;
use snowguard_child::{Ended, end, wait};

use crate::duration::Length;
use crate::history::{LOG_KEPT, tail};
use crate::observation::{MAX_BYTES, Observation, Unreadable};
use crate::settings::Watch;

/// A program that scans, with how it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scanner {
    /// The program.
    pub program: Utf8PathBuf,
    /// The index, where there is a file of it.
    pub index: Option<Utf8PathBuf>,
    /// Settings and decisions.
    pub config: Option<Utf8PathBuf>,
    /// Also looks inside files.
    pub deep: bool,
    /// After which it is ended.
    pub time_limit: Length,
    /// Where it may keep what it need not find out twice.
    pub cache: Option<Utf8PathBuf>,
    /// Where it writes the result that can be signed: an absolute path.
    pub result: Option<Utf8PathBuf>,
    /// The label of this machine in that.
    pub host: Option<String>,
}

/// A scan that gave no result.
#[derive(Debug)]
pub struct Failed {
    /// Why.
    pub error: ScanError,
    /// The end of what it printed on stderr.
    pub log: String,
}

/// Why a scan gave no result.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The program cannot be started.
    #[error("cannot start {program}")]
    Start {
        /// The program.
        program: Utf8PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// It cannot be waited for.
    #[error("cannot wait for the scan")]
    Wait(#[source] io::Error),
    /// It took too long.
    #[error("the scan took longer than {0}, and was ended")]
    Slow(Length),
    /// It was told to stop.
    #[error("the scan was stopped")]
    Stopped,
    /// It failed by itself, and said why.
    #[error("the scan failed: {0}")]
    Status(String),
    /// It printed something else.
    #[error(transparent)]
    Result(#[from] Unreadable),
}

impl Scanner {
    /// From the settings. `program` is used where they name none; `result` is where the result goes.
    pub fn new(
        settings: &Watch,
        program: &Utf8Path,
        cache: Option<Utf8PathBuf>,
        result: Utf8PathBuf,
    ) -> Self {
        Self {
            program: settings
                .scanner
                .clone()
                .unwrap_or_else(|| program.to_owned()),
            index: Some(settings.index.clone()).filter(|index| index.exists()),
            config: settings.config.clone(),
            deep: settings.deep,
            time_limit: settings.time_limit,
            cache,
            result: Some(result),
            host: settings.host.clone(),
        }
    }

    /// Scans. `stop` ends it early.
    pub fn scan(&self, input: &Utf8Path, stop: &AtomicBool) -> Result<Observation, Box<Failed>> {
        let failed = |error| {
            Box::new(Failed {
                error,
                log: String::new(),
            })
        };
        let mut running = self.command(input).spawn().map_err(|source| {
            failed(ScanError::Start {
                program: self.program.clone(),
                source,
            })
        })?;
        let group = i32::try_from(running.id()).ok().and_then(Pid::from_raw);
        // The least that can be had; what the unit grants may be less still.
        let _ = rustix::process::setpriority_process(group, 19);
        let out = running.stdout.take().map(|out| gather(out, MAX_BYTES + 1));
        let log = running.stderr.take().map(last);
        let ended = self.wait(&mut running, stop);
        if ended.is_err() {
            end(&mut running);
        }
        let log = log.map(join).unwrap_or_default();
        let log = String::from_utf8_lossy(&log).into_owned();
        let out = out.map(join).unwrap_or_default();
        let read = || {
            let status = ended?;
            if status.success() {
                return Ok(Observation::read(&out)?);
            }
            Err(ScanError::Status(reason(status, &log)))
        };
        read().map_err(|error| {
            Box::new(Failed {
                error,
                log: log.clone(),
            })
        })
    }

    /// The arguments with which it is started.
    pub fn arguments(&self, input: &Utf8Path) -> Vec<String> {
        let mut arguments: Vec<String> = ["--color", "never", "--quiet"].map(String::from).into();
        for (option, value) in [("--index", &self.index), ("--config", &self.config)] {
            if let Some(value) = value {
                arguments.extend([option.to_owned(), value.to_string()]);
            }
        }
        arguments.extend(["scan", "--format", "json", "--fail-on", "never"].map(String::from));
        // Never as much as costs little: what one scan can afford and the next cannot would be told
        // as a change.
        let deep = if self.deep {
            "--deep=always"
        } else {
            "--no-deep"
        };
        arguments.push(deep.into());
        if let Some(result) = &self.result {
            arguments.extend(["--result".into(), result.to_string()]);
            if let Some(host) = &self.host {
                // In one: a label may begin as an option does.
                arguments.push(format!("--host={host}"));
            }
        }
        arguments.extend(["--".into(), input.to_string()]);
        arguments
    }

    fn wait(&self, running: &mut Child, stop: &AtomicBool) -> Result<ExitStatus, ScanError> {
        match wait(running, self.time_limit.get(), stop).map_err(ScanError::Wait)? {
            Ended::Itself(status) => Ok(status),
            Ended::Stopped => Err(ScanError::Stopped),
            Ended::Slow => Err(ScanError::Slow(self.time_limit)),
        }
    }

    fn command(&self, input: &Utf8Path) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(self.arguments(input))
            .env_clear()
            .env("LANG", "C.UTF-8")
            // Not where settings of a stranger could lie.
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        if let Some(cache) = &self.cache {
            command.env("XDG_CACHE_HOME", cache);
        }
        command
    }
}

/// Reads so much, and closes the pipe: who writes on then fails.
fn gather(pipe: impl Read + Send + 'static, limit: usize) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.take(limit as u64).read_to_end(&mut bytes);
        bytes
    })
}

/// Reads all, and keeps the end.
fn last(mut pipe: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let (mut kept, mut buffer) = (Vec::new(), [0; 4096]);
        while let Ok(length @ 1..) = pipe.read(&mut buffer) {
            kept.extend_from_slice(&buffer[..length]);
            if kept.len() > 4 * LOG_KEPT {
                kept.drain(..kept.len() - LOG_KEPT);
            }
        }
        kept
    })
}

fn join(thread: JoinHandle<Vec<u8>>) -> Vec<u8> {
    thread.join().unwrap_or_default()
}

/// What it said itself, else how it ended.
fn reason(status: ExitStatus, log: &str) -> String {
    let said = log
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("error: "));
    match said {
        Some(said) => tail(said, 2_000).to_owned(),
        None => status.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// A scanner that is a script.
    fn scanner(directory: &tempfile::TempDir, script: &str) -> Scanner {
        let path = Utf8Path::from_path(directory.path())
            .unwrap()
            .join("scanner");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        Scanner {
            program: path,
            index: None,
            config: None,
            deep: false,
            time_limit: Length::seconds(30),
            cache: None,
            result: None,
            host: None,
        }
    }

    fn fails(script: &str, limit: u64, stop: bool) -> String {
        let directory = tempfile::tempdir().unwrap();
        let mut scanner = scanner(&directory, script);
        scanner.time_limit = Length::seconds(limit);
        let failed = scanner.scan(Utf8Path::new("/"), &AtomicBool::new(stop));
        failed.unwrap_err().error.to_string()
    }

    #[test]
    fn what_it_is_called_with() {
        let directory = tempfile::tempdir().unwrap();
        let mut scanner = scanner(&directory, "");
        scanner.index = Some("/i".into());
        scanner.result = Some("/s/r".into());
        scanner.host = Some("-a".into());
        for (deep, option) in [(true, "--deep=always"), (false, "--no-deep")] {
            scanner.deep = deep;
            assert_eq!(
                scanner
                    .arguments(Utf8Path::new("/run/current-system"))
                    .join(" "),
                format!(
                    "--color never --quiet --index /i scan --format json --fail-on never {option} --result /s/r --host=-a -- /run/current-system"
                )
            );
        }
    }

    #[test]
    fn every_way_to_fail() {
        assert_eq!(
            fails("echo error: no such store >&2; exit 2", 30, false),
            "the scan failed: no such store"
        );
        assert_eq!(
            fails("kill -9 $$", 30, false),
            "the scan failed: signal: 9 (SIGKILL)"
        );
        assert_eq!(
            fails("echo '{'", 30, false),
            "the result of the scan cannot be read"
        );
        assert_eq!(
            fails("sleep 100", 0, false),
            "the scan took longer than 0s, and was ended"
        );
        assert_eq!(fails("sleep 100", 30, true), "the scan was stopped");
    }

    #[test]
    fn the_end_of_the_log_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let scanner = scanner(
            &directory,
            "yes warning | head -c 300000 >&2; echo the end >&2; exit 2",
        );
        let failed = scanner
            .scan(Utf8Path::new("/"), &AtomicBool::new(false))
            .unwrap_err();
        assert!(failed.log.ends_with("the end\n") && failed.log.len() <= 4 * LOG_KEPT + 4096);
    }

    #[test]
    fn a_result() {
        let directory = tempfile::tempdir().unwrap();
        let scanner = scanner(
            &directory,
            r#"test "$HOME" = "" || exit 2
echo '{"schema":"snowguard-scan/1","tool":{"version":"1"},"subject":{"title":"t","objects":1,"components":1},"index":{"vulnerabilities":1},"packages":[]}'"#,
        );
        let seen = scanner
            .scan(Utf8Path::new("/"), &AtomicBool::new(false))
            .unwrap();
        assert_eq!(seen.title, "t");
    }
}
