//! What changed between what was known and what a scan saw, and why. Pure: no time, no storage.
//!
//! A new scan differs from the last for three reasons: the system changed, the advisories changed, or
//! somebody's decisions did. They are told apart as far as the two scans allow; where they do not, the
//! cause is unknown, and said to be.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::observation::{Found, Observation, Package, Subject};

/// Makes an enum of words that are stored and shown.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$doc])* #[serde(rename = $word)] $variant,)*
        }

        impl $name {
            /// The word for it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// By its word.
            pub fn parse(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

words! {
    /// How bad, from the least. What nobody has rated is on its own.
    #[derive(Default)]
    Severity {
        /// No source gives a severity.
        #[default]
        Unrated = "unrated",
        /// Low, or none.
        Low = "low",
        /// Medium.
        Medium = "medium",
        /// High.
        High = "high",
        /// Critical.
        Critical = "critical",
    }
}

impl Severity {
    /// From the word of a report.
    pub fn from_word(word: &str) -> Self {
        match word {
            "none" => Self::Low,
            word => Self::parse(word).unwrap_or_default(),
        }
    }
}

words! {
    /// Where a finding stands.
    State {
        /// Affected, and nobody has decided otherwise.
        Affected = "affected",
        /// Nobody can decide.
        Review = "needs_review",
        /// With a decision of a person.
        Suppressed = "suppressed",
        /// Affected but for a patch.
        Patched = "patched",
        /// Not seen by the last scan.
        Gone = "gone",
    }
}

impl State {
    /// Whether somebody has to do something.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Affected | Self::Review)
    }

    /// Which of two versions of a package decides.
    pub fn is_worse_than(self, other: Self) -> bool {
        self < other
    }
}

words! {
    /// What happened.
    Kind {
        /// The first scan of a target: what is there, in numbers.
        Baseline = "baseline",
        /// Affected, for the first time.
        Opened = "opened",
        /// Affected again, after it was gone, patched, suppressed or to review.
        Reopened = "reopened",
        /// To review, which it was not.
        ToReview = "needs_review",
        /// Now known to be exploited.
        Exploited = "exploited",
        /// The severity rose.
        Worse = "worse",
        /// No longer affected: the system has another version, a patch, or not the package.
        Fixed = "fixed",
        /// No longer affected: the advisories no longer say so.
        Withdrawn = "withdrawn",
        /// A person decided that it does not count.
        Suppressed = "suppressed",
        /// Scans fail, and did not before.
        ScanFailing = "scan_failing",
        /// Scans work again.
        ScanWorking = "scan_working",
    }
}

impl Kind {
    /// Whether it asks for something to be done.
    pub fn is_alarm(self) -> bool {
        matches!(
            self,
            Self::Opened | Self::Reopened | Self::ToReview | Self::Exploited | Self::Worse
        )
    }

    /// Whether nothing has to be done any more.
    pub fn is_end(self) -> bool {
        matches!(self, Self::Fixed | Self::Withdrawn | Self::Suppressed)
    }
}

words! {
    /// Why it happened.
    Cause {
        /// The system has other packages or versions.
        System = "system",
        /// The advisories say something else.
        Advisories = "advisories",
        /// Decisions or settings say something else.
        Decision = "decision",
        /// Both the system and the advisories changed, and this scan cannot tell which it was.
        Unknown = "unknown",
    }
}

/// A finding as it was known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Where it stands.
    pub state: State,
    /// Whether it was ever affected.
    pub was_affected: bool,
    /// Whether it was affected since it was last closed; else it was only ever to review.
    pub affected_since_closed: bool,
    /// Its versions when it was last seen.
    pub versions: BTreeSet<String>,
    /// How bad.
    pub severity: Severity,
    /// Known to be exploited.
    pub exploited: bool,
}

/// What differs around two scans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Around {
    /// The system is another.
    pub system: bool,
    /// The advisories or the program are others.
    pub knowledge: bool,
    /// What is not seen may be there: the advisories are fewer or older than they were, or
    /// files could not be read.
    pub blind: bool,
}

/// One change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// What happened.
    pub kind: Kind,
    /// Why.
    pub cause: Cause,
}

/// A finding, with what becomes of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Step<'o> {
    /// As which it was known: another id where advisories were joined.
    pub known_as: Option<Subject>,
    /// What it is about.
    pub subject: Subject,
    /// What the scan says; none where it says nothing.
    pub found: Option<&'o Found>,
    /// Where it stands now.
    pub state: State,
    /// What is told; most findings are as they were.
    pub changes: Vec<Change>,
}

