//! What people decided about a finding.

use serde::{Deserialize, Serialize};
use snowguard_matching::suppress::Justification;

use crate::code::codes;

/// The state of a finding. What is computed, such as "affected" or "fixed in this channel", is no
/// state: it changes by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// Nobody has looked.
    #[default]
    Untriaged,
    /// Somebody has to look: asked for by a person, or something now speaks against a decision.
    NeedsReview,
    /// The package is affected.
    Confirmed,
    /// It is not, for this reason.
    NotAffected {
        /// One of VEX's.
        #[serde(with = "justification")]
        justification: Justification,
    },
    /// What is to be said stands at another advisory.
    Duplicate {
        /// The number of that advisory in the database.
        of: i64,
    },
    /// It is affected, and stays so.
    WontFix,
    /// It was confirmed, and no channel has it any more. Only the worker says so.
    Fixed,
}

impl State {
    /// Which state, without what belongs to it.
    pub fn kind(self) -> StateKind {
        match self {
            Self::Untriaged => StateKind::Untriaged,
            Self::NeedsReview => StateKind::NeedsReview,
            Self::Confirmed => StateKind::Confirmed,
            Self::NotAffected { .. } => StateKind::NotAffected,
            Self::Duplicate { .. } => StateKind::Duplicate,
            Self::WontFix => StateKind::WontFix,
            Self::Fixed => StateKind::Fixed,
        }
    }

    /// From the columns of a row; none if they do not fit together.
    pub fn from_parts(
        kind: StateKind,
        justification: Option<Justification>,
        duplicate_of: Option<i64>,
    ) -> Option<Self> {
        Some(match kind {
            StateKind::Untriaged => Self::Untriaged,
            StateKind::NeedsReview => Self::NeedsReview,
            StateKind::Confirmed => Self::Confirmed,
            StateKind::NotAffected => Self::NotAffected {
                justification: justification?,
            },
            StateKind::Duplicate => Self::Duplicate { of: duplicate_of? },
            StateKind::WontFix => Self::WontFix,
            StateKind::Fixed => Self::Fixed,
        })
    }

    /// The justification, if it has one.
    pub fn justification(self) -> Option<Justification> {
        match self {
            Self::NotAffected { justification } => Some(justification),
            _ => None,
        }
    }

    /// The advisory of which it is a duplicate.
    pub fn duplicate_of(self) -> Option<i64> {
        match self {
            Self::Duplicate { of } => Some(of),
            _ => None,
        }
    }

    /// Whether a person has still to decide.
    pub fn is_undecided(self) -> bool {
        matches!(self, Self::Untriaged | Self::NeedsReview)
    }

    /// Whether something is still to be done: decided or mended.
    pub fn is_open(self) -> bool {
        self.is_undecided() || self == Self::Confirmed
    }
}

/// A state without what belongs to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StateKind {
    /// [`State::Untriaged`]
    Untriaged,
    /// [`State::NeedsReview`]
    NeedsReview,
    /// [`State::Confirmed`]
    Confirmed,
    /// [`State::NotAffected`]
    NotAffected,
    /// [`State::Duplicate`]
    Duplicate,
    /// [`State::WontFix`]
    WontFix,
    /// [`State::Fixed`]
    Fixed,
}

codes!(StateKind, "state", {
    StateKind::Untriaged = 0,
    StateKind::NeedsReview = 1,
    StateKind::Confirmed = 2,
    StateKind::NotAffected = 3,
    StateKind::Duplicate = 4,
    StateKind::WontFix = 5,
    StateKind::Fixed = 6,
});

impl StateKind {
    /// The word of interfaces: `not_affected`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Untriaged => "untriaged",
            Self::NeedsReview => "needs_review",
            Self::Confirmed => "confirmed",
            Self::NotAffected => "not_affected",
            Self::Duplicate => "duplicate",
            Self::WontFix => "wont_fix",
            Self::Fixed => "fixed",
        }
    }

    /// From the word of interfaces.
    pub fn from_word(word: &str) -> Option<Self> {
        use crate::code::Code as _;
        Self::ALL
            .iter()
            .map(|(kind, _)| *kind)
            .find(|kind| kind.as_str() == word)
    }

    /// As a reader sees it: `not affected`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Untriaged => "untriaged",
            Self::NeedsReview => "needs review",
            Self::Confirmed => "confirmed",
            Self::NotAffected => "not affected",
            Self::Duplicate => "duplicate",
            Self::WontFix => "won't fix",
            Self::Fixed => "fixed",
        }
    }
}

/// VEX's words, as the specification spells them.
mod justification {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};
    use snowguard_matching::suppress::Justification;

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde passes what it serialises by reference"
    )]
    pub(super) fn serialize<S: Serializer>(
        value: &Justification,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(value.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Justification, D::Error> {
        let word = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Justification::from_word(&word).ok_or_else(|| D::Error::custom("no justification of VEX"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_read_as_it_is_written() {
        let states = [
            State::Untriaged,
            State::NotAffected {
                justification: Justification::VulnerableCodeNotPresent,
            },
            State::Duplicate { of: 7 },
        ];
        let json = serde_json::to_string(&states).unwrap();
        insta::assert_snapshot!(json, @r#"[{"state":"untriaged"},{"state":"not_affected","justification":"vulnerable_code_not_present"},{"state":"duplicate","of":7}]"#);
        assert_eq!(serde_json::from_str::<[State; 3]>(&json).unwrap(), states);
        for state in states {
            let parts = (state.kind(), state.justification(), state.duplicate_of());
            assert_eq!(State::from_parts(parts.0, parts.1, parts.2), Some(state));
        }
    }

    #[test]
    fn columns_that_do_not_fit_together_are_no_state() {
        assert_eq!(State::from_parts(StateKind::NotAffected, None, None), None);
        assert_eq!(State::from_parts(StateKind::Duplicate, None, None), None);
    }
}
