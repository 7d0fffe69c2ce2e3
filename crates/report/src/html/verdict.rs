//! The first screen: what is wrong, how sure it is, and what to do now.

use super::sections::Row;
use crate::model::{Report, Summary};
use crate::rank::is_affected;
use crate::words::{self, counted, number};

/// The answer to the first question.
pub(super) struct Verdict {
    /// What is wrong, and a link to it.
    pub(super) what: String,
    pub(super) href: Option<&'static str>,
    pub(super) rest: String,
    /// How many packages to begin with.
    pub(super) first: usize,
    /// How much is left after that.
    pub(super) more: String,
    /// How sure it is.
    pub(super) sure: String,
    /// What is wrong with the index, if it is stale.
    pub(super) stale: String,
}

impl Verdict {
    pub(super) fn of(report: &Report, rows: &[Row<'_>]) -> Self {
        let summary = &report.summary;
        let packages = words::population(&report.subject);
        let exploited = rows.iter().filter(|row| !row.exploited.is_empty()).count();
        let (what, href, rest, pressing) = if summary.exploited > 0 {
            (
                counted(
                    summary.exploited,
                    "vulnerability that is known to be exploited",
                    "vulnerabilities that are known to be exploited",
                ),
                Some("#show=exploited"),
                format!(
                    "{} {exploited} of {packages}. Start with these.",
                    if summary.exploited == 1 {
                        "affects"
                    } else {
                        "affect"
                    },
                ),
                exploited,
            )
        } else if summary.affected > 0 {
            (
                counted(summary.affected, "vulnerability", "vulnerabilities"),
                Some("#packages"),
                format!(
                    "{} {} of {packages}. None is known to be exploited. The most pressing:",
                    if summary.affected == 1 {
                        "affects"
                    } else {
                        "affect"
                    },
                    number(summary.affected_packages),
                ),
                rows.iter().filter(|row| row.worst < 2).count().min(5),
            )
        } else if summary.needs_review > 0 {
            (
                counted(summary.needs_review, "finding", "findings"),
                Some("#show=review"),
                format!("to look at. Nothing else is known to affect these {packages}."),
                0,
            )
        } else if report.index.vulnerabilities == 0 {
            let what = "Nothing was found, because the index of advisories is empty.".into();
            (what, Some("#sources"), String::new(), 0)
        } else {
            let what = format!("No known vulnerability affects these {packages}.");
            (what, None, String::new(), 0)
        };
        let first = pressing
            .clamp(usize::from(!rows.is_empty()), MOST_URGENT)
            .min(rows.len());
        let left = rows.len() - first;
        let grave = rows.iter().skip(first).filter(|row| row.worst < 2).count();
        let parts = [
            (exploited.saturating_sub(first), "exploited"),
            (grave, "with critical or high findings"),
        ];
        let parts: Vec<String> = parts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!(", {} {what}", number(count)))
            .collect();
        let more = match left {
            0 => String::new(),
            left => format!(
                "{} below{}",
                counted(left, "more package", "more packages"),
                parts.concat()
            ),
        };
        Self {
            what,
            href,
            rest,
            first,
            more,
            sure: how_sure(report),
            stale: match report.index.age_days {
                Some(days) => format!("The newest advisory is {}.", words::days_old(days)),
                None if report.index.vulnerabilities == 0 => {
                    "The index of advisories is empty.".into()
                }
                None => "How old the advisories are is not known: none of them has a date.".into(),
            },
        }
    }
}

/// Whose word the affected findings rest on.
fn how_sure(report: &Report) -> String {
    let (mut upstream, mut agreed, mut disputed) = (0, 0, 0);
    let findings = report.packages.iter().flat_map(|package| &package.findings);
    for finding in findings.filter(|finding| is_affected(finding)) {
        let says = |word: &str, by_upstream: bool| {
            let mut sure = finding
                .evidence
                .iter()
                .filter(|evidence| evidence.identity_sure);
            sure.any(|evidence| evidence.says == word && evidence.upstream == by_upstream)
        };
        if says("affected", true) {
            upstream += 1;
        } else if says("not_affected", false) {
            disputed += 1;
        } else {
            agreed += 1;
        }
    }
    let parts = [
        (upstream, "by the project’s own word"),
        (agreed, "by others’ records, which agree"),
        (disputed, "although records disagree"),
    ];
    let parts: Vec<String> = parts
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{} {what}", number(count)))
        .collect();
    parts.join(", ")
}

/// The verdict in a few words.
pub(super) fn title(summary: &Summary) -> String {
    match (summary.exploited, summary.affected, summary.needs_review) {
        (0, 0, 0) => "nothing known".into(),
        (0, 0, review) => format!("{} to review", number(review)),
        (0, affected, _) => format!("{} affected", number(affected)),
        (exploited, affected, _) => {
            format!(
                "{} exploited, {} affected",
                number(exploited),
                number(affected)
            )
        }
    }
}

/// How many packages the first screen names.
const MOST_URGENT: usize = 10;
