//! Decisions: who may, what is written, and what is not where somebody else was quicker.

use snowguard_db::Database;
use snowguard_db::evaluations::{Evaluations as _, MaintainerKind};
use snowguard_db::findings::{event, events_of_batch, events_of_finding};
use snowguard_matching::suppress::Justification;
use snowguard_testkit::on_both_engines;
use snowguard_tracker::decide::{ActError, Acted, Actor, Request, act, settle, undo};
use snowguard_triage::{Act, Decided, EventKind, Refused, Role, State};

use crate::world::{TEAM, World};

const NOT_AFFECTED: State = State::NotAffected {
    justification: Justification::ComponentNotPresent,
};

/// Three packages that an advisory may concern, and a second advisory for one of them.
fn world(db: &Database) -> World<'_> {
    let mut world = World::new(db);
    world.evaluate(
        "stable",
        &[
            ("one", "one", "1.0", "https://one.org/"),
            ("two", "two", "1.0", "https://two.org/"),
            ("three", "three", "1.0", "https://three.org/"),
        ],
    );
    world.records("cve", r#"
        {"id":"CVE-2024-0001","affects":[{"products":["one:one"],"default":"affected"},{"products":["two:two"],"default":"affected"},{"products":["three:three"],"default":"affected"}]}
        {"id":"CVE-2024-0002","affects":[{"products":["one:one"],"default":"affected"}]}
    "#);
    world.settle();
    world
}

fn request(world: &World<'_>, package: &str, act: Act) -> Request {
    let finding = world.finding(package, "CVE-2024-0001");
    Request {
        finding: finding.id,
        revision: Some(finding.revision),
        act,
    }
}

fn decided(world: &World<'_>, package: &str, state: State) -> Result<Acted, ActError> {
    let request = request(world, package, Act::Decide(state));
    act(world.db, TEAM, &[request], "for a reason", world.now())
}

fn states(world: &World<'_>) -> [State; 3] {
    ["one", "two", "three"].map(|package| world.decided(package, "CVE-2024-0001").state)
}

