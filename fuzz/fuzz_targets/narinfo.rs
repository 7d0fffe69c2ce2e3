//! Narinfo: whatever is read is written in one form, which is read as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use snowguard_store::{NarInfo, PublicKey, StoreDir};

fuzz_target!(|text: &[u8]| {
    let dir = StoreDir::default();
    if let Ok(key) = String::from_utf8_lossy(text).parse::<PublicKey>() {
        assert_eq!(key.to_string().parse::<PublicKey>().as_ref(), Ok(&key));
    }
    let Ok(info) = NarInfo::parse(text, &dir) else {
        return;
    };
    let canonical = info.to_text(&dir);
    assert_eq!(
        NarInfo::parse(canonical.as_bytes(), &dir).as_ref(),
        Ok(&info)
    );
    let _ = info.object.path_follows_from_content(&dir);
    let key: PublicKey = "golden-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY="
        .parse()
        .expect("this is a key");
    let _ = info.object.verified(&dir, &[key]).count();
});
