//! Requests to the tracker's server: paths, queries, forms, cursors, cookies and tokens, answered over a database.
//!
//! Whatever is asked for, the server does not fail, leads to no other server, and repeats no markup.

#![no_main]

use std::sync::{Arc, OnceLock};

use libfuzzer_sys::fuzz_target;
use snowguard_web::{App, attempt, attempted};

/// No page of ours has it.
const MARKUP: &[u8] = b"<zz";

fuzz_target!(|bytes: &[u8]| {
    let Some(answer) = attempt(app(), bytes) else {
        return;
    };
    assert_ne!(
        answer.status,
        500,
        "{}",
        String::from_utf8_lossy(&answer.body)
    );
    if let Some(to) = &answer.location {
        assert!(
            to.starts_with('/') && !to.starts_with("//") && !to.contains('\\'),
            "{to}"
        );
    }
    // In data, and in what is no page, it is text.
    let is_page = answer.body.starts_with(b"<!doctype");
    assert!(!is_page || !answer.body.windows(MARKUP.len()).any(|part| part == MARKUP));
});

fn app() -> &'static App {
    static APP: OnceLock<Arc<App>> = OnceLock::new();
    APP.get_or_init(|| {
        let name = format!("snowguard-web-request-{}.db", std::process::id());
        let path = std::env::temp_dir().join(name);
        for suffix in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{suffix}", path.display()));
        }
        attempted(&path).expect("a database can be made")
    })
}
