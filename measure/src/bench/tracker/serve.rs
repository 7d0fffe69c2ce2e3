//! The real server, as a process of its own.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use camino::Utf8Path;

use super::step;

/// How long it may take to start.
const PATIENCE: Duration = Duration::from_mins(2);

pub(super) struct Server {
    child: Child,
    pub(super) address: SocketAddr,
    /// How long it took to answer.
    pub(super) start: Duration,
}

impl Server {
    pub(super) fn start(program: &Utf8Path, database: &str) -> Result<Self> {
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let begun = Instant::now();
        let child = Command::new(program)
            .args([
                "serve",
                "--no-worker",
                "--database",
                database,
                "--behind-proxy",
            ])
            .args(["--log-level", "error", "--listen", &address.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {program}"))?;
        let mut server = Self {
            child,
            address,
            start: Duration::ZERO,
        };
        while !answers(address) {
            if let Some(status) = server.child.try_wait()? {
                bail!("{program} serve ended with {status}");
            }
            if begun.elapsed() > PATIENCE {
                bail!("{program} serve does not answer");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        server.start = begun.elapsed();
        Ok(server)
    }

    /// The most memory that it had.
    pub(super) fn peak_mb(&self) -> Result<f64> {
        step::peak_mb(&self.child.id().to_string())
    }

    /// The processor time that it had so far, in milliseconds.
    pub(super) fn cpu_ms(&self) -> Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name in parentheses may hold anything.
        let fields = stat.rsplit(") ").next().unwrap_or_default();
        let ticks: u32 = fields
            .split(' ')
            .skip(11)
            .take(2)
            .filter_map(|field| field.parse::<u32>().ok())
            .sum();
        // What the kernel tells programs is in hundredths of a second, whatever it counts in.
        Ok(f64::from(ticks) * 10.0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn answers(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(address)?;
        write!(
            stream,
            "GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}
