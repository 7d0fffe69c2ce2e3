//! Issues: numbers without gaps, edits that see each other, and what is gathered to be published.

use jiff::Timestamp;
use snowguard_db::issues::{ForgeRow, IssueRow, Issues, NewIssue};
use snowguard_db::{Database, DbError};
use snowguard_testkit::on_both_engines;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_780_000_000 + second).unwrap()
}

/// Three advisories; the first has a confirmed, a dismissed and an undecided package, in two channels.
const FILL: &str = "
    INSERT INTO channel (id, name, position, followed) VALUES (1, 'unstable', 0, 1), (2, 'stable', 1, 1), (3, 'ended', 2, 0);
    INSERT INTO evaluation (id, channel, revision, evaluated_at, ingested_at, packages, failed, added, removed, changed, rebuilt)
        VALUES (7, 2, 'abc', 1780000000000, 1780000000000, 1, 0, 0, 0, 0, 0);
    INSERT INTO package (id, key, name, language) VALUES (1, 'openssl', 'openssl', NULL), (2, 'python:openssl', 'openssl', 'Python'), (3, 'libressl', 'libressl', NULL);
    INSERT INTO attribute (id, path, package) VALUES (1, 'openssl_3', 1), (2, 'openssl', 1), (3, 'gone', 1);
    INSERT INTO head (channel, attribute, package, name, version, fact, since) VALUES (1, 1, 1, 'openssl-3', '3', 1, 7), (1, 2, 1, 'openssl-3', '3', 1, 7), (2, 2, 1, 'openssl-3', '3', 1, 7);
    INSERT INTO advisory (id, name, rating, vector, exploited, first_seen, changed_at) VALUES (1, 'CVE-2026-0001', 3, 'CVSS:3.1/x', '2026-01-05', 0, 0), (2, 'CVE-2026-0002', NULL, NULL, NULL, 0, 0), (3, 'CVE-2026-0003', NULL, NULL, NULL, 0, 0);
    INSERT INTO alias (name, advisory) VALUES ('CVE-2026-0001', 1), ('GHSA-1', 1), ('CVE-2026-0002', 2);
    INSERT INTO finding (id, package, advisory, status, confidence, state, state_since, justification, basis, evidence, fixed_in, rank, first_seen)
        VALUES (1, 1, 1, 0, 0, 2, 1780000001000, NULL, 'x', 'x', '3.1', 0, 0),
               (2, 2, 1, 0, 0, 3, 1780000002000, 2, 'x', 'x', NULL, 0, 0),
               (3, 3, 1, 0, 0, 0, 1780000003000, NULL, 'x', 'x', NULL, 0, 0);
    INSERT INTO finding_channel (finding, channel, status, versions, since, fixed_since)
        VALUES (1, 2, 3, '3.1', 7, 7), (1, 1, 0, '3.0.1, 3.0.2', 7, NULL), (1, 3, 0, '1', 7, NULL), (3, 1, 0, '4', 7, NULL);
    INSERT INTO event (at, kind, finding, reason) VALUES (1, 1, 2, 'first thought'), (2, 1, 2, 'second thought'), (3, 3, 2, 'a comment');
";

fn fill(db: &Database) {
    // The literals of bytes are texts on one engine and bytes on the other.
    let sql = match db.dialect() {
        snowguard_db::Dialect::Sqlite => FILL.replace("'x'", "x'00'"),
        snowguard_db::Dialect::Postgres => FILL.replace("'x'", "'\\x00'"),
    };
    db.write(|session| session.batch(&sql)).unwrap();
}

fn publish(db: &Database, advisory: i64, when: Timestamp) -> Option<IssueRow> {
    let new = NewIssue {
        prefix: "NIX",
        advisory,
        title: "openssl: CVE",
        text: None,
        at: when,
    };
    db.write(|session| session.publish_issue(&new)).unwrap()
}

