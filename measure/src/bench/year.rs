//! A year of evaluations of several channels, made up out of a real package set: what it takes to store,
//! and to take in each day.
//!
//! `tracker::year` says what happens in it. PostgreSQL is a private one, which does not wait for the disk:
//! its times are lower bounds, its sizes are not.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use serde::Serialize;
use snowguard_db::evaluations::{
    Evaluations as _, NewAttribute, NewEvaluation, Outcome, Shrinking,
};
use snowguard_db::{Database, Dialect};
use snowguard_sources::packages::{self, Derivations};
use snowguard_sources::{Input, Options};
use snowguard_testkit::database::Scratch;
use snowguard_tracker::ingest;
use snowguard_tracker::year::{Plan, Year};

use super::times::{median, megabytes, sorted};
use super::{Format, say};
use crate::dataset;

#[derive(clap::Args)]
pub(super) struct Args {
    /// The data set
    #[arg(long, value_name = "DIR")]
    data: Utf8PathBuf,
    /// Which package set of it
    #[arg(long, value_name = "NAME", default_value = "nixpkgs-20.09")]
    set: String,
    /// Without derivations beside it: no sources and patches are known then
    #[arg(long)]
    no_derivations: bool,
    /// Which databases
    #[arg(long, value_enum, default_values = ["sqlite", "postgres"])]
    engine: Vec<Engine>,
    /// How many days
    #[arg(long, value_name = "COUNT", default_value = "365", value_parser = clap::value_parser!(u32).range(2..))]
    days: u32,
    /// How many channels
    #[arg(long, value_name = "COUNT", default_value = "3", value_parser = clap::value_parser!(u64).range(1..))]
    channels: u64,
    /// How many attributes each channel has
    #[arg(long, value_name = "COUNT", default_value = "40000")]
    attributes: usize,
    /// Where chance begins
    #[arg(long, value_name = "NUMBER", default_value = "1")]
    seed: u64,
    /// How to print the result
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Engine {
    Sqlite,
    Postgres,
}

#[derive(Serialize)]
struct Report {
    days: u32,
    channels: u64,
    attributes: usize,
    engines: Vec<OfEngine>,
    /// The most memory that this process had, the maker of the year included.
    peak_mb: f64,
}

#[derive(Debug, Serialize)]
pub(super) struct OfEngine {
    engine: Engine,
    /// All of the database.
    storage_mb: f64,
    /// The deltas in it.
    deltas_mb: f64,
    /// The facts in it.
    facts_mb: f64,
    facts: i64,
    /// Rows of the history of versions.
    versions: i64,
    /// The first evaluation of the first channel, and of another one that says much the same.
    first_s: f64,
    second_channel_s: f64,
    /// A day without a mass rebuild: the median, and the slowest.
    day_s: f64,
    day_max_s: f64,
    /// A day with a mass rebuild: the median, and the slowest.
    rebuild_s: f64,
    rebuild_max_s: f64,
    /// Computing the oldest evaluation out of the newest.
    oldest_s: f64,
}

pub(super) fn run(args: &Args) -> Result<()> {
    say("reading the package set");
    let set = read(args)?;
    let mut engines = Vec::new();
    for engine in &args.engine {
        engines.push(measure(args, *engine, &set)?);
    }
    let report = Report {
        days: args.days,
        channels: args.channels,
        attributes: args.attributes,
        engines,
        peak_mb: peak_mb(),
    };
    match args.format {
        Format::Json => println!("{}", serde_json::to_string_pretty(&report)?),
        Format::Text => print!("{}", report.text()),
    }
    Ok(())
}

/// The same as a part of another measurement: what a year of so many days takes on one engine.
pub(super) fn of(data: &Utf8Path, set: &str, days: u32, engine: Engine) -> Result<OfEngine> {
    let args = Args {
        data: data.to_owned(),
        set: set.to_owned(),
        no_derivations: false,
        engine: vec![engine],
        days,
        channels: 3,
        attributes: 40_000,
        seed: 1,
        format: Format::Json,
    };
    measure(&args, engine, &read(&args)?)
}

impl OfEngine {
    /// All of the database.
    pub(super) fn storage_mb(&self) -> f64 {
        self.storage_mb
    }
}

fn read(args: &Args) -> Result<Vec<NewAttribute>> {
    let options = Options::default();
    let pipe = |bytes| Input::from_reader("the data set", std::io::Cursor::new(bytes), &options);
    let input = pipe(dataset::package_set(&args.data, &args.set)?)?;
    let mut derivations = Derivations::default();
    if !args.no_derivations {
        derivations
            .inputs
            .push(pipe(dataset::derivations(&args.data, &args.set)?)?);
    }
    let evaluation = packages::evaluation(input, derivations, &options)?;
    let (attributes, failed) = ingest::attributes(evaluation);
    ensure!(
        failed.is_empty(),
        "{} packages cannot be kept: {:?}",
        failed.len(),
        failed.first()
    );
    Ok(attributes)
}

fn measure(args: &Args, engine: Engine, set: &[NewAttribute]) -> Result<OfEngine> {
    let scratch = match engine {
        Engine::Sqlite => Scratch::sqlite()?,
        Engine::Postgres => Scratch::postgres()?,
    };
    let db = Database::open(scratch.name())?;
    let plan = Plan {
        seed: args.seed,
        attributes: args.attributes,
        ..Plan::default()
    };
    let mut channels = Vec::new();
    for number in 0..args.channels {
        let name = format!("channel-{number}");
        let channel = db.write(|session| session.add_channel(&name, None))?;
        channels.push((channel.id, Year::new(plan, number, set)));
    }
    let (mut firsts, mut days, mut rebuilds) = (Vec::new(), Vec::new(), Vec::new());
    let mut oldest = None;
    for day in 0..args.days {
        if day % 30 == 0 {
            say(&format!("{engine:?}: day {day} of {}", args.days));
        }
        for (channel, year) in &mut channels {
            let made = year.next_day();
            let new = NewEvaluation {
                channel: *channel,
                revision: &made.revision,
                evaluated_at: made.made_at,
                ingested_at: Timestamp::UNIX_EPOCH,
                attributes: &made.attributes,
                failures: &[],
                shrinking: Shrinking::Refused,
            };
            let start = Instant::now();
            let outcome = db.write(|session| session.ingest(&new))?;
            let took = start.elapsed().as_secs_f64();
            let Outcome::Taken(taken) = outcome else {
                anyhow::bail!("day {day} was not taken: {outcome:?}");
            };
            match (day, made.is_rebuild) {
                (0, _) => firsts.push(took),
                (_, true) => rebuilds.push(took),
                (_, false) => days.push(took),
            }
            if oldest.is_none() {
                let set = db.read(|session| session.set_of(taken.evaluation))?;
                oldest = set.map(|set| (taken.evaluation, set));
            }
        }
    }
    let (id, wanted) = oldest.context("there is no evaluation")?;
    let start = Instant::now();
    let found = db.read(|session| session.set_of(id))?;
    let oldest_s = start.elapsed().as_secs_f64();
    ensure!(
        found.as_ref() == Some(&wanted),
        "the oldest evaluation is not what it was"
    );
    let figure = |sql: &str| -> Result<i64> {
        let rows = db.read(|session| session.query(sql, &[]))?;
        Ok(rows.first().context("a figure")?.get(0)?)
    };
    let megabytes_of = |sql: &str| -> Result<f64> {
        Ok(megabytes(u64::try_from(figure(sql)?).unwrap_or_default()))
    };
    let size = match db.dialect() {
        Dialect::Sqlite => "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",
        Dialect::Postgres => "SELECT pg_database_size(current_database())",
    };
    let (days, rebuilds) = (sorted(days.into_iter()), sorted(rebuilds.into_iter()));
    let middle = |times: &[f64]| median(times).unwrap_or_default();
    let slowest = |times: &[f64]| times.last().copied().unwrap_or_default();
    Ok(OfEngine {
        engine,
        storage_mb: megabytes_of(size)?,
        deltas_mb: megabytes_of(
            "SELECT CAST(coalesce(sum(length(delta)), 0) AS BIGINT) FROM evaluation",
        )?,
        facts_mb: megabytes_of("SELECT CAST(sum(length(body)) AS BIGINT) FROM fact")?,
        facts: figure("SELECT count(*) FROM fact")?,
        versions: figure("SELECT count(*) FROM version")?,
        first_s: firsts.first().copied().unwrap_or_default(),
        second_channel_s: firsts.get(1).copied().unwrap_or_default(),
        day_s: middle(&days),
        day_max_s: slowest(&days),
        rebuild_s: middle(&rebuilds),
        rebuild_max_s: slowest(&rebuilds),
        oldest_s,
    })
}

impl Report {
    fn text(&self) -> String {
        use std::fmt::Write as _;
        let mut text = format!(
            "{} days of {} channels with {} attributes each\n\n{:<28}",
            self.days, self.channels, self.attributes, ""
        );
        type Figure = fn(&OfEngine) -> f64;
        let figures: [(&str, Figure); 10] = [
            ("storage MB", |of| of.storage_mb),
            ("  deltas MB", |of| of.deltas_mb),
            ("  facts MB", |of| of.facts_mb),
            ("first evaluation s", |of| of.first_s),
            ("the same, second channel s", |of| of.second_channel_s),
            ("a day s", |of| of.day_s),
            ("  slowest s", |of| of.day_max_s),
            ("a mass rebuild s", |of| of.rebuild_s),
            ("  slowest s", |of| of.rebuild_max_s),
            ("the oldest again s", |of| of.oldest_s),
        ];
        for of in &self.engines {
            let _ = write!(text, "{:>12}", format!("{:?}", of.engine));
        }
        text.push('\n');
        for (name, figure) in figures {
            let _ = write!(text, "{name:<28}");
            for of in &self.engines {
                let _ = write!(text, "{:>12.2}", figure(of));
            }
            text.push('\n');
        }
        let _ = writeln!(text, "{:<28}{:>12.0}", "peak MB", self.peak_mb);
        text
    }
}

/// The most memory that this process had.
fn peak_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes =
        line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    megabytes(kilobytes.unwrap_or_default() * 1024)
}
