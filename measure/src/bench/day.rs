//! A day of a machine, end to end, with real records: feeds are fetched from a mirror on the loopback
//! interface, a system is scanned and watched, and what is found is told to a file. Then the feeds bring
//! one record more, other scores, and much that says the same as before.
//!
//! It fails unless the first scan is one summary and the day is one change: that of the new record.

use std::fmt::Write as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;
use serde_json::Value;
use snowguard_testkit::feeds::Mirror;
use snowguard_testkit::web::Web;

use super::feeds::{News, pack};
use super::meter::{self, Measured};
use super::times::megabytes;
use super::{Format, product, say, write};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_mins(10);
/// How often it is looked.
const LOOK: Duration = Duration::from_millis(5);

#[derive(clap::Args)]
pub(super) struct Args {
    /// The data set
    #[arg(long, value_name = "DIR")]
    data: Utf8PathBuf,
    /// The system that is watched
    #[arg(
        long,
        value_name = "FILE",
        default_value = "examples/nixos-20.09.json.zst"
    )]
    system: Utf8PathBuf,
    /// The record that comes later: one by which the system is affected
    #[arg(long, value_name = "CVE", default_value = "CVE-2024-5535")]
    new: String,
    /// How to print the result
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Where everything goes
    #[arg(long, value_name = "DIR", default_value = "target/bench/day")]
    work: Utf8PathBuf,
}

#[derive(Serialize)]
struct Report {
    /// In the mirror at first, in MB.
    mirror_mb: f64,
    /// In the index at first.
    vulnerabilities: u64,
    first_update: Measured,
    index_mb: f64,
    /// From the start of the watcher until the summary is in the file.
    summary_told_s: f64,
    /// What the summary counts.
    summary: Value,
    update: Measured,
    delta_mb: f64,
    /// From the end of the update until the change is in the file.
    change_told_s: f64,
    /// What is told.
    change: Value,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let _ = std::fs::remove_dir_all(&args.work);
    std::fs::create_dir_all(&args.work).with_context(|| format!("cannot make {}", args.work))?;
    let place = Place {
        scanner: product::program()?,
        service: product::service()?,
        root: args.work.canonicalize_utf8()?,
    };
    let system = args
        .system
        .canonicalize_utf8()
        .with_context(|| format!("there is no {}; --system names another", args.system))?;
    say("packing the data as feeds");
    let mut mirror = Mirror::default();
    let day = pack(&args.data, News::New(&args.new), &mut mirror)?;
    let web = Web::start()?;
    mirror.serve(&web);
    write(
        &place.root.join("snowguard.toml"),
        day.settings(&web).as_bytes(),
    )?;
    place.settings(&system)?;
    let mirror_mb = megabytes(mirror.size() as u64);

    say("the first update");
    let first_update = place.update()?;
    let index_mb = place.size("advisories.idx");
    let vulnerabilities = place.vulnerabilities()?;
    say("watching");
    let start = Instant::now();
    let _watch = place.start(&["watch", "--state", "watch"])?;
    let told = ["notify", "file", "--state", "told"];
    let _notify = place.start(&[&told[..], &["--history", "watch/history.sqlite"]].concat())?;
    let summary = place.told(0, 1)?;
    let summary_told_s = start.elapsed().as_secs_f64();
    ensure!(
        summary[0]["kind"] == "baseline" && summary.len() == 1,
        "the first scan was not told as one summary: {summary:?}"
    );

    say("the next day");
    day.passes(&mut mirror)?;
    mirror.serve(&web);
    let update = place.update()?;
    let start = Instant::now();
    let changes = place.told(1, 1)?;
    let change_told_s = start.elapsed().as_secs_f64();
    let [change] = changes.as_slice() else {
        bail!(
            "{} changes were told, and one was expected: {changes:?}",
            changes.len()
        );
    };
    ensure!(
        change["kind"] == "opened"
            && change["advisory"] == args.new
            && change["cause"] == "advisories",
        "something else was told: {change}"
    );
    ensure!(
        place.update()?.wall_ms > 0.0 && place.told(1, 1)?.len() == 1,
        "an update of nothing was told"
    );
    let report = Report {
        mirror_mb,
        vulnerabilities,
        first_update,
        index_mb,
        summary_told_s,
        summary: summary[0]["counts"].clone(),
        update,
        delta_mb: place.size("advisories.idx.delta"),
        change_told_s,
        change: change.clone(),
    };
    match args.format {
        Format::Json => println!("{}", serde_json::to_string_pretty(&report)?),
        Format::Text => print!("{}", report.text()),
    }
    Ok(())
}

