//! What was decided, as scans take it: from decisions in a database to the document and back.

use jiff::Timestamp;
use snowguard_db::Database;
use snowguard_matching::suppress::Justification;
use snowguard_matching::triage::Document;
use snowguard_testkit::on_both_engines;
use snowguard_tracker::decide::{self, Actor, Request};
use snowguard_tracker::publish::act::{Words, publish};
use snowguard_tracker::publish::triage;
use snowguard_triage::{Act, Role, State};

use crate::publish::site;
use crate::world::World;

const ONE: &str = "https://one.org/";
const TWO: &str = "https://two.org/";

fn ada(db: &Database) -> Actor {
    db.write(|session| {
        session.batch("INSERT INTO account (id, name, role, created) VALUES (1, 'ada', 2, 0)")
    })
    .unwrap();
    Actor {
        account: Some(1),
        role: Role::Security,
        maintainer: None,
    }
}

fn decide(world: &World<'_>, actor: Actor, (package, advisory): (&str, &str), state: State) {
    let request = Request {
        finding: world.finding(package, advisory).id,
        revision: None,
        act: Act::Decide(state),
    };
    decide::act(world.db, actor, &[request], "looked at", world.now()).unwrap();
}

fn made(world: &World<'_>, now: Timestamp) -> String {
    let json = world
        .db
        .try_read(|session| triage::json(session, &site(), now))
        .unwrap();
    // What a scan reads is what was written.
    let read = Document::read(&json).unwrap();
    assert_eq!(read.to_json().unwrap(), json);
    let packed = world
        .db
        .try_read(|session| triage::packed(session, &site(), now))
        .unwrap();
    assert_eq!(zstd::decode_all(&packed[..]).unwrap(), json);
    let value: serde_json::Value = serde_json::from_slice(&json).unwrap();
    serde_json::to_string_pretty(&value).unwrap()
}

on_both_engines! {
    fn decisions_and_what_became_of_them_are_handed_on(db) {
        let mut world = World::new(db);
        world.evaluate("unstable", &[("one", "one", "2.0", ONE), ("two", "two", "0.9", TWO)]);
        world.evaluate("stable", &[("one", "one", "1.0", ONE), ("two", "two", "1.0", TWO)]);
        world.records("cve", r#"
            {"id":"CVE-2026-0001","aliases":["GHSA-2g68-c3qc-8985"],"affects":[{"products":["one:one"],"default":"unaffected","rules":["<1.5"]}]}
            {"id":"CVE-2026-0002","affects":[{"products":["two:two"],"default":"unaffected","rules":["<3"]}]}
            {"id":"CVE-2026-0003","affects":[{"products":["two:two"],"default":"unaffected","rules":["<3"]}]}
            {"id":"CVE-2026-0004","affects":[{"products":["two:two"],"default":"unaffected","rules":["<3"]}]}
        "#);
        world.settle();
        let actor = ada(db);
        let undecided = made(&world, world.now());
        assert!(undecided.contains(r#""decisions": []"#), "{undecided}");

        // An older one was gone before anybody decided, and says nothing.
        world.evaluate("unstable", &[("one", "one", "2.0", ONE), ("two", "two", "1.1", TWO)]);
        world.settle();
        world.day += 1;
        decide(&world, actor, ("one", "CVE-2026-0001"), State::Confirmed);
        let justification = Justification::VulnerableCodeNotPresent;
        decide(&world, actor, ("two", "CVE-2026-0002"), State::NotAffected { justification });
        decide(&world, actor, ("two", "CVE-2026-0003"), State::WontFix);
        let words = Words::new("One is affected", "").unwrap();
        publish(db, actor, "NIX", world.advisory("CVE-2026-0001"), &words, world.now()).unwrap();
        let before = world.now();
        // The fix arrives, and another version of what was cleared.
        world.evaluate("stable", &[("one", "one", "1.6", ONE), ("two", "two", "1.2", TWO)]);
        world.settle();
        let text = made(&world, world.now());
        insta::allow_duplicates! { insta::assert_snapshot!(text, @r#"
        {
          "channels": [
            {
              "evaluated": "2023-11-17T22:13:20Z",
              "name": "unstable",
              "revision": "unstable-3"
            },
            {
              "evaluated": "2023-11-19T22:13:20Z",
              "name": "stable",
              "revision": "stable-5"
            }
          ],
          "decisions": [
            {
              "advisory": "CVE-2026-0001",
              "aliases": [
                "GHSA-2g68-c3qc-8985"
              ],
              "by": "ada",
              "channels": [
                {
                  "fixed": {
                    "revision": "unstable-1",
                    "since": "2023-11-15T22:13:20Z"
                  },
                  "name": "unstable",
                  "status": "fixed",
                  "versions": [
                    "2.0"
                  ]
                },
                {
                  "fixed": {
                    "revision": "stable-5",
                    "since": "2023-11-19T22:13:20Z"
                  },
                  "name": "stable",
                  "status": "fixed",
                  "versions": [
                    "1.6"
                  ]
                }
              ],
              "decided": "2023-11-19T22:13:20Z",
              "fixed_in": "1.5",
              "issue": "NIX-2023-0001",
              "package": "one",
              "reason": "looked at",
              "state": "fixed",
              "url": "https://tracker.example.org/packages/one/CVE-2026-0001"
            },
            {
              "advisory": "CVE-2026-0002",
              "by": "ada",
              "channels": [
                {
                  "name": "unstable",
                  "status": "affected",
                  "versions": [
                    "1.1"
                  ]
                },
                {
                  "name": "stable",
                  "status": "affected",
                  "versions": [
                    "1.2"
                  ]
                }
              ],
              "decided": "2023-11-18T22:13:20Z",
              "fixed_in": "3",
              "justification": "vulnerable_code_not_present",
              "package": "two",
              "reason": "looked at",
              "state": "not_affected",
              "url": "https://tracker.example.org/packages/two/CVE-2026-0002",
              "versions": [
                "1.1",
                "1.2"
              ]
            },
            {
              "advisory": "CVE-2026-0003",
              "by": "ada",
              "channels": [
                {
                  "name": "unstable",
                  "status": "affected",
                  "versions": [
                    "1.1"
                  ]
                },
                {
                  "name": "stable",
                  "status": "affected",
                  "versions": [
                    "1.2"
                  ]
                }
              ],
              "decided": "2023-11-18T22:13:20Z",
              "fixed_in": "3",
              "package": "two",
              "reason": "looked at",
              "state": "wont_fix",
              "url": "https://tracker.example.org/packages/two/CVE-2026-0003"
            }
          ],
          "generated": "2023-11-19T22:13:20Z",
          "schema": "snowguard-triage/1",
          "tracker": {
            "name": "Example security team",
            "url": "https://tracker.example.org"
          }
        }
        "#); }
        // Within an hour, and in another one.
        let minutes = |minutes| world.now() + jiff::SignedDuration::from_mins(minutes);
        assert_eq!(made(&world, minutes(10)), text);
        assert_ne!(made(&world, minutes(70)), text);
        assert!(before < world.now());
    }
}
