//! The proxy of one build: a process of its own, spoken to over its control socket.
#![expect(
    clippy::disallowed_methods,
    reason = "the proxy is a process of its own, which may take its time"
)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::{Value, json};
use snowguard_refetch::Denied;
use snowguard_report::escape::line;

use crate::cli::fod::Through;
use crate::cli::fod_build::Build;
use crate::error::Failure;

/// The exceptions if nobody says which.
const POLICY: &str = "/etc/snowguard/fod-build-policy.toml";
/// How long the proxy may take to be there, and to end.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is looked for.
const TICK: Duration = Duration::from_millis(20);
/// Where systems have the certificates that they trust.
const CERTIFICATES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/ssl/certs/ca-bundle.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
];

/// One that was let in.
pub(super) struct Begun {
    pub(super) token: String,
    /// URLs that no proxy carries, each with what to do about it.
    pub(super) uncarried: Vec<Denied>,
}

/// A proxy that serves.
pub(in crate::fod) struct Proxy {
    process: Child,
    control: Line,
    /// Where it prints; open as long as it is to serve.
    stdout: Option<BufReader<ChildStdout>>,
}

impl Proxy {
    /// Starts one for what evaluates outside of every build's network: it denies nothing, and writes down what is
    /// fetched. The proxy, and its address with a token.
    pub(super) fn watch(
        daemon: &Path,
        evidence: &Utf8Path,
        place: &Utf8Path,
    ) -> Result<(Self, String), Failure> {
        let mut command = Command::new(daemon);
        command
            .args(["fod-proxy", "--mode", "audit", "--listen", "127.0.0.1:0"])
            .args(["--watch", "evaluation", "--log-level", "error"])
            .args(["--evidence", evidence.as_str()]);
        let mut proxy = Self::spawn(command, daemon, &place.join("evaluation"), None)?;
        let mut text = String::new();
        if let Some(stdout) = &mut proxy.stdout {
            stdout.read_line(&mut text).map_err(cannot_speak)?;
        }
        let told: Value = serde_json::from_str(&text).map_err(has_ended)?;
        match (told["token"].as_str(), told["listeners"][0].as_str()) {
            (Some(token), Some(address)) => Ok((proxy, format!("http://{token}:x@{address}"))),
            _ => Err(Failure::message("the proxy gave no token")),
        }
    }

    /// Starts one that this process itself goes through: it holds everything to the policy of its derivation, and
    /// listens at a port of this machine that the system chooses, and on a socket that is in another network, where
    /// there is one. What it says goes to a file.
    pub(in crate::fod) fn serve(
        daemon: &Path,
        through: &Through,
        evidence: &Utf8Path,
        socket: Option<TcpListener>,
        (control, log): (&Utf8Path, &Utf8Path),
    ) -> Result<Self, Failure> {
        let mut command = Command::new(daemon);
        command
            .args(["fod-proxy", "--mode", "tunnel", "--listen", "127.0.0.1:0"])
            .args(["--evidence", evidence.as_str()])
            // What a terminal sends to who started it is not meant for it: it ends last, once all is written.
            .process_group(0);
        if let Some(socket) = socket {
            command
                .args(["--inherit", "0"])
                .stdin(Stdio::from(OwnedFd::from(socket)));
        }
        with_policy(&mut command, through.policy.as_deref());
        command.args(&through.proxy_option);
        Self::spawn(command, daemon, control, Some(log))
    }

    /// Where it listens.
    pub(in crate::fod) fn address(&mut self) -> Result<String, Failure> {
        let status = self.ask(&json!({"status": {}}))?;
        let address = status["listeners"][0].as_str().unwrap_or_default();
        Ok(address.to_owned())
    }

    /// How many requests there were.
    pub(super) fn requests(&mut self) -> Result<u64, Failure> {
        let status = self.ask(&json!({"status": {}}))?;
        Ok(status["requests"].as_u64().unwrap_or_default())
    }

