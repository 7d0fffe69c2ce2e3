//! The report for code-scanning services and editors: SARIF.
//!
//! An advisory is a rule, a finding is a result. What is affected is an error or a warning by its
//! severity, what needs review a note, and what is suppressed carries its suppression. The
//! fingerprint names package and advisory and neither version nor path, so that a finding stays the
//! same one until it is gone.

use std::collections::HashMap;

use snowguard_formats::sarif::{
    AutomationDetails, Configuration, Descriptor, Invocation, Kind, Level, Location, Log,
    Notification, ReportingResult, Rule, Run, Suppression, SuppressionKind, SuppressionStatus,
    Text,
};

use crate::model::{Finding, Package, Report};
use crate::{triage, words};

/// What goes into the document.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// With findings that a patch mends, as results that pass.
    pub patched: bool,
}

/// The report as SARIF.
pub fn log(report: &Report, options: Options) -> Log {
    let mut run = Run::new(report.tool.name, &report.tool.version);
    run.tool.driver.information_uri = Some(env!("CARGO_PKG_REPOSITORY").into());
    run.automation_details = Some(AutomationDetails {
        id: format!("{}/{}/", report.tool.name, report.subject.title),
    });
    let mut rules: HashMap<&str, usize> = HashMap::new();
    for package in &report.packages {
        for finding in &package.findings {
            if is_patched(finding) && !options.patched {
                continue;
            }
            let list = &mut run.tool.driver.rules;
            let index = *rules.entry(&finding.id).or_insert_with(|| {
                list.push(rule(package, finding));
                list.len() - 1
            });
            run.results.push(ReportingResult {
                rule_index: Some(index),
                ..result(report, package, finding)
            });
        }
    }
    run.tool.driver.notifications = NOTIFICATIONS
        .iter()
        .map(|(id, description)| Rule {
            short_description: Some((*description).into()),
            ..Rule::new(*id)
        })
        .collect();
    run.invocations = vec![invocation(report)];
    Log { runs: vec![run] }
}

fn is_patched(finding: &Finding) -> bool {
    finding.status == "patched" && finding.suppressed.is_none()
}

fn rule(package: &Package, finding: &Finding) -> Rule {
    let title = match &finding.title {
        Some(title) => title.clone(),
        None => format!("{} in {}", finding.id, package.name),
    };
    let title = title.as_str();
    let mut facts = vec![("Severity", words::severity(finding.severity.as_ref()))];
    if let Some(vector) = finding.severity.as_ref().and_then(|s| s.vector.as_deref()) {
        facts.push(("CVSS", vector.into()));
    }
    if let Some(exploited) = &finding.exploited {
        facts.push(("Exploited", words::exploited(exploited)));
    }
    if !finding.aliases.is_empty() {
        facts.push(("Also known as", finding.aliases.join(", ")));
    }
    facts.push(("Read on", finding.url.clone()));
    let plain: Vec<String> = facts
        .iter()
        .map(|(name, fact)| format!("{name}: {fact}"))
        .collect();
    let marked: Vec<String> = facts
        .iter()
        .map(|(name, fact)| format!("- **{name}**: {}", markdown(fact)))
        .collect();
    let mut rule = Rule {
        short_description: Some(title.into()),
        full_description: Some(title.into()),
        help: Some(Text::with_markdown(
            format!("{title}\n\n{}", plain.join("\n")),
            format!("{}\n\n{}", markdown(title), marked.join("\n")),
        )),
        help_uri: Some(finding.url.clone()),
        default_configuration: Some(Configuration {
            level: level_of_severity(finding),
        }),
        ..Rule::new(&finding.id)
    };
    rule = rule.with_tag("security").with_tag("vulnerability");
    if finding.exploited.is_some() {
        rule = rule.with_tag("exploited");
    }
    // GitHub wants a number; where a database gives only a word, none is invented.
    match finding
        .severity
        .as_ref()
        .and_then(|severity| severity.score)
    {
        Some(score) => rule.with_security_severity(score),
        None => rule,
    }
}

fn result(report: &Report, package: &Package, finding: &Finding) -> ReportingResult {
    let named = format!("{} {}", package.name, package.version);
    let (kind, level, verdict) = match finding.status {
        "affected" => (None, level_of_severity(finding), "is affected by"),
        "needs_review" => (None, Level::Note, "may be affected by"),
        _ => (Some(Kind::Pass), Level::None, "is patched against"),
    };
    let mut message = format!(
        "{named} {verdict} {} ({}): {}.",
        finding.id,
        words::severity(finding.severity.as_ref()),
        finding.reason
    );
    if let Some(exploited) = &finding.exploited {
        message.push(' ');
        message.push_str(&words::sentence(&words::exploited(exploited)));
        message.push('.');
    }
    if kind.is_none() {
        message.push(' ');
        message.push_str(&words::fix(package, finding));
    }
    if let Some(told) = &finding.triage {
        message.push(' ');
        message.push_str(&triage::sentences(told));
    }
    let mut result = ReportingResult::new(&finding.id, level, message).with_fingerprint(format!(
        "{} {}",
        key(package),
        finding.id
    ));
    result.kind = kind;
    result.locations = locations(report, package);
    result
        .suppressions
        .extend(finding.suppressed.as_ref().map(|decision| Suppression {
            kind: SuppressionKind::External,
            status: Some(SuppressionStatus::Accepted),
            justification: Some(match (decision.justification, &decision.url) {
                (Some(word), Some(url)) => format!("{word}: {} ({url})", decision.reason),
                (Some(word), None) => format!("{word}: {}", decision.reason),
                (None, _) => decision.reason.clone(),
            }),
        }));
    let mut property = |name: &str, value: serde_json::Value| {
        result.properties.insert(name.to_owned(), value);
    };
    property("status", finding.status.into());
    property("purl", package.purl.as_str().into());
    property("scope", package.scope.into());
    property("dependents", package.dependents.into());
    if let Some(epss) = &finding.epss {
        property("epss", epss.probability.into());
    }
    if let Some(told) = &finding.triage {
        let mut about = serde_json::json!({
            "tracker": told.tracker,
            "state": told.state,
            "url": told.url,
        });
        if let Some(issue) = &told.issue {
            about["issue"] = issue.as_str().into();
        }
        property("triage", about);
    }
    result
}

