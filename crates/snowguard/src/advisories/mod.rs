//! `snowguard advisories`: building the index, and telling what is in it.

mod mirror;
mod settings;
mod update;

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use serde_json::json;
use snowguard_advisory::index::Source;
use snowguard_feeds::{
    ContainerError, Event, Import as Importing, ImportError, IndexFile, Status, Waiting,
};
use snowguard_report::escape::line;
use snowguard_report::text::{age, number};

pub(crate) use self::settings::Feeds;
pub(crate) use self::update::{network, run as update};
use crate::Findings;
use crate::cli::{Global, Import, Info, PlainFormat};
use crate::config::Config;
use crate::error::Failure;
use crate::index::{self, Chosen};
use crate::output::Terminal;

pub(crate) fn import(
    global: &Global,
    args: &Import,
    terminal: &Terminal,
) -> Result<Findings, Failure> {
    let config = Config::load(global)?;
    let target = target(global, &config, args.output.as_deref())?;
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&interrupted);
    // A second handler cannot be set; then Ctrl-C ends the program at once, which loses nothing.
    let _ = ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed));
    let bar = if terminal.shows_progress() && !global.quiet {
        ProgressBar::new_spinner()
    } else {
        ProgressBar::hidden()
    };
    if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix}: {msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    let mut progress = |event: Event<'_>| match event {
        Event::File { path, size } => {
            bar.set_prefix(line(path.file_name().unwrap_or(path.as_str())).into_owned());
            if size == 0 {
                bar.set_message("empty");
            }
        }
        Event::Records(count) => bar.set_message(format!(
            "{} records",
            number(usize::try_from(count).unwrap_or(usize::MAX))
        )),
        Event::Assembling => {
            bar.set_prefix("index");
            bar.set_message("putting it together");
        }
    };
    let mut importing = Importing::new(&interrupted, &mut progress);
    for path in &args.paths {
        // As everywhere else, `-` is what comes through a pipe.
        let path = if path == "-" {
            Utf8Path::new("/dev/stdin")
        } else {
            path
        };
        importing.add(path).map_err(failure)?;
    }
    let imported = importing.finish().map_err(failure)?;
    bar.finish_and_clear();
    for problem in imported.problems.iter().take(20) {
        terminal.warning(&format!("skipped {problem}"));
    }
    if imported.skipped > 20 {
        terminal.warning(&format!("skipped {} in all", imported.skipped));
    }
    if imported.records == 0 {
        return Err(
            Failure::message("no record could be read; the index is as it was").hint(TAKES),
        );
    }
    let mut waiting = Waiting {
        interrupted: &interrupted,
        told: &mut || terminal.warning(WAITING),
    };
    let lock = IndexFile::lock(&target, &mut waiting)?;
    IndexFile::replace(&target, &imported.built.bytes)?;
    drop(lock);
    if !global.quiet {
        let skipped = match imported.skipped {
            0 => String::new(),
            some => format!(", {} skipped", of(some, "record", "records")),
        };
        let text = format!(
            "{}\n{}{skipped}; {}, {}\n",
            line(target.as_str()),
            of(imported.records, "record", "records"),
            of(
                imported.built.vulnerabilities as u64,
                "vulnerability",
                "vulnerabilities"
            ),
            size(imported.built.bytes.len()),
        );
        terminal.data(text.as_bytes(), None)?;
    }
    Ok(Findings::None)
}

/// Where an index goes that is made.
fn target(
    global: &Global,
    config: &Config,
    output: Option<&Utf8Path>,
) -> Result<Utf8PathBuf, Failure> {
    output
        .map(Utf8Path::to_owned)
        .or_else(|| global.index.clone())
        .or_else(|| config.index.clone())
        .or_else(index::default_path)
        .ok_or_else(|| {
            Failure::message("there is no home directory to keep the index in")
                .hint("`--output FILE` says where it goes")
        })
}

/// What is told before one waits.
const WAITING: &str = "another program is replacing the index; this one waits for it";
const TAKES: &str = "it takes CVE 5, OSV, NVD 2.0, KEV, EPSS and facts, also in archives";

fn failure(error: ImportError) -> Failure {
    let hint = match &error {
        ImportError::Nothing(_) => TAKES,
        ImportError::Records(error) => error.hint(),
        ImportError::Interrupted => return Failure::new(error),
        ImportError::Container(ContainerError::Io(_, source))
            if source.kind() == std::io::ErrorKind::NotFound =>
        {
            "check the path"
        }
        ImportError::Container(ContainerError::Compression(..)) => {
            "zip, gzip, zstd and tar are read as they are"
        }
        ImportError::Container(_) => "check that the download is whole",
    };
    Failure::new(error).hint(hint)
}

