//! `--deep`: what is inside of programs and archives, from a store that the real Nix made and from
//! plain directories to what a person reads.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use serde_json::{Value, json};
use snowguard_testkit::nix::{Nix, NixStore};
use snowguard_testkit::programs::{Crate, go, rust};

use crate::support::{Advisories, Place, assert_shown};

/// What is known of libraries.
fn advisories() -> Advisories {
    let mut all = Advisories::usual();
    let vector = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H";
    for (id, purl, rule) in [
        ("CVE-2022-24713", "pkg:cargo/regex", "<1.5.5"),
        ("CVE-2023-0001", "pkg:cargo/cc", "<1.0.2"),
        ("CVE-2022-32149", "pkg:golang/golang.org/x/text", "<0.3.8"),
        ("CVE-2023-42282", "pkg:npm/ip", "<1.1.9"),
    ] {
        all.add(json!({
            "id": id, "published": "2022-03-08", "severities": [{"vector": vector}],
            "affects": [{"products": [purl], "scheme": "semver", "default": "unaffected", "rules": [rule]}],
        }));
    }
    all
}

fn place() -> Place {
    let place = Place::new();
    place.import(&advisories());
    place
}

/// Three programs with one library in each, and one more for building.
fn store() -> (NixStore, Vec<String>) {
    let store = Nix::find().unwrap().store_at("nix/store").unwrap();
    let regex = Crate::new("regex", "1.5.4");
    let crates = [regex, Crate::new("cc", "1.0.1").for_building()];
    let modules = [("golang.org/x/text", "v0.3.7")];
    let objects = [
        (
            "ripgrep-13.0.0",
            "bin/rg",
            rust("ripgrep", "13.0.0", &crates),
        ),
        ("fd-8.0.0", "bin/fd", rust("fd-find", "8.0.0", &[regex])),
        ("bat-0.18.0", "bin/bat", rust("bat", "0.17.9", &[regex])),
        (
            "gh-2.0.0",
            "bin/gh",
            go("go1.21.1", ("example.org/gh", "v2.0.0"), &modules),
        ),
    ]
    .map(|(name, file, program)| {
        let file = store.scratch().join(name).join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, program).unwrap();
        let directory = file.parent().unwrap().parent().unwrap();
        let added = store
            .run("nix-store", &[], ["--add", directory.to_str().unwrap()])
            .unwrap();
        String::from_utf8(added).unwrap().trim().to_owned()
    });
    (store, objects.to_vec())
}

/// What a run showed, without where its store lay and what follows from that.
fn stable(run: &crate::support::Run, store: &NixStore) -> String {
    let text = run.shown();
    let mut pieces = text.split(store.dir().to_str().unwrap());
    let mut out = pieces.next().unwrap().to_owned();
    for piece in pieces {
        // A slash and the 32 characters of the digest.
        out.push_str("[STORE]/[DIGEST]");
        out.push_str(&piece[33..]);
    }
    out
}

/// A scan of these objects, with more arguments.
fn scan(place: &Place, store: &NixStore, objects: &[String], more: &[&str]) -> crate::support::Run {
    let named = format!(
        "local?store={}&state={}",
        store.dir().display(),
        store.scratch().join("var").display()
    );
    let mut args = vec!["scan", "--store", &named];
    args.extend(objects.iter().map(String::as_str));
    args.extend(more);
    place.run(&args)
}

#[test]
fn one_library_in_three_programs_is_one_finding_with_three_places() {
    let (store, objects) = store();
    let place = place();
    let run = scan(&place, &store, &objects, &["--deep", "--quiet"]);
    run.exits(1).fits();
    assert_shown!(run);
    // The same by default: it is known now, and costs nothing.
    let again = scan(&place, &store, &objects, &["--quiet"]);
    assert_eq!(again.stdout, run.stdout);
    let without = scan(&place, &store, &objects, &["--no-deep", "--quiet"]);
    assert!(!without.exits(0).stdout.contains("regex"), "{without}");
    let one = scan(
        &place,
        &store,
        &objects,
        &["--component", "regex", "--quiet"],
    );
    one.exits(1).fits();
    insta::assert_snapshot!(stable(&one, &store));
}

