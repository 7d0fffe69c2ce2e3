//! What a tracker decided, in everything that a report becomes.

use jiff::Timestamp;
use serde_json::json;
use snowguard_formats::Layout;
use snowguard_inventory::Nature;
use snowguard_matching::Status;
use snowguard_matching::suppress::{Judged, Justification};
use snowguard_matching::triage::{
    Channel, Decided, Document, FixedSince, Standing, Tracker, Verdict,
};
use snowguard_report::text::{self, Paint};
use snowguard_report::{cyclonedx, html, openvex, sarif};
use snowguard_testkit::schema::{Schema, assert_valid};

use crate::support::{Decisions, Scanned, World, affects, decision};

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn standing(name: &str, status: Status, version: &str, fixed: Option<&str>) -> Standing {
    Standing {
        name: name.into(),
        status,
        versions: vec![version.into()],
        fixed: fixed.map(|at| FixedSince {
            revision: "0123456789abcdef".into(),
            at: time(at),
        }),
    }
}

fn decided(package: &str, advisory: &str, verdict: Verdict, reason: &str) -> Decided {
    Decided {
        advisory: advisory.parse().unwrap(),
        aliases: Vec::new(),
        package: package.into(),
        verdict,
        decided: time("2026-11-01T09:00:00Z"),
        by: Some("ada".into()),
        reason: Some(reason.into()),
        issue: None,
        url: format!("https://tracker.example.org/packages/{package}/{advisory}").into(),
        fixed_in: None,
        channels: Vec::new(),
    }
}

fn not_affected(version: &str) -> Verdict {
    Verdict::NotAffected {
        justification: Justification::VulnerableCodeNotPresent,
        versions: vec![version.into()],
    }
}

fn document() -> Document {
    let channel = |name: &str| Channel {
        name: name.into(),
        revision: "0123456789abcdef".into(),
        evaluated: time("2026-11-20T06:00:00Z"),
    };
    let openssl = Decided {
        issue: Some("NIXPKGS-2026-0042".into()),
        channels: vec![
            standing(
                "nixos-unstable",
                Status::Fixed,
                "3.0.7",
                Some("2026-11-18T06:00:00Z"),
            ),
            standing("nixos-25.11", Status::Affected, "3.0.1", None),
        ],
        ..decided(
            "openssl",
            "CVE-2026-0001",
            Verdict::Confirmed,
            "<b>it is</b> \u{1b}[31mbad",
        )
    };
    Document::new(
        Tracker {
            name: "Nixpkgs".into(),
            url: "https://tracker.example.org".into(),
        },
        time("2026-11-20T12:00:00Z"),
        vec![channel("nixos-unstable"), channel("nixos-25.11")],
        vec![
            openssl,
            decided(
                "curl",
                "CVE-2026-0002",
                not_affected("8.0"),
                "ftp is not built",
            ),
            decided("zlib", "CVE-2026-0003", Verdict::WontFix, "minizip is gone"),
            decided(
                "busybox",
                "CVE-2026-0004",
                not_affected("1.37"),
                "no such applet",
            ),
            decided(
                "bash",
                "CVE-2026-0005",
                not_affected("5.2"),
                "it is another shell",
            ),
        ],
    )
}