pub(crate) fn info(global: &Global, args: &Info, terminal: &Terminal) -> Result<Findings, Failure> {
    let config = Config::load(global)?;
    let chosen = Chosen::new(global, &config)?;
    let index = chosen.index()?;
    let sources = index.sources()?;
    let today = crate::scan::now().1;
    let status = match &chosen {
        Chosen::File(file) => Status::of(file).filter(|status| !status.feeds.is_empty()),
        Chosen::Embedded => None,
    };
    // What is wrong with it a scan tells; here it is told too, and hides nothing else.
    let decided = match chosen.path().map(snowguard_feeds::triage::load) {
        Some(Ok(document)) => document,
        Some(Err(error)) => {
            terminal.warning(&error.to_string());
            terminal.hint(error.hint());
            None
        }
        None => None,
    };
    let days = |source: &Source<'_>| {
        source
            .newest
            .and_then(|day| today.since((jiff::Unit::Day, day)).ok())
            .map(|span| span.get_days())
    };
    let text = match args.format {
        PlainFormat::Json => {
            let sources: Vec<_> = sources
                .iter()
                .map(|source| {
                    json!({
                        "name": source.name,
                        "format": source.kind.as_str(),
                        "records": source.records,
                        "skipped": source.skipped,
                        "newest": source.newest,
                        "age_days": days(source),
                    })
                })
                .collect();
            let document = json!({
                "schema": "snowguard-index/1",
                "path": chosen.path(),
                "bytes": chosen.size(),
                "format": snowguard_advisory::index::FORMAT_VERSION,
                "vulnerabilities": index.vulnerability_count(),
                "entries": index.entry_count(),
                "identities": index.key_count(),
                "sources": sources,
                "feeds": status.as_ref().map(|status| &status.feeds),
                "triage": decided.as_ref().map(|document| json!({
                    "tracker": document.tracker().name,
                    "url": document.tracker().url,
                    "generated": document.generated(),
                    "decisions": document.decisions().len(),
                })),
            });
            serde_json::to_string_pretty(&document).map_err(Failure::new)? + "\n"
        }
        PlainFormat::Text => {
            let mut text = String::new();
            let what = chosen
                .path()
                .map_or("the index in the program", |path| path.as_str());
            let _ = writeln!(text, "{}", line(what));
            let _ = writeln!(
                text,
                "{}, {}, {}; {}, format {}",
                of(
                    index.vulnerability_count() as u64,
                    "vulnerability",
                    "vulnerabilities"
                ),
                of(
                    index.entry_count() as u64,
                    "affected entry",
                    "affected entries"
                ),
                of(index.key_count() as u64, "identity", "identities"),
                size(chosen.size()),
                snowguard_advisory::index::FORMAT_VERSION,
            );
            let width = sources
                .iter()
                .map(|s| line(s.name).chars().count())
                .max()
                .unwrap_or(0)
                .max(6);
            let _ = writeln!(
                text,
                "\n{:<width$}  {:<8} {:>9} {:>8}  newest record",
                "source", "format", "records", "skipped"
            );
            for source in &sources {
                let newest = match (source.newest, days(source)) {
                    (Some(day), Some(days)) => format!("{day}, {}", age(days)),
                    _ => "no dates".to_owned(),
                };
                let _ = writeln!(
                    text,
                    "{:<width$}  {:<8} {:>9} {:>8}  {newest}",
                    line(source.name),
                    source.kind.as_str(),
                    number(usize::try_from(source.records).unwrap_or(usize::MAX)),
                    source.skipped,
                );
            }
            if let Some(status) = &status {
                text.push('\n');
                text.push_str(&feeds_table(status, Timestamp::now()));
            }
            if let Some(document) = &decided {
                let _ = writeln!(
                    text,
                    "\n{} of {}, written {}",
                    of(document.decisions().len() as u64, "decision", "decisions"),
                    line(&document.tracker().name),
                    ago(document.generated(), Timestamp::now()),
                );
            }
            text
        }
    };
    terminal.data(text.as_bytes(), None)?;
    Ok(Findings::None)
}

/// When each feed was last up to date, and what went wrong since.
fn feeds_table(status: &Status, now: Timestamp) -> String {
    let width = status
        .feeds
        .keys()
        .map(|part| line(part).chars().count())
        .max()
        .unwrap_or(0)
        .max(4);
    let mut text = format!("{:<width$}  {:<24}  up to date\n", "feed", "edition");
    for (part, known) in &status.feeds {
        let edition = known.edition.as_deref().unwrap_or("none yet");
        let when = known
            .success
            .map_or_else(|| "never".to_owned(), |time| ago(time, now));
        let _ = writeln!(
            text,
            "{:<width$}  {:<24}  {when}",
            line(part),
            line(edition)
        );
        if let Some(failure) = &known.failure {
            let _ = writeln!(
                text,
                "  failed {}: {}",
                ago(failure.at, now),
                line(&failure.error)
            );
        }
    }
    text
}

/// How long ago something was.
fn ago(time: Timestamp, now: Timestamp) -> String {
    let minutes = now.duration_since(time).as_secs() / 60;
    match minutes {
        i64::MIN..=1 => "just now".to_owned(),
        2..=119 => format!("{minutes} minutes ago"),
        120..=2_879 => format!("{} hours ago", minutes / 60),
        _ => format!("{} days ago", minutes / 1_440),
    }
}

fn of(count: u64, one: &str, many: &str) -> String {
    let number = number(usize::try_from(count).unwrap_or(usize::MAX));
    format!("{number} {}", if count == 1 { one } else { many })
}

#[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
pub(crate) fn size(bytes: usize) -> String {
    match bytes {
        0..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}
