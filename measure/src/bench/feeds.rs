//! Updates from a mirror on the loopback interface: real records, packed as the feeds pack them.
//!
//! First all of it, then what changes on a day, then nothing. EPSS scores are made up: a score for
//! each CVE, of which one in thirty moves.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;
use serde_json::Value;
use snowguard_testkit::feeds::{Mirror, Named};
use snowguard_testkit::web::Web;

use super::meter::{self, Measured};
use super::times::megabytes;
use super::{Format, product, say, write};

#[derive(clap::Args)]
pub(super) struct Args {
    /// The data set
    #[arg(long, value_name = "DIR")]
    data: Utf8PathBuf,
    /// How many records change on the day
    #[arg(long, value_name = "COUNT", default_value = "1000")]
    changed: usize,
    /// How to print the result
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Where the index goes
    #[arg(long, value_name = "DIR", default_value = "target/bench/feeds")]
    work: Utf8PathBuf,
}

#[derive(Serialize)]
struct Report {
    /// In the mirror at first, in MB.
    mirror_mb: f64,
    /// Records of the CVE list in it.
    cve_records: usize,
    first: Step,
    changed: Step,
    unchanged: Step,
}

#[derive(Serialize)]
struct Step {
    #[serde(flatten)]
    measured: Measured,
    received_mb: f64,
    index_mb: f64,
    delta_mb: f64,
    records_mb: f64,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let _ = std::fs::remove_dir_all(&args.work);
    std::fs::create_dir_all(&args.work).with_context(|| format!("cannot make {}", args.work))?;
    let program = product::program()?;
    say("packing the data as feeds");
    let mut mirror = Mirror::default();
    let day = pack(&args.data, News::Changed(args.changed), &mut mirror)?;
    let web = Web::start()?;
    mirror.serve(&web);
    let settings = args.work.join("snowguard.toml");
    write(&settings, day.settings(&web).as_bytes())?;
    let index = args.work.join("advisories.idx");
    let mirror_mb = megabytes(mirror.size() as u64);
    let step = |what: &str| -> Result<Step> {
        say(what);
        let mut command = Command::new(&program);
        command.args(["advisories", "update", "--quiet"]).args([
            "--config",
            settings.as_str(),
            "--index",
            index.as_str(),
        ]);
        web.sent();
        let measured = meter::run(&command, 0)?;
        let size = |path: &Utf8Path| {
            let length = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
            megabytes(length)
        };
        Ok(Step {
            measured,
            received_mb: megabytes(web.sent()),
            index_mb: size(&index),
            delta_mb: size(Utf8Path::new(&format!("{index}.delta"))),
            records_mb: size(&snowguard_feeds::segments::records_path(&index)),
        })
    };
    let first = step("the first update")?;
    let cve_records = day.whole;
    day.passes(&mut mirror)?;
    mirror.serve(&web);
    let changed = step("an update of what changed")?;
    let unchanged = step("an update of nothing")?;
    let report = Report {
        mirror_mb,
        cve_records,
        first,
        changed,
        unchanged,
    };
    match args.format {
        Format::Json => println!("{}", serde_json::to_string_pretty(&report)?),
        Format::Text => print!("{}", report.text(args.changed)),
    }
    Ok(())
}

impl Report {
    fn text(&self, changed: usize) -> String {
        let mut text = format!(
            "a mirror of {:.1} MB, {} records of the CVE list in it\n\n{:<26} {:>8} {:>8} {:>9} {:>9} {:>9} {:>9}\n",
            self.mirror_mb,
            self.cve_records,
            "",
            "wall s",
            "cpu s",
            "peak MB",
            "got MB",
            "index MB",
            "delta MB"
        );
        let changes = format!("{changed} CVE records changed");
        for (name, step) in [
            ("the first", &self.first),
            (&changes, &self.changed),
            ("nothing changed", &self.unchanged),
        ] {
            let _ = writeln!(
                text,
                "{name:<26} {:>8.2} {:>8.2} {:>9.0} {:>9.2} {:>9.2} {:>9.2}",
                step.measured.wall_ms / 1e3,
                step.measured.cpu_ms / 1e3,
                step.measured.peak_mb,
                step.received_mb,
                step.index_mb,
                step.delta_mb,
            );
        }
        text
    }
}

/// What the CVE list has new on the day.
#[derive(Clone, Copy)]
pub(super) enum News<'n> {
    /// So many records, half of them new.
    Changed(usize),
    /// One record, which nobody had before.
    New(&'n str),
}

/// What changes on the day.
pub(super) struct Day {
    /// Records of the CVE list before it.
    pub(super) whole: usize,
    cves: Vec<Named>,
    nvd: Vec<Value>,
    ecosystems: BTreeMap<String, Vec<Value>>,
    scores: Vec<(String, f64)>,
}

impl Day {
    /// The settings of a client of the mirror.
    pub(super) fn settings(&self, web: &Web) -> String {
        let ecosystems: Vec<String> = self.ecosystems.keys().map(|e| format!("{e:?}")).collect();
        format!(
            "[feeds]\nmirror = \"{}\"\n[feeds.osv]\necosystems = [{}]\n",
            web.base(),
            ecosystems.join(", ")
        )
    }

    /// Puts what changed into the mirror.
    pub(super) fn passes(self, mirror: &mut Mirror) -> Result<()> {
        mirror.cve_delta("2026-11-19", None, &self.cves)?;
        mirror.nvd("modified", "2026-11-20T03:00:00-05:00", &self.nvd)?;
        let moved = self
            .scores
            .into_iter()
            .enumerate()
            .map(|(at, (id, score))| {
                let score = if at % 30 == 0 {
                    (score + 0.1).min(1.0)
                } else {
                    score + 1e-5
                };
                (id, score)
            });
        let moved: Vec<(String, f64)> = moved.collect();
        scores(mirror, "2026-11-20", &moved)?;
        for (name, mut records) in self.ecosystems {
            for record in records.iter_mut().take(20) {
                record["modified"] = "2026-11-19T12:00:00Z".into();
            }
            mirror.osv(&name, &records)?;
        }
        Ok(())
    }
}

