//! Names and versions: every answer is that of Nix's builtins.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use serde_json::{Value, json};
use snowguard_store::{compare_versions, parse_drv_name, version_components};

use crate::support::{Numbers, nix, text};

/// How many pairs of versions are compared.
const PAIRS: usize = 100_000;

#[test]
fn every_name_of_two_package_sets_is_split_as_nix_does() {
    let names = text("data/names.txt");
    let names: Vec<&str> = names.lines().collect();
    assert!(names.len() > 30_000);
    assert!(names.is_sorted());
    check_names(&names);
}

#[test]
fn odd_names_are_split_as_nix_does() {
    let mut numbers = Numbers(1);
    let names: BTreeSet<String> = (0..20_000)
        .map(|_| {
            word(
                &mut numbers,
                &[
                    "-", "-", "a", "Z", "0", "9", ".", "_", "+", "é", "☃", " ", "--", "1-",
                ],
                8,
            )
        })
        .collect();
    check_names(&names.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn versions_are_compared_as_nix_does() {
    let mut numbers = Numbers(2);
    let pairs = pairs(&mut numbers);
    let mut differ = 0;
    let store = nix().store().unwrap();
    store
        .write("pairs.json", serde_json::to_vec(&pairs).unwrap())
        .unwrap();
    let answers = store
        .evaluate(
            "map (pair: builtins.compareVersions (builtins.elemAt pair 0) (builtins.elemAt pair 1)) \
             (builtins.fromJSON (builtins.readFile ./pairs.json))",
        )
        .unwrap();
    for ((left, right), answer) in pairs.iter().zip(answers.as_array().unwrap()) {
        let ours = match compare_versions(left, right) {
            Ordering::Less => -1,
            Ordering::Equal => 0,
            Ordering::Greater => 1,
        };
        assert_eq!(json!(ours), *answer, "{left:?} {right:?}");
        differ += usize::from(ours != 0);
    }
    assert_eq!(answers.as_array().unwrap().len(), PAIRS);
    assert!(
        (PAIRS / 2..PAIRS).contains(&differ),
        "{differ} pairs differ: the generator has gone dull"
    );
}

#[test]
fn versions_are_cut_as_nix_does() {
    let mut numbers = Numbers(3);
    let versions: BTreeSet<String> = pairs(&mut numbers)
        .into_iter()
        .map(|(version, _)| version)
        .collect();
    let store = nix().store().unwrap();
    store
        .write("versions.json", serde_json::to_vec(&versions).unwrap())
        .unwrap();
    let answers = store
        .evaluate(
            "map builtins.splitVersion (builtins.fromJSON (builtins.readFile ./versions.json))",
        )
        .unwrap();
    for (version, answer) in versions.iter().zip(answers.as_array().unwrap()) {
        let ours: Vec<&str> = version_components(version).collect();
        assert_eq!(json!(ours), *answer, "{version:?}");
    }
}

fn check_names(names: &[&str]) {
    let store = nix().store().unwrap();
    store
        .write("names.json", serde_json::to_vec(names).unwrap())
        .unwrap();
    let answers = store
        .evaluate("map builtins.parseDrvName (builtins.fromJSON (builtins.readFile ./names.json))")
        .unwrap();
    let answers: &Vec<Value> = answers.as_array().unwrap();
    assert_eq!(answers.len(), names.len());
    for (name, answer) in names.iter().zip(answers) {
        let (package, version) = parse_drv_name(name);
        assert_eq!(
            json!({ "name": package, "version": version }),
            *answer,
            "{name:?}"
        );
    }
}

/// Pairs of versions: alike ones, strange ones, real ones.
fn pairs(numbers: &mut Numbers) -> Vec<(String, String)> {
    const PARTS: [&str; 40] = [
        "0",
        "1",
        "2",
        "9",
        "10",
        "00",
        "01",
        "001",
        "99",
        "2147483647",
        "2147483648",
        "4294967296",
        "99999999999999999999",
        "0000000000000000000001",
        ".",
        ".",
        ".",
        "-",
        "-",
        "..",
        "-.",
        "pre",
        "pre1",
        "rc",
        "a",
        "b",
        "alpha",
        "p",
        "PRE",
        "prefix",
        "_",
        "+",
        "~",
        "é",
        "☃",
        " ",
        "unstable",
        "git",
        "v",
        "e",
    ];
    let names = text("data/names.txt");
    let real: Vec<&str> = names
        .lines()
        .map(|name| parse_drv_name(name).1)
        .filter(|version| !version.is_empty())
        .collect();
    (0..PAIRS)
        .map(|_| match numbers.below(4) {
            0 => (word(numbers, &PARTS, 6), word(numbers, &PARTS, 6)),
            1 => {
                let version = word(numbers, &PARTS, 6);
                let other = changed(numbers, &version, &PARTS);
                (version, other)
            }
            2 => (
                numbers.pick(&real).to_string(),
                numbers.pick(&real).to_string(),
            ),
            _ => {
                let version = numbers.pick(&real).to_string();
                let other = changed(numbers, &version, &PARTS);
                (version, other)
            }
        })
        .collect()
}

fn word(numbers: &mut Numbers, parts: &[&str], most: usize) -> String {
    let count = numbers.below(most + 1);
    (0..count).map(|_| *numbers.pick(parts)).collect()
}

/// The same version with something put in, taken out or replaced.
fn changed(numbers: &mut Numbers, version: &str, parts: &[&str]) -> String {
    let mut characters: Vec<String> = version.chars().map(String::from).collect();
    for _ in 0..=numbers.below(2) {
        let at = numbers.below(characters.len() + 1);
        match numbers.below(3) {
            0 => characters.insert(at, numbers.pick(parts).to_string()),
            1 if at < characters.len() => drop(characters.remove(at)),
            _ if at < characters.len() => characters[at] = numbers.pick(parts).to_string(),
            _ => {}
        }
    }
    characters.concat()
}
