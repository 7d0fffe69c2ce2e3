use proptest::prelude::*;
use snowguard_matching::suppress::Justification;

use super::*;
use crate::evidence::Build;

const NOT_AFFECTED: State = State::NotAffected {
    justification: Justification::VulnerableCodeNotPresent,
};

fn said(record: &str, by: &str, range: &str, says: Says) -> Said {
    Said {
        record: record.into(),
        source: "cve".into(),
        by: Some(by.into()),
        upstream: false,
        product: "x:x".into(),
        target: "x:x".into(),
        identity: "it is the package's name".into(),
        identity_sure: true,
        range: range.into(),
        order: "release".into(),
        says,
    }
}

fn found(status: Status, said: Vec<Said>) -> Evidence {
    Evidence {
        builds: vec![Build {
            version: "1.2".into(),
            attributes: vec!["x".into()],
            channels: vec![1],
            status,
            reason: String::new(),
            fixed_in: None,
            last_affected: None,
            said,
            patches: Vec::new(),
        }],
        marked: Vec::new(),
    }
}

/// What the worker does when `before` was decided on and `after` is found, in words.
fn told(state: State, before: &Evidence, after: &Evidence) -> String {
    let (decided, now) = (Basis::of(before, false), Basis::of(after, false));
    match follow(state, &decided, &now, after, true) {
        None => "stays".into(),
        Some(Follow::Close) => "closes".into(),
        Some(Follow::ComeBack) => "comes back".into(),
        Some(Follow::Reopen(against)) => against.to_string(),
    }
}

#[test]
fn what_repeats_or_rewords_does_not_reopen() {
    let one = said("CVE-1", "x", "affected before 2.0", Says::Affected);
    let before = found(Status::Affected, vec![one.clone()]);
    // A second database says the same, in its own range.
    let nvd = said("CVE-1", "nvd", "affected before 2.0.0", Says::Affected);
    let more = found(Status::Affected, vec![one.clone(), nvd]);
    assert_eq!(told(NOT_AFFECTED, &before, &more), "stays");
    // The matcher gives another reason for the same identity, and the feed has another name.
    let mut reworded = one.clone();
    reworded.identity = "its home page is https://x.org".into();
    reworded.source = "mirror".into();
    reworded.product = "x:x for linux".into();
    let reworded = found(Status::Affected, vec![reworded]);
    assert_eq!(told(NOT_AFFECTED, &before, &reworded), "stays");
    // The package was updated, and is still in the same range.
    let mut newer = before.clone();
    newer.builds[0].version = "1.9".into();
    assert_eq!(told(NOT_AFFECTED, &before, &newer), "stays");
    // A patch came in.
    assert_eq!(
        told(NOT_AFFECTED, &before, &found(Status::Patched, vec![one])),
        "stays"
    );
}

#[test]
fn a_changed_range_reopens_what_it_must() {
    let before = found(
        Status::Affected,
        vec![said("CVE-1", "x", "affected before 2.0", Says::Affected)],
    );
    let after = found(
        Status::Affected,
        vec![said("CVE-1", "x", "affected 1.1 to 1.5", Says::Affected)],
    );
    insta::assert_snapshot!(told(NOT_AFFECTED, &before, &after), @"x changed which versions CVE-1 is about: affected 1.1 to 1.5");
    // A range that does not reach the package any more speaks for the decision.
    let outside = found(
        Status::NotAffected,
        vec![said(
            "CVE-1",
            "x",
            "affected only from 3.0 on",
            Says::NotAffected,
        )],
    );
    assert_eq!(told(NOT_AFFECTED, &before, &outside), "stays");
}

