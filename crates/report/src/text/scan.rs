//! `snowguard scan`: summary first, then packages by what is most pressing.

mod one;
mod tell;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use unicode_width::UnicodeWidthStr as _;

pub use self::tell::age;
pub(super) use self::tell::decision;
use self::tell::{
    action_text, affected, by_rating, has_exploited, index_line, is_severe, libraries, pad,
    severe_count,
};
use super::paint::{Paint, both_ends, count, number, row, wrap};
use crate::escape::{fit, line};
use crate::model::{Finding, Package, Report};
use crate::rank::urgency;
use crate::{triage, words};

/// What to show, and how.
#[derive(Clone, Copy, Debug)]
pub struct Options<'o> {
    /// Columns of the terminal.
    pub width: usize,
    /// Colour or none.
    pub paint: Paint,
    /// Also what is patched.
    pub show_patched: bool,
    /// Also what is suppressed.
    pub show_suppressed: bool,
    /// Everything, and not the first of each section.
    pub all: bool,
    /// Only packages of this name, in full; `?` for what was not looked at.
    pub component: Option<&'o str>,
}

/// How many packages a section shows before it says how many more there are.
const FIRST: usize = 12;
/// How many findings of a package are named before it says how many more there are.
const NAMED: usize = 4;
/// How many places of a package are told before it says how many more there are.
const PLACES: usize = 8;

/// Writes a scan.
pub fn scan(report: &Report, options: Options<'_>) -> String {
    let mut view = View {
        out: String::new(),
        options,
        paint: options.paint,
        width: options.width.clamp(40, 120),
    };
    match options.component {
        Some("?") => view.not_looked_at(report),
        Some(name) => view.component(report, name),
        None => view.whole(report),
    }
    view.out
}

struct View<'o> {
    out: String,
    options: Options<'o>,
    paint: Paint,
    width: usize,
}

