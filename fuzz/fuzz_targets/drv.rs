//! Derivations in ATerm form: whatever is read is written in one form, which is read as the same.
#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use snowguard_store::derivation::json::{JsonForm, JsonLayout};
use snowguard_store::derivation::modulo::ModuloHasher;
use snowguard_store::{Derivation, Output, StoreDir};

fuzz_target!(|text: &[u8]| {
    let dir = StoreDir::default();
    let Ok(drv) = Derivation::from_aterm(text, "name", &dir) else {
        return;
    };
    let canonical = drv.to_aterm(&dir);
    let again = Derivation::from_aterm(&canonical, "name", &dir).expect("what was written is read");
    assert_eq!(again, drv);
    assert_eq!(again.to_aterm(&dir), canonical);
    assert_eq!(drv.to_builder().build().expect("it is no larger"), drv);
    let _ = drv.attrs().map(|attrs| {
        attrs
            .names()
            .map(|name| attrs.list(&name).len())
            .sum::<usize>()
    });

    if let Ok(path) = drv.drv_path(&dir) {
        let _ = ModuloHasher::new(dir.clone()).check(&path, &drv, &mut &BTreeMap::new());
    }
    // JSON leaves out the paths of fixed outputs, and has structured attributes in a form of its own.
    let whole = drv.structured_attrs().is_none()
        && drv
            .outputs()
            .iter()
            .all(|(_, output)| !matches!(output, Output::Fixed { .. }));
    if let Ok(json) = drv.to_json(&dir, JsonForm::V4, JsonLayout::Pretty) {
        let again = Derivation::from_json(&json, &dir);
        assert!(!whole || again.is_ok_and(|again| again == drv));
    }
    let _ = drv.to_json(&dir, JsonForm::Nix28, JsonLayout::Compact);
});
