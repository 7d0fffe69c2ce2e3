//! What a large tracker has: a real package set under several names, in channels that differ a little, and
//! real records under several ids.

use std::io::{BufWriter, Write as _};
use std::sync::atomic::AtomicBool;

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};
use serde_json::{Map, Value, json};
use snowguard_advisory::id::AdvisoryId;
use snowguard_advisory::index::{Builder, Index, SourceKind};
use snowguard_advisory::read::With;
use snowguard_advisory::record::Record;
use snowguard_feeds::RecordStore;

use super::super::say;
use crate::dataset;

/// How many names of a source are copied at once.
const PIECE: usize = 5_000;

/// What was made, to be taken in.
pub(super) struct World {
    pub(super) store: RecordStore,
    /// The package set of each channel, as nix-env prints it.
    pub(super) sets: Vec<Utf8PathBuf>,
    /// How the packages of the real set are built.
    pub(super) derivations: Utf8PathBuf,
}

/// How large it is.
#[derive(Clone, Copy)]
pub(super) struct Size {
    pub(super) attributes: usize,
    pub(super) channels: usize,
    pub(super) advisories: usize,
}

impl World {
    /// Makes it in a directory, or takes what an earlier run of the same size has made there.
    pub(super) fn make(data: &Utf8Path, set: &str, size: Size, work: &Utf8Path) -> Result<Self> {
        let directory = work.join(format!(
            "tracker-{}-{}-{}",
            size.attributes, size.channels, size.advisories
        ));
        let done = directory.join("done");
        let is_there = done.exists();
        if !is_there {
            let _ = std::fs::remove_dir_all(&directory);
            std::fs::create_dir_all(&directory)?;
        }
        let sets: Vec<Utf8PathBuf> = (0..size.channels)
            .map(|channel| directory.join(format!("channel-{channel}.json")))
            .collect();
        let derivations = directory.join("derivations.json");
        let path = directory.join("records");
        let mut store = RecordStore::open(&path)?.with(With::Texts);
        if !is_there {
            say("making package sets");
            for (channel, path) in sets.iter().enumerate() {
                write_set(data, set, channel, size.attributes, path)
                    .with_context(|| format!("cannot write {path}"))?;
            }
            std::fs::write(&derivations, dataset::derivations(data, set)?)?;
            say("reading records");
            let interrupted = AtomicBool::new(false);
            let paths = dataset::advisories(data)?;
            snowguard_tracker::advisories::import(&mut store, &paths, &interrupted, &mut |_| {})?;
            say("copying records under other ids");
            copy_records(&mut store, size.advisories)?;
            std::fs::write(&done, b"")?;
        }
        Ok(Self {
            store,
            sets,
            derivations,
        })
    }
}

/// Writes the package set of a channel: the real one, and again under other names until there are enough.
fn write_set(
    data: &Utf8Path,
    set: &str,
    channel: usize,
    attributes: usize,
    path: &Utf8Path,
) -> Result<()> {
    let mut file = BufWriter::with_capacity(1 << 20, std::fs::File::create(path)?);
    let mut written = 0;
    let mut copy = 0;
    file.write_all(b"{")?;
    while written < attributes {
        let before = written;
        for package in dataset::lines(&data.join(set).join("packages.jsonl.zst"))? {
            if written == attributes {
                break;
            }
            let Value::Object(package) = package? else {
                continue;
            };
            let Some((attr, package)) = package_of(package, channel, copy) else {
                continue;
            };
            if written > 0 {
                file.write_all(b",\n")?;
            }
            serde_json::to_writer(&mut file, &attr)?;
            file.write_all(b":")?;
            serde_json::to_writer(&mut file, &package)?;
            written += 1;
        }
        anyhow::ensure!(written > before, "the package set is empty");
        copy += 1;
    }
    file.write_all(b"}")?;
    file.into_inner()
        .map_err(std::io::IntoInnerError::into_error)?;
    Ok(())
}

/// A package of the data set as a channel has it, under the name of a copy.
fn package_of(
    mut package: Map<String, Value>,
    channel: usize,
    copy: usize,
) -> Option<(String, Map<String, Value>)> {
    if package.get("stub_haskell") == Some(&json!(true)) {
        return None;
    }
    let text = |package: &Map<String, Value>, key: &str| {
        package.get(key).and_then(Value::as_str).map(str::to_owned)
    };
    let attr = text(&package, "attr")?;
    package
        .retain(|key, value| !matches!(key.as_str(), "attr" | "stub_haskell") && !value.is_null());
    let (name, version) = (text(&package, "name")?, text(&package, "version"));
    let mut renamed = name.clone();
    if copy > 0
        && let Some(pname) = text(&package, "pname")
    {
        let other = format!("{pname}-{copy}nd");
        renamed = renamed.replacen(&pname, &other, 1);
        package.insert("pname".to_owned(), json!(other));
    }
    // A tenth of the packages of a channel is not what the first channel has.
    if channel > 0
        && let Some(version) = version.filter(|version| !version.is_empty())
        && digest(&attr, channel).is_multiple_of(10)
    {
        let newer = format!("{version}.{channel}");
        renamed = renamed.replacen(&version, &newer, 1);
        package.insert("version".to_owned(), json!(newer));
    }
    let mark = format!("{:x}", digest(&attr, copy * 100 + channel) % 0x000f_ffff);
    let path = |path: &str| {
        // Letters that a store path may have, and others than those of the real one.
        let path = path.replacen(&name, &renamed, 1);
        match path.get(..12 + mark.len()).zip(path.get(12 + mark.len()..)) {
            Some((head, tail)) => format!("{}{}{tail}", &head[..12], mark.replace('e', "f")),
            None => path,
        }
    };
    if copy > 0 || channel > 0 {
        if let Some(Value::String(drv)) = package.get_mut("drvPath") {
            // How the copies are built is not said anywhere.
            if copy > 0 {
                *drv = path(drv);
            }
        }
        for output in package
            .get_mut("outputs")
            .and_then(Value::as_object_mut)
            .into_iter()
            .flat_map(Map::values_mut)
        {
            if let Value::String(output) = output {
                *output = path(output);
            }
        }
    }
    package.insert("name".to_owned(), json!(renamed));
    let attr = match copy {
        0 => attr,
        copy => format!("{attr}-{copy}nd"),
    };
    Some((attr, package))
}