impl View<'_> {
    fn whole(&mut self, report: &Report) {
        self.head(report);
        self.summary(report);
        self.exploited(report);
        self.severe(report);
        self.other(report);
        self.review(report);
        if self.options.show_patched {
            self.patched(report);
        }
        if self.options.show_suppressed {
            self.suppressed(report);
        }
        self.foot(report);
    }

    fn head(&mut self, report: &Report) {
        let subject = &report.subject;
        let title = line(&subject.title);
        let _ = writeln!(self.out, "{}", self.paint.heading(&fit(&title, self.width)));
        // Several objects can be one package: versions of it that differ in how they are built.
        let packages = subject
            .objects
            .saturating_sub(subject.sources + subject.unversioned);
        let mut what = if subject.nature == "files" {
            format!("{}: ", subject.nature)
        } else {
            format!(
                "{}: {} in {} of {}, {}",
                subject.nature,
                count(subject.components, "package", "packages"),
                number(packages),
                count(subject.objects, "object", "objects"),
                count(subject.sources, "source", "sources"),
            )
        };
        if subject.nature == "files" {
            let _ = write!(what, "{}", libraries(subject.parts));
        } else if subject.parts > 0 {
            let _ = write!(what, ", {} inside", libraries(subject.parts));
        }
        wrap(&mut self.out, 0, &what, self.width);
        let (age, index) = index_line(report);
        let one_line = format!("{age}, {index}");
        if one_line.width() <= self.width {
            let _ = writeln!(self.out, "{}", self.paint.quiet(&one_line));
        } else {
            let _ = writeln!(self.out, "{}", self.paint.quiet(&age));
            let _ = writeln!(self.out, "{}", self.paint.quiet(&index));
        }
        if let Some(info) = &report.triage {
            self.quietly(0, &triage::head(info));
        }
    }

    fn summary(&mut self, report: &Report) {
        let summary = &report.summary;
        let severe = severe_count(report);
        let other = summary.affected - summary.exploited - severe;
        let mut parts = Vec::new();
        if summary.affected == 0 && summary.needs_review == 0 {
            let inside = report.subject.parts;
            let all = report.subject.components + inside;
            let unknown = report.not_looked_at.len();
            let (one, many) = match report.subject.components {
                0 if inside > 0 => ("library", "libraries"),
                _ if inside > 0 => ("package and library", "packages and libraries"),
                _ => ("package", "packages"),
            };
            parts.push(match all.saturating_sub(unknown) {
                0 if report.subject.nature == "files" && all == 0 => {
                    "no file here declares a library".to_owned()
                }
                // Silence about what nobody could look at is no good news.
                0 => "no package here could be looked at".to_owned(),
                looked_at if unknown > 0 => format!(
                    "nothing known to be affected in {} of {}",
                    number(looked_at),
                    count(all, one, many),
                ),
                _ => format!("nothing known to be affected in {}", count(all, one, many)),
            });
        } else {
            parts.push(format!("{} exploited", number(summary.exploited)));
            parts.push(format!("{} critical or high", number(severe)));
            parts.push(format!("{} other", number(other)));
            parts.push(format!("{} to review", number(summary.needs_review)));
        }
        if summary.patched > 0 {
            parts.push(format!("{} patched", number(summary.patched)));
        }
        if summary.suppressed > 0 {
            parts.push(format!("{} suppressed", number(summary.suppressed)));
        }
        let _ = writeln!(self.out);
        let parts: Vec<(String, String)> = parts
            .into_iter()
            .map(|part| {
                let painted = self.paint.heading(&part);
                (part, painted)
            })
            .collect();
        row(&mut self.out, 2, &parts, self.width);
    }

    /// Packages with something that is exploited: these findings by name, the others as counts.
    fn exploited(&mut self, report: &Report) {
        let mut first = true;
        for package in &report.packages {
            let (findings, others): (Vec<&Finding>, Vec<&Finding>) =
                affected(package).partition(|finding| finding.exploited.is_some());
            if findings.is_empty() {
                continue;
            }
            self.section(&mut first, "EXPLOITED");
            self.package_line(package, &action_text(package.action.as_ref()));
            let shown = if self.options.all {
                findings.len()
            } else {
                findings.len().min(8)
            };
            for finding in &findings[..shown] {
                self.exploited_line(finding);
            }
            if findings.len() > shown {
                let _ = writeln!(
                    self.out,
                    "    and {} more exploited",
                    number(findings.len() - shown)
                );
            }
            self.others(&others);
            self.decided(findings.iter().chain(&others).copied());
            self.place(package);
        }
    }

    fn others(&mut self, others: &[&Finding]) {
        if !others.is_empty() {
            wrap(
                &mut self.out,
                4,
                &format!("and {}", by_rating(others)),
                self.width,
            );
        }
    }

    fn exploited_line(&mut self, finding: &Finding) {
        let Some(exploited) = &finding.exploited else {
            return;
        };
        let mark = self.paint.exploited("exploited");
        let ransom = if exploited.ransomware {
            ", in ransomware"
        } else {
            ""
        };
        let _ = writeln!(
            self.out,
            "    {}{}   {mark} since {}{ransom}",
            pad(&line(&finding.id), 18),
            self.severity(finding, 14),
            exploited.since
        );
    }

    /// Packages whose worst is critical or high.
    fn severe(&mut self, report: &Report) {
        let packages: Vec<&Package> = report
            .packages
            .iter()
            .filter(|p| !has_exploited(p) && affected(p).any(is_severe))
            .collect();
        let mut first = true;
        for package in self.first_of(&packages) {
            self.section(&mut first, "CRITICAL OR HIGH");
            self.package_line(package, &action_text(package.action.as_ref()));
            let (severe, others): (Vec<&Finding>, Vec<&Finding>) =
                affected(package).partition(|f| is_severe(f));
            if package.grouped {
                let all: Vec<&Finding> = affected(package).collect();
                let _ = writeln!(
                    self.out,
                    "    {}: {}",
                    count(all.len(), "advisory", "advisories"),
                    by_rating(&all)
                );
            } else {
                self.named(&severe);
                self.others(&others);
            }
            self.decided(affected(package));
            self.place(package);
        }
        self.rest(packages.len());
    }

    /// What a tracker says of findings of a package: those of which it says the same on one line.
    fn decided<'f>(&mut self, findings: impl Iterator<Item = &'f Finding>) {
        let mut said: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for finding in findings {
            if let Some(told) = &finding.triage {
                said.entry(triage::clause(told))
                    .or_default()
                    .push(&finding.id);
            }
        }
        for (clause, ids) in said {
            let shown = if self.options.all { ids.len() } else { NAMED };
            let mut text = ids[..shown.min(ids.len())].join(", ");
            if ids.len() > shown {
                let _ = write!(text, " and {} more", number(ids.len() - shown));
            }
            self.quietly(4, &format!("{text}: {clause}"));
        }
    }

    /// The first findings of a package, in columns.
    fn named(&mut self, findings: &[&Finding]) {
        let shown = if self.options.all {
            findings.len()
        } else {
            findings.len().min(NAMED)
        };
        let per_line = (self.width.saturating_sub(4) / 36).max(1);
        for (at, row) in findings[..shown].chunks(per_line).enumerate() {
            let _ = write!(self.out, "   ");
            for (column, finding) in row.iter().enumerate() {
                let last = column + 1 == row.len();
                let width = if last { 0 } else { 14 };
                let _ = write!(
                    self.out,
                    " {}{}",
                    pad(&line(&finding.id), 18),
                    self.severity(finding, width)
                );
            }
            if (at + 1) * per_line >= shown && findings.len() > shown {
                let _ = write!(self.out, "   (+{})", number(findings.len() - shown));
            }
            let _ = writeln!(self.out);
        }
    }

    /// Packages whose worst is neither.
    fn other(&mut self, report: &Report) {
        let packages: Vec<&Package> = report
            .packages
            .iter()
            .filter(|p| {
                !has_exploited(p) && affected(p).next().is_some() && !affected(p).any(is_severe)
            })
            .collect();
        let mut first = true;
        for package in self.first_of(&packages) {
            self.section(&mut first, "OTHER");
            self.package_line(package, &action_text(package.action.as_ref()));
            let findings: Vec<&Finding> = affected(package).collect();
            match findings.as_slice() {
                [only] => {
                    let _ = writeln!(
                        self.out,
                        "    {}{}",
                        pad(&line(&only.id), 18),
                        self.severity(only, 0)
                    );
                }
                many => {
                    let _ = writeln!(self.out, "    {}", by_rating(many));
                }
            }
            self.decided(affected(package));
            self.inside(package);
        }
        self.rest(packages.len());
    }

    fn review(&mut self, report: &Report) {
        let packages: Vec<(&Package, Vec<&Finding>)> = report
            .packages
            .iter()
            .map(|p| {
                (
                    p,
                    p.findings
                        .iter()
                        .filter(|f| f.suppressed.is_none() && f.status == "needs_review")
                        .collect::<Vec<_>>(),
                )
            })
            .filter(|(_, findings)| !findings.is_empty())
            .collect();
        let mut first = true;
        for (package, findings) in self.first_of(&packages) {
            self.section(&mut first, "NEEDS REVIEW");
            self.package_line(package, "");
            self.inside(package);
            self.decided(findings.iter().copied());
            let mut reasons: BTreeMap<&str, Vec<&Finding>> = BTreeMap::new();
            for finding in findings {
                reasons.entry(&finding.reason).or_default().push(finding);
            }
            let mut reasons: Vec<_> = reasons.into_iter().collect();
            reasons.sort_by_key(|(_, findings)| {
                std::cmp::Reverse(findings.iter().map(|f| urgency(f)).max())
            });
            let shown = if self.options.all {
                reasons.len()
            } else {
                reasons.len().min(3)
            };
            for (reason, findings) in &reasons[..shown] {
                let which = match findings.as_slice() {
                    [only] => line(&only.id).into_owned(),
                    many => count(many.len(), "advisory", "advisories"),
                };
                wrap(
                    &mut self.out,
                    4,
                    &format!("{which}: {}", line(reason)),
                    self.width,
                );
            }
            if reasons.len() > shown {
                let _ = writeln!(
                    self.out,
                    "    and {} more",
                    number(reasons[shown..].iter().map(|(_, f)| f.len()).sum::<usize>())
                );
            }
        }
        self.rest(packages.len());
    }

    fn patched(&mut self, report: &Report) {
        let mut first = true;
        for package in &report.packages {
            let findings: Vec<&Finding> = package
                .findings
                .iter()
                .filter(|f| f.suppressed.is_none() && f.status == "patched")
                .collect();
            if findings.is_empty() {
                continue;
            }
            self.section(&mut first, "PATCHED HERE");
            self.package_line(package, "");
            for finding in findings {
                wrap(
                    &mut self.out,
                    4,
                    &format!("{}: {}", line(&finding.id), line(&finding.reason)),
                    self.width,
                );
            }
        }
    }

    fn suppressed(&mut self, report: &Report) {
        let mut first = true;
        for package in &report.packages {
            let findings: Vec<&Finding> = package
                .findings
                .iter()
                .filter(|f| f.suppressed.is_some())
                .collect();
            if findings.is_empty() {
                continue;
            }
            self.section(&mut first, "SUPPRESSED");
            self.package_line(package, "");
            for finding in findings {
                let Some(by) = &finding.suppressed else {
                    continue;
                };
                let text = format!("{}: {}", line(&finding.id), decision(by));
                wrap(&mut self.out, 4, &text, self.width);
            }
        }
    }

    fn foot(&mut self, report: &Report) {
        let unknown = report.not_looked_at.len();
        let told = &report.suppressions;
        if unknown + report.gaps.len() + told.expired.len() + told.unused.len() > 0 {
            let _ = writeln!(self.out);
        }
        if unknown > 0 {
            let are = if unknown == 1 { "has" } else { "have" };
            let text = format!(
                "Not looked at: {} of {} {are} no known identity (see --component '?').",
                number(unknown),
                count(
                    report.subject.components + report.subject.parts,
                    "package",
                    "packages"
                )
            );
            wrap(&mut self.out, 0, &text, self.width);
        }
        for gap in &report.gaps {
            wrap(
                &mut self.out,
                0,
                &format!("Not known: {}.", line(gap)),
                self.width,
            );
        }
        for (what, list) in [
            ("expired", &report.suppressions.expired),
            ("met nothing", &report.suppressions.unused),
        ] {
            for entry in list {
                let (verb, remedy) = match (what, entry.expires) {
                    ("expired", Some(day)) => {
                        (format!("expired on {day}"), "Decide anew, or remove it.")
                    }
                    _ => ("met nothing".to_owned(), "Check the names, or remove it."),
                };
                let text = format!(
                    "Suppression {verb}: {} for {} ({}). {remedy}",
                    line(&entry.advisory),
                    line(&entry.component),
                    line(&entry.origin)
                );
                wrap(&mut self.out, 0, &text, self.width);
            }
        }
    }

    fn section(&mut self, first: &mut bool, heading: &str) {
        if *first {
            let _ = writeln!(self.out, "\n{}", self.paint.heading(heading));
            *first = false;
        }
    }

    fn package_line(&mut self, package: &Package, action: &str) {
        let language = package
            .language
            .map_or(String::new(), |language| format!(" ({language})"));
        let name = format!(
            "{}{language} {}",
            line(&package.name),
            line(&package.version)
        );
        let plain = format!("  {name}");
        let left = format!("  {}", self.paint.name(&name));
        both_ends(
            &mut self.out,
            &left,
            &plain,
            &self.paint.action(action),
            action,
            self.width,
        );
    }

    /// Where it is, and how much hangs on it.
    fn place(&mut self, package: &Package) {
        self.inside(package);
        let mut parts = Vec::new();
        if let Some(attr) = package.attributes.first() {
            let more = package.attributes.len() - 1;
            parts.push(if more > 0 {
                format!("{} (+{more})", line(attr))
            } else {
                line(attr).into_owned()
            });
        }
        if package.scope != "unknown" {
            parts.push(package.scope.to_owned());
        }
        if package.dependents > 0 {
            parts.push(count(package.dependents, "dependent", "dependents"));
        }
        if !parts.is_empty() {
            let _ = writeln!(self.out, "    {}", self.paint.quiet(&parts.join(", ")));
        }
    }

    /// What it is inside of, if it is.
    fn inside(&mut self, package: &Package) {
        if let Some(places) = words::places(package) {
            self.quietly(4, &places);
        }
    }

    fn quietly(&mut self, indent: usize, text: &str) {
        let mut lines = String::new();
        wrap(&mut lines, 0, &line(text), self.width - indent);
        for text in lines.lines() {
            let _ = writeln!(self.out, "{}{}", " ".repeat(indent), self.paint.quiet(text));
        }
    }

    fn severity(&self, finding: &Finding, width: usize) -> String {
        let (rating, text) = match &finding.severity {
            Some(severity) => {
                let score = severity
                    .score
                    .map_or("   —".to_owned(), |score| format!("{score:>4.1}"));
                (severity.rating, format!("{score} {}", severity.rating))
            }
            None => ("", "   — unrated".to_owned()),
        };
        let space = " ".repeat(width.saturating_sub(text.chars().count()));
        format!("{}{space}", self.paint.rating(rating, &text))
    }

    fn first_of<'p, T>(&self, all: &'p [T]) -> &'p [T] {
        if self.options.all {
            all
        } else {
            &all[..all.len().min(FIRST)]
        }
    }

    fn rest(&mut self, packages: usize) {
        if !self.options.all && packages > FIRST {
            let text = format!(
                "  and {} (--all shows them)",
                count(packages - FIRST, "more package", "more packages")
            );
            let _ = writeln!(self.out, "{}", self.paint.quiet(&text));
        }
    }
}
