//! Selects the package sets that `snowguardd serve` shows where it has no others: two channels, years
//! apart, reduced to facts.
//!
//! The rule: packages outside of any set within the set that both have, or that people run most
//! (`data/most-run.txt`). Descriptions and licences are texts and judgements of others and are left out; of
//! derivations stay those of the packages, of their sources and of their patches. What packages are built with stays
//! as far as it is among the chosen, whatever lies between, and once: what one of the others brings is left out.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};
use serde_json::{Map, Value, json};
use snowguard_inventory::naming;

use crate::dataset;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The data set.
    #[arg(long)]
    data: Utf8PathBuf,
    /// Where the sets go.
    #[arg(long, default_value = "examples/tracker")]
    out: Utf8PathBuf,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let list = std::fs::read_to_string("data/most-run.txt")
        .context("run this at the root of the repository")?;
    let most_run: BTreeSet<&str> = list
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .collect();
    let older = packages(&args.data, OLDER)?;
    let newer = packages(&args.data, NEWER)?;
    let is_in = |set: &Set, (attr, package): &(&String, &Value)| {
        set.contains_key(*attr) || name(package).is_some_and(|name| most_run.contains(&*name))
    };
    std::fs::create_dir_all(&args.out)?;
    for (set, own, other) in [(OLDER, &older, &newer), (NEWER, &newer, &older)] {
        let chosen: Set = own
            .iter()
            .filter(|entry| is_in(other, entry))
            .map(|(attr, package)| (attr.clone(), reduce(package)))
            .collect();
        let wanted = chosen
            .values()
            .filter_map(|package| package["drvPath"].as_str())
            .map(str::to_owned)
            .collect();
        let derivations = derivations(&args.data, set, wanted)?;
        println!(
            "{set}: {} packages, {} derivations",
            chosen.len(),
            derivations.len()
        );
        write(&args.out, set, "packages", &json!(chosen))?;
        write(&args.out, set, "derivations", &Value::Object(derivations))?;
    }
    Ok(())
}

const OLDER: &str = "nixpkgs-20.09";
const NEWER: &str = "corepkgs-2026";

/// Packages by attribute path.
type Set = BTreeMap<String, Value>;

/// The packages of a set that are in none of the sets within.
fn packages(data: &Utf8Path, set: &str) -> Result<Set> {
    let mut packages = Set::new();
    for package in dataset::lines(&data.join(set).join("packages.jsonl.zst"))? {
        let package = package?;
        let attr = package["attr"].as_str().unwrap_or_default();
        if !attr.contains('.') && package["stub_haskell"] != json!(true) {
            packages.insert(attr.to_owned(), package);
        }
    }
    Ok(packages)
}

/// The name without a version, in lower case; none of what is a module of a language.
fn name(package: &Value) -> Option<String> {
    let text = |name: &str| package[name].as_str();
    let parsed = naming::parse(text("name")?, text("pname"), text("version"));
    (parsed.language.is_none()).then(|| parsed.pname.to_lowercase())
}

/// A package with what is a fact.
fn reduce(package: &Value) -> Value {
    let mut meta = kept(
        &package["meta"],
        &["homepage", "position", "knownVulnerabilities", "teams"],
    );
    let maintainers: Vec<Value> = package["meta"]["maintainers"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|person| person["github"].is_string())
        .map(|person| Value::Object(kept(person, &["github", "githubId"])))
        .collect();
    if !maintainers.is_empty() {
        meta.insert("maintainers".to_owned(), json!(maintainers));
    }
    let stated = &package["meta"]["identifiers"];
    let mut parts = kept(&stated["cpeParts"], &["vendor", "product"]);
    parts.retain(|_, value| *value != json!("*"));
    let mut identifiers = kept(stated, &["purl"]);
    if !parts.is_empty() {
        identifiers.insert("cpeParts".to_owned(), Value::Object(parts));
    }
    if !identifiers.is_empty() {
        meta.insert("identifiers".to_owned(), Value::Object(identifiers));
    }
    let mut reduced = kept(package, &["name", "pname", "version", "drvPath"]);
    reduced.insert("meta".to_owned(), Value::Object(meta));
    Value::Object(reduced)
}

fn kept(object: &Value, names: &[&str]) -> Map<String, Value> {
    names
        .iter()
        .filter(|name| !object[**name].is_null() && object[**name] != json!([]))
        .map(|name| ((*name).to_owned(), object[*name].clone()))
        .collect()
}

