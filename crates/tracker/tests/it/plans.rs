//! What is published and told is found by few statements, of which none reads a table whole.

use snowguard_db::subscriptions::{About, Subscriptions as _, Topic, TopicKind};
use snowguard_db::{Database, Session};
use snowguard_testkit::on_both_engines;
use snowguard_tracker::decide::{self, Request};
use snowguard_tracker::publish::act::{Words, publish};
use snowguard_tracker::publish::{triage, whole};
use snowguard_tracker::subscribe;
use snowguard_tracker::view::load::{self, ViewError};
use snowguard_triage::{Act, State};

use crate::world::{TEAM, World};

fn world(db: &Database, packages: usize) {
    let mut world = World::new(db);
    // Another evaluation than the one before.
    world.day = i64::try_from(packages).unwrap();
    let names: Vec<(String, String)> = (0..packages)
        .map(|at| (format!("pack{at}"), format!("https://pack{at}.org/")))
        .collect();
    let set: Vec<(&str, &str, &str, &str)> = names
        .iter()
        .map(|(name, page)| (&**name, &**name, "1.0", &**page))
        .collect();
    world.evaluate("stable", &set);
    let records: Vec<String> = (0..packages)
        .map(|at| format!(
            r#"{{"id":"CVE-2024-{at:04}","affects":[{{"products":["pack{at}:pack{at}"],"default":"unaffected","rules":["<1.5"]}}]}}"#
        ))
        .collect();
    world.records("cve", &records.join("\n"));
    world.settle();
    for at in 0..packages {
        let name = format!("CVE-2024-{at:04}");
        let finding = world.finding(&format!("pack{at}"), &name);
        let request = Request {
            finding: finding.id,
            revision: None,
            act: Act::Decide(State::Confirmed),
        };
        // The second time it is so already.
        let _ = decide::act(db, TEAM, &[request], "", world.now());
        let words = Words::new("a title", "").unwrap();
        let _ = publish(db, TEAM, "NIX", world.advisory(&name), &words, world.now());
    }
}

fn all(db: &Database) -> Vec<(&'static str, usize)> {
    let (watched, observed) = db.observed();
    let mut costs = Vec::new();
    let mut cost = |name: &'static str, work: &mut dyn FnMut(&mut dyn Session)| {
        watched
            .try_read(|session| {
                work(session);
                Ok::<_, ViewError>(())
            })
            .unwrap();
        let seen = observed.take();
        for statement in &seen {
            let scans = db.scans(statement).unwrap();
            let large: Vec<_> = scans
                .iter()
                .filter(|scan| scan.table != "channel")
                .collect();
            assert!(
                large.is_empty(),
                "{name}: {} scans {large:?}",
                statement.sql
            );
        }
        costs.push((name, seen.len()));
    };
    let public = db
        .read(|session| {
            use snowguard_db::issues::Issues as _;
            Ok(session.newest_issues(None, 1)?[0].public.clone())
        })
        .unwrap();
    cost("issues", &mut |s| {
        drop(load::issues(s, Some("1~1")).unwrap());
    });
    cost("issue", &mut |s| {
        drop(load::issue(s, &public.to_string()).unwrap());
    });
    cost("draft", &mut |s| {
        drop(load::draft(s, "CVE-2024-0000").unwrap());
    });
    cost("subscriptions", &mut |s| {
        drop(load::subscriptions(s, 1).unwrap());
    });
    cost("issues.atom", &mut |s| {
        drop(whole::newest_issues(s, &crate::publish::site()).unwrap());
    });
    cost("triage.json", &mut |s| {
        drop(triage::json(s, &crate::publish::site(), jiff::Timestamp::UNIX_EPOCH).unwrap());
    });
    cost("osv.json", &mut |s| {
        let naming = snowguard_formats::osv::Naming::Valid;
        drop(whole::one_osv(s, &public, &crate::publish::site(), naming).unwrap());
    });
    for (name, kind, of) in [
        ("package.atom", TopicKind::Package, "pack0"),
        ("maintainer.atom", TopicKind::Maintainer, "someone"),
        ("advisory.atom", TopicKind::Advisory, "CVE-2024-0000"),
        ("channel.atom", TopicKind::Channel, "stable"),
    ] {
        cost(name, &mut |s| {
            let topic = s.topic_of(kind, of).unwrap().unwrap();
            drop(subscribe::newest(s, &About::Topic(topic), 50).unwrap());
        });
    }
    cost("activity.atom", &mut |s| {
        drop(subscribe::newest(s, &About::Topic(Topic::Everything), 50).unwrap());
    });
    costs
}

on_both_engines! {
    fn what_is_published_costs_the_same_whatever_there_is(db) {
        world(db, 2);
        let few = all(db);
        assert!(few.iter().all(|(_, count)| *count <= 15), "{few:?}");
        world(db, 30);
        assert_eq!(all(db), few);
    }
}
