//! Git LFS: what stands in a checkout in place of a file, what a repository says of who keeps these, and what that one
//! answers.
//!
//! What is taken as a pointer is written as it was read, and nothing is asked for with a header of the connection.

#![no_main]

use libfuzzer_sys::fuzz_target;
use snowguard_fod::lfs::{Answer, Filtered, LOOKED_AT, Pointer, endpoint_of_config};

const OID: &str = "4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393";

fuzz_target!(|bytes: &[u8]| {
    if let Filtered::Pointer(pointer) = Filtered::of(&bytes[..bytes.len().min(LOOKED_AT)]) {
        assert_eq!(pointer.to_string().as_bytes(), bytes);
    }
    let _ = endpoint_of_config(&String::from_utf8_lossy(bytes));
    let text = format!("version https://git-lfs.github.com/spec/v1\noid sha256:{OID}\nsize 1\n");
    let wanted = Pointer::of(text.as_bytes()).expect("it is one");
    if let Ok(answer) = serde_json::from_slice::<Answer>(bytes)
        && let Ok(download) = answer.download(&wanted)
    {
        for (name, _) in download.headers() {
            let name = name.trim().to_ascii_lowercase();
            assert!(name != "host" && name != "content-length" && !name.starts_with("proxy-"));
        }
    }
});
