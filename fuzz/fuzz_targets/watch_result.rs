//! The result of a scan, as the watcher reads it: what is read obeys the limits, and compared with itself
//! nothing has changed.
#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use snowguard_watch::change::{Around, Known, steps};
use snowguard_watch::{Observation, State};

fuzz_target!(|json: &[u8]| {
    let Ok(seen) = Observation::read(json) else {
        return;
    };
    let known: BTreeMap<_, _> = seen
        .findings
        .iter()
        .map(|(subject, found)| {
            let known = Known {
                state: found.state,
                was_affected: found.state == State::Affected,
                affected_since_closed: found.state == State::Affected,
                versions: found.versions.clone(),
                severity: found.severity,
                exploited: found.exploited,
            };
            (subject.clone(), known)
        })
        .collect();
    let around = Around {
        system: true,
        knowledge: true,
        blind: false,
    };
    for step in steps(&known, &seen, around) {
        assert!(step.changes.is_empty(), "{step:?}");
    }
    for (subject, found) in &seen.findings {
        assert!(subject.advisory.len() <= 512 && subject.package.name.len() <= 512);
        assert!(!found.versions.is_empty());
    }
});
