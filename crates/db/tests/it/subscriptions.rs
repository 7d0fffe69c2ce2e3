//! Subscriptions: what is new is told to who asked for it, once, and nothing that is on its way is passed
//! over.

use jiff::{SignedDuration, Timestamp};
use snowguard_db::findings::{NewEvent, add_events};
use snowguard_db::subscriptions::{
    About, Mark, NewSubscription, News, Pace, SubscriptionRow, Subscriptions, Topic, Way, What,
};
use snowguard_db::{Database, Dialect};
use snowguard_testkit::on_both_engines;
use snowguard_triage::EventKind;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_780_000_000 + second).unwrap()
}

/// Two packages, of which one is maintained; two advisories; three findings, of which one is not open.
const FILL: &str = "
    INSERT INTO channel (id, name, position, followed) VALUES (1, 'unstable', 0, 1), (2, 'stable', 1, 1);
    INSERT INTO account (id, name, role, created) VALUES (1, 'alice', 2, 0);
    INSERT INTO package (id, key, name) VALUES (1, 'openssl', 'openssl'), (2, 'curl', 'curl');
    INSERT INTO maintainer (id, name, kind) VALUES (1, 'bob', 1);
    INSERT INTO maintains (maintainer, package) VALUES (1, 2);
    INSERT INTO advisory (id, name, rating, exploited, first_seen, changed_at) VALUES (1, 'CVE-2026-0001', 4, '2026-01-01', 0, 0), (2, 'CVE-2026-0002', NULL, NULL, 0, 0);
    INSERT INTO finding (id, package, advisory, status, confidence, state, state_since, basis, evidence, rank, bucket, channels, first_seen)
        VALUES (1, 1, 1, 0, 0, 0, 0, BYTES, BYTES, 0, 0, 0, 1000), (2, 2, 1, 1, 0, 0, 0, BYTES, BYTES, 0, 0, 0, 2000), (3, 2, 2, 2, 0, 0, 0, BYTES, BYTES, 0, 0, 0, 3000);
    INSERT INTO finding_channel (finding, channel, status, versions, since) VALUES (1, 1, 0, '3', 1), (2, 2, 0, '8', 1);
";

fn fill(db: &Database) {
    let bytes = match db.dialect() {
        Dialect::Sqlite => "x'00'",
        Dialect::Postgres => "'\\x00'",
    };
    db.write(|session| session.batch(&FILL.replace("BYTES", bytes)))
        .unwrap();
}

fn subscribe(db: &Database, about: &About, pace: Pace) -> SubscriptionRow {
    let new = NewSubscription {
        account: 1,
        way: Way::Webhook,
        target: "https://hooks.example.org/x",
        about,
        pace,
        secret: b"secret",
        at: at(0),
    };
    db.write(|session| session.subscribe(&new)).unwrap()
}

/// Alice says something about openssl.
fn comment(db: &Database, reason: &str) {
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
    db.write(|session| add_events(session, std::slice::from_ref(&event), at(5)))
        .unwrap();
}

fn words(news: &[News]) -> Vec<String> {
    news.iter()
        .map(|news| {
            let what = match &news.what {
                What::Found { .. } => "found",
                What::Done { reason, .. } => reason,
            };
            let package = news.package.as_deref().unwrap_or("-");
            format!(
                "{package} {} {what}",
                news.advisory.as_deref().unwrap_or("-")
            )
        })
        .collect()
}

