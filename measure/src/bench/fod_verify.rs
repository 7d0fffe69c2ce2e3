//! Verifying many small fixed-output derivations from a server on the loopback interface, beside `nix-store --check`
//! on a sample of them, one by one. Both fetch the same; Nix adds what a build costs.
//!
//! It fails unless all of them are as promised, on both sides.

use std::fmt::Write as _;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;
use serde_json::Value;
use snowguard_store::{Hash, HashAlgo, Notation};
use snowguard_testkit::nix::{Nix, NixStore};
use snowguard_testkit::web::Web;

use super::{Format, product, say};

#[derive(clap::Args)]
pub(super) struct Args {
    /// How many derivations
    #[arg(long, value_name = "COUNT", default_value = "10000", value_parser = clap::value_parser!(u32).range(1..))]
    count: u32,
    /// How many of them Nix checks
    #[arg(long, value_name = "COUNT", default_value = "100", value_parser = clap::value_parser!(u32).range(1..))]
    sample: u32,
    /// The program to measure [default: built for it]
    #[arg(long, value_name = "PROGRAM")]
    program: Option<Utf8PathBuf>,
    /// How to print the result
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Debug, Serialize)]
pub(super) struct Verified {
    /// How many were verified.
    count: u32,
    verify_s: f64,
    /// How many Nix checked.
    sample: u32,
    nix_s: f64,
    /// How many times as long Nix takes for one.
    verify_ratio_to_nix: f64,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let verified = asked(args)?;
    match args.format {
        Format::Json => println!("{}", serde_json::to_string_pretty(&verified)?),
        Format::Text => print!("{}", verified.text()),
    }
    Ok(())
}

impl Verified {
    pub(super) fn text(&self) -> String {
        format!(
            "{} verified in {:.2} s; Nix checks {} in {:.2} s: {:.1} times as long for one\n",
            self.count, self.verify_s, self.sample, self.nix_s, self.verify_ratio_to_nix
        )
    }
}

fn asked(args: &Args) -> Result<Verified> {
    let program = match &args.program {
        Some(program) => program.clone(),
        None => product::program()?,
    };
    measure(&program, args.count, args.sample)
}

/// As many as the figure is told of, on a sample that is enough for it.
pub(super) fn usual(program: &Utf8Path) -> Result<Verified> {
    measure(program, 10_000, 100)
}

fn measure(program: &Utf8Path, count: u32, sample: u32) -> Result<Verified> {
    let sample = sample.min(count);
    let web = Web::start().context("cannot serve")?;
    say("writing derivations");
    let store = Nix::find()?.store_at("nix/store")?;
    let drvs = write(&store, &web, count)?;

    say("verifying");
    let begin = Instant::now();
    let told = Command::new(program)
        .args(["--quiet", "fod", "verify", "--allow-private"])
        .args(["--per-host", "16", "--format", "json"])
        .arg(store.dir())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start {program}"))?;
    let verify_s = begin.elapsed().as_secs_f64();
    let told: Value = serde_json::from_slice(&told.stdout).context("read what was verified")?;
    ensure!(
        told["verdicts"]["ok"] == count,
        "not all are as promised: {}",
        told["verdicts"]
    );

    say("asking Nix");
    let nix = |arguments: &[&str]| -> Result<()> {
        let done = store
            .command("nix-store", &[])
            .args(["--realise", "--option", "sandbox", "false"])
            // Nix ends all that runs as the user of a build; others may build here.
            .args(["--option", "build-users-group", ""])
            .args(arguments)
            .output()?;
        ensure!(
            done.status.success(),
            "Nix: {}",
            String::from_utf8_lossy(&done.stderr)
        );
        Ok(())
    };
    let sampled = drvs.iter().step_by((count / sample) as usize);
    let sampled: Vec<&str> = sampled.take(sample as usize).map(String::as_str).collect();
    nix(&sampled)?;
    let begin = Instant::now();
    for drv in &sampled {
        nix(&["--check", drv])?;
    }
    let nix_s = begin.elapsed().as_secs_f64();
    Ok(Verified {
        count,
        verify_s,
        sample,
        nix_s,
        verify_ratio_to_nix: (nix_s / f64::from(sample)) / (verify_s / f64::from(count)),
    })
}

/// Instantiates them, and serves what they fetch.
fn write(store: &NixStore, web: &Web, count: u32) -> Result<Vec<String>> {
    let mut all = String::from(
        "let fod = name: url: outputHash: derivation { inherit name url outputHash; \
         outputHashAlgo = \"sha256\"; outputHashMode = \"flat\"; system = \"x86_64-linux\"; \
         builder = \"builtin:fetchurl\"; }; in [\n",
    );
    for n in 0..count {
        let body = format!("body {n} ").repeat(20);
        let hash = Hash::of(HashAlgo::Sha256, body.as_bytes()).context("no SHA-256")?;
        let (path, hash) = (format!("/{n}"), hash.to_notation(Notation::Hex));
        let _ = writeln!(all, "(fod \"fod-{n}\" \"{}\" \"{hash}\")", web.url(&path));
        web.put(&path, body);
    }
    all.push(']');
    store.instantiate(&all, &[])?;
    let mut drvs = Vec::new();
    for entry in std::fs::read_dir(store.dir())? {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "drv") {
            drvs.push(path.display().to_string());
        }
    }
    drvs.sort_unstable();
    Ok(drvs)
}
