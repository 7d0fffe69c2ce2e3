//! Nix as it is started: what it is told in its environment, inside the network and outside.
#![expect(
    clippy::disallowed_methods,
    reason = "the face knows the environment, and starts what it is given"
)]

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{PipeReader, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::{Command, Stdio};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::io::FdFlags;
use snowguard_confine::Stdout;

use super::settings::{Settings, Store};
use crate::cli::fod_build::Build;
use crate::error::Failure;

/// Variables by which tools learn of a proxy, or go round one.
const PROXIES: &[&str] = &["http_proxy", "https_proxy", "ftp_proxy", "all_proxy"];
const UNSET: &[&str] = &["no_proxy", "NO_PROXY", "GIT_PROXY_COMMAND", "SOCKS_SERVER"];
/// What of the caller's environment builds are started with; more by `--pass-env`. A fixed-output derivation may
/// ask for any variable that Nix has, so that Nix is to have no secrets.
const PASSED: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "TMPDIR",
    "TERM",
    "LANG",
    "LOCALE_ARCHIVE",
    "TZDIR",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_DIRS",
    "XDG_CONFIG_HOME",
    "NIX_BIN_DIR",
    "NIX_CONF_DIR",
    "NIX_DATA_DIR",
    "NIX_IGNORE_SYMLINK_STORE",
    "NIX_LIBEXEC_DIR",
    "NIX_LOCALSTATE_DIR",
    "NIX_LOG_DIR",
    "NIX_SSL_CERT_FILE",
    "NIX_STATE_DIR",
    "NIX_STORE_DIR",
    "NIX_USER_CONF_FILES",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
];
/// What evaluation is started with beside these; more by `--pass-env`. An expression may read any variable
/// (`builtins.getEnv`), write it into a URL, and have it sent, so that an evaluator is to have no secrets either.
const EVALUATED: &[&str] = &[
    "GIT_SSL_CAINFO",
    "NIX_GIT_SSL_CAINFO",
    "NIX_PATH",
    // Where an agent listens is no secret, and Git asks it.
    "SSH_AUTH_SOCK",
    "XDG_RUNTIME_DIR",
    "XDG_STATE_HOME",
];
/// Variables by which Nix is told of other machines and programs that build.
const BUILDERS: &[&str] = &["NIX_BUILD_HOOK", "NIX_REMOTE_SYSTEMS"];
/// What no program outside of the network may do.
const MAY_NOT_BUILD: &str = "max-jobs = 0\nbuilders =\n";
/// A flake's own settings would come after these. Nix warns of it where it knows no flakes.
const NO_FLAKE_CONFIG: &str = "accept-flake-config = false\n";
/// What no program inside of it may do: it could reach neither.
const BUILDS_HERE: &str = "substitute = false\nbuilders =\nfallback = false\n";
const CERTIFICATES: &str = "ssl-cert-file";
const SANDBOX: &str = "sandbox = true\nsandbox-fallback = false\n";
const NO_SANDBOX: &str = "sandbox = false\n";

/// Nix.
#[derive(Debug)]
pub(in crate::fod) struct Nix {
    store: Store,
    /// Whether settings let builders see only what they are given.
    sandbox: bool,
    /// Whether builders are other users than who builds, or who builds has no rights to give away.
    has_users: bool,
    without_sandbox: bool,
    /// What to do where none can be had, if there is something.
    goes_without: Option<&'static str>,
    /// What programs that may know no flakes are told of these: nothing, unless settings let them know some.
    of_flakes: &'static str,
    /// Its setting for certificates, which comes before every variable; none where it is too old.
    certificates: Option<&'static str>,
    /// What settings let builders ask for, which comes before every variable too.
    impure: String,
    /// Variables that are passed on beside the known ones.
    pass: Vec<String>,
    /// Where nothing is noted about settings that flakes may make.
    data: Utf8PathBuf,
    /// The proxy of what evaluates, which writes down what is fetched.
    watched_at: Option<String>,
    /// Settings of where the store takes from what it lacks.
    sources: String,
    /// The file with the settings of the caller's variable, if there are any: a builder may ask for the variable, and
    /// they may hold tokens and passwords.
    settings: Option<Utf8PathBuf>,
}

