//! The tracker's way from records and a package set to findings: what each step takes, and how many
//! candidates a person is shown beside a matcher that looks for substrings.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use memchr::memmem;
use nix::sys::resource::{UsageWho, getrusage};
use rayon::prelude::*;
use serde::Serialize;
use serde_json::{Map, Value};
use snowguard_advisory::index::{Builder, Index};
use snowguard_advisory::read::With;
use snowguard_db::Database;
use snowguard_db::evaluations::{Evaluations as _, NewEvaluation, Shrinking};
use snowguard_feeds::{Import, RecordStore};
use snowguard_inventory::IdentityTable;
use snowguard_matching::{Matcher, Options as Matching, Status};
use snowguard_sources::packages::Derivations;
use snowguard_sources::{Input, Options};
use snowguard_tracker::ingest::{attributes, read_file};
use snowguard_tracker::rematch::{Rematched, Rematcher, Scope};

use super::times::megabytes;
use super::{Format, say, write};
use crate::dataset;

#[derive(clap::Args)]
pub(super) struct Args {
    /// The data set
    #[arg(long, value_name = "DIR")]
    data: Utf8PathBuf,
    /// Which package set of it
    #[arg(long, value_name = "NAME", default_value = "nixpkgs-20.09")]
    set: String,
    /// The database, which must be empty: a file or postgres://… [default: a file in --work, made anew]
    #[arg(long, value_name = "NAME")]
    database: Option<String>,
    /// How many channels have the set
    #[arg(long, value_name = "COUNT", default_value = "3")]
    channels: u16,
    /// How to print the result
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Where the records and the database are put
    #[arg(long, value_name = "DIR", default_value = "target/bench")]
    work: Utf8PathBuf,
}

/// What it took, in seconds.
#[derive(Debug, Serialize)]
struct Figures {
    records: u64,
    packages: u64,
    findings: i64,
    /// From files into the record store, with texts.
    store_s: f64,
    /// From the record store into the database.
    take_s: f64,
    /// The same again, with nothing new.
    take_again_s: f64,
    /// Each channel's package set.
    ingest_s: Vec<f64>,
    /// Everything, and all findings are new.
    first_rematch_s: f64,
    /// Everything, and nothing changed.
    rematch_s: f64,
    /// A hundred advisories, by what they name.
    by_advisories_s: f64,
    /// The size of the database.
    database_mb: f64,
    peak_mb: f64,
    pairs: Pairs,
}

/// Candidates of CVE records with a package set, counted by attribute.
#[derive(Debug, Serialize)]
pub(super) struct Pairs {
    /// By identity, of whatever status.
    joined: Count,
    /// Of these, what a person is shown: affected, in doubt or patched.
    shown: Count,
    /// By substring of product or package name in the derivation's name, in any case.
    substring: Count,
    /// As before, without records of the kernel's own numbering authority.
    substring_without_linux: Count,
    /// By identity, without the same.
    joined_without_linux: Count,
}

#[derive(Debug, Serialize)]
struct Count {
    cves: usize,
    pairs: usize,
    mean: f64,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let figures = measure(args)?;
    match args.format {
        Format::Json => println!("{}", serde_json::to_string_pretty(&figures)?),
        Format::Text => println!("{figures:#?}"),
    }
    Ok(())
}

