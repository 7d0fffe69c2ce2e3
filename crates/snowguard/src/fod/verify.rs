//! `snowguard fod verify`.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use jiff::{SignedDuration, Timestamp};
use snowguard_db::DbError;
use snowguard_db::refetch::{NewTask, RefetchQueue};
use snowguard_fod::outcome::{Outcome, Verdict};
use snowguard_fod::{Fod, Plan, did_you_mean};
use snowguard_http::{Client, Settings};
use snowguard_refetch::{
    Alone, Gate, Git, Guard, HostLimits, Job, Limits, Notice, Scratch, Space, Verifier, Way, Work,
    WorkError, Worked,
};
use snowguard_report::fod::{
    Egress as Told, Row, Verification, Verified, listing_with_facts, verified, verified_page,
};
use snowguard_report::text::number;
use snowguard_report::words::counted;
use snowguard_secrets::KeyDirectory;
use snowguard_store::SecretKey;

use super::builds::{Builds, Ways};
use super::egress::Egress;
use super::terms::Terms;
use super::{derivations, lines};
use crate::Findings;
use crate::cli::Global;
use crate::cli::fod::{Through, Verify, VerifyFormat};
use crate::error::Failure;
use crate::output::Terminal;
use crate::scan::json;

/// What to do where there is no proxy.
const WITHOUT_PROXY: &str = "to go without what holds it to that: `fod gate --verify --direct`, which every report says, or `fod verify` without --proxy";
/// The first pause before what passes is tried again, and the longest.
const PAUSE: SignedDuration = SignedDuration::from_secs(5);
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_mins(10);

/// Outcomes by the keys of their tasks, and when each was found.
#[derive(Debug, Default)]
pub(super) struct Outcomes {
    found: HashMap<String, (Outcome, Option<String>)>,
    /// The keys of those that this process did not find itself.
    earlier: HashSet<String>,
}

impl Outcomes {
    pub(super) fn get(&self, key: &str) -> Option<&(Outcome, Option<String>)> {
        self.found.get(key)
    }

    /// Whether an earlier run found it, or another worker.
    pub(super) fn is_earlier(&self, key: &str) -> bool {
        self.earlier.contains(key)
    }
}

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
        let key = job.key();
        let found = outcomes.as_ref().and_then(|found| found.get(&key));
        let (outcome, checked) = found.cloned().unzip();
        let is_earlier = outcomes
            .as_ref()
            .is_some_and(|found| found.is_earlier(&key));
        let when = (checked.flatten(), is_earlier);
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

