//! The tracker at full size, on both databases: what it takes to take everything in and to match it, how long
//! pages take while it is asked for them at a fixed rate, and what the server needs.
//!
//! Beside the tracker run the one who asks, and PostgreSQL where that is asked for, all on this machine.
//! That PostgreSQL waits for the disk as one that is installed does.

mod load;
mod serve;
mod step;
mod targets;
mod world;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use serde::Serialize;
use snowguard_db::evaluations::{Evaluations as _, Shrinking};
use snowguard_db::{Database, Dialect};
use snowguard_feeds::IndexFile;
use snowguard_feeds::segments::{Compact, write as write_index};
use snowguard_inventory::IdentityTable;
use snowguard_sources::packages::Derivations;
use snowguard_sources::{Input, Options};
use snowguard_testkit::postgres::{Cluster, Setup};
use snowguard_tracker::decide::{Actor, Request, act};
use snowguard_tracker::ingest::{Revision, read_file, take};
use snowguard_tracker::rematch::{Rematched, Rematcher, Scope};
use snowguard_tracker::view::load::count;
use snowguard_triage::{Act, Role, State};

use self::load::{Latency, Target};
use self::step::{Took, step};
use self::world::{Size, World};
use super::rematch::{Pairs, pairs};
use super::times::megabytes;
use super::year::{self, Engine, OfEngine as OfYear};
use super::{Format, product, say, write};
use crate::dataset;

#[derive(clap::Args)]
pub(super) struct Args {
    /// The data set
    #[arg(long, value_name = "DIR")]
    data: Utf8PathBuf,
    /// Which package set of it
    #[arg(long, value_name = "NAME", default_value = "nixpkgs-20.09")]
    set: String,
    /// Which databases
    #[arg(long, value_enum, default_values = ["sqlite", "postgres"])]
    engine: Vec<Engine>,
    /// How many packages each channel has
    #[arg(long, value_name = "COUNT", default_value = "120000")]
    packages: usize,
    /// How many channels
    #[arg(long, value_name = "COUNT", default_value = "3")]
    channels: usize,
    /// How many advisories
    #[arg(long, value_name = "COUNT", default_value = "300000")]
    advisories: usize,
    /// Requests in a second
    #[arg(long, value_name = "COUNT", default_value = "100", value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// For how long pages are asked for
    #[arg(long, value_name = "SECONDS", default_value = "120")]
    seconds: u64,
    /// Days of evaluations that are stored apart, to tell what a year takes; 0 leaves that out
    #[arg(long, value_name = "COUNT", default_value = "365")]
    days: u32,
    /// How to print the result
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Where packages, records and the database are put; what is there from an earlier run is taken
    #[arg(long, value_name = "DIR", default_value = "target/bench")]
    work: Utf8PathBuf,
    /// Takes the databases as an earlier run with this option left them: only matches, and asks for pages
    #[arg(long)]
    again: bool,
    /// A PostgreSQL database to take instead of one of its own: filled if there is nothing in it
    #[arg(long, value_name = "URL")]
    database: Option<String>,
}

#[derive(Debug, Serialize)]
struct Report {
    /// In each channel.
    packages: usize,
    channels: usize,
    advisories: usize,
    records: u64,
    rate: u32,
    engines: Vec<OfEngine>,
    /// Candidates for each CVE of the real records with the real package set.
    pairs: Option<Pairs>,
}

#[derive(Debug, Serialize)]
struct OfEngine {
    engine: Engine,
    /// The slowest package set, from the file on.
    ingest_s: f64,
    /// All records, from the record store into the database.
    records_s: f64,
    /// The same for 44,000 of them.
    records_44k_s: f64,
    /// Everything, with nothing changed.
    rematch_s: f64,
    /// Of every page and list but searches.
    page_p99_ms: f64,
    search_p99_ms: f64,
    /// All evaluations of a year, in a database of its own.
    storage_mb: Option<f64>,
    /// The server while it was asked.
    peak_mb: f64,
    /// This database, with one evaluation of each channel.
    database_mb: f64,
    findings: i64,
    /// Processor time of the server for each request.
    request_cpu_ms: f64,
    /// From its start to its first answer.
    start_s: f64,
    /// Everything that was measured, by name.
    steps: BTreeMap<String, Took>,
    pages: BTreeMap<&'static str, Page>,
    year: Option<OfYear>,
}

