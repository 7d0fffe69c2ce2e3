//! Checks every `.drv` file of a directory against itself: that it is read, is written again byte for byte,
//! and that its own path and its outputs' paths follow from its content.
//!
//! `cargo run --release -p snowguard-store --example verify_drvs -- /nix/store [STORE_DIR]`

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example for use by hand"
)]

use std::collections::HashMap;
use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use snowguard_store::derivation::modulo::ModuloHasher;
use snowguard_store::{Derivation, DrvPath, StoreDir};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(dir), store) = (args.next(), args.next()) else {
        return Err("usage: verify_drvs DIR [STORE_DIR]".into());
    };
    let store = StoreDir::new(store.as_deref().unwrap_or(&dir))?;

    let mut texts: Vec<(DrvPath, Vec<u8>)> = Vec::new();
    let (listed, reading) = timed(|| -> Result<(), Box<dyn Error>> {
        for entry in std::fs::read_dir(&dir)? {
            let entry = entry?;
            let name = entry.file_name();
            if let Some(path) = name.to_str().and_then(|name| name.parse().ok()) {
                #[expect(
                    clippy::disallowed_methods,
                    reason = "an example for use by hand reads files itself"
                )]
                texts.push((path, std::fs::read(entry.path())?));
            }
        }
        Ok(())
    });
    listed?;
    let bytes: usize = texts.iter().map(|(_, text)| text.len()).sum();

    let mut derivations = HashMap::new();
    let (unreadable, parsing) = timed(|| {
        let mut unreadable = 0;
        for (path, text) in &texts {
            match Derivation::from_aterm(text, path.drv_name(), &store) {
                Ok(drv) => {
                    derivations.insert(path.clone(), drv);
                }
                Err(error) => {
                    unreadable += 1;
                    eprintln!(
                        "{path}: {error}: {}",
                        error.source().map(ToString::to_string).unwrap_or_default()
                    );
                }
            }
        }
        unreadable
    });

    let (different, writing) = timed(|| {
        let same = |path: &DrvPath, text: &[u8]| {
            derivations
                .get(path)
                .is_none_or(|drv: &Derivation| drv.to_aterm(&store) == text)
        };
        texts
            .iter()
            .filter(|(path, text)| !same(path, text))
            .count()
    });

    let mut hasher = ModuloHasher::new(store);
    let (wrong, hashing) = timed(|| {
        let mut wrong = 0;
        for (path, drv) in &derivations {
            match hasher.check(path, drv, &mut &derivations) {
                Ok(mismatches) if mismatches.is_empty() => {}
                Ok(mismatches) => {
                    wrong += 1;
                    eprintln!("{path}: {mismatches:?}");
                }
                Err(error) => {
                    wrong += 1;
                    eprintln!("{path}: {error}");
                }
            }
        }
        wrong
    });

    println!(
        "derivations   {:>9}  {bytes} bytes, read in {reading:.2?}",
        texts.len()
    );
    println!(
        "unreadable    {unreadable:>9}  parsed in {parsing:.2?} ({:.0} MB/s)",
        rate(bytes, parsing)
    );
    println!(
        "not the same  {different:>9}  written in {writing:.2?} ({:.0} MB/s)",
        rate(bytes, writing)
    );
    println!("wrong paths   {wrong:>9}  recomputed in {hashing:.2?}");
    Ok(if unreadable + different + wrong == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "an example for use by hand measures time"
)]
fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = std::time::Instant::now();
    let value = work();
    (value, start.elapsed())
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
fn rate(bytes: usize, time: Duration) -> f64 {
    bytes as f64 / time.as_secs_f64() / 1e6
}
