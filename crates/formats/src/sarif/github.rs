//! What GitHub code scanning asks of a document beyond its schema.
//!
//! From GitHub's page "SARIF support for code scanning": the properties that it requires, how it
//! reads `security-severity`, and its limits on counts.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::{GITHUB_FINGERPRINT, Kind, Level, Log, ReportingResult, Rule};
use crate::error::{Problem, Problems};

pub(super) fn problems(log: &Log) -> Vec<Problem> {
    let mut problems = Problems::default();
    if log.runs.len() > MAX_RUNS {
        problems.error("/runs", format!("GitHub takes at most {MAX_RUNS} runs"));
    }
    for (at, run) in log.runs.iter().enumerate() {
        let place = format!("/runs/{at}");
        let driver = &run.tool.driver;
        if driver.name.is_empty() {
            problems.error(format!("{place}/tool/driver/name"), "a tool has a name");
        }
        if driver.rules.len() > MAX_RULES {
            problems.error(
                format!("{place}/tool/driver/rules"),
                format!("GitHub takes at most {MAX_RULES} rules"),
            );
        }
        if run.results.len() > MAX_RESULTS {
            problems.error(
                format!("{place}/results"),
                format!("GitHub takes at most {MAX_RESULTS} results"),
            );
        } else if run.results.len() > SHOWN_RESULTS {
            problems.warning(
                format!("{place}/results"),
                format!("GitHub shows only the gravest {SHOWN_RESULTS} results"),
            );
        }
        let mut rules = HashMap::new();
        for (at, rule) in driver.rules.iter().enumerate() {
            let place = format!("{place}/tool/driver/rules/{at}");
            if *rules.entry(rule.id.as_str()).or_insert(at) != at {
                problems.error(
                    format!("{place}/id"),
                    format!("`{}` is the identifier of more than one rule", rule.id),
                );
            }
            self::rule(&place, rule, &mut problems);
        }
        for (at, result) in run.results.iter().enumerate() {
            self::result(
                &format!("{place}/results/{at}"),
                result,
                &rules,
                &mut problems,
            );
        }
    }
    problems.0
}

fn rule(place: &str, rule: &Rule, problems: &mut Problems) {
    if rule.id.is_empty() || rule.id.len() > MAX_ID {
        problems.error(
            format!("{place}/id"),
            format!("an identifier has 1 to {MAX_ID} characters"),
        );
    }
    if rule.short_description.is_none() {
        problems.warning(
            place,
            "GitHub has no title for a rule without shortDescription",
        );
    }
    let severity = rule.properties.get("security-severity");
    let score = severity.map(|severity| severity.as_str().and_then(|text| text.parse().ok()));
    match score {
        None => {}
        Some(Some(score)) if (0.0..=10.0).contains(&score) => {}
        Some::<Option<f64>>(_) => problems.error(
            format!("{place}/properties/security-severity"),
            "GitHub wants a number from 0.0 to 10.0 as a string",
        ),
    }
    match rule.properties.get("tags") {
        None => {}
        Some(Value::Array(tags)) => {
            if tags.len() > MAX_TAGS {
                problems.error(
                    format!("{place}/properties/tags"),
                    format!("GitHub takes at most {MAX_TAGS} tags"),
                );
            } else if tags.len() > SHOWN_TAGS {
                problems.warning(
                    format!("{place}/properties/tags"),
                    format!("GitHub shows only {SHOWN_TAGS} tags"),
                );
            }
            let distinct: HashSet<_> = tags.iter().filter_map(Value::as_str).collect();
            if distinct.len() < tags.len() {
                problems.error(
                    format!("{place}/properties/tags"),
                    "tags are distinct strings",
                );
            }
            if severity.is_some() && !distinct.contains("security") {
                problems.warning(
                    format!("{place}/properties/tags"),
                    "GitHub reads security-severity only of rules with the tag `security`",
                );
            }
        }
        Some(_) => problems.error(format!("{place}/properties/tags"), "tags are a list"),
    }
}

fn result(
    place: &str,
    result: &ReportingResult,
    rules: &HashMap<&str, usize>,
    problems: &mut Problems,
) {
    match (rules.get(result.rule_id.as_str()), result.rule_index) {
        (None, _) => problems.error(
            format!("{place}/ruleId"),
            format!("`{}` is no rule of the driver", result.rule_id),
        ),
        (Some(at), Some(index)) if *at != index => problems.error(
            format!("{place}/ruleIndex"),
            format!("`{}` is rule {at}, not {index}", result.rule_id),
        ),
        _ => {}
    }
    if result.message.text.is_empty() {
        problems.error(format!("{place}/message"), "a result has a message");
    }
    if result.kind.is_some_and(|kind| kind != Kind::Fail) && result.level != Level::None {
        problems.error(
            format!("{place}/level"),
            "a result that is no failure has the level `none`",
        );
    }
    if result.locations.len() > MAX_LOCATIONS {
        problems.error(
            format!("{place}/locations"),
            format!("GitHub takes at most {MAX_LOCATIONS} locations"),
        );
    } else if result.locations.len() > SHOWN_LOCATIONS {
        problems.warning(
            format!("{place}/locations"),
            format!("GitHub shows only {SHOWN_LOCATIONS} locations"),
        );
    }
    match result.locations.first() {
        None => problems.error(
            format!("{place}/locations"),
            "GitHub shows no result without a location",
        ),
        Some(location) => match &location.physical_location {
            None => problems.error(
                format!("{place}/locations/0"),
                "GitHub shows no result without a file",
            ),
            Some(physical) => {
                if physical.artifact_location.uri.is_empty() {
                    problems.error(
                        format!("{place}/locations/0/physicalLocation/artifactLocation/uri"),
                        "a file has a path",
                    );
                }
                if physical.region.is_none() {
                    problems.error(
                        format!("{place}/locations/0/physicalLocation/region"),
                        "GitHub wants the line",
                    );
                }
            }
        },
    }
    if !result.partial_fingerprints.contains_key(GITHUB_FINGERPRINT) {
        problems.warning(
            format!("{place}/partialFingerprints"),
            format!("without {GITHUB_FINGERPRINT} GitHub cannot tell whether a finding is new"),
        );
    }
}

const MAX_RUNS: usize = 20;
const MAX_RULES: usize = 25_000;
const MAX_RESULTS: usize = 25_000;
const SHOWN_RESULTS: usize = 5_000;
const MAX_LOCATIONS: usize = 1_000;
const SHOWN_LOCATIONS: usize = 100;
const MAX_TAGS: usize = 20;
const SHOWN_TAGS: usize = 10;
const MAX_ID: usize = 255;
