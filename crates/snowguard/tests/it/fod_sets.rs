//! `snowguard fod` on evaluated package sets, with derivations that the real Nix wrote beside them.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use snowguard_testkit::nix::{Nix, NixStore};

use crate::fod::directory;
use crate::support::{Place, Run};

/// A package in two versions, of which the second has the hash of the first; each has a source of its own.
const HELLO: &str = r#"
  let
    drv = args: derivation ({ system = "x86_64-linux"; builder = "/bin/sh"; } // args);
    hello = version: drv {
      name = "hello-${version}";
      src = drv {
        name = "source"; urls = [ "https://example.org/v${version}/hello.tar.gz" ];
        outputHash = builtins.hashString "sha256" "hello"; outputHashAlgo = "sha256"; outputHashMode = "flat";
      };
    };
"#;

/// A store with some versions, and package sets that name one each.
fn sets(place: &Place, versions: &[&str]) -> NixStore {
    let store = Nix::find().unwrap().store_at("nix/store").unwrap();
    for version in versions {
        let expression = format!("{HELLO} in (hello \"{version}\")");
        store.instantiate(&expression, &[]).unwrap();
        let drv = store.evaluate(&format!("{expression}.drvPath")).unwrap();
        let set = json!({ "hello": {
            "name": format!("hello-{version}"), "pname": "hello", "version": version,
            "system": "x86_64-linux", "outputName": "out", "outputs": { "out": null },
            "meta": { "position": "pkgs/hello.nix:3" }, "drvPath": drv,
        }});
        place.write(&format!("{version}.json"), set.to_string());
    }
    store
}

fn document(run: &Run) -> Value {
    serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}{run}"))
}

fn is_of_hello(row: &Value) -> bool {
    row["attributes"] == json!(["hello"]) && row["position"] == "pkgs/hello.nix:3"
}

#[test]
fn only_what_a_package_of_the_set_needs_is_listed() {
    let place = Place::new();
    let store = sets(&place, &["1", "2"]);
    let args = ["--derivations", directory(&store), "--format", "json"];
    let told = document(
        place
            .run(&[&["fod", "list", "2.json"], &args[..]].concat())
            .exits(0),
    );
    let rows = told["fods"].as_array().unwrap();
    let urls: Vec<&Value> = rows.iter().map(|row| &row["urls"]).collect();
    assert_eq!(urls, [&json!(["https://example.org/v2/hello.tar.gz"])]);
    assert!(is_of_hello(&rows[0]), "{told}");
    assert_eq!(
        (&told["derivations"], &told["gaps"]),
        (&json!(2), &json!([]))
    );
}

#[test]
fn a_forgotten_hash_is_found_in_one_store_and_in_two() {
    let (place, other) = (Place::new(), Place::new());
    let both = sets(&place, &["1", "2"]);
    let beside = ["--derivations", directory(&both)];
    check(&place, &["1.json", "2.json"], &beside);
    // Each side with its own.
    let (one, two) = (sets(&other, &["1"]), sets(&other, &["2"]));
    let beside = [
        "--base-derivations",
        directory(&one),
        "--head-derivations",
        directory(&two),
    ];
    check(&other, &["1.json", "2.json"], &beside);
    // Those of the other side are none of its own.
    let swapped = [beside[0], beside[3], beside[2], beside[1]];
    let run = other.run(&[&["fod", "gate", "1.json", "2.json"], &swapped[..]].concat());
    run.fails_with("no derivation of");
}

fn check(place: &Place, sides: &[&str], beside: &[&str]) {
    let run = |command: &str| {
        let args = [&["fod", command], sides, beside, &["--format", "json"]].concat();
        document(place.run(&args).exits(1))
    };
    let difference = run("diff");
    let unchanged = &difference["unchanged_hash"];
    assert_eq!(unchanged[0]["kind"], "stale", "{difference}");
    assert!(is_of_hello(&unchanged[0]["head"]) && is_of_hello(&unchanged[0]["base"]));
    let gate = run("gate");
    let found = &gate["findings"][0];
    assert_eq!(
        (&found["rule"], &found["attribute"], &found["position"]),
        (
            &json!("stale-hash"),
            &json!("hello"),
            &json!("pkgs/hello.nix:3")
        ),
        "{gate}"
    );
    let same = [&["fod", "gate", sides[0], sides[0]], beside].concat();
    if beside.len() == 2 {
        place.run(&same).exits(0);
    }
}

#[test]
fn the_script_of_the_gate_takes_package_sets() {
    let place = Place::new();
    let store = sets(&place, &["1", "2"]);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../actions/fod-gate/gate.sh");
    let run = |more: &[(&str, &str)]| {
        let mut command = Command::new("bash");
        command.arg(&script).env("BASE", "1.json");
        command.env("HEAD", "2.json").envs(more.iter().copied());
        command.env("SNOWGUARD", env!("CARGO_BIN_EXE_snowguard"));
        let output = command.current_dir(place.work()).output().unwrap();
        output.status.code()
    };
    let beside = directory(&store);
    let sides = [("BASE_DERIVATIONS", beside), ("HEAD_DERIVATIONS", beside)];
    assert_eq!(run(&sides), Some(1));
    // A side of which nothing is known is no success.
    assert_eq!(run(&sides[..1]), Some(2));
}

