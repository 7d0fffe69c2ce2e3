//! The labelled set of `tests/labels` against the program as it is shipped: any row that differs
//! from what the program says fails, with the program's reasons.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::{Package, Place, System, example};

struct Row<'r> {
    package: &'r str,
    version: &'r str,
    advisory: &'r str,
    status: &'r str,
    reason: &'r str,
    source: &'r str,
}

fn rows(csv: &str) -> Vec<Row<'_>> {
    let mut lines = csv.lines();
    let head = lines.next();
    assert_eq!(head, Some("package,version,advisory,status,reason,source"));
    lines
        .map(|line| {
            let fields: Vec<&str> = line.split(',').collect();
            let &[package, version, advisory, status, reason, source] = fields.as_slice() else {
                panic!("{line} has {} fields", fields.len());
            };
            assert!(source.starts_with("https://"), "{line} has no source");
            Row {
                package,
                version,
                advisory,
                status,
                reason,
                source,
            }
        })
        .collect()
}

/// By package, version and advisory: what a scan tells.
type Told = BTreeMap<(String, String, String), String>;

fn told(place: &Place, input: &str) -> Told {
    let run = place.run(&["scan", input, "--format", "json", "--quiet"]);
    let report: Value = serde_json::from_str(&run.stdout).expect("a report");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut told = Told::new();
    for package in report["packages"].as_array().unwrap() {
        for finding in package["findings"].as_array().unwrap() {
            let (name, version) = (text(&package["name"]), text(&package["version"]));
            let key = (name, version, text(&finding["id"]));
            told.insert(key, text(&finding["status"]));
        }
    }
    told
}

/// What `explain` says, and its reasons. It fails for a package or an advisory that is not there.
fn explained(place: &Place, input: &str, name: &str, row: &Row<'_>) -> (String, String) {
    let package = format!("{name}@{}", row.version);
    let run = place.run(&[
        "explain",
        row.advisory,
        &package,
        "--in",
        input,
        "--format",
        "json",
        "--quiet",
    ]);
    assert_ne!(run.code, 2, "{run}");
    let document: Value = serde_json::from_str(&run.stdout).unwrap();
    let package = &document["packages"][0];
    let evidence: Vec<String> = package["evidence"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| format!("{}, {}: {}", e["record"], e["product"], e["range"]))
        .collect();
    (
        package["status"].as_str().unwrap().to_owned(),
        format!("{} ({})", package["reason"], evidence.join("; ")),
    )
}

fn score(place: &Place, input: &str, rows: &[Row<'_>]) {
    let told = told(place, input);
    let mut wrong = Vec::new();
    for row in rows {
        let name = row.package.split(' ').next().unwrap();
        let key = [name, row.version, row.advisory].map(str::to_owned);
        let scanned = told.get(&key.into());
        // What a scan lists needs no second question, unless it is wrong.
        if scanned.is_some_and(|scanned| *scanned == row.status) {
            continue;
        }
        let (said, why) = explained(place, input, name, row);
        let holds = match row.status {
            "other" => ["not concerned", "another product", "not_affected"].contains(&&*said),
            "fixed" | "not_affected" => said == row.status,
            // These a scan must have listed.
            "affected" | "patched" | "needs_review" => false,
            unknown => panic!("`{unknown}` is not a status"),
        };
        assert!(
            scanned.is_none_or(|scanned| *scanned == said),
            "scan and explain differ about {name} and {}",
            row.advisory
        );
        if !holds {
            wrong.push(format!(
                "{name} {}, {}: {} ({}; {})\n  but it says {said}: {why}",
                row.version, row.advisory, row.status, row.reason, row.source
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} rows differ:\n{}",
        wrong.len(),
        rows.len(),
        wrong.join("\n")
    );
}

#[test]
fn every_row_about_the_example_holds() {
    let rows = rows(include_str!("../labels/example.csv"));
    assert!(rows.len() >= 100, "the set shrank to {}", rows.len());
    // No import: the index is the one in the program.
    score(&Place::new(), &example(), &rows);
}

#[test]
fn every_row_about_homonyms_holds() {
    let rows = rows(include_str!("../labels/homonyms.csv"));
    assert!(rows.len() >= 11, "the set shrank to {}", rows.len());
    let place = Place::new();
    place.write("homonyms.jsonl", include_str!("../labels/homonyms.jsonl"));
    let import = place.run(&["advisories", "import", "homonyms.jsonl", "--quiet"]);
    assert_eq!((import.code, import.stderr.as_str()), (0, ""), "{import}");
    let mut packages: Vec<(&str, Package)> = Vec::new();
    for row in &rows {
        let (name, url) = row.package.split_once(' ').unwrap();
        if packages.iter().all(|(known, _)| *known != row.package) {
            let package = Package::new(&format!("{name}-{}", row.version)).source(url);
            packages.push((row.package, package));
        }
    }
    let packages = packages.into_iter().map(|(_, package)| package);
    place.system("homonyms.json.zst", &System::new("homonyms", packages));
    score(&place, "homonyms.json.zst", &rows);
}
