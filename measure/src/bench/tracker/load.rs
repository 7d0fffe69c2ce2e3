//! Requests at a fixed rate, whatever becomes of those before: each is due at a time, and its latency
//! counts from then, so that a server that stalls is not spared the requests that it kept waiting.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde::Serialize;

use super::super::times::sorted;
use super::targets::SEARCH;

/// Connections that are kept open.
const CONNECTIONS: usize = 48;
/// A request that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(20);
/// Addresses that the requests come from, as the proxy in front names them: no one of them asks often.
const CLIENTS: usize = 1_000;

/// One address to ask for.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// Which page it is, or list.
    pub(super) kind: &'static str,
    /// Path and query.
    pub(super) path: String,
}

/// How long answers took, in milliseconds.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Latency {
    pub(super) requests: usize,
    pub(super) p50_ms: f64,
    pub(super) p95_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) max_ms: f64,
    /// Which took longest.
    pub(super) slowest: String,
}

/// One answer.
struct Answer {
    target: usize,
    ms: f64,
}

/// All pages together, and all searches.
pub(super) struct Both {
    pub(super) pages: Latency,
    pub(super) searches: Latency,
}

/// Asks for the targets in turn, `rate` a second, for so long. Latencies by kind, and of pages and searches
/// together.
pub(super) fn run(
    server: SocketAddr,
    targets: &[Target],
    rate: u32,
    warm: Duration,
    lasting: Duration,
) -> Result<(BTreeMap<&'static str, Latency>, Both)> {
    ensure!(!targets.is_empty(), "there is nothing to ask for");
    let next = AtomicUsize::new(0);
    let answers: Mutex<Vec<Answer>> = Mutex::default();
    let failures: Mutex<Vec<String>> = Mutex::default();
    let start = Instant::now() + Duration::from_millis(50);
    let step = Duration::from_secs(1) / rate;
    std::thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(|| {
                let mut connection = None;
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let due = step * u32::try_from(number).unwrap_or(u32::MAX);
                    if due >= warm + lasting {
                        return;
                    }
                    let due_at = start + due;
                    std::thread::sleep(due_at.saturating_duration_since(Instant::now()));
                    let target = number % targets.len();
                    let outcome = ask(&mut connection, server, &targets[target].path, number);
                    let ms = due_at.elapsed().as_secs_f64() * 1e3;
                    match outcome {
                        Ok(()) if due < warm => {}
                        Ok(()) => lock(&answers).push(Answer { target, ms }),
                        Err(error) => {
                            connection = None;
                            lock(&failures).push(format!("{}: {error:#}", targets[target].path));
                        }
                    }
                }
            });
        }
    });
    let failures = lock(&failures);
    ensure!(
        failures.is_empty(),
        "{} requests failed, the first: {}",
        failures.len(),
        failures[0]
    );
    let answers = std::mem::take(&mut *lock(&answers));
    let is_search = |answer: &&Answer| targets[answer.target].kind.starts_with(SEARCH);
    let (searches, others): (Vec<&Answer>, Vec<&Answer>) = answers.iter().partition(is_search);
    let both = Both {
        pages: Latency::of(&others, targets),
        searches: Latency::of(&searches, targets),
    };
    let mut by_kind: BTreeMap<&'static str, Vec<&Answer>> = BTreeMap::new();
    for answer in &answers {
        by_kind
            .entry(targets[answer.target].kind)
            .or_default()
            .push(answer);
    }
    let latency = |(kind, answers): (_, Vec<&Answer>)| (kind, Latency::of(&answers, targets));
    Ok((by_kind.into_iter().map(latency).collect(), both))
}

/// Asks for these, one after the other; how long each took on average, in milliseconds.
pub(super) fn in_turn(server: SocketAddr, paths: &[&str]) -> Result<f64> {
    let mut connection = None;
    let start = Instant::now();
    for (number, path) in paths.iter().enumerate() {
        ask(&mut connection, server, path, number).with_context(|| (*path).to_owned())?;
    }
    let count = u32::try_from(paths.len().max(1))?;
    Ok(start.elapsed().as_secs_f64() * 1e3 / f64::from(count))
}

impl Latency {
    fn of(answers: &[&Answer], targets: &[Target]) -> Self {
        let slowest = answers.iter().max_by(|a, b| a.ms.total_cmp(&b.ms));
        let ms = sorted(answers.iter().map(|answer| answer.ms));
        Self {
            requests: ms.len(),
            p50_ms: percentile(&ms, 50),
            p95_ms: percentile(&ms, 95),
            p99_ms: percentile(&ms, 99),
            max_ms: percentile(&ms, 100),
            slowest: slowest.map_or_else(String::new, |answer| targets[answer.target].path.clone()),
        }
    }
}

/// The value that so many in a hundred do not exceed.
pub(super) fn percentile(sorted: &[f64], hundredth: usize) -> f64 {
    let at = (sorted.len() * hundredth).div_ceil(100).saturating_sub(1);
    sorted.get(at).copied().unwrap_or_default()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Asks for one address, and reads the whole answer.
fn ask(
    connection: &mut Option<BufReader<TcpStream>>,
    server: SocketAddr,
    path: &str,
    number: usize,
) -> Result<()> {
    if connection.is_none() {
        let stream = TcpStream::connect_timeout(&server, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        *connection = Some(BufReader::with_capacity(64 << 10, stream));
    }
    let reader = connection.as_mut().context("there is no connection")?;
    let client = number % CLIENTS;
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: {server}\r\nAccept: text/html,*/*\r\n\
         Accept-Encoding: gzip\r\nX-Forwarded-For: 10.0.{}.{}\r\n\r\n",
        client / 250,
        client % 250
    );
    reader.get_mut().write_all(head.as_bytes())?;
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let status = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let (mut length, mut closes) = (0_u64, false);
    loop {
        line.clear();
        ensure!(reader.read_line(&mut line)? > 0, "the answer breaks off");
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            length = value.parse()?;
        }
        closes |= name.eq_ignore_ascii_case("connection") && value.eq_ignore_ascii_case("close");
    }
    let read = std::io::copy(&mut reader.take(length), &mut std::io::sink())?;
    ensure!(read == length, "the answer breaks off");
    if closes {
        *connection = None;
    }
    ensure!(status == "200", "it is answered with {status}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let values: Vec<f64> = (1..=200).map(f64::from).collect();
        let at = |hundredth| format!("{}", percentile(&values, hundredth));
        assert_eq!([at(50), at(99), at(100)], ["100", "198", "200"]);
        assert_eq!(format!("{}", percentile(&[7.0], 99)), "7");
        assert_eq!(format!("{}", percentile(&[], 99)), "0");
    }
}
