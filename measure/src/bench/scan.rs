//! A NixOS system, cold and warm.

use anyhow::{Context as _, Result, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use snowguard_store::derivation::json::DerivationSet;

use super::peer::race;
use super::product::Product;
use super::report::{Cold, Scan};
use super::{Common, derivations, write};

pub(super) fn measure(args: &Common) -> Result<Scan> {
    let json = system(args)?;
    let set = DerivationSet::from_json(&json, None)?;
    ensure!(!set.derivations.is_empty(), "the system has no derivation");
    let file = args.work.join("nixos-system.json");
    write(&file, &json)?;
    let (product, index) = Product::build(args)?;
    let inputs = [file.as_str()];
    // The first one after the index was made: with its making it is what a new user waits for.
    let first = product.scan(&inputs)?;
    let race = race(args, &product, &inputs, || vulnix_inputs(args, &set))?;
    let found = product.findings(&inputs)?;
    let cold = index.wall_ms + first.wall_ms;
    Ok(Scan {
        ratio_to_vulnix: race.ratio(),
        cpu_ratio_to_vulnix: race.cpu_ratio(),
        cold: Cold {
            wall_ms: cold,
            ratio_to_vulnix: race.theirs.as_ref().map(|peer| peer.cold.wall_ms / cold),
        },
        times: race.ours,
        derivations: set.derivations.len(),
        components: found.subject.components,
        vulnerabilities: found.vulnerabilities(),
        findings: found.findings(),
        index,
        vulnix: race.theirs,
    })
}

/// The system of the data set, as `nix derivation show -r` prints it.
pub(super) fn system(args: &Common) -> Result<Vec<u8>> {
    let path = closure(&args.data, &args.set);
    let file = std::fs::File::open(&path).with_context(|| {
        format!("cannot open {path}; --data and --set name a data set with a NixOS system")
    })?;
    zstd::stream::decode_all(file).with_context(|| format!("cannot decompress {path}"))
}

fn closure(data: &Utf8Path, set: &str) -> Utf8PathBuf {
    data.join(set).join("closures/nixos-system.json.zst")
}

/// Derivations as a store has them, each by its own name: of `--from-file` vulnix 1.10 reads package sets only.
fn vulnix_inputs(args: &Common, set: &DerivationSet) -> Result<Vec<String>> {
    let files = derivations::write_files(set, &args.work.join("system-drvs"))?;
    Ok(files.into_iter().map(|(file, _)| file.into()).collect())
}
