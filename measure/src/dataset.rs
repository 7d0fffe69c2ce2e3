//! The data set's own JSON lines, turned into the forms that the product reads.

use std::io::{BufRead as _, BufReader};

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};
use serde_json::{Map, Value, json};

/// The documents of a `.jsonl.zst` file.
pub(crate) fn lines(path: &Utf8Path) -> Result<impl Iterator<Item = Result<Value>>> {
    let file = std::fs::File::open(path).with_context(|| format!("cannot open {path}"))?;
    let mut decoder = zstd::stream::read::Decoder::new(file)?;
    decoder.window_log_max(27)?;
    let path = path.to_owned();
    Ok(BufReader::with_capacity(1 << 20, decoder)
        .lines()
        .map(move |line| {
            let line = line.with_context(|| format!("cannot read {path}"))?;
            serde_json::from_str(&line)
                .with_context(|| format!("{path} has a line that is no JSON"))
        }))
}

/// A package set as `nix-env -qaP --json --meta --drv-path --out-path` prints it.
pub(crate) fn package_set(data: &Utf8Path, set: &str) -> Result<Vec<u8>> {
    let mut packages = Map::new();
    for package in lines(&data.join(set).join("packages.jsonl.zst"))? {
        let mut package = package?;
        let attr = package["attr"].as_str().unwrap_or_default().to_owned();
        // Evaluated without their real versions: no conclusions from these.
        if package["stub_haskell"] == json!(true) {
            continue;
        }
        if let Some(package) = package.as_object_mut() {
            package.retain(|key, value| {
                !matches!(key.as_str(), "attr" | "stub_haskell") && !value.is_null()
            });
        }
        packages.insert(attr, package);
    }
    Ok(serde_json::to_vec(&Value::Object(packages))?)
}

/// Derivations as the older `nix derivation show -r` prints them.
pub(crate) fn derivations(data: &Utf8Path, set: &str) -> Result<Vec<u8>> {
    let mut all = Map::new();
    for drv in lines(&data.join(set).join("derivations.jsonl.zst"))? {
        let drv = drv?;
        all.insert(
            drv["drv"].as_str().unwrap_or_default().to_owned(),
            derivation(&drv),
        );
    }
    Ok(serde_json::to_vec(&Value::Object(all))?)
}

fn derivation(drv: &Value) -> Value {
    let rows = |name: &str| drv[name].as_array().into_iter().flatten();
    let mut outputs = Map::new();
    for output in rows("outputs") {
        let field = |at: usize| output[at].as_str().unwrap_or_default();
        let mut described = json!({ "path": field(1) });
        if !field(2).is_empty() {
            described["hashAlgo"] = json!(field(2));
            described["hash"] = json!(field(3));
        }
        outputs.insert(field(0).to_owned(), described);
    }
    let inputs: Map<String, Value> = rows("inputDrvs")
        .map(|input| {
            (
                input[0].as_str().unwrap_or_default().to_owned(),
                input[1].clone(),
            )
        })
        .collect();
    let mut env = Map::new();
    for (name, value) in drv["env"].as_object().into_iter().flatten() {
        match name.as_str() {
            "present" => {}
            // The texts of the phases are left out of the data set, but for the ids in them.
            "cves_in_phases" => {
                let ids: Vec<&str> = value
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                    .collect();
                env.insert(
                    "postPatch".to_owned(),
                    json!(format!("# {}", ids.join(" "))),
                );
            }
            _ => {
                env.insert(name.clone(), value.clone());
            }
        }
    }
    json!({
        "outputs": outputs,
        "inputSrcs": drv["inputSrcs"],
        "inputDrvs": inputs,
        "system": drv["system"],
        "builder": drv["builder"],
        "args": [],
        "env": env,
    })
}

/// All advisory files of the data set, but for the volume of texts.
pub(crate) fn advisories(data: &Utf8Path) -> Result<Vec<Utf8PathBuf>> {
    let mut files = Vec::new();
    for entry in data.join("advisories").read_dir_utf8()? {
        let path = entry?.into_path();
        let name = path.file_name().unwrap_or_default();
        if (name.ends_with(".jsonl.zst") && !name.starts_with("texts-")) || name == "kev.json" {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
