//! `snowguard fod`: on derivations that the real Nix wrote.

use std::collections::BTreeMap;

use serde_json::Value;
use snowguard_testkit::nix::{Nix, NixStore};

use crate::support::{Place, assert_shown};

/// The shapes of Nixpkgs' fetchers, with tools that are called as its tools are.
const FETCHERS: &str = r#"
let
  system = "x86_64-linux";
  drv = args: derivation ({ inherit system; builder = "/bin/sh"; } // args);
  tool = name: drv { inherit name; };
  curl = tool "curl-8.1.0";
  git = tool "git-2.51.0";
  go = tool "go-1.24.1";
  proxies = [ "http_proxy" "https_proxy" "ftp_proxy" "all_proxy" "no_proxy" ];
  mirrors = drv { name = "mirrors-list"; gnu = "https://ftpmirror.gnu.org/ https://ftp.gnu.org/gnu/"; };
  sha256 = n: builtins.hashString "sha256" n;
  fixed = name: hash: args: drv ({
    inherit name; outputHash = hash; outputHashAlgo = "sha256"; outputHashMode = "flat";
  } // args);
  fetchurl = name: urls: args: fixed name (sha256 name) ({
    inherit urls; nativeBuildInputs = [ curl ]; mirrorsFile = mirrors; impureEnvVars = proxies;
    SSL_CERT_FILE = "/no-cert-file.crt";
  } // args);
  fetchgit = name: url: rev: fixed name (sha256 (name + VERSION)) {
    inherit url rev; nativeBuildInputs = [ git ]; impureEnvVars = proxies; outputHashMode = "recursive";
    GIT_SSL_CAINFO = "/etc/ssl/certs/ca-bundle.crt"; fetchSubmodules = true;
  };
  VERSION = "@VERSION@";
in
drv {
  name = "system";
  needs = [
    (fetchurl "hello-2.12.tar.gz" [ "mirror://gnu/hello/hello-2.12.tar.gz" ] { })
    (fetchurl "plain.tar.gz" [ "http://example.org/plain-1.tar.gz" ] { })
    (fetchurl "source" [ "https://github.com/o/r/archive/v${VERSION}.tar.gz" ] {
      downloadToTemp = true; postFetch = "unpackFile $downloadedFile"; outputHashMode = "recursive";
    })
    (drv {
      name = "weak.tar.gz"; urls = [ "https://example.org/weak.tar.gz" ]; nativeBuildInputs = [ curl ];
      outputHash = builtins.hashString "sha1" "weak"; outputHashAlgo = "sha1"; outputHashMode = "flat";
    })
    (fetchgit "repo" "https://example.org/repo.git" "v1")
    (fetchgit "old" "git://example.org/old.git" "0123456789abcdef0123456789abcdef01234567")
    (fixed "app-go-modules" (sha256 "modules") {
      src = fetchurl "app-${VERSION}.tar.gz" [ "https://example.org/app-${VERSION}.tar.gz" ] { };
      nativeBuildInputs = [ go git ]; impureEnvVars = proxies; outputHashMode = "recursive";
    })
    (fixed "unpacked" (sha256 "unpacked") { buildCommand = "tar x"; outputHashMode = "recursive"; })
    (fixed "bought.bin" (sha256 "bought") { builder = drv { name = "restrict-message"; }; })
    (fixed "nix-file" (sha256 "nix-file") { builder = "builtin:fetchurl"; url = "http://10.0.0.1/x"; })
  ];
}
"#;

/// A store of the real Nix with these derivations.
pub(crate) fn store(version: &str) -> NixStore {
    let store = Nix::find().unwrap().store_at("nix/store").unwrap();
    let expression = FETCHERS.replace("@VERSION@", version);
    store.instantiate(&expression, &[]).unwrap();
    store
}

pub(crate) fn directory(store: &NixStore) -> &str {
    store.dir().to_str().unwrap()
}

#[test]
fn a_list_for_people() {
    let store = store("1.0");
    let place = Place::new();
    let run = place.run(&["fod", "list", directory(&store)]);
    run.exits(0).fits();
    assert_shown!(run);
}

#[test]
fn what_it_lists_is_what_nix_wrote() {
    let store = store("1.0");
    let run = Place::new().run(&["fod", "list", directory(&store), "--format", "json"]);
    let told: Value = serde_json::from_str(&run.exits(0).stdout).unwrap();
    assert_eq!(told["schema"], "snowguard-fod-list/1");
    let drvs: Vec<String> = std::fs::read_dir(store.dir())
        .unwrap()
        .map(|entry| entry.unwrap().path().to_str().unwrap().to_owned())
        .filter(|path| path.ends_with(".drv"))
        .collect();
    let mut args = vec!["show-derivation".to_owned()];
    args.extend(drvs);
    let shown = store.run("nix", &["nix-command"], &args).unwrap();
    let shown: Value = serde_json::from_slice(&shown).unwrap();
    // The newest form has the derivations in a member of their own.
    let all = shown
        .get("derivations")
        .unwrap_or(&shown)
        .as_object()
        .unwrap();
    let fixed = |drv: &&Value| drv["outputs"]["out"].get("hash").is_some();
    let expected = all.values().filter(fixed).count();
    let rows = told["fods"].as_array().unwrap();
    assert_eq!(rows.len(), expected);
    assert_eq!(told["derivations"], all.len());
    let paths: BTreeMap<&str, &Value> = rows
        .iter()
        .map(|row| (row["output"].as_str().unwrap(), row))
        .collect();
    for drv in all.values().filter(fixed) {
        let out = &drv["outputs"]["out"];
        let path = out["path"].as_str().or_else(|| drv["env"]["out"].as_str());
        let row = paths.get(path.unwrap()).unwrap();
        let algo = out["hashAlgo"].as_str().unwrap_or_default();
        let nar = algo.starts_with("r:") || out["method"] == "nar";
        assert_eq!(row["mode"], if nar { "nar" } else { "flat" });
    }
    let by_name = |name: &str| rows.iter().find(|row| row["name"] == name).unwrap();
    assert_eq!(
        by_name("hello-2.12.tar.gz")["urls"],
        serde_json::json!([
            "https://ftpmirror.gnu.org/hello/hello-2.12.tar.gz",
            "https://ftp.gnu.org/gnu/hello/hello-2.12.tar.gz",
        ])
    );
    assert_eq!(
        by_name("nix-file")["findings"],
        serde_json::json!([
            { "rule": "private-host", "level": "error", "at": 0 },
            { "rule": "plain-http", "level": "note" },
        ])
    );
    assert_eq!(
        by_name("repo")["checkout"],
        serde_json::json!(["submodules"])
    );
    assert_eq!(
        by_name("app-1.0.tar.gz")["needed_by"],
        serde_json::json!(["app-go-modules"])
    );
    assert_eq!(by_name("app-1.0.tar.gz")["dependents"], 2);
}

#[test]
fn some_of_them_counts_and_the_exit_status() {
    let store = store("1.0");
    let (place, dir) = (Place::new(), directory(&store));
    let run = place.run(&["fod", "list", dir, "--count-by", "class,algo"]);
    assert_shown!(run, @"
    exit status 0
    ----- stdout -----
        count  class / algo
            4  curl / sha256
            2  git / sha256
            1  builtin / sha256
            1  curl / sha1
            1  manual / sha256
            1  nothing / sha256
            1  vendor / sha256
    ");
    let names = |args: &[&str]| {
        let all = [&["fod", "list", dir, "--format", "jsonl"], args].concat();
        let run = place.run(&all);
        let names = run.stdout.lines().map(|line| {
            let row: Value = serde_json::from_str(line).unwrap();
            row["name"].as_str().unwrap().to_owned()
        });
        (run.code, names.collect::<Vec<_>>().join(" "))
    };
    let is = |code: i32, text: &str| (code, text.to_owned());
    assert_eq!(names(&["--where", "class=git"]), is(0, "old repo"));
    assert_eq!(
        names(&["--where", "host=*.gnu.org"]),
        is(0, "hello-2.12.tar.gz")
    );
    assert_eq!(
        names(&["--where", "class!=curl,git,vendor", "--where", "rule="]),
        is(0, "bought.bin unpacked")
    );
    let weak = ["--where", "rule=weak-hash"];
    assert_eq!(
        names(&[&weak[..], &["--fail-on", "error"]].concat()),
        is(1, "weak.tar.gz")
    );
    assert_eq!(
        names(&["--where", "name=repo", "--fail-on", "warning"]),
        is(0, "repo")
    );
    assert_eq!(
        names(&["--where", "name=repo", "--fail-on", "note"]),
        is(1, "repo")
    );
    place
        .run(&["fod", "list", dir, "--where", "colour=red"])
        .fails_with("there is no column `colour`; columns are class, tool");
    place
        .run(&["fod", "list", dir, "--where", "calss=curl"])
        .fails_with("there is no column `calss` (did you mean `class`?); columns are");
    place
        .run(&["fod", "list", dir, "--count-by", "class,schema"])
        .fails_with("there is no column `schema` (did you mean `scheme`?); columns are");
    place
        .run(&["fod", "list", dir, "--where", "rule=weak-hahs"])
        .fails_with("no rule is `weak-hahs` (did you mean `weak-hash`?); it is one of");
    place
        .run(&["fod", "list", dir, "--where", "class"])
        .fails_with("write COLUMN=VALUE");
    for misspelt in ["class=curll", "rule!=git-protokol", "level=*fatal", "tls="] {
        let (_, value) = misspelt.split_once('=').unwrap();
        place
            .run(&["fod", "list", dir, "--where", misspelt])
            .fails_with(&format!("is `{value}`"));
    }
    // Each finding has one level, whatever else speaks against the same derivation.
    let run = place.run(&["fod", "list", dir, "--count-by", "rule,level"]);
    assert_shown!(run, @"
    exit status 0
    ----- stdout -----
        count  rule / level
            5  (none) / (none)
            2  mutable-tag / note
            2  plain-http / note
            1  git-protocol / warning
            1  private-host / error
            1  weak-hash / error
    ");
}

#[test]
fn what_has_no_derivations_is_told() {
    let place = Place::new();
    place.write(
        "paths",
        "/nix/store/00000000000000000000000000000000-hello-2.12\n",
    );
    place
        .run(&["fod", "list", "paths"])
        .fails_with("no derivation of");
}

#[test]
fn a_forgotten_hash_is_found() {
    let (base, head) = (store("1.0"), store("1.1"));
    let place = Place::new();
    let run = place.run(&["fod", "diff", directory(&base), directory(&head)]);
    run.exits(1).fits();
    // Where a store lies is part of the hashes of its paths.
    let filters = vec![(
        r"/tmp/snowguard-nix-\w+/nix/store/[a-z0-9]{32}-",
        "[STORE]/",
    )];
    insta::with_settings!({ filters => filters }, {
        assert_shown!(run);
    });
    let json = place.run(&[
        "fod",
        "diff",
        directory(&base),
        directory(&head),
        "--format",
        "json",
    ]);
    let json: Value = serde_json::from_str(&json.exits(1).stdout).unwrap();
    assert_eq!(json["unchanged_hash"][0]["kind"], "stale");
    place
        .run(&["fod", "diff", directory(&base), directory(&base)])
        .exits(0);
}

#[test]
fn the_page_needs_nothing_else() {
    let store = store("1.0");
    let run = Place::new().run(&["fod", "list", directory(&store), "--format", "html"]);
    let page = &run.exits(0).stdout;
    assert!(page.len() < 100_000);
    assert!(page.contains("default-src &#39;none&#39;") || page.contains("default-src 'none'"));
    assert!(!page.contains("<script") && !page.contains("src=\"http"));
    // Each plot has a bar for each kind, as long as there are many of it, and says the same in words.
    let plots: Vec<&str> = page.split("<svg class=\"chart\"").skip(1).collect();
    assert_eq!(plots.len(), 8);
    let plot = |column: &str| {
        let id = format!("id=\"plot-{column}-desc\">");
        let plot = plots.iter().find(|plot| plot.contains(&id)).unwrap();
        let (_, said) = plot.split_once(&id).unwrap();
        let (said, drawn) = said.split_once("</desc>").unwrap();
        let (drawn, _) = drawn.split_once("</svg>").unwrap();
        let widths: Vec<usize> = drawn
            .split("<rect ")
            .skip(1)
            .map(|bar| {
                bar.split_once("width=\"")
                    .unwrap()
                    .1
                    .split_once('"')
                    .unwrap()
                    .0
            })
            .map(|width| width.parse().unwrap())
            .collect();
        (said.to_owned(), widths)
    };
    let (said, widths) = plot("class");
    assert_eq!(
        said,
        "curl 5, git 2, builtin 1, manual 1, nothing 1, vendor 1"
    );
    assert_eq!(widths, [150, 60, 30, 30, 30, 30]);
    let (said, widths) = plot("algo");
    assert_eq!(
        (said.as_str(), &widths[..]),
        ("sha256 10, sha1 1", &[150, 15][..])
    );
}

#[test]
fn what_fetches_nothing_needs_no_network() {
    let store = Nix::find().unwrap().store_at("nix/store").unwrap();
    let fixed = |name: &str, more: &str| {
        format!(
            r#"(derivation {{
              name = "{name}"; system = "x86_64-linux"; builder = "/bin/sh"; args = [ "-c" "echo > $out" ]; {more}
              outputHash = builtins.hashString "sha256" "x"; outputHashAlgo = "sha256"; outputHashMode = "flat";
            }})"#
        )
    };
    let proxies = r#"impureEnvVars = [ "http_proxy" "https_proxy" ];"#;
    let all = format!("[ {} {} ]", fixed("quiet", ""), fixed("asks", proxies));
    store.instantiate(&all, &[]).unwrap();
    let run = Place::new().run(&["fod", "list", directory(&store), "--format", "json"]);
    let told: Value = serde_json::from_str(&run.exits(0).stdout).unwrap();
    let rows = told["fods"].as_array().unwrap();
    let findings: BTreeMap<&str, &Value> = rows
        .iter()
        .map(|row| (row["name"].as_str().unwrap(), &row["findings"]))
        .collect();
    assert!(rows.iter().all(|row| row["class"] == "nothing"), "{told}");
    assert_eq!(*findings["quiet"], serde_json::json!([]));
    assert_eq!(
        *findings["asks"],
        serde_json::json!([{ "rule": "needless-network", "level": "warning" }])
    );
}
