//! Numbers by which enumerations are stored. A number, once given, keeps its meaning.

use snowguard_matching::Status;
use snowguard_matching::suppress::Justification;

/// An enumeration that is stored as a small number.
pub trait Code: Copy + Sized + 'static {
    /// What it is, for errors: `state`.
    const WHAT: &'static str;

    /// All values, each with its number.
    const ALL: &'static [(Self, i64)];

    /// The number.
    fn to_code(self) -> i64;

    /// From a number.
    fn from_code(code: i64) -> Result<Self, UnknownCode> {
        Self::ALL
            .iter()
            .find(|(_, known)| *known == code)
            .map(|(value, _)| *value)
            .ok_or(UnknownCode {
                what: Self::WHAT,
                code,
            })
    }
}

/// A number that stands for nothing: a newer program wrote it, or something else did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code} is no {what}")]
pub struct UnknownCode {
    /// What was looked for.
    pub what: &'static str,
    /// The number.
    pub code: i64,
}

/// Gives an enumeration its numbers.
macro_rules! codes {
    ($type:ty, $what:literal, { $($value:path = $code:literal),+ $(,)? }) => {
        impl $crate::code::Code for $type {
            const WHAT: &'static str = $what;
            const ALL: &'static [(Self, i64)] = &[$(($value, $code)),+];

            fn to_code(self) -> i64 {
                match self {
                    $($value => $code),+
                }
            }
        }
    };
}
pub(crate) use codes;

codes!(Status, "match status", {
    Status::Affected = 0,
    Status::NeedsReview = 1,
    Status::Patched = 2,
    Status::Fixed = 3,
    Status::NotAffected = 4,
});

codes!(Justification, "justification", {
    Justification::ComponentNotPresent = 1,
    Justification::VulnerableCodeNotPresent = 2,
    Justification::VulnerableCodeNotInExecutePath = 3,
    Justification::VulnerableCodeCannotBeControlledByAdversary = 4,
    Justification::InlineMitigationsAlreadyExist = 5,
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Bucket, EventKind, Role, Says, StateKind, SuggestionKind, Verdict};

    fn round_trip<T: Code + PartialEq + std::fmt::Debug>() {
        for &(value, code) in T::ALL {
            assert_eq!(value.to_code(), code);
            assert_eq!(T::from_code(code), Ok(value));
        }
        assert!(T::from_code(99).is_err());
    }

    #[test]
    fn numbers_and_values_go_both_ways() {
        round_trip::<Status>();
        round_trip::<Justification>();
        round_trip::<StateKind>();
        round_trip::<Role>();
        round_trip::<EventKind>();
        round_trip::<Bucket>();
        round_trip::<SuggestionKind>();
        round_trip::<Verdict>();
        round_trip::<Says>();
    }

    #[test]
    fn an_unknown_number_is_named() {
        insta::assert_snapshot!(StateKind::from_code(42).unwrap_err(), @"42 is no state");
    }
}
