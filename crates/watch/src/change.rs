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
        /// Affected again.
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
    /// Whether it was ever open.
    pub was_open: bool,
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
    for (subject, found) in &seen.findings {
        let entry = find(known, subject, found, seen);
        met.extend(entry.map(|(name, _)| name));
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
        if !blind && was.state.is_open() {
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

/// The finding as it was known: by its id, else by one of the other names of the advisory.
fn find<'k>(
    known: &'k BTreeMap<Subject, Known>,
    subject: &Subject,
    found: &Found,
    seen: &Observation,
) -> Option<(&'k Subject, &'k Known)> {
    known.get_key_value(subject).or_else(|| {
        found.aliases.iter().find_map(|alias| {
            let other = Subject {
                advisory: alias.clone(),
                package: subject.package.clone(),
            };
            // Two findings that are both still there were not joined.
            let joined = !seen.findings.contains_key(&other);
            known.get_key_value(&other).filter(|_| joined)
        })
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
        (State::Review, State::Affected) => one(Kind::Opened, cause()),
        (_, State::Affected) if was.was_open => {
            let decided = was.state == State::Suppressed;
            one(
                Kind::Reopened,
                if decided { Cause::Decision } else { cause() },
            )
        }
        (_, State::Affected) => one(Kind::Opened, cause()),
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
mod tests {
    use super::*;
    use crate::observation::Knowledge;

    const NEW_SYSTEM: Around = Around {
        system: true,
        knowledge: false,
        blind: false,
    };
    const NEW_ADVISORIES: Around = Around {
        system: false,
        knowledge: true,
        blind: false,
    };
    const BOTH: Around = Around {
        system: true,
        knowledge: true,
        blind: false,
    };
    const NOTHING: Around = Around {
        system: false,
        knowledge: false,
        blind: false,
    };

    fn subject(advisory: &str) -> Subject {
        Subject {
            advisory: advisory.into(),
            package: Package {
                name: "openssl".into(),
                language: String::new(),
            },
        }
    }

    fn found(state: State, version: &str) -> Found {
        Found {
            state,
            aliases: Vec::new(),
            versions: [version.to_owned()].into(),
            severity: Severity::High,
            score: None,
            exploited: false,
            fixed_in: None,
            update_to: None,
            title: None,
            url: String::new(),
            reason: String::new(),
        }
    }

    fn seen(findings: &[(&str, Found)]) -> Observation {
        let findings: BTreeMap<Subject, Found> = findings
            .iter()
            .map(|(advisory, found)| (subject(advisory), found.clone()))
            .collect();
        let versions = findings.values().flat_map(|f| f.versions.clone()).collect();
        Observation {
            title: String::new(),
            components: 1,
            knowledge: Knowledge::default(),
            gaps: Vec::new(),
            versions: BTreeMap::from([(subject("").package, versions)]),
            findings,
        }
    }

    fn known(advisory: &str, state: State, version: &str) -> BTreeMap<Subject, Known> {
        BTreeMap::from([(
            subject(advisory),
            Known {
                state,
                was_open: state.is_open(),
                versions: [version.to_owned()].into(),
                severity: Severity::High,
                exploited: false,
            },
        )])
    }

    fn told(known: &BTreeMap<Subject, Known>, seen: &Observation, around: Around) -> Vec<String> {
        steps(known, seen, around)
            .iter()
            .flat_map(|step| step.changes.iter().map(move |change| (step, change)))
            .map(|(step, change)| {
                let (kind, cause) = (change.kind.as_str(), change.cause.as_str());
                format!("{} {kind} {cause}", step.subject.advisory)
            })
            .collect()
    }

    #[test]
    fn the_first_time() {
        let none = BTreeMap::new();
        let seen = seen(&[
            ("A", found(State::Affected, "1")),
            ("B", found(State::Review, "1")),
            ("C", found(State::Patched, "1")),
            ("D", found(State::Suppressed, "1")),
        ]);
        assert_eq!(
            told(&none, &seen, NEW_ADVISORIES),
            ["A opened advisories", "B needs_review advisories"]
        );
        assert_eq!(told(&none, &seen, NEW_SYSTEM)[0], "A opened system");
        assert_eq!(told(&none, &seen, BOTH)[0], "A opened unknown");
    }

    #[test]
    fn what_stays_is_not_told() {
        for state in [
            State::Affected,
            State::Review,
            State::Patched,
            State::Suppressed,
        ] {
            let seen = seen(&[("A", found(state, "1"))]);
            assert!(told(&known("A", state, "1"), &seen, BOTH).is_empty());
        }
    }

    #[test]
    fn what_is_gone() {
        let was = known("A", State::Affected, "1");
        // Another version of the package, with a finding of its own.
        let updated = seen(&[("B", found(State::Patched, "2"))]);
        assert_eq!(told(&was, &updated, BOTH), ["A fixed system"]);
        let same = seen(&[("B", found(State::Patched, "1"))]);
        assert_eq!(told(&was, &same, BOTH), ["A withdrawn advisories"]);
        assert_eq!(
            told(&was, &same, NEW_ADVISORIES),
            ["A withdrawn advisories"]
        );
        let mut nothing = seen(&[]);
        nothing.versions.clear();
        assert_eq!(told(&was, &nothing, BOTH), ["A fixed unknown"]);
        assert_eq!(told(&was, &nothing, NEW_SYSTEM), ["A fixed system"]);
        // What was not open is not told.
        assert!(told(&known("A", State::Patched, "1"), &nothing, BOTH).is_empty());
        assert!(told(&known("A", State::Gone, "1"), &nothing, BOTH).is_empty());
    }

    #[test]
    fn a_scan_that_knew_less_fixes_nothing() {
        let was = known("A", State::Affected, "1");
        let empty = seen(&[]);
        for (system, knowledge) in [(false, true), (true, false), (true, true)] {
            let blind = Around {
                system,
                knowledge,
                blind: true,
            };
            let steps = steps(&was, &empty, blind);
            assert_eq!(
                (steps[0].state, steps[0].changes.len()),
                (State::Affected, 0)
            );
        }
    }

    #[test]
    fn decisions() {
        let suppressed = seen(&[("A", found(State::Suppressed, "1"))]);
        let open = seen(&[("A", found(State::Affected, "1"))]);
        let was = known("A", State::Affected, "1");
        assert_eq!(told(&was, &suppressed, NOTHING), ["A suppressed decision"]);
        let mut was = known("A", State::Suppressed, "1");
        // Never open: a decision stood before the first scan.
        assert_eq!(told(&was, &open, NOTHING), ["A opened decision"]);
        for was in was.values_mut() {
            was.was_open = true;
        }
        assert_eq!(told(&was, &open, BOTH), ["A reopened decision"]);
    }

    #[test]
    fn worse_than_it_was() {
        let was = known("A", State::Affected, "1");
        let mut worse = found(State::Affected, "1");
        worse.exploited = true;
        worse.severity = Severity::Critical;
        assert_eq!(
            told(&was, &seen(&[("A", worse)]), NEW_ADVISORIES),
            ["A exploited advisories", "A worse advisories"]
        );
    }

    #[test]
    fn an_advisory_that_got_another_name_is_the_same() {
        let was = known("GHSA-1", State::Affected, "1");
        let mut renamed = found(State::Affected, "1");
        renamed.aliases = vec!["GHSA-1".into()];
        let now = seen(&[("CVE-1", renamed)]);
        let steps = steps(&was, &now, NEW_ADVISORIES);
        assert_eq!(steps.len(), 1);
        assert!(steps[0].changes.is_empty());
        assert_eq!(steps[0].known_as, Some(subject("GHSA-1")));
    }

    #[test]
    fn words_are_read_back() {
        for kind in [Kind::Baseline, Kind::ToReview, Kind::ScanWorking] {
            assert_eq!(Kind::parse(kind.as_str()), Some(kind));
        }
        assert_eq!(Severity::from_word("none"), Severity::Low);
        assert_eq!(Severity::from_word("?"), Severity::Unrated);
    }
}
