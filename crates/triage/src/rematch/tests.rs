use snowguard_advisory::index::{Builder, SourceKind};
use snowguard_advisory::record::Record;
use snowguard_matching::suppress::Justification;

use super::*;
use crate::memory::Verdict;

const TODAY: Date = jiff::civil::date(2026, 11, 21);
const STABLE: i64 = 1;
const UNSTABLE: i64 = 2;

/// Records in the facts format, as JSON lines.
fn index(lines: &str) -> Vec<u8> {
    let mut builder = Builder::new();
    for line in lines.lines().filter(|line| !line.trim().is_empty()) {
        let record: Record = serde_json::from_str(line).unwrap();
        builder.add("test", SourceKind::Facts, record);
    }
    builder.finish().bytes
}

fn head(channel: i64, attr: &str, name: &str, version: &str, fact: i64) -> Head {
    Head {
        channel,
        attr: attr.into(),
        name: format!("{name}-{version}").into(),
        version: version.into(),
        fact,
    }
}

fn facts() -> Vec<Fact> {
    let plain = |pname: &str, homepage: &str| Fact {
        pname: Some(pname.into()),
        homepages: vec![homepage.into()],
        ..Fact::default()
    };
    let openssl = plain("openssl", "https://www.openssl.org/");
    let patched: Fact = serde_json::from_value(serde_json::json!({
        "pname": "openssl",
        "homepages": ["https://www.openssl.org/"],
        "build": { "patches": [{ "name": "CVE-2020-1967.patch", "path": "/nix/store/x" }] },
    }))
    .unwrap();
    let marked = Fact {
        known_vulnerabilities: vec!["CVE-2020-1967: a crash; CVE-2020-19670 is another".into()],
        ..openssl.clone()
    };
    let bolt = plain("bolt", "https://gitlab.freedesktop.org/bolt/bolt");
    vec![openssl, patched, marked, bolt]
}

const OPENSSL: &str = r#"
{"id":"CVE-2020-1967","published":"2020-04-21","severities":[{"word":"high"}],"affects":[{"products":["openssl:openssl"],"by":"nvd","default":"unaffected","rules":[">=1.1.1d <1.1.1h"]}]}
"#;

struct Case {
    index: Vec<u8>,
    rules: Vec<MemoryRule>,
    stored: Option<State>,
}

impl Case {
    fn of(lines: &str) -> Self {
        Self {
            index: index(lines),
            rules: Vec::new(),
            stored: None,
        }
    }

    fn found(&self, key: &str, heads: Vec<Head>) -> Found {
        let facts = facts();
        let table = IdentityTable::builtin();
        let index = Index::open(&self.index).unwrap();
        let rematch = Rematch {
            index,
            sources: vec!["test"],
            table: &table,
            rules: &self.rules,
            today: TODAY,
            facts: &|number| facts.get(usize::try_from(number).unwrap()),
            stored: &|_, _| self.stored,
            changed: None,
        };
        let package = Package {
            id: 7,
            key: key.into(),
            dependents: 3,
            heads,
        };
        rematch.run(&[package]).unwrap().pop().unwrap()
    }
}

/// Channel by channel, in words.
fn told(found: &Found) -> String {
    let mut lines = Vec::new();
    for outcome in &found.outcomes {
        lines.push(format!("{}: {}", outcome.advisory, outcome.status.as_str()));
        for channel in &outcome.channels {
            lines.push(format!(
                "  {} {} {}",
                channel.channel,
                channel.status.as_str(),
                channel.versions.join(" ")
            ));
        }
    }
    lines.join("\n")
}