/// The derivations of packages, of their sources and of their patches.
fn derivations(data: &Utf8Path, set: &str, wanted: BTreeSet<String>) -> Result<Map<String, Value>> {
    let all: Map<String, Value> = serde_json::from_slice(&dataset::derivations(data, set)?)?;
    let mut makers = BTreeMap::new();
    for (path, derivation) in &all {
        for output in derivation["outputs"].as_object().into_iter().flatten() {
            if let Some(output) = output.1["path"].as_str() {
                makers.insert(output, path.as_str());
            }
        }
    }
    let mut chosen = Map::new();
    let mut inputs = inputs(&all, &wanted);
    for path in wanted {
        let Some(derivation) = all.get(&path) else {
            continue;
        };
        for text in ["src", "srcs", "patches"] {
            let words = derivation["env"][text].as_str().unwrap_or_default();
            for maker in words.split_whitespace().filter_map(|word| makers.get(word)) {
                chosen.insert((*maker).to_owned(), bare(&all[*maker]));
            }
        }
        let mut derivation = bare(derivation);
        derivation["inputDrvs"] = inputs
            .remove(&path)
            .into_iter()
            .flatten()
            .map(|input| (input, json!(["out"])))
            .collect::<Map<_, _>>()
            .into();
        chosen.insert(path, derivation);
    }
    Ok(chosen)
}

/// Of each wanted derivation those among the wanted that it is built with, without those that come with another.
fn inputs(
    all: &Map<String, Value>,
    wanted: &BTreeSet<String>,
) -> BTreeMap<String, BTreeSet<String>> {
    let near: BTreeMap<&str, BTreeSet<&str>> = wanted
        .iter()
        .map(|path| {
            (
                path.as_str(),
                reached(path, |at| next(all, at), |at| !wanted.contains(at)),
            )
        })
        .map(|(path, mut found)| {
            found.retain(|at| wanted.contains(*at));
            (path, found)
        })
        .collect();
    let beyond = |path: &&str| {
        let next = |at: &str| near.get(at).into_iter().flatten().copied().collect();
        reached(path, next, |_| true)
    };
    let far: BTreeMap<&str, BTreeSet<&str>> =
        near.keys().map(|path| (*path, beyond(path))).collect();
    near.iter()
        .map(|(path, direct)| {
            let comes_with = |at: &str| direct.iter().any(|other| far[other].contains(at));
            let own = direct.iter().filter(|at| !comes_with(at));
            ((*path).to_owned(), own.map(|at| (*at).to_owned()).collect())
        })
        .collect()
}

/// The inputs of a derivation.
fn next<'a>(all: &'a Map<String, Value>, path: &str) -> Vec<&'a str> {
    let inputs = all
        .get(path)
        .and_then(|derivation| derivation["inputDrvs"].as_object());
    inputs
        .into_iter()
        .flatten()
        .map(|(input, _)| input.as_str())
        .collect()
}

/// What is reached from a place, itself apart; only what `leads_on` is gone through.
fn reached<'a>(
    from: &str,
    next: impl Fn(&str) -> Vec<&'a str>,
    leads_on: impl Fn(&str) -> bool,
) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut open = next(from);
    while let Some(at) = open.pop() {
        if found.insert(at) && leads_on(at) {
            open.extend(next(at));
        }
    }
    found
}

/// A derivation without its inputs, and without what does not tell sources, patches and ids.
fn bare(derivation: &Value) -> Value {
    const FACTS: &[&str] = &[
        "name",
        "pname",
        "version",
        "src",
        "srcs",
        "patches",
        "url",
        "urls",
        "postPatch",
        "outputHash",
        "outputHashAlgo",
        "outputHashMode",
    ];
    let mut bare = derivation.clone();
    bare["env"] = Value::Object(kept(&derivation["env"], FACTS));
    bare["inputDrvs"] = json!({});
    bare["inputSrcs"] = json!([]);
    bare
}

fn write(out: &Utf8Path, set: &str, what: &str, json: &Value) -> Result<()> {
    let path = out.join(format!("{set}.{what}.json.zst"));
    let bytes = zstd::encode_all(&*serde_json::to_vec(json)?, 19)?;
    println!("{path}: {} kB", bytes.len() / 1000);
    std::fs::write(&path, bytes).with_context(|| format!("cannot write {path}"))
}