/// A system with a package for each kind of decision.
fn system(decisions: Option<Decisions>) -> Scanned {
    let root = "nixos-system-lantern-26.05";
    let mut world = World::new(root, Nature::BuildTime);
    world.package(root, |_| {}).root(root);
    for (at, name) in [
        "openssl-3.0.1",
        "curl-8.0",
        "zlib-1.2.11",
        "busybox-1.36",
        "bash-5.2",
    ]
    .into_iter()
    .enumerate()
    {
        let pname = name.split('-').next().unwrap();
        world.package(name, |_| {}).edges(root, &[name]).record(
            "facts",
            json!({
                "id": format!("CVE-2026-000{}", at + 1), "published": "2026-10-08",
                "severities": [{"vector": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H"}],
                "affects": [affects(&format!("{pname}:{pname}"), Some(pname), true, "<99")],
            }),
        );
    }
    // What was decided here goes before what the tracker says.
    world.suppress(decision("bash", "CVE-2026-0005", Judged::Fixed));
    if let Some(decisions) = decisions {
        world.triage(decisions);
    }
    world.finish()
}

fn table(scanned: &Scanned, show_suppressed: bool) -> String {
    let options = text::Options {
        width: 80,
        paint: Paint::new(false),
        show_patched: false,
        show_suppressed,
        all: false,
        component: None,
    };
    scanned.with(|_, report| text::scan(report, options))
}

#[test]
fn a_table_says_what_the_tracker_decided() {
    let applied = system(Some((document(), Some("nixos-25.11"), true)));
    insta::assert_snapshot!(table(&applied, true), @r"
    nixos-system-lantern-26.05
    build-time closure: 6 packages in 6 of 6 objects, 0 sources
    newest advisory 2026-10-08 (44 days old), the index in the program
    decisions of Nixpkgs, of today, your channel is nixos-25.11

      0 exploited   3 critical or high   0 other   0 to review   2 suppressed

    CRITICAL OR HIGH
      busybox 1.36                                                      update to 99
        CVE-2026-0004      7.5 high
        CVE-2026-0004: not affected in other versions, says Nixpkgs; nothing is said
        of this one
        1 dependent
      openssl 3.0.1                                                     update to 99
        CVE-2026-0001      7.5 high
        CVE-2026-0001: confirmed by Nixpkgs, not fixed in your channel nixos-25.11
        yet
        1 dependent
      zlib 1.2.11                                                       update to 99
        CVE-2026-0003      7.5 high
        CVE-2026-0003: Nixpkgs will not fix it
        1 dependent

    SUPPRESSED
      bash 5.2
        CVE-2026-0005: looked at by hand (snowguard.toml, entry 1)
      curl 8.0
        CVE-2026-0002: ftp is not built (ada, Nixpkgs,
        https://tracker.example.org/packages/curl/CVE-2026-0002)

    Not looked at: 1 of 6 packages has no known identity (see --component '?').
    ");
}

#[test]
fn without_a_channel_all_are_told_and_what_is_only_shown_suppresses_nothing() {
    let shown = system(Some((document(), None, false)));
    let told = table(&shown, true);
    insta::assert_snapshot!(told, @r"
    nixos-system-lantern-26.05
    build-time closure: 6 packages in 6 of 6 objects, 0 sources
    newest advisory 2026-10-08 (44 days old), the index in the program
    decisions of Nixpkgs, of today, suppressing nothing

      0 exploited   4 critical or high   0 other   0 to review   1 suppressed

    CRITICAL OR HIGH
      busybox 1.36                                                      update to 99
        CVE-2026-0004      7.5 high
        CVE-2026-0004: not affected in other versions, says Nixpkgs; nothing is said
        of this one
        1 dependent
      curl 8.0                                                          update to 99
        CVE-2026-0002      7.5 high
        CVE-2026-0002: not affected, says Nixpkgs
        1 dependent
      openssl 3.0.1                                                     update to 99
        CVE-2026-0001      7.5 high
        CVE-2026-0001: confirmed by Nixpkgs, fixed in nixos-unstable since
        2026-11-18, not fixed in nixos-25.11 yet
        1 dependent
      zlib 1.2.11                                                       update to 99
        CVE-2026-0003      7.5 high
        CVE-2026-0003: Nixpkgs will not fix it
        1 dependent

    SUPPRESSED
      bash 5.2
        CVE-2026-0005: looked at by hand (snowguard.toml, entry 1)

    Not looked at: 1 of 6 packages has no known identity (see --component '?').
    ");
    shown.with(|_, report| {
        assert_eq!((report.summary.affected, report.summary.suppressed), (4, 1));
    });
}

#[test]
fn one_package_is_told_in_full() {
    let applied = system(Some((document(), Some("nixos-unstable"), true)));
    let options = text::Options {
        width: 80,
        paint: Paint::new(false),
        show_patched: false,
        show_suppressed: false,
        all: false,
        component: Some("openssl"),
    };
    let told = applied.with(|_, report| text::scan(report, options));
    insta::assert_snapshot!(told, @r"
    openssl 3.0.1                                                     update to 99
      1 dependent
      CVE-2026-0001        7.5 high        affected
        Confirmed by Nixpkgs, fixed in your channel nixos-unstable since
        2026-11-18 (ada, Nixpkgs, 2026-11-01): <b>it is</b> \u{1b}[31mbad.
        Published as NIXPKGS-2026-0042.
        https://tracker.example.org/packages/openssl/CVE-2026-0001
    ");
}

#[test]
fn without_a_tracker_nothing_is_said_of_one() {
    let told = table(&system(None), false);
    assert!(
        !told.contains("Nixpkgs") && !told.contains("confirmed"),
        "{told}"
    );
    system(None).with(|_, report| assert_eq!(report.triage, None));
}

#[test]
fn data_has_the_decision_with_its_page() {
    let applied = system(Some((document(), Some("nixos-25.11"), true)));
    let report = applied.with(|_, report| serde_json::to_value(report).unwrap());
    insta::assert_snapshot!(report["triage"], @r#"{"age_days":0,"channel":"nixos-25.11","decisions":5,"generated":"2026-11-20T12:00:00Z","suppresses":true,"tracker":"Nixpkgs","url":"https://tracker.example.org"}"#);
    let finding = |name: &str| {
        let packages = report["packages"].as_array().unwrap();
        let package = packages.iter().find(|package| package["name"] == name);
        package.unwrap()["findings"][0].clone()
    };
    insta::assert_snapshot!(finding("openssl")["triage"], @r#"{"by":"ada","channels":[{"fixed_in_revision":"0123456789abcdef","fixed_since":"2026-11-18T06:00:00Z","name":"nixos-unstable","status":"fixed","versions":["3.0.7"],"yours":false},{"fixed_in_revision":null,"fixed_since":null,"name":"nixos-25.11","status":"affected","versions":["3.0.1"],"yours":true}],"clears":false,"decided":"2026-11-01T09:00:00Z","issue":"NIXPKGS-2026-0042","justification":null,"reason":"<b>it is</b> \u001b[31mbad","state":"confirmed","tracker":"Nixpkgs","url":"https://tracker.example.org/packages/openssl/CVE-2026-0001"}"#);
    insta::assert_snapshot!(finding("curl")["suppressed"], @r#"{"expires":null,"justification":"vulnerable_code_not_present","origin":"ada, Nixpkgs","reason":"ftp is not built","url":"https://tracker.example.org/packages/curl/CVE-2026-0002","verdict":"not_affected"}"#);
    assert_eq!(finding("bash")["suppressed"]["verdict"], "fixed");
    assert_eq!(finding("busybox")["suppressed"], json!(null));
}

#[test]
fn documents_are_valid_and_pass_it_on() {
    let applied = system(Some((document(), Some("nixos-25.11"), true)));
    applied.with(|facts, report| {
        let log = sarif::log(report, sarif::Options::default());
        let sarif = log.to_json(Layout::Compact).unwrap();
        assert_valid(Schema::Sarif21, &sarif);
        let sarif: serde_json::Value = serde_json::from_slice(&sarif).unwrap();
        let results = sarif["runs"][0]["results"].as_array().unwrap();
        let of = |id: &str| results.iter().find(|result| result["ruleId"] == id).unwrap();
        insta::assert_snapshot!(of("CVE-2026-0002")["suppressions"], @r#"[{"justification":"vulnerable_code_not_present: ftp is not built (https://tracker.example.org/packages/curl/CVE-2026-0002)","kind":"external","status":"accepted"}]"#);
        insta::assert_snapshot!(of("CVE-2026-0003")["message"]["text"], @r#""zlib 1.2.11 is affected by CVE-2026-0003 (high 7.5): the project itself says so. Update to 99 or later. Nixpkgs will not fix it (ada, Nixpkgs, 2026-11-01): minizip is gone.""#);
        insta::assert_snapshot!(of("CVE-2026-0003")["properties"]["triage"], @r#"{"state":"wont_fix","tracker":"Nixpkgs","url":"https://tracker.example.org/packages/zlib/CVE-2026-0003"}"#);

        let issuer = openvex::Issuer { author: "Lantern", id: None };
        let vex = openvex::document(facts, report, issuer).unwrap();
        let vex = vex.to_json(Layout::Compact).unwrap();
        assert_valid(Schema::OpenVex02, &vex);
        let vex: serde_json::Value = serde_json::from_slice(&vex).unwrap();
        let statements = vex["statements"].as_array().unwrap();
        let of = |id: &str| {
            let mut all = statements.iter();
            all.find(|statement| statement["vulnerability"]["name"] == id).unwrap()
        };
        let cleared = of("CVE-2026-0002");
        insta::assert_snapshot!(json!([cleared["status"], cleared["justification"], cleared["impact_statement"]]), @r#"["not_affected","vulnerable_code_not_present","ftp is not built (https://tracker.example.org/packages/curl/CVE-2026-0002)"]"#);
        insta::assert_snapshot!(of("CVE-2026-0001")["action_statement"], @r#""Update to 99 or later. Confirmed by Nixpkgs, not fixed in your channel nixos-25.11 yet (https://tracker.example.org/packages/openssl/CVE-2026-0001).""#);

        let bom = cyclonedx::bom_with_vulnerabilities(facts, report);
        assert_valid(Schema::CycloneDx16, &bom.to_json(Layout::Compact).unwrap());
    });
}

#[test]
fn a_page_links_to_the_tracker_and_takes_no_markup_from_it() {
    let applied = system(Some((document(), Some("nixos-25.11"), true)));
    let page = applied.with(|_, report| html::page(report));
    let link = r#"<a href="https://tracker.example.org/packages/openssl/CVE-2026-0001">NIXPKGS-2026-0042</a>"#;
    assert!(page.contains(link));
    assert!(page.contains("decisions of Nixpkgs, of today"));
    assert!(!page.contains("<b>it is</b>") && !page.contains('\u{1b}'));
}
