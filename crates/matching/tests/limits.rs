//! What a small input can ask for: many versions of a package about which much is said.

use snowguard_advisory::identity::PackageKey;
use snowguard_advisory::index::{Builder, Index, SourceKind};
use snowguard_advisory::read::facts;
use snowguard_inventory::{IdentityTable, Inventory, Nature, Stated, SubjectBuilder};
use snowguard_matching::{MatchError, Matcher, Options};

/// Two statements on each version.
const RECORDS: [&str; 2] = [
    r#"{"id":"CVE-2031-0001","affects":[{"products":["openssl:openssl"],"by":"a","default":"unaffected","rules":["<2"]},{"products":["openssl:openssl"],"by":"b","default":"unaffected","rules":["<3"]}]}"#,
    r#"{"id":"CVE-2031-0002","affects":[{"products":["other:thing"],"default":"unaffected","rules":["<2"]}]}"#,
];

#[test]
fn more_statements_than_the_limit_are_an_error_that_names_it() {
    let mut index = Builder::new();
    for record in RECORDS {
        let record = facts::read(record.as_bytes()).unwrap();
        index.add("test", SourceKind::Facts, record);
    }
    let built = index.finish();
    let index = Index::open(&built.bytes).unwrap();
    let mut builder = SubjectBuilder::new();
    for patch in 0..50 {
        builder.object(&format!("openssl {patch}"), "openssl", |object| {
            object.stated = Some(Box::new(Stated {
                version: Some(format!("1.0.{patch}").into()),
                purls: vec![PackageKey::new("generic", "openssl").unwrap()],
                ..Stated::default()
            }));
        });
    }
    let subject = builder.build("test", Nature::Document);
    let table = IdentityTable::builtin();
    let inventory = Inventory::of(&subject, &table);
    let run = |claims| {
        let options = Options {
            claims,
            ..Options::default()
        };
        Matcher::new(index, &table, options).run(&inventory)
    };
    let all = run(Options::default().claims).unwrap();
    assert_eq!(all.findings.len(), 50);
    let claims = all.findings.iter().map(|finding| finding.claims.len());
    let claims: usize = claims.sum();
    assert_eq!(claims, 100);
    assert_eq!(run(claims).unwrap().findings.len(), 50);
    let error = run(claims - 1).unwrap_err();
    assert!(matches!(error, MatchError::TooMany { limit: 99 }));
    assert_eq!(
        error.to_string(),
        "more than 99 statements of advisories are about these packages"
    );
    let told = MatchError::TooMany {
        limit: Options::default().claims,
    };
    let told = told.to_string();
    assert!(told.starts_with("more than 1,000,000 statements"), "{told}");
}