/// What a kind of page takes.
#[derive(Debug, Serialize)]
struct Page {
    /// While everything is asked for at the fixed rate.
    #[serde(flatten)]
    latency: Latency,
    /// While nothing else is asked for: on average, and the processor time of the server.
    alone_ms: f64,
    cpu_ms: f64,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let report = measure(args)?;
    match args.format {
        Format::Json => println!("{}", serde_json::to_string_pretty(&report)?),
        Format::Text => print!("{}", report.text()),
    }
    Ok(())
}

fn measure(args: &Args) -> Result<Report> {
    std::fs::create_dir_all(&args.work)
        .with_context(|| format!("cannot make {}; --work names another place", args.work))?;
    let program = product::service()?;
    let size = Size {
        attributes: args.packages,
        channels: args.channels,
        advisories: args.advisories,
    };
    let mut world = World::make(&args.data, &args.set, size, &args.work)?;
    let records = world
        .store
        .sources()?
        .iter()
        .map(|source| source.records)
        .sum();
    let mut years = BTreeMap::new();
    if args.days > 1 {
        for engine in &args.engine {
            let year = year::of(&args.data, &args.set, args.days, *engine)?;
            years.insert(*engine, year);
        }
    }
    let mut engines = Vec::new();
    for engine in &args.engine {
        let mut of = measure_engine(args, *engine, &mut world, records, &program)
            .with_context(|| format!("with {engine:?}"))?;
        of.year = years.remove(engine);
        of.storage_mb = of.year.as_ref().map(OfYear::storage_mb);
        engines.push(of);
    }
    let pairs = if args.again {
        None
    } else {
        say("counting candidates");
        let set = args.work.join("tracker-real.json");
        write(&set, &dataset::package_set(&args.data, &args.set)?)?;
        Some(pairs(&args.data, &set)?)
    };
    Ok(Report {
        packages: args.packages,
        channels: args.channels,
        advisories: args.advisories,
        records,
        rate: args.rate,
        engines,
        pairs,
    })
}

fn measure_engine(
    args: &Args,
    engine: Engine,
    world: &mut World,
    records: u64,
    program: &Utf8Path,
) -> Result<OfEngine> {
    // It ends when this does.
    let mut cluster = None;
    let name = match engine {
        Engine::Sqlite => args.work.join("tracker.db").into_string(),
        Engine::Postgres if let Some(url) = &args.database => url.clone(),
        Engine::Postgres => {
            let settings = [
                "fsync = on",
                "full_page_writes = on",
                "shared_buffers = 256MB",
            ];
            let setup = Setup {
                settings: settings.map(str::to_owned).to_vec(),
                ..Setup::default()
            };
            let cluster = cluster.insert(Cluster::start(&setup)?);
            cluster.database()?
        }
    };
    let mut steps = BTreeMap::new();
    if engine == Engine::Sqlite && !args.again {
        for suffix in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{name}{suffix}"));
        }
    }
    let db = Database::open(&name)?;
    let is_filled = figure(&db, "SELECT count(*) FROM evaluation")? > 0;
    if !is_filled {
        fill(&db, world, &mut steps)?;
    }
    rematch(args, &db, world, is_filled, &mut steps)?;
    if !is_filled {
        decide(&db, &mut steps)?;
    }
    let now = Timestamp::now();
    step(&mut steps, "count", || Ok(count(&db, now)?))?;
    step(&mut steps, "tend", || Ok(db.tend()?))?;
    let findings = figure(&db, "SELECT count(*) FROM finding")?;
    let size = match db.dialect() {
        Dialect::Sqlite => "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",
        Dialect::Postgres => "SELECT pg_database_size(current_database())",
    };
    let database_mb = megabytes(u64::try_from(figure(&db, size)?)?);

    say(&format!("{engine:?}: asking for pages"));
    let targets = targets::all(&db)?;
    drop(db);
    let server = serve::Server::start(program, &name)?;
    let before = server.cpu_ms()?;
    let (warm, lasting) = (Duration::from_secs(10), Duration::from_secs(args.seconds));
    let (pages, both) = load::run(server.address, &targets, args.rate, warm, lasting)?;
    let cpu_ms = server.cpu_ms()? - before;
    let pages = alone(&server, &targets, pages)?;
    let requests = f64::from(args.rate) * (warm + lasting).as_secs_f64();
    let seconds = |name: &str| {
        let those = steps.iter().filter(|(of, _)| of.starts_with(name));
        those.map(|(_, took)| took.wall_s).fold(0.0, f64::max)
    };
    let records_s = seconds("records");
    let records = f64::from(u32::try_from(records.max(1))?);
    Ok(OfEngine {
        engine,
        ingest_s: seconds("ingest"),
        records_s,
        records_44k_s: records_s * 44_000.0 / records,
        rematch_s: seconds("rematch, nothing changed"),
        page_p99_ms: both.pages.p99_ms,
        search_p99_ms: both.searches.p99_ms,
        storage_mb: None,
        peak_mb: server.peak_mb()?,
        database_mb,
        findings,
        request_cpu_ms: cpu_ms / requests,
        start_s: server.start.as_secs_f64(),
        steps,
        pages,
        year: None,
    })
}

