//! Matching again: only differences are written, and decisions stay unless something speaks against
//! them.

use std::sync::atomic::AtomicBool;

use snowguard_db::Database;
use snowguard_db::findings::unpack_evidence;
use snowguard_matching::suppress::Justification;
use snowguard_testkit::on_both_engines;
use snowguard_tracker::decide::{Request, act, follow_channel, remember};
use snowguard_tracker::rematch::{RematchError, Rematched, Scope};
use snowguard_triage::{Act, MemoryRule, State, Verdict};

use crate::world::{TEAM, World};

const OPENSSL: &str = "https://www.openssl.org/";
const RECORD: &str = r#"{"id":"CVE-2024-0001","summary":"a title","severities":[{"word":"high"}],"affects":[{"products":["openssl:openssl"],"by":"nvd","default":"unaffected","rules":["<2.0"]}]}"#;

const NOT_AFFECTED: State = State::NotAffected {
    justification: Justification::VulnerableCodeNotPresent,
};

fn world(db: &Database) -> World<'_> {
    let mut world = World::new(db);
    world.evaluate("stable", &[("openssl", "openssl", "1.1", OPENSSL)]);
    world.evaluate("unstable", &[("openssl", "openssl", "1.2", OPENSSL)]);
    world.records("cve", RECORD);
    world.settle();
    world
}

fn decide(world: &World<'_>, state: State) {
    let finding = world.finding("openssl", "CVE-2024-0001");
    let request = Request {
        finding: finding.id,
        revision: Some(finding.revision),
        act: Act::Decide(state),
    };
    act(world.db, TEAM, &[request], "seen it", world.now()).unwrap();
}

