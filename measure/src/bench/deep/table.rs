//! What was measured of looking inside, as data and as text.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::super::meter::{Ran, Reads};
use super::super::times::{Times, megabytes};
use super::bom::Components;
use super::compare::{Class, Only, Row};
use super::tree;

#[derive(Serialize)]
pub(in super::super) struct Deep {
    /// The fastest peer's time for an SBOM by ours, both without a cache of their own, with the files
    /// in the page cache.
    pub(super) ratio_to_peer: Option<f64>,
    /// What any of the peers finds and we do not, and is there.
    pub(super) missed_components: usize,
    /// Of a scan after the first, matching included: of the directory or of the store objects,
    /// whichever takes longer.
    pub(super) second_scan_ms: f64,
    pub(super) tree: tree::Told,
    pub(super) ours: Alone,
    pub(super) peers: Vec<PeerTold>,
    pub(super) cores: usize,
    pub(super) runs: usize,
}

#[derive(Serialize)]
pub(super) struct Alone {
    pub(super) version: String,
    pub(super) components: usize,
    pub(super) by_kind: BTreeMap<String, usize>,
    /// Making an SBOM of the directory, with an empty cache.
    #[serde(flatten)]
    pub(super) times: Times,
    /// Scanning the directory, with an empty cache.
    pub(super) scan: Times,
    /// Scanning it again.
    pub(super) second_scan: Times,
    pub(super) second_scan_reads: Option<Reads>,
    pub(super) store_objects: usize,
    /// Scanning the same files as store objects, with what the directory left in the cache.
    pub(super) store_scan: Option<Times>,
    pub(super) store_second_scan: Option<Times>,
    /// In the last run with an empty cache of ours.
    pub(super) reads: Reads,
    pub(super) cold: Cold,
}

#[derive(Serialize)]
pub(super) struct PeerTold {
    pub(super) name: &'static str,
    pub(super) version: String,
    pub(super) how: &'static str,
    pub(super) network: &'static str,
    /// Its time by ours.
    pub(super) ratio: f64,
    /// The same of processor time.
    pub(super) cpu_ratio: f64,
    #[serde(flatten)]
    pub(super) times: Times,
    /// Different ones with a version.
    pub(super) components: usize,
    /// Entries without a version: nothing can be looked up for them.
    pub(super) without_version: usize,
    /// Components that we have, too.
    pub(super) both: usize,
    pub(super) by_kind: BTreeMap<String, usize>,
    /// What it has and we have not.
    pub(super) missing: Vec<Row>,
    /// What we have and it has not.
    pub(super) only_ours: Vec<Only>,
    /// In the last run.
    pub(super) reads: Reads,
}

/// With nothing of the tree in the page cache, once.
#[derive(Serialize)]
pub(super) struct Cold {
    pub(super) wall_ms: f64,
    /// Read from the disk; what the kernel reads ahead is in it.
    pub(super) disk_bytes: u64,
    /// The same by the size of the tree.
    pub(super) share: f64,
}

impl Cold {
    /// `total`: the size of the tree, in bytes.
    pub(super) fn of(ran: &Ran, total: u64) -> Self {
        let disk_bytes = ran.reads.disk_bytes;
        Self {
            wall_ms: ran.measured.wall_ms,
            disk_bytes,
            share: megabytes(disk_bytes) / megabytes(total),
        }
    }
}

pub(super) fn by_kind(components: &Components) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for key in components.keys() {
        *found.entry(key.kind.clone()).or_default() += 1;
    }
    found
}

impl Deep {
    pub(in super::super) fn text(&self) -> String {
        let mut out = String::new();
        self.head(&mut out);
        for peer in &self.peers {
            peer.text(&mut out, self.ours.components);
        }
        out
    }

