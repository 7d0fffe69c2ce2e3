//! Selects the embedded default: facts about packages that people run, and nobody's prose.
//!
//! The rule, which looks at packages and never at labelled rows: a record is taken if one of its
//! affected entries joins, by identity, a package of the example closures or one of the names in
//! `data/most-run.txt`; of the record only these entries are kept. Exploited (KEV) flags are taken
//! for the CVEs that are in.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};
use rayon::prelude::*;
use snowguard_advisory::id::AdvisoryId;
use snowguard_advisory::index::{Builder, Index, SourceKind, VulnerabilityId};
use snowguard_advisory::order::Scheme;
use snowguard_advisory::read::{Format, facts};
use snowguard_advisory::record::{Affected, Record};
use snowguard_inventory::component::Component;
use snowguard_inventory::{IdentityTable, Inventory, Nature, Role, SubjectBuilder};
use snowguard_matching::{Matcher, Options};

use crate::dataset;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The data set.
    #[arg(long)]
    data: Utf8PathBuf,
    /// Where the facts go.
    #[arg(long, default_value = "data/advisories")]
    out: Utf8PathBuf,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let components = packages(&args.data)?;
    println!("{} packages", components.len());
    let mut files: BTreeMap<&'static str, BTreeMap<String, String>> = BTreeMap::new();
    let mut taken: BTreeSet<AdvisoryId> = BTreeSet::new();
    let mut exploited = Vec::new();
    for file in dataset::advisories(&args.data)? {
        let records = read(&file)?;
        let Some((name, records)) = records else {
            continue;
        };
        if name == "kev" {
            exploited = records;
            continue;
        }
        let kept = select(&components, records)?;
        println!("{file}: {} records", kept.len());
        for record in kept {
            taken.insert(record.id.clone());
            taken.extend(record.aliases.iter().cloned());
            let key = format!("{} {}", record.id, files.entry(name).or_default().len());
            files
                .entry(name)
                .or_default()
                .insert(key, facts::write(&record)?);
        }
    }
    for record in exploited
        .into_iter()
        .filter(|record| taken.contains(&record.id))
    {
        files
            .entry("kev")
            .or_default()
            .insert(record.id.to_string(), facts::write(&record)?);
    }
    std::fs::create_dir_all(&args.out)?;
    for (name, lines) in files {
        let path = args.out.join(format!("{name}.jsonl"));
        let mut lines: Vec<String> = lines.into_values().collect();
        lines.sort();
        lines.dedup();
        let text = lines.join("\n") + "\n";
        println!("{path}: {} lines, {} kB", lines.len(), text.len() / 1000);
        std::fs::write(&path, text).with_context(|| format!("cannot write {path}"))?;
    }
    Ok(())
}

/// The packages of the example closures, and the ones that people run most.
fn packages(data: &Utf8Path) -> Result<Vec<Component>> {
    let table = IdentityTable::builtin();
    let list = std::fs::read_to_string("data/most-run.txt")
        .context("run this at the root of the repository")?;
    let most_run: BTreeSet<&str> = list
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .collect();
    let mut builder = SubjectBuilder::new();
    let set = snowguard_store::derivation::json::DerivationSet::from_json(
        &dataset::derivations(data, "nixpkgs-20.09")?,
        None,
    )?;
    snowguard_sources::derivations::add(
        &mut builder,
        snowguard_sources::derivations::reduce(&set),
        Role::Auxiliary,
    );
    let packages =
        snowguard_sources::packages::read(&dataset::package_set(data, "nixpkgs-20.09")?)?;
    snowguard_sources::packages::add(&mut builder, packages);
    let set = Inventory::of(&builder.build("set", Nature::PackageSet), &table);
    let mut components: Vec<Component> = set
        .components
        .into_iter()
        .filter(|c| most_run.contains(&*c.pname.to_lowercase()) && c.language.is_none())
        .collect();
    for example in std::fs::read_dir("examples")? {
        let path = Utf8PathBuf::from_path_buf(example?.path()).unwrap_or_default();
        if !path.as_str().ends_with(".json.zst") {
            continue;
        }
        let json = zstd::decode_all(std::fs::File::open(&path)?)?;
        let set = snowguard_store::derivation::json::DerivationSet::from_json(&json, None)?;
        let mut builder = SubjectBuilder::new();
        snowguard_sources::derivations::add(
            &mut builder,
            snowguard_sources::derivations::reduce(&set),
            Role::Part,
        );
        components
            .extend(Inventory::of(&builder.build("example", Nature::BuildTime), &table).components);
    }
    Ok(components)
}

