//! `snowguard fod`.

mod build;
mod builds;
mod egress;
mod gate;
mod kept;
mod queue;
mod statements;
mod terms;
mod verify;

use camino::Utf8PathBuf;
use snowguard_inventory::{Gap, Subject};
use snowguard_report::escape;
use snowguard_report::fod::Level;
use snowguard_report::fod::{
    Listing, Unchanged, counted, counts, difference, differing, has_derivations, listed, listing,
};

use crate::Findings;
use crate::cli::fod::{Diff, FailOn, Fod, From, List, ListFormat, Sides};
use crate::cli::{Global, PlainFormat, Reading};
use crate::deep::Look;
use crate::error::Failure;
use crate::output::Terminal;
use crate::scan::json;

pub(crate) fn run(
    global: &Global,
    command: &Fod,
    terminal: &Terminal,
) -> Result<Findings, Failure> {
    match command {
        Fod::List(args) => list(args, terminal),
        Fod::Diff(args) => diff(args, terminal),
        Fod::Gate(args) => gate::run(global, args, terminal),
        Fod::Verify(args) => verify::run(global, args, terminal),
        Fod::Build(args) => build::run(global, args, terminal),
    }
}

fn list(args: &List, terminal: &Terminal) -> Result<Findings, Failure> {
    let subject = derivations(&args.inputs, &args.from, terminal)?;
    let mut listing = listing(&subject);
    listing
        .fods
        .retain(|row| args.conditions.iter().all(|condition| condition.takes(row)));
    let (width, paint) = terminal.look(args.output.as_deref());
    let bytes = if args.count_by.is_empty() {
        match args.format {
            ListFormat::Text => listed(&listing, paint, width, args.all).into_bytes(),
            ListFormat::Json => json(&listing)?,
            ListFormat::Jsonl => lines(&listing.fods)?,
            ListFormat::Html => snowguard_report::fod::page(&listing).into_bytes(),
        }
    } else {
        let counts = counts(&listing, &args.count_by);
        match args.format {
            ListFormat::Text => counted(&counts, &args.count_by, paint, width).into_bytes(),
            ListFormat::Json => json(&counts)?,
            ListFormat::Jsonl => lines(&counts)?,
            ListFormat::Html => {
                return Err(Failure::message("counts have no page of their own")
                    .hint("the page of the list has plots; or take --format json"));
            }
        }
    };
    terminal.data(&bytes, args.output.as_deref())?;
    let findings = fails(&listing, args.fail_on).into();
    // The program ends here. Giving back a hundred thousand derivations one by one would be waited for.
    std::mem::forget((subject, listing));
    Ok(findings)
}

fn diff(args: &Diff, terminal: &Terminal) -> Result<Findings, Failure> {
    let read = |inputs: &[_], from: &From| derivations(inputs, from, terminal);
    let [base, head] = both(&args.base, &args.head, &args.from, read)?;
    let difference = difference(&base, &head);
    let bytes = match args.format {
        PlainFormat::Text => {
            let (width, paint) = terminal.look(args.output.as_deref());
            differing(&difference, paint, width, args.all).into_bytes()
        }
        PlainFormat::Json => json(&difference)?,
    };
    terminal.data(&bytes, args.output.as_deref())?;
    let mut unchanged = difference.unchanged_hash.iter();
    Ok(unchanged.any(Unchanged::is_stale).into())
}

/// Reads what is before a change and what is after it.
fn both(
    base: &Utf8PathBuf,
    head: &Utf8PathBuf,
    from: &Sides,
    read: impl Fn(&[Utf8PathBuf], &From) -> Result<Subject, Failure>,
) -> Result<[Subject; 2], Failure> {
    let read = |input, from| read(std::slice::from_ref(input), &from);
    Ok([read(base, from.base())?, read(head, from.head())?])
}

/// Reads a subject that has derivations.
fn derivations(
    inputs: &[Utf8PathBuf],
    from: &From,
    terminal: &Terminal,
) -> Result<Subject, Failure> {
    let subject = derivations_or_gap(inputs, from, terminal)?;
    if has_derivations(&subject) {
        return Ok(subject);
    }
    Err(Failure::message(format!(
        "which derivations are those of {} is not known: several have the same outputs",
        subject.title
    ))
    .hint(
        "give a set with drvPath (nix-eval-jobs, or nix-env --drv-path of Nix 2.20 or newer), or the derivations of \
         this set alone (of two sets: --base-derivations and --head-derivations)",
    ))
}

/// The same, or one with derivations of which nobody knows whose they are. That is among its gaps.
fn derivations_or_gap(
    inputs: &[Utf8PathBuf],
    from: &From,
    terminal: &Terminal,
) -> Result<Subject, Failure> {
    let reading = Reading {
        store: from.store.clone(),
        derivations: from.derivations.clone(),
        only_beside: true,
        no_deep: true,
        ..Reading::default()
    };
    let subject = crate::read::subject(inputs, &reading, &Look::off(terminal))?;
    let is_ambiguous = |gap: &Gap| matches!(gap, Gap::SeveralDerivations { .. });
    if has_derivations(&subject) || subject.gaps.iter().any(is_ambiguous) {
        return Ok(subject);
    }
    Err(
        Failure::message(format!("no derivation of {} could be read", subject.title)).hint(
            "give its .drv: `nix path-info --derivation INSTALLABLE`, or `nix derivation show -r` \
             (an older Nix: `nix show-derivation -r`); beside a package set, --derivations with those of its packages",
        ),
    )
}

/// One document a line.
fn lines(values: &[impl serde::Serialize]) -> Result<Vec<u8>, Failure> {
    let mut text = String::new();
    for value in values {
        text.push_str(&serde_json::to_string(value).map_err(Failure::new)?);
        text.push('\n');
    }
    Ok(escape::json(text).into_bytes())
}

fn fails(listing: &Listing, on: FailOn) -> bool {
    let least = match on {
        FailOn::Never => return false,
        FailOn::Note => Level::Note,
        FailOn::Warning => Level::Warning,
        FailOn::Error => Level::Error,
    };
    let mut findings = listing.fods.iter().flat_map(|row| &row.findings);
    findings.any(|finding| finding.level >= least)
}