    fn head(&self, out: &mut String) {
        let ours = &self.ours;
        line(
            out,
            format_args!(
                "{} files, {:.0} MB; {}; {} cores, median of {}",
                self.tree.files,
                megabytes(self.tree.bytes),
                self.tree.toolchain,
                self.cores,
                self.runs
            ),
        );
        for package in &self.tree.left_out {
            line(
                out,
                format_args!("left out: {package} is not to be had any more"),
            );
        }
        line(out, format_args!(""));
        line(
            out,
            format_args!(
                "{:<18} {:>10} {:>8} {:>8} {:>11} {:>7} {:>9}",
                "", "wall ms", "cpu ms", "peak MB", "components", "ratio", "read MB"
            ),
        );
        let name = format!("snowguard {}", ours.version);
        row(out, &name, &ours.times, ours.components, None, &ours.reads);
        for peer in &self.peers {
            let name = format!("{} {}", peer.name, peer.version);
            let ratio = Some(peer.ratio);
            row(out, &name, &peer.times, peer.components, ratio, &peer.reads);
        }
        line(
            out,
            format_args!(
                "read MB: what it asked the kernel for. With an empty page cache snowguard took\n{:.0} ms and had {:.0} MB read from the disk, {:.0} % of the tree.\n",
                ours.cold.wall_ms,
                megabytes(ours.cold.disk_bytes),
                ours.cold.share * 100.0
            ),
        );
        let mut again = |what: &str, times: &Times| {
            line(
                out,
                format_args!(
                    "{what}: {:.0} ms ({:.0} to {:.0}), {:.0} MB",
                    times.wall_ms, times.wall_ms_min, times.wall_ms_max, times.peak_mb
                ),
            );
        };
        again("first scan, matching included", &ours.scan);
        again("second scan", &ours.second_scan);
        if let Some(times) = &ours.store_scan {
            again(
                &format!("first scan of {} store objects", ours.store_objects),
                times,
            );
        }
        if let Some(times) = &ours.store_second_scan {
            again("second scan of these", times);
        }
        line(
            out,
            format_args!("missed components: {}", self.missed_components),
        );
    }
}

impl PeerTold {
    fn text(&self, out: &mut String, ours: usize) {
        line(
            out,
            format_args!(
                "\n{} {}: {}\nnetwork: {}\n{} components, we have {} of them; {} entries without a version",
                self.name,
                self.version,
                self.how,
                self.network,
                self.components,
                self.both,
                self.without_version
            ),
        );
        for row in &self.missing {
            let class = match row.class {
                Class::Missed => "MISSED",
                Class::NamedOtherwise => "named otherwise",
                Class::OutOfScope => "out of scope",
                Class::NotThere => "not there",
            };
            line(
                out,
                format_args!("{:>6}  {class}: {}: {}", row.count, row.kind, row.why),
            );
            let shown = if row.class == Class::Missed { 10 } else { 2 };
            for example in row.examples.iter().take(shown) {
                let place = example.place.as_deref().unwrap_or("-");
                line(out, format_args!("          {}  {place}", example.purl));
                if let Some(proof) = &example.proof {
                    let member = proof.member.as_deref().unwrap_or("");
                    line(
                        out,
                        format_args!("            {} {member} at {}", proof.file, proof.offset),
                    );
                }
            }
        }
        line(out, format_args!("only we have, of {ours} components:"));
        for only in &self.only_ours {
            line(
                out,
                format_args!(
                    "{:>6}  {} in {}, such as {}",
                    only.count, only.kind, only.declared_in, only.example
                ),
            );
        }
    }
}

fn row(
    out: &mut String,
    name: &str,
    times: &Times,
    components: usize,
    ratio: Option<f64>,
    reads: &Reads,
) {
    let ratio = ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.1}"));
    line(
        out,
        format_args!(
            "{name:<18} {:>10.0} {:>8.0} {:>8.0} {components:>11} {ratio:>7} {:>9.0}",
            times.wall_ms,
            times.cpu_ms,
            times.peak_mb,
            megabytes(reads.bytes)
        ),
    );
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let _ = writeln!(out, "{text}");
}
