//! Measures how long inputs take to be read, and how much memory that takes.
//!
//! `cargo run --release -p snowguard-sources --example measure -- [--repeat N] PATH...` reads each
//! path as one subject.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a measurement reads the clock and the process's memory, and prints"
)]

use std::time::{Duration, Instant};

use snowguard_sources::{Input, Options, read};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut repeat = 1;
    let mut paths = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        if argument == "--repeat" {
            repeat = arguments.next().unwrap_or_default().parse()?;
        } else {
            paths.push(argument);
        }
    }
    let options = Options::default();
    for path in paths {
        let mut times = Vec::new();
        for round in 0..repeat {
            let start = Instant::now();
            let input = Input::detect(&path, &options)?;
            let found = start.elapsed();
            let kind = input.kind();
            let subject = read(vec![input], Vec::new(), &options)?;
            let whole = start.elapsed();
            if round == 0 {
                println!(
                    "{path}: {kind}, {} ({}), {} objects, {} roots, gaps {:?}",
                    subject.title,
                    subject.nature.as_str(),
                    subject.objects.len(),
                    subject.graph.roots().len(),
                    subject.gaps
                );
            }
            times.push((whole, found));
        }
        times.sort_unstable();
        let show = |(whole, found): &(Duration, Duration)| {
            format!(
                "{:.1} ms ({:.1} ms of it to tell what it is)",
                whole.as_secs_f64() * 1e3,
                found.as_secs_f64() * 1e3
            )
        };
        if let (Some(best), Some(middle)) = (times.first(), times.get(times.len() / 2)) {
            println!("    best {}, median {}", show(best), show(middle));
        }
        println!("    peak memory so far {} MB", peak_memory() / 1024);
    }
    Ok(())
}

/// In kilobytes, where the system tells it.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}
