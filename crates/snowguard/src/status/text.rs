//! The status in words and a small picture.

use std::fmt::Write as _;

use jiff::Timestamp;
use snowguard_report::escape::{fit, line};
use snowguard_report::text::{Paint, age, number};
use snowguard_watch::history::{Failing, Finding, Moment, Open, Scan};
use snowguard_watch::observation::Counts;
use snowguard_watch::{Cause, Kind, Severity, State};

use super::{IndexNow, Watched};

/// Without `--all`, so many packages are shown.
const PACKAGES: usize = 10;
/// And so many findings of each.
const FINDINGS: usize = 3;
/// Of a log, so many lines.
const LOG_LINES: usize = 5;

/// How it is shown.
pub(super) struct Look {
    pub(super) now: Timestamp,
    pub(super) paint: Paint,
    pub(super) width: usize,
    pub(super) unicode: bool,
    pub(super) all: bool,
}

/// The whole status.
pub(super) fn status(targets: &[Watched], index: &IndexNow, look: &Look) -> String {
    let mut text = String::new();
    if targets.is_empty() {
        text.push_str("Nothing has been scanned yet.\n");
    }
    for watched in targets {
        target(&mut text, watched, look);
        text.push('\n');
    }
    advisories(&mut text, index, look);
    text
}

/// What happened to one advisory.
pub(super) fn about(id: &str, findings: &[Finding], paint: Paint) -> String {
    let mut text = String::new();
    if findings.is_empty() {
        let _ = writeln!(text, "{}: never seen by a scan of this history", line(id));
    }
    for finding in findings {
        let name = package(&finding.package, &finding.versions);
        let _ = writeln!(
            text,
            "{}  {} in {}: {}",
            line(id),
            paint.name(&name),
            line(&finding.target),
            finding.state.as_str().replace('_', " ")
        );
        let _ = writeln!(text, "  {}  first seen", day(finding.first_seen));
        for moment in &finding.moments {
            let _ = writeln!(text, "  {}  {}", day(moment.at), moment_text(moment));
        }
        let _ = writeln!(text, "  {}  last seen", day(finding.last_seen));
    }
    text
}

fn target(text: &mut String, watched: &Watched, look: &Look) {
    let paint = look.paint;
    let name = line(&watched.target.name);
    match &watched.target.last {
        None => {
            let _ = writeln!(text, "{}  no scan has worked yet", paint.heading(&name));
        }
        Some(last) => {
            let title = line(&last.title);
            let packages = many(last.components);
            let head = format!("{name}  {title}   {packages} packages");
            let _ = writeln!(text, "{}", paint.heading(&fit(&head, look.width)));
            let _ = writeln!(
                text,
                "last scan {} ({})",
                when(last.finished, look.now),
                because(last)
            );
        }
    }
    if let Some(failing) = &watched.target.failing {
        failure(text, failing, look);
    }
    let Some(last) = &watched.target.last else {
        return;
    };
    if last.blind {
        let _ = writeln!(
            text,
            "It had fewer or older advisories than scans before it, or could read fewer files:\n\
             what it did not see is kept as open for a week."
        );
    }
    text.push('\n');
    for line in counts(&last.counts) {
        let _ = writeln!(text, "  {line}");
    }
    if let Some(picture) = picture(&watched.trend, look.unicode) {
        let _ = writeln!(text, "  {picture}");
    }
    open(text, &watched.open, look);
}

fn failure(text: &mut String, failing: &Failing, look: &Look) {
    let times = match failing.times {
        1 => "1 scan has failed".to_owned(),
        times => format!("{times} scans have failed"),
    };
    let since = when(failing.since, look.now);
    let label = look.paint.rating("critical", "FAILING");
    let _ = writeln!(text, "{label}  {times} since {since}:");
    let _ = writeln!(text, "  {}", line(&failing.error));
    let lines: Vec<&str> = failing.log.lines().collect();
    for said in &lines[lines.len().saturating_sub(LOG_LINES)..] {
        let shown = format!("  | {}", line(said));
        let _ = writeln!(text, "{}", look.paint.quiet(&fit(&shown, look.width)));
    }
}

