//! Subscribers are told what is new, once, and can end it from the letter.
#![expect(
    clippy::disallowed_methods,
    reason = "a sendmail of a few lines of shell is a file"
)]

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use camino::Utf8PathBuf;
use jiff::{SignedDuration, Timestamp};
use snowguard_db::findings::{NewEvent, add_events};
use snowguard_db::subscriptions::{
    About, NewSubscription, Pace, SubscriptionRow, Subscriptions as _, Topic, Way,
};
use snowguard_db::{Database, Dialect};
use snowguard_http::{Client, Settings};
use snowguard_send::mail::{MailAddress, Sendmail};
use snowguard_testkit::on_both_engines;
use snowguard_testkit::web::{Fault, Web};
use snowguard_tracker::subscribe::{
    Sender, SubscribeError, Told, Wish, confirm, confirmation, end, of_link, subscribe, tell,
    token, unsubscribe,
};
use snowguard_triage::EventKind;

use crate::publish::site;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_780_000_000 + second).unwrap()
}

const FILL: &str = "
    INSERT INTO account (id, name, role, created) VALUES (1, 'alice', 2, 0), (2, 'bob', 0, 0);
    INSERT INTO package (id, key, name) VALUES (1, 'openssl', 'openssl'), (2, 'curl', 'curl');
    INSERT INTO advisory (id, name, rating, first_seen, changed_at) VALUES (1, 'CVE-2026-0001', 4, 0, 0);
    INSERT INTO finding (id, package, advisory, status, confidence, state, state_since, basis, evidence, rank, bucket, channels, first_seen)
        VALUES (1, 1, 1, 0, 0, 0, 0, BYTES, BYTES, 0, 0, 0, 1000);
";

fn fill(db: &Database) {
    let bytes = match db.dialect() {
        Dialect::Sqlite => "x'00'",
        Dialect::Postgres => "'\\x00'",
    };
    db.write(|session| session.batch(&FILL.replace("BYTES", bytes)))
        .unwrap();
}

fn comment(db: &Database, reason: &str, second: i64) {
    let event = NewEvent {
        actor: Some(1),
        kind: EventKind::Commented,
        finding: Some(1),
        advisory: Some(1),
        package: Some(1),
        change: None,
        reason: reason.to_owned(),
        undoes: None,
    };
    db.write(|session| add_events(session, std::slice::from_ref(&event), at(second)))
        .unwrap();
}

fn wish(way: Way, target: &str, about: About) -> Wish<'_> {
    Wish {
        account: 1,
        way,
        target,
        about,
        pace: Pace::AtOnce,
        secret: [7; 32],
    }
}

/// A webhook on this machine, which nobody could ask for.
fn hook(db: &Database, web: &Web, pace: Pace) -> SubscriptionRow {
    let new = NewSubscription {
        account: 1,
        way: Way::Webhook,
        target: &web.url("/hook"),
        about: &About::Topic(Topic::Package(1)),
        pace,
        secret: b"secret",
        at: at(0),
    };
    db.write(|session| session.subscribe(&new)).unwrap()
}

/// A sendmail that keeps what it gets.
struct Post {
    directory: tempfile::TempDir,
}

impl Post {
    fn new() -> Self {
        let post = Self {
            directory: tempfile::tempdir().unwrap(),
        };
        let root = post.root();
        let text = format!("#!/bin/sh\ncat > {root}/$(ls {root} | wc -l).mail\n");
        std::fs::write(root.join("sendmail"), text).unwrap();
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(root.join("sendmail"), mode).unwrap();
        post
    }

    fn root(&self) -> Utf8PathBuf {
        Utf8PathBuf::from_path_buf(self.directory.path().to_owned()).unwrap()
    }

    fn mails(&self) -> Vec<String> {
        let mut files: Vec<_> = self
            .root()
            .read_dir_utf8()
            .unwrap()
            .map(|entry| entry.unwrap().into_path())
            .collect();
        files.sort();
        files.retain(|file| file.as_str().ends_with(".mail"));
        files
            .iter()
            .map(|file| std::fs::read_to_string(file).unwrap())
            .collect()
    }
}