/// The verdicts of a queue that settle nothing for this run, beside those that were asked for; none stands for all.
fn unsettled(args: &Verify, again: Option<&[&'static str]>) -> Vec<&'static str> {
    if again.is_some_and(<[_]>::is_empty) {
        return Vec::new();
    }
    let mut verdicts = again.unwrap_or_default().to_vec();
    verdicts.push(Verdict::Transient.as_str());
    if args.build {
        verdicts.push(Verdict::NeedsBuilder.as_str());
    }
    // Exceptions come and go.
    if args.allow_private || args.proxy {
        verdicts.push(Verdict::Denied.as_str());
    }
    if args.ca_file.is_some() {
        verdicts.push(Verdict::Tls.as_str());
    }
    verdicts
}

/// What this process found itself, and when.
type Own = HashMap<String, (Outcome, Timestamp)>;

/// Does what is to be done, and tells what came of all.
pub(super) fn outcomes(
    global: &Global,
    args: &Verify,
    again: Option<&[&'static str]>,
    jobs: &[Job],
    terminal: &Terminal,
) -> Result<(Outcomes, Option<Told>), Failure> {
    let scratch = Scratch::new()
        .map_err(|error| Failure::new(error).context("cannot make a directory for a while"))?;
    let (todo, mut outcomes) = divide(jobs, args.build);
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&interrupted);
    // A second handler cannot be set; then Ctrl-C ends the program at once, which loses nothing of a queue. So does the
    // second one.
    let _ = ctrlc::set_handler(move || interrupt(&flag));
    // Before anything is fetched: what protects must be there.
    let ways = if todo.is_empty() {
        None
    } else {
        let started = Ways::start(args, terminal, global.quiet);
        Some(started.map_err(|failure| {
            let without = args.proxy.then_some(WITHOUT_PROXY);
            failure.maybe_hint(without)
        })?)
    };
    let (egress, builds) = ways.map_or((None, None), |ways| (ways.egress, ways.builds));
    let name = match &args.queue {
        Some(name) => name.clone(),
        None => scratch.path().join("queue.db").display().to_string(),
    };
    let is_file = !name.contains("://");
    let alone = if is_file {
        let taken = Alone::at(Path::new(&name))
            .map_err(|error| Failure::cannot_write(name.as_str().into(), error))?;
        let taken = taken.ok_or_else(|| {
            Failure::message(format!("another process is at the queue {name}"))
                .hint("wait for it; several work together on a queue in PostgreSQL")
        })?;
        Some(taken)
    } else {
        None
    };
    let queue = RefetchQueue::open(&name).map_err(database)?;
    let now = Timestamp::now();
    if alone.is_some() {
        queue.take_back_all(now).map_err(database)?;
    }
    let worker = format!("{}-{}", std::process::id(), now.as_nanosecond());
    let keys = fill(&queue, &worker, &todo, now)?;
    queue
        .again(&keys, &unsettled(args, again), now)
        .map_err(database)?;
    if let Some(days) = args.max_age {
        let age = SignedDuration::from_hours(i64::from(days) * 24);
        queue.outdated(&keys, age, now).map_err(database)?;
    }
    let mut own = HashMap::new();
    let worked = work(
        global,
        args,
        (&queue, &worker, &mut own),
        (&scratch, egress.as_deref(), builds.as_ref()),
        &interrupted,
        jobs,
        terminal,
    );
    let built = builds.map(|builds| builds.end(terminal));
    let worked = worked?;
    queue.leave(&worker).map_err(database)?;
    for done in queue.results().map_err(database)? {
        if let Ok(outcome) = serde_json::from_slice::<Outcome>(&done.result) {
            // What this process found is its own word; the rest is what stands in the database.
            let (outcome, finished) = own.remove(&done.key).unwrap_or_else(|| {
                outcomes.earlier.insert(done.key.clone());
                (outcome, done.finished)
            });
            let found = (outcome, Some(finished.to_string()));
            outcomes.found.insert(done.key, found);
        }
    }
    if worked == Worked::Interrupted {
        let left = keys.iter().filter(|key| outcomes.get(key).is_none());
        let left = counted(left.count(), "is", "are");
        return Err(match &args.queue {
            Some(_) => Failure::message(format!("interrupted; {left} left"))
                .hint("run it again with the same --queue: it goes on from there"),
            None => Failure::message(format!("interrupted; {left} left, and nothing is kept"))
                .hint("--queue FILE keeps what was done"),
        });
    }
    let told = match egress {
        Some(egress) => Some(egress.told(built.unwrap_or_default())),
        None => (!todo.is_empty()).then_some(Told::Direct),
    };
    Ok((outcomes, told))
}

/// Wants an end of what is under way; said again, it is one.
#[expect(
    clippy::exit,
    reason = "who says it twice waits for nothing, and nothing that was done is lost"
)]
fn interrupt(flag: &AtomicBool) {
    if flag.swap(true, Ordering::Relaxed) {
        std::process::exit(2);
    }
}

/// What has to be done, and what is known without.
fn divide(jobs: &[Job], builds: bool) -> (Vec<&Job>, Outcomes) {
    let mut known = Outcomes::default();
    let mut todo = Vec::new();
    for job in jobs {
        let (verdict, reason) = match &job.way {
            Way::Never(why) => (Verdict::NotFetchable, why),
            Way::Build(why) if !builds => (Verdict::NeedsBuilder, why),
            Way::Build(_) | Way::Fetch(_) => {
                todo.push(job);
                continue;
            }
        };
        let outcome = Outcome {
            verdict,
            reason: reason.clone(),
            found_by: None,
            got: None,
            difference: None,
            tries: Vec::new(),
        };
        known.found.insert(job.key(), (outcome, None));
    }
    (todo, known)
}

