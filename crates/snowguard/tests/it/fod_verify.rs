//! `snowguard fod verify`: on derivations that the real Nix wrote, and servers on the loopback interface.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::Timestamp;
use serde_json::Value;
use snowguard_db::refetch::{NewTask, RefetchQueue};
use snowguard_store::{Hash, HashAlgo, Notation};
use snowguard_testkit::nix::{Nix, NixStore};
use snowguard_testkit::web::{Fault, Web};

use crate::support::{Place, Run};

/// A store with derivations of Nix's own fetcher: name, URL, and the content that is promised.
pub(crate) fn store(fods: &[(String, String, String)]) -> NixStore {
    let store = Nix::find().unwrap().store_at("nix/store").unwrap();
    fill(&store, fods, "");
    store
}

/// What `fetchzip` runs after `curl`.
const UNPACK: &str = r#"
unpackDir="$TMPDIR/unpack"
mkdir "$unpackDir"
cd "$unpackDir"
renamed="$TMPDIR/x.tar"
mv "$downloadedFile" "$renamed"
unpackFile "$renamed"
if [ $(ls -A "$unpackDir" | wc -l) != 1 ]; then
  echo "more than one"
  exit 1
fi
fn=$(cd "$unpackDir" && ls -A)
if [ -f "$unpackDir/$fn" ]; then
  mkdir $out
fi
mv "$unpackDir/$fn" "$out"
chmod 755 "$out"
"#;

