//! A link of 1 Gbit/s between two networks that only this process knows.
//!
//! Both are network namespaces without a name, of threads of this process. So nothing of the machine's own network
//! changes, and both end with the process, however it ends, and the link with them.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Command, Stdio};
use std::sync::mpsc;

use anyhow::{Context as _, Result, ensure};
use nix::sched::{CloneFlags, unshare};

/// How fast it is, in both directions.
pub(super) const MBIT: u32 = 1000;
/// The bucket holds more than the largest packet that the kernel hands on at once.
const BURST: &str = "256kb";
/// So long a packet waits at most before it is dropped.
const LATENCY: &str = "10ms";
/// The ends: addresses that are kept for benchmarks.
const NEAR: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
const FAR: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);
/// That of https: in a network of its own nobody else has it.
const PORT: u16 = 443;

/// What came of it.
pub(super) enum Across<T> {
    Done(T),
    /// The machine cannot have such a link, and why.
    LeftOut(String),
}

/// Serves at the far end until this program ends, and works at the near end, with what it starts.
pub(super) fn across<T: Send>(
    serve: impl FnOnce(&TcpListener) + Send + 'static,
    work: impl FnOnce(SocketAddr) -> Result<T> + Send,
) -> Result<Across<T>> {
    std::thread::scope(|scope| {
        let near = scope.spawn(|| match lay(serve) {
            Ok(server) => work(server).map(Across::Done),
            Err(why) => Ok(Across::LeftOut(format!("{why:#}"))),
        });
        near.join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Moves this thread to the near end, and begins to serve at the other.
fn lay(serve: impl FnOnce(&TcpListener) + Send + 'static) -> Result<SocketAddr> {
    let near = enter()?;
    let (tell, told) = mpsc::sync_channel(1);
    std::thread::spawn(move || match far_end(&near) {
        Ok((listener, address)) => {
            let _ = tell.send(Ok(address));
            serve(&listener);
        }
        Err(error) => {
            let _ = tell.send(Err(error));
        }
    });
    let server = told.recv().context("the far end is gone")??;
    shape("near", NEAR)?;
    Ok(server)
}

fn far_end(near: &str) -> Result<(TcpListener, SocketAddr)> {
    enter()?;
    run(&format!(
        "ip link add far type veth peer name near netns {near}"
    ))?;
    shape("far", FAR)?;
    let listener = TcpListener::bind((FAR, PORT)).context("cannot listen at the far end")?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Moves this thread into a network of its own: how others find that.
fn enter() -> Result<String> {
    unshare(CloneFlags::CLONE_NEWNET)
        .context("cannot make a network namespace, which takes root")?;
    run("ip link set lo up")?;
    let thread = std::fs::read_link("/proc/thread-self").context("there is no /proc")?;
    Ok(format!("/proc/{}/ns/net", thread.display()))
}

fn shape(device: &str, address: Ipv4Addr) -> Result<()> {
    run(&format!("ip addr add {address}/30 dev {device}"))?;
    run(&format!("ip link set {device} up"))?;
    run(&format!(
        "tc qdisc add dev {device} root tbf rate {MBIT}mbit burst {BURST} latency {LATENCY}"
    ))
}

/// What these take has no blanks.
fn run(line: &str) -> Result<()> {
    let mut words = line.split(' ');
    let done = Command::new(words.next().unwrap_or_default())
        .args(words)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start `{line}`, of iproute2"))?;
    ensure!(
        done.status.success(),
        "`{line}` failed: {}",
        String::from_utf8_lossy(&done.stderr).trim()
    );
    Ok(())
}