on_both_engines! {
    fn numbers_follow_on_one_another(db) {
        fill(db);
        assert_eq!(publish(db, 1, at(0)).unwrap().public.to_string(), "NIX-2026-0001");
        assert_eq!(publish(db, 1, at(1)), None);
        // What is rolled back takes no number.
        let new = NewIssue { prefix: "NIX", advisory: 2, title: "x", text: None, at: at(2) };
        let failed = db.write(|session| {
            session.publish_issue(&new)?;
            Err::<(), _>(DbError::Content { what: String::new(), reason: String::new() })
        });
        assert!(failed.is_err());
        assert_eq!(publish(db, 2, at(3)).unwrap().public.to_string(), "NIX-2026-0002");
        let next_year = "2027-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(publish(db, 3, next_year).unwrap().public.to_string(), "NIX-2027-0001");
        let all = db.read(|session| session.newest_issues(None, 2)).unwrap();
        let names: Vec<_> = all.iter().map(|row| row.public.to_string()).collect();
        assert_eq!(names, ["NIX-2027-0001", "NIX-2026-0002"]);
        let last = all.last().map(|row| (row.modified, row.id));
        let rest = db.read(|session| session.newest_issues(last, 2)).unwrap();
        assert_eq!(rest.len(), 1);
        assert_eq!(db.read(|session| session.issues_after(rest[0].id, 9)).unwrap().len(), 2);
    }

    fn an_edit_names_what_was_looked_at(db) {
        fill(db);
        let issue = publish(db, 1, at(0)).unwrap();
        let seen = (issue.id, issue.revision);
        assert!(db.write(|session| session.edit_issue(seen, "better", Some("words"), at(5))).unwrap());
        assert!(!db.write(|session| session.edit_issue(seen, "worse", None, at(6))).unwrap());
        assert!(!db.write(|session| session.withdraw_issue(seen, "why", at(6))).unwrap());
        let now = db.read(|session| session.issue(&issue.public)).unwrap().unwrap();
        assert_eq!((&*now.title, now.text.as_deref(), now.modified), ("better", Some("words"), at(5)));
        let seen = (now.id, now.revision);
        assert!(db.write(|session| session.withdraw_issue(seen, "a mistake", at(7))).unwrap());
        assert_eq!(db.read(|session| session.issue_of_advisory(1)).unwrap(), None);
        // It can be published again, under another number.
        assert_eq!(publish(db, 1, at(8)).unwrap().public.to_string(), "NIX-2026-0002");
    }

    fn what_is_published_has_a_digest(db) {
        fill(db);
        let issue = publish(db, 1, at(0)).unwrap();
        let note = |digest: &[u8], when| db.write(|session| session.note_issue_digest(issue.id, digest, when)).unwrap();
        let modified = || db.read(|session| session.issue(&issue.public)).unwrap().unwrap().modified;
        assert!(note(b"a", at(1)));
        assert_eq!(modified(), at(0));
        assert!(!note(b"a", at(2)));
        assert!(note(b"b", at(3)));
        assert_eq!(modified(), at(3));
        let forge = ForgeRow { number: Some(5), url: Some("https://x".into()), digest: Some(b"b".into()), synced: Some(at(4)), error: None };
        assert_eq!(db.read(|session| session.forge_issue(issue.id)).unwrap(), ForgeRow::default());
        for _ in 0..2 {
            db.write(|session| session.note_forge_issue(issue.id, &forge)).unwrap();
        }
        assert_eq!(db.read(|session| session.forge_issue(issue.id)).unwrap(), forge);
    }

    fn what_is_decided_is_gathered(db) {
        fill(db);
        let rows = db.read(|session| session.verdicts(&[1, 2, 99])).unwrap();
        assert_eq!(rows.len(), 2);
        assert!(rows[1].packages.is_empty());
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_suffix("");
        settings.bind(|| insta::allow_duplicates! { insta::assert_debug_snapshot!("gathered", rows[0]) });
        let (db, observed) = db.observed();
        db.read(|session| session.verdicts(&[1, 2])).unwrap();
        assert_eq!(observed.count(), 5);
    }
}
