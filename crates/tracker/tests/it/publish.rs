//! What is published: valid by the schemas of others, the same for the same issues, and free of what
//! others' names could do in it.

use proptest::prelude::*;
use snowguard_advisory::identity::PackageKey;
use snowguard_formats::Layout;
use snowguard_formats::osv::{Event, Naming};
use snowguard_matching::suppress::Justification;
use snowguard_testkit::schema::{Schema, assert_valid};
use snowguard_tracker::publish::{
    self, DecidedPackage, Decision, FixedSince, Issue, Site, Standing, Verdicts,
};
use snowguard_tracker::view::{Rating, Status};

pub(crate) fn site() -> Site {
    Site {
        url: "https://tracker.example.org".to_owned(),
        author: "Example security team".to_owned(),
        ecosystem: "Nixpkgs".to_owned(),
    }
}

fn channel(name: &str, status: Status, version: &str) -> Standing {
    Standing {
        channel: name.to_owned(),
        status,
        versions: vec![version.to_owned()],
        fixed: None,
    }
}

fn package(key: &str, decision: Decision, channels: Vec<Standing>) -> DecidedPackage {
    let name = key.rsplit(':').next().unwrap_or(key);
    DecidedPackage {
        key: key.to_owned(),
        name: name.to_owned(),
        attributes: vec![name.to_owned()],
        purl: PackageKey::new("generic", name).unwrap(),
        fixed_in: Some("3.0.14".to_owned()),
        decision,
        channels,
    }
}

pub(crate) fn issue() -> Issue {
    Issue {
        id: "NIX-2026-0001".parse().unwrap(),
        title: publish::title(["openssl", "libressl", "boringssl"], "CVE-2026-0001"),
        text: Some("Update soon.".to_owned()),
        published: "2026-01-30T12:00:00Z".parse().unwrap(),
        modified: "2026-02-03T05:00:00Z".parse().unwrap(),
        withdrawn: None,
        verdicts: verdicts(),
    }
}

fn verdicts() -> Verdicts {
    let mut stable = channel("nixos-25.11", Status::Fixed, "3.0.14");
    stable.fixed = Some(FixedSince {
        revision: "0123456789abcdef0123456789abcdef01234567".to_owned(),
        at: "2026-02-03T04:05:06Z".parse().unwrap(),
    });
    Verdicts {
        advisory: "CVE-2026-0001".to_owned(),
        aliases: vec!["GHSA-aaaa-bbbb-cccc".to_owned()],
        rating: Rating::High,
        vector: Some("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N".to_owned()),
        exploited: Some("2026-01-05".parse().unwrap()),
        decided: "2026-02-03T05:00:00Z".parse().unwrap(),
        packages: vec![
            package(
                "openssl",
                Decision::Confirmed,
                vec![
                    channel("nixos-unstable", Status::Affected, "3.0.13"),
                    stable,
                    channel("nixos-25.05", Status::Patched, "3.0.12"),
                ],
            ),
            package(
                "libressl",
                Decision::NotAffected {
                    justification: Justification::VulnerableCodeNotPresent,
                    reason: "the code was never imported".to_owned(),
                },
                vec![channel("nixos-unstable", Status::Affected, "4.0.0")],
            ),
            package(
                "boringssl",
                Decision::WontFix {
                    reason: "it is removed with the next release".to_owned(),
                },
                vec![channel("nixos-unstable", Status::Affected, "2023-01-01")],
            ),
        ],
    }
}

#[test]
fn osv_is_valid_and_names_the_ecosystem_openly() {
    let document = publish::osv(&issue(), &site());
    let json = document.to_json(Naming::Valid, Layout::Pretty).unwrap();
    assert_valid(Schema::Osv17, &json);
    insta::assert_snapshot!(String::from_utf8(json).unwrap());
}

/// The fix of an older release line has a lower number than that of the newest.
#[test]
fn a_channel_with_an_older_line_that_is_fixed_is_not_told_as_affected() {
    let mut issue = issue();
    let channels = &mut issue.verdicts.packages[0].channels;
    channels[1].versions = vec!["1.1.1zb".to_owned()];
    let document = publish::osv(&issue, &site());
    let fixed: Vec<_> = document.affected[..2]
        .iter()
        .map(|affected| affected.ranges[0].events.last().cloned())
        .collect();
    assert_eq!(
        fixed,
        [
            Some(Event::Fixed("3.0.14".to_owned())),
            Some(Event::Fixed("1.1.1zb".to_owned())),
        ]
    );
}