/// The programs, and where they work.
struct Place {
    scanner: Utf8PathBuf,
    service: Utf8PathBuf,
    root: Utf8PathBuf,
}

/// A service that does not outlive the measurement.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Place {
    /// Settings as people have them, but for how long a change has to settle.
    fn settings(&self, system: &Utf8Path) -> Result<()> {
        let Self { root, scanner, .. } = self;
        let text = format!(
            "[watch]\nscanner = '{scanner}'\nindex = '{root}/advisories.idx'\nsettle = '0s'\n\
             [[watch.target]]\nname = 'system'\ninput = '{system}'\n\
             [notify.file]\npath = '{root}/told.jsonl'\n"
        );
        write(&root.join("watch.toml"), text.as_bytes())
    }

    fn update(&self) -> Result<Measured> {
        meter::run(&self.snowguard(&["advisories", "update"]), 0)
    }

    fn vulnerabilities(&self) -> Result<u64> {
        let args = ["advisories", "info", "--format", "json"];
        let output = self.snowguard(&args).output()?;
        let told: Value = serde_json::from_slice(&output.stdout)
            .context("`snowguard advisories info` prints no JSON")?;
        let count = told["vulnerabilities"].as_u64();
        count.with_context(|| format!("nobody tells how many vulnerabilities there are: {told}"))
    }

    fn snowguard(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.scanner);
        command
            .args(["--quiet", "--config", "snowguard.toml"])
            .args(["--index", "advisories.idx"])
            .args(args)
            .current_dir(&self.root);
        command
    }

    fn start(&self, args: &[&str]) -> Result<Running> {
        let child = Command::new(&self.service)
            .args(args)
            .args(["--config", "watch.toml"])
            .current_dir(&self.root)
            .stdin(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {}", self.service))?;
        Ok(Running(child))
    }

    /// What is in the file behind so many lines, once there are so many more.
    fn told(&self, after: usize, more: usize) -> Result<Vec<Value>> {
        let start = Instant::now();
        loop {
            let text = std::fs::read_to_string(self.root.join("told.jsonl")).unwrap_or_default();
            // The last line may be on its way.
            let lines = text.split_inclusive('\n').skip(after);
            let whole: Vec<&str> = lines.filter(|line| line.ends_with('\n')).collect();
            if whole.len() >= more {
                let lines = whole.into_iter().map(serde_json::from_str);
                return Ok(lines.collect::<Result<_, _>>()?);
            }
            ensure!(start.elapsed() < PATIENCE, "nothing was told");
            std::thread::sleep(LOOK);
        }
    }

    fn size(&self, name: &str) -> f64 {
        let length = std::fs::metadata(self.root.join(name)).map_or(0, |metadata| metadata.len());
        megabytes(length)
    }
}

impl Report {
    fn text(&self) -> String {
        let mut text = format!(
            "a mirror of {:.1} MB: {} vulnerabilities in an index of {:.1} MB\n\n",
            self.mirror_mb, self.vulnerabilities, self.index_mb
        );
        let rows = [
            ("the first update", self.first_update.wall_ms / 1e3),
            ("until the summary is told", self.summary_told_s),
            ("the update of a day", self.update.wall_ms / 1e3),
            ("until its change is told", self.change_told_s),
        ];
        for (what, seconds) in rows {
            let _ = writeln!(text, "{what:<26} {seconds:>8.2} s");
        }
        let counts = |name: &str| self.summary[name].as_u64().unwrap_or_default();
        let word = |name: &str| self.change[name].as_str().unwrap_or_default();
        let _ = writeln!(
            text,
            "\nthe summary: {} affected, {} to review, {} patched\nthe change: {} {} in {}, cause {}; a delta of {:.2} MB",
            counts("affected"),
            counts("needs_review"),
            counts("patched"),
            word("kind"),
            word("advisory"),
            word("package"),
            word("cause"),
            self.delta_mb
        );
        text
    }
}
