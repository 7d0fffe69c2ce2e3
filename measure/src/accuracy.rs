//! Scores the matcher against labelled truth, as the data set's README says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicBool;

use anyhow::{Context as _, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;
use snowguard_advisory::index::Index;
use snowguard_feeds::Import;
use snowguard_inventory::{ComponentId, IdentityTable, Inventory, Nature, Role, SubjectBuilder};
use snowguard_matching::{Decision, Finding, Matcher, Options, Status};

use crate::dataset;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The labelled rows, as CSV.
    #[arg(long)]
    truth: Utf8PathBuf,
    /// The data set.
    #[arg(long)]
    data: Utf8PathBuf,
    /// Which package set of the data set the rows are about.
    #[arg(long, default_value = "nixpkgs-20.09")]
    set: String,
    /// How to print the result.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Writes all findings of the whole set, one JSON document a line.
    #[arg(long)]
    findings: Option<Utf8PathBuf>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Format {
    Text,
    Json,
}

/// One row of the truth.
struct Row {
    attr: String,
    package: String,
    cve: String,
    affected: bool,
    patched: bool,
    sources: String,
}

#[derive(Serialize, Default, Clone)]
struct Score {
    rows: usize,
    positives: usize,
    hits: usize,
    false_alarms: usize,
    precision: f64,
    recall: f64,
    mean_precision: f64,
    mean_recall: f64,
    packages_precision: usize,
    packages_recall: usize,
}

#[derive(Serialize)]
struct Report {
    all: Score,
    without_curl_and_nginx: Score,
    without_rows_only_in_distilled: Score,
    needs_review: usize,
    needs_review_share: f64,
    in_range_patched: usize,
    patched_told_as_patched: usize,
    patched_called_affected: usize,
    errors: BTreeMap<String, Vec<String>>,
    whole_set: WholeSet,
}

#[derive(Serialize, Default)]
struct WholeSet {
    components: usize,
    affected_pairs_without_kernel: usize,
    cves_with_affected: usize,
    mean_per_cve: f64,
    p95_per_cve: usize,
    needs_review_pairs_without_kernel: usize,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let rows = read_truth(&args.truth)?;
    let interrupted = AtomicBool::new(false);
    let mut silent = |_: snowguard_feeds::Event<'_>| {};
    let mut import = Import::new(&interrupted, &mut silent);
    for file in dataset::advisories(&args.data)? {
        import.add(&file)?;
    }
    let built = import.finish()?.built;
    let index = Index::open(&built.bytes)?;

    let mut builder = SubjectBuilder::new();
    let set = snowguard_store::derivation::json::DerivationSet::from_json(
        &dataset::derivations(&args.data, &args.set)?,
        None,
    )?;
    snowguard_sources::derivations::add(
        &mut builder,
        snowguard_sources::derivations::reduce(&set),
        Role::Auxiliary,
    );
    drop(set);
    let packages =
        snowguard_sources::packages::read(&dataset::package_set(&args.data, &args.set)?)?;
    snowguard_sources::packages::add(&mut builder, packages);
    let subject = builder.build(args.set.clone(), Nature::PackageSet);
    let table = IdentityTable::builtin();
    let inventory = Inventory::of(&subject, &table);
    let matches = Matcher::new(index, &table, Options::default()).run(&inventory)?;

    let mut by_attr: BTreeMap<&str, ComponentId> = BTreeMap::new();
    for (id, component) in inventory.iter() {
        for attr in &component.attrs {
            by_attr.insert(attr, id);
        }
    }
    let found: BTreeMap<(ComponentId, &str), &Finding<'_>> = matches
        .findings
        .iter()
        .map(|finding| ((finding.component, finding.id), finding))
        .collect();
    let report = score(
        &rows,
        &by_attr,
        &found,
        whole_set(&inventory, &matches.findings),
    );
    if let Some(path) = &args.findings {
        write_findings(path, &inventory, &matches.findings)?;
    }
    match args.format {
        Format::Json => println!("{}", serde_json::to_string_pretty(&report)?),
        Format::Text => print(&report),
    }
    Ok(())
}

fn score(
    rows: &[Row],
    by_attr: &BTreeMap<&str, ComponentId>,
    found: &BTreeMap<(ComponentId, &str), &Finding<'_>>,
    whole_set: WholeSet,
) -> Report {
    let mut errors: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let (mut review, mut in_range, mut told, mut called_affected, mut counted) = (0, 0, 0, 0, 0);
    let mut outcomes = Vec::new();
    for row in rows.iter().filter(|row| !row.sources.is_empty()) {
        counted += 1;
        let finding = by_attr
            .get(row.attr.as_str())
            .and_then(|id| found.get(&(*id, row.cve.as_str())));
        let status = finding.map(|finding| finding.status);
        let place = format!("{} {}", row.attr, row.cve);
        let mut error = |cause: String| errors.entry(cause).or_default().push(place.clone());
        if status == Some(Status::NeedsReview) {
            review += 1;
        }
        if row.affected && row.patched {
            in_range += 1;
            match status {
                Some(Status::Patched | Status::Fixed) => told += 1,
                Some(Status::Affected) => {
                    called_affected += 1;
                    error("patched, called affected".into());
                }
                _ => error(format!(
                    "patched, {}",
                    status.map_or("silent", Status::as_str)
                )),
            }
        } else if row.affected && status != Some(Status::Affected) {
            let component_known = by_attr.contains_key(row.attr.as_str());
            error(match finding {
                _ if !component_known => "missed: the package was not found".into(),
                None => "missed: silent".into(),
                Some(finding) => format!(
                    "missed: {} ({})",
                    finding.status.as_str(),
                    shown(&finding.decision)
                ),
            });
        } else if !row.affected && status == Some(Status::Affected) {
            let by = finding
                .and_then(|f| f.claims.first())
                .map_or("", |claim| claim.record);
            error(format!(
                "false alarm by {}",
                by.split('-').next().unwrap_or_default()
            ));
        }
        outcomes.push((row, status));
    }
    let all = tally(&outcomes, |_| true);
    Report {
        all,
        without_curl_and_nginx: tally(&outcomes, |row| {
            !matches!(row.package.as_str(), "curl" | "nginx")
        }),
        without_rows_only_in_distilled: tally(&outcomes, |row| row.sources != "cve5-distilled"),
        needs_review: review,
        needs_review_share: share(review, counted),
        in_range_patched: in_range,
        patched_told_as_patched: told,
        patched_called_affected: called_affected,
        errors,
        whole_set,
    }
}

fn shown(decision: &Decision) -> String {
    match decision {
        Decision::Doubt(doubt) => doubt.to_string(),
        other => format!("{other:?}"),
    }
}

fn tally(outcomes: &[(&Row, Option<Status>)], counts: impl Fn(&Row) -> bool) -> Score {
    let mut by_package: BTreeMap<&str, (usize, usize, usize)> = BTreeMap::new();
    let mut score = Score::default();
    for (row, status) in outcomes.iter().filter(|(row, _)| counts(row)) {
        score.rows += 1;
        let (positives, hits, alarms) = by_package.entry(&row.attr).or_default();
        let called = *status == Some(Status::Affected);
        if row.affected && !row.patched {
            *positives += 1;
            *hits += usize::from(called);
        } else if !row.affected {
            *alarms += usize::from(called);
        }
    }
    let (mut precisions, mut recalls) = (Vec::new(), Vec::new());
    for (positives, hits, alarms) in by_package.into_values() {
        score.positives += positives;
        score.hits += hits;
        score.false_alarms += alarms;
        if hits + alarms > 0 {
            precisions.push(share(hits, hits + alarms));
        }
        if positives > 0 {
            recalls.push(share(hits, positives));
        }
    }
    score.precision = share(score.hits, score.hits + score.false_alarms);
    score.recall = share(score.hits, score.positives);
    score.mean_precision = mean(&precisions);
    score.mean_recall = mean(&recalls);
    score.packages_precision = precisions.len();
    score.packages_recall = recalls.len();
    score
}

#[expect(clippy::cast_precision_loss, reason = "counts of rows")]
fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of packages")]
fn mean(values: &[f64]) -> f64 {
    if values.is_empty() {
        0.0
    } else {
        values.iter().sum::<f64>() / values.len() as f64
    }
}

/// Findings over the whole set, by distinct name and version, without the kernel.
fn whole_set(inventory: &Inventory, findings: &[Finding<'_>]) -> WholeSet {
    let mut affected: BTreeMap<&str, BTreeSet<(&str, &str)>> = BTreeMap::new();
    let mut review = BTreeSet::new();
    for finding in findings {
        let Some(component) = inventory.get(finding.component) else {
            continue;
        };
        if is_kernel(&component.pname) {
            continue;
        }
        let which = (&*component.pname, &*component.version);
        match finding.status {
            Status::Affected => {
                affected.entry(finding.id).or_default().insert(which);
            }
            Status::NeedsReview => {
                review.insert((finding.id, which));
            }
            _ => {}
        }
    }
    let mut counts: Vec<usize> = affected.values().map(BTreeSet::len).collect();
    counts.sort_unstable();
    let pairs = counts.iter().sum();
    WholeSet {
        components: inventory.components.len(),
        affected_pairs_without_kernel: pairs,
        cves_with_affected: counts.len(),
        mean_per_cve: share(pairs, counts.len()),
        p95_per_cve: counts.get(counts.len() * 95 / 100).copied().unwrap_or(0),
        needs_review_pairs_without_kernel: review.len(),
    }
}

fn is_kernel(pname: &str) -> bool {
    pname == "linux" || pname.starts_with("linux-")
}

fn write_findings(path: &Utf8Path, inventory: &Inventory, findings: &[Finding<'_>]) -> Result<()> {
    let mut out = String::new();
    for finding in findings.iter().filter(|f| {
        matches!(
            f.status,
            Status::Affected | Status::NeedsReview | Status::Patched
        )
    }) {
        let Some(component) = inventory.get(finding.component) else {
            continue;
        };
        let claims: Vec<_> = finding
            .claims
            .iter()
            .map(|claim| {
                serde_json::json!({
                    "record": claim.record,
                    "by": claim.by,
                    "product": claim.product.to_string(),
                    "certainty": format!("{:?}", claim.certainty),
                    "why": claim.why.to_string(),
                    "outcome": format!("{:?}", claim.outcome),
                })
            })
            .collect();
        let line = serde_json::json!({
            "pname": component.pname, "version": component.version, "language": component.language.map(snowguard_inventory::naming::Language::as_str),
            "attrs": component.attrs.iter().take(3).collect::<Vec<_>>(),
            "id": finding.id, "status": finding.status.as_str(), "decision": shown(&finding.decision), "claims": claims,
        });
        out.push_str(&line.to_string());
        out.push('\n');
    }
    std::fs::write(path, out).with_context(|| format!("cannot write {path}"))
}

fn print(report: &Report) {
    let line = |name: &str, score: &Score| {
        println!(
            "{name:<34} rows {:>4}  precision {:.4}  recall {:.4}  mean precision {:.4} ({})  mean recall {:.4} ({})",
            score.rows,
            score.precision,
            score.recall,
            score.mean_precision,
            score.packages_precision,
            score.mean_recall,
            score.packages_recall
        );
    };
    line("all", &report.all);
    line("without curl and nginx", &report.without_curl_and_nginx);
    line(
        "without rows only in distilled",
        &report.without_rows_only_in_distilled,
    );
    println!(
        "needs review: {} ({:.1} %)",
        report.needs_review,
        100.0 * report.needs_review_share
    );
    println!(
        "in range and patched: {}; told as patched: {}; called affected: {}",
        report.in_range_patched, report.patched_told_as_patched, report.patched_called_affected
    );
    let whole = &report.whole_set;
    println!(
        "whole set: {} components, {} affected pairs without kernel over {} CVEs (mean {:.2}, 95th percentile {}), {} to review",
        whole.components,
        whole.affected_pairs_without_kernel,
        whole.cves_with_affected,
        whole.mean_per_cve,
        whole.p95_per_cve,
        whole.needs_review_pairs_without_kernel
    );
    for (cause, places) in &report.errors {
        println!("{cause}: {}", places.len());
        for place in places {
            println!("    {place}");
        }
    }
}

fn read_truth(path: &Utf8Path) -> Result<Vec<Row>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    let mut records = csv(&text).into_iter();
    let header = records.next().context("the truth is empty")?;
    let column = |name: &str| {
        header
            .iter()
            .position(|field| field == name)
            .with_context(|| format!("no column {name} in {path}"))
    };
    let [attr, package, cve, affected, patched, sources] = [
        "nixpkgs_attr",
        "package",
        "cve",
        "affected",
        "patched",
        "structured_sources",
    ]
    .map(column);
    let (attr, package, cve, affected, patched, sources) =
        (attr?, package?, cve?, affected?, patched?, sources?);
    records
        .map(|record| {
            if record.len() != header.len() {
                bail!(
                    "a row of {path} has {} fields, its head has {}",
                    record.len(),
                    header.len()
                );
            }
            Ok(Row {
                attr: record[attr].clone(),
                package: record[package].clone(),
                cve: record[cve].clone(),
                affected: record[affected] == "yes",
                patched: record[patched] == "yes",
                sources: record[sources].clone(),
            })
        })
        .collect()
}

/// RFC 4180, as far as the truth needs it: quoted fields with doubled quotes and line ends.
fn csv(text: &str) -> Vec<Vec<String>> {
    let (mut records, mut record, mut field) = (Vec::new(), Vec::new(), String::new());
    let mut quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => record.push(std::mem::take(&mut field)),
            '\r' if !quoted => {}
            '\n' if !quoted => {
                record.push(std::mem::take(&mut field));
                records.push(std::mem::take(&mut record));
            }
            other => field.push(other),
        }
    }
    if !field.is_empty() || !record.is_empty() {
        record.push(field);
        records.push(record);
    }
    records
}