fn measure(args: &Args) -> Result<Figures> {
    std::fs::create_dir_all(&args.work)?;
    let work = args.work.join("rematch");
    let _ = std::fs::remove_dir_all(&work);
    std::fs::create_dir_all(&work)?;
    let name = args
        .database
        .clone()
        .unwrap_or_else(|| work.join("tracker.db").into_string());
    let db = Database::open(&name)?;
    let now = Timestamp::now();
    let interrupted = AtomicBool::new(false);

    say("reading records");
    let mut store = RecordStore::open(&work.join("records"))?.with(With::Texts);
    let (store_s, records) = timed(|| import(&mut store, &args.data))?;
    say("taking them in");
    let mut quiet = |_: &_| {};
    let (take_s, _) = timed(|| {
        Ok(snowguard_tracker::advisories::take(
            &db,
            &store,
            now,
            &interrupted,
            &mut quiet,
        )?)
    })?;
    let (take_again_s, _) = timed(|| {
        Ok(snowguard_tracker::advisories::take(
            &db,
            &store,
            now,
            &interrupted,
            &mut quiet,
        )?)
    })?;

    say("taking package sets in");
    let set = work.join("packages.json");
    write(&set, &dataset::package_set(&args.data, &args.set)?)?;
    let drvs = work.join("derivations.json");
    write(&drvs, &dataset::derivations(&args.data, &args.set)?)?;
    let mut ingest_s = Vec::new();
    for number in 0..args.channels {
        let (seconds, ()) = timed(|| ingest(&db, &set, &drvs, number, now))?;
        ingest_s.push(seconds);
    }

    say("matching");
    let mut builder = Builder::new();
    store.fill(&mut builder)?;
    let bytes = builder.finish().bytes;
    let table = IdentityTable::builtin();
    let rematcher = Rematcher {
        db: &db,
        index: Index::open(&bytes)?,
        table: &table,
        now,
        today: jiff::civil::date(2026, 11, 21),
        interrupted: &interrupted,
    };
    let all = |state| timed(|| Ok(rematcher.run(Scope::All { state }, &mut |_: &Rematched| {})?));
    let (first_rematch_s, done) = all("first")?;
    let (rematch_s, again) = all("again")?;
    eprintln!("first {done:?}\nagain {again:?}");
    let some: Vec<(i64, String)> = db.read(|session| {
        session
            .query(
                "SELECT id, name FROM advisory WHERE rank > 0 ORDER BY rank DESC, id LIMIT 100",
                &[],
            )?
            .map(|row| Ok((row.get(0)?, row.get(1)?)))
    })?;
    let (by_advisories_s, _) =
        timed(|| Ok(rematcher.run(Scope::Advisories(&some), &mut |_: &Rematched| {})?))?;
    let findings = db.read(|session| {
        let rows = session.query("SELECT count(*) FROM finding", &[])?;
        rows.first().map_or(Ok(0), |row| row.get(0))
    })?;
    let peak = getrusage(UsageWho::RUSAGE_SELF)?.max_rss();
    let peak_mb = megabytes(u64::try_from(peak)? * 1024);
    let database_mb = db.path().map_or(0.0, |path| {
        std::fs::metadata(path).map_or(0.0, |metadata| megabytes(metadata.len()))
    });

    say("counting candidates");
    let pairs = pairs(&args.data, &set)?;
    Ok(Figures {
        records,
        packages: done.packages,
        findings,
        store_s,
        take_s,
        take_again_s,
        ingest_s,
        first_rematch_s,
        rematch_s,
        by_advisories_s,
        database_mb,
        peak_mb,
        pairs,
    })
}

fn import(store: &mut RecordStore, data: &Utf8Path) -> Result<u64> {
    let interrupted = AtomicBool::new(false);
    let paths = dataset::advisories(data)?;
    let (records, _) =
        snowguard_tracker::advisories::import(store, &paths, &interrupted, &mut |_| {})?;
    Ok(records)
}

fn ingest(
    db: &Database,
    set: &Utf8Path,
    drvs: &Utf8Path,
    number: u16,
    now: Timestamp,
) -> Result<()> {
    let options = Options::default();
    let derivations = Derivations {
        inputs: vec![Input::detect(drvs, &options)?],
        live: false,
    };
    let evaluation = read_file(set, derivations, &options, &mut |_| {})?;
    let (attributes, failures) = attributes(evaluation);
    db.write(|session| {
        let channel = session.add_channel(&format!("channel-{number}"), None)?;
        session.ingest(&NewEvaluation {
            channel: channel.id,
            revision: "first",
            evaluated_at: now,
            ingested_at: now,
            attributes: &attributes,
            failures: &failures,
            shrinking: Shrinking::Taken,
        })
    })?;
    Ok(())
}

