//! What the proxy of builds costs: one large body over a link of 1 Gbit/s, fetched directly and through the proxy by
//! turns, beside mitmproxy; and many fetches at once.
//!
//! It fails unless every byte comes, and the proxy says of each build what is so.

mod carrier;
mod link;
mod source;

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde::Serialize;
use snowguard_testkit::certificates::Certificates;

use self::carrier::{Carrier, Plan};
use self::link::Across;
use self::source::{HOST, Way};
use super::times::{median, megabytes, sorted};
use super::{Format, make, product, say, write};

/// The modes in which bytes pass.
const MODES: [&str; 2] = ["tunnel", "inspect"];
/// What each of many fetches at once brings, in bytes.
const SMALL: u64 = 1 << 20;
/// What a thread that fetches needs.
const STACK: usize = 512 << 10;
/// So many files each fetch takes here: at the client and at the server.
const FILES: u64 = 3;

#[derive(clap::Args)]
pub(super) struct Args {
    /// mitmproxy's `mitmdump`, to measure beside
    #[arg(long, value_name = "PROGRAM")]
    mitmproxy: Option<Utf8PathBuf>,
    /// How large the large body is, in millions of bytes
    #[arg(long, value_name = "MB", default_value = "500", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    megabytes: u64,
    /// How often it is fetched in each way; the median is told
    #[arg(long, value_name = "COUNT", default_value = "5", value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// How many fetch at once
    #[arg(long, value_name = "COUNT", default_value = "1000", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    fetches: u32,
    /// The snowguardd to measure [default: built for it]
    #[arg(long, value_name = "PROGRAM")]
    service: Option<Utf8PathBuf>,
}

#[derive(clap::Args)]
pub(super) struct Alone {
    #[command(flatten)]
    args: Args,
    /// Where scratch files are put
    #[arg(long, value_name = "DIR", default_value = "target/bench")]
    work: Utf8PathBuf,
    /// How to print the result
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// What was measured, or why nothing was.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Told {
    Carried(Box<Carried>),
    LeftOut { left_out: String },
}

#[derive(Debug, Serialize)]
pub(super) struct Carried {
    link_mbit: u32,
    body_mb: f64,
    rounds: u16,
    direct: Fetched,
    tunnel: Fetched,
    inspect: Fetched,
    /// None unless it was named.
    mitmproxy: Option<Fetched>,
    /// How fast it is through a tunnel, as a share of how fast it is without.
    tunnel_share_of_direct: f64,
    inspect_share_of_direct: f64,
    parallel: Vec<Parallel>,
    /// The most memory of all that ours had with many fetches at once.
    peak_mb: f64,
}

/// One large body, in one way.
#[derive(Debug, Serialize)]
struct Fetched {
    /// From connecting to the last byte: the median.
    wall_s: f64,
    wall_s_min: f64,
    wall_s_max: f64,
    mbit_per_s: f64,
    /// What the proxy worked for 10^9 bytes, over all rounds; none without one.
    cpu_s_per_gb: Option<f64>,
    /// The most memory that the proxy had.
    peak_mb: Option<f64>,
}

/// Many at once, all connected before any asks.
#[derive(Debug, Serialize)]
struct Parallel {
    mode: &'static str,
    fetches: u32,
    succeeded: u32,
    body_mb: f64,
    wall_s: f64,
    cpu_s: f64,
    peak_mb: f64,
}

pub(super) fn run(alone: &Alone) -> Result<()> {
    make(&alone.work)?;
    let told = measure(&alone.args, &alone.work)?;
    match alone.format {
        Format::Json => println!("{}", serde_json::to_string_pretty(&told)?),
        Format::Text => print!("{}", told.text()),
    }
    Ok(())
}

pub(super) fn measure(args: &Args, work: &Utf8Path) -> Result<Told> {
    if !carrier::can_bind() {
        return Ok(Told::left_out("there is no `setpriv`, of util-linux"));
    }
    let service = match &args.service {
        Some(service) => service.clone(),
        None => product::service()?,
    };
    let work = work.join("fod-proxy");
    let _ = std::fs::remove_dir_all(&work);
    std::fs::create_dir_all(&work).with_context(|| format!("cannot make {work}"))?;
    let certificates = Certificates::new(&[HOST])?;
    let authority = work.join("authority.pem");
    write(&authority, certificates.authority.as_bytes())?;
    let config = source::server_config(&certificates)?;
    let bench = Bench {
        args,
        service: &service,
        work: &work,
        authority: &authority,
    };
    let serve = move |listener: &std::net::TcpListener| source::serve(listener, &config);
    match link::across(serve, |server| bench.at(server))? {
        Across::Done(carried) => Ok(Told::Carried(Box::new(carried))),
        Across::LeftOut(why) => {
            say(&format!("leaving the proxy out: {why}"));
            Ok(Told::left_out(&why))
        }
    }
}

