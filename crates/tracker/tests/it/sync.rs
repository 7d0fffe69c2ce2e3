//! What is published follows what is known, and the forge follows that, without opening anything twice.

use std::sync::Arc;

use jiff::Timestamp;
use snowguard_db::issues::{Issues, NewIssue};
use snowguard_db::{Database, Dialect};
use snowguard_formats::osv::Naming;
use snowguard_http::{Client, Settings};
use snowguard_testkit::forge::{self, TOKEN};
use snowguard_testkit::on_both_engines;
use snowguard_testkit::web::Fault;
use snowguard_tracker::publish::forge::Forge;
use snowguard_tracker::publish::sync::{SyncError, Synced, sync};
use snowguard_tracker::publish::whole;

use crate::publish::site;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_780_000_000 + second).unwrap()
}

/// Two advisories with a confirmed package each.
const FILL: &str = "
    INSERT INTO channel (id, name, position, followed) VALUES (1, 'unstable', 0, 1);
    INSERT INTO evaluation (id, channel, revision, evaluated_at, ingested_at, packages, failed, added, removed, changed, rebuilt)
        VALUES (7, 1, 'abc', 1780000000000, 1780000000000, 1, 0, 0, 0, 0, 0);
    INSERT INTO package (id, key, name, language) VALUES (1, 'openssl', 'openssl', NULL), (2, 'python:falcon', 'falcon', 'Python');
    INSERT INTO advisory (id, name, rating, first_seen, changed_at) VALUES (1, 'CVE-2026-0001', 4, 0, 0), (2, 'CVE-2026-0002', 0, 0, 0);
    INSERT INTO finding (id, package, advisory, status, confidence, state, state_since, basis, evidence, fixed_in, rank, first_seen)
        VALUES (1, 1, 1, 0, 0, 2, 1780000001000, BYTES, BYTES, '3.1', 0, 0), (2, 2, 2, 0, 0, 2, 1780000001000, BYTES, BYTES, NULL, 0, 0);
    INSERT INTO finding_channel (finding, channel, status, versions, since) VALUES (1, 1, 0, '3.0', 7), (2, 1, 0, '1.0', 7);
";

fn fill(db: &Database) {
    let bytes = match db.dialect() {
        Dialect::Sqlite => "x'00'",
        Dialect::Postgres => "'\\x00'",
    };
    db.write(|session| {
        session.batch(&FILL.replace("BYTES", bytes))?;
        for advisory in [1, 2] {
            let new = NewIssue {
                prefix: "NIX",
                advisory,
                title: "a title",
                text: None,
                at: at(0),
            };
            session.publish_issue(&new)?;
        }
        Ok(())
    })
    .unwrap();
}

fn change(db: &Database, sql: &str) {
    db.write(|session| session.batch(sql)).unwrap();
}

on_both_engines! {
    fn issues_follow_what_is_known_and_the_forge_follows(db) {
        fill(db);
        let stand_in = forge::Forge::start().unwrap();
        let client = Client::new(Settings { attempts: 1, ..Settings::default() }, Arc::default()).unwrap();
        let api = stand_in.web.base().parse().unwrap();
        let forge = Forge::new(&client, &api, "owner/name", TOKEN, None).unwrap();
        let run = |second| sync(db, &site(), Some(&forge), at(second), &mut || true).unwrap();

        let first = run(10);
        assert_eq!(first, Synced { issues: 2, changed: 2, brought: 2, failed: vec![] });
        assert_eq!(run(11), Synced { issues: 2, ..Synced::default() });

        // A fix arrives in the channel.
        change(db, "UPDATE finding_channel SET status = 3, versions = '3.1', fixed_since = 7 WHERE finding = 1");
        stand_in.web.fail_always("/repos/owner/name/issues/1", Fault::Status(502, vec![]));
        let refused = run(12);
        assert_eq!((refused.changed, refused.brought, refused.failed.len()), (1, 0, 1));
        assert!(refused.failed[0].1.contains("502"), "{refused:?}");
        stand_in.web.heal();
        assert_eq!(run(13), Synced { issues: 2, brought: 1, ..Synced::default() });
        assert_eq!(stand_in.issues()[0]["state"], "closed");
        assert_eq!(stand_in.issues().len(), 2);

        let issues = db.read(|session| session.newest_issues(None, 9)).unwrap();
        assert_eq!(issues[0].modified, at(12));
        assert_eq!(issues[1].modified, at(0));
        let row = db.read(|session| session.forge_issue(issues[0].id)).unwrap();
        assert_eq!((row.number, row.synced, row.error), (Some(1), Some(at(13)), None));
    }

    fn the_archive_has_every_issue_under_its_id(db) {
        fill(db);
        let make = || db.try_read(|session| whole::osv_archive(session, &site(), Naming::Valid)).unwrap();
        let bytes = make();
        assert_eq!(make(), bytes);
        let mut archive = zip::ZipArchive::new(std::io::Cursor::new(bytes)).unwrap();
        assert_eq!(archive.len(), 2);
        for (at, id) in ["x_NIX-2026-0001", "x_NIX-2026-0002"].into_iter().enumerate() {
            let member = archive.by_index(at).unwrap();
            assert_eq!(member.name().unwrap(), format!("{id}.json"));
            let document: serde_json::Value = serde_json::from_reader(member).unwrap();
            assert_eq!(document["id"], id);
        }
    }

    fn a_worker_that_is_stopped_goes_on_later(db) {
        fill(db);
        let stand_in = forge::Forge::start().unwrap();
        let client = Client::new(Settings::default(), Arc::default()).unwrap();
        let api = stand_in.web.base().parse().unwrap();
        let forge = Forge::new(&client, &api, "owner/name", TOKEN, None).unwrap();
        let mut left = 1;
        let mut once = || { left -= 1; left >= 0 };
        let stopped = sync(db, &site(), Some(&forge), at(1), &mut once);
        assert!(matches!(stopped, Err(SyncError::Interrupted)), "{stopped:?}");
        assert_eq!(stand_in.issues().len(), 1);
        sync(db, &site(), Some(&forge), at(2), &mut || true).unwrap();
        assert_eq!(stand_in.issues().len(), 2);
    }
}
