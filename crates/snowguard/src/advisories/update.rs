//! `snowguard advisories update`: the feeds, fetched.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use camino::Utf8Path;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use snowguard_advisory::read::With;
use snowguard_feeds::segments::WrittenFile;
use snowguard_feeds::update::error_text;
use snowguard_feeds::{
    Done, Feed, FeedSettings, FeedsPlace, IndexFile, Notice, Outcome, Report, Status, Update,
    UpdateError,
};
use snowguard_http::{Client, HttpError};
use snowguard_report::escape::line;
use snowguard_report::text::number;

use super::{of, size, target};
use crate::Findings;
use crate::cli::{self, Global};
use crate::config::Config;
use crate::error::Failure;
use crate::output::Terminal;

/// How many unreadable records are told.
const TOLD: usize = 10;

pub(crate) fn run(
    global: &Global,
    args: &cli::Update,
    terminal: &Terminal,
) -> Result<Findings, Failure> {
    if let (Some(from), Some(key)) = (&args.from, &args.key) {
        return super::mirror::run(global, args, from, key, terminal);
    }
    let config = Config::load(global)?;
    let settings = config.feeds.feeds(&config, args)?;
    let index = target(global, &config, args.output.as_deref())?;
    let only = args
        .only
        .iter()
        .map(|name| name.parse::<Feed>())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| Failure::new(error).hint("--only takes names with commas between"))?;
    if args.offline_check {
        return check(&settings, &only, &index, global.quiet, terminal);
    }
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&interrupted);
    // A second handler cannot be set; then Ctrl-C ends the program at once, which loses nothing.
    let _ = ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed));
    let client = Client::new(config.feeds.network(args), Arc::clone(&interrupted))
        .map_err(|error| network(&error, error_text(&error)))?;
    #[expect(
        clippy::disallowed_methods,
        reason = "a person wants to know how long it took"
    )]
    let start = Instant::now();
    let mut shown = Shown::new(terminal, global.quiet);
    let update = Update {
        with: With::Facts,
        index: &index,
        settings: &settings,
        only: &only,
        client: &client,
        interrupted: &interrupted,
        clock: &Timestamp::now,
    };
    let report = update.run(&mut |notice| shown.notice(&notice));
    shown.bar.finish_and_clear();
    let report = report.map_err(failure)?;
    if !global.quiet {
        let text = summary(&report, &index, start.elapsed())?;
        terminal.data(text.as_bytes(), None)?;
    }
    let status = Status::load(&FeedsPlace::of(&index).status());
    outcome(&report, &status)
}

fn outcome(report: &Report, status: &Status) -> Result<Findings, Failure> {
    if report.interrupted {
        return Err(
            Failure::message("interrupted; what was whole by then is kept")
                .hint("run it again: it goes on from there"),
        );
    }
    let failed: Vec<&str> = report
        .outcomes
        .iter()
        .filter(|outcome| outcome.result.is_err())
        .map(|outcome| outcome.part.as_str())
        .collect();
    let all = report.outcomes.len();
    let few = |parts: &[&str]| match parts {
        [first @ .., _] if parts.len() > 5 => {
            format!("{} and {} more", first[..5].join(", "), parts.len() - 5)
        }
        _ => parts.join(", "),
    };
    let here = |part: &&str| {
        let known = status.feeds.get(*part);
        known.is_some_and(|known| known.edition.is_some())
    };
    let failure = if failed.is_empty() {
        None
    } else {
        Some(format!(
            "{} of {all} feeds failed: {}",
            failed.len(),
            few(&failed)
        ))
    };
    if !report.lacking.is_empty() {
        let lacking: Vec<&str> = report.lacking.iter().map(String::as_str).collect();
        let stays = format!(
            "the index stays as it was: it was not made from these feeds, and without {} the new one \
             would know less",
            few(&lacking)
        );
        let text = match failure {
            Some(failure) => format!("{failure}; {stays}"),
            None => stays,
        };
        return Err(Failure::message(text).hint(
            "an update of all feeds replaces it; a feed that you do without is switched off in the \
             settings",
        ));
    }
    let Some(failure) = failure else {
        return Ok(Findings::None);
    };
    let missing: Vec<&str> = failed.iter().copied().filter(|part| !here(part)).collect();
    Err(Failure::message(if missing.is_empty() {
        format!("{failure}; their last good editions stay in force")
    } else if missing.len() == failed.len() {
        format!("{failure}; no edition of them is here yet")
    } else {
        format!(
            "{failure}; no edition of {} is here yet, the others' last good ones stay in force",
            few(&missing)
        )
    }))
}

