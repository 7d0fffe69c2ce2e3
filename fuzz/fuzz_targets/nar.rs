//! NARs: whatever is read is, written again, the same bytes, since every tree has one NAR.
#![no_main]

use std::io::Read as _;

use libfuzzer_sys::fuzz_target;
use snowguard_store::nar::{NarEvent, NarLimits, NarReader, NarWriter};

fuzz_target!(|nar: &[u8]| {
    let limits = NarLimits {
        bytes: 1 << 20,
        ..NarLimits::default()
    };
    let Ok(mut reader) = NarReader::with_limits(nar, limits) else {
        return;
    };
    let mut writer = NarWriter::new(Vec::new()).expect("memory can be written to");
    loop {
        let size = match reader.next() {
            Err(_) => {
                assert!(reader.next().is_err());
                return;
            }
            Ok(None) => break,
            Ok(Some(event)) => {
                writer.event(event).expect("what was read can be written");
                if let NarEvent::File { size, .. } = event {
                    size
                } else {
                    continue;
                }
            }
        };
        let mut contents = Vec::new();
        if reader.contents().read_to_end(&mut contents).is_err() {
            return;
        }
        assert_eq!(contents.len() as u64, size);
        writer.contents(&contents).expect("these are the contents");
    }
    let written = writer.finish().expect("the tree is whole");
    assert!(nar.starts_with(&written));
    assert_eq!(reader.end().is_ok(), nar.len() == written.len());
});