on_both_engines! {
    fn a_decision_is_a_state_an_event_and_a_place_in_the_queue(db) {
        let world = world(db);
        insta::allow_duplicates! {
            insta::assert_snapshot!(world.queue(), @"
            review CVE-2024-0001: 3
            review CVE-2024-0002: 1
            review one: 2
            ");
        }
        let done = decided(&world, "one", State::Confirmed).unwrap();
        let event = db.read(|session| event(session, done.event.unwrap())).unwrap().unwrap();
        assert_eq!((event.event.kind, event.batch), (EventKind::Decided, None));
        let (before, after) = event.event.change.unwrap();
        assert_eq!(before, Decided::default());
        assert_eq!(after, world.decided("one", "CVE-2024-0001"));
        assert!(after.basis.is_some());
        insta::allow_duplicates! {
            insta::assert_snapshot!(world.queue(), @"
            review CVE-2024-0001: 3
            review CVE-2024-0002: 1
            review one: 2
            ");
        }
    }

    fn who_looked_at_something_else_decides_nothing(db) {
        let world = world(db);
        let late = request(&world, "one", Act::Decide(NOT_AFFECTED));
        decided(&world, "one", State::Confirmed).unwrap();
        let outcome = act(db, TEAM, &[late], "too late", world.now());
        assert!(matches!(outcome, Err(ActError::Changed { .. })), "{outcome:?}");
        assert_eq!(states(&world)[0], State::Confirmed);
    }

    fn what_is_refused_changes_nothing_of_all(db) {
        let world = world(db);
        let requests = [
            request(&world, "one", Act::Decide(State::Confirmed)),
            request(&world, "two", Act::Decide(NOT_AFFECTED)),
        ];
        let outcome = act(db, TEAM, &requests, "", world.now());
        assert!(matches!(outcome, Err(ActError::Refused(Refused::NoReason(_)))), "{outcome:?}");
        assert_eq!(states(&world), [State::Untriaged; 3]);
        assert_eq!(world.log(), "");
    }

    /// Dozens of clicks to dismiss all and pick one.
    fn all_are_dismissed_and_one_is_picked_at_once_and_undone_at_once(db) {
        let world = world(db);
        let picked = world.finding("two", "CVE-2024-0001").id;
        let advisory = world.advisory("CVE-2024-0001");
        let done = settle(db, TEAM, advisory, &[picked], NOT_AFFECTED, "only two has it", world.now()).unwrap();
        assert_eq!(done.findings.len(), 3);
        assert_eq!(states(&world), [NOT_AFFECTED, State::Confirmed, NOT_AFFECTED]);
        let batch = db.read(|session| events_of_batch(session, done.event.unwrap())).unwrap();
        assert_eq!(batch.len(), 3);
        // Whichever event of the batch is named, all of it is undone; and that as well.
        let undone = undo(db, TEAM, batch[1].id, "too fast", world.now()).unwrap();
        assert_eq!(states(&world), [State::Untriaged; 3]);
        undo(db, TEAM, undone.event.unwrap(), "", world.now()).unwrap();
        assert_eq!(states(&world), [NOT_AFFECTED, State::Confirmed, NOT_AFFECTED]);
        insta::allow_duplicates! {
            insta::assert_snapshot!(world.log(), @"
            decided: only two has it
            decided: only two has it
            decided: only two has it
            undone: too fast
            undone: too fast
            undone: too fast
            undone: 
            undone: 
            undone:
            ");
        }
    }

    fn what_was_decided_since_is_not_undone(db) {
        let world = world(db);
        let first = decided(&world, "one", State::Confirmed).unwrap();
        decided(&world, "one", State::WontFix).unwrap();
        let outcome = undo(db, TEAM, first.event.unwrap(), "", world.now());
        assert!(matches!(outcome, Err(ActError::Refused(Refused::Superseded))), "{outcome:?}");
    }

    fn maintainers_act_on_their_packages(db) {
        let world = world(db);
        let maintainer = db
            .read(|session| session.maintainer(MaintainerKind::Person, "Someone"))
            .unwrap()
            .unwrap();
        let own = Actor { account: None, role: Role::Maintainer, maintainer: Some(maintainer.id) };
        let other = Actor { maintainer: Some(maintainer.id + 99), ..own };
        let request = || [request(&world, "one", Act::Decide(State::Confirmed))];
        let outcome = act(db, other, &request(), "", world.now());
        assert!(matches!(outcome, Err(ActError::Refused(Refused::Forbidden(_)))), "{outcome:?}");
        act(db, own, &request(), "", world.now()).unwrap();
        assert_eq!(states(&world)[0], State::Confirmed);
    }

    fn comments_are_kept_and_change_nothing(db) {
        let world = world(db);
        let finding = world.finding("one", "CVE-2024-0001");
        let comment = Request { finding: finding.id, revision: None, act: Act::Comment };
        act(db, TEAM, &[comment], "<b>\u{202e}", world.now()).unwrap();
        assert_eq!(world.finding("one", "CVE-2024-0001"), finding);
        let events = db.read(|session| events_of_finding(session, finding.id, i64::MAX, 9)).unwrap();
        assert_eq!(events[0].event.reason, "<b>\u{202e}");
        assert_eq!(events[0].event.change, None);
    }

    fn decisions_at_the_same_time_see_each_other(db) {
        let world = world(db);
        let requests = ["one", "two", "three"].map(|package| request(&world, package, Act::Decide(State::WontFix)));
        let now = world.now();
        std::thread::scope(|scope| {
            for request in requests {
                scope.spawn(move || act(db, TEAM, &[request], "end of life", now).unwrap());
            }
        });
        assert_eq!(states(&world), [State::WontFix; 3]);
        insta::allow_duplicates! {
            insta::assert_snapshot!(world.queue(), @"review CVE-2024-0002: 1");
        }
    }

    /// Nobody writes over what somebody else has just decided.
    fn of_two_who_looked_at_the_same_one_decides(db) {
        let world = world(db);
        let late = request(&world, "one", Act::Decide(State::Confirmed));
        let now = world.now();
        let decided: Vec<bool> = std::thread::scope(|scope| {
            let late = &late;
            let threads: Vec<_> = (0..4)
                .map(|_| scope.spawn(move || act(db, TEAM, std::slice::from_ref(late), "", now).is_ok()))
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(decided.iter().filter(|won| **won).count(), 1);
    }

    fn a_duplicate_is_one_of_something(db) {
        let world = world(db);
        let outcome = decided(&world, "one", State::Duplicate { of: 999 });
        assert!(matches!(outcome, Err(ActError::Missing { what: "advisory", .. })), "{outcome:?}");
        let of = world.advisory("CVE-2024-0002");
        decided(&world, "one", State::Duplicate { of }).unwrap();
        assert_eq!(states(&world)[0], State::Duplicate { of });
    }

    /// No statement reads a table whole that grows with what is tracked.
    fn no_statement_reads_a_table_whole(db) {
        let world = world(db);
        let (observed, seen) = db.observed();
        let one = Request { ..request(&world, "one", Act::Decide(State::Confirmed)) };
        let done = act(&observed, TEAM, &[one], "", world.now()).unwrap();
        undo(&observed, TEAM, done.event.unwrap(), "", world.now()).unwrap();
        let advisory = world.advisory("CVE-2024-0001");
        settle(&observed, TEAM, advisory, &[], NOT_AFFECTED, "none has it", world.now()).unwrap();
        // A place in a list of a few thousand rules is read in full by design; so are channels.
        for statement in seen.take() {
            let scans = db.scans(&statement).unwrap();
            assert!(scans.is_empty(), "{} scans {scans:?}", statement.sql);
        }
    }
}