#[test]
fn data_has_every_place() {
    let (store, objects) = store();
    let place = place();
    let run = scan(&place, &store, &objects, &["--deep", "--format", "json"]);
    let report: Value = serde_json::from_str(&run.exits(1).stdout).unwrap();
    assert_eq!(report["subject"]["looked_into"], 4);
    let packages = report["packages"].as_array().unwrap();
    let named = |name: &str| {
        packages
            .iter()
            .find(|package| package["name"] == name)
            .unwrap()
    };
    let regex = named("regex");
    assert_eq!(regex["purl"], "pkg:cargo/regex@1.5.4");
    assert_eq!(regex["inside"], true);
    assert_eq!(regex["findings"].as_array().unwrap().len(), 1);
    let places = regex["places"].as_array().unwrap();
    assert_eq!(places.len(), 3);
    // The bytes that are named are those that declare it.
    for place in places {
        let file = format!(
            "{}/{}",
            place["object"].as_str().unwrap(),
            place["file"].as_str().unwrap()
        );
        let bytes = fs::read(file).unwrap();
        let from = usize::try_from(place["offset"].as_u64().unwrap()).unwrap();
        let length = usize::try_from(place["length"].as_u64().unwrap()).unwrap();
        let mut packed = flate2::read::ZlibDecoder::new(&bytes[from..from + length]);
        let list: Value = serde_json::from_reader(&mut packed).unwrap();
        assert!(list.to_string().contains("regex"));
    }
    let cc = named("cc");
    assert_eq!(
        (&cc["scope"], &cc["findings"][0]["status"]),
        (&json!("build-time"), &json!("needs_review"))
    );
    assert_eq!(
        named("golang.org/x/text")["purl"],
        "pkg:golang/golang.org/x/text@v0.3.7"
    );
}

#[test]
fn explain_names_the_bytes() {
    let (store, objects) = store();
    let place = place();
    let named = format!(
        "local?store={}&state={}",
        store.dir().display(),
        store.scratch().join("var").display()
    );
    let mut args = vec![
        "explain",
        "CVE-2022-24713",
        "regex",
        "--deep",
        "--quiet",
        "--store",
        &named,
    ];
    for object in &objects {
        args.extend(["--in", object]);
    }
    let run = place.run(&args);
    run.exits(1).fits();
    insta::assert_snapshot!(stable(&run, &store));
}

#[test]
fn a_purl_suppresses_what_is_inside() {
    let (store, objects) = store();
    let place = place();
    place.write(
        "snowguard.toml",
        r#"
[[suppress]]
component = "pkg:cargo/regex@1.5.4"
advisory = "CVE-2022-24713"
reason = "patterns are our own"

[[suppress]]
component = "pkg:golang/golang.org/x/text@v0.3.7"
advisory = "CVE-2022-32149"
reason = "no languages are parsed"
"#,
    );
    let run = scan(&place, &store, &objects, &["--deep", "--format", "json"]);
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(report["summary"]["suppressed"], 2, "{run}");
    assert_eq!(report["suppressions"]["unused"], json!([]));
}

