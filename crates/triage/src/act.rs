//! Acts on findings: what they change, who may do them, and how they are undone.
//!
//! Every act that succeeds is one event with the state before and after it and the reason that was
//! given. Nothing is ever taken out of the log; an undo is an event too.

use serde::{Deserialize, Serialize};

use crate::basis::Basis;
use crate::code::codes;
use crate::role::{Right, Standing};
use crate::state::{State, StateKind};

/// What people decided about a finding, as a whole: what an event has before and after it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    /// The state.
    #[serde(flatten)]
    pub state: State,
    /// Who sees to it, by number of the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assignee: Option<i64>,
    /// What was said about the finding when the state was decided; none while it is undecided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basis: Option<Basis>,
}

/// What a person does to one finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Decides the state.
    Decide(State),
    /// Gives it to somebody, or to nobody.
    Assign(Option<i64>),
    /// Says something.
    Comment,
}

/// What an event tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventKind {
    /// A person decided the state.
    Decided,
    /// A person assigned it.
    Assigned,
    /// A person commented.
    Commented,
    /// A person undid an event.
    Undone,
    /// Something speaks against a decision, so that it has to be reviewed.
    Reopened,
    /// Confirmed, and now in no channel.
    Closed,
    /// Closed, and there again.
    CameBack,
    /// Two advisories turned out to be one, and a decision moved to the one that stays.
    Joined,
    /// A channel is left out of account.
    ChannelDropped,
    /// A rule about a package and a product was made.
    MemoryAdded,
    /// A rule was taken back.
    MemoryRevoked,
    /// A finding got its public id.
    Published,
    /// A decided finding has another match status, which does not speak against the decision.
    StatusChanged,
    /// What is published got other words.
    IssueEdited,
    /// What was published was taken back.
    IssueWithdrawn,
}

codes!(EventKind, "event", {
    EventKind::Decided = 1,
    EventKind::Assigned = 2,
    EventKind::Commented = 3,
    EventKind::Undone = 4,
    EventKind::Reopened = 5,
    EventKind::Closed = 6,
    EventKind::CameBack = 7,
    EventKind::Joined = 8,
    EventKind::ChannelDropped = 9,
    EventKind::MemoryAdded = 10,
    EventKind::MemoryRevoked = 11,
    EventKind::Published = 12,
    EventKind::StatusChanged = 13,
    EventKind::IssueEdited = 14,
    EventKind::IssueWithdrawn = 15,
});

impl EventKind {
    /// The word of interfaces.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Decided => "decided",
            Self::Assigned => "assigned",
            Self::Commented => "commented",
            Self::Undone => "undone",
            Self::Reopened => "reopened",
            Self::Closed => "closed",
            Self::CameBack => "came_back",
            Self::Joined => "joined",
            Self::ChannelDropped => "channel_dropped",
            Self::MemoryAdded => "memory_added",
            Self::MemoryRevoked => "memory_revoked",
            Self::Published => "published",
            Self::StatusChanged => "status_changed",
            Self::IssueEdited => "issue_edited",
            Self::IssueWithdrawn => "issue_withdrawn",
        }
    }

    /// Whether it changed what was decided, so that it can be undone.
    pub fn can_be_undone(self) -> bool {
        matches!(self, Self::Decided | Self::Assigned | Self::Undone)
    }
}

/// What one act does: the event, but for who and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What kind of event.
    pub kind: EventKind,
    /// What was decided before.
    pub before: Decided,
    /// What is decided now.
    pub after: Decided,
    /// Why, in the words of who did it.
    pub reason: String,
}

/// Why an act is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// One may not.
    #[error("{}", Standing::needed(*.0))]
    Forbidden(Right),
    /// It is so already.
    #[error("it is so already")]
    Already,
    /// The act needs a reason.
    #[error("{} needs a reason", .0.label())]
    NoReason(StateKind),
    /// The reason, or the comment, is longer than it may be.
    #[error("a reason has at most {limit} characters", limit = MAX_REASON)]
    TooLong,
    /// A comment without words.
    #[error("the comment is empty")]
    Empty,
    /// Only the worker says that something is fixed.
    #[error(
        "what is fixed is found out by matching: confirm it, or give the reason why it is not affected"
    )]
    OnlyComputed,
    /// A finding is no duplicate of its own advisory.
    #[error("it is the same advisory")]
    OfItself,
    /// What is to be undone is not what holds now.
    #[error("something else was decided since")]
    Superseded,
    /// The event changed nothing that could be restored.
    #[error("this cannot be undone")]
    Final,
}

