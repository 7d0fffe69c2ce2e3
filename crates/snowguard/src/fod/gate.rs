//! `snowguard fod gate`.

use std::collections::HashSet;

use camino::Utf8Path;
use snowguard_formats::Layout;
use snowguard_inventory::Subject;
use snowguard_refetch::Job;
use snowguard_report::fod::gate::{
    Gate, GateRule, Terms, Verified, Waivers, gate, gated, log, summary,
};
use snowguard_report::fod::{Difference, Egress, Level, difference, listing_with_facts};

use super::{both, derivations_or_gap, queue, verify};
use crate::Findings;
use crate::cli::Global;
use crate::cli::fod::gate::{Gate as Args, GateFormat};
use crate::cli::fod::{self, FailOn, Verify, VerifyFormat};
use crate::error::Failure;
use crate::output::Terminal;
use crate::scan::{json, now};

pub(super) fn run(global: &Global, args: &Args, terminal: &Terminal) -> Result<Findings, Failure> {
    // What is small and wrong is told before what takes long.
    verify::check_way(args.verify && !args.direct, &args.through, "--verify")?;
    let waivers = args
        .waivers
        .as_deref()
        .map_or(Ok(Waivers::default()), waivers)?;
    let mut verified = args.verified.as_deref().map(verified).transpose()?;
    let read = |inputs: &[_], from: &fod::From| derivations_or_gap(inputs, from, terminal);
    let [base, head] = both(&args.base, &args.head, &args.from, read)?;
    let difference = difference(&base, &head);
    let mut egress = None;
    if args.verify {
        let (found, way) = again(global, args, &head, &difference, terminal)?;
        (verified, egress) = (Some(found), way);
    }
    let gate = gate(
        &difference,
        &Terms {
            fail_on: level(args.fail_on),
            today: now().1,
            waivers: &waivers,
            verified: verified.as_ref(),
            egress: egress.as_ref(),
            allow_incomplete: args.allow_incomplete,
        },
    );
    if let Some(file) = &args.summary {
        terminal.data(summary(&gate).as_bytes(), Some(file))?;
    }
    if let Some(file) = &args.sarif {
        terminal.data(&sarif(&gate)?, Some(file))?;
    }
    if let Some(file) = &args.json {
        terminal.data(&json(&gate)?, Some(file))?;
    }
    let bytes = match args.format {
        GateFormat::Text => {
            let (width, paint) = terminal.look(args.output.as_deref());
            gated(&gate, paint, width).into_bytes()
        }
        GateFormat::Markdown => summary(&gate).into_bytes(),
        GateFormat::Json => json(&gate)?,
        GateFormat::Sarif => sarif(&gate)?,
    };
    terminal.data(&bytes, args.output.as_deref())?;
    Ok((!gate.passed).into())
}

/// Fetches again what was added or altered.
fn again(
    global: &Global,
    args: &Args,
    head: &Subject,
    difference: &Difference,
    terminal: &Terminal,
) -> Result<(Verified, Option<Egress>), Failure> {
    let changed: HashSet<&str> = difference.changed().map(|row| row.drv.as_str()).collect();
    let (listing, fods) = listing_with_facts(head);
    let asked = Verify {
        inputs: Vec::new(),
        from: args.from.head(),
        conditions: Vec::new(),
        plan: false,
        jobs: args.jobs,
        per_host: args.per_host,
        pace: args.pace,
        tries: args.tries,
        disk: None,
        queue: args.queue.clone(),
        again: Vec::new(),
        max_age: Some(7),
        fail_on: Vec::new(),
        build: args.build,
        build_store: args.build_store.clone(),
        build_timeout: args.build_timeout,
        proxy: !args.direct,
        through: args.through.clone(),
        allow_private: args.allow_private,
        ca_file: args.ca_file.clone(),
        sign: Vec::new(),
        keys: crate::cli::attest::Keys::default(),
        statements: None,
        format: VerifyFormat::Json,
        output: None,
        all: true,
    };
    let terms = super::terms::Terms::of(&asked)?;
    let jobs: Vec<Job> = listing
        .fods
        .iter()
        .zip(fods)
        .filter(|(row, _)| changed.contains(row.drv.as_str()))
        .map(|(row, fod)| verify::job(&asked, &terms, fod, row))
        .collect();
    let (outcomes, egress) = queue::outcomes(global, &asked, None, &jobs, terminal)?;
    let told = jobs.iter().filter_map(|job| {
        let found = outcomes.of(job)?;
        Some((job.drv.clone(), found.outcome, found.is_earlier))
    });
    Ok((Verified::new(told), egress))
}

fn sarif(gate: &Gate) -> Result<Vec<u8>, Failure> {
    let log = log(gate, env!("CARGO_PKG_VERSION"));
    log.to_json(Layout::Pretty).map_err(Failure::new)
}

fn level(on: FailOn) -> Option<Level> {
    match on {
        FailOn::Never => None,
        FailOn::Note => Some(Level::Note),
        FailOn::Warning => Some(Level::Warning),
        FailOn::Error => Some(Level::Error),
    }
}

#[expect(clippy::disallowed_methods, reason = "the face reads its settings")]
fn waivers(path: &Utf8Path) -> Result<Waivers, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| Failure::cannot_read_settings(path, source))?;
    let rules: Vec<&str> = GateRule::waivable().map(GateRule::as_str).collect();
    Waivers::parse(&text, &rules).map_err(|error| {
        Failure::new(error)
            .context(format!("cannot use {path}"))
            .hint("a waiver has rule, output, reason and expires, and may have url and rev")
            .hint(format!("rules are {}", rules.join(", ")))
    })
}

#[expect(clippy::disallowed_methods, reason = "the face reads its input")]
fn verified(path: &Utf8Path) -> Result<Verified, Failure> {
    let bytes = std::fs::read(path).map_err(|source| Failure::cannot_read(path, source))?;
    Verified::read(&bytes)
        .map_err(|error| Failure::new(error).context(format!("cannot use {path}")))
}