#[test]
fn a_bill_of_materials_comes_back_with_what_is_inside() {
    let (store, objects) = store();
    let place = place();
    let named = format!(
        "local?store={}&state={}",
        store.dir().display(),
        store.scratch().join("var").display()
    );
    let mut args = vec!["sbom", "--deep", "--output", "bom.json", "--store", &named];
    args.extend(objects.iter().map(String::as_str));
    place.run(&args).exits(0);
    let run = place.run(&["scan", "bom.json", "--format", "json"]);
    let report: Value = serde_json::from_str(&run.exits(1).stdout).unwrap();
    let names: Vec<&str> = report["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| package["name"].as_str().unwrap())
        .collect();
    assert!(
        names.contains(&"regex") && names.contains(&"golang.org/x/text"),
        "{names:?}"
    );
}

#[test]
fn a_directory_of_files_needs_to_be_asked_for() {
    let place = place();
    place.write(
        "app/node_modules/ip/package.json",
        r#"{"name": "ip", "version": "1.1.5"}"#,
    );
    place.write(
        "app/bin/tool",
        rust("tool", "1.0.0", &[Crate::new("regex", "1.5.4")]),
    );
    let run = place.run(&["scan", "app", "--quiet"]);
    run.fails_with("there is no .drv file in");
    assert!(run.stderr.contains("`--deep`"), "{run}");
    let run = place.run(&["scan", "--deep", "app", "--quiet"]);
    run.exits(1).fits();
    assert_shown!(run);
    let nothing = place.run(&[
        "scan",
        "--deep",
        "app/node_modules/ip/package.json",
        "--quiet",
    ]);
    assert!(
        nothing
            .exits(0)
            .stdout
            .contains("no file here declares a library"),
        "{nothing}"
    );
}

#[test]
fn five_thousand_modules_are_one_screen() {
    let place = Place::new();
    let mut all = advisories();
    for at in 0..300 {
        all.add(json!({
            "id": format!("CVE-2024-{}", 10_000 + at), "published": "2024-03-08",
            "severities": [{"vector": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H"}],
            "affects": [{"products": [format!("pkg:npm/module-{at}")], "scheme": "semver", "default": "unaffected", "rules": ["<2.0.0"]}],
        }));
    }
    place.import(&all);
    for at in 0..5_000 {
        place.write(
            &format!("app/node_modules/module-{at}/package.json"),
            format!(r#"{{"name": "module-{at}", "version": "1.0.0"}}"#),
        );
    }
    let run = place.run(&["scan", "--deep", "app", "--quiet"]);
    run.exits(1).fits();
    assert!(run.stdout.contains("5,000 libraries"), "{run}");
    assert!(
        run.stdout
            .contains("and 288 more packages (--all shows them)"),
        "{run}"
    );
    assert!(run.stdout.lines().count() < 60, "{run}");
}

/// Whatever a killed scan left behind, the next one finds what there is, and says nothing of it.
#[test]
fn killed_scans_leave_a_cache_that_holds() {
    let place = place();
    for at in 0..300 {
        let name = format!("library-{at}");
        let program = rust("tool", "1.0.0", &[Crate::new(&name, "1.0.0")]);
        place.write(&format!("app/d{at}/bin/tool"), program);
    }
    let args = ["scan", "--deep", "app", "--format", "json"];
    let packages = |run: &crate::support::Run| -> Value {
        serde_json::from_str::<Value>(&run.stdout).unwrap()["subject"]["parts"].clone()
    };
    let mut killed = 0;
    for at in 0..40_u32 {
        // Something new each time, so that each writes.
        place.write(&format!("app/new-{at}/Cargo.lock"), "version = 3\n");
        let mut child = place
            .command(&args)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(u64::from(at) * 2));
        let _ = child.kill();
        killed += usize::from(child.wait().unwrap().signal() == Some(9));
    }
    assert!(killed > 0, "every scan ended before it could be killed");
    let run = place.run(&args);
    assert_eq!(packages(&run), 301, "{run}");
    assert!(!run.stderr.contains("damaged"), "{run}");
    let fresh = place.run_with(&args, &[("CACHE_DIRECTORY", "/nonexistent/of/nobody")]);
    assert_eq!(packages(&fresh), 301);
}

#[test]
fn a_difference_is_none_that_only_one_side_was_looked_into_for() {
    let (store, objects) = store();
    let place = place();
    // Nobody can look into what is only described.
    place.system(
        "old.json.zst",
        &crate::support::System::new("old", [crate::support::Package::new("ripgrep-13.0.0")]),
    );
    let named = format!(
        "local?store={}&state={}",
        store.dir().display(),
        store.scratch().join("var").display()
    );
    let old = "old.json.zst";
    let diff = |more: &[&str]| {
        let mut args = vec!["diff", "--store", &named, old, &objects[0]];
        args.extend(more);
        place.run(&args)
    };
    let run = diff(&[]);
    assert!(!run.exits(0).stdout.contains("regex"), "{run}");
    assert!(run.stderr.contains("is not compared"), "{run}");
    assert!(diff(&["--deep"]).exits(1).stdout.contains("regex"));
}
