use proptest::prelude::*;

use super::*;

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn tracker() -> Tracker {
    Tracker {
        name: "Nixpkgs".into(),
        url: "https://tracker.example.org".into(),
    }
}

fn decided(package: &str, advisory: &str, verdict: Verdict) -> Decided {
    Decided {
        advisory: advisory.parse().unwrap(),
        aliases: Vec::new(),
        package: package.into(),
        verdict,
        decided: time("2026-11-01T09:00:00Z"),
        by: Some("ada".into()),
        reason: Some("the module is not built".into()),
        issue: None,
        url: format!("https://tracker.example.org/packages/{package}/{advisory}").into(),
        fixed_in: None,
        channels: Vec::new(),
    }
}

fn not_affected(versions: &[&str]) -> Verdict {
    Verdict::NotAffected {
        justification: Justification::VulnerableCodeNotPresent,
        versions: versions.iter().map(|version| (*version).into()).collect(),
    }
}

fn document(decisions: Vec<Decided>) -> Document {
    let channel = Channel {
        name: "nixos-25.11".into(),
        revision: "0123456789abcdef".into(),
        evaluated: time("2026-11-20T06:00:00Z"),
    };
    Document::new(
        tracker(),
        time("2026-11-21T12:00:00Z"),
        vec![channel],
        decisions,
    )
}

