//! SARIF: ours is valid, and GitHub's demands beyond the schema are told.

use snowguard_formats::Layout;
use snowguard_formats::sarif::{
    AutomationDetails, Configuration, Descriptor, Driver, Invocation, Kind, Level, Location, Log,
    Notification, ReportingResult, Rule, Run, Suppression, SuppressionKind, SuppressionStatus,
    Text,
};
use snowguard_testkit::schema::{Schema, assert_valid};

use crate::lines;

#[test]
fn a_document_with_everything_is_valid() {
    let log = everything();
    assert_eq!(lines(&log.github_problems()), "");
    for layout in [Layout::Pretty, Layout::Compact] {
        assert_valid(Schema::Sarif21, &log.to_json(layout).unwrap());
    }
    let json = log.to_json(Layout::Pretty).unwrap();
    insta::assert_snapshot!(String::from_utf8(json).unwrap());
}

#[test]
fn a_run_without_findings_is_valid() {
    let log = Log {
        runs: vec![Run::new("snowguard", "0.1.0")],
    };
    assert_eq!(lines(&log.github_problems()), "");
    assert_valid(Schema::Sarif21, &log.to_json(Layout::Compact).unwrap());
}

#[test]
fn paths_become_legal_uris() {
    let mut log = everything();
    log.runs[0].results[0].locations = vec![Location::file("päckages/${pname} [x].nix", 0)];
    let json = log.to_json(Layout::Compact).unwrap();
    assert_valid(Schema::Sarif21, &json);
    let json = String::from_utf8(json).unwrap();
    assert!(
        json.contains(r#""uri":"p%C3%A4ckages/$%7Bpname%7D%20%5Bx%5D.nix""#),
        "{json}"
    );
    assert!(json.contains(r#""startLine":1"#));
}

#[test]
fn githubs_demands_are_told() {
    let mut log = everything();
    let run = &mut log.runs[0];
    run.tool
        .driver
        .rules
        .push(Rule::new("CVE-2026-0001").with_property("security-severity", 9.8.into()));
    run.tool.driver.rules.push(
        Rule::new("")
            .with_security_severity(1.0)
            .with_property("tags", "security".into()),
    );
    run.tool
        .driver
        .rules
        .push((0..21).fold(Rule::new("many"), |rule, tag| {
            rule.with_tag(tag.to_string())
        }));
    run.results
        .push(ReportingResult::new("CVE-0000-0000", Level::Error, ""));
    run.results.push(ReportingResult {
        rule_index: Some(3),
        kind: Some(Kind::Review),
        locations: vec![Location::default().with_logical("zlib", "module")],
        ..ReportingResult::new("many", Level::Warning, "x")
    });
    insta::assert_snapshot!(lines(&log.github_problems()), @"
    error: /runs/0/tool/driver/rules/1/id: `CVE-2026-0001` is the identifier of more than one rule
    warning: /runs/0/tool/driver/rules/1: GitHub has no title for a rule without shortDescription
    error: /runs/0/tool/driver/rules/1/properties/security-severity: GitHub wants a number from 0.0 to 10.0 as a string
    error: /runs/0/tool/driver/rules/2/id: an identifier has 1 to 255 characters
    warning: /runs/0/tool/driver/rules/2: GitHub has no title for a rule without shortDescription
    error: /runs/0/tool/driver/rules/2/properties/tags: tags are a list
    warning: /runs/0/tool/driver/rules/3: GitHub has no title for a rule without shortDescription
    error: /runs/0/tool/driver/rules/3/properties/tags: GitHub takes at most 20 tags
    error: /runs/0/results/1/ruleId: `CVE-0000-0000` is no rule of the driver
    error: /runs/0/results/1/message: a result has a message
    error: /runs/0/results/1/locations: GitHub shows no result without a location
    warning: /runs/0/results/1/partialFingerprints: without primaryLocationLineHash GitHub cannot tell whether a finding is new
    error: /runs/0/results/2/level: a result that is no failure has the level `none`
    error: /runs/0/results/2/locations/0: GitHub shows no result without a file
    warning: /runs/0/results/2/partialFingerprints: without primaryLocationLineHash GitHub cannot tell whether a finding is new
    ");
}

#[test]
fn severities_are_text_with_one_decimal() {
    let severity = |score| {
        let rule = Rule::new("x").with_security_severity(score);
        rule.properties["security-severity"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(severity(9.8), "9.8");
    assert_eq!(severity(10.0), "10.0");
    assert_eq!(severity(7.0), "7.0");
    assert_eq!(severity(11.0), "10.0");
    let rule = Rule::new("x").with_tag("a").with_tag("b").with_tag("a");
    assert_eq!(rule.properties["tags"], serde_json::json!(["a", "b"]));
}

/// One of everything that the types can hold.
fn everything() -> Log {
    let mut run = Run::new("snowguard", "0.1.0");
    run.tool.driver = Driver {
        information_uri: Some("https://example.org/snowguard".into()),
        rules: vec![Rule {
            name: Some("VulnerableComponent".into()),
            short_description: Some("A hole in zlib".into()),
            full_description: Some("A hole in zlib before 1.3.2".into()),
            help: Some(Text::with_markdown(
                "Update to 1.3.2",
                "Update to **1.3.2**",
            )),
            help_uri: Some("https://nvd.nist.gov/vuln/detail/CVE-2026-0001".into()),
            default_configuration: Some(Configuration {
                level: Level::Error,
            }),
            ..Rule::new("CVE-2026-0001")
                .with_security_severity(9.8)
                .with_tag("security")
                .with_tag("exploited")
                .with_property("precision", "high".into())
        }],
        notifications: vec![Rule::new("stale-index")],
        ..run.tool.driver
    };
    let time: jiff::Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
    run.invocations = vec![Invocation {
        start_time_utc: Some(time.into()),
        end_time_utc: Some(time.into()),
        tool_execution_notifications: vec![Notification {
            descriptor: Some(Descriptor {
                id: "stale-index".into(),
            }),
            ..Notification::new(Level::Warning, "The index is 40 days old")
        }],
        tool_configuration_notifications: vec![Notification::new(
            Level::Note,
            "An entry was not used",
        )],
        ..Invocation::new(true)
    }];
    run.automation_details = Some(AutomationDetails {
        id: "snowguard/nixos/".into(),
    });
    run.properties.insert("closure".into(), "build time".into());
    run.results.push(ReportingResult {
        rule_index: Some(0),
        kind: Some(Kind::Fail),
        locations: vec![Location {
            message: Some("pinned here".into()),
            ..Location::file("flake.lock", 12).with_logical("zlib-1.3.1", "module")
        }],
        suppressions: vec![Suppression {
            kind: SuppressionKind::External,
            status: Some(SuppressionStatus::Accepted),
            justification: Some("vulnerable_code_not_present".into()),
        }],
        properties: [("epss".to_owned(), serde_json::json!(0.97))].into(),
        ..ReportingResult::new("CVE-2026-0001", Level::Error, "zlib 1.3.1 is affected")
            .with_fingerprint("CVE-2026-0001 zlib")
    });
    Log { runs: vec![run] }
}