/// The longest reason, in characters.
pub const MAX_REASON: usize = 4_000;

/// What somebody gives as a reason, without space around it; refused if it is too long.
pub fn reason(text: &str) -> Result<&str, Refused> {
    let text = text.trim();
    if text.chars().count() > MAX_REASON {
        return Err(Refused::TooLong);
    }
    Ok(text)
}

/// Does an act of a person to a finding of `advisory`. `now` is what is said about the finding now:
/// what the person saw.
pub fn decide(
    present: &Decided,
    advisory: i64,
    act: &Act,
    standing: Standing,
    reason: &str,
    now: &Basis,
) -> Result<Step, Refused> {
    if !standing.may(Right::Triage) {
        return Err(Refused::Forbidden(Right::Triage));
    }
    let reason = self::reason(reason)?;
    let mut after = present.clone();
    let kind = match *act {
        Act::Decide(state) => {
            allowed(present.state, advisory, state, reason)?;
            after.state = state;
            after.basis = (!state.is_undecided()).then(|| now.clone());
            EventKind::Decided
        }
        Act::Assign(assignee) if assignee == present.assignee => return Err(Refused::Already),
        Act::Assign(assignee) => {
            after.assignee = assignee;
            EventKind::Assigned
        }
        Act::Comment if reason.is_empty() => return Err(Refused::Empty),
        Act::Comment => EventKind::Commented,
    };
    Ok(Step {
        kind,
        before: present.clone(),
        after,
        reason: reason.to_owned(),
    })
}

fn allowed(present: State, advisory: i64, state: State, reason: &str) -> Result<(), Refused> {
    match state {
        State::Fixed => return Err(Refused::OnlyComputed),
        State::Duplicate { of } if of == advisory => return Err(Refused::OfItself),
        // What is put aside must be explained to who comes after.
        State::NotAffected { .. } | State::WontFix if reason.is_empty() => {
            return Err(Refused::NoReason(state.kind()));
        }
        _ => {}
    }
    if present == state {
        return Err(Refused::Already);
    }
    Ok(())
}