/// Packs the data as it is before the day.
pub(super) fn pack(data: &Utf8Path, news: News<'_>, mirror: &mut Mirror) -> Result<Day> {
    let folder = data.join("advisories");
    let kev: Value = serde_json::from_slice(&std::fs::read(folder.join("kev.json"))?)?;
    let entries = kev["vulnerabilities"]
        .as_array()
        .context("kev.json is no catalogue")?;
    mirror.kev("2026-11-18T12:00:00Z", entries);

    let mut cves = Vec::new();
    let mut ids = BTreeSet::new();
    for record in lines(&folder.join("cve5-vulnrichment.jsonl.zst"))? {
        let value: Value = serde_json::from_slice(&record)?;
        if let Some(id) = value["cveMetadata"]["cveId"].as_str()
            && ids.insert(id.to_owned())
        {
            cves.push((id.to_owned(), record));
        }
    }
    let later = match news {
        News::Changed(count) => changed(&mut cves, count)?,
        News::New(id) => {
            let at = cves.iter().position(|(known, _)| known == id);
            vec![cves.remove(at.with_context(|| format!("{id} is not in the CVE list"))?)]
        }
    };
    mirror.cve_whole("2026-11-19", &cves)?;

    let first: Vec<(String, f64)> = cves
        .iter()
        .chain(&later)
        .enumerate()
        .map(|(at, (id, _))| {
            (
                id.clone(),
                f64::from(u32::try_from(at * 7 % 900).unwrap_or(0)) / 1e3,
            )
        })
        .collect();
    scores(mirror, "2026-11-19", &first)?;

    let mut years: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for record in lines(&folder.join("nvd2-anchore-overrides.jsonl.zst"))? {
        let value: Value = serde_json::from_slice(&record)?;
        let id = value["_annotation"]["cve_id"].as_str().unwrap_or_default();
        let year = id
            .split('-')
            .nth(1)
            .and_then(|year| year.parse::<i32>().ok());
        let year = year.unwrap_or(2002).clamp(2002, 2026).to_string();
        years.entry(year).or_default().push(value);
    }
    let nvd: Vec<Value> = match news {
        News::Changed(_) => {
            let year = years.get("2024").into_iter().flatten();
            year.take(300).cloned().collect()
        }
        News::New(id) => {
            let of_id = |item: &mut Value| item["_annotation"]["cve_id"] == id;
            let years = years.values_mut();
            years
                .flat_map(|items| items.extract_if(.., of_id))
                .collect()
        }
    };
    for year in 2002..=2026 {
        let name = year.to_string();
        let items = years.remove(&name).unwrap_or_default();
        mirror.nvd(&name, "2026-11-18T03:00:00-05:00", &items)?;
    }
    mirror.nvd("modified", "2026-11-19T03:00:00-05:00", &[])?;

    let mut ecosystems = BTreeMap::new();
    for (name, file) in [
        ("PyPI", "osv-pypa"),
        ("Go", "osv-golang-vulndb"),
        ("OSS-Fuzz", "osv-oss-fuzz"),
        ("Bitnami", "osv-bitnami"),
        ("CRAN", "osv-r"),
        ("crates.io", "rustsec-raw"),
    ] {
        let mut records = Vec::new();
        // An archive has one file per id; collected data may have several.
        let mut seen = BTreeSet::new();
        for record in lines(&folder.join(format!("{file}.jsonl.zst")))? {
            let mut value: Value = serde_json::from_slice(&record)?;
            value["modified"] = "2026-11-18T00:00:00Z".into();
            if seen.insert(value["id"].to_string()) {
                records.push(value);
            }
        }
        mirror.osv(name, &records)?;
        ecosystems.insert(name.to_owned(), records);
    }
    Ok(Day {
        whole: cves.len(),
        cves: later,
        nvd,
        ecosystems,
        scores: first,
    })
}

/// Half of what changes is new, half is there and says something else.
fn changed(cves: &mut Vec<Named>, count: usize) -> Result<Vec<Named>> {
    ensure!(
        cves.len() > 2 * count,
        "there are too few records of the CVE list"
    );
    let mut later = cves.split_off(cves.len() - count.div_ceil(2));
    for (id, record) in cves.iter().take(count / 2) {
        let mut value: Value = serde_json::from_slice(record)?;
        value["containers"]["cna"]["affected"][0]["versions"] = serde_json::json!([{"version": "0", "lessThan": "99", "status": "affected", "versionType": "custom"}]);
        later.push((id.clone(), value.to_string().into_bytes()));
    }
    Ok(later)
}

fn scores(mirror: &mut Mirror, day: &str, scores: &[(String, f64)]) -> Result<()> {
    let rows: Vec<(&str, f64, f64)> = scores
        .iter()
        .map(|(id, score)| (id.as_str(), *score, *score))
        .collect();
    Ok(mirror.epss(day, &rows)?)
}

fn lines(path: &Utf8Path) -> Result<Vec<Vec<u8>>> {
    let file = std::fs::File::open(path).with_context(|| format!("cannot read {path}"))?;
    let mut decoder = zstd::stream::read::Decoder::new(file)?;
    decoder.window_log_max(27)?;
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut decoder, &mut bytes)?;
    let lines = bytes.split(|&b| b == b'\n').filter(|line| !line.is_empty());
    Ok(lines.map(<[u8]>::to_vec).collect())
}