#[test]
fn channels_are_told_apart_and_the_worst_counts() {
    let case = Case::of(OPENSSL);
    let found = case.found(
        "openssl",
        vec![
            head(STABLE, "openssl", "openssl", "1.1.1g", 0),
            head(UNSTABLE, "openssl", "openssl", "1.1.1k", 0),
        ],
    );
    insta::assert_snapshot!(told(&found), @r"
    CVE-2020-1967: affected
      1 affected 1.1.1g
      2 fixed 1.1.1k
    ");
    assert_eq!(found.action.unwrap().update_to.as_deref(), Some("1.1.1h"));
    assert_eq!(found.outcomes[0].weights.channels, 1);
}

/// What mends one line is no update for a channel that is past it.
#[test]
fn the_update_is_one_for_every_channel() {
    let case = Case::of(
        r#"
{"id":"CVE-2026-0001","affects":[{"products":["openssl:openssl"],"by":"openssl","default":"unaffected","rules":[">=1.1.1 <1.1.1z",">=3.6.0 <3.6.3"]}]}
{"id":"CVE-2026-0002","affects":[{"products":["openssl:openssl"],"by":"openssl","default":"unaffected","rules":[">=1.1.1 <1.1.1za"]}]}
"#,
    );
    let found = case.found(
        "openssl",
        vec![
            head(STABLE, "openssl", "openssl", "1.1.1g", 0),
            head(UNSTABLE, "openssl", "openssl", "3.6.0", 0),
        ],
    );
    assert_eq!(found.action.unwrap().update_to.as_deref(), Some("3.6.3"));
    let fixed = found.outcomes[0].evidence.fixed_in();
    assert_eq!(fixed, Some("3.6.3"));
}

/// The fix of one line is none while a later line is affected and nobody says where that ends.
#[test]
fn a_fix_below_what_is_affected_is_no_fix() {
    for (rule, fix) in [
        (">=3.6.0", None),
        (">=3.6.0 <=3.6.9", None),
        (">=3.6.0 <3.6.3", Some("3.6.3")),
        (">=1.0 <=1.0.9", Some("1.1.1z")),
    ] {
        let case = Case::of(&format!(
            r#"{{"id":"CVE-2026-0001","affects":[{{"products":["openssl:openssl"],"by":"openssl","default":"unaffected","rules":[">=1.1.1 <1.1.1z","{rule}"]}}]}}"#
        ));
        let found = case.found(
            "openssl",
            vec![
                head(STABLE, "openssl", "openssl", "1.1.1g", 0),
                head(
                    UNSTABLE,
                    "openssl",
                    "openssl",
                    if fix == Some("1.1.1z") {
                        "1.0.2"
                    } else {
                        "3.6.0"
                    },
                    0,
                ),
            ],
        );
        assert_eq!(found.outcomes[0].evidence.fixed_in(), fix, "{rule}");
    }
}

/// A patch in one channel says nothing of another that has the same version without it.
#[test]
fn a_patch_in_one_channel_does_not_count_for_another() {
    let case = Case::of(OPENSSL);
    let found = case.found(
        "openssl",
        vec![
            head(STABLE, "openssl", "openssl", "1.1.1g", 1),
            head(UNSTABLE, "openssl", "openssl", "1.1.1g", 0),
        ],
    );
    insta::assert_snapshot!(told(&found), @r"
    CVE-2020-1967: affected
      1 patched 1.1.1g
      2 affected 1.1.1g
    ");
}

#[test]
fn an_attribute_that_moved_to_another_package_is_not_mixed_up() {
    let facts = facts();
    let bytes = index(OPENSSL);
    let table = IdentityTable::builtin();
    let rematch = Rematch {
        index: Index::open(&bytes).unwrap(),
        sources: vec!["test"],
        table: &table,
        rules: &[],
        today: TODAY,
        facts: &|number| facts.get(usize::try_from(number).unwrap()),
        stored: &|_, _| None,
        changed: None,
    };
    let package = |id, key: &str, heads| Package {
        id,
        key: key.into(),
        dependents: 0,
        heads,
    };
    let found = rematch
        .run(&[
            package(
                1,
                "openssl",
                vec![head(STABLE, "x", "openssl", "1.1.1g", 0)],
            ),
            package(2, "bolt", vec![head(UNSTABLE, "x", "bolt", "1.0", 3)]),
        ])
        .unwrap();
    assert_eq!(found[0].outcomes.len(), 1);
    assert!(found[1].outcomes.is_empty());
}

#[test]
fn what_is_fixed_everywhere_is_told_only_if_it_was_known() {
    let heads = || vec![head(STABLE, "openssl", "openssl", "1.1.1k", 0)];
    let mut case = Case::of(OPENSSL);
    assert!(case.found("openssl", heads()).outcomes.is_empty());
    case.stored = Some(State::Confirmed);
    let found = case.found("openssl", heads());
    assert_eq!(found.outcomes[0].status, Status::Fixed);
    assert!(found.outcomes[0].evidence.builds[0].said.is_empty());
}

/// The present tracker knows a package's known vulnerabilities only if they are bare ids.
#[test]
fn what_nixpkgs_marks_is_known_by_an_id_in_a_text() {
    let case = Case::of(OPENSSL);
    let found = case.found(
        "openssl",
        vec![head(STABLE, "openssl", "openssl", "1.1.1g", 2)],
    );
    assert_eq!(found.outcomes[0].evidence.marked.len(), 1);
    assert!(found.outcomes[0].weights.marked);
    let other = Case::of(&OPENSSL.replace("CVE-2020-1967", "CVE-2020-1968"));
    let found = other.found(
        "openssl",
        vec![head(STABLE, "openssl", "openssl", "1.1.1g", 2)],
    );
    assert!(found.outcomes[0].evidence.marked.is_empty());
}

#[test]
fn a_rule_takes_a_product_away_and_its_preview_says_so() {
    let lines = OPENSSL
        .replace("openssl:openssl", "bolt:bolt")
        .replace("1.1.1d", "0.1")
        .replace("1.1.1h", "2.0");
    let mut case = Case::of(&lines);
    let heads = || {
        vec![
            head(STABLE, "bolt", "bolt", "1.0", 3),
            head(UNSTABLE, "bolt", "bolt", "1.1", 3),
        ]
    };
    let without = case.found("bolt", heads());
    assert_eq!(without.outcomes.len(), 1);
    let rule = |channel| {
        MemoryRule::new(
            "bolt",
            "bolt:bolt",
            Verdict::Deny,
            channel,
            None,
            "another bolt",
            TODAY,
        )
        .unwrap()
    };
    case.rules = vec![rule(None)];
    let with = case.found("bolt", heads());
    let preview = difference(&without.outcomes, &with.outcomes);
    assert_eq!(
        preview.changes,
        [Change {
            advisory: "CVE-2020-1967".into(),
            was: Some(Status::Affected),
            is: None
        }]
    );
    // In one channel only.
    case.rules = vec![rule(Some(STABLE))];
    insta::assert_snapshot!(told(&case.found("bolt", heads())), @r"
    CVE-2020-1967: affected
      2 affected 1.1
    ");
}

#[test]
fn what_people_put_aside_is_no_reason_for_an_update() {
    let mut case = Case::of(OPENSSL);
    case.stored = Some(State::NotAffected {
        justification: Justification::VulnerableCodeNotPresent,
    });
    let found = case.found(
        "openssl",
        vec![head(STABLE, "openssl", "openssl", "1.1.1g", 0)],
    );
    assert_eq!(found.outcomes[0].status, Status::Affected);
    assert!(found.action.is_none());
}

#[test]
fn the_evidence_is_read_as_it_is_written() {
    let case = Case::of(OPENSSL);
    let found = case.found(
        "openssl",
        vec![head(STABLE, "openssl", "openssl", "1.1.1g", 1)],
    );
    let evidence = &found.outcomes[0].evidence;
    let json = serde_json::to_string(evidence).unwrap();
    insta::assert_snapshot!(json, @r#"{"builds":[{"version":"1.1.1g","attributes":["openssl"],"channels":[1],"status":"patched","reason":"CVE-2020-1967.patch is applied","fixed_in":"1.1.1h","said":[{"record":"CVE-2020-1967","source":"test","by":"nvd","product":"openssl:openssl","target":"openssl:openssl","identity":"reviewed: the project itself","identity_sure":true,"range":"affected from 1.1.1d before 1.1.1h","order":"upstream release order","says":"affected"}],"patches":[{"name":"CVE-2020-1967.patch","proof":"name","detail":"CVE-2020-1967","builds":1,"of":1}]}]}"#);
    assert_eq!(serde_json::from_str::<Evidence>(&json).unwrap(), *evidence);
}

/// A package that is there in several versions is one finding, and one decision.
#[test]
fn versions_of_a_package_are_one_finding() {
    let case = Case::of(OPENSSL);
    let found = case.found(
        "openssl",
        vec![
            head(STABLE, "openssl", "openssl", "1.1.1k", 0),
            head(STABLE, "openssl_1_1_g", "openssl", "1.1.1g", 0),
            head(STABLE, "openssl_1_1_f", "openssl", "1.1.1f", 0),
        ],
    );
    insta::assert_snapshot!(told(&found), @r"
    CVE-2020-1967: affected
      1 affected 1.1.1f 1.1.1g
    ");
    let builds = &found.outcomes[0].evidence.builds;
    let attributes: Vec<_> = builds
        .iter()
        .map(|build| build.attributes.join(" "))
        .collect();
    assert_eq!(attributes, ["openssl_1_1_f", "openssl_1_1_g", "openssl"]);
}

/// Why it matched is told, and what speaks against.
#[test]
fn each_finding_has_its_reasons() {
    let case = Case::of(OPENSSL);
    let found = case.found(
        "openssl",
        vec![head(STABLE, "openssl", "openssl", "1.1.1g", 1)],
    );
    for outcome in &found.outcomes {
        let build = &outcome.evidence.builds[0];
        assert!(!build.reason.is_empty() && !build.said.is_empty());
        assert!(
            build
                .said
                .iter()
                .all(|said| !said.identity.is_empty() && !said.range.is_empty())
        );
        assert_eq!(build.patches.len(), 1);
    }
}

/// A few advisories that change cost a few findings, and not all of a package that has thousands.
#[test]
fn where_some_advisories_changed_only_these_are_told() {
    let bolt = r#"
{"id":"CVE-2020-0001","affects":[{"products":[":bolt"],"by":"nvd","default":"unaffected","rules":[">=0.1 <2.0"]}]}
{"id":"CVE-2020-0002","affects":[{"products":[":bolt"],"by":"nvd","default":"unaffected","rules":[">=0.1 <2.0"]}]}
"#;
    let table = IdentityTable::builtin();
    let facts = facts();
    let package = Package {
        id: 7,
        key: "bolt".into(),
        dependents: 3,
        heads: vec![head(STABLE, "bolt", "bolt", "1.0", 3)],
    };
    let run = |lines: &str, kept: Option<&Vec<u8>>| {
        let bytes = index(lines);
        let index = Index::open(&bytes).unwrap();
        let vulnerabilities = [index.find("CVE-2020-0002").unwrap().unwrap()];
        let kept = kept.map(|kept| (7, kept.clone())).into_iter().collect();
        let rematch = Rematch {
            index,
            sources: vec!["test"],
            table: &table,
            rules: &[],
            today: TODAY,
            facts: &|number| facts.get(usize::try_from(number).unwrap()),
            stored: &|_, _| None,
            changed: Some(Changed {
                vulnerabilities: &vulnerabilities.into_iter().collect(),
                kept: &kept,
            }),
        };
        rematch
            .run(std::slice::from_ref(&package))
            .unwrap()
            .pop()
            .unwrap()
    };
    let told = |found: &Found| {
        let outcomes = found.outcomes.iter();
        let told: Vec<_> = outcomes
            .map(|outcome| format!("{} {}", outcome.advisory, outcome.is_sure))
            .collect();
        format!("{} {}", told.join(", "), found.is_whole)
    };
    let first = run(bolt, None);
    assert_eq!(told(&first), "CVE-2020-0001 true, CVE-2020-0002 true true");
    let kept = Some(&first.identities);
    let again = run(bolt, kept);
    assert_eq!(told(&again), "CVE-2020-0002 true false");
    // The update is of all.
    let update = |found: &Found| {
        found
            .action
            .as_ref()
            .map(|action| (action.of, action.update_to.clone()))
    };
    assert_eq!(update(&again), Some((2, Some("2.0".to_owned()))));
    assert_eq!(update(&again), update(&first));
    // Another product of that name turns up, and takes the certainty from those that name nobody.
    let other = format!(
        "{bolt}{}",
        r#"{"id":"CVE-2020-0003","affects":[{"products":["puppet:bolt"],"by":"nvd","default":"unaffected","rules":[">=0.1 <2.0"]}]}"#
    );
    let found = run(&other, kept);
    assert_eq!(
        told(&found),
        "CVE-2020-0001 false, CVE-2020-0002 false true"
    );
}