/// A program of Nix that evaluates.
pub(super) struct Evaluator {
    pub(super) command: Command,
    /// The caller's settings, which it reads once, when it starts. They may hold tokens, and no expression can read
    /// them: neither a variable nor a file has them.
    _settings: Option<PipeReader>,
}

/// What a build can reach.
pub(in crate::fod) struct Reach<'r> {
    /// The port of the proxy, on loopback.
    pub(in crate::fod) port: u16,
    /// Whose requests they are.
    pub(in crate::fod) token: Option<&'r str>,
    /// The certificates to trust.
    pub(in crate::fod) trust: Option<&'r Utf8Path>,
}

impl Nix {
    /// Asks Nix for its version and its settings.
    pub(super) fn find(args: &Build, place: &Utf8Path) -> Result<Self, Failure> {
        let settings = Settings::ask()?;
        let store = Store::of(settings.get("store"))?;
        Ok(Self {
            without_sandbox: args.without_sandbox,
            goes_without: Some("`--without-sandbox` goes without"),
            pass: args.pass_env.clone(),
            ..Self::on(store, &settings, place)?
        })
    }

    /// For a store that is named, which takes what it lacks as settings say.
    pub(in crate::fod) fn at(
        store: &str,
        sources: String,
        settings: &Settings,
        place: &Utf8Path,
    ) -> Result<Self, Failure> {
        Ok(Self {
            sources,
            ..Self::on(Store::of(store)?, settings, place)?
        })
    }

    fn on(store: Store, settings: &Settings, place: &Utf8Path) -> Result<Self, Failure> {
        let has_users = !rustix::process::geteuid().is_root()
            || !settings.get("build-users-group").is_empty()
            || settings.get("auto-allocate-uids") == "true";
        let mut features = settings.get("experimental-features").split_whitespace();
        Ok(Self {
            store,
            sandbox: matches!(settings.get("sandbox"), "true" | "relaxed"),
            has_users,
            without_sandbox: false,
            goes_without: None,
            of_flakes: if features.any(|feature| feature == "flakes") {
                NO_FLAKE_CONFIG
            } else {
                ""
            },
            certificates: settings.known(CERTIFICATES).map(|_| CERTIFICATES),
            impure: settings.get("impure-env").to_owned(),
            pass: Vec::new(),
            data: place.join("data"),
            watched_at: None,
            sources: String::new(),
            settings: variable("NIX_CONFIG")
                .map(|settings| kept_aside(&without_tokens(&settings), place))
                .transpose()?,
        })
    }

    /// Makes sure that builders are kept to what they are given, or that it was said that they are not.
    pub(in crate::fod) fn check_builders(&self) -> Result<(), Failure> {
        if self.without_sandbox {
            return Ok(());
        }
        if !self.sandbox && !self.store.is_elsewhere() {
            return Err(Failure::message(
                "Nix's sandbox is off: builders would see the files of this machine",
            )
            .hint("set `sandbox = true` in nix.conf")
            .maybe_hint(self.goes_without()));
        }
        if !self.has_users {
            return Err(
                Failure::message("builders would be root, who can leave every network")
                    .hint("set `build-users-group` in nix.conf, or run this as another user")
                    .maybe_hint(self.goes_without()),
            );
        }
        Ok(())
    }

    /// Whether builders may see what is on this machine.
    pub(super) fn is_without_sandbox(&self) -> bool {
        self.without_sandbox
    }

