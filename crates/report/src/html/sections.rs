//! The sections of the page: which packages and findings stand in each, and in what order.

use std::collections::{BTreeMap, HashSet};

use super::finding::{FindingView, Group, Maker, RATINGS, rating_index};
use crate::action::Step;
use crate::model::{Action, Finding, Package, Report, SubjectInfo};
use crate::rank::{is_affected, is_open};
use crate::words::{self, counted, number};

/// A package with what is affected in it.
#[derive(Clone)]
pub(super) struct Row<'r> {
    pub(super) package: &'r Package,
    pub(super) anchor: String,
    pub(super) group: Group<'r>,
    pub(super) action: ActionWords,
    pub(super) affected: usize,
    /// Told in brief: all but what is exploited is a line each.
    pub(super) brief: bool,
    /// The place of its worst severity among [`RATINGS`].
    pub(super) worst: usize,
    pub(super) exploited: Vec<FindingView<'r>>,
    /// Its findings by severity, without severities of which there is none.
    pub(super) batches: Vec<Batch<'r>>,
    /// The severities of which it is the first package.
    pub(super) first_of: Vec<&'static str>,
}

/// Findings of one severity.
#[derive(Clone)]
pub(super) struct Batch<'r> {
    pub(super) class: &'static str,
    pub(super) letter: &'static str,
    pub(super) word: &'static str,
    pub(super) count: usize,
    /// Those that are not exploited, if they are listed.
    pub(super) findings: Vec<Brief<'r>>,
}

/// A finding among many.
#[derive(Clone)]
pub(super) struct Brief<'r> {
    pub(super) of: &'r Finding,
    /// Score and fix.
    pub(super) short: String,
    /// What decides it: the range, whose word that is, and the number of the source.
    pub(super) evidence: String,
}

/// What to do, in words.
#[derive(Clone, Default)]
pub(super) struct ActionWords {
    pub(super) what: String,
    pub(super) how_much: Option<String>,
    /// What else there is to choose.
    pub(super) other: Option<String>,
}

/// A package of which something needs review.
pub(super) struct Review<'r> {
    pub(super) group: Group<'r>,
    pub(super) told: String,
    /// Told in brief.
    pub(super) brief: bool,
    pub(super) reasons: Vec<ReasonView<'r>>,
}

/// Findings that need review for one reason.
pub(super) struct ReasonView<'r> {
    pub(super) text: String,
    pub(super) findings: Vec<FindingView<'r>>,
}

/// A section of what needs no action.
pub(super) struct Closed<'r> {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) words: &'static str,
    pub(super) count: usize,
    pub(super) groups: Vec<Group<'r>>,
}

/// Packages with something affected.
pub(super) fn rows(report: &Report) -> Vec<Row<'_>> {
    let maker = Maker::of(report);
    let mut anchors = Anchors::default();
    let mut seen = HashSet::new();
    let mut rows = Vec::new();
    let mut told = 0;
    for (at, package) in report.packages.iter().enumerate() {
        let Some(mut group) = maker.group(package, format!("p{at}"), is_affected) else {
            continue;
        };
        let count = |wanted: fn(&Finding) -> bool| {
            package
                .findings
                .iter()
                .filter(|finding| wanted(finding))
                .count()
        };
        for (count, name, head) in [
            (count(is_review), "need review", 'r'),
            (count(is_patched), "patched here", 'f'),
            (count(is_suppressed), "suppressed", 's'),
        ] {
            if count > 0 {
                group
                    .elsewhere
                    .push((format!("#{head}{at}"), format!("{} {name}", number(count))));
            }
        }
        let brief = package.grouped || told > MOST_IN_FULL;
        if !brief {
            told += group.findings.len();
        }
        let batches = batches(&group.findings, brief);
        let exploited = group
            .findings
            .iter()
            .filter(|finding| finding.of.exploited.is_some());
        rows.push(Row {
            package,
            anchor: anchors.of(package),
            action: action(package.action.as_ref()),
            affected: group.findings.len(),
            brief,
            worst: group
                .findings
                .iter()
                .map(|finding| rating_index(finding.of))
                .min()
                .unwrap_or(4),
            exploited: exploited.cloned().collect(),
            first_of: batches
                .iter()
                .map(|batch| batch.word)
                .filter(|word| seen.insert(*word))
                .collect(),
            batches,
            group,
        });
    }
    rows
}

/// Findings by severity; listed, where there are so many that they are told as counts.
fn batches<'r>(findings: &[FindingView<'r>], listed: bool) -> Vec<Batch<'r>> {
    let batches = RATINGS.iter().map(|rating| {
        let those = || {
            findings
                .iter()
                .filter(|finding| finding.class == rating.class)
        };
        let others = those().filter(|finding| listed && finding.of.exploited.is_none());
        Batch {
            class: rating.class,
            letter: rating.letter,
            word: rating.word,
            count: those().count(),
            findings: others.map(brief).collect(),
        }
    });
    batches.filter(|batch| batch.count > 0).collect()
}

pub(super) fn brief<'r>(finding: &FindingView<'r>) -> Brief<'r> {
    let of = finding.of;
    let score = of.severity.as_ref().and_then(|severity| severity.score);
    let score = score.map(|score| format!("{score:.1}"));
    let fix = of.fixed_in.as_ref().map(|version| format!("→ {version}"));
    let parts: Vec<String> = score.into_iter().chain(fix).collect();
    Brief {
        of,
        short: parts.join(" "),
        evidence: match finding.evidence.as_slice() {
            [] => String::new(),
            [first, rest @ ..] => {
                let more = match rest.len() {
                    0 => String::new(),
                    more => format!("\u{a0}+{more}"),
                };
                let range = first.of.range.as_str();
                let range = range.strip_prefix("affected ").unwrap_or(range);
                format!("{range}, {}\u{a0}[{}]{more}", first.by, first.source)
            }
        },
    }
}

