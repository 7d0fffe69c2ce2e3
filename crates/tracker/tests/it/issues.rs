//! Publishing: who may, what is written, and what is not where somebody else was quicker.

use jiff::Timestamp;
use snowguard_db::Database;
use snowguard_db::issues::Issues as _;
use snowguard_testkit::on_both_engines;
use snowguard_tracker::decide::{self, ActError, Actor, Request};
use snowguard_tracker::publish::act::{Words, edit, publish, withdraw};
use snowguard_tracker::publish::gather;
use snowguard_triage::{Act, Refused, Right, Role, State};

use crate::world::{TEAM, World};

fn world(db: &Database) -> World<'_> {
    let mut world = World::new(db);
    world.evaluate("stable", &[("one", "one", "1.0", "https://one.org/")]);
    world.records("cve", r#"
        {"id":"CVE-2024-0001","affects":[{"products":["one:one"],"default":"unaffected","rules":["<1.5"]}]}
        {"id":"CVE-2024-0002","affects":[{"products":["one:one"],"default":"affected"}]}
    "#);
    world.settle();
    world
}

fn confirm(world: &World<'_>, advisory: &str, state: State) {
    let finding = world.finding("one", advisory);
    let request = Request {
        finding: finding.id,
        revision: Some(finding.revision),
        act: Act::Decide(state),
    };
    decide::act(world.db, TEAM, &[request], "", world.now()).unwrap();
}

fn words(title: &str) -> Words {
    Words::new(title, "").unwrap()
}

on_both_engines! {
    fn what_is_confirmed_is_published_once(db) {
        let world = world(db);
        let (first, second) = (world.advisory("CVE-2024-0001"), world.advisory("CVE-2024-0002"));
        let ask = |actor, advisory| publish(db, actor, "NIX", advisory, &words("a title"), world.now());
        assert!(matches!(ask(TEAM, first), Err(ActError::NothingConfirmed)));
        assert!(matches!(ask(TEAM, 999), Err(ActError::Missing { what: "advisory", .. })));
        confirm(&world, "CVE-2024-0001", State::Confirmed);
        let maintainer = Actor { role: Role::Maintainer, ..TEAM };
        assert!(matches!(ask(maintainer, first), Err(ActError::Refused(Refused::Forbidden(Right::Publish)))));
        let done = ask(TEAM, first).unwrap();
        assert_eq!(done.issue.public.to_string(), "NIX-2023-0001");
        assert!(matches!(ask(TEAM, first), Err(ActError::Refused(Refused::Already))));
        // What was refused took no number.
        confirm(&world, "CVE-2024-0002", State::Confirmed);
        assert_eq!(ask(TEAM, second).unwrap().issue.public.to_string(), "NIX-2023-0002");
        let log = world.log();
        assert!(log.ends_with("published: NIX-2023-0001: a title\ndecided: \npublished: NIX-2023-0002: a title"), "{log}");
        let of_issue = db.read(|session| {
            let rows = session.query("SELECT count(*) FROM event WHERE issue = $1", &[done.issue.id.into()])?;
            rows.first().unwrap().get::<i64>(0)
        });
        assert_eq!(of_issue.unwrap(), 1);
    }

    fn who_edits_names_what_was_looked_at(db) {
        let world = world(db);
        confirm(&world, "CVE-2024-0001", State::Confirmed);
        let issue = publish(db, TEAM, "NIX", world.advisory("CVE-2024-0001"), &words("first"), world.now()).unwrap().issue;
        let at = Timestamp::from_second(1_800_000_000).unwrap();
        let seen = (&issue.public, issue.revision);
        assert!(matches!(edit(db, TEAM, seen, &words("first"), at), Err(ActError::Refused(Refused::Already))));
        let edited = edit(db, TEAM, seen, &words("second"), at).unwrap().issue;
        assert_eq!((edited.title.as_str(), edited.modified), ("second", at));
        assert!(matches!(edit(db, TEAM, seen, &words("third"), at), Err(ActError::IssueChanged { .. })));
        assert!(matches!(withdraw(db, TEAM, seen, "wrong", at), Err(ActError::IssueChanged { .. })));
        let seen = (&issue.public, edited.revision);
        assert!(matches!(withdraw(db, TEAM, seen, " ", at), Err(ActError::NoReason)));
        let gone = withdraw(db, TEAM, seen, "it was another package", at).unwrap().issue;
        assert_eq!(gone.withdrawn_reason.as_deref(), Some("it was another package"));
        assert!(matches!(edit(db, TEAM, (&issue.public, gone.revision), &words("x"), at), Err(ActError::Withdrawn { .. })));
        assert!(matches!(withdraw(db, TEAM, (&issue.public, gone.revision), "x", at), Err(ActError::Withdrawn { .. })));
        // It can be published again, under another id.
        let again = publish(db, TEAM, "NIX", issue.advisory, &words("again"), at).unwrap().issue;
        assert_ne!(again.public, issue.public);
        assert_eq!(db.read(|session| session.issue(&issue.public)).unwrap().unwrap().title, "second");
    }

    /// Of what is past it, no record says which version did it: it is remembered from before.
    fn what_is_fixed_everywhere_says_in_which_version(db) {
        let mut world = world(db);
        confirm(&world, "CVE-2024-0001", State::Confirmed);
        world.evaluate("stable", &[("one", "one", "2.0", "https://one.org/")]);
        world.settle();
        let finding = world.finding("one", "CVE-2024-0001");
        assert_eq!(finding.decided.state, State::Fixed);
        let verdicts = db.read(|session| gather::verdicts(session, &[finding.advisory], world.now())).unwrap();
        assert!(verdicts[0].is_fixed());
        assert_eq!(verdicts[0].packages[0].fixed_in.as_deref(), Some("1.5"));
        assert_eq!(world.settle().changed, 0, "and it stays so");
    }

    fn what_is_proposed_says_what_to_do(db) {
        let world = world(db);
        confirm(&world, "CVE-2024-0001", State::Confirmed);
        let advisory = world.advisory("CVE-2024-0001");
        let verdicts = db.read(|session| gather::verdicts(session, &[advisory], world.now())).unwrap();
        let words = Words::proposed(&verdicts[0]);
        insta::allow_duplicates! {
            insta::assert_snapshot!(words.title(), @"one: CVE-2024-0001");
            insta::assert_snapshot!(words.text().unwrap(), @"Update `one` to `1.5` or later; it is open in stable.");
        }
        assert_eq!(db.read(|session| session.decided_advisories(0, 9)).unwrap(), [advisory]);
        assert_eq!(db.read(|session| session.decided_advisories(advisory, 9)).unwrap(), [0_i64; 0]);
        assert!(db.read(|session| session.issues_of_advisories(&[advisory])).unwrap().is_empty());
    }
}
