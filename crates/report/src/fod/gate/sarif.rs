//! The same for code-scanning services: SARIF.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use snowguard_fod::rule;
use snowguard_formats::sarif::{
    AutomationDetails, Configuration, Invocation, Level, Location, Log, Notification,
    ReportingResult, Rule, Run, Suppression, SuppressionKind, SuppressionStatus, Text,
};

use super::markdown::plain;
use super::{Found, Gate, GateRule};
use crate::words;

/// The document. `version` is that of the program.
pub fn log(gate: &Gate, version: &str) -> Log {
    let mut run = Run::new("snowguard", version);
    run.tool.driver.information_uri = Some(env!("CARGO_PKG_REPOSITORY").into());
    run.automation_details = Some(AutomationDetails {
        id: "snowguard-fod-gate/".into(),
    });
    let mut rules: BTreeMap<GateRule, usize> = BTreeMap::new();
    for found in &gate.findings {
        let list = &mut run.tool.driver.rules;
        let index = *rules.entry(found.rule).or_insert_with(|| {
            list.push(described(found));
            list.len() - 1
        });
        run.results.push(ReportingResult {
            rule_index: Some(index),
            ..result(found)
        });
    }
    let is_whole = |found: &Found| found.rule != GateRule::Incomplete;
    let mut invocation = Invocation::new(gate.findings.iter().all(is_whole));
    for gap in &gate.gaps {
        let told = format!("{}.", words::sentence(&plain(gap)));
        invocation
            .tool_execution_notifications
            .push(Notification::new(Level::Warning, told));
    }
    run.invocations = vec![invocation];
    Log { runs: vec![run] }
}

fn described(found: &Found) -> Rule {
    // Of the rule, and not of the one that was found first.
    let what = format!("{}.", words::sentence(found.rule.what()));
    let remedy = format!("{}.", words::sentence(found.rule.remedy()));
    Rule {
        short_description: Some(what.as_str().into()),
        help_uri: Some(found.rule.guide()),
        full_description: Some(format!("{what} {remedy}").into()),
        help: Some(Text::with_markdown(
            format!("{what}\n\n{remedy}"),
            format!("{what}\n\n{remedy}"),
        )),
        default_configuration: Some(Configuration {
            level: level(found.level),
        }),
        ..Rule::new(found.rule.as_str())
    }
    .with_tag("supply-chain")
}

fn result(found: &Found) -> ReportingResult {
    let mut message = format!("{}: {}.", quoted(&found.name), found.what);
    if let (Some(was), Some(is)) = (&found.was, &found.is) {
        let _ = write!(message, " Was {}, is {}.", quoted(was), quoted(is));
    }
    if let Some(detail) = &found.detail {
        let _ = write!(message, " Told: {}.", quoted(detail));
    }
    let _ = write!(message, " What to do: {}.", found.remedy);
    let key = found.attribute.as_deref().unwrap_or(&found.name);
    let fingerprint = format!(
        "{} {} {}",
        found.rule.as_str(),
        plain(key),
        plain(&found.name)
    );
    let mut result = ReportingResult::new(found.rule.as_str(), level(found.level), message)
        .with_fingerprint(fingerprint);
    let (file, line) = place(found);
    let mut location = Location::file(file, line).with_logical(plain(&found.name), "package");
    if let Some(attribute) = &found.attribute {
        location = location.with_logical(plain(attribute), "attribute");
    }
    result.locations = vec![location];
    result
        .suppressions
        .extend(found.waived.as_ref().map(|waived| Suppression {
            kind: SuppressionKind::External,
            status: Some(SuppressionStatus::Accepted),
            justification: Some(plain(&waived.reason)),
        }));
    result
        .properties
        .insert("output".into(), found.output.as_str().into());
    result
}

fn level(level: rule::Level) -> Level {
    match level {
        rule::Level::Error => Level::Error,
        rule::Level::Warning => Level::Warning,
        rule::Level::Note => Level::Note,
    }
}

/// The file of the repository where it is defined; else the derivation, which is none of its files.
fn place(found: &Found) -> (String, u64) {
    let position = found.position.as_deref().and_then(|position| {
        let (file, line) = position.rsplit_once(':')?;
        let line = line.parse().ok()?;
        // Nix evaluates a copy: what follows the name of the copy is the path in the repository.
        let file = match file.strip_prefix("/nix/store/") {
            Some(rest) => rest.split_once('/')?.1,
            None => file.trim_start_matches('/'),
        };
        (!file.is_empty() && !file.split('/').any(|part| part == "..")).then(|| (plain(file), line))
    });
    position.unwrap_or_else(|| {
        let object = if found.drv.is_empty() {
            &found.output
        } else {
            &found.drv
        };
        (plain(object.trim_start_matches('/')), 1)
    })
}

/// Somebody's text within a message, where brackets would be links.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in plain(text).chars() {
        if matches!(c, '[' | ']' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}
