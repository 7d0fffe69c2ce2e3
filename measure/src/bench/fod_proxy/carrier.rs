//! Proxies as processes: ours in a mode, and mitmproxy. They end with this program, however that ends.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use serde_json::{Value, json};
use snowguard_store::{
    ContentAddress, ContentAddressMethod, DerivationBuilder, Hash, Output, OutputName, References,
    StoreDir, StoreName,
};

use super::super::write;
use super::source::{self, Connect, HOST, Way};

/// Where mitmproxy listens, in a network with nobody else.
const PORT: u16 = 8080;
/// How long a proxy may take to begin.
const PATIENCE: Duration = Duration::from_mins(1);
/// How often the kernel counts what a process works, in a second, on whatever machine.
const TICKS: f64 = 100.0;

/// A proxy that runs.
pub(super) struct Carrier {
    child: Child,
    pub(super) way: Way,
    /// Of ours: where to say that a build is over, and its token.
    control: Option<(Utf8PathBuf, String)>,
}

/// What is fetched through it, from where.
pub(super) struct Plan<'p> {
    /// Where scratch files go.
    pub(super) work: &'p Utf8Path,
    pub(super) server: SocketAddr,
    /// The authority behind the server, in PEM, in a file.
    pub(super) authority: &'p Utf8Path,
    /// So many bytes are fetched each time.
    pub(super) bytes: u64,
}

impl Carrier {
    /// `snowguardd fod-proxy`, for one derivation.
    pub(super) fn ours(program: &Utf8Path, mode: &str, plan: &Plan<'_>) -> Result<Self> {
        let place = plan.work.join(mode);
        let _ = std::fs::remove_dir_all(&place);
        std::fs::create_dir_all(&place).with_context(|| format!("cannot make {place}"))?;
        let (drv, output) = derivation(&place, plan)?;
        let target = format!("{HOST}:{}", plan.server.port());
        let policy = format!(
            "[[exception]]\noutput = \"{output}\"\nhosts = [\"{target}\"]\nprivate = true\n\
             reason = \"the server of a benchmark\"\nexpires = 2999-01-01\n"
        );
        let (list, exceptions) = (place.join("derivations"), place.join("policy.toml"));
        let (control, authority) = (place.join("control"), place.join("authority.pem"));
        write(&list, drv.as_str().as_bytes())?;
        write(&exceptions, policy.as_bytes())?;
        let mut command = bound(program.as_str());
        command
            .args(["fod-proxy", "--mode", mode, "--listen", "127.0.0.1:0"])
            .args(["--derivations", list.as_str()])
            .args(["--policy", exceptions.as_str()])
            .args(["--control", control.as_str()])
            .args(["--evidence", place.join("evidence.jsonl").as_str()])
            .args(["--ca-file", plan.authority.as_str()])
            .args(["--resolve", &format!("{HOST}={}", plan.server.ip())])
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        if mode == "inspect" {
            command.args(["--ca-out", authority.as_str()]);
        }
        let mut child = command
            .spawn()
            .context("cannot start `setpriv`, of util-linux")?;
        let mut line = String::new();
        if let Some(out) = child.stdout.take() {
            BufReader::new(out).read_line(&mut line)?;
        }
        let told: Value = serde_json::from_str(&line)
            .with_context(|| format!("{program} fod-proxy --mode {mode} does not begin"))?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let token = text(&told["token"]);
        let trusted = if mode == "inspect" {
            authority.as_path()
        } else {
            plan.authority
        };
        Ok(Self {
            way: Way {
                to: text(&told["listeners"][0]).parse()?,
                connect: Some(Connect {
                    target,
                    token: Some(token.clone()),
                }),
                config: source::client_config(&std::fs::read(trusted)?)?,
            },
            child,
            control: Some((control, token)),
        })
    }

