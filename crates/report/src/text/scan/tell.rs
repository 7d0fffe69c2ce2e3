//! Words and counts of a scan.

use crate::action::{Goal, Step};
use crate::escape::line;
use crate::model::{Action, Finding, Package, Report, Suppressed};
use crate::rank::is_affected;
use crate::text::paint::{self, number};

pub(super) fn libraries(count: usize) -> String {
    paint::count(count, "library", "libraries")
}

/// Critical or high, and not exploited.
pub(super) fn severe_count(report: &Report) -> usize {
    report
        .packages
        .iter()
        .flat_map(|p| &p.findings)
        .filter(|f| is_affected(f) && is_severe(f) && f.exploited.is_none())
        .count()
}

pub(super) fn affected(package: &Package) -> impl Iterator<Item = &Finding> {
    package
        .findings
        .iter()
        .filter(|finding| is_affected(finding))
}

pub(super) fn has_exploited(package: &Package) -> bool {
    affected(package).any(|finding| finding.exploited.is_some())
}

pub(super) fn is_severe(finding: &Finding) -> bool {
    finding
        .severity
        .as_ref()
        .is_some_and(|s| matches!(s.rating, "critical" | "high"))
}

pub(super) fn pad(text: &str, width: usize) -> String {
    format!("{text:<width$}")
}

/// `3 high, 12 medium, 1 unrated`.
pub(super) fn by_rating(findings: &[&Finding]) -> String {
    let rating = |f: &Finding| {
        f.severity.as_ref().map_or(
            "unrated",
            |s| if s.rating == "none" { "low" } else { s.rating },
        )
    };
    ["critical", "high", "medium", "low", "unrated"]
        .into_iter()
        .map(|word| (word, findings.iter().filter(|f| rating(f) == word).count()))
        .filter(|(_, count)| *count > 0)
        .map(|(word, count)| format!("{} {word}", number(count)))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Why a finding is suppressed, until when, and where that stands.
pub(crate) fn decision(by: &Suppressed) -> String {
    let until = by
        .expires
        .map_or(String::new(), |day| format!(", until {day}"));
    let origin = by
        .url
        .iter()
        .fold(line(&by.origin).into_owned(), |origin, url| {
            format!("{origin}, {}", line(url))
        });
    format!("{}{until} ({origin})", line(&by.reason))
}

/// The action in a few words.
pub(crate) fn action_text(action: Option<&Action>) -> String {
    let Some(action) = action else {
        return String::new();
    };
    let (first, _) = action.steps();
    if first.goal == Goal::Unknown {
        return first.goal.to_string();
    }
    step_text(action, first, action.leaves_exploited(first))
}

/// A step, with what it leaves and what it brings.
pub(super) fn step_text(action: &Action, step: Step<'_>, remark: &str) -> String {
    let goal = step.goal.to_string();
    let brings = || format!("brings {}", number(step.brings));
    match (step.fixes < action.of, step.brings > 0) {
        (false, false) => format!("{goal}{remark}"),
        (false, true) => format!("{goal}{remark}: {}", brings()),
        (true, new) => {
            let (fixes, of) = (number(step.fixes), number(action.of));
            let brings = if new {
                format!(", {}", brings())
            } else {
                String::new()
            };
            format!("{goal}: fixes {fixes} of {of}{remark}{brings}")
        }
    }
}

/// What else there is to choose.
pub(crate) fn action_detail(action: Option<&Action>) -> Option<String> {
    let action = action?;
    let (_, other) = action.steps();
    Some(step_text(action, other?, ""))
}

/// How old the advisories are, and where they lie.
pub(super) fn index_line(report: &Report) -> (String, String) {
    let index = &report.index;
    let what = match &index.path {
        Some(path) => format!("index {}", line(path)),
        None => "the index in the program".into(),
    };
    let age = match (index.newest, index.age_days) {
        (Some(newest), Some(days)) => format!("newest advisory {newest} ({})", age(days)),
        _ => "advisories without dates".into(),
    };
    (age, what)
}

/// `today`, `3 days old`, `5 months old`.
pub fn age(days: i32) -> String {
    match days {
        i32::MIN..=-2 => "in the future".into(),
        -1..=0 => "today".into(),
        1 => "1 day old".into(),
        2..=59 => format!("{days} days old"),
        60..=729 => format!("{} months old", days / 30),
        _ => format!("{} years old", days / 365),
    }
}
