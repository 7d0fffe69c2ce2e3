//! A whole evaluated package set.

use anyhow::{Context as _, Result};
use serde_json::{Map, Value, json};

use super::peer::race;
use super::product::Product;
use super::report::Packages;
use super::times::Times;
use super::{Common, write};
use crate::dataset;

pub(super) fn measure(args: &Common) -> Result<Packages> {
    let bytes = dataset::package_set(&args.data, &args.set)?;
    let set: Map<String, Value> = serde_json::from_slice(&bytes)?;
    let file = args.work.join("packages.json");
    write(&file, &bytes)?;
    let drvs = args.work.join("derivations.json");
    write(&drvs, &dataset::derivations(&args.data, &args.set)?)?;
    let (product, index) = Product::build(args)?;
    let plain = [file.as_str()];
    let race = race(args, &product, &plain, || vulnix_inputs(args, &set))?;
    // Their sources and patches are known only with their derivations.
    let with = [file.as_str(), "--derivations", drvs.as_str()];
    let mut runs = Vec::new();
    for _ in 0..args.runs {
        runs.push(product.scan(&with)?);
    }
    let found = product.findings(&plain)?;
    Ok(Packages {
        ratio_to_vulnix: race.ratio(),
        cpu_ratio_to_vulnix: race.cpu_ratio(),
        times: race.ours,
        with_derivations: Times::of(&runs).context("nothing was run")?,
        roots: set.len(),
        components: found.subject.components,
        vulnerabilities: found.vulnerabilities(),
        findings: found.findings(),
        index,
        vulnix: race.theirs,
    })
}

fn vulnix_inputs(args: &Common, set: &Map<String, Value>) -> Result<Vec<String>> {
    let file = args.work.join("vulnix-packages.json");
    write(&file, &serde_json::to_vec(&vulnix_packages(set))?)?;
    Ok(vec!["--from-file".to_owned(), file.into()])
}

/// What vulnix reads of a package set. That of an evaluation tells of no patches.
fn vulnix_packages(set: &Map<String, Value>) -> Value {
    set.iter()
        .map(|(attr, package)| {
            (
                attr.clone(),
                json!({ "name": package["name"], "patches": [] }),
            )
        })
        .collect::<Map<_, _>>()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vulnix_gets_names() {
        let set = json!({ "hello": { "name": "hello-2.10", "version": "2.10", "meta": {} } });
        assert_eq!(
            vulnix_packages(set.as_object().unwrap()),
            json!({ "hello": { "name": "hello-2.10", "patches": [] } })
        );
    }
}