/// A number that depends on a name only.
fn digest(name: &str, seed: usize) -> u64 {
    let seed = seed as u64 + 0x9E37_79B9_7F4A_7C15;
    name.bytes().fold(seed, |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
    }) >> 7
}

/// Copies all records under other ids, until they join to as many advisories.
fn copy_records(store: &mut RecordStore, advisories: usize) -> Result<()> {
    let mut builder = Builder::new();
    store.fill(&mut builder)?;
    let real = Index::open(&builder.finish().bytes)?.vulnerability_count();
    let mut missing = advisories.saturating_sub(real);
    for copy in 1_u64.. {
        if missing == 0 {
            break;
        }
        // Of the last copy only as many as are missing.
        let share = u64::try_from(missing.min(real) * 1_000 / real.max(1))?;
        for source in store.sources()? {
            if source.kind != SourceKind::Epss {
                copy_source(store, &source.name, source.kind, copy, share)?;
            }
        }
        missing -= missing.min(real);
    }
    Ok(())
}

fn copy_source(
    store: &mut RecordStore,
    source: &str,
    kind: SourceKind,
    copy: u64,
    share: u64,
) -> Result<()> {
    let mut after: Option<String> = None;
    loop {
        let names = store.names(source, after.as_deref(), PIECE)?;
        let Some(last) = names.last() else {
            return Ok(());
        };
        after = Some(last.name.as_str().to_owned());
        let real: Vec<&str> = names
            .iter()
            .map(|stored| stored.name.as_str())
            .filter(|name| !is_copy(name) && digest(name, 7) % 1_000 < share)
            .collect();
        let records = store.under_names(source, &real)?;
        let mut change = store.change()?;
        for record in records.into_iter().flatten() {
            change.put(source, kind, &copied(record, copy)?)?;
        }
        change.commit()?;
    }
}

/// Numbers of copies begin beyond all real ones.
const BEYOND: u64 = 9_000_000;

fn is_copy(name: &str) -> bool {
    let number = name.rsplit('-').next().and_then(|last| last.parse().ok());
    name.contains("-copy") || number.is_some_and(|number: u64| number >= BEYOND)
}

fn copied(mut record: Record, copy: u64) -> Result<Record> {
    record.id = renamed(&record.id, copy)?;
    for alias in &mut record.aliases {
        *alias = renamed(alias, copy)?;
    }
    Ok(record)
}

/// `CVE-2021-3711` as `CVE-2021-9003711`; what has no number gets a word.
fn renamed(id: &AdvisoryId, copy: u64) -> Result<AdvisoryId> {
    let name = match id.as_str().rsplit_once('-') {
        Some((head, number)) if id.cve().is_some() => {
            let number: u64 = number.parse()?;
            format!("{head}-{}", BEYOND + copy * 1_000_000 + number)
        }
        _ => format!("{id}-copy{copy}"),
    };
    Ok(name.parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_have_ids_of_their_own() {
        let renamed = |id: &str| renamed(&id.parse().unwrap(), 2).unwrap().to_string();
        assert_eq!(renamed("CVE-2021-3711"), "CVE-2021-11003711");
        assert_eq!(renamed("GHSA-2x2x-2x2x-2x2x"), "GHSA-2x2x-2x2x-2x2x-copy2");
        assert!(is_copy("CVE-2021-11003711") && is_copy("GHSA-2x2x-2x2x-2x2x-copy2"));
        assert!(!is_copy("CVE-2021-3711") && !is_copy("PYSEC-2021-62"));
    }

    #[test]
    fn copies_of_packages_have_names_and_paths_of_their_own() {
        let package = json!({
            "attr": "hello", "name": "hello-2.10", "pname": "hello", "version": "2.10",
            "drvPath": "/nix/store/j0k77q4jk66z4ija7apbybgsmm5gpbv6-hello-2.10.drv",
            "outputs": { "out": "/nix/store/zbh1fdw1ma95flb4gkfrw04d240ps6jy-hello-2.10" },
            "stub_haskell": false,
        });
        let of = |channel, copy| {
            let package = package.as_object().unwrap().clone();
            package_of(package, channel, copy).unwrap()
        };
        let (attr, first) = of(0, 0);
        assert_eq!((&*attr, &first["name"]), ("hello", &json!("hello-2.10")));
        assert_eq!(first["drvPath"], package["drvPath"]);
        let (attr, copy) = of(0, 1);
        assert_eq!(
            (&*attr, &copy["name"]),
            ("hello-1nd", &json!("hello-1nd-2.10"))
        );
        for path in [&copy["drvPath"], &copy["outputs"]["out"]] {
            let path = path.as_str().unwrap();
            assert!(path.contains("-hello-1nd-2.10"), "{path}");
            let base = path.trim_start_matches("/nix/store/");
            assert_eq!(base.find('-'), Some(32), "{path}");
        }
        assert_ne!(copy["outputs"]["out"], of(1, 1).1["outputs"]["out"]);
    }
}