/// As the help has it, with the Nix that is here: an older one tells no derivation, and outputs lead there.
#[test]
fn what_nix_env_prints_is_joined_with_derivations() {
    let place = Place::new();
    let store = Nix::find().unwrap().store_at("nix/store").unwrap();
    let expression = format!("{HELLO} in {{ a = hello \"1\"; }}");
    store.instantiate(&expression, &[]).unwrap();
    let file = store.write("set.nix", &expression).unwrap();
    let args = ["-f", file.to_str().unwrap(), "-qaP", "--json", "--meta"];
    let all = [&args[..], &["--drv-path", "--out-path"]].concat();
    place.write("set.json", store.run("nix-env", &[], all).unwrap());
    let args = ["--derivations", directory(&store), "--format", "json"];
    let run = place.run(&[&["fod", "list", "set.json"], &args[..]].concat());
    let told = document(run.exits(0));
    assert_eq!(told["fods"][0]["attributes"], json!(["a"]), "{told}");
    assert_eq!(told["gaps"], json!([]));
}

/// One package whose source has another address, and the same hash: its output is called as before. With it another
/// that did not change.
const MOVED: &str = r#"
  let
    drv = args: derivation ({ system = "x86_64-linux"; builder = "/bin/sh"; } // args);
    package = name: url: drv {
      inherit name;
      src = drv {
        name = "source"; urls = [ url ];
        outputHash = builtins.hashString "sha256" name; outputHashAlgo = "sha256"; outputHashMode = "flat";
      };
    };
    set = version: {
      hello = package "hello" "https://example.org/v${version}/hello.tar.gz";
      other = package "other" "https://example.org/other.tar.gz";
    };
"#;

/// What the real `nix-env` prints of one version of these; a newer one tells derivations, which are left out.
fn set_of_outputs(store: &NixStore, version: &str) -> Value {
    let expression = format!("{MOVED} in set \"{version}\"");
    let all = format!("{MOVED} in builtins.attrValues (set \"{version}\")");
    store.instantiate(&all, &[]).unwrap();
    let file = store.write("set.nix", &expression).unwrap();
    let args = ["-f", file.to_str().unwrap(), "-qaP", "--json", "--meta"];
    let told = store.run("nix-env", &[], [&args[..], &["--out-path"]].concat());
    let mut set: Value = serde_json::from_slice(&told.unwrap()).unwrap();
    for package in set.as_object_mut().unwrap().values_mut() {
        package.as_object_mut().unwrap().remove("drvPath");
    }
    set
}

#[test]
fn outputs_that_several_derivations_have_tell_none_of_them() {
    let place = Place::new();
    let store = Nix::find().unwrap().store_at("nix/store").unwrap();
    for version in ["1", "2"] {
        let set = set_of_outputs(&store, version);
        place.write(&format!("{version}.json"), set.to_string());
        let only = json!({ "hello": set["hello"] });
        place.write(&format!("only-{version}.json"), only.to_string());
    }
    let beside = ["--derivations", directory(&store)];
    let run = |args: &[&str]| place.run(&[args, &beside].concat());
    // The path of its output is the same on both sides: only its derivation is another.
    let told = document(run(&["fod", "list", "1.json", "--format", "json"]).exits(0));
    let urls: Vec<&Value> = told["fods"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| &row["urls"])
        .collect();
    assert_eq!(
        urls,
        [&json!(["https://example.org/other.tar.gz"])],
        "{told}"
    );
    let gap = told["gaps"][0].as_str().unwrap();
    insta::assert_snapshot!(gap, @"1 package has the output of several derivations, hello among them, and none was taken: give a set with drvPath (nix-eval-jobs, or nix-env --drv-path of Nix 2.20 or newer), or the derivations of this set alone");
    assert_eq!(told["gaps"].as_array().unwrap().len(), 1, "{told}");
    for sides in [["1.json", "2.json"], ["only-1.json", "only-2.json"]] {
        let gate = ["fod", "gate", sides[0], sides[1], "--format", "json"];
        let told = document(run(&gate).exits(1));
        let rules: Vec<&Value> = told["findings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|found| &found["rule"])
            .collect();
        assert_eq!(
            rules,
            [&json!("incomplete"), &json!("incomplete")],
            "{told}"
        );
        run(&[&gate[..], &["--allow-incomplete"]].concat()).exits(0);
    }
    let diff = run(&["fod", "diff", "1.json", "2.json"]);
    assert!(diff.exits(0).stdout.contains("hello among them"), "{diff}");
    // Where nothing else is known, there is nothing to list, and no success.
    for args in [
        &["fod", "list", "only-1.json"][..],
        &["fod", "diff", "only-1.json", "only-2.json"],
        &["fod", "verify", "only-1.json"],
    ] {
        run(args).fails_with("several have the same outputs");
    }
}

#[test]
fn outputs_tell_derivations_where_each_side_has_its_own() {
    let place = Place::new();
    let stores = ["1", "2"].map(|version| {
        let store = Nix::find().unwrap().store_at("nix/store").unwrap();
        let set = set_of_outputs(&store, version);
        place.write(&format!("{version}.json"), set.to_string());
        store
    });
    let [base, head] = &stores;
    let beside = [
        "--base-derivations",
        directory(base),
        "--head-derivations",
        directory(head),
    ];
    let args = [
        &["fod", "gate", "1.json", "2.json"],
        &beside[..],
        &["--format", "json"],
    ]
    .concat();
    let told = document(place.run(&args).exits(1));
    assert_eq!(told["findings"][0]["rule"], "stale-hash", "{told}");
    assert!(told["gaps"] == json!([]), "{told}");
}
