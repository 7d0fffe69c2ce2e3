//! What a decision meets, and what it must leave alone: a decision about a stranger's product, or
//! about another version, suppresses nothing here.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

use jiff::civil::date;
use snowguard_advisory::index::{Builder, Index, SourceKind};
use snowguard_advisory::read::facts;
use snowguard_inventory::{IdentityTable, Inventory, Nature, Recipe, SubjectBuilder};
use snowguard_matching::suppress::{self, Judged, Subject, Suppression};
use snowguard_matching::{Matcher, Options};

const DRV: &str = "/nix/store/00000000000000000000000000000000-openssl-1.1.1g.drv";
const OUT: &str = "/nix/store/11111111111111111111111111111111-openssl-1.1.1g";

fn suppression(component: &str, version: Option<&str>) -> Suppression {
    Suppression {
        component: Subject::parse(component).unwrap(),
        version: version.map(Into::into),
        advisory: "CVE-2031-0001".parse().unwrap(),
        verdict: Judged::Fixed,
        reason: "because".into(),
        expires: None,
        origin: "test".into(),
        url: None,
    }
}

/// Whether a decision suppresses the one finding there is.
fn suppresses(suppression: Suppression) -> bool {
    let record = r#"{"id":"CVE-2031-0001","affects":[{"products":["openssl:openssl"],"by":"openssl","upstream":true,"default":"unaffected","rules":["<1.1.1k"]}]}"#;
    let mut index = Builder::new();
    index.add(
        "test",
        SourceKind::Facts,
        facts::read(record.as_bytes()).unwrap(),
    );
    let built = index.finish();
    let index = Index::open(&built.bytes).unwrap();
    let mut builder = SubjectBuilder::new();
    builder.object(DRV, "openssl-1.1.1g", |object| {
        object.recipe = Some(Box::new(Recipe {
            pname: Some("openssl".into()),
            version: Some("1.1.1g".into()),
            outputs: vec![("out".into(), Some(OUT.into()))],
            ..Recipe::default()
        }));
    });
    let subject = builder.build("test", Nature::BuildTime);
    let table = IdentityTable::builtin();
    let inventory = Inventory::of(&subject, &table);
    let matches = Matcher::new(index, &table, Options::default())
        .run(&inventory)
        .unwrap();
    assert_eq!(matches.findings.len(), 1);
    let all = [suppression];
    let today = date(2031, 1, 1);
    let findings = &matches.findings;
    let applied = suppress::apply(&all, &subject, &inventory, findings, today, |_| Vec::new());
    assert_eq!(applied.unused.is_empty(), applied.by_finding[0].is_some());
    applied.by_finding[0].is_some()
}

#[test]
fn a_component_is_met_by_every_name_of_its_own() {
    for name in [
        "openssl",
        "OpenSSL",
        "pkg:generic/openssl",
        "pkg:nix/openssl@1.1.1g",
        "cpe:2.3:a:openssl:openssl:*:*:*:*:*:*:*:*",
        OUT,
        DRV,
    ] {
        assert!(suppresses(suppression(name, None)), "{name}");
        assert!(suppresses(suppression(name, Some("1.1.1g"))), "{name}");
    }
}

#[test]
fn strangers_and_other_versions_are_not_met() {
    for name in [
        "cpe:2.3:a:evilcorp:openssl:*:*:*:*:*:*:*:*",
        "cpe:2.3:a:openssl:fips:*:*:*:*:*:*:*:*",
        "pkg:pypi/openssl",
        "pkg:github/evilcorp/openssl",
        "python:openssl",
        "/nix/store/22222222222222222222222222222222-openssl-1.1.1g",
    ] {
        assert!(!suppresses(suppression(name, None)), "{name}");
    }
    assert!(!suppresses(suppression("openssl", Some("1.1.1f"))));
}
