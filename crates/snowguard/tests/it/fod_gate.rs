//! `snowguard fod gate`: on derivations that the real Nix wrote, some by people with bad intentions.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use snowguard_testkit::nix::{Nix, NixStore};
use snowguard_testkit::schema::{Schema, assert_valid};

use crate::fod::{directory, store};
use crate::support::{Place, Run, assert_shown};

fn gate(place: &Place, base: &NixStore, head: &NixStore, more: &[&str]) -> Run {
    let args = [&["fod", "gate", directory(base), directory(head)], more].concat();
    place.run(&args)
}

fn document(run: &Run) -> Value {
    serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}{run}"))
}

/// The rules of what was found, with `!` where it blocks.
fn rules(document: &Value) -> Vec<String> {
    let findings = document["findings"].as_array().unwrap();
    let one = |found: &Value| {
        let blocks = if found["blocks"] == true { "!" } else { "" };
        format!(
            "{}{blocks} {}",
            found["rule"].as_str().unwrap(),
            found["name"].as_str().unwrap()
        )
    };
    findings.iter().map(one).collect()
}

#[test]
fn a_change_with_a_forgotten_hash_does_not_pass() {
    let (base, head) = (store("1.0"), store("1.1"));
    let place = Place::new();
    let run = gate(&place, &base, &head, &[]);
    run.exits(1).fits();
    let markdown = gate(&place, &base, &head, &["--format", "markdown"]);
    markdown.exits(1);
    // Where a store lies is part of the hashes of its paths.
    let filters = vec![(
        r"/tmp/snowguard-nix-\w+/nix/store/[a-z0-9]{32}-",
        "[STORE]/",
    )];
    insta::with_settings!({ filters => filters }, {
        assert_shown!(run);
        assert_shown!(markdown);
    });
    gate(&place, &base, &base, &[]).exits(0);
    gate(&place, &base, &head, &["--fail-on", "never"]).exits(0);
    let run = gate(&place, &base, &base, &["--format", "markdown"]);
    assert_shown!(run, @r"
    exit status 0
    ----- stdout -----
    ## What this change fetches: passed

    It adds and alters no fixed-output derivation.
    ");
}

#[test]
fn documents_are_valid() {
    let (base, head) = (store("1.0"), store("1.1"));
    let place = Place::new();
    let more = [
        "--summary",
        "s.md",
        "--sarif",
        "g.sarif",
        "--json",
        "g.json",
        "--format",
        "sarif",
    ];
    let run = gate(&place, &base, &head, &more);
    run.exits(1);
    assert_valid(Schema::Sarif21, run.stdout.as_bytes());
    let read = |name: &str| fs::read_to_string(place.path(name)).unwrap();
    assert_eq!(read("g.sarif"), run.stdout);
    assert!(read("s.md").starts_with("## What this change fetches: "));
    let document: Value = serde_json::from_str(&read("g.json")).unwrap();
    assert_eq!(document["schema"], "snowguard-fod-gate/1");
    assert_eq!(document["passed"], false);
}

/// Results that say the same of all that was changed.
fn verified(document: &Value, verdict: &str) -> String {
    let changes = document["changes"].as_array().unwrap();
    let fods: Vec<Value> = changes
        .iter()
        .map(|change| {
            json!({
                "drv": change["drv"], "name": change["name"], "output": change["output"],
                "verdict": verdict, "reason": "so it is", "tries": [],
            })
        })
        .collect();
    json!({ "schema": "snowguard-fod-verify/1", "fods": fods }).to_string()
}

#[test]
fn results_of_verifying_are_taken_into_account() {
    let (base, head) = (store("1.0"), store("1.1"));
    let place = Place::new();
    let plain = document(&gate(&place, &base, &head, &["--format", "json"]));
    let with = |content: &str| {
        place.write("v.json", content);
        let more = [
            "--format",
            "json",
            "--verified",
            "v.json",
            "--fail-on",
            "error",
        ];
        document(&gate(&place, &base, &head, &more))
    };
    let count = |document: &Value, rule: &str| {
        let rules = rules(document);
        rules.iter().filter(|found| found.starts_with(rule)).count()
    };
    let changed = plain["changes"].as_array().unwrap().len();
    assert!(changed > 1);
    assert_eq!(plain.get("verdicts"), None);
    for (verdict, rule) in [
        ("mismatch", "mismatch! "),
        ("gone", "gone! "),
        ("transient", "transient "),
        ("needs-builder", "needs-builder "),
        ("not-fetchable", "not-fetchable "),
    ] {
        let told = with(&verified(&plain, verdict));
        assert_eq!(count(&told, rule), changed, "{verdict}");
        assert_eq!(told["verdicts"][verdict], changed);
    }
    // What is fine adds nothing, and takes nothing away where nobody says which address was asked: a forgotten hash is
    // fetched without complaint from the old one.
    let fine = with(&verified(&plain, "ok"));
    assert_eq!(rules(&fine).len(), rules(&plain).len());
    assert_eq!(count(&fine, "stale-hash!"), count(&plain, "stale-hash!"));
    // Nothing is silently fine: neither what is missing, nor what was verified from another source.
    let none = with(r#"{"schema":"snowguard-fod-verify/1","fods":[]}"#);
    assert_eq!(count(&none, "not-verified "), changed);
    let before = document(&gate(&place, &head, &base, &["--format", "json"]));
    let other = with(&verified(&before, "ok"));
    assert_eq!(count(&other, "not-verified "), changed);
    for wrong in ["", "{}", r#"{"schema":"other/1","fods":[]}"#] {
        place.write("v.json", wrong);
        gate(&place, &base, &head, &["--verified", "v.json"]).fails_with("cannot use v.json");
    }
}

#[test]
fn a_build_that_came_out_right_and_wanted_more_says_just_that() {
    let (base, head) = (store("1.0"), store("1.1"));
    let place = Place::new();
    let plain = document(&gate(&place, &base, &head, &["--format", "json"]));
    let change = &plain["changes"][0];
    // Longer than a line, and with what a runner would obey where a line begins.
    let reason = format!(
        "its output has the promised hash; on the way, evil.example.org: the proxy denied it: {}::error::no ##[error]its end",
        "no URL names that host, ".repeat(8)
    );
    let fod = json!({
        "drv": change["drv"], "name": change["name"], "output": change["output"], "verdict": "ok",
        "found_by": "build", "reason": reason, "got": { "hash": change["hash"] },
        "tries": [{ "url": "https://evil.example.org/", "result": "denied", "detail": "no" }],
    });
    let results = json!({ "schema": "snowguard-fod-verify/1", "fods": [fod] });
    place.write("v.json", results.to_string());
    let with = |format: &str| {
        let more = ["--verified", "v.json", "--format", format];
        gate(&place, &base, &head, &more)
    };
    let told = document(&with("json"));
    let mut found = told["findings"].as_array().unwrap().iter();
    let found = found.find(|found| found["rule"] == "denied").unwrap();
    assert_eq!((&found["level"], found.get("was")), (&json!("note"), None));
    assert_ne!(found["is"], change["hash"], "{found}");
    let what = found["what"].as_str().unwrap();
    assert_eq!(
        what,
        "it came out as promised, and its build wanted more than it may have"
    );
    assert!(!found["remedy"].as_str().unwrap().contains("address"));
    // All that was met is told, in lines that begin with what is ours.
    let run = with("text");
    let text = &run.fits().stdout;
    let folded: Vec<&str> = text
        .lines()
        .skip_while(|line| !line.contains("  told "))
        .take_while(|line| line.starts_with("  told ") || line.starts_with("          | "))
        .collect();
    assert!(folded.len() > 2, "{run}");
    let whole: Vec<&str> = folded.iter().map(|line| line[12..].trim()).collect();
    assert!(whole.join(" ").ends_with("its end"), "{run}");
    for line in text.lines() {
        let begins = line.trim_start().starts_with("::") || line.contains("##[");
        assert!(!begins, "{run}");
    }
}

#[test]
fn waivers_cover_what_they_name_and_no_more() {
    let (base, head) = (store("1.0"), store("1.1"));
    let place = Place::new();
    let plain = document(&gate(&place, &base, &head, &["--format", "json"]));
    let stale = plain["findings"]
        .as_array()
        .unwrap()
        .iter()
        .find(|found| found["rule"] == "stale-hash")
        .unwrap();
    let waiver = |rule: &str, output: &str, url: &str, expires: &str| {
        format!(
            "[[waiver]]\nrule = \"{rule}\"\noutput = \"{output}\"\nurl = \"{url}\"\nreason = \"known\"\nexpires = {expires}\n"
        )
    };
    let (output, url) = (
        stale["output"].as_str().unwrap(),
        stale["urls"][0].as_str().unwrap(),
    );
    let with = |text: &str| {
        place.write("w.toml", text);
        let more = ["--format", "json", "--waivers", "w.toml"];
        document(&gate(&place, &base, &head, &more))
    };
    let blocking = |document: &Value| {
        let blocks = |rule: &&String| rule.contains("! ");
        rules(document).iter().filter(blocks).count()
    };
    let all = blocking(&plain);
    let waived = with(&waiver("stale-hash", output, url, "2999-01-01"));
    assert_eq!(blocking(&waived), all - 1);
    assert_eq!(waived["unused_waivers"], json!([]));
    // Another source, another rule, another day.
    let other = with(&waiver(
        "stale-hash",
        output,
        "https://example.org/other",
        "2999-01-01",
    ));
    assert_eq!(blocking(&other), all);
    assert_eq!(other["unused_waivers"][0]["line"], 1);
    let expired = with(&waiver("stale-hash", output, url, "2020-01-01"));
    assert_eq!(blocking(&expired), all + 1);
    assert!(
        rules(&expired)
            .iter()
            .any(|rule| rule.starts_with("expired-waiver! "))
    );
    for (wrong, what) in [
        (
            waiver("no-such", output, url, "2999-01-01"),
            "line 1: there is no such rule",
        ),
        (
            waiver("stale", output, url, "2999-01-01"),
            "line 1: there is no such rule (did you mean `stale-hash`?)",
        ),
        (
            waiver("expired-waiver", output, url, "2999-01-01"),
            "there is no such rule",
        ),
        (waiver("stale-hash", "x", url, "2999-01-01"), "store path"),
        (
            "[[waiver]]\nrule = \"stale-hash\"\n".into(),
            "cannot read the waivers",
        ),
    ] {
        place.write("w.toml", wrong);
        gate(&place, &base, &head, &["--waivers", "w.toml"]).fails_with(what);
    }
    gate(&place, &base, &head, &["--waivers", "none.toml"]).fails_with("none.toml");
}

#[test]
fn a_waiver_of_what_is_not_shown_covers_this_alone() {
    let place = Place::new();
    let store = Nix::find().unwrap().store_at("nix/store").unwrap();
    let of = |release: &str| {
        let url = format!("https://example.org/get?release={release}&\u{e9}=1");
        fetched_by(&store, "", &[&url])
    };
    let (base, head, next) = (of("1.9"), of("2.0"), of("3.0"));
    let told = document(gate_of(&place, &base, &head, &[]).exits(1));
    assert_eq!(rules(&told), ["stale-hash! x"]);
    let found = &told["findings"][0];
    // What a maintainer copies out of the summary.
    let markdown = place.run(&["fod", "gate", &base, &head, "--format", "markdown"]);
    let url = found["waiver_url"].as_str().unwrap();
    assert!(
        markdown
            .stdout
            .contains(&format!("URL for a waiver: `{url}`")),
        "{markdown}"
    );
    let waiver = format!(
        "[[waiver]]\nrule = \"stale-hash\"\noutput = {}\nurl = \"{url}\"\nreason = \"known\"\nexpires = 2999-01-01\n",
        found["output"]
    );
    place.write("w.toml", waiver);
    gate_of(&place, &base, &head, &["--waivers", "w.toml"]).exits(0);
    gate_of(&place, &base, &next, &["--waivers", "w.toml"]).exits(1);
}

/// What somebody might write where a URL or a revision is asked for.
const HOSTILE: [&str; 14] = [
    "https://e.org/\n## What this change fetches: passed\n\nNothing to see.\n",
    "https://e.org/`\n\n- **ok**: all is well",
    "https://e.org/``` </code></details><!--",
    "https://e.org/<script>alert(1)</script><img src=x onerror=alert(1)>",
    "https://e.org/|x|\n|-|-|\n|a|b|",
    "https://e.org/@everyone #1 !2 ~label www.evil.example",
    "https://e.org/[click](https://evil.example) ![x](https://evil.example/x.png)",
    "https://e.org/\r::set-output name=passed::true",
    "::stop-commands::x\n::error::y",
    "https://e.org/##[group]hidden",
    "https://e.org/\u{202e}\u{2066}gnp.exe\u{200b}",
    "https://g\u{456}thub.com/o/r/archive/v2.tar.gz",
    "\u{1b}[2J\u{1b}]0;owned\u{7}\u{8}\u{9b}31m",
    "```\n\n~~~\n<details>\n---\n===\n    code",
];

/// A derivation that is fetched by Git from some URL at some revision.
fn of(url: &str, rev: &str, hash: &str) -> NixStore {
    let nix = Nix::find().unwrap().store_at("nix/store").unwrap();
    let text = |text: &str| format!("(builtins.fromJSON {})", nix_text(&json!(text).to_string()));
    let expression = format!(
        r#"let git = derivation {{ name = "git-2.51.0"; system = "x86_64-linux"; builder = "/bin/sh"; }};
        in derivation {{
          name = "source"; system = "x86_64-linux"; builder = "/bin/sh"; url = {}; rev = {};
          nativeBuildInputs = [ git ]; outputHash = builtins.hashString "sha256" "{hash}";
          outputHashAlgo = "sha256"; outputHashMode = "recursive";
        }}"#,
        text(url),
        text(rev)
    );
    nix.instantiate(&expression, &[]).unwrap();
    nix
}

fn nix_text(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", text.replace("${", "\\${"))
}

/// The lines of a summary without its code spans, as `CommonMark` has them: what a forge takes for markup.
fn skeleton(markdown: &str) -> Vec<String> {
    markdown.lines().map(without_spans).collect()
}

fn without_spans(line: &str) -> String {
    let (mut out, mut rest) = (String::new(), line);
    while let Some(at) = rest.find('`') {
        out.push_str(&rest[..at]);
        let fence = rest[at..].len() - rest[at..].trim_start_matches('`').len();
        let inner = &rest[at + fence..];
        let mut from = 0;
        let end = loop {
            let Some(next) = inner[from..].find('`') else {
                panic!("a code span does not end: {line}");
            };
            let start = from + next;
            let run = inner[start..].len() - inner[start..].trim_start_matches('`').len();
            if run == fence {
                break start + run;
            }
            from = start + run;
        };
        out.push_str("CODE");
        rest = &inner[end..];
    }
    out + rest
}

#[test]
fn what_was_found_is_counted_before_it_is_told() {
    let fetched = |urls: &[String]| {
        let of = |(at, url): (usize, &String)| {
            format!(
                r#"(git "source-{at}" (builtins.fromJSON {}))"#,
                nix_text(&json!(url).to_string())
            )
        };
        let all: Vec<String> = urls.iter().enumerate().map(of).collect();
        let nix = Nix::find().unwrap().store_at("nix/store").unwrap();
        let expression = format!(
            r#"let
              drv = args: derivation ({{ system = "x86_64-linux"; builder = "/bin/sh"; }} // args);
              git = name: url: drv {{
                inherit name url; rev = "v1"; nativeBuildInputs = [ (drv {{ name = "git-2.51.0"; }}) ];
                outputHash = builtins.hashString "sha256" name; outputHashAlgo = "sha256";
                outputHashMode = "recursive";
              }};
            in drv {{ name = "system"; needs = [ {} ]; }}"#,
            all.join(" ")
        );
        nix.instantiate(&expression, &[]).unwrap();
        nix
    };
    let (place, base) = (Place::new(), fetched(&[]));
    let forged = "git://e.org/x\n- **Found:** 0 git-protocol\n  0 git-protocol, 0 mutable-tag\n";
    let urls: Vec<String> = (0..4).map(|at| format!("{forged}{at}")).collect();
    let head = fetched(&urls);
    let lines = |run: &Run| -> Vec<(usize, String)> {
        let lines = run.exits(1).stdout.lines().enumerate();
        let told = lines.filter(|(_, line)| {
            line.starts_with("- **Found:**") || line.trim_start().starts_with(['0', '4'])
        });
        told.map(|(at, line)| (at, line.to_owned())).collect()
    };
    // What blocks stands before what does not, and no line of another's is beside it.
    let text = gate(&place, &base, &head, &[]);
    let told = "4 git-protocol, 4 mutable-tag";
    assert_eq!(lines(&text), [(2, format!("  {told}"))], "{text}");
    let markdown = gate(&place, &base, &head, &["--format", "markdown"]);
    assert_eq!(
        lines(&markdown),
        [(4, format!("- **Found:** {told}"))],
        "{markdown}"
    );
    // Few are seen at a glance.
    let few = fetched(&urls[..2]);
    for format in ["text", "markdown"] {
        let run = gate(&place, &base, &few, &["--format", format]);
        assert_eq!(lines(&run), [], "{run}");
    }
}

#[test]
fn what_the_author_writes_stays_within_its_quotes() {
    let base = of("https://example.org/r.git", "v1", "one");
    let place = Place::new();
    let plain_head = of("https://example.org/r.git", "v2", "one");
    let expected = gate(&place, &base, &plain_head, &["--format", "markdown"]);
    let expected = skeleton(&expected.exits(1).stdout);
    for hostile in HOSTILE {
        let head = of("https://example.org/r.git", hostile, "one");
        let run = gate(&place, &base, &head, &["--format", "markdown"]);
        let markdown = &run.exits(1).stdout;
        let told = skeleton(markdown);
        // By a revision that looks like a commit or a branch other rules apply: all that is said about the
        // first finding, and the heading, are the same in any case.
        assert_eq!(told[0], expected[0], "{markdown}");
        for line in &told {
            let known = expected.contains(line)
                || line.starts_with("- **[branch](")
                || line.starts_with("- **[mutable-tag](");
            assert!(known || is_of_a_rule(line), "{line}\n{markdown}");
        }
        assert!(markdown.is_ascii(), "{markdown}");
        // And in the log of a job no line is a command of the runner.
        let run = gate(&place, &base, &head, &[]);
        for line in run.exits(1).stdout.lines() {
            assert!(!line.trim_start().starts_with("::"), "{run}");
            assert!(!line.contains("##["), "{run}");
            assert!(!line.chars().any(char::is_control), "{run}");
        }
        let run = gate(&place, &base, &head, &["--format", "sarif"]);
        assert_valid(Schema::Sarif21, run.exits(1).stdout.as_bytes());
        document(&gate(&place, &base, &head, &["--format", "json"]));
    }
}

/// Whether a line is one of ours that tells a rule.
fn is_of_a_rule(line: &str) -> bool {
    ["  - What: ", "  - What to do: ", "  - From: CODE"]
        .iter()
        .any(|start| line.starts_with(start))
        && line.matches("CODE").count() <= 1
        && !line.contains(['<', '[', '|', '@', '#'])
}

#[test]
fn the_script_leaves_reports_and_keeps_the_status() {
    let (base, head) = (store("1.0"), store("1.1"));
    let place = Place::new();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../actions/fod-gate/gate.sh");
    let run = |base: &str, head: &str, more: &[(&str, &str)]| {
        let output = Command::new("bash")
            .arg(&script)
            .env("BASE", base)
            .env("HEAD", head)
            .env("SNOWGUARD", env!("CARGO_BIN_EXE_snowguard"))
            .env("GITHUB_ACTIONS", "true")
            .env("GITHUB_STEP_SUMMARY", place.path("step.md"))
            .envs(more.iter().copied())
            .current_dir(place.work())
            .output()
            .unwrap();
        Run::new(&[], output, &place.work())
    };
    let (b, h) = (directory(&base), directory(&head));
    let told = run(b, h, &[]);
    told.exits(1);
    let lines: Vec<&str> = told.stdout.lines().collect();
    let token = lines[0].strip_prefix("::stop-commands::").unwrap();
    assert_eq!(token.len(), 32);
    assert_eq!(*lines.last().unwrap(), format!("::{token}::"));
    let read = |name: &str| fs::read_to_string(place.path(name)).unwrap();
    assert_eq!(read("step.md"), read("fod-gate/summary.md"));
    assert_valid(Schema::Sarif21, read("fod-gate/gate.sarif").as_bytes());
    run(b, b, &[]).exits(0);
    run(b, h, &[("FAIL_ON", "never")]).exits(0);
    // A check that fails is no check that passes, and leaves nothing that looks like it.
    run(b, "none", &[]).exits(2);
    assert!(read("step.md").ends_with("its log says why.\n"));
    assert!(!place.path("fod-gate/gate.json").exists());
    run(b, "", &[]).exits(2);
    // A word that is not known is no "no".
    for (name, value) in [("VERIFY", "yes"), ("BUILD", "on"), ("INCOMPLETE", "TRUE")] {
        let told = run(b, b, &[(name, value)]);
        told.exits(2);
        assert!(
            told.stderr
                .contains(&format!("{name} must be true or false")),
            "{told}"
        );
    }
    run(b, b, &[("VERIFY", "true"), ("BUILD", "false")]).exits(0);
    // Each word that switches something on does.
    run(b, b, &[("BUILD", "true")]).exits(2);
    run(b, b, &[("VERIFY", "1"), ("CA_FILE", "none.pem")]).exits(2);
}

#[test]
fn what_was_not_read_does_not_pass() {
    let one = || of("https://example.org/r.git", "v1", "one");
    let (base, head) = (one(), one());
    let place = Place::new();
    gate(&place, &base, &head, &[]).exits(0);
    // One derivation of the head is gone: nobody knows what it fetches.
    let lost = |store: &NixStore| {
        let mut files = fs::read_dir(store.dir())
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let lost = files.find(|path| path.to_str().unwrap().ends_with("-git-2.51.0.drv"));
        fs::remove_file(lost.unwrap()).unwrap();
    };
    lost(&head);
    let run = gate(&place, &base, &head, &["--format", "json"]);
    let told = document(run.exits(1));
    assert_eq!(rules(&told), ["incomplete! after the change"]);
    assert_eq!(told["passed"], false);
    let sarif = gate(&place, &base, &head, &["--format", "sarif"]);
    assert_valid(Schema::Sarif21, sarif.exits(1).stdout.as_bytes());
    assert_eq!(
        document(&sarif)["runs"][0]["invocations"][0]["executionSuccessful"],
        false
    );
    gate(&place, &base, &head, &["--format", "markdown"]).exits(1);
    // Before the change it hides what was altered.
    let run = gate(&place, &head, &base, &["--format", "json"]);
    let told = rules(&document(run.exits(1)));
    assert!(
        told.contains(&"incomplete! before the change".to_owned()),
        "{told:?}"
    );
    // Nobody can accept it but who runs the check.
    let run = gate(
        &place,
        &base,
        &head,
        &["--allow-incomplete", "--format", "json"],
    );
    assert_eq!(
        rules(&document(run.exits(0))),
        ["incomplete after the change"]
    );
    place.write(
        "w.toml",
        "[[waiver]]\nrule = \"incomplete\"\noutput = \"/nix/store/x-y\"\nreason = \"r\"\nexpires = 2999-01-01\n",
    );
    gate(&place, &base, &head, &["--waivers", "w.toml"]).fails_with("there is no such rule");
}

/// A file that `fetchurl` fetches, from a mirror.
const MIRRORED: &str = r#"
  let
    drv = args: derivation ({ system = "x86_64-linux"; builder = "/bin/sh"; } // args);
    list = url: drv { name = "mirrors-list"; gnu = url; };
    mirrored = list "https://ftp.gnu.org/gnu/";
  in [
    (list "https://evil.example/")
    (drv {
      name = "hello-2.12.tar.gz"; urls = [ "mirror://gnu/hello/hello-2.12.tar.gz" ]; mirrorsFile = mirrored;
      outputHash = builtins.hashString "sha256" "x"; outputHashAlgo = "sha256"; outputHashMode = "flat";
    })
  ]
"#;

#[test]
fn mirrors_of_others_decide_nothing() {
    let nix = Nix::find().unwrap().store_at("nix/store").unwrap();
    nix.instantiate(MIRRORED, &[]).unwrap();
    let run = Place::new().run(&["fod", "list", directory(&nix), "--format", "json"]);
    assert_eq!(
        document(run.exits(0))["fods"][0]["urls"],
        json!(["https://ftp.gnu.org/gnu/hello/hello-2.12.tar.gz"])
    );
    let nix = Nix::find().unwrap().store_at("nix/store").unwrap();
    let two = MIRRORED.replace(
        "mirrorsFile",
        "more = list \"https://evil.example/\"; mirrorsFile",
    );
    nix.instantiate(&two, &[]).unwrap();
    let run = Place::new().run(&["fod", "list", directory(&nix), "--format", "json"]);
    assert_eq!(
        document(run.exits(0))["fods"][0]["urls"],
        json!(["mirror://gnu/hello/hello-2.12.tar.gz"])
    );
}

#[test]
fn no_report_shows_a_password() {
    let (user, query) = ("https://me:hunter2@example.org/", "?token=hunter3");
    let base = of(&format!("{user}r.git{query}"), "v1", "one");
    let head = of(&format!("{user}s.git{query}"), "v2", "one");
    let place = Place::new();
    for format in ["text", "markdown", "json", "sarif"] {
        let run = gate(&place, &base, &head, &["--format", format]);
        let told = &run.exits(1).stdout;
        assert!(told.contains("https://example.org/s.git?token="), "{told}");
        assert!(!told.contains("hunter"), "{told}");
    }
    for format in ["text", "json", "jsonl", "html"] {
        for command in ["list", "verify"] {
            let args = ["fod", command, directory(&head), "--format", format];
            let plan: &[&str] = if command == "verify" {
                &["--plan"]
            } else {
                &[]
            };
            let run = place.run(&[&args[..], plan].concat());
            assert!(!run.exits(0).stdout.contains("hunter"), "{run}");
        }
    }
    let run = place.run(&[
        "fod",
        "diff",
        directory(&base),
        directory(&head),
        "--format",
        "json",
    ]);
    assert!(!run.exits(1).stdout.contains("hunter"), "{run}");
}

/// In a script of an action, `${{ … }}` is put in before a shell reads it: whoever writes it writes code.
#[test]
fn the_action_puts_nothing_into_its_script() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../actions/fod-gate/action.yml");
    let action = fs::read_to_string(file).unwrap();
    let (_, script) = action.split_once("run: |").unwrap();
    assert!(!script.contains("${{"), "{script}");
    let scripts = action.matches("run:").count();
    assert_eq!(scripts, 1);
}

/// What one address serves, until the test ends.
fn served(body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut head = [0; 8192];
            let _ = stream.read(&mut head);
            let length = body.len();
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
        }
    });
    format!("http://{address}")
}

/// Files that Nix itself fetches: name, URL, contents.
fn fetched(files: &[(&str, &str, &str)]) -> NixStore {
    let nix = Nix::find().unwrap().store_at("nix/store").unwrap();
    let files = files.iter().map(|(name, url, contents)| {
        format!(
            r#"(derivation {{
              name = "{name}"; system = "builtin"; builder = "builtin:fetchurl"; url = "{url}"; urls = "{url}";
              outputHash = builtins.hashString "sha256" "{contents}"; outputHashAlgo = "sha256";
              outputHashMode = "flat"; executable = false; unpack = false; preferLocalBuild = true;
            }})"#
        )
    });
    let files: Vec<String> = files.collect();
    nix.instantiate(&format!("[ {} ]", files.join(" ")), &[])
        .unwrap();
    nix
}

