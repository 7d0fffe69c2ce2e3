//! Records become advisories, and advisories stay what they are whatever they are called.
#![expect(
    clippy::disallowed_methods,
    reason = "tests write the files that they import"
)]

use std::fmt::Write as _;
use std::sync::atomic::AtomicBool;

use snowguard_db::advisories::{
    Advisories as _, advisory, history, records, records as records_of, unpack,
};
use snowguard_db::issues::Issues as _;
use snowguard_db::search::{Found, Search as _};
use snowguard_db::{Database, fsck};
use snowguard_testkit::on_both_engines;
use snowguard_tracker::advisories::{TakeError, Taken, take};
use snowguard_tracker::decide::{Request, act};
use snowguard_tracker::publish::act::{Words, publish};
use snowguard_tracker::publish::gather;
use snowguard_triage::{Act, State};

use crate::world::{TEAM, World};

const ONE: &str = r#"{"id":"CVE-2024-0001","summary":"a title","severities":[{"word":"high"}],"affects":[{"products":["openssl:openssl"],"default":"unaffected","rules":["<2.0"]}]}"#;
const LOOSE: &str = r#"{"id":"GHSA-aaaa-bbbb-cccc","affects":[{"products":["openssl:openssl"],"default":"unaffected","rules":["<2.0"]}]}"#;

fn confirm(world: &World<'_>, advisory: &str) {
    let finding = world.finding("openssl", advisory);
    let request = Request {
        finding: finding.id,
        revision: Some(finding.revision),
        act: Act::Decide(State::Confirmed),
    };
    act(world.db, TEAM, &[request], "seen it", world.now()).unwrap();
}

fn with_openssl(db: &Database) -> World<'_> {
    let mut world = World::new(db);
    world.evaluate(
        "stable",
        &[("openssl", "openssl", "1.1", "https://www.openssl.org/")],
    );
    world
}

/// Publishes advisories that turn out to be one.
fn merge_published(db: &Database, advisories: &[&str]) {
    let mut world = with_openssl(db);
    world.records("osv", LOOSE);
    world.records("cve", ONE);
    world.settle();
    for name in advisories {
        confirm(&world, name);
        let words = Words::new(name, "").unwrap();
        let advisory = world.advisory(name);
        publish(db, TEAM, "NIX", advisory, &words, world.now()).unwrap();
    }
    world.records(
        "osv",
        &LOOSE.replace("\"affects\"", "\"aliases\":[\"CVE-2024-0001\"],\"affects\""),
    );
    world.day += 1;
    assert_eq!(world.take().merged, 1);
    world.settle();
    assert_eq!(db.read(|session| fsck::run(session)).unwrap(), []);
}

/// What is published: public id, advisory, whether it was withdrawn, packages; and what the log says of it.
fn published(db: &Database) -> String {
    let issues = db
        .read(|session| {
            let rows = session.issues_after(0, 9)?;
            gather::issues(session, rows)
        })
        .unwrap();
    let mut told = String::new();
    for issue in issues {
        let packages: Vec<&str> = issue
            .verdicts
            .packages
            .iter()
            .map(|it| it.key.as_str())
            .collect();
        let stands = if issue.withdrawn.is_some() {
            "withdrawn"
        } else {
            "stands"
        };
        let packages = packages.join(" ");
        writeln!(
            told,
            "{} {}: {stands}, {packages}",
            issue.id, issue.verdicts.advisory
        )
        .unwrap();
    }
    let sql = "SELECT reason FROM event WHERE issue IS NOT NULL ORDER BY id";
    let events = db.read(|session| session.query(sql, &[])?.map(|row| row.get(0)));
    let events: Vec<String> = events.unwrap();
    told + &events.join("\n")
}

fn names(db: &Database) -> Vec<(String, String)> {
    let rows = db
        .read(|session| {
            session.query(
                "SELECT alias.name, advisory.name FROM alias \
                 JOIN advisory ON advisory.id = alias.advisory ORDER BY alias.name",
                &[],
            )
        })
        .unwrap();
    rows.map(|row| Ok((row.get(0)?, row.get(1)?))).unwrap()
}

