//! What a decision stands on, and what of a change speaks against it.
//!
//! A decision must not be asked for again because a title was mended, a score was added or a third
//! database repeats what two others said. It must be asked for again when somebody now says what the
//! decision denies. So a decision keeps a digest of each thing that was said, and not one of all of it.

use std::fmt;

use serde::{Deserialize, Serialize};
use snowguard_matching::Status;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::code::Code as _;
use crate::evidence::{Evidence, Said, Says};
use crate::state::State;

/// What was said about a finding, in digests.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Basis {
    status: Status,
    exploited: bool,
    said: Vec<Word>,
}

/// One record's word: who says it about which product, what, and by which range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Word {
    says: Says,
    upstream: bool,
    who: u64,
    range: u32,
}

/// The most words that are kept: the weightiest, upstream's first.
const MAX_WORDS: usize = 64;
/// The first byte of the stored form.
const VERSION: u8 = 1;
/// The size of a stored word.
const WORD: usize = 13;

impl Default for Basis {
    /// Nothing is said.
    fn default() -> Self {
        Self {
            status: Status::NotAffected,
            exploited: false,
            said: Vec::new(),
        }
    }
}

impl Basis {
    /// Of what was found.
    pub fn of(evidence: &Evidence, exploited: bool) -> Self {
        let mut said: Vec<Word> = evidence.said().map(Word::of).collect();
        said.sort_unstable_by_key(|word| (!word.upstream, *word));
        said.dedup();
        said.truncate(MAX_WORDS);
        Self {
            status: evidence.status(),
            exploited,
            said,
        }
    }

    /// The worst match status of all channels.
    pub fn status(&self) -> Status {
        self.status
    }

    /// As bytes, to be stored. Equal bases give equal bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(3 + self.said.len() * WORD);
        bytes.push(VERSION);
        bytes.push(u8::try_from(self.status.to_code()).unwrap_or(u8::MAX));
        bytes.push(u8::from(self.exploited));
        for word in &self.said {
            let says = u8::try_from(word.says.to_code()).unwrap_or(u8::MAX);
            bytes.push(says | u8::from(word.upstream) << 4);
            bytes.extend(word.who.to_le_bytes());
            bytes.extend(word.range.to_le_bytes());
        }
        bytes
    }

    /// From bytes; none if they are of no basis.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let [VERSION, status, exploited @ (0 | 1), words @ ..] = bytes else {
            return None;
        };
        if words.len() % WORD != 0 || words.len() / WORD > MAX_WORDS {
            return None;
        }
        let said = words
            .chunks_exact(WORD)
            .map(|word| {
                let (flags, rest) = word.split_first()?;
                let (who, range) = rest.split_first_chunk::<8>()?;
                if flags & 0xe0 != 0 {
                    return None;
                }
                Some(Word {
                    says: Says::from_code(i64::from(flags & 0xf)).ok()?,
                    upstream: flags >> 4 == 1,
                    who: u64::from_le_bytes(*who),
                    range: u32::from_le_bytes(range.try_into().ok()?),
                })
            })
            .collect::<Option<Vec<_>>>()?;
        Some(Self {
            status: Status::from_code(i64::from(*status)).ok()?,
            exploited: *exploited == 1,
            said,
        })
    }

    fn affirms(&self, who: u64) -> impl Iterator<Item = &Word> {
        self.said
            .iter()
            .filter(move |word| word.who == who && word.says == Says::Affected)
    }
}

impl From<Basis> for String {
    fn from(basis: Basis) -> Self {
        use std::fmt::Write as _;
        basis.to_bytes().iter().fold(Self::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

/// A text that is no basis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not what a decision stands on")]
pub struct InvalidBasis;

impl TryFrom<String> for Basis {
    type Error = InvalidBasis;

    fn try_from(text: String) -> Result<Self, InvalidBasis> {
        if !text.len().is_multiple_of(2) || !text.is_ascii() {
            return Err(InvalidBasis);
        }
        let bytes = (0..text.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&text[at..at + 2], 16))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| InvalidBasis)?;
        Self::from_bytes(&bytes).ok_or(InvalidBasis)
    }
}

impl Word {
    fn of(said: &Said) -> Self {
        let mut who = Xxh3::new();
        for part in [
            said.record.as_str(),
            said.by.as_deref().unwrap_or_default(),
            &said.target,
        ] {
            who.update(part.as_bytes());
            who.update(&[0]);
        }
        // 32 bits tell one range of a record from another.
        #[expect(clippy::cast_possible_truncation, reason = "the lower half is wanted")]
        let range = xxh3_64(said.range.as_bytes()) as u32;
        Self {
            says: said.says,
            upstream: said.upstream,
            who: who.digest(),
            range,
        }
    }
}

/// What speaks against a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Against {
    /// What matching finds is worse.
    Worse {
        /// What it was.
        was: Status,
        /// What it is.
        is: Status,
    },
    /// Those who make the thing now say that it is affected.
    Upstream {
        /// In which record.
        record: String,
        /// Who says so.
        by: String,
        /// Which versions.
        range: String,
    },
    /// A record that was known names other versions, and this one is among them.
    Range {
        /// Which record.
        record: String,
        /// Who says so.
        by: Option<String>,
        /// Which versions now.
        range: String,
    },
    /// It is known to be exploited, which it was not.
    Exploited,
    /// It was confirmed, and nothing that is said reaches the package any more.
    NoLonger {
        /// What is found now.
        is: Status,
    },
}