on_both_engines! {
    fn each_topic_has_its_news(db) {
        fill(db);
        comment(db, "hm");
        let all = Mark { event: i64::MAX, finding: i64::MAX };
        let news = |topic: &Topic| {
            words(&db.read(|session| session.news(topic, Mark::default(), all, 100)).unwrap())
        };
        let (openssl, curl, hm) = ("openssl CVE-2026-0001 found", "curl CVE-2026-0001 found", "openssl CVE-2026-0001 hm");
        assert_eq!(news(&Topic::Everything), [openssl, curl, hm]);
        assert_eq!(news(&Topic::Package(1)), [openssl, hm]);
        assert_eq!(news(&Topic::Maintainer(1)), [curl]);
        assert_eq!(news(&Topic::Advisory(1)), [openssl, curl, hm]);
        assert_eq!(news(&Topic::Advisory(2)), [""; 0]);
        assert_eq!(news(&Topic::Channel(2)), [curl]);
        let found = Topic::Found { packages: vec![2], advisories: vec![] };
        assert_eq!(news(&found), [curl]);
        let newest = db.read(|session| session.newest(&Topic::Everything, 2)).unwrap();
        assert_eq!(words(&newest), [hm, curl]);
        assert!(newest[0].is_exploited && newest[0].rating == 4);
    }

    fn what_was_there_before_is_not_told(db) {
        fill(db);
        comment(db, "before");
        let row = subscribe(db, &About::Topic(Topic::Everything), Pace::AtOnce);
        assert_eq!(row.mark.finding, 3);
        comment(db, "after");
        let far = db.write(|session| session.how_far()).unwrap();
        let news = db.read(|session| session.news(&Topic::Everything, row.mark, far, 100)).unwrap();
        assert_eq!(words(&news), ["openssl CVE-2026-0001 after"]);
    }

    fn what_is_on_its_way_comes_first(db) {
        fill(db);
        let row = subscribe(db, &About::Topic(Topic::Everything), Pace::AtOnce);
        let daily = subscribe(db, &About::Search("open".into()), Pace::Daily);
        let listening = |now| {
            let rows = db.read(|session| session.listening(now, 0, 10)).unwrap();
            rows.iter().map(|row| row.id).collect::<Vec<_>>()
        };
        let day = SignedDuration::from_hours(24);
        assert_eq!(listening(at(1) - day), [row.id]);
        assert_eq!(listening(at(0)), [row.id, daily.id]);
        comment(db, "x");
        let far = db.write(|session| session.how_far()).unwrap();
        // Two workers look at the same: one delivery.
        for _ in 0..2 {
            db.write(|session| session.look(&row, far, true, at(6))).unwrap();
        }
        assert_eq!(listening(at(0)), [daily.id]);
        let due = db.read(|session| session.deliveries(at(6), 10)).unwrap();
        assert_eq!((due.len(), due[0].after, due[0].to), (1, row.mark, far));
        db.write(|session| session.not_delivered(due[0].id, "refused", at(60))).unwrap();
        assert_eq!(db.read(|session| session.deliveries(at(59), 10)).unwrap(), []);
        let again = db.read(|session| session.deliveries(at(60), 10)).unwrap();
        assert_eq!(again[0].attempts, 1);
        db.write(|session| session.delivered(due[0].id, at(61))).unwrap();
        assert_eq!(db.read(|session| session.deliveries(at(99), 10)).unwrap(), []);
        assert_eq!(listening(at(0)), [row.id, daily.id]);
    }

    fn what_is_ended_stays_so(db) {
        fill(db);
        let row = subscribe(db, &About::Topic(Topic::Package(1)), Pace::AtOnce);
        comment(db, "x");
        let far = db.write(|session| session.how_far()).unwrap();
        db.write(|session| session.look(&row, far, true, at(6))).unwrap();
        assert!(db.write(|session| session.end_subscription(row.id, at(7))).unwrap());
        assert!(!db.write(|session| session.end_subscription(row.id, at(8))).unwrap());
        assert!(!db.write(|session| session.confirm_subscription(row.id, at(8))).unwrap());
        assert_eq!(db.read(|session| session.deliveries(at(99), 10)).unwrap(), []);
        assert_eq!(db.read(|session| session.subscriptions_of(1)).unwrap(), []);
        assert_eq!(db.read(|session| session.listening(at(99), 0, 10)).unwrap(), []);
    }

    /// A number is taken, another and higher one is written and seen: nobody may look past the first.
    fn what_is_being_written_is_waited_for(db) {
        fill(db);
        let (taken, take) = std::sync::mpsc::channel();
        let (go, wait) = std::sync::mpsc::channel::<()>();
        std::thread::scope(|scope| {
            let slow = scope.spawn(move || {
                let event = NewEvent { actor: None, kind: EventKind::Commented, finding: None, advisory: None, package: None, change: None, reason: "slow".into(), undoes: None };
                db.write(|session| {
                    add_events(session, std::slice::from_ref(&event), at(1))?;
                    let _ = taken.send(());
                    let _ = wait.recv_timeout(std::time::Duration::from_millis(300));
                    Ok(())
                }).unwrap();
            });
            take.recv().unwrap();
            let far = db.write(|session| session.how_far()).unwrap();
            let seen = db.read(|session| session.news(&Topic::Everything, Mark::default(), far, 100)).unwrap();
            assert!(words(&seen).iter().any(|line| line.ends_with("slow")), "{seen:?}");
            let _ = go.send(());
            slow.join().unwrap();
        });
    }
}