    pub(super) fn goes_without(&self) -> Option<&'static str> {
        self.goes_without
    }

    /// Where a path of the store lies.
    pub(in crate::fod) fn file(&self, path: &str) -> Utf8PathBuf {
        if !self.store.is_elsewhere() {
            return path.into();
        }
        // Whatever its store directory is called, it lies there.
        let name = Utf8Path::new(path).file_name().unwrap_or_default();
        format!("{}/nix/store/{name}", self.store.root).into()
    }

    /// Whether all of these paths are there.
    pub(in crate::fod) fn has(&self, paths: &[String]) -> Result<bool, Failure> {
        let mut command = self.outside("nix-store");
        let status = command
            .arg("--check-validity")
            .args(paths)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        let status = status.map_err(|source| cannot_run("nix-store", source))?;
        Ok(status.success() && !paths.is_empty())
    }

    /// A program of Nix outside of the network, which may not build.
    pub(in crate::fod) fn outside(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        self.tell_outside(&mut command, program, variable("NIX_CONFIG"));
        for name in BUILDERS {
            command.env_remove(name);
        }
        command
    }

    /// What every program outside of the network is told, after the settings that were there before.
    fn tell_outside(&self, command: &mut Command, program: &str, before: Option<String>) {
        let sources = &self.sources;
        let mut config = format!("{MAY_NOT_BUILD}store = {}\n{sources}", self.store.name);
        // The programs of old know none, unless settings say so.
        let is_old = Utf8Path::new(program)
            .file_name()
            .is_some_and(|name| name.starts_with("nix-"));
        config.push_str(if is_old {
            self.of_flakes
        } else {
            NO_FLAKE_CONFIG
        });
        command
            .env("NIX_CONFIG", with(before, &config))
            .env("NIX_REMOTE", &self.store.name)
            // What was once said about settings of flakes is not said about these.
            .env("XDG_DATA_HOME", &self.data)
            .env("NIX_DATA_HOME", &self.data)
            .stdin(Stdio::null());
    }

    /// Lets what evaluates go through a proxy from now on.
    pub(super) fn watch_at(&mut self, proxy: String) {
        self.watched_at = Some(proxy);
    }

    /// As `outside`, for what evaluates, and fetches what expressions say while it does: with few variables, and its
    /// settings aside.
    pub(super) fn evaluating(&self, program: &str) -> Result<Evaluator, Failure> {
        let mut command = Command::new(program);
        let known = std::env::vars_os().filter(|(name, _)| self.evaluates_with(name));
        command.env_clear().envs(known);
        let settings = match variable("NIX_CONFIG") {
            Some(settings) => Some(read_once(settings)?),
            None => None,
        };
        let before = settings.as_ref().map(|pipe| {
            // What it starts itself finds nothing there, and is not to fail.
            format!("!include /proc/self/fd/{}", pipe.as_raw_fd())
        });
        self.tell_outside(&mut command, program, before);
        if let Some(proxy) = &self.watched_at {
            for name in PROXIES {
                command.env(name, proxy).env(name.to_uppercase(), proxy);
            }
        }
        Ok(Evaluator {
            command,
            _settings: settings,
        })
    }

    /// Whether a variable of the caller is one that an evaluation may read.
    fn evaluates_with(&self, name: &OsStr) -> bool {
        let is_more = |name: &str| EVALUATED.contains(&name) || name.starts_with("NIXPKGS_");
        (self.is_passed(name) || name.to_str().is_some_and(is_more)) && name != "NIX_CONFIG"
    }

    /// Whether a variable of the caller is one that a build may read.
    fn is_passed(&self, name: &OsStr) -> bool {
        let is_out = UNSET.iter().chain(BUILDERS).any(|out| name == *out);
        let is_known = name.to_str().is_some_and(|name| {
            PASSED.contains(&name)
                || name.starts_with("LC_")
                || self.pass.iter().any(|pass| pass == name)
        });
        is_known && !is_out
    }

    /// Runs the command that was given, which finds all that it needs in the store.
    pub(super) fn finish(&self, command: &[String]) -> Result<(), Failure> {
        let (program, arguments) = command
            .split_first()
            .ok_or_else(|| Failure::message("there is no command"))?;
        let mut evaluator = self.evaluating(program)?;
        let status = evaluator.command.args(arguments).status();
        let status = status.map_err(|source| cannot_run(program, source))?;
        if status.success() {
            return Ok(());
        }
        Err(Failure::message(format!("{program} failed ({status})"))
            .hint("it was started outside of the build's network, where nothing may be built"))
    }

    /// Realises derivations inside of the network, with a link to what is built, so that nothing collects it
    /// meanwhile.
    pub(super) fn realise(
        &self,
        drvs: &[String],
        root: &Utf8Path,
        reach: &Reach<'_>,
    ) -> Result<snowguard_confine::Command, Failure> {
        let mut arguments = ["--realise", "--add-root", root.as_str(), "--indirect"]
            .map(str::to_owned)
            .to_vec();
        arguments.extend_from_slice(drvs);
        self.inside(&arguments, reach, Stdout::ToStderr)
    }

    /// `nix-store` inside of the network.
    pub(in crate::fod) fn inside(
        &self,
        arguments: &[String],
        reach: &Reach<'_>,
        stdout: Stdout,
    ) -> Result<snowguard_confine::Command, Failure> {
        let program = std::iter::once(OsString::from("nix-store"));
        let directory = std::env::current_dir().map_err(|source| {
            Failure::new(anyhow::Error::new(source).context("cannot tell where this runs"))
        })?;
        Ok(snowguard_confine::Command {
            arguments: program
                .chain(arguments.iter().map(OsString::from))
                .collect(),
            environment: self.environment(std::env::vars_os(), reach),
            directory,
            stdout,
        })
    }

    fn environment(
        &self,
        all: impl Iterator<Item = (OsString, OsString)>,
        reach: &Reach<'_>,
    ) -> Vec<(OsString, OsString)> {
        let proxy = match reach.token {
            Some(token) => format!("http://{token}:x@127.0.0.1:{}", reach.port),
            None => format!("http://127.0.0.1:{}", reach.port),
        };
        let mut ours: Vec<(String, String)> = Vec::new();
        for name in PROXIES {
            ours.push(((*name).to_owned(), proxy.clone()));
            ours.push((name.to_uppercase(), proxy.clone()));
        }
        let mut config = format!("{BUILDS_HERE}store = {}\n", self.store.name);
        config.push_str(if self.without_sandbox {
            NO_SANDBOX
        } else {
            SANDBOX
        });
        if let Some(trust) = reach.trust {
            // At the same place in the sandbox, so that every program can be told of it.
            let _ = writeln!(config, "extra-sandbox-paths = {trust}");
            if let Some(setting) = self.certificates {
                let _ = writeln!(config, "{setting} = {trust}");
            }
            for name in ["NIX_SSL_CERT_FILE", "NIX_GIT_SSL_CAINFO"] {
                ours.push((name.to_owned(), trust.to_string()));
            }
        }
        if !self.impure.is_empty() {
            // Another proxy may be among them, or a secret. What is left out is taken from the environment.
            let said = self.impure.split_whitespace().filter(|variable| {
                let name = variable.split('=').next().unwrap_or_default();
                let is_ours = ours.iter().any(|(is, _)| is == name);
                self.pass.iter().any(|pass| pass == name) && !is_ours
            });
            let said: Vec<&str> = said.collect();
            let _ = writeln!(config, "impure-env = {}", said.join(" "));
        }
        let before = self.settings.as_ref().map(|file| format!("include {file}"));
        ours.push(("NIX_CONFIG".to_owned(), with(before, &config)));
        ours.push(("NIX_REMOTE".to_owned(), self.store.name.clone()));
        let is_ours = |name: &OsStr| ours.iter().any(|(is, _)| name == is.as_str());
        let kept = all.filter(|(name, _)| self.is_passed(name) && !is_ours(name));
        let mut all: Vec<_> = kept.collect();
        all.extend(
            ours.into_iter()
                .map(|(name, value)| (name.into(), value.into())),
        );
        all
    }
}

