//! `cargo xtask bench`: what a person waits for, measured as they run it, beside what they run today.
//!
//! Whole processes, as they are installed; what they read is made first and is in the page cache.
//! Each run of the peer stands next to one of ours, so that whatever else the machine does meets
//! both.

mod day;
mod deep;
mod derivations;
mod feed;
mod feeds;
mod fod;
mod fod_proxy;
mod fod_verify;
mod meter;
mod packages;
mod peer;
mod product;
mod ranges;
mod rematch;
mod report;
mod scan;
mod server;
mod times;
mod tracker;
mod update;
mod vulnix;
mod year;

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};
use clap::Subcommand;

pub(crate) use self::meter::Meter;
use self::report::Report;

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask bench scan --data DIR                      beside vulnix, which it installs for itself
  cargo xtask bench scan --data DIR --format json > scan.json
  cargo xtask bench scan --data DIR --vulnix vulnix      beside the one in PATH
  cargo xtask bench packages --data DIR --runs 3
  cargo xtask bench packages --data DIR --alone          without vulnix
  cargo xtask bench derivations --data DIR
  cargo xtask bench fod --data DIR --format json         fixed-output derivations of a package set
  cargo xtask bench update --data DIR --format json
  cargo xtask bench feeds --data DIR                     a first update, one of what changed, and none
  cargo xtask bench fod-verify --format json             beside Nix, which must be installed
  cargo xtask bench fod-proxy --mitmproxy mitmdump       as root: it makes network namespaces
  cargo xtask bench day --data DIR                       from a feed's new record to the message about it
  cargo xtask bench tracker-year --data DIR              a year of three channels in both databases
  cargo xtask bench tracker --data DIR --format json     the tracker at full size, on both databases
  cargo xtask bench rematch --data DIR                   what the tracker takes, and candidates for each CVE
  cargo xtask bench deep                                 downloads 700 MB, needs 4 GB of disk
  cargo xtask bench deep --peers syft --runs 5 --format json")]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Scans a NixOS system with the index of all data, beside vulnix
    Scan(Common),
    /// Scans a whole evaluated package set with the index of all data, beside vulnix
    Packages(Common),
    /// Parses all derivations of a package set, as JSON and as .drv files
    Derivations(Common),
    /// Lists the fixed-output derivations of a package set from .drv files, and counts them another way;
    /// then what fod-verify and fod-proxy measure
    Fod(fod::Args),
    /// Updates an index of all data by 1,000 changed records, and publishes it
    Update(Common),
    /// Updates from a mirror on the loopback interface that has all data packed as feeds
    Feeds(feeds::Args),
    /// Updates, scans, watches and tells with the real programs; then one record is new, and only
    /// that is told
    Day(day::Args),
    /// Stores a year of evaluations of several channels, in both databases
    TrackerYear(year::Args),
    /// Takes 120,000 packages in three channels and 300,000 advisories into a tracker, matches, and asks its
    /// server for every page at a fixed rate; with both databases
    Tracker(tracker::Args),
    /// Takes records and a package set into a tracker's database, matches, and counts candidates beside
    /// a matcher by substrings
    Rematch(rematch::Args),
    /// Verifies many small fixed-output derivations from a server on the loopback interface, beside Nix
    FodVerify(fod_verify::Args),
    /// Fetches through the proxy of builds, over a link of 1 Gbit/s and many at once; it needs root, and
    /// leaves the machine's own network alone
    FodProxy(fod_proxy::Alone),
    /// Finds the libraries inside a tree of real programs and packages, beside cdxgen and syft
    Deep(deep::Args),
}

#[derive(clap::Args)]
struct Common {
    /// The data set
    #[arg(long, value_name = "DIR")]
    data: Utf8PathBuf,
    /// Which package set of it
    #[arg(long, value_name = "NAME", default_value = "nixpkgs-20.09")]
    set: String,
    /// How to print the result
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// How often everything runs warm; the median is told
    #[arg(long, value_name = "COUNT", default_value = "7", value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
    /// The vulnix to measure beside [default: one from PyPI, in an environment of its own]
    #[arg(long, value_name = "PROGRAM", conflicts_with = "alone")]
    vulnix: Option<Utf8PathBuf>,
    /// Without vulnix
    #[arg(long)]
    alone: bool,
    /// Where the index, the feeds and the derivations are put
    #[arg(long, value_name = "DIR", default_value = "target/bench")]
    work: Utf8PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Text,
    Json,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let (common, measure): (_, fn(&Common) -> Result<Report>) = match &args.what {
        What::Deep(args) => {
            return print(&Report::Deep(Box::new(deep::measure(args)?)), args.format);
        }
        What::Scan(common) => (common, |args| Ok(Report::Scan(scan::measure(args)?))),
        What::Packages(common) => (common, |args| {
            Ok(Report::Packages(packages::measure(args)?))
        }),
        What::Feeds(args) => return feeds::run(args),
        What::Day(args) => return day::run(args),
        What::FodVerify(args) => return fod_verify::run(args),
        What::FodProxy(args) => return fod_proxy::run(args),
        What::Fod(args) => {
            make(&args.common.work)?;
            let listed = fod::measure(args)?;
            return print(&Report::Fod(Box::new(listed)), args.common.format);
        }
        What::TrackerYear(args) => return year::run(args),
        What::Tracker(args) => return tracker::run(args),
        What::Rematch(args) => return rematch::run(args),
        What::Derivations(common) => (common, |args| {
            Ok(Report::Derivations(derivations::measure(args)?))
        }),
        What::Update(common) => (common, |args| Ok(Report::Update(update::measure(args)?))),
    };
    make(&common.work)?;
    print(&measure(common)?, common.format)
}

fn make(work: &Utf8Path) -> Result<()> {
    std::fs::create_dir_all(work)
        .with_context(|| format!("cannot make {work}; --work names another place"))
}

fn print(report: &Report, format: Format) -> Result<()> {
    match format {
        Format::Json => println!("{}", serde_json::to_string_pretty(report)?),
        Format::Text => print!("{}", report.text()),
    }
    Ok(())
}

fn write(path: &Utf8Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(path, bytes).with_context(|| format!("cannot write {path}"))
}

fn say(what: &str) {
    eprintln!("{what} ...");
}
