//! Derivations in JSON: whatever is read can be written in ATerm form and in both JSON forms, and is read
//! from there as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use snowguard_store::Derivation;
use snowguard_store::PathInfoSet;
use snowguard_store::derivation::json::{DerivationSet, JsonForm, JsonLayout};

fuzz_target!(|json: &[u8]| {
    let _ = PathInfoSet::from_json(json, None);
    let Ok(mut set) = DerivationSet::from_json(json, None) else {
        return;
    };
    for (path, drv) in &set.derivations {
        // The system is printed without escaping, by Nix too.
        if drv.system().contains(['"', '\\']) {
            continue;
        }
        let text = drv.to_aterm(&set.dir);
        let again = Derivation::from_aterm(&text, path.drv_name(), &set.dir)
            .expect("what was written is read");
        assert_eq!(again, *drv);
    }
    set.derivations.sort_by(|one, other| one.0.cmp(&other.0));
    set.derivations.dedup_by(|one, other| one.0 == other.0);
    if let Ok(json) = set.to_json(JsonForm::Nix28, JsonLayout::Pretty) {
        let again =
            DerivationSet::from_json(&json, Some(&set.dir)).expect("what was written is read");
        assert_eq!(again, set);
    }
    let _ = set.to_json(JsonForm::V4, JsonLayout::Compact).map(|json| {
        DerivationSet::from_json(&json, Some(&set.dir)).map(|again| again.derivations.len())
    });
});