/// Candidates of the CVE records with one package set.
pub(super) fn pairs(data: &Utf8Path, set: &Utf8Path) -> Result<Pairs> {
    let file = data.join("advisories/cve5-vulnrichment.jsonl.zst");
    let interrupted = AtomicBool::new(false);
    let mut progress = |_: snowguard_feeds::Event<'_>| {};
    let mut import = Import::new(&interrupted, &mut progress);
    import.add(&file)?;
    let bytes = import.finish()?.built.bytes;
    let options = Options::default();
    let subject = Input::detect(set, &options)?;
    let subject = snowguard_sources::read(vec![subject], Vec::new(), &options)?;
    let table = IdentityTable::builtin();
    let inventory = snowguard_inventory::Inventory::of(&subject, &table);
    let matcher = Matcher::new(Index::open(&bytes)?, &table, Matching::default());
    let matches = matcher.run(&inventory)?;

    let (products, linux) = products(&file)?;
    let (mut joined, mut shown) = (BTreeMap::new(), BTreeMap::new());
    for finding in &matches.findings {
        let attrs = inventory
            .get(finding.component)
            .map_or(0, |component| component.attrs.len());
        *joined.entry(finding.id.to_owned()).or_insert(0) += attrs;
        if finding.status <= Status::Patched {
            *shown.entry(finding.id.to_owned()).or_insert(0) += attrs;
        }
    }
    let names: Map<String, Value> = serde_json::from_slice(&std::fs::read(set)?)?;
    let names: Vec<String> = names
        .values()
        .filter_map(|package| package["name"].as_str())
        .map(str::to_lowercase)
        .collect();
    let unique: BTreeSet<&String> = products.values().flatten().collect();
    let found: HashMap<&String, Vec<u32>> = unique
        .into_par_iter()
        .map(|product| {
            let finder = memmem::Finder::new(product);
            let found = (0..)
                .zip(&names)
                .filter(|(_, name)| finder.find(name.as_bytes()).is_some());
            (product, found.map(|(at, _)| at).collect())
        })
        .collect();
    let substring: BTreeMap<String, usize> = products
        .iter()
        .map(|(cve, products)| {
            let of = products
                .iter()
                .filter_map(|product| found.get(product))
                .flatten();
            (cve.clone(), of.collect::<BTreeSet<_>>().len())
        })
        .filter(|(_, count)| *count > 0)
        .collect();
    let without = |all: &BTreeMap<String, usize>| {
        let mut rest = all.clone();
        rest.retain(|cve, _| !linux.contains(cve));
        Count::of(&rest)
    };
    Ok(Pairs {
        substring_without_linux: without(&substring),
        joined_without_linux: without(&joined),
        joined: Count::of(&joined),
        shown: Count::of(&shown),
        substring: Count::of(&substring),
    })
}

type Products = BTreeMap<String, BTreeSet<String>>;

/// The products and package names of each CVE, and which are of the kernel's own authority.
fn products(file: &Utf8Path) -> Result<(Products, BTreeSet<String>)> {
    let mut products = Products::new();
    let mut linux = BTreeSet::new();
    for record in dataset::lines(file)? {
        let record = record?;
        let Some(id) = record["cveMetadata"]["cveId"].as_str() else {
            continue;
        };
        let containers = &record["containers"];
        let adp = containers["adp"].as_array().into_iter().flatten();
        for container in std::iter::once(&containers["cna"]).chain(adp) {
            for affected in container["affected"].as_array().into_iter().flatten() {
                if affected["vendor"] == "Linux" {
                    linux.insert(id.to_owned());
                }
                for field in ["product", "packageName"] {
                    let name = affected[field].as_str().unwrap_or_default().trim();
                    if !name.is_empty() && name != "n/a" {
                        products
                            .entry(id.to_owned())
                            .or_default()
                            .insert(name.to_lowercase());
                    }
                }
            }
        }
    }
    Ok((products, linux))
}

impl Count {
    fn of(by_cve: &BTreeMap<String, usize>) -> Self {
        let pairs = by_cve.values().sum();
        Self {
            cves: by_cve.len(),
            pairs,
            mean: share(pairs, by_cve.len()),
        }
    }
}

fn share(of: usize, among: usize) -> f64 {
    let number = |count: usize| u32::try_from(count).map_or(f64::INFINITY, f64::from);
    number(of) / number(among.max(1))
}

fn timed<T>(of: impl FnOnce() -> Result<T>) -> Result<(f64, T)> {
    let start = Instant::now();
    let result = of().context("while measuring")?;
    Ok((start.elapsed().as_secs_f64(), result))
}