/// What a shell writes by itself.
fn written() -> NixStore {
    let nix = Nix::find().unwrap().store_at("nix/store").unwrap();
    let expression = r#"derivation {
      name = "written"; system = "x86_64-linux"; builder = "/bin/sh"; args = [ "-c" "echo > $out" ];
      outputHash = builtins.hashString "sha256" "x"; outputHashAlgo = "sha256"; outputHashMode = "flat";
    }"#;
    nix.instantiate(expression, &[]).unwrap();
    nix
}

/// A file that `fetchurl` fetches from some addresses, run by a script that says this: its derivation. What base and
/// head are compared by is in one store, since its directory is part of the digests of its paths.
fn fetched_by(store: &NixStore, script: &str, urls: &[&str]) -> String {
    let urls: Vec<String> = urls.iter().map(|url| nix_text(url)).collect();
    let expression = format!(
        r#"derivation {{
          name = "x"; system = "x86_64-linux"; builder = "/bin/sh"; urls = [ {} ];
          args = [ "-e" (builtins.toFile "builder.sh" "{script}") ];
          outputHash = builtins.hashString "sha256" "one"; outputHashAlgo = "sha256"; outputHashMode = "flat";
        }}"#,
        urls.join(" ")
    );
    store.instantiate(&expression, &[]).unwrap();
    let drv = store.evaluate(&format!("({expression}).drvPath")).unwrap();
    drv.as_str().unwrap().to_owned()
}