/// Each kind once more, one request after the other: what else the machine does changes the processor time
/// less than the latency.
fn alone(
    server: &serve::Server,
    targets: &[Target],
    pages: BTreeMap<&'static str, Latency>,
) -> Result<BTreeMap<&'static str, Page>> {
    const TIMES: u32 = 60;
    let mut all = BTreeMap::new();
    for (kind, latency) in pages {
        let paths = targets.iter().filter(|target| target.kind == kind);
        let paths: Vec<&str> = paths
            .take(TIMES as usize)
            .map(|target| &*target.path)
            .collect();
        let before = server.cpu_ms()?;
        let alone_ms = load::in_turn(server.address, &paths)?;
        let cpu_ms = server.cpu_ms()? - before;
        let page = Page {
            latency,
            alone_ms,
            cpu_ms: cpu_ms / f64::from(u32::try_from(paths.len().max(1))?),
        };
        all.insert(kind, page);
    }
    Ok(all)
}

/// Takes everything in.
fn fill(db: &Database, world: &World, steps: &mut BTreeMap<String, Took>) -> Result<()> {
    let now = Timestamp::now();
    let interrupted = AtomicBool::new(false);
    for (number, set) in world.sets.iter().enumerate() {
        let name = format!("channel-{number}");
        let channel = db.write(|session| session.add_channel(&name, None))?;
        step(steps, &format!("ingest {name}"), || {
            let options = Options::default();
            let derivations = Derivations {
                inputs: vec![Input::detect(&world.derivations, &options)?],
                live: false,
            };
            let evaluation = read_file(set, derivations, &options, &mut |_| {})?;
            let revision = Revision::named("first", now)?;
            let shrinking = Shrinking::Refused;
            let taken = take(
                db,
                &channel,
                &revision,
                now,
                shrinking,
                evaluation,
                &mut |_| {},
            )?;
            eprintln!("  {}", told(&format!("{taken:?}")));
            Ok(())
        })?;
    }
    for name in ["records", "no records"] {
        step(steps, name, || {
            let mut quiet = |_: &_| {};
            let taken = snowguard_tracker::advisories::take(
                db,
                &world.store,
                now,
                &interrupted,
                &mut quiet,
            )?;
            eprintln!("  {taken:?}");
            Ok(())
        })?;
    }
    step(steps, "tend after records", || Ok(db.tend()?))
}