/// Every finding that is known or found, in order, with what changed.
pub fn steps<'o>(
    known: &BTreeMap<Subject, Known>,
    seen: &'o Observation,
    around: Around,
) -> Vec<Step<'o>> {
    let before = versions_before(known);
    let mut steps = Vec::with_capacity(seen.findings.len());
    let mut met: BTreeSet<&Subject> = BTreeSet::new();
    let mut joined: BTreeSet<Subject> = BTreeSet::new();
    for (subject, found) in &seen.findings {
        let entry = find(known, subject, found, |name| {
            // Two findings that are both still there were not joined, and what was split is told
            // but for the part that keeps the history.
            !seen.findings.contains_key(name) && !met.contains(name)
        });
        met.extend(entry.map(|(name, _)| name));
        if found.state.is_open() {
            joined.extend(subject.others(&found.aliases));
        }
        let was = entry.map(|(_, was)| was);
        steps.push(Step {
            known_as: entry.map(|(name, _)| name.clone()),
            subject: subject.clone(),
            found: Some(found),
            state: found.state,
            changes: changes_of(was, found, || {
                cause_of_found(subject, found, was, &before, around)
            }),
        });
    }
    for (subject, was) in known {
        if met.contains(subject) || was.state == State::Gone {
            continue;
        }
        let cause = cause_of_gone(subject, was, seen, around);
        // Nothing is called fixed by a scan that knew less than the one before: whether the system
        // or what is not seen of it made the difference, it cannot tell.
        let blind = around.blind;
        let mut changes = Vec::new();
        // What is told under its other name is not gone. Two can be told beside each other though one has
        // the name of the other: where the system changed, this one was told and is gone.
        let is_joined = cause == Cause::Advisories && joined.contains(subject);
        if !blind && was.state.is_open() && !is_joined {
            let kind = match cause {
                Cause::Advisories => Kind::Withdrawn,
                _ => Kind::Fixed,
            };
            changes.push(Change { kind, cause });
        }
        steps.push(Step {
            known_as: Some(subject.clone()),
            subject: subject.clone(),
            found: None,
            state: if blind { was.state } else { State::Gone },
            changes,
        });
    }
    steps
}

/// The finding as it was known: by its id, else by one of the other names of the advisory that is free.
fn find<'k>(
    known: &'k BTreeMap<Subject, Known>,
    subject: &Subject,
    found: &Found,
    is_free: impl Fn(&Subject) -> bool,
) -> Option<(&'k Subject, &'k Known)> {
    known.get_key_value(subject).or_else(|| {
        let mut others = subject.others(&found.aliases);
        others.find_map(|other| known.get_key_value(&other).filter(|_| is_free(&other)))
    })
}

fn changes_of(was: Option<&Known>, found: &Found, cause: impl Fn() -> Cause) -> Vec<Change> {
    let Some(was) = was else {
        let kind = match found.state {
            State::Affected => Kind::Opened,
            State::Review => Kind::ToReview,
            _ => return Vec::new(),
        };
        return vec![Change {
            kind,
            cause: cause(),
        }];
    };
    let one = |kind, cause| vec![Change { kind, cause }];
    match (was.state, found.state) {
        (State::Affected, State::Affected) => {
            let mut changes = Vec::new();
            // What is told of a known finding is what its advisory now says.
            if found.exploited && !was.exploited {
                changes.push(Change {
                    kind: Kind::Exploited,
                    cause: Cause::Advisories,
                });
            }
            if found.severity > was.severity {
                changes.push(Change {
                    kind: Kind::Worse,
                    cause: Cause::Advisories,
                });
            }
            changes
        }
        (state, State::Affected) => {
            let decided = state == State::Suppressed;
            let kind = if was.was_affected {
                Kind::Reopened
            } else {
                Kind::Opened
            };
            one(kind, if decided { Cause::Decision } else { cause() })
        }
        (State::Review, State::Review) => Vec::new(),
        (_, State::Review) => one(Kind::ToReview, cause()),
        (state, State::Suppressed) if state.is_open() => one(Kind::Suppressed, Cause::Decision),
        (state, State::Patched) if state.is_open() => one(Kind::Fixed, cause()),
        _ => Vec::new(),
    }
}

fn cause_of_found(
    subject: &Subject,
    found: &Found,
    was: Option<&Known>,
    before: &BTreeMap<&Package, BTreeSet<&str>>,
    around: Around,
) -> Cause {
    cause(around, || {
        let versions: BTreeSet<&str> = match was.filter(|was| was.state != State::Gone) {
            Some(was) => was.versions.iter().map(String::as_str).collect(),
            None => before.get(&subject.package)?.clone(),
        };
        Some(
            found
                .versions
                .iter()
                .any(|version| versions.contains(version.as_str())),
        )
    })
}

fn cause_of_gone(subject: &Subject, was: &Known, seen: &Observation, around: Around) -> Cause {
    cause(around, || {
        let versions = seen.versions.get(&subject.package)?;
        Some(
            was.versions
                .iter()
                .any(|version| versions.contains(version)),
        )
    })
}

/// The cause, where `same_version` tells whether a version of the package is in both scans.
fn cause(around: Around, same_version: impl Fn() -> Option<bool>) -> Cause {
    match (around.system, around.knowledge) {
        (false, false) => Cause::Decision,
        (false, true) => Cause::Advisories,
        (true, false) => Cause::System,
        (true, true) => match same_version() {
            Some(true) => Cause::Advisories,
            Some(false) => Cause::System,
            None => Cause::Unknown,
        },
    }
}

/// The versions that the last scan saw of each package that had something to say.
fn versions_before(known: &BTreeMap<Subject, Known>) -> BTreeMap<&Package, BTreeSet<&str>> {
    let mut versions: BTreeMap<&Package, BTreeSet<&str>> = BTreeMap::new();
    for (subject, was) in known {
        if was.state != State::Gone {
            let of = versions.entry(&subject.package).or_default();
            of.extend(was.versions.iter().map(String::as_str));
        }
    }
    versions
}

#[cfg(test)]
mod tests;
