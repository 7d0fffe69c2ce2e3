//! Whether a signature counts: yes, no, or not to be decided.
//!
//! A signature that fits says that somebody who had the key made it. When that was, the statement itself
//! says, and whoever has a stolen key can write any time into it. So a key that was in others' hands leaves
//! its earlier signatures undecided, until somebody who is trusted says that a signature existed before;
//! the reasoning is that of proofs of existence in ETSI EN 319 102-1. A key that was put away in order
//! leaves them as they are. A key to which others may have handed on may be theirs, and nothing that it signed
//! is decided before somebody says that it is not.

use std::fmt;

use crate::key_id::KeyId;
use crate::keyring::{Entry, Revocation, RevocationReason};
use crate::time::Time;

/// Whether a signature counts. The order is that of trust.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// No.
    NotValid,
    /// It cannot be told from what is here.
    Undecided,
    /// Yes.
    Valid,
}

impl Verdict {
    /// The word by which it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotValid => "not valid",
            Self::Undecided => "cannot be decided",
            Self::Valid => "valid",
        }
    }
}

/// What is known about time by whoever verifies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// Now.
    pub now: Time,
    /// When the signature existed already, on the word of somebody else than who signed: a log, a time
    /// stamp, or the verifier's own records.
    pub existed_by: Option<Time>,
}

/// What is said of one signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// The key that made it, or, where the signature does not fit, the one that the envelope names; none if
    /// the keyring does not have it.
    pub key: Option<KeyId>,
    /// The name of that key.
    pub name: Option<String>,
    /// Whether it counts.
    pub verdict: Verdict,
    /// Why.
    pub reason: Reason,
}

/// Why a signature counts or does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The key was in force, as the statement says when it was made, and was never in others' hands.
    InForce,
    /// The key was put away in order, after the statement was made.
    PutAwayLater {
        /// When.
        at: Time,
    },
    /// The key was in others' hands later than the signature is known to have existed.
    ExistedBefore {
        /// When it existed.
        existed_by: Time,
        /// From when the key was in others' hands.
        at: Time,
    },
    /// The keyring does not have the key.
    UnknownKey {
        /// What the envelope calls it.
        named: Option<String>,
    },
    /// The key that the envelope names did not sign this.
    DoesNotFit,
    /// The statement says that it was made before the key was in force.
    TooEarly {
        /// When it says.
        made_at: Time,
        /// From when the key is.
        valid_from: Time,
    },
    /// The statement says that it was made when the key was no longer in force.
    TooLate {
        /// When it says.
        made_at: Time,
        /// Until when the key was.
        until: Time,
    },
    /// The key was in others' hands at some time after the statement says that it was made.
    InOthersHands {
        /// From when.
        at: Time,
        /// Since when the signature is known to have existed, if that is known.
        existed_by: Option<Time>,
    },
    /// It cannot be told whose the key is: others may have handed on to it.
    HandedOnByOthers {
        /// The key on the way to it that others may have had.
        by: String,
        /// From when.
        at: Time,
    },
    /// The statement says that it was made later than now.
    Future {
        /// When it says.
        made_at: Time,
    },
}

impl Entry {
    /// What to say of a signature by this key that fits.
    pub fn judge(&self, made_at: Time, times: &Times) -> Judgement {
        let (verdict, reason) = self.weigh(made_at, times);
        self.judgement(verdict, reason)
    }

    pub(crate) fn judgement(&self, verdict: Verdict, reason: Reason) -> Judgement {
        Judgement {
            key: Some(self.id()),
            name: Some(self.key().name().to_owned()),
            verdict,
            reason,
        }
    }

    fn weigh(&self, made_at: Time, times: &Times) -> (Verdict, Reason) {
        let valid_from = self.valid_from();
        if made_at < valid_from {
            let reason = Reason::TooEarly {
                made_at,
                valid_from,
            };
            return (Verdict::NotValid, reason);
        }
        let end = self.end();
        if let Some(until) = end.filter(|until| *until <= made_at) {
            return (Verdict::NotValid, Reason::TooLate { made_at, until });
        }
        if made_at > times.now {
            return (Verdict::Undecided, Reason::Future { made_at });
        }
        if let Some(doubt) = self.doubt() {
            let reason = Reason::HandedOnByOthers {
                by: doubt.key.clone(),
                at: doubt.at,
            };
            return (Verdict::Undecided, reason);
        }
        if let Some(at) = self.in_others_hands() {
            return match times.existed_by {
                Some(existed_by) if existed_by < at => {
                    (Verdict::Valid, Reason::ExistedBefore { existed_by, at })
                }
                existed_by => (Verdict::Undecided, Reason::InOthersHands { at, existed_by }),
            };
        }
        match end.filter(|end| *end <= times.now) {
            Some(at) => (Verdict::Valid, Reason::PutAwayLater { at }),
            None => (Verdict::Valid, Reason::InForce),
        }
    }

    /// From when the key does not sign any more, for whatever reason.
    pub fn end(&self) -> Option<Time> {
        let revoked = self.revocations().iter().map(|revocation| revocation.at);
        revoked.chain(self.valid_until()).min()
    }

    /// From when the key may have been in others' hands.
    pub fn in_others_hands(&self) -> Option<Time> {
        self.revocations()
            .iter()
            .filter(|revocation| revocation.reason == RevocationReason::Compromised)
            .map(|Revocation { at, .. }| *at)
            .min()
    }
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.verdict.as_str())?;
        match &self.name {
            Some(name) => write!(f, ": {name}: {}", self.reason),
            None => write!(f, ": {}", self.reason),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InForce => f.write_str("the key is in force"),
            Self::PutAwayLater { at } => {
                write!(
                    f,
                    "the key was in force then, until {at}, and never in others' hands"
                )
            }
            Self::ExistedBefore { existed_by, at } => write!(
                f,
                "it existed by {existed_by}, before the key was in others' hands ({at})"
            ),
            Self::UnknownKey { named: Some(named) } => {
                write!(
                    f,
                    "signed by a key that the keyring does not have ({named})"
                )
            }
            Self::UnknownKey { named: None } => {
                f.write_str("signed by a key that the keyring does not have")
            }
            Self::DoesNotFit => f.write_str("the signature does not fit the content and this key"),
            Self::TooEarly {
                made_at,
                valid_from,
            } => write!(
                f,
                "it says that it was made at {made_at}, and the key is in force from {valid_from}"
            ),
            Self::TooLate { made_at, until } => write!(
                f,
                "it says that it was made at {made_at}, and the key was in force until {until}"
            ),
            Self::InOthersHands { at, existed_by } => {
                write!(
                    f,
                    "the key may have been in others' hands from {at}, and who has it can write any time"
                )?;
                match existed_by {
                    Some(existed_by) => write!(f, "; it is known from {existed_by} on only"),
                    None => f.write_str("; when it existed for certain is not known"),
                }
            }
            Self::HandedOnByOthers { by, at } => write!(
                f,
                "others may have handed on to the key: {by} may have been in their hands from {at}"
            ),
            Self::Future { made_at } => {
                write!(
                    f,
                    "it says that it was made at {made_at}, which is later than now"
                )
            }
        }
    }
}