    /// Starts it on a socket that is in another network.
    pub(super) fn start(
        daemon: &Path,
        socket: TcpListener,
        args: &Build,
        evidence: &Utf8Path,
        place: &Utf8Path,
    ) -> Result<Self, Failure> {
        let mut command = Command::new(daemon);
        command
            .args(["fod-proxy", "--inherit", "0", "--mode", args.mode.as_str()])
            .args(["--evidence", evidence.as_str()])
            .stdin(Stdio::from(OwnedFd::from(socket)));
        with_policy(&mut command, args.policy.as_deref());
        if let Some(record) = &args.record {
            command.args(["--record", record.as_str()]);
        }
        command.args(&args.proxy_option);
        Self::spawn(command, daemon, &place.join("control"), None)
    }

    fn spawn(
        mut command: Command,
        daemon: &Path,
        control: &Utf8Path,
        log: Option<&Utf8Path>,
    ) -> Result<Self, Failure> {
        if let Some(log) = log {
            let file = std::fs::File::create(log);
            command.stderr(file.map_err(|source| Failure::cannot_write(log, source))?);
        }
        let process = command
            .args(["--control", control.as_str()])
            // Whatever ends this process ends that one too.
            .arg("--until-unread")
            .stdout(Stdio::piped())
            .spawn();
        let mut process = process.map_err(|source| {
            Failure::new(
                anyhow::Error::new(source)
                    .context(format!("cannot start the proxy, {}", daemon.display())),
            )
        })?;
        let begun = Instant::now();
        let stream = loop {
            match UnixStream::connect(control) {
                Ok(stream) => break stream,
                Err(_) if begun.elapsed() < PATIENCE => {}
                Err(source) => {
                    let _ = process.kill();
                    let _ = process.wait();
                    return Err(Failure::new(
                        anyhow::Error::new(source).context("the proxy does not answer"),
                    ));
                }
            }
            if let Ok(Some(status)) = process.try_wait() {
                let failure = Failure::message(format!("the proxy has ended ({status})"));
                let said = log.and_then(|log| std::fs::read_to_string(log).ok());
                return Err(match said {
                    Some(said) => failure.hint(format!("it said: {}", line(said.trim()))),
                    None => failure.hint("what it says about it stands above"),
                });
            }
            std::thread::sleep(TICK);
        };
        let mut proxy = Self {
            stdout: process.stdout.take().map(BufReader::new),
            process,
            control: Line(BufReader::new(stream)),
        };
        proxy.ask(&json!({"status": {}}))?;
        Ok(proxy)
    }

    /// Lets a derivation in, which is the only one in the network of the socket.
    pub(super) fn begin(&mut self, drv: &str) -> Result<Begun, Failure> {
        let answer = self.ask(&entry(drv))?;
        let token = answer["token"].as_str();
        let token = token.ok_or_else(|| Failure::message("the proxy gave no token"))?;
        let uncarried = answer["derivations"][0]["uncarried"].as_array();
        let uncarried = uncarried.into_iter().flatten().map(|one| Denied {
            host: text(one, "url").to_owned(),
            detail: text(one, "remedy").to_owned(),
        });
        Ok(Begun {
            token: token.to_owned(),
            uncarried: uncarried.collect(),
        })
    }

    /// Ends what was let in; what the proxy says of it, and the first of what it denied or would deny.
    pub(super) fn end(&mut self, token: &str) -> Result<(Value, Vec<Value>), Failure> {
        let mut answer = self.ask(&json!({"end": {"token": token}}))?;
        let verdict = answer["verdicts"].get_mut(0).map(Value::take);
        let denials = match answer["denials"].take() {
            Value::Array(all) => all,
            _ => Vec::new(),
        };
        Ok((verdict.unwrap_or_default(), denials))
    }