#[test]
fn a_document_is_written_in_one_way() {
    let confirmed = Decided {
        aliases: vec!["GHSA-2g68-c3qc-8985".parse().unwrap()],
        issue: Some("NIXPKGS-2026-0042".into()),
        fixed_in: Some("3.0.7".into()),
        channels: vec![Standing {
            name: "nixos-25.11".into(),
            status: Status::Fixed,
            versions: vec!["3.0.7".into()],
            fixed: Some(FixedSince {
                revision: "0123456789abcdef".into(),
                at: time("2026-11-20T06:00:00Z"),
            }),
        }],
        ..decided("openssl", "CVE-2026-0002", Verdict::Confirmed)
    };
    let clear = decided(
        "curl",
        "CVE-2026-0001",
        not_affected(&["8.1", "8.0", "8.1"]),
    );
    let one = document(vec![confirmed.clone(), clear.clone()]);
    let other = document(vec![clear, confirmed]);
    let json = one.to_json().unwrap();
    assert_eq!(json, other.to_json().unwrap());
    assert_eq!(Document::read(&json).unwrap(), one);
    insta::assert_snapshot!(String::from_utf8(json).unwrap(), @r#"{"channels":[{"evaluated":"2026-11-20T06:00:00Z","name":"nixos-25.11","revision":"0123456789abcdef"}],"decisions":[{"advisory":"CVE-2026-0001","by":"ada","decided":"2026-11-01T09:00:00Z","justification":"vulnerable_code_not_present","package":"curl","reason":"the module is not built","state":"not_affected","url":"https://tracker.example.org/packages/curl/CVE-2026-0001","versions":["8.0","8.1"]},{"advisory":"CVE-2026-0002","aliases":["GHSA-2g68-c3qc-8985"],"by":"ada","channels":[{"fixed":{"revision":"0123456789abcdef","since":"2026-11-20T06:00:00Z"},"name":"nixos-25.11","status":"fixed","versions":["3.0.7"]}],"decided":"2026-11-01T09:00:00Z","fixed_in":"3.0.7","issue":"NIXPKGS-2026-0042","package":"openssl","reason":"the module is not built","state":"confirmed","url":"https://tracker.example.org/packages/openssl/CVE-2026-0002"}],"generated":"2026-11-21T12:00:00Z","schema":"snowguard-triage/1","tracker":{"name":"Nixpkgs","url":"https://tracker.example.org"}}"#);
}

#[test]
fn a_decision_is_found_by_any_name_of_its_advisory() {
    let mut one = decided("openssl", "CVE-2026-0002", Verdict::Confirmed);
    one.aliases = vec!["GHSA-2g68-c3qc-8985".parse().unwrap()];
    let all = document(vec![
        one,
        decided("openssl", "CVE-2026-0003", not_affected(&["3.0"])),
        decided("openssl-tools", "CVE-2026-0002", Verdict::WontFix),
    ]);
    let about = |package, names: &[&str]| {
        all.about(package, names)
            .map(|decided| decided.verdict.as_str())
    };
    assert_eq!(
        about("openssl", &["GHSA-2g68-c3qc-8985"]),
        Some("confirmed")
    );
    assert_eq!(about("openssl", &["CVE-2026-0003"]), Some("not_affected"));
    // Two that an index takes for one: the bad news counts.
    let both = ["CVE-2026-0003", "CVE-2026-0002"];
    assert_eq!(about("openssl", &both), Some("confirmed"));
    assert_eq!(about("openssl-tools", &["CVE-2026-0002"]), Some("wont_fix"));
    assert_eq!(about("openssl-tools", &["CVE-2026-0003"]), None);
    assert_eq!(about("zlib", &["CVE-2026-0002"]), None);
}

#[test]
fn of_two_decisions_about_the_same_the_bad_news_stays() {
    let all = document(vec![
        decided("curl", "CVE-2026-0001", not_affected(&["8.0"])),
        decided("curl", "CVE-2026-0001", Verdict::Confirmed),
    ]);
    assert_eq!(all.decisions().len(), 1);
    assert_eq!(all.decisions()[0].verdict, Verdict::Confirmed);
}

#[test]
fn what_is_wrong_with_a_document_is_said() {
    let told = |json: &str| {
        let error = Document::read(json.as_bytes()).unwrap_err();
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        [
            Some(error.to_string()),
            cause,
            error.hint().map(str::to_owned),
        ]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(" | ")
    };
    let with = |decision: &str| {
        told(&format!(
            r#"{{"schema":"snowguard-triage/1","generated":"2026-11-21T12:00:00Z","channels":[],
            "tracker":{{"name":"T","url":"https://t.example"}},"decisions":[{{"advisory":"CVE-2026-0001",
            "package":"curl","decided":"2026-11-21T12:00:00Z",{decision}}}]}}"#
        ))
    };
    let url = r#""url":"https://t.example/x""#;
    insta::assert_snapshot!(told("{"), @"this is no triage document | EOF while parsing an object at line 1 column 1 | a tracker writes such documents; any other file is none");
    insta::assert_snapshot!(told(r#"{"schema":"snowguard-triage/2"}"#), @"the triage document is of the version `snowguard-triage/2`; snowguard-triage/1 is read | a newer snowguard may read it");
    insta::assert_snapshot!(told(r#"{"schema":"snowguard-scan/1"}"#), @"this is no triage document: its schema is `snowguard-scan/1` | a tracker writes such documents; any other file is none");
    insta::assert_snapshot!(with(&format!(r#""state":"gone",{url}"#)), @"this is no triage document | the decision about CVE-2026-0001 and curl has `gone`, which is no state | a tracker writes such documents; any other file is none");
    insta::assert_snapshot!(with(&format!(r#""state":"not_affected",{url}"#)), @"this is no triage document | the decision about CVE-2026-0001 and curl has no justification | a tracker writes such documents; any other file is none");
    insta::assert_snapshot!(with(&format!(r#""state":"not_affected","justification":"luck",{url}"#)), @"this is no triage document | the decision about CVE-2026-0001 and curl has `luck`, which is no justification of VEX | a tracker writes such documents; any other file is none");
    insta::assert_snapshot!(with(&format!(r#""state":"fixed","justification":"component_not_present",{url}"#)), @"this is no triage document | the decision about CVE-2026-0001 and curl has a justification, and does not say not_affected | a tracker writes such documents; any other file is none");
    insta::assert_snapshot!(with(r#""state":"fixed","url":"javascript:alert(1)""#), @"this is no triage document | an address is not one of the web at line 3 column 106 | a tracker writes such documents; any other file is none");
    insta::assert_snapshot!(with(&format!(r#""state":"fixed","issue":"{}",{url}"#, "x".repeat(600))), @"this is no triage document | a text has 600 bytes; at most 512 are read at line 3 column 688 | a tracker writes such documents; any other file is none");
}

#[test]
fn a_long_list_is_refused_and_keys_of_later_versions_are_passed_over() {
    let whole = |aliases: usize| {
        let aliases: Vec<String> = (0..aliases).map(|n| format!("\"A-{n}\"")).collect();
        format!(
            r#"{{"schema":"snowguard-triage/1","generated":"2026-11-21T12:00:00Z","channels":[],"later":[{{}}],
            "tracker":{{"name":"T","url":"https://t.example"}},"decisions":[{{"advisory":"CVE-2026-0001",
            "aliases":[{}],"package":"curl","decided":"2026-11-21T12:00:00Z","state":"fixed",
            "url":"https://t.example/x"}}]}}"#,
            aliases.join(",")
        )
    };
    let read = |aliases| Document::read(whole(aliases).as_bytes());
    assert_eq!(read(1_000).unwrap().decisions()[0].aliases.len(), 1_000);
    assert!(read(1_001).is_err());
}

/// Also empty, and longer than a name may be.
fn text() -> impl Strategy<Value = Box<str>> {
    prop_oneof![
        8 => "\\PC{1,12}",
        1 => Just(String::new()),
        1 => (500_usize..600).prop_map(|length| "ä".repeat(length / 2)),
    ]
    .prop_map(Into::into)
}

fn moment() -> impl Strategy<Value = Timestamp> {
    (0_i64..4_000_000_000_000).prop_map(|at| Timestamp::from_millisecond(at).unwrap())
}

fn advisory() -> impl Strategy<Value = AdvisoryId> {
    "(CVE-20[0-9]{2}-[1-9][0-9]{3,5}|[A-Z]{2,6}-[a-z0-9]{1,6})"
        .prop_map(|text| text.parse().unwrap())
}

fn verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        Just(Verdict::Confirmed),
        Just(Verdict::Fixed),
        Just(Verdict::WontFix),
        (
            proptest::sample::select(&Justification::ALL[..]),
            prop::collection::vec(text(), 0..4)
        )
            .prop_map(|(justification, versions)| Verdict::NotAffected {
                justification,
                versions
            }),
    ]
}

prop_compose! {
    fn standing()(
        name in text(),
        status in proptest::sample::select(&[Status::Affected, Status::NeedsReview, Status::Patched, Status::Fixed, Status::NotAffected][..]),
        versions in prop::collection::vec(text(), 0..3),
        fixed in prop::option::of((text(), moment())),
    ) -> Standing {
        Standing { name, status, versions, fixed: fixed.map(|(revision, at)| FixedSince { revision, at }) }
    }
}

prop_compose! {
    fn decision()(
        (advisory, aliases) in (advisory(), prop::collection::vec(advisory(), 0..3)),
        package in "[a-d]{1,2}",
        verdict in verdict(),
        decided in moment(),
        (by, reason, issue, fixed_in) in (prop::option::of(text()), prop::option::of(text()), prop::option::of(text()), prop::option::of(text())),
        channels in prop::collection::vec(standing(), 0..3),
    ) -> Decided {
        Decided {
            advisory, aliases, package: package.into(), verdict, decided, by, reason, issue,
            url: "https://t.example/x".into(), fixed_in, channels,
        }
    }
}

proptest! {
    #[test]
    fn documents_round_trip(decisions in prop::collection::vec(decision(), 0..12)) {
        let document = document(decisions);
        let json = document.to_json().unwrap();
        let again = Document::read(&json).unwrap();
        prop_assert_eq!(again.to_json().unwrap(), json);
        prop_assert_eq!(again, document);
    }

    #[test]
    fn every_decision_is_found(decisions in prop::collection::vec(decision(), 0..12)) {
        let document = document(decisions);
        for decided in document.decisions() {
            for name in decided.names() {
                let found = document.about(&decided.package, &[name]).unwrap();
                prop_assert!(found.verdict.rank() <= decided.verdict.rank());
                prop_assert_eq!(&found.package, &decided.package);
            }
        }
    }
}