/// Puts tasks into the queue; their keys.
fn fill(
    queue: &RefetchQueue,
    worker: &str,
    todo: &[&Job],
    now: Timestamp,
) -> Result<Vec<String>, Failure> {
    let mut tasks: BTreeMap<String, (String, Vec<u8>)> = BTreeMap::new();
    for job in todo {
        let payload = serde_json::to_vec(job).map_err(Failure::new)?;
        tasks.insert(job.key(), (job.host(), payload));
    }
    let new: Vec<NewTask<'_>> = tasks
        .iter()
        .map(|(key, (host, payload))| NewTask { key, host, payload })
        .collect();
    queue.add(worker, &new, now).map_err(database)?;
    drop(new);
    Ok(tasks.into_keys().collect())
}

fn work(
    global: &Global,
    args: &Verify,
    (queue, worker, own): (&RefetchQueue, &str, &mut Own),
    (scratch, egress, builds): (&Scratch, Option<&Egress>, Option<&Builds>),
    interrupted: &Arc<AtomicBool>,
    jobs: &[Job],
    terminal: &Terminal,
) -> Result<Worked, Failure> {
    let mut settings = Settings {
        // The queue tries again, and does something else meanwhile.
        attempts: 1,
        longest_pause: Duration::ZERO,
        public_only: !args.allow_private,
        ..Settings::from_environment()
    };
    settings.ca_files.extend(args.ca_file.clone());
    let client = Client::new(settings, Arc::clone(interrupted)).map_err(|error| {
        let hint = error.hint();
        Failure::new(error).maybe_hint(hint)
    })?;
    let gate = Gate::new(HostLimits {
        at_once: args.per_host.into(),
        pace: Duration::from_millis(args.pace),
    });
    let git = Git {
        public_only: !args.allow_private,
        authorities: args.ca_file.clone().map(Into::into),
        ..Git::default()
    };
    let builder = builds.map(|builds| builds.builder(scratch.path()));
    let store = jobs
        .first()
        .and_then(|job| Some(PathBuf::from(job.output.rsplit_once('/')?.0)));
    let bar = if terminal.shows_progress() && !global.quiet {
        ProgressBar::new(0)
    } else {
        ProgressBar::hidden()
    };
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos} of {len}, {eta} left{msg}") {
        bar.set_style(style);
    }
    let space = match args.disk {
        Some(mebibytes) => Space::new(mebibytes.saturating_mul(1 << 20)),
        None => Space::of(scratch.path())
            .map_err(|error| Failure::new(error).context("cannot tell how much disk is free"))?,
    };
    let mut later = 0_usize;
    let outcome = Work {
        queue,
        verifier: Verifier {
            client: &client,
            gate: &gate,
            git: &git,
            builder: builder.as_ref(),
            scratch: scratch.path(),
            limits: Limits::default(),
            space: &space,
            store: store.as_deref(),
            guard: egress.map(|egress| egress as &dyn Guard),
        },
        worker,
        at_once: args.jobs.into(),
        tries: args.tries,
        pause: PAUSE,
        longest_pause: LONGEST_PAUSE,
        stop: interrupted,
    }
    .run(&mut |notice| match notice {
        Notice::Ended { job, outcome } => {
            bar.inc(1);
            own.insert(job.key(), (outcome.clone(), Timestamp::now()));
        }
        Notice::Later { .. } => {
            later += 1;
            bar.set_message(format!(", {} tried again", number(later)));
        }
        Notice::Counts(counts) => {
            bar.set_length(counts.waiting + counts.running + counts.done);
            bar.set_position(counts.done);
        }
    });
    bar.finish_and_clear();
    outcome.map_err(|error| match error {
        WorkError::Queue(error) => database(error),
        WorkError::Halt(error) => Failure::new(error),
    })
}

fn database(error: DbError) -> Failure {
    let hint = error.hint();
    Failure::new(error).maybe_hint(hint)
}