struct Bench<'b> {
    args: &'b Args,
    service: &'b Utf8Path,
    work: &'b Utf8Path,
    authority: &'b Utf8Path,
}

impl Bench<'_> {
    fn at(&self, server: SocketAddr) -> Result<Carried> {
        let plan = |bytes| Plan {
            work: self.work,
            server,
            authority: self.authority,
            bytes,
        };
        let bytes = self.args.megabytes * 1_000_000;
        let [direct, tunnel, inspect, mitmproxy] = self.large(&plan(bytes))?;
        let direct = direct.context("nothing was fetched")?;
        let tunnel = tunnel.context("nothing was fetched in a tunnel")?;
        let inspect = inspect.context("nothing was inspected")?;
        let mut parallel = Vec::new();
        for mode in MODES {
            parallel.push(self.many(mode, &plan(SMALL))?);
        }
        let peaks = parallel.iter().map(|one| one.peak_mb);
        Ok(Carried {
            link_mbit: link::MBIT,
            body_mb: megabytes(bytes),
            rounds: self.args.rounds,
            tunnel_share_of_direct: direct.wall_s / tunnel.wall_s,
            inspect_share_of_direct: direct.wall_s / inspect.wall_s,
            direct,
            tunnel,
            inspect,
            mitmproxy,
            peak_mb: peaks.fold(0.0, f64::max),
            parallel,
        })
    }

    /// One large body: directly, by a tunnel, inspected, and through mitmproxy, in turns.
    fn large(&self, plan: &Plan<'_>) -> Result<[Option<Fetched>; 4]> {
        let direct = Way {
            to: plan.server,
            connect: None,
            config: source::client_config(&std::fs::read(self.authority)?)?,
        };
        let mut carriers = vec![None];
        for mode in MODES {
            carriers.push(Some(Carrier::ours(self.service, mode, plan)?));
        }
        if let Some(program) = &self.args.mitmproxy {
            carriers.push(Some(Carrier::mitmproxy(program, plan)?));
        }
        let mut walls: [Vec<f64>; 4] = Default::default();
        let mut worked = [0.0; 4];
        for round in 0..=self.args.rounds {
            if round > 0 {
                say(&format!("fetching, {round} of {}", self.args.rounds));
            }
            for (at, carrier) in carriers.iter().enumerate() {
                let way = carrier.as_ref().map_or(&direct, |carrier| &carrier.way);
                let before = carrier.as_ref().map_or(Ok(0.0), Carrier::cpu_s)?;
                let begin = Instant::now();
                way.open()?.fetch(plan.bytes)?;
                let wall = begin.elapsed();
                // The first is to become warm.
                if round > 0 {
                    walls[at].push(wall.as_secs_f64());
                    settle();
                    let after = carrier.as_ref().map_or(Ok(0.0), Carrier::cpu_s)?;
                    worked[at] += after - before;
                }
            }
        }
        let mut told = [None, None, None, None];
        for (at, carrier) in carriers.iter_mut().enumerate() {
            let gigabytes = megabytes(plan.bytes) / 1e3 * f64::from(self.args.rounds);
            let peak = carrier.as_ref().map(Carrier::peak).transpose()?;
            let times = sorted(walls[at].iter().copied());
            let wall_s = median(&times).context("nothing was run")?;
            told[at] = Some(Fetched {
                wall_s,
                wall_s_min: times.first().copied().unwrap_or(wall_s),
                wall_s_max: times.last().copied().unwrap_or(wall_s),
                mbit_per_s: megabytes(plan.bytes) * 8.0 / wall_s,
                cpu_s_per_gb: carrier.is_some().then(|| worked[at] / gigabytes),
                peak_mb: peak.map(megabytes),
            });
            if let Some(carrier) = carrier {
                let rounds = u64::from(self.args.rounds) + 1;
                check(
                    carrier,
                    at.checked_sub(1).and_then(|at| MODES.get(at)),
                    rounds,
                )?;
            }
        }
        Ok(told)
    }

    /// Many at once through a proxy of their own.
    fn many(&self, mode: &'static str, plan: &Plan<'_>) -> Result<Parallel> {
        say(&format!("{} at once, {mode}", self.args.fetches));
        // With as many files as it is given: those are raised for this process alone.
        let mut carrier = Carrier::ours(self.service, mode, plan)?;
        let _files = Files::raise(u64::from(self.args.fetches) * FILES + 256)?;
        let count = self.args.fetches;
        let gate = Gate::default();
        let failures = Mutex::new(Vec::new());
        let way = &carrier.way;
        let before = carrier.cpu_s()?;
        let begin = Instant::now();
        std::thread::scope(|scope| -> Result<()> {
            for _ in 0..count {
                let fetch = || {
                    let opened = way.open();
                    gate.pass(count);
                    if let Err(error) = opened.and_then(|opened| opened.fetch(plan.bytes)) {
                        lock(&failures).push(format!("{error:#}"));
                    }
                };
                let thread = std::thread::Builder::new().stack_size(STACK);
                if let Err(error) = thread.spawn_scoped(scope, fetch) {
                    gate.open();
                    return Err(error).context("cannot start so many threads");
                }
            }
            Ok(())
        })?;
        let wall_s = begin.elapsed().as_secs_f64();
        settle();
        let cpu_s = carrier.cpu_s()? - before;
        let peak = carrier.peak()?;
        let failures = failures
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        ensure!(
            failures.is_empty(),
            "{} of {count} failed; the first: {}",
            failures.len(),
            failures[0]
        );
        check(&mut carrier, Some(&mode), u64::from(count))?;
        Ok(Parallel {
            mode,
            fetches: count,
            succeeded: count,
            body_mb: megabytes(plan.bytes),
            wall_s,
            cpu_s,
            peak_mb: megabytes(peak),
        })
    }
}

