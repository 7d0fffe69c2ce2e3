//! Nix as it is started: what it is told in its environment, inside the network and outside.
#![expect(
    clippy::disallowed_methods,
    reason = "the face knows the environment, and starts what it is given"
)]

use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use camino::{Utf8Path, Utf8PathBuf};
use snowguard_confine::Stdout;

use crate::error::Failure;

/// Variables by which tools learn of a proxy, or go round one.
const PROXIES: &[&str] = &["http_proxy", "https_proxy", "ftp_proxy", "all_proxy"];
const UNSET: &[&str] = &["no_proxy", "NO_PROXY", "GIT_PROXY_COMMAND", "SOCKS_SERVER"];
/// Where Nix's sandbox has the certificates that `ssl-cert-file` names.
const IN_SANDBOX: &str = "/etc/ssl/certs/ca-certificates.crt";
/// What no program outside of the network may do.
const MAY_NOT_BUILD: &str = "max-jobs = 0\nbuilders =\n";
/// What no program inside of it may do: it could reach neither.
const BUILDS_HERE: &str = "substitute = false\nbuilders =\nfallback = false\n";

/// Nix.
pub(super) struct Nix {
    /// The first two numbers of its version.
    version: (u32, u32),
    sandbox: bool,
    /// The store that `NIX_REMOTE` names, where it is to be another than that.
    remote: Option<&'static str>,
}

/// What a build can reach.
pub(super) struct Reach<'r> {
    /// A link to what is built, so that nothing collects it meanwhile.
    pub(super) root: &'r Utf8Path,
    /// The port of the proxy, on loopback.
    pub(super) port: u16,
    /// Whose requests they are.
    pub(super) token: Option<&'r str>,
    /// The certificates to trust.
    pub(super) trust: Option<&'r Utf8Path>,
}

impl Nix {
    /// Asks Nix for its version and its sandbox.
    pub(super) fn find() -> Result<Self, Failure> {
        let text = output(Command::new("nix-store").arg("--version"))?;
        let version = version(&text).ok_or_else(|| {
            Failure::message(format!("cannot read Nix's version in `{}`", text.trim()))
        })?;
        let word = if version >= (2, 20) {
            &["config", "show"][..]
        } else {
            &["show-config"]
        };
        let settings = output(
            Command::new("nix")
                .args(["--extra-experimental-features", "nix-command"])
                .args(word),
        )?;
        let sandbox = settings
            .lines()
            .filter_map(|line| line.split_once(" = "))
            .any(|(name, value)| name == "sandbox" && value.trim() == "true");
        let is_root = rustix::process::geteuid().is_root();
        let named = variable("NIX_REMOTE").unwrap_or_default();
        let remote =
            (is_root && matches!(named.as_str(), "" | "auto" | "daemon")).then_some("local");
        Ok(Self {
            version,
            sandbox,
            remote,
        })
    }

    /// Whether builders see only what they are given.
    pub(super) fn has_sandbox(&self) -> bool {
        self.sandbox
    }

    /// Makes sure that who runs this builds by themselves, and no daemon outside of the network.
    pub(super) fn check_store(&self) -> Result<(), Failure> {
        let named = variable("NIX_REMOTE").unwrap_or_default();
        let by_daemon = |name: &str| {
            ["daemon", "unix:", "ssh:", "ssh-ng:", "http"]
                .iter()
                .any(|start| name.starts_with(start))
        };
        let remedy = "a daemon fetches in its own network: run this as root, or on a store of your own \
                      (NIX_REMOTE=local?root=DIR, or a single-user installation)";
        if self.remote.is_some() {
            return Ok(());
        }
        if by_daemon(&named) {
            return Err(Failure::message(format!(
                "builds for NIX_REMOTE={named} are made by a daemon"
            ))
            .hint(remedy));
        }
        let state = variable("NIX_STATE_DIR").unwrap_or_else(|| "/nix/var/nix".to_owned());
        let database = Utf8PathBuf::from(state).join("db");
        let may = rustix::fs::access(database.as_std_path(), rustix::fs::Access::WRITE_OK);
        if named.is_empty() && may.is_err() && database.exists() {
            return Err(Failure::message(format!(
                "the store belongs to another user ({database} cannot be written), so a daemon builds"
            ))
            .hint(remedy));
        }
        Ok(())
    }