/// Matches everything, and then parts of it, with an index as the worker has it: a file that is mapped.
fn rematch(
    args: &Args,
    db: &Database,
    world: &mut World,
    is_filled: bool,
    steps: &mut BTreeMap<String, Took>,
) -> Result<()> {
    let now = Timestamp::now();
    let interrupted = AtomicBool::new(false);
    let path = args.work.join("tracker.idx");
    if !args.again {
        let _ = std::fs::remove_file(&path);
    }
    step(steps, "index", || {
        Ok(write_index(&mut world.store, &path, Compact::WhenLarge)?)
    })?;
    let file = IndexFile::open(&path)?;
    let table = IdentityTable::builtin();
    let rematcher = Rematcher {
        db,
        index: file.index()?,
        table: &table,
        now,
        today: jiff::civil::date(2026, 11, 21),
        interrupted: &interrupted,
    };
    let mut rematch = |name: &str, scope: Scope<'_>| {
        step(steps, name, || {
            let done = rematcher.run(scope, &mut |_: &Rematched| {})?;
            eprintln!("  {done:?}");
            Ok(())
        })
    };
    if !is_filled {
        rematch("rematch, all new", Scope::All { state: "first" })?;
        db.tend()?;
    }
    rematch("rematch, nothing changed", Scope::All { state: "again" })?;
    let some: Vec<(i64, String)> = db.read(|session| {
        session
            .query(
                "SELECT id, name FROM advisory WHERE id % 1000 = 7 ORDER BY id",
                &[],
            )?
            .map(|row| Ok((row.get(0)?, row.get(1)?)))
    })?;
    eprintln!("  {} advisories", some.len());
    rematch("rematch, some advisories", Scope::Advisories(&some))?;
    let some: Vec<i64> = db.read(|session| {
        session
            .query("SELECT id FROM package WHERE id % 300 = 7 ORDER BY id", &[])?
            .map(|row| row.get(0))
    })?;
    eprintln!("  {} packages", some.len());
    rematch("rematch, some packages", Scope::Packages(&some))?;
    Ok(())
}

/// Lets somebody decide, so that all lists have something.
fn decide(db: &Database, steps: &mut BTreeMap<String, Took>) -> Result<()> {
    let team = Actor {
        account: None,
        role: Role::Security,
        maintainer: None,
    };
    let findings: Vec<(i64, i64)> = db.read(|session| {
        session
            .query("SELECT id, revision FROM finding WHERE state = 0 AND id % 37 = 0 ORDER BY id LIMIT 500", &[])?
            .map(|row| Ok((row.get(0)?, row.get(1)?)))
    })?;
    step(steps, "500 decisions", || {
        for (number, (finding, revision)) in findings.iter().enumerate() {
            let to = if number % 3 == 0 {
                State::WontFix
            } else {
                State::Confirmed
            };
            let request = Request {
                finding: *finding,
                revision: Some(*revision),
                act: Act::Decide(to),
            };
            act(db, team, &[request], "looked at", Timestamp::now())?;
        }
        Ok(())
    })
}

fn figure(db: &Database, sql: &str) -> Result<i64> {
    let rows = db.read(|session| session.query(sql, &[]))?;
    Ok(rows.first().context("a figure")?.get(0)?)
}

/// The beginning of what may be long.
fn told(text: &str) -> String {
    text.chars().take(150).collect()
}

impl Report {
    fn text(&self) -> String {
        use std::fmt::Write as _;
        let mut text = format!(
            "{} packages in {} channels, {} advisories of {} records, {} requests a second\n",
            self.packages, self.channels, self.advisories, self.records, self.rate
        );
        for of in &self.engines {
            let _ = writeln!(
                text,
                "\n{:?}: {} findings, {:.0} MB; server {:.0} MB at most, {:.1} ms of processor a request",
                of.engine, of.findings, of.database_mb, of.peak_mb, of.request_cpu_ms
            );
            if let Some(mb) = of.storage_mb {
                let _ = writeln!(text, "a year of evaluations {mb:.0} MB");
            }
            let _ = writeln!(text, "{:<28}{:>9}{:>9}{:>9}", "", "s", "cpu s", "peak MB");
            for (name, took) in &of.steps {
                let _ = writeln!(
                    text,
                    "{name:<28}{:>9.2}{:>9.2}{:>9.0}",
                    took.wall_s, took.cpu_s, took.peak_mb
                );
            }
            let _ = writeln!(
                text,
                "{:<28}{:>9}{:>9}{:>9}{:>9}",
                "ms", "p50", "p95", "p99", "max"
            );
            for (name, page) in &of.pages {
                let of = &page.latency;
                let _ = writeln!(
                    text,
                    "{name:<28}{:>9.1}{:>9.1}{:>9.1}{:>9.1}{:>9.1}{:>9.1}  {}",
                    of.p50_ms,
                    of.p95_ms,
                    of.p99_ms,
                    of.max_ms,
                    page.alone_ms,
                    page.cpu_ms,
                    of.slowest
                );
            }
            let _ = writeln!(
                text,
                "pages p99 {:.1} ms, searches p99 {:.1} ms",
                of.page_p99_ms, of.search_p99_ms
            );
        }
        if let Some(pairs) = &self.pairs {
            let _ = writeln!(text, "\n{pairs:#?}");
        }
        text
    }
}
