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
            was_affected: state == State::Affected,
            affected_since_closed: state == State::Affected,
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
        was.was_affected = true;
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
fn an_advisory_that_was_split_is_told_but_for_one_part() {
    let was = known("GHSA-1", State::Affected, "1");
    let mut part = found(State::Affected, "1");
    part.aliases = vec!["GHSA-1".into()];
    let now = seen(&[("CVE-1", part.clone()), ("CVE-2", part)]);
    assert_eq!(
        told(&was, &now, NEW_ADVISORIES),
        ["CVE-2 opened advisories"]
    );
    let steps = steps(&was, &now, NEW_ADVISORIES);
    let known_as: Vec<_> = steps.iter().map(|step| step.known_as.clone()).collect();
    assert_eq!(known_as, [Some(subject("GHSA-1")), None]);
}

#[test]
fn advisories_that_were_joined_are_not_withdrawn() {
    let mut was = known("GHSA-1", State::Affected, "1");
    was.extend(known("CVE-1", State::Affected, "1"));
    let mut joined = found(State::Affected, "1");
    joined.aliases = vec!["GHSA-1".into()];
    let now = seen(&[("CVE-1", joined)]);
    assert!(told(&was, &now, NEW_ADVISORIES).is_empty());
    let steps = steps(&was, &now, NEW_ADVISORIES);
    let states: Vec<_> = steps.iter().map(|step| step.state).collect();
    assert_eq!(states, [State::Affected, State::Gone]);
}

#[test]
fn one_of_two_names_that_the_system_fixed_is_told() {
    // One record has no CVE, and another that has it knows the first by name: both are told.
    let mut was = known("GHSA-1", State::Affected, "1");
    was.extend(known("CVE-1", State::Affected, "1"));
    let mut left = found(State::Affected, "2");
    left.aliases = vec!["GHSA-1".into()];
    let now = seen(&[("CVE-1", left)]);
    assert_eq!(told(&was, &now, NEW_SYSTEM), ["GHSA-1 fixed system"]);
    assert_eq!(told(&was, &now, BOTH), ["GHSA-1 fixed system"]);
    // The versions are as they were, where both changed.
    let mut joined = found(State::Affected, "1");
    joined.aliases = vec!["GHSA-1".into()];
    assert!(told(&was, &seen(&[("CVE-1", joined)]), BOTH).is_empty());
}

#[test]
fn affected_for_the_first_time_and_again() {
    let now = seen(&[("A", found(State::Affected, "1"))]);
    for state in [State::Review, State::Gone, State::Patched] {
        let mut was = known("A", state, "1");
        assert_eq!(told(&was, &now, NEW_ADVISORIES), ["A opened advisories"]);
        for was in was.values_mut() {
            was.was_affected = true;
        }
        assert_eq!(told(&was, &now, NEW_ADVISORIES), ["A reopened advisories"]);
    }
}

#[test]
fn words_are_read_back() {
    for kind in [Kind::Baseline, Kind::ToReview, Kind::ScanWorking] {
        assert_eq!(Kind::parse(kind.as_str()), Some(kind));
    }
    assert_eq!(Severity::from_word("none"), Severity::Low);
    assert_eq!(Severity::from_word("?"), Severity::Unrated);
}