/// Progress on a terminal, and at once what a person must know.
struct Shown<'t> {
    terminal: &'t Terminal,
    bar: ProgressBar,
}

impl<'t> Shown<'t> {
    fn new(terminal: &'t Terminal, quiet: bool) -> Self {
        let bar = if terminal.shows_progress() && !quiet {
            ProgressBar::new_spinner()
        } else {
            ProgressBar::hidden()
        };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix}: {msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        Self { terminal, bar }
    }

    fn notice(&mut self, notice: &Notice<'_>) {
        match *notice {
            Notice::Waiting => {
                self.terminal
                    .warning("another update is at work; this one waits for it");
            }
            Notice::WaitingForIndex => {
                self.told(|terminal| terminal.warning(super::WAITING));
            }
            Notice::Begin { part } => {
                self.bar.set_prefix(line(part).into_owned());
                self.bar.set_message("asking");
            }
            Notice::Here {
                file, length, of, ..
            } => {
                let of = of.map_or(String::new(), |of| format!(" of {}", bytes(of)));
                let message = format!("{} {}{of}", line(file), bytes(length));
                self.bar.set_message(message);
            }
            Notice::Again { part, error, after } => {
                let text = format!(
                    "{part}: {}; trying again in {}",
                    error_text(error),
                    seconds(after)
                );
                self.told(|terminal| terminal.warning(&text));
            }
            Notice::Reading { records, .. } => {
                self.bar.set_message(format!("{} records", count(records)));
            }
            Notice::End { outcome } => self.told(|terminal| end(terminal, outcome)),
            Notice::Assembling => {
                self.bar.set_prefix("index");
                self.bar.set_message("putting it together");
            }
        }
    }

    fn told(&self, tell: impl FnOnce(&Terminal)) {
        self.bar.suspend(|| tell(self.terminal));
    }
}

/// Tells what went wrong with a part.
fn end(terminal: &Terminal, Outcome { part, result }: &Outcome) {
    match result {
        Ok(done) => {
            for problem in done.problems.iter().take(TOLD) {
                terminal.warning(&format!("{part}: skipped {problem}"));
            }
            if done.skipped > TOLD as u64 {
                terminal.warning(&format!("{part}: skipped {} in all", count(done.skipped)));
            }
        }
        Err(error) => {
            terminal.error(&format!("{part}: {}", error_text(error)));
            if let Some(hint) = error.hint() {
                terminal.hint(hint);
            }
        }
    }
}