/// How many findings have all their evidence on the page; those of what presses less are told in
/// brief. A page of a system has all, one of a whole package set does not grow to twenty megabytes.
const MOST_IN_FULL: usize = 1_500;

/// What needs review, by package and reason.
pub(super) fn reviews(report: &Report) -> Vec<Review<'_>> {
    let maker = Maker::of(report);
    let groups = report.packages.iter().enumerate();
    let mut shown = 0;
    groups
        .filter_map(|(at, package)| maker.group(package, format!("r{at}"), is_review))
        .map(|group| {
            let brief = shown > MOST_IN_FULL;
            shown += group.findings.len();
            let mut reasons: Vec<ReasonView<'_>> = Vec::new();
            let mut places: BTreeMap<&str, usize> = BTreeMap::new();
            for finding in &group.findings {
                let at = *places.entry(&finding.of.reason).or_insert_with(|| {
                    reasons.push(ReasonView {
                        text: words::sentence(&finding.of.reason),
                        findings: Vec::new(),
                    });
                    reasons.len() - 1
                });
                reasons[at].findings.push(finding.clone());
            }
            reasons.sort_by_key(|reason| std::cmp::Reverse(reason.findings.len()));
            let told = match reasons.as_slice() {
                [first] => first.text.clone(),
                [first, rest @ ..] => {
                    format!(
                        "{}, and {}",
                        first.text,
                        counted(rest.len(), "other reason", "other reasons")
                    )
                }
                [] => String::new(),
            };
            Review {
                group,
                told,
                brief,
                reasons,
            }
        })
        .collect()
}

/// What is patched and what is suppressed.
pub(super) fn closed(report: &Report) -> Vec<Closed<'_>> {
    let maker = Maker::of(report);
    let section = |name, head, title, words, wanted: fn(&Finding) -> bool| {
        let packages = report.packages.iter().enumerate();
        let groups: Vec<Group<'_>> = packages
            .filter_map(|(at, package)| maker.group(package, format!("{head}{at}"), wanted))
            .collect();
        Closed {
            name,
            title,
            words,
            count: groups.iter().map(|group| group.findings.len()).sum(),
            groups,
        }
    };
    let sections = [
        section(
            "patched",
            'f',
            "Patched here",
            "These versions are affected as released. Every build of them applies a patch against it.",
            is_patched,
        ),
        section(
            "suppressed",
            's',
            "Suppressed",
            "Somebody decided that these do not count here.",
            is_suppressed,
        ),
    ];
    sections
        .into_iter()
        .filter(|section| section.count > 0)
        .collect()
}

fn is_review(finding: &Finding) -> bool {
    is_open(finding) && !is_affected(finding)
}

fn is_patched(finding: &Finding) -> bool {
    finding.suppressed.is_none() && !is_open(finding)
}

fn is_suppressed(finding: &Finding) -> bool {
    finding.suppressed.is_some()
}

fn action(action: Option<&Action>) -> ActionWords {
    let Some(action) = action else {
        return ActionWords::default();
    };
    let fixes = |step: Step<'_>| match (step.fixes, action.of) {
        (0, _) | (1, 1) => None,
        (fixes, of) if fixes == of => Some(format!("fixes all {}", number(fixes))),
        (fixes, of) => Some(format!("fixes {} of {}", number(fixes), number(of))),
    };
    let brings =
        |step: Step<'_>| (step.brings > 0).then(|| format!("brings {}", number(step.brings)));
    let (first, other) = action.steps();
    let remark = |fixes: String| format!("{fixes}{}", action.leaves_exploited(first));
    let words = |parts: [Option<String>; 2]| parts.into_iter().flatten().collect::<Vec<_>>();
    let how_much = words([fixes(first).map(remark), brings(first)]);
    ActionWords {
        what: first.goal.to_string(),
        how_much: (!how_much.is_empty()).then(|| how_much.join(", ")),
        other: other.map(|other| {
            let mut told = vec![format!("or {}", other.goal)];
            told.extend(words([fixes(other), brings(other)]));
            told.join(", ")
        }),
    }
}

/// Ids that can be linked to: letters, digits and `.-_`, each once.
#[derive(Default)]
struct Anchors {
    taken: HashSet<String>,
}

impl Anchors {
    fn of(&mut self, package: &Package) -> String {
        let plain: String = format!("{}-{}", package.name, package.version)
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
            .take(80)
            .collect();
        let mut anchor = format!("in-{plain}");
        let mut number = 1;
        while !self.taken.insert(anchor.clone()) {
            number += 1;
            anchor = format!("in-{plain}-{number}");
        }
        anchor
    }
}

/// What was scanned, by kinds.
pub(super) fn scanned(subject: &SubjectInfo) -> String {
    let inside = match (subject.looked_into, subject.parts) {
        (0, _) => String::new(),
        (objects, parts) => format!(
            " {} inside of them, found in {} that {} looked into.",
            counted(parts, "library", "libraries"),
            counted(objects, "object", "objects"),
            if objects == 1 { "was" } else { "were" },
        ),
    };
    if subject.nature == "files" {
        return format!(
            "Files, which declare {} in different versions.",
            counted(subject.parts, "library", "libraries")
        );
    }
    format!(
        "{}: {} in different versions, {}, and {} without a version.{inside}",
        counted(subject.objects, "object", "objects"),
        counted(subject.components, "package", "packages"),
        counted(
            subject.sources,
            "source, patch or download",
            "sources, patches and downloads"
        ),
        counted(
            subject.unversioned,
            "script or piece of configuration",
            "scripts, hooks and pieces of configuration"
        ),
    )
}