/// Undoes an event of `kind` that led from `before` to `after`, if what holds is still `after`.
///
/// `own` tells whether who undoes it also did it.
pub fn undo(
    present: &Decided,
    kind: EventKind,
    before: &Decided,
    after: &Decided,
    own: bool,
    standing: Standing,
    reason: &str,
) -> Result<Step, Refused> {
    let right = if own {
        Right::Triage
    } else {
        Right::UndoOthers
    };
    if !standing.may(right) {
        return Err(Refused::Forbidden(right));
    }
    if !kind.can_be_undone() || before == after {
        return Err(Refused::Final);
    }
    if present != after {
        return Err(Refused::Superseded);
    }
    let reason = self::reason(reason)?;
    Ok(Step {
        kind: EventKind::Undone,
        before: after.clone(),
        after: before.clone(),
        reason: reason.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::role::Role;
    use proptest::prelude::*;
    use snowguard_matching::suppress::Justification;

    const TEAM: Standing = Standing {
        role: Role::Security,
        maintains: false,
    };

    fn states() -> impl Strategy<Value = State> {
        prop_oneof![
            Just(State::Untriaged),
            Just(State::NeedsReview),
            Just(State::Confirmed),
            proptest::sample::select(Justification::ALL.to_vec())
                .prop_map(|justification| State::NotAffected { justification }),
            (0_i64..4).prop_map(|of| State::Duplicate { of }),
            Just(State::WontFix),
            Just(State::Fixed),
        ]
    }

    fn acts() -> impl Strategy<Value = Act> {
        prop_oneof![
            4 => states().prop_map(Act::Decide),
            1 => proptest::option::of(0_i64..3).prop_map(Act::Assign),
            1 => Just(Act::Comment),
        ]
    }

    proptest! {
        /// The log alone gives the present state, and has each reason that was given.
        #[test]
        fn no_transition_loses_a_reason(acts in proptest::collection::vec((acts(), "[a-z ]{0,6}"), 0..20)) {
            let now = Basis::default();
            let mut present = Decided::default();
            let mut log: Vec<Step> = Vec::new();
            for (act, reason) in &acts {
                let Ok(step) = decide(&present, 1, act, TEAM, reason, &now) else { continue };
                prop_assert_eq!(&step.before, &present);
                prop_assert_eq!(&step.reason, reason.trim());
                present = step.after.clone();
                log.push(step);
            }
            let replayed = log.iter().fold(Decided::default(), |held, step| {
                assert_eq!(held, step.before);
                step.after.clone()
            });
            prop_assert_eq!(&replayed, &present);
            for step in &log {
                if matches!(step.after.state, State::NotAffected { .. } | State::WontFix)
                    && step.before.state != step.after.state
                {
                    prop_assert!(!step.reason.is_empty());
                }
                prop_assert!(step.after.state != State::Fixed);
                prop_assert_eq!(step.after.basis.is_some(), !step.after.state.is_undecided());
            }
        }

        /// Undoing all events, the last first, leads back to the beginning; undoing an undo redoes.
        #[test]
        fn undo_is_the_exact_inverse(acts in proptest::collection::vec((acts(), "[a-z]{1,6}"), 0..20)) {
            let now = Basis::default();
            let mut present = Decided::default();
            let mut log = Vec::new();
            for (act, reason) in &acts {
                if let Ok(step) = decide(&present, 1, act, TEAM, reason, &now) {
                    present = step.after.clone();
                    log.push(step);
                }
            }
            for step in log.iter().rev().filter(|step| step.kind.can_be_undone()) {
                let back = undo(&present, step.kind, &step.before, &step.after, true, TEAM, "").unwrap();
                prop_assert_eq!(&back.after, &step.before);
                let again = undo(&back.after, back.kind, &back.before, &back.after, true, TEAM, "").unwrap();
                prop_assert_eq!(&again.after, &step.after);
                present = back.after;
            }
            prop_assert_eq!(present, Decided::default());
        }

        #[test]
        fn a_decision_is_read_as_it_is_written(state in states(), assignee in proptest::option::of(0_i64..9), decided: bool) {
            let decided = Decided { state, assignee, basis: decided.then(Basis::default) };
            let json = serde_json::to_string(&decided).unwrap();
            prop_assert_eq!(serde_json::from_str::<Decided>(&json).unwrap(), decided);
        }
    }

    #[test]
    fn what_others_decided_since_is_not_undone() {
        let now = Basis::default();
        let first = decide(
            &Decided::default(),
            1,
            &Act::Decide(State::Confirmed),
            TEAM,
            "",
            &now,
        )
        .unwrap();
        let second = decide(
            &first.after,
            1,
            &Act::Decide(State::WontFix),
            TEAM,
            "end of life",
            &now,
        )
        .unwrap();
        let undone = undo(
            &second.after,
            first.kind,
            &first.before,
            &first.after,
            true,
            TEAM,
            "",
        );
        assert_eq!(undone, Err(Refused::Superseded));
    }

    #[test]
    fn refusals_say_what_is_missing() {
        let now = Basis::default();
        let told = |act: Act, standing, reason: &str| {
            decide(&Decided::default(), 1, &act, standing, reason, &now)
                .unwrap_err()
                .to_string()
        };
        let reader = Standing::new(Role::Reader, false);
        insta::assert_snapshot!(told(Act::Decide(State::WontFix), TEAM, " "), @"won't fix needs a reason");
        insta::assert_snapshot!(told(Act::Decide(State::Confirmed), reader, ""), @"maintainers of the package and the security team may do this");
        insta::assert_snapshot!(told(Act::Decide(State::Duplicate { of: 1 }), TEAM, ""), @"it is the same advisory");
        insta::assert_snapshot!(told(Act::Decide(State::Fixed), TEAM, ""), @"what is fixed is found out by matching: confirm it, or give the reason why it is not affected");
        insta::assert_snapshot!(told(Act::Comment, TEAM, "\n"), @"the comment is empty");
    }
}
