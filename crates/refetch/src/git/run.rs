//! Starts git: isolated, and watched while it writes.

use std::fs::File;
use std::io::{self, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use snowguard_child::Ended;
use snowguard_fod::outcome::Attempt;

use super::words::meaning;
use super::{Fetch, Stop};
use crate::tried;
use crate::verify::Halt;

/// How long one command of git may take.
const LONGEST: Duration = Duration::from_hours(2);
/// How much of what git says is read.
const MOST_SAID: u64 = 1 << 20;
/// How often it is looked how much there is by now.
const LOOK: Duration = Duration::from_millis(200);
/// What a file takes of a disk is a multiple of this, in bytes.
pub(super) const BLOCK: u64 = 4096;

/// A command of git.
pub(super) struct Order<'o> {
    /// The host that it may ask, and where that is.
    pub(super) pinned: Option<&'o str>,
    pub(super) directory: &'o Path,
    pub(super) args: &'o [&'o str],
    pub(super) input: Option<&'o File>,
}

impl Fetch<'_> {
    /// One command of git; what it prints.
    pub(super) fn run(&self, order: &Order<'_>) -> Result<String, Stop> {
        let (out, told) = (self.file()?, self.file()?);
        let stdout = Stdio::from(out.try_clone().map_err(Halt::scratch)?);
        let mut running = self.start(order, stdout, &told)?;
        self.end(&mut running, order, &[&out, &told])?;
        Ok(read(out)?)
    }

    /// One command of git, whose output is looked at as it comes and may be refused.
    pub(super) fn pipe<T: Send>(
        &self,
        order: &Order<'_>,
        look: impl FnOnce(BufReader<ChildStdout>) -> Result<T, Stop> + Send,
    ) -> Result<T, Stop>
    where
        Stop: Send,
    {
        let told = self.file()?;
        let mut running = self.start(order, Stdio::piped(), &told)?;
        let Some(out) = running.stdout.take() else {
            snowguard_child::end(&mut running);
            return Err(Halt::Network("git gave nothing to read".to_owned()).into());
        };
        std::thread::scope(|scope| {
            // Whoever stops reading ends git, and whose git ended reads to the end.
            let looked = scope.spawn(|| look(BufReader::new(out)));
            let ended = self.end(&mut running, order, &[&told]);
            let looked = looked
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            let looked = looked?;
            ended?;
            Ok(looked)
        })
    }

    /// A file without a name.
    pub(super) fn file(&self) -> Result<File, Stop> {
        Ok(tempfile::tempfile_in(self.scratch).map_err(Halt::scratch)?)
    }

    fn start(&self, order: &Order<'_>, out: Stdio, told: &File) -> Result<Child, Stop> {
        let mut command = Command::new(&self.git.program);
        command
            .args(order.args)
            .current_dir(order.directory)
            .process_group(0)
            .stdin(match order.input {
                Some(file) => Stdio::from(from_its_begin(file).map_err(Halt::scratch)?),
                None => Stdio::null(),
            })
            .stdout(out)
            .stderr(told.try_clone().map_err(Halt::scratch)?);
        self.isolate(&mut command, order.pinned);
        command.spawn().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                let text = "git is not installed here".to_owned();
                Stop::Said(Attempt::Skipped, text)
            }
            _ if tried::is_of_the_machine(&error) => {
                Stop::Halt(Halt::Network(format!("cannot start git: {error}")))
            }
            // What it is given, or where: that is of this derivation.
            _ => Stop::Said(
                Attempt::Skipped,
                format!("git cannot be started on it: {error}"),
            ),
        })
    }

    /// Waits for its end, and ends it where it writes more than it may.
    fn end(&self, running: &mut Child, order: &Order<'_>, files: &[&File]) -> Result<(), Stop> {
        let stop = self.verifier.client.interrupted();
        let begin = Instant::now();
        let mut look = LOOK;
        let status = loop {
            match snowguard_child::wait(running, look, stop).map_err(Halt::scratch)? {
                Ended::Itself(status) => break status,
                Ended::Slow if begin.elapsed() < LONGEST => {}
                Ended::Slow => {
                    snowguard_child::end(running);
                    let text = format!("git took more than {} hours", LONGEST.as_secs() / 3600);
                    return Err(Stop::Said(Attempt::Transient, text));
                }
                Ended::Stopped => {
                    snowguard_child::end(running);
                    return Err(Halt::Interrupted.into());
                }
            }
            let looked = Instant::now();
            if let Err(over) = self.look(order.directory, files) {
                snowguard_child::end(running);
                return Err(over);
            }
            // Looking is not to take longer than what is looked at.
            look = LOOK.max(looked.elapsed() * 10);
        };
        self.look(order.directory, files)?;
        if status.success() {
            return Ok(());
        }
        let Some(told) = files.last() else {
            return Err(Stop::Said(Attempt::Failed, "git failed".to_owned()));
        };
        let (attempt, text) = meaning(&read(told.try_clone().map_err(Halt::scratch)?)?);
        Err(Stop::Said(attempt, text))
    }

    /// Whether what lies there by now is still within the limits.
    fn look(&self, directory: &Path, files: &[&File]) -> Result<(), Stop> {
        let most = self.verifier.limits.repository;
        let mut size = self.repositories;
        for file in files {
            size += file.metadata().map_err(Halt::scratch)?.len();
        }
        size += size_of(&directory.join(".git"), most).map_err(Halt::scratch)?;
        if size > most {
            let text = format!("its repository takes more than {most} bytes");
            return Err(Stop::Said(Attempt::Skipped, text));
        }
        self.has_room(size + self.trees)
    }

    /// Takes room up to so many bytes in all.
    pub(super) fn has_room(&self, bytes: u64) -> Result<(), Stop> {
        self.share
            .take_up_to(bytes)
            .map_err(|_| Stop::Said(Attempt::Skipped, self.share.why()))
    }

    /// Nothing of the user, the system or the repository decides what git does.
    fn isolate(&self, command: &mut Command, pinned: Option<&str>) {
        let kept: &[&str] = if self.git.public_only || self.git.proxy.is_some() {
            &["PATH"]
        } else {
            &[
                "PATH",
                "http_proxy",
                "https_proxy",
                "HTTPS_PROXY",
                "all_proxy",
                "ALL_PROXY",
                "no_proxy",
                "NO_PROXY",
            ]
        };
        command.env_clear();
        for name in kept {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        for (name, value) in [
            ("LC_ALL", "C"),
            ("HOME", "/var/empty"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_ATTR_NOSYSTEM", "1"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_ASKPASS", "/bin/false"),
            ("SSH_ASKPASS", "/bin/false"),
            ("GIT_ALLOW_PROTOCOL", "https:http"),
            ("GIT_NO_REPLACE_OBJECTS", "1"),
            ("GIT_LFS_SKIP_SMUDGE", "1"),
            ("GIT_OPTIONAL_LOCKS", "0"),
            // What is packed so well that it becomes larger than this in memory is a bomb.
            ("GIT_ALLOC_LIMIT", "1073741824"),
            ("GIT_AUTHOR_NAME", "snowguard"),
            ("GIT_AUTHOR_EMAIL", "snowguard@localhost"),
            ("GIT_COMMITTER_NAME", "snowguard"),
            ("GIT_COMMITTER_EMAIL", "snowguard@localhost"),
        ] {
            command.env(name, value);
        }
        // No repository outside of the scratch directory is taken for the one that is meant.
        command.env("GIT_CEILING_DIRECTORIES", self.scratch);
        if let Some(file) = &self.git.authorities {
            command.env("GIT_SSL_CAINFO", file);
        }
        let mut settings = vec![
            ("core.hooksPath", "/dev/null"),
            ("core.fsmonitor", "false"),
            ("core.autocrlf", "false"),
            ("core.symlinks", "true"),
            ("core.attributesFile", "/dev/null"),
            ("core.excludesFile", "/dev/null"),
            ("credential.helper", ""),
            ("http.followRedirects", "false"),
            ("http.lowSpeedLimit", "1000"),
            ("http.lowSpeedTime", "60"),
            // Few large files, which are watched while they grow, and nothing of them that lies in memory whole.
            ("fetch.unpackLimit", "1"),
            ("core.bigFileThreshold", "64m"),
            ("fetch.recurseSubmodules", "false"),
            ("submodule.recurse", "false"),
            ("gc.auto", "0"),
            ("maintenance.auto", "false"),
            ("advice.detachedHead", "false"),
            ("init.defaultBranch", "main"),
            ("safe.directory", "*"),
        ];
        if let Some(pinned) = pinned {
            settings.push(("http.curloptResolve", pinned));
        }
        if let Some(proxy) = &self.git.proxy {
            // Without being asked for its token first.
            settings.extend([("http.proxy", &**proxy), ("http.proxyAuthMethod", "basic")]);
        }
        for (at, (key, value)) in settings.iter().enumerate() {
            command.env(format!("GIT_CONFIG_KEY_{at}"), key);
            command.env(format!("GIT_CONFIG_VALUE_{at}"), value);
        }
        command.env("GIT_CONFIG_COUNT", settings.len().to_string());
    }
}