fn read(path: &Utf8Path) -> Result<Option<(&'static str, Vec<Record>)>> {
    let name = match path.file_name().unwrap_or_default() {
        // Distributions' own packages are never joined with ours.
        "osv-almalinux.jsonl.zst" => return Ok(None),
        "kev.json" => "kev",
        name if name.starts_with("cve5-") => "cve5",
        name if name.starts_with("nvd2-") => "nvd",
        name if name.starts_with("osv-") || name.starts_with("rustsec") => "osv",
        _ => return Ok(None),
    };
    let bytes = std::fs::read(path)?;
    let documents: Vec<Vec<u8>> = if name == "kev" {
        vec![bytes]
    } else {
        let mut decoder = zstd::stream::read::Decoder::new(bytes.as_slice())?;
        decoder.window_log_max(27)?;
        let mut text = Vec::new();
        std::io::Read::read_to_end(&mut decoder, &mut text)?;
        text.split(|&b| b == b'\n')
            .filter(|line| !line.is_empty())
            .map(<[u8]>::to_vec)
            .collect()
    };
    let records = documents
        .par_iter()
        .flat_map_iter(|document| {
            let mut records = Vec::new();
            if let Ok(format) = Format::detect(document) {
                format.read(document, &mut |record| records.extend(record));
            }
            records
        })
        .collect();
    Ok(Some((name, records)))
}

/// The records that join one of the packages, with the entries that do.
fn select(components: &[Component], records: Vec<Record>) -> Result<Vec<Record>> {
    let table = IdentityTable::builtin();
    // Each record under an id of its own, so that a finding tells which record joined.
    let mut builder = Builder::new();
    for (at, record) in records.iter().enumerate() {
        for (entry, affected) in record.affects.iter().enumerate() {
            let mut single = Record::new(format!("X-{at}-{entry}").parse()?);
            single.affects = vec![affected.clone()];
            builder.add("x", SourceKind::Facts, single);
        }
    }
    let built = builder.finish();
    let index = Index::open(&built.bytes)?;
    let matcher = Matcher::new(index, &table, Options::default());
    let joined: Vec<Vec<VulnerabilityId>> = components
        .par_iter()
        .map(|component| {
            let findings = matcher
                .component(snowguard_inventory::ComponentId(0), component)?
                .unwrap_or_default();
            Ok(findings
                .iter()
                .map(|finding| finding.vulnerability)
                .collect())
        })
        .collect::<Result<_>>()?;
    let mut keep: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for vulnerability in joined.into_iter().flatten().collect::<BTreeSet<_>>() {
        let mut parts = index
            .id_of(vulnerability)?
            .split('-')
            .skip(1)
            .filter_map(|part| part.parse().ok());
        if let (Some(record), Some(entry)) = (parts.next(), parts.next()) {
            keep.entry(record).or_default().insert(entry);
        }
    }
    let mut kept = Vec::new();
    for (at, mut record) in records.into_iter().enumerate() {
        let Some(entries) = keep.get(&at) else {
            continue;
        };
        // What only counts commits places no release, and would only ask for review.
        let places_releases =
            |affected: &Affected| !(affected.scheme == Scheme::Git && affected.rules.is_empty());
        record.affects = record
            .affects
            .into_iter()
            .enumerate()
            .filter(|(at, affected)| entries.contains(at) && places_releases(affected))
            .map(|(_, a)| a)
            .collect();
        if record.affects.is_empty() {
            continue;
        }
        record.summary = None;
        // Kernels are mended by releases, not by single commits: a dozen of these for each of
        // thousands of records would be half of the data.
        if record
            .affects
            .iter()
            .flat_map(|a| &a.products)
            .any(|p| p.to_string().starts_with("linux:"))
        {
            record.fixes.clear();
        }
        record.fixes.truncate(4);
        kept.push(record);
    }
    Ok(kept)
}