impl fmt::Display for Against {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Worse { was, is } => {
                write!(
                    f,
                    "matching found “{}” when this was decided, and now finds “{}”",
                    word(*was),
                    word(*is)
                )
            }
            Self::Upstream { record, by, range } => {
                write!(f, "{by}, who makes it, now says in {record}: {range}")
            }
            Self::Range { record, by, range } => match by {
                Some(by) => write!(f, "{by} changed which versions {record} is about: {range}"),
                None => write!(f, "{record} changed which versions it is about: {range}"),
            },
            Self::Exploited => f.write_str("it is now known to be exploited"),
            Self::NoLonger {
                is: Status::NotAffected,
            } => f.write_str("no record says any more that it is affected"),
            Self::NoLonger { is } => write!(f, "matching now finds “{}”", word(*is)),
        }
    }
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Affected => "affected",
        Status::NeedsReview => "needs review",
        Status::Patched => "patched",
        Status::Fixed => "fixed",
        Status::NotAffected => "not affected",
    }
}

/// What the worker does to a decided finding after a re-match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Follow {
    /// It has to be reviewed.
    Reopen(Against),
    /// It was confirmed, and is in no channel any more.
    Close,
    /// It was closed, and is there again.
    ComeBack,
}

/// What the worker does to a finding in `state`, which was decided on `decided`, when `now` is said.
///
/// `is_present` tells whether any followed channel still has the package.
pub fn follow(
    state: State,
    decided: &Basis,
    now: &Basis,
    evidence: &Evidence,
    is_present: bool,
) -> Option<Follow> {
    match state {
        State::Untriaged | State::NeedsReview | State::Duplicate { .. } => None,
        State::Confirmed if !is_present => Some(Follow::Close),
        State::Confirmed => match now.status {
            Status::Fixed | Status::Patched => Some(Follow::Close),
            Status::NotAffected => Some(Follow::Reopen(Against::NoLonger { is: now.status })),
            Status::Affected | Status::NeedsReview => None,
        },
        State::Fixed if !is_present => None,
        State::Fixed => match now.status {
            Status::Affected => Some(Follow::ComeBack),
            Status::NeedsReview => Some(Follow::Reopen(Against::Worse {
                was: Status::Fixed,
                is: now.status,
            })),
            Status::Fixed | Status::Patched | Status::NotAffected => None,
        },
        State::WontFix => {
            (now.exploited && !decided.exploited).then_some(Follow::Reopen(Against::Exploited))
        }
        State::NotAffected { .. } => denied(decided, now, evidence).map(Follow::Reopen),
    }
}

/// What speaks against "not affected".
///
/// Not a record that repeats what others said, nor another wording of anything but the range, nor a
/// score: only a worse verdict, the word of those who make the thing, and another range of a record
/// that was known and still, or now, reaches the package.
fn denied(decided: &Basis, now: &Basis, evidence: &Evidence) -> Option<Against> {
    if now.status < decided.status && now.status <= Status::NeedsReview {
        return Some(Against::Worse {
            was: decided.status,
            is: now.status,
        });
    }
    // Where so much was said that not all of it was kept, what is new cannot be told from what is old.
    if decided.said.len() >= MAX_WORDS {
        return None;
    }
    let affirming = || {
        evidence
            .said()
            .filter(|said| said.says == Says::Affected && said.identity_sure)
            .map(|said| (said, Word::of(said)))
    };
    let upstream = affirming()
        .find(|(said, word)| said.upstream && decided.affirms(word.who).next().is_none());
    if let Some((said, _)) = upstream {
        return Some(Against::Upstream {
            record: said.record.clone(),
            by: said.by.clone().unwrap_or_else(|| said.source.clone()),
            range: said.range.clone(),
        });
    }
    let range = affirming().find(|(_, word)| {
        let mut known = decided
            .said
            .iter()
            .filter(|old| old.who == word.who)
            .peekable();
        known.peek().is_some()
            && !known.any(|old| old.says == Says::Affected && old.range == word.range)
    });
    range.map(|(said, _)| Against::Range {
        record: said.record.clone(),
        by: said.by.clone(),
        range: said.range.clone(),
    })
}

#[cfg(test)]
mod tests;
