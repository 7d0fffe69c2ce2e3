//! What was measured, as data and as text.

use std::fmt::Write as _;

use serde::Serialize;

use super::deep;
use super::feed::Served;
use super::fod;
use super::meter::Measured;
use super::times::Times;

#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Report {
    Scan(Scan),
    Packages(Packages),
    Derivations(Parsing),
    Update(Update),
    Fod(Box<fod::Listed>),
    Deep(Box<deep::Deep>),
}

/// An update of an index by some records.
#[derive(Serialize)]
pub(super) struct Update {
    /// From the changed records to the new delta on disk: the median.
    pub(super) wall_s: f64,
    /// All records.
    pub(super) records: usize,
    /// Those that changed.
    pub(super) changed: usize,
    pub(super) delta_mb: f64,
    pub(super) delta_vulnerabilities: usize,
    pub(super) base_mb: f64,
    pub(super) store_mb: f64,
    /// All records into an empty store.
    pub(super) put_s: f64,
    /// The same ones again, which changes nothing.
    pub(super) put_again_s: f64,
    /// A base out of the store.
    pub(super) base_s: f64,
    /// The same after the changes.
    pub(super) compact_s: f64,
    pub(super) lookups: Lookups,
    pub(super) scans: Scans,
    pub(super) mirror: Mirror,
    pub(super) runs: usize,
}

/// What a lookup costs, with reading up to 20 of the entries.
#[derive(Serialize)]
pub(super) struct Lookups {
    pub(super) base_ns: f64,
    pub(super) joined_ns: f64,
    pub(super) ratio: f64,
}

/// What scans of a NixOS system cost, by turns with the delta and with a base that holds the same.
#[derive(Serialize)]
pub(super) struct Scans {
    pub(super) base: Times,
    pub(super) joined: Times,
    pub(super) ratio: f64,
}

/// What a client of a published index downloads.
#[derive(Serialize)]
#[expect(
    clippy::struct_field_names,
    reason = "a figure has its unit in its name"
)]
pub(super) struct Mirror {
    /// The first time.
    pub(super) base_mb: f64,
    /// After the changes.
    pub(super) delta_mb: f64,
    /// After the base was made anew with them.
    pub(super) patch_mb: f64,
}

#[derive(Serialize)]
pub(super) struct Scan {
    /// Warm: the index is built and in the page cache.
    #[serde(flatten)]
    pub(super) times: Times,
    /// Their time by ours, both warm.
    pub(super) ratio_to_vulnix: Option<f64>,
    /// The same of processor time.
    pub(super) cpu_ratio_to_vulnix: Option<f64>,
    pub(super) cold: Cold,
    pub(super) derivations: usize,
    /// Packages in different versions among them.
    pub(super) components: usize,
    /// In the index.
    pub(super) vulnerabilities: usize,
    pub(super) findings: Findings,
    pub(super) index: IndexBuild,
    pub(super) vulnix: Option<Peer>,
}

/// From the feeds to the first answer.
#[derive(Serialize)]
pub(super) struct Cold {
    /// Of building the index and of the first scan.
    pub(super) wall_ms: f64,
    /// Their time by ours.
    pub(super) ratio_to_vulnix: Option<f64>,
}

#[derive(Serialize)]
pub(super) struct Packages {
    #[serde(flatten)]
    pub(super) times: Times,
    pub(super) ratio_to_vulnix: Option<f64>,
    pub(super) cpu_ratio_to_vulnix: Option<f64>,
    /// With all derivations beside, which tell of sources and patches.
    pub(super) with_derivations: Times,
    pub(super) roots: usize,
    pub(super) components: usize,
    pub(super) vulnerabilities: usize,
    pub(super) findings: Findings,
    pub(super) index: IndexBuild,
    pub(super) vulnix: Option<Peer>,
}

#[derive(Serialize)]
pub(super) struct Parsing {
    pub(super) what: &'static str,
    pub(super) derivations: usize,
    pub(super) json: Parsed,
    pub(super) aterm: Parsed,
    pub(super) aterm_all_cores: Parsed,
    pub(super) cores: usize,
    pub(super) runs: usize,
}

#[derive(Serialize)]
pub(super) struct Parsed {
    pub(super) wall_ms: f64,
    pub(super) bytes: usize,
}

#[derive(Serialize)]
pub(super) struct IndexBuild {
    pub(super) wall_ms: f64,
    pub(super) cpu_ms: f64,
    pub(super) peak_mb: f64,
    pub(super) size_mb: f64,
}

/// What was told, so that nobody can say that one of them did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Findings {
    /// Affected packages, by name and version.
    pub(super) packages: usize,
    /// Pairs of these with a vulnerability.
    pub(super) pairs: usize,
}

#[derive(Serialize)]
pub(super) struct Peer {
    pub(super) version: String,
    #[serde(flatten)]
    pub(super) times: Times,
    /// The first run, which loads the feeds.
    pub(super) cold: Measured,
    pub(super) served: Served,
    pub(super) findings: Findings,
}