/// What asks for something to be done, and below it what does not.
fn counts(counts: &Counts) -> Vec<String> {
    let severe = counts.critical + counts.high;
    let rest = counts.affected.saturating_sub(severe);
    let told = |of: &[(u64, &str)], none: bool| {
        of.iter()
            .filter(|(count, _)| none || *count > 0)
            .map(|(count, what)| format!("{} {what}", many(*count)))
            .collect::<Vec<_>>()
            .join("   ")
    };
    let open = [
        (counts.exploited, "exploited"),
        (severe, "critical or high"),
        (rest, "other"),
    ];
    let other = [
        (counts.needs_review, "need review"),
        (counts.patched, "patched here"),
        (counts.suppressed, "suppressed"),
    ];
    // The first three are an answer also where they are none.
    let mut lines = vec![told(&open, true), told(&other, false)];
    lines.retain(|line| !line.is_empty());
    lines
}

fn many(count: u64) -> String {
    number(usize::try_from(count).unwrap_or(usize::MAX))
}

/// What was open, week by week; none before there are two points.
fn picture(trend: &[Option<Counts>], unicode: bool) -> Option<String> {
    let points: Vec<u64> = trend
        .iter()
        .flatten()
        .map(|counts| counts.affected)
        .collect();
    let (first, last) = (points.first()?, points.last()?);
    if points.len() < 2 {
        return None;
    }
    let levels: Vec<char> = if unicode {
        "▁▂▃▄▅▆▇█"
    } else {
        "_.-=+*%#"
    }
    .chars()
    .collect();
    let most = points.iter().copied().max().unwrap_or(0).max(1);
    let bars: String = points
        .iter()
        .map(|point| {
            let steps = levels.len() as u64 - 1;
            // Rounded up: what is there is seen.
            let level = (point * steps).div_ceil(most);
            levels[usize::try_from(level).unwrap_or(0).min(levels.len() - 1)]
        })
        .collect();
    let weeks = points.len() - 1;
    let unit = if weeks == 1 { "week" } else { "weeks" };
    let (first, last) = (many(*first), many(*last));
    Some(format!(
        "open {bars} from {first} to {last} in {weeks} {unit}"
    ))
}

fn open(text: &mut String, open: &[Open], look: &Look) {
    let (affected, review): (Vec<&Open>, Vec<&Open>) = open.iter().partition(|open| {
        open.findings
            .iter()
            .any(|finding| finding.state == State::Affected)
    });
    for (heading, of) in [("OPEN", affected), ("NEEDS REVIEW", review)] {
        if of.is_empty() {
            continue;
        }
        let _ = writeln!(text, "\n{}", look.paint.heading(heading));
        let shown = if look.all {
            of.len()
        } else {
            PACKAGES.min(of.len())
        };
        for open in &of[..shown] {
            package_lines(text, open, look);
        }
        if of.len() > shown {
            let more = format!("and {} more packages (--all)", number(of.len() - shown));
            let _ = writeln!(text, "  {}", look.paint.quiet(&more));
        }
    }
}

fn package_lines(text: &mut String, open: &Open, look: &Look) {
    let paint = look.paint;
    let name = package(&open.package, &open.versions);
    let update = open
        .findings
        .iter()
        .find_map(|finding| finding.update_to.as_deref());
    let action = update.map_or(String::new(), |version| {
        format!(
            "   {}",
            paint.action(&format!("update to {} or later", line(version)))
        )
    });
    let name = fit(&name, look.width.saturating_sub(42).max(20)).into_owned();
    let _ = writeln!(text, "  {}{action}", paint.name(&name));
    let shown = if look.all {
        open.findings.len()
    } else {
        FINDINGS.min(open.findings.len())
    };
    for finding in &open.findings[..shown] {
        let exploited = if finding.exploited {
            format!("{}   ", paint.exploited("exploited"))
        } else {
            String::new()
        };
        let rating = match finding.score {
            Some(score) => format!("{score:.1} {}", finding.severity.as_str()),
            None => finding.severity.as_str().to_owned(),
        };
        let since = finding.opened.unwrap_or(finding.first_seen);
        let _ = writeln!(
            text,
            "    {}   {}   {exploited}{}",
            line(&finding.advisory),
            paint.rating(finding.severity.as_str(), &rating),
            paint.quiet(&format!("since {}", day(since))),
        );
    }
    if open.findings.len() > shown {
        let rest = &open.findings[shown..];
        let severe = rest
            .iter()
            .filter(|finding| finding.severity >= Severity::High)
            .count();
        let more = match severe {
            0 => format!("and {} more", number(rest.len())),
            severe => format!(
                "and {} more, {} of them high",
                number(rest.len()),
                number(severe)
            ),
        };
        let _ = writeln!(text, "    {}", paint.quiet(&more));
    }
}

