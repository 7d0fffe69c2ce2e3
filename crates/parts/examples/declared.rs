//! Prints what files declare, one line for each part: for comparing with what others say of them.
//!
//! `cargo run -p snowguard-parts --example declared -- FILE…`

use object::{ReadCache, ReadRef as _};
use snowguard_parts::{HEAD, Limits, kind_of, read};

#[expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example reads files and prints"
)]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    for path in std::env::args().skip(1) {
        let cache = ReadCache::new(std::fs::File::open(&path)?);
        let length = (&cache).len().map_err(|()| "no length")?;
        let head = (&cache)
            .read_bytes_at(0, length.min(HEAD as u64))
            .unwrap_or_default();
        let Some(kind) = kind_of(path.trim_start_matches('/'), head) else {
            eprintln!("{path}: no kind");
            continue;
        };
        match read(kind, &path, &cache, &Limits::default()) {
            Ok(parts) => {
                for part in &parts.parts {
                    println!("{}", serde_json::to_string(part)?);
                }
                for problem in &parts.problems {
                    eprintln!("{path}: {problem:?}");
                }
            }
            Err(error) => eprintln!("{path}: {error}"),
        }
    }
    Ok(())
}