#[test]
fn openvex_is_valid_and_says_what_holds_in_each_channel() {
    let now = "2026-02-04T00:00:00Z".parse().unwrap();
    let issue = issue();
    let document = publish::openvex([(&issue.verdicts, Some(&issue.id))], &site(), now).unwrap();
    assert_eq!(document.problems(), []);
    let json = document.to_json(Layout::Pretty).unwrap();
    assert_valid(Schema::OpenVex02, &json);
    insta::assert_snapshot!(String::from_utf8(json).unwrap());
    assert_eq!(publish::openvex([], &site(), now), None);
}

#[test]
fn secdb_lists_what_a_channel_fixed() {
    let of = |channel: &str| {
        let json = publish::secdb(channel, [&issue()], &site())
            .to_json(Layout::Compact)
            .unwrap();
        let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        json["packages"].to_string()
    };
    insta::assert_snapshot!(of("nixos-25.11"), @r#"[{"pkg":{"name":"openssl","secfixes":{"3.0.14":["CVE-2026-0001"]}}}]"#);
    insta::assert_snapshot!(of("nixos-25.05"), @r#"[{"pkg":{"name":"openssl","secfixes":{"3.0.12":["CVE-2026-0001"]}}}]"#);
    insta::assert_snapshot!(of("nixos-unstable"), @r#"[{"pkg":{"name":"libressl","secfixes":{"0":["CVE-2026-0001"]}}}]"#);
}

#[test]
fn what_is_withdrawn_is_said_in_osv() {
    let mut withdrawn = issue();
    withdrawn.withdrawn = Some(withdrawn.modified);
    assert_eq!(
        publish::osv(&withdrawn, &site()).withdrawn,
        Some(withdrawn.modified.into())
    );
}

#[test]
fn the_feed_and_the_forge_say_how_each_channel_stands() {
    let updated = issue().modified;
    insta::assert_snapshot!(publish::atom([&issue()], &site(), updated).to_xml());
    insta::assert_snapshot!(publish::body(&issue(), &site()));
    insta::assert_snapshot!(publish::summary(&issue()), @"openssl, libressl and 1 other: CVE-2026-0001, open in 1 of 5 channels");
}

#[test]
fn what_others_wrote_in_the_forge_stays() {
    let (issue, id) = (issue(), issue().id);
    let part = publish::body(&issue, &site());
    let mut newer = issue.clone();
    newer.text = Some("Another word, and <!-- end of NIX-2026-0001 -->".to_owned());
    let newer = publish::body(&newer, &site());
    let theirs = format!("Before.\r\n{}After.\n", part.replace('\n', "\r\n"));
    let renewed = publish::renewed(&theirs, &id, &newer);
    assert_eq!(renewed, format!("Before.\n{newer}After.\n"));
    assert_eq!(publish::renewed(&renewed, &id, &newer), renewed);
    assert_eq!(publish::renewed("", &id, &part), part);
    // Somebody took the end away: nothing is lost, and the part is there once.
    let broken = publish::renewed(&part, &id, &newer).replace("<!-- end of NIX-2026-0001 -->", "");
    let renewed = publish::renewed(&broken, &id, &part);
    assert!(renewed.ends_with(&part), "{renewed}");
    assert_eq!(renewed.matches(&publish::marker(&id)).count(), 1);
}

/// Between `@` and a name, so that nobody is called.
const JOINER: char = '\u{2060}';

proptest! {
    /// Names and reasons of others cannot begin markup, call people or end the table.
    #[test]
    fn nothing_in_the_forge_text_is_markup_of_others(key in "\\PC{1,20}", version in "\\PC{1,20}", reason in ".{1,40}") {
        let mut issue = issue();
        issue.text = None;
        issue.verdicts.packages.truncate(1);
        issue.verdicts.packages[0].key.clone_from(&key);
        issue.verdicts.packages[0].channels.truncate(1);
        issue.verdicts.packages[0].channels[0].versions = vec![version];
        issue.verdicts.packages[0].decision = Decision::WontFix { reason };
        let body = publish::body(&issue, &site());
        let rows: Vec<&str> = body.lines().filter(|line| line.starts_with("| `")).collect();
        prop_assert_eq!(rows.len(), 1, "{}", body);
        prop_assert_eq!(rows[0].matches('|').count(), 5);
        prop_assert_eq!(rows[0].matches('`').count(), 6);
        prop_assert_eq!(body.matches("<!--").count(), 2);
        let cell = rows[0].rsplit('|').nth(1).unwrap();
        prop_assert!(!cell.contains(['<', '[', '*']), "{}", cell);
        let called = cell.match_indices('@').any(|(at, _)| !cell[at + 1..].starts_with(JOINER));
        prop_assert!(!called, "{}", cell);
    }
}
