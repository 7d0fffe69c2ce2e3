//! Search finds the same on both engines, in the same order, whatever is asked.

use proptest::test_runner::{Config, TestRunner};
use snowguard_db::Database;
use snowguard_db::search::{Cursor, Document, Found, Hit, Search};
use snowguard_testkit::database::Scratch;
use snowguard_testkit::on_both_engines;

fn fill(db: &Database) {
    db.write(|session| {
        session.batch(
            "INSERT INTO package (id, key, name, language, rank) VALUES \
             (1, 'openssl', 'openssl', NULL, 50), (2, 'python:openssl', 'openssl', 'python', 7), \
             (3, 'opensc', 'opensc', NULL, 90), (4, 'zlib', 'zlib', NULL, 5), (5, 'ruby:100%_pure', '100%_pure', 'ruby', 0);
             INSERT INTO attribute (id, path, package) VALUES \
             (1, 'openssl', 1), (2, 'openssl_1_1', 1), (3, 'python3Packages.openssl', 2), (4, 'zlib-ng', 4);
             INSERT INTO maintainer (id, name, kind) VALUES (1, 'OpenAnna', 0), (2, 'security', 1);
             INSERT INTO advisory (id, name, title, first_seen, changed_at, rank) VALUES \
             (1, 'CVE-2024-0001', 'Heap overflow in OpenSSL', 0, 0, 10), \
             (2, 'CVE-2024-0002', 'Use after free in zlib', 0, 0, 80), \
             (3, 'CVE-2024-00021', NULL, 0, 0, 99);
             INSERT INTO alias (name, advisory) VALUES ('CVE-2024-0001', 1), ('GHSA-abcd-ef12-3456', 1), \
             ('CVE-2024-0002', 2), ('CVE-2024-00021', 3);",
        )?;
        session.set_words(&[
            (Document::Advisory(1), vec!["Heap overflow in OpenSSL", "A crafted certificate overflows the heap."]),
            (Document::Advisory(2), vec!["Use after free in zlib", "Crafted deflate streams of İstanbul."]),
            (Document::Advisory(3), vec!["Overflow"]),
            (Document::Package(4), vec!["Lossless compression: deflate"]),
        ])
    })
    .unwrap();
}

fn hits(db: &Database, query: &str) -> Vec<Hit> {
    db.read(|session| session.search(query, &Found::ALL, None, 50))
        .unwrap()
}

fn told(db: &Database, query: &str) -> String {
    let lines: Vec<String> = hits(db, query)
        .iter()
        .map(|hit| {
            let matched = hit.matched.as_ref().map(|name| format!(" ({name})"));
            format!("{:?} {}{}", hit.why, hit.name, matched.unwrap_or_default())
        })
        .collect();
    lines.join("\n")
}