fn run(db: &Database, post: Option<&Post>, public_only: bool, now: Timestamp) -> Told {
    let settings = Settings {
        attempts: 1,
        public_only,
        ..Settings::default()
    };
    let client = Client::new(settings, Arc::default()).unwrap();
    let site = site();
    let sender = Sender {
        site: &site,
        from: Some(MailAddress::try_from("tracker@example.org".to_owned()).unwrap()),
        sendmail: post.map(|post| Sendmail::new(Some(post.root().join("sendmail")))),
        client: &client,
        host: "tracker.example.org",
    };
    tell(db, &sender, now, &mut || true).unwrap()
}

on_both_engines! {
    fn a_webhook_is_told_once_with_a_key_that_stays(db) {
        fill(db);
        let web = Web::start().unwrap();
        web.put("/hook", "taken");
        hook(db, &web, Pace::AtOnce);
        assert_eq!(run(db, None, false, at(1)), Told::default());
        comment(db, "first", 2);
        comment(db, "second", 3);
        web.fail("/hook", [Fault::Status(503, vec![])]);
        assert_eq!(run(db, None, false, at(4)), Told { made: 1, failed: 1, ..Told::default() });
        comment(db, "third", 5);
        // It is tried again a minute later, and what came meanwhile waits its turn.
        assert_eq!(run(db, None, false, at(6)), Told::default());
        assert_eq!(run(db, None, false, at(70)), Told { taken: 1, ..Told::default() });
        assert_eq!(run(db, None, false, at(71)), Told { made: 1, taken: 1, ..Told::default() });
        assert_eq!(run(db, None, false, at(72)), Told::default());
        let seen = web.seen();
        let key = |at: usize| seen[at].header("idempotency-key").unwrap().to_owned();
        assert_eq!(seen.len(), 3);
        assert_eq!(key(0), key(1));
        assert_ne!(key(1), key(2));
        assert_eq!(seen[0].body, seen[1].body);
        assert!(seen[0].header("webhook-signature").is_some());
        let body: serde_json::Value = serde_json::from_slice(&seen[1].body).unwrap();
        assert_eq!(body["changes"].as_array().unwrap().len(), 2);
        assert_eq!(body["changes"][0]["text"], "openssl, CVE-2026-0001: alice said: first");
        assert_eq!(body["changes"][0]["url"], "https://tracker.example.org/packages/openssl/CVE-2026-0001");
    }

    /// An address that was public when it was given, and leads into this network now.
    fn a_webhook_does_not_reach_this_network(db) {
        fill(db);
        let web = Web::start().unwrap();
        web.put("/hook", "taken");
        let row = hook(db, &web, Pace::AtOnce);
        comment(db, "secret", 2);
        assert_eq!(run(db, None, true, at(3)).failed, 1);
        assert!(web.seen().is_empty());
        // After two weeks it is given up.
        let later = at(3) + SignedDuration::from_hours(24 * 15);
        assert_eq!(run(db, None, true, later).given_up, 1);
        let row = db.read(|session| session.subscription(row.id)).unwrap().unwrap();
        assert!(row.ended.is_some());
    }

    fn letters_go_to_who_agreed_and_end_where_they_say(db) {
        fill(db);
        let post = Post::new();
        let wish = wish(Way::Mail, "alice@example.org", About::Topic(Topic::Package(1)));
        let row = subscribe(db, &wish, at(0)).unwrap();
        comment(db, "before", 1);
        // Nothing but the question.
        assert_eq!(run(db, Some(&post), true, at(2)), Told { asked: 1, ..Told::default() });
        assert_eq!(run(db, Some(&post), true, at(2)), Told::default());
        assert_eq!(post.mails().len(), 1);
        assert!(post.mails()[0].contains("Subject: Agree to letters"));
        let (_, text) = confirmation(&site(), &row);
        let link = text.split("token=").nth(1).unwrap().split_whitespace().next().unwrap();
        assert_eq!(link, token(&row));
        assert!(!confirm(db, "1.00", at(3)).unwrap());
        assert!(confirm(db, link, at(3)).unwrap());
        assert!(!confirm(db, link, at(4)).unwrap());
        assert_eq!(run(db, Some(&post), true, at(5)), Told { made: 1, taken: 1, ..Told::default() });
        let mails = post.mails();
        assert_eq!(mails.len(), 2);
        let (head, body) = mails[1].split_once("\n\n").unwrap();
        let body = data_encoding::BASE64.decode(body.replace('\n', "").as_bytes()).unwrap();
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_suffix("");
        settings.bind(|| insta::allow_duplicates! { insta::assert_snapshot!("letter", format!("{head}\n\n{}", String::from_utf8(body).unwrap().replace('\r', ""))) });

        assert!(of_link(db, link).unwrap().is_some());
        for wrong in ["", "1", "1.", "x.y", "999.00", &link.to_uppercase().replace('0', "1")] {
            assert_eq!(unsubscribe(db, wrong, at(6)).unwrap(), None, "{wrong}");
        }
        assert!(unsubscribe(db, link, at(6)).unwrap().is_some());
        assert!(unsubscribe(db, link, at(7)).unwrap().is_some());
        comment(db, "after", 8);
        assert_eq!(run(db, Some(&post), true, at(9)), Told::default());
    }

    /// A letter that asks goes to an address that may be another's.
    fn letters_are_asked_for_a_few_times_a_day(db) {
        fill(db);
        let ask = |at| subscribe(db, &wish(Way::Mail, "a@example.org", About::Topic(Topic::Package(1))), at);
        for _ in 0..10 {
            let row = ask(at(0)).unwrap();
            end(db, 1, row.id, at(0)).unwrap();
        }
        assert!(matches!(ask(at(60)), Err(SubscribeError::TooManyLetters)));
        assert!(ask(at(24 * 3_600 + 1)).is_ok());
    }

    fn a_digest_comes_once_a_day(db) {
        fill(db);
        let web = Web::start().unwrap();
        web.put("/hook", "taken");
        hook(db, &web, Pace::Daily);
        comment(db, "one", 1);
        assert_eq!(run(db, None, false, at(3_600)), Told::default());
        comment(db, "two", 3_601);
        let day = 24 * 3_600;
        assert_eq!(run(db, None, false, at(day)), Told { made: 1, taken: 1, ..Told::default() });
        comment(db, "three", day + 1);
        assert_eq!(run(db, None, false, at(day + 2)), Told::default());
        assert_eq!(run(db, None, false, at(2 * day)), Told { made: 1, taken: 1, ..Told::default() });
        let counts: Vec<usize> = web.seen().iter().map(|seen| {
            let body: serde_json::Value = serde_json::from_slice(&seen.body).unwrap();
            body["changes"].as_array().unwrap().len()
        }).collect();
        assert_eq!(counts, [2, 1]);
    }

    fn what_is_not_there_or_not_ones_own_is_refused(db) {
        fill(db);
        let ask = |about| subscribe(db, &wish(Way::Mail, "a@example.org", about), at(0));
        assert!(matches!(ask(About::Topic(Topic::Package(99))), Err(SubscribeError::Missing("package"))));
        assert!(matches!(ask(About::Search(" ".into())), Err(SubscribeError::Query)));
        assert!(matches!(ask(About::Search("x".repeat(201))), Err(SubscribeError::Query)));
        let row = ask(About::Search("open".into())).unwrap();
        assert!(!end(db, 2, row.id, at(1)).unwrap());
        assert!(end(db, 1, row.id, at(1)).unwrap());
    }

    /// A search is looked up each time: what is found later is told as well.
    fn a_search_is_told_what_it_finds(db) {
        fill(db);
        let web = Web::start().unwrap();
        web.put("/hook", "taken");
        for words in ["openssl", "CVE-2026-0001", "curl"] {
            let new = NewSubscription {
                account: 1,
                way: Way::Webhook,
                target: &web.url("/hook"),
                about: &About::Search(words.to_owned()),
                pace: Pace::AtOnce,
                secret: b"secret",
                at: at(0),
            };
            db.write(|session| session.subscribe(&new)).unwrap();
        }
        db.write(|session| session.batch("INSERT INTO alias (name, advisory) VALUES ('CVE-2026-0001', 1)")).unwrap();
        comment(db, "x", 1);
        assert_eq!(run(db, None, false, at(2)), Told { made: 2, taken: 2, ..Told::default() });
    }
}