fn advisories(text: &mut String, index: &IndexNow, look: &Look) {
    let what = match &index.path {
        Some(path) => line(path.as_str()).into_owned(),
        None => "the index in the program".to_owned(),
    };
    let updated = match index.updated {
        Some(at) => format!(", updated {}", when(at, look.now)),
        None => String::new(),
    };
    let _ = writeln!(
        text,
        "{}  {what}{updated}",
        look.paint.heading("advisories")
    );
    let width = index
        .sources
        .iter()
        .map(|(name, ..)| line(name).chars().count())
        .max();
    for (name, records, newest, days) in &index.sources {
        let newest = match (newest, days) {
            (Some(day), Some(days)) => format!("newest {day}, {}", age(*days)),
            _ => "no dates".to_owned(),
        };
        let records = many(*records);
        let width = width.unwrap_or(0);
        let _ = writeln!(
            text,
            "  {:<width$}  {records:>9} records   {newest}",
            line(name)
        );
    }
}

fn package(package: &snowguard_watch::observation::Package, versions: &[String]) -> String {
    let mut name = line(&package.name).into_owned();
    if !package.language.is_empty() {
        let _ = write!(name, " ({})", line(&package.language));
    }
    let versions: Vec<_> = versions.iter().map(|version| line(version)).collect();
    let _ = write!(name, " {}", versions.join(", "));
    name
}

fn because(last: &Scan) -> &'static str {
    match last.reason.as_str() {
        "first" => "the first",
        "system" => "the system had changed",
        "advisories" => "the advisories had changed",
        "schedule" => "on schedule",
        "retry" => "after failures",
        _ => "for another reason",
    }
}

fn moment_text(moment: &Moment) -> &'static str {
    match (moment.kind, moment.cause) {
        (Kind::Opened, Some(Cause::Advisories)) => "opened by a new advisory",
        (Kind::Opened, Some(Cause::System)) => "opened by a new version of the system",
        (Kind::Opened, _) => "opened",
        (Kind::Reopened, _) => "opened again",
        (Kind::ToReview, _) => "needs review",
        (Kind::Exploited, _) => "known to be exploited",
        (Kind::Worse, _) => "the severity rose",
        (Kind::Fixed, Some(Cause::System)) => "fixed by a new version of the system",
        (Kind::Fixed, _) => "gone",
        (Kind::Withdrawn, _) => "withdrawn or corrected",
        (Kind::Suppressed, _) => "suppressed by a decision",
        _ => "changed",
    }
}

fn day(at: Timestamp) -> String {
    at.to_zoned(jiff::tz::TimeZone::UTC).date().to_string()
}

/// A time with how long ago it is.
fn when(at: Timestamp, now: Timestamp) -> String {
    let seconds = now.as_second().saturating_sub(at.as_second());
    let ago = match seconds {
        ..0 => "in the future".to_owned(),
        0..60 => "just now".to_owned(),
        60..3_600 => format!("{} min ago", seconds / 60),
        3_600..172_800 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} days ago", seconds / 86_400),
    };
    let time = at
        .to_zoned(jiff::tz::TimeZone::UTC)
        .strftime("%Y-%m-%d %H:%M UTC");
    format!("{time}, {ago}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trend_is_a_picture_from_two_points_on() {
        let point = |affected| {
            Some(Counts {
                affected,
                ..Counts::default()
            })
        };
        assert_eq!(picture(&[None, point(3)], true), None);
        let trend = [None, point(0), point(1), point(40), point(80), point(80)];
        insta::assert_snapshot!(picture(&trend, true).unwrap(), @"open ▁▂▅██ from 0 to 80 in 4 weeks");
        insta::assert_snapshot!(picture(&trend, false).unwrap(), @"open _.+## from 0 to 80 in 4 weeks");
    }

    #[test]
    fn times_have_an_age() {
        let at = |second| Timestamp::from_second(second).unwrap();
        assert_eq!(when(at(0), at(30)), "1970-01-01 00:00 UTC, just now");
        assert_eq!(when(at(0), at(7_300)), "1970-01-01 00:00 UTC, 2 h ago");
        assert_eq!(when(at(60), at(0)), "1970-01-01 00:01 UTC, in the future");
    }
}