on_both_engines! {
    fn exact_names_come_first_then_beginnings_then_words(db) {
        fill(db);
        insta::allow_duplicates! {
            insta::assert_snapshot!(told(db, " OpenSSL "), @r"
            Exact openssl
            Exact python:openssl (openssl)
            Words CVE-2024-0001
            ");
            insta::assert_snapshot!(told(db, "open"), @r"
            Beginning opensc
            Beginning openssl
            Beginning python:openssl (openssl)
            Beginning OpenAnna
            Words CVE-2024-0001
            ");
            insta::assert_snapshot!(told(db, "cve-2024-0002"), @r"
            Exact CVE-2024-0002
            Beginning CVE-2024-00021
            ");
            insta::assert_snapshot!(told(db, "ghsa-ABCD-ef12-3456"), @"Exact CVE-2024-0001 (GHSA-abcd-ef12-3456)");
            insta::assert_snapshot!(told(db, "python3packages.open"), @"Beginning python:openssl (python3Packages.openssl)");
            insta::assert_snapshot!(told(db, "overflow"), @r"
            Words CVE-2024-00021
            Words CVE-2024-0001
            ");
            insta::assert_snapshot!(told(db, "crafted defl"), @"Words CVE-2024-0002");
            insta::assert_snapshot!(told(db, "deflate"), @r"
            Words zlib
            Words CVE-2024-0002
            ");
            insta::assert_snapshot!(told(db, "ruby:100%_"), @"Beginning ruby:100%_pure");
            insta::assert_snapshot!(told(db, "İSTANBUL"), @"Words CVE-2024-0002");
            insta::assert_snapshot!(told(db, "nothing like it"), @"");
        }
    }

    fn a_page_goes_on_where_the_last_ended(db) {
        fill(db);
        for query in ["open", "overflow", "CVE-2024", "z"] {
            let all = hits(db, query);
            let mut pages = Vec::new();
            let mut cursor: Option<Cursor> = None;
            loop {
                let page = db
                    .read(|session| session.search(query, &Found::ALL, cursor, 1))
                    .unwrap();
                let Some(last) = page.last() else { break };
                cursor = Some(last.cursor().to_string().parse().unwrap());
                pages.extend(page);
            }
            assert_eq!(pages, all, "{query}");
        }
    }

    fn kinds_that_are_not_asked_for_are_not_found(db) {
        fill(db);
        for kind in Found::ALL {
            for query in ["open", "deflate", "cve-2024"] {
                let found = db
                    .read(|session| session.search(query, &[kind], None, 50))
                    .unwrap();
                let expected: Vec<Hit> = hits(db, query)
                    .into_iter()
                    .filter(|hit| hit.kind == kind)
                    .collect();
                assert_eq!(found, expected, "{query} {kind:?}");
            }
        }
    }

    fn any_query_is_harmless(db) {
        fill(db);
        for query in [
            "", " ", "'", "\"", "\"\"\"", "a\" OR \"b", "words:heap", "heap*", "*", "^heap", "NEAR(heap overflow)", "heap AND",
            "-heap", "heap & !x", "heap:*", "!", "\\", "'; DROP TABLE job; --", "%", "_", "\0heap", "\u{10ffff}", "{in:1}", "$1", "(", "🦀",
            &"heap ".repeat(5000), &"x".repeat(100_000),
        ] {
            hits(db, query);
        }
        assert_eq!(told(db, "\"heap*"), told(db, "heap*"));
        assert_eq!(hits(db, "%"), []);
        assert_eq!(told(db, "heap AND NOT overflow"), told(db, "heap overflow"));
    }

    fn whatever_is_typed_is_no_statement(db) {
        fill(db);
        let marks = "[a-e\"'*:&|!()<>\\\\ {}^+~%_$?\u{0}-\u{1f}\u{80}-\u{250}\u{10fffe}]{0,24}";
        let mut runner = TestRunner::new(Config { cases: 150, failure_persistence: None, ..Config::default() });
        runner
            .run(&(marks, "(AND|OR|NOT|NEAR|heap)?"), |(marks, word)| {
                hits(db, &format!("{marks} {word}"));
                hits(db, &format!("{word}{marks}"));
                Ok(())
            })
            .unwrap();
    }

    fn words_follow_what_changes(db) {
        fill(db);
        db.write(|session| {
            session.set_words(&[(Document::Advisory(1), vec!["double free"]), (Document::Advisory(1), vec!["integer underflow"])])?;
            session.forget_words(&[Document::Advisory(3), Document::Package(77)])
        })
        .unwrap();
        assert_eq!(hits(db, "overflow"), []);
        assert_eq!(hits(db, "double"), []);
        assert_eq!(hits(db, "underflow").len(), 1);
    }

    fn a_search_asks_little_and_reads_no_table_whole(db) {
        fill(db);
        let (watched, observed) = db.observed();
        for query in ["open", "CVE-2024-0001", "overflow certificate", "x"] {
            hits(&watched, query);
            assert!(observed.count() <= 11, "{query}: {}", observed.count());
            for seen in observed.take() {
                let scans: Vec<_> = db
                    .scans(&seen)
                    .unwrap()
                    .into_iter()
                    .filter(|scan| scan.table != "found")
                    .collect();
                assert_eq!(scans, [], "{}", seen.sql);
            }
        }
    }
}

/// A plan for whatever words there may be is kept after a few runs, and reads the whole table for an id that is
/// nowhere in it.
#[test]
fn postgres_plans_a_search_for_its_words() {
    let scratch = Scratch::postgres().unwrap();
    let db = Database::open(scratch.name()).unwrap();
    fill(&db);
    for _ in 0..10 {
        hits(&db, "CVE-2024-0001");
    }
    let plans = db.read(|session| {
        let rows = session.query(
            "SELECT CAST(sum(custom_plans) AS BIGINT), CAST(sum(generic_plans) AS BIGINT)
             FROM pg_catalog.pg_prepared_statements WHERE statement LIKE 'SELECT document FROM search_words%'",
            &[],
        )?;
        let row = rows.first().unwrap();
        Ok((row.get::<Option<i64>>(0)?, row.get::<Option<i64>>(1)?))
    });
    assert_eq!(plans.unwrap(), (Some(10), Some(0)));
}
