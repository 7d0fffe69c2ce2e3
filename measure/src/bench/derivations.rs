//! All derivations of a package set: reading them, without what is made of them.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use rayon::prelude::*;
use snowguard_store::derivation::Derivation;
use snowguard_store::derivation::json::DerivationSet;
use snowguard_store::{DrvPath, StoreDir};

use super::report::{Parsed, Parsing};
use super::times::{median, sorted};
use super::{Common, say};
use crate::dataset;

/// What was parsed, for who reads the figures.
const WHAT: &str = "the facts of the data set: `json` as one document of `nix derivation show` in memory, `aterm` \
                    as one .drv file each, opened, read and parsed; both on one core, `aterm_all_cores` on all";

pub(super) fn measure(args: &Common) -> Result<Parsing> {
    let json = dataset::derivations(&args.data, &args.set)?;
    let set = DerivationSet::from_json(&json, None)?;
    say("writing the derivations as files");
    let files = write_files(&set, &args.work.join("all-drvs"))?;
    let dir = set.dir;
    drop(set.derivations);
    let bytes = files.iter().map(|(_, size)| size).sum();
    say("parsing");
    let (mut from_json, mut from_aterm, mut on_all) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..args.runs {
        from_json.push(timed(|| {
            std::hint::black_box(DerivationSet::from_json(&json, None)?);
            Ok(())
        })?);
        from_aterm.push(timed(|| {
            files.iter().try_for_each(|(file, _)| parse(file, &dir))
        })?);
        on_all.push(timed(|| {
            files.par_iter().try_for_each(|(file, _)| parse(file, &dir))
        })?);
    }
    let parsed = |times: Vec<f64>, bytes| -> Result<Parsed> {
        let times = sorted(times.into_iter());
        Ok(Parsed {
            wall_ms: median(&times).context("nothing was run")?,
            bytes,
        })
    };
    Ok(Parsing {
        what: WHAT,
        derivations: files.len(),
        json: parsed(from_json, json.len())?,
        aterm: parsed(from_aterm, bytes)?,
        aterm_all_cores: parsed(on_all, bytes)?,
        cores: rayon::current_num_threads(),
        runs: args.runs.into(),
    })
}

/// Writes `.drv` files as a store has them; their paths and sizes.
pub(super) fn write_files(
    set: &DerivationSet,
    folder: &Utf8Path,
) -> Result<Vec<(Utf8PathBuf, usize)>> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {folder}"))?;
    set.derivations
        .par_iter()
        .map(|(path, drv)| {
            let file = folder.join(path.to_string());
            let text = drv.to_aterm(&set.dir);
            super::write(&file, &text)?;
            Ok((file, text.len()))
        })
        .collect()
}

fn parse(file: &Utf8Path, dir: &StoreDir) -> Result<()> {
    let text = std::fs::read(file).with_context(|| format!("cannot read {file}"))?;
    let path: DrvPath = file.file_name().unwrap_or_default().parse()?;
    let drv = Derivation::from_aterm(&text, path.drv_name(), dir)
        .with_context(|| format!("cannot parse {file}"))?;
    ensure!(!drv.outputs().is_empty(), "{file} has no output");
    std::hint::black_box(drv);
    Ok(())
}

fn timed(work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed().as_secs_f64() * 1e3)
}
