//! `snowguard status`: what the watcher found, since when, and how it does.
//!
//! Reads the copy of the history that `snowguardd watch` publishes. Scans nothing.

mod text;

use std::time::UNIX_EPOCH;

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use serde_json::{Value, json};
use snowguard_report::pattern::Pattern;
use snowguard_watch::history::{Failing, Finding, Open, Target};
use snowguard_watch::observation::Counts;
use snowguard_watch::settings::DEFAULT_HISTORY;
use snowguard_watch::{HistoryError, Reading, State};

use crate::Findings;
use crate::cli::{Global, PlainFormat, Status};
use crate::config::Config;
use crate::error::Failure;
use crate::index::{Chosen, STALE_AFTER_DAYS};
use crate::output::Terminal;

/// The name and version of the schema.
const SCHEMA: &str = "snowguard-status/1";
/// The trend has so many points, each a week after the one before.
const WEEKS: u32 = 12;
const WEEK_SECONDS: i64 = 7 * 86_400;

pub(crate) fn run(
    global: &Global,
    args: &Status,
    terminal: &Terminal,
) -> Result<Findings, Failure> {
    let path = args
        .history
        .clone()
        .unwrap_or_else(|| DEFAULT_HISTORY.into());
    let history = Reading::of_copy(&path).map_err(|error| failure(&path, error))?;
    let now = crate::scan::now().0;
    if let Some(advisory) = &args.advisory {
        let id = crate::explain::id_of(advisory);
        let findings = history.about(&id)?;
        let text = match args.format {
            PlainFormat::Json => pretty(&json!({
                "schema": SCHEMA,
                "generated_at": now,
                "history": path,
                "findings": findings.iter().map(detail).collect::<Vec<_>>(),
            }))?,
            PlainFormat::Text => {
                let (_, paint) = terminal.look(None);
                text::about(&id, &findings, paint)
            }
        };
        terminal.data(text.as_bytes(), None)?;
        return Ok(findings
            .iter()
            .any(|finding| finding.state == State::Affected)
            .into());
    }
    let pattern = args.component.as_deref().map(Pattern::new);
    let mut targets = Vec::new();
    for target in history.targets()? {
        let mut open = history.open_findings(&target)?;
        open.retain(|open| {
            pattern
                .as_ref()
                .is_none_or(|pattern| pattern.means(&open.package.name))
        });
        let trend = history.trend(&target, now, WEEK_SECONDS, WEEKS)?;
        targets.push(Watched {
            target,
            open,
            trend,
        });
    }
    let index = index(global)?;
    let text = match args.format {
        PlainFormat::Json => pretty(&document(&path, now, &targets, &index))?,
        PlainFormat::Text => {
            let (width, paint) = terminal.look(None);
            let look = text::Look {
                now,
                paint,
                width,
                unicode: is_unicode(),
                all: args.all,
            };
            text::status(&targets, &index, &look)
        }
    };
    terminal.data(text.as_bytes(), None)?;
    if !global.quiet && args.format == PlainFormat::Text {
        hints(&targets, &index, terminal);
    }
    let affected = targets
        .iter()
        .flat_map(|watched| &watched.open)
        .flat_map(|open| &open.findings)
        .any(|finding| finding.state == State::Affected);
    Ok(affected.into())
}

/// A target with what is open in it.
struct Watched {
    target: Target,
    open: Vec<Open>,
    trend: Vec<Option<Counts>>,
}

/// The index that a scan would use now.
struct IndexNow {
    path: Option<Utf8PathBuf>,
    updated: Option<Timestamp>,
    /// Name, records, newest day, and how many days ago that is.
    sources: Vec<(String, u64, Option<String>, Option<i32>)>,
    /// How many days ago the newest day of a record with versions is.
    age_days: Option<i32>,
}

impl IndexNow {
    fn is_stale(&self) -> bool {
        self.age_days.is_none_or(|days| days > STALE_AFTER_DAYS)
    }
}

fn index(global: &Global) -> Result<IndexNow, Failure> {
    let config = Config::load(global)?;
    let chosen = Chosen::new(global, &config)?;
    let today = crate::scan::now().1;
    let days = |day: jiff::civil::Date| {
        let span = today.since((jiff::Unit::Day, day)).ok()?;
        Some(span.get_days())
    };
    let index = chosen.index()?;
    let sources = index.sources()?;
    Ok(IndexNow {
        path: chosen.path().map(Utf8Path::to_owned),
        updated: chosen.path().and_then(changed),
        sources: sources
            .iter()
            .map(|source| {
                let newest = source.newest.map(|day| day.to_string());
                (
                    source.name.to_owned(),
                    source.records,
                    newest,
                    source.newest.and_then(days),
                )
            })
            .collect(),
        age_days: index.newest_date()?.and_then(days),
    })
}

fn changed(path: &Utf8Path) -> Option<Timestamp> {
    let time = path.metadata().ok()?.modified().ok()?;
    let seconds = time.duration_since(UNIX_EPOCH).ok()?.as_secs();
    Timestamp::from_second(i64::try_from(seconds).ok()?).ok()
}

