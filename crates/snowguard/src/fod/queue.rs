//! The queue of `snowguard fod verify` and of the gate: what is to be done goes in, what became of it comes out.

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
use snowguard_http::{Client, Settings};
use snowguard_refetch::{
    Alone, Gate, Git, Guard, HostLimits, Job, Limits, Notice, Scratch, Space, Verifier, Way, Work,
    WorkError, Worked,
};
use snowguard_report::fod::Egress as Told;
use snowguard_report::text::number;
use snowguard_report::words::counted;

use super::builds::{Builds, Ways};
use super::egress::Egress;
use crate::cli::Global;
use crate::cli::fod::Verify;
use crate::error::Failure;
use crate::output::Terminal;

/// What to do where there is no proxy.
const WITHOUT_PROXY: &str = "to go without what holds it to that: `fod gate --verify --direct`, which every report says, or `fod verify` without --proxy";
/// The first pause before what passes is tried again, and the longest.
const PAUSE: SignedDuration = SignedDuration::from_secs(5);
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_mins(10);

/// What became of all, by the keys of their tasks.
#[derive(Debug, Default)]
pub(super) struct Outcomes(HashMap<String, Found>);

/// What became of one.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) outcome: Outcome,
    /// When it was found; none for what needs no finding.
    pub(super) when: Option<String>,
    /// Whether an earlier run found it, or another worker.
    pub(super) is_earlier: bool,
}

impl Outcomes {
    /// What became of one: where a fetch tells nothing of it, of its build.
    pub(super) fn of(&self, job: &Job) -> Option<Found> {
        let fetched = self.0.get(&job.key())?;
        match built_as(job, &fetched.outcome).and_then(|build| self.0.get(&build.key())) {
            Some(built) => {
                let tries = [&*fetched.outcome.tries, &*built.outcome.tries].concat();
                let mut found = built.clone();
                found.outcome.tries = tries;
                Some(found)
            }
            None => Some(fetched.clone()),
        }
    }
}

/// The build that tells what a fetch could not: something of it is only known to its fetcher, a scheme, a kind of
/// member. Those that fetch the same share the fetch; a build is that of one derivation.
fn built_as(job: &Job, fetched: &Outcome) -> Option<Job> {
    let is_untold = matches!(job.way, Way::Fetch(_)) && fetched.verdict == Verdict::NeedsBuilder;
    is_untold.then(|| job.to_be_built())
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
    let mut run = Run {
        global,
        args,
        again,
        queue: &queue,
        worker: format!("{}-{}", std::process::id(), now.as_nanosecond()),
        scratch: &scratch,
        egress: egress.as_deref(),
        builds: builds.as_ref(),
        interrupted: &interrupted,
        terminal,
        keys: HashSet::new(),
        own: HashMap::new(),
    };
    let worked = run.all(&todo);
    let Run {
        worker,
        keys,
        mut own,
        ..
    } = run;
    let built = builds.map(|builds| builds.end(terminal));
    let worked = worked?;
    queue.leave(&worker).map_err(database)?;
    for done in queue.results().map_err(database)? {
        if let Ok(outcome) = serde_json::from_slice::<Outcome>(&done.result)
            && keys.contains(&done.key)
        {
            // What this process found is its own word; the rest is what stands in the database.
            let found = match own.remove(&done.key) {
                Some((outcome, finished)) => Found {
                    outcome,
                    when: Some(finished.to_string()),
                    is_earlier: false,
                },
                None => Found {
                    outcome,
                    when: Some(done.finished.to_string()),
                    is_earlier: true,
                },
            };
            outcomes.0.insert(done.key, found);
        }
    }
    if worked == Worked::Interrupted {
        let left = keys.iter().filter(|key| !outcomes.0.contains_key(*key));
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
        let found = Found {
            outcome,
            when: None,
            is_earlier: false,
        };
        known.0.insert(job.key(), found);
    }
    (todo, known)
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

/// One run of a queue.
struct Run<'r> {
    global: &'r Global,
    args: &'r Verify,
    again: Option<&'r [&'static str]>,
    queue: &'r RefetchQueue,
    worker: String,
    scratch: &'r Scratch,
    egress: Option<&'r Egress>,
    builds: Option<&'r Builds>,
    interrupted: &'r Arc<AtomicBool>,
    terminal: &'r Terminal,
    /// The keys of all that it wants.
    keys: HashSet<String>,
    own: Own,
}