/// The package as it stays from version to version.
fn key(package: &Package) -> String {
    match package.language {
        Some(language) => format!("{language}:{}", package.name),
        None => package.name.clone(),
    }
}

/// The files that declare it, if any do; what shows one location shows the first.
fn locations(report: &Report, package: &Package) -> Vec<Location> {
    let inside = package.places.iter().filter(|place| place.inside.is_some());
    let list: Vec<Location> = inside
        .take(MOST_LOCATIONS)
        .map(|place| {
            let file = words::location(place);
            let line = place.line.unwrap_or(1).max(1);
            Location::file(file.trim_start_matches('/'), line.into())
                .with_logical(format!("{}-{}", package.name, package.version), "package")
        })
        .collect();
    if list.is_empty() || !package.inside {
        return vec![location(report, package)];
    }
    list
}

/// A library of a language's own may be in hundreds of programs.
const MOST_LOCATIONS: usize = 20;

/// GitHub shows only what has a file. A store path is none of its files, but it is the place.
fn location(report: &Report, package: &Package) -> Location {
    let place = package
        .store_paths
        .first()
        .map(|path| path.trim_start_matches('/'));
    let place = place
        .filter(|place| !place.is_empty())
        .or(Some(report.subject.title.as_str()).filter(|title| !title.is_empty()))
        .unwrap_or("subject");
    let location = Location::file(place, 1)
        .with_logical(format!("{}-{}", package.name, package.version), "package");
    match package.attributes.first() {
        Some(attribute) => location.with_logical(attribute, "attribute"),
        None => location,
    }
}

fn level_of_severity(finding: &Finding) -> Level {
    let rating = finding.severity.as_ref().map(|severity| severity.rating);
    if finding.exploited.is_some() || matches!(rating, Some("critical" | "high")) {
        Level::Error
    } else {
        Level::Warning
    }
}

/// What is to be said about the scan itself.
fn invocation(report: &Report) -> Invocation {
    let mut invocation = Invocation::new(true);
    invocation.end_time_utc = report.generated_at.parse().ok();
    let told = |id: &str, level, message: String| Notification {
        descriptor: Some(Descriptor { id: id.into() }),
        ..Notification::new(level, message)
    };
    let index = &report.index;
    let scan = &mut invocation.tool_execution_notifications;
    if index.stale {
        let age = match (index.age_days, index.newest) {
            (Some(days), Some(newest)) => {
                format!("its newest record is of {newest}, {days} days ago")
            }
            _ => "no record in it has a date".into(),
        };
        scan.push(told(
            "stale-index",
            Level::Warning,
            format!("The index is old: {age}. Newer advisories are missing from this report."),
        ));
    }
    for gap in &report.gaps {
        scan.push(told(
            "gap",
            Level::Warning,
            format!("{}.", words::sentence(gap)),
        ));
    }
    if !report.not_looked_at.is_empty() {
        scan.push(told(
            "not-looked-at",
            Level::Note,
            format!(
                "{} of {} components have no known identity: no advisory could be held against them.",
                report.not_looked_at.len(),
                report.subject.components + report.subject.parts
            ),
        ));
    }
    let settings = &mut invocation.tool_configuration_notifications;
    let suppressions = &report.suppressions;
    for expired in &suppressions.expired {
        settings.push(told(
            "expired-suppression",
            Level::Warning,
            format!(
                "The suppression of {} for {} has expired and counts no longer ({}).",
                expired.advisory, expired.component, expired.origin
            ),
        ));
    }
    for unused in &suppressions.unused {
        settings.push(told(
            "unused-suppression",
            Level::Note,
            format!(
                "The suppression of {} for {} met nothing ({}).",
                unused.advisory, unused.component, unused.origin
            ),
        ));
    }
    invocation
}

/// Others' text within Markdown: as it stands, and never as markup.
fn markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in crate::escape::line(text).chars() {
        if c.is_ascii_punctuation() && !matches!(c, ',' | '.' | ':' | '/' | '-' | '?' | '=') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

const NOTIFICATIONS: [(&str, &str); 5] = [
    ("stale-index", "The index is older than it should be"),
    ("gap", "Something could not be known"),
    ("not-looked-at", "Components without a known identity"),
    ("expired-suppression", "A suppression whose day has passed"),
    ("unused-suppression", "A suppression that met nothing"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_never_markup() {
        assert_eq!(
            markdown("<b>[x](https://e.org/a-b?c=d) *y* `z`\n# h"),
            r"\<b\>\[x\]\(https://e.org/a-b?c=d\) \*y\* \`z\` \# h"
        );
    }
}