fn failure(path: &Utf8Path, error: HistoryError) -> Failure {
    if path.exists() {
        return error.into();
    }
    Failure::message(format!("there is no history at {path}"))
        .hint("`snowguardd watch` writes it: `systemctl status snowguard-watch`")
        .hint("`snowguard scan` tells what is wrong now")
}

fn hints(targets: &[Watched], index: &IndexNow, terminal: &Terminal) {
    if let Some(failing) = targets
        .iter()
        .find_map(|watched| watched.target.failing.as_ref())
    {
        terminal.hint(remedy(failing));
    }
    if targets.is_empty() {
        terminal.hint("the first scan comes soon after the start of `snowguardd watch`");
    }
    if index.is_stale() {
        terminal.hint("newer advisories: `snowguard advisories --help`");
    }
}

/// What to do about scans that fail.
fn remedy(failing: &Failing) -> &'static str {
    let error = failing.error.as_str();
    if error.contains("longer than") {
        "raise `time-limit` in watch.toml"
    } else if error.starts_with("cannot start") {
        "`scanner` in watch.toml names the program that scans"
    } else if error.contains("index") || error.contains("advisories") {
        "check the index: `snowguard advisories info`"
    } else {
        "`snowguard scan` by hand shows more; so does `journalctl -u snowguard-watch`"
    }
}

fn document(path: &Utf8Path, now: Timestamp, targets: &[Watched], index: &IndexNow) -> Value {
    let sources: Vec<Value> = index
        .sources
        .iter()
        .map(|(name, records, newest, age)| {
            json!({"name": name, "records": records, "newest": newest, "age_days": age})
        })
        .collect();
    json!({
        "schema": SCHEMA,
        "generated_at": now,
        "history": path,
        "index": {
            "path": index.path,
            "updated_at": index.updated,
            "age_days": index.age_days,
            "stale": index.is_stale(),
            "sources": sources,
        },
        "targets": targets.iter().map(|watched| target(watched, now)).collect::<Vec<_>>(),
    })
}

fn target(watched: &Watched, now: Timestamp) -> Value {
    let Watched {
        target,
        open,
        trend,
    } = watched;
    let last = target.last.as_ref().map(|last| {
        json!({
            "started_at": last.started,
            "finished_at": last.finished,
            "reason": last.reason,
            "title": last.title,
            "root": last.root,
            "components": last.components,
            "knew_less": last.blind,
            "gaps": last.gaps,
            "counts": last.counts,
            "advisories": last.knowledge,
        })
    });
    let failing = target.failing.as_ref().map(|failing| {
        json!({
            "times": failing.times,
            "since": failing.since,
            "last": failing.last,
            "error": failing.error,
            "log": failing.log,
            "remedy": remedy(failing),
        })
    });
    let weeks = trend
        .iter()
        .zip((0..i64::from(WEEKS)).rev())
        .map(|(counts, back)| {
            let at = Timestamp::from_second(now.as_second() - back * WEEK_SECONDS);
            json!({"at": at.ok(), "counts": counts})
        });
    let open = open.iter().map(|open| {
        json!({
            "package": open.package.name,
            "language": language(&open.package.language),
            "versions": open.versions,
            "findings": open.findings.iter().map(finding).collect::<Vec<_>>(),
        })
    });
    json!({
        "name": target.name,
        "last_scan": last,
        "failing": failing,
        "open": open.collect::<Vec<_>>(),
        "trend": weeks.collect::<Vec<_>>(),
    })
}

fn finding(finding: &Finding) -> Value {
    json!({
        "id": finding.advisory,
        "status": finding.state,
        "severity": finding.severity,
        "score": finding.score,
        "exploited": finding.exploited,
        "first_seen": finding.first_seen,
        "opened": finding.opened,
        "last_seen": finding.last_seen,
        "reopened": finding.reopened,
        "fixed_in": finding.fixed_in,
        "update_to": finding.update_to,
    })
}

fn detail(of: &Finding) -> Value {
    let mut value = finding(of);
    let moments = of
        .moments
        .iter()
        .map(|moment| json!({"at": moment.at, "kind": moment.kind, "cause": moment.cause}));
    if let Some(object) = value.as_object_mut() {
        object.extend([
            ("target".to_owned(), json!(of.target)),
            ("package".to_owned(), json!(of.package.name)),
            ("language".to_owned(), json!(language(&of.package.language))),
            ("versions".to_owned(), json!(of.versions)),
            ("closed".to_owned(), json!(of.closed)),
            ("changes".to_owned(), moments.collect()),
        ]);
    }
    value
}

fn language(language: &str) -> Option<&str> {
    (!language.is_empty()).then_some(language)
}

fn pretty(value: &Value) -> Result<String, Failure> {
    let bytes = crate::scan::json(value)?;
    String::from_utf8(bytes).map_err(Failure::new)
}

/// Whether the locale has more than ASCII.
#[expect(clippy::disallowed_methods, reason = "the face knows the environment")]
fn is_unicode() -> bool {
    ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|value| !value.is_empty())
        .is_some_and(|value| {
            let value = value.to_ascii_lowercase();
            value.contains("utf-8") || value.contains("utf8")
        })
}