#[test]
fn a_worse_verdict_and_the_makers_word_reopen() {
    let doubt = found(
        Status::NeedsReview,
        vec![said(
            "CVE-1",
            "x",
            "versions are told in prose",
            Says::Unknown,
        )],
    );
    let sure = found(
        Status::Affected,
        vec![said("CVE-1", "x", "affected before 2.0", Says::Affected)],
    );
    insta::assert_snapshot!(told(NOT_AFFECTED, &doubt, &sure), @"matching found “needs review” when this was decided, and now finds “affected”");
    let mut maker = said("GHSA-1", "x-project", "affected before 2.0", Says::Affected);
    maker.upstream = true;
    let mut both = sure.clone();
    both.builds[0].said.push(maker);
    insta::assert_snapshot!(told(NOT_AFFECTED, &sure, &both), @"x-project, who makes it, now says in GHSA-1: affected before 2.0");
}

#[test]
fn what_is_confirmed_closes_and_comes_back() {
    let affected = found(
        Status::Affected,
        vec![said("CVE-1", "x", "affected before 2.0", Says::Affected)],
    );
    let fixed = found(Status::Fixed, Vec::new());
    let gone = Evidence::default();
    assert_eq!(told(State::Confirmed, &affected, &affected), "stays");
    assert_eq!(told(State::Confirmed, &affected, &fixed), "closes");
    assert_eq!(told(State::Fixed, &affected, &fixed), "stays");
    assert_eq!(told(State::Fixed, &affected, &affected), "comes back");
    insta::assert_snapshot!(told(State::Confirmed, &affected, &gone), @"no record says any more that it is affected");
    // The package left all channels.
    let decided = Basis::of(&affected, false);
    assert_eq!(
        follow(State::Confirmed, &decided, &Basis::default(), &gone, false),
        Some(Follow::Close)
    );
}

#[test]
fn exploitation_reopens_what_was_put_up_with() {
    let affected = found(
        Status::Affected,
        vec![said("CVE-1", "x", "affected before 2.0", Says::Affected)],
    );
    let (decided, now) = (Basis::of(&affected, false), Basis::of(&affected, true));
    let reopened = follow(State::WontFix, &decided, &now, &affected, true);
    assert_eq!(reopened, Some(Follow::Reopen(Against::Exploited)));
    assert_eq!(follow(State::WontFix, &now, &now, &affected, true), None);
    assert_eq!(follow(NOT_AFFECTED, &decided, &now, &affected, true), None);
}

proptest! {
    #[test]
    fn what_is_stored_is_read_again(said in proptest::collection::vec(("[a-c]", "[a-c]", "[a-c]", 0_i64..3), 0..80), exploited: bool) {
        let said: Vec<Said> = said.into_iter()
            .map(|(record, by, range, says)| tests::said(&record, &by, &range, Says::from_code(says).unwrap()))
            .collect();
        let basis = Basis::of(&found(Status::Affected, said.clone()), exploited);
        prop_assert_eq!(Basis::from_bytes(&basis.to_bytes()), Some(basis.clone()));
        let text = String::from(basis.clone());
        prop_assert_eq!(Basis::try_from(text), Ok(basis.clone()));
        // The order in which records come is of no consequence.
        let turned: Vec<Said> = said.into_iter().rev().collect();
        prop_assert_eq!(Basis::of(&found(Status::Affected, turned), exploited), basis);
    }

    #[test]
    fn no_bytes_are_read_as_others(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        if let Some(basis) = Basis::from_bytes(&bytes) {
            prop_assert_eq!(basis.to_bytes(), bytes);
        }
    }

    /// What is said on and on never reopens a decision.
    #[test]
    fn nothing_new_reopens_nothing(ranges in proptest::collection::vec("[a-c]", 1..4)) {
        let said = ranges.iter().map(|range| said("CVE-1", "x", range, Says::Affected)).collect();
        let evidence = found(Status::Affected, said);
        prop_assert_eq!(told(NOT_AFFECTED, &evidence, &evidence), "stays");
        prop_assert_eq!(told(State::WontFix, &evidence, &evidence), "stays");
        prop_assert_eq!(told(State::Confirmed, &evidence, &evidence), "stays");
    }
}