fn summary(report: &Report, index: &Utf8Path, took: Duration) -> Result<String, Failure> {
    let status = Status::load(&FeedsPlace::of(index).status());
    let mut text = String::new();
    let width = report
        .outcomes
        .iter()
        .map(|outcome| outcome.part.as_str())
        .chain(report.dropped.iter().map(|(part, _)| part.as_str()))
        .map(|part| part.chars().count())
        .max()
        .unwrap_or(0);
    for outcome in &report.outcomes {
        let known = status.feeds.get(&outcome.part);
        let edition = match &outcome.result {
            Ok(done) if !done.edition.is_empty() => Some(done.edition.as_str()),
            _ => known.and_then(|known| known.edition.as_deref()),
        };
        let said = match &outcome.result {
            Ok(done) => changes(done),
            Err(_) if edition.is_some() => "failed; this edition stays".to_owned(),
            Err(_) => "failed".to_owned(),
        };
        let edition = edition.unwrap_or("none yet");
        let part = line(&outcome.part);
        let row = format!("{part:<width$}  {:<24}  {said}", line(edition));
        let _ = writeln!(text, "{}", row.trim_end());
    }
    for (part, removed) in &report.dropped {
        let removed = count(*removed);
        let _ = writeln!(
            text,
            "{:<width$}  {:<24}  {removed} gone",
            line(part),
            "not chosen"
        );
    }
    let _ = writeln!(text, "{}", line(index.as_str()));
    if let Some(written) = &report.index {
        let held = format!(
            "{}, {}",
            of(
                written.vulnerabilities as u64,
                "vulnerability",
                "vulnerabilities"
            ),
            size(written.bytes)
        );
        let what = match written.what {
            WrittenFile::Nothing => "as it was".to_owned(),
            WrittenFile::Delta => format!("a delta of {held}"),
            WrittenFile::Base => held,
        };
        let file = IndexFile::open(index)?;
        // What was written must be what a scan can read.
        file.index()?;
        let _ = writeln!(text, "{what}");
    }
    let _ = writeln!(
        text,
        "{} received in {}",
        bytes(report.received),
        seconds(took)
    );
    Ok(text)
}

fn changes(done: &Done) -> String {
    if !done.fetched {
        return "nothing new".to_owned();
    }
    let mut said = Vec::new();
    for (number, what) in [
        (done.added, "new"),
        (done.changed, "changed"),
        (done.removed, "gone"),
        (done.skipped, "skipped"),
    ] {
        if number > 0 {
            said.push(format!("{} {what}", count(number)));
        }
    }
    if said.is_empty() {
        "nothing changed".to_owned()
    } else {
        said.join(", ")
    }
}

/// What can be said without the network: whether each feed is here and its last update went well.
fn check(
    settings: &FeedSettings,
    only: &[Feed],
    index: &Utf8Path,
    quiet: bool,
    terminal: &Terminal,
) -> Result<Findings, Failure> {
    let file = IndexFile::open(index)?;
    file.index()?;
    let status = Status::of(&file).ok_or_else(|| {
        Failure::message(format!("{} was not made from feeds", line(index.as_str())))
            .hint("`snowguard advisories update` fetches them")
    })?;
    // What came signed as a whole has no other feeds.
    let parts: Vec<String> = if status.is_signed() {
        status.feeds.keys().cloned().collect()
    } else {
        let wanted = settings.wanted(only).into_iter();
        wanted.flat_map(|feed| feed.parts(settings)).collect()
    };
    let mut missing = Vec::new();
    for part in &parts {
        match status.feeds.get(part) {
            Some(known) if known.success.is_some() && known.failure.is_none() => {}
            _ => missing.push(part.as_str()),
        }
    }
    if !quiet {
        let text = super::feeds_table(&status, Timestamp::now());
        terminal.data(text.as_bytes(), None)?;
    }
    if missing.is_empty() {
        return Ok(Findings::None);
    }
    Err(Failure::message(format!(
        "{} of {} feeds are missing or failed the last time: {}",
        missing.len(),
        parts.len(),
        missing.join(", ")
    ))
    .hint("`snowguard advisories update` fetches them"))
}

fn failure(error: UpdateError) -> Failure {
    let hint = error.hint();
    let failure = Failure::new(error);
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

pub(crate) fn network(error: &HttpError, text: String) -> Failure {
    let failure = Failure::message(text);
    match error.hint() {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

pub(super) fn bytes(count: u64) -> String {
    size(usize::try_from(count).unwrap_or(usize::MAX))
}

fn count(count: u64) -> String {
    number(usize::try_from(count).unwrap_or(usize::MAX))
}

pub(super) fn seconds(duration: Duration) -> String {
    match duration.as_secs_f64() {
        some if some < 10.0 => format!("{some:.1} s"),
        some if some < 120.0 => format!("{some:.0} s"),
        some => format!("{:.0} min", some / 60.0),
    }
}