on_both_engines! {
    fn records_come_in_once(db) {
        let mut world = World::new(db);
        let other = ONE.replace("0001", "0002");
        world.records("cve", &format!("{ONE}\n{other}"));
        world.records("osv", r#"{"id":"GHSA-aaaa-bbbb-cccc","aliases":["CVE-2024-0001"],"affects":[{"products":["pkg:pypi/x"]}]}"#);
        let taken = world.take();
        assert_eq!((taken.records, taken.removed), (3, 0));
        assert_eq!(world.take(), Taken::default());
        let id = world.advisory("GHSA-aaaa-bbbb-cccc");
        let row = db.read(|session| advisory(session, id)).unwrap().unwrap();
        assert_eq!(row.facts.name, "CVE-2024-0001");
        assert_eq!(row.aliases, ["GHSA-aaaa-bbbb-cccc"]);
        assert_eq!(row.facts.title.as_deref(), Some("a title"));
        let said = db.read(|session| records(session, id)).unwrap();
        let sources: Vec<&str> = said.iter().map(|record| record.source.as_str()).collect();
        assert_eq!(sources, ["cve", "osv"]);
        assert_eq!(unpack(&said[0].body).unwrap()[0].id.as_str(), "CVE-2024-0001");
    }

    fn what_changed_in_substance_is_remembered(db) {
        let mut world = World::new(db);
        world.records("cve", ONE);
        world.take();
        let id = world.advisory("CVE-2024-0001");
        let history = || {
            db.read(|session| {
                let ids: Vec<i64> = records(session, id)?.iter().map(|record| record.id).collect();
                history(session, &ids)
            })
            .unwrap()
        };
        world.day += 1;
        world.records("cve", &ONE.replace("a title", "another"));
        let taken = world.take();
        assert_eq!((taken.records, taken.advisories), (1, 1));
        assert!(history().is_empty());
        world.day += 1;
        world.records("cve", &ONE.replace("<2.0", "<3.0"));
        world.take();
        let [before] = &*history() else { panic!("{:?}", history()) };
        assert_eq!(unpack(&before.body).unwrap()[0].summary.as_deref(), Some("another"));
    }

    fn a_name_that_becomes_a_cve_keeps_its_decisions(db) {
        let mut world = with_openssl(db);
        world.records("osv", LOOSE);
        world.settle();
        confirm(&world, "GHSA-aaaa-bbbb-cccc");
        world.records("osv", &LOOSE.replace("\"affects\"", "\"aliases\":[\"CVE-2024-0001\"],\"affects\""));
        world.settle();
        assert_eq!(world.advisory("GHSA-aaaa-bbbb-cccc"), world.advisory("CVE-2024-0001"));
        assert_eq!(world.decided("openssl", "CVE-2024-0001").state, State::Confirmed);
    }

    fn advisories_that_turn_out_to_be_one_keep_the_decision(db) {
        let mut world = with_openssl(db);
        world.records("osv", LOOSE);
        world.records("cve", ONE);
        world.settle();
        assert_ne!(world.advisory("GHSA-aaaa-bbbb-cccc"), world.advisory("CVE-2024-0001"));
        confirm(&world, "GHSA-aaaa-bbbb-cccc");
        world.records("osv", &LOOSE.replace("\"affects\"", "\"aliases\":[\"CVE-2024-0001\"],\"affects\""));
        assert_eq!(world.take().merged, 1);
        world.settle();
        assert_eq!(world.advisory("GHSA-aaaa-bbbb-cccc"), world.advisory("CVE-2024-0001"));
        assert_eq!(world.decided("openssl", "CVE-2024-0001").state, State::Confirmed);
        insta::allow_duplicates! {
            insta::assert_snapshot!(world.log(), @"
            decided: seen it
            joined: GHSA-aaaa-bbbb-cccc turned out to be the same; there it was confirmed
            ");
            insta::assert_snapshot!(world.queue(), @"confirmed CVE-2024-0001: 1");
        }
    }

    fn what_was_published_of_an_advisory_follows_it_into_another(db) {
        merge_published(db, &["GHSA-aaaa-bbbb-cccc"]);
        insta::allow_duplicates! {
            insta::assert_snapshot!(published(db), @"
            NIX-2023-0001 CVE-2024-0001: stands, openssl
            NIX-2023-0001: GHSA-aaaa-bbbb-cccc
            ");
        }
    }

    fn of_two_that_were_published_and_turn_out_to_be_one_the_other_is_withdrawn(db) {
        merge_published(db, &["GHSA-aaaa-bbbb-cccc", "CVE-2024-0001"]);
        insta::allow_duplicates! {
            insta::assert_snapshot!(published(db), @"
            NIX-2023-0001 CVE-2024-0001: withdrawn, openssl
            NIX-2023-0002 CVE-2024-0001: stands, openssl
            NIX-2023-0001: GHSA-aaaa-bbbb-cccc
            NIX-2023-0002: CVE-2024-0001
            NIX-2023-0001: it is told in NIX-2023-0002
            ");
        }
    }

    fn advisories_that_come_apart_are_two_again(db) {
        let mut world = with_openssl(db);
        let joined = LOOSE.replace("\"affects\"", "\"aliases\":[\"CVE-2024-0001\"],\"affects\"");
        world.records("osv", &joined);
        world.records("cve", ONE);
        world.settle();
        confirm(&world, "CVE-2024-0001");
        world.records("osv", LOOSE);
        world.settle();
        insta::allow_duplicates! {
            insta::assert_snapshot!(world.told(), @"
            openssl CVE-2024-0001: affected, confirmed
              1 1.1 affected since 1
            openssl GHSA-aaaa-bbbb-cccc: affected, untriaged
              1 1.1 affected since 1
            ");
        }
        // And one again.
        world.records("osv", &joined);
        world.settle();
        assert_eq!(world.advisory("GHSA-aaaa-bbbb-cccc"), world.advisory("CVE-2024-0001"));
        assert_eq!(world.decided("openssl", "CVE-2024-0001").state, State::Confirmed);
    }

    fn names_are_joined_as_an_index_joins_them(db) {
        let mut world = World::new(db);
        world.records("osv", &[
            r#"{"id":"GHSA-aaaa-bbbb-cccc","aliases":["PYSEC-2024-1"],"affects":[{"products":["pkg:pypi/x"]}]}"#,
            r#"{"id":"PYSEC-2024-1","affects":[{"products":["pkg:pypi/x"]}]}"#,
            r#"{"id":"GHSA-dddd-eeee-ffff","aliases":["CVE-2024-0001","CVE-2024-0002"],"affects":[{"products":["pkg:pypi/x"]}]}"#,
        ].join("\n"));
        world.take();
        world.with_rematcher(|rematcher| {
            for (alias, name) in names(db) {
                let id = rematcher.index.find(&alias).unwrap().unwrap();
                assert_eq!(rematcher.index.id_of(id).unwrap(), name, "{alias}");
            }
        });
        assert_eq!(names(db).len(), 5);
    }

    fn a_source_that_goes_takes_its_records_along(db) {
        let mut world = with_openssl(db);
        world.records("osv", LOOSE);
        world.settle();
        confirm(&world, "GHSA-aaaa-bbbb-cccc");
        world.records("osv", "");
        assert_eq!(world.take().removed, 1);
        world.settle();
        insta::allow_duplicates! {
            insta::assert_snapshot!(world.told(), @"openssl GHSA-aaaa-bbbb-cccc: not_affected, needs_review, gone");
            insta::assert_snapshot!(world.log(), @"
            decided: seen it
            reopened: no record says any more that it is affected; it was confirmed
            ");
        }
    }

    fn a_damaged_record_blocks_nothing(db) {
        let mut world = World::new(db);
        world.records("cve", ONE);
        world.take();
        db.write(|session| session.execute("UPDATE record SET body = $1", &[(&b"junk"[..]).into()])).unwrap();
        world.records("cve", &ONE.replace("<2.0", "<3.0"));
        assert_eq!(world.take().records, 1);
    }

    fn sources_are_known_as_a_whole(db) {
        let mut world = World::new(db);
        world.records("cve", ONE);
        world.take();
        let first = world.now();
        world.day += 1;
        world.take();
        let sources = db.read(|session| session.record_sources()).unwrap();
        let [source] = &*sources else { panic!("{sources:?}") };
        assert_eq!((source.name.as_str(), source.totals.records), ("cve", 1));
        assert_eq!((source.changed_at, source.looked_at), (Some(first), Some(world.now())));
    }

    fn files_are_read_with_the_words_of_their_authors(db) {
        let mut world = World::new(db);
        let directory = tempfile::tempdir().unwrap();
        let path = camino::Utf8PathBuf::from_path_buf(directory.path().join("cve.jsonl")).unwrap();
        let record = r#"{"cveMetadata":{"cveId":"CVE-2024-0001"},"containers":{"cna":{"descriptions":[{"lang":"en","value":"A heap\u0000overflow"}],"affected":[{"vendor":"openssl","product":"openssl","defaultStatus":"affected"}],"references":[{"url":"https://a.example/"}]}}}"#;
        std::fs::write(&path, format!("{record}\n{{\"broken\n")).unwrap();
        let interrupted = AtomicBool::new(false);
        let (records, problems) = snowguard_tracker::advisories::import(&mut world.store, &[path], &interrupted, &mut |_| {}).unwrap();
        assert_eq!((records, problems.len()), (1, 1));
        assert_eq!(world.take().records, 1);
        assert_eq!(world.take(), Taken::default());
        let id = world.advisory("CVE-2024-0001");
        let row = db.read(|session| advisory(session, id)).unwrap().unwrap();
        assert_eq!(row.facts.description.as_deref(), Some("A heap\u{fffd}overflow"));
        let said = db.read(|session| records_of(session, id)).unwrap();
        let texts = unpack(&said[0].body).unwrap()[0].texts.clone().unwrap();
        assert_eq!(texts.references[0].url, "https://a.example/");
        let found = db.read(|session| session.search("overflow", &Found::ALL, None, 9)).unwrap();
        assert_eq!(found[0].id, id);
    }

    fn what_was_interrupted_goes_on(db) {
        let mut world = World::new(db);
        world.records("cve", ONE);
        let interrupted = AtomicBool::new(true);
        let outcome = take(db, &world.store, world.now(), &interrupted, &mut |_| {});
        assert!(matches!(outcome, Err(TakeError::Interrupted)));
        assert_eq!(world.take().records, 1);
    }
}