fn gate_of(place: &Place, base: &str, head: &str, more: &[&str]) -> Run {
    let args = ["fod", "gate", base, head, "--format", "json"];
    place.run(&[&args[..], more].concat())
}

/// One that has a file at one address, and at no other.
fn served_at(path: &'static str, body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut head = [0; 8192];
            let read = stream.read(&mut head).unwrap_or_default();
            let head = String::from_utf8_lossy(&head[..read]);
            let (status, body) = match head.split(' ').nth(1) {
                Some(asked) if asked == path => ("200 OK", body),
                _ => ("404 Not Found", ""),
            };
            let length = body.len();
            let _ = write!(
                stream,
                "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
        }
    });
    format!("http://{address}")
}

#[test]
fn the_old_file_under_whatever_address_is_no_answer() {
    let place = Place::new();
    let store = Nix::find().unwrap().store_at("nix/store").unwrap();
    let server = served_at("/rel/x-1.tar.gz", "one");
    let at = |path: &str| format!("{server}/{path}");
    let (old, new) = (at("rel/x-1.tar.gz"), at("rel/x-2.tar.gz"));
    let base = fetched_by(&store, "", &[&old]);
    let told = |urls: &[&str]| {
        let head = fetched_by(&store, "", urls);
        let more = ["--verify", "--direct", "--allow-private"];
        let document = document(&gate_of(&place, &base, &head, &more));
        assert_eq!(document["changes"][0]["verdict"], "ok", "{document}");
        rules(&document)
    };
    // Another spelling, and another name of it: what comes is not known to be what the first address names.
    let elsewhere = format!("{}/y", served("one"));
    for second in [&old, &at("rel/./x-1.tar.gz"), &elsewhere] {
        let found = told(&[&new, second]);
        assert!(
            found.contains(&"stale-hash! x".to_owned()),
            "{second} {found:?}"
        );
    }
    // The new file, from its second place.
    let mirror = served_at("/rel/x-2.tar.gz", "one");
    let found = told(&[&new, &format!("{mirror}/rel/x-2.tar.gz")]);
    assert!(found.contains(&"stale-hash x".to_owned()), "{found:?}");
}