/// Settings after those that were there: the last of a name is in force.
fn with(before: Option<String>, settings: &str) -> String {
    before.map_or_else(
        || settings.to_owned(),
        |before| format!("{before}\n{settings}"),
    )
}

/// A pipe with a text, for the next program that is started.
fn read_once(text: String) -> Result<PipeReader, Failure> {
    let piped = std::io::pipe().and_then(|(reader, writer)| {
        rustix::io::fcntl_setfd(&reader, FdFlags::empty())?;
        Ok((reader, writer))
    });
    let (reader, mut writer) = piped
        .map_err(|source| Failure::new(anyhow::Error::new(source).context("cannot make a pipe")))?;
    // Of a program that does not start nobody reads it; then it fails, and ends with the reader.
    std::thread::spawn(move || writer.write_all(text.as_bytes()));
    Ok(reader)
}

/// Settings without tokens, which no build needs: without a sandbox a builder may be who builds, and read what he may.
fn without_tokens(settings: &str) -> String {
    let is_token = |line: &&str| {
        let name = line.split('=').next().unwrap_or_default();
        name.trim().ends_with("access-tokens")
    };
    let kept: Vec<&str> = settings.lines().filter(|line| !is_token(line)).collect();
    kept.join("\n")
}

/// Settings in a file that nobody but who builds may read, and no builder in a sandbox.
fn kept_aside(settings: &str, place: &Utf8Path) -> Result<Utf8PathBuf, Failure> {
    let path = place.join("nix.conf");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let written = options
        .open(&path)
        .and_then(|mut file| file.write_all(settings.as_bytes()));
    written.map_err(|source| Failure::cannot_write(&path, source))?;
    Ok(path)
}

pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// What a program prints; its complaints go to the user.
pub(super) fn output(command: &mut Command) -> Result<String, Failure> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output();
    let output = output.map_err(|source| cannot_run(&name, source))?;
    if !output.status.success() {
        return Err(
            Failure::message(format!("{name} failed ({})", output.status))
                .hint("what it says about it stands above"),
        );
    }
    String::from_utf8(output.stdout)
        .map_err(|_| Failure::message(format!("{name} printed no text")))
}

/// What a program says on stderr, shown if it fails.
pub(super) fn complaints(command: &mut Command) -> Result<String, Failure> {
    let name = command.get_program().to_string_lossy().into_owned();
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.map_err(|source| cannot_run(&name, source))?;
    let mut text = Vec::new();
    if let Some(mut stderr) = child.stderr.take() {
        stderr
            .read_to_end(&mut text)
            .map_err(|source| cannot_run(&name, source))?;
    }
    let status = child.wait().map_err(|source| cannot_run(&name, source))?;
    if status.success() {
        return Ok(String::from_utf8_lossy(&text).into_owned());
    }
    let _ = std::io::stderr().write_all(&text);
    Err(Failure::message(format!("{name} failed ({status})"))
        .hint("what it says about it stands above"))
}

fn cannot_run(program: &str, source: std::io::Error) -> Failure {
    Failure::new(anyhow::Error::new(source).context(format!("cannot run {program}")))
        .hint("Nix's programs must be in the search path")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn nix() -> Nix {
        Nix {
            store: Store::local(),
            sandbox: true,
            has_users: true,
            without_sandbox: false,
            goes_without: None,
            of_flakes: "",
            certificates: Some(CERTIFICATES),
            impure: "https_proxy=http://elsewhere NIX_NPM_TOKENS=said GITHUB_TOKEN=secret"
                .to_owned(),
            pass: vec!["NIX_NPM_TOKENS".to_owned(), "no_proxy".to_owned()],
            data: "/scratch/data".into(),
            watched_at: None,
            sources: String::new(),
            settings: Some("/scratch/nix.conf".into()),
        }
    }

    #[test]
    fn builds_are_given_what_is_known_and_what_was_said() {
        let all = [
            ("PATH", "/bin"),
            ("LC_ALL", "C"),
            ("GITHUB_TOKEN", "secret"),
            ("NIX_NPM_TOKENS", "said"),
            ("no_proxy", "*"),
            ("https_proxy", "http://elsewhere"),
            ("NIX_BUILD_HOOK", "/bin/hook"),
            ("NIX_REMOTE", "daemon"),
        ];
        let reach = Reach {
            port: 1,
            token: Some("t"),
            trust: Some(Utf8Path::new("/scratch/trust.pem")),
        };
        let pairs = all.map(|(name, value)| (name.into(), value.into()));
        let made = nix().environment(pairs.into_iter(), &reach);
        let of = |name: &str| {
            let mut found = made.iter().filter(|(is, _)| is == name);
            let value = found.next().map(|(_, value)| value.to_str().unwrap());
            assert!(found.next().is_none(), "{name}");
            value
        };
        assert_eq!((of("PATH"), of("LC_ALL")), (Some("/bin"), Some("C")));
        assert_eq!(of("NIX_NPM_TOKENS"), Some("said"));
        for out in ["GITHUB_TOKEN", "no_proxy", "NIX_BUILD_HOOK"] {
            assert_eq!(of(out), None, "{out}");
        }
        assert_eq!(of("https_proxy"), Some("http://t:x@127.0.0.1:1"));
        assert_eq!(of("NIX_REMOTE"), Some("local"));
        assert_eq!(of("NIX_GIT_SSL_CAINFO"), Some("/scratch/trust.pem"));
        let config = of("NIX_CONFIG").unwrap();
        for line in [
            "include /scratch/nix.conf",
            "store = local",
            "sandbox = true",
            "sandbox-fallback = false",
            "extra-sandbox-paths = /scratch/trust.pem",
            "ssl-cert-file = /scratch/trust.pem",
            "impure-env = NIX_NPM_TOKENS=said",
        ] {
            assert!(config.lines().any(|is| is == line), "{line}: {config}");
        }
        // A Nix that does not know them is not told.
        let mut old = nix();
        (old.certificates, old.impure) = (None, String::new());
        let made = old.environment(std::iter::empty(), &reach);
        let config = made.iter().find(|(name, _)| name == "NIX_CONFIG").unwrap();
        let config = config.1.to_str().unwrap();
        assert!(!config.contains("ssl-cert-file") && !config.contains("impure-env"));
    }

    #[test]
    fn an_evaluation_is_given_what_is_known_and_what_was_said() {
        let nix = nix();
        for name in [
            "PATH",
            "LC_ALL",
            "NIX_PATH",
            "NIXPKGS_ALLOW_UNFREE",
            "NIX_NPM_TOKENS",
        ] {
            assert!(nix.evaluates_with(OsStr::new(name)), "{name}");
        }
        for name in [
            "GITHUB_TOKEN",
            "NIX_CONFIG",
            "no_proxy",
            "NIX_BUILD_HOOK",
            "AWS_PROFILE",
        ] {
            assert!(!nix.evaluates_with(OsStr::new(name)), "{name}");
        }
    }

    #[test]
    fn settings_are_passed_on_without_tokens() {
        let settings = "a = b\n extra-access-tokens = github.com=x\naccess-tokens=y\nc = d";
        assert_eq!(without_tokens(settings), "a = b\nc = d");
    }

    #[test]
    fn settings_are_read_by_who_builds_alone() {
        let place = tempfile::tempdir().unwrap();
        let place = Utf8Path::from_path(place.path()).unwrap();
        let file = kept_aside("substituters = x\n", place).unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"substituters = x\n");
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(kept_aside("", &place.join("none")).is_err());
    }
}