on_both_engines! {
    fn findings_are_told_channel_by_channel(db) {
        let world = world(db);
        insta::allow_duplicates! {
            insta::assert_snapshot!(world.told(), @"
            openssl CVE-2024-0001: affected, untriaged
              1 1.1 affected since 1
              2 1.2 affected since 2
            ");
            insta::assert_snapshot!(world.queue(), @"queue CVE-2024-0001: 1");
        }
        let evidence = world.finding("openssl", "CVE-2024-0001").computed.evidence;
        let evidence = unpack_evidence(&evidence).unwrap();
        let said: Vec<&str> = evidence.said().map(|said| said.range.as_str()).collect();
        assert_eq!(said, ["affected before 2.0", "affected before 2.0"]);
        assert_eq!(world.log(), "");
    }

    fn what_did_not_change_is_not_written(db) {
        let world = world(db);
        let before = world.finding("openssl", "CVE-2024-0001");
        let again = world.rematch(Scope::All { state: "other" });
        assert_eq!(again, Rematched { packages: 1, ..Rematched::default() });
        assert_eq!(world.finding("openssl", "CVE-2024-0001"), before);
    }

    fn the_fix_is_seen_channel_by_channel(db) {
        let mut world = world(db);
        decide(&world, State::Confirmed);
        world.evaluate("unstable", &[("openssl", "openssl", "2.0", OPENSSL)]);
        world.rematch(Scope::Packages(&[world.package("openssl")]));
        insta::allow_duplicates! {
            insta::assert_snapshot!(world.told(), @"
            openssl CVE-2024-0001: affected, confirmed
              1 1.1 affected since 1
              2 2.0 fixed since 3, fixed since 3
            ");
        }
        world.evaluate("stable", &[("openssl", "openssl", "2.1", OPENSSL)]);
        world.settle();
        assert_eq!(world.decided("openssl", "CVE-2024-0001").state, State::Fixed);
        // Somebody reverts it.
        world.evaluate("stable", &[("openssl", "openssl", "1.1", OPENSSL)]);
        world.settle();
        assert_eq!(world.decided("openssl", "CVE-2024-0001").state, State::Confirmed);
        world.evaluate("stable", &[("bolt", "bolt", "1", "https://x.org/")]);
        world.evaluate("unstable", &[("bolt", "bolt", "1", "https://x.org/")]);
        world.settle();
        insta::allow_duplicates! {
            insta::assert_snapshot!(world.told(), @"openssl CVE-2024-0001: not_affected, fixed, gone");
            insta::assert_snapshot!(world.log(), @"
            decided: seen it
            closed: every channel that has the package is fixed or patched
            came_back: a channel is affected again
            closed: no channel has the package any more
            ");
            insta::assert_snapshot!(world.queue(), @"");
        }
    }

    fn what_never_was_affected_is_not_called_fixed(db) {
        let mut world = World::new(db);
        world.evaluate("stable", &[("openssl", "openssl", "0.9", OPENSSL)]);
        world.evaluate("unstable", &[("openssl", "openssl", "1.2", OPENSSL)]);
        world.records("cve", &RECORD.replace("<2.0", ">=1.0 <2.0"));
        world.settle();
        insta::allow_duplicates! {
            insta::assert_snapshot!(world.told(), @"
            openssl CVE-2024-0001: affected, untriaged
              1 0.9 not_affected since 1
              2 1.2 affected since 2
            ");
        }
        // It is affected, and then is gone back from: that is a fix. What was said wrongly of the same version is none.
        world.evaluate("stable", &[("openssl", "openssl", "1.2", OPENSSL)]);
        world.settle();
        world.evaluate("stable", &[("openssl", "openssl", "0.9", OPENSSL)]);
        world.records("cve", &RECORD.replace("<2.0", ">=1.3 <2.0"));
        world.settle();
        insta::allow_duplicates! {
            insta::assert_snapshot!(world.told(), @"
            openssl CVE-2024-0001: not_affected, untriaged
              1 0.9 not_affected since 4, fixed since 4
              2 1.2 not_affected since 2
            ");
        }
    }

    /// New versions of an algorithm hid what was untriaged, and lost what was decided.
    fn a_decision_survives_what_leaves_the_verdict_as_it_was(db) {
        let mut world = world(db);
        decide(&world, NOT_AFFECTED);
        world.records("cve", &RECORD.replace("a title", "another").replace("high", "critical"));
        world.records("nvd", &RECORD.replace("a title", "again"));
        world.evaluate("stable", &[("openssl", "openssl", "1.1.1", OPENSSL)]);
        world.settle();
        assert_eq!(world.decided("openssl", "CVE-2024-0001").state, NOT_AFFECTED);
    }

    fn a_changed_range_reopens_the_decision_that_it_speaks_against(db) {
        let mut world = world(db);
        decide(&world, NOT_AFFECTED);
        world.records("cve", &RECORD.replace("<2.0", ">=1.0 <1.5"));
        world.take();
        let id = world.advisory("CVE-2024-0001");
        let done = world.rematch(Scope::Advisories(&[(id, "CVE-2024-0001".into())]));
        assert_eq!((done.packages, done.reopened), (1, 1));
        assert_eq!(world.decided("openssl", "CVE-2024-0001").state, State::NeedsReview);
        insta::allow_duplicates! {
            insta::assert_snapshot!(world.log(), @"
            decided: seen it
            reopened: nvd changed which versions CVE-2024-0001 is about: affected from 1.0 before 1.5; it was not affected
            ");
            insta::assert_snapshot!(world.queue(), @"review CVE-2024-0001: 1");
        }
    }

    fn a_new_advisory_finds_its_packages(db) {
        let mut world = world(db);
        world.evaluate("stable", &[("openssl", "openssl", "1.1", OPENSSL), ("bolt", "bolt", "1.0", "https://bolt.org/")]);
        let new = RECORD.replace("0001", "0002").replace("openssl:openssl", "bolt:bolt");
        world.records("osv", &new);
        world.take();
        let id = world.advisory("CVE-2024-0002");
        let done = world.rematch(Scope::Advisories(&[(id, "CVE-2024-0002".into())]));
        assert_eq!((done.packages, done.new), (1, 1));
    }

    fn a_rule_is_previewed_made_and_taken_back(db) {
        let world = world(db);
        let package = world.package("openssl");
        let rule = |product: &str| MemoryRule::new("openssl", product, Verdict::Deny, None, None, "another", jiff::civil::date(2026, 11, 21)).unwrap();
        let changes = |rule: &MemoryRule| {
            let preview = world.with_rematcher(|rematcher| rematcher.preview(package, rule).unwrap());
            (preview.changes.len(), preview.same)
        };
        assert_eq!(changes(&rule("openssl:openssl")), (1, 0));
        assert_eq!(changes(&rule("other:openssl")), (0, 1));
        let made = remember(db, TEAM, &rule("openssl:openssl"), world.now()).unwrap();
        world.rematch(Scope::Packages(&[made.package.unwrap()]));
        insta::allow_duplicates! {
            insta::assert_snapshot!(world.told(), @"openssl CVE-2024-0001: not_affected, untriaged, gone");
        }
        snowguard_tracker::decide::forget(db, TEAM, made.rule, "it is the same", world.now()).unwrap();
        world.rematch(Scope::Packages(&[package]));
        insta::allow_duplicates! {
            insta::assert_snapshot!(world.told(), @"
            openssl CVE-2024-0001: affected, untriaged
              1 1.1 affected since 1
              2 1.2 affected since 2
            ");
            insta::assert_snapshot!(world.log(), @"
            memory_added: openssl is not openssl:openssl: another
            memory_revoked: openssl and openssl:openssl: it is the same
            ");
        }
    }

    fn a_channel_that_is_left_out_does_not_count(db) {
        let world = world(db);
        follow_channel(db, TEAM, "unstable", false, "end of life", world.now()).unwrap();
        world.rematch(Scope::All { state: "without" });
        insta::allow_duplicates! {
            insta::assert_snapshot!(world.told(), @"
            openssl CVE-2024-0001: affected, untriaged
              1 1.1 affected since 1
            ");
            insta::assert_snapshot!(world.log(), @"channel_dropped: unstable is left out. end of life");
        }
    }

    fn what_was_interrupted_goes_on_with_the_same_and_begins_anew_with_another(db) {
        let world = world(db);
        world.with_rematcher(|rematcher| {
            let stopped = AtomicBool::new(true);
            let rematcher = snowguard_tracker::rematch::Rematcher { interrupted: &stopped, ..*rematcher };
            let outcome = rematcher.run(Scope::All { state: "same" }, &mut |_| {});
            assert!(matches!(outcome, Err(RematchError::Interrupted)));
        });
        let last = world.package("openssl");
        let stop = || {
            db.write(|session| {
                use snowguard_db::meta::Meta as _;
                session.set_meta("rematch", &format!("{last} same"))
            })
            .unwrap();
        };
        stop();
        assert_eq!(world.rematch(Scope::All { state: "same" }).packages, 0);
        assert_eq!(world.rematch(Scope::All { state: "same" }).packages, 1);
        stop();
        assert_eq!(world.rematch(Scope::All { state: "another" }).packages, 1);
    }
}