#[test]
fn another_script_with_the_same_name_is_a_finding() {
    let place = Place::new();
    let store = Nix::find().unwrap().store_at("nix/store").unwrap();
    let url = ["https://example.org/x-1.tar.gz"];
    let base = fetched_by(&store, "", &url);
    let head = fetched_by(&store, "echo something else > $out", &url);
    gate_of(&place, &base, &base, &[]).exits(0);
    let told = document(gate_of(&place, &base, &head, &[]).exits(1));
    assert_eq!(rules(&told), ["new-script! builder.sh"]);
    assert_eq!(told["changes"][0]["how"], "script");
    let script = &told["findings"][0]["output"];
    let waiver = format!(
        "[[waiver]]\nrule = \"new-script\"\noutput = {script}\nreason = \"read\"\nexpires = 2999-01-01\n"
    );
    place.write("w.toml", waiver);
    gate_of(&place, &base, &head, &["--waivers", "w.toml"]).exits(0);
    let run = place.run(&["fod", "diff", &base, &head, "--format", "json"]);
    let difference = document(run.exits(0));
    assert_eq!(difference["unchanged_hash"][0]["kind"], "script");
    assert_eq!(difference["new_scripts"][0]["names"], json!(["x"]));
}

#[test]
fn what_is_changed_is_fetched_again_and_nothing_else() {
    let (one, two) = (served("one"), served("two"));
    let url = |server: &str, path: &str| format!("{server}/{path}");
    // Nobody serves this one: whoever asked for it would be told that it is not there.
    let same = "http://127.0.0.1:1/same";
    let old = url(&one, "x-1.tar.gz");
    let base = fetched(&[("same", same, "same"), ("x", &old, "one")]);
    let place = Place::new();
    let told = |head: &NixStore| {
        let more = [
            "--verify",
            "--direct",
            "--allow-private",
            "--format",
            "json",
        ];
        let run = gate(&place, &base, head, &more);
        (run.code, rules(&document(&run)))
    };
    // A forgotten hash: the new address serves something else.
    let new = url(&two, "x-2.tar.gz");
    let (code, found) = told(&fetched(&[("same", same, "same"), ("x", &new, "one")]));
    assert_eq!(code, 1);
    assert!(found.contains(&"stale-hash! x".to_owned()), "{found:?}");
    assert!(found.contains(&"mismatch! x".to_owned()), "{found:?}");
    // The right one.
    let (code, found) = told(&fetched(&[("same", same, "same"), ("x", &new, "two")]));
    assert!(
        !found.iter().any(|rule| rule.starts_with("mismatch")),
        "{found:?}"
    );
    // Addresses of this machine are what a rule speaks against, whoever serves there.
    assert_eq!((code, found[0].as_str()), (1, "private-host! x"));
    // The new address serves the same bytes: what looked forgotten is not.
    let twin = url(&served("one"), "x-2.tar.gz");
    let (_, found) = told(&fetched(&[("same", same, "same"), ("x", &twin, "one")]));
    assert!(found.contains(&"stale-hash x".to_owned()), "{found:?}");
    // What seems to fetch nothing is not known to have its hash, and a shell alone can open a socket.
    let (_, found) = told(&written());
    assert!(
        found.contains(&"not-fetchable! written".to_owned()),
        "{found:?}"
    );
    // Without being told so, no address of a private network is asked.
    let run = gate(
        &place,
        &base,
        &fetched(&[("x", &new, "two")]),
        &["--verify", "--direct", "--format", "json"],
    );
    let found = rules(&document(&run));
    assert!(found.contains(&"denied! x".to_owned()), "{found:?}");
}

#[test]
fn the_book_names_each_variable_of_the_script() {
    let page = include_str!("../../../../docs/src/fod-gate.md");
    let script = include_str!("../../../../actions/fod-gate/gate.sh");
    let is_of_name = |c: char| c.is_ascii_uppercase() || c == '_';
    let names: Vec<&str> = script
        .split("${")
        .skip(1)
        .filter_map(|text| text.split(|c| !is_of_name(c)).next())
        .filter(|name| !name.is_empty() && !name.starts_with("GITHUB_"))
        .collect();
    assert!(names.len() > 15, "{names:?}");
    for name in names {
        assert!(page.contains(&format!("`{name}`")), "{name}");
    }
}