/// How much of a disk a directory takes; it is not looked further once that is more than `most`.
pub(super) fn size_of(directory: &Path, most: u64) -> io::Result<u64> {
    let gone = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    let (mut size, mut todo) = (0_u64, vec![directory.to_owned()]);
    while let Some(directory) = todo.pop() {
        let entries = match directory.read_dir() {
            Ok(entries) => entries,
            // Git takes away what it needs no more.
            Err(error) if gone(&error) => continue,
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            match entry.metadata() {
                Ok(found) if found.is_dir() => {
                    size += BLOCK;
                    todo.push(entry.path());
                }
                Ok(found) => size += found.len().div_ceil(BLOCK) * BLOCK,
                Err(error) if gone(&error) => {}
                Err(error) => return Err(error),
            }
            if size > most {
                return Ok(size);
            }
        }
    }
    Ok(size)
}

fn from_its_begin(mut file: &File) -> io::Result<File> {
    use io::Seek as _;
    file.rewind()?;
    file.try_clone()
}

fn read(mut file: File) -> Result<String, Halt> {
    use io::{Read as _, Seek as _};
    let mut bytes = Vec::new();
    file.seek(io::SeekFrom::Start(0))
        .and_then(|_| file.take(MOST_SAID).read_to_end(&mut bytes))
        .map_err(Halt::scratch)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
