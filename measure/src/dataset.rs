//! The data set's own JSON lines, turned into the forms that the product reads.

use std::collections::HashMap;
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

/// One of them, without the texts that the data set only names.
pub(crate) fn derivation(drv: &Value) -> Value {
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

/// What the records say in prose, by CVE id: the index keeps none of it, and feeds are full of it.
pub(crate) fn descriptions(data: &Utf8Path) -> Result<HashMap<String, String>> {
    let mut all = HashMap::new();
    for path in advisories(data)? {
        if path.as_str().ends_with(".zst") {
            for record in lines(&path)? {
                let record = record?;
                if let Some(text) = description(&record) {
                    for id in cve_ids(&record) {
                        all.entry(id.to_owned()).or_insert_with(|| text.to_owned());
                    }
                }
            }
        }
    }
    Ok(all)
}

/// Of a CVE or OSV record; Anchore's have none.
fn description(record: &Value) -> Option<&str> {
    let english = |list: &&Value| list["lang"].as_str().is_some_and(|l| l.starts_with("en"));
    let list = record["containers"]["cna"]["descriptions"].as_array();
    list.and_then(|list| list.iter().find(english)?["value"].as_str())
        .or_else(|| record["details"].as_str())
        .or_else(|| record["summary"].as_str())
}

fn cve_ids(record: &Value) -> impl Iterator<Item = &str> {
    [&record["cveMetadata"]["cveId"], &record["id"]]
        .into_iter()
        .chain(record["aliases"].as_array().into_iter().flatten())
        .filter_map(Value::as_str)
        .filter(|id| id.starts_with("CVE-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_every_format_have_ids_and_prose() {
        let cve = json!({
            "cveMetadata": { "cveId": "CVE-2020-1" },
            "containers": { "cna": { "descriptions": [
                { "lang": "de", "value": "Fehler" }, { "lang": "en-US", "value": "flaw" },
            ] } },
        });
        let osv =
            json!({ "id": "PYSEC-1", "aliases": ["GHSA-x", "CVE-2020-2"], "summary": "flaw" });
        let silent = json!({ "cve": {} });
        let of = |record: &Value| {
            let ids: Vec<String> = cve_ids(record).map(str::to_owned).collect();
            (ids.join(" "), description(record).map(str::to_owned))
        };
        assert_eq!(of(&cve), ("CVE-2020-1".into(), Some("flaw".into())));
        assert_eq!(of(&osv), ("CVE-2020-2".into(), Some("flaw".into())));
        assert_eq!(of(&silent), (String::new(), None));
    }
}