    /// mitmproxy without a face, which hands bodies on as they come.
    pub(super) fn mitmproxy(program: &Utf8Path, plan: &Plan<'_>) -> Result<Self> {
        let place = plan.work.join("mitmproxy");
        std::fs::create_dir_all(&place).with_context(|| format!("cannot make {place}"))?;
        let mut child = bound(program.as_str())
            .args(["--quiet", "--listen-host", "127.0.0.1"])
            .args(["--listen-port", &PORT.to_string()])
            .args(["--set", &format!("confdir={place}")])
            .args([
                "--set",
                &format!("ssl_verify_upstream_trusted_ca={}", plan.authority),
            ])
            .args(["--set", "stream_large_bodies=1"])
            .stdout(Stdio::null())
            .spawn()
            .context("cannot start `setpriv`, of util-linux")?;
        let to = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT));
        let begin = Instant::now();
        while TcpStream::connect(to).is_err() {
            if let Some(status) = child.try_wait()? {
                bail!("{program} ended with {status}");
            }
            ensure!(begin.elapsed() < PATIENCE, "{program} does not begin");
            std::thread::sleep(Duration::from_millis(100));
        }
        let authority = std::fs::read(place.join("mitmproxy-ca-cert.pem"))
            .context("mitmproxy has no authority")?;
        Ok(Self {
            way: Way {
                to,
                // It does not resolve names but as the system does.
                connect: Some(Connect {
                    target: plan.server.to_string(),
                    token: None,
                }),
                config: source::client_config(&authority)?,
            },
            child,
            control: None,
        })
    }

    /// What all its threads have worked so far, in seconds.
    pub(super) fn cpu_s(&self) -> Result<f64> {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))
            .context("the proxy is gone")?;
        worked(&text).context("the kernel does not tell what a process worked")
    }

    /// The most memory that it had so far, in bytes.
    pub(super) fn peak(&self) -> Result<u64> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))
            .context("the proxy is gone")?;
        let kilobytes: Option<u64> = text.lines().find_map(|line| {
            let rest = line.strip_prefix("VmHWM:")?;
            rest.split_whitespace().next()?.parse().ok()
        });
        Ok(kilobytes.context("the kernel does not tell how much memory a process had")? * 1024)
    }

    /// Says that the build is over: what ours says of it.
    pub(super) fn end(&mut self) -> Result<Value> {
        let Some((control, token)) = self.control.take() else {
            return Ok(Value::Null);
        };
        let mut stream = UnixStream::connect(&control)?;
        writeln!(stream, "{}", json!({ "end": { "token": token } }))?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line)?;
        let told: Value = serde_json::from_str(&line)?;
        Ok(told["verdicts"][0].clone())
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        // It may have ended before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether what ends a process with this one is there.
pub(super) fn can_bind() -> bool {
    Command::new("setpriv")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// A program that ends with the thread that starts it; no other stands between.
fn bound(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "--", program])
        .stdin(Stdio::null());
    command
}

/// Writes the derivation that fetches it, and tells its output.
fn derivation(place: &Utf8Path, plan: &Plan<'_>) -> Result<(Utf8PathBuf, String)> {
    let dir = StoreDir::default();
    let name = StoreName::new("source")?;
    let address = ContentAddress::new(
        ContentAddressMethod::Flat,
        Hash::sha256(source::digest(plan.bytes)),
    );
    let path = dir.content_path(&name, &address, References::NONE)?;
    let output = dir.show(&path).to_string();
    let url = format!("https://{HOST}:{}/{}", plan.server.port(), plan.bytes);
    let mut builder = DerivationBuilder::new(name);
    builder.output(OutputName::new("out")?, Output::Fixed { path, address });
    builder
        .system("builtin")
        .builder("builtin:fetchurl")
        .env("url", &*url);
    let text = builder.build()?.to_aterm(&dir);
    let file = place.join("00000000000000000000000000000000-source.drv");
    write(&file, &text)?;
    Ok((file, output))
}

/// User and system time in `/proc/PID/stat`, whose second field may hold anything.
fn worked(stat: &str) -> Option<f64> {
    let rest = &stat[stat.rfind(')')? + 1..];
    let mut fields = rest.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_found_behind_any_name() {
        let stat = "12 (a) b) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0";
        assert_eq!(worked(stat), Some(3.0));
        assert_eq!(worked("12"), None);
    }
}