impl Report {
    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        match self {
            Self::Fod(listed) => out.push_str(&listed.text()),
            Self::Scan(scan) => {
                let what = format!(
                    "{} derivations, {} packages, {} vulnerabilities",
                    scan.derivations, scan.components, scan.vulnerabilities
                );
                line(&mut out, &what);
                ours(&mut out, "warm", &scan.times, scan.findings);
                peer(&mut out, scan.vulnix.as_ref(), scan.ratio_to_vulnix);
                index(&mut out, &scan.index);
                let cold = format!("cold: {:.0} ms with the index", scan.cold.wall_ms);
                line(&mut out, &cold);
                if let (Some(peer), Some(ratio)) = (&scan.vulnix, scan.cold.ratio_to_vulnix) {
                    let text = format!(
                        "  vulnix: {:.0} ms with its feeds, {ratio:.1} times as long",
                        peer.cold.wall_ms
                    );
                    line(&mut out, &text);
                }
            }
            Self::Packages(set) => {
                let what = format!(
                    "{} roots, {} packages, {} vulnerabilities",
                    set.roots, set.components, set.vulnerabilities
                );
                line(&mut out, &what);
                ours(&mut out, "warm", &set.times, set.findings);
                peer(&mut out, set.vulnix.as_ref(), set.ratio_to_vulnix);
                let with = &set.with_derivations;
                let text = format!(
                    "with their derivations: {:.0} ms, {:.0} MB",
                    with.wall_ms, with.peak_mb
                );
                line(&mut out, &text);
                index(&mut out, &set.index);
            }
            Self::Deep(deep) => return deep.text(),
            Self::Derivations(read) => {
                let what = format!("{} derivations: {}", read.derivations, read.what);
                line(&mut out, &what);
                for (name, parsed) in [
                    ("json", &read.json),
                    ("aterm", &read.aterm),
                    ("aterm_all_cores", &read.aterm_all_cores),
                ] {
                    let text = format!(
                        "{name}: {:.0} ms for {} bytes",
                        parsed.wall_ms, parsed.bytes
                    );
                    line(&mut out, &text);
                }
                let text = format!("median of {}, {} cores", read.runs, read.cores);
                line(&mut out, &text);
            }
            Self::Update(update) => {
                for text in [
                    format!(
                        "update: {:.2} s for {} of {} records, median of {}",
                        update.wall_s, update.changed, update.records, update.runs
                    ),
                    format!(
                        "delta: {:.2} MB with {} vulnerabilities; base: {:.1} MB; store: {:.1} MB",
                        update.delta_mb,
                        update.delta_vulnerabilities,
                        update.base_mb,
                        update.store_mb
                    ),
                    format!(
                        "all records: {:.1} s to put, {:.1} s to put again, {:.1} s for a base, {:.1} s to compact",
                        update.put_s, update.put_again_s, update.base_s, update.compact_s
                    ),
                    format!(
                        "a lookup: {:.0} ns in the base, {:.0} ns with the delta, {:.2} times as long",
                        update.lookups.base_ns, update.lookups.joined_ns, update.lookups.ratio
                    ),
                    format!(
                        "a scan: {} with the base, {} with the delta, {:.2} times as long",
                        spread(&update.scans.base),
                        spread(&update.scans.joined),
                        update.scans.ratio
                    ),
                    format!(
                        "a client downloads {:.2} MB at first, {:.2} MB for the delta, {:.2} MB for a new base",
                        update.mirror.base_mb, update.mirror.delta_mb, update.mirror.patch_mb
                    ),
                ] {
                    line(&mut out, &text);
                }
            }
        }
        out
    }
}

fn ours(out: &mut String, name: &str, times: &Times, findings: Findings) {
    let text = format!(
        "{name}: {} ({:.0} ms of work), median of {}; {}",
        spread(times),
        times.cpu_ms,
        times.runs,
        found(findings)
    );
    line(out, &text);
}

fn peer(out: &mut String, peer: Option<&Peer>, ratio: Option<f64>) {
    if let (Some(peer), Some(ratio)) = (peer, ratio) {
        let text = format!(
            "  vulnix {}: {}, {ratio:.0} times as long; {}, of {} CVEs",
            peer.version,
            spread(&peer.times),
            found(peer.findings),
            peer.served.cves
        );
        line(out, &text);
    }
}

fn spread(times: &Times) -> String {
    format!(
        "{:.0} ms ({:.0} to {:.0}), {:.0} MB",
        times.wall_ms, times.wall_ms_min, times.wall_ms_max, times.peak_mb
    )
}

fn found(findings: Findings) -> String {
    format!(
        "{} findings in {} packages",
        findings.pairs, findings.packages
    )
}

fn index(out: &mut String, index: &IndexBuild) {
    let text = format!(
        "index of all data: {:.0} ms, {:.0} MB of memory, {:.1} MB large",
        index.wall_ms, index.peak_mb, index.size_mb
    );
    line(out, &text);
}

fn line(out: &mut String, text: &str) {
    // Writing to a string does not fail.
    let _ = writeln!(out, "{text}");
}
