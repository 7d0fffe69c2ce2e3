//! `snowguard fod verify`.

use snowguard_fod::outcome::Verdict;
use snowguard_fod::{Fod, Plan, did_you_mean};
use snowguard_refetch::{Job, Way};
use snowguard_report::fod::{
    Row, Verification, Verified, listing_with_facts, verified, verified_page,
};
use snowguard_report::words::counted;
use snowguard_secrets::KeyDirectory;
use snowguard_store::SecretKey;

use super::queue::outcomes;
use super::terms::Terms;
use super::{derivations, lines};
use crate::Findings;
use crate::cli::Global;
use crate::cli::fod::{Through, Verify, VerifyFormat};
use crate::error::Failure;
use crate::output::Terminal;
use crate::scan::json;

pub(super) fn run(
    global: &Global,
    args: &Verify,
    terminal: &Terminal,
) -> Result<Findings, Failure> {
    check_way(args.proxy, &args.through, "--proxy")?;
    let again = verdicts(&args.again)?;
    let fail_on = fail_on(&args.fail_on)?;
    // Who cannot sign learns it before hours of work.
    let keys = keys(args)?;
    if args.inputs.is_empty() && !args.plan {
        return Err(Failure::message(
            "nothing is named, and to verify the running system is to fetch all of its sources",
        )
        .hint("--plan tells how many that are; `snowguard fod verify /run/current-system` fetches them"));
    }
    let subject = derivations(&args.inputs, &args.from, terminal)?;
    let (listing, fods) = listing_with_facts(&subject);
    let taken: Vec<usize> = (0..listing.fods.len())
        .filter(|at| {
            let row = &listing.fods[*at];
            args.conditions.iter().all(|condition| condition.takes(row))
        })
        .collect();
    // What has none is verified as it is; a condition that takes none is a slip of the pen.
    if taken.is_empty() && listing.fixed_output > 0 {
        let count = counted(
            listing.fixed_output,
            "fixed-output derivation",
            "fixed-output derivations",
        );
        return Err(Failure::message(format!("--where takes none of {count}"))
            .hint("`snowguard fod list --count-by COLUMN` tells which values there are"));
    }
    let terms = Terms::of(args)?;
    let jobs: Vec<Job> = taken
        .iter()
        .map(|at| {
            let row = &listing.fods[*at];
            job(args, &terms, fods[*at], row)
        })
        .collect();
    let (outcomes, egress) = if args.plan {
        (None, None)
    } else {
        let (outcomes, egress) = outcomes(global, args, again.as_deref(), &jobs, terminal)?;
        (Some(outcomes), egress)
    };
    let rows = taken.iter().zip(&jobs).map(|(at, job)| {
        let found = outcomes.as_ref().and_then(|found| found.of(job));
        let (outcome, when) = match found {
            Some(found) => (Some(found.outcome), (found.when, found.is_earlier)),
            None => (None, (None, false)),
        };
        Verified::of(&listing.fods[*at], fods[*at], outcome, when)
    });
    let mut verification = Verification::new(
        listing.subject.clone(),
        listing.fixed_output,
        rows.collect(),
        listing.gaps.clone(),
    );
    verification.egress = egress;
    if let Some(directory) = args.statements.as_deref().filter(|_| !keys.is_empty()) {
        let written = super::statements::write(&verification.fods, &keys, directory)?;
        if !global.quiet {
            let text = format!(
                "{} signed into {directory}",
                counted(written.signed, "statement was", "statements were")
            );
            terminal.note(&text);
            for (count, why) in [
                (written.not_done, "nothing was fetched"),
                (written.undecided, "nothing was decided"),
            ] {
                if count > 0 {
                    let count = counted(count, "is", "are");
                    let text = format!("{count} not signed, since {why}");
                    terminal.note(&text);
                }
            }
            let left = verification.fods.iter().filter(|fod| fod.earlier).count();
            if left > 0 {
                let text = format!(
                    "{} not signed, found by an earlier run or another worker; --again all finds anew",
                    counted(left, "is", "are")
                );
                terminal.note(&text);
            }
        }
    }
    print(args, &verification, terminal)?;
    Ok(verification.has_any(&fail_on).into())
}

/// What is said to a proxy that there is not would be done by nobody.
pub(super) fn check_way(is_proxied: bool, through: &Through, option: &str) -> Result<(), Failure> {
    if is_proxied || through.is_usual() {
        return Ok(());
    }
    Err(Failure::message(
        "--policy, --evidence, --proxy-option, --daemon and --helper are for the proxy, which is not used",
    )
    .hint(format!("{option} goes through it")))
}

/// What is to be done for one.
pub(super) fn job(args: &Verify, terms: &Terms, fod: &Fod, row: &Row) -> Job {
    let mut job = Job {
        terms: terms.text(fod),
        ..Job::of(fod, &row.drv, &row.addresses)
    };
    // Whether it really fetches nothing, and makes what it promises, a build tells.
    if args.build && fod.plan == Plan::Nothing {
        job.way = Way::Build(fod.plan.why());
    }
    if args.proxy {
        job.through_proxy(fod)
    } else {
        job
    }
}

/// The verdicts that make the exit status 1.
fn fail_on(words: &[String]) -> Result<Vec<Verdict>, Failure> {
    if words == ["never"] {
        return Ok(Vec::new());
    }
    words
        .iter()
        .map(|word| verdict(word, "--fail-on", "never"))
        .collect()
}

/// The verdict of a word; one of an option that takes another word as well.
fn verdict(word: &str, option: &str, other: &str) -> Result<Verdict, Failure> {
    Verdict::of(word).ok_or_else(|| {
        let all = Verdict::ALL.map(Verdict::as_str);
        let meant = did_you_mean(word, all.into_iter().chain([other]));
        Failure::message(format!("there is no verdict `{word}`{meant}")).hint(format!(
            "{option} takes {other}, or some of {}",
            all.join(", ")
        ))
    })
}

fn keys(args: &Verify) -> Result<Vec<SecretKey>, Failure> {
    if args.sign.is_empty() {
        return Ok(Vec::new());
    }
    let keys = KeyDirectory::open(&crate::attest::directory(&args.keys)?)?;
    let found = args.sign.iter().map(|name| keys.key(name));
    Ok(found.collect::<Result<_, _>>()?)
}

fn print(args: &Verify, verification: &Verification, terminal: &Terminal) -> Result<(), Failure> {
    let (width, paint) = terminal.look(args.output.as_deref());
    let bytes = match args.format {
        VerifyFormat::Text => verified(verification, paint, width, args.all).into_bytes(),
        VerifyFormat::Json => json(verification)?,
        VerifyFormat::Jsonl => lines(&verification.fods)?,
        VerifyFormat::Html => verified_page(verification).into_bytes(),
    };
    terminal.data(&bytes, args.output.as_deref())
}

/// The verdicts that are to be looked at again; none named stands for all.
fn verdicts(words: &[String]) -> Result<Option<Vec<&'static str>>, Failure> {
    if words.is_empty() {
        return Ok(None);
    }
    if words == ["all"] {
        return Ok(Some(Vec::new()));
    }
    let known = |word: &String| verdict(word, "--again", "all").map(Verdict::as_str);
    words.iter().map(known).collect::<Result<_, _>>().map(Some)
}
