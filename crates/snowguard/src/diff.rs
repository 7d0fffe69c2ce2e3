//! `snowguard diff`.

use snowguard_inventory::Inventory;
use snowguard_report::diff::{Change, diff};
use snowguard_report::{csv, text};

use crate::Findings;
use crate::cli::{Diff, DiffFormat, FailOn, Global};
use crate::config::Config;
use crate::deep::Look;
use crate::error::Failure;
use crate::index::Chosen;
use crate::output::Terminal;
use crate::scan::{Context, json, subject};

pub(crate) fn run(global: &Global, args: &Diff, terminal: &Terminal) -> Result<Findings, Failure> {
    let config = Config::load(global)?;
    let fail_on = config.fail_on(&args.fail_on)?;
    let chosen = Chosen::new(global, &config)?;
    let deep = Look::new(&config, &args.reading, global.quiet, terminal);
    let both = |deep: &Look<'_>| {
        let side = |input| subject(std::slice::from_ref(input), &args.reading, deep);
        Ok::<_, Failure>((side(&args.old)?, side(&args.new)?))
    };
    let (mut old, mut new) = both(&deep)?;
    // What only one side was looked into for would be called fixed, or brought.
    if deep.is_uneven([&old, &new]) {
        (old, new) = both(&deep.never())?;
        if !global.quiet {
            terminal.note(
                "what is inside of files is not compared: not all of both sides is known (--deep reads it)",
            );
        }
    }
    let context = Context::new(
        &config,
        &chosen,
        &args.deciding,
        &args.reading.identities,
        std::slice::from_ref(&args.new),
        global.quiet,
        terminal,
    )?;
    let (old_inventory, new_inventory) = (
        Inventory::of(&old, &context.table),
        Inventory::of(&new, &context.table),
    );
    let difference = context.scan(&old, &old_inventory, false, |_, before| {
        context.scan(&new, &new_inventory, false, |_, now| {
            Ok(diff((before, &old_inventory), (now, &new_inventory)))
        })
    })?;
    let bytes = match args.format {
        DiffFormat::Text => {
            let (width, paint) = terminal.look(args.output.as_deref());
            text::diff(&difference, paint, width, args.all).into_bytes()
        }
        DiffFormat::Json => json(&difference)?,
        DiffFormat::Csv => csv::diff(&difference).into_bytes(),
    };
    terminal.data(&bytes, args.output.as_deref())?;
    let review = fail_on.contains(&FailOn::Review) && !difference.to_review.is_empty();
    let mut brought = difference.brought.iter();
    Ok((review || brought.any(|change| counts(change, &fail_on))).into())
}

fn counts(change: &Change, fail_on: &[FailOn]) -> bool {
    let rating = change
        .severity
        .as_ref()
        .map_or("", |severity| severity.rating);
    let at_least = |ratings: &[&str]| ratings.contains(&rating);
    fail_on.is_empty()
        || fail_on.iter().any(|what| match what {
            FailOn::Affected => true,
            FailOn::Exploited => change.exploited.is_some(),
            FailOn::Critical => at_least(&["critical"]),
            FailOn::High => at_least(&["critical", "high"]),
            FailOn::Medium => at_least(&["critical", "high", "medium"]),
            FailOn::Low => at_least(&["critical", "high", "medium", "low", "none"]),
            FailOn::Review | FailOn::Never => false,
        })
}