/// Puts derivations into a store: those of Nix's own fetcher, and more that are written with `archive` and `commit`.
pub(crate) fn fill(store: &NixStore, fods: &[(String, String, String)], more: &str) {
    let scripts = store.scratch().join("scripts");
    for directory in ["curl", "git"] {
        std::fs::create_dir_all(scripts.join(directory)).unwrap();
        std::fs::write(scripts.join(directory).join("builder.sh"), "exit 1\n").unwrap();
    }
    let unpack = store.write("unpack.sh", UNPACK).unwrap();
    let (scripts, unpack) = (scripts.display(), unpack.display());
    let mut all = String::new();
    for (name, url, content) in fods {
        let hash = Hash::of(HashAlgo::Sha256, content.as_bytes()).unwrap();
        let hash = hash.to_notation(Notation::Hex);
        let _ = writeln!(all, "(fixed \"{name}\" \"{url}\" \"{hash}\")");
    }
    let expression = format!(
        r#"
let
  fixed = name: url: outputHash: derivation {{
    inherit name url outputHash; outputHashAlgo = "sha256"; outputHashMode = "flat";
    system = "x86_64-linux"; builder = "builtin:fetchurl";
  }};
  other = name: args: derivation ({{ inherit name; system = "x86_64-linux"; builder = "/bin/sh"; }} // args);
  tree = name: outputHash: args: other name ({{
    inherit outputHash; outputHashAlgo = "sha256"; outputHashMode = "recursive";
  }} // args);
  archive = name: url: hash: tree name hash {{
    args = [ "-e" {scripts}/curl/builder.sh ]; urls = url; downloadToTemp = true;
    postFetch = builtins.readFile {unpack};
  }};
  commit = name: url: rev: hash: tree name hash {{
    args = [ "-e" {scripts}/git/builder.sh ]; inherit url rev;
    nativeBuildInputs = [ (other "git-2.51.0" {{ }}) ];
  }};
in [
{all}
{more}
(other "vendored" {{
  tool = other "cargo-1.80" {{ }}; outputHash = builtins.hashString "sha256" "x";
  outputHashAlgo = "sha256"; outputHashMode = "recursive";
}})
(other "bought.bin" {{
  args = [ "-e" (builtins.toFile "restrict-message" "exit 1") ]; outputHash = builtins.hashString "sha256" "y";
  outputHashAlgo = "sha256"; outputHashMode = "flat";
}})
]
"#
    );
    store.instantiate(&expression, &[]).unwrap();
}

fn verify(place: &Place, store: &NixStore, args: &[&str]) -> Run {
    let directory = store.dir().to_str().unwrap();
    let all = ["fod", "verify", "--allow-private", directory];
    place.run(&[&all[..], args].concat())
}

/// Some of each, on one server.
fn some(web: &Web) -> NixStore {
    web.put("/right", "right");
    web.put("/wrong", "something else");
    web.fail_always("/away", Fault::Redirect("/right".into()));
    let fod = |name: &str, path: &str| (name.to_owned(), web.url(path), "right".to_owned());
    store(&[
        fod("right.tar.gz", "/right"),
        fod("moved.tar.gz", "/away"),
        fod("wrong.tar.gz", "/wrong"),
        fod("gone.tar.gz", "/gone"),
    ])
}

/// What is told, without what differs from run to run.
fn shown(run: &Run, web: &Web, store: &NixStore) -> String {
    let base = web.base();
    let (_, host) = base.split_once("://").unwrap();
    let text = run.shown().replace(host, "HOST");
    text.replace(store.dir().to_str().unwrap(), "STORE")
}

#[test]
fn what_a_maintainer_reads() {
    let web = Web::start().unwrap();
    let (place, store) = (Place::new(), some(&web));
    let run = verify(&place, &store, &[]);
    run.exits(1).fits();
    insta::assert_snapshot!(shown(&run, &web, &store));
    let plan = verify(&place, &store, &["--plan", "--all"]);
    plan.exits(0).fits();
    insta::assert_snapshot!(shown(&plan, &web, &store));
    let right = verify(&place, &store, &["--where", "name=right.tar.gz"]);
    right.exits(0);
}

#[test]
fn what_tools_read() {
    let web = Web::start().unwrap();
    let (place, store) = (Place::new(), some(&web));
    let run = verify(&place, &store, &["--format", "json"]);
    let told: Value = serde_json::from_str(&run.exits(1).stdout).unwrap();
    assert_eq!(told["schema"], "snowguard-fod-verify/1");
    assert_eq!(
        told["verdicts"],
        serde_json::json!({"ok": 2, "mismatch": 1, "gone": 1, "needs-builder": 1, "not-fetchable": 1})
    );
    assert_eq!(told["fods"][0]["name"], "wrong.tar.gz");
    assert_eq!(told["fods"][0]["got"]["size"], 14);
    let lines = verify(&place, &store, &["--format", "jsonl"]);
    assert_eq!(lines.exits(1).stdout.lines().count(), 6);
    let page = verify(&place, &store, &["--format", "html"]);
    let page = &page.exits(1).stdout;
    assert!(page.contains("wrong.tar.gz") && !page.contains("<script"));
    // Who chooses the addresses is a stranger.
    let directory = store.dir().to_str().unwrap();
    let denied = place.run(&["fod", "verify", directory, "--format", "json"]);
    let told: Value = serde_json::from_str(&denied.exits(1).stdout).unwrap();
    assert_eq!(told["verdicts"]["denied"], 4);
}

#[test]
fn what_was_done_is_kept_and_done_again_on_demand() {
    let web = Web::start().unwrap();
    let (place, store) = (Place::new(), some(&web));
    let queue = ["--queue", "fods.db"];
    verify(&place, &store, &queue).exits(1);
    web.seen();
    verify(&place, &store, &queue).exits(1);
    assert!(web.seen().is_empty());
    web.put("/gone", "right");
    let again = [&queue[..], &["--again", "gone,mismatch"]].concat();
    let run = verify(&place, &store, &again);
    assert!(run.exits(1).stdout.contains("3 ok"));
    let asked: Vec<String> = web.seen().into_iter().map(|one| one.path).collect();
    assert_eq!(asked.len(), 2, "{asked:?}");
    verify(&place, &store, &[&queue[..], &["--again", "fine"]].concat())
        .fails_with("there is no verdict `fine`");
    verify(
        &place,
        &store,
        &[&queue[..], &["--again", "redirekt"]].concat(),
    )
    .fails_with("there is no verdict `redirekt` (did you mean `redirect`?)");
    verify(&place, &store, &["--again", "all"]).fails_with("--queue");
}

#[test]
fn what_settled_nothing_is_looked_at_again() {
    let web = Web::start().unwrap();
    web.fail_always("/down", Fault::Status(503, Vec::new()));
    let fod = |name: &str, path: &str| (name.to_owned(), web.url(path), "right".to_owned());
    let place = Place::new();
    let store = store(&[fod("down.tar.gz", "/down")]);
    let directory = store.dir().to_str().unwrap();
    let args = [
        "fod",
        "verify",
        directory,
        "--queue",
        "fods.db",
        "--tries",
        "1",
        "--where",
        "name=down.tar.gz",
    ];
    let says = |more: &[&str], status: i32, what: &str| {
        let run = place.run(&[&args[..], more].concat());
        let told = run.exits(status).stdout.lines().nth(1).unwrap_or_default();
        assert_eq!(told.trim(), what);
    };
    // Who may not ask says nothing for who may.
    says(&[], 1, "0 verified: 1 denied");
    says(&["--allow-private"], 1, "0 verified: 1 transient");
    web.fail_always("/down", Fault::Body(b"right".to_vec()));
    says(&["--allow-private"], 0, "1 verified: 1 ok");
    web.seen();
    says(&["--allow-private"], 0, "1 verified: 1 ok");
    assert!(web.seen().is_empty());
}

#[test]
fn a_run_does_what_it_was_asked_for() {
    let web = Web::start().unwrap();
    let (place, all) = (Place::new(), some(&web));
    let queue = place.path("fods.db");
    // Others put something there that waits, also for who can do what this one cannot.
    let others = RefetchQueue::open(queue.to_str().unwrap()).unwrap();
    let task = NewTask {
        key: "k",
        host: "nix",
        payload: b"{}",
    };
    others.add("others", &[task], Timestamp::now()).unwrap();
    drop(others);
    let args = ["--queue", "fods.db", "--where", "name=right.tar.gz"];
    verify(&place, &all, &args).exits(0);
    let after = RefetchQueue::open(queue.to_str().unwrap()).unwrap();
    let done: Vec<String> = after
        .results()
        .unwrap()
        .into_iter()
        .map(|done| done.key)
        .collect();
    assert_eq!(done.len(), 1);
    assert_ne!(done[0], "k");
}

#[test]
fn nothing_verified_is_not_success() {
    let web = Web::start().unwrap();
    let (place, store) = (Place::new(), some(&web));
    let gone = ["--where", "name=gone.tar.gz"];
    verify(&place, &store, &gone).exits(1);
    let only = [&gone[..], &["--fail-on", "mismatch,tls"]].concat();
    verify(&place, &store, &only).exits(0);
    verify(&place, &store, &["--fail-on", "never"]).exits(0);
    verify(&place, &store, &["--fail-on", "bad"]).fails_with("there is no verdict `bad`");
    verify(&place, &store, &["--fail-on", "gone,mismach"])
        .fails_with("there is no verdict `mismach` (did you mean `mismatch`?)");
    verify(&place, &store, &["--where", "name=vendored"]).exits(1);
    verify(&place, &store, &["--where", "name=nobody"])
        .fails_with("--where takes none of 6 fixed-output derivations");
    // Nothing that could be wrong is no failure, and is said.
    let empty = Nix::find().unwrap().store_at("nix/store").unwrap();
    let plain = "derivation { name = \"x\"; system = \"x\"; builder = \"/x\"; }";
    empty.instantiate(plain, &[]).unwrap();
    let none = verify(&place, &empty, &[]);
    assert!(
        none.exits(0)
            .stdout
            .contains("0 verified: there is no fixed-output derivation")
    );
    // All of the running system is not fetched unasked.
    place.run(&["fod", "verify"]).fails_with("nothing is named");
}

#[test]
fn what_has_to_be_copied_is_not_cut() {
    let web = Web::start().unwrap();
    let path = format!("/{}/wrong", "long".repeat(20));
    web.put(&path, "something else");
    let place = Place::new();
    let url = web.url(&path);
    let store = store(&[("wrong".to_owned(), url.clone(), "right".to_owned())]);
    let run = verify(&place, &store, &["--where", "name=wrong"]);
    assert!(run.exits(1).stdout.contains(&url));
}

#[test]
fn what_was_found_is_signed() {
    let web = Web::start().unwrap();
    let (place, store) = (Place::new(), some(&web));
    let key = ["attest", "key", "new", "ci-1", "--keyring", "keyring.json"];
    place.run(&key).exits(0);
    let sign = ["--sign", "ci-1", "--statements", "signed"];
    let run = verify(&place, &store, &sign);
    // One only a build could tell, one is not meant to be fetched.
    let told = "2 are not signed, since nothing was fetched";
    assert!(run.exits(1).stderr.contains(told), "{}", run.stderr);
    let mut verdicts = BTreeMap::new();
    for file in place.files("signed") {
        let path = format!("signed/{file}");
        let args = [
            "attest",
            "verify",
            &path,
            "--keyring",
            "keyring.json",
            "--format",
            "json",
        ];
        let run = place.run(&args);
        let told: Value = serde_json::from_str(&run.exits(0).stdout).unwrap();
        let verdict = &told["statement"]["predicate"]["outcome"]["verdict"];
        *verdicts
            .entry(verdict.as_str().unwrap().to_owned())
            .or_insert(0) += 1;
    }
    let expected = [("gone", 1), ("mismatch", 1), ("ok", 2)];
    let expected = expected.map(|(verdict, count)| (verdict.to_owned(), count));
    assert_eq!(verdicts, BTreeMap::from(expected));
    verify(
        &place,
        &store,
        &["--sign", "nobody", "--statements", "signed"],
    )
    .fails_with("nobody");
}

#[test]
fn what_was_found_earlier_is_told_and_not_signed() {
    let web = Web::start().unwrap();
    let (place, store) = (Place::new(), some(&web));
    place.run(&["attest", "key", "new", "ci-1"]).exits(0);
    let queue = ["--queue", "fods.db"];
    let sign = [&queue[..], &["--sign", "ci-1", "--statements", "signed"]].concat();
    let first = verify(&place, &store, &queue);
    assert!(!first.exits(1).stdout.contains("earlier"));
    let told = |more: &[&str]| {
        let run = verify(&place, &store, &[&sign[..], more].concat());
        run.exits(1);
        let earlier = run
            .stdout
            .lines()
            .filter(|line| line.contains("found by an earlier run"));
        let count = earlier.count();
        let signed = place.files("signed").len();
        for file in place.files("signed") {
            std::fs::remove_file(place.path("signed").join(file)).unwrap();
        }
        (
            count,
            signed,
            run.stderr
                .contains("4 are not signed, found by an earlier run"),
        )
    };
    assert_eq!(told(&[]), (1, 0, true));
    assert_eq!(told(&["--max-age", "1"]), (1, 0, true));
    web.seen();
    assert_eq!(told(&["--again", "all"]), (0, 4, false));
    assert!(!web.seen().is_empty());
    let json = verify(
        &place,
        &store,
        &[&queue[..], &["--format", "json"]].concat(),
    );
    let told: Value = serde_json::from_str(&json.exits(1).stdout).unwrap();
    assert_eq!(told["fods"][0]["earlier"], true);
    assert_eq!(told["fods"][0]["found_by"], "fetch");
}
