//! Deltas of evaluations and packed store paths, on any bytes: what is read is written and read as the
//! same, and a delta that belongs to another evaluation is refused.

#![no_main]

use libfuzzer_sys::fuzz_target;
use snowguard_db::evaluations::delta::{Delta, Set};
use snowguard_db::evaluations::paths::{pack_drv, pack_outputs, unpack_drv, unpack_outputs};

fuzz_target!(|bytes: &[u8]| {
    // The sum at the end would stop nearly everything: it is set right first.
    let summed = Delta::with_sum(bytes);
    for bytes in [bytes, &summed] {
        if let Ok(delta) = Delta::decode(bytes) {
            let written = delta.encode();
            assert_eq!(Delta::decode(&written).as_ref(), Ok(&delta));
            let mut set = Set::new();
            if delta.apply(&mut set).is_err() {
                assert!(set.is_empty());
            }
        }
    }
    if let Some(path) = unpack_drv("name-1.0", bytes) {
        assert_eq!(pack_drv("name-1.0", &path).as_deref(), Some(bytes));
    }
    if let Some(outputs) = unpack_outputs("name-1.0", bytes) {
        let packed = pack_outputs("name-1.0", &outputs);
        let again = packed.and_then(|packed| unpack_outputs("name-1.0", &packed));
        assert_eq!(again.as_ref(), Some(&outputs));
    }
});