    /// A file with the certificates that this machine trusts, and the proxy's own.
    pub(super) fn bundle(&mut self, place: &Utf8Path) -> Result<Utf8PathBuf, Failure> {
        let status = self.ask(&json!({"status": {}}))?;
        let own = status["authority"]
            .as_str()
            .ok_or_else(|| Failure::message("the proxy has no certificate of its own"))?;
        let named = ["NIX_SSL_CERT_FILE", "SSL_CERT_FILE"].map(|name| std::env::var(name).ok());
        let known = CERTIFICATES.iter().map(|path| (*path).to_owned());
        let system = named
            .into_iter()
            .flatten()
            .chain(known)
            .find_map(|path| std::fs::read_to_string(path).ok());
        let path = place.join("certificates.pem");
        let cannot = |source| Failure::cannot_write(&path, source);
        std::fs::write(&path, format!("{}\n{own}", system.unwrap_or_default())).map_err(cannot)?;
        // Builders are other users.
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).map_err(cannot)?;
        Ok(path)
    }

    /// Ends it, once all evidence is written.
    pub(super) fn stop(mut self) {
        self.shut();
    }

    fn shut(&mut self) {
        // One that has ended has no number any more: another process may have it.
        if !matches!(self.process.try_wait(), Ok(None)) {
            return;
        }
        let pid = i32::try_from(self.process.id()).ok();
        if let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let asked = Instant::now();
        while asked.elapsed() < PATIENCE {
            if !matches!(self.process.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(TICK);
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    fn ask(&mut self, request: &Value) -> Result<Value, Failure> {
        self.control.ask(request)
    }
}

/// The request that lets a derivation in, by its file, which is the only one in the network of its socket.
pub(in crate::fod) fn entry(file: &str) -> Value {
    json!({"begin": {"derivations": [file], "by": "network"}})
}

/// A request that was denied, in one line that begins with `what` became of it.
pub(in crate::fod) fn denied(told: &Value, what: &str) -> Denied {
    let (why, remedy) = match text(told, "detail").split_once("\nhint: ") {
        Some((why, remedy)) => (why, format!("; {remedy}")),
        None => (text(told, "detail"), String::new()),
    };
    Denied {
        host: text(told, "host").to_owned(),
        detail: line(&format!("{what}: {why}{remedy}")).into_owned(),
    }
}

fn text<'v>(told: &'v Value, key: &str) -> &'v str {
    told[key].as_str().unwrap_or_default()
}

/// The exceptions that are named, else the usual ones if they are there.
pub(in crate::fod) fn policy(named: Option<&Utf8Path>) -> Option<&Utf8Path> {
    let usual = Utf8Path::new(POLICY);
    named.or(usual.exists().then_some(usual))
}

fn with_policy(command: &mut Command, named: Option<&Utf8Path>) {
    if let Some(policy) = policy(named) {
        command.args(["--policy", policy.as_str()]);
    }
}

/// A connection by which a proxy is spoken to.
pub(in crate::fod) struct Line(BufReader<UnixStream>);

impl Line {
    pub(in crate::fod) fn open(path: &Utf8Path) -> Result<Self, Failure> {
        let stream = UnixStream::connect(path).map_err(cannot_speak)?;
        Ok(Self(BufReader::new(stream)))
    }

    pub(in crate::fod) fn ask(&mut self, request: &Value) -> Result<Value, Failure> {
        let mut text = String::new();
        let asked =
            writeln!(self.0.get_mut(), "{request}").and_then(|()| self.0.read_line(&mut text));
        asked.map_err(cannot_speak)?;
        let answer: Value = serde_json::from_str(&text).map_err(has_ended)?;
        match answer["error"].as_str() {
            None => Ok(answer),
            Some(error) => Err(Failure::message(format!("the proxy says: {}", line(error)))
                .maybe_hint(answer["hint"].as_str())),
        }
    }
}

fn cannot_speak(source: std::io::Error) -> Failure {
    Failure::new(anyhow::Error::new(source).context("cannot speak with the proxy"))
}

fn has_ended(source: serde_json::Error) -> Failure {
    Failure::new(anyhow::Error::new(source).context("the proxy has ended"))
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shut();
    }
}