    /// A program of Nix outside of the network, which may not build.
    pub(super) fn outside(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("NIX_CONFIG", with(MAY_NOT_BUILD))
            .stdin(Stdio::null());
        if let Some(remote) = self.remote {
            command.env("NIX_REMOTE", remote);
        }
        command
    }

    /// Runs the command that was given, which finds all that it needs in the store.
    pub(super) fn finish(&self, command: &[String]) -> Result<(), Failure> {
        let (program, arguments) = command
            .split_first()
            .ok_or_else(|| Failure::message("there is no command"))?;
        let status = self.outside(program).args(arguments).status();
        let status = status.map_err(|source| cannot_run(program, source))?;
        if status.success() {
            return Ok(());
        }
        Err(Failure::message(format!("{program} failed ({status})"))
            .hint("it was started outside of the build's network, where nothing may be built"))
    }

    /// Realises derivations inside of the network.
    pub(super) fn realise(
        &self,
        drvs: &[String],
        reach: &Reach<'_>,
        stdout: Stdout,
    ) -> Result<snowguard_confine::Command, Failure> {
        let mut arguments: Vec<OsString> = vec!["nix-store".into(), "--realise".into()];
        arguments.extend(["--add-root", reach.root.as_str(), "--indirect"].map(OsString::from));
        arguments.extend(drvs.iter().map(OsString::from));
        let directory = std::env::current_dir().map_err(|source| {
            Failure::new(anyhow::Error::new(source).context("cannot tell where this runs"))
        })?;
        Ok(snowguard_confine::Command {
            arguments,
            environment: self.environment(std::env::vars_os().collect(), reach),
            directory,
            stdout,
            user: None,
        })
    }

    fn environment(
        &self,
        mut all: Vec<(OsString, OsString)>,
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
        let mut config = BUILDS_HERE.to_owned();
        if let Some(trust) = reach.trust {
            // Nix binds the file that it is told of into its sandbox under another name, and hands the variable
            // on as it is.
            if self.sandbox && self.version >= (2, 17) {
                let _ = writeln!(config, "ssl-cert-file = {trust}");
                ours.push(("NIX_SSL_CERT_FILE".to_owned(), IN_SANDBOX.to_owned()));
            } else {
                ours.push(("NIX_SSL_CERT_FILE".to_owned(), trust.to_string()));
            }
            ours.push(("NIX_GIT_SSL_CAINFO".to_owned(), trust.to_string()));
        }
        if self.version >= (2, 19) {
            // Also for fetchers that do not ask for these variables.
            let pairs: Vec<String> = ours
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            config.push_str("extra-experimental-features = configurable-impure-env\n");
            let _ = writeln!(config, "impure-env = {}", pairs.join(" "));
        }
        ours.push(("NIX_CONFIG".to_owned(), with(&config)));
        if let Some(remote) = self.remote {
            ours.push(("NIX_REMOTE".to_owned(), remote.to_owned()));
        }
        all.retain(|(name, _)| {
            let is = |other: &str| name == other;
            !UNSET.iter().any(|name| is(name)) && !ours.iter().any(|(name, _)| is(name))
        });
        all.extend(
            ours.into_iter()
                .map(|(name, value)| (name.into(), value.into())),
        );
        all
    }
}

/// Settings after those that the environment has.
fn with(settings: &str) -> String {
    match std::env::var("NIX_CONFIG") {
        Ok(before) => format!("{before}\n{settings}"),
        Err(_) => settings.to_owned(),
    }
}

fn variable(name: &str) -> Option<String> {
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

/// The numbers in `nix-store (Nix) 2.8.0`.
fn version(text: &str) -> Option<(u32, u32)> {
    let last = text.split_whitespace().last()?;
    let mut numbers = last.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}