/// Lets nobody pass before all are there.
#[derive(Default)]
struct Gate {
    waiting: Mutex<u32>,
    all: Condvar,
}

impl Gate {
    fn pass(&self, count: u32) {
        let mut waiting = lock(&self.waiting);
        *waiting = waiting.saturating_add(1);
        if *waiting >= count {
            self.all.notify_all();
        }
        while *waiting < count {
            waiting = self
                .all
                .wait(waiting)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// For those that wait for others in vain.
    fn open(&self) {
        *lock(&self.waiting) = u32::MAX;
        self.all.notify_all();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A proxy has some work left when the last byte is there.
fn settle() {
    std::thread::sleep(Duration::from_millis(100));
}

/// What ours says of the build: a body that it saw is as promised, of one in a tunnel it cannot tell.
fn check(carrier: &mut Carrier, mode: Option<&&'static str>, fetches: u64) -> Result<()> {
    let Some(mode) = mode else { return Ok(()) };
    let told = carrier.end()?;
    // What is inspected is one request that connects, and one in it.
    let (verdict, requests) = match *mode {
        "inspect" => ("ok", 2 * fetches),
        _ => ("fetched", fetches),
    };
    ensure!(
        told["verdict"] == verdict && told["requests"] == requests && told["denied"] == 0,
        "the proxy says something else of {requests} requests in mode {mode}: {told}"
    );
    Ok(())
}

/// More files than this process may have otherwise, for a while; what it starts meanwhile has as many.
struct Files(u64);

impl Files {
    fn raise(wanted: u64) -> Result<Self> {
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
        if soft < wanted {
            ensure!(
                hard >= wanted,
                "this takes {wanted} open files, and {hard} are allowed: `ulimit -n` says so"
            );
            setrlimit(Resource::RLIMIT_NOFILE, wanted, hard)?;
        }
        Ok(Self(soft))
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
            // As it was; nothing depends on it.
            let _ = setrlimit(Resource::RLIMIT_NOFILE, self.0, hard);
        }
    }
}

impl Told {
    fn left_out(why: &str) -> Self {
        Self::LeftOut {
            left_out: why.to_owned(),
        }
    }

    pub(super) fn text(&self) -> String {
        match self {
            Self::LeftOut { left_out } => format!("the proxy was left out: {left_out}\n"),
            Self::Carried(carried) => carried.text(),
        }
    }
}

impl Carried {
    fn text(&self) -> String {
        let mut text = format!(
            "{:.0} MB over {} Mbit/s, the median of {}:\n",
            self.body_mb, self.link_mbit, self.rounds
        );
        let mut row = |name: &str, fetched: &Fetched| {
            let _ = write!(
                text,
                "{name:>10}  {:.3} s ({:.3} to {:.3}), {:.0} Mbit/s, {:.3} of direct",
                fetched.wall_s,
                fetched.wall_s_min,
                fetched.wall_s_max,
                fetched.mbit_per_s,
                self.direct.wall_s / fetched.wall_s
            );
            if let (Some(cpu), Some(peak)) = (fetched.cpu_s_per_gb, fetched.peak_mb) {
                let _ = write!(text, ", {cpu:.2} s of processor per GB, {peak:.0} MB");
            }
            text.push('\n');
        };
        row("direct", &self.direct);
        row("tunnel", &self.tunnel);
        row("inspect", &self.inspect);
        match &self.mitmproxy {
            Some(fetched) => row("mitmproxy", fetched),
            None => text.push_str(" mitmproxy  absent: --mitmproxy names it\n"),
        }
        for one in &self.parallel {
            let _ = writeln!(
                text,
                "{} at once of {:.1} MB, {}: {} succeeded in {:.1} s, {:.1} s of processor, {:.0} MB",
                one.fetches,
                one.body_mb,
                one.mode,
                one.succeeded,
                one.wall_s,
                one.cpu_s,
                one.peak_mb
            );
        }
        text
    }
}