impl Run<'_> {
    /// Does all of these; and then builds those of which a fetch tells nothing, if that is wanted.
    fn all(&mut self, todo: &[&Job]) -> Result<Worked, Failure> {
        self.want(todo)?;
        let worked = self.work(todo)?;
        if self.builds.is_none() || worked == Worked::Interrupted {
            return Ok(worked);
        }
        let results = self.queue.results().map_err(database)?;
        let results: HashMap<String, Outcome> = results
            .into_iter()
            .filter_map(|done| Some((done.key, serde_json::from_slice(&done.result).ok()?)))
            .collect();
        let untold: Vec<Job> = todo
            .iter()
            .filter_map(|job| built_as(job, results.get(&job.key())?))
            .collect();
        if untold.is_empty() {
            return Ok(worked);
        }
        let untold: Vec<&Job> = untold.iter().collect();
        self.want(&untold)?;
        self.work(&untold)
    }

    /// Puts tasks into the queue, and lets be done again what settles nothing for this run.
    fn want(&mut self, todo: &[&Job]) -> Result<(), Failure> {
        let now = Timestamp::now();
        let mut tasks: BTreeMap<String, (String, Vec<u8>)> = BTreeMap::new();
        for job in todo {
            let payload = serde_json::to_vec(job).map_err(Failure::new)?;
            tasks.insert(job.key(), (job.host(), payload));
        }
        let new: Vec<NewTask<'_>> = tasks
            .iter()
            .map(|(key, (host, payload))| NewTask { key, host, payload })
            .collect();
        self.queue.add(&self.worker, &new, now).map_err(database)?;
        drop(new);
        let keys: Vec<String> = tasks.into_keys().collect();
        self.queue
            .again(&keys, &unsettled(self.args, self.again), now)
            .map_err(database)?;
        if let Some(days) = self.args.max_age {
            let age = SignedDuration::from_hours(i64::from(days) * 24);
            self.queue.outdated(&keys, age, now).map_err(database)?;
        }
        self.keys.extend(keys);
        Ok(())
    }

    /// Works until nothing is left of what it wants.
    fn work(&mut self, todo: &[&Job]) -> Result<Worked, Failure> {
        let mut settings = Settings {
            // The queue tries again, and does something else meanwhile.
            attempts: 1,
            longest_pause: Duration::ZERO,
            public_only: !self.args.allow_private,
            ..Settings::from_environment()
        };
        settings.ca_files.extend(self.args.ca_file.clone());
        let client = Client::new(settings, Arc::clone(self.interrupted)).map_err(|error| {
            let hint = error.hint();
            Failure::new(error).maybe_hint(hint)
        })?;
        let gate = Gate::new(HostLimits {
            at_once: self.args.per_host.into(),
            pace: Duration::from_millis(self.args.pace),
        });
        let git = Git {
            public_only: !self.args.allow_private,
            authorities: self.args.ca_file.clone().map(Into::into),
            ..Git::default()
        };
        let builder = self
            .builds
            .map(|builds| builds.builder(self.scratch.path()));
        let store = todo
            .first()
            .and_then(|job| Some(PathBuf::from(job.output.rsplit_once('/')?.0)));
        let bar = if self.terminal.shows_progress() && !self.global.quiet {
            ProgressBar::new(0)
        } else {
            ProgressBar::hidden()
        };
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos} of {len}, {eta} left{msg}")
        {
            bar.set_style(style);
        }
        let space = match self.args.disk {
            Some(mebibytes) => Space::new(mebibytes.saturating_mul(1 << 20)),
            None => Space::of(self.scratch.path()).map_err(|error| {
                Failure::new(error).context("cannot tell how much disk is free")
            })?,
        };
        let mut later = 0_usize;
        let outcome = Work {
            queue: self.queue,
            verifier: Verifier {
                client: &client,
                gate: &gate,
                git: &git,
                builder: builder.as_ref(),
                scratch: self.scratch.path(),
                limits: Limits::default(),
                space: &space,
                store: store.as_deref(),
                guard: self.egress.map(|egress| egress as &dyn Guard),
            },
            worker: &self.worker,
            at_once: self.args.jobs.into(),
            tries: self.args.tries,
            pause: PAUSE,
            longest_pause: LONGEST_PAUSE,
            stop: self.interrupted,
        }
        .run(&mut |notice| match notice {
            Notice::Ended { job, outcome } => {
                bar.inc(1);
                self.own
                    .insert(job.key(), (outcome.clone(), Timestamp::now()));
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
}

fn database(error: DbError) -> Failure {
    let hint = error.hint();
    Failure::new(error).maybe_hint(hint)
}
